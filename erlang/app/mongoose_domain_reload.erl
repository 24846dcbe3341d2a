%% Reads the files of the configuration (`-config') again, and applies what may change while the node runs:
%%
%%   repeated_operations, visibility_timeout    for the changes that come
%%   admin                                      the door is closed and opened
%%   kernel's logger_level                      for the reports that come
%%
%% The other keys are in use by the table, the follower and the workers, and need a restart; a report names those that
%% differ. They stay as they are in the environment, too: a process that is restarted later must not find half of a
%% new configuration. A configuration with a fault changes nothing.
%%
%% Keys that are on the node's command line (`-mongoose_domain KEY VALUE') come before those of the files, as at the start.
-module(mongoose_domain_reload).

-export([reload/0, read/1]).

-export_type([outcome/0, problem/0]).

-include("../base/mongoose_domain_log.hrl").

%% The keys whose new values are in force, and those that need a restart.
-type outcome() :: #{applied := [key()], needs_restart := [key()]}.
-type key() :: atom() | [atom()].
-type problem() :: {wrong_configuration, mongoose_domain_config:problem()} | {not_read, file:filename(), Reason :: binary()}.
-type environments() :: #{Application :: atom() => #{atom() => term()}}.

%% @doc Reads the files that the node was started with, and applies what may change. The log has what became of it. Fails
%% with `{not_running, mongoose_domain}' where the application does not run.
-spec reload() -> {ok, outcome()} | {error, problem()}.
reload() ->
    _ = mongoose_domain_running:process(mongoose_domain_sup),
    case read([File || {config, Files} <- init:get_arguments(), File <- Files]) of
        {ok, #{mongoose_domain := New} = Environments} ->
            Outcome = #{applied := Applied, needs_restart := Kept} =
                changes(checked(maps:from_list(application:get_all_env(mongoose_domain))), checked(New)),
            lists:foreach(fun(Key) -> put_in_force(Key, New) end, Applied),
            ok = mongoose_domain_log:set_level(maps:get(logger_level, maps:get(kernel, Environments, #{}), notice)),
            ?LOG_NOTICE(#{what => configuration_read, application => mongoose_domain, applied => Applied}),
            Kept =:= [] orelse
                ?LOG_WARNING(#{what => configuration_needs_restart, application => mongoose_domain, keys => Kept}),
            {ok, Outcome};
        {error, {wrong_configuration, Problem}} = Error ->
            ?LOG_ERROR(Problem#{what => wrong_configuration, application => mongoose_domain}),
            Error;
        {error, {not_read, File, Reason}} = Error ->
            ?LOG_ERROR(#{what => configuration_not_read, application => mongoose_domain, file => File, reason => Reason}),
            Error
    end.

%% @doc The environments of these files, that of mongoose_domain with the command line's keys. It is checked.
-spec read([file:filename()]) -> {ok, environments()} | {error, problem()}.
read(Files) ->
    try
        Environments = lists:foldl(fun(File, Before) -> merged(file(File), Before) end, #{mongoose_domain => #{}}, Files),
        #{mongoose_domain := Own} = All = merged(#{mongoose_domain => command_line()}, Environments),
        case mongoose_domain_config:of_environment(Own) of
            {ok, _Checked} -> {ok, All};
            {error, Problem} -> {error, {wrong_configuration, Problem}}
        end
    catch
        throw:{not_read, _, _} = NotRead -> {error, NotRead}
    end.

merged(Environments, Before) ->
    maps:merge_with(fun(_Application, Old, New) -> maps:merge(Old, New) end, Before, Environments).

%% As the VM reads it at the start: a name without its ending, and names of further files in the list.
file(Name) ->
    Path = case filename:extension(Name) of
        ".config" -> Name;
        _ -> Name ++ ".config"
    end,
    case file:consult(Path) of
        {ok, [Entries]} when is_list(Entries) ->
            lists:foldl(fun(Entry, Before) -> merged(entry(Path, Entry), Before) end, #{}, Entries);
        {ok, _Others} -> not_read(Path, "expected is one list, which ends with a full stop");
        {error, Reason} -> not_read(Path, file:format_error(Reason))
    end.

entry(_Path, {Application, Environment}) when is_atom(Application), is_list(Environment) ->
    #{Application => maps:from_list(Environment)};
entry(Path, [Character | _] = Included) when is_integer(Character) ->
    file(filename:absname(Included, filename:dirname(Path)));
entry(Path, _Other) ->
    not_read(Path, "an entry is neither {Application, [{Key, Value}]} nor the name of a file").

-spec not_read(file:filename(), unicode:chardata()) -> no_return().
not_read(Path, Reason) ->
    throw({not_read, Path, unicode:characters_to_binary(Reason)}).

command_line() ->
    Keys = [list_to_atom(Key) || {mongoose_domain, Words} <- init:get_arguments(), Key <- every_other(Words)],
    maps:from_list([{Key, Value} || Key <- Keys, {ok, Value} <- [application:get_env(mongoose_domain, Key)]]).

every_other([Key, _Value | More]) -> [Key | every_other(More)];
every_other(_End) -> [].

%% An environment that was right and is not any more (a file with a password is gone) has no values to compare.
checked(Environment) ->
    case mongoose_domain_config:of_environment(Environment) of
        {ok, Config} -> Config;
        {error, _Problem} -> #{}
    end.

changes(Old, New) ->
    Changed = lists:append([changed(Key, maps:get(Key, Old, undefined), Value) || {Key, Value} <- maps:to_list(New)]),
    {Applied, Kept} = lists:partition(fun may_change/1, lists:usort(Changed)),
    #{applied => Applied, needs_restart => Kept}.

changed(Key, Same, Same) -> credentials_may_differ(Key, Same);
changed(service_domain_db, #{} = Old, #{} = New) ->
    [[service_domain_db, Key] || {Key, Value} <- maps:to_list(New), maps:get(Key, Old) =/= Value];
changed(Key, _Old, _New) -> [Key].

%% A password that is read from a file or a variable may be another one than the door has, while both readings are equal.
credentials_may_differ(admin, #{credentials := #{}}) -> [admin];
credentials_may_differ(_Key, _Same) -> [].

may_change(Key) ->
    lists:member(Key, [admin, repeated_operations, [service_domain_db, visibility_timeout]]).

put_in_force(admin, New) ->
    ok = set(admin, New),
    ok = mongoose_domain_sup:close_door(),
    ok = mongoose_domain_sup:open_door();
put_in_force([service_domain_db, Key], #{service_domain_db := New}) ->
    {ok, Old} = application:get_env(mongoose_domain, service_domain_db),
    Options = maps:merge(maps:remove(Key, Old), maps:with([Key], New)),
    application:set_env(mongoose_domain, service_domain_db, Options);
put_in_force(Key, New) ->
    set(Key, New).

set(Key, #{} = New) ->
    case New of
        #{Key := Value} -> application:set_env(mongoose_domain, Key, Value);
        #{} -> application:unset_env(mongoose_domain, Key)
    end.
