%% Supervises the process that opens the table, the two that observe it (subdomains and routing), the lock of services
%% and modules, the supervisors of their processes and of those of the database, and the owner of the admin program.
%%
%% They are restarted apart from each other: a crashed core leaves the table open for its successor. None of them fails
%% to restart because the configuration cannot be read: see mongoose_domain_app.
%%
%% Two may start it. mongoose_domain_app does, where OTP starts the application: services and modules follow, and what was
%% registered ends with the supervisor. Or a supervisor of another application has it as a child, while this application is
%% loaded and not started: then start_link/0 takes the environment from the integration, if the configuration names one
%% (mongoose_domain_integration), and starts no service and no module, which is the other server's affair. There what was
%% registered is kept from one start to the next one (mongoose_domain_tables), as are the services' processes, since nobody
%% would register or start it again. It ends with the process that called start_link/0.
%%
%% A process that needs the configuration reads it. An argument stays in the state of a supervisor and shows in crash
%% reports, and the configuration may hold the database's password.
-module(mongoose_domain_sup).
-behaviour(supervisor).

-export([start_link/0, start_processes/1, stop/1, restart_core/1]).
-export([open_door/0, close_door/0]).
-export([init/1]).

-include("../base/mongoose_domain_log.hrl").

%% How long processes of a supervisor that was killed may take to end, in milliseconds.
-define(ENDING, 20000).

%% @doc Starts all that runs in a VM where this application is loaded only: for the supervisor of another application. Ends
%% with an error, and nothing runs, where the integration or the configuration is wrong.
-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    case whereis(?MODULE) of
        undefined ->
            ok = mongoose_domain_log:start(),
            Tables = mongoose_domain_tables:keep(),
            case start_integrated(Tables) of
                {ok, Pid} -> {ok, Pid};
                {error, Reason} ->
                    _ = [mongoose_domain_tables:forget() || Tables =:= new],
                    {error, Reason}
            end;
        Pid ->
            {error, {already_started, Pid}}
    end.

start_integrated(Tables) ->
    try
        ok = mongoose_domain_integration:fill_environment(),
        start_processes(Tables, fun() ->
            ok = mongoose_domain_integration:started(),
            ok = open_door()
        end)
    catch
        Class:Reason:Stacktrace ->
            ?LOG_ERROR(#{what => integration_failed, class => Class, reason => Reason, stacktrace => Stacktrace}),
            {error, {integration_failed, Reason}}
    end.

%% @doc Starts the processes but for those of the database and the admin program, which come and go. Subdomains and
%% removal handlers of the configuration are registered when this returns, unless the tables were kept. Ends with an error,
%% which is logged, where the configuration is wrong.
-spec start_processes(Tables :: new | kept) -> supervisor:startlink_ret().
start_processes(Tables) ->
    start_processes(Tables, fun() -> ok end).

start_processes(Tables, Complete) ->
    case mongoose_domain_config:read() of
        {ok, Config} ->
            ok = warn_of_unknown(mongoose_domain_config:unknown_keys()),
            ok = await_end_of_predecessors(),
            case supervisor:start_link({local, ?MODULE}, ?MODULE, []) of
                {ok, Pid} -> complete(Pid, fun() -> register_configured(Tables, Config), Complete() end);
                NotStarted -> NotStarted
            end;
        {error, Problem} ->
            ?LOG_ERROR(Problem#{what => wrong_configuration, application => mongoose_domain}),
            {error, {wrong_configuration, Problem}}
    end.

%% Nothing runs where something is missing.
complete(Pid, Complete) ->
    try
        ok = Complete(),
        {ok, Pid}
    catch
        Class:Reason:Stacktrace ->
            ok = end_processes(Pid),
            erlang:raise(Class, Reason, Stacktrace)
    end.

register_configured(new, Config) ->
    mongoose_subdomain_core:register_configured(mongoose_domain_host_type_config:subdomains(Config));
register_configured(kept, _Config) ->
    ok.

warn_of_unknown([]) ->
    ok;
warn_of_unknown(Keys) ->
    ?LOG_WARNING(#{what => unknown_configuration_keys, application => mongoose_domain, keys => Keys}).

%% The processes of a supervisor that was killed end by themselves, and may still have their names.
await_end_of_predecessors() ->
    Names = case application:get_key(mongoose_domain, registered) of
        {ok, Registered} -> Registered -- [?MODULE, mongoose_domain_tables];
        undefined -> []
    end,
    lists:foreach(fun(Name) -> await_end(monitor(process, Name), Name) end, Names).

await_end(Monitor, Name) ->
    receive
        {'DOWN', Monitor, process, _Process, _Reason} -> ok
    after ?ENDING ->
        _ = [exit(Pid, kill) || Pid <- [whereis(Name)], is_pid(Pid)],
        receive {'DOWN', Monitor, process, _Process, _Reason} -> ok end
    end.

%% @doc Stops the supervisor, and ends what was registered. Only the process that started it may call this.
-spec stop(pid()) -> ok.
stop(Supervisor) ->
    ok = end_processes(Supervisor),
    mongoose_domain_tables:forget().

end_processes(Supervisor) ->
    Monitor = monitor(process, Supervisor),
    true = unlink(Supervisor),
    true = exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, process, Supervisor, _} -> ok end.

%% @doc Starts the owner of the admin program, if the configuration has one.
-spec open_door() -> ok.
open_door() ->
    case mongoose_domain_config:admin() of
        {ok, _Admin} ->
            {ok, _Pid} = supervisor:start_child(?MODULE, admin()),
            ok;
        {error, _None} -> ok
    end.

%% @doc Stops it.
-spec close_door() -> ok.
close_door() ->
    _ = supervisor:terminate_child(?MODULE, mongoose_domain_admin),
    _ = supervisor:delete_child(?MODULE, mongoose_domain_admin),
    ok.

%% @doc Starts the core with an empty table and these arguments: `[StaticPairs, HostTypes]', as
%% mongoose_domain_core:get_start_args/0 returns them, or `[]' for those of the configuration. The service then loads the
%% dynamic domains again. A wrong configuration changes nothing. Fails with `{not_running, mongoose_domain}' where the
%% application does not run.
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

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, #{hosts := Hosts, host_types := HostTypes} = Config} = mongoose_domain_config:read(),
    ok = mongoose_domain_table_events:create_registry(),
    ok = mongoose_domain_observers:create_registry(),
    ok = mongoose_subdomain_core:create_registry(),
    ok = mongoose_domain_removal:create_registry(mongoose_domain_host_type_config:removal_handlers(Config)),
    ok = mongoose_domain_components_lock:create_registry(),
    ok = mongoose_domain_components:create_table(),
    ok = mongoose_domain_components_sup:create_registry(),
    ok = mongoose_domain_database_sup:create_registry(),
    ok = mongoose_lazy_routing:create_registry(),
    ok = mongoose_domain_router_table:create_table(),
    Children = [core(Hosts, HostTypes), worker(mongoose_subdomain_core), worker(mongoose_lazy_routing),
                worker(mongoose_domain_components_lock), supervisor(mongoose_domain_components_sup),
                supervisor(mongoose_domain_database_sup)],
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Children}}.

core(Pairs, HostTypes) ->
    #{id => mongoose_domain_core, start => {mongoose_domain_core, resume_link, [Pairs, HostTypes]}}.

admin() ->
    worker(mongoose_domain_admin).

worker(Module) ->
    #{id => Module, start => {Module, start_link, []}}.

supervisor(Module) ->
    #{id => Module, start => {Module, start_link, []}, type => supervisor}.
