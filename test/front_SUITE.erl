%% The answer at the root of the door: a page for a browser, a little JSON for a program. Neither contains anything
%% about the node's domains.
-module(front_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_browser_is_shown_where_the_doors_are_and_nothing_of_the_domains/1,
         the_page_loads_nothing_and_lets_nothing_in/1,
         it_says_whether_the_node_is_ready_and_asks_no_database/1,
         a_program_gets_a_little_json/1]).

-define(HTML, [{"accept", "text/html,application/xhtml+xml,*/*;q=0.8"}]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

%% The node starts while its database is away.
init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Client = md_client:open(Database),
        ok = md_writer:write(Client, [{add, <<"type1">>, [<<"a.example">>]}]),
        Gate = md_gate:start(md_database:port(Database)),
        Node = md_node:start(md_door:environment(md_database:with_port(Database, md_gate:port(Gate)))),
        [{database, Database}, {gate, Gate}, {node, Node}, {door, md_http:door(Node)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

page(Config) ->
    {200, _, Page} = Answer = front(Config, ?HTML),
    ?assertEqual(<<"text/html; charset=utf-8">>, md_http:header(<<"content-type">>, Answer)),
    Page.

front(Config, Headers) ->
    md_http:request(maps:remove(user, ?config(door, Config)), get, "/", #{headers => Headers}).

a_browser_is_shown_where_the_doors_are_and_nothing_of_the_domains(Config) ->
    ok = md_gate:open(?config(gate, Config)),
    ok = md_node:wait_until_following(?config(node, Config)),
    Page = page(Config),
    Links = [Link || [Link] <- captured(Page, "href=\"([^\"]*)\"")],
    ?assert(length(Links) >= 8),
    [?assertMatch({Link, {200, _, _}}, {Link, md_http:request(?config(door, Config), get, Link, #{})})
     || Link <- Links, Link =/= <<"/api/graphql">>],
    ?assertMatch({200, _, _}, md_http:request(?config(door, Config), get, "/api/graphql", #{headers => ?HTML})),
    nothing_of_the_domains(Page).

nothing_of_the_domains(Told) ->
    Secrets = [<<"a.example">>, <<"static.example">>, <<"type1">>, <<"type2">>, <<"static type">>, <<"nonode">>, <<"postgres">>],
    ?assertEqual([], [Secret || Secret <- Secrets, binary:match(Told, Secret) =/= nomatch]).

the_page_loads_nothing_and_lets_nothing_in(Config) ->
    {200, _, Page} = Answer = front(Config, ?HTML),
    ?assertEqual(nomatch, re:run(Page, "<script|\\bsrc=|<link|<img|<form|url\\(|@import|https?:|\\bon[a-z]+=", [caseless])),
    [[Style]] = captured(Page, "<style>(.*)</style>"),
    Hash = base64:encode(crypto:hash(sha256, Style)),
    Policy = <<"default-src 'none'; style-src 'sha256-", Hash/binary, "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'">>,
    ?assertEqual(Policy, md_http:header(<<"content-security-policy">>, Answer)),
    [?assertEqual(Value, md_http:header(Name, Answer))
     || {Name, Value} <- [{<<"x-content-type-options">>, <<"nosniff">>}, {<<"cache-control">>, <<"no-store">>}]].

it_says_whether_the_node_is_ready_and_asks_no_database(Config) ->
    Says = fun(Words) -> binary:match(page(Config), Words) =/= nomatch end,
    md_wait:until(fun() -> Says(<<"The node is not ready: it has no domains from its database yet (away).">>) end),
    ok = md_gate:open(?config(gate, Config)),
    md_wait:until(fun() -> Says(<<"The node is ready: it serves its domains.">>) end),
    ok = md_gate:hush(?config(gate, Config)),
    ?assert(Says(<<"The node is ready: it serves its domains.">>)).

a_program_gets_a_little_json(Config) ->
    ok = md_gate:open(?config(gate, Config)),
    ok = md_node:wait_until_following(?config(node, Config)),
    [begin
         {200, _, Body} = Answer = front(Config, Headers),
         ?assertEqual(<<"application/json">>, md_http:header(<<"content-type">>, Answer)),
         #{<<"service">> := <<"mongoose_domain">>, <<"ready">> := true, <<"doors">> := Doors} = md_json:decode(Body),
         ?assert(lists:member(<<"/api/openapi.json">>, Doors)),
         nothing_of_the_domains(Body)
     end || Headers <- [[], [{"accept", "*/*"}], [{"accept", "application/json"}]]],
    ?assertMatch({405, _, _}, md_http:request(?config(door, Config), post, "/", #{})).

captured(Text, Pattern) ->
    {match, Found} = re:run(Text, Pattern, [global, dotall, {capture, all_but_first, binary}]),
    Found.
