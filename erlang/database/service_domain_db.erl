%% Follows the database: owns the native thread that keeps this node's table equal to it.
%%
%% The functions are those of MongooseIM's module of this name. The thread loads the enabled domains and then follows the
%% log of events. It reads the log when PostgreSQL notifies it, when any node sends this process `check_for_updates', and at
%% least every `poll_interval'.
%%
%% The thread needs a permit of this process to change the table. So while this process is suspended (sys:suspend/1)
%% nothing is applied, and when it dies the thread ends. The successor continues where the thread was.
%%
%% It is a service: mongoose_domain_services starts and stops it, and with it the processes that change the database. The
%% options of start/1 replace those of the environment's `service_domain_db', and stay there; options that are not known,
%% such as MongooseIM's `db_pool', are ignored.
%%
%% A wrong configuration stops the first start only. When this process is restarted and finds it wrong (the file with the
%% URL is being replaced, say), it logs that once, has the state `ended', and tries again with growing pauses, as after a
%% thread that panicked. Lookups answer from the table as it is.
%%
%% Every `converge_interval', and whenever the log of events is not the one that was followed, the whole table is compared
%% with the database and repaired. What the database lacks is then removed, unless there is evidence that the database lost
%% data: see mongoose_domain_freshness.
%%
%% With a `data_dir' the routes are written to a file, from which a node serves that starts while the database is away.
%% While the database is away, lookups answer from the table as it is, and the thread tries again with growing pauses. That
%% is logged when it begins and when it ends.
-module(service_domain_db).
-behaviour(gen_server).
-behaviour(mongoose_domain_service).

-export([start/1, stop/0, validate/1, secrets/0]).
-export([start_link/0, enabled/0, restart/0, status/0, last_status/0]).
-export([converge/0, converge/1, kept/0]).
-export([force_check_for_updates/0, check_local/0, sync_local/0, sync_local/1, sync_event/2, ping/1]).
-export([scope/0]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("../base/mongoose_domain_log.hrl").

-define(SCOPE, (mongoose_domain_database_sup:scope())).
-define(GROUP, service_domain_db_group).

%% How long the thread may take to end, in milliseconds.
-define(END_TIMEOUT, 5000).
%% The pause before a scope that is gone is joined again, in milliseconds.
-define(SCOPE_PAUSE, 100).

-type repairs() :: #{added | changed | removed | kept := non_neg_integer()}.
-export_type([repairs/0]).

-define(NOT_RUNNING, {error, <<"the service is not running">>}).
-define(HAS_ENDED, {error, <<"the follower has ended and will be started again">>}).

-record(state, {
    follower :: mongoose_domain_nif:follower() | undefined,
    %% Calls of sync_local/0 and converge/0 that wait for an answer.
    waiting = #{} :: #{non_neg_integer() => gen_server:from()},
    next_ticket = 0 :: non_neg_integer(),
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t(),
    scope :: reference() | undefined
}).

%% @doc Starts the service's processes, with these options instead of the environment's. Fails, and leaves all as it
%% was, where they are wrong or it runs.
-spec start(map()) -> {ok, pid()}.
start(Options) ->
    _ = mongoose_domain_running:process(mongoose_domain_database_sup),
    enabled() andalso erlang:error(already_started),
    New = case mongoose_domain_config:override_service(Options) of
        {ok, Overridden} -> Overridden;
        {error, Problem} -> erlang:error({wrong_configuration, Problem})
    end,
    Before = application:get_env(mongoose_domain, service_domain_db, disabled),
    ok = application:set_env(mongoose_domain, service_domain_db, New),
    case mongoose_domain_database_sup:start_service() of
        {ok, Pid} ->
            {ok, Pid};
        {error, Reason} ->
            ok = application:set_env(mongoose_domain, service_domain_db, Before),
            erlang:error(Reason)
    end.

%% @doc Stops them: changes answer `service_disabled', and lookups from the table as it is.
-spec stop() -> ok.
stop() ->
    _ = mongoose_domain_running:process(mongoose_domain_database_sup),
    mongoose_domain_database_sup:stop_service().

%% @doc Whether start/1 would take these options.
-spec validate(map()) -> ok | {error, unicode:chardata()}.
validate(Options) ->
    case mongoose_domain_config:override_service(Options) of
        {ok, _} -> ok;
        {error, #{key := Key, value := Value, expected := Expected}} ->
            {error, io_lib:format("~p is ~0tp: expected ~ts", [Key, Value, Expected])}
    end.

%% @doc The URL may hold a password.
-spec secrets() -> [atom()].
secrets() ->
    [database].

%% @doc Starts the process that owns the thread, as the application environment says.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

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
%% `open_gaps' is how many ranges of ids were passed by and may still hold events, `kept' how many routes
%% stay that the database does not have, `stale' whether all is from a file and the database did not
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

%% gen_server

-spec init([]) -> {ok, #state{}, {continue, join}} | {stop, term()}.
init([]) ->
    %% So that an orderly stop calls terminate/2, which ends the thread.
    process_flag(trap_exit, true),
    ok = mongoose_domain_table_events:subscribe(),
    case start_follower() of
        {ok, Follower} ->
            {ok, started(Follower, #state{}), {continue, join}};
        {error, Problem} ->
            case enabled() of
                true ->
                    {ok, wrong(Problem, #state{}), {continue, join}};
                false ->
                    ?LOG_ERROR(Problem#{what => wrong_configuration, application => mongoose_domain}),
                    {stop, {wrong_configuration, Problem}}
            end
    end.

started(Follower, #state{retry = Retry} = State) ->
    State#state{follower = Follower, retry = mongoose_domain_retry:started(Retry)}.

wrong(Problem, #state{retry = Retry} = State) ->
    State#state{retry = mongoose_domain_retry:wrong(Problem, Retry)}.

-spec handle_continue(join, #state{}) -> {noreply, #state{}}.
handle_continue(join, State) ->
    {noreply, join(State)}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(ping, _From, State) ->
    {reply, pong, State};
handle_call(status, _From, #state{follower = undefined} = State) ->
    {reply, #{state => ended}, State};
handle_call(status, _From, #state{follower = Follower} = State) ->
    Bytes = lists:sum(maps:values(mongoose_domain_core:memory())),
    {reply, (mongoose_domain_nif:follower_status(Follower))#{table_bytes => Bytes}, State};
handle_call(sync, From, State) ->
    ask(fun(Ticket) -> {sync, Ticket} end, From, State);
handle_call({find, Event}, From, State) ->
    ask(fun(Ticket) -> {find, Ticket, Event} end, From, State);
handle_call({converge, How}, From, State) ->
    ask(fun(Ticket) -> {converge, Ticket, How} end, From, State);
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, shutdown, #state{}}.
handle_cast(restart, State) ->
    Ended = end_follower(State),
    ok = mongoose_domain_nif:reset_progress(),
    {stop, shutdown, Ended};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({domain_follower, Message}, State) ->
    handle_follower(Message, State);
handle_info(check_for_updates, #state{follower = undefined} = State) ->
    {noreply, State};
handle_info(check_for_updates, #state{follower = Follower} = State) ->
    ok = mongoose_domain_nif:follower_command(Follower, check),
    {noreply, State};
handle_info({table_event, opened}, State) ->
    %% Its dynamic domains are gone: the follower loads them again.
    handle_info(check_for_updates, State);
handle_info({table_event, _Other}, State) ->
    {noreply, State};
handle_info(retry, State) ->
    case start_follower() of
        {ok, Follower} -> {noreply, started(Follower, State)};
        {error, Problem} -> {noreply, wrong(Problem, State)}
    end;
handle_info({'DOWN', Scope, process, _, _}, #state{scope = Scope} = State) ->
    _ = erlang:send_after(?SCOPE_PAUSE, self(), join),
    {noreply, State#state{scope = undefined}};
handle_info(join, State) ->
    {noreply, join(State)};
handle_info({'EXIT', _Parent, Reason}, State) ->
    {stop, Reason, State};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, State) ->
    _ = end_follower(State),
    ok.

%% Where there is no scope, the monitor's message comes at once.
join(State) ->
    Scope = monitor(process, ?SCOPE),
    try lists:member(self(), pg:get_local_members(?SCOPE, ?GROUP)) orelse pg:join(?SCOPE, ?GROUP, self()) of
        _IsMember -> ok
    catch
        exit:_Gone -> ok
    end,
    State#state{scope = Scope}.

ask(_Order, _From, #state{follower = undefined} = State) ->
    {reply, ?HAS_ENDED, State};
ask(Order, From, #state{follower = Follower, waiting = Waiting, next_ticket = Ticket} = State) ->
    ok = mongoose_domain_nif:follower_command(Follower, Order(Ticket)),
    {noreply, State#state{waiting = Waiting#{Ticket => From}, next_ticket = Ticket + 1}}.

handle_follower(_Late, #state{follower = undefined} = State) ->
    {noreply, State};
handle_follower(request_permit, #state{follower = Follower} = State) ->
    ok = mongoose_domain_nif:follower_command(Follower, grant),
    {noreply, State};
handle_follower({reports, Reports}, State) ->
    lists:foreach(fun log/1, Reports),
    {noreply, State};
handle_follower({answer, Ticket, Result}, #state{waiting = Waiting} = State) ->
    {From, Others} = maps:take(Ticket, Waiting),
    gen_server:reply(From, Result),
    {noreply, State#state{waiting = Others}};
handle_follower({ended, How}, #state{retry = Retry} = State) ->
    {Pause, Later} = mongoose_domain_retry:ended(Retry),
    ?LOG_CRITICAL(#{what => domain_follower_ended, reason => How, retry_after => Pause}),
    {noreply, refuse_waiting(?HAS_ENDED, State#state{follower = undefined, retry = Later})}.

%% The thread answered the calls that it had read; this answers those that came later.
refuse_waiting(Answer, #state{waiting = Waiting} = State) ->
    maps:foreach(fun(_Ticket, From) -> gen_server:reply(From, Answer) end, Waiting),
    State#state{waiting = #{}}.

log({Level, Report}) ->
    ?LOG(Level, Report).

start_follower() ->
    case mongoose_domain_config:read() of
        {ok, #{service_domain_db := #{database := Database} = Options} = Config} ->
            case mongoose_domain_config:database_source(Database) of
                {ok, Source} -> start_follower(Source, Options#{snapshot_file => mongoose_domain_config:snapshot_file(Config)});
                {error, Problem} -> {error, Problem}
            end;
        {ok, #{service_domain_db := disabled}} ->
            {error, #{key => service_domain_db, value => disabled, expected => <<"a map">>}};
        {error, Problem} ->
            {error, Problem}
    end.

start_follower(Source, Options) ->
    case mongoose_domain_nif:follower_start(Source, Options) of
        {ok, Follower} ->
            {ok, Follower};
        {error, Text} ->
            {error, #{key => [service_domain_db, database], value => '(not shown)', expected => Text}}
    end.

%% Waits for the end of the thread, and for its last reports and answers, so that the next one can start at once.
end_follower(#state{follower = undefined} = State) ->
    State;
end_follower(#state{follower = Follower} = State) ->
    ok = mongoose_domain_nif:follower_command(Follower, stop),
    Ended = await_end(State),
    refuse_waiting({error, <<"the follower has ended">>}, Ended#state{follower = undefined}).

await_end(State) ->
    receive
        {domain_follower, {ended, _How}} -> State;
        {domain_follower, {reports, _Reports} = Message} -> await_end(handled(Message, State));
        {domain_follower, {answer, _Ticket, _Result} = Message} -> await_end(handled(Message, State))
    after ?END_TIMEOUT ->
        ?LOG_ERROR(#{what => domain_follower_still_running, waited => ?END_TIMEOUT}),
        State
    end.

handled(Message, State) ->
    {noreply, Next} = handle_follower(Message, State),
    Next.
