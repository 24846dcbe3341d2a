%% Tables in Markdown, and the format of the figures in them.
-module(bench_table).

-export([table/3, number/1, summary/1]).

%% @doc A table below its title, or nothing when there are no rows. The first column is aligned to the left; the others,
%% which hold figures, to the right.
-spec table(iodata(), [string()], [[iodata()]]) -> iodata().
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

pad(1, Cell, Width) -> string:pad(Cell, Width);
pad(_Column, Cell, Width) -> string:pad(Cell, Width, leading).

rule(1, Width) -> lists:duplicate(Width + 2, $-);
rule(_Column, Width) -> [lists:duplicate(Width + 1, $-), $:].

%% @doc A figure with three significant digits. An integer is shown whole.
-spec number(number()) -> string().
number(Integer) when is_integer(Integer) -> grouped(integer_to_list(Integer));
number(Number) when abs(Number) >= 100 -> number(round(Number));
number(Number) when abs(Number) >= 10 -> float_to_list(Number, [{decimals, 1}]);
number(Number) -> float_to_list(Number, [{decimals, 2}]).

grouped([$- | Digits]) -> [$- | grouped(Digits)];
grouped(Digits) when length(Digits) > 3 ->
    {Front, Back} = lists:split(length(Digits) - 3, Digits),
    grouped(Front) ++ [$, | Back];
grouped(Digits) -> Digits.

%% @doc The median, and the 10th and 90th percentile.
-spec summary(bench_stats:summary()) -> iodata().
summary(#{median := Median, p10 := Low, p90 := High}) ->
    [number(Median), " (", number(Low), " to ", number(High), ")"].
