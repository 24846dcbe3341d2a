%% Times lookups one by one, in a process of its own on the first scheduler, until stop/1 is called.
%%
%% The clock is read before and after each call, and the time between goes into a histogram. On the side
%% `loop' nothing is looked up between the readings: the process counts for about as long as a lookup takes. So the
%% delays that the machine itself causes (the process is preempted, the host is busy) occur there as often. clock/0
%% measures the two readings themselves.
%%
%% A hundred thousand names are drawn at random before, and walked in a loop. With that many, the part of the table that
%% they refer to is larger than the processor's caches. Each name is read once before the clock. The process yields
%% between pieces of a hundred names, where it times nothing, so that other processes of its scheduler run there and not
%% in the middle of a lookup.
-module(bench_prober).

-export([start/3, go/1, stop/1, clock/0]).

-export_type([t/0]).

-opaque t() :: {pid(), Stop :: atomics:atomics_ref(), bench_histogram:t()}.

-define(NAMES, 100000).
-define(PIECE, 100).
%% The number to which the loop counts.
-define(COUNT, 150).
%% The initial heap in words, as in bench_lookup: the garbage of the ETS side is cheapest with it.
-define(HEAP, 10000).

%% @doc Starts a process that has drawn names of this many Domains and waits for go/1.
-spec start(bench_loop:side(), pos_integer(), integer()) -> t().
start(Side, Domains, Seed) ->
    %% os:perf_counter/0 counts nanoseconds on Linux.
    1000000000 = erlang:convert_time_unit(1, second, perf_counter),
    Parent = self(),
    Stop = atomics:new(1, []),
    Histogram = bench_histogram:new(),
    Pid = erlang:spawn_opt(
        fun() ->
            Pieces = [bench_names:draw(?PIECE, 0, Domains, Seed + Piece) || Piece <- lists:seq(1, ?NAMES div ?PIECE)],
            %% The second and third collection move the names to the old generation: see bench_lookup.
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

%% @doc Starts the lookups.
-spec go(t()) -> ok.
go({Pid, _Stop, _Histogram}) ->
    Pid ! go,
    ok.

%% @doc Ends the lookups, and returns the histogram of their durations.
-spec stop(t()) -> bench_histogram:t().
stop({Pid, Stop, Histogram}) ->
    ok = atomics:put(Stop, 1, 1),
    receive {Pid, stopped} -> Histogram end.

%% @doc The nanoseconds between two successive readings of the clock.
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
