%% Removes domains: runs the handlers of each, then has its row deleted.
%%
%% A removal is a job, and a job is a row of `domain_removals': it says who works on it and until when
%% that is to be believed. This process prolongs the lease of its jobs, takes over those whose owners
%% died, and kills what it runs in time when it cannot prolong: no two nodes work on one domain at once.
%% What this process forgets by a crash, it finds in the database again.
%%
%% Each job runs in a process of its own, a few at the same time. A failed one is logged, kept in the
%% database with its reason, and not tried again until someone asks for it.
-module(mongoose_domain_remover).
-behaviour(gen_server).

-export([start_link/0, remove/2, await/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include_lib("kernel/include/logger.hrl").

%% Jobs that run at the same time; others wait for them.
-define(AT_ONCE, 4).
%% Jobs that are taken over in one go.
-define(TAKE, 100).
%% The rest before a database that failed is asked again, in milliseconds.
-define(REST, 500).
%% What is kept of a reason.
-define(LONGEST_REASON, 1000).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type result() :: ok | {failed, binary()} | lost.

-record(state, {
    lease :: pos_integer(),
    %% When the leases that are known to run were asked for.
    prolonged :: integer(),
    %% The process that asks for them now.
    prolonger :: reference() | none,
    %% Jobs that wait for their turn, oldest first.
    queue = [] :: [{domain(), host_type()}],
    running = #{} :: #{reference() => {pid(), domain(), Since :: integer()}},
    waiting = #{} :: #{domain() => [gen_server:from()]}
}).

%% @doc Starts with the jobs that nobody works on.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Begins with a job that this node has claimed.
-spec remove(domain(), host_type()) -> ok.
remove(Domain, HostType) ->
    gen_server:cast(?MODULE, {remove, Domain, HostType}).

%% @doc Waits for the end of a job that this node has claimed.
-spec await(domain()) -> result() | not_here.
await(Domain) ->
    gen_server:call(?MODULE, {await, Domain}, infinity).

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that jobs, which are linked, end with this process, and not the other way round.
    process_flag(trap_exit, true),
    {ok, #{service_domain_db := #{removal_lease := Lease}}} = mongoose_domain_config:read(),
    self() ! prolong,
    _ = erlang:send_after(check_interval(Lease), self(), check),
    {ok, #state{lease = Lease, prolonged = now_ms(), prolonger = none}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({await, Domain}, From, #state{waiting = Waiting} = State) ->
    case is_here(Domain, State) of
        true -> {noreply, State#state{waiting = Waiting#{Domain => [From | maps:get(Domain, Waiting, [])]}}};
        false -> {reply, not_here, State}
    end;
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({remove, Domain, HostType}, State) ->
    {noreply, add([{Domain, HostType}], State)};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(prolong, State) ->
    %% A process of its own asks the database: this one is to hear of jobs that end meanwhile.
    Asked = now_ms(),
    {_Pid, Monitor} = spawn_monitor(fun() -> exit({prolonged, Asked, prolong_and_take_over()}) end),
    {noreply, State#state{prolonger = Monitor}};
handle_info({'DOWN', Prolonger, process, _Pid, Result}, #state{prolonger = Prolonger, lease = Lease} = State) ->
    case Result of
        {prolonged, Asked, {ok, Mine}} ->
            _ = erlang:send_after(max(1, Lease div 3), self(), prolong),
            ok = kill_lost(Asked, Mine, State),
            {noreply, add(Mine, State#state{prolonged = Asked, prolonger = none})};
        _Failure ->
            _ = erlang:send_after(min(?REST, max(1, Lease div 3)), self(), prolong),
            {noreply, State#state{prolonger = none}}
    end;
handle_info({'DOWN', Monitor, process, _Pid, Result}, #state{running = Running} = State) ->
    {{_, Domain, _}, Others} = maps:take(Monitor, Running),
    {noreply, start(ended(Domain, Result, State#state{running = Others}))};
handle_info(check, #state{lease = Lease} = State) ->
    _ = erlang:send_after(check_interval(Lease), self(), check),
    {noreply, check_lease(State)};
handle_info({'EXIT', _Job, _Reason}, State) ->
    {noreply, State};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

%% Jobs end here, and their leases run out: another node, or this one's next life, takes them over.
-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{running = Running}) ->
    kill_all(Running).

%% Jobs

is_here(Domain, #state{queue = Queue, running = Running}) ->
    lists:keymember(Domain, 1, Queue) orelse lists:keymember(Domain, 2, maps:values(Running)).

add(Jobs, State) ->
    New = [Job || {Domain, _} = Job <- Jobs, not is_here(Domain, State)],
    start(State#state{queue = State#state.queue ++ New}).

start(#state{queue = [{Domain, HostType} | Queue], running = Running} = State) when map_size(Running) < ?AT_ONCE ->
    {Pid, Monitor} = spawn_opt(fun() -> exit(run(Domain, HostType)) end, [link, monitor]),
    start(State#state{queue = Queue, running = Running#{Monitor => {Pid, Domain, now_ms()}}});
start(State) ->
    State.

ended(Domain, Ended, #state{waiting = Waiting} = State) ->
    Result = result(Ended),
    lists:foreach(fun(From) -> gen_server:reply(From, Result) end, maps:get(Domain, Waiting, [])),
    State#state{waiting = maps:remove(Domain, Waiting)}.

result({removed, Result}) -> Result;
%% It was killed: the lease could not be prolonged.
result(_Killed) -> lost.

%% The lease is counted from before it was asked for, so it ends here before it ends in the database.
check_lease(#state{lease = Lease, prolonged = Prolonged, running = Running, queue = Queue} = State) ->
    case now_ms() - Prolonged > Lease * 3 div 4 of
        true when map_size(Running) > 0; Queue =/= [] ->
            ?LOG_WARNING(#{what => domain_removals_suspended, running => map_size(Running), waiting => length(Queue)}),
            ok = kill_all(Running),
            lists:foldl(fun({Domain, _}, Left) -> ended(Domain, lost, Left) end, State#state{queue = []}, Queue);
        _ ->
            State
    end.

%% What ran before the database was asked, and is not this node's by its answer, somebody else may run now.
kill_lost(Asked, Mine, #state{running = Running}) ->
    lists:foreach(fun({Pid, Domain, Since}) ->
        Since >= Asked orelse lists:keymember(Domain, 1, Mine) orelse exit(Pid, kill)
    end, maps:values(Running)).

kill_all(Running) ->
    lists:foreach(fun({Pid, _, _}) -> exit(Pid, kill) end, maps:values(Running)).

check_interval(Lease) ->
    max(1, Lease div 10).

now_ms() ->
    erlang:monotonic_time(millisecond).

%% What runs in a job's process

-spec run(domain(), host_type()) -> {removed, result()}.
run(Domain, HostType) ->
    Handlers = mongoose_domain_removal:handlers(HostType),
    {removed, run(Handlers, 0, length(Handlers), Domain, HostType)}.

run(Handlers, Done, Of, Domain, HostType) ->
    case persist({note_removal, Domain, Done, Of}) of
        lost -> lost;
        held when Handlers =:= [] -> finish(Domain);
        held ->
            case call(hd(Handlers), HostType, Domain) of
                ok -> run(tl(Handlers), Done + 1, Of, Domain, HostType);
                {failed, Report} -> fail(Domain, Report#{host_type => HostType, handler => hd(Handlers)})
            end
    end.

call(Handler, HostType, Domain) ->
    try Handler:remove_domain(HostType, Domain) of
        ok -> ok;
        Other -> {failed, #{class => returned, reason => Other, stacktrace => []}}
    catch
        Class:Reason:Stacktrace -> {failed, #{class => Class, reason => Reason, stacktrace => Stacktrace}}
    end.

finish(Domain) ->
    case persist({finish_removal, Domain}) of
        held ->
            ok = service_domain_db:force_check_for_updates(),
            ok;
        lost -> lost
    end.

fail(Domain, #{handler := Handler, class := Class, reason := Reason} = Report) ->
    ?LOG_ERROR(Report#{what => domain_deletion_failed, domain => Domain}),
    Shown = io_lib:format("~p: ~p: ~0tp", [Handler, Class, Reason]),
    Text = unicode:characters_to_binary(string:slice(Shown, 0, ?LONGEST_REASON)),
    case persist({fail_removal, Domain, binary:replace(Text, <<0>>, <<"?">>, [global])}) of
        held -> {failed, Text};
        lost -> lost
    end.

%% A database that fails is asked again, until it has said something or the lease is over and this
%% process killed.
persist(Request) ->
    case mongoose_domain_operations:run(Request) of
        {ok, Held} -> Held;
        _Failure ->
            timer:sleep(?REST),
            persist(Request)
    end.

%% What runs in the prolonging process

%% The jobs that are this node's, among them those that it has just taken over.
prolong_and_take_over() ->
    case mongoose_domain_operations:run(renew_removals) of
        {ok, Mine} -> take_over([{Domain, HostType} || {Domain, HostType} <- Mine]);
        Failure -> Failure
    end.

take_over(Mine) ->
    case mongoose_domain_operations:run({take_over_removals, ?TAKE}) of
        {ok, Taken} ->
            [?LOG_NOTICE(#{what => domain_removal_taken_over, domain => Domain, host_type => HostType})
             || {Domain, HostType} <- Taken],
            {ok, Mine ++ Taken};
        Failure ->
            Failure
    end.
