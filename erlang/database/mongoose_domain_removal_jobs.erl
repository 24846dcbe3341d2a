%% Removes domains: runs the removal handlers of each domain, then deletes its row.
%%
%% A removal is a job, and a job is a row of `domain_removals' that holds its owner and the end of the owner's lease. This
%% process prolongs the leases of its jobs, takes over jobs whose lease has ended, and kills its handlers in time when it
%% cannot prolong: no two nodes work on one domain at once. After a crash it finds its jobs in the database again. While
%% the configuration is wrong, the length of a lease is unknown, and it runs no job.
%%
%% The row in `domain_settings', which other programs change, too, decides whether a domain is to be removed. A job is void
%% when the row is gone, is not in removal, or has another host type. The statement that prolongs the lease before each
%% handler reads the row, and a void job ends there: no further handler is called, the row is left alone, and the log has
%% `domain_removal_ended'. A handler at work for such a job is killed when the leases are prolonged next, which happens
%% four times in each lease (`domain_removal_stopped').
%%
%% Each job runs in a process of its own, a few at the same time. A failed job is logged, stays in the database with its
%% reason, and is not tried again until a new request.
-module(mongoose_domain_removal_jobs).
-behaviour(gen_server).

-export([start_link/0, remove/3, remove_and_await/3, await/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([result/0]).

-include("../base/mongoose_domain_log.hrl").

%% Jobs that run at the same time; others wait for them.
-define(AT_ONCE, 4).
%% Jobs that are taken over in one go.
-define(TAKE, 100).
%% The pause before a request that failed is made again, in milliseconds.
-define(PAUSE, 500).
%% How long a job waits for handlers: those that were registered when it began, and those that the configuration has it
%% wait for. In milliseconds.
-define(HANDLERS_TIMEOUT, 60000).
%% The longest error text that is stored.
-define(LONGEST_REASON, 1000).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type job() :: {domain(), host_type(), Handlers :: non_neg_integer()}.
%% A job that is void: what the row of its domain says.
-type void() :: {job(), row()}.
-type row() :: not_found | mongoose_domain_nif:settings().
%% `ended': the job was void. `lost': this node has it no more, and the database knows what became of it.
-type result() :: ok | {failed, binary()} | {ended, row()} | lost.

-record(state, {
    %% Unknown while the configuration is wrong.
    lease :: pos_integer() | undefined,
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t(),
    %% When the last successful prolongation of the leases was requested.
    prolonged :: integer(),
    %% The process that prolongs them now.
    prolonger = none :: pid() | none,
    %% Jobs that wait for a free process, oldest first.
    queue = [] :: [job()],
    running = #{} :: #{pid() => {job(), Since :: integer()}},
    waiting = #{} :: #{domain() => [gen_server:from()]}
}).

%% @doc Starts with the jobs whose leases have ended.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Begins with a job that this node has claimed, when so many handlers were registered.
-spec remove(domain(), host_type(), Handlers :: non_neg_integer()) -> ok.
remove(Domain, HostType, Handlers) ->
    gen_server:cast(?MODULE, {remove, {Domain, HostType, Handlers}}).

%% @doc The same, and waits for the end of the job.
-spec remove_and_await(domain(), host_type(), Handlers :: non_neg_integer()) -> result().
remove_and_await(Domain, HostType, Handlers) ->
    call({remove, {Domain, HostType, Handlers}}).

%% @doc Waits for the end of a job that this node has claimed.
-spec await(domain()) -> result() | not_here.
await(Domain) ->
    call({await, Domain}).

%% When this process ends meanwhile, its successor or another node has the job.
call(Request) ->
    try
        gen_server:call(?MODULE, Request, infinity)
    catch
        exit:_Ended -> lost
    end.

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that jobs, which are linked, end with this process, and not the other way round.
    process_flag(trap_exit, true),
    {ok, begin_work(#state{prolonged = now_ms()})}.

begin_work(#state{retry = Retry} = State) ->
    case mongoose_domain_config:service() of
        {ok, #{removal_lease := Lease}} ->
            self() ! prolong,
            _ = erlang:send_after(check_interval(Lease), self(), check),
            start(State#state{lease = Lease, retry = mongoose_domain_retry:started(Retry)});
        {error, Problem} ->
            State#state{retry = mongoose_domain_retry:wrong(Problem, Retry)}
    end.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({remove, {Domain, _, _} = Job}, From, State) ->
    {noreply, start(enqueue([Job], wait(Domain, From, State)))};
handle_call({await, Domain}, From, State) ->
    case is_here(Domain, State) of
        true -> {noreply, wait(Domain, From, State)};
        false -> {reply, not_here, State}
    end;
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({remove, Job}, State) ->
    {noreply, start(enqueue([Job], State))};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(retry, State) ->
    {noreply, begin_work(State)};
handle_info(prolong, State) ->
    %% In a process of its own, so that this one handles jobs that end meanwhile.
    {Self, Asked} = {self(), now_ms()},
    Pid = spawn_link(fun() -> Self ! {prolonged, Asked, prolong_and_take_over()} end),
    {noreply, State#state{prolonger = Pid}};
handle_info({prolonged, Asked, {ok, Held, Void}}, State) ->
    Stopped = stop_lost(Asked, Held, Void, State),
    {noreply, add(Held, enqueue(Stopped, State#state{prolonged = Asked}))};
handle_info({prolonged, _Asked, _Failure}, State) ->
    {noreply, State};
handle_info({'EXIT', Pid, _Reason}, #state{prolonger = Pid, lease = Lease} = State) ->
    _ = erlang:send_after(max(1, Lease div 4), self(), prolong),
    {noreply, State#state{prolonger = none}};
handle_info({removed, Pid, Result}, State) ->
    {noreply, ended(Pid, Result, State)};
handle_info(check, #state{lease = Lease} = State) ->
    _ = erlang:send_after(check_interval(Lease), self(), check),
    {noreply, check_lease(State)};
handle_info({'EXIT', Pid, _Killed}, State) ->
    {noreply, ended(Pid, lost, State)};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

%% Jobs end here, and their leases run out: another node, or this one's next life, takes them over.
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{running = Running}) ->
    kill_all(Running).

%% Jobs

is_here(Domain, #state{queue = Queue} = State) ->
    lists:keymember(Domain, 1, Queue) orelse runs(Domain, State).

runs(Domain, #state{running = Running}) ->
    lists:any(fun({{Its, _, _}, _Since}) -> Its =:= Domain end, maps:values(Running)).

wait(Domain, From, #state{waiting = Waiting} = State) ->
    State#state{waiting = Waiting#{Domain => [From | maps:get(Domain, Waiting, [])]}}.

add(Jobs, State) ->
    start(enqueue([Job || {Domain, _, _} = Job <- Jobs, not runs(Domain, State)], State)).

%% What runs for such a domain was stopped just now, or ends: the job begins when that has ended.
enqueue(Jobs, #state{queue = Queue} = State) ->
    State#state{queue = Queue ++ [Job || {Domain, _, _} = Job <- Jobs, not lists:keymember(Domain, 1, Queue)]}.

start(#state{queue = Queue, running = Running, lease = Lease} = State)
        when map_size(Running) < ?AT_ONCE, Lease =/= undefined ->
    %% A job whose domain still has a process was stopped just now.
    case lists:splitwith(fun({Domain, _, _}) -> runs(Domain, State) end, Queue) of
        {Stopped, [Job | Others]} ->
            Self = self(),
            Pid = spawn_link(fun() -> Self ! {removed, self(), timed(Job)} end),
            start(State#state{queue = Stopped ++ Others, running = Running#{Pid => {Job, now_ms()}}});
        {_Stopped, []} -> State
    end;
start(State) ->
    State.

%% A job's process that ends without a result was killed.
ended(Pid, Result, #state{running = Running} = State) ->
    case maps:take(Pid, Running) of
        {{{Domain, _, _}, _Since}, Others} -> start(answer(Domain, Result, State#state{running = Others}));
        error -> State
    end.

answer(Domain, Result, #state{waiting = Waiting, queue = Queue} = State) ->
    case lists:keymember(Domain, 1, Queue) of
        true -> State; % there is another job to wait for
        false ->
            lists:foreach(fun(From) -> gen_server:reply(From, Result) end, maps:get(Domain, Waiting, [])),
            State#state{waiting = maps:remove(Domain, Waiting)}
    end.

%% The lease is counted from before the request, so it ends here before it ends in the database.
check_lease(#state{lease = Lease, prolonged = Prolonged, running = Running, queue = Queue} = State) ->
    case now_ms() - Prolonged > Lease * 3 div 4 of
        true when map_size(Running) > 0; Queue =/= [] ->
            ?LOG_WARNING(#{what => domain_removals_suspended, running => map_size(Running), waiting => length(Queue)}),
            ok = kill_all(Running),
            lists:foldl(fun({Domain, _, _}, Left) -> answer(Domain, lost, Left) end, State#state{queue = []}, Queue);
        _ ->
            State
    end.

%% Stops jobs that began before the request and are not this node's in the answer, since another node may run them now, and
%% void jobs, since they delete data that is to stay. Returns the void jobs.
stop_lost(Asked, Held, Void, #state{running = Running}) ->
    Lost = [{Pid, Job} || {Pid, {{Domain, _, _} = Job, Since}} <- maps:to_list(Running),
                          Since < Asked, not lists:keymember(Domain, 1, Held)],
    lists:foreach(fun({Pid, {Domain, HostType, _}}) ->
        Why = case [Row || {{Its, _, _}, Row} <- Void, Its =:= Domain] of
            [Row] -> #{reason => not_in_removal, row => Row};
            [] -> #{reason => not_this_nodes}
        end,
        ?LOG_WARNING(Why#{what => domain_removal_stopped, domain => Domain, host_type => HostType}),
        kill(Pid)
    end, Lost),
    [Job || {Job, _Row} <- Void].

kill_all(Running) ->
    lists:foreach(fun kill/1, maps:keys(Running)).

kill(Pid) ->
    true = exit(Pid, kill).

check_interval(Lease) ->
    max(1, Lease div 10).

now_ms() ->
    erlang:monotonic_time(millisecond).

%% What runs in a job's process

-spec timed(job()) -> result().
timed({Domain, HostType, _Wanted} = Job) ->
    mongoose_domain_telemetry:timed([removal], fun() -> run(Job) end, fun(Result) ->
        Tag = case Result of {Failed, _Why} -> Failed; _ -> Result end,
        {#{}, #{domain => Domain, host_type => HostType, result => Tag}}
    end).

-spec run(job()) -> result().
run({Domain, HostType, Wanted}) ->
    case await_handlers(HostType, Wanted, ?HANDLERS_TIMEOUT) of
        {ok, Handlers} -> run(Handlers, 0, length(Handlers), Domain, HostType);
        {missing, Reason} ->
            fail(Domain, HostType, #{handler => none, class => missing_handlers, stacktrace => [], reason => Reason})
    end.

%% A node that was just started takes jobs over before all handlers are registered. Without them it would
%% delete the domain and leave its data.
await_handlers(HostType, Wanted, Left) ->
    case mongoose_domain_removal:ready_handlers(HostType) of
        {ok, Handlers} when length(Handlers) >= Wanted -> {ok, Handlers};
        {ok, Handlers} when Left =< 0 -> {missing, #{registered => length(Handlers), were => Wanted}};
        {waiting, For} when Left =< 0 -> {missing, #{awaited => For}};
        _NotYet ->
            timer:sleep(?PAUSE),
            await_handlers(HostType, Wanted, Left - ?PAUSE)
    end.

run(Handlers, Done, Of, Domain, HostType) ->
    case persist({note_removal, Domain, Done, Of}) of
        held when Handlers =:= [] -> finish(Domain, HostType);
        held ->
            case call(hd(Handlers), HostType, Domain) of
                ok -> run(tl(Handlers), Done + 1, Of, Domain, HostType);
                {failed, Report} -> fail(Domain, HostType, Report#{handler => hd(Handlers)})
            end;
        Other -> given_up(Other, Domain, HostType)
    end.

call(Handler, HostType, Domain) ->
    try Handler:remove_domain(HostType, Domain) of
        ok -> ok;
        Other -> {failed, #{class => returned, reason => Other, stacktrace => []}}
    catch
        Class:Reason:Stacktrace -> {failed, #{class => Class, reason => Reason, stacktrace => Stacktrace}}
    end.

finish(Domain, HostType) ->
    case persist({finish_removal, Domain}) of
        held ->
            ok = service_domain_db:force_check_for_updates(),
            ok;
        {refused, Text} ->
            %% The same again would be refused again: a foreign key, say.
            fail(Domain, HostType, #{handler => none, class => refused, stacktrace => [], reason => Text});
        Other -> given_up(Other, Domain, HostType)
    end.

fail(Domain, HostType, #{handler := Handler, class := Class, reason := Reason} = Report) ->
    ?LOG_ERROR(Report#{what => domain_deletion_failed, domain => Domain, host_type => HostType}),
    Shown = io_lib:format("~p: ~p: ~0tp", [Handler, Class, Reason]),
    Text = unicode:characters_to_binary(string:slice(Shown, 0, ?LONGEST_REASON)),
    case persist({fail_removal, Domain, binary:replace(Text, <<0>>, <<"?">>, [global])}) of
        held -> {failed, Text};
        Other -> given_up(Other, Domain, HostType)
    end.

given_up(lost, _Domain, _HostType) ->
    lost;
given_up({ended, Row}, Domain, HostType) ->
    ok = log_ended({{Domain, HostType, unknown}, Row}),
    {ended, Row}.

log_ended({{Domain, HostType, _Handlers}, Row}) ->
    ?LOG_WARNING(#{what => domain_removal_ended, domain => Domain, host_type => HostType, row => Row}).

%% Repeats the request while the database fails. When the lease has ended, this process is killed.
persist(Request) ->
    case mongoose_domain_operations:run(Request) of
        {ok, Held} -> Held;
        {refused, _Text} = Refused when element(1, Request) =:= finish_removal -> Refused;
        _Failure ->
            timer:sleep(?PAUSE),
            persist(Request)
    end.

%% What runs in the prolonging process

%% The jobs that are this node's, among them those that it has just taken over, and those of them that are void.
prolong_and_take_over() ->
    case mongoose_domain_operations:run(renew_removals) of
        {ok, {Held, Void}} -> take_over(Held, Void);
        Failure -> Failure
    end.

-spec take_over([job()], [void()]) -> {ok, Held :: [job()], [void()]}.
take_over(Held, Void) ->
    case mongoose_domain_operations:run({take_over_removals, ?TAKE}) of
        {ok, {Taken, Ended}} ->
            lists:foreach(fun log_ended/1, Ended),
            lists:foreach(fun({Domain, HostType, _Handlers}) ->
                ?LOG_NOTICE(#{what => domain_removal_taken_over, domain => Domain, host_type => HostType})
            end, Taken),
            {ok, Held ++ Taken, Void};
        _Failure ->
            {ok, Held, Void}
    end.
