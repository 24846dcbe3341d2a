%% The category `domain' over GraphQL, compared with MongooseIM's answers: each success, each error of a field with its
%% extensions, and what concerns all fields. With a real node and PostgreSQL. A comment marks where this project differs
%% on purpose. graphql_requests_SUITE tests invalid requests.
-module(graphql_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_domain_is_added_switched_and_removed/1,
         a_repeated_addition_or_removal_succeeds/1,
         repeated_operations_may_be_errors_as_in_the_peer/1,
         a_static_domain_cannot_be_changed/1,
         a_static_domain_has_details/1,
         an_unknown_host_type_is_refused_before_existence/1,
         what_is_missing_is_not_found/1,
         another_host_type_is_wrong/1,
         a_domain_in_removal_cannot_be_switched_or_added/1,
         a_row_of_another_nodes_host_type_is_refused/1,
         details_tell_every_status/1,
         a_requested_removal_answers_at_once_and_ends/1,
         a_removal_whose_handler_fails_is_a_crash_without_words/1,
         passwords_are_set_and_deleted/1,
         a_password_may_have_no_forbidden_characters/1,
         the_domains_of_a_host_type_are_those_that_are_served/1,
         all_domains_are_static_and_dynamic_ones_by_name/1,
         all_domains_are_more_than_a_page/1,
         domains_come_in_pages/1,
         domains_are_chosen_by_host_type_status_and_prefix/1,
         names_are_prepared_and_shown_so/1,
         the_fields_of_a_mutation_are_done_in_order/1,
         a_failed_field_leaves_the_others_alone/1,
         without_a_database_no_field_works/1,
         a_failing_database_is_a_crash_without_words/1]).

-import(md_door, [handled_by/3]).

-define(A, <<"a.example">>).
-define(ALL, "{domain hostType status}").
-define(TYPED, "{domain hostType status type}").

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Node = md_node:start(environment(Database)),
        ok = md_node:wait_until_following(Node),
        Client = md_client:open(Database),
        [{database, Database}, {node, Node}, {door, md_http:door(Node)}, {client, Client} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% One static domain has a host type that dynamic domains may have, too.
environment(Database) ->
    #{hosts := Hosts} = Environment = md_door:environment(Database),
    Environment#{hosts => Hosts ++ [{<<"fixed.example">>, <<"type1">>}]}.

%% Successes

a_domain_is_added_switched_and_removed(Config) ->
    ?assertEqual(domain(?A, <<"type1">>, null), call(Config, add(<<"type1">>), ?ALL)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), ?A)),
    ?assertEqual(domain(?A, null, <<"DISABLED">>), call(Config, on_a("disableDomain"), ?ALL)),
    ?assertEqual(domain(?A, null, <<"DISABLED">>), call(Config, on_a("disableDomain"), ?ALL)),
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), ?A)),
    ?assertEqual(domain(?A, null, <<"ENABLED">>), call(Config, on_a("enableDomain"), ?ALL)),
    ?assertEqual(typed(?A, <<"type1">>, <<"ENABLED">>, <<"DYNAMIC">>), details(Config)),
    ?assertEqual(domain(?A, <<"type1">>, <<"DELETED">>), call(Config, remove(<<"type1">>), ?ALL)),
    ?assertEqual(not_found(), details(Config)).

%% MongooseIM answers errors in both cases: see the next case.
a_repeated_addition_or_removal_succeeds(Config) ->
    [?assertEqual(domain(?A, <<"type1">>, null), call(Config, add(<<"type1">>), ?ALL)) || _ <- [1, 2]],
    ?assertEqual(duplicate(<<"type2">>), call(Config, add(<<"type2">>), ?ALL)),
    [?assertEqual(domain(?A, <<"type1">>, <<"DELETED">>), call(Config, remove(<<"type1">>), ?ALL)) || _ <- [1, 2]],
    ?assertEqual(domain(?A, <<"type1">>, <<"DELETED">>),
                 call(Config, on_a("requestRemoveDomain", <<"type1">>), ?ALL)).

repeated_operations_may_be_errors_as_in_the_peer(Config) ->
    ok = md_node:call(?config(node, Config), application, set_env, [mongoose_domain, repeated_operations, error]),
    [?assertEqual(not_found(<<"type1">>), call(Config, on_a(Field, <<"type1">>), ?ALL))
     || Field <- ["removeDomain", "requestRemoveDomain"]],
    ?assertMatch({ok, _}, call(Config, add(<<"type1">>), ?ALL)),
    ?assertEqual(duplicate(<<"type1">>), call(Config, add(<<"type1">>), ?ALL)),
    ?assertEqual(duplicate(<<"type2">>), call(Config, add(<<"type2">>), ?ALL)).

details_tell_every_status(Config) ->
    [begin
         row(Config, Name, <<"type2">>, Number),
         Wanted = typed(Name, <<"type2">>, Status, <<"DYNAMIC">>),
         ?assertEqual(Wanted, call(Config, on("domainDetails", Name), ?TYPED))
     end || {Number, Name, Status} <- [{0, <<"off.example">>, <<"DISABLED">>}, {1, <<"on.example">>, <<"ENABLED">>},
                                       {2, <<"out.example">>, <<"DELETING">>}]].

a_static_domain_has_details(Config) ->
    ?assertEqual(typed(<<"static.example">>, <<"static type">>, <<"ENABLED">>, <<"STATIC">>),
                 call(Config, on("domainDetails", <<"Static.Example">>), ?TYPED)).

a_requested_removal_answers_at_once_and_ends(Config) ->
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    handled_by(Config, wait, fun() ->
        ?assertEqual(domain(?A, <<"type1">>, <<"DELETING">>),
                     call(Config, on_a("requestRemoveDomain", <<"type1">>), ?ALL)),
        ?assertEqual(typed(?A, <<"type1">>, <<"DELETING">>, <<"DYNAMIC">>), details(Config))
    end),
    md_wait:until(fun() -> details(Config) end, not_found()).

passwords_are_set_and_deleted(Config) ->
    Set = [on_a_open("setDomainPassword"), ", password: \"secret\")"],
    Missing = {<<"Given domain does not exist or is disabled">>, extensions(not_found, #{<<"domain">> => ?A})},
    ?assertEqual(Missing, call(Config, Set, "")),
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    ?assertEqual({ok, <<"Domain password set successfully">>}, call(Config, Set, "")),
    ?assertEqual({ok, <<"Domain password deleted successfully">>}, call(Config, on_a("deleteDomainPassword"), "")),
    ?assertEqual({<<"Domain password does not exist">>, extensions(not_found, #{<<"domain">> => ?A})},
                 call(Config, on_a("deleteDomainPassword"), "")),
    {ok, _} = call(Config, on_a("disableDomain"), ?ALL),
    ?assertEqual(Missing, call(Config, Set, "")).

%% MongooseIM crashes here.
a_password_may_have_no_forbidden_characters(Config) ->
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    Set = [on_a_open("setDomainPassword"), ", password: ", md_graphql:quoted(<<"a", 16#FFFD/utf8>>), ")"],
    ?assertMatch({_, #{<<"code">> := <<"invalid_password">>, <<"domain">> := ?A}}, call(Config, Set, "")).

%% Errors

a_static_domain_cannot_be_changed(Config) ->
    Name = <<"static.example">>,
    Static = fun(About) -> {<<"Domain is static">>, extensions(static, About)} end,
    [?assertEqual(Static(#{<<"domain">> => Name, <<"hostType">> => <<"nope">>}),
                  call(Config, on(Field, Name, <<"nope">>), ?ALL))
     || Field <- ["addDomain", "removeDomain", "requestRemoveDomain"]],
    [?assertEqual(Static(#{<<"domain">> => Name}), call(Config, on(Field, Name), ?ALL))
     || Field <- ["enableDomain", "disableDomain"]].

an_unknown_host_type_is_refused_before_existence(Config) ->
    Unknown = fun(About) -> {<<"Unknown host type">>, extensions(unknown_host_type, About)} end,
    [?assertEqual(Unknown(#{<<"domain">> => ?A, <<"hostType">> => Type}), call(Config, on_a(Field, Type), ?ALL))
     || Field <- ["addDomain", "removeDomain", "requestRemoveDomain"], Type <- [<<"nope">>, <<"static type">>, <<>>]],
    [?assertEqual(Unknown(#{<<"hostType">> => Type}),
                  call(Config, ["domainsByHostType(hostType: ", md_graphql:quoted(Type), ")"], ""))
     || Type <- [<<"nope">>, <<"static type">>, <<>>]].

what_is_missing_is_not_found(Config) ->
    [?assertEqual(not_found(), call(Config, on_a(Field), ?ALL))
     || Field <- ["enableDomain", "disableDomain", "domainDetails"]].

another_host_type_is_wrong(Config) ->
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    Wrong = {<<"Wrong host type was provided">>,
             extensions(wrong_host_type, #{<<"domain">> => ?A, <<"hostType">> => <<"type2">>})},
    [?assertEqual(Wrong, call(Config, on_a(Field, <<"type2">>), ?ALL))
     || Field <- ["removeDomain", "requestRemoveDomain"]].

a_domain_in_removal_cannot_be_switched_or_added(Config) ->
    row(Config, ?A, <<"type1">>, 2),
    Deleted = {<<"Domain has been deleted">>, extensions(deleted, #{<<"domain">> => ?A})},
    [?assertEqual(Deleted, call(Config, on_a(Field), ?ALL)) || Field <- ["enableDomain", "disableDomain"]],
    ?assertEqual(duplicate(<<"type1">>), call(Config, add(<<"type1">>), ?ALL)).

a_row_of_another_nodes_host_type_is_refused(Config) ->
    row(Config, ?A, <<"type9">>, 1),
    Unknown = {<<"Unknown host type">>, extensions(unknown_host_type, #{<<"domain">> => ?A})},
    [?assertEqual(Unknown, call(Config, on_a(Field), ?ALL)) || Field <- ["enableDomain", "disableDomain"]].

a_removal_whose_handler_fails_is_a_crash_without_words(Config) ->
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    handled_by(Config, fail, fun() ->
        ?assertEqual(crash("DomainAdminMutation"), call(Config, remove(<<"type1">>), ?ALL)),
        ?assertMatch({ok, #{<<"status">> := <<"DELETING">>}}, details(Config))
    end),
    md_wait:until(fun() -> md_node:logged(?config(node, Config), graphql_crash) =/= [] end),
    ?assertMatch({ok, _}, call(Config, remove(<<"type1">>), ?ALL)).

a_failing_database_is_a_crash_without_words(Config) ->
    ok = md_rows:hide(?config(client, Config)),
    [?assertEqual(crash("DomainAdminQuery"), call(Config, Call, ?ALL))
     || Call <- ["allDomains", "domains", on_a("domainDetails")]],
    [?assertEqual(crash("DomainAdminMutation"), call(Config, Call, ?ALL))
     || Call <- [add(<<"type1">>), remove(<<"type1">>), on_a("requestRemoveDomain", <<"type1">>),
                 on_a("enableDomain"), on_a("disableDomain")]].

without_a_database_no_field_works(_Config) ->
    Door = md_http:door(md_node:start(maps:remove(service_domain_db, environment(none)))),
    Missing = {<<"Some of the required services are not loaded">>,
               extensions(deps_not_loaded, #{<<"not_loaded_services">> => [<<"service_domain_db">>]})},
    [?assertEqual(Missing, md_graphql:call(Door, Call, Shown))
     || {Call, Shown} <- [{"allDomains", ?ALL}, {"domains", ?ALL}, {"domainsByHostType(hostType: \"nope\")", ""},
                          {on("domainDetails", <<"static.example">>), ?ALL}, {add(<<"type1">>), ?ALL},
                          {remove(<<"type1">>), ?ALL}, {on_a("requestRemoveDomain", <<"type1">>), ?ALL},
                          {on_a("enableDomain"), ?ALL}, {on_a("disableDomain"), ?ALL},
                          {[on_a_open("setDomainPassword"), ", password: \"x\")"], ""},
                          {on_a("deleteDomainPassword"), ""}]],
    ?assertMatch({200, #{<<"data">> := #{<<"checkAuth">> := #{<<"authStatus">> := <<"AUTHORIZED">>}}}},
                 md_graphql:post(Door, "{checkAuth {authStatus}}", #{})).

%% Listings

the_domains_of_a_host_type_are_those_that_are_served(Config) ->
    {ok, _} = call(Config, add(<<"type1">>), ?ALL),
    {ok, _} = call(Config, on("addDomain", <<"off.example">>, <<"type1">>), ?ALL),
    {ok, _} = call(Config, on("disableDomain", <<"off.example">>), ?ALL),
    {ok, Names} = call(Config, "domainsByHostType(hostType: \"type1\")", ""),
    ?assertEqual([?A, <<"fixed.example">>], lists:sort(Names)),
    ?assertEqual({ok, []}, call(Config, "domainsByHostType(hostType: \"type2\")", "")).

all_domains_are_static_and_dynamic_ones_by_name(Config) ->
    row(Config, <<"z.example">>, <<"type9">>, 2),
    row(Config, ?A, <<"type1">>, 0),
    row(Config, <<"static.example">>, <<"type1">>, 1),
    ?assertEqual({ok, [value(typed(?A, <<"type1">>, <<"DISABLED">>, <<"DYNAMIC">>)),
                       value(typed(<<"fixed.example">>, <<"type1">>, <<"ENABLED">>, <<"STATIC">>)),
                       value(typed(<<"static.example">>, <<"static type">>, <<"ENABLED">>, <<"STATIC">>)),
                       value(typed(<<"z.example">>, <<"type9">>, <<"DELETING">>, <<"DYNAMIC">>))]},
                 call(Config, "allDomains", ?TYPED)).

all_domains_are_more_than_a_page(Config) ->
    [] = md_client:query(?config(client, Config),
                         "INSERT INTO domain_settings (domain, host_type) "
                         "SELECT 'd' || n || '.example', 'type1' FROM generate_series(1, 2000) n"),
    {ok, Domains} = call(Config, "allDomains", "{domain}"),
    ?assertEqual(2002, length(Domains)),
    ?assertEqual(lists:usort(Domains), Domains).

domains_come_in_pages(Config) ->
    Names = [<<"d", Number, ".example">> || Number <- "abcde"],
    [row(Config, Name, <<"type1">>, 1) || Name <- Names],
    Page = fun(Arguments) ->
        {ok, Domains} = call(Config, ["domains", Arguments], "{domain type}"),
        [Name || #{<<"domain">> := Name, <<"type">> := <<"DYNAMIC">>} <- Domains]
    end,
    ?assertEqual(Names, Page("")),
    ?assertEqual([<<"da.example">>, <<"db.example">>], Page("(limit: 2)")),
    ?assertEqual([<<"dc.example">>, <<"dd.example">>], Page("(limit: 2, after: \"DB.example\")")),
    ?assertEqual([<<"de.example">>], Page("(limit: 2, after: \"dd.example\")")),
    ?assertEqual([], Page("(limit: 1000, after: \"de.example\")")),
    [?assertEqual({<<"The limit must be from 1 to 1000">>, extensions(invalid_limit, #{})},
                  call(Config, ["domains(limit: ", Limit, ")"], "{domain}")) || Limit <- ["0", "-1", "1001", "70000"]].

domains_are_chosen_by_host_type_status_and_prefix(Config) ->
    [row(Config, Name, Type, Status)
     || {Name, Type, Status} <- [{?A, <<"type1">>, 1}, {<<"b.example">>, <<"type2">>, 1},
                                 {<<"c.example">>, <<"type2">>, 0}, {<<"d.example">>, <<"type2">>, 2}]],
    [?assertEqual({ok, [#{<<"domain">> => <<Name, ".example">>} || Name <- Wanted]},
                  call(Config, ["domains(", Arguments, ")"], "{domain}"))
     || {Arguments, Wanted} <- [{"hostType: \"type1\"", "a"}, {"status: ENABLED", "ab"}, {"status: DISABLED", "c"},
                                {"status: DELETING", "d"}, {"status: DELETED", ""}, {"prefix: \"b.\"", "b"},
                                {"hostType: \"type2\", status: ENABLED, prefix: \"b\"", "b"},
                                {"prefix: \"%\"", ""}, {"prefix: \"\\u0000\"", ""}, {"hostType: \"\\u0000\"", ""}]].

%% Names and order

names_are_prepared_and_shown_so(Config) ->
    ?assertEqual(domain(?A, <<"type1">>, null), call(Config, on("addDomain", <<"A.Example">>, <<"type1">>), ?ALL)),
    ?assertEqual({<<"Given domain does not exist">>, extensions(not_found, #{<<"domain">> => <<"nonexistingdomain">>})},
                 call(Config, on("domainDetails", <<"NonExistingDomain">>), ?ALL)).

the_fields_of_a_mutation_are_done_in_order(Config) ->
    Round = ["a: ", add(<<"type1">>), "{status} b: ", on_a("disableDomain"), "{status} c: ", remove(<<"type1">>),
             "{status} d: ", add(<<"type2">>), "{status} e: ", on_a("disableDomain"), "{status}"],
    {200, Answer} = md_graphql:post(?config(door, Config), ["mutation {domain {", Round, "}}"], #{}),
    Status = fun(Value) -> #{<<"status">> => Value} end,
    ?assertEqual(#{<<"data">> => #{<<"domain">> => #{<<"a">> => Status(null), <<"b">> => Status(<<"DISABLED">>),
                                                     <<"c">> => Status(<<"DELETED">>), <<"d">> => Status(null),
                                                     <<"e">> => Status(<<"DISABLED">>)}}}, Answer),
    ?assertEqual(typed(?A, <<"type2">>, <<"DISABLED">>, <<"DYNAMIC">>), details(Config)).

a_failed_field_leaves_the_others_alone(Config) ->
    Calls = ["x: ", add(<<"nope">>), "{domain} y: ", add(<<"type1">>), "{domain}"],
    {200, Answer} = md_graphql:post(?config(door, Config), ["mutation {domain {", Calls, "}}"], #{}),
    ?assertMatch(#{<<"data">> := #{<<"domain">> := #{<<"x">> := null, <<"y">> := #{<<"domain">> := ?A}}},
                   <<"errors">> := [#{<<"path">> := [<<"domain">>, <<"x">>]}]}, Answer).

%% Helpers

call(Config, Call, Shown) ->
    md_graphql:call(?config(door, Config), Call, Shown).

details(Config) -> call(Config, on_a("domainDetails"), ?TYPED).

add(HostType) -> on_a("addDomain", HostType).

remove(HostType) -> on_a("removeDomain", HostType).

on_a(Field) -> on(Field, ?A).

on_a(Field, HostType) -> on(Field, ?A, HostType).

on_a_open(Field) -> [Field, "(domain: ", md_graphql:quoted(?A)].

on(Field, Domain) -> [Field, "(domain: ", md_graphql:quoted(Domain), ")"].

on(Field, Domain, HostType) ->
    [Field, "(domain: ", md_graphql:quoted(Domain), ", hostType: ", md_graphql:quoted(HostType), ")"].

domain(Name, HostType, Status) ->
    {ok, #{<<"domain">> => Name, <<"hostType">> => HostType, <<"status">> => Status}}.

typed(Name, HostType, Status, Type) ->
    {ok, (value(domain(Name, HostType, Status)))#{<<"type">> => Type}}.

value({ok, Value}) -> Value.

extensions(Code, About) -> About#{<<"code">> => atom_to_binary(Code)}.

not_found() -> {<<"Given domain does not exist">>, extensions(not_found, #{<<"domain">> => ?A})}.

not_found(HostType) ->
    {<<"Given domain does not exist">>, extensions(not_found, #{<<"domain">> => ?A, <<"hostType">> => HostType})}.

duplicate(HostType) ->
    {<<"Domain already exists">>, extensions(duplicate, #{<<"domain">> => ?A, <<"hostType">> => HostType})}.

crash(Category) ->
    {iolist_to_binary(["Unexpected ", Category, " resolver crash"]), extensions(resolver_crash, #{})}.

row(Config, Name, HostType, Status) ->
    Values = io_lib:format("('~s', '~s', ~b)", [Name, HostType, Status]),
    [] = md_client:query(?config(client, Config),
                         ["INSERT INTO domain_settings (domain, host_type, status) VALUES ", Values]).
