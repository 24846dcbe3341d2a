%% The application environment of mongoose_domain, read and checked in one place.
%%
%% A value of the wrong shape is an error that names its key, the value and what was expected, and
%% the application does not start; one that turns wrong later stops nothing. An entry of `hosts' or
%% `host_types' that cannot be a name is no error: mongoose_domain_core reports it and leaves it out,
%% so that one bad tenant does not keep a thousand others offline.
%%
%% A text may be a binary, a string or an atom (mongoose_domain_text); what read/0 answers has binaries. A value that is
%% `undefined' or `nil' is none.
%%
%% Defaults are filled in here; what read/0 answers has every key. The database's URL may hold a
%% password: it is not part of an error, and database_url/1 is the only place that reads it. The native threads read it
%% again for each connection, from where database_source/1 says that it is.
-module(mongoose_domain_config).

-export([read/0, service/0, override_service/1, admin/0, unknown_keys/0, database_url/1, snapshot_file/1]).
-export([database_source/1]).
-export([services/0, modules/1]).
-export([repeated_operations/0, visibility_timeout/0, router/0, given/2]).

-export_type([t/0, service/0, admin/0, problem/0]).

-type t() :: #{
    hosts := [mongoose_domain_core:pair()],
    host_types := [mongoose_domain_core:host_type()],
    data_dir := file:filename_all() | undefined,
    repeated_operations := ok | error,
    router := module(),
    service_domain_db := service() | disabled,
    services := #{module() => map()},
    modules := #{all | mongoose_domain_core:host_type() => #{module() => map()}},
    removal_handlers := #{all | mongoose_domain_core:host_type() => [mongoose_domain_config_components:removal_handler()]},
    subdomains := #{all | mongoose_domain_core:host_type() => [mongoose_domain_config_components:subdomain()]},
    admin := admin() | closed
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
%% What the admin program is told. It holds a password: it is kept nowhere and shown in no log.
-type admin() :: #{
    ip := binary(),
    port := inet:port_number(),
    credentials := #{username := binary(), password := binary()} | undefined,
    tls := #{certificate | key := binary(), client_ca := binary() | undefined, client_certificate := optional | required,
             allowed_names := [binary()] | undefined} | undefined,
    host_names := [binary()],
    allowed_origins := [binary()],
    %% Milliseconds.
    keep_alive := pos_integer(),
    ask := #{ip := binary(), port := inet:port_number()} | undefined
}.
-type secret() :: unicode:chardata() | {env, text()} | {file, file:filename_all() | atom()}.
-type text() :: unicode:chardata() | atom().
-type database() :: secret().
-type problem() :: #{key := atom() | [atom() | binary()], value := term(), expected := unicode:chardata()}.

-define(NOT_SHOWN, '(not shown, it may hold a password)').

%% @doc The checked configuration. Makes sure that the data directory is there.
-spec read() -> {ok, t()} | {error, problem()}.
read() ->
    Env = environment(),
    try
        Config = maps:from_list([{Key, check(Key, maps:get(Key, Env, Default))} || {Key, Default} <- defaults()]),
        ok = mongoose_domain_config_components:check_host_types(Config),
        {ok, Config}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc The checked options of the service alone: an error where there is none. Touches no file.
-spec service() -> {ok, service()} | {error, problem()}.
service() ->
    try check(service_domain_db, given(service_domain_db, disabled)) of
        disabled -> {error, #{key => service_domain_db, value => disabled, expected => <<"a map">>}};
        Service -> {ok, Service}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc The environment's options of the service with these instead, as far as they are known; checked.
-spec override_service(map()) -> {ok, map()} | {error, problem()}.
override_service(Options) ->
    Known = without_absent(maps:with([database | maps:keys(service_defaults())], Options)),
    Merged = case given(service_domain_db, disabled) of
        #{} = Environment -> maps:merge(Environment, Known);
        _Disabled -> Known
    end,
    try check(service_domain_db, Merged) of
        _Checked -> {ok, Merged}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc The configured services, each with its options. service_domain_db counts as one when its key is there; its
%% options are without the URL, which stays where it is. Fails where the environment has turned wrong.
-spec services() -> mongoose_domain_config_components:options().
services() ->
    Others = checked(services),
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{} = Options -> Others#{service_domain_db => maps:remove(database, Options)};
        _Disabled -> Others
    end.

%% @doc The configured modules of a host type, each with its options. Fails where the environment has turned wrong.
-spec modules(mongoose_domain_core:host_type()) -> mongoose_domain_config_components:options().
modules(HostType) ->
    case checked(modules) of
        #{HostType := Own} -> Own;
        #{all := Modules} -> Modules;
        #{} -> #{}
    end.

checked(Key) ->
    try
        check(Key, given(Key, #{}))
    catch
        throw:{wrong, Problem} -> erlang:error({wrong_configuration, Problem})
    end.

%% @doc What the admin program is told. An error where there is to be none.
-spec admin() -> {ok, admin()} | {error, problem()}.
admin() ->
    try check(admin, given(admin, closed)) of
        closed -> {error, #{key => admin, value => closed, expected => <<"a map">>}};
        Admin -> {ok, Admin}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc What a repeated change answers; may be changed at run time.
-spec repeated_operations() -> ok | error.
repeated_operations() ->
    given(repeated_operations, ok).

%% @doc How long a change waits until the table shows it, in milliseconds; may be changed at run time.
-spec visibility_timeout() -> pos_integer().
visibility_timeout() ->
    case application:get_env(mongoose_domain, service_domain_db, disabled) of
        #{visibility_timeout := Timeout} when is_integer(Timeout) -> Timeout;
        _ -> map_get(visibility_timeout, service_defaults())
    end.

%% @doc The router that is told of hosts, loaded if it can be.
-spec router() -> module().
router() ->
    Router = given(router, mongoose_domain_router_table),
    _ = code:ensure_loaded(Router),
    Router.

%% @doc The keys in the environment that mean nothing here: most likely slips of the pen.
-spec unknown_keys() -> [atom()].
unknown_keys() ->
    maps:keys(environment()) -- proplists:get_keys(defaults()).

%% @private What the environment has under this key.
-spec given(atom(), Default) -> term() | Default.
given(Key, Default) ->
    Value = application:get_env(mongoose_domain, Key, Default),
    case mongoose_domain_text:is_absent(Value) of
        true -> Default;
        false -> Value
    end.

environment() ->
    without_absent(maps:remove(included_applications, maps:from_list(application:get_all_env(mongoose_domain)))).

without_absent(Options) ->
    maps:filter(fun(_Key, Value) -> not mongoose_domain_text:is_absent(Value) end, Options).

%% @doc The URL, from wherever the configuration keeps it.
-spec database_url(database()) -> {ok, binary()} | {error, problem()}.
database_url(Database) ->
    try
        {ok, secret([service_domain_db, database], Database, "a URL")}
    catch
        throw:{wrong, Problem} -> {error, Problem}
    end.

%% @doc Where the URL is, once it could be read there.
-spec database_source(database()) -> {ok, mongoose_domain_nif:source()} | {error, problem()}.
database_source(Database) ->
    Key = [service_domain_db, database],
    case {database_url(Database), Database} of
        {{ok, _Url}, {file, Path}} -> {ok, {file, filename_bytes(filename(Key, Path))}};
        {{ok, _Url}, {env, Name}} -> {ok, {env, unicode:characters_to_binary(variable(Key, Name))}};
        {{ok, Url}, _Text} -> {ok, {url, Url}};
        {{error, Problem}, _Place} -> {error, Problem}
    end.

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

%% The directory, made for this user alone when it is not there: the database with the passwords may lie in it.
own_directory(Dir) ->
    case filelib:is_dir(Dir) orelse filelib:ensure_dir(Dir) of
        true -> ok;
        ok ->
            case file:make_dir(Dir) of
                ok -> file:change_mode(Dir, 8#700);
                {error, eexist} -> filelib:ensure_path(Dir);
                Error -> Error
            end;
        Error -> Error
    end.

%% A text that is nobody's business, from wherever the configuration keeps it.
secret(Key, {env, Name}, What) ->
    case os:getenv(variable(Key, Name)) of
        false -> wrong(Key, {env, Name}, "an environment variable that is set");
        Value -> secret_text(Key, string:trim(Value), {env, Name}, What)
    end;
secret(Key, {file, Path}, What) ->
    case file:read_file(filename(Key, Path)) of
        {ok, Text} -> secret_text(Key, string:trim(Text), {file, Path}, What);
        {error, Reason} -> wrong(Key, {file, Path}, ["a file that can be read: ", file:format_error(Reason)])
    end;
secret(Key, Text, What) ->
    secret_text(Key, Text, ?NOT_SHOWN, What).

%% What makes no sense as a name may be the secret itself.
variable(Key, Name) ->
    case mongoose_domain_text:read(Name) of
        {ok, Text} ->
            binary:match(Text, [<<"=">>, <<0>>]) =:= nomatch orelse wrong_variable(Key),
            unicode:characters_to_list(Text);
        error -> wrong_variable(Key)
    end.

-spec wrong_variable(atom() | [atom()]) -> no_return().
wrong_variable(Key) ->
    wrong(Key, {env, ?NOT_SHOWN}, "the name of an environment variable").

filename(Key, Path) ->
    case mongoose_domain_text:filename(Path) of
        {ok, Name} -> Name;
        error -> wrong(Key, {file, ?NOT_SHOWN}, "the name of a file")
    end.

secret_text(Key, Text, Shown, What) ->
    try unicode:characters_to_binary(Text) of
        Secret when is_binary(Secret), Secret =/= <<>> -> Secret;
        _ -> wrong(Key, Shown, [What, " as UTF-8 text, and not an empty one"])
    catch
        error:badarg -> wrong(Key, Shown, [What, " as UTF-8 text, and not an empty one"])
    end.

defaults() ->
    [{hosts, []}, {host_types, []}, {data_dir, undefined}, {repeated_operations, ok},
     {router, mongoose_domain_router_table}, {service_domain_db, disabled}, {services, #{}}, {modules, #{}},
     {removal_handlers, #{}}, {subdomains, #{}}, {admin, closed}].

service_defaults() ->
    #{poll_interval => 30000, converge_interval => 300000, convergence_gate => on_loss, max_removal_share => 0.5,
      warm_start => true, snapshot_interval => 300000, snapshot_max_age => 604800,
      event_cleaning_interval => 1800, event_max_age => 7200, pool_size => 4, queue_limit => 1000,
      operation_timeout => 5000, visibility_timeout => 3000, password_iterations => 10000,
      removal_lease => 30000, connect_timeout => 5000, statement_timeout => 30000, lock_timeout => 5000}.

check(hosts, Hosts) ->
    Expected = "a list of {Domain, HostType}, or of Domain for one that is its own host type",
    [host(Host) || Host <- list_of_texts(hosts, Hosts, Hosts, Expected)];
check(host_types, HostTypes) ->
    Texts = list_of_texts(host_types, HostTypes, HostTypes, "a list of host types"),
    [text_or_same(HostType) || HostType <- Texts];
check(data_dir, undefined) ->
    undefined;
check(data_dir, Given) ->
    Dir = case mongoose_domain_text:filename(Given) of
        {ok, Name} -> Name;
        error -> Given
    end,
    case is_filename(Dir) andalso encoded(Dir) =/= error andalso own_directory(Dir) of
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
check(router, Router) ->
    case is_atom(Router) andalso code:ensure_loaded(Router) of
        {module, Router} -> Router;
        _ -> wrong(router, Router, "a module of the behaviour mongoose_domain_router that can be loaded")
    end;
check(service_domain_db, disabled) ->
    disabled;
check(service_domain_db, Options) when is_map(Options) ->
    check_service(without_absent(Options));
check(service_domain_db, Value) ->
    wrong(service_domain_db, shown(Value), "a map, or no such key where there is no database");
check(Key, Value) when Key =:= services; Key =:= modules; Key =:= removal_handlers; Key =:= subdomains ->
    mongoose_domain_config_components:check(Key, Value);
check(admin, closed) ->
    closed;
check(admin, #{} = Options) ->
    check_admin(without_absent(Options));
check(admin, Value) ->
    wrong(admin, shown(Value), "a map, or no such key where there is to be no door").

check_service(#{database := Database} = Options) ->
    check_database(Database),
    Defaults = service_defaults(),
    maps:foreach(fun check_option/2, maps:remove(database, Options)),
    float_share(maps:merge(Defaults, Options));
check_service(#{}) ->
    wrong([service_domain_db, database], undefined, "the database to follow: this key must be there").

check_admin(Options) ->
    Known = [ip, port, username, password, tls, host_names, allowed_origins, keep_alive, unprotected, ask],
    known_keys([admin], Options, Known),
    Place = check_place([admin], Options, 8088),
    Admin = Place#{
        credentials => check_credentials(Options),
        tls => check_tls(maps:get(tls, Options, undefined)),
        host_names => [check_host_name(Name) || Name <- check_texts([admin, host_names], maps:get(host_names, Options, []))],
        allowed_origins => check_texts([admin, allowed_origins], maps:get(allowed_origins, Options, [])),
        keep_alive => check_keep_alive(maps:get(keep_alive, Options, 75000)),
        ask => check_ask(maps:get(ask, Options, undefined))
    },
    check_protection(maps:get(unprotected, Options, no), Admin).

%% It has no credentials. Who has it listen beyond this machine says so by the address.
check_ask(undefined) ->
    undefined;
check_ask(#{} = Ask) ->
    Options = without_absent(Ask),
    known_keys([admin, ask], Options, [ip, port]),
    check_place([admin, ask], Options, 8089);
check_ask(Other) ->
    wrong([admin, ask], shown(Other), "a map, or no such key where nobody is to ask").

check_place(Key, Options, Port) ->
    #{ip => check_ip(Key ++ [ip], maps:get(ip, Options, "127.0.0.1")),
      port => check_port(Key ++ [port], maps:get(port, Options, Port))}.

known_keys(Key, Options, Known) ->
    [wrong(Key ++ [Other], ?NOT_SHOWN, io_lib:format("no such key; known are ~p", [Known]))
     || Other <- maps:keys(Options) -- Known].

check_ip(Key, Ip) ->
    case ip_text(Ip) of
        {ok, Text} -> list_to_binary(Text);
        error -> wrong(Key, shown(Ip), "an address, such as \"127.0.0.1\", \"::1\" or {127, 0, 0, 1}")
    end.

ip_text(Address) when is_tuple(Address) ->
    case inet:ntoa(Address) of
        {error, einval} -> error;
        Text -> {ok, Text}
    end;
ip_text(Ip) ->
    case mongoose_domain_text:read(Ip) of
        {ok, Text} ->
            case inet:parse_strict_address(unicode:characters_to_list(Text)) of
                {ok, Address} -> ip_text(Address);
                {error, einval} -> error
            end;
        error -> error
    end.

check_port(_Key, Port) when is_integer(Port), Port >= 0, Port =< 65535 -> Port;
check_port(Key, Port) -> wrong(Key, shown(Port), "a number from 0 (any port that is free) to 65535").

%% What a browser sends as `host', without the port.
check_host_name(Name) ->
    binary:match(Name, [<<"/">>, <<":">>, <<"*">>, <<" ">>]) =:= nomatch andalso Name =/= <<>>
        orelse wrong([admin, host_names], Name, "names such as \"admin.example\", without a scheme or a port"),
    Name.

check_keep_alive(Time) when is_integer(Time), Time > 0, Time =< 16#FFFFFFFF -> Time;
check_keep_alive(Time) -> wrong([admin, keep_alive], shown(Time), "milliseconds, from 1 to 4294967295").

check_credentials(#{username := Username, password := Password}) ->
    #{username => check_username(text([admin, username], Username)),
      password => secret([admin, password], Password, "a password")};
check_credentials(#{username := _}) ->
    wrong([admin, password], undefined, "a password beside the user name: both, or neither");
check_credentials(#{password := _}) ->
    wrong([admin, username], undefined, "a user name beside the password: both, or neither");
check_credentials(#{}) ->
    undefined.

%% HTTP's Basic authentication ends the name at the first colon.
check_username(Username) ->
    binary:match(Username, <<":">>) =:= nomatch orelse wrong([admin, username], Username, "a name without a colon"),
    Username.

check_tls(undefined) ->
    undefined;
check_tls(#{} = Tls) ->
    check_tls_files(without_absent(Tls));
check_tls(Other) ->
    check_tls_files(Other).

check_tls_files(#{certificate := Certificate, key := Key} = Tls) ->
    known_keys([admin, tls], Tls, [certificate, key, client_ca, client_certificate, allowed_names]),
    #{certificate => check_file(certificate, Certificate),
      key => check_file(key, Key),
      client_ca => optional(fun(File) -> check_file(client_ca, File) end, client_ca, Tls),
      client_certificate => check_client_certificate(maps:get(client_certificate, Tls, optional)),
      allowed_names => optional(fun(Names) -> check_texts([admin, tls, allowed_names], Names) end, allowed_names, Tls)};
check_tls_files(_Other) ->
    wrong([admin, tls], ?NOT_SHOWN, "a map with certificate and key, the names of PEM files").

check_client_certificate(Word) when Word =:= optional; Word =:= required -> Word;
check_client_certificate(Other) -> wrong([admin, tls, client_certificate], shown(Other), "optional or required").

optional(Check, Key, Options) ->
    case Options of
        #{Key := Value} -> Check(Value);
        #{} -> undefined
    end.

check_file(Key, File) ->
    Named = case mongoose_domain_text:filename(File) of
        {ok, Name} -> encoded(Name);
        error -> error
    end,
    case Named of
        {ok, Bytes} -> Bytes;
        error -> wrong([admin, tls, Key], shown(File), "the name of a PEM file")
    end.

check_texts(Key, Texts) ->
    [text(Key, Text) || Text <- list_of_texts(Key, Texts, shown(Texts), "a list of texts")].

%% A string is a list, too, but none of texts.
list_of_texts(_Key, [], _Shown, _Expected) ->
    [];
list_of_texts(Key, Value, Shown, Expected) when length(Value) > 0 ->
    case io_lib:char_list(Value) of
        true -> wrong(Key, Shown, Expected);
        false -> Value
    end;
list_of_texts(Key, _NoList, Shown, Expected) ->
    wrong(Key, Shown, Expected).

text(Key, Text) ->
    case mongoose_domain_text:read(Text) of
        {ok, Binary} -> Binary;
        error -> wrong(Key, shown(Text), "a text")
    end.

%% What cannot be a name is reported, and left out, by mongoose_domain_core.
text_or_same(Value) ->
    case mongoose_domain_text:read(Value) of
        {ok, Text} -> Text;
        error -> Value
    end.

%% Beyond this machine, a door without a lock must be asked for by a word that says what it means.
check_protection(anyone_may_change_domains, Admin) ->
    Admin;
check_protection(no, #{ip := Ip, credentials := Credentials, tls := Tls} = Admin) ->
    Protected = is_loopback(Ip) orelse (Credentials =/= undefined andalso Tls =/= undefined),
    Protected orelse wrong([admin, ip], Ip, "a loopback address; or username, password and tls beside it; or "
                                            "unprotected => anyone_may_change_domains, which means what it says"),
    Admin;
check_protection(Value, _Admin) ->
    wrong([admin, unprotected], shown(Value), "anyone_may_change_domains, or no such key").

is_loopback(Ip) ->
    case inet:parse_strict_address(binary_to_list(Ip)) of
        {ok, {127, _, _, _}} -> true;
        {ok, {0, 0, 0, 0, 0, 0, 0, 1}} -> true;
        {ok, {0, 0, 0, 0, 0, 16#FFFF, High, _}} -> High bsr 8 =:= 127;
        {ok, _} -> false
    end.

%% A share may be written as 0 or 1.
float_share(#{max_removal_share := Share} = Options) -> Options#{max_removal_share := float(Share)}.

host({Domain, HostType}) ->
    {text_or_same(Domain), text_or_same(HostType)};
host(Domain) when is_binary(Domain); is_list(Domain); is_atom(Domain) ->
    Name = text_or_same(Domain),
    {Name, Name};
host(Other) ->
    wrong(hosts, Other, "{Domain, HostType}, or Domain for one that is its own host type").

check_database({env, Name}) ->
    _ = variable([service_domain_db, database], Name),
    ok;
check_database({file, Path}) ->
    _ = filename([service_domain_db, database], Path),
    ok;
check_database(Url) when is_binary(Url); is_list(Url) ->
    ok;
check_database(_Other) ->
    Expected = "a URL as text (postgres://... or sqlite:FILE), {env, \"NAME\"} or {file, \"PATH\"}",
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
