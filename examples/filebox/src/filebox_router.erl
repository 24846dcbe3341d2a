%% Which hosts are in use on this node, and by which connections.
%%
%% mongoose_lazy_routing tells this router of a host when it is used for the first time, and when it is served no more:
%% that is passed on to all connections to it, which end then. Who uses a host joins its group. Which hosts there are, the
%% router that comes with mongoose_domain keeps in a table.
-module(filebox_router).
-behaviour(mongoose_domain_router).

-export([scope/0, join/1, leave/1]).
-export([register_host/2, unregister_host/2, register_handler/4, unregister_handler/3]).

%% @doc The scope of the groups.
-spec scope() -> atom().
scope() ->
    ?MODULE.

%% @doc Has the calling process sent `{host_gone, Host}' when it is served no more; answers where requests to it go.
-spec join(mongoose_domain_router:host()) -> {ok, mongoose_domain_router:route()} | {error, not_found}.
join(Host) ->
    ok = pg:join(scope(), Host, self()),
    %% Asked after that: one that goes in between is noticed either way.
    case mongoose_domain_router_table:route(Host) of
        {ok, Route} ->
            {ok, Route};
        {error, not_found} ->
            ok = leave(Host),
            {error, not_found}
    end.

%% @doc Has it sent nothing any more.
-spec leave(mongoose_domain_router:host() | none) -> ok.
leave(Host) ->
    _ = pg:leave(scope(), Host, self()),
    ok.

-spec register_host(mongoose_domain_router:host(), mongoose_domain_router:route()) -> ok.
register_host(Host, Route) ->
    mongoose_domain_router_table:register_host(Host, Route).

-spec unregister_host(mongoose_domain_router:host(), mongoose_domain_router:kind()) -> ok.
unregister_host(Host, Kind) ->
    ok = mongoose_domain_router_table:unregister_host(Host, Kind),
    lists:foreach(fun(Connection) -> Connection ! {host_gone, Host} end, members(Host)).

%% When the node stops, the connections go first, and their groups with them.
members(Host) ->
    case whereis(scope()) of
        undefined -> [];
        _Groups -> pg:get_local_members(scope(), Host)
    end.

%% Nobody registers handlers of namespaces here.
-spec register_handler(mongoose_domain_router:host(), binary(), atom(), term()) -> ok.
register_handler(_Host, _Namespace, _Component, _Handler) ->
    ok.

-spec unregister_handler(mongoose_domain_router:host(), binary(), atom()) -> ok.
unregister_handler(_Host, _Namespace, _Component) ->
    ok.
