%% The results as tables. bench/README.md shows those of the last run that was kept.
-module(bench_report).

-export([print/1]).

-import(bench_table, [table/3, number/1, summary/1]).

%% @doc Prints every table that there are results for, and the targets last.
-spec print([bench:result()]) -> ok.
print(Results) ->
    Sections = [machine(Results), lookups(Results), scaling(Results), subdomains(Results),
                subdomain_memories(Results), latencies(Results), loads(Results),
                mariadb_loads(Results),
                memories(Results), catchups(Results), propagations(Results), idle(Results), additions(Results), changes(Results),
                busy(Results), imports(Results), on_nodes(Results), stopped(Results),
                listings(Results), pages(Results), crowds(Results), answers(Results), turns(Results), asks(Results),
                targets(Results)],
    io:put_chars(lists:join($\n, [Section || Section <- Sections, Section =/= []])).

machine(Results) ->
    Facts = [processor, cores, cache, memory, kernel, otp, emulator, postgresql, revision, time, load_average],
    Format = "~s, ~p cores, cache ~s, memory ~s; ~s; Erlang/OTP ~s (~s); ~s; revision ~s; ~s; load average ~s~n",
    [io_lib:format(Format, [map_get(Fact, Machine) || Fact <- Facts]) || Machine <- all(machine, Results)].

lookups(Results) ->
    table(
        "Lookups: nanoseconds a call, the loop's own cost subtracted; median (eight of ten rounds)",
        ["domains", "keys", "processes", "loop", "ETS", "ours", "times as fast", "floor", "times the floor",
         "ours, calls a second"],
        [[number(Domains), atom_to_list(Keys), number(Processes), number(map_get(median, Loop)), summary(Ets),
          summary(Ours), number(Faster), number(map_get(median, Floor)), number(Multiple),
          number(round(Processes * 1.0e9 / map_get(median, Ours)))]
         || #{domains := Domains, keys := Keys, processes := Processes, loop := Loop, floor := Floor, ets := Ets,
              ours := Ours, times_as_fast := Faster, times_the_floor := Multiple} <- all(lookup, Results)]
    ).

scaling(Results) ->
    table(
        "Throughput of several processes: times that of one",
        ["domains", "keys", "processes", "ETS", "ours"],
        [[number(Domains), atom_to_list(Keys), number(Processes), number(Ets), number(Ours)]
         || #{domains := Domains, keys := Keys, processes := Processes, ets := Ets, ours := Ours} <-
                all(scaling, Results)]
    ).

subdomains(Results) ->
    table(
        "Subdomains of five patterns: nanoseconds a call, the loop's own cost subtracted; median (eight of ten rounds)",
        ["domains", "keys", "processes", "ETS, a row for each", "ours", "times as fast"],
        [[number(Domains), atom_to_list(Keys), number(Processes), summary(Ets), summary(Ours), number(Faster)]
         || #{domains := Domains, keys := Keys, processes := Processes, ets := Ets, ours := Ours,
              times_as_fast := Faster} <- all(subdomain_lookup, Results)]
    ).

subdomain_memories(Results) ->
    table(
        "What patterns take: resident memory of a VM with the domains before and after their registration",
        ["side", "domains", "patterns", "before, MiB", "after, MiB", "bytes a domain", "took, ms"],
        [[atom_to_list(Side), number(Domains), number(Patterns), number(Before / 1048576), number(After / 1048576),
          number(Bytes), number(Time)]
         || #{side := Side, domains := Domains, patterns := Patterns, resident_before := Before,
              resident_after := After, bytes_a_domain := Bytes, milliseconds := Time} <- all(subdomain_memory, Results)]
    ).

latencies(Results) ->
    table(
        "Single lookups of random names while the table is written to: nanoseconds, the clock's own cost included",
        ["writes", "side", "writes a second", "clock", "lookups", "p50", "p99", "p99.9", "p99.99", "longest",
         "from 1 ms on", "a million", "a timed second"],
        [[phase(Phase), side(Side) | [number(Figure) || Figure <-
            [round(Rate), round(Clock), Lookups, round(P50), round(P99), round(P999), round(P9999), Longest, Long,
             AMillion, ASecond]]]
         || #{phase := Phase, side := Side, writes_a_second := Rate, clock := Clock, lookups := Lookups, p50 := P50,
              p99 := P99, p999 := P999, p9999 := P9999, longest := Longest, long := Long, long_a_million := AMillion,
              long_a_second := ASecond} <- all(latency, Results)]
    ).

phase(quiet) -> "none";
phase(loading) -> "all domains are loaded";
phase(changing) -> "single changes";
phase(pass) -> "all are compared".

side(loop) -> "no lookup";
side(ets) -> "ETS";
side(ours) -> "ours".

loads(Results) ->
    loads(load, "PostgreSQL", "psql", Results).

mariadb_loads(Results) ->
    loads(mariadb_load, "MariaDB", "mariadb", Results).

loads(What, Database, Client, Results) ->
    table(
        ["Loading from ", Database, ": milliseconds until every domain answers, beside ", Client, "; and comparing"],
        ["domains", "first load", "ours", Client, "times as long", "comparison", "to a load"],
        [[number(Domains), number(First), summary(Ours), summary(Copy), number(Longer), summary(Compared),
          number(ToLoad)]
         || #{domains := Domains, first := First, ours := Ours, copy := Copy, times_as_long := Longer,
              comparison := Compared, comparison_to_load := ToLoad} <- all(What, Results)]
    ).

memories(Results) ->
    table(
        "Resident memory: a fresh VM before and after",
        ["side", "domains", "bytes a name", "before, MiB", "after, MiB", "bytes a domain", "more"],
        [[memory_side(Side), number(Domains), number(Size), number(Before / 1048576), number(After / 1048576),
          number(Bytes), more(Facts)]
         || #{side := Side, domains := Domains, mean_name_size := Size, resident_before := Before,
              resident_after := After, bytes_a_domain := Bytes} = Facts <- all(memory, Results)]
    ).

memory_side(mariadb) -> "ours, from MariaDB";
memory_side(Side) -> atom_to_list(Side).

more(#{resident_peak := Peak, resident_after_reloads := Bytes}) ->
    ["at the peak ", number(Peak / 1048576), " MiB, after more loads ", number(Bytes / 1048576), " MiB"];
more(#{ets_info_bytes_a_domain := Bytes}) ->
    ["ets:info says ", number(Bytes)].

catchups(Results) ->
    table(
        "Catching up with changes that nobody notified of: milliseconds, beside psql's COPY of the same",
        ["changes", "ours", "psql", "times as long"],
        [[number(Domains), summary(Ours), summary(Copy), number(Longer)]
         || #{domains := Domains, ours := Ours, copy := Copy, times_as_long := Longer} <- all(catchup, Results)]
    ).

propagations(Results) ->
    table(
        "Additions on one node until another one shows them: milliseconds, beside psql with the same transaction",
        ["what", "additions", "median (eight of ten)", "p99", "longest"],
        [[What, number(Changes), summary(Summary), number(map_get(p99, Summary)), number(map_get(max, Summary))]
         || #{changes := Changes} = Facts <- all(propagation, Results),
            {What, Key} <- [{"insert_domain/2 until the other node shows it", visible},
                            {"insert_domain/2 until it returns", returned},
                            {"psql until the other node shows it", others}, {"psql until it is committed", commit}],
            Summary <- [map_get(Key, Facts)]]
    ).

idle(Results) ->
    table(
        "The follower's thread while nothing happens",
        ["seconds", "ticks of processor time", "context switches"],
        [[number(Duration / 1000), number(Ticks), number(Waits + Preemptions)]
         || #{duration := Duration, ticks := Ticks, waits := Waits, preemptions := Preemptions} <- all(idle, Results)]
    ).

additions(Results) ->
    RoundTrips = [
        ["round trips an addition", "", number(Count / Additions) | lists:duplicate(5, "")]
     || #{additions := Additions, round_trips := Count} <- all(round_trips, Results)
    ],
    table(
        "Additions to PostgreSQL until this node shows them, beside pgbench: a second, and milliseconds of a call",
        ["who adds", "callers", "a second", "share of pgbench's", "p50", "times its p50", "p99", "times its p99"],
        [[adder(Side), number(Callers), summary(Rate), ratio(share, Facts), number(P50), ratio(p50_times_as_long, Facts),
          number(P99), ratio(p99_times_as_long, Facts)]
         || #{side := Side, callers := Callers, rate := Rate, p50 := P50, p99 := P99} = Facts <-
                all(additions, Results)] ++ RoundTrips
    ).

adder(ours) -> "insert_domain/2";
adder(batches) -> "insert_domains/1, 1,000 a call";
adder(notify) -> "pgbench, the same transaction";
adder(plain) -> "pgbench, without NOTIFY".

ratio(What, Facts) ->
    case Facts of
        #{What := Ratio} -> number(Ratio);
        #{} -> ""
    end.

changes(Results) ->
    table(
        "Changes in PostgreSQL until this node shows them: a second, and milliseconds of a call",
        ["change", "callers", "domains", "a second", "p50", "p99", "times an addition's"],
        [[change(What), number(Callers), number(Domains), summary(Rate), number(P50), number(P99), number(Longer)]
         || #{what := What, callers := Callers, domains := Domains, rate := Rate, p50 := P50, p99 := P99,
              times_as_long := Longer} <- all(changes, Results)]
    ).

change(add) -> "insert_domain/2";
change(disable) -> "disable_domain/1";
change(enable) -> "enable_domain/1";
change(delete) -> "delete_domain/2, no handlers".

busy(Results) ->
    table(
        "Single lookups of random names while domains are added through the node: nanoseconds, the clock's own cost included",
        ["callers that add", "side", "additions a second", "lookups", "p50", "p99", "p99.9", "p99.99", "longest"],
        [[adders(Facts), side(Side) | [number(Figure) || Figure <-
            [round(Rate), Lookups, round(P50), round(P99), round(P999), round(P9999), Longest]]]
         || #{side := Side, writes_a_second := Rate, lookups := Lookups, p50 := P50, p99 := P99, p999 := P999,
              p9999 := P9999, longest := Longest} = Facts <- all(busy, Results)]
    ).

adders(#{phase := quiet}) -> "none";
adders(#{phase := adding, callers := Callers}) -> number(Callers).

imports(Results) ->
    table(
        "Importing a file: lines a second, beside psql with one COPY and one transaction",
        ["lines", "domainctl import", "psql", "share of psql's"],
        [[number(Lines), summary(Ours), summary(Copy), number(Share)]
         || #{lines := Lines, ours := Ours, copy := Copy, share := Share} <- all(import, Results)]
    ).

on_nodes(Results) ->
    table(
        "Additions on several nodes at the same time: a second, and milliseconds of a call",
        ["how", "nodes", "callers", "a second", "p99", "share"],
        [[notified(Side), number(Nodes), number(Callers), summary(Rate), number(P99), number(Share)]
         || #{side := Side, nodes := Nodes, callers := Callers, rate := Rate, p99 := P99, share := Share} <-
                all(nodes, Results)]
    ).

notified(notify) -> "as always";
notified(plain) -> "without NOTIFY".

stopped(Results) ->
    table(
        "A node that the system stops, while callers add on the others",
        ["seconds", "callers", "additions a second before", "meanwhile", "share", "of the server's queue, %", "caught up after, ms"],
        [[number(Seconds), number(Callers), number(Before), number(During), number(Share), number(100 * Usage),
          number(CaughtUp)]
         || #{seconds := Seconds, callers := Callers, before := Before, during := During, share := Share,
              queue_usage := Usage, caught_up := CaughtUp} <- all(stopped, Results)]
    ).

listings(Results) ->
    table(
        "All domains of one host type: milliseconds",
        ["domains", "listed", "ets:match", "ours", "times as fast"],
        [[number(Domains), number(Listed), summary(Ets), summary(Ours), number(Faster)]
         || #{domains := Domains, listed := Listed, ets := Ets, ours := Ours, times_as_fast := Faster} <-
                all(listing, Results)]
    ).

pages(Results) ->
    table(
        "The calls of such a listing: microseconds, beside a loop that only counts",
        ["what", "calls", "median", "p99.9", "longest", "from 1 ms on"],
        [[What, number(Calls), number(Median / 1000), number(P999 / 1000), number(Longest / 1000), number(Long)]
         || Facts <- all(pages, Results),
            {What, Key} <- [{"a page", page}, {"the loop", loop}],
            #{calls := Calls, median := Median, p999 := P999, longest := Longest, long := Long} <-
                [map_get(Key, Facts)]]
    ).

crowds(Results) ->
    table(
        "A VM with many idle processes: milliseconds of the call, and the longest for which a process stood still",
        ["what is done", "idle processes", "rounds", "the call", "longest call", "stood still", "longest"],
        [[crowd(What), number(Size), number(Rounds), number(map_get(median, Call)), number(map_get(max, Call)),
          number(map_get(median, Still)), number(map_get(max, Still))]
         || #{what := What, crowd := Size, rounds := Rounds, call := Call, still := Still} <- all(crowd, Results)]
    ).

crowd(known) -> "a known one is registered again";
crowd(code) -> "a module is loaded again";
crowd(host_type) -> "a new host type is registered";
crowd(table) -> "the table is opened with a new host type".

answers(Results) ->
    table(
        "Lookups by their host type: nanoseconds a call, the loop's own cost subtracted; median (eight of ten rounds)",
        ["known at the first start", "new since then", "times as long"],
        [[summary(First), summary(Later), number(map_get(median, Later) / map_get(median, First))]
         || #{first := First, later := Later} <- all(answers, Results)]
    ).

turns(Results) ->
    table(
        "Asking for a service: microseconds a call",
        ["callers", "what is asked for", "calls", "median (eight of ten)", "longest"],
        [[number(Callers), turn(Side), number(Calls), summary(Took), number(map_get(max, Took))]
         || #{callers := Callers, side := Side, calls := Calls, took := Took} <- all(turns, Results)]
    ).

turn(running) -> "what runs";
turn(changed) -> "other options, so it is stopped and started";
turn(global) -> "an empty turn at a lock of global's".

asks(Results) ->
    table(
        "The edge asks: answers a second (/ask), and microseconds, beside an nginx that answers 200 to everything",
        ["who answers", "connections", "answers a second", "p50", "p99"],
        [[answerer(Side), number(Connections), summary(Rate), number(round(P50)), number(round(P99))]
         || #{side := Side, connections := Connections, rate := Rate, p50 := P50, p99 := P99} <- all(ask, Results)]
    ).

answerer(nginx) -> "nginx, return 200";
answerer(ours) -> "the node".

targets(Results) ->
    table(
        "Targets",
        ["what", "target", "measured", "reached"],
        [[What, target(Target), number(Figure), yes_no(Reached)]
         || {What, Target, Figure, Reached} <- bench_targets:all(Results)]
    ).

target({at_least, Figure}) -> ["at least ", number(Figure)];
target({at_most, Figure}) -> ["at most ", number(Figure)].

yes_no(true) -> "yes";
yes_no(false) -> "no".

all(What, Results) ->
    [Facts || {Kind, Facts} <- Results, Kind =:= What].
