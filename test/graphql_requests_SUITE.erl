%% GraphQL requests that are refused before anything is executed: each refusal with its status, code, message and path,
%% compared with MongooseIM's, on a real node with PostgreSQL.
%% A comment marks where this project differs on purpose.
-module(graphql_requests_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_request_must_hold_a_query/1,
         a_body_must_be_an_object_of_json/1,
         variables_are_an_object_or_its_text/1,
         null_variables_are_not_given/1,
         a_query_string_must_make_sense/1,
         a_get_asks_what_a_post_asks/1,
         a_get_changes_nothing/1,
         other_methods_are_not_allowed/1,
         a_request_by_the_hash_of_its_document_is_refused/1,
         a_post_has_the_content_type_of_json_whatever_its_parameters/1,
         a_body_may_be_so_large/1,
         a_document_must_parse_and_is_not_quoted/1,
         documents_that_do_not_fit_the_schema_are_refused/1,
         the_operation_that_is_named_is_done/1,
         a_client_that_others_wrote_is_served/1,
         subscriptions_are_not_supported/1,
         a_bad_name_in_the_document_is_refused_at_its_field/1,
         a_bad_name_in_a_variable_is_refused_at_the_variable/1,
         an_empty_password_is_refused_and_none_is_shown/1,
         one_bad_value_stops_the_whole_document/1,
         deep_and_complex_documents_are_refused/1,
         a_browser_gets_a_page_that_loads_nothing/1,
         the_schema_can_be_asked_for/1]).

-define(DETAILS, "query Q($d: DomainName!) {domain {domainDetails(domain: $d) {domain}}}").
-define(COERCION, "Input coercion failed for type DomainName with value ").

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Node = md_node:start(#{host_types => [<<"type1">>], hosts => [{<<"static.example">>, <<"type1">>}],
                               service_domain_db => #{database => Database},
                               admin => #{port => 0, username => "admin", password => "secret"}}),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {node, Node}, {door, md_http:door(Node)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% The request

a_request_must_hold_a_query(Config) ->
    Wanted = refused(400, no_query_supplied, <<"The query was not supplied in the request body">>),
    [?assertEqual(Wanted, body(Config, Body)) || Body <- ["{}", "{\"query\": null}", "{\"query\": 1}"]],
    ?assertEqual(Wanted, md_graphql:get(?config(door, Config), [{"operationName", "Q"}])).

a_body_must_be_an_object_of_json(Config) ->
    [?assertEqual(refused(400, invalid_json_body, <<"The request JSON body is invalid">>), body(Config, Body))
     || Body <- ["", "{", "[]", "\"{checkAuth {domain}}\"", "null", "{\"query\": \"{a}\", \"operationName\": 1}"]].

variables_are_an_object_or_its_text(Config) ->
    [?assertMatch({200, _}, asked(Config, ?DETAILS, Variables))
     || Variables <- [#{d => 'a.example'}, <<"{\"d\": \"a.example\"}">>]],
    [?assertMatch({200, _}, asked(Config, "{checkAuth {domain}}", Variables)) || Variables <- [null, <<"null">>, <<>>]],
    [?assertEqual(refused(400, variables_invalid_json, <<"The variables' JSON is invalid">>),
                  asked(Config, ?DETAILS, Variables)) || Variables <- [<<"{">>, <<"[]">>, [], 1]].

null_variables_are_not_given(Config) ->
    [?assertMatch({400, {missing_non_null_param, _, [<<"Q">>, <<"d">>]}}, fault(asked(Config, ?DETAILS, Variables)))
     || Variables <- [#{}, #{d => null}, null]],
    Optional = "query ($l: Int = 7) {domain {domains(limit: $l) {domain}}}",
    ?assertMatch({200, #{<<"data">> := #{<<"domain">> := #{<<"domains">> := []}}}},
                 asked(Config, Optional, #{l => null})).

a_query_string_must_make_sense(Config) ->
    [begin
         {Code, _, Body} = md_http:request(?config(door, Config), get, ["/api/graphql?", Query], #{}),
         ?assertEqual(refused(400, invalid_query_parameters, <<"The query string is invalid">>),
                      {Code, md_json:decode(Body)})
     end || Query <- ["query=%", "query=%zz", "query=%f3"]].

a_get_asks_what_a_post_asks(Config) ->
    Query = [{"query", ?DETAILS}, {"variables", "{\"d\": \"static.example\"}"}, {"operationName", "Q"}],
    ?assertEqual({200, #{<<"data">> => #{<<"domain">> => #{<<"domainDetails">> =>
                                                               #{<<"domain">> => <<"static.example">>}}}}},
                 md_graphql:get(?config(door, Config), Query)),
    ?assertMatch({400, {variables_invalid_json, _, none}},
                 fault(md_graphql:get(?config(door, Config), [{"query", "{a}"}, {"variables", "["}]))).

%% MongooseIM executes it. A page of another site could make a browser that knows the password send it.
a_get_changes_nothing(Config) ->
    Mutation = "mutation {domain {addDomain(domain: \"a.example\", hostType: \"type1\") {domain}}}",
    ?assertMatch({400, {unsupported_operation, _, none}},
                 fault(md_graphql:get(?config(door, Config), [{"query", Mutation}]))),
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), <<"a.example">>)).

other_methods_are_not_allowed(Config) ->
    [begin
         Answer = md_http:request(?config(door, Config), Method, "/api/graphql", #{user => {"x", "y"}}),
         ?assertMatch({405, _, <<>>}, Answer),
         ?assertEqual(<<"GET, POST">>, md_http:header(<<"allow">>, Answer))
     end || Method <- [put, delete, patch, options]].

a_post_has_the_content_type_of_json_whatever_its_parameters(Config) ->
    Body = "{\"query\": \"{checkAuth {domain}}\"}",
    Typed = fun(Headers) ->
        Options = #{body => Body, headers => Headers},
        element(1, md_http:request(?config(door, Config), post, "/api/graphql", Options))
    end,
    [?assertEqual(200, Typed([{"content-type", Type}]))
     || Type <- ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=\"UTF-8\""]],
    [?assertEqual(415, Typed(Headers))
     || Headers <- [[], [{"content-type", "text/plain"}], [{"content-type", "application/graphql"}],
                    [{"content-type", "application/jsonp"}], [{"content-type", "text/plain; application/json"}]]],
    {415, _, Refused} = md_http:request(?config(door, Config), post, "/api/graphql",
                              #{body => Body, headers => [{"content-type", "text/plain"}]}),
    ?assertMatch({415, {unsupported_media_type, <<_, _/binary>>, none}}, fault({415, md_json:decode(Refused)})).

a_request_by_the_hash_of_its_document_is_refused(Config) ->
    Hash = "\"extensions\": {\"persistedQuery\": {\"version\": 1, \"sha256Hash\": \"00\"}}",
    {200, Body} = body(Config, ["{", Hash, "}"]),
    ?assertMatch(#{<<"errors">> := [#{<<"message">> := <<"PersistedQueryNotSupported">>,
                                      <<"extensions">> := #{<<"code">> := <<"PERSISTED_QUERY_NOT_SUPPORTED">>}}]}, Body),
    ?assertMatch({200, _}, body(Config, ["{", Hash, ", \"query\": \"{checkAuth {domain}}\", \"operationName\": \"\"}"])).

a_body_may_be_so_large(Config) ->
    Fits = ["{\"query\": \"{checkAuth {domain}}\", \"x\": \"", binary:copy(<<"x">>, 1000000), "\"}"],
    ?assertMatch({200, _}, body(Config, Fits)),
    ?assertMatch({413, {request_too_large, _, none}}, fault(body(Config, [Fits, binary:copy(<<" ">>, 100000)]))).

%% The document

a_document_must_parse_and_is_not_quoted(Config) ->
    [begin
         {400, {parser_error, Message, none}} = fault(post(Config, Document)),
         ?assertEqual(nomatch, binary:match(Message, <<"swordfish">>))
     end || Document <- ["", "{", "{domain {", "query {}", "{domain(swordfish}", "\"swordfish",
                         "mutation {domain {setDomainPassword(password: \"swordfish\" !}}"]].

%% Where MongooseIM's description names no code, the code is this project's. No part of such a document is executed.
documents_that_do_not_fit_the_schema_are_refused(Config) ->
    Add = fun(Arguments) -> ["mutation {domain {x: addDomain(domain: \"a.example\"", Arguments, ") {domain}}}"] end,
    At = fun(Names) -> [list_to_binary(Name) || Name <- Names] end,
    [begin
         {Status, {Is, _, Path}} = fault(post(Config, Document)),
         ?assertEqual({400, Code, Where}, {Status, Is, Path}, Document)
     end || {Code, Where, Document} <-
        [{unknown_field, At(["nope"]), "{nope}"},
         {unknown_field, At(["domain", "x"]), "{domain {x: nope}}"},
         {unknown_field, At(["domain", "x", "y"]), ["{domain {x: allDomains {domain y: nope}}}"]},
         {unknown_argument, At(["domain", "x"]), Add(", hostType: \"type1\", nope: 1")},
         {missing_non_null_param, At(["domain", "x"]), Add("")},
         {missing_non_null_param, At(["domain", "x"]), Add(", hostType: null")},
         {type_mismatch, At(["domain", "x"]), Add(", hostType: 1")},
         {type_mismatch, At(["domain", "domains"]), "{domain {domains(limit: \"1\") {domain}}}"},
         {type_mismatch, At(["domain", "domains"]), "{domain {domains(status: GONE) {domain}}}"},
         {unbound_variable, At(["domain", "x"]), Add(", hostType: $nope")},
         {unused_variable, none, "query ($nope: Int) {checkAuth {domain}}"},
         {unknown_type, none, "query ($l: Nope) {domain {domains(limit: $l) {domain}}}"},
         {unknown_fragment, At(["domain"]), "{domain {...nope}}"},
         {unknown_directive, At(["domain"]), "{domain @nope {allDomains {domain}}}"},
         {conflicting_fields, At(["domain", "x"]), "{domain {x: allDomains {domain} x: domains {domain}}}"},
         {invalid_document, At(["domain", "allDomains"]), "{domain {allDomains}}"}]],
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), <<"a.example">>)).

the_operation_that_is_named_is_done(Config) ->
    Two = <<"query A {x: __typename} query B {y: __typename}">>,
    Ask = fun(Request) -> md_graphql:ask(?config(door, Config), Request) end,
    ?assertEqual({200, #{<<"data">> => #{<<"y">> => <<"AdminQuery">>}}}, Ask(#{query => Two, operationName => 'B'})),
    [?assertMatch({400, {operation_not_found, _, none}}, fault(Ask(Request)))
     || Request <- [#{query => Two}, #{query => Two, operationName => 'C'},
                    #{query => <<"{__typename}">>, operationName => 'C'}]].

%% The clients gql and graphql-core, from PyPI.
a_client_that_others_wrote_is_served(Config) ->
    #{host := Host, port := Port} = ?config(door, Config),
    Url = lists:flatten(io_lib:format("http://~s:~b", [Host, Port])),
    case md_command:run_shell(["'", md_edge:script("graphql-client"), "' ", Url, " admin secret"], []) of
        #{exit := 0, out := Said} -> ?assertEqual(<<"ok\n">>, Said);
        #{exit := 77} -> {skip, "gql is not here and could not be fetched from PyPI"};
        #{err := Said} -> ct:fail("~ts", [Said])
    end.

subscriptions_are_not_supported(Config) ->
    ?assertMatch({400, {unsupported_operation, _, none}}, fault(post(Config, "subscription {domain {added}}"))).

%% Values

a_bad_name_in_the_document_is_refused_at_its_field(Config) ->
    [begin
         Document = ["{domain {x: domainDetails(domain: ", Written, ") {domain}}}"],
         {400, {input_coercion, Message, Path}} = fault(post(Config, Document)),
         ?assertEqual([<<"domain">>, <<"x">>], Path),
         told(Reason, Message)
     end || {Written, Reason} <- bad_names()].

a_bad_name_in_a_variable_is_refused_at_the_variable(Config) ->
    [begin
         {400, {input_coercion, Message, Path}} = fault(asked(Config, Document, #{d => md_json:decode(Value)})),
         ?assertEqual([Operation, <<"d">>], Path),
         told(Reason, Message)
     end || {Value, Reason} <- bad_names(),
            {Operation, Document} <- [{<<"Q">>, ?DETAILS}, {<<"..">>, string:replace(?DETAILS, "Q", "")}]],
    Default = "query Q($d: DomainName = \"\") {domain {domains(after: $d) {domain}}}",
    ?assertMatch({400, {input_coercion, _, [<<"Q">>, <<"d">>]}}, fault(post(Config, Default))),
    ?assertMatch({400, {type_mismatch, _, [<<"Q">>, <<"l">>]}},
                 fault(asked(Config, "query Q($l: Int) {domain {domains(limit: $l) {domain}}}", #{l => <<"1">>}))).

%% MongooseIM accepts names of up to 1023 bytes and crashes on those that are too long for the column.
bad_names() ->
    Long = fun(Length) -> ["\"", binary:copy(<<"a">>, Length), "\""] end,
    [{"\"\"", "empty_domain_name"}, {Long(251), "failed_to_parse_domain_name"},
     {Long(1024), "failed_to_parse_domain_name"}, {"\"a\\u0000b\"", "failed_to_parse_domain_name"},
     {["\"", <<16#FFFD/utf8>>, "\""], "failed_to_parse_domain_name"}, {"17", "not_a_string"},
     {"[\"a\"]", "not_a_string"}].

told(Reason, Message) ->
    ?assertMatch({match, _}, re:run(Message, ["^", ?COERCION, ".+: ", Reason, "$"], [unicode])).

an_empty_password_is_refused_and_none_is_shown(Config) ->
    Set = fun(Password) ->
        Call = ["setDomainPassword(domain: \"static.example\", password: ", Password, ")"],
        fault(post(Config, ["mutation {domain {", Call, "}}"]))
    end,
    Path = [<<"domain">>, <<"setDomainPassword">>],
    Start = "Input coercion failed for type NonEmptyString with value (not shown): ",
    ?assertEqual({400, {input_coercion, list_to_binary(Start ++ "empty_string"), Path}}, Set("\"\"")),
    [?assertEqual({400, {input_coercion, list_to_binary(Start ++ "not_a_string"), Path}}, Set(Password))
     || Password <- ["4711", "swordfish", "[\"swordfish\"]", "{swordfish: 1}"]],
    Variable = "mutation M($p: NonEmptyString!) {domain {setDomainPassword(domain: \"static.example\", password: $p)}}",
    ?assertEqual({400, {input_coercion, list_to_binary(Start ++ "not_a_string"), [<<"M">>, <<"p">>]}},
                 fault(asked(Config, Variable, #{p => [swordfish]}))).

one_bad_value_stops_the_whole_document(Config) ->
    Document = "mutation {domain {a: addDomain(domain: \"a.example\", hostType: \"type1\") {domain} "
               "b: addDomain(domain: \"\", hostType: \"type1\") {domain}}}",
    ?assertMatch({400, {input_coercion, _, [<<"domain">>, <<"b">>]}}, fault(post(Config, Document))),
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), <<"a.example">>)).

deep_and_complex_documents_are_refused(Config) ->
    Many = [["x", integer_to_list(N), ": allDomains {domain} "] || N <- lists:seq(1, 6)],
    Bomb = [["fragment f", integer_to_list(N), " on AdminQuery {...f", integer_to_list(N + 1),
             " ...f", integer_to_list(N + 1), "} "] || N <- lists:seq(1, 30)],
    Of = lists:duplicate(21, "ofType {"),
    [?assertMatch({400, {Code, _, _}}, fault(post(Config, Document)))
     || {Code, Document} <-
        [{query_too_complex, ["{domain {", Many, "}}"]},
         {query_too_complex, ["{...f1} ", Bomb, "fragment f31 on AdminQuery {__typename}"]},
         {query_too_deep, ["{__type(name: \"Domain\") {", Of, "name", lists:duplicate(22, "}"), "}"]},
         {query_too_complex, lists:duplicate(100000, "{a")},
         {query_too_complex, ["{a(b: ", lists:duplicate(100000, "[")]},
         {query_too_deep, "{...f} fragment f on AdminQuery {...f}"}]],
    ?assertMatch({200, _}, post(Config, ["{domain {", lists:sublist(Many, 3), "}}"])).

%% The page and the schema

a_browser_gets_a_page_that_loads_nothing(Config) ->
    Browser = #{user => none, headers => [{"accept", "text/html,application/xhtml+xml,*/*;q=0.8"}]},
    {200, _, Page} = Answer = md_http:request(?config(door, Config), get, "/api/graphql", Browser),
    ?assertEqual(<<"text/html; charset=utf-8">>, md_http:header(<<"content-type">>, Answer)),
    ?assertMatch({match, _}, re:run(Page, "<title>mongoose_domain GraphiQL</title>")),
    ?assertEqual(nomatch, re:run(Page, "https?://|src=|<link|@import|url\\(")),
    ?assertMatch({match, _}, re:run(md_http:header(<<"content-security-policy">>, Answer), "^default-src 'none';")),
    {401, _, _} = md_http:request(?config(door, Config), get, "/api/graphql", Browser#{user => {"x", "y"}}).

the_schema_can_be_asked_for(Config) ->
    Document = "{__type(name: \"DomainAdminMutation\") {fields {name}}}",
    {200, #{<<"data">> := #{<<"__type">> := #{<<"fields">> := Fields}}}} = post(Config, Document),
    ?assertEqual([<<"addDomain">>, <<"deleteDomainPassword">>, <<"disableDomain">>, <<"enableDomain">>,
                  <<"removeDomain">>, <<"requestRemoveDomain">>, <<"setDomainPassword">>],
                 lists:sort([Name || #{<<"name">> := Name} <- Fields])).

%% Helpers

post(Config, Document) ->
    md_graphql:post(?config(door, Config), Document, #{}).

asked(Config, Document, Variables) ->
    md_graphql:ask(?config(door, Config), #{query => iolist_to_binary(Document), variables => Variables}).

body(Config, Body) ->
    Answer = md_http:request(?config(door, Config), post, "/api/graphql", #{json => Body}),
    ?assertEqual(<<"application/json">>, md_http:header(<<"content-type">>, Answer)),
    {element(1, Answer), md_json:decode(element(3, Answer))}.

refused(Status, Code, Message) ->
    Extensions = #{<<"code">> => atom_to_binary(Code)},
    {Status, #{<<"errors">> => [#{<<"message">> => Message, <<"extensions">> => Extensions}]}}.

%% The only error of an answer without data. The answer has no path when the path is empty.
fault({Status, #{<<"errors">> := [Error]} = Answer}) ->
    ?assertEqual(1, map_size(Answer)),
    #{<<"message">> := Message, <<"extensions">> := #{<<"code">> := Code} = Extensions} = Error,
    ?assertEqual(1, map_size(Extensions)),
    {Status, {binary_to_atom(Code), Message, maps:get(<<"path">>, Error, none)}}.
