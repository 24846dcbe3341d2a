%% A node whose database user may only read: it follows as any other does, and it changes nothing.
%%
%% That is how to give a node routes and no power over them. Following writes nothing, so such a user is enough for it;
%% a change is refused in words that say that nothing was done, and the database's own words don't reach the caller. The
%% database isn't taken for one that is away.
%%
%% The user belongs to the cluster and not to the database, so each case has its own and drops it in the end.
-module(rights_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_user_who_may_only_read_follows_and_changes_nothing/1,
         a_user_who_may_only_read_sees_what_is_fresh/1]).

-import(md_followers, [start/2, told/0, watching/2, api/3, make_fresh/3, wait_until_found/2, query/2, write/2,
                       silently/2, with_steady/2]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_user_who_may_only_read_follows_and_changes_nothing,
     a_user_who_may_only_read_sees_what_is_fresh].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_reader(with_steady(md_database:create(), Config)) end).

%% May read every table that there is, and those that are made later.
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
    %% The first declaration makes the table.
    ?assertEqual([[<<"f">>]], query(Config, "SELECT to_regclass('domain_freshness') IS NOT NULL")),
    ok = make_fresh(Owner, <<"type1">>, 3600),
    ?assertEqual({ok, [<<"type1">>]}, Fresh()).
