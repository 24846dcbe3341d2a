%% Each fault, on real PostgreSQL processes: servers that die, hang, lose data or are replaced, connections that
%% break in the middle, transactions that commit late, logs that are cut short, disks that are full.
%%
%% Two promises end each case. In the end every node's table says what the database says; where data was lost, the
%% routes that the gate keeps besides are exactly those that were lost. And a domain that nobody touches is answered
%% throughout, on every node, whatever happens to the database.
%%
%% A node notices a server that hangs by its time-outs, so those are short here, and so is the poll interval. Where
%% a node must be told, an hour between polls stands for never.
-module(reliability_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% Servers.
-export([a_server_that_was_killed_is_followed_again/1,
         a_server_that_was_restarted_is_followed_again/1,
         a_server_that_hung_is_followed_again/1,
         an_empty_server_takes_no_route_before_its_host_type_is_fresh/1,
         an_older_copy_takes_no_route_before_convergence_is_forced/1]).
%% Standbys.
-export([a_promoted_standby_is_followed_without_a_restart/1,
         routes_that_only_the_dead_primary_knew_are_kept_until_their_host_type_is_fresh/1]).
%% Connections.
-export([a_load_that_is_cut_in_its_middle_is_made_up_for/1,
         a_batch_of_events_that_is_cut_in_its_middle_is_read_again/1,
         a_change_whose_answer_is_lost_is_made_exactly_once/1,
         a_silent_connection_is_noticed/1,
         a_connection_that_is_closed_in_one_direction_is_noticed/1]).
%% Events.
-export([a_transaction_that_commits_late_is_followed/1,
         a_transaction_that_is_rolled_back_leaves_no_hole/1,
         a_log_that_was_truncated_past_the_cursor_is_made_up_for/1,
         a_sequence_that_jumped_by_a_million_is_followed/1,
         ids_below_the_oldest_are_followed/1,
         dummy_events_are_skipped_wherever_they_are/1,
         old_events_go_and_the_newest_stays/1]).
%% Convergence.
-export([converge_repairs_what_no_event_told_of/1,
         converge_tells_when_the_database_is_away/1,
         a_repair_by_the_clock_is_logged/1,
         without_a_gate_every_lost_route_goes/1,
         with_a_gate_at_all_times_a_silent_removal_waits_for_freshness/1,
         a_large_share_of_a_host_type_is_kept_and_a_small_one_goes/1,
         an_emptied_table_keeps_every_route/1]).
%% Snapshots.
-export([a_node_starts_warm_while_the_database_is_away/1,
         a_node_that_was_killed_starts_warm/1,
         a_damaged_snapshot_is_refused/1,
         a_full_disk_is_said_once_and_stops_nothing/1,
         a_data_directory_that_is_gone_is_said_once_and_stops_nothing/1]).
%% Rights.
-export([a_user_who_may_only_read_follows_and_changes_nothing/1]).

-define(HOUR, 3600000).
-define(TYPES, [<<"type1">>, <<"type2">>]).
-define(STATIC, <<"static.example">>).
%% The domain that nobody touches.
-define(STEADY, <<"steady.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(UNSERVED, {error, not_found}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, servers}, {group, standbys}, {group, connections}, {group, events}, {group, convergence},
     {group, snapshots}, {group, rights}].

groups() ->
    [{servers, [a_server_that_was_killed_is_followed_again,
                a_server_that_was_restarted_is_followed_again,
                a_server_that_hung_is_followed_again,
                an_empty_server_takes_no_route_before_its_host_type_is_fresh,
                an_older_copy_takes_no_route_before_convergence_is_forced]},
     {standbys, [a_promoted_standby_is_followed_without_a_restart,
                 routes_that_only_the_dead_primary_knew_are_kept_until_their_host_type_is_fresh]},
     {connections, [a_load_that_is_cut_in_its_middle_is_made_up_for,
                    a_batch_of_events_that_is_cut_in_its_middle_is_read_again,
                    a_change_whose_answer_is_lost_is_made_exactly_once,
                    a_silent_connection_is_noticed,
                    a_connection_that_is_closed_in_one_direction_is_noticed]},
     {events, [a_transaction_that_commits_late_is_followed,
               a_transaction_that_is_rolled_back_leaves_no_hole,
               a_log_that_was_truncated_past_the_cursor_is_made_up_for,
               a_sequence_that_jumped_by_a_million_is_followed,
               ids_below_the_oldest_are_followed,
               dummy_events_are_skipped_wherever_they_are,
               old_events_go_and_the_newest_stays]},
     {convergence, [converge_repairs_what_no_event_told_of,
                    converge_tells_when_the_database_is_away,
                    a_repair_by_the_clock_is_logged,
                    without_a_gate_every_lost_route_goes,
                    with_a_gate_at_all_times_a_silent_removal_waits_for_freshness,
                    a_large_share_of_a_host_type_is_kept_and_a_small_one_goes,
                    an_emptied_table_keeps_every_route]},
     {snapshots, [a_node_starts_warm_while_the_database_is_away,
                  a_node_that_was_killed_starts_warm,
                  a_damaged_snapshot_is_refused,
                  a_full_disk_is_said_once_and_stops_nothing,
                  a_data_directory_that_is_gone_is_said_once_and_stops_nothing]},
     {rights, [a_user_who_may_only_read_follows_and_changes_nothing]}].

init_per_group(Group, Config) ->
    [{group, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

%% Servers that get hurt are a case's own; the others have a database each on the one of the run.
init_per_testcase(Case, Before) ->
    Config = [{data_dir_of_nodes, filename:join(?config(priv_dir, Before), Case)} | Before],
    case ?config(group, Config) of
        servers ->
            Cluster = md_cluster:start(),
            [{cluster, Cluster}, {clusters, [Cluster]} | with_steady(md_cluster:url(Cluster), Config)];
        standbys ->
            Primary = md_cluster:start(),
            Gate = md_gate:start(md_cluster:port(Primary)),
            ok = md_gate:open(Gate),
            Standby = md_cluster:standby(md_gate:port(Gate)),
            [{primary, Primary}, {standby, Standby}, {gate, Gate}, {clusters, [Primary, Standby]}
             | with_steady(md_cluster:url(Primary), Config)];
        _ ->
            md_database:or_fail(fun() -> with_steady(md_database:create(), Config) end)
    end.

with_steady(Database, Config) ->
    Client = md_client:open(md_database:with_tables(Database)),
    ok = md_writer:write(Client, [{add, <<"type1">>, [?STEADY]}]),
    [{database, Database}, {client, Client} | Config].

end_per_testcase(_Case, Config) ->
    case ?config(clusters, Config) of
        undefined -> md_database:drop(?config(database, Config));
        Clusters -> lists:foreach(fun md_cluster:stop/1, Clusters)
    end.

%% Nodes

environment(Url, Options) ->
    #{hosts => [{?STATIC, <<"static type">>}],
      host_types => ?TYPES,
      service_domain_db => maps:merge(#{database => Url, poll_interval => 200}, Options)}.

%% Two nodes that know nothing of each other and follow this.
start(Url, Options) ->
    Nodes = md_node:start_many([environment(Url, Options), environment(Url, Options)]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Nodes.

%% Short, for servers that hang.
hasty() ->
    #{connect_timeout => 1000, statement_timeout => 1000, lock_timeout => 500}.

%% Only what PostgreSQL tells it makes such a node look.
told() ->
    #{poll_interval => ?HOUR}.

%% Does this while the untouched domain is looked up on each node.
watching(Nodes, Do) ->
    Watch = md_watch:start(Nodes, [?STEADY]),
    Do(),
    md_watch:stop(Watch).

api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

service(Node, Function, Args) ->
    md_node:call(Node, service_domain_db, Function, Args).

converge(Node) ->
    service(Node, converge, []).

%% Who filled the database with the domains of a host type says that it is complete, on any node.
make_fresh(Node, HostType, Ttl) ->
    md_node:call(Node, mongoose_domain_freshness, upsert, [HostType, Ttl]).

wait_for_state(Nodes, State) ->
    [md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, State) || Node <- Nodes],
    ok.

wait_for_status(Nodes, Key, Value) ->
    [md_wait:until(fun() -> maps:get(Key, md_node:status(Node)) end, Value) || Node <- Nodes],
    ok.

wait_until_found(Nodes, Domain) ->
    [md_wait:until(fun() -> md_node:lookup(Node, Domain) end, {ok, <<"type1">>}) || Node <- Nodes],
    ok.

wait_until_logged(Node, What, Count) ->
    md_wait:until(fun() -> md_node:count(Node, What) end, Count).

%% The tables say what the database says and these besides, and the nodes tell that of each.
wait_until_kept(Nodes, Client, Kept) ->
    ok = md_rows:wait_until_agreed(Nodes, Client, Kept),
    [md_wait:until(fun() -> lists:sort(service(Node, kept, [])) end, lists:sort(maps:to_list(Kept))) || Node <- Nodes],
    ok.

%% A change on each node, by the way that users have.
change_on_each(Nodes, Client) ->
    [begin
        Name = <<"by-node-", (integer_to_binary(erlang:unique_integer([positive])))/binary, ".example">>,
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>}}, api(Node, insert_domain, [Name, <<"type1">>])),
        ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name))
     end || Node <- Nodes],
    md_rows:wait_until_agreed(Nodes, Client).

routes(HostType, Names) ->
    maps:from_list([{Name, HostType} || Name <- Names]).

numbered(Prefix, Count) ->
    md_names:numbered(Prefix, Count).

%% The database

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

write(Config, Changes) ->
    md_writer:write_and_notify(?config(client, Config), Changes).

%% The same without an event and without a word.
silently(Config, Sql) ->
    [] = query(Config, Sql),
    ok.

add_silently(Config, HostType, Names) ->
    Rows = lists:join(", ", [["(", md_writer:literal(Name), ", ", md_writer:literal(HostType), ")"] || Name <- Names]),
    silently(Config, ["INSERT INTO domain_settings (domain, host_type) VALUES ", Rows]).

delete_silently(Config, Names) ->
    silently(Config, ["DELETE FROM domain_settings WHERE domain IN (",
                      lists:join(", ", [md_writer:literal(Name) || Name <- Names]), ")"]).

gate(Config) ->
    Database = ?config(database, Config),
    Gate = md_gate:start(md_database:port(Database)),
    ok = md_gate:open(Gate),
    {Gate, md_database:with_port(Database, md_gate:port(Gate))}.

%% Servers

a_server_that_was_killed_is_followed_again(Config) ->
    fault_and_cure(Config, #{}, fun md_cluster:kill/1, fun md_cluster:again/1).

a_server_that_was_restarted_is_followed_again(Config) ->
    fault_and_cure(Config, #{}, fun md_cluster:shut_down/1, fun md_cluster:again/1).

a_server_that_hung_is_followed_again(Config) ->
    fault_and_cure(Config, hasty(), fun md_cluster:freeze/1, fun md_cluster:thaw/1).

fault_and_cure(Config, Options, Fault, Cure) ->
    {Cluster, Url} = {?config(cluster, Config), ?config(database, Config)},
    ok = write(Config, [{add, <<"type1">>, numbered(<<"before-">>, 20)}]),
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
    %% It is said once that it is away, and once that it is back.
    [?assertEqual({1, 1}, {md_node:count(Node, domain_database_away), md_node:count(Node, domain_database_back)})
     || Node <- Nodes].

an_empty_server_takes_no_route_before_its_host_type_is_fresh(Config) ->
    {Cluster, Url} = {?config(cluster, Config), ?config(database, Config)},
    {Ones, Twos} = {numbered(<<"one-">>, 20), numbered(<<"two-">>, 20)},
    ok = write(Config, [{add, <<"type1">>, Ones}, {add, <<"type2">>, Twos}]),
    [One, Other] = Nodes = start(Url, #{}),
    {AllOnes, AllTwos} = {routes(<<"type1">>, [?STEADY | Ones]), routes(<<"type2">>, Twos)},
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Cluster),
        wait_for_state(Nodes, away),
        ok = md_cluster:empty(Cluster),
        %% The nodes make the tables, and keep what these lack.
        wait_for_state(Nodes, following),
        Client = md_client:open(Url),
        wait_until_kept(Nodes, Client, maps:merge(AllOnes, AllTwos)),
        %% A part of it comes again.
        {SomeOnes, LostOnes} = lists:split(15, Ones),
        {SomeTwos, LostTwos} = lists:split(5, Twos),
        ok = md_writer:write_and_notify(Client, [{add, <<"type1">>, [?STEADY | SomeOnes]}, {add, <<"type2">>, SomeTwos}]),
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
    Early = numbered(<<"early-">>, 30),
    ok = write(Config, [{add, <<"type1">>, Early}]),
    ok = md_cluster:backup(Cluster),
    Late = numbered(<<"late-">>, 5),
    ok = write(Config, [{add, <<"type1">>, Late}, {delete, [hd(Early)]}, {move, <<"type2">>, [lists:nth(2, Early)]}]),
    Nodes = start(Url, #{}),
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Cluster),
        wait_for_state(Nodes, away),
        ok = md_cluster:restore(Cluster),
        Client = md_client:open(Url),
        %% What the copy has is served, and what it never knew stays.
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
    ok = write(Config, [{add, <<"type1">>, numbered(<<"one-">>, 20)}, {add, <<"type2">>, numbered(<<"two-">>, 20)}]),
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
    ok = write(Config, [{add, <<"type1">>, numbered(<<"one-">>, 20)}, {add, <<"type2">>, numbered(<<"two-">>, 20)}]),
    [One, Other] = Nodes = start(both_servers(Config), #{}),
    wait_until_standby_has_all(Config),
    ok = md_gate:close(?config(gate, Config)),
    {LostOnes, LostTwos} = {numbered(<<"lost-one-">>, 3), numbered(<<"lost-two-">>, 3)},
    ok = write(Config, [{add, <<"type1">>, LostOnes}, {add, <<"type2">>, LostTwos}]),
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    {Ones, Twos} = {routes(<<"type1">>, LostOnes), routes(<<"type2">>, LostTwos)},
    watching(Nodes, fun() ->
        ok = md_cluster:kill(Primary),
        wait_for_state(Nodes, away),
        ok = md_cluster:promote(Standby),
        Client = md_client:open(md_cluster:url(Standby)),
        wait_until_kept(Nodes, Client, maps:merge(Ones, Twos)),
        %% One comes again, and is like any other from then on.
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

%% Connections

a_load_that_is_cut_in_its_middle_is_made_up_for(Config) ->
    silently(Config, "INSERT INTO domain_settings (domain, host_type) "
                     "SELECT 'bulk-' || n || '.example', 'type1' FROM generate_series(1, 20000) n"),
    {Gate, Url} = gate(Config),
    ok = md_gate:cut_after(Gate, 500000),
    Node = md_node:start(environment(Url, #{})),
    md_wait:until(fun() -> md_gate:is_closed(Gate) end),
    wait_for_state([Node], away),
    Loaded = maps:keys(md_node:routes(Node)),
    ?assert(length(Loaded) > 0 andalso length(Loaded) < 20001),
    ?assertMatch(#{loads := 0}, md_node:status(Node)),
    %% What is there stays there.
    Watch = md_watch:start([Node], lists:sublist(Loaded, 10)),
    ok = md_gate:open(Gate),
    md_node:wait_until_following(Node),
    ok = md_watch:stop(Watch),
    ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
    change_on_each([Node], ?config(client, Config)).

a_batch_of_events_that_is_cut_in_its_middle_is_read_again(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        ok = md_gate:cut_after(Gate, 20000),
        ok = write(Config, [{add, <<"type1">>, numbered(<<"event-">>, 3000)}]),
        md_wait:until(fun() -> md_gate:is_closed(Gate) end),
        wait_for_state(Nodes, away),
        ok = write(Config, [{delete, numbered(<<"event-">>, 10)}]),
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    %% By events alone.
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

%% An hour's lease lets nobody look for removals in between.
a_change_whose_answer_is_lost_is_made_exactly_once(Config) ->
    {Gate, Url} = gate(Config),
    Node = md_node:start(environment(Url, (told())#{pool_size => 1, removal_lease => ?HOUR})),
    md_node:wait_until_following(Node),
    watching([Node], fun() ->
        [begin
            %% So that there is a connection.
            ?assertMatch({ok, _}, api(Node, insert_domain, [<<"warm.", Name/binary>>, <<"type1">>])),
            prepare_change(Node, Change, Name),
            ok = md_node:sync(Node),
            Before = events(Config, Name),
            ok = md_gate:swallow(Gate),
            {Tag, Text} = api(Node, Change, [Name | Args]),
            ?assert(lists:member(Tag, [db_error, timeout])),
            ?assertEqual({true, Text}, {is_in_doubt(Text), Text}),
            md_wait:until(fun() -> md_gate:is_closed(Gate) end),
            ?assertEqual(Before + 1, events(Config, Name)),
            ok = md_gate:open(Gate),
            %% It is there, and asking again does nothing.
            ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
            ?assertMatch({ok, _}, api(Node, Change, [Name | Args])),
            ?assertEqual(Before + 1, events(Config, Name)),
            ?assertEqual(Shown, md_node:lookup(Node, Name))
         end || {Change, Name, Args, Shown} <- [{insert_domain, <<"i.example">>, [<<"type1">>], {ok, <<"type1">>}},
                                                {disable_domain, <<"d.example">>, [], ?UNSERVED},
                                                {enable_domain, <<"e.example">>, [], {ok, <<"type1">>}}]]
    end),
    ok = md_rows:wait_until_agreed([Node], ?config(client, Config)).

prepare_change(_Node, insert_domain, _Name) ->
    ok;
prepare_change(Node, disable_domain, Name) ->
    {ok, _} = api(Node, insert_domain, [Name, <<"type1">>]),
    ok;
prepare_change(Node, enable_domain, Name) ->
    ok = prepare_change(Node, disable_domain, Name),
    {ok, _} = api(Node, disable_domain, [Name]),
    ok.

events(Config, Domain) ->
    [[Count]] = query(Config, ["SELECT count(*) FROM domain_events WHERE domain = ", md_writer:literal(Domain)]),
    binary_to_integer(Count).

is_in_doubt(Text) ->
    binary:match(Text, <<"the change may have been made">>) =/= nomatch.

a_silent_connection_is_noticed(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, hasty()),
    watching(Nodes, fun() ->
        ok = md_gate:hush(Gate),
        wait_for_state(Nodes, away),
        %% By the time-out of a statement or of a log-in, and not by the system's, which are far longer.
        [?assertMatch({match, _}, re:run(maps:get(last_error, md_node:status(Node)), "1s|1 s|1000"))
         || Node <- Nodes],
        ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        change_on_each(Nodes, ?config(client, Config))
    end),
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

a_connection_that_is_closed_in_one_direction_is_noticed(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        [begin
            ok = md_gate:half_close(Gate, Deaf),
            [wait_until_logged(Node, domain_database_away, Times) || Node <- Nodes],
            %% The other direction is of no use, and nobody waits for it.
            ok = md_gate:open(Gate),
            ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
            [wait_until_logged(Node, domain_database_back, Times) || Node <- Nodes],
            change_on_each(Nodes, ?config(client, Config))
         end || {Deaf, Times} <- [{client, 1}, {server, 2}]]
    end).

%% Events

a_transaction_that_commits_late_is_followed(Config) ->
    hold_in_the_middle(Config, fun(Late, Nodes) ->
        [] = md_client:query(Late, "COMMIT"),
        [] = md_client:query(Late, "NOTIFY mongoose_domain_events"),
        wait_until_found(Nodes, ?A)
    end).

a_transaction_that_is_rolled_back_leaves_no_hole(Config) ->
    hold_in_the_middle(Config, fun(Late, Nodes) ->
        [] = md_client:query(Late, "ROLLBACK"),
        [] = md_client:query(Late, "NOTIFY mongoose_domain_events"),
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes]
    end).

%% A transaction has its event's id and does not commit, while a thousand others get theirs before and after it, and
%% do. Then it ends in this way.
hold_in_the_middle(Config, End) ->
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- parts(numbered(<<"first-">>, 500))],
        Late = md_client:open(?config(database, Config)),
        [] = md_client:query(Late, ["BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1'); "
                                    "INSERT INTO domain_events (domain) VALUES ('a.example')"]),
        [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- parts(numbered(<<"second-">>, 500))],
        %% Nobody waits for it.
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        ?assertEqual(1001, maps:size(md_node:routes(hd(Nodes)))),
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes],
        wait_for_status(Nodes, open_holes, 1),
        End(Late, Nodes),
        wait_for_status(Nodes, open_holes, 0),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

parts([]) -> [];
parts(Names) ->
    {Part, Rest} = lists:split(10, Names),
    [Part | parts(Rest)].

a_log_that_was_truncated_past_the_cursor_is_made_up_for(Config) ->
    Names = [Deleted, Disabled, Moved | _] = numbered(<<"one-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        ok = md_gate:close(Gate),
        wait_for_state(Nodes, away),
        ok = write(Config, [{delete, [Deleted]}, {disable, [Disabled]}, {move, <<"type2">>, [Moved]}, {add, <<"type1">>, [?A]}]),
        silently(Config, "TRUNCATE domain_events"),
        ok = write(Config, [{add, <<"type2">>, [?B]}]),
        ok = md_gate:open(Gate),
        %% Nothing says that data was lost: what the table lacks is gone.
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        change_on_each(Nodes, ?config(client, Config))
    end).

a_sequence_that_jumped_by_a_million_is_followed(Config) ->
    Nodes = start(?config(database, Config), #{}),
    watching(Nodes, fun() ->
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        Before = [maps:get(events, md_node:status(Node)) || Node <- Nodes],
        _ = query(Config, "SELECT setval('domain_events_id_seq', nextval('domain_events_id_seq') + 1000000)"),
        ok = write(Config, [{add, <<"type1">>, [?A]}]),
        wait_until_found(Nodes, ?A),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        %% One event is one event.
        ?assertEqual([Count + 1 || Count <- Before], [maps:get(events, md_node:status(Node)) || Node <- Nodes]),
        %% The ids in between are no holes for ever; some of them may come all the same.
        ok = write(Config, [{add, <<"type1">>, [?B]}]),
        wait_until_found(Nodes, ?B),
        ok = add_event_with_id(Config, 500000, {add, <<"c.example">>}),
        wait_until_found(Nodes, <<"c.example">>),
        wait_for_status(Nodes, open_holes, 0),
        change_on_each(Nodes, ?config(client, Config))
    end).

ids_below_the_oldest_are_followed(Config) ->
    [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- parts(numbered(<<"one-">>, 100))],
    silently(Config, "DELETE FROM domain_events WHERE id < 50"),
    Nodes = start(?config(database, Config), #{}),
    watching(Nodes, fun() ->
        [begin
            Name = <<"below-", (integer_to_binary(Id))/binary, ".example">>,
            ok = add_event_with_id(Config, Id, {add, Name}),
            wait_until_found(Nodes, Name)
         end || Id <- [49, 20, 1]],
        ok = add_event_with_id(Config, 30, {delete, <<"one-7.example">>}),
        [md_wait:until(fun() -> md_node:lookup(Node, <<"one-7.example">>) end, ?UNSERVED) || Node <- Nodes],
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end).

%% A change whose event has an id that somebody chose. Ids that no transaction holds any more are looked at with
%% each poll.
add_event_with_id(Config, Id, Change) ->
    {Settings, Domain} = case Change of
        {add, Name} -> {["INSERT INTO domain_settings (domain, host_type) VALUES (", md_writer:literal(Name), ", 'type1'); "], Name};
        {delete, Name} -> {["DELETE FROM domain_settings WHERE domain = ", md_writer:literal(Name), "; "], Name}
    end,
    [] = query(Config, ["BEGIN; ", Settings, "INSERT INTO domain_events (id, domain) VALUES (", integer_to_binary(Id), ", ",
                        md_writer:literal(Domain), "); NOTIFY mongoose_domain_events; COMMIT"]),
    ok.

%% MongooseIM fills holes with them.
dummy_events_are_skipped_wherever_they_are(Config) ->
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        _ = query(Config, "SELECT nextval('domain_events_id_seq')"),
        [[Hole]] = query(Config, "SELECT last_value FROM domain_events_id_seq"),
        ok = write(Config, [{add, <<"type1">>, [?A]}]),
        wait_until_found(Nodes, ?A),
        [] = query(Config, ["INSERT INTO domain_events (id, domain) VALUES (", Hole, ", '')"]),
        ok = md_writer:add_events(?config(client, Config), [<<>>, <<>>]),
        ok = write(Config, [{add, <<"type1">>, [?B]}]),
        ok = md_writer:add_events(?config(client, Config), [<<>>]),
        wait_until_found(Nodes, ?B),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        wait_for_status(Nodes, open_holes, 0)
    end),
    [?assertEqual([], md_node:logged(Node, ignore_domain_from_db_with_invalid_name)) || Node <- Nodes].

%% Two nodes do it at the same time, each second. An event is older than any node needs to follow it.
old_events_go_and_the_newest_stays(Config) ->
    Nodes = start(?config(database, Config), #{event_cleaning_interval => 1, event_max_age => 3}),
    watching(Nodes, fun() ->
        [begin
            [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- parts(numbered(Prefix, 200))],
            Newest = md_writer:newest(?config(client, Config)),
            md_wait:until(fun() -> query(Config, "SELECT id FROM domain_events") end, [[integer_to_binary(Newest)]]),
            ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
         end || Prefix <- [<<"first-">>, <<"second-">>]],
        change_on_each(Nodes, ?config(client, Config))
    end),
    [?assertEqual({What, []}, {What, md_node:logged(Node, What)})
     || Node <- Nodes, What <- [events_log_out_of_sync, domain_database_away, domain_convergence_repaired]],
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

%% Convergence

converge_repairs_what_no_event_told_of(Config) ->
    Names = [Deleted, Disabled, Moved | _] = numbered(<<"one-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        ok = add_silently(Config, <<"type2">>, [?A, ?B]),
        ok = delete_silently(Config, [Deleted]),
        silently(Config, ["UPDATE domain_settings SET status = 0 WHERE domain = ", md_writer:literal(Disabled)]),
        silently(Config, ["UPDATE domain_settings SET host_type = 'type2' WHERE domain = ", md_writer:literal(Moved)]),
        [ok = md_node:sync(Node) || Node <- Nodes],
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes],
        [?assertEqual({ok, #{added => 2, changed => 1, removed => 2, kept => 0}}, converge(Node)) || Node <- Nodes],
        ?assertEqual([], md_rows:disagreements(Nodes, ?config(client, Config))),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 0}}, converge(Node)) || Node <- Nodes],
        change_on_each(Nodes, ?config(client, Config))
    end).

converge_tells_when_the_database_is_away(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, #{}),
    watching(Nodes, fun() ->
        ok = md_gate:close(Gate),
        wait_for_state(Nodes, away),
        [?assertMatch({error, <<_, _/binary>>}, service(Node, converge, Args)) || Node <- Nodes, Args <- [[], [force]]],
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 0}}, converge(Node)) || Node <- Nodes]
    end).

a_repair_by_the_clock_is_logged(Config) ->
    Nodes = start(?config(database, Config), (told())#{converge_interval => 200}),
    watching(Nodes, fun() ->
        [?assertEqual([], md_node:logged(Node, domain_convergence_repaired)) || Node <- Nodes],
        ok = add_silently(Config, <<"type1">>, [?A]),
        wait_until_found(Nodes, ?A),
        [wait_until_logged(Node, domain_convergence_repaired, 1) || Node <- Nodes],
        ok = delete_silently(Config, [?A]),
        [wait_until_logged(Node, domain_convergence_repaired, 2) || Node <- Nodes],
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    [?assertMatch([{warning, #{added := 1, removed := 0}}, {warning, #{added := 0, removed := 1}}],
                  md_node:logged(Node, domain_convergence_repaired)) || Node <- Nodes].

without_a_gate_every_lost_route_goes(Config) ->
    ok = write(Config, [{add, <<"type1">>, numbered(<<"one-">>, 20)}, {add, <<"type2">>, numbered(<<"two-">>, 20)}]),
    Nodes = start(?config(database, Config), (told())#{convergence_gate => off}),
    watching(Nodes, fun() ->
        silently(Config, ["DELETE FROM domain_settings WHERE domain <> ", md_writer:literal(?STEADY)]),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 40, kept => 0}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{}),
        change_on_each(Nodes, ?config(client, Config))
    end).

with_a_gate_at_all_times_a_silent_removal_waits_for_freshness(Config) ->
    [Silent, Told | _] = Names = numbered(<<"one-">>, 20),
    [Other | _] = Others = numbered(<<"two-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}, {add, <<"type2">>, Others}]),
    [One | _] = Nodes = start(?config(database, Config), (told())#{convergence_gate => always}),
    watching(Nodes, fun() ->
        ok = delete_silently(Config, [Silent, Other]),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 2}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{Silent => <<"type1">>, Other => <<"type2">>}),
        %% An event is always obeyed.
        ok = write(Config, [{delete, [Told]}]),
        wait_until_kept(Nodes, ?config(client, Config), #{Silent => <<"type1">>, Other => <<"type2">>}),
        ok = make_fresh(One, <<"type1">>, 600),
        wait_until_kept(Nodes, ?config(client, Config), #{Other => <<"type2">>}),
        %% While it is fresh, nothing of it is kept.
        ok = delete_silently(Config, [lists:nth(3, Names)]),
        [?assertMatch({ok, #{removed := 1, kept := 1}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{Other => <<"type2">>}),
        %% And an event of a kept one takes it, too.
        ok = write(Config, [{delete, [Other]}]),
        wait_until_kept(Nodes, ?config(client, Config), #{})
    end).

a_large_share_of_a_host_type_is_kept_and_a_small_one_goes(Config) ->
    {Ones, Twos} = {numbered(<<"one-">>, 19), numbered(<<"two-">>, 20)},
    ok = write(Config, [{add, <<"type1">>, Ones}, {add, <<"type2">>, Twos}]),
    [One | _] = Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        %% Half is not above a half.
        ok = delete_silently(Config, lists:sublist(Ones, 10)),
        [?assertMatch({ok, #{removed := 10, kept := 0}}, converge(Node)) || Node <- Nodes],
        Lost = lists:sublist(Twos, 11),
        ok = delete_silently(Config, Lost),
        [?assertMatch({ok, #{removed := 0, kept := 11}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), routes(<<"type2">>, Lost)),
        ok = make_fresh(One, <<"type2">>, 0),
        wait_until_kept(Nodes, ?config(client, Config), #{})
    end).

an_emptied_table_keeps_every_route(Config) ->
    ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
    [One | _] = Nodes = start(?config(database, Config), told()),
    All = #{?STEADY => <<"type1">>, ?A => <<"type1">>, ?B => <<"type2">>},
    watching(Nodes, fun() ->
        silently(Config, "TRUNCATE domain_settings"),
        [?assertMatch({ok, #{removed := 0, kept := 3}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), All),
        [?assertMatch(#{kept := 3}, md_node:status(Node)) || Node <- Nodes],
        ok = add_silently(Config, <<"type1">>, [?STEADY]),
        ok = make_fresh(One, <<"type1">>, 600),
        wait_until_kept(Nodes, ?config(client, Config), #{?B => <<"type2">>})
    end).

%% Snapshots

%% A node of its own data directory, that of the case.
warm_environment(Config, Url, Options) ->
    (environment(Url, Options))#{data_dir => data_dir(Config)}.

data_dir(Config) ->
    ?config(data_dir_of_nodes, Config).

files(Config) ->
    {ok, Names} = file:list_dir(data_dir(Config)),
    [File || Name <- Names, File <- [filename:join(data_dir(Config), Name)], filelib:is_regular(File)].

%% A file in the data directory has this name in it.
wait_until_snapshot_has(Config, Domain) ->
    md_wait:until(fun() ->
        lists:any(fun(File) ->
            case file:read_file(File) of
                {ok, Bytes} -> binary:match(Bytes, Domain) =/= nomatch;
                {error, enoent} -> false % the .new one, which has become the other
            end
        end, files(Config))
    end).

%% A node has served this, and has stopped in order; the gate is closed.
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
    [File] = files(Config),
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

%% A disk that is full is one on which no file may grow beyond some bytes.
a_full_disk_is_said_once_and_stops_nothing(Config) ->
    case os:find_executable("prlimit") of
        false ->
            {skip, "no program to bound the files of a node with: prlimit is not on PATH"};
        _ ->
            Node = md_node:start_bounded(warm_environment(Config, ?config(database, Config), #{snapshot_interval => 100})),
            works_without_snapshots(Config, Node, fun() -> md_node:bound_files(Node, 1000) end,
                                    fun() -> md_node:bound_files(Node, unlimited) end)
    end.

a_data_directory_that_is_gone_is_said_once_and_stops_nothing(Config) ->
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
        ok = write(Config, [{add, <<"type1">>, numbered(<<"many-">>, 500)}]),
        wait_until_logged(Node, domain_snapshot_failed, 1),
        change_on_each([Node], ?config(client, Config)),
        ok = Cure(),
        %% What was there before is there now, whole.
        wait_until_snapshot_has(Config, ?STEADY),
        ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
        wait_until_snapshot_has(Config, <<"d.example">>),
        ok = md_rows:wait_until_agreed([Node], ?config(client, Config))
    end),
    ?assertMatch([{warning, #{reason := _}}], md_node:logged(Node, domain_snapshot_failed)).

%% Rights

a_user_who_may_only_read_follows_and_changes_nothing(Config) ->
    User = lists:concat(["ct_reader_", os:getpid(), "_", erlang:unique_integer([positive])]),
    silently(Config, ["CREATE ROLE ", User, " LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ", User]),
    Nodes = start(md_database:with_user(?config(database, Config), User, none), told()),
    watching(Nodes, fun() ->
        ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
        ok = write(Config, [{disable, [?B]}]),
        wait_until_found(Nodes, ?A),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        [?assertMatch({db_error, <<_, _/binary>>}, api(Node, Function, Args))
         || Node <- Nodes, {Function, Args} <- [{insert_domain, [<<"c.example">>, <<"type1">>]}, {disable_domain, [?A]},
                                                {enable_domain, [?B]}]],
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        [?assertEqual([], md_node:logged(Node, domain_database_away)) || Node <- Nodes]
    end),
    [md_node:stop_application(Node) || Node <- Nodes],
    silently(Config, ["DROP OWNED BY ", User, "; DROP ROLE ", User]).
