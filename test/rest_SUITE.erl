%% One domain over REST, compared with MongooseIM 6.0 to 6.5: each status and each text, with a real node and
%% PostgreSQL. A comment marks where this project differs on purpose.
-module(rest_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_domain_is_added_shown_switched_and_removed/1,
         a_repeated_addition_succeeds_and_another_host_type_conflicts/1,
         repeated_operations_may_be_errors_as_in_the_peer/1,
         a_static_domain_is_refused_by_every_method/1,
         an_unknown_host_type_is_refused_before_existence/1,
         what_is_missing_is_not_found/1,
         a_domain_in_removal_cannot_be_switched_or_added/1,
         a_row_of_another_nodes_host_type_is_refused/1,
         an_asynchronous_removal_is_accepted_and_ends/1,
         a_removal_whose_handler_fails_is_an_error_without_words/1,
         only_a_literal_true_makes_a_removal_asynchronous/1,
         names_are_prepared_and_bad_ones_refused/1,
         bodies_that_make_no_sense_are_refused/1,
         fields_that_are_missing_are_named/1,
         other_methods_are_not_allowed/1,
         options_tell_the_methods/1,
         what_is_taken_and_sent_is_json/1,
         credentials_are_asked_for_and_compared_exactly/1,
         without_credentials_whoever_comes_is_the_admin/1,
         without_a_database_there_are_no_dynamic_domains/1,
         a_failing_database_is_an_error_that_says_whether_anything_changed/1,
         faults_are_reported_in_the_peers_order/1]).

-import(md_door, [environment/2, handled_by/3]).

-define(A, <<"a.example">>).
-define(PATH, "/api/domains/a.example").
-define(TYPE1, #{json => <<"{\"host_type\": \"type1\"}">>}).
-define(TYPE2, #{json => <<"{\"host_type\": \"type2\"}">>}).
-define(STATIC, "/api/domains/static.example").

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_door:open(Config).

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

a_domain_is_added_shown_switched_and_removed(Config) ->
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), ?A)),
    shows(Config, <<"enabled">>),
    ?assertEqual({204, <<>>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": false}"})),
    ?assertEqual({204, <<>>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": false}"})),
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), ?A)),
    shows(Config, <<"disabled">>),
    ?assertEqual({204, <<>>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": true}"})),
    shows(Config, <<"enabled">>),
    ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, ?TYPE1)),
    ?assertEqual({404, <<"\"Given domain does not exist\"">>}, ask(Config, get, ?PATH, #{})).

shows(Config, Status) ->
    ?assertEqual({200, <<"{\"host_type\":\"type1\",\"status\":\"", Status/binary, "\"}">>}, ask(Config, get, ?PATH, #{})).

a_repeated_addition_succeeds_and_another_host_type_conflicts(Config) ->
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
    ?assertEqual({409, <<"\"Domain already exists\"">>}, ask(Config, put, ?PATH, ?TYPE2)),
    ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, ?TYPE1)),
    ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, ?TYPE1)).

repeated_operations_may_be_errors_as_in_the_peer(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, repeated_operations, error]),
    try
        ?assertEqual({404, <<"\"Given domain does not exist\"">>}, ask(Config, delete, ?PATH, ?TYPE1)),
        ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
        ?assertEqual({409, <<"\"Domain already exists\"">>}, ask(Config, put, ?PATH, ?TYPE1)),
        ?assertEqual({204, <<>>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": false}"})),
        ?assertEqual({409, <<"\"Domain already exists\"">>}, ask(Config, put, ?PATH, ?TYPE1))
    after
        ok = md_node:call(Node, application, unset_env, [mongoose_domain, repeated_operations])
    end.

a_static_domain_is_refused_by_every_method(Config) ->
    [?assertEqual({403, <<"\"Domain is static\"">>}, ask(Config, Method, ?STATIC, Options))
     || {Method, Options} <- [{get, #{}}, {put, ?TYPE1}, {put, #{json => "{\"host_type\": 1}"}}, {delete, ?TYPE1},
                              {patch, #{json => "{\"enabled\": true}"}}]].

an_unknown_host_type_is_refused_before_existence(Config) ->
    [?assertEqual({403, <<"\"Unknown host type\"">>}, ask(Config, Method, ?PATH, #{json => Body}))
     || Method <- [put, delete],
        Body <- ["{\"host_type\": \"type3\"}", "{\"host_type\": \"static type\"}", "{\"host_type\": 7}",
                 "{\"host_type\": null}", "{\"host_type\": \"\"}"]].

what_is_missing_is_not_found(Config) ->
    ?assertEqual({404, <<"\"Given domain does not exist\"">>}, ask(Config, get, ?PATH, #{})),
    ?assertEqual({404, <<"\"Given domain does not exist\"">>},
                 ask(Config, patch, ?PATH, #{json => "{\"enabled\": true}"})),
    [?assertMatch({404, _}, ask(Config, get, Path, #{})) || Path <- ["/api", "/api/domains/", "/api/domains/a/b"]].

a_domain_in_removal_cannot_be_switched_or_added(Config) ->
    row(Config, "type1", 2),
    ?assertEqual({403, <<"\"Domain has been deleted\"">>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": true}"})),
    ?assertEqual({409, <<"\"Domain already exists\"">>}, ask(Config, put, ?PATH, ?TYPE1)),
    shows(Config, <<"deleting">>).

a_row_of_another_nodes_host_type_is_refused(Config) ->
    row(Config, "type9", 1),
    ?assertEqual({403, <<"\"Unknown host type\"">>}, ask(Config, patch, ?PATH, #{json => "{\"enabled\": false}"})),
    ?assertEqual({403, <<"\"Wrong host type was provided\"">>}, ask(Config, delete, ?PATH, ?TYPE1)).

an_asynchronous_removal_is_accepted_and_ends(Config) ->
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
    handled_by(Config, wait, fun() ->
        ?assertEqual({202, <<>>}, ask(Config, delete, ?PATH, #{json => "{\"host_type\": \"type1\", \"request\": true}"})),
        shows(Config, <<"deleting">>)
    end),
    md_wait:until(fun() -> element(1, ask(Config, get, ?PATH, #{})) end, 404).

a_removal_whose_handler_fails_is_an_error_without_words(Config) ->
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
    handled_by(Config, fail, fun() ->
        ?assertEqual({500, <<>>}, ask(Config, delete, ?PATH, ?TYPE1)),
        shows(Config, <<"deleting">>)
    end),
    ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, ?TYPE1)).

only_a_literal_true_makes_a_removal_asynchronous(Config) ->
    [begin
         ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, ?TYPE1)),
         Body = ["{\"host_type\": \"type1\", \"request\": ", Request, "}"],
         ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, #{json => Body}))
     end || Request <- ["false", "\"true\"", "null", "1"]].

names_are_prepared_and_bad_ones_refused(Config) ->
    ?assertEqual({204, <<>>}, ask(Config, put, "/api/domains/A.Example", ?TYPE1)),
    shows(Config, <<"enabled">>),
    [?assertEqual({400, <<"\"Invalid domain name\"">>}, ask(Config, get, ["/api/domains/", Name], #{}))
     || Name <- ["%f3", "%00", "a%20b%C2%A0%EF%BF%BD", binary:copy(<<"a">>, 251), "%E2%80%AE"]].

bodies_that_make_no_sense_are_refused(Config) ->
    [?assertEqual({400, <<"\"Invalid request body\"">>}, ask(Config, Method, ?PATH, #{json => Body}))
     || Method <- [put, patch, delete], Body <- ["", "{", "[]", "\"type1\"", "1", <<"{\"host_type\": \"", 16#f3, "\"}">>]],
    ?assertEqual({400, <<"\"Invalid request body\"">>}, ask(Config, delete, ?PATH, #{})).

%% MongooseIM crashes (500) on a value that is no boolean.
fields_that_are_missing_are_named(Config) ->
    [?assertEqual({400, <<"\"'host_type' field is missing\"">>}, ask(Config, Method, ?PATH, #{json => "{\"x\": 1}"}))
     || Method <- [put, delete]],
    ?assertEqual({400, <<"\"'enabled' field is missing\"">>}, ask(Config, patch, ?PATH, #{json => "{}"})),
    ?assertEqual({400, <<"\"'enabled' field is not a boolean\"">>},
                 ask(Config, patch, ?PATH, #{json => "{\"enabled\": \"true\"}"})),
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, #{json => "{\"host_type\": \"no\", \"host_type\": \"type1\"}"})).

other_methods_are_not_allowed(Config) ->
    [begin
         Answer = md_http:request(?config(door, Config), Method, ?PATH, #{user => none}),
         ?assertMatch({405, _, <<>>}, Answer),
         ?assertEqual(<<"OPTIONS, GET, PATCH, PUT, DELETE">>, md_http:header(<<"allow">>, Answer))
     end || Method <- [post, head, trace, "CONNECTED"]].

options_tell_the_methods(Config) ->
    Answer = md_http:request(?config(door, Config), options, ?PATH, #{}),
    ?assertMatch({200, _, <<>>}, Answer),
    ?assertEqual(<<"OPTIONS, GET, PATCH, PUT, DELETE">>, md_http:header(<<"allow">>, Answer)),
    ?assertEqual(undefined, md_http:header(<<"access-control-allow-origin">>, Answer)).

what_is_taken_and_sent_is_json(Config) ->
    [?assertEqual({Code, <<>>}, ask(Config, get, ?STATIC, #{headers => [{"accept", Accept}]}))
     || {Code, Accept} <- [{406, "text/html"}, {406, "application/json;q=0"}, {406, ""}]],
    [?assertMatch({403, _}, ask(Config, get, ?STATIC, #{headers => [{"accept", Accept}]}))
     || Accept <- ["application/json", "*/*", "text/html, application/*;q=0.5", "APPLICATION/JSON"]],
    [?assertEqual({415, <<>>}, ask(Config, Method, ?PATH, Options))
     || Method <- [put, patch], Options <- [#{body => "{}"}, #{body => "{}", headers => [{"content-type", "text/json"}]}]],
    Typed = #{body => "{\"host_type\": \"type1\"}", headers => [{"content-type", "application/json; charset=utf-8"}]},
    ?assertEqual({204, <<>>}, ask(Config, put, ?PATH, Typed)),
    ?assertEqual({204, <<>>}, ask(Config, delete, ?PATH, #{body => "{\"host_type\": \"type1\"}"})).

credentials_are_asked_for_and_compared_exactly(Config) ->
    [begin
         Answer = md_http:request((?config(door, Config))#{user => User}, get, ?PATH, #{}),
         ?assertMatch({401, _, <<>>}, Answer),
         ?assertEqual(<<"Basic realm=\"mongooseim\"">>, md_http:header(<<"www-authenticate">>, Answer)),
         ?assertEqual(undefined, md_http:header(<<"content-type">>, Answer))
     end || User <- [none, {"admin", "badsecret"}, {"Admin", "secret"}, {"admin", "secret "}, {"", ""}]],
    ?assertMatch({401, _, _}, md_http:request((?config(door, Config))#{user => none}, options, ?PATH, #{})).

without_credentials_whoever_comes_is_the_admin(Config) ->
    with_another_node(environment(?config(database, Config), #{username => undefined}), fun(Door) ->
        ?assertMatch({404, _, _}, md_http:request(Door#{user => none}, get, ?PATH, #{})),
        ?assertMatch({404, _, _}, md_http:request(Door#{user => none}, get, ?PATH,
                                                  #{headers => [{"authorization", "Bearer x"}]})),
        ?assertMatch({401, _, <<>>}, md_http:request(Door, get, ?PATH, #{}))
    end).

without_a_database_there_are_no_dynamic_domains(Config) ->
    with_another_node(maps:remove(service_domain_db, environment(?config(database, Config), #{})), fun(Door) ->
        Disabled = <<"\"Dynamic domains service is disabled\"">>,
        [?assertMatch({403, _, Disabled}, md_http:request(Door, Method, Path, Options))
         || Path <- [?PATH, ?STATIC, "/api/domains/%f3"],
            {Method, Options} <- [{get, #{}}, {put, ?TYPE1}, {delete, #{}}, {patch, #{json => "{}"}}]]
    end).

a_failing_database_is_an_error_that_says_whether_anything_changed(Config) ->
    Client = ?config(client, Config),
    Unchanged = <<"\"Database error: nothing was changed\"">>,
    NoAnswer = <<"\"Database error: there is no answer\"">>,
    ok = md_rows:hide(Client),
    try
        ?assertEqual({500, NoAnswer}, ask(Config, get, ?PATH, #{})),
        [?assertEqual({500, Unchanged}, ask(Config, Method, ?PATH, Options))
         || {Method, Options} <- [{put, ?TYPE1}, {delete, ?TYPE1}, {patch, #{json => "{\"enabled\": true}"}}]]
    after
        ok = md_rows:show(Client)
    end.

%% Each request has the expected fault and all faults that are checked later.
faults_are_reported_in_the_peers_order(Config) ->
    Door = ?config(door, Config),
    Bad = "/api/domains/%f3",
    Html = {"accept", "text/html"},
    Code = fun(Method, Path, Options) -> element(1, md_http:request(Door, Method, Path, Options)) end,
    ?assertEqual(405, Code(post, Bad, #{user => {"x", "y"}, headers => [Html], body => "{"})),
    ?assertEqual(401, Code(put, Bad, #{user => {"x", "y"}, headers => [Html], body => "{"})),
    ?assertEqual(406, Code(put, Bad, #{headers => [Html], body => "{"})),
    ?assertEqual(415, Code(put, Bad, #{body => "{"})),
    ?assertMatch({400, <<"\"Invalid domain name\"">>}, ask(Config, put, Bad, #{json => "{"})),
    ?assertMatch({400, <<"\"Invalid request body\"">>}, ask(Config, put, ?STATIC, #{json => "{"})),
    ?assertMatch({400, <<"\"'host_type' field is missing\"">>}, ask(Config, put, ?STATIC, #{json => "{}"})),
    ?assertMatch({403, <<"\"Domain is static\"">>}, ask(Config, put, ?STATIC, #{json => "{\"host_type\": 1}"})).

ask(Config, Method, Path, Options) ->
    {Code, Headers, Body} = md_http:request(?config(door, Config), Method, Path, Options),
    [?assertEqual(<<"application/json">>, proplists:get_value(<<"content-type">>, Headers)) || Body =/= <<>>],
    {Code, Body}.

row(Config, HostType, Status) ->
    Values = io_lib:format("('a.example', '~s', ~b)", [HostType, Status]),
    [] = md_client:query(?config(client, Config),
                         ["INSERT INTO domain_settings (domain, host_type, status) VALUES ", Values]).

with_another_node(Environment, Fun) ->
    Admin = maps:filter(fun(_, Value) -> Value =/= undefined end, map_get(admin, Environment)),
    Known = case Admin of #{username := _} -> Admin; _ -> maps:remove(password, Admin) end,
    Fun(md_http:door(md_node:start(Environment#{admin => Known}))).
