%% Rows and events that are invalid on this node: each is reported once, and none stops the others.
%%
%% A bad row stays bad for months and appears with every event of its domain, and a node without a certain host type may
%% meet very many. So these tests count the reports by their names.
-module(bad_rows_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_load_reports_each_bad_row_once_and_serves_the_rest/1,
         events_about_bad_rows_are_reported_once_and_the_rest_is_followed/1,
         a_static_domain_stays_whatever_the_database_says/1,
         a_row_that_turns_bad_loses_its_route/1,
         a_row_that_was_good_in_between_is_reported_again/1,
         the_host_type_of_another_nodes_domains_is_no_ones_loss/1,
         a_flood_of_bad_rows_in_a_load_is_counted/1,
         a_flood_of_bad_events_is_counted/1,
         a_row_that_cannot_be_read_is_left_out_counted_and_named_everywhere/1]).

-define(HOUR, 3600000).
-define(GOOD, [<<"good.example">>, <<"zz.good.example">>]).
-define(UNKNOWN_HOST_TYPE, ignore_domain_from_db_with_unknown_host_type).
-define(INVALID_NAME, ignore_domain_from_db_with_invalid_name).
-define(UNKNOWN_STATUS, ignore_domain_from_db_with_unknown_status).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_load_reports_each_bad_row_once_and_serves_the_rest,
     events_about_bad_rows_are_reported_once_and_the_rest_is_followed,
     a_static_domain_stays_whatever_the_database_says,
     a_row_that_turns_bad_loses_its_route,
     a_row_that_was_good_in_between_is_reported_again,
     the_host_type_of_another_nodes_domains_is_no_ones_loss,
     a_flood_of_bad_rows_in_a_load_is_counted,
     a_flood_of_bad_events_is_counted,
     a_row_that_cannot_be_read_is_left_out_counted_and_named_everywhere].

init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create(options(Case))),
        [{database, Database}, {writer, md_client:open(Database)} | Config]
    end).

%% SQL_ASCII accepts any bytes as text.
options(a_row_that_cannot_be_read_is_left_out_counted_and_named_everywhere) ->
    "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
options(_Case) ->
    "".

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

start(Config, HostTypes) ->
    Node = md_node:start(#{
        hosts => [{<<"static.example">>, <<"static type">>}],
        host_types => HostTypes,
        service_domain_db => #{database => ?config(database, Config), poll_interval => ?HOUR}
    }),
    ok = md_node:sync(Node),
    Node.

start(Config) ->
    start(Config, [<<"type1">>, <<"type2">>]).

%% Bad rows among good ones. The longest name fits the column, which counts characters, but it has more bytes than a
%% domain may have.
bad_rows() ->
    [{add, <<"type1">>, [<<"a.good.example">>]},
     {add, <<"type1">>, invalid_names()},
     {add, <<"nowhere">>, [<<"unknown.example">>]},
     {add, <<"type1">>, [<<"static.example">>]},
     {add, <<"type1">>, [<<"status.example">>]},
     {status, 7, [<<"status.example">>]},
     {add, <<"type1">>, ?GOOD}].

invalid_names() ->
    [<<"UPPER.example">>, binary:copy(<<"é"/utf8>>, 250), <<"private-", 16#E000/utf8>>].

routes_of_good_rows() ->
    maps:from_list([{Name, <<"type1">>} || Name <- [<<"a.good.example">> | ?GOOD]]).

%% The bad rows that the node reported, each with the number of its reports.
reports(Node) ->
    Names = [?UNKNOWN_HOST_TYPE, ?INVALID_NAME, ?UNKNOWN_STATUS, domain_static_but_in_db, domain_static_but_was_in_db],
    lists:sort([{Name, Domain} || Name <- Names, {error, #{domain := Domain}} <- md_node:logged(Node, Name)]).

each_once() ->
    lists:sort([{?INVALID_NAME, Name} || Name <- invalid_names()]
        ++ [{?UNKNOWN_HOST_TYPE, <<"unknown.example">>}, {domain_static_but_in_db, <<"static.example">>},
            {?UNKNOWN_STATUS, <<"status.example">>}]).

bad_domains() ->
    [Domain || {_, Domain} <- each_once()].

a_load_reports_each_bad_row_once_and_serves_the_rest(Config) ->
    ok = md_writer:write(?config(writer, Config), bad_rows()),
    Node = start(Config),
    ?assertEqual(routes_of_good_rows(), md_node:routes(Node)),
    ?assertEqual(each_once(), reports(Node)),
    ?assertMatch([{error, #{host_type := <<"nowhere">>}}], md_node:logged(Node, ?UNKNOWN_HOST_TYPE)),
    ?assertMatch([{error, #{status := 7}}], md_node:logged(Node, ?UNKNOWN_STATUS)),
    [?assertMatch({error, #{reason := <<_, _/binary>>}}, Report) || Report <- md_node:logged(Node, ?INVALID_NAME)],
    %% Events for rows that are as bad as before cause no new reports.
    [begin
        ok = md_writer:add_events(?config(writer, Config), bad_domains() ++ bad_domains() ++ ?GOOD),
        ok = md_node:sync(Node)
     end || _ <- [1, 2]],
    ?assertEqual(each_once(), reports(Node)),
    ?assertEqual(routes_of_good_rows(), md_node:routes(Node)).

events_about_bad_rows_are_reported_once_and_the_rest_is_followed(Config) ->
    Node = start(Config),
    ok = md_writer:write(?config(writer, Config), bad_rows()),
    ok = md_writer:add_events(?config(writer, Config), bad_domains()),
    ok = md_node:sync(Node),
    ?assertEqual(routes_of_good_rows(), md_node:routes(Node)),
    ?assertEqual(each_once(), reports(Node)),
    ok = md_writer:add_events(?config(writer, Config), bad_domains()),
    ok = md_node:sync(Node),
    ?assertEqual(each_once(), reports(Node)).

a_static_domain_stays_whatever_the_database_says(Config) ->
    Node = start(Config),
    Writer = ?config(writer, Config),
    Follow = fun(Change) ->
        ok = md_writer:write(Writer, [Change]),
        ok = md_node:sync(Node),
        ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, <<"static.example">>)),
        ?assertEqual([], md_node:call(Node, mongoose_domain_api, get_all_dynamic, []))
    end,
    Follow({add, <<"type1">>, [<<"static.example">>]}),
    ?assertEqual([{domain_static_but_in_db, <<"static.example">>}], reports(Node)),
    Follow({move, <<"type2">>, [<<"static.example">>]}),
    ?assertEqual([{domain_static_but_in_db, <<"static.example">>}], reports(Node)),
    Follow({disable, [<<"static.example">>]}),
    Follow({delete, [<<"static.example">>]}),
    ?assertEqual([{domain_static_but_in_db, <<"static.example">>}, {domain_static_but_was_in_db, <<"static.example">>}],
                 reports(Node)).

a_row_that_turns_bad_loses_its_route(Config) ->
    Writer = ?config(writer, Config),
    ok = md_writer:write(Writer, [{add, <<"type1">>, [<<"a.example">>, <<"b.example">> | ?GOOD]}]),
    Node = start(Config),
    ok = md_writer:write(Writer, [{move, <<"nowhere">>, [<<"a.example">>]}, {status, 3, [<<"b.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual(maps:from_list([{Name, <<"type1">>} || Name <- ?GOOD]), md_node:routes(Node)),
    ?assertEqual(lists:sort([{?UNKNOWN_HOST_TYPE, <<"a.example">>}, {?UNKNOWN_STATUS, <<"b.example">>}]), reports(Node)).

a_row_that_was_good_in_between_is_reported_again(Config) ->
    Writer = ?config(writer, Config),
    ok = md_writer:write(Writer, [{add, <<"nowhere">>, [<<"a.example">>]}]),
    Node = start(Config),
    [begin
        ?assertEqual({error, not_found}, md_node:lookup(Node, <<"a.example">>)),
        ?assertEqual(Time, md_node:count(Node, ?UNKNOWN_HOST_TYPE)),
        ok = md_writer:write(Writer, [{move, <<"type2">>, [<<"a.example">>]}]),
        ok = md_node:sync(Node),
        ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, <<"a.example">>)),
        ok = md_writer:write(Writer, [{move, <<"nowhere">>, [<<"a.example">>]}]),
        ok = md_node:sync(Node)
     end || Time <- [1, 2, 3]].

%% Two nodes with different host types share a database. Each serves its own domains.
the_host_type_of_another_nodes_domains_is_no_ones_loss(Config) ->
    ok = md_writer:write(?config(writer, Config), [{add, <<"type1">>, [<<"a.example">>]}, {add, <<"type2">>, [<<"b.example">>]}]),
    One = start(Config, [<<"type1">>]),
    Other = start(Config, [<<"type2">>]),
    ?assertEqual(#{<<"a.example">> => <<"type1">>}, md_node:routes(One)),
    ?assertEqual(#{<<"b.example">> => <<"type2">>}, md_node:routes(Other)),
    ?assertEqual([{?UNKNOWN_HOST_TYPE, <<"b.example">>}], reports(One)),
    ?assertEqual([{?UNKNOWN_HOST_TYPE, <<"a.example">>}], reports(Other)).

a_flood_of_bad_rows_in_a_load_is_counted(Config) ->
    ok = md_writer:write(?config(writer, Config), flood()),
    Node = start(Config),
    assert_counted(Node),
    %% The same rows cause no second report.
    ok = md_writer:add_events(?config(writer, Config), flooding()),
    ok = md_node:sync(Node),
    assert_counted(Node).

a_flood_of_bad_events_is_counted(Config) ->
    Node = start(Config),
    ok = md_writer:write(?config(writer, Config), flood()),
    ok = md_node:sync(Node),
    assert_counted(Node).

flooding() ->
    md_names:numbered(<<"flood-">>, 5000).

flood() ->
    [{add, <<"type1">>, [<<"a.good.example">>]}, {add, <<"nowhere">>, flooding()}, {add, <<"type1">>, ?GOOD}].

assert_counted(Node) ->
    ?assertEqual(routes_of_good_rows(), md_node:routes(Node)),
    ?assertEqual(100, md_node:count(Node, ?UNKNOWN_HOST_TYPE)),
    ?assertMatch([{error, #{count := 4900}}], md_node:logged(Node, ignore_more_domains_from_db)).

a_row_that_cannot_be_read_is_left_out_counted_and_named_everywhere(Config) ->
    Writer = ?config(writer, Config),
    ok = md_writer:write(Writer, [{add, <<"type1">>, ?GOOD}]),
    [[] = md_client:query(Writer, Sql)
     || Sql <- ["INSERT INTO domain_settings (domain, host_type, status) VALUES (E'h\\xff', 'type1', 2)",
                "INSERT INTO domain_events (domain) VALUES (E'h\\xff')", md_database:statements("removals.sql"),
                "INSERT INTO domain_removals (domain, host_type, owner, lease_until) VALUES (E'h\\xff', 'type1', 'one', 9999999999999)"]],
    Node = md_node:start(md_door:environment(?config(database, Config))),
    ok = md_node:sync(Node),
    ?assertEqual(lists:sort(?GOOD), lists:sort(maps:keys(md_node:routes(Node)))),
    Named = <<"domain_settings \"h\\xff\": domain is not UTF-8">>,
    Api = fun(Function, Args) -> md_node:call(Node, mongoose_domain_api, Function, Args) end,
    [?assertEqual(?GOOD, [Domain || #{domain := Domain} <- Api(get_all_domains, [])]) || _ <- [1, 2]],
    ?assertMatch({ok, #{left_out := #{count := 1, examples := [Named]}}}, Api(list_domains, [#{}])),
    %% The pages contain the good rows, too, and the listing does not stop at a bad one.
    ?assertMatch({ok, #{domains := [#{domain := <<"good.example">>}], left_out := #{count := 0}}}, Api(list_domains, [#{limit => 1}])),
    ?assertMatch({ok, #{domains := [#{domain := <<"zz.good.example">>}], left_out := #{count := 1}}},
                 Api(list_domains, [#{limit => 1, 'after' => <<"good.example">>}])),
    ?assertEqual(?GOOD, [Domain || #{domain := Domain} <- Api(get_changes, [0, 1000])]),
    ?assertEqual([], Api(get_removals, [])),
    %% Each is logged once, however often it is listed.
    ?assertEqual(3, md_node:count(Node, domain_rows_left_out)),
    Checks = maps:from_list([{Name, Check} || #{name := Name} = Check <- md_node:call(Node, mongoose_domain_doctor, examine, [])]),
    #{<<"rows">> := #{state := warning, found := Rows}, <<"removals">> := #{state := warning, found := Removals}} = Checks,
    [?assertNotEqual(nomatch, binary:match(Found, <<"h\\xff">>)) || Found <- [Rows, Removals]],
    %% The door answers the same.
    Door = md_http:door(Node),
    {200, _, Page} = md_http:request(Door, get, "/api/domains", #{}),
    ?assertMatch(#{<<"domains">> := [_, _], <<"left_out">> := #{<<"count">> := 1, <<"examples">> := [Named]}}, md_json:decode(Page)),
    {200, _, None} = md_http:request(Door, get, "/api/removals", #{}),
    ?assertEqual(#{<<"removals">> => []}, md_json:decode(None)),
    {ok, All} = md_graphql:call(Door, "allDomains", "{domain}"),
    ?assertEqual(lists:sort([<<"static.example">> | ?GOOD]), [Domain || #{<<"domain">> := Domain} <- All]).
