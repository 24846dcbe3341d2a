%% Faults of a Galera cluster of three servers, with two nodes at each, while changes go on at all of them.
%%
%% Each case ends with what md_galera_nodes checks: nothing that was acknowledged is lost, every table equals the database,
%% and no lookup has failed. `make test-galera' runs this suite, and `make test' does not.
-module(galera_faults_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_server_that_is_killed_under_load_costs_no_change/1,
         a_server_that_is_stopped_for_longer_than_the_others_wait_is_left_and_joins_again/1,
         a_site_that_is_cut_off_serves_its_domains_and_joins_again/1,
         a_cluster_that_was_stopped_in_order_is_followed_again/1,
         a_cluster_of_which_all_servers_were_killed_is_followed_again/1,
         a_server_that_copies_all_data_joins_while_changes_go_on/1,
         a_node_whose_server_applies_late_changes_at_another_one_and_shows_what_it_changed/1]).

-import(md_followers, [api/3]).
-import(md_galera_nodes, [nodes_at/2, throughout/2, add_on_each/2, changed_on_all/1]).

suite() ->
    [{timetrap, {minutes, 15}}].

all() ->
    [a_server_that_is_killed_under_load_costs_no_change,
     a_server_that_is_stopped_for_longer_than_the_others_wait_is_left_and_joins_again,
     a_site_that_is_cut_off_serves_its_domains_and_joins_again,
     a_cluster_that_was_stopped_in_order_is_followed_again,
     a_cluster_of_which_all_servers_were_killed_is_followed_again,
     a_server_that_copies_all_data_joins_while_changes_go_on,
     a_node_whose_server_applies_late_changes_at_another_one_and_shows_what_it_changed].

init_per_testcase(a_site_that_is_cut_off_serves_its_domains_and_joins_again, Config) ->
    md_galera_nodes:start(md_galera:start_sites(), Config);
init_per_testcase(_Case, Config) ->
    md_galera_nodes:start(md_galera:start(), Config).

end_per_testcase(_Case, Config) ->
    md_galera:stop(?config(cluster, Config)).

a_server_that_is_killed_under_load_costs_no_change(Config) ->
    throughout(Config, fun() ->
        _ = add_on_each(?config(nodes, Config), 2),
        ok = server(Config, kill, 2),
        ok = wait_for_size(Config, 1, 2),
        %% Its nodes go on at the other servers.
        ok = changed_on_all(Config),
        ok = server(Config, again, 2),
        ok = wait_until_whole(Config)
    end).

%% The others wait for five seconds.
a_server_that_is_stopped_for_longer_than_the_others_wait_is_left_and_joins_again(Config) ->
    throughout(Config, fun() ->
        ok = server(Config, pause, 2),
        ok = wait_for_size(Config, 1, 2),
        ok = changed_on_all(Config),
        ok = server(Config, resume, 2),
        ok = wait_until_whole(Config)
    end).

a_site_that_is_cut_off_serves_its_domains_and_joins_again(Config) ->
    Cut = nodes_at(2, Config),
    Others = nodes_at(1, Config) ++ nodes_at(3, Config),
    throughout(Config, fun() ->
        Before = add_on_each(?config(nodes, Config), 2),
        [md_followers:wait_until_found(Cut, Name) || Name <- Before],
        ok = server(Config, cut, 2),
        ok = wait_for_size(Config, 1, 2),
        %% No change is acknowledged there, and those of the others do not show there.
        [md_wait:until(fun() -> element(1, api(Node, insert_domain, [<<"refused.example">>, <<"type1">>])) end, db_error) || Node <- Cut],
        Meanwhile = add_on_each(Others, 2),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Node <- Cut, Name <- Before],
        [?assertEqual({error, not_found}, md_node:lookup(Node, Name)) || Node <- Cut, Name <- Meanwhile],
        ok = server(Config, join, 2),
        ok = wait_until_whole(Config)
    end).

a_cluster_that_was_stopped_in_order_is_followed_again(Config) ->
    throughout(Config, fun() ->
        [ok = server(Config, leave, Number) || Number <- [2, 1, 3]],
        restart(Config)
    end).

a_cluster_of_which_all_servers_were_killed_is_followed_again(Config) ->
    throughout(Config, fun() ->
        [ok = server(Config, kill, Number) || Number <- [2, 1, 3]],
        restart(Config)
    end).

restart(Config) ->
    [md_wait:until(fun() -> element(1, api(Node, insert_domain, [<<"refused.example">>, <<"type1">>])) end, db_error)
     || Node <- ?config(nodes, Config)],
    ok = md_followers:wait_for_state(?config(nodes, Config), away),
    ok = md_galera:restart(?config(cluster, Config)),
    wait_until_whole(Config).

a_server_that_copies_all_data_joins_while_changes_go_on(Config) ->
    throughout(Config, fun() ->
        ok = server(Config, kill, 3),
        ok = server(Config, empty, 3),
        _ = add_on_each(?config(nodes, Config), 5),
        ok = server(Config, again, 3),
        ok = wait_until_whole(Config)
    end).

%% A lock that the server's appliers wait for. The others do not wait for it, since it is out of step with their consent.
a_node_whose_server_applies_late_changes_at_another_one_and_shows_what_it_changed(Config) ->
    Nodes = ?config(nodes, Config),
    Locking = md_galera_nodes:client(3, Config),
    throughout(Config, fun() ->
        [] = md_client:query(Locking, "SET GLOBAL wsrep_desync = ON; LOCK TABLES domain_events READ, domain_settings READ"),
        [begin
            [Name] = add_on_each([Node], 1),
            ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name))
         end || Node <- nodes_at(3, Config) ++ Nodes ++ nodes_at(3, Config)],
        [] = md_client:query(Locking, "UNLOCK TABLES; SET GLOBAL wsrep_desync = OFF"),
        ok = wait_until_whole(Config)
    end).

server(Config, What, Number) ->
    md_galera:server(?config(cluster, Config), What, Number).

wait_until_whole(Config) ->
    [ok = wait_for_size(Config, Number, 3) || Number <- [1, 2, 3]],
    ok.

%% Returns when this server takes statements and is in a cluster of that many.
wait_for_size(Config, Number, Size) ->
    Client = md_galera_nodes:client(Number, Config),
    md_wait:until(fun() ->
        md_client:query(Client, "SHOW GLOBAL STATUS WHERE Variable_name IN "
                                "('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_local_state_comment')")
    end, [[<<"wsrep_local_state_comment">>, <<"Synced">>], [<<"wsrep_cluster_size">>, integer_to_binary(Size)],
          [<<"wsrep_cluster_status">>, <<"Primary">>]]),
    md_client:close(Client).
