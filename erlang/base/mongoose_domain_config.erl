%% Reads the application environment of mongoose_domain.
%%
%% mongoose_domain_config_keys defines the keys, their types and defaults; what read/0 returns has every key. A value of
%% the wrong type is a problem that names its key, the value and what was expected, and the application does not start;
%% one that turns wrong later stops nothing. An entry of `hosts' or `host_types' that cannot be a name is no problem:
%% mongoose_domain_core reports it and leaves it out, so that one bad tenant does not keep a thousand others offline.
%%
%% A text may be a binary, a string or an atom (mongoose_domain_text); what read/0 returns has binaries. A value that is
%% `undefined', `nil' or `null' is not given.
%%
%% The database's URL may hold a password. It is not part of a problem, and only database_url/1 reads it. The native
%% threads read it again for each connection, from where database_source/1 says that it is.
-module(mongoose_domain_config).

-export([read/0, of_environment/1, service/0, override_service/1, services/0, modules/1, admin/0, unknown_keys/0]).
-export([database_url/1, database_source/1, snapshot_file/1]).
-export([repeated_operations/0, visibility_timeout/0, router/0]).

-export_type([t/0, service/0, problem/0]).

-type t() :: #{
    hosts := [mongoose_domain_core:pair()],
    host_types := [mongoose_domain_core:host_type()],
    data_dir := file:filename_all() | undefined,
    repeated_operations := ok | error,
    router := module(),
    service_domain_db := service() | disabled,
    services := mongoose_domain_config_components:options(),
    modules := #{all | mongoose_domain_core:host_type() => mongoose_domain_config_components:options()},
    removal_handlers :=
        #{all | mongoose_domain_core:host_type() => [mongoose_domain_config_components:removal_handler()]},
    subdomains := #{all | mongoose_domain_core:host_type() => [mongoose_domain_config_components:subdomain()]},
    admin := mongoose_domain_config_admin:t() | closed,
    integration := module() | none
}.
%% Its other keys are those of the section `service_domain_db' in mongoose_domain_config_keys.
-type service() :: #{database := database(), atom() => term()}.
%% A pool is one that the integration knows.
-type database() :: mongoose_domain_secret:t() | {pool, atom()}.
-type problem() :: mongoose_domain_config_problem:t().

%% @doc The checked configuration. Makes the data directory where it is not there.
-spec read() -> {ok, t()} | {error, problem()}.
read() ->
    of_environment(environment()).

%% @doc The same of an environment that is not in force.
-spec of_environment(#{atom() => term()}) -> {ok, t()} | {error, problem()}.
of_environment(Environment) ->
    Env = known(Environment),
    checked(fun() ->
        Config = maps:from_list([{Key, check(Key, maps:get(Key, Env, Default))}
                                 || {Key, _Type, _Unit, Default} <- mongoose_domain_config_keys:keys(application)]),
        ok = mongoose_domain_config_components:check_host_types(Config),
        Config
    end).

%% @doc The checked options of the service alone: an error where there is none. Touches no file.
-spec service() -> {ok, service()} | {error, problem()}.
service() ->
    only(service_domain_db).

%% @doc What the admin program gets. An error where there is to be none.
-spec admin() -> {ok, mongoose_domain_config_admin:t()} | {error, problem()}.
admin() ->
    only(admin).

only(Key) ->
    Absent = mongoose_domain_config_keys:default(application, Key),
    case checked(fun() -> check(Key, given(Key)) end) of
        {ok, Absent} -> {error, #{key => Key, value => Absent, expected => <<"a map">>}};
        Checked -> Checked
    end.

%% @doc The environment's options of the service with these instead, as far as they are known; checked.
-spec override_service(map()) -> {ok, map()} | {error, problem()}.
override_service(Options) ->
    Keys = [Key || {Key, _, _, _} <- mongoose_domain_config_keys:keys(service_domain_db)],
    Known = mongoose_domain_text:without_absent(maps:with(Keys, Options)),
    Merged = case given(service_domain_db) of
        #{} = Environment -> maps:merge(Environment, Known);
        _Disabled -> Known
    end,
    checked(fun() ->
        _ = check(service_domain_db, Merged),
        Merged
    end).

checked(Check) ->
    try
        {ok, Check()}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc The configured services, each with its options. service_domain_db counts as one when its key is there; its
%% options are without the URL, which stays where it is. Fails where the environment has turned wrong.
-spec services() -> mongoose_domain_config_components:options().
services() ->
    Others = right(services),
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{} = Options -> Others#{service_domain_db => maps:remove(database, Options)};
        _Disabled -> Others
    end.

%% @doc The configured modules of a host type, each with its options. Fails where the environment has turned wrong.
-spec modules(mongoose_domain_core:host_type()) -> mongoose_domain_config_components:options().
modules(HostType) ->
    case right(modules) of
        #{HostType := Own} -> Own;
        #{all := Modules} -> Modules;
        #{} -> #{}
    end.

right(Key) ->
    case checked(fun() -> check(Key, given(Key)) end) of
        {ok, Value} -> Value;
        {error, Problem} -> erlang:error({wrong_configuration, Problem})
    end.

%% A default needs no check, and need not be of the key's type.
check(Key, Value) ->
    {Key, Type, _Unit, Default} = lists:keyfind(Key, 1, mongoose_domain_config_keys:keys(application)),
    case Value of
        Default -> Default;
        _ when Key =:= admin -> mongoose_domain_config_admin:check(mongoose_domain_config_check:value(Key, Type, Value));
        _ -> mongoose_domain_config_check:value(Key, Type, Value)
    end.

%% @doc What a repeated change returns; may be changed at run time.
-spec repeated_operations() -> ok | error.
repeated_operations() ->
    given(repeated_operations).

%% @doc How long a change waits until the table shows it, in milliseconds; may be changed at run time.
-spec visibility_timeout() -> pos_integer().
visibility_timeout() ->
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{visibility_timeout := Timeout} when is_integer(Timeout) -> Timeout;
        _ -> mongoose_domain_config_keys:default(service_domain_db, visibility_timeout)
    end.

%% @doc The router, loaded if it can be.
-spec router() -> module().
router() ->
    Router = given(router),
    _ = code:ensure_loaded(Router),
    Router.

%% @doc The keys in the environment that are not defined, most likely by a typing error.
-spec unknown_keys() -> [atom()].
unknown_keys() ->
    maps:keys(environment()) -- [Key || {Key, _, _, _} <- mongoose_domain_config_keys:keys(application)].

given(Key) ->
    Default = mongoose_domain_config_keys:default(application, Key),
    Value = application:get_env(mongoose_domain, Key, Default),
    case mongoose_domain_text:is_absent(Value) of
        true -> Default;
        false -> Value
    end.

environment() ->
    known(maps:from_list(application:get_all_env(mongoose_domain))).

known(Environment) ->
    mongoose_domain_text:without_absent(maps:remove(included_applications, Environment)).

%% @doc The URL, from wherever the configuration keeps it.
-spec database_url(database()) -> {ok, binary()} | {error, problem()}.
database_url({pool, Pool}) ->
    case mongoose_domain_integration:database_url(Pool) of
        {ok, Url} -> database_url(Url);
        {error, Why} -> {error, #{key => [service_domain_db, database], value => {pool, Pool},
                                  expected => unicode:characters_to_binary(Why)}}
    end;
database_url(Database) ->
    checked(fun() -> mongoose_domain_secret:read([service_domain_db, database], Database, "a URL") end).

%% @doc Where the URL is, once it could be read there.
-spec database_source(database()) -> {ok, mongoose_domain_nif:source()} | {error, problem()}.
database_source(Database) ->
    case database_url(Database) of
        {ok, Url} ->
            case source(Database) of
                text -> {ok, {url, Url}};
                Place -> {ok, Place}
            end;
        {error, Problem} -> {error, Problem}
    end.

source({pool, _Pool}) -> text;
source(Database) -> mongoose_domain_secret:source([service_domain_db, database], Database).

%% @doc Where a node keeps its routes for a start without the database, if it does.
-spec snapshot_file(t()) -> binary() | undefined.
snapshot_file(#{data_dir := Dir, service_domain_db := #{warm_start := true}}) when Dir =/= undefined ->
    %% read/0 has checked that the name can be encoded.
    {ok, Bytes} = mongoose_domain_secret:encoded(filename:join(Dir, "routes.snapshot")),
    Bytes;
snapshot_file(_Config) ->
    undefined.
