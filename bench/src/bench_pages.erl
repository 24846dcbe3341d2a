%% How long the longest call of a listing occupies a scheduler.
%%
%% A native function cannot be preempted, so the table is listed in bounded pages. Each call of
%% mongoose_domain_core:page/3 is timed, in a process that is bound to one scheduler. Before each, a
%% loop that only counts is timed for about as long: it shows how often the machine itself makes a call too long.
-module(bench_pages).

-export([run/3]).

-define(PAGE, 1000).
-define(LONG, 1000000).
%% The turns with which the loop is calibrated.
-define(TURNS, 100000).

%% @doc Lists the domains of one host type page by page, Rounds times, in a table that already holds this many Domains.
-spec run(pos_integer(), binary(), pos_integer()) -> bench:result().
run(Domains, HostType, Rounds) ->
    Parent = self(),
    Select = {host_type, HostType},
    Pid = erlang:spawn_opt(fun() ->
        [Pages, Loops, Scratch] = [bench_histogram:new() || _ <- lists:seq(1, 3)],
        %% The number of the loop's turns that take as long as a page.
        ok = list(Select, 0, 1, Pages, Scratch),
        Turns = turns(bench_histogram:percentile(0.5, bench_histogram:counts(Pages))),
        Timed = bench_histogram:new(),
        lists:foreach(fun(_Round) -> ok = list(Select, 0, Turns, Timed, Loops) end, lists:seq(1, Rounds)),
        Parent ! {self(), facts(Timed), facts(Loops)}
    end, [link, {scheduler, 1}]),
    receive
        {Pid, Page, Loop} -> {pages, #{domains => Domains, rounds => Rounds, unit => ns, page => Page, loop => Loop}}
    end.

list(_Select, done, _Turns, _Pages, _Loops) ->
    ok;
list(Select, From, Turns, Pages, Loops) ->
    true = erlang:yield(),
    ok = time(fun() -> count(Turns) end, Loops),
    true = erlang:yield(),
    Begin = os:perf_counter(),
    {_Pairs, Next} = mongoose_domain_core:page(Select, From, ?PAGE),
    ok = bench_histogram:add(Pages, os:perf_counter() - Begin),
    list(Select, Next, Turns, Pages, Loops).

time(Loop, Histogram) ->
    Begin = os:perf_counter(),
    ok = Loop(),
    bench_histogram:add(Histogram, os:perf_counter() - Begin).

turns(Nanoseconds) ->
    Histogram = bench_histogram:new(),
    lists:foreach(fun(_) -> ok = time(fun() -> count(?TURNS) end, Histogram) end, lists:seq(1, 9)),
    max(1, ?TURNS * Nanoseconds div bench_histogram:percentile(0.5, bench_histogram:counts(Histogram))).

count(0) -> ok;
count(Turns) -> count(Turns - 1).

facts(Histogram) ->
    Counts = bench_histogram:counts(Histogram),
    #{count := Count, longest := Longest} = bench_histogram:summary(Histogram),
    #{calls => Count, median => bench_histogram:percentile(0.5, Counts),
      p999 => bench_histogram:percentile(0.999, Counts), longest => Longest,
      long => bench_histogram:at_least(?LONG, Counts)}.
