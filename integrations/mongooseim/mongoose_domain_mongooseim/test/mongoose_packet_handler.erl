%% A stand-in for MongooseIM's module: a record of a fun and an extra, to which keys are added, and none is replaced.
-module(mongoose_packet_handler).

-export([new/2, add_extra/2, process/5]).

-record(packet_handler, {handler :: fun((term(), term(), term(), term(), map()) -> term()), extra = #{} :: map()}).

-spec new(fun((term(), term(), term(), term(), map()) -> term()), map()) -> tuple().
new(Fun, Extra) ->
    #packet_handler{handler = Fun, extra = Extra}.

-spec add_extra(tuple(), map()) -> tuple().
add_extra(#packet_handler{extra = Extra} = Handler, More) ->
    Handler#packet_handler{extra = maps:merge(More, Extra)}.

%% @doc A fun for handlers.
-spec process(term(), term(), term(), term(), map()) -> ok.
process(_Acc, _From, _To, _Packet, _Extra) ->
    ok.
