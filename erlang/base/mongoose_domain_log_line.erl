%% A formatter for the logger of OTP. Each report is one line of `name=value' pairs, which an operator reads and programs parse.
%%
%%   {kernel, [{logger, [{handler, default, logger_std_h,
%%                        #{formatter => {mongoose_domain_log_line, #{target => journal}}}}]}]}
%%
%%   <3>what=domain_database_away level=error reason="connection refused" at=service_domain_db:104
%%
%% The journal of systemd cuts its input into lines, so a report of several lines would be several entries there, of which
%% a filter shows one. It reads the priority of an entry from the number at the line's beginning, and keeps the time itself.
%% Where standard output leads elsewhere (`target => console'), a line begins with the time instead.
-module(mongoose_domain_log_line).

-export([check_config/1, format/2]).

-type config() :: #{target := journal | console}.

%% Characters of a field, and of a message that is no report of this application. The journal cuts a line at 48 KiB.
-define(LONGEST, 4000).

%% @doc Whether the configuration is one of this formatter. For the logger.
-spec check_config(logger:formatter_config()) -> ok | {error, term()}.
check_config(#{target := Target} = Config) when map_size(Config) =:= 1, Target =:= journal orelse Target =:= console -> ok;
check_config(Config) -> {error, {?MODULE, expected, #{target => [journal, console]}, got, Config}}.

%% @doc The event as a line. For the logger.
-spec format(logger:log_event(), config()) -> unicode:chardata().
format(#{level := Level, msg := Message, meta := Meta} = Event, #{target := Target}) ->
    [begins(Target, Level, Meta), lists:join(" ", pairs(Message, Level, Event) ++ place(Meta)), "\n"].

begins(journal, Level, _Meta) -> ["<", priority(Level), ">"];
begins(console, _Level, #{time := Time}) ->
    ["time=", calendar:system_time_to_rfc3339(Time, [{unit, microsecond}, {offset, "Z"}]), " "].

%% RFC 5424's numbers.
priority(emergency) -> "0";
priority(alert) -> "1";
priority(critical) -> "2";
priority(error) -> "3";
priority(warning) -> "4";
priority(notice) -> "5";
priority(info) -> "6";
priority(debug) -> "7".

pairs({report, #{what := _} = Report}, Level, _Event) ->
    [{_, What} | Fields] = mongoose_domain_log:fields(Report, ?LONGEST),
    [pair("what", What), level(Level) | [pair(Name, Value) || {Name, Value} <- Fields]];
pairs(_Message, Level, Event) ->
    Text = logger_formatter:format(Event, #{template => [msg], single_line => true, chars_limit => ?LONGEST}),
    [level(Level), ["message=", quoted(unicode:characters_to_list(Text))]].

level(Level) ->
    ["level=", atom_to_list(Level)].

place(#{mfa := {Module, _, _}, line := Line}) -> [["at=", atom_to_list(Module), ":", integer_to_list(Line)]];
place(_Meta) -> [].

pair(Name, Value) ->
    [Name, "=", value(unicode:characters_to_list(Value))].

%% A text is quoted already, with its control characters escaped. Of other terms those are quoted that a reader of pairs
%% would take apart.
value([$" | _] = Quoted) -> Quoted;
value(Text) ->
    case lists:any(fun(Character) -> Character =< $\s orelse Character =:= $" orelse Character =:= $= end, Text) of
        true -> quoted(Text);
        false -> Text
    end.

quoted(Text) ->
    [$", [escaped(Character) || Character <- Text], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped($\n) -> "\\n";
escaped(Character) when Character < $\s; Character >= 127, Character < 160 -> io_lib:format("\\x{~.16B}", [Character]);
escaped(Character) -> Character.
