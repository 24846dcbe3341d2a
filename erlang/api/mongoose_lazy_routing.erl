%% Registers hosts with the router when they are first used, and unregisters them when they go.
%%
%%   true = mongoose_lazy_routing:maybe_add_domain_or_subdomain(<<"muc.example.com">>).
%%
%% A node may serve a million domains and get requests for a thousand of them. So a domain or a subdomain becomes a host of
%% the router (mongoose_domain_router) when it is first used. The call for a host that is registered, or for a name
%% that this node does not serve, calls no process.
%%
%% A host is unregistered as soon as this process is notified that the table does not show it any more: its domain was
%% removed or disabled, or has another host type now; its pattern was unregistered; or a domain of the same name came,
%% which takes precedence over a subdomain. A host that was never used was never registered, so nothing is unregistered.
%%
%% Handlers of IQs (requests of a namespace) are registered for the domains of a host type, or for the subdomains of a
%% pattern; each host has those of its kind, whichever of the two comes first. `host_type' is added to a handler's extra
%% (mongoose_domain_packet_handler).
%%
%% The functions are those of MongooseIM's module of this name. Hosts and handlers are kept as long as the application
%% runs: a crash of this process loses none. An orderly stop unregisters all hosts.
-module(mongoose_lazy_routing).
-behaviour(gen_server).

-export([start_link/0, maybe_add_domain_or_subdomain/1, sync/0]).
-export([maybe_remove_domain/2, maybe_remove_subdomain/1, maybe_remove_subdomains/2]).
-export([register_iq_handler_for_domain/4, unregister_iq_handler_for_domain/3]).
-export([register_iq_handler_for_subdomain/5, unregister_iq_handler_for_subdomain/4]).
-export([create_registry/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("../base/mongoose_domain_log.hrl").

%% {Host, Kind, Parent}
-define(HOSTS, ?MODULE).
%% {{Parent, Host}}, of subdomains with a parent
-define(CHILDREN, mongoose_lazy_routing_children).
%% {{Kind, Namespace, Component}, Handler}
-define(HANDLERS, mongoose_lazy_routing_handlers).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type pattern() :: mongoose_subdomain_core:pattern().
-type namespace() :: mongoose_domain_router:namespace().
-type component() :: mongoose_domain_router:component().
-type handler() :: mongoose_domain_router:handler().
-type kind() :: mongoose_domain_router:kind().

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Whether this is a host of the router now: it was one, or it is served by this node and became one. Of a domain and
%% a subdomain of one name, the domain does.
-spec maybe_add_domain_or_subdomain(Name :: binary()) -> boolean().
maybe_add_domain_or_subdomain(Name) ->
    case is_host(Name) of
        true -> true;
        false ->
            case mongoose_domain_api:get_host_type(Name) of
                {ok, _HostType} -> mongoose_domain_running:call(?MODULE, {add, Name}, infinity);
                {error, not_found} -> false
            end
    end.

is_host(Name) ->
    try
        ets:member(?HOSTS, Name)
    catch
        error:badarg -> mongoose_domain_running:fail()
    end.

%% @doc Unregisters the domain, and the subdomains that are named after it, if they are hosts of this host type. The table
%% calls for that by itself.
-spec maybe_remove_domain(host_type(), domain()) -> ok.
maybe_remove_domain(HostType, Domain) ->
    mongoose_domain_running:cast(?MODULE, {remove_domain, HostType, Domain}).

%% @doc Unregisters a subdomain, if it is a host of this host type and pattern.
-spec maybe_remove_subdomain(mongoose_subdomain_core:subdomain_info()) -> ok.
maybe_remove_subdomain(#{subdomain := Name, host_type := HostType, subdomain_pattern := Pattern}) ->
    mongoose_domain_running:cast(?MODULE, {remove_host, Name, {subdomain, HostType, Pattern}}).

%% @doc Unregisters all subdomains that are hosts of this host type and pattern.
-spec maybe_remove_subdomains(host_type(), pattern()) -> ok.
maybe_remove_subdomains(HostType, Pattern) ->
    mongoose_domain_running:cast(?MODULE, {remove_kind, {subdomain, HostType, Pattern}}).

%% @doc Has the domains of this host type, those that are hosts and those that will be, handle IQs of this namespace.
-spec register_iq_handler_for_domain(host_type(), namespace(), component(), handler()) ->
    ok | {error, already_registered}.
register_iq_handler_for_domain(HostType, Namespace, Component, Handler) ->
    Extended = mongoose_domain_packet_handler:iq_with_host_type(Handler, HostType),
    register_handler({domain, HostType}, Namespace, Component, Extended).

%% @doc The same for the subdomains of a pattern.
-spec register_iq_handler_for_subdomain(host_type(), pattern(), namespace(), component(), handler()) ->
    ok | {error, already_registered}.
register_iq_handler_for_subdomain(HostType, Pattern, Namespace, Component, Handler) ->
    Extended = mongoose_domain_packet_handler:iq_with_host_type(Handler, HostType),
    register_handler({subdomain, HostType, Pattern}, Namespace, Component, Extended).

%% @doc Takes the handler away again, and answers it as it was registered, with `host_type' in its extra.
-spec unregister_iq_handler_for_domain(host_type(), namespace(), component()) -> {ok, handler()} | {error, not_found}.
unregister_iq_handler_for_domain(HostType, Namespace, Component) ->
    unregister_handler({domain, HostType}, Namespace, Component).

%% @doc The same for the subdomains of a pattern.
-spec unregister_iq_handler_for_subdomain(host_type(), pattern(), namespace(), component()) ->
    {ok, handler()} | {error, not_found}.
unregister_iq_handler_for_subdomain(HostType, Pattern, Namespace, Component) ->
    unregister_handler({subdomain, HostType, Pattern}, Namespace, Component).

register_handler(Kind, Namespace, Component, Handler) ->
    mongoose_domain_running:call(?MODULE, {register_handler, {Kind, Namespace, Component}, Handler}, infinity).

unregister_handler(Kind, Namespace, Component) ->
    mongoose_domain_running:call(?MODULE, {unregister_handler, {Kind, Namespace, Component}}, infinity).

%% @doc Returns when the router knows of all that lookups showed before the call.
-spec sync() -> ok.
sync() ->
    mongoose_domain_observers:sync_server(?MODULE).

%% @private The supervisor owns the tables: they live as long as the application.
-spec create_registry() -> ok.
create_registry() ->
    _ = [mongoose_domain_tables:create(Table, [Type, {read_concurrency, true}])
         || {Table, Type} <- [{?HOSTS, set}, {?CHILDREN, ordered_set}, {?HANDLERS, ordered_set}]],
    ok.

%% gen_server; the state is the router

-spec init([]) -> {ok, module()}.
init([]) ->
    %% So that an orderly stop calls terminate/2, which unregisters all hosts.
    process_flag(trap_exit, true),
    ok = mongoose_domain_table_events:subscribe(),
    ok = mongoose_domain_observers:observe(),
    {ok, mongoose_domain_config:router()}.

-spec handle_call(term(), gen_server:from(), module()) -> {reply, term(), module()}.
handle_call({add, Name}, _From, Router) ->
    {reply, ets:member(?HOSTS, Name) orelse add(Name, Router), Router};
handle_call({register_handler, {Kind, Namespace, Component} = Key, Handler}, _From, Router) ->
    case ets:insert_new(?HANDLERS, {Key, Handler}) of
        true ->
            lists:foreach(fun(Host) -> add_handler(Router, Host, Kind, {Namespace, Component, Handler}) end, hosts(Kind)),
            {reply, ok, Router};
        false ->
            ?LOG_WARNING(iq_report(iq_already_registered, Key)),
            {reply, {error, already_registered}, Router}
    end;
handle_call({unregister_handler, {Kind, Namespace, Component} = Key}, _From, Router) ->
    case ets:take(?HANDLERS, Key) of
        [{_, Handler}] ->
            lists:foreach(fun(Host) -> remove_handler(Router, Host, Kind, {Namespace, Component, Handler}) end, hosts(Kind)),
            {reply, {ok, Handler}, Router};
        [] ->
            ?LOG_WARNING(iq_report(iq_unregister_missing, Key)),
            {reply, {error, not_found}, Router}
    end;
handle_call(sync, _From, Router) ->
    {reply, ok, Router};
handle_call(Request, _From, Router) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, Router}.

-spec handle_cast(term(), module()) -> {noreply, module()}.
handle_cast({remove_domain, HostType, Domain}, Router) ->
    ok = changed({removed, HostType, Domain}, Router),
    {noreply, Router};
handle_cast({remove_host, Name, Kind}, Router) ->
    ok = remove(Name, fun(Its) -> Its =:= Kind end, Router),
    {noreply, Router};
handle_cast({remove_kind, Kind}, Router) ->
    ok = remove_kind(Kind, Router),
    {noreply, Router};
handle_cast(Message, Router) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, Router}.

-spec handle_info(term(), module()) -> {noreply, module()}.
handle_info({domain_changes, Batch, everything}, Router) ->
    Gone = ets:foldl(fun({Host, Kind, _Parent}, Wrong) -> [Host || kind(Host) =/= {ok, Kind}] ++ Wrong end, [], ?HOSTS),
    lists:foreach(fun(Host) -> remove(Host, Router) end, Gone),
    ok = mongoose_domain_observers:handled(Batch),
    {noreply, Router};
handle_info({domain_changes, Batch, Changes}, Router) ->
    lists:foreach(fun(Change) -> changed(Change, Router) end, Changes),
    ok = mongoose_domain_observers:handled(Batch),
    {noreply, Router};
handle_info({table_event, {pattern_unregistered, HostType, Pattern}}, Router) ->
    ok = remove_kind({subdomain, HostType, Pattern}, Router),
    {noreply, Router};
handle_info({table_event, _Other}, Router) ->
    {noreply, Router};
handle_info({'EXIT', _Linked, normal}, Router) ->
    {noreply, Router}; % a process or a port that the router had for a while
handle_info(Message, Router) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, Router}.

-spec terminate(term(), module()) -> ok.
terminate(Reason, Router) when Reason =:= normal; Reason =:= shutdown; element(1, Reason) =:= shutdown ->
    Hosts = [Host || {Host, _Kind, _Parent} <- ets:tab2list(?HOSTS)],
    lists:foreach(fun(Host) -> remove(Host, Router) end, Hosts);
terminate(_Crash, _Router) ->
    ok.

%% What the table shows

changed({removed, HostType, Domain}, Router) ->
    ok = remove(Domain, fun(Kind) -> Kind =:= {domain, HostType} end, Router),
    Children = ets:select(?CHILDREN, [{{{Domain, '$1'}}, [], ['$1']}]),
    OfType = fun({subdomain, Its, _Pattern}) -> Its =:= HostType; (_) -> false end,
    lists:foreach(fun(Child) -> remove(Child, OfType, Router) end, Children);
changed({added, _HostType, Domain}, Router) ->
    %% It takes precedence over a subdomain of the same name.
    remove(Domain, fun(Kind) -> element(1, Kind) =:= subdomain end, Router).

%% A domain goes before a subdomain of its name.
route(Name) ->
    try
        case mongoose_domain_core:get_host_type(Name) of
            {ok, HostType} -> {ok, {domain, HostType}};
            {error, not_found} -> subdomain_route(Name)
        end
    catch
        error:{not_running, mongoose_domain} -> {error, not_found} % the table is being opened again
    end.

subdomain_route(Name) ->
    case mongoose_subdomain_core:get_subdomain_info(Name) of
        {ok, Info} -> {ok, {subdomain, Info}};
        {error, not_found} -> {error, not_found}
    end.

kind(Name) ->
    case route(Name) of
        {ok, Route} -> {ok, kind_of(Route)};
        {error, not_found} -> {error, not_found}
    end.

-spec kind_of(mongoose_domain_router:route()) -> kind().
kind_of({domain, HostType}) -> {domain, HostType};
kind_of({subdomain, #{host_type := HostType, subdomain_pattern := Pattern}}) -> {subdomain, HostType, Pattern}.

parent({subdomain, #{parent_domain := Parent}}) -> Parent;
parent({domain, _HostType}) -> no_parent_domain.

hosts(Kind) ->
    [Host || [Host] <- ets:match(?HOSTS, {'$1', Kind, '_'})].

%% Calls of the router

add(Name, Router) ->
    case route(Name) of
        {ok, Route} ->
            Kind = kind_of(Route),
            Handlers = handlers(Kind),
            lists:foreach(fun(Handler) -> add_handler(Router, Name, Kind, Handler) end, Handlers),
            case call(Router, register_host, [Name, Route]) of
                ok ->
                    Parent = parent(Route),
                    _ = [ets:insert(?CHILDREN, {{Parent, Name}}) || Parent =/= no_parent_domain],
                    ets:insert(?HOSTS, {Name, Kind, Parent});
                failed ->
                    lists:foreach(fun(Handler) -> remove_handler(Router, Name, Kind, Handler) end, Handlers),
                    false
            end;
        {error, not_found} ->
            false
    end.

%% Unregisters it if it is a host of such a kind.
remove(Host, Condition, Router) ->
    case ets:lookup(?HOSTS, Host) of
        [{_, Kind, _Parent}] ->
            case Condition(Kind) of
                true -> remove(Host, Router);
                false -> ok
            end;
        [] -> ok
    end.

remove_kind(Kind, Router) ->
    lists:foreach(fun(Host) -> remove(Host, Router) end, hosts(Kind)).

remove(Host, Router) ->
    [{_, Kind, Parent}] = ets:lookup(?HOSTS, Host),
    _ = call(Router, unregister_host, [Host, Kind]),
    lists:foreach(fun(Handler) -> remove_handler(Router, Host, Kind, Handler) end, handlers(Kind)),
    true = ets:delete(?CHILDREN, {Parent, Host}),
    true = ets:delete(?HOSTS, Host),
    ok.

handlers(Kind) ->
    [list_to_tuple(Handler) || Handler <- ets:match(?HANDLERS, {{Kind, '$1', '$2'}, '$3'})].

add_handler(Router, Host, Kind, {Namespace, Component, Handler}) ->
    call_with_kind(Router, register_handler, [Host, Kind, Namespace, Component, Handler]).

remove_handler(Router, Host, Kind, {Namespace, Component, _Handler}) ->
    call_with_kind(Router, unregister_handler, [Host, Kind, Namespace, Component]).

%% A router may do without the kind.
call_with_kind(Router, Function, [Host, _Kind | Rest] = Args) ->
    case erlang:function_exported(Router, Function, length(Args)) of
        true -> call(Router, Function, Args);
        false -> call(Router, Function, [Host | Rest])
    end.

%% A router that fails does not crash this process.
call(Router, Function, [Host | _] = Args) ->
    try apply(Router, Function, Args) of
        ok -> ok;
        Other -> failed(#{class => returned, reason => Other, stacktrace => []}, Router, Function, Host)
    catch
        Class:Reason:Stacktrace ->
            failed(#{class => Class, reason => Reason, stacktrace => Stacktrace}, Router, Function, Host)
    end.

failed(Report, Router, Function, Host) ->
    ?LOG_ERROR(Report#{what => lazy_routing_failed, router => Router, function => Function, host => Host}),
    failed.

iq_report(What, {{domain, HostType}, Namespace, Component}) ->
    #{what => What, host_type => HostType, namespace => Namespace, component => Component};
iq_report(What, {{subdomain, HostType, Pattern}, Namespace, Component}) ->
    #{what => What, host_type => HostType, subdomain_pattern => Pattern, namespace => Namespace, component => Component}.
