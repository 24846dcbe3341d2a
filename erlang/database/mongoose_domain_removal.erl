%% What is done when a domain is removed: handlers that delete its data.
%%
%% A handler is a module of this behaviour, registered for a host type. Before a domain's row goes, the
%% handlers of its host type are called in the order of their priorities, the smallest number first, and
%% of equal ones the one that was registered first:
%%
%%   ok = mongoose_domain_removal:register_handler(<<"type1">>, my_archive, 50).
%%
%%   -module(my_archive).
%%   -behaviour(mongoose_domain_removal).
%%   remove_domain(_HostType, Domain) -> delete_archive(Domain).
%%
%% A handler that the configuration names (`removal_handlers') is there before anything can be removed. A removal that began
%% earlier does not call a handler registered later by a process, unless the configuration names it with `await':
%%
%%   {removal_handlers, #{<<"type1">> => [{my_archive, 50}, {await, my_index}]}}
%%
%% Registering the same handler again, as a restarted process does, is no error.
%%
%% A handler may be called again for the same domain: after one behind it failed, or after its node
%% died. One that fails stops the removal; the domain stays in removal until it is requested again.
-module(mongoose_domain_removal).

-export([register_handler/3, unregister_handler/2, handlers/1]).
-export([ready_handlers/1, suspend/0, resume/0]).
-export([create_registry/1]).

-callback remove_domain(mongoose_domain_core:host_type(), mongoose_domain_core:domain()) -> ok | {error, term()}.

%% {{HostType, Module}, Priority, Number} for a handler, {{await, HostType, Module}} for one that removals wait for, and
%% {suspended} while they wait for the application's start.
-define(REGISTRY, ?MODULE).

%% @doc Has the module called for domains of this host type, from the return on, by removals that have not
%% called their first handler. Registrations end with the application. The same registration again is `ok'; one of this
%% module with another priority is refused.
-spec register_handler(mongoose_domain_core:host_type(), module(), Priority :: integer()) ->
    ok | {error, already_registered}.
register_handler(HostType, Module, Priority) when is_binary(HostType), is_atom(Module), is_integer(Priority) ->
    Handler = {{HostType, Module}, Priority, erlang:unique_integer([monotonic])},
    case ets:insert_new(mongoose_domain_running:registry(?REGISTRY), Handler) of
        true -> ok;
        false ->
            case ets:match_object(?REGISTRY, {{HostType, Module}, Priority, '_'}) of
                [_Same] -> ok;
                [] -> {error, already_registered}
            end
    end.

%% @doc Ends the registration. A removal that has called its first handler still calls the module.
-spec unregister_handler(mongoose_domain_core:host_type(), module()) -> ok.
unregister_handler(HostType, Module) ->
    true = ets:delete(mongoose_domain_running:registry(?REGISTRY), {HostType, Module}),
    ok.

%% @doc The modules that are called for domains of this host type, in order.
-spec handlers(mongoose_domain_core:host_type()) -> [module()].
handlers(HostType) ->
    Registry = mongoose_domain_running:registry(?REGISTRY),
    Handlers = ets:select(Registry, [{{{HostType, '$1'}, '$2', '$3'}, [], [{{'$2', '$3', '$1'}}]}]),
    [Module || {_Priority, _Registered, Module} <- lists:sort(Handlers)].

%% @private The same as handlers/1, once all are there that a removal has to call; until then, what it waits for: the
%% start of the application, or modules that have not been registered.
-spec ready_handlers(mongoose_domain_core:host_type()) -> {ok, [module()]} | {waiting, starting | [module()]}.
ready_handlers(HostType) ->
    Handlers = handlers(HostType),
    Awaited = ets:select(?REGISTRY, [{{{await, HostType, '$1'}}, [], ['$1']}]),
    case {ets:member(?REGISTRY, suspended), Awaited -- Handlers} of
        {true, _} -> {waiting, starting};
        {false, []} -> {ok, Handlers};
        {false, Missing} -> {waiting, Missing}
    end.

%% @private Removals wait: the modules of the configuration, which are handlers, are about to start.
-spec suspend() -> ok.
suspend() ->
    true = ets:insert(?REGISTRY, {suspended}),
    ok.

%% @private Removals continue.
-spec resume() -> ok.
resume() ->
    true = ets:delete(?REGISTRY, suspended),
    ok.

%% @private The supervisor owns the registry: registrations live as long as the application. The handlers that the
%% configuration names are the first ones; in a table that was kept they are there, unless somebody unregistered them.
-spec create_registry([{mongoose_domain_core:host_type(), mongoose_domain_config_components:removal_handler()}]) -> ok.
create_registry(Configured) ->
    case mongoose_domain_tables:create(?REGISTRY, [ordered_set, {read_concurrency, true}]) of
        kept -> ok;
        created -> lists:foreach(fun register_configured/1, Configured)
    end.

register_configured({HostType, {await, Module}}) ->
    true = ets:insert(?REGISTRY, {{await, HostType, Module}});
register_configured({HostType, {Module, Priority}}) ->
    ok = register_handler(HostType, Module, Priority).
