%% Reports for the log that an operator sees and can read, with OTP's own configuration of the logger, too.
%%
%% Modules log by the macros of mongoose_domain_log.hrl, which call report/3. A report then has
%%
%% - no `domain': OTP's default handler prints those of OTP itself and those without one, and no others;
%% - `report_cb', since OTP's formatter prints a text beyond Latin-1 as the numbers of its bytes, and a term as long as it
%%   is. Here a text is shown as it is, with its control characters escaped, and a field has an end;
%% - a local process for `gl'. A report of a process that works for a caller on another node would else be sent
%%   there, and left out of the log of the node that it is about.
%%
%% Of each event a hundred reports a second are logged. OTP's handler drops all reports alike when there are more than
%% five hundred, so a client that provokes warnings could hide everything else. The next report that is logged says how
%% many there were, in `not_logged'.
-module(mongoose_domain_log).

-export([start/0, report/3, set_level/1]).
-export([format/2, fields/2]).

%% Reports of one event in a second.
-define(LIMIT, 100).
%% Events that count apart, but for chance.
-define(SLOTS, 4096).
%% Characters of one field.
-define(LONGEST, 4000).

-type report() :: #{what := atom() | binary(), term() => term()}.

%% @doc Begins to count. Before, everything is logged.
-spec start() -> ok.
start() ->
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, atomics:new(?SLOTS, [{signed, false}]));
        _Counts -> ok
    end.

%% @doc Logs a report, unless there were too many of its event in this second. `Place' is metadata: `mfa', `file' and
%% `line'.
-spec report(logger:level(), report(), logger:metadata()) -> ok.
report(Level, #{what := What} = Report, Place) ->
    case admit(What) of
        {admitted, 0} -> logger:log(Level, Report, metadata(Place));
        {admitted, Before} -> logger:log(Level, Report#{not_logged => Before}, metadata(Place));
        refused -> ok
    end.

%% @doc Reports of lower levels are not logged from now on.
-spec set_level(logger:level() | all | none) -> ok | {error, term()}.
set_level(Level) ->
    logger:set_primary_config(level, Level).

metadata(Place) ->
    Readable = Place#{report_cb => fun ?MODULE:format/2},
    case node(group_leader()) =:= node() of
        true -> Readable;
        false -> Readable#{gl => whereis(init)}
    end.

%% How many reports

admit(What) ->
    case persistent_term:get(?MODULE, none) of
        none -> {admitted, 0};
        Counts -> admit(Counts, erlang:phash2(What, ?SLOTS) + 1)
    end.

%% A slot holds the second of the last report, and how many came in it.
admit(Counts, Slot) ->
    Now = (erlang:monotonic_time() - erlang:system_info(start_time)) div erlang:convert_time_unit(1, second, native),
    Was = atomics:get(Counts, Slot),
    <<Then:32, Count:32>> = <<Was:64>>,
    {Next, Answer} = case Then of
        Now when Count < ?LIMIT -> {Count + 1, {admitted, 0}};
        Now -> {Count + 1, refused};
        _Before -> {1, {admitted, max(0, Count - ?LIMIT)}}
    end,
    <<New:64>> = <<Now:32, Next:32>>,
    case atomics:compare_exchange(Counts, Slot, Was, New) of
        ok -> Answer;
        _Another -> admit(Counts, Slot)
    end.

%% How a report looks

%% @doc The report as text: a field a line, `what' first. For the logger.
-spec format(report(), logger:report_cb_config()) -> unicode:chardata().
format(Report, Config) ->
    Limit = case Config of
        #{chars_limit := Characters} when is_integer(Characters) -> min(Characters, ?LONGEST);
        #{} -> ?LONGEST
    end,
    {Begin, Between} = case Config of
        #{single_line := true} -> {"", ", "};
        #{} -> {"    ", "\n"}
    end,
    lists:join(Between, [[Begin, name(Name), ": ", value(Name, Value, Begin, Limit)] || {Name, Value} <- in_order(Report)]).

%% @doc The names and values of the report as texts, each of one line, `what' first.
-spec fields(report(), Limit :: pos_integer()) -> [{Name :: unicode:chardata(), Value :: unicode:chardata()}].
fields(Report, Limit) ->
    [{name(Name), value(Name, Value, "", Limit)} || {Name, Value} <- in_order(Report)].

in_order(#{what := What} = Report) ->
    [{what, What} | lists:sort(maps:to_list(maps:remove(what, Report)))].

name(Name) when is_binary(Name) -> Name;
name(Name) -> io_lib:format("~tw", [Name]).

value(what, What, _Begin, _Limit) -> name(What);
value(stacktrace, [_ | _] = Calls, "", Limit) -> lists:join("; ", [frame(Call, Limit) || Call <- Calls]);
value(stacktrace, [_ | _] = Calls, Begin, Limit) -> [["\n", Begin, Begin, frame(Call, Limit)] || Call <- Calls];
value(_Name, Value, _Begin, Limit) -> limited(Value, Limit).

frame({Module, Function, Arguments, Place}, Limit) when is_list(Place) ->
    Called = case is_list(Arguments) of
        true -> ["/", integer_to_list(length(Arguments)), " called with ", limited(Arguments, Limit)];
        false -> ["/", integer_to_list(Arguments)]
    end,
    Where = [io_lib:format(" (~ts:~w)", [File, Line]) || {file, File} <- Place, {line, Line} <- Place],
    [io_lib:format("~tw:~tw", [Module, Function]), Called, Where];
frame(Other, Limit) ->
    limited(Other, Limit).

limited(Term, Limit) ->
    {Shown, _Left} = write(Term, Limit),
    Shown.

%% The term, and how many characters are left.
write(_Term, Left) when Left =< 0 ->
    {"...", Left};
write(Text, Left) when is_binary(Text) ->
    quoted(Text, Left);
write([], Left) ->
    {"[]", Left - 2};
write([_ | _] = List, Left) ->
    case io_lib:printable_unicode_list(List) of
        true -> quoted(unicode:characters_to_binary(List), Left);
        false -> list(List, Left - 2, [$[])
    end;
write(Tuple, Left) when is_tuple(Tuple) ->
    {Shown, After} = items([fun(Room) -> write(Element, Room) end || Element <- tuple_to_list(Tuple)], Left - 2),
    {[${, Shown, $}], After};
write(Map, Left) when is_map(Map) ->
    {Shown, After} = items([fun(Room) -> pair(Pair, Room) end || Pair <- lists:sort(maps:to_list(Map))], Left - 3),
    {["#{", Shown, $}], After};
write(Term, Left) ->
    Shown = io_lib:format("~tw", [Term], [{chars_limit, Left}]),
    case string:length(Shown) of
        Length when Length =< Left -> {Shown, Left - Length};
        _Longer -> {[string:slice(Shown, 0, Left), "..."], 0} % a number has no limit
    end.

pair({Key, Value}, Left) ->
    {ShownKey, Room} = write(Key, Left),
    {ShownValue, After} = write(Value, Room - 4),
    {[ShownKey, " => ", ShownValue], After}.

items([], Left) ->
    {"", Left};
items([Item | Items], Left) ->
    {Shown, After} = Item(Left),
    items(Items, After, [Shown]).

items([], Left, Shown) ->
    {lists:reverse(Shown), Left};
items(_Items, Left, Shown) when Left =< 0 ->
    {lists:reverse(Shown, ",..."), Left};
items([Item | Items], Left, Shown) ->
    {Next, After} = Item(Left - 1),
    items(Items, After, [[",", Next] | Shown]).

%% A list may end in something else than a list.
list([Head | Tail], Left, Shown) ->
    {Next, After} = write(Head, Left),
    case Tail of
        [] -> {lists:reverse(Shown, [Next, $]]), After};
        [_ | _] when After =< 0 -> {lists:reverse(Shown, [Next, ",...]"]), After};
        [_ | _] -> list(Tail, After - 1, [[Next, ","] | Shown]);
        _Improper ->
            {Last, Rest} = write(Tail, After - 1),
            {lists:reverse(Shown, [Next, "|", Last, $]]), Rest}
    end.

quoted(Text, Left) ->
    characters(Text, Left - 2, [$"]).

characters(<<>>, Left, Shown) ->
    {lists:reverse(Shown, "\""), Left};
characters(_More, Left, Shown) when Left =< 0 ->
    {lists:reverse(Shown, "\"..."), Left};
characters(<<Character/utf8, Rest/binary>>, Left, Shown) ->
    characters(Rest, Left - 1, [character(Character) | Shown]);
characters(<<Byte, Rest/binary>>, Left, Shown) ->
    characters(Rest, Left - 1, [escaped(Byte) | Shown]).

%% What could begin a new line of the log, or command a terminal, is escaped.
character($") -> "\\\"";
character($\\) -> "\\\\";
character($\n) -> "\\n";
character(Character) when Character < 32; Character >= 127, Character < 160 -> escaped(Character);
character(Direction) when Direction >= 16#2028, Direction =< 16#202E; Direction >= 16#2066, Direction =< 16#2069 ->
    escaped(Direction);
character(Character) -> Character.

escaped(Character) ->
    io_lib:format("\\x{~.16B}", [Character]).
