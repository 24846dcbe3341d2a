%% PgBouncer between the nodes and PostgreSQL, in transaction mode: each transaction of a node may run on another connection
%% to the server, where another node's statement may have the same name.
%%
%% Its configuration is what docs/configuration.md asks for.
-module(pooler_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([changes_through_a_pooler_are_those_that_were_requested/1, only_a_node_behind_a_pooler_reports_it/1]).

-import(md_followers, [environment/2, api/3, with_steady/2]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [changes_through_a_pooler_are_those_that_were_requested, only_a_node_behind_a_pooler_reports_it].

init_per_testcase(_Case, Config) ->
    case md_edge:program("pgbouncer") of
        {ok, Program} ->
            [{pooler, Program} | md_database:or_fail(fun() -> with_steady(md_database:create(), Config) end)];
        Skip ->
            Skip
    end.

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% Two connections to the server, for the eight workers and two followers of two nodes.
changes_through_a_pooler_are_those_that_were_requested(Config) ->
    {Pooler, Url} = start_pooler(2, md_edge:free_port(), Config),
    Nodes = md_node:start_many([environment(Url, #{}), environment(Url, #{})]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Tenants = [{Node, md_names:numbered(<<Prefix/binary, "-">>, 60)} || {Node, Prefix} <- lists:zip(Nodes, [<<"a">>, <<"b">>])],
    Concurrently = fun(Change, Args) ->
        Results = at_once([fun() -> api(Node, Change, [Name | Args]) end || {Node, Names} <- Tenants, Name <- Names]),
        [?assertMatch({ok, _}, Result) || Result <- Results]
    end,
    [begin
        Concurrently(insert_domain, [<<"type1">>]),
        Concurrently(disable_domain, []),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        Concurrently(enable_domain, []),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || {Node, Names} <- Tenants, Name <- Names],
        Concurrently(delete_domain, [<<"type1">>])
     end || _Round <- [1, 2, 3]],
    ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
    [?assertEqual([], md_node:logged(Node, domain_operation_not_done)) || Node <- Nodes],
    ok = md_edge:stop(Pooler).

only_a_node_behind_a_pooler_reports_it(Config) ->
    Port = md_edge:free_port(),
    {Pooler, Url} = start_pooler(5, Port, Config),
    [Behind, Direct] = Nodes = md_node:start_many([environment(Url, #{}), environment(?config(database, Config), #{})]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    ?assertMatch([{notice, #{advice := <<_, _/binary>>}}], md_node:logged(Behind, domain_database_pooled)),
    %% A new connection is no news.
    ok = md_edge:stop(Pooler),
    md_wait:until(fun() -> md_node:count(Behind, domain_database_away) end, 1),
    {Again, Url} = start_pooler(5, Port, Config),
    md_wait:until(fun() -> md_node:count(Behind, domain_database_back) end, 1),
    ?assertEqual(1, md_node:count(Behind, domain_database_pooled)),
    ?assertEqual(0, md_node:count(Direct, domain_database_pooled)),
    ok = md_edge:stop(Again).

%% Starts a pooler with this number of connections to the server. Returns it with the URL of the database through it.
start_pooler(Size, Port, Config) ->
    Url = ?config(database, Config),
    Directory = filename:join(?config(priv_dir, Config), lists:concat(["pooler-", Size])),
    ok = filelib:ensure_path(Directory),
    #{host := Host, port := Server, userinfo := User} = uri_string:parse(Url),
    File = filename:join(Directory, "pgbouncer.ini"),
    ok = file:write_file(File, io_lib:format(
        "[databases]~n* = host=~s port=~b user=~s~n"
        "[pgbouncer]~nlisten_addr = 127.0.0.1~nlisten_port = ~b~nunix_socket_dir =~nauth_type = any~n"
        "pool_mode = transaction~ndefault_pool_size = ~b~nignore_startup_parameters = options~n~s",
        [Host, Server, User, Port, Size, system_user()])),
    Pooler = md_edge:start(?config(pooler, Config), [File], Directory),
    md_wait:until(fun() -> element(1, gen_tcp:connect({127, 0, 0, 1}, Port, [])) end, ok),
    {Pooler, md_database:with_port(Url, Port)}.

%% PgBouncer refuses to run as root.
system_user() ->
    case os:cmd("id -u") of
        "0\n" -> "user = nobody\n";
        _ -> ""
    end.

at_once(Calls) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Call()} end) || Call <- Calls],
    [receive {Pid, Result} -> Result end || Pid <- Pids].
