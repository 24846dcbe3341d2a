%% Permissions over GraphQL: no user, the global admin, and the admin of a domain, on one endpoint. The decisions equal
%% those that MongooseIM makes on its two. With a real node and PostgreSQL.
-module(graphql_roles_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([the_global_admin_is_known_by_name_and_password/1,
         wrong_credentials_are_refused/1,
         a_header_that_makes_no_sense_is_refused/1,
         without_credentials_only_open_fields_are_answered/1,
         where_none_are_configured_whoever_comes_is_the_admin/1,
         the_admin_of_a_domain_is_known_by_its_stored_password/1,
         the_admin_of_a_domain_may_ask_for_its_own_and_set_its_password/1,
         a_changed_or_deleted_password_admits_nobody/1,
         the_admin_of_a_removed_domain_is_unknown/1,
         a_static_domain_may_have_an_admin/1,
         the_admin_of_a_domain_may_call_no_global_field/1,
         the_admin_of_a_domain_may_touch_no_other/1,
         the_admin_of_a_domain_may_set_the_passwords_of_its_subdomains/1,
         the_admin_of_a_domain_may_not_set_the_password_of_a_domain_that_is_named_as_its_subdomain/1,
         one_forbidden_field_aborts_the_whole_document/1,
         variables_fragments_and_aliases_hide_nothing/1,
         the_operations_name_is_reported/1,
         no_choice_of_an_operation_gets_round_permissions/1,
         a_failing_database_admits_nobody_without_words/1]).

-define(A, <<"a.example">>).
-define(ADMIN, {"admin@a.example", "pass word:1"}).
-define(WHO, "{checkAuth {domain authStatus authType}}").
-define(DETAILS, "{domain {domainDetails(domain: \"a.example\") {domain}}}").

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

%% The domain a.example has an admin.
init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Node = md_node:start(environment(Database, #{username => "admin", password => "secret"})),
        ok = md_node:wait_until_following(Node),
        [{ok, _} = api(Node, insert_domain, [Domain, <<"type1">>]) || Domain <- [?A, <<"b.example">>]],
        {ok, _} = api(Node, set_domain_password, [?A, list_to_binary(element(2, ?ADMIN))]),
        [{database, Database}, {node, Node}, {door, md_http:door(Node)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

environment(Database, Credentials) ->
    #{hosts => [{<<"static.example">>, <<"type1">>}], host_types => [<<"type1">>],
      service_domain_db => #{database => Database, poll_interval => 200}, admin => Credentials#{port => 0}}.

%% Authentication

the_global_admin_is_known_by_name_and_password(Config) ->
    ?assertEqual(who(null, <<"AUTHORIZED">>, <<"ADMIN">>), as(Config, {"admin", "secret"}, ?WHO)),
    ?assertMatch({200, #{<<"data">> := #{<<"domain">> := #{<<"allDomains">> := [_, _, _]}}}},
                 as(Config, {"admin", "secret"}, "{domain {allDomains {domain}}}")).

wrong_credentials_are_refused(Config) ->
    [wrong(Config, User)
     || User <- [{"admin", "badsecret"}, {"Admin", "secret"}, {"", ""}, {"admin@", "secret"}, {"admin@a.example", ""},
                 {"user@a.example", "pass word:1"}, {"admin@b.example", "pass word:1"}, {"admin@nope.example", "x"},
                 {["admin@", <<16#FFFD/utf8>>], "x"}, {"a.example", "pass word:1"}, {"admin@a.example", "pass word"}]].

a_header_that_makes_no_sense_is_refused(Config) ->
    [begin
         Headers = [{"authorization", Header}],
         Answer = md_http:request(?config(door, Config), post, "/api/graphql",
                                  #{json => "{\"query\": \"{__typename}\"}", user => none, headers => Headers}),
         ?assertEqual(refused(<<"Malformed authorization header. Please consult the relevant specification">>,
                              request_error), unknown(Answer))
     end || Header <- ["Basic", "Basic !!!", "Basic YWRtaW4="]].

without_credentials_only_open_fields_are_answered(Config) ->
    [begin
         ?assertEqual(who(null, <<"UNAUTHORIZED">>, null), as(Config, none, Headers, ?WHO)),
         ?assertMatch({200, _}, as(Config, none, Headers, "{__schema {types {name}}}")),
         [?assertEqual(denied(<<"Cannot execute query ROOT without permissions">>, [<<"ROOT">>]),
                       as(Config, none, Headers, Document))
          || Document <- [?DETAILS, "{checkAuth {domain} domain {allDomains {domain}}}", set("a.example")]]
     end || Headers <- [[], [{"authorization", "Bearer token"}]]].

where_none_are_configured_whoever_comes_is_the_admin(Config) ->
    Node = md_node:start(environment(?config(database, Config), #{})),
    Other = [{door, md_http:door(Node)}],
    ok = md_node:wait_until_following(Node),
    ?assertEqual(who(null, <<"AUTHORIZED">>, <<"ADMIN">>), as(Other, none, ?WHO)),
    ?assertMatch({200, #{<<"data">> := #{<<"domain">> := #{<<"domainDetails">> := #{}}}}}, as(Other, none, ?DETAILS)),
    wrong(Other, {"admin", "secret"}),
    ?assertEqual(who(?A, <<"AUTHORIZED">>, <<"DOMAIN_ADMIN">>), as(Other, ?ADMIN, ?WHO)).

the_admin_of_a_domain_is_known_by_its_stored_password(Config) ->
    ?assertEqual(who(?A, <<"AUTHORIZED">>, <<"DOMAIN_ADMIN">>), as(Config, ?ADMIN, ?WHO)),
    ?assertEqual(who(?A, <<"AUTHORIZED">>, <<"DOMAIN_ADMIN">>), as(Config, {"admin@A.Example", "pass word:1"}, ?WHO)).

%% Permissions of a domain's admin

the_admin_of_a_domain_may_ask_for_its_own_and_set_its_password(Config) ->
    ?assertEqual({200, #{<<"data">> => #{<<"domain">> => #{<<"domainDetails">> => #{<<"domain">> => ?A}}}}},
                 as(Config, ?ADMIN, ?DETAILS)),
    ?assertMatch({200, #{<<"data">> := #{<<"domain">> := #{<<"domainDetails">> := #{}}}}},
                 as(Config, ?ADMIN, "{domain {domainDetails(domain: \"A.example\") {domain}}}")),
    Text = <<"Domain password set successfully">>,
    ?assertEqual({200, #{<<"data">> => #{<<"domain">> => #{<<"setDomainPassword">> => Text}}}},
                 as(Config, ?ADMIN, set("a.example"))),
    wrong(Config, ?ADMIN),
    ?assertMatch({200, _}, as(Config, {"admin@a.example", "new"}, ?WHO)).

the_admin_of_a_domain_may_set_the_passwords_of_its_subdomains(Config) ->
    Set = fun() -> as(Config, ?ADMIN, set("muc.a.example")) end,
    Foreign = Set(),
    ?assertMatch({401, #{<<"errors">> := [_]}}, Foreign),
    ok = api(Config, register_subdomain, [<<"type1">>, {prefix, <<"muc.">>}, {?MODULE, #{}}]),
    Text = <<"Domain password set successfully">>,
    ?assertEqual({200, #{<<"data">> => #{<<"domain">> => #{<<"setDomainPassword">> => Text}}}}, Set()),
    ?assertEqual(ok, api(Config, check_domain_password, [<<"muc.a.example">>, <<"new">>])),
    ?assertMatch({401, #{<<"errors">> := [_]}}, as(Config, ?ADMIN, set("muc.b.example"))),
    ok = api(Config, unregister_subdomain, [<<"type1">>, {prefix, <<"muc.">>}]),
    ?assertEqual(Foreign, Set()).

the_admin_of_a_domain_may_not_set_the_password_of_a_domain_that_is_named_as_its_subdomain(Config) ->
    ok = api(Config, register_subdomain, [<<"type1">>, {prefix, <<"muc.">>}, {?MODULE, #{}}]),
    {ok, _} = api(Config, insert_domain, [<<"muc.a.example">>, <<"type1">>]),
    ?assertMatch({401, #{<<"errors">> := [_]}}, as(Config, ?ADMIN, set("muc.a.example"))).

a_changed_or_deleted_password_admits_nobody(Config) ->
    {ok, _} = api(Config, set_domain_password, [?A, <<"other">>]),
    wrong(Config, ?ADMIN),
    ?assertMatch({200, _}, as(Config, {"admin@a.example", "other"}, ?WHO)),
    {ok, _} = api(Config, delete_domain_password, [?A]),
    wrong(Config, {"admin@a.example", "other"}).

the_admin_of_a_removed_domain_is_unknown(Config) ->
    {ok, _} = api(Config, request_delete_domain, [?A, <<"type1">>]),
    wrong(Config, ?ADMIN).

a_static_domain_may_have_an_admin(Config) ->
    {ok, _} = api(Config, set_domain_password, [<<"static.example">>, <<"x">>]),
    ?assertMatch({200, #{<<"data">> := #{<<"domain">> := #{<<"domainDetails">> := #{<<"type">> := <<"STATIC">>}}}}},
                 as(Config, {"admin@static.example", "x"},
                    "{domain {domainDetails(domain: \"static.example\") {type}}}")).

the_admin_of_a_domain_may_call_no_global_field(Config) ->
    Own = "(domain: \"a.example\")",
    Typed = "(domain: \"a.example\", hostType: \"type1\")",
    [?assertEqual(global(<<"ROOT">>, Field), as(Config, ?ADMIN, [Kind, " {domain {", Field, Arguments, Shown, "}}"]))
     || {Kind, Field, Arguments, Shown} <-
        [{"query", <<"domainsByHostType">>, "(hostType: \"type1\")", ""}, {"query", <<"allDomains">>, "", "{domain}"},
         {"query", <<"domains">>, "", "{domain}"}, {"mutation", <<"addDomain">>, Typed, "{domain}"},
         {"mutation", <<"removeDomain">>, Typed, "{domain}"},
         {"mutation", <<"requestRemoveDomain">>, Typed, "{domain}"},
         {"mutation", <<"enableDomain">>, Own, "{domain}"}, {"mutation", <<"disableDomain">>, Own, "{domain}"},
         {"mutation", <<"deleteDomainPassword">>, Own, ""}]],
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), ?A)).

the_admin_of_a_domain_may_touch_no_other(Config) ->
    [?assertEqual(foreign(<<"ROOT">>, Field), as(Config, ?ADMIN, Document))
     || Domain <- ["b.example", "nope.example", "sub.a.example", "static.example"],
        {Field, Document} <- [{<<"domainDetails">>, ["{domain {domainDetails(domain: \"", Domain, "\") {domain}}}"]},
                              {<<"setDomainPassword">>, set(Domain)}]].

one_forbidden_field_aborts_the_whole_document(Config) ->
    Both = "mutation {domain {setDomainPassword(domain: \"a.example\", password: \"new\") "
           "disableDomain(domain: \"a.example\") {domain}}}",
    ?assertEqual(global(<<"ROOT">>, <<"disableDomain">>), as(Config, ?ADMIN, Both)),
    ?assertMatch({200, _}, as(Config, ?ADMIN, ?WHO)).

variables_fragments_and_aliases_hide_nothing(Config) ->
    Hidden = "query ($d: DomainName!) {a: domain {...f}} "
             "fragment f on DomainAdminQuery "
             "{... {domainDetails: allDomains {domain} x: domainDetails(domain: $d) {domain}}}",
    ?assertEqual(global(<<"ROOT">>, <<"allDomains">>), as(Config, ?ADMIN, [], Hidden, #{d => ?A})),
    Details = "query ($d: DomainName = \"b.example\") {a: domain {...f}} "
              "fragment f on DomainAdminQuery {x: domainDetails(domain: $d) {domain}}",
    Declared = string:replace(Details, "DomainName =", "DomainName! ="),
    [?assertEqual(foreign(<<"ROOT">>, <<"domainDetails">>), as(Config, ?ADMIN, [], Document, Variables))
     || Document <- [Details, Declared], Variables <- [#{}, #{d => <<"b.example">>}]],
    ?assertMatch({200, #{<<"data">> := #{<<"a">> := #{<<"x">> := #{<<"domain">> := ?A}}}}},
                 as(Config, ?ADMIN, [], Details, #{d => ?A})).

the_operations_name_is_reported(Config) ->
    Request = #{query => <<"query Q {domain {allDomains {domain}}}">>, operationName => 'Q'},
    Ask = fun(User) -> md_graphql:ask((?config(door, Config))#{user => User}, Request) end,
    ?assertEqual(global(<<"Q">>, <<"allDomains">>), Ask(?ADMIN)),
    ?assertEqual(denied(<<"Cannot execute query Q without permissions">>, [<<"Q">>]), Ask(none)).

%% The permission check examines the operation that is executed, however it is named. An ambiguous request is refused.
no_choice_of_an_operation_gets_round_permissions(Config) ->
    Mine = <<"query Mine {domain {domainDetails(domain: \"a.example\") {domain}}}">>,
    Foreign = <<"query Foreign {domain {allDomains {domain}}}">>,
    Change = <<"mutation Change {domain {removeDomain(domain: \"a.example\", hostType: \"type1\") {domain}}}">>,
    Ask = fun(User, Documents, Name) ->
        Query = iolist_to_binary(lists:join(" ", Documents)),
        Request = case Name of
            absent -> #{query => Query};
            _ -> #{query => Query, operationName => Name}
        end,
        md_graphql:ask((?config(door, Config))#{user => User}, Request)
    end,
    [begin
         %% The named operation is executed, the other one is not.
         ?assertEqual({Documents, Name, global(atom_to_binary(Name), Field)},
                      {Documents, Name, Ask(?ADMIN, Documents, Name)}),
         ?assertEqual(denied(<<"Cannot execute query ", (atom_to_binary(Name))/binary, " without permissions">>,
                             [atom_to_binary(Name)]),
                      Ask(none, Documents, Name))
     end || Documents <- [[Mine, Foreign], [Foreign, Mine], [Foreign]], {Name, Field} <- [{'Foreign', <<"allDomains">>}]],
    ?assertMatch({200, #{<<"data">> := _}}, Ask(?ADMIN, [Mine, Foreign, Change], 'Mine')),
    %% The name is absent, unknown or empty: with several operations, none is executed.
    [?assertMatch({400, #{<<"errors">> := [#{<<"extensions">> := #{<<"code">> := <<"operation_not_found">>}}]}},
                  Ask(User, Documents, Name))
     || User <- [?ADMIN, none], Documents <- [[Mine, Foreign], [Foreign, Mine], [Mine, Change], [Change, Mine]],
        Name <- [absent, '', 'Nope']],
    %% A single operation needs no name, and its own permissions are checked.
    [?assertMatch({200, #{<<"errors">> := [_ | _]}}, answered(Ask(?ADMIN, [Document], Name)))
     || Document <- [Foreign, Change], Name <- [absent, '']],
    ?assertMatch({ok, _}, md_node:lookup(?config(node, Config), <<"a.example">>)).

%% A request that is refused as a whole has no data.
answered({_Status, #{<<"errors">> := Errors}}) -> {200, #{<<"errors">> => Errors}};
answered(Other) -> Other.

a_failing_database_admits_nobody_without_words(Config) ->
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, "ALTER TABLE domain_admins RENAME COLUMN pass_details TO elsewhere"),
    Answer = md_http:request((?config(door, Config))#{user => ?ADMIN}, post, "/api/graphql",
                             #{json => "{\"query\": \"{__typename}\"}"}),
    ?assertMatch({500, _, _}, Answer),
    ?assertEqual(#{<<"errors">> => [#{<<"message">> => <<"GraphQL Internal Server Error">>,
                                      <<"extensions">> => #{<<"code">> => <<"internal_server_error">>}}]},
                 md_json:decode(element(3, Answer))).

%% Helpers

as(Config, User, Document) ->
    as(Config, User, [], Document).

as(Config, User, Headers, Document) ->
    as(Config, User, Headers, Document, #{}).

as(Config, User, Headers, Document, Variables) ->
    Json = md_json:encode(#{query => iolist_to_binary(Document), variables => Variables}),
    {Code, _, Body} = md_http:request((?config(door, Config))#{user => User}, post, "/api/graphql",
                                      #{json => Json, headers => Headers}),
    {Code, md_json:decode(Body)}.

set(Domain) ->
    ["mutation {domain {setDomainPassword(domain: \"", Domain, "\", password: \"new\")}}"].

who(Domain, Status, Type) ->
    {200, #{<<"data">> => #{<<"checkAuth">> =>
                                #{<<"domain">> => Domain, <<"authStatus">> => Status, <<"authType">> => Type}}}}.

wrong(Config, User) ->
    Answer = md_http:request((?config(door, Config))#{user => User}, post, "/api/graphql",
                             #{json => "{\"query\": \"{__typename}\"}"}),
    ?assertEqual(refused(<<"The provided credentials are wrong">>, wrong_credentials), unknown(Answer)).

%% The answer to an unknown user has no content type and does not ask for a password.
unknown({Code, _, Body} = Answer) ->
    ?assertEqual(undefined, md_http:header(<<"content-type">>, Answer)),
    ?assertEqual(undefined, md_http:header(<<"www-authenticate">>, Answer)),
    {Code, md_json:decode(Body)}.

refused(Message, Code) ->
    {401, #{<<"errors">> => [#{<<"message">> => Message, <<"extensions">> => #{<<"code">> => atom_to_binary(Code)}}]}}.

denied(Message, Path) ->
    {401, #{<<"errors">> := [Error]}} = refused(Message, no_permissions),
    {401, #{<<"errors">> => [Error#{<<"path">> => Path}]}}.

global(Operation, Field) ->
    denied(<<"Cannot execute query ", Operation/binary, " without a global admin permissions">>,
           [Operation, <<"domain">>, Field]).

foreign(Operation, Field) ->
    denied(<<"Cannot execute query ", Operation/binary,
             " without permissions to the given domain. Args with invalid value: domain">>,
           [Operation, <<"domain">>, Field]).

api(Config, Function, Arguments) when is_list(Config) -> api(?config(node, Config), Function, Arguments);
api(Node, Function, Arguments) -> md_node:call(Node, mongoose_domain_api, Function, Arguments).
