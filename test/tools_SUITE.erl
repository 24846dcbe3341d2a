%% The tools of other suites: gates and clusters cause the faults that their functions describe, and a watch notices
%% them.
-module(tools_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0]).
-export([a_killed_server_comes_back_with_what_it_confirmed/1,
         an_empty_server_takes_the_place_of_one_that_is_down/1,
         a_backup_brings_back_an_older_state/1,
         a_standby_follows_its_primary_and_takes_its_place/1,
         a_standby_behind_a_closed_gate_lacks_the_last_changes/1,
         a_gate_cuts_after_so_many_bytes/1,
         a_gate_swallows_an_answer_and_not_the_statement/1,
         a_gate_that_is_hushed_keeps_its_connections/1,
         a_gate_closes_one_direction/1,
         a_watch_reports_a_lookup_that_found_nothing/1]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_killed_server_comes_back_with_what_it_confirmed,
     an_empty_server_takes_the_place_of_one_that_is_down,
     a_backup_brings_back_an_older_state,
     a_standby_follows_its_primary_and_takes_its_place,
     a_standby_behind_a_closed_gate_lacks_the_last_changes,
     a_gate_cuts_after_so_many_bytes,
     a_gate_swallows_an_answer_and_not_the_statement,
     a_gate_that_is_hushed_keeps_its_connections,
     a_gate_closes_one_direction,
     a_watch_reports_a_lookup_that_found_nothing].

%% Clusters

with_number(Cluster) ->
    [] = ask(Cluster, "CREATE TABLE t (n INT); INSERT INTO t VALUES (1)"),
    Cluster.

ask(Cluster, Sql) ->
    Client = md_client:open(md_cluster:url(Cluster)),
    Rows = md_client:query(Client, Sql),
    ok = md_client:close(Client),
    Rows.

numbers(Cluster) ->
    [Number || [Number] <- ask(Cluster, "SELECT n FROM t ORDER BY n")].

a_killed_server_comes_back_with_what_it_confirmed(_Config) ->
    Cluster = with_number(md_cluster:start()),
    [begin
        ok = md_cluster:Down(Cluster),
        ?assertError(_, ask(Cluster, "SELECT 1")),
        ok = md_cluster:again(Cluster),
        ?assertEqual([<<"1">>], numbers(Cluster))
     end || Down <- [kill, shut_down]],
    ok = md_cluster:freeze(Cluster),
    ok = md_cluster:thaw(Cluster),
    ?assertEqual([<<"1">>], numbers(Cluster)),
    md_cluster:stop(Cluster).

an_empty_server_takes_the_place_of_one_that_is_down(_Config) ->
    Cluster = with_number(md_cluster:start()),
    ok = md_cluster:kill(Cluster),
    ok = md_cluster:empty(Cluster),
    ?assertEqual([[<<"f">>]], ask(Cluster, "SELECT to_regclass('t') IS NOT NULL")),
    md_cluster:stop(Cluster).

a_backup_brings_back_an_older_state(_Config) ->
    Cluster = with_number(md_cluster:start()),
    ok = md_cluster:backup(Cluster),
    [] = ask(Cluster, "INSERT INTO t VALUES (2)"),
    ok = md_cluster:kill(Cluster),
    ok = md_cluster:restore(Cluster),
    ?assertEqual([<<"1">>], numbers(Cluster)),
    md_cluster:stop(Cluster).

a_standby_follows_its_primary_and_takes_its_place(_Config) ->
    Primary = with_number(md_cluster:start()),
    Standby = md_cluster:standby(md_cluster:port(Primary)),
    [] = ask(Primary, "INSERT INTO t VALUES (2)"),
    md_wait:until(fun() -> md_cluster:shows_all_of(Standby, Primary) end),
    ?assertEqual([<<"1">>, <<"2">>], numbers(Standby)),
    ?assertError({sql_failed, _, _}, ask(Standby, "INSERT INTO t VALUES (3)")),
    ok = md_cluster:kill(Primary),
    ok = md_cluster:promote(Standby),
    [] = ask(Standby, "INSERT INTO t VALUES (3)"),
    ?assertEqual([<<"1">>, <<"2">>, <<"3">>], numbers(Standby)),
    [ok = md_cluster:stop(Cluster) || Cluster <- [Primary, Standby]].

a_standby_behind_a_closed_gate_lacks_the_last_changes(_Config) ->
    Primary = with_number(md_cluster:start()),
    Gate = md_gate:start(md_cluster:port(Primary)),
    ok = md_gate:open(Gate),
    Standby = md_cluster:standby(md_gate:port(Gate)),
    md_wait:until(fun() -> md_cluster:receives(Standby) end),
    ok = md_gate:close(Gate),
    [] = ask(Primary, "INSERT INTO t VALUES (2)"),
    ok = md_cluster:kill(Primary),
    ok = md_cluster:promote(Standby),
    ?assertEqual([<<"1">>], numbers(Standby)),
    [ok = md_cluster:stop(Cluster) || Cluster <- [Primary, Standby]].

%% Gates

%% An echo server behind an open gate, and a client of it.
echo() ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Target} = inet:port(Listener),
    _ = spawn_link(fun() -> serve(Listener) end),
    Gate = md_gate:start(Target),
    ok = md_gate:open(Gate),
    {Gate, connect(Gate)}.

serve(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Server = spawn(fun() -> receive go -> answer(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    _ = Server ! go,
    serve(Listener).

answer(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Bytes} -> _ = gen_tcp:send(Socket, Bytes), answer(Socket);
        {error, _} -> ok
    end.

connect(Gate) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, md_gate:port(Gate), [binary, {active, false}, {exit_on_close, false}]),
    Socket.

said(Socket, Bytes) ->
    ok = gen_tcp:send(Socket, Bytes),
    gen_tcp:recv(Socket, byte_size(Bytes), 60000).

is_over(Socket) ->
    case gen_tcp:recv(Socket, 1, 60000) of
        {error, timeout} -> false;
        {error, _} -> true
    end.

a_gate_cuts_after_so_many_bytes(_Config) ->
    {Gate, Socket} = echo(),
    Other = connect(Gate),
    ?assertEqual({ok, <<"1234">>}, said(Socket, <<"1234">>)),
    ok = md_gate:cut_after(Gate, 6),
    ?assertEqual({ok, <<"1234">>}, said(Socket, <<"1234">>)),
    ok = gen_tcp:send(Socket, <<"567890">>),
    ?assertEqual({ok, <<"56">>}, gen_tcp:recv(Socket, 2)),
    [?assert(is_over(Each)) || Each <- [Socket, Other]],
    md_wait:until(fun() -> md_gate:is_closed(Gate) end),
    ?assertMatch({error, econnrefused}, gen_tcp:connect({127, 0, 0, 1}, md_gate:port(Gate), [])),
    ok = md_gate:open(Gate),
    ?assertEqual({ok, <<"12345678">>}, said(connect(Gate), <<"12345678">>)).

%% The statement is a transaction, so the server commits it before it answers.
a_gate_swallows_an_answer_and_not_the_statement(_Config) ->
    Cluster = with_number(md_cluster:start()),
    Gate = md_gate:start(md_cluster:port(Cluster)),
    ok = md_gate:open(Gate),
    Client = md_client:open(md_database:with_port(md_cluster:url(Cluster), md_gate:port(Gate))),
    ok = md_gate:swallow(Gate, <<"INSERT">>),
    %% Another answer is forwarded.
    [[<<"1">>]] = md_client:query(Client, "SELECT n FROM t"),
    ?assertError(_, md_client:query(Client, "INSERT INTO t VALUES (2)")),
    ?assert(md_gate:is_closed(Gate)),
    ?assertEqual([<<"1">>, <<"2">>], numbers(Cluster)),
    md_cluster:stop(Cluster).

a_gate_that_is_hushed_keeps_its_connections(_Config) ->
    {Gate, Socket} = echo(),
    ?assertEqual({ok, <<"1">>}, said(Socket, <<"1">>)),
    ok = md_gate:hush(Gate),
    [begin
        ok = gen_tcp:send(Each, <<"2">>),
        ?assertEqual({error, timeout}, gen_tcp:recv(Each, 1, 100))
     end || Each <- [Socket, connect(Gate)]],
    ok = md_gate:open(Gate),
    ?assert(is_over(Socket)),
    ?assertEqual({ok, <<"3">>}, said(connect(Gate), <<"3">>)).

a_gate_closes_one_direction(_Config) ->
    {Gate, Socket} = echo(),
    ?assertEqual({ok, <<"1">>}, said(Socket, <<"1">>)),
    ok = md_gate:half_close(Gate, client),
    ?assert(is_over(Socket)),
    [?assertEqual(ok, gen_tcp:send(Socket, <<"2">>)) || _ <- lists:seq(1, 100)],
    ok = md_gate:open(Gate),
    Again = connect(Gate),
    ?assertEqual({ok, <<"3">>}, said(Again, <<"3">>)),
    ok = md_gate:half_close(Gate, server),
    ?assert(is_over(Again)).

%% Watches

a_watch_reports_a_lookup_that_found_nothing(_Config) ->
    Node = md_node:start(#{hosts => [{<<"a.example">>, <<"type1">>}]}),
    Well = md_watch:start([Node], [<<"a.example">>]),
    ok = md_watch:stop(Well),
    Badly = md_watch:start([Node], [<<"a.example">>, <<"b.example">>]),
    ?assertError({lookups_were_not_answered, [{_, [{<<"b.example">>, {error, not_found}} | _]}]}, md_watch:stop(Badly)).
