%% Names that are claimed twice, by two patterns or by a pattern and a domain: which claim wins, and that each conflict
%% is logged once with MongooseIM's event names.
%%
%% Most tests need no database: they insert domains into the table directly.
-module(subdomain_conflicts_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-import(md_subdomains, [restart_core/1, subdomains/3, register/3, unregister/3, conflicts/1]).
-import(md_subdomains, [assert_subdomain/3]).

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_domain_that_comes_goes_before_a_subdomain_of_its_name/1,
         a_domain_that_is_there_goes_before_a_subdomain_of_its_name/1,
         an_fqdn_does_not_take_a_domains_name/1,
         of_two_prefixes_the_first_one_has_the_name/1,
         the_one_that_came_second_is_named_however_quickly_they_come/1,
         a_domain_whose_subdomains_name_is_taken_comes_last/1,
         a_prefix_does_not_take_an_fqdns_name/1,
         an_fqdn_does_not_take_the_name_that_a_prefix_makes/1,
         of_two_fqdns_the_first_one_has_the_name/1,
         a_name_that_is_always_claimed_is_always_known/1,
         a_conflict_that_was_over_is_logged_again/1,
         conflicts_are_found_on_every_page_of_domains/1,
         no_more_than_a_hundred_conflicts_are_logged_and_that_there_are_more_once/1,
         conflicts_that_ended_unseen_make_room_for_others/1,
         what_a_load_brings_is_looked_at_for_conflicts/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(MUC, {prefix, <<"muc.">>}).
-define(MUC_A, <<"muc.a.example">>).
-define(HANDLER, {some_rooms, #{}}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_domain_that_comes_goes_before_a_subdomain_of_its_name,
     a_domain_that_is_there_goes_before_a_subdomain_of_its_name,
     an_fqdn_does_not_take_a_domains_name,
     of_two_prefixes_the_first_one_has_the_name,
     the_one_that_came_second_is_named_however_quickly_they_come,
     a_domain_whose_subdomains_name_is_taken_comes_last,
     a_prefix_does_not_take_an_fqdns_name,
     an_fqdn_does_not_take_the_name_that_a_prefix_makes,
     of_two_fqdns_the_first_one_has_the_name,
     a_name_that_is_always_claimed_is_always_known,
     a_conflict_that_was_over_is_logged_again,
     conflicts_are_found_on_every_page_of_domains,
     no_more_than_a_hundred_conflicts_are_logged_and_that_there_are_more_once,
     conflicts_that_ended_unseen_make_room_for_others,
     what_a_load_brings_is_looked_at_for_conflicts].

init_per_testcase(what_a_load_brings_is_looked_at_for_conflicts, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Node = md_node:start((environment())#{service_domain_db => #{database => Database}}),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {writer, md_client:open(Database)}, {node, Node} | Config]
    end);
init_per_testcase(_Case, Config) ->
    [{node, md_node:start(environment())} | Config].

end_per_testcase(what_a_load_brings_is_looked_at_for_conflicts, Config) ->
    md_database:drop(?config(database, Config));
end_per_testcase(_Case, _Config) ->
    ok.

environment() ->
    #{hosts => [{?STATIC, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>]}.

a_domain_that_comes_goes_before_a_subdomain_of_its_name(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, <<"rooms.example">>}),
    ?assertEqual([], conflicts(Node)),
    Names = [?MUC_A, <<"rooms.example">>],
    insert(Node, <<"type2">>, Names),
    %% Both exist, and a lookup returns the domain.
    [begin
        ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, Name)),
        assert_subdomain(Node, <<"type1">>, Name)
     end || Name <- Names],
    ?assertEqual([{check_domain_name_failed, Name} || Name <- Names], conflicts(Node)),
    %% Repetitions do not log a conflict again.
    insert(Node, <<"type2">>, Names),
    ok = register(Node, <<"type2">>, ?MUC),
    ?assertEqual(2, length(conflicts(Node))),
    [delete(Node, Name) || Name <- Names],
    [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)) || Name <- Names].

a_domain_that_is_there_goes_before_a_subdomain_of_its_name(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    insert(Node, <<"type2">>, [?MUC_A, <<"muc.b.example">>]),
    ok = register(Node, <<"type1">>, ?MUC),
    ?assertEqual([{check_subdomain_name_failed, ?MUC_A}], conflicts(Node)),
    ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, ?MUC_A)),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    %% A later domain whose subdomain has the name of a domain loses that name, too.
    insert(Node, <<"type1">>, [?B]),
    ?assertEqual([{check_subdomain_name_failed, Name} || Name <- [?MUC_A, <<"muc.b.example">>]], conflicts(Node)),
    ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, <<"muc.b.example">>)),
    delete(Node, ?MUC_A),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?MUC_A)).

an_fqdn_does_not_take_a_domains_name(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ?assertEqual(ok, register(Node, <<"type2">>, {fqdn, ?A})),
    ?assertEqual(ok, register(Node, <<"type2">>, {fqdn, ?STATIC})),
    ?assertEqual([{check_subdomain_name_failed, Name} || Name <- [?A, ?STATIC]], conflicts(Node)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, ?STATIC)),
    assert_subdomain(Node, <<"type2">>, ?A).

of_two_prefixes_the_first_one_has_the_name(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [<<"x">>]),
    insert(Node, <<"type2">>, [<<"b.x">>]),
    ok = register(Node, <<"type2">>, {prefix, <<"a.">>}),
    ?assertEqual(ok, register(Node, <<"type1">>, {prefix, <<"a.b.">>})),
    assert_subdomain(Node, <<"type2">>, <<"a.b.x">>),
    ?assertEqual([{subdomains_collision, <<"a.b.x">>}], conflicts(Node)),
    delete(Node, <<"b.x">>),
    assert_subdomain(Node, <<"type1">>, <<"a.b.x">>).

%% The suspended process reads the changes late: the table already has the later ones when it handles the first one,
%% and then it reads all others at once.
the_one_that_came_second_is_named_however_quickly_they_come(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    Names = md_names:numbered(<<"d">>, 40),
    {Parents, Subdomains} = lists:split(20, Names),
    ok = md_node:call(Node, sys, suspend, [mongoose_subdomain_core]),
    %% In some pairs the domain comes second, in the others the subdomain, which comes with its parent.
    lists:foreach(fun(Name) ->
        ok = md_subdomains:insert(Node, <<"type1">>, [Name]),
        ok = md_subdomains:insert(Node, <<"type2">>, [<<"muc.", Name/binary>>])
    end, Parents),
    lists:foreach(fun(Name) ->
        ok = md_subdomains:insert(Node, <<"type2">>, [<<"muc.", Name/binary>>]),
        ok = md_subdomains:insert(Node, <<"type1">>, [Name])
    end, Subdomains),
    ok = md_node:call(Node, sys, resume, [mongoose_subdomain_core]),
    ?assertEqual([{check_domain_name_failed, <<"muc.", Name/binary>>} || Name <- lists:sort(Parents)]
                 ++ [{check_subdomain_name_failed, <<"muc.", Name/binary>>} || Name <- lists:sort(Subdomains)],
                 lists:sort(conflicts(Node))).

a_domain_whose_subdomains_name_is_taken_comes_last(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type2">>, {prefix, <<"a.">>}),
    ok = register(Node, <<"type1">>, {prefix, <<"a.b.">>}),
    insert(Node, <<"type1">>, [<<"x">>]),
    ?assertEqual([], conflicts(Node)),
    insert(Node, <<"type2">>, [<<"b.x">>]), % of the older pattern, and younger than the other's domain
    assert_subdomain(Node, <<"type1">>, <<"a.b.x">>),
    ?assertEqual([{subdomains_collision, <<"a.b.x">>}], conflicts(Node)),
    ok = unregister(Node, <<"type1">>, {prefix, <<"a.b.">>}),
    assert_subdomain(Node, <<"type2">>, <<"a.b.x">>).

a_prefix_does_not_take_an_fqdns_name(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    ?assertEqual(ok, register(Node, <<"type1">>, ?MUC)),
    ?assertEqual([{subdomains_collision, ?MUC_A}], conflicts(Node)),
    assert_subdomain(Node, <<"type2">>, ?MUC_A),
    ?assertEqual([], subdomains(Node, get_all_subdomains_for_domain, [?A])),
    ok = unregister(Node, <<"type2">>, {fqdn, ?MUC_A}),
    assert_subdomain(Node, <<"type1">>, ?MUC_A).

an_fqdn_does_not_take_the_name_that_a_prefix_makes(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    ?assertEqual({error, subdomain_already_exists}, register(Node, <<"type2">>, {fqdn, ?MUC_A})),
    ?assertEqual([{subdomains_collision, ?MUC_A}], conflicts(Node)),
    assert_subdomain(Node, <<"type1">>, ?MUC_A),
    delete(Node, ?A),
    assert_subdomain(Node, <<"type2">>, ?MUC_A),
    %% The other subdomain is the first one now.
    insert(Node, <<"type1">>, [?A]),
    assert_subdomain(Node, <<"type2">>, ?MUC_A).

of_two_fqdns_the_first_one_has_the_name(Config) ->
    Node = ?config(node, Config),
    Rooms = {fqdn, <<"rooms.example">>},
    ok = register(Node, <<"type1">>, Rooms),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, Rooms),
    {error, subdomain_already_exists} = register(Node, <<"type3">>, Rooms),
    ?assertEqual([{subdomains_collision, <<"rooms.example">>}], conflicts(Node)),
    assert_subdomain(Node, <<"type1">>, <<"rooms.example">>),
    ok = unregister(Node, <<"type1">>, Rooms),
    assert_subdomain(Node, <<"type2">>, <<"rooms.example">>),
    %% A pattern that is registered again is the last one.
    {error, subdomain_already_exists} = register(Node, <<"type1">>, Rooms),
    ok = unregister(Node, <<"type2">>, Rooms),
    assert_subdomain(Node, <<"type3">>, <<"rooms.example">>).

%% The first claim disappears and comes back all the time.
a_name_that_is_always_claimed_is_always_known(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    Unknown = md_node:call(Node, erlang, apply, [fun come_and_go/0, []]),
    ?assertEqual([], Unknown).

%% Runs in the node. The looker returns the lookups that found nothing.
come_and_go() ->
    Tester = self(),
    ok = mongoose_subdomain_core:register_subdomain(<<"type1">>, ?MUC, ?HANDLER),
    Looker = spawn_link(fun() -> look(Tester, 0, []) end),
    lists:foreach(fun(_) ->
        {error, subdomain_already_exists} =
            mongoose_subdomain_core:register_subdomain(<<"type2">>, {fqdn, ?MUC_A}, ?HANDLER),
        ok = mongoose_subdomain_core:unregister_subdomain(<<"type1">>, ?MUC),
        ok = mongoose_subdomain_core:register_subdomain(<<"type1">>, ?MUC, ?HANDLER),
        ok = mongoose_subdomain_core:unregister_subdomain(<<"type2">>, {fqdn, ?MUC_A})
    end, lists:seq(1, 2000)),
    Looker ! stop,
    receive {Looker, Unknown} -> Unknown end.

look(Tester, Number, Unknown) ->
    New = case mongoose_subdomain_core:get_subdomain_info(?MUC_A) of
        {ok, _} -> Unknown;
        {error, not_found} -> [Number | Unknown]
    end,
    receive stop -> Tester ! {self(), New} after 0 -> look(Tester, Number + 1, New) end.

a_conflict_that_was_over_is_logged_again(Config) ->
    Node = ?config(node, Config),
    insert(Node, <<"type1">>, [?A]),
    ok = register(Node, <<"type1">>, ?MUC),
    insert(Node, <<"type2">>, [?MUC_A]),
    ?assertEqual([{check_domain_name_failed, ?MUC_A}], conflicts(Node)),
    %% The domain disappears and comes back, then the subdomain's parent, then its pattern.
    delete(Node, ?MUC_A),
    insert(Node, <<"type2">>, [?MUC_A]),
    ?assertEqual(2, length(conflicts(Node))),
    delete(Node, ?A),
    insert(Node, <<"type1">>, [?A]),
    ?assertEqual({3, {check_subdomain_name_failed, ?MUC_A}}, last(conflicts(Node))),
    ok = unregister(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, ?MUC),
    ?assertEqual({4, {check_subdomain_name_failed, ?MUC_A}}, last(conflicts(Node))),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    ?assertEqual({5, {subdomains_collision, ?MUC_A}}, last(conflicts(Node))),
    ok = unregister(Node, <<"type2">>, {fqdn, ?MUC_A}),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, ?MUC_A}),
    Seven = lists:nthtail(5, conflicts(Node)),
    ?assertEqual([{check_subdomain_name_failed, ?MUC_A}, {subdomains_collision, ?MUC_A}], lists:sort(Seven)).

%% Each change is checked before the next one, so of a domain and a subdomain the later one is logged.
insert(Node, HostType, Domains) ->
    ok = md_subdomains:insert(Node, HostType, Domains),
    ok = subdomains(Node, sync, []).

delete(Node, Domain) ->
    ok = md_subdomains:delete(Node, Domain),
    ok = subdomains(Node, sync, []).

last(List) ->
    {length(List), lists:last(List)}.

conflicts_are_found_on_every_page_of_domains(Config) ->
    Node = ?config(node, Config),
    Parents = md_names:numbered(<<"many-">>, 3500),
    insert(Node, <<"type1">>, Parents),
    %% The subdomain of every 49th parent has the name of a domain; some other names have two patterns.
    Domains = [<<"muc.", Parent/binary>> || {Number, Parent} <- lists:enumerate(Parents), Number rem 49 =:= 0],
    insert(Node, <<"type2">>, Domains),
    Fqdns = [<<"muc.", Parent/binary>> || {Number, Parent} <- lists:enumerate(Parents), Number rem 150 =:= 1],
    [ok = register(Node, <<"type2">>, {fqdn, Fqdn}) || Fqdn <- Fqdns],
    ?assertEqual([], [Conflict || {subdomains_collision, _} = Conflict <- conflicts(Node)]),
    Before = length(conflicts(Node)), % one of them is both
    ?assertEqual(length([Fqdn || Fqdn <- Fqdns, lists:member(Fqdn, Domains)]), Before),
    ?assertEqual(ok, register(Node, <<"type1">>, ?MUC)),
    Conflicts = conflicts(Node),
    ?assertEqual(lists:sort(Domains), lists:sort([Name || {check_subdomain_name_failed, Name} <- Conflicts])),
    ?assertEqual(lists:sort(Fqdns), lists:sort([Name || {subdomains_collision, Name} <- Conflicts])),
    ?assertEqual(length(Domains) + length(Fqdns), length(Conflicts)).

no_more_than_a_hundred_conflicts_are_logged_and_that_there_are_more_once(Config) ->
    Node = ?config(node, Config),
    Parents = md_names:numbered(<<"many-">>, 110),
    insert(Node, <<"type1">>, Parents),
    insert(Node, <<"type2">>, [<<"muc.", Parent/binary>> || Parent <- Parents]),
    ok = register(Node, <<"type1">>, ?MUC),
    Conflicts = conflicts(Node),
    ?assertEqual(100, length([Name || {check_subdomain_name_failed, Name} <- Conflicts])),
    ?assertMatch([{error, #{limit := 100}}], md_node:logged(Node, subdomain_conflicts_not_reported)),
    ?assertEqual(101, length(Conflicts)),
    %% Further conflicts are not logged, even after changes that end none of the logged ones.
    insert(Node, <<"type2">>, [<<"unrelated.example">>, <<"muc.other.example">>]),
    delete(Node, <<"unrelated.example">>),
    insert(Node, <<"type1">>, [<<"other.example">>]),
    ?assertEqual(101, length(conflicts(Node))),
    %% The end of a conflict makes room for another.
    [{_, Reported} | _] = Conflicts,
    delete(Node, Reported),
    {error, subdomain_already_exists} = register(Node, <<"type2">>, {fqdn, Reported}),
    ?assertEqual({102, {subdomains_collision, Reported}}, last(conflicts(Node))).

%% The table was emptied, so the ends of the conflicts were not seen one by one.
conflicts_that_ended_unseen_make_room_for_others(Config) ->
    Node = ?config(node, Config),
    Parents = md_names:numbered(<<"many-">>, 100),
    insert(Node, <<"type1">>, Parents),
    insert(Node, <<"type2">>, [<<"muc.", Parent/binary>> || Parent <- Parents]),
    ok = register(Node, <<"type1">>, ?MUC),
    ?assertEqual(100, length(conflicts(Node))),
    ok = restart_core(Node),
    ok = subdomains(Node, sync, []),
    insert(Node, <<"type1">>, [?A]),
    insert(Node, <<"type2">>, [?MUC_A]),
    ?assertEqual({101, {check_domain_name_failed, ?MUC_A}}, last(conflicts(Node))),
    %% They are logged when they come back.
    insert(Node, <<"type1">>, [hd(Parents)]),
    insert(Node, <<"type2">>, [<<"muc.", (hd(Parents))/binary>>]),
    ?assertEqual({102, {check_domain_name_failed, <<"muc.", (hd(Parents))/binary>>}}, last(conflicts(Node))).

what_a_load_brings_is_looked_at_for_conflicts(Config) ->
    Node = ?config(node, Config),
    ok = register(Node, <<"type1">>, ?MUC),
    ok = register(Node, <<"type1">>, {fqdn, <<"rooms.example">>}),
    ok = register(Node, <<"type2">>, {fqdn, <<"muc.b.example">>}),
    ?assertEqual([], conflicts(Node)),
    %% Domains with the names of both kinds of subdomains, and a domain whose subdomain has another's name.
    Domains = [{add, <<"type1">>, [?A, ?B]}, {add, <<"type2">>, [?MUC_A, <<"rooms.example">>]}],
    ok = md_writer:write(?config(writer, Config), Domains),
    ok = restart_core(Node),
    md_wait:until(fun() -> map_size(md_node:routes(Node)) end, 4),
    ok = md_node:wait_until_following(Node),
    Conflicts = conflicts(Node),
    ?assertEqual([?MUC_A, <<"rooms.example">>],
                 lists:sort([Name || {What, Name} <- Conflicts, What =/= subdomains_collision])),
    ?assertEqual([<<"muc.b.example">>], [Name || {subdomains_collision, Name} <- Conflicts]).
