%% pgbench: the yardstick for changes by one caller and by many.
%%
%% It is PostgreSQL's own load generator. It executes one transaction again and again on each of several connections, and
%% logs the duration of every transaction. The transaction adds a row and its event, in one message to the server, as an
%% addition of ours does. With `notify' it ends with the NOTIFY of ours, too, so that nodes that follow the database have
%% the same work; without, nobody has work but the server.
-module(bench_pgbench).

-export([add/6]).

-export_type([kind/0]).

-type kind() :: plain | notify.

-define(HOST_TYPE, "type1").

%% @doc Adds so many domains on this many Connections together. The time in which these are opened is not counted; a limit of
%% the time, which pgbench has, too, would include it. Directory is for the files of pgbench, which end with the
%% call. Every call needs a Round of its own: a part of the domains' names. Psql is the path of psql, beside which pgbench
%% stands.
-spec add(file:filename(), string(), file:filename(), kind(), {Round :: string(), pos_integer()}, pos_integer()) ->
    bench_callers:load().
add(Psql, Url, Directory, Kind, {Round, Connections}, Domains) ->
    Script = filename:join(Directory, "pgbench.sql"),
    Log = filename:join(Directory, "pgbench.log"),
    ok = file:write_file(Script, script(Kind)),
    Args = ["--no-vacuum", "--protocol=simple", "--file=" ++ Script, "--jobs=1", "--log", "--log-prefix=" ++ Log,
            "--define=number=0", "--define=round=" ++ Round, "--client=" ++ integer_to_list(Connections),
            "--transactions=" ++ integer_to_list(max(1, Domains div Connections)), Url],
    Pgbench = filename:join(filename:dirname(Psql), "pgbench"),
    {match, [Rate]} = re:run(bench_program:run(Pgbench, Args), "tps = ([0-9.]+) \\((?:without|excluding)",
                             [{capture, all_but_first, binary}]),
    Milliseconds = lists:append([durations(File) || File <- filelib:wildcard(Log ++ ".*")]),
    ok = file:delete(Script),
    #{rate => binary_to_float(Rate), milliseconds => Milliseconds}.

%% Each connection has variables of its own, which live as long as it does. So each counts its transactions.
script(Kind) ->
    Name = "'added:number.connection:client_id.:round.pgbench.example'",
    Notify = case Kind of plain -> ""; notify -> "NOTIFY mongoose_domain_events \\; " end,
    ["\\set number :number + 1\n"
     "BEGIN \\; INSERT INTO domain_settings (domain, host_type) VALUES (", Name, ", '", ?HOST_TYPE, "') \\; "
     "INSERT INTO domain_events (domain) VALUES (", Name, ") \\; ", Notify, "COMMIT;\n"].

%% A line of the log is: connection, transaction, microseconds, and more.
durations(File) ->
    {ok, Text} = file:read_file(File),
    ok = file:delete(File),
    [binary_to_integer(lists:nth(3, binary:split(Line, <<" ">>, [global]))) / 1000
     || Line <- binary:split(Text, <<"\n">>, [global, trim_all])].
