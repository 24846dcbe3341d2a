%% Subdomains on a node: the results of registering and unregistering, the host type of a name, the information about a
%% subdomain, and what a registration survives. subdomain_conflicts_SUITE tests the log of names that are claimed twice.
%%
%% The rules and the results are MongooseIM's. Most tests need no database: they insert domains into the table directly.
-module(subdomains_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-import(md_subdomains, [core/3, insert/3, delete/2, restart_core/1, subdomains/3, register/3, unregister/3]).
-import(md_subdomains, [conflicts/1, assert_subdomain/3, assert_no_subdomain/2]).

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% Registration and its effects.
-export([a_prefix_is_for_the_domains_that_are_there_and_those_that_come/1,
         a_prefix_is_for_static_domains_too/1,
         any_host_type_may_register_even_one_that_nobody_knows/1,
         a_pattern_is_registered_once_for_a_host_type/1,
         an_fqdn_that_another_subdomain_has_stays_registered_and_takes_over_from_it/1,
         unregistering_answers_ok_whatever_was_registered/1,
         unregistering_the_loser_leaves_the_winner/1,
         what_is_no_pattern_is_a_badarg/1,
         a_pattern_adds_nothing_for_each_domain/1]).
%% Information about a subdomain.
-export([the_info_of_a_subdomain_has_the_peers_keys/1,
         a_packet_handler_gets_the_host_type/1,
         the_subdomains_of_a_domain_are_listed/1,
         who_looks_up_a_name_finds_subdomains_and_who_looks_up_a_domain_does_not/1,
         a_subdomain_has_no_subdomains/1]).
%% Removal and restarts.
-export([a_removed_domain_takes_its_subdomains_along_at_once/1,
         a_domain_that_comes_with_another_host_type_has_that_ones_subdomains/1,
         registrations_survive_a_crash_of_the_process_that_keeps_them/1,
         registrations_survive_a_crash_of_the_core_and_its_restart/1,
         registrations_end_with_the_application/1,
         a_process_that_registers_when_it_starts_survives_its_crashes/1,
         subdomains_of_the_configuration_are_there_after_the_start/1,
         unknown_messages_are_logged_and_survived/1]).
%% With a database.
-export([a_disabled_domain_takes_its_subdomains_along/1,
         a_changed_host_type_moves_the_subdomains/1,
         a_subdomain_can_have_an_admin/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(MUC, {prefix, <<"muc.">>}).
-define(MUC_A, <<"muc.a.example">>).
-define(HANDLER, {some_rooms, #{size => 10}}).
-define(HOUR, 3600000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, registration}, {group, knowledge}, {group, changes}, {group, database}].

groups() ->
    [{registration, [a_prefix_is_for_the_domains_that_are_there_and_those_that_come,
                     a_prefix_is_for_static_domains_too,
                     any_host_type_may_register_even_one_that_nobody_knows,
                     a_pattern_is_registered_once_for_a_host_type,
                     an_fqdn_that_another_subdomain_has_stays_registered_and_takes_over_from_it,
                     unregistering_answers_ok_whatever_was_registered,
                     unregistering_the_loser_leaves_the_winner,
                     what_is_no_pattern_is_a_badarg,
                     a_pattern_adds_nothing_for_each_domain]},
     {knowledge, [the_info_of_a_subdomain_has_the_peers_keys,
                  a_packet_handler_gets_the_host_type,
                  the_subdomains_of_a_domain_are_listed,
                  who_looks_up_a_name_finds_subdomains_and_who_looks_up_a_domain_does_not,
                  a_subdomain_has_no_subdomains]},
     {changes, [a_removed_domain_takes_its_subdomains_along_at_once,
                a_domain_that_comes_with_another_host_type_has_that_ones_subdomains,
                registrations_survive_a_crash_of_the_process_that_keeps_them,
                registrations_survive_a_crash_of_the_core_and_its_restart,
                a_process_that_registers_when_it_starts_survives_its_crashes,
                subdomains_of_the_configuration_are_there_after_the_start,
                registrations_end_with_the_application,
                unknown_messages_are_logged_and_survived]},
     {database, [a_disabled_domain_takes_its_subdomains_along,
                 a_changed_host_type_moves_the_subdomains,
                 a_subdomain_can_have_an_admin]}].

init_per_group(database, Config) ->
    [{needs, database} | Config];
init_per_group(_Group, Config) ->
    [{needs, nothing} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    case ?config(needs, Config) of
        nothing ->
            [{node, md_node:start(environment())} | Config];
        database ->
            md_database:or_fail(fun() ->
                Database = md_database:with_tables(md_database:create()),
                [{database, Database}, {writer, md_client:open(Database)} | Config]
            end)
    end.

end_per_testcase(_Case, Config) ->
    case ?config(needs, Config) of
        nothing -> ok;
        database -> md_database:drop(?config(database, Config))
    end.

environment() ->
    #{hosts => [{?STATIC, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>]}.

%% Starts a node that has loaded the database.
start_with_database(Config) ->
    Service = #{database => ?config(database, Config), poll_interval => ?HOUR, password_iterations => 7},
    Node = md_node:start((environment())#{service_domain_db => Service}),
    ok = md_node:wait_until_following(Node),
    Node.

write(Config, Node, Changes) ->
    ok = md_writer:write(?config(writer, Config), Changes),
    ok = md_node:sync(Node).

%% Registration and its effects

a_prefix_is_for_the_domains_that_are_there_and_those_that_come(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ?assertEqual(ok, register(Node, <<"type1">>, ?MUC)),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    assert_no_subdomain(Node, <<"muc.b.example">>),
    insert(Node, <<"type1">>, [?B]),
    assert_subdomain(Node, <<"type1">>, <<"muc.b.example">>),
    %% Only the domains of this host type have the subdomain.
    insert(Node, <<"type2">>, [<<"c.example">>]),
    assert_no_subdomain(Node, <<"muc.c.example">>),
    ?assertEqual([], conflicts(Node)).

a_prefix_is_for_static_domains_too(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(ok, register(Node, <<"static type">>, ?MUC)),
    assert_subdomain(Node, <<"static type">>, <<"muc.static.example">>).

any_host_type_may_register_even_one_that_nobody_knows(Config) ->
    Node = ?config(node, Config),
    ?assertEqual(ok, register(Node, <<"unheard of">>, ?MUC)),
    ?assertEqual(ok, register(Node, <<"unheard of">>, {fqdn, <<"rooms.example">>})),
    ?assertEqual(ok, register(Node, <<"type2">>, ?MUC)), % which has no domain
    assert_subdomain(Node, <<"unheard of">>, <<"rooms.example">>),
    ?assertEqual({ok, <<"unheard of">>}, md_node:lookup(Node, <<"rooms.example">>)),
    %% Dynamic domains still cannot have this host type.
    ?assertEqual({error, unknown_host_type}, core(Node, insert, [?A, <<"unheard of">>, 1])),
    ?assertNot(core(Node, is_host_type_allowed, [<<"unheard of">>])).

a_pattern_is_registered_once_for_a_host_type(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    [begin
        ?assertEqual(ok, register(Node, <<"type1">>, Pattern)),
        Again = [<<"type1">>, Pattern, {other_rooms, #{}}],
        ?assertEqual({error, already_registered}, subdomains(Node, register_subdomain, Again)),
        {ok, #{packet_handler := Handler}} = subdomains(Node, get_subdomain_info, [Name]),
        ?assertMatch({some_rooms, _}, Handler)
     end || {Pattern, Name} <- [{?MUC, ?MUC_A}, {{fqdn, <<"rooms.example">>}, <<"rooms.example">>}]],
    ?assertEqual([], conflicts(Node)),
    %% An unregistered pattern can be registered again.
    ok = unregister(Node, <<"type1">>, ?MUC),
    ?assertEqual(ok, register(Node, <<"type1">>, ?MUC)).

an_fqdn_that_another_subdomain_has_stays_registered_and_takes_over_from_it(Config) ->
    Node = ?config(node, Config),
    Rooms = {fqdn, <<"rooms.example">>},
    ?assertEqual(ok, register(Node, <<"type1">>, Rooms)),
    ?assertEqual({error, subdomain_already_exists}, register(Node, <<"type2">>, Rooms)),
    assert_subdomain(Node, <<"type1">>, <<"rooms.example">>),
    %% A repeated registration returns the same result.
    ?assertEqual(ok, register(Node, <<"type1">>, Rooms)),
    ?assertEqual({error, subdomain_already_exists}, register(Node, <<"type2">>, Rooms)),
    ?assertEqual({error, already_registered}, subdomains(Node, register_subdomain, [<<"type2">>, Rooms, other])),
    ok = unregister(Node, <<"type1">>, Rooms),
    assert_subdomain(Node, <<"type2">>, <<"rooms.example">>),
    ok = unregister(Node, <<"type2">>, Rooms),
    assert_no_subdomain(Node, <<"rooms.example">>).

unregistering_answers_ok_whatever_was_registered(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    Patterns = [?MUC, {fqdn, <<"rooms.example">>}, {fqdn, <<"muc.">>}, {fqdn, <<>>}, {prefix, <<"no dot">>}],
    [?assertEqual(ok, unregister(Node, HostType, Pattern))
     || HostType <- [<<"type1">>, <<"static type">>, <<"unheard of">>], Pattern <- Patterns],
    ok = register(Node, <<"type1">>, ?MUC),
    ?assertEqual(ok, unregister(Node, <<"type2">>, ?MUC)),
    ?assertEqual(ok, unregister(Node, <<"type1">>, {fqdn, <<"muc.">>})),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    [?assertEqual(ok, unregister(Node, <<"type1">>, ?MUC)) || _ <- [once, again]],
    assert_no_subdomain(Node, ?MUC_A).

unregistering_the_loser_leaves_the_winner(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    ok = unregister(Node, <<"type2">>, {fqdn, ?MUC_A}),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    %% The same when the losing pattern's domain is removed.
    insert(Node, <<"type2">>, [<<"example">>]),
    ok = register(Node, <<"type2">>, {prefix, <<"muc.a.">>}),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    delete(Node, <<"example">>),
    assert_subdomain(Node, <<"type1">>, ?MUC_A).

what_is_no_pattern_is_a_badarg(Config) ->
    Node = ?config(node, Config),
    [?assertError(badarg, register(Node, <<"type1">>, Pattern))
     || Pattern <- [{prefix, <<>>}, {prefix, <<"muc">>}, {fqdn, <<>>}, {suffix, <<"muc.">>}]],
    [?assertError(badarg, register(Node, HostType, ?MUC))
     || HostType <- [<<>>, binary:copy(<<"a">>, 251)]],
    %% No trace of them is left.
    insert(Node, <<"type1">>, [?A]),
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [?A])),
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [no_parent_domain])).

%% The number of domains does not matter: the table gets no entries, and no process gets a message.
a_pattern_adds_nothing_for_each_domain(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, md_names:numbered(<<"many-">>, 5000)),
    ok = subdomains(Node, sync, []),
    Count = core(Node, domains_count, []),
    Processes = [mongoose_domain_core, mongoose_lazy_routing],
    Registered = md_node:call(Node, md_tracer, received, [Processes, {mongoose_subdomain_core, register_subdomain, [
        <<"type1">>, ?MUC, ?HANDLER
    ]}]),
    ?assertEqual({ok, #{mongoose_domain_core => 0, mongoose_lazy_routing => 0}}, Registered),
    assert_subdomain(Node, <<"type1">>, <<"muc.many-5000.example">>),
    ?assertEqual(Count, core(Node, domains_count, [])),
    ?assertEqual(5000, length(core(Node, get_all_dynamic, []))),
    Unregistered = md_node:call(Node, md_tracer, received, [Processes, {mongoose_subdomain_core, unregister_subdomain, [
        <<"type1">>, ?MUC
    ]}]),
    ?assertEqual({ok, #{mongoose_domain_core => 0, mongoose_lazy_routing => 1}}, Unregistered),
    assert_no_subdomain(Node, <<"muc.many-5000.example">>).

%% Information about a subdomain

the_info_of_a_subdomain_has_the_peers_keys(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {fqdn, <<"rooms.example">>}),
    ?assertEqual({ok, #{host_type => <<"type1">>, subdomain => ?MUC_A, subdomain_pattern => ?MUC, parent_domain => ?A,
                        packet_handler => {some_rooms, #{size => 10, host_type => <<"type1">>}}}},
                 subdomains(Node, get_subdomain_info, [?MUC_A])),
    ?assertEqual({ok, #{host_type => <<"type2">>, subdomain => <<"rooms.example">>,
                        subdomain_pattern => {fqdn, <<"rooms.example">>}, parent_domain => no_parent_domain,
                        packet_handler => {some_rooms, #{size => 10, host_type => <<"type2">>}}}},
                 subdomains(Node, get_subdomain_info, [<<"rooms.example">>])),
    [assert_no_subdomain(Node, Name) || Name <- [?A, <<"muc.b.example">>, <<"muc.">>, <<>>, <<"example">>, <<255>>]].

a_packet_handler_gets_the_host_type(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    Handlers = [{{rooms, #{}}, {rooms, #{host_type => <<"type1">>}}},
                {{rooms, #{host_type => <<"another">>}}, {rooms, #{host_type => <<"type1">>}}},
                %% A handler of another shape gets no host type.
                {<<"opaque">>, <<"opaque">>},
                {{rooms, no_map}, {rooms, no_map}}],
    [begin
        ok = subdomains(Node, register_subdomain, [<<"type1">>, ?MUC, Given]),
        {ok, #{packet_handler := Handler}} = subdomains(Node, get_subdomain_info, [?MUC_A]),
        ?assertEqual(Known, Handler),
        ok = unregister(Node, <<"type1">>, ?MUC)
     end || {Given, Known} <- Handlers].

the_subdomains_of_a_domain_are_listed(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A, ?B]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {prefix, <<"pubsub.">>}),
    ok = register(Node, <<"type2">>, {prefix, <<"other.">>}),
    ok = register(Node, <<"type2">>, {fqdn, <<"rooms.example">>}),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    ?assertEqual([?MUC_A, <<"pubsub.a.example">>], listed(Node, ?A)),
    ?assertEqual([<<"muc.b.example">>, <<"pubsub.b.example">>], listed(Node, ?B)),
    %% The name that the prefix had first is not listed.
    ?assertEqual([<<"rooms.example">>], listed(Node, no_parent_domain)),
    [?assertEqual([], listed(Node, Domain)) || Domain <- [<<"nowhere.example">>, ?STATIC, ?MUC_A]],
    Infos = subdomains(Node, get_all_subdomains_for_domain, [?A]),
    ?assertEqual(Infos, [Info || #{subdomain := Name} <- Infos,
                                 {ok, Info} <- [subdomains(Node, get_subdomain_info, [Name])]]).

listed(Node, Domain) ->
    lists:sort([Name || #{subdomain := Name} <- subdomains(Node, get_all_subdomains_for_domain, [Domain])]).

who_looks_up_a_name_finds_subdomains_and_who_looks_up_a_domain_does_not(Config) ->
    Node = ?config(node, Config),
    Api = fun(Function, Name) -> md_node:call(Node, mongoose_domain_api, Function, [Name]) end,
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {fqdn, <<"rooms.example">>}),
    [begin
        ?assertEqual({ok, HostType}, Api(get_host_type, Name)),
        ?assertEqual({ok, HostType}, Api(get_subdomain_host_type, Name)),
        ?assertEqual({error, not_found}, Api(get_domain_host_type, Name)),
        ?assertEqual({error, not_found}, core(Node, get_host_type, [Name])),
        ?assertNot(core(Node, is_static, [Name]))
     end || {Name, HostType} <- [{?MUC_A, <<"type1">>}, {<<"rooms.example">>, <<"type2">>}]],
    ?assertEqual({ok, <<"type1">>}, Api(get_host_type, ?A)),
    ?assertEqual({ok, <<"type1">>}, Api(get_domain_host_type, ?A)),
    ?assertEqual({error, not_found}, Api(get_subdomain_host_type, ?A)),
    ?assertEqual({error, not_found}, Api(get_host_type, <<"muc.b.example">>)).

a_subdomain_has_no_subdomains(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, <<"rooms.example">>}),
    [assert_no_subdomain(Node, Name) || Name <- [<<"muc.muc.a.example">>, <<"muc.rooms.example">>]],
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [?MUC_A])).

%% Removal and restarts

%% The process that checks for conflicts is not needed for this.
a_removed_domain_takes_its_subdomains_along_at_once(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A, ?B]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = md_node:call(Node, sys, suspend, [mongoose_subdomain_core]),
    delete(Node, ?A),
    assert_no_subdomain(Node, ?MUC_A),
    ?assertEqual({error, not_found}, md_node:lookup(Node, ?MUC_A)),
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [?A])),
    assert_subdomain(Node, <<"type1">>, <<"muc.b.example">>),
    %% Repetitions do no harm.
    [begin
        insert(Node, <<"type1">>, [?A]),
        insert(Node, <<"type1">>, [?A]),
        assert_subdomain(Node, <<"type1">>, ?MUC_A),
        delete(Node, ?A),
        delete(Node, ?A),
        assert_no_subdomain(Node, ?MUC_A)
     end || _ <- lists:seq(1, 10)],
    ok = md_node:call(Node, sys, resume, [mongoose_subdomain_core]),
    ?assertEqual([], conflicts(Node)).

a_domain_that_comes_with_another_host_type_has_that_ones_subdomains(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {prefix, <<"rooms.">>}),
    delete(Node, ?A),
    insert(Node, <<"type2">>, [?A]),
    assert_no_subdomain(Node, ?MUC_A),
    assert_subdomain(Node, <<"type2">>, <<"rooms.a.example">>).

registrations_survive_a_crash_of_the_process_that_keeps_them(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {fqdn, <<"rooms.example">>}),
    {ok, Info} = subdomains(Node, get_subdomain_info, [?MUC_A]),
    _ = md_node:kill(Node, mongoose_subdomain_core),
    ?assertEqual({ok, Info}, subdomains(Node, get_subdomain_info, [?MUC_A])),
    assert_subdomain(Node, <<"type2">>, <<"rooms.example">>),
    ?assertEqual(ok, register(Node, <<"type1">>, ?MUC)),
    ?assertEqual({error, already_registered}, subdomains(Node, register_subdomain, [<<"type1">>, ?MUC, other])),
    %% The restarted process checks for conflicts, too.
    insert(Node, <<"type2">>, [?MUC_A]),
    ?assertMatch([{_, ?MUC_A}], conflicts(Node)),
    ok = unregister(Node, <<"type1">>, ?MUC),
    assert_no_subdomain(Node, ?MUC_A).

a_process_that_registers_when_it_starts_survives_its_crashes(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    Supervisor = md_node:call(Node, md_registrant, start, [<<"type1">>]),
    {ok, Info} = subdomains(Node, get_subdomain_info, [?MUC_A]),
    ok = md_node:call(Node, md_registrant, crash, [3]),
    ?assert(md_node:call(Node, erlang, is_process_alive, [Supervisor])),
    ?assertEqual({ok, Info}, subdomains(Node, get_subdomain_info, [?MUC_A])),
    assert_subdomain(Node, <<"type1">>, <<"rooms.example">>),
    ?assertEqual([md_handler_first], md_node:call(Node, mongoose_domain_removal, handlers, [<<"type1">>])).

%% They exist before the first dynamic domain is loaded, and after each start.
subdomains_of_the_configuration_are_there_after_the_start(Config) ->
    Node = ?config(node, Config),
    ok = md_node:stop_application(Node),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, subdomains,
        #{<<"type1">> => [{"muc.@HOST@", {my_rooms, #{}}}], all => [{<<"vjud.@HOST@">>, {vjud, #{}}}]}]),
    [begin
        ok = md_node:start_application(Node, unchanged),
        {ok, StaticType} = md_node:lookup(Node, ?STATIC),
        assert_subdomain(Node, StaticType, <<"vjud.static.example">>),
        insert(Node, <<"type1">>, [?A]),
        ?assertMatch({ok, #{packet_handler := {my_rooms, #{host_type := <<"type1">>}}}},
                     subdomains(Node, get_subdomain_info, [?MUC_A])),
        %% An unregistered one stays away after a crash of the process.
        ok = unregister(Node, <<"type1">>, ?MUC),
        _ = md_node:kill(Node, mongoose_subdomain_core),
        assert_no_subdomain(Node, ?MUC_A),
        ok = md_node:stop_application(Node)
     end || _ <- [1, 2]].

registrations_survive_a_crash_of_the_core_and_its_restart(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"static type">>, ?MUC),
    ok = register(Node, <<"unheard of">>, {fqdn, <<"rooms.example">>}),
    _ = md_node:kill(Node, mongoose_domain_core),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    assert_subdomain(Node, <<"unheard of">>, <<"rooms.example">>),
    ok = restart_core(Node),
    %% The domain is gone; the patterns stay.
    assert_no_subdomain(Node, ?MUC_A),
    assert_subdomain(Node, <<"static type">>, <<"muc.static.example">>),
    assert_subdomain(Node, <<"unheard of">>, <<"rooms.example">>),
    insert(Node, <<"type1">>, [?A]),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    ?assertEqual([], conflicts(Node)).

registrations_end_with_the_application(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"static type">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, <<"rooms.example">>}),
    ok = md_node:stop_application(Node),
    ?assertError({not_running, mongoose_domain}, subdomains(Node, get_host_type, [<<"rooms.example">>])),
    ok = md_node:start_application(Node, unchanged),
    [assert_no_subdomain(Node, Name) || Name <- [<<"muc.static.example">>, <<"rooms.example">>]],
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"muc.static.example">>)),
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [no_parent_domain])),
    ?assertEqual(ok, register(Node, <<"static type">>, ?MUC)),
    assert_subdomain(Node, <<"static type">>, <<"muc.static.example">>).

unknown_messages_are_logged_and_survived(Config) ->
    Node = ?config(node, Config),
    Pid = md_node:call(Node, erlang, whereis, [mongoose_subdomain_core]),
    ?assertEqual({error, unknown_call}, md_node:call(Node, gen_server, call, [mongoose_subdomain_core, nonsense])),
    ok = md_node:call(Node, gen_server, cast, [mongoose_subdomain_core, nonsense]),
    nonsense = md_node:call(Node, erlang, send, [mongoose_subdomain_core, nonsense]),
    ok = subdomains(Node, sync, []),
    [?assertMatch([{warning, _}], md_node:logged(Node, What)) || What <- [unknown_call, unknown_cast, unknown_message]],
    ?assertEqual(Pid, md_node:call(Node, erlang, whereis, [mongoose_subdomain_core])).

%% With a database

a_disabled_domain_takes_its_subdomains_along(Config) ->
    ok = md_writer:write(?config(writer, Config), [{add, <<"type1">>, [?A, ?B]}]),
    Node = start_with_database(Config),
    ok = register(Node, <<"type1">>, ?MUC),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    write(Config, Node, [{disable, [?A]}, {delete, [?B]}]),
    [assert_no_subdomain(Node, Name) || Name <- [?MUC_A, <<"muc.b.example">>]],
    write(Config, Node, [{enable, [?A]}]),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    {ok, _} = md_node:call(Node, mongoose_domain_api, disable_domain, [?A]),
    assert_no_subdomain(Node, ?MUC_A),
    {ok, _} = md_node:call(Node, mongoose_domain_api, enable_domain, [?A]),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    {ok, _} = md_node:call(Node, mongoose_domain_api, delete_domain, [?A, <<"type1">>]),
    assert_no_subdomain(Node, ?MUC_A).

a_changed_host_type_moves_the_subdomains(Config) ->
    ok = md_writer:write(?config(writer, Config), [{add, <<"type1">>, [?A, ?B]}]),
    Node = start_with_database(Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type2">>, {prefix, <<"rooms.">>}),
    write(Config, Node, [{move, <<"type2">>, [?A]}]),
    assert_no_subdomain(Node, ?MUC_A),
    assert_subdomain(Node, <<"type2">>, <<"rooms.a.example">>),
    assert_subdomain(Node, <<"type1">>, <<"muc.b.example">>),
    assert_no_subdomain(Node, <<"rooms.b.example">>),
    %% With the same pattern, the handler is that of the other host type.
    ok = register(Node, <<"type2">>, ?MUC),
    ?assertMatch({ok, #{packet_handler := {_, #{host_type := <<"type2">>}}}},
                 subdomains(Node, get_subdomain_info, [?MUC_A])),
    write(Config, Node, [{move, <<"type1">>, [?A]}]),
    ?assertMatch({ok, #{packet_handler := {_, #{host_type := <<"type1">>}}}},
                 subdomains(Node, get_subdomain_info, [?MUC_A])).

a_subdomain_can_have_an_admin(Config) ->
    ok = md_writer:write(?config(writer, Config), [{add, <<"type1">>, [?A]}]),
    Node = start_with_database(Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, <<"rooms.example">>}),
    Api = fun(Function, Args) -> md_node:call(Node, mongoose_domain_api, Function, Args) end,
    [begin
        ?assertMatch({ok, _}, Api(set_domain_password, [Name, <<"secret">>])),
        ?assertEqual(ok, Api(check_domain_password, [Name, <<"secret">>])),
        ?assertMatch({error, wrong_password}, Api(check_domain_password, [Name, <<"wrong">>]))
     end || Name <- [?MUC_A, <<"rooms.example">>]],
    ?assertMatch({not_found, _}, Api(set_domain_password, [<<"muc.b.example">>, <<"secret">>])),
    write(Config, Node, [{disable, [?A]}]),
    ?assertMatch({not_found, _}, Api(set_domain_password, [?MUC_A, <<"secret">>])).
