%% Creates a database for each test and drops it afterwards.
%%
%% PostgreSQL databases are created on the temporary cluster in MONGOOSE_DOMAIN_TEST_PG; `make test' starts one. Without
%% it the tests that need PostgreSQL fail: a run that skipped them silently would look like one that passed them.
-module(md_database).

-export([create/0, create/1, drop/1, with_tables/1, statements/1, sqlite/1, or_fail/1]).
-export([with_user/3, with_port/2, with_ports/2, with_query/2, port/1]).

-define(VARIABLE, "MONGOOSE_DOMAIN_TEST_PG").

%% @doc The URL of a new, empty PostgreSQL database.
-spec create() -> string().
create() ->
    create("").

%% @doc The same, with these options of CREATE DATABASE.
-spec create(string()) -> string().
create(Options) ->
    Cluster = cluster(),
    Unique = erlang:phash2({os:getpid(), node(), erlang:system_time(), make_ref()}, 1 bsl 32),
    Name = lists:concat(["ct_", os:getpid(), "_", erlang:unique_integer([positive]), "_", Unique]),
    run(Cluster, ["CREATE DATABASE ", Name, " ", Options]),
    change(Cluster, fun(Parts) -> Parts#{path := "/" ++ Name} end).

%% @doc Drops a database that create/0 made, and ends the connections to it.
-spec drop(string()) -> ok.
drop(Url) ->
    #{path := "/" ++ Name} = uri_string:parse(Url),
    run(cluster(), ["DROP DATABASE IF EXISTS ", Name, " WITH (FORCE)"]).

%% @doc Creates the tables and returns the URL.
-spec with_tables(string()) -> string().
with_tables(Url) ->
    Client = md_client:open(Url),
    [] = md_client:query(Client, statements(script(Url))),
    ok = md_client:close(Client),
    Url.

script("postgres" ++ _) -> "postgres.sql";
script("sqlite" ++ _) -> "sqlite.sql".

%% @doc The script with which the product creates its tables, on one line.
-spec statements(file:name()) -> iodata().
statements(Script) ->
    {ok, Text} = file:read_file(filename:join([code:priv_dir(mongoose_domain), "sql", Script])),
    Lines = [Line || Line <- binary:split(Text, <<"\n">>, [global]), not is_comment(Line)],
    string:trim(lists:join(" ", Lines), trailing, " ;").

is_comment(<<"--", _/binary>>) -> true;
is_comment(_) -> false.

%% @doc For init_per_testcase/2: returns the function's value, or fails the test where no cluster exists. An exception
%% would count the test as skipped.
-spec or_fail(fun(() -> Config)) -> Config | {fail, string()}.
or_fail(Init) ->
    try
        Init()
    catch
        error:{?VARIABLE, Problem} -> {fail, ?VARIABLE ++ " " ++ Problem}
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
    #{userinfo := User, path := Path} = uri_string:parse(Url),
    Places = lists:join(",", ["127.0.0.1:" ++ integer_to_list(Port) || Port <- Ports]),
    lists:concat(["postgres://", User, "@" | Places]) ++ Path.

%% @doc The URL of the same database with parameters such as "sslmode=require".
-spec with_query(string(), string()) -> string().
with_query(Url, Query) ->
    Url ++ "?" ++ Query.

%% @doc The port on which the server listens.
-spec port(string()) -> inet:port_number().
port(Url) ->
    maps:get(port, uri_string:parse(Url), 5432).

change(Url, Change) ->
    uri_string:recompose(Change(uri_string:parse(Url))).

cluster() ->
    case os:getenv(?VARIABLE) of
        false ->
            erlang:error({?VARIABLE, "is not set: it names the PostgreSQL cluster for these tests, as "
                                     "`scripts/postgres start DIRECTORY` prints it; `make test` does all that"});
        Url ->
            Url
    end.

run(Url, Sql) ->
    Client = md_client:open(Url),
    _ = md_client:query(Client, Sql),
    md_client:close(Client).
