%% The pictures of a run: which figures they show. bench_plot draws them.
-module(bench_plots).

-export([write/2]).

%% @doc Writes BASE-lookup.svg, BASE-latency.svg and so on, each if there are results for it. A picture that cannot be drawn
%% leaves the others alone; then the names of those that failed are returned, with the reasons.
-spec write(file:filename(), [bench:result()]) -> ok | {error, [{Name :: string(), Reason :: term()}, ...]}.
write(Base, Results) ->
    Failed = [{Name, Reason} || {Name, Draw} <- pictures(Results), {error, Reason} <- [draw(Base, Name, Draw)]],
    case Failed of
        [] -> ok;
        _ -> {error, Failed}
    end.

%% Each is a function, since to find the points of a picture may fail, too.
pictures(Results) ->
    [
        {"lookup", fun() -> {"What a lookup costs", lookup(found(lookup, Results))} end},
        {"latency", fun() -> {"How many lookups are slower", latency(found(latency, Results))} end},
        {"load", fun() -> {"How long loading takes", load(found(load, Results))} end},
        {"scaling", fun() -> {"Lookups by several processes", scaling(found(lookup, Results))} end},
        {"additions-latency", fun() -> {"How long an addition takes", addition(found(additions, Results))} end},
        {"additions-rate", fun() -> {"Additions by many callers", rate(found(additions, Results))} end}
    ].

%% In a process of its own, since a program that ends too early ends its port, and the port ends its owner.
draw(Base, Name, Draw) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        try
            {Title, Panels} = Draw(),
            ok = bench_plot:write(Base ++ "-" ++ Name ++ ".svg", Title, Panels)
        catch
            _Class:Reason -> exit(Reason)
        end
    end),
    receive
        {'DOWN', Monitor, process, Pid, normal} -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

%% Lookups by one process. A table of one domain has results for the hot key only, which are shown as random names.
lookup(Lookups) ->
    Median = fun(Side, Wanted) ->
        [{Domains, map_get(median, map_get(Side, Facts))}
         || #{domains := Domains, keys := Keys, processes := 1} = Facts <- Lookups,
            Keys =:= Wanted orelse {Wanted, Domains, Keys} =:= {hits, 1, hot}]
    end,
    [#{title => Title, x => #{label => "domains in the table", scale => log},
       y => #{label => "nanoseconds a lookup (median)", scale => linear},
       curves => [Curve#{marks => true, points => Median(Side, Keys)}
                  || {Side, Curve} <- [{ets, ets()}, {ours, ours()}, {floor, floor()}]]}
     || {Keys, Title} <- [{hits, "random names that are there"}, {misses, "random names that are not"}]].

%% From the histograms: at each duration, the share of lookups that took longer. A curve ends where no lookup took
%% longer, since a logarithmic axis has no zero.
latency(Latencies) ->
    [#{title => Title, x => #{label => "microseconds", scale => log},
       y => #{label => "share of lookups that take longer", scale => log},
       curves => [Curve#{points => lists:append([slower(Counts) || #{phase := Is, side := Whose, counts := Counts}
                                                                       <- Latencies, Is =:= Phase, Whose =:= Side])}
                  || {Side, Curve} <- [{ets, ets()}, {ours, ours()}, {loop, loop()}]]}
     || {Phase, Title} <- [{quiet, "nothing is written"}, {loading, "all domains are loaded"},
                           {changing, "10,000 changes a second"}, {pass, "all domains are compared"}]].

slower(Counts) ->
    All = lists:sum([Count || [_, Count] <- Counts]),
    {Points, _} = lists:mapfoldl(fun([Nanoseconds, Count], Left) ->
        {{(Nanoseconds + 1) / 1000, (Left - Count) / All}, Left - Count}
    end, All, Counts),
    [Point || {_, Share} = Point <- Points, Share > 0].

load(Loads) ->
    Median = fun(Side) ->
        [{Domains, map_get(median, map_get(Side, Facts))} || #{domains := Domains} = Facts <- Loads]
    end,
    [#{title => "from PostgreSQL, until every domain answers", x => #{label => "rows", scale => log},
       y => #{label => "milliseconds (median)", scale => log},
       curves => [(ours())#{marks => true, points => Median(ours)},
                  #{name => "psql (COPY)", colour => orange, marks => true, points => Median(copy)}]}].

%% In the largest table. The ideal line is the throughput of one process, times the number of processes.
scaling([]) ->
    [];
scaling(Lookups) ->
    Largest = lists:max([Domains || #{domains := Domains} <- Lookups]),
    Throughput = fun(Side, Wanted) ->
        [{Processes, Processes * 1.0e3 / map_get(median, map_get(Side, Facts))}
         || #{domains := Domains, keys := Keys, processes := Processes} = Facts <- Lookups,
            Domains =:= Largest, Keys =:= Wanted]
    end,
    [#{title => Title, x => #{label => "processes", scale => linear, ticks => [P || {P, _} <- Throughput(ours, Keys)]},
       y => #{label => "million lookups a second", scale => linear},
       curves => lists:append([[Curve#{marks => true, points => Points},
                                Curve#{name => Name ++ ", ideal", style => dotted, points => ideal(Points)}]
                               || {Side, #{name := Name} = Curve} <- [{ets, ets()}, {ours, ours()}],
                                  Points <- [Throughput(Side, Keys)]])}
     || {Keys, Title} <- [{hot, "one hot name"}, {hits, "random names"}]].

ideal(Points) ->
    [{Processes, Processes * Rate / One} || {One, Rate} <- lists:sublist(Points, 1), {Processes, _} <- Points].

%% The callers of ours, and the connections of pgbench with the same transaction.
addition(Additions) ->
    [#{title => Title, x => #{label => "callers at the same time", scale => log},
       y => #{label => "milliseconds", scale => log},
       curves => [(ours())#{marks => true, points => by_callers(ours, What, Additions)},
                  (pgbench())#{marks => true, points => by_callers(notify, What, Additions)}]}
     || {What, Title} <- [{p50, "median"}, {p99, "99th percentile"}]].

rate(Additions) ->
    Points = fun(Side) -> [{Callers, Rate} || {Callers, #{median := Rate}} <- by_callers(Side, rate, Additions)] end,
    [#{title => Title, x => #{label => "callers at the same time", scale => log},
       y => #{label => "additions a second (median)", scale => log},
       curves => [(ours())#{marks => true, points => Points(ours)}, (pgbench())#{marks => true, points => Points(Kind)}]}
     || {Kind, Title} <- [{notify, "pgbench with the same NOTIFY"}, {plain, "pgbench without NOTIFY"}]].

by_callers(Side, What, Additions) ->
    [{Callers, map_get(What, Facts)} || #{side := Is, callers := Callers} = Facts <- Additions, Is =:= Side].

ets() -> #{name => "ETS", colour => orange}.

ours() -> #{name => "ours", colour => blue}.

pgbench() -> #{name => "pgbench", colour => orange}.

floor() -> #{name => "a native function that looks at nothing", colour => grey, style => dashed}.
loop() -> #{name => "no lookup", colour => grey, style => dashed}.

found(What, Results) ->
    [Facts || {Kind, Facts} <- Results, Kind =:= What].
