%% Three nodes, each at its own server of a Galera cluster of three, that all take changes.
%%
%% The hour between two polls is longer than any case, so what a node shows it made itself or has asked for. The nodes are
%% not connected to each other. `make test-galera' runs this suite, and `make test' does not.
-module(galera_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([changes_by_all_nodes_at_once_show_on_all/1,
         a_server_that_is_killed_and_joins_again_costs_no_change/1,
         servers_without_a_majority_refuse_changes_and_cost_no_route/1]).

-import(md_followers, [environment/2, api/3, watching/2]).

-define(HOUR, 3600000).
-define(STEADY, <<"steady.example">>).

suite() ->
    [{timetrap, {minutes, 10}}].

all() ->
    [changes_by_all_nodes_at_once_show_on_all,
     a_server_that_is_killed_and_joins_again_costs_no_change,
     servers_without_a_majority_refuse_changes_and_cost_no_route].

init_per_testcase(_Case, Config0) ->
    Cluster = md_galera:start(),
    Config = md_followers:with_steady(md_galera:url(Cluster, 1), Config0),
    Options = #{poll_interval => ?HOUR, look_interval => 20, operation_timeout => 20000},
    Nodes = md_node:start_many([environment(Url, Options) || Url <- md_galera:urls(Cluster)]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    [{cluster, Cluster}, {nodes, Nodes} | Config].

end_per_testcase(_Case, Config) ->
    md_galera:stop(?config(cluster, Config)).

changes_by_all_nodes_at_once_show_on_all(Config) ->
    Nodes = ?config(nodes, Config),
    Shared = md_names:numbered(<<"shared-">>, 30),
    Own = [{Node, md_names:numbered(<<"of-", ($0 + Number), "-">>, 30)} || {Number, Node} <- lists:enumerate(Nodes)],
    %% Of those who add one name at once, one adds it, and the others find it there.
    Added = at_once([{Node, insert_domain, [Name, <<"type1">>]} || {Node, Names} <- Own, Name <- Names ++ Shared]),
    [?assertMatch({_, {ok, _}}, Result) || Result <- Added],
    ok = agreed(Config),
    ?assertEqual([[<<"121">>, <<"121">>]], query(Config, "SELECT COUNT(*), COUNT(DISTINCT domain) FROM domain_settings")),
    %% Each node changes what another one has added.
    [First | Rest] = [Names || {_, Names} <- Own],
    Changes = [{Node, Name} || {Node, Names} <- lists:zip(Nodes, Rest ++ [First]), Name <- Names],
    [?assertMatch({_, {ok, _}}, Result) || Result <- at_once([{Node, disable_domain, [Name]} || {Node, Name} <- Changes])],
    ok = agreed(Config),
    Deleted = at_once([{Node, delete_domain, [Name, <<"type1">>]} || {Node, Name} <- Changes]),
    [?assertMatch({_, {ok, _}}, Result) || Result <- Deleted],
    ok = agreed(Config),
    ?assertEqual([[<<"31">>]], query(Config, "SELECT COUNT(*) FROM domain_settings")).

a_server_that_is_killed_and_joins_again_costs_no_change(Config) ->
    [_, Second, _] = Nodes = ?config(nodes, Config),
    Cluster = ?config(cluster, Config),
    watching(Nodes, fun() ->
        Before = add_on_each(Nodes, <<"before">>),
        ok = md_galera:kill(Cluster, 2),
        Meanwhile = add_on_each(Nodes, <<"meanwhile">>),
        ok = agreed(Config),
        ok = md_galera:again(Cluster, 2),
        After = add_on_each(Nodes, <<"after">>),
        ok = agreed(Config),
        %% The server that was away has what was confirmed meanwhile.
        ok = agreed([{client, md_client:open(md_galera:url(Cluster, 2))} | Config]),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Second, Name)) || Name <- Before ++ Meanwhile ++ After]
    end).

servers_without_a_majority_refuse_changes_and_cost_no_route(Config) ->
    [First | _] = Nodes = ?config(nodes, Config),
    Cluster = ?config(cluster, Config),
    watching(Nodes, fun() ->
        Before = add_on_each(Nodes, <<"before">>),
        ok = agreed(Config),
        ok = md_galera:kill(Cluster, 2),
        ok = md_galera:kill(Cluster, 3),
        md_wait:until(fun() -> element(1, api(First, insert_domain, [<<"refused.example">>, <<"type1">>])) end, db_error),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Node <- Nodes, Name <- Before],
        %% Neither of them takes statements before both are there.
        Self = self(),
        Again = [spawn_link(fun() -> Self ! {self(), md_galera:again(Cluster, Number)} end) || Number <- [2, 3]],
        [receive {Pid, Result} -> ok = Result end || Pid <- Again],
        After = add_on_each(Nodes, <<"after">>),
        ok = agreed([{client, md_client:open(md_galera:url(Cluster, 3))} | Config]),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Node <- Nodes, Name <- Before ++ After]
    end).

%% Adds ten names on each node. A change that is refused, or of which the outcome is unknown, is repeated.
add_on_each(Nodes, Prefix) ->
    Names = [{Node, Name} || {Number, Node} <- lists:enumerate(Nodes),
                             Name <- md_names:numbered(<<Prefix/binary, "-", ($0 + Number), "-">>, 10)],
    Add = fun({Node, Name}) -> element(1, api(Node, insert_domain, [Name, <<"type1">>])) end,
    [md_wait:until(fun() -> Add(Change) end, ok) || Change <- Names],
    [Name || {_, Name} <- Names].

%% Waits until each node shows what the client's server has, without a pass that was requested.
agreed(Config) ->
    md_wait:until(fun() ->
        Wanted = md_rows:enabled(md_rows:all(?config(client, Config))),
        [{maps:without(maps:keys(Wanted), Routes), maps:without(maps:keys(Routes), Wanted)}
         || Node <- ?config(nodes, Config), Routes <- [md_node:routes(Node)], Routes =/= Wanted]
    end, []).

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

at_once(Calls) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), {Args, api(Node, Function, Args)}} end) || {Node, Function, Args} <- Calls],
    [receive {Pid, Result} -> Result end || Pid <- Pids].
