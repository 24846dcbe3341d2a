%% psql, as the yardstick for reading all domains and for adding some, and as the client that changes one.
-module(bench_psql).

-export([copy_out/2, add/5, open/2, change/3, close/1]).

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

%% @doc A psql that waits for transactions.
-spec open(file:filename(), string()) -> session().
open(Psql, Url) ->
    Args = ["-X", "-v", "ON_ERROR_STOP=1", Url],
    open_port({spawn_executable, Psql}, [{args, Args}, {line, 1000}, binary, use_stdio]).

%% @doc Adds a domain as other writers do, its row, its event and a notification in one transaction, and
%% watches this node's table for it.
%%
%% Answers the microseconds until the table shows it: since the transaction was handed to psql, and since
%% psql's word that it is committed arrived here (none when the table was first).
-spec change(session(), binary(), binary()) -> {SinceSent :: non_neg_integer(), SinceCommitted :: non_neg_integer()}.
change(Port, Domain, HostType) ->
    %% One message to the server, since psql sends together what \; separates.
    Sql = [
        "BEGIN \\; INSERT INTO domain_settings (domain, host_type) VALUES ('", Domain, "', '", HostType, "') \\; "
        "INSERT INTO domain_events (domain) VALUES ('", Domain, "') \\; "
        "NOTIFY mongoose_domain_events \\; COMMIT;\n"
    ],
    Sent = erlang:monotonic_time(microsecond),
    true = port_command(Port, Sql),
    {Committed, Visible} = watch(Port, Domain, unknown, unknown),
    {Visible - Sent, max(0, Visible - Committed)}.

watch(_Port, _Domain, Committed, Visible) when is_integer(Committed), is_integer(Visible) ->
    {Committed, Visible};
watch(Port, Domain, Committed, unknown) ->
    Visible =
        case mongoose_domain_api:get_host_type(Domain) of
            {ok, _HostType} -> erlang:monotonic_time(microsecond);
            {error, not_found} -> unknown
        end,
    watch(Port, Domain, hear(Port, Committed, 0), Visible);
watch(Port, Domain, unknown, Visible) ->
    watch(Port, Domain, hear(Port, unknown, infinity), Visible).

hear(Port, Committed, Timeout) ->
    receive
        {Port, {data, {eol, <<"COMMIT">>}}} -> erlang:monotonic_time(microsecond);
        {Port, {data, {eol, _Other}}} -> hear(Port, Committed, Timeout)
    after Timeout ->
        Committed
    end.

%% @doc Ends the psql.
-spec close(session()) -> ok.
close(Port) ->
    true = port_close(Port),
    ok.
