%% The results as tables for people, in Markdown: bench/README.md shows the last ones that were kept.
-module(bench_report).

-export([print/1]).

%% @doc Prints all tables that there are results for, and last what was to be reached.
-spec print([bench:result()]) -> ok.
print(Results) ->
    Sections = [machine(Results), lookups(Results), loads(Results), memories(Results), follower(Results),
                operations(Results), listings(Results), targets(Results)],
    io:put_chars(lists:join($\n, [Section || Section <- Sections, Section =/= []])).

machine(Results) ->
    Facts = [processor, cores, cache, memory, kernel, otp, emulator, postgresql, revision, time, load_average],
    Format = "~s, ~p cores, cache ~s, memory ~s; ~s; Erlang/OTP ~s (~s); ~s; revision ~s; ~s; load average ~s~n",
    [io_lib:format(Format, [map_get(Fact, Machine) || Fact <- Facts]) || Machine <- all(machine, Results)].

lookups(Results) ->
    table(
        "Lookups: nanoseconds a call, the loop's own cost subtracted; median (eight of ten rounds)",
        ["domains", "keys", "processes", "loop", "ETS", "ours", "times as fast", "ours, calls a second"],
        [[integer(Domains), atom_to_list(Keys), integer(Processes), number(map_get(median, Loop)), summary(Ets),
          summary(Ours), number(Faster), integer(round(Processes * 1.0e9 / map_get(median, Ours)))]
         || #{domains := Domains, keys := Keys, processes := Processes, loop := Loop, ets := Ets, ours := Ours,
              times_as_fast := Faster} <- all(lookup, Results)]
    ).

loads(Results) ->
    table(
        "Loading from PostgreSQL: milliseconds until every domain answers, beside psql's COPY into a pipe; and comparing",
        ["domains", "first load", "ours", "psql", "times as long", "comparison", "to a load"],
        [[integer(Domains), number(First), summary(Ours), summary(Copy), number(Longer), summary(Compared), number(ToLoad)]
         || #{domains := Domains, first := First, ours := Ours, copy := Copy, times_as_long := Longer,
              comparison := Compared, comparison_to_load := ToLoad} <- all(load, Results)]
    ).

memories(Results) ->
    table(
        "Resident memory: a fresh VM before and after",
        ["side", "domains", "before, MiB", "after, MiB", "bytes a domain", "more"],
        [[atom_to_list(Side), integer(Domains), number(Before / 1048576), number(After / 1048576), number(Bytes),
          more(Facts)]
         || #{side := Side, domains := Domains, resident_before := Before, resident_after := After,
              bytes_a_domain := Bytes} = Facts <- all(memory, Results)]
    ).

more(#{resident_after_reloads := Bytes}) ->
    ["after more loads ", number(Bytes / 1048576), " MiB"];
more(#{ets_info_bytes_a_domain := Bytes}) ->
    ["ets:info says ", number(Bytes)].

follower(Results) ->
    Idle = [
        [["idle for ", number(Duration / 1000), " s"],
         [integer(Ticks), " ticks of processor time, ", integer(Waits + Preemptions), " context switches"]]
     || #{duration := Duration, ticks := Ticks, waits := Waits, preemptions := Preemptions} <- all(idle, Results)
    ],
    Propagation = [
        [[integer(Changes), " changes, ms from ", From, " to visible"], summary(map_get(Since, Facts))]
     || #{changes := Changes} = Facts <- all(propagation, Results),
        {Since, From} <- [{since_sent, "handing the transaction to psql"}, {since_committed, "psql's COMMIT"}]
    ],
    table("The follower", ["what", "figure"], Idle ++ Propagation).

operations(Results) ->
    RoundTrips = [
        ["round trips an addition", number(Count / Additions), "", ""]
     || #{additions := Additions, round_trips := Count} <- all(round_trips, Results)
    ],
    table(
        "Additions to PostgreSQL until this node shows them, beside psql with as many transactions",
        ["who adds", "a second", "microseconds each", "times as fast"],
        [[adder(Side), summary(Rate), integer(round(1000000 / map_get(median, Rate))), number(Faster)]
         || #{side := Side, rate := Rate, times_as_fast := Faster} <- all(additions, Results)] ++ RoundTrips
    ).

adder(one_caller) -> "one caller";
adder(eight_callers) -> "eight callers";
adder(batches) -> "one caller, batches of 1,000";
adder(psql) -> "psql, from a file".

listings(Results) ->
    table(
        "All domains of one host type: milliseconds",
        ["domains", "listed", "ets:match", "ours", "times as fast"],
        [[integer(Domains), integer(Listed), summary(Ets), summary(Ours), number(Faster)]
         || #{domains := Domains, listed := Listed, ets := Ets, ours := Ours, times_as_fast := Faster} <-
                all(listing, Results)]
    ).

%% What the project set out to reach.
targets(Results) ->
    Where = fun(Domains, Processes) -> [integer(Domains), " domains, ", integer(Processes), " at a time"] end,
    Hot = [target(["hot key, times as fast as ETS: ", Where(Domains, Processes)], at_least, 2.5, Faster)
           || #{keys := hot, domains := Domains, processes := Processes, times_as_fast := Faster} <-
                  all(lookup, Results)],
    Load = [target("load of 1,000,000 domains: times as long as psql's COPY", at_most, 3, Longer)
            || #{domains := 1000000, times_as_long := Longer} <- all(load, Results)],
    Memory = [target("resident bytes a domain at 1,000,000", at_most, 110, Bytes)
              || #{side := ours, domains := 1000000, bytes_a_domain := Bytes} <- all(memory, Results)],
    Idle = [target("processor time of the idle follower, ticks", at_most, 0, Ticks)
            || #{ticks := Ticks} <- all(idle, Results)],
    table("Targets", ["what", "target", "measured", "reached"], Hot ++ Load ++ Memory ++ Idle).

target(What, at_least, Target, Figure) ->
    [What, ["at least ", number(Target)], number(Figure), yes_no(Figure >= Target)];
target(What, at_most, Target, Figure) ->
    [What, ["at most ", number(Target)], number(Figure), yes_no(Figure =< Target)].

yes_no(true) -> "yes";
yes_no(false) -> "no".

all(What, Results) ->
    [Facts || {Kind, Facts} <- Results, Kind =:= What].

summary(#{median := Median, p10 := Low, p90 := High}) ->
    [number(Median), " (", number(Low), " to ", number(High), ")"].

integer(Integer) ->
    grouped(integer_to_list(Integer)).

%% Three digits that mean something are enough.
number(Number) when is_integer(Number) -> integer(Number);
number(Number) when abs(Number) >= 100 -> integer(round(Number));
number(Number) when abs(Number) >= 10 -> float_to_list(Number, [{decimals, 1}]);
number(Number) -> float_to_list(Number, [{decimals, 2}]).

grouped([$- | Digits]) -> [$- | grouped(Digits)];
grouped(Digits) when length(Digits) > 3 ->
    {Front, Back} = lists:split(length(Digits) - 3, Digits),
    grouped(Front) ++ [$, | Back];
grouped(Digits) -> Digits.

table(_Title, _Header, []) ->
    [];
table(Title, Header, Rows) ->
    Cells = [[lists:flatten(Cell) || Cell <- Row] || Row <- [Header | Rows]],
    Columns = lists:seq(1, length(Header)),
    Widths = [lists:max([length(lists:nth(Column, Row)) || Row <- Cells]) || Column <- Columns],
    Padded = fun(Row) -> [pad(Column, Cell, Width) || {Column, Cell, Width} <- lists:zip3(Columns, Row, Widths)] end,
    Line = fun(Row) -> ["| ", lists:join(" | ", Padded(Row)), " |\n"] end,
    Rule = ["|", lists:join("|", [rule(Column, Width) || {Column, Width} <- lists:zip(Columns, Widths)]), "|\n"],
    [Title, "\n\n", Line(hd(Cells)), Rule, [Line(Row) || Row <- tl(Cells)]].

%% The first column is to the left, numbers to the right.
pad(1, Cell, Width) -> string:pad(Cell, Width);
pad(_Column, Cell, Width) -> string:pad(Cell, Width, leading).

rule(1, Width) -> lists:duplicate(Width + 2, $-);
rule(_Column, Width) -> [lists:duplicate(Width + 1, $-), $:].
