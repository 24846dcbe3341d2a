%% Lazy routing on a node: which calls the router gets for hosts and handlers, in which order, and which are avoided.
%%
%% The router (md_router) records all calls and fails where a test sets it. A case suspends mongoose_lazy_routing to
%% show that a known name needs no process: a call to the process would wait.
-module(lazy_routing_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-import(md_subdomains, [insert/3, delete/2, restart_core/1, subdomains/3, register/3, unregister/3]).

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% Hosts that become known.
-export([a_domain_becomes_a_host_when_it_is_first_used/1,
         a_static_domain_becomes_a_host_too/1,
         a_subdomain_becomes_a_host_with_what_is_known_of_it/1,
         an_unknown_name_is_no_host_and_calls_no_process/1,
         a_host_is_known_without_a_process/1,
         a_domain_goes_before_a_subdomain_of_its_name/1,
         many_requests_at_once_make_one_host/1,
         the_router_that_only_keeps_a_table_can_be_asked/1,
         a_router_may_have_packet_handlers_of_its_own_shape/1]).
%% Hosts that disappear.
-export([a_deleted_domain_goes_with_its_subdomains/1,
         a_domain_that_was_away_is_unregistered_once_and_comes_again/1,
         an_unregistered_pattern_takes_its_hosts_along/1,
         a_domain_takes_over_from_a_subdomain_of_its_name/1,
         a_subdomain_takes_over_from_a_domain_that_goes/1,
         a_subdomain_whose_winner_goes_becomes_a_host_of_the_next/1,
         a_host_that_was_never_used_is_never_unregistered/1,
         a_host_is_removed_by_hand_only_as_what_it_is/1]).
%% Handlers.
-export([handlers_of_namespaces_know_their_host_type/1,
         an_unregistration_says_which_kind_of_host_it_was/1]).
-export([handlers_come_before_their_host_and_go_after_it/1,
         a_handler_is_for_hosts_that_are_there_too/1,
         a_handler_is_for_the_hosts_of_its_kind_alone/1,
         a_handler_is_registered_once/1,
         a_missing_handler_cannot_be_unregistered/1]).
%% Failures.
-export([a_host_that_the_router_refuses_is_logged_and_tried_again/1,
         a_router_that_crashes_harms_no_other_host/1,
         a_failing_unregistration_is_logged_and_the_host_goes/1,
         a_handler_that_the_router_refuses_is_logged_and_the_host_serves/1,
         a_process_that_the_router_links_ends_no_other/1,
         a_crash_loses_no_host_and_the_successor_catches_up/1,
         a_crash_of_the_core_changes_no_host_and_its_restart_those_that_went/1,
         a_closed_table_serves_nobody_and_crashes_nothing/1,
         an_orderly_stop_unregisters_all/1,
         unknown_messages_are_logged_and_survived/1]).
%% With a database.
-export([a_disabled_domain_goes_at_once/1,
         a_domain_of_another_host_type_is_another_host/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(MUC, {prefix, <<"muc.">>}).
-define(MUC_A, <<"muc.a.example">>).
-define(ROOMS, <<"rooms.example">>).
-define(NS, <<"urn:xmpp:ping">>).
-define(HOUR, 3600000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, used}, {group, going}, {group, handlers}, {group, failures}, {group, database}].

groups() ->
    [{used, [a_domain_becomes_a_host_when_it_is_first_used,
             a_static_domain_becomes_a_host_too,
             a_subdomain_becomes_a_host_with_what_is_known_of_it,
             an_unknown_name_is_no_host_and_calls_no_process,
             a_host_is_known_without_a_process,
             a_domain_goes_before_a_subdomain_of_its_name,
             many_requests_at_once_make_one_host,
             the_router_that_only_keeps_a_table_can_be_asked,
             a_router_may_have_packet_handlers_of_its_own_shape]},
     {going, [a_deleted_domain_goes_with_its_subdomains,
              a_domain_that_was_away_is_unregistered_once_and_comes_again,
              an_unregistered_pattern_takes_its_hosts_along,
              a_domain_takes_over_from_a_subdomain_of_its_name,
              a_subdomain_takes_over_from_a_domain_that_goes,
              a_subdomain_whose_winner_goes_becomes_a_host_of_the_next,
              a_host_that_was_never_used_is_never_unregistered,
              a_host_is_removed_by_hand_only_as_what_it_is]},
     {handlers, [handlers_of_namespaces_know_their_host_type,
                 an_unregistration_says_which_kind_of_host_it_was,
                 handlers_come_before_their_host_and_go_after_it,
                 a_handler_is_for_hosts_that_are_there_too,
                 a_handler_is_for_the_hosts_of_its_kind_alone,
                 a_handler_is_registered_once,
                 a_missing_handler_cannot_be_unregistered]},
     {failures, [a_host_that_the_router_refuses_is_logged_and_tried_again,
                 a_router_that_crashes_harms_no_other_host,
                 a_failing_unregistration_is_logged_and_the_host_goes,
                 a_handler_that_the_router_refuses_is_logged_and_the_host_serves,
                 a_process_that_the_router_links_ends_no_other,
                 a_crash_loses_no_host_and_the_successor_catches_up,
                 a_crash_of_the_core_changes_no_host_and_its_restart_those_that_went,
                 a_closed_table_serves_nobody_and_crashes_nothing,
                 an_orderly_stop_unregisters_all,
                 unknown_messages_are_logged_and_survived]},
     {database, [a_disabled_domain_goes_at_once,
                 a_domain_of_another_host_type_is_another_host]}].

init_per_group(Group, Config) ->
    [{group, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(the_router_that_only_keeps_a_table_can_be_asked, Config) ->
    Node = md_node:start(maps:remove(router, environment())),
    ok = insert(Node, <<"type1">>, [?A]),
    [{node, Node} | Config];
init_per_testcase(_Case, Config) ->
    case ?config(group, Config) of
        database ->
            md_database:or_fail(fun() ->
                Database = md_database:with_tables(md_database:create()),
                Writer = md_client:open(Database),
                ok = md_writer:write(Writer, [{add, <<"type1">>, [?A, ?B]}]),
                Service = #{database => Database, poll_interval => ?HOUR},
                Node = md_node:start((environment())#{service_domain_db => Service}),
                ok = md_node:wait_until_following(Node),
                [{database, Database}, {writer, Writer}, {node, Node} | Config]
            end);
        _ ->
            Node = md_node:start(environment()),
            ok = insert(Node, <<"type1">>, [?A, ?B]),
            [{node, Node} | Config]
    end.

end_per_testcase(_Case, Config) ->
    case ?config(group, Config) of
        database -> md_database:drop(?config(database, Config));
        _ -> ok
    end.

environment() ->
    #{hosts => [{?STATIC, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>], router => md_router}.

%% Strips what mongoose_lazy_routing adds to a handler that it returns.
lazy(Node, Function, Args) ->
    case md_node:call(Node, mongoose_lazy_routing, Function, Args) of
        {ok, Handler} -> {ok, plain(Handler)};
        Answer -> Answer
    end.

%% Whether the name is a host, before or after this call.
ask(Node, Name) ->
    lazy(Node, maybe_add_domain_or_subdomain, [Name]).

behave(Node, Function, Host, Behaviour) ->
    ok = md_node:call(Node, md_router, behave, [Function, Host, Behaviour]).

%% The router's calls since the last take, without what mongoose_lazy_routing adds to each.
told(Node) ->
    [without_additions(Call) || Call <- told_in_full(Node)].

told_in_full(Node) ->
    ok = lazy(Node, sync, []),
    md_node:call(Node, md_router, take_calls, []).

without_additions({unregister_host, Host, _Kind}) -> {unregister_host, Host};
without_additions({register_handler, Host, Namespace, Component, Handler}) ->
    {register_handler, Host, Namespace, Component, plain(Handler)};
without_additions(Call) -> Call.

plain({extended, Handler, #{host_type := _}}) -> Handler;
plain(Handler) -> Handler.

%% While Fun runs, the process answers no calls.
suspended(Node, Fun) ->
    ok = md_node:call(Node, sys, suspend, [mongoose_lazy_routing]),
    Fun(),
    ok = md_node:call(Node, sys, resume, [mongoose_lazy_routing]).

pid(Node) ->
    md_node:call(Node, erlang, whereis, [mongoose_lazy_routing]).

domain(HostType) ->
    {domain, HostType}.

subdomain(Node, Name) ->
    {ok, Info} = subdomains(Node, get_subdomain_info, [Name]),
    {subdomain, Info}.

%% Hosts that become known

a_domain_becomes_a_host_when_it_is_first_used(Config) ->
    Node = ?config(node, Config),
    ?assertEqual([], told(Node)),
    ?assert(ask(Node, ?A)),
    ?assertEqual([{register_host, ?A, domain(<<"type1">>)}], told(Node)),
    [?assert(ask(Node, ?A)) || _ <- lists:seq(1, 3)],
    ?assertEqual([], told(Node)).

a_static_domain_becomes_a_host_too(Config) ->
    Node = ?config(node, Config),
    ?assert(ask(Node, ?STATIC)),
    ?assertEqual([{register_host, ?STATIC, domain(<<"static type">>)}], told(Node)).

a_subdomain_becomes_a_host_with_what_is_known_of_it(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {fqdn, ?ROOMS}),
    [begin
        ?assert(ask(Node, Name)),
        ?assertEqual([{register_host, Name, subdomain(Node, Name)}], told(Node)),
        ?assert(ask(Node, Name)),
        ?assertEqual([], told(Node))
     end || Name <- [?MUC_A, ?ROOMS]].

an_unknown_name_is_no_host_and_calls_no_process(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    suspended(Node, fun() ->
        [?assertNot(ask(Node, Name)) || Name <- [<<"nowhere.example">>, <<"muc.nowhere.example">>, <<>>, <<255>>]]
    end),
    ?assertEqual([], told(Node)).

a_host_is_known_without_a_process(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    Names = [?A, ?STATIC, ?MUC_A],
    [?assert(ask(Node, Name)) || Name <- Names],
    suspended(Node, fun() -> [?assert(ask(Node, Name)) || Name <- Names] end).

a_domain_goes_before_a_subdomain_of_its_name(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = insert(Node, <<"type2">>, [?MUC_A]),
    ?assert(ask(Node, ?MUC_A)),
    ?assertEqual([{register_host, ?MUC_A, domain(<<"type2">>)}], told(Node)).

many_requests_at_once_make_one_host(Config) ->
    Node = ?config(node, Config),
    Answers = md_node:call(Node, erlang, apply, [fun() ->
        Asking = [spawn_monitor(fun() -> exit(mongoose_lazy_routing:maybe_add_domain_or_subdomain(?A)) end)
                  || _ <- lists:seq(1, 100)],
        [receive {'DOWN', Monitor, process, Pid, Answer} -> Answer end || {Pid, Monitor} <- Asking]
    end, []]),
    ?assertEqual([true], lists:usort(Answers)),
    ?assertEqual([{register_host, ?A, domain(<<"type1">>)}], told(Node)).

the_router_that_only_keeps_a_table_can_be_asked(Config) ->
    Node = ?config(node, Config),
    Table = fun(Function, Args) -> md_node:call(Node, mongoose_domain_router_table, Function, Args) end,
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, {ping, #{}}]),
    ?assertEqual([], Table(hosts, [])),
    ?assertEqual({error, not_found}, Table(route, [?A])),
    ?assert(ask(Node, ?A)),
    ?assert(ask(Node, ?STATIC)),
    suspended(Node, fun() ->
        ?assertEqual([?A, ?STATIC], lists:sort(Table(hosts, []))),
        ?assertEqual({ok, domain(<<"type1">>)}, Table(route, [?A])),
        ?assertEqual([{?NS, sessions, {ping, #{host_type => <<"type1">>}}}], Table(handlers, [?A])),
        ?assertEqual([], Table(handlers, [?STATIC]))
    end),
    ok = delete(Node, ?A),
    ok = lazy(Node, sync, []),
    ?assertEqual([?STATIC], Table(hosts, [])),
    ?assertEqual({error, not_found}, Table(route, [?A])),
    ?assertEqual([], Table(handlers, [?A])).

a_router_may_have_packet_handlers_of_its_own_shape(Config) ->
    Node = ?config(node, Config),
    ok = subdomains(Node, register_subdomain, [<<"type1">>, ?MUC, its_own]),
    ?assert(ask(Node, ?MUC_A)),
    ?assertMatch([{register_host, ?MUC_A, {subdomain, #{
        packet_handler := {extended, its_own, #{host_type := <<"type1">>}}
    }}}], told(Node)).

%% Hosts that disappear

a_deleted_domain_goes_with_its_subdomains(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, ?ROOMS}),
    Names = [?A, ?B, ?MUC_A, <<"muc.b.example">>, ?ROOMS, ?STATIC],
    [?assert(ask(Node, Name)) || Name <- Names],
    _ = told(Node),
    ok = delete(Node, ?A),
    ?assertEqual([{unregister_host, ?A}, {unregister_host, ?MUC_A}], told(Node)),
    [?assertNot(ask(Node, Name)) || Name <- [?A, ?MUC_A]],
    suspended(Node, fun() -> [?assert(ask(Node, Name)) || Name <- Names -- [?A, ?MUC_A]] end).

%% Clients that were connected to the domain were connected before it disappeared.
a_domain_that_was_away_is_unregistered_once_and_comes_again(Config) ->
    Node = ?config(node, Config),
    ?assert(ask(Node, ?A)),
    _ = told(Node),
    suspended(Node, fun() ->
        [begin ok = delete(Node, ?A), ok = insert(Node, <<"type1">>, [?A]) end || _ <- lists:seq(1, 5)]
    end),
    ?assertEqual([{unregister_host, ?A}], told(Node)),
    ?assert(ask(Node, ?A)),
    ?assertEqual([{register_host, ?A, domain(<<"type1">>)}], told(Node)).

an_unregistered_pattern_takes_its_hosts_along(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {prefix, <<"pubsub.">>}),
    ok = register(Node, <<"static type">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, ?ROOMS}),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A, <<"muc.b.example">>, <<"pubsub.a.example">>,
                                          <<"muc.static.example">>, ?ROOMS]],
    _ = told(Node),
    ok = unregister(Node, <<"type1">>, ?MUC),
    ?assertEqual([{unregister_host, Name} || Name <- [?MUC_A, <<"muc.b.example">>]], lists:sort(told(Node))),
    ?assertNot(ask(Node, ?MUC_A)),
    ok = unregister(Node, <<"type1">>, {fqdn, ?ROOMS}),
    ?assertEqual([{unregister_host, ?ROOMS}], told(Node)),
    suspended(Node, fun() ->
        [?assert(ask(Node, Name)) || Name <- [?A, <<"pubsub.a.example">>, <<"muc.static.example">>]]
    end).

a_domain_takes_over_from_a_subdomain_of_its_name(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, ?ROOMS}),
    [begin
        ?assert(ask(Node, Name)),
        _ = told(Node),
        ok = insert(Node, <<"type1">>, [Name]),
        ?assertEqual([{unregister_host, Name}], told(Node)),
        ?assert(ask(Node, Name)),
        ?assertEqual([{register_host, Name, domain(<<"type1">>)}], told(Node))
     end || Name <- [?MUC_A, ?ROOMS]],
    %% The domain stays a host when the subdomain with its name disappears.
    ok = unregister(Node, <<"type1">>, ?MUC),
    ok = delete(Node, ?A),
    ?assertEqual([], told(Node)).

a_subdomain_takes_over_from_a_domain_that_goes(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = insert(Node, <<"type2">>, [?MUC_A]),
    ?assert(ask(Node, ?MUC_A)),
    _ = told(Node),
    ok = delete(Node, ?MUC_A),
    ?assertEqual([{unregister_host, ?MUC_A}], told(Node)),
    ?assert(ask(Node, ?MUC_A)),
    ?assertEqual([{register_host, ?MUC_A, subdomain(Node, ?MUC_A)}], told(Node)).

a_subdomain_whose_winner_goes_becomes_a_host_of_the_next(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    ?assert(ask(Node, ?MUC_A)),
    ?assertMatch([{register_host, _, {subdomain, #{host_type := <<"type1">>}}}], told(Node)),
    ok = delete(Node, ?A),
    ?assertEqual([{unregister_host, ?MUC_A}], told(Node)),
    ?assert(ask(Node, ?MUC_A)),
    ?assertMatch([{register_host, _, {subdomain, #{host_type := <<"type2">>}}}], told(Node)),
    %% The domain comes back, but another host has the name now.
    ok = insert(Node, <<"type1">>, [?A]),
    ok = unregister(Node, <<"type1">>, ?MUC),
    ?assertEqual([], told(Node)).

a_host_that_was_never_used_is_never_unregistered(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    ok = delete(Node, ?A),
    ok = insert(Node, <<"type1">>, [<<"muc.b.example">>]),
    ok = unregister(Node, <<"type1">>, ?MUC),
    ok = lazy(Node, maybe_remove_domain, [<<"type1">>, ?B]),
    ok = restart_core(Node),
    {ok, handler} = lazy(Node, unregister_iq_handler_for_domain, [<<"type1">>, ?NS, sessions]),
    ?assertEqual([], told(Node)).

a_host_is_removed_by_hand_only_as_what_it_is(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    {subdomain, Info} = subdomain(Node, ?MUC_A),
    [?assert(ask(Node, Name)) || Name <- [?A, ?B, ?MUC_A]],
    _ = told(Node),
    ok = lazy(Node, maybe_remove_domain, [<<"type2">>, ?A]),
    ok = lazy(Node, maybe_remove_domain, [<<"type1">>, ?MUC_A]),
    ok = lazy(Node, maybe_remove_domain, [<<"type1">>, <<"nowhere.example">>]),
    ok = lazy(Node, maybe_remove_subdomain, [Info#{host_type := <<"type2">>}]),
    ok = lazy(Node, maybe_remove_subdomain, [Info#{subdomain_pattern := {fqdn, ?MUC_A}}]),
    ok = lazy(Node, maybe_remove_subdomain, [Info#{subdomain := ?A}]),
    ok = lazy(Node, maybe_remove_subdomains, [<<"type2">>, ?MUC]),
    ok = lazy(Node, maybe_remove_subdomains, [<<"type1">>, {fqdn, ?MUC_A}]),
    ?assertEqual([], told(Node)),
    ok = lazy(Node, maybe_remove_subdomain, [Info]),
    ?assertEqual([{unregister_host, ?MUC_A}], told(Node)),
    ?assert(ask(Node, ?MUC_A)),
    _ = told(Node),
    ok = lazy(Node, maybe_remove_domain, [<<"type1">>, ?A]),
    ?assertEqual([{unregister_host, ?A}, {unregister_host, ?MUC_A}], told(Node)),
    ?assert(ask(Node, ?MUC_A)),
    _ = told(Node),
    ok = lazy(Node, maybe_remove_subdomains, [<<"type1">>, ?MUC]),
    ?assertEqual([{unregister_host, ?MUC_A}], told(Node)).

%% Handlers

handlers_of_namespaces_know_their_host_type(Config) ->
    Node = ?config(node, Config),
    Lazy = fun(Function, Args) -> md_node:call(Node, mongoose_lazy_routing, Function, Args) end,
    Extended = fun(Handler) -> {extended, Handler, #{host_type => <<"type1">>}} end,
    ok = register(Node, <<"type1">>, ?MUC),
    ok = Lazy(register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, one]),
    ok = Lazy(register_iq_handler_for_subdomain, [<<"type1">>, ?MUC, ?NS, rooms, two]),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A]],
    ?assertEqual([{register_handler, ?A, ?NS, sessions, Extended(one)},
                  {register_handler, ?MUC_A, ?NS, rooms, Extended(two)}],
                 [Call || Call <- told_in_full(Node), element(1, Call) =:= register_handler]),
    ?assertEqual({ok, Extended(one)}, Lazy(unregister_iq_handler_for_domain, [<<"type1">>, ?NS, sessions])),
    ?assertEqual({ok, Extended(two)},
                 Lazy(unregister_iq_handler_for_subdomain, [<<"type1">>, ?MUC, ?NS, rooms])).

an_unregistration_says_which_kind_of_host_it_was(Config) ->
    Node = ?config(node, Config),
    [ok = register(Node, <<"type1">>, Pattern) || Pattern <- [?MUC, {fqdn, ?ROOMS}]],
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A, ?ROOMS]],
    _ = told(Node),
    ok = delete(Node, ?A),
    ?assertEqual([{unregister_host, ?A, {domain, <<"type1">>}},
                  {unregister_host, ?MUC_A, {subdomain, <<"type1">>, ?MUC}}], lists:sort(told_in_full(Node))),
    ok = unregister(Node, <<"type1">>, {fqdn, ?ROOMS}),
    ?assertEqual([{unregister_host, ?ROOMS, {subdomain, <<"type1">>, {fqdn, ?ROOMS}}}], told_in_full(Node)).

handlers_come_before_their_host_and_go_after_it(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, <<"ns1">>, sessions, one]),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, <<"ns2">>, sessions, two]),
    ok = lazy(Node, register_iq_handler_for_subdomain, [<<"type1">>, ?MUC, <<"ns1">>, rooms, three]),
    ?assertEqual([], told(Node)),
    ?assert(ask(Node, ?A)),
    ?assertEqual([{register_handler, ?A, <<"ns1">>, sessions, one}, {register_handler, ?A, <<"ns2">>, sessions, two},
                  {register_host, ?A, domain(<<"type1">>)}], told(Node)),
    ?assert(ask(Node, ?MUC_A)),
    ?assertEqual([{register_handler, ?MUC_A, <<"ns1">>, rooms, three},
                  {register_host, ?MUC_A, subdomain(Node, ?MUC_A)}], told(Node)),
    ok = delete(Node, ?A),
    ?assertEqual([{unregister_host, ?A}, {unregister_handler, ?A, <<"ns1">>, sessions},
                  {unregister_handler, ?A, <<"ns2">>, sessions}, {unregister_host, ?MUC_A},
                  {unregister_handler, ?MUC_A, <<"ns1">>, rooms}], told(Node)).

a_handler_is_for_hosts_that_are_there_too(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    [?assert(ask(Node, Name)) || Name <- [?A, ?B, ?MUC_A, ?STATIC]],
    _ = told(Node),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    ?assertEqual([{register_handler, Name, ?NS, sessions, handler} || Name <- [?A, ?B]], lists:sort(told(Node))),
    ok = lazy(Node, register_iq_handler_for_subdomain, [<<"type1">>, ?MUC, ?NS, sessions, another]),
    ?assertEqual([{register_handler, ?MUC_A, ?NS, sessions, another}], told(Node)),
    ?assertEqual({ok, handler}, lazy(Node, unregister_iq_handler_for_domain, [<<"type1">>, ?NS, sessions])),
    ?assertEqual([{unregister_handler, Name, ?NS, sessions} || Name <- [?A, ?B]], lists:sort(told(Node))),
    ?assertEqual({ok, another}, lazy(Node, unregister_iq_handler_for_subdomain, [<<"type1">>, ?MUC, ?NS, sessions])),
    ?assertEqual([{unregister_handler, ?MUC_A, ?NS, sessions}], told(Node)),
    %% A host that disappears loses its handlers.
    ok = delete(Node, ?A),
    ?assertEqual([{unregister_host, ?A}, {unregister_host, ?MUC_A}], told(Node)).

a_handler_is_for_the_hosts_of_its_kind_alone(Config) ->
    Node = ?config(node, Config),
    ok = insert(Node, <<"type2">>, [<<"c.example">>]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {prefix, <<"pubsub.">>}),
    ok = register(Node, <<"type2">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, domains]),
    ok = lazy(Node, register_iq_handler_for_subdomain, [<<"type1">>, ?MUC, ?NS, sessions, rooms]),
    Names = [?A, ?STATIC, <<"c.example">>, ?MUC_A, <<"pubsub.a.example">>, <<"muc.c.example">>],
    [?assert(ask(Node, Name)) || Name <- Names],
    ?assertEqual([{register_handler, ?A, ?NS, sessions, domains}, {register_handler, ?MUC_A, ?NS, sessions, rooms}],
                 [Call || Call <- told(Node), element(1, Call) =:= register_handler]).

a_handler_is_registered_once(Config) ->
    Node = ?config(node, Config),
    Domains = [<<"type1">>, ?NS, sessions],
    Subdomains = [<<"type1">>, ?MUC, ?NS, sessions],
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_domain, Domains ++ [first])),
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_subdomain, Subdomains ++ [first])),
    ?assertEqual([], md_node:logged(Node, iq_already_registered)),
    ?assertEqual({error, already_registered}, lazy(Node, register_iq_handler_for_domain, Domains ++ [second])),
    ?assertEqual({error, already_registered}, lazy(Node, register_iq_handler_for_subdomain, Subdomains ++ [second])),
    ?assertMatch([{warning, #{host_type := <<"type1">>, namespace := ?NS, component := sessions}},
                  {warning, #{host_type := <<"type1">>, namespace := ?NS, component := sessions,
                              subdomain_pattern := ?MUC}}], md_node:logged(Node, iq_already_registered)),
    %% Another component, namespace, host type or pattern makes another handler.
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, rooms, third])),
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_domain, [<<"type1">>, <<"another">>, sessions, third])),
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_domain, [<<"type2">>, ?NS, sessions, third])),
    Rooms = [<<"type1">>, {fqdn, ?ROOMS}, ?NS, sessions],
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_subdomain, Rooms ++ [third])),
    ?assertEqual({ok, first}, lazy(Node, unregister_iq_handler_for_domain, Domains)),
    ?assertEqual({ok, first}, lazy(Node, unregister_iq_handler_for_subdomain, Subdomains)),
    ?assertEqual(ok, lazy(Node, register_iq_handler_for_domain, Domains ++ [second])).

a_missing_handler_cannot_be_unregistered(Config) ->
    Node = ?config(node, Config),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    [?assertEqual({error, not_found}, lazy(Node, unregister_iq_handler_for_domain, Args))
     || Args <- [[<<"type2">>, ?NS, sessions], [<<"type1">>, <<"another">>, sessions], [<<"type1">>, ?NS, rooms]]],
    Muc = [<<"type1">>, ?MUC, ?NS, sessions],
    ?assertEqual({error, not_found}, lazy(Node, unregister_iq_handler_for_subdomain, Muc)),
    Logged = md_node:logged(Node, iq_unregister_missing),
    ?assertMatch([{warning, #{host_type := <<"type2">>, namespace := ?NS, component := sessions}}, _, _,
                  {warning, #{host_type := <<"type1">>, subdomain_pattern := ?MUC}}], Logged),
    ?assertEqual({ok, handler}, lazy(Node, unregister_iq_handler_for_domain, [<<"type1">>, ?NS, sessions])).

%% Failures

a_host_that_the_router_refuses_is_logged_and_tried_again(Config) ->
    Node = ?config(node, Config),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    Tried = [{register_handler, ?A, ?NS, sessions, handler}, {register_host, ?A, domain(<<"type1">>)}],
    behave(Node, register_host, ?A, {error, full}),
    ?assertNot(ask(Node, ?A)),
    %% Its handlers are removed again.
    ?assertEqual(Tried ++ [{unregister_handler, ?A, ?NS, sessions}], told(Node)),
    ?assertMatch([{error, #{router := md_router, function := register_host, host := ?A, reason := {error, full}}}],
                 md_node:logged(Node, lazy_routing_failed)),
    ?assertNot(ask(Node, ?A)),
    ?assertEqual(2, md_node:count(Node, lazy_routing_failed)),
    _ = told(Node),
    behave(Node, register_host, ?A, ok),
    ?assert(ask(Node, ?A)),
    ?assertEqual(Tried, told(Node)),
    ?assertEqual(2, md_node:count(Node, lazy_routing_failed)).

a_router_that_crashes_harms_no_other_host(Config) ->
    Node = ?config(node, Config),
    Pid = pid(Node),
    ?assert(ask(Node, ?B)),
    Crashes = [crash, throw, exit],
    [begin
        behave(Node, register_host, ?A, Crash),
        ?assertNot(ask(Node, ?A))
     end || Crash <- Crashes],
    Logged = md_node:logged(Node, lazy_routing_failed),
    ?assertEqual([error, throw, exit], [Class || {error, #{class := Class}} <- Logged]),
    ?assert(ask(Node, ?STATIC)),
    suspended(Node, fun() -> ?assert(ask(Node, ?B)) end),
    behave(Node, register_host, ?A, ok),
    ?assert(ask(Node, ?A)),
    ?assertEqual(Pid, pid(Node)).

a_failing_unregistration_is_logged_and_the_host_goes(Config) ->
    Node = ?config(node, Config),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    [?assert(ask(Node, Name)) || Name <- [?A, ?B]],
    behave(Node, unregister_host, ?A, crash),
    behave(Node, unregister_handler, ?A, crash),
    [ok = delete(Node, Name) || Name <- [?A, ?B]],
    ok = lazy(Node, sync, []),
    ?assertMatch([{error, #{function := unregister_host, host := ?A}}, {error, #{function := unregister_handler}}],
                 md_node:logged(Node, lazy_routing_failed)),
    [?assertNot(ask(Node, Name)) || Name <- [?A, ?B]],
    ?assertEqual([{unregister_host, Name} || Name <- [?A, ?B]],
                 [Call || Call <- told(Node), element(1, Call) =:= unregister_host]).

a_handler_that_the_router_refuses_is_logged_and_the_host_serves(Config) ->
    Node = ?config(node, Config),
    behave(Node, register_handler, ?A, {error, unheard_of}),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    ?assert(ask(Node, ?A)),
    ?assertMatch([{error, #{function := register_handler, host := ?A}}], md_node:logged(Node, lazy_routing_failed)).

%% This also holds when the linked process ends normally, as a socket's port does.
a_process_that_the_router_links_ends_no_other(Config) ->
    Node = ?config(node, Config),
    Pid = pid(Node),
    [behave(Node, register_host, Name, How) || {Name, How} <- [{?A, link}, {?B, link_normal}]],
    [?assert(ask(Node, Name)) || Name <- [?A, ?B]],
    ?assertMatch([{register_host, ?A, _}, {register_host, ?B, _}], told(Node)),
    ?assertEqual(Pid, pid(Node)),
    ?assertMatch([{warning, #{message := {'EXIT', _, told_to_exit}}}], md_node:logged(Node, unknown_message)).

a_crash_loses_no_host_and_the_successor_catches_up(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler]),
    Names = [?A, ?B, ?MUC_A, <<"muc.b.example">>, ?STATIC],
    [?assert(ask(Node, Name)) || Name <- Names],
    _ = told(Node),
    _ = md_node:kill(Node, mongoose_lazy_routing),
    ?assertEqual([], told(Node)),
    suspended(Node, fun() -> [?assert(ask(Node, Name)) || Name <- Names] end),
    %% These changes happen while the process is suspended, and it is killed before it sees them.
    ok = md_node:call(Node, sys, suspend, [mongoose_lazy_routing]),
    ok = delete(Node, ?A),
    ok = delete(Node, ?B),
    ok = insert(Node, <<"type2">>, [?B]),
    ok = insert(Node, <<"type1">>, [<<"c.example">>]),
    _ = md_node:kill(Node, mongoose_lazy_routing),
    Gone = told(Node),
    ?assertEqual([{unregister_host, Name} || Name <- [?A, ?B, ?MUC_A, <<"muc.b.example">>]],
                 lists:sort([Call || Call <- Gone, element(1, Call) =:= unregister_host])),
    ?assertEqual([{unregister_handler, Name, ?NS, sessions} || Name <- [?A, ?B]],
                 lists:sort([Call || Call <- Gone, element(1, Call) =/= unregister_host])),
    ?assertEqual({error, already_registered},
                 lazy(Node, register_iq_handler_for_domain, [<<"type1">>, ?NS, sessions, handler])),
    [?assertNot(ask(Node, Name)) || Name <- [?A, ?MUC_A, <<"muc.b.example">>]],
    ?assert(ask(Node, ?B)),
    ?assertEqual([{register_host, ?B, domain(<<"type2">>)}], told(Node)).

a_crash_of_the_core_changes_no_host_and_its_restart_those_that_went(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, ?ROOMS}),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A, ?ROOMS, ?STATIC]],
    _ = told(Node),
    _ = md_node:kill(Node, mongoose_domain_core),
    ?assertEqual([], told(Node)),
    ok = restart_core(Node),
    ?assertEqual([{unregister_host, Name} || Name <- [?A, ?MUC_A]], lists:sort(told(Node))),
    suspended(Node, fun() -> [?assert(ask(Node, Name)) || Name <- [?ROOMS, ?STATIC]] end).

%% restart_core/1 closes the table for a moment; here it stays closed.
a_closed_table_serves_nobody_and_crashes_nothing(Config) ->
    Node = ?config(node, Config),
    ?assert(ask(Node, ?A)),
    _ = told(Node),
    Pid = pid(Node),
    ok = md_node:call(Node, sys, suspend, [mongoose_lazy_routing]),
    ok = md_node:call(Node, supervisor, terminate_child, [mongoose_domain_sup, mongoose_domain_core]),
    ok = lazy(Node, maybe_remove_domain, [<<"type1">>, ?B]),
    ok = md_node:call(Node, sys, resume, [mongoose_lazy_routing]),
    ?assertEqual(false, md_node:call(Node, gen_server, call, [mongoose_lazy_routing, {add, ?B}])),
    {ok, _} = md_node:call(Node, supervisor, restart_child, [mongoose_domain_sup, mongoose_domain_core]),
    ?assertEqual([{unregister_host, ?A}], told(Node)),
    ?assertEqual(Pid, pid(Node)).

an_orderly_stop_unregisters_all(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"static type">>, ?NS, sessions, handler]),
    Names = [?A, ?MUC_A, ?STATIC],
    [?assert(ask(Node, Name)) || Name <- Names],
    _ = told(Node),
    ok = md_node:stop_application(Node),
    Handler = {unregister_handler, ?STATIC, ?NS, sessions},
    Calls = [without_additions(Call) || Call <- md_node:call(Node, md_router, take_calls, [])],
    ?assertEqual([{unregister_host, Name} || Name <- Names], lists:sort(Calls -- [Handler])),
    ?assertNotEqual(Handler, hd(Calls)),
    %% A new start knows none of the old hosts.
    ok = md_node:start_application(Node, unchanged),
    ?assertNot(ask(Node, ?A)),
    ?assert(ask(Node, ?STATIC)),
    ?assertEqual([{register_host, ?STATIC, domain(<<"static type">>)}], told(Node)).

unknown_messages_are_logged_and_survived(Config) ->
    Node = ?config(node, Config),
    Pid = pid(Node),
    ?assertEqual({error, unknown_call}, md_node:call(Node, gen_server, call, [mongoose_lazy_routing, nonsense])),
    ok = md_node:call(Node, gen_server, cast, [mongoose_lazy_routing, nonsense]),
    nonsense = md_node:call(Node, erlang, send, [mongoose_lazy_routing, nonsense]),
    ok = lazy(Node, sync, []),
    [?assertMatch([{warning, _}], md_node:logged(Node, What)) || What <- [unknown_call, unknown_cast, unknown_message]],
    ?assertEqual(Pid, pid(Node)).

%% With a database

write(Config, Node, Changes) ->
    ok = md_writer:write(?config(writer, Config), Changes),
    ok = md_node:sync(Node).

a_disabled_domain_goes_at_once(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A, ?B, ?STATIC]],
    _ = told(Node),
    write(Config, Node, [{disable, [?A]}]),
    ?assertEqual([{unregister_host, ?A}, {unregister_host, ?MUC_A}], told(Node)),
    write(Config, Node, [{enable, [?A]}]),
    ?assertEqual([], told(Node)),
    ?assert(ask(Node, ?A)),
    _ = told(Node),
    {ok, _} = md_node:call(Node, mongoose_domain_api, delete_domain, [?B, <<"type1">>]),
    ?assertEqual([{unregister_host, ?B}], told(Node)).

a_domain_of_another_host_type_is_another_host(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, ?MUC),
    ok = lazy(Node, register_iq_handler_for_domain, [<<"type2">>, ?NS, sessions, handler]),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A]],
    _ = told(Node),
    write(Config, Node, [{move, <<"type2">>, [?A]}]),
    ?assertEqual([{unregister_host, ?A}, {unregister_host, ?MUC_A}], told(Node)),
    [?assert(ask(Node, Name)) || Name <- [?A, ?MUC_A]],
    ?assertEqual([{register_handler, ?A, ?NS, sessions, handler}, {register_host, ?A, domain(<<"type2">>)},
                  {register_host, ?MUC_A, subdomain(Node, ?MUC_A)}], told(Node)).
