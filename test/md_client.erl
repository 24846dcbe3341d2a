%% A second operating system process that speaks SQL: psql for PostgreSQL, sqlite3 (or else python3)
%% for SQLite.
%%
%% It uses none of this project's code, so it stands for any program that writes to the database. A query returns when
%% the database has confirmed it. The process is linked to its opener and ends with it.
%%
%%   Client = md_client:open("postgres://mongoose@127.0.0.1:5432/mongoose"),
%%   [[<<"1">>, <<"a">>]] = md_client:query(Client, "SELECT 1, 'a'").
-module(md_client).

-export([open/1, query/2, close/1]).
-export([speaks_sqlite/0]).

-export_type([t/0]).

-record(client, {port :: port(), echo :: string()}).
-opaque t() :: #client{}.

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

%% @doc Starts the process for `postgres://...' or `sqlite:FILE'.
-spec open(string()) -> t().
open("postgres" ++ _ = Url) ->
    Args = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", Url],
    start(program("psql"), Args, "\\echo ");
open("sqlite:" ++ File) ->
    case sqlite_program() of
        {sqlite3, Path} ->
            Client = start(Path, ["-batch", File], ".print "),
            ok = send(Client, ".timeout 30000"),
            Client;
        {python3, Path} ->
            start(Path, ["-c", ?PYTHON, File], ".print ");
        none ->
            erlang:error(neither_sqlite3_nor_python3_is_on_path)
    end.

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

start(Program, Args, Echo) ->
    Port = open_port({spawn_executable, Program},
        [{args, Args}, {line, 1 bsl 20}, binary, stderr_to_stdout, exit_status, hide]),
    #client{port = Port, echo = Echo}.

%% @doc Runs statements, separated by "; " on one line, and returns the rows of all of them, each as a list of columns.
%% Fails with the database's message when it refuses a statement.
-spec query(t(), iodata()) -> [[binary()]].
query(Client, Sql) ->
    ok = send(Client, [Sql, ";"]),
    answer(Client, Sql).

answer(#client{echo = Echo} = Client, Sql) ->
    Marker = list_to_binary(["done-", integer_to_list(erlang:unique_integer([positive]))]),
    ok = send(Client, [Echo, Marker]),
    Lines = lines(Client, Marker, []),
    case [Line || Line <- Lines, is_error(Line)] of
        [] -> [binary:split(Line, <<"|">>, [global]) || Line <- Lines];
        Errors -> erlang:error({sql_failed, Errors, string:slice(iolist_to_binary(Sql), 0, 500)})
    end.

is_error(Line) ->
    binary:match(Line, [<<"ERROR:">>, <<"FATAL:">>, <<"Error:">>, <<"rror near line">>, <<"psql: error">>]) =/= nomatch.

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
