%% Removes domains: runs the handlers of each, then has its row deleted.
%%
%% A removal is a job, and a job is a row of `domain_removals': it says who works on it and until when
%% that is to be believed. This process prolongs the lease of its jobs, takes over those whose owners
%% died, and kills what it runs in time when it cannot prolong: no two nodes work on one domain at once.
%% What this process forgets by a crash, it finds in the database again. While the configuration does not
%% tell it for how long a lease is, it runs no job.
%%
%% Each job runs in a process of its own, a few at the same time. A failed one is logged, kept in the
%% database with its reason, and not tried again until someone asks for it.
-module(mongoose_domain_remover).
-behaviour(gen_server).

-export([start_link/0, remove/3, await/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include_lib("kernel/include/logger.hrl").

%% Jobs that run at the same time; others wait for them.
-define(AT_ONCE, 4).
%% Jobs that are taken over in one go.
-define(TAKE, 100).
%% The rest before a database that failed is asked again, in milliseconds.
-define(REST, 500).
%% How long a job waits for handlers that were registered when it began, in milliseconds.
-define(HANDLERS_TIMEOUT, 60000).
%% What is kept of a reason.
-define(LONGEST_REASON, 1000).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type job() :: {domain(), host_type(), Handlers :: non_neg_integer()}.
-type result() :: ok | {failed, binary()} | lost.

-record(state, {
    %% Unknown while the configuration is wrong.
    lease :: pos_integer() | undefined,
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t(),
    %% When the leases that are known to run were asked for.
    prolonged :: integer(),
    %% The process that asks for them now.
    prolonger = none :: pid() | none,
    %% Jobs that wait for their turn, oldest first.
    queue = [] :: [job()],
    running = #{} :: #{pid() => {domain(), Since :: integer()}},
    waiting = #{} :: #{domain() => [gen_server:from()]}
}).

%% @doc Starts with the jobs that nobody works on.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Begins with a job that this node has claimed, when so many handlers were registered.
-spec remove(domain(), host_type(), Handlers :: non_neg_integer()) -> ok.
remove(Domain, HostType, Handlers) ->
    gen_server:cast(?MODULE, {remove, {Domain, HostType, Handlers}}).

%% @doc Waits for the end of a job that this node has claimed.
-spec await(domain()) -> result() | not_here.
await(Domain) ->
    gen_server:call(?MODULE, {await, Domain}, infinity).

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
handle_call({await, Domain}, From, #state{waiting = Waiting} = State) ->
    case is_here(Domain, State) of
        true -> {noreply, State#state{waiting = Waiting#{Domain => [From | maps:get(Domain, Waiting, [])]}}};
        false -> {reply, not_here, State}
    end;
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({remove, Job}, State) ->
    {noreply, add([Job], State)};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(retry, State) ->
    {noreply, begin_work(State)};
handle_info(prolong, State) ->
    %% A process of its own asks the database: this one is to hear of jobs that end meanwhile.
    {Self, Asked} = {self(), now_ms()},
    Pid = spawn_link(fun() -> Self ! {prolonged, Asked, prolong_and_take_over()} end),
    {noreply, State#state{prolonger = Pid}};
handle_info({prolonged, Asked, {ok, Mine}}, State) ->
    ok = kill_lost(Asked, Mine, State),
    {noreply, add(Mine, State#state{prolonged = Asked})};
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

is_here(Domain, #state{queue = Queue, running = Running}) ->
    lists:keymember(Domain, 1, Queue) orelse lists:keymember(Domain, 1, maps:values(Running)).

add(Jobs, State) ->
    New = [Job || {Domain, _, _} = Job <- Jobs, not is_here(Domain, State)],
    start(State#state{queue = State#state.queue ++ New}).

start(#state{queue = [{Domain, _, _} = Job | Queue], running = Running, lease = Lease} = State)
        when map_size(Running) < ?AT_ONCE, Lease =/= undefined ->
    Self = self(),
    Pid = spawn_link(fun() -> Self ! {removed, self(), run(Job)} end),
    start(State#state{queue = Queue, running = Running#{Pid => {Domain, now_ms()}}});
start(State) ->
    State.

%% A job's process that ends without a word was killed; one that gave it has ended already.
ended(Pid, Result, #state{running = Running} = State) ->
    case maps:take(Pid, Running) of
        {{Domain, _Since}, Others} -> start(answer(Domain, Result, State#state{running = Others}));
        error -> State
    end.

answer(Domain, Result, #state{waiting = Waiting} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, Result) end, maps:get(Domain, Waiting, [])),
    State#state{waiting = maps:remove(Domain, Waiting)}.

%% The lease is counted from before it was asked for, so it ends here before it ends in the database.
check_lease(#state{lease = Lease, prolonged = Prolonged, running = Running, queue = Queue} = State) ->
    case now_ms() - Prolonged > Lease * 3 div 4 of
        true when map_size(Running) > 0; Queue =/= [] ->
            ?LOG_WARNING(#{what => domain_removals_suspended, running => map_size(Running), waiting => length(Queue)}),
            ok = kill_all(Running),
            lists:foldl(fun({Domain, _, _}, Left) -> answer(Domain, lost, Left) end, State#state{queue = []}, Queue);
        _ ->
            State
    end.

%% What ran before the database was asked, and is not this node's by its answer, somebody else may run now.
kill_lost(Asked, Mine, #state{running = Running}) ->
    Lost = [Pid || {Pid, {Domain, Since}} <- maps:to_list(Running),
                   Since < Asked, not lists:keymember(Domain, 1, Mine)],
    lists:foreach(fun kill/1, Lost).

kill_all(Running) ->
    lists:foreach(fun kill/1, maps:keys(Running)).

kill(Pid) ->
    true = exit(Pid, kill).

check_interval(Lease) ->
    max(1, Lease div 10).

now_ms() ->
    erlang:monotonic_time(millisecond).

%% What runs in a job's process

-spec run(job()) -> result().
run({Domain, HostType, Wanted}) ->
    case await_handlers(HostType, Wanted, ?HANDLERS_TIMEOUT) of
        {ok, Handlers} -> run(Handlers, 0, length(Handlers), Domain, HostType);
        {missing, Count} ->
            fail(Domain, #{host_type => HostType, handler => none, class => missing_handlers, stacktrace => [],
                           reason => #{registered => Count, were => Wanted}})
    end.

%% A node that was just started takes jobs over before all handlers are registered. Without them it would
%% delete the domain and leave its data.
await_handlers(HostType, Wanted, Left) ->
    case mongoose_domain_removal:handlers(HostType) of
        Handlers when length(Handlers) >= Wanted -> {ok, Handlers};
        Handlers when Left =< 0 -> {missing, length(Handlers)};
        _Fewer ->
            timer:sleep(?REST),
            await_handlers(HostType, Wanted, Left - ?REST)
    end.

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
        {ok, Mine} -> take_over(Mine);
        Failure -> Failure
    end.

take_over(Mine) ->
    case mongoose_domain_operations:run({take_over_removals, ?TAKE}) of
        {ok, Taken} ->
            lists:foreach(fun({Domain, HostType, _Handlers}) ->
                ?LOG_NOTICE(#{what => domain_removal_taken_over, domain => Domain, host_type => HostType})
            end, Taken),
            {ok, Mine ++ Taken};
        Failure ->
            Failure
    end.
