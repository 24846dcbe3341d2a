%% A stand-in for MongooseIM's module: a record of another shape than a packet handler's.
-module(mongoose_iq_handler).

-export([new/2, add_extra/2]).

-record(iq_handler, {execution :: atom(), handler :: term(), extra = #{} :: map()}).

-spec new(term(), map()) -> tuple().
new(Handler, Extra) ->
    #iq_handler{execution = no_queue, handler = Handler, extra = Extra}.

-spec add_extra(tuple(), map()) -> tuple().
add_extra(#iq_handler{extra = Extra} = Handler, More) ->
    Handler#iq_handler{extra = maps:merge(More, Extra)}.
