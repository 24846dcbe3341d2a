%% The project's targets, and whether the results reach them.
-module(bench_targets).

-export([all/1]).

-export_type([target/0]).

-type target() :: {What :: iodata(), {at_least | at_most, number()}, Measured :: number(), Reached :: boolean()}.

-define(MILLION, 1000000).

%% @doc Every target that there are results for.
-spec all([bench:result()]) -> [target()].
all(Results) ->
    lists:append([
        hot(Results), random(Results), scaling(Results), memory(Results), load(Results), catchup(Results),
        propagation(Results), additions(Results), changes(Results), busy(Results), import(Results), on_nodes(Results),
        tails(Results), long(Results), listing(Results), idle(Results), crowd(Results)
    ]).

hot(Results) ->
    [target(["hot key, times as fast as ETS: ", where(Domains, Processes)], at_least, 5, Faster)
     || #{keys := hot, domains := Domains, processes := Processes, times_as_fast := Faster} <- found(lookup, Results),
        Processes =< 2].

random(Results) ->
    [target([random_name(Keys), ", times as fast as ETS: ", where(Domains, Processes)], at_least, Wanted, Faster)
     || {Keys, Domains, Wanted} <- [{hits, 1000, 4}, {hits, 10000, 4}, {hits, ?MILLION, 3.5}, {misses, ?MILLION, 6}],
        #{keys := Are, domains := Have, processes := Processes, times_as_fast := Faster} <- found(lookup, Results),
        Are =:= Keys, Have =:= Domains, Processes =< 2].

random_name(hits) -> "random keys";
random_name(misses) -> "misses".

scaling(Results) ->
    [target([scaling_name(Keys), ", throughput of two processes, times that of one: ", domains(Domains)],
            at_least, 1.9, Times)
     || #{keys := Keys, domains := Domains, processes := 2, ours := Times} <- found(scaling, Results),
        Domains =:= ?MILLION, Keys =:= hot orelse Keys =:= hits].

scaling_name(hot) -> "hot key";
scaling_name(hits) -> "random keys".

memory(Results) ->
    [target("resident bytes a domain at 1,000,000", at_most, 80, Bytes)
     || #{side := ours, domains := ?MILLION, bytes_a_domain := Bytes} <- found(memory, Results)].

load(Results) ->
    [target("load of 1,000,000 domains: times as long as psql's COPY", at_most, 2, Longer)
     || #{domains := ?MILLION, times_as_long := Longer} <- found(load, Results)] ++
    [target("load of 1,000,000 domains from MariaDB: times as long as mariadb's SELECT", at_most, 3, Longer)
     || #{domains := ?MILLION, times_as_long := Longer} <- found(mariadb_load, Results)].

catchup(Results) ->
    [target(["catching up with ", bench_table:number(Domains), " changes: times as long as psql's COPY"],
            at_most, 2, Longer)
     || #{domains := Domains, times_as_long := Longer} <- found(catchup, Results)].

propagation(Results) ->
    lists:append([
        [target("addition until another node shows it, median beyond psql's commit, ms", at_most, 1, Beyond),
         target("addition until another node shows it, p99, ms", at_most, 4, P99),
         target("insert_domain/2 with pauses, median, times psql's commit", at_most, 2, Median / CommitMedian),
         target("insert_domain/2 with pauses, p99, times psql's", at_most, 4, Tail / CommitTail)]
     || #{beyond_commit := Beyond, visible := #{p99 := P99}, returned := #{median := Median, p99 := Tail},
          commit := #{median := CommitMedian, p99 := CommitTail}} <- found(propagation, Results)
    ]).

additions(Results) ->
    lists:append([
        [target("insert_domain/2 without pauses, median, times pgbench's", at_most, 2, P50),
         target("insert_domain/2 without pauses, p99, times pgbench's", at_most, 4, P99)]
     || #{side := ours, callers := 1, p50_times_as_long := P50, p99_times_as_long := P99} <- found(additions, Results)
    ]) ++
    [target(["additions a second, callers: ", bench_table:number(Callers)], at_least, Wanted, Rate)
     || {Callers, Wanted} <- [{1, 1000}, {8, 4000}, {64, 12000}, {1000, 15000}],
        #{side := ours, callers := Are, rate := #{median := Rate}} <- found(additions, Results), Are =:= Callers].

changes(Results) ->
    [target([atom_to_list(What), ", time as a multiple of an addition's, callers: ", bench_table:number(Callers)],
            at_most, 1.3, Longer)
     || #{what := What, callers := Callers, times_as_long := Longer} <- found(changes, Results), What =/= add].

%% The machine's own delays grow, too: the loop that looks nothing up shows by how much.
busy(Results) ->
    P999 = fun(Phase, Side) -> [Found || #{phase := In, side := Of, p999 := Found} <- found(busy, Results),
                                         In =:= Phase, Of =:= Side] end,
    lists:append([
        [target("p99.9 of a lookup while many callers add, times the quiet one", at_most, 1.5, Busy / Quiet),
         target("the same, to that of the loop that looks nothing up", at_most, 1.5, (Busy / Quiet) / (BusyLoop / QuietLoop))]
     || Quiet <- P999(quiet, ours), Busy <- P999(adding, ours), QuietLoop <- P999(quiet, loop),
        BusyLoop <- P999(adding, loop)
    ]).

import(Results) ->
    [target(["import of ", bench_table:number(Lines), " lines, lines a second"], at_least, 20000, Rate)
     || #{lines := Lines, ours := #{median := Rate}} <- found(import, Results)].

on_nodes(Results) ->
    [target([bench_table:number(Callers), " callers on ", bench_table:number(Nodes), " nodes, share of their rate without NOTIFY"],
            at_least, 0.9, Share)
     || #{side := notify, nodes := Nodes, callers := Callers, share := Share} <- found(nodes, Results)] ++
    lists:append([
        [target("additions a second while a node is stopped, share of those before", at_least, 0.9, Share),
         target("the server's queue of notifications meanwhile, %", at_most, 1, 100 * Usage)]
     || #{share := Share, queue_usage := Usage} <- found(stopped, Results)
    ]).

%% The tail under writes, compared with the tail without writes and with the baseline's.
tails(Results) ->
    lists:append([
        [target(["p99.9 of a lookup, times that without writes: ", phase(Phase)], at_most, 2, Ours / Quiet),
         target(["p99.9 of a lookup, times the ETS table's: ", phase(Phase)], at_most, 1, Ours / Ets)]
     || #{phase := quiet, side := ours, p999 := Quiet} <- found(latency, Results),
        #{phase := Phase, side := ours, p999 := Ours} <- found(latency, Results), Phase =/= quiet,
        #{phase := Same, side := ets, p999 := Ets} <- found(latency, Results), Same =:= Phase
    ]).

%% Some lookups take a millisecond because the machine preempts their process. An empty loop shows how often that
%% happens in a second. Chance adds to it, so three standard deviations more are allowed. Where the loop has no such
%% delay, ours may have none.
long(Results) ->
    Of = fun(Wanted, Side) -> [Facts || #{phase := Phase, side := Is} = Facts <- found(latency, Results),
                               Phase =:= Wanted, Is =:= Side] end,
    [target(["lookups from 1 ms on, of ", bench_table:number(Lookups), ": ", phase(Phase)], at_most,
            allowed(max(rate(Quiet), rate(Loop)) * Seconds, Seconds / map_get(seconds, Loop)), Long)
     || Phase <- [quiet, loading, changing, pass], Quiet <- Of(quiet, loop), Loop <- Of(Phase, loop),
        #{seconds := Seconds, lookups := Lookups, long := Long} <- Of(Phase, ours)].

rate(#{long_a_second := Rate}) -> Rate.

%% Expected was derived from a count in another time; this time is Times as long.
allowed(Expected, Times) ->
    floor(Expected + 3 * math:sqrt(Expected * (1 + Times))).

phase(quiet) -> "without writes";
phase(loading) -> "while all domains are loaded";
phase(changing) -> "under single changes";
phase(pass) -> "while all are compared".

listing(Results) ->
    [target(["all domains of a host type, times as fast as ets:match: ", domains(Domains)], at_least, 4, Faster)
     || #{domains := Domains, times_as_fast := Faster} <- found(listing, Results)] ++
    [target(["a listing's calls from 1 ms on, of ", bench_table:number(Calls)], at_most, allowed(Beside, 1), Long)
     || #{page := #{calls := Calls, long := Long}, loop := #{long := Beside}} <- found(pages, Results)].

idle(Results) ->
    [target("processor time of the idle follower, ticks", at_most, 0, Ticks)
     || #{ticks := Ticks} <- found(idle, Results)].

%% The call that adds a host type, and the lookups meanwhile.
crowd(Results) ->
    lists:append([
        [target([bench_table:number(Size), " processes: a new host type, longest call, ms"], at_most, 50, Call),
         target([bench_table:number(Size), " processes: a new host type, longest stand-still, ms"], at_most, 50, Still)]
     || #{what := host_type, crowd := Size, call := #{max := Call}, still := #{max := Still}} <- found(crowd, Results)
    ]).

where(Domains, Processes) -> [domains(Domains), ", ", bench_table:number(Processes), " at a time"].

domains(Domains) -> [bench_table:number(Domains), " domains"].

target(What, at_least, Target, Figure) -> {What, {at_least, Target}, Figure, Figure >= Target};
target(What, at_most, Target, Figure) -> {What, {at_most, Target}, Figure, Figure =< Target}.

found(What, Results) ->
    [Facts || {Kind, Facts} <- Results, Kind =:= What].
