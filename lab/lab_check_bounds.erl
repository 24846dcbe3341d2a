%% Rules 5, 7 and 8: lookups, the end, and what must not grow.
-module(lab_check_bounds).

-export([violations/1]).

%% Processor time of the slowest pass over all names, in microseconds.
-define(SLOW, 50000).
%% What a node of this laboratory needs at most, and by how much it may grow between its first minute and its end.
-define(MOST, #{processes => 400, files => 300, threads => 80, memory_kb => 600000, ports => 60}).
-define(GROWTH, #{processes => 100, files => 60, threads => 20, memory_kb => 100000, atoms => 2000}).
-define(CONNECTIONS, 40).

-spec violations([lab_history:line()]) -> [lab_check:violation()].
violations(Lines) ->
    lookups(Lines) ++ the_end(Lines) ++ sizes([Line || #{kind := <<"size">>} = Line <- Lines])
        ++ [lab_check:violation(8, "the database has too many connections of the nodes", [Line])
            || #{kind := <<"connections">>, count := Count} = Line <- Lines, Count > ?CONNECTIONS].

lookups(Lines) ->
    [lab_check:violation(5, "a lookup has failed", [Line]) || #{kind := <<"beat">>, failed := Failed} = Line <- Lines, Failed > 0]
        ++ [lab_check:violation(5, "a lookup took more than 50 ms of processor time", [Line])
            || #{kind := <<"beat">>, slowest := Slowest} = Line <- Lines, Slowest > ?SLOW].

%% A run that broke off has no such line, and is none.
the_end(Lines) ->
    Rows = [Routes || #{kind := <<"rows">>, routes := Routes} <- Lines],
    [lab_check:violation(7, "two minutes after the last fault the tables are not equal to the database, or a removal is at work",
                         [Line | [Final || #{kind := <<"final">>} = Final <- Lines]]) || #{kind := <<"unsettled">>} = Line <- Lines]
        ++ [lab_check:violation(7, "a node shows another route than the database has, and does not say that it keeps it", [difference(Line, Wanted)])
            || #{kind := <<"final">>} = Line <- Lines, Wanted <- Rows, difference(Line, Wanted) =/= none].

difference(#{routes := #{} = Routes, kept := #{} = Kept} = Line, Wanted) ->
    Shown = maps:without(maps:keys(Kept) -- maps:keys(Wanted), Routes),
    Same = fun(Name, Value, Map) -> maps:get(Name, Map, null) =:= Value end,
    case {maps:filter(fun(N, V) -> not Same(N, V, Wanted) end, Shown), maps:filter(fun(N, V) -> not Same(N, V, Shown) end, Wanted)} of
        {Other, Missing} when map_size(Other) =:= 0, map_size(Missing) =:= 0 -> none;
        {Other, Missing} -> (maps:without([routes], Line))#{shows => Other, lacks => Missing}
    end;
difference(Line, _Wanted) ->
    Line.

sizes(Sizes) ->
    [lab_check:violation(8, ["a node has too many or too much: ", atom_to_list(Key)], [Line])
     || {Key, Limit} <- maps:to_list(?MOST), Line <- lists:sublist([Size || Size <- Sizes, maps:get(Key, Size) > Limit], 1)]
        ++ lists:append([grown([Size || #{node := N, run := R} = Size <- Sizes, {N, R} =:= Run]) || Run <- lists:usort([{N, R} || #{node := N, run := R} <- Sizes])]).

%% The first samples are of a start.
grown(Sizes) when length(Sizes) < 12 ->
    [];
grown(Sizes) ->
    First = lists:nth(6, Sizes),
    %% What is there once may be used up again: the least of the last samples counts.
    Last = lists:nthtail(length(Sizes) - 3, Sizes),
    [lab_check:violation(8, ["a node has grown: ", atom_to_list(Key)], [First | Last])
     || {Key, Limit} <- maps:to_list(?GROWTH), lists:min([maps:get(Key, Size) || Size <- Last]) - maps:get(Key, First) > Limit].
