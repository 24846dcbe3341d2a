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
%% A handler may be called again for the same domain: after one behind it failed, or after its node
%% died. One that fails stops the removal; the domain stays in removal until it is requested again.
-module(mongoose_domain_removal).

-export([register_handler/3, unregister_handler/2, handlers/1]).
-export([create_registry/0]).

-callback remove_domain(mongoose_domain_core:host_type(), mongoose_domain_core:domain()) -> ok | {error, term()}.

-define(REGISTRY, ?MODULE).

%% @doc Has the module called for domains of this host type, from the return on, by removals that have not
%% called their first handler. Registrations end with the application.
-spec register_handler(mongoose_domain_core:host_type(), module(), Priority :: integer()) ->
    ok | {error, already_registered}.
register_handler(HostType, Module, Priority) when is_binary(HostType), is_atom(Module), is_integer(Priority) ->
    Handler = {{HostType, Module}, Priority, erlang:unique_integer([monotonic])},
    case ets:insert_new(mongoose_domain_running:registry(?REGISTRY), Handler) of
        true -> ok;
        false -> {error, already_registered}
    end.

%% @doc Has it called no more. A removal that has called its first handler calls it all the same.
-spec unregister_handler(mongoose_domain_core:host_type(), module()) -> ok.
unregister_handler(HostType, Module) ->
    true = ets:delete(mongoose_domain_running:registry(?REGISTRY), {HostType, Module}),
    ok.

%% @doc The modules that are called for domains of this host type, in order.
-spec handlers(mongoose_domain_core:host_type()) -> [module()].
handlers(HostType) ->
    Handlers = ets:select(mongoose_domain_running:registry(?REGISTRY), [{{{HostType, '$1'}, '$2', '$3'}, [], [{{'$2', '$3', '$1'}}]}]),
    [Module || {_Priority, _Registered, Module} <- lists:sort(Handlers)].

%% @private The supervisor's: registrations live as long as the application.
-spec create_registry() -> ok.
create_registry() ->
    ?REGISTRY = ets:new(?REGISTRY, [named_table, public, ordered_set, {read_concurrency, true}]),
    ok.
