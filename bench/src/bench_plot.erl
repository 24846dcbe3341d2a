%% Draws curves as SVG, side by side in panels.
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

%% A panel, and the part of it in which the curves are.
-define(WIDTH, 440).
-define(HEIGHT, 320).
-define(LEFT, 70).
-define(TOP, 34).
-define(INNER_WIDTH, 330).
-define(INNER_HEIGHT, 226).
-define(TITLE, 34).
-define(LEGEND, 24).
-define(GREY, "#848c96").

%% @doc Writes the panels, two in a row, below a title. Panels without points are left out, and without any,
%% nothing is written. The legend is that of the first panel's curves.
-spec write(file:filename(), string(), [panel()]) -> ok.
write(File, Title, Panels) ->
    case lists:filter(fun(Panel) -> points(Panel) =/= [] end, Panels) of
        [] -> ok;
        Drawn -> file:write_file(File, svg(Title, Drawn))
    end.

points(#{curves := Curves}) ->
    lists:append([Points || #{points := Points} <- Curves]).

svg(Title, [#{curves := Curves} | _] = Panels) ->
    Columns = min(2, length(Panels)),
    {Width, Height} = {Columns * ?WIDTH, ?TITLE + ?LEGEND + (length(Panels) + Columns - 1) div Columns * ?HEIGHT},
    [
        io_lib:format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"~b\" height=\"~b\" viewBox=\"0 0 ~b ~b\" "
                      "font-family=\"sans-serif\" font-size=\"12\" fill=\"" ?GREY "\">\n",
                      [Width, Height, Width, Height]),
        "<title>", Title, "</title>\n",
        text(Width / 2, 22, "middle", " font-size=\"15\" font-weight=\"bold\"", Title),
        legend(Curves, ?LEFT, ?TITLE + 8),
        [group(Number rem Columns * ?WIDTH, ?TITLE + ?LEGEND + Number div Columns * ?HEIGHT, panel(Panel))
         || {Number, Panel} <- lists:zip(lists:seq(0, length(Panels) - 1), Panels)],
        "</svg>\n"
    ].

group(X, Y, Content) ->
    [io_lib:format("<g transform=\"translate(~b ~b)\">\n", [X, Y]), Content, "</g>\n"].

%% One name after the other; letters are some seven wide.
legend([], _X, _Y) ->
    [];
legend([#{name := Name} = Curve | Curves], X, Y) ->
    [line(Curve, [{X, Y}, {X + 26, Y}]), text(X + 32, Y + 4, "start", "", Name),
     legend(Curves, X + 32 + 7 * length(Name) + 18, Y)].

panel(#{title := Title, x := XAxis, y := YAxis, curves := Curves} = Panel) ->
    {Xs, Ys} = lists:unzip(points(Panel)),
    {X, Y} = {range(XAxis, Xs), range(YAxis, Ys)},
    [
        text(?LEFT + ?INNER_WIDTH / 2, 18, "middle", "", Title),
        [[rule(?LEFT + At, ?TOP, ?LEFT + At, ?TOP + ?INNER_HEIGHT),
          text(?LEFT + At, ?TOP + ?INNER_HEIGHT + 16, "middle", "", short(Tick))]
         || Tick <- ticks(XAxis, X), At <- [place(Tick, XAxis, X, ?INNER_WIDTH)]],
        [[rule(?LEFT, ?TOP + At, ?LEFT + ?INNER_WIDTH, ?TOP + At),
          text(?LEFT - 6, ?TOP + At + 4, "end", "", short(Tick))]
         || Tick <- ticks(YAxis, Y), At <- [?INNER_HEIGHT - place(Tick, YAxis, Y, ?INNER_HEIGHT)]],
        text(?LEFT + ?INNER_WIDTH / 2, ?TOP + ?INNER_HEIGHT + 36, "middle", "", map_get(label, XAxis)),
        text(16, ?TOP + ?INNER_HEIGHT / 2, "middle",
             io_lib:format(" transform=\"rotate(-90 16 ~.1f)\"", [?TOP + ?INNER_HEIGHT / 2]), map_get(label, YAxis)),
        [line(Curve, [{?LEFT + place(PointX, XAxis, X, ?INNER_WIDTH),
                       ?TOP + ?INNER_HEIGHT - place(PointY, YAxis, Y, ?INNER_HEIGHT)} || {PointX, PointY} <- Of])
         || #{points := Of} = Curve <- Curves, Of =/= []]
    ].

range(#{scale := log}, Values) ->
    Low = math:floor(math:log10(lists:min(Values))),
    {Low, max(Low + 1, math:ceil(math:log10(lists:max(Values))))};
range(#{scale := linear} = Axis, Values) ->
    {0, lists:max([lists:last(linear_ticks(Axis, lists:max(Values))), lists:max(Values)])}.

ticks(#{scale := log}, {Low, High}) -> [math:pow(10, Power) || Power <- lists:seq(round(Low), round(High))];
ticks(#{scale := linear} = Axis, {_, High}) -> linear_ticks(Axis, High).

linear_ticks(#{ticks := Ticks}, _High) ->
    Ticks;
linear_ticks(_Axis, High) ->
    Step = step(High / 5),
    [Step * Number || Number <- lists:seq(0, ceil(High / Step))].

%% The next 1, 2 or 5 of a power of ten.
step(Least) ->
    Power = math:pow(10, math:floor(math:log10(Least))),
    hd([Factor * Power || Factor <- [1, 2, 5, 10], Factor * Power >= Least]).

place(Value, #{scale := log}, {Low, High}, Size) -> (math:log10(Value) - Low) / (High - Low) * Size;
place(Value, #{scale := linear}, {Low, High}, Size) -> (Value - Low) / (High - Low) * Size.

line(#{colour := Colour} = Curve, Points) ->
    Places = [io_lib:format("~.1f,~.1f", [float(X), float(Y)]) || {X, Y} <- Points],
    [
        "<polyline fill=\"none\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke=\"", colour(Colour), "\"",
        style(maps:get(style, Curve, solid)), " points=\"", lists:join($\s, Places), "\"/>\n",
        [io_lib:format("<circle cx=\"~.1f\" cy=\"~.1f\" r=\"3\" fill=\"~s\"/>\n", [float(X), float(Y), colour(Colour)])
         || maps:get(marks, Curve, false), {X, Y} <- Points]
    ].

colour(blue) -> "#3b8eea";
colour(orange) -> "#e0752d";
colour(grey) -> ?GREY.

style(solid) -> "";
style(dashed) -> " stroke-dasharray=\"7 4\"";
style(dotted) -> " stroke-dasharray=\"2 4\"".

rule(FromX, FromY, ToX, ToY) ->
    io_lib:format("<line x1=\"~.1f\" y1=\"~.1f\" x2=\"~.1f\" y2=\"~.1f\" stroke=\"" ?GREY "\" "
                  "stroke-opacity=\"0.35\"/>\n", [float(Place) || Place <- [FromX, FromY, ToX, ToY]]).

text(X, Y, Anchor, More, Text) ->
    Begin = io_lib:format("<text x=\"~.1f\" y=\"~.1f\" text-anchor=\"~s\"~s>", [float(X), float(Y), Anchor, More]),
    [Begin, Text, "</text>\n"].

%% 10,000 and 0.001 are written out, what is longer is shown by its power of ten.
short(Number) when Number == 0 ->
    "0";
short(Number) when Number >= 1.0e5; Number < 1.0e-3 ->
    Power = math:floor(math:log10(Number) + 1.0e-9),
    Digits = case Number / math:pow(10, Power) of
        One when abs(One - 1) < 1.0e-6 -> "10";
        Factor -> [short(Factor), "&#215;10"]
    end,
    [Digits, io_lib:format("<tspan dy=\"-4\" font-size=\"9\">~b</tspan>", [round(Power)])];
short(Number) when abs(Number - round(Number)) < 1.0e-9 -> bench_table:number(round(Number));
short(Number) -> float_to_list(float(Number), [{decimals, 3}, compact]).
