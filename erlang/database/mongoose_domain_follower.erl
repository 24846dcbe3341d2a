%% Owns the native thread that follows the database.
%%
%% The thread needs a permit of this process to change the table. So while this process is suspended (sys:suspend/1)
%% nothing is applied, and when it dies the thread ends. The successor continues where the thread was.
%%
%% A wrong configuration stops the first start only. When this process is restarted and finds it wrong (the file with the
%% URL is being replaced, say), it logs that once, has the state `ended', and tries again with growing pauses, as after a
%% thread that panicked. Lookups answer from the table as it is.
%%
%% It is registered as `service_domain_db', where MongooseIM's nodes look for it, and is a member of their group. The
%% functions of that module call it.
-module(mongoose_domain_follower).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("../base/mongoose_domain_log.hrl").

-define(SERVER, service_domain_db).
-define(SCOPE, (mongoose_domain_database_sup:scope())).
-define(GROUP, (mongoose_domain_database_sup:group())).

%% How long the thread may take to end, in milliseconds.
-define(END_TIMEOUT, 5000).
%% The pause before a scope that is gone is joined again, in milliseconds.
-define(SCOPE_PAUSE, 100).

-define(HAS_ENDED, {error, <<"the follower has ended and will be started again">>}).

-record(state, {
    follower :: mongoose_domain_nif:follower() | undefined,
    %% Calls of service_domain_db:sync_local/0 and converge/0 that wait for an answer.
    waiting = #{} :: #{non_neg_integer() => gen_server:from()},
    next_ticket = 0 :: non_neg_integer(),
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t(),
    scope :: reference() | undefined
}).

%% @doc Starts the process, as the application environment says.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?SERVER}, ?MODULE, [], []).

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
            case mongoose_domain_database_sup:enabled() of
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
    ?LOG_WARNING(#{what => unknown_call, server => ?SERVER, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, shutdown, #state{}}.
handle_cast(restart, State) ->
    Ended = end_follower(State),
    ok = mongoose_domain_nif:reset_progress(),
    {stop, shutdown, Ended};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?SERVER, message => Message}),
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
    ?LOG_WARNING(#{what => unknown_message, server => ?SERVER, message => Message}),
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

log({Level, #{what := What} = Report}) ->
    ?LOG(Level, Report),
    mongoose_domain_telemetry:execute([follower, status], fun() ->
        #{state := State} = Status = latest_status(),
        {maps:with([lag, lag_seconds, open_gaps, kept], Status), #{event => What, report => Report, state => State}}
    end).

latest_status() ->
    case mongoose_domain_nif:latest_follower_status() of
        undefined -> #{state => not_running};
        Status -> Status
    end.

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
