%% Three nodes change one database at the same time and end with the same routes.
%%
%% Each node is an operating system process. In one group the nodes form an Erlang cluster and notify each other of
%% changes. In the other they are not connected, and only PostgreSQL's notifications wake them: the hour between two
%% polls is longer than any test. A node shows its own change when the call returns; the others show it soon after.
%%
%% A race uses many domains, each with concurrent calls from different nodes. The winner is not predictable; the
%% assertions hold for each.
-module(cluster_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([what_one_node_adds_every_node_serves/1,
         what_one_node_disables_no_node_serves_until_another_enables_it/1,
         what_one_node_deletes_is_gone_on_every_node/1,
         a_repeated_change_returns_when_the_table_shows_what_another_node_did/1,
         a_domain_in_removal_is_served_nowhere_while_the_handlers_of_one_node_run/1,
         a_password_that_one_node_stores_is_checked_by_every_node/1,
         details_and_listings_are_the_same_on_every_node/1]).
-export([of_two_host_types_at_once_one_wins/1,
         an_addition_and_a_deletion_at_once_leave_what_the_row_says/1,
         a_deletion_wins_against_switches_at_the_same_time/1,
         of_two_deletions_at_once_one_runs_the_handlers_and_both_succeed/1]).
-export([any_sequence_of_operations_on_any_nodes_does_what_the_model_says/1]).
-export([a_node_that_lacks_a_host_type_leaves_its_domains_to_the_others/1,
         a_removal_whose_node_dies_is_finished_by_another/1]).

-define(HOUR, 3600000).
-define(TYPES, [<<"type1">>, <<"type2">>]).
-define(A, <<"a.example">>).
-define(UNSERVED, {error, not_found}).
-define(NOT_FOUND, {not_found, <<"Given domain does not exist">>}).
-define(UNKNOWN, {unknown_host_type, <<"Unknown host type">>}).
-define(UNKNOWN_HOST_TYPE, ignore_domain_from_db_with_unknown_host_type).

%% The number of domains in a race.
-define(RACES, 30).
%% The number of random sequences that are compared with the model, and their greatest length.
-define(SEQUENCES, 60).
-define(LONGEST, 15).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, connected}, {group, apart}].

groups() ->
    Cases = [what_one_node_adds_every_node_serves,
             what_one_node_disables_no_node_serves_until_another_enables_it,
             what_one_node_deletes_is_gone_on_every_node,
             a_repeated_change_returns_when_the_table_shows_what_another_node_did,
             a_domain_in_removal_is_served_nowhere_while_the_handlers_of_one_node_run,
             a_password_that_one_node_stores_is_checked_by_every_node,
             details_and_listings_are_the_same_on_every_node,
             of_two_host_types_at_once_one_wins,
             an_addition_and_a_deletion_at_once_leave_what_the_row_says,
             a_deletion_wins_against_switches_at_the_same_time,
             of_two_deletions_at_once_one_runs_the_handlers_and_both_succeed,
             any_sequence_of_operations_on_any_nodes_does_what_the_model_says,
             a_node_that_lacks_a_host_type_leaves_its_domains_to_the_others,
             a_removal_whose_node_dies_is_finished_by_another],
    [{connected, Cases}, {apart, Cases}].

%% Most cases use the nodes of their group. Each starts the application anew with a new database.
init_per_group(Group, Config) ->
    {Keeper, Nodes} = keep(fun() -> start(Group, [#{}, #{}, #{}]) end),
    [{group, Group}, {keeper, Keeper}, {kept, Nodes} | Config].

end_per_group(_Group, Config) ->
    Keeper = ?config(keeper, Config),
    Monitor = monitor(process, Keeper),
    Keeper ! stop,
    receive {'DOWN', Monitor, process, Keeper, _} -> ok end.

%% Nodes end with the process that started them, so this one waits until it is stopped.
keep(Start) ->
    Caller = self(),
    {Keeper, Monitor} = spawn_monitor(fun() ->
        Caller ! {self(), Start()},
        receive stop -> ok end
    end),
    receive
        {Keeper, Nodes} ->
            true = demonitor(Monitor, [flush]),
            {Keeper, Nodes};
        {'DOWN', Monitor, process, Keeper, Reason} -> erlang:error(Reason)
    end.

start(connected, Environments) ->
    md_node:connected(Environments);
start(apart, Environments) ->
    md_node:start_many(Environments).

%% The database is empty: the nodes create the tables.
init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:create(),
        Nodes = case Case of
            a_removal_whose_node_dies_is_finished_by_another -> start(?config(group, Config), [#{}, #{}, #{}]);
            _ -> ?config(kept, Config)
        end,
        [start_again(Node, environment(Database, Case, Place)) || {Place, Node} <- lists:zip([1, 2, 3], Nodes)],
        [md_node:wait_until_following(Node) || Node <- Nodes],
        [md_wait:until(fun() -> told(Node) end, length(friends(?config(group, Config), Nodes))) || Node <- Nodes],
        [{database, Database}, {client, md_client:open(Database)}, {nodes, Nodes} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

start_again(Node, Environment) ->
    ok = md_node:stop_application(Node),
    ok = md_node:call(Node, md_log, clear, []),
    ok = md_node:start_application(Node, Environment).

%% The number of services that a node notifies of changes, and the nodes on which they run.
told(Node) ->
    length(md_node:call(Node, pg, get_members, [service_domain_db:scope(), service_domain_db_group])).

friends(connected, Nodes) -> Nodes;
friends(apart, [Node | _]) -> [Node].

environment(Database, Case, Place) ->
    #{host_types => host_types(Case, Place),
      service_domain_db => #{database => Database, poll_interval => ?HOUR, password_iterations => 7,
                             removal_lease => lease(Case)}}.

host_types(a_node_that_lacks_a_host_type_leaves_its_domains_to_the_others, 3) -> [<<"type1">>];
host_types(_Case, _Place) -> ?TYPES.

%% Short where a lease has to expire. Elsewhere none expires, even on a slow machine.
lease(a_removal_whose_node_dies_is_finished_by_another) -> 1500;
lease(_Case) -> ?HOUR.

%% Changes on every node

what_one_node_adds_every_node_serves(Config) ->
    each_node_in_turn(Config, fun(Node, Name) ->
        Added = {ok, #{domain => Name, host_type => <<"type1">>}},
        ?assertEqual(Added, api(Node, insert_domain, [Name, <<"type1">>])),
        shown(Config, Node, Name, {ok, <<"type1">>}),
        [?assertEqual(Added, api(Any, insert_domain, [Name, <<"type1">>])) || Any <- everyone(Config)],
        [?assertMatch({duplicate, _}, api(Any, insert_domain, [Name, <<"type2">>])) || Any <- everyone(Config)],
        Batch = [{<<Prefix/binary, Name/binary>>, <<"type2">>} || Prefix <- [<<"x.">>, <<"y.">>]],
        ?assertEqual([{ok, #{domain => Domain, host_type => Type}} || {Domain, Type} <- Batch],
                     api(Node, insert_domains, [Batch])),
        [shown(Config, Node, Domain, {ok, Type}) || {Domain, Type} <- Batch],
        ?assertEqual(1, events(Config, Name))
    end).

what_one_node_disables_no_node_serves_until_another_enables_it(Config) ->
    each_node_in_turn(Config, fun(Node, Name) ->
        {ok, _} = api(Node, insert_domain, [Name, <<"type2">>]),
        [begin
            ?assertEqual({ok, #{domain => Name, status => disabled}}, api(Node, disable_domain, [Name])),
            shown(Config, Node, Name, ?UNSERVED),
            ?assertEqual({ok, #{domain => Name, status => enabled}}, api(Another, enable_domain, [Name])),
            shown(Config, Another, Name, {ok, <<"type2">>})
         end || Another <- others(Config, Node)]
    end).

what_one_node_deletes_is_gone_on_every_node(Config) ->
    each_node_in_turn(Config, fun(Node, Name) ->
        [begin
            {ok, _} = api(Another, insert_domain, [Name, Type]),
            shown(Config, Another, Name, {ok, Type}),
            ?assertMatch({wrong_host_type, _}, api(Node, Function, [Name, hd(?TYPES -- [Type])])),
            ?assertMatch({ok, #{status := _}}, api(Node, Function, [Name, Type])),
            shown(Config, Node, Name, ?UNSERVED),
            [md_wait:until(fun() -> api(Any, get_domain_details, [Name]) end, ?NOT_FOUND) || Any <- everyone(Config)],
            [?assertEqual(?NOT_FOUND, api(Any, Question, [Name]))
             || Any <- everyone(Config), Question <- [removal_status, enable_domain, disable_domain]],
            ?assertMatch({ok, #{status := deleted}}, api(Another, Function, [Name, Type]))
         end || {Function, Type} <- [{delete_domain, <<"type1">>}, {request_delete_domain, <<"type2">>}],
                Another <- others(Config, Node)]
    end).

%% While a node's service is suspended, its table stays behind.
a_repeated_change_returns_when_the_table_shows_what_another_node_did(Config) ->
    [One, Other, _Third] = everyone(Config),
    Steps = [{insert_domain, [?A, <<"type1">>], {ok, <<"type1">>}}, {disable_domain, [?A], ?UNSERVED},
             {enable_domain, [?A], {ok, <<"type1">>}}, {request_delete_domain, [?A, <<"type1">>], ?UNSERVED},
             {insert_domain, [?A, <<"type2">>], {ok, <<"type2">>}}, {delete_domain, [?A, <<"type2">>], ?UNSERVED}],
    [begin
        ok = md_node:call(One, sys, suspend, [service_domain_db]),
        ?assertMatch({ok, _}, api(Other, Function, Args)),
        Repeating = begin_all([fun() -> {api(One, Function, Args), md_node:lookup(One, ?A)} end]),
        md_wait:until(fun() -> waits_for_its_table(One) orelse are_over(Repeating) end),
        ok = md_node:call(One, sys, resume, [service_domain_db]),
        ?assertMatch([{{ok, _}, Wanted}], end_all(Repeating), {while_behind, Function, Wanted}),
        %% A requested deletion continues after the answer.
        _ = [md_wait:until(fun() -> api(One, get_domain_details, [?A]) end, ?NOT_FOUND)
             || Function =:= request_delete_domain]
     end || {Function, Args, Wanted} <- Steps],
    agree(Config).

%% Whether a process on this node waits for the suspended service to catch up.
waits_for_its_table(Node) ->
    {messages, Messages} = md_node:call(Node, erlang, process_info, [md_node:service(Node), messages]),
    lists:any(fun({'$gen_call', _From, sync}) -> true;
                 ({'$gen_call', _From, {find, _Event}}) -> true;
                 (_Other) -> false
              end, Messages).

a_domain_in_removal_is_served_nowhere_while_the_handlers_of_one_node_run(Config) ->
    [ok = handlers(Node, register, [<<"type1">>, first, 10]) || Node <- everyone(Config)],
    each_node_in_turn(Config, fun(Node, Name) ->
        [ok = handlers(Any, behave, [first, wait]) || Any <- everyone(Config)],
        {ok, _} = api(Node, insert_domain, [Name, <<"type1">>]),
        Deleting = {ok, #{domain => Name, host_type => <<"type1">>, status => deleting}},
        ?assertEqual(Deleting, api(Node, request_delete_domain, [Name, <<"type1">>])),
        shown(Config, Node, Name, ?UNSERVED),
        md_wait:until(fun() -> lists:member({first, <<"type1">>, Name}, handlers(Node, calls, [])) end),
        [begin
            ?assertMatch({ok, #{state := running, owner := <<_, _/binary>>}}, api(Any, removal_status, [Name])),
            ?assertMatch([#{domain := Name}], api(Any, get_removals, [])),
            ?assertEqual(Deleting, api(Any, get_domain_details, [Name])),
            ?assertEqual(Deleting, api(Any, request_delete_domain, [Name, <<"type1">>])),
            ?assertMatch({duplicate, _}, api(Any, insert_domain, [Name, <<"type1">>])),
            [?assertMatch({deleted, _}, api(Any, Function, [Name])) || Function <- [enable_domain, disable_domain]]
         end || Any <- everyone(Config)],
        %% Callers on every node wait for the end of the deletion.
        Waiting = begin_calls([{Any, delete_domain, [Name, <<"type1">>]} || Any <- everyone(Config)]),
        [ok = handlers(Any, behave, [first, ok]) || Any <- everyone(Config)],
        [?assertMatch({ok, #{status := deleted}}, Answer) || Answer <- end_all(Waiting)],
        [?assertEqual(?NOT_FOUND, api(Any, get_domain_details, [Name])) || Any <- everyone(Config)]
    end).

a_password_that_one_node_stores_is_checked_by_every_node(Config) ->
    each_node_in_turn(Config, fun(Node, Name) ->
        {ok, _} = api(Node, insert_domain, [Name, <<"type1">>]),
        shown(Config, Node, Name, {ok, <<"type1">>}),
        [begin
            {ok, _} = api(Another, set_domain_password, [Name, Password]),
            [begin
                ?assertEqual(ok, api(Any, check_domain_password, [Name, Password])),
                ?assertEqual({error, wrong_password}, api(Any, check_domain_password, [Name, <<Password/binary, "x">>]))
             end || Any <- everyone(Config)]
         end || {Another, Password} <- lists:zip(everyone(Config), [<<"one">>, <<"two">>, <<"three">>])],
        ?assertMatch({ok, _}, api(Node, delete_domain_password, [Name])),
        Gone = fun(Any, Password) -> api(Any, check_domain_password, [Name, Password]) =:= {error, not_found} end,
        [?assert(Gone(Any, <<"three">>)) || Any <- everyone(Config)],
        [?assertMatch({not_found, _}, api(Any, delete_domain_password, [Name])) || Any <- everyone(Config)],
        {ok, _} = api(Node, set_domain_password, [Name, <<"four">>]),
        {ok, _} = api(hd(others(Config, Node)), delete_domain, [Name, <<"type1">>]),
        [?assert(Gone(Any, <<"four">>)) || Any <- everyone(Config)]
    end).

details_and_listings_are_the_same_on_every_node(Config) ->
    [One, Two, Three] = everyone(Config),
    Names = [Disabled, Other | Enabled] = md_names:some(20),
    [{ok, _}, {ok, _} | _] = api(One, insert_domains, [[{Name, <<"type1">>} || Name <- [Disabled | Enabled]]]),
    {ok, _} = api(Two, insert_domain, [Other, <<"type2">>]),
    {ok, _} = api(Three, disable_domain, [Disabled]),
    Details = fun(Name, Type, Status) -> #{domain => Name, host_type => Type, status => Status} end,
    Wanted = [Details(Disabled, <<"type1">>, disabled), Details(Other, <<"type2">>, enabled)
              | [Details(Name, <<"type1">>, enabled) || Name <- Enabled]],
    ?assertEqual(20, length(Names)),
    [begin
        All = api(Node, get_all_domains, []),
        ?assertEqual(lists:sort(Wanted), lists:sort(All)),
        ?assertEqual(api(One, get_all_domains, []), All),
        [?assertEqual({ok, Row}, api(Node, get_domain_details, [Name])) || #{domain := Name} = Row <- Wanted],
        ?assertEqual([hd(Wanted)], api(Node, get_all_domains, [#{status => disabled}])),
        ?assertEqual([lists:nth(2, Wanted)], api(Node, get_all_domains, [#{host_type => <<"type2">>}])),
        ?assertEqual(lists:sublist(All, 4, 3),
                     api(Node, get_all_domains, [#{limit => 3, 'after' => map_get(domain, lists:nth(3, All))}])),
        ok = md_node:sync(Node),
        {ok, OfType} = api(Node, check_host_type_and_get_domains, [<<"type1">>]),
        ?assertEqual(lists:sort(Enabled), lists:sort(OfType))
     end || Node <- everyone(Config)],
    agree(Config).

%% Races

of_two_host_types_at_once_one_wins(Config) ->
    race(Config, md_names:some(?RACES), fun(Name, [One, Other, _Third]) ->
        Answers = at_once([{One, insert_domain, [Name, <<"type1">>]}, {Other, insert_domain, [Name, <<"type2">>]}]),
        {[{ok, #{domain := Name, host_type := Won}}], [{Lost, Text}]} =
            lists:partition(fun(Answer) -> element(1, Answer) =:= ok end, Answers),
        ?assertMatch({duplicate, <<_, _/binary>>}, {Lost, Text}),
        ?assertEqual(#{Name => {Won, enabled}}, maps:with([Name], rows(Config))),
        ?assertEqual(1, events(Config, Name))
    end),
    ?assertEqual(?RACES, map_size(rows(Config))).

%% Half of the domains exist before the race.
an_addition_and_a_deletion_at_once_leave_what_the_row_says(Config) ->
    {New, There} = lists:split(?RACES div 2, md_names:some(?RACES)),
    race(Config, New, fun(Name, [One, Other, _Third]) ->
        Pair = [Name, <<"type1">>],
        [Added, Deleted] = at_once([{One, insert_domain, Pair}, {Other, delete_domain, Pair}]),
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>}}, Added),
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>, status => deleted}}, Deleted),
        added_or_gone(Config, Name)
    end),
    race(Config, There, fun(Name, [One, Other, Third]) ->
        {ok, _} = api(Third, insert_domain, [Name, <<"type1">>]),
        Pair = [Name, <<"type1">>],
        [Added, Deleted] = at_once([{One, insert_domain, Pair}, {Other, delete_domain, Pair}]),
        ?assert(lists:member(element(1, Added), [ok, duplicate])),
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>, status => deleted}}, Deleted),
        added_or_gone(Config, Name)
    end).

added_or_gone(Config, Name) ->
    ?assert(lists:member(maps:with([Name], rows(Config)), [#{}, #{Name => {<<"type1">>, enabled}}])).

a_deletion_wins_against_switches_at_the_same_time(Config) ->
    race(Config, md_names:some(?RACES), fun(Name, [One, Other, Third]) ->
        {ok, _} = api(One, insert_domain, [Name, <<"type1">>]),
        [Deleted | Switched] = at_once([{One, delete_domain, [Name, <<"type1">>]}, {Other, enable_domain, [Name]},
                                        {Third, disable_domain, [Name]}]),
        ?assertMatch({ok, #{status := deleted}}, Deleted),
        [?assert(lists:member(element(1, Answer), [ok, deleted, not_found])) || Answer <- Switched],
        ?assertEqual(#{}, maps:with([Name], rows(Config)))
    end),
    ?assertEqual(#{}, rows(Config)).

of_two_deletions_at_once_one_runs_the_handlers_and_both_succeed(Config) ->
    File = filename:join(?config(priv_dir, Config), lists:concat(["handled-", erlang:unique_integer([positive])])),
    [ok = md_node:call(Node, md_handler_exclusive, register, [<<"type1">>, File]) || Node <- everyone(Config)],
    Names = md_names:some(?RACES),
    race(Config, Names, fun(Name, [One, Other, Third]) ->
        {ok, _} = api(Third, insert_domain, [Name, <<"type1">>]),
        Answers = at_once([{Node, delete_domain, [Name, <<"type1">>]} || Node <- [One, Other]]),
        ?assertEqual(lists:duplicate(2, {ok, #{domain => Name, host_type => <<"type1">>, status => deleted}}), Answers),
        ?assertEqual(#{}, maps:with([Name], rows(Config)))
    end),
    Handled = md_handler_exclusive:read(File),
    ?assertEqual(lists:sort(Names), lists:sort(maps:keys(Handled))),
    ?assertEqual([], [{Name, Overlaps} || {Name, {_Finished, [_ | _] = Overlaps}} <- maps:to_list(Handled)]),
    ?assertEqual([], [Name || {Name, {0, _Overlaps}} <- maps:to_list(Handled)]),
    ?assertEqual([], query(Config, "SELECT domain FROM domain_removals")).

%% The model

any_sequence_of_operations_on_any_nodes_does_what_the_model_says(Config) ->
    Property = md_nodes_model:property(everyone(Config), ?config(client, Config), ?LONGEST),
    ?assert(proper:quickcheck(Property, [{numtests, ?SEQUENCES}, quiet])),
    agree(Config).

%% Nodes with different configurations

%% The third node does not have the second host type.
a_node_that_lacks_a_host_type_leaves_its_domains_to_the_others(Config) ->
    [One, Two, Three] = everyone(Config),
    Names = [First, Second | _] = md_names:some(5),
    [{ok, _} = api(One, insert_domain, [Name, <<"type2">>]) || Name <- Names],
    {ok, _} = api(Three, insert_domain, [?A, <<"type1">>]),
    [?assertEqual(?UNKNOWN, api(Three, Function, [Name, <<"type2">>]))
     || Name <- [First, <<"new.example">>], Function <- [insert_domain, delete_domain, request_delete_domain]],
    [?assertEqual(?UNKNOWN, api(Three, Function, [First])) || Function <- [enable_domain, disable_domain]],
    ?assertEqual([?UNKNOWN, {ok, #{domain => <<"b.example">>, host_type => <<"type1">>}}],
                 api(Three, insert_domains, [[{First, <<"type2">>}, {<<"b.example">>, <<"type1">>}]])),
    ?assertEqual(?UNKNOWN, api(Three, check_host_type_and_get_domains, [<<"type2">>])),
    %% It still reads the row of such a domain.
    ?assertEqual({ok, #{domain => First, host_type => <<"type2">>, status => enabled}},
                 api(Three, get_domain_details, [First])),
    ?assertMatch({duplicate, _}, api(Three, insert_domain, [First, <<"type1">>])),
    ?assertMatch({wrong_host_type, _}, api(Three, delete_domain, [First, <<"type1">>])),
    %% Further events about these domains cause no new reports.
    [{ok, _} = api(Two, Function, [Name]) || Name <- Names, Function <- [disable_domain, enable_domain]],
    Common = #{?A => <<"type1">>, <<"b.example">> => <<"type1">>},
    Wanted = maps:merge(Common, maps:from_list([{Name, <<"type2">>} || Name <- Names])),
    ok = md_node:sync(Three),
    ?assertEqual(Common, md_node:routes(Three)),
    Reported = [Name || {error, #{domain := Name}} <- md_node:logged(Three, ?UNKNOWN_HOST_TYPE)],
    ?assertEqual(lists:sort(Names), lists:sort(Reported)),
    ?assertEqual([], md_rows:disagreements([One, Two], ?config(client, Config))),
    ?assertEqual(Wanted, md_rows:enabled(rows(Config))),
    [?assertEqual(0, md_node:count(Node, ?UNKNOWN_HOST_TYPE)) || Node <- [One, Two]],
    %% The other nodes can still delete them.
    {ok, _} = api(Two, delete_domain, [Second, <<"type2">>]),
    md_wait:until(fun() -> md_node:lookup(One, Second) end, ?UNSERVED),
    nothing_failed(everyone(Config)).

a_removal_whose_node_dies_is_finished_by_another(Config) ->
    [One, Two, Three] = everyone(Config),
    Living = [Two, Three],
    [begin
        ok = handlers(Node, register, [<<"type1">>, first, 10]),
        ok = handlers(Node, register, [<<"type1">>, second, 20]),
        ok = handlers(Node, behave, [second, wait])
     end || Node <- everyone(Config)],
    Both = [{first, <<"type1">>, ?A}, {second, <<"type1">>, ?A}],
    {ok, _} = api(Two, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(One, request_delete_domain, [?A, <<"type1">>]),
    md_wait:until(fun() -> handlers(One, calls, []) end, Both),
    {ok, #{state := running, owner := Dead, handlers := {1, 2}}} = api(Two, removal_status, [?A]),
    %% These callers wait for the end of the deletion, whichever node finishes it.
    Waiting = begin_calls([{Node, delete_domain, [?A, <<"type1">>]} || Node <- Living]),
    kill(One),
    %% The job is orphaned, or another node runs it.
    md_wait:until(fun() ->
        {ok, #{state := State, owner := Owner}} = api(Two, removal_status, [?A]),
        ?assert(lists:member(State, [running, orphaned])),
        ?assertMatch({ok, #{status := deleting}}, api(Three, get_domain_details, [?A])),
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Living],
        Owner =/= Dead
    end),
    md_wait:until(fun() -> lists:any(fun(Node) -> lists:prefix(Both, handlers(Node, calls, [])) end, Living) end),
    %% The new owner starts again with the first handler, on any node.
    [?assertEqual(hd(Both), Call) || Node <- Living, [Call | _] <- [handlers(Node, calls, [])]],
    ?assertMatch([{notice, #{domain := ?A, host_type := <<"type1">>}} | _],
                 lists:append([md_node:logged(Node, domain_removal_taken_over) || Node <- Living])),
    [ok = handlers(Node, behave, [second, ok]) || Node <- Living],
    Deleted = {ok, #{domain => ?A, host_type => <<"type1">>, status => deleted}},
    ?assertEqual([Deleted, Deleted], end_all(Waiting)),
    [?assertEqual(?NOT_FOUND, api(Node, Question, [?A]))
     || Node <- Living, Question <- [removal_status, get_domain_details]],
    ?assertEqual(#{}, rows(Config)),
    ?assertEqual([], md_rows:disagreements(Living, ?config(client, Config))),
    nothing_failed(Living).

%% Kills the node's VM with SIGKILL, as the kernel does when memory runs out.
kill(Node) ->
    Pid = md_node:call(Node, os, getpid, []),
    Monitor = monitor(process, Node),
    "" = os:cmd("kill -KILL " ++ Pid),
    receive {'DOWN', Monitor, process, Node, _} -> ok end.

%% Helpers

everyone(Config) ->
    ?config(nodes, Config).

others(Config, Node) ->
    everyone(Config) -- [Node].

api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

handlers(Node, Function, Args) ->
    md_node:call(Node, md_handlers, Function, Args).

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

rows(Config) ->
    md_rows:all(?config(client, Config)).

%% The number of events of a domain.
events(Config, Domain) ->
    [[Count]] = query(Config, ["SELECT count(*) FROM domain_events WHERE domain = ", md_writer:literal(Domain)]),
    binary_to_integer(Count).

%% Runs this for each node, with a domain of its own.
each_node_in_turn(Config, Do) ->
    [Do(Node, Name) || {Node, Name} <- lists:zip(everyone(Config), md_names:some(length(everyone(Config))))],
    agree(Config).

%% The node that made the change shows it now, the others soon.
shown(Config, Node, Name, Wanted) ->
    ?assertEqual(Wanted, md_node:lookup(Node, Name)),
    [md_wait:until(fun() -> md_node:lookup(Other, Name) end, Wanted) || Other <- others(Config, Node)],
    ok.

%% Runs this for each domain, with the nodes in a different order each time; then all tables must equal the rows.
race(Config, Names, Run) ->
    [One, Two, Three] = everyone(Config),
    Orders = [[One, Two, Three], [Three, One, Two], [Two, Three, One],
              [Two, One, Three], [One, Three, Two], [Three, Two, One]],
    [Run(Name, lists:nth(Number rem length(Orders) + 1, Orders))
     || {Number, Name} <- lists:zip(lists:seq(1, length(Names)), Names)],
    agree(Config).

agree(Config) ->
    ?assertEqual([], md_rows:disagreements(everyone(Config), ?config(client, Config))),
    nothing_failed(everyone(Config)).

%% Conflicts between nodes never lead to errors of the database.
nothing_failed(Nodes) ->
    [?assertEqual([], md_node:logged(Node, What))
     || Node <- Nodes, What <- [domain_operation_not_done, domain_change_not_visible_yet, domain_deletion_failed,
                                domain_database_away, events_log_out_of_sync]],
    ok.

%% Makes all these calls of the API at the same moment and returns their answers.
at_once(Calls) ->
    end_all(begin_calls(Calls)).

begin_calls(Calls) ->
    begin_all([fun() -> api(Node, Function, Args) end || {Node, Function, Args} <- Calls]).

begin_all(Funs) ->
    Starter = self(),
    Callers = [spawn_monitor(fun() ->
        Starter ! {ready, self()},
        receive go -> exit({answered, Fun()}) end
    end) || Fun <- Funs],
    [receive {ready, Pid} -> ok end || {Pid, _} <- Callers],
    [Pid ! go || {Pid, _} <- Callers],
    Callers.

are_over(Callers) ->
    not lists:any(fun({Pid, _}) -> is_process_alive(Pid) end, Callers).

end_all(Callers) ->
    [receive {'DOWN', Monitor, process, _, Result} -> {answered, Answer} = Result, Answer end
     || {_, Monitor} <- Callers].
