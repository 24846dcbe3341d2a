%% The four pictures of a run: which figures they show. bench_plot draws them.
-module(bench_plots).

-export([write/2]).

%% @doc Writes BASE-lookup.svg, BASE-latency.svg, BASE-load.svg and BASE-scaling.svg, each if there are results for it.
-spec write(file:filename(), [bench:result()]) -> ok.
write(Base, Results) ->
    lists:foreach(fun({Name, Title, Panels}) ->
        ok = bench_plot:write(Base ++ "-" ++ Name ++ ".svg", Title, Panels)
    end, [
        {"lookup", "What a lookup costs", lookup(found(lookup, Results))},
        {"latency", "How many lookups are slower", latency(found(latency, Results))},
        {"load", "How long loading takes", load(found(load, Results))},
        {"scaling", "Lookups by several processes", scaling(found(lookup, Results))}
    ]).

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
                  || {Side, Curve} <- [{ets, ets()}, {ours, ours()}]]}
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

ets() -> #{name => "ETS", colour => orange}.

ours() -> #{name => "ours", colour => blue}.

loop() -> #{name => "no lookup", colour => grey, style => dashed}.

found(What, Results) ->
    [Facts || {Kind, Facts} <- Results, Kind =:= What].
