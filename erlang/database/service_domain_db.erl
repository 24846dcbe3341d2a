%% The service that follows the database, and keeps this node's table equal to it.
%%
%% The functions are those of MongooseIM's module of this name. The process of this name (mongoose_domain_follower) owns the
%% native thread that loads the enabled domains and then follows the log of events. It reads the log when PostgreSQL notifies
%% it (on MariaDB: when another id is the newest, which it asks every `look_interval'), when any node sends this process
%% `check_for_updates', and at least every `poll_interval'.
%%
%% It is a service: mongoose_domain_services starts and stops it, or the service manager of a server that this application is
%% part of; and with it the processes that change the database. The options of start/1 replace those of the environment's
%% `service_domain_db', and stay there. An integration translates options of its server first (MongooseIM's `db_pool', say);
%% options that are not known are ignored.
%%
%% Every `converge_interval', and whenever the log of events is not the one that was followed, the whole table is compared
%% with the database and repaired. What the database lacks is then removed, unless there is evidence that the database lost
%% data: see mongoose_domain_freshness.
%%
%% With a `data_dir' the routes are written to a file, from which a node serves that starts while the database is away.
%% While the database is away, lookups answer from the table as it is, and the thread tries again with growing pauses. That
%% is logged when it begins and when it ends.
-module(service_domain_db).
-behaviour(mongoose_domain_service).

-export([start/1, stop/0, validate/1, secrets/0, config_spec/0]).
-export([start_link/0, enabled/0, restart/0, status/0, last_status/0]).
-export([converge/0, converge/1, kept/0]).
-export([force_check_for_updates/0, check_local/0, sync_local/0, sync_local/1, sync_event/2, ping/1]).
-export([scope/0]).

-include("../base/mongoose_domain_log.hrl").

-define(SCOPE, (mongoose_domain_database_sup:scope())).
-define(GROUP, (mongoose_domain_database_sup:group())).

%% The pause before a database that is away is asked again, in milliseconds.
-define(PAUSE, 100).

-type repairs() :: #{added | changed | removed | kept := non_neg_integer()}.
-export_type([repairs/0]).

-define(NOT_RUNNING, {error, <<"the service is not running">>}).

%% @doc Starts the service's processes, with these options instead of the environment's, and waits up to
%% `first_load_timeout' until the table shows what the database has. Fails, and leaves all as it was, where the options are
%% wrong or it runs.
-spec start(map()) -> {ok, pid()}.
start(Options) ->
    _ = mongoose_domain_running:process(mongoose_domain_database_sup),
    enabled() andalso erlang:error(already_started),
    New = case mongoose_domain_config:override_service(mongoose_domain_integration:service_options(Options)) of
        {ok, Overridden} -> Overridden;
        {error, Problem} -> erlang:error({wrong_configuration, Problem})
    end,
    Before = application:get_env(mongoose_domain, service_domain_db, disabled),
    ok = application:set_env(mongoose_domain, service_domain_db, New),
    case mongoose_domain_database_sup:start_service() of
        {ok, Pid} ->
            ok = await_first_load(maps:get(first_load_timeout, New, 0)),
            {ok, Pid};
        {error, Reason} ->
            ok = application:set_env(mongoose_domain, service_domain_db, Before),
            erlang:error(Reason)
    end.

%% A database that is away may come back in time. One that does not stops no start: the log says so.
await_first_load(0) ->
    ok;
await_first_load(Timeout) ->
    await_first_load(Timeout, now_ms() + Timeout).

await_first_load(Timeout, End) ->
    try sync_local(max(0, End - now_ms())) of
        ok -> ok;
        {error, _Away} ->
            timer:sleep(min(?PAUSE, max(0, End - now_ms()))),
            await_first_load(Timeout, End)
    catch
        exit:{timeout, _} ->
            ?LOG_WARNING(#{what => domain_first_load_not_done, waited => Timeout,
                           state => maps:get(state, last_status())})
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).

%% @doc Stops them: changes answer `service_disabled', and lookups from the table as it is.
-spec stop() -> ok.
stop() ->
    _ = mongoose_domain_running:process(mongoose_domain_database_sup),
    mongoose_domain_database_sup:stop_service().

%% @doc Whether start/1 would take these options.
-spec validate(map()) -> ok | {error, unicode:chardata()}.
validate(Options) ->
    case mongoose_domain_config:override_service(mongoose_domain_integration:service_options(Options)) of
        {ok, _} -> ok;
        {error, #{key := Key, value := Value, expected := Expected}} ->
            {error, io_lib:format("~p is ~0tp: expected ~ts", [Key, Value, Expected])}
    end.

%% @doc The URL may hold a password.
-spec secrets() -> [atom()].
secrets() ->
    [database].

%% @doc The section `services.service_domain_db' in MongooseIM's configuration language, of which start/1 takes what it
%% becomes. Both times are in seconds there, as here.
-spec config_spec() -> tuple().
config_spec() ->
    Option = fun(Type, Validate) -> {option, Type, Validate, [], default} end,
    {section,
     #{<<"event_cleaning_interval">> => Option(integer, positive),
       <<"event_max_age">> => Option(integer, positive),
       <<"db_pool">> => Option(atom, pool_name)},
     any, [], any, map, [],
     #{<<"event_cleaning_interval">> => mongoose_domain_config_keys:default(service_domain_db, event_cleaning_interval),
       <<"event_max_age">> => mongoose_domain_config_keys:default(service_domain_db, event_max_age),
       <<"db_pool">> => global},
     default, when_present}.

%% @doc Starts the process that owns the thread, as the application environment says.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    mongoose_domain_follower:start_link().

%% @doc Whether it was started and not stopped since. Asks no process.
-spec enabled() -> boolean().
enabled() ->
    mongoose_domain_database_sup:enabled().

%% @doc Ends this process; its successor compares everything, and what the database lacks is removed
%% from the table, as far as `convergence_gate' lets it. An error where the service is not running.
-spec restart() -> ok | {error, binary()}.
restart() ->
    case whereis(?MODULE) of
        undefined ->
            ok = mongoose_domain_running:check(),
            ?NOT_RUNNING;
        Pid -> gen_server:cast(Pid, restart)
    end.

%% @doc What the service is doing. `state' is connecting, loading, converging, following, away (the
%% database does not answer), ended (the thread panicked, or the configuration has turned wrong, and it will be
%% started again), not_running, or not_answering (within five seconds; `last_error' says so).
%% `cursor' is the id of the last event that the table shows, `lag' how many ids the newest one was ahead
%% when the thread last looked, `lag_seconds' for how long the table may have been out of date.
%% `open_gaps' is how many ranges of ids were passed by and may still hold events, `oldest_gap_seconds' for how
%% long the oldest of them has been open, `writers' whether the database tells which transactions may fill them
%% (known or unknown), `kept' how many routes stay that the database does not have, `stale' whether all is from a file and the database did not
%% answer yet. `kept_by_host_type' is a map of those that are kept. `repairs_added', `repairs_changed' and
%% `repairs_removed' are how many domains comparisons repaired, and `failures' how often the database failed,
%% since the VM was started. `table_bytes' is the memory that the table uses (mongoose_domain_core:memory/0). `since', `current_at' (when the table was last found current) and `last_error_at' are
%% milliseconds since 1970; what is not known is undefined.
-spec status() -> #{state := atom(), atom() => term()}.
status() ->
    try
        gen_server:call(?MODULE, status)
    catch
        exit:{timeout, _} -> #{state => not_answering, last_error => <<"the service did not answer in time">>};
        exit:{_Died, _} -> #{state => not_running}
    end.

%% @doc What status/0 returns, without a call of the process, so without waiting for it: what the thread is doing, or
%% (`ended') the last one did. `not_running' where there was none since the VM was started.
-spec last_status() -> #{state := atom(), atom() => term()}.
last_status() ->
    case mongoose_domain_nif:latest_follower_status() of
        undefined -> #{state => not_running};
        Status -> Status
    end.

%% @doc Has every node's service read the database now.
-spec force_check_for_updates() -> ok.
force_check_for_updates() ->
    ok = mongoose_domain_running:check(),
    lists:foreach(fun(Pid) -> Pid ! check_for_updates end, pg:get_members(?SCOPE, ?GROUP)).

%% @doc Has this node's service, if there is one, read the database now.
-spec check_local() -> ok.
check_local() ->
    case whereis(?MODULE) of
        undefined -> ok;
        Pid -> Pid ! check_for_updates, ok
    end.

%% @doc Returns when this node's table shows all that was committed before the call, or an error when
%% the database does not answer, or the service is not running or stops. Fails after five seconds.
-spec sync_local() -> ok | {error, binary()}.
sync_local() ->
    sync_local(5000).

%% @doc The same; fails after so many milliseconds.
-spec sync_local(timeout()) -> ok | {error, binary()}.
sync_local(Timeout) ->
    call(sync, Timeout).

%% @doc The same, and whether the event of a change is in the log that is followed. Where it is `missing', the change was
%% made in another database, or a standby that is followed does not show it yet.
-spec sync_event(EventId :: integer(), timeout()) -> ok | missing | {error, binary()}.
sync_event(Event, Timeout) ->
    call({find, Event}, Timeout).

%% @doc Compares the whole table with the database now and repairs it. Answers how many domains were added,
%% got another host type, and were removed, and how many stayed that the database does not have.
-spec converge() -> {ok, repairs()} | {error, binary()}.
converge() ->
    converge(gated).

%% @doc The same; with force, whatever the database lacks is removed, fresh or not. Waits as long as it
%% takes, or until the database is found to be away or the service stops.
-spec converge(gated | force) -> {ok, repairs()} | {error, binary()}.
converge(How) when How =:= gated; How =:= force ->
    call({converge, How}, infinity).

call(Request, Timeout) ->
    try
        gen_server:call(?MODULE, Request, Timeout)
    catch
        exit:{noproc, _} ->
            ok = mongoose_domain_running:check(),
            ?NOT_RUNNING;
        exit:{Died, _} when Died =/= timeout -> {error, <<"the service stopped before it answered">>}
    end.

%% @doc The routes that stay although the database did not have them when everything was compared last, all in
%% one list.
-spec kept() -> [mongoose_domain_core:pair()].
kept() ->
    mongoose_domain_core:get_all_kept().

%% @doc Whether the service of a node, or this member of its group, answers. Members may be processes of MongooseIM's own.
-spec ping(node() | pid()) -> pong | {error, term()}.
ping(Node) when is_atom(Node) ->
    ping_process({?MODULE, Node});
ping(Member) when is_pid(Member) ->
    ping_process(Member).

ping_process(Process) ->
    try
        gen_server:call(Process, ping)
    catch
        exit:{Reason, _} -> {error, Reason}
    end.

%% @doc The pg scope in which the services of all nodes find each other.
-spec scope() -> atom().
scope() ->
    ?SCOPE.
