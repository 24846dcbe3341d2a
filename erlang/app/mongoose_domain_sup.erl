%% Supervises the process that opens the table, the two that observe it (subdomains, and routing), the one that says whose
%% turn it is to start and stop services and modules, the processes of these, and the door to people. Those of service_domain_db, which follow the database and change it
%% (operations, and removals), come and go with it, and the door opens last.
%%
%% They restart apart from each other: a crashed core leaves the table open for its successor, a
%% crashed service leaves it as current as it was, and jobs of removal are rows in the database. None of
%% them fails to restart because the configuration can't be read: see mongoose_domain_app.
-module(mongoose_domain_sup).
-behaviour(supervisor).

-export([start_link/0, stop/1, restart_core/1]).
-export([start_service/0, stop_service/0, open_door/0, close_door/0]).
-export([start_scope/0]).
-export([init/1]).

%% @doc Starts the process that opens the table; the others come and go. Subdomains and handlers of removals that the
%% configuration names are there when this returns.
-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    case supervisor:start_link({local, ?MODULE}, ?MODULE, []) of
        {ok, Pid} ->
            ok = mongoose_subdomain_core:register_configured(),
            {ok, Pid};
        NotStarted -> NotStarted
    end.

%% @doc Ends it, by the process that started it.
-spec stop(pid()) -> ok.
stop(Supervisor) ->
    Monitor = monitor(process, Supervisor),
    true = unlink(Supervisor),
    true = exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, process, Supervisor, _} -> ok end.

%% @doc Adds the processes of service_domain_db, all or none; answers which one follows the database.
-spec start_service() -> {ok, pid()} | {error, term()}.
start_service() ->
    %% Whoever started it before may have been killed on the way.
    ok = stop_service(),
    start_children(service(), []).

start_children([], Started) ->
    {ok, proplists:get_value(service_domain_db, Started)};
start_children([#{id := Id} = Child | Children], Started) ->
    case supervisor:start_child(?MODULE, Child) of
        {ok, Pid} -> start_children(Children, [{Id, Pid} | Started]);
        {error, {Reason, _Child}} ->
            ok = remove(lists:map(fun({Other, _}) -> Other end, Started)),
            {error, Reason}
    end.

%% @doc Takes them out, the last one first.
-spec stop_service() -> ok.
stop_service() ->
    remove(lists:reverse([Id || #{id := Id} <- service()])).

%% @doc Opens the door to people, where the configuration asks for one.
-spec open_door() -> ok.
open_door() ->
    case mongoose_domain_config:admin() of
        {ok, _Admin} ->
            {ok, _Pid} = supervisor:start_child(?MODULE, admin()),
            ok;
        {error, _None} -> ok
    end.

%% @doc Closes it.
-spec close_door() -> ok.
close_door() ->
    remove([mongoose_domain_admin]).

remove(Ids) ->
    lists:foreach(fun(Id) ->
        _ = supervisor:terminate_child(?MODULE, Id),
        _ = supervisor:delete_child(?MODULE, Id)
    end, Ids).

%% @doc Begins with an empty table and these arguments ([StaticPairs, HostTypes], as
%% mongoose_domain_core:get_start_args/0 answers them); without any, with those of the configuration. The service loads
%% the dynamic domains again. A wrong configuration changes nothing. Fails with `{not_running, mongoose_domain}' without the
%% supervisor.
-spec restart_core([[mongoose_domain_core:pair()] | [mongoose_domain_core:host_type()]]) ->
    {ok, pid()} | {error, {wrong_configuration, mongoose_domain_config:problem()}}.
restart_core([]) ->
    _ = mongoose_domain_running:process(?MODULE),
    case mongoose_domain_config:read() of
        {ok, #{hosts := Hosts, host_types := HostTypes}} -> restart_core([Hosts, HostTypes]);
        {error, Problem} -> {error, {wrong_configuration, Problem}}
    end;
restart_core([Pairs, HostTypes]) ->
    _ = mongoose_domain_running:process(?MODULE),
    ok = supervisor:terminate_child(?MODULE, mongoose_domain_core),
    ok = supervisor:delete_child(?MODULE, mongoose_domain_core),
    {ok, _Pid} = supervisor:start_child(?MODULE, core(Pairs, HostTypes)).

%% Whoever needs the configuration reads it: an argument, a supervisor's or a child's, stays in its
%% state and shows in crash reports, and it may hold the database's password.
-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, #{hosts := Hosts, host_types := HostTypes} = Config} = mongoose_domain_config:read(),
    ok = mongoose_domain_removal:create_registry(mongoose_domain_configured:removal_handlers(Config)),
    ok = mongoose_domain_turns:create_registry(),
    ok = mongoose_domain_parts:create_table(),
    ok = mongoose_domain_parts_sup:create_registry(),
    ok = mongoose_domain_observers:create_registry(),
    ok = mongoose_subdomain_core:create_registry(),
    ok = mongoose_lazy_routing:create_registry(),
    ok = mongoose_domain_router_table:create_table(),
    Flags = #{strategy => one_for_one, intensity => 10, period => 10},
    {ok, {Flags, [core(Hosts, HostTypes)] ++ observers() ++ parts()}}.

core(Pairs, HostTypes) ->
    #{id => mongoose_domain_core, start => {mongoose_domain_core, resume_link, [Pairs, HostTypes]}}.

observers() ->
    [#{id => Module, start => {Module, start_link, []}} || Module <- [mongoose_subdomain_core, mongoose_lazy_routing]].

parts() ->
    [#{id => mongoose_domain_turns, start => {mongoose_domain_turns, start_link, []}},
     #{id => mongoose_domain_parts_sup, start => {mongoose_domain_parts_sup, start_link, []}, type => supervisor}].

service() ->
    [#{id => pg_scope, start => {?MODULE, start_scope, []}},
     #{id => service_domain_db, start => {service_domain_db, start_link, []}, shutdown => 10000},
     #{id => mongoose_domain_operations, start => {mongoose_domain_operations, start_link, []}},
     #{id => mongoose_domain_remover, start => {mongoose_domain_remover, start_link, []}}].

admin() ->
    #{id => mongoose_domain_admin, start => {mongoose_domain_admin, start_link, []}}.

%% @private The peer's scope: in one VM with MongooseIM it is there already. Who started it restarts it: were
%% that done here, too, the other's supervisor would find its place taken.
-spec start_scope() -> {ok, pid()} | ignore.
start_scope() ->
    case pg:start_link(service_domain_db:scope()) of
        {ok, Pid} -> {ok, Pid};
        {error, {already_started, _Pid}} -> ignore
    end.
