%% Creates a database for each test and drops it afterwards.
%%
%% PostgreSQL databases are created on the temporary cluster in MONGOOSE_DOMAIN_TEST_PG, MariaDB databases on the server in
%% MONGOOSE_DOMAIN_TEST_MARIADB; `make test' starts both. Without them the tests that need them fail: a run that skipped
%% them silently would look like one that passed them.
%%
%% With `MONGOOSE_DOMAIN_TEST_DATABASE=mariadb' in the environment create/0 makes a database of MariaDB, so suites that were
%% written for PostgreSQL run there, as far as they are not about PostgreSQL.
-module(md_database).

-export([create/0, create/1, mariadb/0, mariadb/1, drop/1, with_tables/1, statements/1, sqlite/1, or_fail/1]).
-export([with_user/3, with_port/2, with_ports/2, with_query/2, port/1]).

-define(POSTGRES, "MONGOOSE_DOMAIN_TEST_PG").
-define(MARIADB, "MONGOOSE_DOMAIN_TEST_MARIADB").

%% @doc The URL of a new, empty PostgreSQL database.
-spec create() -> string().
create() ->
    case os:getenv("MONGOOSE_DOMAIN_TEST_DATABASE") of
        "mariadb" -> mariadb();
        _ -> create("")
    end.

%% @doc The same, with these options of CREATE DATABASE.
-spec create(string()) -> string().
create(Options) ->
    create(server(?POSTGRES), Options).

%% @doc The URL of a new, empty MariaDB database.
-spec mariadb() -> string().
mariadb() ->
    mariadb("").

%% @doc The same, with these options of CREATE DATABASE.
-spec mariadb(string()) -> string().
mariadb(Options) ->
    create(server(?MARIADB), Options).

create(Server, Options) ->
    Unique = erlang:phash2({os:getpid(), node(), erlang:system_time(), make_ref()}, 1 bsl 32),
    Name = lists:concat(["ct_", os:getpid(), "_", erlang:unique_integer([positive]), "_", Unique]),
    run(Server, ["CREATE DATABASE ", Name, " ", Options]),
    change(Server, fun(Parts) -> Parts#{path := "/" ++ Name} end).

%% @doc Drops a database that was made here. PostgreSQL ends the connections to it.
-spec drop(string()) -> ok.
drop("postgres" ++ _ = Url) ->
    run(server(?POSTGRES), ["DROP DATABASE IF EXISTS ", name(Url), " WITH (FORCE)"]);
drop("mysql" ++ _ = Url) ->
    run(server(?MARIADB), ["DROP DATABASE IF EXISTS ", name(Url)]).

name(Url) ->
    #{path := "/" ++ Name} = uri_string:parse(Url),
    Name.

%% @doc Creates the tables and returns the URL.
-spec with_tables(string()) -> string().
with_tables(Url) ->
    Client = md_client:open(Url),
    [] = md_client:query(Client, statements(script(Url))),
    ok = md_client:close(Client),
    Url.

script("postgres" ++ _) -> "postgres.sql";
script("mysql" ++ _) -> "mysql.sql";
script("sqlite" ++ _) -> "sqlite.sql".

%% @doc The script with which the product creates its tables, on one line.
-spec statements(file:name()) -> iodata().
statements(Script) ->
    {ok, Text} = file:read_file(filename:join([code:priv_dir(mongoose_domain), "sql", Script])),
    Lines = [Line || Line <- binary:split(Text, <<"\n">>, [global]), not is_comment(Line)],
    string:trim(lists:join(" ", Lines), trailing, " ;").

is_comment(<<"--", _/binary>>) -> true;
is_comment(_) -> false.

%% @doc For init_per_testcase/2: returns the function's value, or fails the test where no server exists. An exception
%% would count the test as skipped.
-spec or_fail(fun(() -> Config)) -> Config | {fail, string()}.
or_fail(Init) ->
    try
        Init()
    catch
        error:{no_server, Variable, Problem} -> {fail, Variable ++ " " ++ Problem}
    end.

%% @doc The URL of an SQLite file in this directory; the file does not exist yet.
-spec sqlite(file:filename()) -> string().
sqlite(Directory) ->
    Name = lists:concat(["domains-", erlang:unique_integer([positive]), ".db"]),
    "sqlite:" ++ filename:join(Directory, Name).

%% @doc The URL of the same database for another user.
-spec with_user(string(), string(), string() | none) -> string().
with_user(Url, User, none) ->
    change(Url, fun(Parts) -> Parts#{userinfo => User} end);
with_user(Url, User, Password) ->
    change(Url, fun(Parts) -> Parts#{userinfo => User ++ ":" ++ Password} end).

%% @doc The URL of the same database at another port of this machine.
-spec with_port(string(), inet:port_number()) -> string().
with_port(Url, Port) ->
    change(Url, fun(Parts) -> Parts#{host := "127.0.0.1", port => Port} end).

%% @doc The URL of the same database at any of these ports of this machine, tried in this order.
-spec with_ports(string(), [inet:port_number(), ...]) -> string().
with_ports(Url, Ports) ->
    #{scheme := Scheme, userinfo := User, path := Path} = uri_string:parse(Url),
    Places = lists:join(",", ["127.0.0.1:" ++ integer_to_list(Port) || Port <- Ports]),
    lists:concat([Scheme, "://", User, "@" | Places]) ++ Path.

%% @doc The URL of the same database with parameters such as "sslmode=require".
-spec with_query(string(), string()) -> string().
with_query(Url, Query) ->
    Url ++ "?" ++ Query.

%% @doc The port on which the server listens.
-spec port(string()) -> inet:port_number().
port(Url) ->
    #{scheme := Scheme} = Parts = uri_string:parse(Url),
    maps:get(port, Parts, default_port(Scheme)).

default_port("postgres") -> 5432;
default_port("mysql") -> 3306.

change(Url, Change) ->
    uri_string:recompose(Change(uri_string:parse(Url))).

server(Variable) ->
    case os:getenv(Variable) of
        false ->
            Script = case Variable of
                ?POSTGRES -> "postgres";
                ?MARIADB -> "mariadb"
            end,
            erlang:error({no_server, Variable, "is not set: it names the server for these tests, as `scripts/" ++ Script ++
                                               " start DIRECTORY` prints it; `make test` does all that"});
        Url ->
            Url
    end.

run(Url, Sql) ->
    Client = md_client:open(Url),
    _ = md_client:query(Client, Sql),
    md_client:close(Client).
