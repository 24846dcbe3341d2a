%% The log events that docs/events.md lists, and those that the code can log.
%%
%% The code is parsed, not run. An event is the value of `what' in a map of an Erlang source (an atom, or an argument
%% that the callers of the function pass), the name of a report in native/sync/src/fields.rs, or a name that the admin
%% program passes to `tracing'. Maps that are raised as errors have a `what', too. They appear later as the `reason' of
%% a report, so they are events as well.
-module(md_events).

-export([documented/0, in_code/0, in_program/0, sources/0, path/1]).

-export_type([event/0, logged/0]).

%% One listed event: its levels, the fields of every report, and the fields of some reports.
-type event() :: #{levels := [atom()], always := [atom()], sometimes := [atom()]}.
%% One place in the code. `fields' are the fields that the code writes there: all of the report's or some of them.
%% `unclear' means that the name cannot be read from the code.
-type logged() :: #{event := atom() | unclear, file := file:filename(), line := pos_integer(),
                    level := atom(), fields := {all | some, [atom()]}}.

-define(EVENTS, "docs/events.md").
-define(REPORTS, "native/sync/src/fields.rs").

%% @doc The events that docs/events.md lists.
-spec documented() -> #{atom() => event()}.
documented() ->
    {ok, Text} = file:read_file(path(?EVENTS)),
    Rows = [row([string:trim(Cell) || Cell <- string:split(string:trim(Line, both, "|"), "|", all)])
            || <<"| `", First, _/binary>> = Line <- binary:split(Text, <<"\n">>, [global]), First =/= $[], % an event of telemetry
    Events = maps:from_list(lists:append(Rows)),
    maps:map(fun
        (_Event, {as, Other, Levels}) -> (map_get(Other, Events))#{levels := Levels};
        (_Event, Listed) -> Listed
    end, Events).

row([Names, Levels, Fields, _Means, _Do]) ->
    row(Names, [binary_to_atom(Level) || Level <- words(Levels, "\\b(?:critical|error|warning|notice|info)\\b")], Fields);
row([Names, Fields, _Means]) ->
    row(Names, [], <<Fields/binary, " `text`">>).

row(Names, Levels, <<"as ", Other/binary>>) ->
    [{Name, {as, hd(names(Other)), Levels}} || Name <- names(Names)];
row(Names, Levels, Fields) ->
    Sometimes = names(iolist_to_binary(lists:join(" ", words(Fields, "\\*`[a-z_]+`\\*")))),
    Listed = #{levels => Levels, always => names(Fields) -- Sometimes, sometimes => Sometimes},
    [{Name, Listed} || Name <- names(Names)].

names(Text) ->
    [binary_to_atom(binary:replace(Name, <<"`">>, <<>>, [global])) || Name <- words(Text, "`[a-z_]+`")].

words(Text, Pattern) ->
    case re:run(Text, Pattern, [global, {capture, first, binary}]) of
        {match, Found} -> [Word || [Word] <- Found];
        nomatch -> []
    end.

%% @doc The events that the code can log.
-spec in_code() -> [logged()].
in_code() ->
    lists:flatmap(fun in_erlang/1, sources()) ++ in_library() ++ in_program().

%% @doc The Erlang sources.
-spec sources() -> [file:filename()].
sources() ->
    filelib:wildcard(path("erlang/*/*.erl")).

%% @doc The events that the admin program can log.
-spec in_program() -> [logged()].
in_program() ->
    Sources = filelib:wildcard(path("native/admin/src/**/*.rs")),
    lists:append([in_program(Source, Text) || Source <- Sources, {ok, Text} <- [file:read_file(Source)]]).

%% Matches `tracing::warn!(what = "name", field, %field, field = value)' and a `what' that a `let' defines.
in_program(Source, Text) ->
    [#{event => binary_to_atom(Name), file => string:slice(Source, length(path("")) + 1), line => 1, level => level(Level),
       fields => {all, [binary_to_atom(Field) || Field <- Fields]}}
     || [Level, Call] <- captured(Text, "tracing::([a-z]+)!\\(\\s*what((?:[^;\"]|\"[^\"]*\")*?)\\)[;,]\\s*\n"),
        [Name] <- captured(Call, "^ = \"([a-z_]+)\"") ++ [Given || [] =:= captured(Call, "^( = )"),
                                                               Given <- captured(Text, "let \\(what, [a-z_]+\\) = \\(\"([a-z_]+)\"")],
        Fields <- [lists:append(captured(Call, ",\\s*[%?]?([a-z_]+)"))]].

%% See native/admin/src/log.rs.
level(<<"warn">>) -> warning;
level(<<"info">>) -> notice;
level(<<"debug">>) -> info;
level(Level) -> binary_to_atom(Level).

%% The name follows the level, or is the first of a pair whose second may be absent.
in_library() ->
    {ok, Text} = file:read_file(path(?REPORTS)),
    Pattern = "(?:Level::[A-Z][a-z]+,\\s*|\\((?=\"[a-z_]+\",\\s*(?:None|Some)))\"([a-z_]+)\"",
    [#{event => binary_to_atom(Name), file => ?REPORTS, line => 1, level => unknown, fields => {some, []}}
     || [Name] <- captured(Text, Pattern)].

captured(Text, Pattern) ->
    case re:run(Text, Pattern, [global, {capture, all_but_first, binary}]) of
        {match, Found} -> Found;
        nomatch -> []
    end.

%% Erlang

in_erlang(Source) ->
    {ok, Forms} = epp:parse_file(Source, [{includes, [filename:dirname(Source)]}]),
    Functions = [Form || {function, _, _, _, _} = Form <- Forms],
    lists:append([in_clause(Clause, Name, Arity, Functions, string:slice(Source, length(path("")) + 1))
                  || {function, _, Name, Arity, Clauses} <- Functions, Clause <- Clauses]).

in_clause({clause, _, Head, _Guards, Body}, Function, Arity, Functions, File) ->
    Leveled = [{Level, Map} || {Level, Map} <- find(fun leveled/1, Body)],
    [#{event => Event, file => File, line => erl_anno:line(Anno), level => Level,
       fields => {Whole, [Key || {map_field_assoc, _, {atom, _, Key}, _} <- Fields, Key =/= what]}}
     || {Anno, Base, Fields, Map} <- find(fun map/1, Body),
        {map_field_assoc, _, {atom, _, what}, Value} <- Fields,
        {Level, Whole} <- [whole(Base, [Level || {Level, Report} <- Leveled, Report =:= Map])],
        Event <- events(Value, Head, {Function, Arity}, Functions)].

%% A map that is not logged where it stands may get more fields later.
whole(no_base, [Level]) -> {Level, all};
whole(base, [Level]) -> {Level, some};
whole(_Base, []) -> {unknown, some}.

%% A report that is logged where it stands.
leveled({call, _, {remote, _, {atom, _, mongoose_domain_log}, {atom, _, report}}, [{atom, _, Level}, Map, _Place]}) ->
    [{Level, Map}];
leveled(_Other) ->
    [].

map({map, Anno, Fields} = Map) -> [{Anno, no_base, Fields, Map}];
map({map, Anno, _Base, Fields} = Map) -> [{Anno, base, Fields, Map}];
map(_Other) -> [].

find(Is, Forms) when is_list(Forms) -> lists:flatmap(fun(Form) -> find(Is, Form) end, Forms);
find(Is, Form) when is_tuple(Form) -> Is(Form) ++ find(Is, tuple_to_list(Form));
find(_Is, _Else) -> [].

%% Events of the admin program, which in_program/0 reads.
events({call, _, {atom, _, known}, [_]}, _Head, {handle_frame, 2}, _Functions) ->
    [];
events({atom, _, Event}, _Head, _In, _Functions) ->
    [Event];
events({call, _, {atom, _, Called}, Arguments}, _Head, _In, Functions) ->
    [Event || {function, _, Name, Arity, Clauses} <- Functions, Name =:= Called, Arity =:= length(Arguments),
              {clause, _, Head, _, Body} <- Clauses,
              Event <- events(lists:last(Body), Head, {Name, Arity}, Functions)];
events({var, _, Variable}, Head, {Function, Arity}, Functions) ->
    case [Place || {Place, {var, _, Name}} <- lists:zip(lists:seq(1, Arity), Head), Name =:= Variable] of
        [Place] ->
            [Event || {function, _, Name, Its, Clauses} <- Functions, {clause, _, Outer, _, Body} <- Clauses,
                      Value <- find(fun(Form) -> argument(Place, Function, Arity, Form) end, Body),
                      Event <- events(Value, Outer, {Name, Its}, Functions)];
        _ ->
            [unclear]
    end;
events(_Other, _Head, _In, _Functions) ->
    [unclear].

argument(Place, Function, Arity, {call, _, {atom, _, Function}, Arguments}) when length(Arguments) =:= Arity ->
    [lists:nth(Place, Arguments)];
argument(_Place, _Function, _Arity, _Other) ->
    [].

%% @doc The path of a file of the project. The tests run in the project's directory or below its _build.
-spec path(file:filename()) -> file:filename().
path(File) ->
    path(filename:dirname(filename:absname(code:which(?MODULE))), File).

path("/", File) ->
    erlang:error({not_found, File});
path(Directory, File) ->
    case filelib:is_regular(filename:join(Directory, ?EVENTS)) of
        true -> filename:join(Directory, File);
        false -> path(filename:dirname(Directory), File)
    end.
