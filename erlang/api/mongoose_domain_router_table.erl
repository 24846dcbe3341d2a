%% The router that only keeps a table, which the server reads; it is the default.
%%
%%   true = mongoose_lazy_routing:maybe_add_domain_or_subdomain(<<"example.com">>).
%%   {ok, {domain, <<"type1">>}} = mongoose_domain_router_table:route(<<"example.com">>).
%%
%% Its functions call no process.
-module(mongoose_domain_router_table).
-behaviour(mongoose_domain_router).

-export([route/1, hosts/0, handlers/1]).
-export([create_table/0]).
-export([register_host/2, unregister_host/2, register_handler/4, unregister_handler/3]).

%% {{host, Host}, Route} and {{handler, Host, Namespace, Component}, Handler}
-define(TABLE, ?MODULE).

%% @doc The route of this host.
-spec route(mongoose_domain_router:host()) -> {ok, mongoose_domain_router:route()} | {error, not_found}.
route(Host) ->
    case ets:lookup(mongoose_domain_running:registry(?TABLE), {host, Host}) of
        [{_, Route}] -> {ok, Route};
        [] -> {error, not_found}
    end.

%% @doc All hosts that are registered.
-spec hosts() -> [mongoose_domain_router:host()].
hosts() ->
    [Host || [Host] <- ets:match(mongoose_domain_running:registry(?TABLE), {{host, '$1'}, '_'})].

%% @doc The handlers of a host.
-spec handlers(mongoose_domain_router:host()) ->
    [{mongoose_domain_router:namespace(), mongoose_domain_router:component(), mongoose_domain_router:handler()}].
handlers(Host) ->
    Table = mongoose_domain_running:registry(?TABLE),
    [list_to_tuple(Handler) || Handler <- ets:match(Table, {{handler, Host, '$1', '$2'}, '$3'})].

%% @private The supervisor owns the table.
-spec create_table() -> ok.
create_table() ->
    _ = mongoose_domain_tables:create(?TABLE, [ordered_set, {read_concurrency, true}]),
    ok.

-spec register_host(mongoose_domain_router:host(), mongoose_domain_router:route()) -> ok.
register_host(Host, Route) ->
    insert({host, Host}, Route).

-spec unregister_host(mongoose_domain_router:host(), mongoose_domain_router:kind()) -> ok.
unregister_host(Host, _Kind) ->
    delete({host, Host}).

-spec register_handler(mongoose_domain_router:host(), mongoose_domain_router:namespace(),
                       mongoose_domain_router:component(), mongoose_domain_router:handler()) -> ok.
register_handler(Host, Namespace, Component, Handler) ->
    insert({handler, Host, Namespace, Component}, Handler).

-spec unregister_handler(mongoose_domain_router:host(), mongoose_domain_router:namespace(),
                         mongoose_domain_router:component()) -> ok.
unregister_handler(Host, Namespace, Component) ->
    delete({handler, Host, Namespace, Component}).

insert(Key, Value) ->
    true = ets:insert(mongoose_domain_running:registry(?TABLE), {Key, Value}),
    ok.

delete(Key) ->
    true = ets:delete(mongoose_domain_running:registry(?TABLE), Key),
    ok.
