%% A change that returns `ok' is in the database that the follower reads, even when the URL leads elsewhere by then: to
%% a file that was replaced, an address that moved to another server, or a server that has become read-only. Each new
%% connection reads the secrets and files of the configuration again.
%%
%% The tests use real files with SQLite's own shell, real PostgreSQL servers and nodes. The writers have connections
%% before the fault, so these connections become stale.
-module(confirmed_changes_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_change_is_in_the_file_that_has_the_name/1,
         a_change_is_in_the_server_that_is_followed/1,
         a_follower_goes_where_new_connections_lead/1,
         a_server_that_takes_no_changes_any_more_is_left/1,
         secrets_are_read_again_by_each_connection/1]).

-import(md_followers, [start/2, told/0, watching/2, api/3, environment/2, wait_for_state/2, wait_until_found/2,
                       with_steady/2]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(TYPE, <<"type1">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_change_is_in_the_file_that_has_the_name,
     a_change_is_in_the_server_that_is_followed,
     a_follower_goes_where_new_connections_lead,
     a_server_that_takes_no_changes_any_more_is_left,
     secrets_are_read_again_by_each_connection].

init_per_testcase(a_change_is_in_the_file_that_has_the_name, Config) ->
    with_steady(md_database:sqlite(?config(priv_dir, Config)), [{clusters, []} | Config]);
init_per_testcase(secrets_are_read_again_by_each_connection, Config) ->
    Cluster = md_cluster:start(),
    with_steady(md_cluster:url(Cluster), [{clusters, [Cluster]} | Config]);
init_per_testcase(_Case, Config) ->
    Primary = md_cluster:start(),
    With = with_steady(md_cluster:url(Primary), Config),
    Standby = md_cluster:standby(md_cluster:port(Primary)),
    [{primary, Primary}, {standby, Standby}, {clusters, [Primary, Standby]} | With].

end_per_testcase(_Case, Config) ->
    lists:foreach(fun md_cluster:stop/1, ?config(clusters, Config)).

%% Files

a_change_is_in_the_file_that_has_the_name(Config) ->
    "sqlite:" ++ File = Url = ?config(database, Config),
    [Node | _] = Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        %% These additions open all connections of the pool.
        ok = add_at_once(Node, md_names:numbered(<<"before-">>, 20)),
        ok = replace(File),
        Names = md_names:numbered(<<"after-">>, 6),
        [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE])) || Name <- Names],
        [?assertEqual({ok, ?TYPE}, md_node:lookup(Node, Name)) || Name <- Names],
        Client = md_client:open(Url),
        ?assertEqual([[<<"26">>]], count(Client, "'%-%.example'")),
        ok = md_client:close(Client)
    end).

%% Each domain is added by a process of its own.
add_at_once(Node, Names) ->
    Self = self(),
    _ = [spawn_link(fun() -> Self ! {Name, api(Node, insert_domain, [Name, ?TYPE])} end) || Name <- Names],
    [receive {Name, Answer} -> ?assertMatch({ok, _}, Answer) end || Name <- Names],
    ok.

%% Replaces the file as an administrator does who restores a backup.
replace(File) ->
    Commands = "sqlite3 d.db '.backup b.db' && rm d.db-* && mv b.db d.db && echo done",
    Name = filename:basename(File),
    Named = string:replace(Commands, "d.db", Name, all),
    "done\n" = os:cmd(lists:flatten(["cd ", filename:dirname(File), " && ", Named])),
    ok.

count(Client, Pattern) ->
    md_client:query(Client, ["SELECT count(*) FROM domain_settings WHERE domain LIKE ", Pattern]).

%% Servers

%% The address moves to a copy of the server while the old server still runs. The follower and the writers each have
%% connections to it.
moved(Config) ->
    {Primary, Copy} = {?config(primary, Config), ?config(standby, Config)},
    Gate = md_gate:start(md_cluster:port(Primary)),
    ok = md_gate:open(Gate),
    Url = md_database:with_port(?config(database, Config), md_gate:port(Gate)),
    %% The search for removals uses a writer's connection. The short lease makes it run often here.
    Nodes = start(Url, (told())#{removal_lease => 1000}),
    [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE]))
     || {Node, Name} <- lists:zip(Nodes, [<<"one.example">>, <<"two.example">>])],
    md_wait:until(fun() -> md_cluster:shows_all_of(Copy, Primary) end),
    ok = md_cluster:promote(Copy),
    ok = md_gate:lead_to(Gate, md_cluster:port(Copy)),
    {Nodes, md_client:open(md_cluster:url(Copy))}.

%% Ends the connections of the followers or those of the writers.
%% The last statement of a connection tells which it is.
cut(Config, Which) ->
    How = case Which of followers -> "!~"; writers -> "~" end,
    Sql = ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mongoose_domain' AND query ",
           How, " 'SELECT WHERE to_regclass|domain_removals|INSERT INTO domain_settings|pg_control_system'"],
    Ended = md_client:query(?config(client, Config), Sql),
    ?assert(length(Ended) >= 2).

a_change_is_in_the_server_that_is_followed(Config) ->
    {[Node | _] = Nodes, Copy} = moved(Config),
    watching(Nodes, fun() ->
        ok = cut(Config, followers),
        [md_wait:until(fun() -> md_node:count(Each, domain_database_changed) end, 1) || Each <- Nodes],
        ?assertMatch({ok, _}, api(Node, insert_domain, [?A, ?TYPE])),
        ?assertEqual([[<<"1">>]], count(Copy, "'a.example'")),
        ?assertMatch({ok, _}, api(Node, disable_domain, [<<"one.example">>])),
        ok = md_rows:wait_until_agreed(Nodes, Copy)
    end).

a_follower_goes_where_new_connections_lead(Config) ->
    {Nodes, Copy} = moved(Config),
    watching(Nodes, fun() ->
        ok = cut(Config, writers),
        %% Until the nodes notice the move, such a change fails; it never returns `ok'.
        [md_wait:until(fun() -> element(1, api(Node, enable_domain, [<<"one.example">>])) end, ok) || Node <- Nodes],
        [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE])) || {Node, Name} <- lists:zip(Nodes, [?A, ?B])],
        ?assertEqual([[<<"2">>]], count(Copy, "'_.example'")),
        ?assertEqual([{ok, ?TYPE}, {ok, ?TYPE}],
                     [md_node:lookup(Node, Name) || {Node, Name} <- lists:zip(Nodes, [?A, ?B])]),
        ok = md_writer:write_and_notify(Copy, [{add, ?TYPE, [<<"c.example">>]}]),
        ok = md_rows:wait_until_agreed(Nodes, Copy)
    end).

a_server_that_takes_no_changes_any_more_is_left(Config) ->
    {Primary, Standby} = {?config(primary, Config), ?config(standby, Config)},
    Ports = [md_cluster:port(Each) || Each <- [Primary, Standby]],
    Url = md_database:with_query(md_database:with_ports(?config(database, Config), Ports),
                                 "target_session_attrs=read-write"),
    [Told, Polling] = Nodes = md_node:start_many([environment(Url, told()), environment(Url, #{})]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    watching(Nodes, fun() ->
        [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE]))
         || {Node, Name} <- lists:zip(Nodes, [<<"one.example">>, <<"two.example">>])],
        md_wait:until(fun() -> md_cluster:shows_all_of(Standby, Primary) end),
        [] = md_client:query(?config(client, Config), "ALTER SYSTEM SET default_transaction_read_only = on"),
        _ = md_client:query(?config(client, Config), "SELECT pg_reload_conf()"),
        md_wait:until(fun() -> md_client:query(?config(client, Config), "SHOW transaction_read_only") end, [[<<"on">>]]),
        ok = md_cluster:promote(Standby),
        Client = md_client:open(md_cluster:url(Standby)),
        %% One node changes a domain, and the other one only follows.
        ?assertMatch({ok, _}, api(Told, insert_domain, [?A, ?TYPE])),
        ?assertEqual({ok, ?TYPE}, md_node:lookup(Told, ?A)),
        ok = md_writer:write_and_notify(Client, [{add, ?TYPE, [?B]}]),
        wait_until_found([Told, Polling], ?B),
        ?assertMatch({ok, _}, api(Polling, insert_domain, [<<"c.example">>, ?TYPE])),
        ok = md_rows:wait_until_agreed(Nodes, Client)
    end).

%% Secrets

secrets_are_read_again_by_each_connection(Config) ->
    Client = ?config(client, Config),
    ok = demand_passwords(Client),
    ok = set_password(Client, "sesame-1"),
    File = filename:join(?config(priv_dir, Config), "url"),
    Url = fun(Password) -> md_database:with_user(?config(database, Config), "tenant", Password) end,
    Nodes = [ByFile, ByVariable] = [md_node:boot(), md_node:boot()],
    Write = fun(Password) ->
        ok = file:write_file(File, [Url(Password), "\n"]),
        true = md_node:call(ByVariable, os, putenv, ["MONGOOSE_DOMAIN_TEST_URL", " " ++ Url(Password) ++ "\n"])
    end,
    true = Write("sesame-1"),
    ok = md_node:start_application(ByFile, environment({file, File}, told())),
    ok = md_node:start_application(ByVariable, environment({env, "MONGOOSE_DOMAIN_TEST_URL"}, told())),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    watching(Nodes, fun() ->
        [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE]))
         || {Node, Name} <- lists:zip(Nodes, [<<"one.example">>, <<"two.example">>])],
        ok = set_password(Client, "sesame-2"),
        ok = cut_tenants(Client),
        wait_for_state(Nodes, away),
        [?assertMatch({db_error, _}, api(Node, insert_domain, [?A, ?TYPE])) || Node <- Nodes],
        true = Write("sesame-2"),
        wait_for_state(Nodes, following),
        [?assertMatch({ok, _}, api(Node, insert_domain, [Name, ?TYPE])) || {Node, Name} <- lists:zip(Nodes, [?A, ?B])],
        %% A file that cannot be read makes the database away and does not end the thread.
        ok = file:delete(File),
        true = md_node:call(ByVariable, os, unsetenv, ["MONGOOSE_DOMAIN_TEST_URL"]),
        ok = cut_tenants(Client),
        wait_for_state(Nodes, away),
        [md_wait:until(fun() -> is_in(Place, maps:get(last_error, md_node:status(Node))) end)
         || {Node, Place} <- [{ByFile, list_to_binary(File)}, {ByVariable, <<"MONGOOSE_DOMAIN_TEST_URL">>}]],
        true = Write("sesame-2"),
        wait_for_state(Nodes, following),
        [?assertEqual([], md_node:logged(Node, domain_follower_ended)) || Node <- Nodes],
        [?assertNot(md_secret:is_in(Secret, md_node:call(Node, md_log, all, [])))
         || Node <- Nodes, Secret <- ["sesame-1", "sesame-2"]]
    end).

is_in(Part, Text) ->
    binary:match(Text, Part) =/= nomatch.

demand_passwords(Client) ->
    [] = md_client:query(Client, "CREATE ROLE tenant LOGIN SUPERUSER"),
    [[Directory]] = md_client:query(Client, "SHOW data_directory"),
    [] = md_client:query(Client, ["COPY (VALUES ('host all tenant all scram-sha-256'), ('host all all all trust'), "
                                  "('local all all trust')) TO '", Directory, "/pg_hba.conf'"]),
    _ = md_client:query(Client, "SELECT pg_reload_conf()"),
    ok.

set_password(Client, Password) ->
    [] = md_client:query(Client, ["SET password_encryption = 'scram-sha-256'; ALTER ROLE tenant PASSWORD '", Password, "'"]),
    ok.

cut_tenants(Client) ->
    _ = md_client:query(Client, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenant'"),
    ok.
