%% psql: the yardstick for reading domains, and the other program that changes some.
-module(bench_psql).

-export([copy_out/2, value/3]).
-export([open/2, ask/2, tell/2, told/1, copy/1, enabled/0, close/1]).

-export_type([session/0]).

-opaque session() :: port().

-define(ENABLED, "SELECT domain, host_type FROM domain_settings WHERE status = 1").
-define(COPY, "COPY (" ?ENABLED ") TO STDOUT (FORMAT binary)").

%% @doc Writes every enabled domain into a pipe, to a program that counts the bytes. Returns the milliseconds, which
%% include the start of psql, and the bytes.
-spec copy_out(file:filename(), string()) -> {Milliseconds :: float(), Bytes :: pos_integer()}.
copy_out(Psql, Url) ->
    Command = ["'", Psql, "' -X -q -c '", ?COPY, "' '", Url, "' | wc -c"],
    {Microseconds, Output} = timer:tc(fun() -> os:cmd(lists:flatten(Command)) end),
    {Microseconds / 1000, list_to_integer(string:trim(Output))}.

%% @doc The number with a decimal point that this query returns, from a psql of its own.
-spec value(file:filename(), string(), string()) -> float().
value(Psql, Url, Query) ->
    list_to_float(string:trim(os:cmd(["'", Psql, "' -X -q -A -t -c '", Query, "' '", Url, "'"]))).

%% @doc Starts a psql that waits for statements. It ends with close/1 or with the calling process.
-spec open(file:filename(), string()) -> session().
open(Psql, Url) ->
    Args = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", Url],
    Session = open_port({spawn_executable, Psql}, [{args, Args}, {line, 1000}, binary, use_stdio, exit_status]),
    true = port_command(Session, "\\timing on\n"),
    %% The first statement waits until psql has started.
    _ = ask(Session, "SELECT 1;"),
    Session.

%% @doc Executes a line and returns the milliseconds that psql reports, which include neither its start nor the way to
%% it and back. Statements that \\; separates are one message to the server.
-spec ask(session(), iodata()) -> Milliseconds :: float().
ask(Session, Line) ->
    ok = tell(Session, Line),
    told(Session).

%% @doc Sends a line. told/1 returns its time later.
-spec tell(session(), iodata()) -> ok.
tell(Session, Line) ->
    true = port_command(Session, [Line, $\n]),
    ok.

%% @doc Waits until psql has executed the oldest of the lines sent, and returns the milliseconds.
-spec told(session()) -> Milliseconds :: float().
told(Session) ->
    receive
        {Session, {data, {eol, <<"Time: ", Time/binary>>}}} -> binary_to_float(hd(binary:split(Time, <<" ">>)));
        {Session, {data, _Output}} -> told(Session)
    end.

%% @doc The line that sends the result of a query, by binary COPY, to a program that counts the bytes.
-spec copy(iodata()) -> iodata().
copy(Query) ->
    ["\\copy (", Query, ") TO PROGRAM 'wc -c' (FORMAT binary)"].

%% @doc The query that copy_out/2 runs.
-spec enabled() -> iodata().
enabled() ->
    ?ENABLED.

%% @doc Ends psql.
-spec close(session()) -> ok.
close(Session) ->
    true = port_close(Session),
    ok.
