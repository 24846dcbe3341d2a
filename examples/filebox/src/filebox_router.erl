%% Which hosts are in use on this node, and by which connections.
%%
%% mongoose_lazy_routing calls this router when a host is used for the first time, and when it is served no more. Then
%% the router sends a message to all connections of the host, which end. A connection joins the group of the host that
%% it uses. mongoose_domain_router_table, which is part of mongoose_domain, keeps the hosts.
-module(filebox_router).
-behaviour(mongoose_domain_router).

-export([scope/0, join/1, leave/1]).
-export([register_host/2, unregister_host/2, register_handler/4, unregister_handler/3]).

%% @doc The scope of the groups.
-spec scope() -> atom().
scope() ->
    ?MODULE.

%% @doc Returns the route of a host. From then on, the calling process gets `{host_gone, Host}' when the host is served
%% no more.
-spec join(mongoose_domain_router:host()) -> {ok, mongoose_domain_router:route()} | {error, not_found}.
join(Host) ->
    ok = pg:join(scope(), Host, self()),
    %% After joining, so that a host that is removed in between is noticed in either case.
    case mongoose_domain_router_table:route(Host) of
        {ok, Route} ->
            {ok, Route};
        {error, not_found} ->
            ok = leave(Host),
            {error, not_found}
    end.

%% @doc Ends the messages about this host to the calling process.
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

%% When the node stops, the connections and their groups end first.
members(Host) ->
    case whereis(scope()) of
        undefined -> [];
        _Groups -> pg:get_local_members(scope(), Host)
    end.

%% This example registers no handlers of namespaces.
-spec register_handler(mongoose_domain_router:host(), binary(), atom(), term()) -> ok.
register_handler(_Host, _Namespace, _Component, _Handler) ->
    ok.

-spec unregister_handler(mongoose_domain_router:host(), binary(), atom()) -> ok.
unregister_handler(_Host, _Namespace, _Component) ->
    ok.
