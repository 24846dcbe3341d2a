%% Lookups: ours, the ETS baseline, and the floor, which is a native function that looks at nothing; in turns.
%%
%% A round times four loops over the same names (bench_loop): the empty one, the floor's, and one for each side, which take
%% turns at being first. A side's figure is the time of its loop less the median of the empty loop. Rounds are many and short, a
%% few milliseconds at most, so that most of them run undisturbed on a machine that does other work as well. They are
%% made in passes over all cases, so that a slow second of a shared machine does not hit one case alone.
%%
%% Each name is a binary of its own on the heap of the measuring process. Names are drawn at random for each round, and
%% lie in the order in which they were drawn. Drawing ends before timing begins, and a garbage collection has moved the
%% names to the old generation by then, so that later collections do not copy them.
%%
%% Several processes run the same round at the same time, each bound to a scheduler of its own, with
%% names of its own. They wait for each other before each loop.
-module(bench_lookup).

-export([run/3]).

-export_type([keys/0]).

-type keys() :: hits | misses | hot | subdomains | missing_subdomains.
-type options() :: #{passes := pos_integer(), rounds := pos_integer(), calls := pos_integer()}.

%% The length of the list that repeats one hot key: short enough to stay in the first-level cache.
-define(HOT_LIST, 100).

%% The initial heap in words. A result from ETS is a copy, which becomes garbage; of all sizes that were tried, garbage
%% collection costs the ETS side the least with this one.
-define(HEAP, 10000).

-record(plan, {
    answer :: bench_loop:answer(),
    %% Each round has its own list of names, which depends on its number.
    lists :: fun((Number :: pos_integer()) -> [[binary(), ...]]),
    %% How many times a round walks its list.
    times :: pos_integer()
}).

%% @doc Times lookups on both sides, in tables that already hold this many Domains. A case says what is looked up and by
%% how many processes. `rounds' are those of one pass, `calls' those of one loop.
-spec run(pos_integer(), [{keys(), Processes :: pos_integer()}], options()) -> [bench:result()].
run(Domains, Cases, #{passes := Passes} = Options) ->
    Timings = [{Case, time(Domains, Case, Pass, Options)} || Pass <- lists:seq(1, Passes), Case <- Cases],
    [result(Domains, Case, Options, lists:append(proplists:get_all_values(Case, Timings))) || Case <- Cases].

result(Domains, {Keys, Processes}, #{passes := Passes, rounds := Rounds, calls := Calls}, Timings) ->
    Loop = bench_stats:summary([map_get(loop, Timing) || Timing <- Timings]),
    Net = fun(Side) -> bench_stats:summary([map_get(Side, Timing) - map_get(median, Loop) || Timing <- Timings]) end,
    {Floor, Ets, Ours} = {Net(floor), Net(ets), Net(ours)},
    {lookup, #{
        domains => Domains, keys => Keys, processes => Processes, rounds => Passes * Rounds, calls_a_round => Calls,
        unit => ns_a_call, loop => Loop, floor => Floor, ets => Ets, ours => Ours,
        times_as_fast => map_get(median, Ets) / map_get(median, Ours),
        times_the_floor => map_get(median, Ours) / map_get(median, Floor)
    }}.

time(Domains, {Keys, Processes}, Pass, #{rounds := Rounds, calls := Calls}) ->
    Plan = plan(Keys, Domains, Rounds, Calls),
    Arrivals = atomics:new(1, []),
    Parent = self(),
    Workers = [
        %% The option scheduler is undocumented; OTP's own tests use it. Without it two new processes
        %% may share a scheduler for longer than a round takes.
        erlang:spawn_opt(
            fun() -> Parent ! {self(), worker(Plan, Pass * Processes + Process, Processes, Arrivals)} end,
            [link, {scheduler, Process}, {min_heap_size, ?HEAP}]
        )
     || Process <- lists:seq(1, Processes)
    ],
    lists:append([receive {Worker, Timings} -> Timings end || Worker <- Workers]).

plan(hot, Domains, Rounds, Calls) ->
    Lists = fun(_Number) ->
        Name = bench_names:name(Domains div 2, bench_names:bases()),
        lists:duplicate(Rounds, lists:duplicate(?HOT_LIST, Name))
    end,
    #plan{answer = found, lists = Lists, times = Calls div ?HOT_LIST};
plan(hits, Domains, Rounds, Calls) ->
    #plan{answer = found, lists = drawn(bench_names, 0, Domains, Rounds, Calls), times = 1};
plan(misses, Domains, Rounds, Calls) ->
    #plan{answer = not_found, lists = drawn(bench_names, Domains, Domains, Rounds, Calls), times = 1};
plan(subdomains, Domains, Rounds, Calls) ->
    #plan{answer = subdomain, lists = drawn(bench_subdomains, 0, Domains, Rounds, Calls), times = 1};
plan(missing_subdomains, Domains, Rounds, Calls) ->
    #plan{answer = no_subdomain, lists = drawn(bench_subdomains, Domains, Domains, Rounds, Calls), times = 1}.

drawn(Names, From, Among, Rounds, Calls) ->
    fun(Number) ->
        [Names:draw(Calls, From, Among, Number * Rounds + Round) || Round <- lists:seq(1, Rounds)]
    end.

worker(#plan{answer = Answer, lists = Draw, times = Times}, Number, Processes, Arrivals) ->
    Lists = Draw(Number),
    %% The second and third collection move the names to the old generation. The garbage of the ETS side
    %% does not cause them to be copied again there.
    true = erlang:garbage_collect(),
    true = erlang:garbage_collect(self(), [{type, minor}]),
    true = erlang:garbage_collect(self(), [{type, minor}]),
    Time = fun(Side, Names) ->
        meet(Arrivals, Processes),
        {Side, bench_loop:time(Side, Answer, Names, Times)}
    end,
    Turns = lists:zip(Lists, lists:seq(1, length(Lists))),
    [maps:from_list([Time(Side, Names) || Side <- sides(Turn)]) || {Names, Turn} <- Turns].

sides(Turn) when Turn rem 2 =:= 0 -> [loop, floor, ets, ours];
sides(_Turn) -> [loop, floor, ours, ets].

%% Returns when all processes have called it.
meet(Arrivals, Processes) ->
    Arrived = atomics:add_get(Arrivals, 1, 1),
    await(Arrivals, (Arrived + Processes - 1) div Processes * Processes).

await(Arrivals, Wanted) ->
    case atomics:get(Arrivals, 1) of
        Arrived when Arrived < Wanted -> await(Arrivals, Wanted);
        _ -> ok
    end.
