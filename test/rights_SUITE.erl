%% A node whose database user may only read: it follows like any other node and changes nothing.
%%
%% Such a user gives a node its routes and no power over them. Following needs no write access. A change fails with a
%% text that says that nothing was done and does not contain the database's own message. The database does not count as
%% away.
%%
%% Users belong to the cluster and not to a database, so each case creates its own user and drops it in the end.
-module(rights_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_user_who_may_only_read_follows_and_changes_nothing/1,
         a_user_who_may_only_read_sees_what_is_fresh/1,
         a_user_who_may_only_read_gets_every_finding_of_the_doctor/1,
         rows_that_may_not_be_seen_are_not_taken_for_rows_that_are_not_there/1,
         tables_in_a_schema_that_may_not_be_used_are_not_taken_for_absent_ones/1,
         the_follower_has_a_connection_before_idle_writers/1]).

-import(md_followers, [start/2, told/0, watching/2, api/3, make_fresh/3, wait_until_found/2, query/2, write/2,
                       silently/2, with_steady/2]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_user_who_may_only_read_follows_and_changes_nothing,
     a_user_who_may_only_read_sees_what_is_fresh,
     a_user_who_may_only_read_gets_every_finding_of_the_doctor,
     rows_that_may_not_be_seen_are_not_taken_for_rows_that_are_not_there,
     tables_in_a_schema_that_may_not_be_used_are_not_taken_for_absent_ones,
     the_follower_has_a_connection_before_idle_writers].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_reader(with_steady(md_database:create(), Config)) end).

%% The user may read every table, including those that are created later.
with_reader(Config) ->
    User = lists:concat(["ct_reader_", os:getpid(), "_", erlang:unique_integer([positive])]),
    silently(Config, ["REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE ", User, " LOGIN; "
                      "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ", User, "; "
                      "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ", User]),
    [{user, User}, {readers_url, md_database:with_user(?config(database, Config), User, none)} | Config].

end_per_testcase(_Case, Config) ->
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, ["DROP OWNED BY ", ?config(user, Config), "; DROP ROLE ", ?config(user, Config)]),
    md_database:drop(?config(database, Config)).

a_user_who_may_only_read_follows_and_changes_nothing(Config) ->
    Nodes = start(?config(readers_url, Config), told()),
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
    end).

a_user_who_may_only_read_sees_what_is_fresh(Config) ->
    [Reader | _] = start(?config(readers_url, Config), told()),
    [Owner | _] = start(?config(database, Config), told()),
    Fresh = fun() -> md_node:call(Reader, mongoose_domain_freshness, list, []) end,
    ?assertEqual({ok, []}, Fresh()),
    ?assertEqual({db_error, <<"Database error: nothing was changed">>}, make_fresh(Reader, <<"type1">>, 3600)),
    %% The first declaration creates the table.
    ?assertEqual([[<<"f">>]], query(Config, "SELECT to_regclass('domain_freshness') IS NOT NULL")),
    ok = make_fresh(Owner, <<"type1">>, 3600),
    ?assertEqual({ok, [<<"type1">>]}, Fresh()).

%% The doctor's results of one check.
checks(Node, Name) ->
    [{State, <<Found/binary, " ", Advice/binary>>}
     || #{name := Is, state := State, found := Found, advice := Advice} <- md_node:call(Node, mongoose_domain_doctor, examine, []),
        Is =:= Name].

says(Checks, State, Text) ->
    lists:any(fun({Is, Said}) -> Is =:= State andalso string:find(Said, Text) =/= nomatch end, Checks).

a_user_who_may_only_read_gets_every_finding_of_the_doctor(Config) ->
    [Node | _] = start(?config(readers_url, Config), told()),
    Rights = checks(Node, <<"rights">>),
    ?assert(says(Rights, warning, "domain_removals is not there"), Rights),
    ?assert(says(Rights, warning, "GRANT INSERT, UPDATE, DELETE ON domain_settings TO " ++ ?config(user, Config)), Rights),
    %% Without the table there are no removals, and a query does not create it.
    ?assertMatch([{ok, _}], checks(Node, <<"removals">>)),
    ?assertEqual([], api(Node, get_removals, [])),
    ?assertEqual(0, md_node:count(Node, domain_operation_not_done)),
    silently(Config, [md_database:statements("removals.sql"), "; REVOKE ALL ON domain_removals FROM ", ?config(user, Config)]),
    ?assert(says(checks(Node, <<"rights">>), warning, "GRANT SELECT ON domain_removals TO " ++ ?config(user, Config))),
    ?assert(says(checks(Node, <<"removals">>), warning, "permission denied for table domain_removals")).

rows_that_may_not_be_seen_are_not_taken_for_rows_that_are_not_there(Config) ->
    ok = write(Config, [{add, <<"type1">>, [?A]}]),
    [Node | _] = Nodes = start(?config(readers_url, Config), told()),
    wait_until_found(Nodes, ?A),
    silently(Config, ["ALTER TABLE domain_settings ENABLE ROW LEVEL SECURITY"]),
    %% An event of a row that the user cannot see.
    [] = md_client:query(?config(client, Config), ["INSERT INTO domain_events (domain) VALUES ('", ?A, "')"]),
    [] = md_client:query(?config(client, Config), "NOTIFY mongoose_domain_events"),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ?assertNotEqual(nomatch, string:find(maps:get(last_error, md_node:status(Node)), "BYPASSRLS")),
    ?assert(says(checks(Node, <<"follower">>), failed, "BYPASSRLS")),
    ?assert(says(checks(Node, <<"rights">>), failed, "row-level security hides rows of domain_settings")),
    %% A new node that sees no rows must not become ready.
    Cold = md_node:start(md_door:environment(?config(readers_url, Config))),
    md_wait:until(fun() -> maps:get(state, md_node:status(Cold)) end, away),
    ?assertNotEqual(ready, md_node:call(Cold, mongoose_domain_metrics, readiness, [])),
    silently(Config, ["ALTER ROLE ", ?config(user, Config), " BYPASSRLS"]),
    ok = md_rows:wait_until_agreed([Cold | Nodes], ?config(client, Config)).

tables_in_a_schema_that_may_not_be_used_are_not_taken_for_absent_ones(Config) ->
    User = ?config(user, Config),
    silently(Config, ["CREATE SCHEMA ours; ALTER TABLE domain_settings SET SCHEMA ours; ALTER TABLE domain_events SET SCHEMA ours; "
                      "GRANT CREATE ON SCHEMA public TO ", User, "; ALTER ROLE ", User, " SET search_path = ours, public"]),
    Node = md_node:start(md_door:environment(?config(readers_url, Config))),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    Error = maps:get(last_error, md_node:status(Node)),
    ?assertNotEqual({nomatch, Error}, {string:find(Error, "GRANT USAGE ON SCHEMA"), Error}),
    ?assertEqual([[<<"t">>]], query(Config, "SELECT to_regclass('public.domain_settings') IS NULL")).

the_follower_has_a_connection_before_idle_writers(Config) ->
    User = ?config(user, Config),
    silently(Config, ["GRANT ALL ON ALL TABLES IN SCHEMA public TO ", User, "; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ", User,
                      "; GRANT CREATE ON SCHEMA public TO ", User]),
    Environment = md_door:environment(?config(readers_url, Config)),
    Node = md_node:start(Environment),
    ok = md_node:sync(Node),
    Mine = ["SELECT pid FROM pg_stat_activity WHERE usename = '", User, "'"],
    [[Followers]] = query(Config, [Mine, " AND query LIKE '%domain_events%' AND query NOT LIKE '%domain_removals%' LIMIT 1"]),
    %% A worker keeps its connection for the next change.
    ?assertMatch({ok, _}, api(Node, insert_domain, [?A, <<"type1">>])),
    silently(Config, ["ALTER ROLE ", User, " CONNECTION LIMIT 1"]),
    [] = md_client:query(?config(client, Config), "NOTIFY mongoose_domain_events"),
    [[_]] = query(Config, ["SELECT pg_terminate_backend(", Followers, ")"]),
    md_wait:until(fun() -> md_node:count(Node, domain_database_back) > 0 end),
    ok = md_node:sync(Node),
    %% The limit stays reached, and the log says why the change failed.
    ?assertMatch({db_error, _}, api(Node, insert_domain, [?B, <<"type1">>])),
    Reasons = [Reason || {error, #{reason := Reason}} <- md_node:logged(Node, domain_operation_not_done)],
    ?assert(lists:any(fun(Reason) -> string:find(Reason, "CONNECTION LIMIT") =/= nomatch end, Reasons), Reasons),
    ?assertMatch(#{state := following}, md_node:status(Node)).
