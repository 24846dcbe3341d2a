%% The application environment of mongoose_domain, read and checked in one place.
%%
%% A value of the wrong shape is an error that names its key, the value and what was expected, and
%% the application does not start; one that turns wrong later stops nothing. An entry of `hosts' or
%% `host_types' that cannot be a name is no error: mongoose_domain_core reports it and leaves it out,
%% so that one bad tenant does not keep a thousand others offline.
%%
%% Defaults are filled in here; what read/0 answers has every key. The database's URL may hold a
%% password: it is not part of an error, and database_url/1 is the only place that reads it.
-module(mongoose_domain_config).

-export([read/0, service/0, unknown_keys/0, database_url/1, snapshot_file/1]).
-export([repeated_operations/0, visibility_timeout/0]).

-export_type([t/0, service/0, problem/0]).

-type t() :: #{
    hosts := [mongoose_domain_core:pair()],
    host_types := [mongoose_domain_core:host_type()],
    data_dir := file:filename_all() | undefined,
    repeated_operations := ok | error,
    service_domain_db := service() | disabled
}.
%% Times in milliseconds, but for the two that MongooseIM gives in seconds and snapshot_max_age.
-type service() :: #{
    database := database(),
    poll_interval := pos_integer(),
    converge_interval := pos_integer(),
    convergence_gate := off | on_loss | always,
    max_removal_share := float(),
    warm_start := boolean(),
    snapshot_interval := pos_integer(),
    snapshot_max_age := pos_integer(),
    event_cleaning_interval := pos_integer(),
    event_max_age := pos_integer(),
    pool_size := pos_integer(),
    queue_limit := pos_integer(),
    operation_timeout := pos_integer(),
    visibility_timeout := pos_integer(),
    password_iterations := pos_integer(),
    removal_lease := pos_integer(),
    connect_timeout := pos_integer(),
    statement_timeout := pos_integer(),
    lock_timeout := pos_integer()
}.
-type database() :: unicode:chardata() | {env, string()} | {file, file:filename_all()}.
-type problem() :: #{key := atom() | [atom()], value := term(), expected := unicode:chardata()}.

-define(NOT_SHOWN, '(not shown, it may hold a password)').

%% @doc The checked configuration. Makes sure that the data directory is there.
-spec read() -> {ok, t()} | {error, problem()}.
read() ->
    Env = environment(),
    try
        Config = maps:from_list([{Key, check(Key, maps:get(Key, Env, Default))} || {Key, Default} <- defaults()]),
        {ok, Config}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc The checked options of the service alone: an error where there is none. Touches no file.
-spec service() -> {ok, service()} | {error, problem()}.
service() ->
    try check(service_domain_db, application:get_env(mongoose_domain, service_domain_db, disabled)) of
        disabled -> {error, #{key => service_domain_db, value => disabled, expected => <<"a map">>}};
        Service -> {ok, Service}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc What a repeated change answers; may be changed at run time.
-spec repeated_operations() -> ok | error.
repeated_operations() ->
    application:get_env(mongoose_domain, repeated_operations, ok).

%% @doc How long a change waits until the table shows it, in milliseconds; may be changed at run time.
-spec visibility_timeout() -> pos_integer().
visibility_timeout() ->
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{visibility_timeout := Timeout} -> Timeout;
        _ -> map_get(visibility_timeout, service_defaults())
    end.

%% @doc The keys in the environment that mean nothing here: most likely slips of the pen.
-spec unknown_keys() -> [atom()].
unknown_keys() ->
    maps:keys(environment()) -- proplists:get_keys(defaults()).

environment() ->
    maps:remove(included_applications, maps:from_list(application:get_all_env(mongoose_domain))).

%% @doc The URL, from wherever the configuration keeps it.
-spec database_url(database()) -> {ok, binary()} | {error, problem()}.
database_url({env, Name}) ->
    case os:getenv(Name) of
        false -> database_problem({env, Name}, "an environment variable that is set");
        Value -> url(Value, {env, Name})
    end;
database_url({file, Path}) ->
    case file:read_file(Path) of
        {ok, Text} -> url(string:trim(Text), {file, Path});
        {error, Reason} -> database_problem({file, Path}, ["a file that can be read: ", file:format_error(Reason)])
    end;
database_url(Url) ->
    url(Url, ?NOT_SHOWN).

%% @doc Where a node keeps its routes for a start without the database, if it does.
-spec snapshot_file(t()) -> binary() | undefined.
snapshot_file(#{data_dir := Dir, service_domain_db := #{warm_start := true}}) when Dir =/= undefined ->
    filename_bytes(filename:join(Dir, "routes.snapshot"));
snapshot_file(_Config) ->
    undefined.

%% read/0 has seen to it that the name can be encoded.
filename_bytes(Name) ->
    {ok, Bytes} = encoded(Name),
    Bytes.

encoded(Name) when is_binary(Name) ->
    {ok, Name};
encoded(Name) ->
    case unicode:characters_to_binary(Name, unicode, file:native_name_encoding()) of
        Bytes when is_binary(Bytes) -> {ok, Bytes};
        _ -> error
    end.

url(Text, Shown) ->
    try unicode:characters_to_binary(Text) of
        Url when is_binary(Url), Url =/= <<>> -> {ok, Url};
        _ -> no_url(Shown)
    catch
        error:badarg -> no_url(Shown)
    end.

no_url(Shown) ->
    database_problem(Shown, "a URL as UTF-8 text, and not an empty one").

database_problem(Value, Expected) ->
    {error, #{key => [service_domain_db, database], value => Value, expected => Expected}}.

defaults() ->
    [{hosts, []}, {host_types, []}, {data_dir, undefined}, {repeated_operations, ok}, {service_domain_db, disabled}].

service_defaults() ->
    #{poll_interval => 30000, converge_interval => 300000, convergence_gate => on_loss, max_removal_share => 0.5,
      warm_start => true, snapshot_interval => 300000, snapshot_max_age => 604800,
      event_cleaning_interval => 1800, event_max_age => 7200, pool_size => 4, queue_limit => 1000,
      operation_timeout => 10000, visibility_timeout => 5000, password_iterations => 10000,
      removal_lease => 30000, connect_timeout => 5000, statement_timeout => 30000, lock_timeout => 5000}.

check(hosts, Hosts) when is_list(Hosts), length(Hosts) >= 0 ->
    [host(Host) || Host <- Hosts];
check(hosts, Value) ->
    wrong(hosts, Value, "a list of {Domain, HostType}, or of Domain for one that is its own host type");
check(host_types, HostTypes) when is_list(HostTypes), length(HostTypes) >= 0 ->
    HostTypes;
check(host_types, Value) ->
    wrong(host_types, Value, "a list of binaries");
check(data_dir, undefined) ->
    undefined;
check(data_dir, Dir) ->
    case is_filename(Dir) andalso encoded(Dir) =/= error andalso filelib:ensure_path(Dir) of
        ok -> Dir;
        false ->
            Encoding = file:native_name_encoding(),
            wrong(data_dir, Dir, io_lib:format("the name of a directory, in ~s, as files are named here", [Encoding]));
        {error, Reason} ->
            wrong(data_dir, Dir, ["a directory that is there or can be made: ", file:format_error(Reason)])
    end;
check(repeated_operations, Value) when Value =:= ok; Value =:= error ->
    Value;
check(repeated_operations, Value) ->
    wrong(repeated_operations, Value, "ok or error");
check(service_domain_db, disabled) ->
    disabled;
check(service_domain_db, #{database := Database} = Options) ->
    check_database(Database),
    Defaults = service_defaults(),
    maps:foreach(fun check_option/2, maps:remove(database, Options)),
    float_share(maps:merge(Defaults, Options));
check(service_domain_db, Options) when is_map(Options) ->
    wrong([service_domain_db, database], undefined, "the database to follow: this key must be there");
check(service_domain_db, Value) ->
    wrong(service_domain_db, shown(Value), "a map, or no such key where there is no database").

%% A share may be written as 0 or 1.
float_share(#{max_removal_share := Share} = Options) -> Options#{max_removal_share := float(Share)}.

host({_Domain, _HostType} = Pair) -> Pair;
host(Domain) when is_binary(Domain) -> {Domain, Domain};
host(Other) -> wrong(hosts, Other, "{Domain, HostType}, or Domain for one that is its own host type").

check_database({env, Name}) when is_list(Name), Name =/= [] ->
    ok;
check_database({file, Path}) ->
    is_filename(Path) orelse wrong([service_domain_db, database], {file, Path}, "the name of a file");
check_database(Url) when is_binary(Url); is_list(Url) ->
    ok;
check_database(_Other) ->
    Expected = "\"postgres://...\", \"sqlite:FILE\", {env, \"NAME\"} or {file, \"PATH\"}",
    wrong([service_domain_db, database], ?NOT_SHOWN, Expected).

check_option(convergence_gate, Value) ->
    lists:member(Value, [off, on_loss, always])
        orelse wrong([service_domain_db, convergence_gate], shown(Value), "off, on_loss or always");
check_option(max_removal_share, Value) ->
    is_number(Value) andalso Value >= 0 andalso Value =< 1
        orelse wrong([service_domain_db, max_removal_share], shown(Value), "a number from 0 to 1");
check_option(warm_start, Value) ->
    is_boolean(Value) orelse wrong([service_domain_db, warm_start], shown(Value), "true or false");
check_option(Key, Value) ->
    case service_defaults() of
        #{Key := _} ->
            Most = most(Key),
            is_integer(Value) andalso Value > 0 andalso Value =< Most
                orelse wrong([service_domain_db, Key], shown(Value), io_lib:format("an integer from 1 to ~b", [Most]));
        Known ->
            Keys = [database | maps:keys(Known)],
            wrong([service_domain_db, Key], ?NOT_SHOWN, io_lib:format("no such key; known are ~p", [Keys]))
    end.

%% More iterations than that no stored password is compared with; threads and what waits for them take memory.
most(password_iterations) -> 10000000;
most(pool_size) -> 1000;
most(queue_limit) -> 1000000;
most(_Times) -> 16#FFFFFFFF.

%% What is meant to be a number and is a text may be a URL in the wrong place.
shown(Value) when is_number(Value); is_atom(Value) -> Value;
shown(Value) ->
    Text = try unicode:characters_to_list(Value) catch error:badarg -> not_text end,
    case io_lib:printable_unicode_list(Text) andalso string:find(Text, "://") =:= nomatch of
        true -> Value;
        false -> ?NOT_SHOWN
    end.

is_filename(Name) when is_binary(Name) -> Name =/= <<>>;
is_filename(Name) -> is_list(Name) andalso Name =/= [] andalso io_lib:char_list(Name).

-spec wrong(atom() | [atom()], term(), unicode:chardata()) -> no_return().
wrong(Key, Value, Expected) ->
    throw({wrong, #{key => Key, value => Value, expected => unicode:characters_to_binary(Expected)}}).
