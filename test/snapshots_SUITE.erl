%% Snapshots: a node that starts while its database is away serves the routes of a file and reports them as stale. When
%% the database is back, it follows from there.
%%
%% The file is optional. A damaged one is refused as a whole and reported. A full disk or a missing directory is
%% reported once. In both cases the node works as it does without a file. A snapshot is never incomplete: the new file
%% replaces the old one when it is complete.
%%
%% Each case has one node with a data directory of its own.
-module(snapshots_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_node_starts_warm_while_the_database_is_away/1,
         a_node_that_was_killed_starts_warm/1,
         a_damaged_snapshot_is_refused/1,
         a_full_disk_is_reported_once_and_stops_nothing/1,
         a_data_directory_that_is_gone_is_reported_once_and_stops_nothing/1]).

-import(md_followers, [environment/2, watching/2, wait_for_state/2, wait_for_status/3, wait_until_logged/3,
                       change_on_each/2, write/2, gate/1, with_steady/2]).

-define(STATIC, <<"static.example">>).
%% The domain that never changes.
-define(STEADY, <<"steady.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_node_starts_warm_while_the_database_is_away,
     a_node_that_was_killed_starts_warm,
     a_damaged_snapshot_is_refused,
     a_full_disk_is_reported_once_and_stops_nothing,
     a_data_directory_that_is_gone_is_reported_once_and_stops_nothing].

init_per_testcase(Case, Config) ->
    Directory = {data_dir_of_nodes, filename:join(?config(priv_dir, Config), Case)},
    md_database:or_fail(fun() -> with_steady(md_database:create(), [Directory | Config]) end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% The environment of a node with the data directory of the case.
warm_environment(Config, Url, Options) ->
    (environment(Url, Options))#{data_dir => data_dir(Config)}.

data_dir(Config) ->
    ?config(data_dir_of_nodes, Config).

%% The complete snapshots. A new one is called FILE.new until it replaces the old one.
snapshots(Config) ->
    {ok, Names} = file:list_dir(data_dir(Config)),
    [filename:join(data_dir(Config), Name) || Name <- Names, filename:extension(Name) =/= ".new"].

%% Returns when a snapshot contains this domain.
wait_until_snapshot_has(Config, Domain) ->
    md_wait:until(fun() ->
        lists:any(fun(File) ->
            {ok, Bytes} = file:read_file(File),
            binary:match(Bytes, Domain) =/= nomatch
        end, snapshots(Config))
    end).

%% Leaves the snapshot of a node that served these domains and stopped in order; the gate is closed.
leave_a_snapshot(Config) ->
    ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
    {Gate, Url} = gate(Config),
    Node = md_node:start(warm_environment(Config, Url, #{})),
    md_node:wait_until_following(Node),
    ok = md_node:stop_application(Node),
    ok = md_gate:close(Gate),
    ok = md_node:call(Node, md_log, clear, []),
    {Node, Gate}.

a_node_starts_warm_while_the_database_is_away(Config) ->
    {Node, Gate} = leave_a_snapshot(Config),
    ok = write(Config, [{add, <<"type1">>, [<<"c.example">>]}, {delete, [?B]}]),
    ok = md_node:start_application(Node, unchanged),
    serves_stale(Node),
    watching([Node], fun() ->
        wait_for_state([Node], away),
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
        wait_for_status([Node], stale, false),
        change_on_each([Node], ?config(client, Config))
    end).

serves_stale(Node) ->
    wait_for_status([Node], stale, true),
    ?assertEqual(#{?STEADY => <<"type1">>, ?A => <<"type1">>, ?B => <<"type2">>}, md_node:routes(Node)),
    ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, ?STATIC)),
    wait_until_logged(Node, domain_snapshot_loaded, 1).

a_node_that_was_killed_starts_warm(Config) ->
    {Gate, Url} = gate(Config),
    Environment = warm_environment(Config, Url, #{snapshot_interval => 100}),
    Killed = md_node:start(Environment),
    ok = write(Config, [{add, <<"type2">>, [?B]}]),
    ok = write(Config, [{add, <<"type1">>, [?A]}]),
    wait_until_snapshot_has(Config, ?A),
    kill(Killed),
    ok = md_gate:close(Gate),
    Node = md_node:start(Environment),
    serves_stale(Node),
    watching([Node], fun() ->
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
        wait_for_status([Node], stale, false)
    end).

kill(Node) ->
    Pid = md_node:call(Node, os, getpid, []),
    Monitor = monitor(process, Node),
    true = unlink(Node),
    "" = os:cmd("kill -KILL " ++ Pid),
    receive {'DOWN', Monitor, process, Node, _} -> ok end.

a_damaged_snapshot_is_refused(Config) ->
    {Node, Gate} = leave_a_snapshot(Config),
    [File] = snapshots(Config),
    {ok, Whole} = file:read_file(File),
    Half = byte_size(Whole) div 2,
    <<Before:Half/binary, Byte, After/binary>> = Whole,
    [begin
        ok = file:write_file(File, Damaged),
        ok = md_node:start_application(Node, unchanged),
        wait_for_state([Node], away),
        ?assertMatch([{warning, #{reason := _}}], md_node:logged(Node, domain_snapshot_refused)),
        ?assertEqual([], md_node:logged(Node, domain_snapshot_loaded)),
        ?assertEqual(#{}, md_node:routes(Node)),
        ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, ?STATIC)),
        ok = md_node:stop_application(Node),
        ok = md_node:call(Node, md_log, clear, [])
     end || Damaged <- [<<>>, Before, <<Before/binary, (Byte bxor 1), After/binary>>, <<Whole/binary, 0>>, <<0:800>>]],
    ok = file:write_file(File, Whole),
    ok = md_node:start_application(Node, unchanged),
    serves_stale(Node),
    watching([Node], fun() ->
        ok = md_gate:open(Gate),
        md_rows:wait_until_agreed([Node], ?config(client, Config))
    end).

%% A limit on the size of files simulates a full disk.
a_full_disk_is_reported_once_and_stops_nothing(Config) ->
    case os:find_executable("prlimit") of
        false ->
            {skip, "no program to bound the files of a node with: prlimit is not on PATH"};
        _ ->
            Environment = warm_environment(Config, ?config(database, Config), #{snapshot_interval => 100}),
            Node = md_node:start_bounded(Environment),
            works_without_snapshots(Config, Node, fun() -> md_node:bound_files(Node, 1000) end,
                                    fun() -> md_node:bound_files(Node, unlimited) end)
    end.

a_data_directory_that_is_gone_is_reported_once_and_stops_nothing(Config) ->
    {Directory, Aside} = {data_dir(Config), data_dir(Config) ++ ".aside"},
    Node = md_node:start(warm_environment(Config, ?config(database, Config), #{snapshot_interval => 100})),
    works_without_snapshots(Config, Node, fun() ->
        ok = file:rename(Directory, Aside),
        file:write_file(Directory, <<"no directory">>)
    end, fun() ->
        ok = file:delete(Directory),
        file:rename(Aside, Directory)
    end).

works_without_snapshots(Config, Node, Fault, Cure) ->
    md_node:wait_until_following(Node),
    wait_until_snapshot_has(Config, ?STEADY),
    watching([Node], fun() ->
        ok = Fault(),
        ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"many-">>, 500)}]),
        wait_until_logged(Node, domain_snapshot_failed, 1),
        change_on_each([Node], ?config(client, Config)),
        ok = Cure(),
        %% The snapshot is complete again.
        wait_until_snapshot_has(Config, ?STEADY),
        ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
        wait_until_snapshot_has(Config, <<"d.example">>),
        ok = md_rows:wait_until_agreed([Node], ?config(client, Config))
    end),
    ?assertMatch([{warning, #{reason := _}}], md_node:logged(Node, domain_snapshot_failed)).
