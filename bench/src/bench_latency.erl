%% The latency of single lookups while the table is written to: the tail, not the average.
%%
%% A turn is one side in one phase: bench_writes writes, and bench_prober times lookups of random names
%% meanwhile. The three sides (the empty loop, the baseline and ours) take turns, and each round begins with
%% another side, so that a slow second of the machine does not hit one side alone. On both sides one process
%% looks up and one thread writes, on another core if there is one.
%%
%% Each percentile is the median of the rounds' percentiles. The longest lookup, and the number of lookups of a
%% millisecond or more, are taken from all rounds together. That number is compared with the loop's for each second
%% between two readings of the clock, since the sides spend different shares of their turns there.
-module(bench_latency).

-export([run/4]).

-type options() :: #{rounds := pos_integer(), milliseconds := pos_integer()}.

-define(LONG, 1000000).
-define(SHARES, [{p50, 0.5}, {p99, 0.99}, {p999, 0.999}, {p9999, 0.9999}]).

%% @doc Measures all phases. The database holds this many Domains, and the application is configured to follow it.
-spec run(pos_integer(), options(), string(), file:filename()) -> [bench:result()].
run(Domains, #{rounds := Rounds, milliseconds := Milliseconds}, Url, Psql) ->
    Writes = bench_writes:open(Domains, Milliseconds, Url, Psql),
    [Result || Phase <- [quiet, loading, changing, pass], Result <- phase(Phase, Domains, Rounds, Writes)].

phase(Phase, Domains, Rounds, Writes) ->
    Turns = [{Side, turn(Phase, Side, Domains, Round, Writes)} || Round <- lists:seq(1, Rounds), Side <- sides(Round)],
    [result(Phase, Side, Domains, [Turn || {Whose, Turn} <- Turns, Whose =:= Side]) || Side <- [loop, ets, ours]].

sides(Round) ->
    {Later, First} = lists:split(Round rem 3, [loop, ets, ours]),
    First ++ Later.

turn(Phase, Side, Domains, Round, Writes) ->
    Prober = bench_prober:start(Side, Domains, Round * 1000000),
    {Count, Seconds} = bench_writes:run(Phase, Side, Writes, fun() -> bench_prober:go(Prober) end),
    Histogram = bench_prober:stop(Prober),
    {bench_histogram:counts(Histogram), bench_histogram:summary(Histogram), Count / Seconds}.

result(Phase, Side, Domains, Turns) ->
    {Counts, Summaries, Rates} = lists:unzip3(Turns),
    All = merge(Counts),
    Sum = fun(What) -> lists:sum([map_get(What, Summary) || Summary <- Summaries]) end,
    Percentiles = [{Name, bench_stats:median([bench_histogram:percentile(Share, Of) || Of <- Counts])}
                   || {Name, Share} <- ?SHARES],
    Long = bench_histogram:at_least(?LONG, All),
    Seconds = Sum(sum) / 1.0e9,
    Facts = #{
        domains => Domains, phase => Phase, side => Side, rounds => length(Turns), unit => ns,
        clock => bench_prober:clock(),
        writes_a_second => bench_stats:median(Rates), lookups => Sum(count), seconds => Seconds,
        longest => lists:max([Longest || #{longest := Longest} <- Summaries]),
        long => Long, long_a_million => Long * 1.0e6 / Sum(count), long_a_second => Long / Seconds,
        counts => [[Nanoseconds, Count] || {Nanoseconds, Count} <- All]
    },
    {latency, maps:merge(Facts, maps:from_list(Percentiles))}.

merge(Counts) ->
    lists:sort(maps:to_list(lists:foldl(fun({Nanoseconds, Count}, Sums) ->
        maps:update_with(Nanoseconds, fun(Sum) -> Sum + Count end, Count, Sums)
    end, #{}, lists:append(Counts)))).
