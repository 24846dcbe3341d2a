%% The tables are created where they are absent, used where they fit, and left alone, with a helpful error, where other
%% tables have their names.
%%
%% Their layout is MongooseIM's since 6.0, so that its nodes and ours can share a database. The table of removals is
%% only ours; operations_SUITE tests it.
-module(schema_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([an_empty_database_gets_the_tables/1,
         a_second_node_uses_the_tables_that_are_there/1,
         nodes_that_start_at_once_on_an_empty_database_do_not_disturb_each_other/1,
         a_database_that_mongooseim_prepared_is_used_as_it_is/1,
         more_columns_than_are_needed_are_left_alone/1,
         another_table_of_the_same_name_is_named_and_left_alone/1,
         another_table_beside_absent_ones_is_named_and_left_alone/1,
         a_missing_column_is_named/1,
         the_layout_of_mongooseim_5_is_sent_to_its_migration/1,
         tables_that_become_right_are_used_without_a_restart/1,
         a_user_who_may_only_read_can_follow/1]).

-define(HOUR, 3600000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [an_empty_database_gets_the_tables,
     a_second_node_uses_the_tables_that_are_there,
     nodes_that_start_at_once_on_an_empty_database_do_not_disturb_each_other,
     a_database_that_mongooseim_prepared_is_used_as_it_is,
     more_columns_than_are_needed_are_left_alone,
     another_table_of_the_same_name_is_named_and_left_alone,
     another_table_beside_absent_ones_is_named_and_left_alone,
     a_missing_column_is_named,
     the_layout_of_mongooseim_5_is_sent_to_its_migration,
     tables_that_become_right_are_used_without_a_restart,
     a_user_who_may_only_read_can_follow].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:create(),
        [{database, Database}, {client, md_client:open(Database)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

environment(Database) ->
    #{host_types => [<<"type1">>], service_domain_db => #{database => Database, poll_interval => ?HOUR}}.

environment_of(Config) ->
    environment(?config(database, Config)).

%% Checks that a node follows: a new domain appears in its table.
assert_follows(Config, Node) ->
    Name = <<"n", (integer_to_binary(erlang:unique_integer([positive])))/binary, ".example">>,
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [Name]}]),
    ?assertEqual(ok, md_node:sync(Node)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)).

an_empty_database_gets_the_tables(Config) ->
    Node = md_node:start(environment_of(Config)),
    ok = md_node:sync(Node),
    Columns = md_client:query(?config(client, Config),
        "SELECT table_name, column_name, data_type, coalesce(character_maximum_length::text, '-'), is_nullable,
                coalesce(column_default, '-')
           FROM information_schema.columns
          WHERE table_schema = 'public' AND table_name <> 'domain_removals' ORDER BY table_name, ordinal_position"),
    ?assertEqual([
        [<<"domain_admins">>, <<"domain">>, <<"character varying">>, <<"250">>, <<"NO">>, <<"-">>],
        [<<"domain_admins">>, <<"pass_details">>, <<"text">>, <<"-">>, <<"NO">>, <<"-">>],
        [<<"domain_events">>, <<"id">>, <<"bigint">>, <<"-">>, <<"NO">>, <<"nextval('domain_events_id_seq'::regclass)">>],
        [<<"domain_events">>, <<"domain">>, <<"character varying">>, <<"250">>, <<"NO">>, <<"-">>],
        [<<"domain_settings">>, <<"id">>, <<"bigint">>, <<"-">>, <<"NO">>, <<"nextval('domain_settings_id_seq'::regclass)">>],
        [<<"domain_settings">>, <<"domain">>, <<"character varying">>, <<"250">>, <<"NO">>, <<"-">>],
        [<<"domain_settings">>, <<"host_type">>, <<"character varying">>, <<"250">>, <<"NO">>, <<"-">>],
        [<<"domain_settings">>, <<"status">>, <<"smallint">>, <<"-">>, <<"NO">>, <<"1">>]
    ], Columns),
    Keys = md_client:query(?config(client, Config),
        "SELECT t.table_name, t.constraint_type, k.column_name FROM information_schema.table_constraints t
           JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name)
          WHERE t.table_schema = 'public' AND t.table_name <> 'domain_removals' ORDER BY 1, 2, 3"),
    ?assertEqual([
        [<<"domain_admins">>, <<"PRIMARY KEY">>, <<"domain">>],
        [<<"domain_events">>, <<"PRIMARY KEY">>, <<"id">>],
        [<<"domain_settings">>, <<"PRIMARY KEY">>, <<"domain">>],
        [<<"domain_settings">>, <<"UNIQUE">>, <<"id">>]
    ], Keys),
    ?assertEqual([[<<"i_domain_events_domain">>]], md_client:query(?config(client, Config),
        "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%domain_events%(domain)'")),
    assert_follows(Config, Node).

a_second_node_uses_the_tables_that_are_there(Config) ->
    First = md_node:start(environment_of(Config)),
    ok = md_node:sync(First),
    assert_follows(Config, First),
    Second = md_node:start(environment_of(Config)),
    ok = md_node:sync(Second),
    ?assertEqual(md_node:routes(First), md_node:routes(Second)),
    assert_follows(Config, Second).

nodes_that_start_at_once_on_an_empty_database_do_not_disturb_each_other(Config) ->
    Nodes = md_node:boot_many(3),
    Self = self(),
    Starters = [spawn_link(fun() -> Self ! {self(), md_node:start_application(Node, environment_of(Config))} end) || Node <- Nodes],
    [receive {Starter, Started} -> ?assertEqual(ok, Started) end || Starter <- Starters],
    [begin
        md_node:wait_until_following(Node),
        ?assertEqual([], md_node:logged(Node, domain_database_away)),
        assert_follows(Config, Node)
     end || Node <- Nodes].

a_database_that_mongooseim_prepared_is_used_as_it_is(Config) ->
    Prepared = [
        "CREATE TABLE domain_settings (id BIGSERIAL NOT NULL UNIQUE, domain VARCHAR(250) NOT NULL, "
        "host_type VARCHAR(250) NOT NULL, status SMALLINT NOT NULL DEFAULT 1, PRIMARY KEY(domain)); ",
        "CREATE TABLE domain_events (id BIGSERIAL NOT NULL, domain VARCHAR(250) NOT NULL, PRIMARY KEY(id)); ",
        "CREATE INDEX i_domain_events_domain ON domain_events(domain); ",
        "CREATE TABLE domain_admins (domain VARCHAR(250) NOT NULL, pass_details TEXT NOT NULL, PRIMARY KEY(domain))"],
    [] = md_client:query(?config(client, Config), Prepared),
    Before = layout(Config),
    Node = md_node:start(environment_of(Config)),
    assert_follows(Config, Node),
    ?assertEqual(Before, layout(Config)).

more_columns_than_are_needed_are_left_alone(Config) ->
    _ = md_database:with_tables(?config(database, Config)),
    [] = md_client:query(?config(client, Config),
        "ALTER TABLE domain_settings ADD COLUMN note JSON; ALTER TABLE domain_settings ALTER COLUMN domain TYPE TEXT; "
        "ALTER TABLE domain_events ADD COLUMN at TIMESTAMP DEFAULT now()"),
    Before = layout(Config),
    Node = md_node:start(environment_of(Config)),
    assert_follows(Config, Node),
    ?assertEqual(Before, layout(Config)).

layout(Config) ->
    md_client:query(?config(client, Config),
        "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns
          WHERE table_schema = 'public' AND table_name <> 'domain_removals' ORDER BY 1, 2").

another_table_of_the_same_name_is_named_and_left_alone(Config) ->
    [] = md_client:query(?config(client, Config),
        "CREATE TABLE domain_settings (id BIGINT, domain JSON, host_type VARCHAR(250), status SMALLINT)"),
    Before = layout(Config),
    _ = refused(Config, [<<"domain_settings">>, <<"domain">>, <<"json">>]),
    ?assertEqual(Before, [Row || [<<"domain_settings">> | _] = Row <- layout(Config)]).

%% domain_events belongs to another program, and the other tables are absent: creating those must not change it.
another_table_beside_absent_ones_is_named_and_left_alone(Config) ->
    [] = md_client:query(?config(client, Config), "CREATE TABLE domain_events (id TEXT, domain TEXT)"),
    _ = refused(Config, [<<"domain_events">>, <<"id">>]),
    ?assertEqual([], md_client:query(?config(client, Config), "SELECT indexname FROM pg_indexes WHERE tablename = 'domain_events'")).

a_missing_column_is_named(Config) ->
    _ = md_database:with_tables(?config(database, Config)),
    [] = md_client:query(?config(client, Config), "ALTER TABLE domain_events RENAME COLUMN domain TO name"),
    _ = refused(Config, [<<"domain_events">>, <<"no column domain">>]).

the_layout_of_mongooseim_5_is_sent_to_its_migration(Config) ->
    [] = md_client:query(?config(client, Config),
        "CREATE TABLE domain_settings (id BIGSERIAL NOT NULL UNIQUE, domain VARCHAR(250) NOT NULL PRIMARY KEY, "
        "host_type VARCHAR(250) NOT NULL, enabled BOOLEAN NOT NULL DEFAULT true); "
        "CREATE TABLE domain_events (id BIGSERIAL NOT NULL PRIMARY KEY, domain VARCHAR(250) NOT NULL)"),
    _ = refused(Config, [<<"domain_settings">>, <<"status">>, <<"migration">>, <<"5.1 to 6.0">>]).

tables_that_become_right_are_used_without_a_restart(Config) ->
    [] = md_client:query(?config(client, Config), "CREATE TABLE domain_settings (id BIGINT)"),
    Node = refused(Config, [<<"domain_settings">>, <<"domain">>]),
    [] = md_client:query(?config(client, Config), "DROP TABLE domain_settings"),
    md_node:wait_until_following(Node),
    ?assertEqual(1, md_node:count(Node, domain_database_back)),
    assert_follows(Config, Node).

%% The node runs, reports the problem once with these words, and returns it from calls.
refused(Config, Words) ->
    Node = md_node:start(environment_of(Config)),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    #{last_error := Error} = md_node:status(Node),
    [?assertNotEqual({nomatch, Word, Error}, {binary:match(Error, Word), Word, Error}) || Word <- Words],
    {error, Answer} = md_node:sync(Node),
    ?assertEqual(Error, Answer),
    ?assertMatch([{error, #{reason := Error}}], md_node:logged(Node, domain_database_away)),
    Node.

a_user_who_may_only_read_can_follow(Config) ->
    Database = md_database:with_tables(?config(database, Config)),
    User = "reader_" ++ integer_to_list(erlang:phash2({os:getpid(), make_ref()}, 1 bsl 32)),
    [] = md_client:query(?config(client, Config), [
        "CREATE ROLE ", User, " LOGIN; GRANT SELECT ON domain_settings, domain_events, domain_admins TO ", User]),
    Node = md_node:start(environment(md_database:with_user(Database, User, none))),
    assert_follows(Config, Node),
    [] = md_client:query(?config(client, Config), ["DROP OWNED BY ", User, "; DROP ROLE ", User]).
