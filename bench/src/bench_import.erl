%% Many domains from a file: `domainctl import', through the node's door, beside psql.
%%
%% The time of an import is that of the whole command: domainctl starts, reads CSV, and ends when the door has answered
%% for the last line. Then this node's table shows the last domain. The yardstick is a psql that copies the same file to
%% a temporary table, and adds all rows with their events in one transaction, which ends with NOTIFY; no node needs to show
%% them. The two take turns.
-module(bench_import).

-export([run/5]).

-define(HOST_TYPE, <<"type1">>).
%% How many milliseconds the follower may take for domains that psql added.
-define(LONG, 60000).

%% @doc Imports a file of so many Lines in each of so many Rounds. The files are in Directory. The application is configured to
%% follow the database.
-spec run(pos_integer(), pos_integer(), string(), file:filename(), file:filename()) -> bench:result().
run(Rounds, Lines, Url, Psql, Directory) ->
    application:set_env(mongoose_domain, admin, #{port => 0}),
    ok = bench_node:start(),
    Door = door(),
    Turns = [{import(Door, Directory, Round, Lines), copy(Psql, Url, Directory, Round, Lines)}
             || Round <- lists:seq(1, Rounds)],
    {OursRates, CopyRates} = lists:unzip(Turns),
    {Ours, Copy} = {bench_stats:summary(OursRates), bench_stats:summary(CopyRates)},
    {import, #{lines => Lines, rounds => Rounds, unit => lines_a_second, ours => Ours, copy => Copy,
               share => map_get(median, Ours) / map_get(median, Copy)}}.

%% The door listens a moment after the application has started.
door() ->
    case mongoose_domain_admin:url() of
        {ok, Url} -> binary_to_list(Url);
        {error, closed} ->
            timer:sleep(10),
            door()
    end.

%% Returns lines a second.
import(Door, Directory, Round, Lines) ->
    {File, Last} = file(Directory, imported, Round, Lines),
    Application = filename:dirname(filename:dirname(code:which(mongoose_domain_api))),
    Domainctl = filename:join([filename:absname(Application), "priv", "bin", "domainctl"]),
    Rate = timed(Lines, Domainctl, ["--url", Door, "import", File]),
    {ok, ?HOST_TYPE} = mongoose_domain_api:get_host_type(Last),
    ok = file:delete(File),
    Rate.

copy(Psql, Url, Directory, Round, Lines) ->
    {File, Last} = file(Directory, copied, Round, Lines),
    Script = File ++ ".sql",
    ok = file:write_file(Script, [
        "CREATE TEMPORARY TABLE lines (domain text, host_type text);\n"
        "\\copy lines FROM '", File, "' (FORMAT csv)\n"
        "BEGIN \\; INSERT INTO domain_settings (domain, host_type) SELECT domain, host_type FROM lines \\; "
        "INSERT INTO domain_events (domain) SELECT domain FROM lines \\; NOTIFY mongoose_domain_events \\; COMMIT;\n"
    ]),
    Rate = timed(Lines, Psql, ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", Script, Url]),
    ok = service_domain_db:sync_local(?LONG),
    {ok, ?HOST_TYPE} = mongoose_domain_api:get_host_type(Last),
    ok = file:delete(File),
    ok = file:delete(Script),
    Rate.

timed(Lines, Program, Args) ->
    Begin = erlang:monotonic_time(microsecond),
    _ = bench_program:run(Program, Args),
    Lines * 1.0e6 / (erlang:monotonic_time(microsecond) - Begin).

%% Writes the file, and returns it with the domain of its last line.
file(Directory, Side, Round, Lines) ->
    File = filename:join(Directory, lists:flatten(io_lib:format("~s~b.csv", [Side, Round]))),
    Names = [iolist_to_binary(io_lib:format("~s~b.round~b.import.example", [Side, Number, Round]))
             || Number <- lists:seq(1, Lines)],
    ok = file:write_file(File, [[Name, $,, ?HOST_TYPE, $\n] || Name <- Names]),
    {File, lists:last(Names)}.
