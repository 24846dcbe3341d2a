%% Changes that nodes at all servers of a Galera cluster make at once, also of the same domains, and servers that refuse them.
%%
%% `make test-galera' runs this suite, and `make test' does not.
-module(galera_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([changes_by_all_nodes_at_once_show_on_all/1,
         callers_on_all_nodes_that_change_the_same_domains_leave_what_one_of_them_acknowledged/1,
         servers_without_a_majority_refuse_changes_and_cost_no_route/1]).

-import(md_followers, [api/3, query/2, watching/2]).
-import(md_galera_nodes, [calls/2, state/2, changed_on_all/1, agreed/1, add_on_each/2]).

suite() ->
    [{timetrap, {minutes, 15}}].

all() ->
    [changes_by_all_nodes_at_once_show_on_all,
     callers_on_all_nodes_that_change_the_same_domains_leave_what_one_of_them_acknowledged,
     servers_without_a_majority_refuse_changes_and_cost_no_route].

init_per_testcase(_Case, Config) ->
    md_galera_nodes:start(md_galera:start(), #{operation_timeout => 20000}, Config).

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
    ?assertEqual([[<<"211">>, <<"211">>]], query(Config, "SELECT COUNT(*), COUNT(DISTINCT domain) FROM domain_settings")),
    %% Each node changes what another one has added.
    [First | Rest] = [Names || {_, Names} <- Own],
    Changes = [{Node, Name} || {Node, Names} <- lists:zip(Nodes, Rest ++ [First]), Name <- Names],
    [?assertMatch({_, {ok, _}}, Result) || Result <- at_once([{Node, disable_domain, [Name]} || {Node, Name} <- Changes])],
    ok = agreed(Config),
    Deleted = at_once([{Node, delete_domain, [Name, <<"type1">>]} || {Node, Name} <- Changes]),
    [?assertMatch({_, {ok, _}}, Result) || Result <- Deleted],
    ok = agreed(Config),
    ?assertEqual([[<<"31">>]], query(Config, "SELECT COUNT(*) FROM domain_settings")).

callers_on_all_nodes_that_change_the_same_domains_leave_what_one_of_them_acknowledged(Config) ->
    Nodes = ?config(nodes, Config),
    Names = md_names:numbered(<<"shared-">>, 4),
    watching(Nodes, fun() ->
        Calls = calls([{Node, [Names, Names, Names]} || Node <- Nodes], fun() ->
            md_wait:until(fun() ->
                [[Count]] = query(Config, "SELECT COUNT(*) FROM domain_events"),
                binary_to_integer(Count) > 500
            end)
        end),
        ok = changed_on_all(Config),
        ok = agreed(Config),
        Rows = md_rows:all(?config(client, Config)),
        ?assertEqual([], [{Name, State, These} || {Name, These} <- maps:to_list(Calls), State <- [state(Name, Rows)],
                                                  not md_callers:is_possible(State, These)]),
        %% Not one name has two rows.
        ?assertEqual([], query(Config, "SELECT domain FROM domain_settings GROUP BY domain HAVING COUNT(*) > 1"))
    end).

servers_without_a_majority_refuse_changes_and_cost_no_route(Config) ->
    [First | _] = Nodes = ?config(nodes, Config),
    Cluster = ?config(cluster, Config),
    watching(Nodes, fun() ->
        Before = add_on_each(Nodes, 10),
        ok = agreed(Config),
        ok = md_galera:server(Cluster, kill, 2),
        ok = md_galera:server(Cluster, kill, 3),
        md_wait:until(fun() -> element(1, api(First, insert_domain, [<<"refused.example">>, <<"type1">>])) end, db_error),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Node <- Nodes, Name <- Before],
        %% Neither of them takes statements before both are there.
        Self = self(),
        Again = [spawn_link(fun() -> Self ! {self(), md_galera:server(Cluster, again, Number)} end) || Number <- [2, 3]],
        [receive {Pid, Result} -> ok = Result end || Pid <- Again],
        After = add_on_each(Nodes, 10),
        ok = agreed(Config),
        [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Node <- Nodes, Name <- Before ++ After]
    end).

at_once(Calls) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), {Args, api(Node, Function, Args)}} end) || {Node, Function, Args} <- Calls],
    [receive {Pid, Result} -> Result end || Pid <- Pids].
