%% A stand-in for MongooseIM's module: see mim.
-module(gen_iq_component).

-export([register_iq_handler/4, unregister_iq_handler/3, sync/1]).

-spec register_iq_handler(atom(), binary(), binary(), term()) -> term().
register_iq_handler(Component, Host, Namespace, IQHandler) ->
    mim:called(?MODULE, register_iq_handler, [Component, Host, Namespace, IQHandler]).

-spec unregister_iq_handler(atom(), binary(), binary()) -> term().
unregister_iq_handler(Component, Host, Namespace) ->
    mim:called(?MODULE, unregister_iq_handler, [Component, Host, Namespace]).

-spec sync(atom()) -> term().
sync(Component) ->
    mim:called(?MODULE, sync, [Component]).
