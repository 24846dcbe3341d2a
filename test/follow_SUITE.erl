%% A node follows its database: its table shows what any program commits there.
%%
%% The writer is another program that writes plain SQL, and the nodes are VMs that are not connected, except where a
%% case says so. A node shows every event up to its cursor, so a case waits for the newest id and then compares the
%% whole table.
%%
%% The hour between two polls is longer than any test, so a node that shows a change earlier was notified, or has asked for
%% the newest event where there are no notifications (MariaDB).
-module(follow_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([every_name_of_the_data_files_is_loaded_and_answered/1,
         nodes_that_are_not_connected_follow_by_their_poll_interval/1,
         nodes_that_are_not_connected_are_woken_by_a_notification/1,
         nodes_that_are_not_connected_follow_by_their_look_interval/1,
         a_check_for_updates_reaches_every_connected_node/1,
         a_check_for_updates_message_wakes_the_service/1,
         sync_local_shows_what_was_committed_before_it/1,
         dummy_events_are_skipped/1,
         neither_order_nor_repetition_of_events_matters/1,
         any_number_of_events_at_once_is_followed/1,
         the_first_event_of_an_empty_log_may_have_any_id/1,
         domains_that_were_disabled_or_in_removal_are_not_loaded/1,
         a_fresh_file_gets_the_tables/1]).

-define(HOST_TYPES, [<<"type1">>, <<"type2">>]).
-define(HOUR, 3600000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, postgres}, {group, mariadb}, {group, sqlite}].

groups() ->
    All = [every_name_of_the_data_files_is_loaded_and_answered,
           nodes_that_are_not_connected_follow_by_their_poll_interval,
           a_check_for_updates_message_wakes_the_service,
           sync_local_shows_what_was_committed_before_it,
           dummy_events_are_skipped,
           neither_order_nor_repetition_of_events_matters,
           any_number_of_events_at_once_is_followed,
           the_first_event_of_an_empty_log_may_have_any_id,
           domains_that_were_disabled_or_in_removal_are_not_loaded],
    [{postgres, [nodes_that_are_not_connected_are_woken_by_a_notification,
                 a_check_for_updates_reaches_every_connected_node | All]},
     {mariadb, [nodes_that_are_not_connected_follow_by_their_look_interval,
                a_check_for_updates_reaches_every_connected_node | All]},
     {sqlite, [a_fresh_file_gets_the_tables | All]}].

init_per_group(sqlite = Group, Config) ->
    case md_client:speaks_sqlite() of
        true -> [{kind, Group} | Config];
        false -> {skip, "no program to write into SQLite with: neither sqlite3 nor python3 is on PATH"}
    end;
init_per_group(Group, Config) ->
    [{kind, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    case ?config(kind, Config) of
        postgres -> md_database:or_fail(fun() -> [{database, md_database:create()} | Config] end);
        mariadb -> md_database:or_fail(fun() -> [{database, md_database:mariadb()} | Config] end);
        sqlite -> [{database, md_database:sqlite(?config(priv_dir, Config))} | Config]
    end.

end_per_testcase(_Case, Config) ->
    case ?config(kind, Config) of
        sqlite -> ok;
        _Server -> md_database:drop(?config(database, Config))
    end.

%% The environment of a node, and the writer, a client of the database with its tables.
environment(Config, PollInterval) ->
    #{host_types => ?HOST_TYPES,
      service_domain_db => #{database => ?config(database, Config), poll_interval => PollInterval}}.

writer(Config) ->
    md_client:open(md_database:with_tables(?config(database, Config))).

%% The promises

every_name_of_the_data_files_is_loaded_and_answered(Config) ->
    Names = md_names:all(),
    Writer = writer(Config),
    [ok = md_writer:write(Writer, [{add, <<"type1">>, Part}]) || Part <- parts(Names, 2000)],
    Node = md_node:start(environment(Config, ?HOUR)),
    md_node:wait_until_following(Node),
    ?assertEqual([], unanswered(Node, [{Name, {ok, <<"type1">>}} || Name <- Names])),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"nowhere.example">>)),
    ?assertEqual(length(Names), md_node:call(Node, mongoose_domain_core, domains_count, [])),
    ?assertMatch([{notice, #{count := Count}}] when Count =:= length(Names), md_node:logged(Node, load_data_from_base)).

nodes_that_are_not_connected_follow_by_their_poll_interval(Config) ->
    two_nodes_follow_everything(Config, 50, fun md_writer:write/2).

nodes_that_are_not_connected_are_woken_by_a_notification(Config) ->
    two_nodes_follow_everything(Config, ?HOUR, fun md_writer:write_and_notify/2).

nodes_that_are_not_connected_follow_by_their_look_interval(Config) ->
    two_nodes_follow_everything(Config, ?HOUR, fun md_writer:write/2).

%% Every name is in one of the batches: all are added, then a fifth each is disabled, moved, deleted, disabled and
%% enabled again, or left alone.
two_nodes_follow_everything(Config, PollInterval, Write) ->
    Writer = writer(Config),
    Environment = environment(Config, PollInterval),
    Nodes = md_node:start_many([Environment, Environment]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    [?assertEqual([], md_node:call(Node, erlang, nodes, [connected])) || Node <- Nodes],
    Names = md_names:all(),
    [ok = Write(Writer, [{add, <<"type1">>, Part}]) || Part <- parts(Names, 500)],
    {[Disabled, Moved, Deleted, Again], Alone} = fifths(Names),
    Batches = [[{disable, Part}] || Part <- parts(Disabled ++ Again, 700)]
        ++ [[{move, <<"type2">>, Part}] || Part <- parts(Moved, 300)]
        ++ [[{delete, Part}] || Part <- parts(Deleted, 900)]
        ++ [[{enable, Part}] || Part <- parts(Again, 1100)],
    [ok = Write(Writer, Batch) || Batch <- Batches],
    Newest = md_writer:newest(Writer),
    Wanted = maps:from_list([{Name, <<"type1">>} || Name <- Again ++ Alone] ++ [{Name, <<"type2">>} || Name <- Moved]),
    [begin
        md_node:wait_until_at(Node, Newest),
        ?assertEqual(Wanted, md_node:routes(Node)),
        ?assertEqual([], unanswered(Node, [{Name, {error, not_found}} || Name <- Disabled ++ Deleted])),
        %% All routes came by following: the one load found no rows.
        ?assertMatch(#{loads := 1, lag := 0}, md_node:status(Node))
     end || Node <- Nodes].

a_check_for_updates_reaches_every_connected_node(Config) ->
    Writer = writer(Config),
    Environment = environment(Config, ?HOUR),
    [One, Other] = Nodes = md_node:connected([Environment, Environment]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Group = [service_domain_db:scope(), service_domain_db_group],
    [md_wait:until(fun() -> length(md_node:call(Node, pg, get_members, Group)) end, 2) || Node <- Nodes],
    ok = md_writer:write(Writer, [{add, <<"type1">>, [<<"a.example">>]}]),
    ok = md_node:call(One, service_domain_db, force_check_for_updates, []),
    [md_wait:until(fun() -> md_node:lookup(Node, <<"a.example">>) end, {ok, <<"type1">>}) || Node <- Nodes],
    %% A node can ping the service of another node.
    ?assertEqual(pong, md_node:call(One, service_domain_db, ping, [md_node:call(Other, erlang, node, [])])).

a_check_for_updates_message_wakes_the_service(Config) ->
    Writer = writer(Config),
    Node = md_node:start(environment(Config, ?HOUR)),
    md_node:wait_until_following(Node),
    ok = md_writer:write(Writer, [{add, <<"type1">>, [<<"a.example">>]}]),
    Messages = [check_for_updates || _ <- lists:seq(1, 100)],
    [md_node:call(Node, erlang, send, [service_domain_db, Message]) || Message <- Messages],
    md_wait:until(fun() -> md_node:lookup(Node, <<"a.example">>) end, {ok, <<"type1">>}),
    ok = md_writer:write(Writer, [{delete, [<<"a.example">>]}]),
    ok = md_node:call(Node, service_domain_db, check_local, []),
    md_wait:until(fun() -> md_node:lookup(Node, <<"a.example">>) end, {error, not_found}).

sync_local_shows_what_was_committed_before_it(Config) ->
    Writer = writer(Config),
    Node = md_node:start(environment(Config, ?HOUR)),
    Names = md_names:some(30),
    [begin
        ok = md_writer:write(Writer, [{add, <<"type1">>, [Name]}]),
        ?assertEqual(ok, md_node:sync(Node)),
        ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)),
        ok = md_writer:write(Writer, [{move, <<"type2">>, [Name]}]),
        ?assertEqual(ok, md_node:sync(Node)),
        ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, Name)),
        ok = md_writer:write(Writer, [{delete, [Name]}]),
        ?assertEqual(ok, md_node:sync(Node)),
        ?assertEqual({error, not_found}, md_node:lookup(Node, Name))
     end || Name <- Names].

dummy_events_are_skipped(Config) ->
    Writer = writer(Config),
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    ok = md_writer:add_events(Writer, [<<>>, <<>>]),
    ok = md_writer:write(Writer, [{add, <<"type1">>, [<<"a.example">>]}]),
    ok = md_writer:add_events(Writer, [<<>>]),
    ok = md_node:sync(Node),
    ?assertEqual(#{<<"a.example">> => <<"type1">>}, md_node:routes(Node)),
    ?assertMatch(#{cursor := 4, events := 4, lag := 0}, md_node:status(Node)),
    ?assertEqual(0, md_node:count(Node, ignore_domain_from_db_with_invalid_name)).

neither_order_nor_repetition_of_events_matters(Config) ->
    Writer = writer(Config),
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    Names = [Gone, Stays | _] = md_names:some(50),
    ok = md_writer:write(Writer, [{add, <<"type1">>, Names}, {delete, [Gone]}, {move, <<"type2">>, [Stays]}]),
    %% Events without changes: in reverse order, of domains that never existed, and each twice.
    ok = md_writer:add_events(Writer, lists:reverse(Names) ++ Names ++ [<<"never.example">>, <<"never.example">>]),
    ok = md_node:sync(Node),
    Wanted = maps:from_list([{Name, <<"type1">>} || Name <- Names]),
    ?assertEqual(maps:remove(Gone, Wanted#{Stays := <<"type2">>}), md_node:routes(Node)),
    ok = md_writer:add_events(Writer, Names),
    ok = md_node:sync(Node),
    ?assertEqual(maps:remove(Gone, Wanted#{Stays := <<"type2">>}), md_node:routes(Node)).

%% A statement reads a thousand events; none is lost at the border between two statements.
any_number_of_events_at_once_is_followed(Config) ->
    Writer = writer(Config),
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    lists:foldl(fun(Count, Before) ->
        Names = md_names:numbered(<<"at-once-", (integer_to_binary(Count))/binary, "-">>, Count),
        ok = md_writer:write(Writer, [{add, <<"type1">>, Names}]),
        ok = md_node:sync(Node),
        Wanted = maps:merge(Before, maps:from_list([{Name, <<"type1">>} || Name <- Names])),
        ?assertEqual(Wanted, md_node:routes(Node)),
        Wanted
    end, #{}, [999, 1000, 1001, 2000, 3500]),
    ?assertMatch(#{cursor := 8500, events := 8500, loads := 1}, md_node:status(Node)).

%% A rolled-back transaction has used up an id, and pruning may have emptied the log.
%% Neither counts as data loss.
the_first_event_of_an_empty_log_may_have_any_id(Config) ->
    Writer = writer(Config),
    ok = md_writer:write(Writer, [{add, <<"type1">>, [<<"a.example">>]}]),
    [] = md_client:query(Writer, "DELETE FROM domain_events"),
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    ok = md_writer:write(Writer, [{add, <<"type2">>, [<<"b.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual(#{<<"a.example">> => <<"type1">>, <<"b.example">> => <<"type2">>}, md_node:routes(Node)),
    ?assertEqual([], md_node:logged(Node, events_log_out_of_sync)).

domains_that_were_disabled_or_in_removal_are_not_loaded(Config) ->
    Writer = writer(Config),
    Names = [Enabled, Disabled, Deleting] = md_names:some(3),
    ok = md_writer:write(Writer, [{add, <<"type1">>, Names}, {disable, [Disabled]}, {status, 2, [Deleting]}]),
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    ?assertEqual(#{Enabled => <<"type1">>}, md_node:routes(Node)),
    ok = md_writer:write(Writer, [{enable, [Disabled]}, {status, 2, [Enabled]}]),
    ok = md_node:sync(Node),
    ?assertEqual(#{Disabled => <<"type1">>}, md_node:routes(Node)).

a_fresh_file_gets_the_tables(Config) ->
    Node = md_node:start(environment(Config, ?HOUR)),
    ok = md_node:sync(Node),
    Client = md_client:open(?config(database, Config)),
    Tables = md_client:query(Client, "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'domain_%' ORDER BY name"),
    ?assertEqual([], [[<<"domain_admins">>], [<<"domain_events">>], [<<"domain_settings">>]] -- Tables),
    ok = md_writer:write(Client, [{add, <<"type1">>, [<<"a.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, <<"a.example">>)).

%% Helpers

%% The domains whose lookup returns another answer than the expected one.
unanswered(Node, Wanted) ->
    Answers = md_node:lookups(Node, [Domain || {Domain, _} <- Wanted]),
    [{Domain, Answer} || {{Domain, Want}, Answer} <- lists:zip(Wanted, Answers), Answer =/= Want].

parts(List, Length) when length(List) =< Length ->
    [List];
parts(List, Length) ->
    {Part, Rest} = lists:split(Length, List),
    [Part | parts(Rest, Length)].

%% Four fifths of the list, and the rest.
fifths(List) ->
    Length = length(List) div 5,
    lists:mapfoldl(fun(_, Rest) -> lists:split(Length, Rest) end, List, lists:seq(1, 4)).
