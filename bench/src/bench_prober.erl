%% Times lookups one by one, in a process of its own on the first scheduler, until it is told to stop.
%%
%% The clock is read before and after each call, and the time between goes into a histogram. On the side
%% `loop' nothing is looked up between the readings: the process counts, for about as long as a lookup
%% takes. So what the machine itself does to a process (it is preempted, its host is busy) shows there as
%% often. What the two readings cost, clock/0 tells.
%%
%% The names are drawn before, at random, and walked again and again: a hundred thousand of them, so that
%% the part of the table that they lead to is larger than the processor's caches. Each is read once before
%% the clock is. The process yields between pieces of a hundred names, while it times nothing: so other
%% processes of this scheduler run then, and not in the middle of a lookup.
-module(bench_prober).

-export([start/3, go/1, stop/1, clock/0]).

-export_type([t/0]).

-opaque t() :: {pid(), Stop :: atomics:atomics_ref(), bench_histogram:t()}.

-define(NAMES, 100000).
-define(PIECE, 100).
%% What the loop counts to.
-define(COUNT, 150).
%% As bench_lookup's: garbage of the ETS side is cheapest then.
-define(HEAP, 10000).

%% @doc A process that is about to look up names among so many Domains. It has drawn them, and waits.
-spec start(bench_loop:side(), pos_integer(), integer()) -> t().
start(Side, Domains, Seed) ->
    %% What os:perf_counter/0 counts is nanoseconds on Linux.
    1000000000 = erlang:convert_time_unit(1, second, perf_counter),
    Parent = self(),
    Stop = atomics:new(1, []),
    Histogram = bench_histogram:new(),
    Pid = erlang:spawn_opt(
        fun() ->
            Pieces = [bench_names:draw(?PIECE, 0, Domains, Seed + Piece) || Piece <- lists:seq(1, ?NAMES div ?PIECE)],
            %% The second and third one move the names to the old generation: see bench_lookup.
            true = erlang:garbage_collect(),
            true = erlang:garbage_collect(self(), [{type, minor}]),
            true = erlang:garbage_collect(self(), [{type, minor}]),
            Parent ! {self(), ready},
            receive go -> ok end,
            ok = probe(Side, Pieces, Pieces, Stop, Histogram),
            Parent ! {self(), stopped}
        end,
        [link, {scheduler, 1}, {min_heap_size, ?HEAP}]
    ),
    receive {Pid, ready} -> {Pid, Stop, Histogram} end.

%% @doc Lets it begin.
-spec go(t()) -> ok.
go({Pid, _Stop, _Histogram}) ->
    Pid ! go,
    ok.

%% @doc Stops it. What it timed is in the histogram.
-spec stop(t()) -> bench_histogram:t().
stop({Pid, Stop, Histogram}) ->
    ok = atomics:put(Stop, 1, 1),
    receive {Pid, stopped} -> Histogram end.

%% @doc Nanoseconds that lie between two readings of the clock with nothing in between.
-spec clock() -> number().
clock() ->
    bench_stats:median([-(os:perf_counter() - os:perf_counter()) || _ <- lists:seq(1, 10000)]).

probe(Side, [], All, Stop, Histogram) ->
    probe(Side, All, All, Stop, Histogram);
probe(Side, [Piece | Pieces], All, Stop, Histogram) ->
    case atomics:get(Stop, 1) of
        0 ->
            true = erlang:yield(),
            ok = time(Side, Piece, Histogram),
            probe(Side, Pieces, All, Stop, Histogram);
        1 ->
            ok
    end.

time(loop, Names, Histogram) -> loop(Names, Histogram);
time(ets, Names, Histogram) -> ets(Names, Histogram);
time(ours, Names, Histogram) -> ours(Names, Histogram).

loop([Name | Names], Histogram) ->
    ok = read(Name),
    Begin = os:perf_counter(),
    ok = count(?COUNT),
    End = os:perf_counter(),
    ok = bench_histogram:add(Histogram, End - Begin),
    loop(Names, Histogram);
loop([], _Histogram) ->
    ok.

ets([Name | Names], Histogram) ->
    ok = read(Name),
    Begin = os:perf_counter(),
    _ = bench_ets_api:get_host_type(Name),
    End = os:perf_counter(),
    ok = bench_histogram:add(Histogram, End - Begin),
    ets(Names, Histogram);
ets([], _Histogram) ->
    ok.

ours([Name | Names], Histogram) ->
    ok = read(Name),
    Begin = os:perf_counter(),
    _ = mongoose_domain_api:get_host_type(Name),
    End = os:perf_counter(),
    ok = bench_histogram:add(Histogram, End - Begin),
    ours(Names, Histogram);
ours([], _Histogram) ->
    ok.

count(0) -> ok;
count(Left) -> count(Left - 1).

read(Name) ->
    true = binary:first(Name) + binary:last(Name) > 0,
    ok.
