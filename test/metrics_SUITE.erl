%% Monitoring: /metrics, /healthz and /readyz of a real node with a real PostgreSQL. md_prometheus parses the metrics;
%% each family is present and has the right values after each case.
-module(metrics_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([every_family_is_there/1,
         domains_are_counted_by_host_type_and_source/1,
         the_memory_of_the_table_is_reported_everywhere/1,
         lookups_are_counted_by_what_they_found/1,
         the_follower_reports_what_it_does/1,
         a_silent_change_is_a_repair/1,
         kept_routes_are_counted_by_host_type/1,
         seconds_to_each_expiry_are_reported/1,
         jobs_of_removal_are_counted_by_state/1,
         failures_of_the_database_are_counted/1,
         counters_outlive_the_service/1,
         while_the_database_is_away_the_rest_is_reported/1,
         while_the_database_says_nothing_the_rest_is_reported_in_time/1,
         while_the_service_is_busy_nothing_waits_for_it/1,
         requests_are_timed_by_door_and_code/1,
         metrics_ask_for_credentials_and_health_does_not/1,
         a_node_is_ready_after_the_first_load_and_stays_so/1,
         a_warm_start_counts_as_ready/1,
         a_node_without_a_database_is_ready/1,
         a_label_with_any_text_is_escaped/1]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(FAMILIES, [<<"mongoose_domain_", Name/binary>> || Name <- [
    <<"convergence_repairs_total">>, <<"database_errors_total">>, <<"database_up">>, <<"domains">>,
    <<"follower_events_total">>, <<"follower_lag_events">>, <<"follower_lag_seconds">>, <<"follower_loads_total">>,
    <<"follower_oldest_gap_seconds">>, <<"follower_open_gaps">>, <<"follower_stale">>, <<"follower_state">>, <<"freshness_expires_in_seconds">>,
    <<"kept_routes">>, <<"lookups_total">>, <<"ready">>, <<"removals">>, <<"request_duration_seconds">>,
    <<"service_enabled">>, <<"table_bytes">>]]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

%% Starts a node behind an open gate. The cases about a node's start use nodes of their own.
init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Client = md_client:open(Database),
        Gate = md_gate:start(md_database:port(Database)),
        Url = md_database:with_port(Database, md_gate:port(Gate)),
        Common = [{database, Database}, {client, Client}, {gate, Gate}, {url, Url} | Config],
        case lists:member(Case, [a_node_is_ready_after_the_first_load_and_stays_so, a_warm_start_counts_as_ready,
                                 a_node_without_a_database_is_ready, a_label_with_any_text_is_escaped]) of
            true -> Common;
            false ->
                ok = md_gate:open(Gate),
                Node = md_node:start(environment(Common, #{})),
                ok = md_node:wait_until_following(Node),
                [{node, Node}, {door, md_http:door(Node)} | Common]
        end
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

environment(Config, Options) ->
    Service = #{database => ?config(url, Config), poll_interval => 200},
    #{hosts => [{<<"static.example">>, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => maps:merge(Service, Options),
      admin => #{port => 0, username => "admin", password => "secret"}}.

every_family_is_there(Config) ->
    First = scrape(Config),
    ?assertEqual(?FAMILIES, md_prometheus:families(First)),
    %% Nothing is declared, so this family alone is empty. The first scrape is the first request that is counted.
    Second = whole_scrape(Config),
    Empty = [Family || Family <- md_prometheus:families(Second),
                       md_prometheus:samples(Second, binary_to_list(Family)) =:= []],
    ?assertEqual([<<"mongoose_domain_freshness_expires_in_seconds">>], Empty),
    ok = md_prometheus:only_grew(First, Second).

domains_are_counted_by_host_type_and_source(Config) ->
    ?assertEqual({1.0, 0.0}, domains(Config, <<"static type">>)),
    ?assertEqual({0.0, 0.0}, domains(Config, <<"type1">>)),
    [ok, ok] = [put(Config, Domain, "type1") || Domain <- [?A, ?B]],
    ?assertEqual({0.0, 2.0}, domains(Config, <<"type1">>)),
    ok = md_writer:write(?config(client, Config), [{move, <<"type2">>, [?A]}]),
    ok = md_node:sync(?config(node, Config)),
    ?assertEqual([{0.0, 1.0}, {0.0, 1.0}], [domains(Config, HostType) || HostType <- [<<"type1">>, <<"type2">>]]).

domains(Config, HostType) ->
    Metrics = scrape(Config),
    Of = fun(Source) -> value(Metrics, "domains", #{<<"host_type">> => HostType, <<"source">> => Source}) end,
    {Of(<<"static">>), Of(<<"dynamic">>)}.

%% A hundred thousand domains take several megabytes that erlang:memory/0 does not include.
the_memory_of_the_table_is_reported_everywhere(Config) ->
    Node = ?config(node, Config),
    Empty = table_bytes(Config),
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, md_names:numbered(<<"n">>, 100000)}]),
    ok = md_node:sync(Node),
    Full = table_bytes(Config),
    [?assert(map_get(Part, Full) - map_get(Part, Empty) > Least)
     || {Part, Least} <- [{<<"entries">>, 100000 * 24}, {<<"index">>, 100000 * 8}]],
    Sum = round(lists:sum(maps:values(Full))),
    ?assertMatch(#{table_bytes := Bytes} when abs(Bytes - Sum) < 1000000, md_node:status(Node)),
    Checks = md_node:call(Node, mongoose_domain_doctor, examine, []),
    ?assertMatch([#{state := ok, found := <<"100001 domains in ", _/binary>>}],
                 [Check || #{name := <<"table">>} = Check <- Checks]).

table_bytes(Config) ->
    Samples = md_prometheus:samples(scrape(Config), "mongoose_domain_table_bytes"),
    maps:from_list([{Part, Value} || {#{<<"part">> := Part}, Value} <- Samples]).

lookups_are_counted_by_what_they_found(Config) ->
    Before = scrape(Config),
    Names = lists:duplicate(30, <<"static.example">>) ++ lists:duplicate(12, ?A),
    _ = md_node:lookups(?config(node, Config), Names),
    After = scrape(Config),
    Count = fun(Metrics, Result) -> value(Metrics, "lookups_total", #{<<"result">> => Result}) end,
    Counted = [Count(After, Result) - Count(Before, Result) || Result <- [<<"hit">>, <<"miss">>]],
    ?assertEqual([30.0, 12.0], Counted).

the_follower_reports_what_it_does(Config) ->
    ok = put(Config, ?A, "type1"),
    ok = md_node:sync(?config(node, Config)),
    Metrics = scrape(Config),
    All = md_prometheus:samples(Metrics, "mongoose_domain_follower_state"),
    States = [State || {#{<<"state">> := State}, 1.0} <- All],
    ?assertEqual([<<"following">>], States),
    Of = fun(Name) -> value(Metrics, Name, #{}) end,
    ?assertEqual([0.0, 0.0, 0.0, 0.0], [Of(Name) || Name <- ["follower_lag_events", "follower_lag_seconds",
                                                             "follower_open_gaps", "follower_stale"]]),
    ?assertEqual([1.0, 1.0, 1.0], [Of(Name) || Name <- ["service_enabled", "ready", "database_up"]]),
    ?assertEqual({1.0, 1.0}, {Of("follower_loads_total"), Of("follower_events_total")}).

a_silent_change_is_a_repair(Config) ->
    ok = put(Config, ?A, "type1"),
    %% What an event explains that a comparison reads is no repair.
    ok = md_node:sync(?config(node, Config)),
    ?assertEqual([0.0, 0.0, 0.0], repairs(Config)),
    sql(Config, "UPDATE domain_settings SET host_type = 'type2'"),
    sql(Config, ["INSERT INTO domain_settings (domain, host_type) VALUES ",
                 "('b.example', 'type1'), ('c.example', 'type1')"]),
    {ok, _} = md_node:call(?config(node, Config), service_domain_db, converge, []),
    ?assertEqual([2.0, 1.0, 0.0], repairs(Config)),
    sql(Config, "DELETE FROM domain_settings WHERE domain = 'a.example'"),
    {ok, _} = md_node:call(?config(node, Config), service_domain_db, converge, []),
    ?assertEqual([2.0, 1.0, 1.0], repairs(Config)).

repairs(Config) ->
    Metrics = scrape(Config),
    [value(Metrics, "convergence_repairs_total", #{<<"repair">> => Repair})
     || Repair <- [<<"added">>, <<"changed">>, <<"removed">>]].

kept_routes_are_counted_by_host_type(Config) ->
    [ok = put(Config, Domain, "type1") || Domain <- [?A, ?B]],
    %% An event that is read after its row is gone removes the route.
    ok = md_node:sync(?config(node, Config)),
    sql(Config, "DELETE FROM domain_settings"),
    {ok, #{kept := 2}} = md_node:call(?config(node, Config), service_domain_db, converge, []),
    Kept = fun(HostType) -> value(scrape(Config), "kept_routes", #{<<"host_type">> => HostType}) end,
    ?assertEqual([2.0, 0.0], [Kept(HostType) || HostType <- [<<"type1">>, <<"type2">>]]),
    ok = md_node:call(?config(node, Config), mongoose_domain_freshness, upsert, [<<"type1">>, 0]),
    md_wait:until(fun() -> Kept(<<"type1">>) end, 0.0).

seconds_to_each_expiry_are_reported(Config) ->
    [ok = md_node:call(?config(node, Config), mongoose_domain_freshness, upsert, [HostType, TTL])
     || {HostType, TTL} <- [{<<"type1">>, 1000}, {<<"type2">>, 0}, {<<"elsewhere">>, 1}]],
    sql(Config, "UPDATE domain_freshness SET expire_time = 1 WHERE domain = 'elsewhere'"),
    Metrics = whole_scrape(Config),
    Left = fun(HostType) -> value(Metrics, "freshness_expires_in_seconds", #{<<"host_type">> => HostType}) end,
    %% The present time and the declaration are rounded, and a part of a second counts as a whole one.
    ?assertMatch(Seconds when Seconds > 0.0 andalso Seconds =< 1001.0, Left(<<"type1">>)),
    ?assertEqual([infinity, 0.0], [Left(<<"type2">>), Left(<<"elsewhere">>)]).

jobs_of_removal_are_counted_by_state(Config) ->
    Node = ?config(node, Config),
    ok = put(Config, ?A, "type1"),
    ok = md_node:call(Node, md_handlers, register, [<<"type1">>, first, 1]),
    ok = md_node:call(Node, md_handlers, behave, [first, {error, on_purpose}]),
    {500, _, _} = ask(Config, delete, "/api/domains/a.example", #{json => "{\"host_type\": \"type1\"}"}),
    ?assertEqual([1.0, 0.0, 0.0], removals(Config)),
    ok = md_node:call(Node, md_handlers, behave, [first, wait]),
    ok = put(Config, ?B, "type1"),
    Later = "{\"host_type\": \"type1\", \"request\": true}",
    {202, _, _} = ask(Config, delete, "/api/domains/b.example", #{json => Later}),
    ?assertEqual([1.0, 1.0, 0.0], removals(Config)),
    ok = md_node:call(Node, md_handlers, behave, [first, ok]),
    md_wait:until(fun() -> removals(Config) end, [1.0, 0.0, 0.0]).

removals(Config) ->
    Metrics = whole_scrape(Config),
    [value(Metrics, "removals", #{<<"state">> => State}) || State <- [<<"failed">>, <<"running">>, <<"orphaned">>]].

failures_of_the_database_are_counted(Config) ->
    ?assertEqual({0.0, 0.0}, errors(scrape(Config))),
    ok = md_rows:hide(?config(client, Config)),
    {500, _, _} = ask(Config, get, "/api/domains/a.example", #{}),
    %% The follower may have read the database meanwhile.
    ?assertMatch({_, 1.0}, errors(scrape(Config))),
    {error, _} = md_node:call(?config(node, Config), service_domain_db, converge, []),
    {Follower, _} = errors(scrape(Config)),
    ?assert(Follower >= 1.0),
    ok = md_rows:show(?config(client, Config)),
    ok = md_node:wait_until_following(?config(node, Config)).

errors(Metrics) ->
    By = fun(Who) -> value(Metrics, "database_errors_total", #{<<"asked_by">> => Who}) end,
    {By(<<"follower">>), By(<<"operations">>)}.

counters_outlive_the_service(Config) ->
    Node = ?config(node, Config),
    a_silent_change_is_a_repair(Config),
    ok = md_rows:hide(?config(client, Config)),
    {500, _, _} = ask(Config, get, "/api/domains/a.example", #{}),
    ok = md_rows:show(?config(client, Config)),
    Before = {errors(scrape(Config)), repairs(Config)},
    [begin
         Pid = md_node:call(Node, erlang, whereis, [Name]),
         true = md_node:call(Node, erlang, exit, [Pid, kill]),
         md_wait:until(fun() -> lists:member(md_node:call(Node, erlang, whereis, [Name]), [Pid, undefined]) end, false)
     end || Name <- [service_domain_db, mongoose_domain_operations]],
    ok = md_node:wait_until_following(Node),
    {{FollowerBefore, Operations}, Repairs} = Before,
    {Follower, _} = Errors = errors(scrape(Config)),
    ?assertEqual({{Follower, Operations}, Repairs}, {Errors, repairs(Config)}),
    ?assert(Follower >= FollowerBefore).

while_the_database_is_away_the_rest_is_reported(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, mongoose_domain_freshness, upsert, [<<"type1">>, 0]),
    ok = put(Config, ?A, "type1"),
    ok = md_gate:close(?config(gate, Config)),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    Metrics = scrape(Config),
    ?assertEqual(?FAMILIES, md_prometheus:families(Metrics)),
    ?assertEqual(0.0, value(Metrics, "database_up", #{})),
    ?assertEqual(1.0, value(Metrics, "follower_state", #{<<"state">> => <<"away">>})),
    ?assertEqual({0.0, 1.0}, domains(Config, <<"type1">>)),
    [?assertEqual([], md_prometheus:samples(Metrics, "mongoose_domain_" ++ Family))
     || Family <- ["freshness_expires_in_seconds", "removals"]],
    {Follower, Operations} = errors(Metrics),
    ?assert(Follower >= 1.0),
    ?assertEqual(0.0, Operations),
    ok = md_gate:open(?config(gate, Config)),
    md_wait:until(fun() -> value(scrape(Config), "database_up", #{}) end, 1.0),
    ok = md_prometheus:only_grew(Metrics, scrape(Config)).

%% The door answers 503 for a node that takes longer than two seconds.
while_the_database_says_nothing_the_rest_is_reported_in_time(Config) ->
    ok = md_gate:hush(?config(gate, Config)),
    Metrics = scrape(Config),
    ?assertEqual(0.0, value(Metrics, "database_up", #{})),
    ?assertEqual({1.0, 0.0}, domains(Config, <<"static type">>)),
    ok = md_gate:open(?config(gate, Config)),
    md_wait:until(fun() -> value(scrape(Config), "database_up", #{}) end, 1.0).

while_the_service_is_busy_nothing_waits_for_it(Config) ->
    Node = ?config(node, Config),
    [ok = md_node:call(Node, sys, suspend, [Name]) || Name <- [service_domain_db, mongoose_domain_operations]],
    ?assertEqual(1.0, value(scrape(Config), "follower_state", #{<<"state">> => <<"following">>})),
    ?assertEqual({200, <<"ready\n">>}, told(Config, "/readyz")),
    [ok = md_node:call(Node, sys, resume, [Name]) || Name <- [service_domain_db, mongoose_domain_operations]],
    md_wait:until(fun() -> value(scrape(Config), "database_up", #{}) end, 1.0).

requests_are_timed_by_door_and_code(Config) ->
    ok = put(Config, ?A, "type1"),
    {404, _, _} = ask(Config, get, "/api/domains/b.example", #{}),
    [{404, _, _} = ask(Config, get, "/nowhere", #{}) || _ <- [1, 2]],
    [{200, _} = told(Config, Path) || Path <- ["/healthz", "/readyz"]],
    First = scrape(Config),
    Second = scrape(Config),
    Count = fun(Metrics, Door, Class) ->
        value(Metrics, "request_duration_seconds_count", #{<<"door">> => Door, <<"code">> => Class})
    end,
    ?assertEqual([1.0, 1.0, 2.0, 2.0, absent, 1.0],
                 [Count(First, <<"rest">>, <<"2xx">>), Count(First, <<"rest">>, <<"4xx">>),
                  Count(First, <<"none">>, <<"4xx">>), Count(First, <<"health">>, <<"2xx">>),
                  Count(First, <<"metrics">>, <<"2xx">>),
                  Count(Second, <<"metrics">>, <<"2xx">>)]),
    ok = md_prometheus:only_grew(First, Second).

metrics_ask_for_credentials_and_health_does_not(Config) ->
    [?assertMatch({401, _, <<>>}, ask(Config, get, "/metrics", #{user => User})) || User <- [none, {"admin", "wrong"}]],
    {200, Headers, _} = ask(Config, get, "/metrics", #{}),
    ?assertEqual(<<"text/plain; version=0.0.4; charset=utf-8">>, proplists:get_value(<<"content-type">>, Headers)),
    ?assertEqual({200, <<"ok\n">>}, told(Config, "/healthz")),
    ?assertEqual({200, <<"ready\n">>}, told(Config, "/readyz")),
    [?assertMatch({405, _, _}, ask(Config, post, Path, #{})) || Path <- ["/metrics", "/healthz", "/readyz"]].

a_node_is_ready_after_the_first_load_and_stays_so(Config) ->
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [?A]}]),
    Gate = ?config(gate, Config),
    Node = md_node:start(environment(Config, #{})),
    Watched = [{node, Node}, {door, md_http:door(Node)} | Config],
    md_wait:until(fun() -> told(Watched, "/readyz") end, {503, <<"away\n">>}),
    ?assertEqual({200, <<"ok\n">>}, told(Watched, "/healthz")),
    ?assertEqual(0.0, value(scrape(Watched), "ready", #{})),
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> told(Watched, "/readyz") end, {200, <<"ready\n">>}),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ok = md_gate:close(Gate),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    ?assertEqual({200, <<"ready\n">>}, told(Watched, "/readyz")),
    ?assertEqual(1.0, value(scrape(Watched), "ready", #{})).

a_warm_start_counts_as_ready(Config) ->
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [?A]}]),
    ok = md_gate:open(?config(gate, Config)),
    Dir = filename:join(?config(priv_dir, Config), "warm"),
    Node = md_node:start((environment(Config, #{}))#{data_dir => Dir}),
    ok = md_node:wait_until_following(Node),
    ok = md_node:stop_application(Node),
    ok = md_gate:close(?config(gate, Config)),
    ok = md_node:start_application(Node, unchanged),
    Watched = [{node, Node}, {door, md_http:door(Node)} | Config],
    md_wait:until(fun() -> told(Watched, "/readyz") end, {200, <<"ready\n">>}),
    Metrics = scrape(Watched),
    ?assertEqual([1.0, 1.0, 0.0], [value(Metrics, Name, #{}) || Name <- ["ready", "follower_stale", "database_up"]]),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)).

a_node_without_a_database_is_ready(Config) ->
    Node = md_node:start(maps:remove(service_domain_db, environment(Config, #{}))),
    Watched = [{node, Node}, {door, md_http:door(Node)} | Config],
    ?assertEqual({200, <<"ready\n">>}, told(Watched, "/readyz")),
    Metrics = scrape(Watched),
    Values = [value(Metrics, Name, #{}) || Name <- ["service_enabled", "ready", "database_up"]],
    ?assertEqual([0.0, 1.0, absent], Values).

a_label_with_any_text_is_escaped(Config) ->
    Odd = <<"a \"type\"\\n\n{x=\"y\"} ", 16#e9/utf8>>,
    Environment = maps:remove(service_domain_db, environment(Config, #{})),
    Node = md_node:start(Environment#{hosts => [{<<"static.example">>, Odd}]}),
    ?assertEqual({1.0, 0.0}, domains([{node, Node}, {door, md_http:door(Node)} | Config], Odd)).

scrape(Config) ->
    {200, _, Text} = ask(Config, get, "/metrics", #{}),
    md_prometheus:parse(Text).

%% A scrape leaves out what the database does not tell in time.
whole_scrape(Config) ->
    Metrics = scrape(Config),
    case md_prometheus:samples(Metrics, "mongoose_domain_removals") of
        [] -> whole_scrape(Config);
        _ -> Metrics
    end.

value(Metrics, Name, Labels) ->
    md_prometheus:value(Metrics, "mongoose_domain_" ++ Name, Labels).

told(Config, Path) ->
    {Code, _, Body} = ask(Config, get, Path, #{user => none}),
    {Code, Body}.

ask(Config, Method, Path, Options) ->
    md_http:request(?config(door, Config), Method, Path, Options).

put(Config, Domain, HostType) ->
    {204, _, _} = ask(Config, put, ["/api/domains/", Domain], #{json => ["{\"host_type\": \"", HostType, "\"}"]}),
    ok.

sql(Config, Statement) ->
    [] = md_client:query(?config(client, Config), Statement),
    ok.
