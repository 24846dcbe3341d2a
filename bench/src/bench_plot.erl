%% Draws curves as SVG with gnuplot, side by side in panels.
%%
%% There is no background, and text, grid and curves have colours that can be read on white as well as on
%% black, so a picture fits a page that is light or dark.
-module(bench_plot).

-export([write/3]).

-export_type([panel/0, axis/0, curve/0]).

-type panel() :: #{title := string(), x := axis(), y := axis(), curves := [curve()]}.
%% A logarithmic axis shows whole powers of ten; a linear one begins at zero, and may name its ticks.
-type axis() :: #{label := string(), scale := log | linear, ticks => [number()]}.
%% `marks' puts a dot on every point.
-type curve() :: #{name := string(), colour := colour(), style => solid | dashed | dotted, marks => boolean(),
                   points := [{number(), number()}]}.
-type colour() :: blue | orange | grey.

%% Text is grey. The grid is the same grey at 35 percent: the first two digits are gnuplot's transparency.
-define(STYLE, "
    set title  textcolor rgb '#848c96' offset 0,-0.5
    set xlabel textcolor rgb '#848c96' offset 0,0.4
    set ylabel textcolor rgb '#848c96' offset 0.8,0
    set key    textcolor rgb '#848c96' left center vertical maxrows 1 Left reverse samplen 2
    set tics   textcolor rgb '#848c96' scale 0
    set grid linetype 1 linecolor rgb '#a6848c96'
    unset border
").

%% @doc Writes the panels, two in a row, below a title. Panels without points are left out, and without any,
%% nothing is written. The legend is that of the first panel's curves.
-spec write(file:filename(), string(), [panel()]) -> ok.
write(File, Title, Panels) ->
    case [Panel#{curves := Drawn} || #{curves := Curves} = Panel <- Panels,
                                     Drawn <- [[Curve || #{points := [_ | _]} = Curve <- Curves]], Drawn =/= []] of
        [] -> ok;
        Drawn -> gnuplot(script(File, Title, Drawn))
    end.

%% The option keeps the user's own settings of gnuplot out. The script ends with `exit', since a port cannot close
%% gnuplot's input and still wait for its status.
gnuplot(Script) ->
    Port = open_port({spawn_executable, os:find_executable("gnuplot")}, [{args, ["-d"]}, exit_status]),
    true = port_command(Port, [Script, "exit\n"]),
    receive {Port, {exit_status, 0}} -> ok;
            {Port, {exit_status, Status}} -> error({gnuplot, Status})
    end.

%% A panel is 440 by 320 pixels, of which the curves take 330 by 226; title and legend are above the panels.
script(File, Title, Panels) ->
    Columns = min(2, length(Panels)),
    Rows = (length(Panels) + 1) div 2,
    {Width, Height} = {440 * Columns, 58 + 320 * Rows},
    [
        ?STYLE,
        format("set terminal svg size ~b,~b font 'sans-serif,12'~n", [Width, Height]),
        format("set output '~ts'~n", [File]),
        format("set label 1 '{/:Bold=15 ~ts}' at screen 0.5,~f center textcolor rgb '#848c96'~n", [Title, 1 - 17 / Height]),
        format("set key at screen ~f,~f~n", [70 / Width, 1 - 42 / Height]),
        format("set multiplot layout ~b,~b margins ~f,~f,~f,~f spacing ~f,~f~n",
               [Rows, Columns, 70 / Width, 1 - 40 / Width, 60 / Height, 1 - 92 / Height, 110 / Width, 94 / Height]),
        lists:join("unset label 1\nunset key\n", [panel(Panel) || Panel <- Panels])
    ].

panel(#{title := Title, x := X, y := Y, curves := Curves}) ->
    {Xs, Ys} = lists:unzip(lists:append([Points || #{points := Points} <- Curves])),
    [
        format("set title '~ts'~nset xlabel '~ts'~nset ylabel '~ts'~n", [Title, map_get(label, X), map_get(label, Y)]),
        scale($x, X, Xs),
        scale($y, Y, Ys),
        "$points << END\n",
        lists:join("\n\n", [[format("~w ~w~n", [At, Value]) || {At, Value} <- Points] || #{points := Points} <- Curves]),
        "END\nplot ",
        lists:join(", ", [curve(Index, Curve) || {Index, Curve} <- lists:enumerate(0, Curves)]),
        "\n"
    ].

%% A logarithmic axis ends a little beyond its last ticks: gnuplot's rounding would leave out some at the very end.
scale(Axis, #{scale := log}, Values) ->
    Low = floor(math:log10(lists:min(Values))),
    High = max(Low + 1, ceil(math:log10(lists:max(Values)))),
    [format("set logscale ~c~nset ~crange [0.999e~b:1.001e~b]~n", [Axis, Axis, Low, High]),
     ticks(Axis, [format("'~s' 1e~b", [power(Power), Power]) || Power <- lists:seq(Low, High)])];
scale(Axis, #{scale := linear} = Options, _Values) ->
    [format("unset logscale ~c~nset ~crange [0:*]~nset ~ctics autofreq~n", [Axis, Axis, Axis]),
     [ticks(Axis, [format("~w", [Tick]) || Tick <- Ticks]) || #{ticks := Ticks} <- [Options]]].

ticks(Axis, Ticks) -> format("set ~ctics (~s)~n", [Axis, lists:join(", ", Ticks)]).

power(Power) when Power >= -3, Power =< 4 -> "%g";
power(_Power) -> "10^{%T}".

curve(Index, #{name := Name, colour := Colour} = Curve) ->
    Marks = case Curve of #{marks := true} -> "points pointtype 7 pointsize 0.5"; _ -> "" end,
    format("$points index ~b with lines~s linecolor rgb ~s dashtype ~s linewidth 2 title '~ts'",
           [Index, Marks, colour(Colour), dashes(maps:get(style, Curve, solid)), Name]).

colour(blue) -> "'#3b8eea'";
colour(orange) -> "'#e0752d'";
colour(grey) -> "'#848c96'".

dashes(solid) -> "solid";
dashes(dashed) -> "(7,4)";
dashes(dotted) -> "(2,4)".

format(Format, Arguments) -> io_lib:format(Format, Arguments).
