%% The URL of the database behind one of MongooseIM's pools of connections.
%%
%%   {ok, <<"postgres://user:p%40ss@db.example:5432/domains">>} = of_pool(global, mongoose_config:get_opt(outgoing_pools)).
%%
%% Pure. The URL may hold a password; no error does.
-module(mongoose_domain_mongooseim_url).

-export([of_pool/2, of_connection/1]).

-type connection() :: #{driver := atom(), atom() => term()}.

-define(IS_SUPPORTED(Driver), (Driver =:= pgsql orelse Driver =:= mysql)).
-define(INSTEAD, " Or name the database that this application is to follow in sys.config: "
                 "{mongoose_domain, [{service_domain_db, #{database => {file, \"/etc/mongooseim/domains_url\"}}}]}").

%% @doc The URL of the pool of this scope, `global' or a host type, in the list of all pools.
-spec of_pool(Scope :: atom(), [map()]) -> {ok, binary()} | {error, unicode:chardata()}.
of_pool(Scope, Pools) ->
    Found = [Pool || #{type := rdbms, scope := Its} = Pool <- Pools, is_scope(Scope, Its)],
    case [Pool || #{tag := default} = Pool <- Found] ++ Found of
        [#{conn_opts := Connection} | _] -> of_connection(Connection);
        [] ->
            {error, io_lib:format("a pool of type rdbms with the scope ~p, as outgoing_pools.rdbms has them." ?INSTEAD,
                                  [Scope])}
    end.

%% The option db_pool is an atom, the scope of a pool may be the name of a host type.
is_scope(Scope, Scope) -> true;
is_scope(Scope, Name) when is_binary(Name) -> atom_to_binary(Scope) =:= Name;
is_scope(_Scope, _Another) -> false.

%% @doc The URL of the connection, as a pool's `conn_opts' have it.
-spec of_connection(connection()) -> {ok, binary()} | {error, unicode:chardata()}.
of_connection(#{driver := Driver, host := Host, database := Database} = Connection) when ?IS_SUPPORTED(Driver) ->
    {Scheme, Port} = defaults(Driver),
    {ok, iolist_to_binary([Scheme, "://", user(Connection), host(Host), $:,
                           integer_to_list(maps:get(port, Connection, Port)), $/, quoted(Database),
                           tls(maps:get(tls, Connection, undefined))])};
of_connection(#{driver := Driver}) when ?IS_SUPPORTED(Driver) ->
    {error, "a pool whose connection has a host and a database." ?INSTEAD};
of_connection(#{driver := Driver}) ->
    {error, io_lib:format("a pool with the driver pgsql or mysql, and not ~p: domains can be followed in PostgreSQL, in "
                          "MariaDB or in an SQLite file only. Move the tables domain_settings, domain_events and "
                          "domain_admins there." ?INSTEAD, [Driver])};
of_connection(_Unknown) ->
    {error, "a pool whose connection has a driver." ?INSTEAD}.

%% The URL's scheme, and the port where the pool names none.
defaults(pgsql) -> {"postgres", 5432};
defaults(mysql) -> {"mysql", 3306}.

user(#{username := Name, password := Password}) -> [quoted(Name), $:, quoted(Password), $@];
user(#{username := Name}) -> [quoted(Name), $@];
user(#{}) -> "".

%% An IPv6 address stands in brackets.
host(Host) when is_tuple(Host) ->
    host(inet:ntoa(Host));
host(Host) ->
    Text = unicode:characters_to_list(Host),
    case inet:parse_ipv6strict_address(Text) of
        {ok, _Address} -> [$[, Text, $]];
        {error, einval} -> quoted(Text)
    end.

%% With TLS the server is verified, unless the options say that it is not.
tls(undefined) ->
    "";
tls(Off) when Off =:= false; Off =:= disabled ->
    "";
tls(Options) ->
    Given = case Options of
        #{} -> Options;
        _ when is_list(Options) -> maps:from_list(proplists:unfold(Options));
        true -> #{}
    end,
    Mode = case lists:any(fun(Value) -> Value =:= none orelse Value =:= verify_none end, maps:values(Given)) of
        true -> "require";
        false -> "verify-full"
    end,
    Files = [["&", Parameter, "=", quoted(File)]
             || {Option, Parameter} <- [{cacertfile, "sslrootcert"}, {certfile, "sslcert"}, {keyfile, "sslkey"}],
                #{Option := File} <- [Given], Mode =:= "verify-full" orelse Option =/= cacertfile],
    ["?sslmode=", Mode, Files].

quoted(Text) ->
    uri_string:quote(unicode:characters_to_binary(Text)).
