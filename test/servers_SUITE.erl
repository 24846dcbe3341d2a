%% Servers that die, hang, lose their data or are replaced, with real PostgreSQL processes.
%%
%% Each case ends with two checks. The table of each node equals the database, except for the routes that the gate
%% keeps, which are exactly those of lost rows. And a domain that does not change was found on each node at every moment
%% of the fault.
%%
%% Each case has a server of its own, since it damages it. The second group also has a standby, which copies the primary
%% through a gate: with the gate closed, it lacks the primary's last changes. No case restarts a node or tells it where
%% the database moved: nodes find this out by their time-outs and by the URL of their configuration.
-module(servers_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% One server.
-export([a_server_that_was_killed_is_followed_again/1,
         a_server_that_was_restarted_is_followed_again/1,
         a_server_that_hung_is_followed_again/1,
         an_empty_server_takes_no_route_before_its_host_type_is_fresh/1,
         an_older_copy_takes_no_route_before_convergence_is_forced/1]).
%% A primary and its standby.
-export([a_promoted_standby_is_followed_without_a_restart/1,
         routes_that_only_the_dead_primary_knew_are_kept_until_their_host_type_is_fresh/1]).

-import(md_followers, [start/2, hasty/0, watching/2, api/3, service/3, converge/1, make_fresh/3, wait_for_state/2,
                       wait_until_kept/3, change_on_each/2, routes/2, write/2, with_steady/2]).

%% The domain that never changes.
-define(STEADY, <<"steady.example">>).
-define(A, <<"a.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, servers}, {group, standbys}].

groups() ->
    [{servers, [a_server_that_was_killed_is_followed_again,
                a_server_that_was_restarted_is_followed_again,
                a_server_that_hung_is_followed_again,
                an_empty_server_takes_no_route_before_its_host_type_is_fresh,
                an_older_copy_takes_no_route_before_convergence_is_forced]},
     {standbys, [a_promoted_standby_is_followed_without_a_restart,
                 routes_that_only_the_dead_primary_knew_are_kept_until_their_host_type_is_fresh]}].

init_per_group(Group, Config) ->
    [{group, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    {Url, Servers} = case ?config(group, Config) of
        servers ->
            Cluster = md_cluster:start(),
            {md_cluster:url(Cluster), [{cluster, Cluster}, {clusters, [Cluster]}]};
        standbys ->
            Primary = md_cluster:start(),
            Gate = md_gate:start(md_cluster:port(Primary)),
            ok = md_gate:open(Gate),
            Standby = md_cluster:standby(md_gate:port(Gate)),
            {md_cluster:url(Primary),
             [{primary, Primary}, {standby, Standby}, {gate, Gate}, {clusters, [Primary, Standby]}]}
    end,
    with_steady(Url, Servers ++ Config).

end_per_testcase(_Case, Config) ->
    lists:foreach(fun md_cluster:stop/1, ?config(clusters, Config)).

%% Servers

a_server_that_was_killed_is_followed_again(Config) ->
    fault_and_cure(Config, #{}, fun md_cluster:kill/1, fun md_cluster:again/1).

a_server_that_was_restarted_is_followed_again(Config) ->
    fault_and_cure(Config, #{}, fun md_cluster:shut_down/1, fun md_cluster:again/1).

a_server_that_hung_is_followed_again(Config) ->
    fault_and_cure(Config, hasty(), fun md_cluster:freeze/1, fun md_cluster:thaw/1).

fault_and_cure(Config, Options, Fault, Cure) ->
    {Cluster, Url} = {?config(cluster, Config), ?config(database, Config)},
    ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"before-">>, 20)}]),
    Nodes = start(Url, Options),
    Before = [md_node:routes(Node) || Node <- Nodes],
    watching(Nodes, fun() ->
        ok = Fault(Cluster),
        wait_for_state(Nodes, away),
        ?assertEqual(Before, [md_node:routes(Node) || Node <- Nodes]),
        ok = Cure(Cluster),
        Client = md_client:open(Url),
        ok = md_writer:write(Client, [{add, <<"type2">>, [?A]}, {disable, [<<"before-1.example">>]},
                                      {delete, [<<"before-2.example">>]}]),
        ok = md_rows:wait_until_agreed(Nodes, Client),
        change_on_each(Nodes, Client)
    end),
    %% The nodes report once that the database is away and once that it is back.
    [?assertEqual({1, 1}, {md_node:count(Node, domain_database_away), md_node:count(Node, domain_database_back)})
     || Node <- Nodes].

an_empty_server_takes_no_route_before_its_host_type_is_fresh(Config) ->
    {Cluster, Url} = {?config(cluster, Config), ?config(database, Config)},
    {Ones, Twos} = {md_names:numbered(<<"one-">>, 20), md_names:numbered(<<"two-">>, 20)},
    ok = write(Config, [{add, <<"type1">>, Ones}, {add, <<"type2">>, Twos}]),
    [One, Other] = Nodes = start(Url, #{}),
    {AllOnes, AllTwos} = {routes(<<"type1">>, [?STEADY | Ones]), routes(<<"type2">>, Twos)},
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Cluster),
        wait_for_state(Nodes, away),
        ok = md_cluster:empty(Cluster),
        %% The nodes create the tables and keep the routes that these lack.
        wait_for_state(Nodes, following),
        Client = md_client:open(Url),
        wait_until_kept(Nodes, Client, maps:merge(AllOnes, AllTwos)),
        %% A part of the rows comes back.
        {SomeOnes, LostOnes} = lists:split(15, Ones),
        {SomeTwos, LostTwos} = lists:split(5, Twos),
        ok = md_writer:write_and_notify(Client, [{add, <<"type1">>, [?STEADY | SomeOnes]},
                                                 {add, <<"type2">>, SomeTwos}]),
        Lost = {routes(<<"type1">>, LostOnes), routes(<<"type2">>, LostTwos)},
        wait_until_kept(Nodes, Client, maps:merge(element(1, Lost), element(2, Lost))),
        ok = make_fresh(One, <<"type1">>, 600),
        wait_until_kept(Nodes, Client, element(2, Lost)),
        ok = make_fresh(Other, <<"type2">>, 0),
        wait_until_kept(Nodes, Client, #{}),
        change_on_each(Nodes, Client)
    end).

an_older_copy_takes_no_route_before_convergence_is_forced(Config) ->
    {Cluster, Url} = {?config(cluster, Config), ?config(database, Config)},
    Early = md_names:numbered(<<"early-">>, 30),
    ok = write(Config, [{add, <<"type1">>, Early}]),
    ok = md_cluster:backup(Cluster),
    Late = md_names:numbered(<<"late-">>, 5),
    ok = write(Config, [{add, <<"type1">>, Late}, {delete, [hd(Early)]}, {move, <<"type2">>, [lists:nth(2, Early)]}]),
    Nodes = start(Url, #{}),
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Cluster),
        wait_for_state(Nodes, away),
        ok = md_cluster:restore(Cluster),
        Client = md_client:open(Url),
        %% The rows of the backup are served, and the routes of newer rows are kept.
        wait_until_kept(Nodes, Client, routes(<<"type1">>, Late)),
        [?assertMatch({ok, #{removed := 0, kept := 5}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, Client, routes(<<"type1">>, Late)),
        [?assertMatch({ok, #{removed := 5, kept := 0}}, service(Node, converge, [force])) || Node <- Nodes],
        wait_until_kept(Nodes, Client, #{}),
        change_on_each(Nodes, Client)
    end).

%% Standbys

both_servers(Config) ->
    Ports = [md_cluster:port(?config(Role, Config)) || Role <- [primary, standby]],
    Url = md_database:with_ports(?config(database, Config), Ports),
    md_database:with_query(Url, "target_session_attrs=read-write").

wait_until_standby_has_all(Config) ->
    md_wait:until(fun() -> md_cluster:shows_all_of(?config(standby, Config), ?config(primary, Config)) end).

a_promoted_standby_is_followed_without_a_restart(Config) ->
    {Primary, Standby} = {?config(primary, Config), ?config(standby, Config)},
    ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"one-">>, 20)},
                        {add, <<"type2">>, md_names:numbered(<<"two-">>, 20)}]),
    Nodes = start(both_servers(Config), #{}),
    Services = [md_node:service(Node) || Node <- Nodes],
    wait_until_standby_has_all(Config),
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Primary),
        wait_for_state(Nodes, away),
        ok = md_cluster:promote(Standby),
        Client = md_client:open(md_cluster:url(Standby)),
        ok = md_rows:wait_until_agreed(Nodes, Client),
        change_on_each(Nodes, Client),
        ok = md_writer:write_and_notify(Client, [{add, <<"type1">>, [?A]}, {delete, [<<"one-1.example">>]}]),
        ok = md_rows:wait_until_agreed(Nodes, Client)
    end),
    ?assertEqual(Services, [md_node:service(Node) || Node <- Nodes]).

routes_that_only_the_dead_primary_knew_are_kept_until_their_host_type_is_fresh(Config) ->
    {Primary, Standby} = {?config(primary, Config), ?config(standby, Config)},
    ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"one-">>, 20)},
                        {add, <<"type2">>, md_names:numbered(<<"two-">>, 20)}]),
    [One, Other] = Nodes = start(both_servers(Config), #{}),
    wait_until_standby_has_all(Config),
    ok = md_gate:close(?config(gate, Config)),
    {LostOnes, LostTwos} = {md_names:numbered(<<"lost-one-">>, 3), md_names:numbered(<<"lost-two-">>, 3)},
    ok = write(Config, [{add, <<"type1">>, LostOnes}, {add, <<"type2">>, LostTwos}]),
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    {Ones, Twos} = {routes(<<"type1">>, LostOnes), routes(<<"type2">>, LostTwos)},
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Primary),
        wait_for_state(Nodes, away),
        ok = md_cluster:promote(Standby),
        Client = md_client:open(md_cluster:url(Standby)),
        wait_until_kept(Nodes, Client, maps:merge(Ones, Twos)),
        %% One domain is added again and loses the state of a kept route.
        [Again | _] = LostOnes,
        ?assertMatch({ok, _}, api(One, insert_domain, [Again, <<"type1">>])),
        wait_until_kept(Nodes, Client, maps:merge(maps:remove(Again, Ones), Twos)),
        ok = make_fresh(Other, <<"type1">>, 600),
        wait_until_kept(Nodes, Client, Twos),
        ok = make_fresh(One, <<"type2">>, 600),
        wait_until_kept(Nodes, Client, #{}),
        ?assertMatch({ok, _}, api(Other, delete_domain, [Again, <<"type1">>])),
        change_on_each(Nodes, Client)
    end).
