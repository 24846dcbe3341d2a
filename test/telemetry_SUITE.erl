%% The events that a real node on a real PostgreSQL gives to the library `telemetry'. The library's place is taken by
%% md_telemetry.
-module(telemetry_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_change_is_an_event_with_its_results/1,
         a_removal_that_ends_is_an_event/1,
         the_follower_tells_when_the_database_goes_and_comes/1,
         a_lookup_is_no_event/1]).

-define(A, <<"a.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_change_is_an_event_with_its_results, a_removal_that_ends_is_an_event, the_follower_tells_when_the_database_goes_and_comes,
     a_lookup_is_no_event].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Gate = md_gate:start(md_database:port(Database)),
        ok = md_gate:open(Gate),
        Url = md_database:with_port(Database, md_gate:port(Gate)),
        Node = md_node:start(#{host_types => [<<"type1">>], service_domain_db => #{database => Url, poll_interval => 200}}),
        ok = md_node:wait_until_following(Node),
        ok = md_node:call(Node, md_telemetry, load, []),
        [{database, Database}, {gate, Gate}, {node, Node} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

a_change_is_an_event_with_its_results(Config) ->
    [{ok, _}, {unknown_host_type, _}] = api(Config, insert_domains, [[{?A, <<"type1">>}, {<<"b.example">>, <<"none">>}]]),
    {ok, _} = api(Config, disable_domain, [?A]),
    {ok, _} = api(Config, enable_domain, [?A]),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    [{Added, Insert} | Others] = executed(Config, [change, stop]),
    ?assertMatch(#{count := 2, failed := 1, duration := Duration} when Duration > 0, Added),
    ?assertEqual(#{change => insert, domains => [?A, <<"b.example">>], results => [ok, unknown_host_type]}, Insert),
    ?assertMatch([{#{count := 1, failed := 0}, #{change := disable, domains := [?A], results := [ok]}}, {_, #{change := enable}},
                  {_, #{change := delete}}], Others).

a_removal_that_ends_is_an_event(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, md_handlers, register, [<<"type1">>, first, 1]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    ok = md_node:call(Node, md_handlers, behave, [first, {error, on_purpose}]),
    {removal_failed, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    ok = md_node:call(Node, md_handlers, behave, [first, ok]),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    Of = #{domain => ?A, host_type => <<"type1">>},
    ?assertMatch([{#{duration := Failed}, _}, {#{duration := Done}, _}] when Failed > 0 andalso Done > 0, executed(Config, [removal, stop])),
    ?assertEqual([Of#{result => failed}, Of#{result => ok}], [Metadata || {_, Metadata} <- executed(Config, [removal, stop])]).

the_follower_tells_when_the_database_goes_and_comes(Config) ->
    ok = md_gate:close(?config(gate, Config)),
    wait_for(Config, domain_database_away),
    ok = md_gate:open(?config(gate, Config)),
    wait_for(Config, domain_database_back),
    [?assertMatch({#{open_gaps := 0, kept := 0}, #{report := #{what := Event}, state := State}} when is_atom(State), {Measured, Metadata})
     || {Measured, #{event := Event} = Metadata} <- executed(Config, [follower, status])].

wait_for(Config, Event) ->
    md_wait:until(fun() -> lists:member(Event, [Its || {_, #{event := Its}} <- executed(Config, [follower, status])]) end).

a_lookup_is_no_event(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, <<"type1">>} = md_node:lookup(?config(node, Config), ?A),
    {error, not_found} = md_node:lookup(?config(node, Config), <<"b.example">>),
    Names = md_node:call(?config(node, Config), md_telemetry, names, []),
    ?assertEqual([[mongoose_domain, change, stop]], [Name || Name <- Names, Name =/= [mongoose_domain, follower, status]]).

api(Config, Function, Arguments) ->
    md_node:call(?config(node, Config), mongoose_domain_api, Function, Arguments).

executed(Config, Event) ->
    md_node:call(?config(node, Config), md_telemetry, executed, [[mongoose_domain | Event]]).
