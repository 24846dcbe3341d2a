%% A formatter for the logger of OTP: each report is one line of JSON (RFC 8259), for programs that collect logs.
%%
%%   {kernel, [{logger, [{handler, default, logger_std_h, #{formatter => {mongoose_domain_log_json, #{}}}}]}]}
%%
%%   {"time":"2023-11-14T22:13:20.000001Z","level":"error","what":"domain_database_away","reason":"connection refused",
%%    "at":"service_domain_db:104"}
%%
%% (On one line.) Numbers, booleans and texts of a report are JSON's; any other term is a text, as Erlang writes it. What is
%% no report of this application is the text `message'. Every byte is ASCII: other characters are escaped, so that no
%% encoding of a terminal or a file can break a line. mongoose_domain_log_line writes lines for people.
-module(mongoose_domain_log_json).

-export([check_config/1, format/2]).

%% Characters of a text, and of a message that is no report of this application.
-define(LONGEST, 4000).

%% @doc Whether the configuration is one of this formatter, which has nothing to configure. For the logger.
-spec check_config(logger:formatter_config()) -> ok | {error, term()}.
check_config(Config) when map_size(Config) =:= 0 -> ok;
check_config(Config) -> {error, {?MODULE, expected, #{}, got, Config}}.

%% @doc The event as a line. For the logger.
-spec format(logger:log_event(), #{}) -> unicode:chardata().
format(#{level := Level, msg := Message, meta := #{time := Time} = Meta} = Event, #{}) ->
    Shown = calendar:system_time_to_rfc3339(Time, [{unit, microsecond}, {offset, "Z"}]),
    Members = [{"time", text(Shown)}, {"level", text(atom_to_list(Level))} | members(Message, Event)] ++ place(Meta),
    [${, lists:join($,, [[text(Name), $:, Value] || {Name, Value} <- Members]), "}\n"].

members({report, #{what := _} = Report}, _Event) ->
    Terms = maps:fold(fun(Name, Term, Named) -> Named#{unicode:characters_to_list(name(Name)) => Term} end, #{}, Report),
    [{Name, value(map_get(Name, Terms), Text)}
     || {Named, Text} <- mongoose_domain_log:fields(Report, ?LONGEST), Name <- [unicode:characters_to_list(Named)]];
members(_Message, Event) ->
    [{"message", text(logger_formatter:format(Event, #{template => [msg], single_line => true, chars_limit => ?LONGEST}))}].

name(Name) when is_binary(Name) -> Name;
name(Name) -> io_lib:format("~tw", [Name]).

place(#{mfa := {Module, _, _}, line := Line}) -> [{"at", text([atom_to_list(Module), $:, integer_to_list(Line)])}];
place(_Meta) -> [].

%% The term, or where JSON has none of its kind, the text of it.
value(Number, _Text) when is_integer(Number) -> integer_to_list(Number);
value(Number, _Text) when is_float(Number) -> io_lib:format("~w", [Number]);
value(Boolean, _Text) when is_boolean(Boolean) -> atom_to_list(Boolean);
value(Binary, Text) when is_binary(Binary) ->
    case unicode:characters_to_list(Binary) of
        Characters when is_list(Characters) -> text(string:slice(Characters, 0, ?LONGEST));
        _NotUtf8 -> text(Text)
    end;
value(_Term, Text) -> text(Text).

text(Text) ->
    [$", [escaped(Character) || Character <- unicode:characters_to_list(Text)], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped($\n) -> "\\n";
escaped(Character) when Character >= $\s, Character < 127 -> Character;
%% JSON writes a character beyond U+FFFF as two units of UTF-16.
escaped(Character) ->
    [io_lib:format("\\u~4.16.0b", [Unit]) || <<Unit:16>> <= unicode:characters_to_binary([Character], unicode, utf16)].
