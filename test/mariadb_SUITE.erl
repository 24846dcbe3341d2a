%% Nodes that share a database of MariaDB, which has no notifications.
%%
%% The writer beside the nodes is another program with plain SQL. The hour between two polls is longer than any test, so a
%% node that shows a change earlier made it, was told by a connected node, or has asked for the newest event
%% (`look_interval'). operations_SUITE and follow_SUITE have groups for MariaDB, too: here is what those suites do not
%% show.
-module(mariadb_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
%% Changes
-export([every_change_shows_at_once_on_its_node_and_then_on_the_other/1,
         connected_nodes_tell_each_other_of_changes/1,
         a_row_and_its_event_by_another_program_are_seen_without_a_notification/1,
         a_longer_look_interval_delays_what_other_programs_write/1,
         an_idle_follower_asks_for_the_newest_id_and_nothing_else/1,
         the_door_changes_domains/1]).
%% What nodes share
-export([a_failed_removal_is_repeated_on_another_node/1,
         a_password_of_one_node_is_checked_by_the_other/1]).
%% Names
-export([names_that_the_stock_collation_takes_for_equal_are_kept_apart/1,
         a_url_of_either_scheme_leads_to_the_same_database/1]).
%% Faults
-export([rows_that_were_deleted_by_hand_take_no_route_with_them/1,
         a_restored_dump_takes_no_route_with_it/1,
         a_server_that_is_killed_costs_no_route_and_no_change/1,
         a_node_that_starts_without_its_server_serves_from_its_file/1,
         late_ids_are_followed/1,
         a_user_without_the_privilege_process_follows_late_ids/1,
         strides_of_ids_lead_to_no_comparison_and_hide_no_late_id/1,
         a_user_who_may_only_read_follows_and_changes_nothing/1,
         the_doctor_finds_nothing_wrong/1]).

-define(HOUR, 3600000).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(STATIC, <<"static.example">>).
-define(NOT_FOUND, {error, not_found}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [every_change_shows_at_once_on_its_node_and_then_on_the_other,
     connected_nodes_tell_each_other_of_changes,
     a_row_and_its_event_by_another_program_are_seen_without_a_notification,
     a_longer_look_interval_delays_what_other_programs_write,
     an_idle_follower_asks_for_the_newest_id_and_nothing_else,
     the_door_changes_domains,
     a_failed_removal_is_repeated_on_another_node,
     a_password_of_one_node_is_checked_by_the_other,
     names_that_the_stock_collation_takes_for_equal_are_kept_apart,
     a_url_of_either_scheme_leads_to_the_same_database,
     rows_that_were_deleted_by_hand_take_no_route_with_them,
     a_restored_dump_takes_no_route_with_it,
     a_server_that_is_killed_costs_no_route_and_no_change,
     a_node_that_starts_without_its_server_serves_from_its_file,
     late_ids_are_followed,
     a_user_without_the_privilege_process_follows_late_ids,
     strides_of_ids_lead_to_no_comparison_and_hide_no_late_id,
     a_user_who_may_only_read_follows_and_changes_nothing,
     the_doctor_finds_nothing_wrong].

%% The cases that need a server of their own: they kill it, or count all its statements.
has_own_server(a_server_that_is_killed_costs_no_route_and_no_change) -> true;
has_own_server(a_node_that_starts_without_its_server_serves_from_its_file) -> true;
has_own_server(an_idle_follower_asks_for_the_newest_id_and_nothing_else) -> true;
has_own_server(strides_of_ids_lead_to_no_comparison_and_hide_no_late_id) -> true;
has_own_server(_Case) -> false.

%% The tables are there already where a case has its own idea of them.
tables(names_that_the_stock_collation_takes_for_equal_are_kept_apart) -> mongooseim;
tables(_Case) -> own.

init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        {Server, Url} = case has_own_server(Case) of
            true ->
                Started = md_mariadb:start([]),
                {Started, md_mariadb:url(Started)};
            false ->
                {none, md_database:mariadb(character_set(tables(Case)))}
        end,
        case tables(Case) of
            own -> md_database:with_tables(Url);
            mongooseim -> make_tables_of_mongooseim(Url)
        end,
        [{server, Server}, {database, Url}, {client, md_client:open(Url)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    case ?config(server, Config) of
        none -> md_database:drop(?config(database, Config));
        Server -> md_mariadb:stop(Server)
    end.

%% Debian's option files have utf8mb4, a server without any has latin1 and its Swedish rules.
character_set(mongooseim) -> "CHARACTER SET latin1 COLLATE latin1_swedish_ci";
character_set(own) -> "".

%% The columns, keys and indexes that MongooseIM's nodes expect, in the database's own character set and collation.
make_tables_of_mongooseim(Url) ->
    Client = md_client:open(Url),
    [] = md_client:query(Client, [
        "CREATE TABLE domain_settings (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL, "
        "host_type VARCHAR(250) NOT NULL, status TINYINT NOT NULL DEFAULT 1); "
        "CREATE INDEX i_domain_settings_domain ON domain_settings (domain); "
        "CREATE TABLE domain_events (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, domain VARCHAR(250) NOT NULL); "
        "CREATE INDEX i_domain_events_domain ON domain_events (domain); "
        "CREATE TABLE domain_admins (domain VARCHAR(250) NOT NULL PRIMARY KEY, pass_details TEXT NOT NULL)"]),
    ok = md_client:close(Client).

environment(Config) ->
    environment(Config, #{}).

environment(Config, Options) ->
    #{hosts => [{?STATIC, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => maps:merge(#{database => ?config(database, Config), poll_interval => ?HOUR,
                                        look_interval => 20, password_iterations => 7}, Options)}.

%% Two nodes that are not connected to each other.
start_two(Config) ->
    Nodes = md_node:start_many([environment(Config), environment(Config)]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Nodes.

start(Config, Options) ->
    Node = md_node:start(environment(Config, Options)),
    md_node:wait_until_following(Node),
    Node.

api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

write(Config, Changes) ->
    md_writer:write(?config(client, Config), Changes).

%% The client's answer, and the other's as soon as it is the same.
assert_shown(Node, Others, Name, Wanted) ->
    ?assertEqual(Wanted, md_node:lookup(Node, Name)),
    [wait_until_shown(Other, Name, Wanted) || Other <- Others],
    ok.

wait_until_shown(Node, Name, Wanted) ->
    md_wait:until(fun() -> md_node:lookup(Node, Name) end, Wanted).

%% Changes

every_change_shows_at_once_on_its_node_and_then_on_the_other(Config) ->
    [One, Other] = start_two(Config),
    change_everything(One, [Other], md_names:some(10)),
    change_everything(Other, [One], md_names:numbered(<<"other-">>, 10)),
    ?assertEqual([], md_node:call(One, erlang, nodes, [connected])),
    ?assertEqual([], md_rows:disagreements([One, Other], ?config(client, Config))).

connected_nodes_tell_each_other_of_changes(Config) ->
    %% Neither looks by itself before the test is over.
    Environment = environment(Config, #{look_interval => ?HOUR}),
    [One, Other] = Nodes = md_node:connected([Environment, Environment]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Group = [service_domain_db:scope(), service_domain_db_group],
    [md_wait:until(fun() -> length(md_node:call(Node, pg, get_members, Group)) end, 2) || Node <- Nodes],
    change_everything(One, [Other], md_names:some(10)),
    change_everything(Other, [One], md_names:numbered(<<"other-">>, 10)),
    ?assertEqual([], md_rows:disagreements(Nodes, ?config(client, Config))).

%% Each operation once for each name; in the end some of the names are served.
change_everything(Node, Others, [First | Rest] = Names) ->
    Show = fun(Name, Wanted) -> assert_shown(Node, Others, Name, Wanted) end,
    ?assertEqual({ok, #{domain => First, host_type => <<"type1">>}}, api(Node, insert_domain, [First, <<"type1">>])),
    ok = Show(First, {ok, <<"type1">>}),
    [?assertMatch({ok, _}, Answer) || Answer <- api(Node, insert_domains, [[{Name, <<"type2">>} || Name <- Rest]])],
    [ok = Show(Name, {ok, <<"type2">>}) || Name <- Rest],
    [begin
        ?assertEqual({ok, #{domain => Name, status => disabled}}, api(Node, disable_domain, [Name])),
        ok = Show(Name, ?NOT_FOUND),
        ?assertEqual({ok, #{domain => Name, status => enabled}}, api(Node, enable_domain, [Name])),
        ?assertMatch({ok, _}, md_node:lookup(Node, Name))
     end || Name <- Names],
    {ok, #{status := deleted}} = api(Node, delete_domain, [First, <<"type1">>]),
    ok = Show(First, ?NOT_FOUND).

a_row_and_its_event_by_another_program_are_seen_without_a_notification(Config) ->
    Nodes = start_two(Config),
    Names = md_names:some(300),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    ok = write(Config, [{move, <<"type2">>, [hd(Names)]}, {delete, [lists:last(Names)]}, {disable, [lists:nth(2, Names)]}]),
    Newest = md_writer:newest(?config(client, Config)),
    Wanted = md_rows:enabled(md_rows:all(?config(client, Config))),
    ?assertEqual(298, map_size(Wanted)),
    [begin
        md_node:wait_until_at(Node, Newest),
        ?assertEqual(Wanted, md_node:routes(Node)),
        %% The routes came by following.
        ?assertMatch(#{loads := 1}, md_node:status(Node))
     end || Node <- Nodes].

a_longer_look_interval_delays_what_other_programs_write(Config) ->
    Late = start(Config, #{look_interval => ?HOUR}),
    Early = start(Config, #{}),
    ok = write(Config, [{add, <<"type1">>, [?A]}]),
    wait_until_shown(Early, ?A, {ok, <<"type1">>}),
    ?assertEqual(?NOT_FOUND, md_node:lookup(Late, ?A)),
    ok = md_node:sync(Late),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Late, ?A)).

an_idle_follower_asks_for_the_newest_id_and_nothing_else(Config) ->
    ok = write(Config, [{add, <<"type1">>, [?A]}]),
    Node = start(Config, #{}),
    ok = md_node:sync(Node),
    [] = query(Config, "SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON"),
    %% Its connection is that with many statements. Others look for removals.
    Busy = fun() ->
        query(Config, "SELECT COUNT(DISTINCT argument), MIN(argument) FROM mysql.general_log "
                      "WHERE command_type = 'Query' AND thread_id <> CONNECTION_ID() GROUP BY thread_id HAVING COUNT(*) >= 50")
    end,
    md_wait:until(fun() -> length(Busy()) end, 1),
    [[Distinct, Statement]] = Busy(),
    ?assertEqual({<<"1">>, Statement}, {Distinct, Statement}),
    %% It reads one entry of the primary key, and that before the statement is run.
    Plan = query(Config, ["EXPLAIN ", Statement]),
    ?assertEqual([<<"No tables used">>, <<"Select tables optimized away">>], lists:sort([lists:last(Step) || Step <- Plan])).

the_door_changes_domains(Config) ->
    [One, Other] = md_node:start_many([(environment(Config))#{admin => #{port => 0, username => "admin", password => "secret"}}, environment(Config)]),
    [md_node:wait_until_following(Node) || Node <- [One, Other]],
    Door = md_http:door(One),
    HostType = #{json => "{\"host_type\": \"type1\"}"},
    ?assertMatch({204, _, _}, md_http:request(Door, put, "/api/domains/a.example", HostType)),
    ok = assert_shown(One, [Other], ?A, {ok, <<"type1">>}),
    {200, _, Shown} = md_http:request(Door, get, "/api/domains/a.example", #{}),
    ?assertNotEqual(nomatch, binary:match(Shown, <<"enabled">>)),
    ?assertMatch({204, _, _}, md_http:request(Door, delete, "/api/domains/a.example", HostType)),
    ok = assert_shown(One, [Other], ?A, ?NOT_FOUND).

%% What nodes share

a_failed_removal_is_repeated_on_another_node(Config) ->
    [One, Other] = Nodes = start_two(Config),
    [ok = md_node:call(Node, md_handlers, register, [<<"type1">>, first, 10]) || Node <- Nodes],
    {ok, _} = api(One, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(One, set_domain_password, [?A, <<"secret">>]),
    wait_until_shown(Other, ?A, {ok, <<"type1">>}),
    ok = md_node:call(One, md_handlers, behave, [first, {error, disk_full}]),
    ?assertMatch({removal_failed, _}, api(One, delete_domain, [?A, <<"type1">>])),
    [begin
        wait_until_shown(Node, ?A, ?NOT_FOUND),
        {ok, #{state := failed, failure := Failure}} = api(Node, removal_status, [?A]),
        ?assertNotEqual(nomatch, binary:match(Failure, <<"disk_full">>)),
        ?assertMatch({deleted, _}, api(Node, enable_domain, [?A])),
        ?assertEqual(?NOT_FOUND, api(Node, check_domain_password, [?A, <<"secret">>]))
     end || Node <- Nodes],
    ?assertMatch({ok, #{status := deleted}}, api(Other, delete_domain, [?A, <<"type1">>])),
    ?assertEqual([[{first, <<"type1">>, ?A}], [{first, <<"type1">>, ?A}]],
                 [md_node:call(Node, md_handlers, calls, []) || Node <- Nodes]),
    [?assertMatch({not_found, _}, api(Node, get_domain_details, [?A])) || Node <- Nodes],
    ?assertEqual([], query(Config, "SELECT domain FROM domain_removals")).

a_password_of_one_node_is_checked_by_the_other(Config) ->
    [One, Other] = start_two(Config),
    {ok, _} = api(One, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(One, set_domain_password, [?A, <<"pass wörd"/utf8>>]),
    ?assertEqual(ok, api(Other, check_domain_password, [?A, <<"pass wörd"/utf8>>])),
    ?assertEqual({error, wrong_password}, api(Other, check_domain_password, [?A, <<"pass word">>])),
    wait_until_shown(Other, ?A, {ok, <<"type1">>}),
    {ok, _} = api(Other, delete_domain, [?A, <<"type1">>]),
    {ok, _} = api(Other, insert_domain, [?A, <<"type1">>]),
    ?assertEqual(?NOT_FOUND, api(One, check_domain_password, [?A, <<"pass wörd"/utf8>>])).

%% Names

%% The table's rules take each name for one of the others.
names_that_the_stock_collation_takes_for_equal_are_kept_apart(Config) ->
    [One, Other] = Nodes = start_two(Config),
    Names = [<<"cafe.example">>, <<"café.example"/utf8>>, <<"càfe.example"/utf8>>,
             <<"muller.example">>, <<"müller.example"/utf8>>, <<"myller.example">>,
             <<"manana.example">>, <<"mañana.example"/utf8>>, <<"mañàna.example"/utf8>>],
    [begin
        ?assertMatch({ok, _}, api(One, insert_domain, [Name, <<"type1">>]), Name),
        ok = assert_shown(One, [Other], Name, {ok, <<"type1">>})
     end || Name <- Names],
    %% The server finds three by one name.
    ?assertEqual([[<<"3">>]], query(Config, "SELECT COUNT(*) FROM domain_settings WHERE domain = 'CAFE.example'")),
    %% One is changed at a time, and the others stay.
    lists:foldl(fun(Name, Rest) ->
        ?assertMatch({ok, _}, api(Other, disable_domain, [Name]), Name),
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>, status => disabled}},
                     api(One, get_domain_details, [Name])),
        ?assertMatch({ok, _}, api(Other, delete_domain, [Name, <<"type1">>]), Name),
        ?assertMatch({not_found, _}, api(Other, enable_domain, [Name])),
        Left = lists:delete(Name, Rest),
        [md_wait:until(fun() -> lists:sort(maps:keys(md_node:routes(Node))) end, lists:sort(Left)) || Node <- Nodes],
        Left
    end, Names, Names),
    %% A name that the column cannot hold is refused, and nothing else happens.
    ?assertMatch({refused, _}, api(One, insert_domain, [<<"пример.example"/utf8>>, <<"type1">>])),
    ?assertEqual([], query(Config, "SELECT domain FROM domain_settings")).

a_url_of_either_scheme_leads_to_the_same_database(Config) ->
    "mysql" ++ Rest = ?config(database, Config),
    [One, Other] = md_node:start_many([environment(Config), environment(Config, #{database => "mariadb" ++ Rest})]),
    {ok, _} = api(One, insert_domain, [?A, <<"type1">>]),
    wait_until_shown(Other, ?A, {ok, <<"type1">>}).

%% Faults

rows_that_were_deleted_by_hand_take_no_route_with_them(Config) ->
    Nodes = [One, Other] = start_two(Config),
    Names = md_names:some(20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    [] = query(Config, "DELETE FROM domain_settings"),
    Kept = maps:from_list([{Name, <<"type1">>} || Name <- Names]),
    [{ok, _} = md_node:call(Node, service_domain_db, converge, []) || Node <- Nodes],
    ok = md_followers:wait_until_kept(Nodes, ?config(client, Config), Kept),
    [?assertMatch([{warning, #{count := 20}} | _], md_node:logged(Node, outdated_domains_kept)) || Node <- Nodes],
    %% An explicit event is obeyed.
    ok = md_writer:add_events(?config(client, Config), [hd(Names)]),
    [wait_until_shown(Node, hd(Names), ?NOT_FOUND) || Node <- Nodes],
    ok = md_followers:make_fresh(One, <<"type1">>, 0),
    [{ok, _} = md_node:call(Node, service_domain_db, converge, []) || Node <- [One, Other]],
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    [?assertEqual(#{}, md_node:routes(Node)) || Node <- Nodes].

%% The ids of its log are below those that the nodes have followed. The tables are exchanged in one step: a log that is empty
%% for a moment would be one that was emptied, which is no evidence of lost data.
a_restored_dump_takes_no_route_with_it(Config) ->
    Nodes = start_two(Config),
    [Lost | Old] = md_names:some(20),
    ok = write(Config, [{add, <<"type1">>, Old}]),
    [] = query(Config, ["CREATE TABLE settings_dump LIKE domain_settings; CREATE TABLE events_dump LIKE domain_events; "
                        "INSERT INTO settings_dump SELECT * FROM domain_settings; "
                        "INSERT INTO events_dump SELECT * FROM domain_events"]),
    ok = write(Config, [{add, <<"type1">>, [Lost]}]),
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    [] = query(Config, ["RENAME TABLE domain_settings TO settings_lost, settings_dump TO domain_settings, "
                        "domain_events TO events_lost, events_dump TO domain_events"]),
    ok = md_followers:wait_until_kept(Nodes, ?config(client, Config), #{Lost => <<"type1">>}),
    [begin
        ?assertMatch([{critical, _}], md_node:logged(Node, events_log_out_of_sync)),
        ?assertMatch([{warning, #{count := 1, reason := ids_backwards}}], md_node:logged(Node, outdated_domains_kept))
     end || Node <- Nodes],
    ok = write(Config, [{add, <<"type2">>, [?A]}]),
    [wait_until_shown(Node, ?A, {ok, <<"type2">>}) || Node <- Nodes].

a_server_that_is_killed_costs_no_route_and_no_change(Config) ->
    Server = ?config(server, Config),
    Nodes = [One | _] = start_two(Config),
    Names = md_names:some(20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    Watch = md_watch:start(Nodes, [hd(Names)]),
    ok = md_mariadb:kill(Server),
    [md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away) || Node <- Nodes],
    [?assertEqual(20, map_size(md_node:routes(Node))) || Node <- Nodes],
    ?assertMatch({db_error, _}, api(One, insert_domain, [?A, <<"type1">>])),
    ok = md_mariadb:again(Server),
    Client = md_client:open(?config(database, Config)),
    ok = md_writer:write(Client, [{add, <<"type2">>, [?A]}, {delete, [lists:last(Names)]}]),
    ok = md_rows:wait_until_agreed(Nodes, Client),
    [begin
        ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, ?A)),
        md_wait:until(fun() -> md_node:count(Node, domain_database_back) end, 1),
        ?assertEqual(1, md_node:count(Node, domain_database_away)),
        %% The log was followed on: it is the same database.
        ?assertMatch(#{loads := 1}, md_node:status(Node)),
        ?assertEqual([], md_node:logged(Node, events_log_out_of_sync))
     end || Node <- Nodes],
    md_wait:until(fun() -> element(1, api(One, insert_domain, [?B, <<"type1">>])) end, ok),
    ok = md_watch:stop(Watch).

a_node_that_starts_without_its_server_serves_from_its_file(Config) ->
    Server = ?config(server, Config),
    Directory = filename:join(?config(priv_dir, Config), "data"),
    Environment = (environment(Config, #{snapshot_interval => 50}))#{data_dir => Directory},
    Node = md_node:start(Environment),
    md_node:wait_until_following(Node),
    ok = write(Config, [{add, <<"type1">>, [?A, ?B]}]),
    wait_until_shown(Node, ?A, {ok, <<"type1">>}),
    ok = md_node:stop_application(Node),
    ok = write(Config, [{delete, [?B]}]),
    ok = md_mariadb:kill(Server),
    ok = md_node:start_application(Node, Environment),
    wait_until_shown(Node, ?A, {ok, <<"type1">>}),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?B)),
    ok = md_mariadb:again(Server),
    wait_until_shown(Node, ?B, ?NOT_FOUND),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ?assertEqual([], md_node:logged(Node, outdated_domains_kept)).

%% A transaction that has its id commits after one with a greater id.
late_ids_are_followed(Config) ->
    follow_late_ids(Config, start(Config, #{})).

follow_late_ids(Config, Node) ->
    Late = md_client:open(?config(database, Config)),
    ok = write(Config, [{add, <<"type1">>, [<<"first.example">>]}]),
    [] = md_client:query(Late, ["BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1'); "
                                "INSERT INTO domain_events (domain) VALUES ('a.example')"]),
    ok = write(Config, [{add, <<"type1">>, [?B]}]),
    wait_until_shown(Node, ?B, {ok, <<"type1">>}),
    [ok = md_node:sync(Node) || _ <- [1, 2, 3]],
    ?assertEqual(?NOT_FOUND, md_node:lookup(Node, ?A)),
    %% The newest id stays what it was.
    [] = md_client:query(Late, "COMMIT"),
    wait_until_shown(Node, ?A, {ok, <<"type1">>}),
    ?assertMatch(#{loads := 1}, md_node:status(Node)),
    ok = md_client:close(Late).

a_user_without_the_privilege_process_follows_late_ids(Config) ->
    Url = make_user(Config, "SELECT, INSERT, UPDATE, DELETE, CREATE"),
    Node = start(Config, #{database => Url}),
    follow_late_ids(Config, Node),
    ?assertMatch({ok, _}, api(Node, insert_domain, [<<"c.example">>, <<"type1">>])).

%% As each server of a Galera cluster hands them out: beside each event is a gap, of which nobody says who may fill it.
strides_of_ids_lead_to_no_comparison_and_hide_no_late_id(Config) ->
    [] = query(Config, "SET GLOBAL auto_increment_increment = 3"),
    Writer = [{client, md_client:open(?config(database, Config))} | Config],
    Url = make_user(Config, "SELECT"),
    Node = start(Config, #{database => Url}),
    Late = md_client:open(?config(database, Config)),
    ok = write(Writer, [{add, <<"type1">>, [<<"first.example">>]}]),
    [] = md_client:query(Late, ["BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1'); "
                                "INSERT INTO domain_events (domain) VALUES ('a.example')"]),
    Names = md_names:numbered(<<"of-a-stride-">>, 3000),
    [ok = write(Writer, [{add, <<"type1">>, [Name]} || Name <- Part]) || Part <- parts(Names, 100)],
    wait_until_shown(Node, lists:last(Names), {ok, <<"type1">>}),
    ok = md_node:sync(Node),
    ?assertEqual([[<<"9003">>]], query(Config, "SELECT MAX(id) - MIN(id) FROM domain_events")),
    #{open_gaps := Gaps} = md_node:status(Node),
    ?assert(Gaps < 100, Gaps),
    [] = md_client:query(Late, "COMMIT"),
    wait_until_shown(Node, ?A, {ok, <<"type1">>}),
    [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Name <- Names],
    ?assertMatch(#{loads := 1}, md_node:status(Node)),
    ?assertEqual([], md_node:logged(Node, domains_converged)).

parts([], _) -> [];
parts(Names, Size) when length(Names) =< Size -> [Names];
parts(Names, Size) ->
    {Part, Rest} = lists:split(Size, Names),
    [Part | parts(Rest, Size)].

a_user_who_may_only_read_follows_and_changes_nothing(Config) ->
    Url = make_user(Config, "SELECT"),
    Node = start(Config, #{database => Url}),
    ok = write(Config, [{add, <<"type1">>, [?A]}]),
    wait_until_shown(Node, ?A, {ok, <<"type1">>}),
    ?assertMatch({db_error, _}, api(Node, insert_domain, [?B, <<"type1">>])),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ?assertEqual(1, length(query(Config, "SELECT id FROM domain_settings"))).

%% A user of this database alone.
make_user(Config, Rights) ->
    Url = ?config(database, Config),
    User = "ct_" ++ integer_to_list(erlang:phash2({node(), make_ref(), os:getpid()}, 1 bsl 32)),
    #{path := "/" ++ Database} = uri_string:parse(Url),
    [] = query(Config, ["CREATE USER ", User, "@'%' IDENTIFIED BY 'secret'; GRANT ", Rights, " ON ", Database, ".* TO ", User]),
    md_database:with_user(Url, User, "secret").

the_doctor_finds_nothing_wrong(Config) ->
    Node = start(Config, #{}),
    {ok, _} = api(Node, insert_domain, [?A, <<"type1">>]),
    Findings = md_node:call(Node, mongoose_domain_doctor, examine, []),
    ?assert(length(Findings) > 10),
    ?assertEqual([], [Finding || #{state := State} = Finding <- Findings, State =/= ok]).
