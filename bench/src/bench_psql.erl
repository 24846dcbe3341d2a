%% psql, as the yardstick for reading and adding domains, and as the other program that changes some.
-module(bench_psql).

-export([copy_out/2, add/5]).
-export([open/2, ask/2, tell/2, told/1, copy/1, enabled/0, close/1]).

-export_type([session/0]).

-opaque session() :: port().

-define(ENABLED, "SELECT domain, host_type FROM domain_settings WHERE status = 1").
-define(COPY, "COPY (" ?ENABLED ") TO STDOUT (FORMAT binary)").

%% @doc Milliseconds, and bytes, that psql takes to write every enabled domain into a pipe, at the end of
%% which something reads and counts. The start of psql is part of it.
-spec copy_out(file:filename(), string()) -> {Milliseconds :: float(), Bytes :: pos_integer()}.
copy_out(Psql, Url) ->
    Command = ["'", Psql, "' -X -q -c '", ?COPY, "' '", Url, "' | wc -c"],
    {Microseconds, Output} = timer:tc(fun() -> os:cmd(lists:flatten(Command)) end),
    {Microseconds / 1000, list_to_integer(string:trim(Output))}.

%% @doc Seconds that psql takes to add domains that it reads from this file, which is made and deleted, each
%% with its event in a transaction of its own, which is one message to the server. The start of psql is no
%% part of it.
-spec add(file:filename(), string(), file:filename(), [binary()], binary()) -> Seconds :: float().
add(Psql, Url, File, Domains, HostType) ->
    Transactions = [
        ["BEGIN \\; INSERT INTO domain_settings (domain, host_type) VALUES ('", Domain, "', '", HostType, "') \\; "
         "INSERT INTO domain_events (domain) VALUES ('", Domain, "') \\; COMMIT;\n"]
     || Domain <- Domains
    ],
    ok = file:write_file(File, ["\\echo begin\n", Transactions, "\\echo end\n"]),
    Args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", File, Url],
    Port = open_port({spawn_executable, Psql}, [{args, Args}, {line, 1000}, binary, use_stdio, exit_status]),
    receive {Port, {data, {eol, <<"begin">>}}} -> ok end,
    Begin = erlang:monotonic_time(microsecond),
    receive {Port, {data, {eol, <<"end">>}}} -> ok end,
    End = erlang:monotonic_time(microsecond),
    receive {Port, {exit_status, 0}} -> ok end,
    ok = file:delete(File),
    (End - Begin) / 1000000.

%% @doc A psql that waits for statements. It is ended by close/1, or with the calling process.
-spec open(file:filename(), string()) -> session().
open(Psql, Url) ->
    Args = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", Url],
    Session = open_port({spawn_executable, Psql}, [{args, Args}, {line, 1000}, binary, use_stdio, exit_status]),
    true = port_command(Session, "\\timing on\n"),
    %% This one waits for psql to start.
    _ = ask(Session, "SELECT 1;"),
    Session.

%% @doc Has it execute a line, and answers the milliseconds that this took, as psql itself says: its start
%% and the way to it and back are no part of them. What \\; separates is one message to the server.
-spec ask(session(), iodata()) -> Milliseconds :: float().
ask(Session, Line) ->
    ok = tell(Session, Line),
    told(Session).

%% @doc Hands it a line, whose time told/1 answers later.
-spec tell(session(), iodata()) -> ok.
tell(Session, Line) ->
    true = port_command(Session, [Line, $\n]),
    ok.

%% @doc Waits until it has executed the oldest line that it was told, and answers the milliseconds.
-spec told(session()) -> Milliseconds :: float().
told(Session) ->
    receive
        {Session, {data, {eol, <<"Time: ", Time/binary>>}}} -> binary_to_float(hd(binary:split(Time, <<" ">>)));
        {Session, {data, _Output}} -> told(Session)
    end.

%% @doc The line that takes what a query answers, by binary COPY, to a program that counts the bytes.
-spec copy(iodata()) -> iodata().
copy(Query) ->
    ["\\copy (", Query, ") TO PROGRAM 'wc -c' (FORMAT binary)"].

%% @doc The query that copy_out/2 runs.
-spec enabled() -> iodata().
enabled() ->
    ?ENABLED.

%% @doc Ends the psql.
-spec close(session()) -> ok.
close(Session) ->
    true = port_close(Session),
    ok.
