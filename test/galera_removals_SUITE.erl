%% Removals with handlers at a Galera cluster of three servers, with two nodes at each, when a node dies or is cut off.
%%
%% Galera's servers do not show each other their locks. Which node has a job, and until when, is a row, and of two servers that
%% change it at the same time one fails. `make test-galera' runs this suite, and `make test' does not.
-module(galera_removals_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([the_removals_of_a_killed_node_are_finished_at_another_server/1,
         a_node_at_a_site_that_is_cut_off_stops_its_handlers_before_another_one_begins/1]).

-import(md_followers, [api/3]).
-import(md_galera_nodes, [nodes_at/2, throughout/2]).

-define(TYPE, <<"type2">>).
-define(LEASE, 4000).

suite() ->
    [{timetrap, {minutes, 15}}].

all() ->
    [the_removals_of_a_killed_node_are_finished_at_another_server,
     a_node_at_a_site_that_is_cut_off_stops_its_handlers_before_another_one_begins].

init_per_testcase(_Case, Config0) ->
    Config = md_galera_nodes:start(md_galera:start_sites(), #{removal_lease => ?LEASE}, Config0),
    File = filename:join(?config(priv_dir, Config), lists:concat(["handled-", erlang:unique_integer([positive])])),
    [ok = md_node:call(Node, md_handler_exclusive, register, [?TYPE, File]) || Node <- ?config(nodes, Config)],
    [{file, File} | Config].

end_per_testcase(_Case, Config) ->
    md_galera:stop(?config(cluster, Config)).

the_removals_of_a_killed_node_are_finished_at_another_server(Config) ->
    [Removing | _] = Nodes = ?config(nodes, Config),
    ok = md_node:call(Removing, md_handler_exclusive, hold, []),
    Names = begin_removals(Removing),
    ok = wait_until_at_work(Config),
    OsPid = md_node:call(Removing, os, getpid, []),
    ok = md_node:kill_vm(Removing),
    ok = md_handler_exclusive:vm_was_killed(?config(file, Config), OsPid),
    Living = lists:keyreplace(nodes, 1, Config, {nodes, tl(Nodes)}),
    throughout(Living, fun() -> finished(Names, nodes_at(3, Config), Config) end).

a_node_at_a_site_that_is_cut_off_stops_its_handlers_before_another_one_begins(Config) ->
    [Removing | _] = ?config(nodes, Config),
    throughout(Config, fun() ->
        ok = md_node:call(Removing, md_handler_exclusive, hold, []),
        Names = begin_removals(Removing),
        ok = wait_until_at_work(Config),
        ok = md_galera:server(?config(cluster, Config), cut, 1),
        %% The first node's handlers run until they are killed.
        ok = finished(Names, nodes_at(3, Config), Config),
        ?assert(md_node:count(Removing, domain_removals_suspended) > 0),
        ok = md_galera:server(?config(cluster, Config), join, 1)
    end).

begin_removals(Node) ->
    Names = md_names:numbered(<<"removed-">>, 20),
    [{ok, _} = api(Node, insert_domain, [Name, ?TYPE]) || Name <- Names],
    [{ok, #{status := deleting}} = api(Node, request_delete_domain, [Name, ?TYPE]) || Name <- Names],
    Names.

wait_until_at_work(Config) ->
    File = ?config(file, Config),
    md_wait:until(fun() -> filelib:is_regular(File) andalso map_size(md_handler_exclusive:read(File)) > 0 end).

%% Each domain's handler has ended once at least, and has never run twice at the same time.
finished(Names, [Node | _], Config) ->
    md_wait:until(fun() -> api(Node, get_removals, []) end, []),
    Handled = md_handler_exclusive:read(?config(file, Config)),
    ?assertEqual([], [{Name, Overlaps} || {Name, {_, [_ | _] = Overlaps}} <- maps:to_list(Handled)]),
    ?assertEqual(lists:sort(Names), lists:sort([Name || {Name, {Finished, _}} <- maps:to_list(Handled), Finished > 0])),
    [?assertMatch({error, not_found}, md_node:lookup(Node, Name)) || Name <- Names],
    ok.
