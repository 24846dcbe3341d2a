%% Prints what a history holds, and each violation with the piece of history that shows it.
-module(lab_report).

-export([print/1]).

%% The most violations of a rule that are shown, and the most lines of a piece.
-define(SHOWN, 3).
-define(LINES, 40).

%% @doc Checks the history in this directory; returns how many violations it has.
-spec print(file:filename()) -> non_neg_integer().
print(Directory) ->
    Lines = lab_history:read(Directory),
    [#{at := Began, names := Names} | _] = [Line || #{kind := <<"run">>} = Line <- Lines],
    io:format("~b lines, ~b names~n", [length(Lines), length(Names)]),
    print_counts("calls", [{Door, Answer} || #{kind := <<"op">>, door := Door, answer := Answer} <- Lines]),
    print_counts("faults", [{Name} || #{kind := <<"fault">>, step := <<"begin">>, name := Name} <- Lines]),
    print_counts("handlers", [{Step} || #{kind := <<"handler">>, step := Step} <- Lines]),
    io:format("lookups: ~b~nchanges of what a node shows: ~b~nversions of rows: ~b~nother primaries: ~b~nchanges that the database lost: ~b~n",
        [lists:sum([Count || #{kind := <<"beat">>, lookups := Count} <- Lines]), count(<<"shows">>, Lines), count(<<"journal">>, Lines),
         length(lab_rows:losses(Lines)), lost(Lines)]),
    print_counts("log", [{Node, What} || #{kind := <<"log">>, node := Node, what := What} <- Lines]),
    Violations = lab_check:violations(Lines),
    lists:foreach(fun(Rule) -> print_rule(Rule, [Violation || #{rule := Of} = Violation <- Violations, Of =:= Rule], Began) end, lists:seq(1, 8)),
    io:format("~b violations~n", [length(Violations)]),
    length(Violations).

count(Kind, Lines) ->
    length([Line || #{kind := Of} = Line <- Lines, Of =:= Kind]).

lost(Lines) ->
    Losses = lab_rows:losses(Lines),
    Domains = lists:usort([Domain || #{kind := <<"op">>, domain := Domain} <- Lines]),
    lists:sum([begin
        Of = [Line || #{domain := Name, kind := Kind} = Line <- Lines, Name =:= Domain, Kind =:= <<"op">> orelse Kind =:= <<"journal">>],
        Versions = lab_rows:of_domain(Domain, Of),
        %% Not those that found the row as they asked for.
        length(lists:usort([Op || #{op := #{answer := <<"ok">>} = Op} <- lab_rows:lost([Op || #{kind := <<"op">>} = Op <- Of], Versions, Losses), lab_rows:answers(Op, Versions) =:= []]))
    end || Domain <- Domains]).

print_counts(Title, Things) ->
    Counts = lists:foldl(fun(Thing, Map) -> maps:update_with(Thing, fun(Count) -> Count + 1 end, 1, Map) end, #{}, Things),
    Texts = [[lists:join(" ", [text(Part) || Part <- tuple_to_list(Thing)]), " ", integer_to_list(Count)] || {Thing, Count} <- lists:sort(maps:to_list(Counts))],
    io:format("~s: ~ts~n", [Title, lists:join(", ", Texts)]).

text(Binary) when is_binary(Binary) -> Binary;
text(Number) -> integer_to_list(Number).

print_rule(Rule, Violations, Began) ->
    lists:foreach(fun(#{text := Text, piece := Piece}) ->
        io:format("~nrule ~b: ~ts~n", [Rule, Text]),
        _ = [io:format("  ~9.3f s  ~ts~n", [(maps:get(at, Line) - Began) / 1000000, shown(Line, Began)]) || Line <- lists:sublist(Piece, ?LINES)]
    end, lists:sublist(Violations, ?SHOWN)),
    _ = [io:format("~nrule ~b: ~b more~n", [Rule, length(Violations) - ?SHOWN]) || length(Violations) > ?SHOWN].

%% Times of a line's own are shown as seconds of the run, too.
shown(Line, Began) ->
    Times = maps:map(fun(_, Time) -> (Time - Began) div 1000 / 1000 end, maps:with([from, to], Line)),
    md_json:encode(maps:merge(maps:without([at, within], Line), Times)).
