%% Runs domainctl against the door of a test's node and checks its output.
%%
%%   says(Config, ["add", "a.example", "type1"], "added a.example\n"),
%%   refused(Config, ["add", "static.example", "type1"], "Domain is static").
%%
%% In the configuration, `admin' is the environment for that door (md_command:admin/1) and `client' is a client of the
%% database.
-module(md_domainctl).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([command/2, says/3, refused/3, names/2, lines/1, shown/2, newest_event/1]).

-type config() :: [{atom(), term()}].

%% @doc Runs the command and returns its result.
-spec command(config(), [iodata()]) -> md_command:result().
command(Config, Args) ->
    md_command:run(Args, ?config(admin, Config)).

%% @doc The command succeeds and prints exactly this.
-spec says(config(), [iodata()], unicode:chardata()) -> ok.
says(Config, Args, Out) ->
    ?assertEqual(#{exit => 0, out => unicode:characters_to_binary(Out), err => <<>>}, command(Config, Args)).

%% @doc The command fails, and its error message contains these words.
-spec refused(config(), [iodata()], unicode:chardata()) -> ok.
refused(Config, Args, Words) ->
    #{exit := 1, out := <<>>, err := Err} = command(Config, Args),
    ?assertMatch({_, _}, binary:match(Err, unicode:characters_to_binary(Words))).

%% @doc The names that `list' prints with these options.
-spec names(config(), [iodata()]) -> [binary()].
names(Config, Filter) ->
    #{exit := 0, out := Out} = command(Config, ["list" | Filter]),
    [Name || [Name | _] <- tl(lines(Out))].

%% @doc The words of each line.
-spec lines(binary()) -> [[binary()]].
lines(Text) ->
    [binary:split(Line, <<" ">>, [global, trim_all]) || Line <- binary:split(Text, <<"\n">>, [global, trim_all])].

%% @doc Waits until a running command has printed this.
-spec shown(md_command:t(), binary()) -> ok.
shown(Watch, Text) ->
    md_wait:until(fun() -> binary:match(md_command:output(Watch), Text) =/= nomatch end).

%% @doc The id of the newest event.
-spec newest_event(config()) -> binary().
newest_event(Config) ->
    [[Id]] = md_client:query(?config(client, Config), "SELECT coalesce(max(id), 0) FROM domain_events"),
    Id.
