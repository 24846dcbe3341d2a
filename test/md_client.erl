%% A second operating system process that speaks SQL: psql for PostgreSQL, mariadb for MariaDB, sqlite3 (or else python3)
%% for SQLite.
%%
%% It uses none of this project's code, so it stands for any program that writes to the database. A query returns when
%% the database has confirmed it. The process is linked to its opener and ends with it.
%%
%%   Client = md_client:open("postgres://mongoose@127.0.0.1:5432/mongoose"),
%%   [[<<"1">>, <<"a">>]] = md_client:query(Client, "SELECT 1, 'a'").
-module(md_client).

-export([open/1, open_within/2, query/2, close/1, kind/1]).
-export([speaks_sqlite/0]).

-export_type([t/0, kind/0]).

-record(client, {port :: port(), kind :: kind()}).
-opaque t() :: #client{}.
-type kind() :: postgres | mariadb | sqlite.

%% Replaces sqlite3 where it is not installed; it implements only what these tests need.
-define(PYTHON,
    "import sqlite3, sys\n"
    "db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n"
    "for line in sys.stdin:\n"
    "    if line.startswith('.print '):\n"
    "        print(line[7:].strip(), flush=True)\n"
    "        continue\n"
    "    try:\n"
    "        for statement in line.rstrip().rstrip(';').split('; '):\n"
    "            for row in db.execute(statement):\n"
    "                print('|'.join('' if c is None else str(c) for c in row))\n"
    "    except sqlite3.Error as error:\n"
    "        print('Error:', error)\n").

%% @doc Starts the process for `postgres://...', `mysql://...' or `sqlite:FILE'.
-spec open(string()) -> t().
open(Url) ->
    open_within([], Url).

%% @doc The same, behind a command that runs it, as md_galera:within/2 returns it.
-spec open_within([string()], string()) -> t().
open_within(Command, "postgres" ++ _ = Url) ->
    Args = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", Url],
    start(postgres, Command ++ [program("psql") | Args]);
open_within(Command, "mysql" ++ _ = Url) ->
    #{host := Host, userinfo := User, path := "/" ++ Database} = uri_string:parse(Url),
    %% Without --force the client would end at the first error, and without --skip-ssl it prints a warning where there is no
    %% password. Backslashes in texts stand for themselves, as in the other databases.
    Args = ["--no-defaults", "--skip-ssl", "--batch", "--raw", "--skip-column-names", "--unbuffered", "--force", "--skip-reconnect",
            "--default-character-set=utf8mb4",
            "--init-command=SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
            "--protocol=tcp", "--host=" ++ Host, "--port=" ++ integer_to_list(md_database:port(Url))
            | [Option ++ Value || {Option, Value} <- lists:zip(["--user=", "--password="], credentials(User))]],
    start(mariadb, Command ++ [program("mariadb") | Args] ++ [Database]);
open_within(Command, "sqlite:" ++ File) ->
    case sqlite_program() of
        {sqlite3, Path} ->
            Client = start(sqlite, Command ++ [Path, "-batch", File]),
            ok = send(Client, ".timeout 30000"),
            Client;
        {python3, Path} ->
            start(sqlite, Command ++ [Path, "-c", ?PYTHON, File]);
        none ->
            erlang:error(neither_sqlite3_nor_python3_is_on_path)
    end.

%% The user and the password.
credentials(Userinfo) ->
    case string:split(Userinfo, ":") of
        [User] -> [User, ""];
        Both -> Both
    end.

%% @doc Which database this client speaks to.
-spec kind(t()) -> kind().
kind(#client{kind = Kind}) ->
    Kind.

%% @doc Whether this machine has a program that executes SQL on SQLite files.
-spec speaks_sqlite() -> boolean().
speaks_sqlite() ->
    sqlite_program() =/= none.

sqlite_program() ->
    case {os:find_executable("sqlite3"), os:find_executable("python3")} of
        {false, false} -> none;
        {false, Path} -> {python3, Path};
        {Path, _} -> {sqlite3, Path}
    end.

program(Name) ->
    case os:find_executable(Name) of
        false -> erlang:error({not_on_path, Name});
        Path -> Path
    end.

start(Kind, [Program | Args]) ->
    Port = open_port({spawn_executable, Program},
        [{args, Args}, {line, 1 bsl 20}, binary, stderr_to_stdout, exit_status, hide]),
    #client{port = Port, kind = Kind}.

%% @doc Runs statements, separated by "; " on one line, and returns the rows of all of them, each as a list of columns.
%% Fails with the database's message when it refuses a statement.
-spec query(t(), iodata()) -> [[binary()]].
query(Client, Sql) ->
    ok = send(Client, [Sql, ";"]),
    answer(Client, Sql).

answer(#client{kind = Kind} = Client, Sql) ->
    Marker = list_to_binary(["done-", integer_to_list(erlang:unique_integer([positive]))]),
    ok = send(Client, echo(Kind, Marker)),
    Lines = lines(Client, Marker, []),
    case [Line || Line <- Lines, is_error(Line)] of
        [] -> [columns(Kind, Line) || Line <- Lines];
        Errors -> erlang:error({sql_failed, Errors, string:slice(iolist_to_binary(Sql), 0, 500)})
    end.

%% What has the client print a line.
echo(postgres, Line) -> ["\\echo ", Line];
echo(mariadb, Line) -> ["SELECT '", Line, "';"];
echo(sqlite, Line) -> [".print ", Line].

columns(mariadb, Line) ->
    %% The other clients print nothing for it.
    [case Column of <<"NULL">> -> <<>>; _ -> Column end || Column <- binary:split(Line, <<"\t">>, [global])];
columns(_Kind, Line) ->
    binary:split(Line, <<"|">>, [global]).

is_error(Line) ->
    binary:match(Line, [<<"ERROR:">>, <<"FATAL:">>, <<"Error:">>, <<"rror near line">>, <<"psql: error">>]) =/= nomatch
        orelse re:run(Line, "^ERROR [0-9]+") =/= nomatch.

send(#client{port = Port}, Line) ->
    true = port_command(Port, [Line, $\n]),
    ok.

lines(#client{port = Port} = Client, Marker, Lines) ->
    receive
        {Port, {data, {eol, Marker}}} -> lists:reverse(Lines);
        {Port, {data, {_, Line}}} -> lines(Client, Marker, [Line | Lines]);
        {Port, {exit_status, Status}} -> erlang:error({client_ended, Status, lists:reverse(Lines)})
    end.

%% @doc Ends the process.
-spec close(t()) -> ok.
close(#client{port = Port}) ->
    true = port_close(Port),
    ok.
