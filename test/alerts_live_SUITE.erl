%% The alerts of priv/observability: a real Prometheus scrapes a real node on a real PostgreSQL, each fault of
%% docs/reliability.md that an operator has to know of happens, exactly its alert fires, and ends with the fault.
%%
%% md_scraper says how the rules differ from the shipped ones: in their times alone. So on a machine that is busy an alert may
%% fire that should not: `make test-alerts' runs this suite, and `make test' runs alerts_SUITE, where promtool has the
%% shipped rules as they are.
-module(alerts_live_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([faults/0]).
-export([each_metric_of_a_rule_is_scraped/1,
         each_panel_of_the_dashboard_shows_something/1,
         nothing_fires_on_a_quiet_node/1,
         nothing_fires_in_an_hour_of_a_quiet_node_s_samples/1,
         a_node_that_is_down/1,
         a_node_that_has_loaded_nothing/1,
         a_database_that_is_away/1,
         a_follower_that_ended/1,
         a_table_that_is_not_current/1,
         changes_that_fail/1,
         routes_that_are_kept/1,
         freshness_that_nobody_declares_again/1,
         a_removal_that_failed/1,
         a_removal_that_no_node_takes_over/1,
         a_gap_that_stays_open/1,
         changes_without_events/1]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
%% Samples after which a node counts as quiet: three times as many as an alert needs here.
-define(ENOUGH, 10).

%% @doc Each alert, and the case in which it fires.
faults() ->
    [{<<"MongooseDomainNodeDown">>, a_node_that_is_down},
     {<<"MongooseDomainNotReady">>, a_node_that_has_loaded_nothing},
     {<<"MongooseDomainDatabaseAway">>, a_database_that_is_away},
     {<<"MongooseDomainFollowerEnded">>, a_follower_that_ended},
     {<<"MongooseDomainTableNotCurrent">>, a_table_that_is_not_current},
     {<<"MongooseDomainChangesFailing">>, changes_that_fail},
     {<<"MongooseDomainRoutesKept">>, routes_that_are_kept},
     {<<"MongooseDomainFreshnessEnding">>, freshness_that_nobody_declares_again},
     {<<"MongooseDomainRemovalsFailed">>, a_removal_that_failed},
     {<<"MongooseDomainRemovalsOrphaned">>, a_removal_that_no_node_takes_over},
     {<<"MongooseDomainGapsOpen">>, a_gap_that_stays_open},
     {<<"MongooseDomainChangesWithoutEvents">>, changes_without_events}].

suite() ->
    [{timetrap, {minutes, 5}}].

all() ->
    [each_metric_of_a_rule_is_scraped, each_panel_of_the_dashboard_shows_something, nothing_fires_on_a_quiet_node,
     nothing_fires_in_an_hour_of_a_quiet_node_s_samples] ++ [Case || {_Alert, Case} <- faults()].

init_per_suite(Config) ->
    md_scraper:with_programs(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() -> start(Case, Config) end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% A node behind an open gate, and a Prometheus that has scraped it.
start(Case, Config) ->
    Database = md_database:with_tables(md_database:create("")),
    Gate = md_gate:start(md_database:port(Database)),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    File = filename:join(Directory, "url"),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, md_database:with_port(Database, md_gate:port(Gate))),
    Environment = environment(File, options(Case)),
    Node = case Case of
        a_node_that_has_loaded_nothing ->
            md_node:start(Environment);
        _ ->
            ok = md_gate:open(Gate),
            Following = md_node:start(Environment),
            ok = md_node:wait_until_following(Following),
            Following
    end,
    Door = md_http:door(Node),
    [{database, Database}, {client, md_client:open(Database)}, {gate, Gate}, {node, Node}, {door, Door}, {url_file, File},
     {directory, Directory}, {scraper, md_scraper:start(?config(programs, Config), Door, Directory)} | Config].

%% The door has a port of its own, so that it is the same one after a restart. No change fails because a machine is busy.
environment(File, Options) ->
    #{hosts => [{<<"static.example">>, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => maps:merge(#{database => {file, File}, poll_interval => 200, operation_timeout => 60000}, Options),
      admin => #{port => md_edge:free_port(), username => "admin", password => "secret"}}.

options(a_table_that_is_not_current) -> #{converge_interval => 500};
options(changes_that_fail) -> #{operation_timeout => 1000};
options(_Other) -> #{}.

%% What is scraped

each_metric_of_a_rule_is_scraped(Config) ->
    Families = md_prometheus:families(scrape(Config)),
    Named = lists:usort(md_scraper:captured(md_scraper:rules(), "\\b(mongoose_domain_[a-z_]+)\\b")),
    ?assertMatch([_ | _], Named),
    ?assertEqual([], [Name || Name <- Named, not lists:member(Name, Families), not is_file(Name)]).

%% The name of the file with a password, in the comment.
is_file(Name) ->
    Name =:= <<"mongoose_domain_password">>.

each_panel_of_the_dashboard_shows_something(Config) ->
    ok = md_node:call(?config(node, Config), mongoose_domain_freshness, upsert, [<<"type1">>, 1000]),
    %% A panel of requests that fail shows something once one has failed.
    ok = md_node:call(?config(node, Config), sys, suspend, [mongoose_domain_admin]),
    {503, _, _} = md_http:request(?config(door, Config), get, "/healthz", #{user => none}),
    ok = md_node:call(?config(node, Config), sys, resume, [mongoose_domain_admin]),
    #{<<"panels">> := Panels, <<"schemaVersion">> := 38} = md_scraper:dashboard(),
    Ids = [Id || #{<<"id">> := Id} <- Panels],
    ?assertEqual(Ids, lists:usort(Ids)),
    Shown = [{Title, Expression} || #{<<"title">> := Title, <<"targets">> := Targets} <- Panels, #{<<"expr">> := Expression} <- Targets],
    [md_wait:until(fun() -> {Title, query(Config, Expression) =/= []} end, {Title, true}) || {Title, Expression} <- Shown].

%% As Grafana fills in its variables.
query(Config, Expression) ->
    Filled = lists:foldl(fun({Variable, Value}, Text) -> string:replace(Text, Variable, Value, all) end, Expression,
                         [{"$job", ".*"}, {"$instance", ".*"}, {"$__rate_interval", "1m"}]),
    md_scraper:query(?config(scraper, Config), Filled).

%% Quiet

%% Domains come and go, and are declared fresh.
nothing_fires_on_a_quiet_node(Config) ->
    #{scraper := Scraper, node := Node} = maps:from_list(Config),
    md_wait:until(fun() ->
        {ok, _} = md_node:call(Node, mongoose_domain_api, insert_domain, [?A, <<"type1">>]),
        {ok, <<"type1">>} = md_node:lookup(Node, ?A),
        {ok, _} = md_node:call(Node, mongoose_domain_api, delete_domain, [?A, <<"type1">>]),
        ok = md_node:call(Node, mongoose_domain_freshness, upsert, [<<"type1">>, 1000]),
        md_scraper:samples(Scraper) >= ?ENOUGH
    end),
    ?assertEqual([], md_scraper:query(Scraper, "count_over_time(ALERTS{alertstate=\"firing\"}[1h])")).

%% What two scrapes show goes on for an hour, in promtool and with the shipped times.
nothing_fires_in_an_hour_of_a_quiet_node_s_samples(Config) ->
    ok = md_node:call(?config(node, Config), mongoose_domain_freshness, upsert, [<<"type1">>, 0]),
    {First, Second} = two_scrapes(Config),
    Series = [["      - {series: '", Sample, "', values: '", values(Value, map_get(Sample, Second)), "'}\n"]
              || {Sample, Value} <- maps:to_list(First)],
    File = filename:join(?config(directory, Config), "hour.yml"),
    Samples = filename:join(?config(directory, Config), "samples.yml"),
    ok = file:write_file(File, md_scraper:rules()),
    ok = file:write_file(Samples, ["rule_files: [hour.yml]\nevaluation_interval: 15s\ntests:\n  - interval: 15s\n    input_series:\n",
        Series, "    promql_expr_test:\n",
        "      - {expr: 'count(mongoose_domain_ready)', eval_time: 1h, exp_samples: [{labels: '{}', value: 1}]}\n",
        "      - {expr: 'count_over_time(ALERTS[1h])', eval_time: 1h, exp_samples: []}\n"]),
    {Status, Output} = md_scraper:promtool(?config(programs, Config), ["test", "rules", Samples], ?config(directory, Config)),
    ?assertEqual({0, Output}, {Status, Output}).

%% The samples of two scrapes, in which the database answered, and between which it failed nobody.
two_scrapes(Config) ->
    [First, Second] = [scrape(Config) || _ <- [1, 2]],
    Errors = fun(Metrics) -> md_prometheus:samples(Metrics, "mongoose_domain_database_errors_total") end,
    case {md_prometheus:value(Second, "mongoose_domain_database_up", #{}), Errors(Second) =:= Errors(First)} of
        {1.0, true} -> {numbers(First), numbers(Second)};
        _ -> two_scrapes(Config)
    end.

numbers(Metrics) ->
    maps:from_list([{sample(Name, Labels), {Kind, Value}} || #{kind := Kind, samples := Samples} <- maps:values(Metrics),
                                                             {Name, Labels, Value} <- Samples]).

scrape(Config) ->
    {200, _, Text} = md_http:request(?config(door, Config), get, "/metrics", #{}),
    md_prometheus:parse(Text).

sample(Name, Labels) ->
    All = Labels#{<<"job">> => <<"mongoose_domain">>, <<"instance">> => <<"a:8088">>},
    [Name, ${, lists:join(",", [[Key, "=\"", Value, "\""] || {Key, Value} <- maps:to_list(All)]), $}].

values({_Kind, infinity}, _Second) -> "Inf+0x240";
values({gauge, Value}, _Second) -> io_lib:format("~w+0x240", [round(Value)]);
values({_Counter, Value}, {_, Second}) -> io_lib:format("~.6f+~.6fx240", [Value, Second - Value]).

%% The faults

a_node_that_is_down(Config) ->
    Node = ?config(node, Config),
    ok = md_node:stop_application(Node),
    fires(Config, ?FUNCTION_NAME),
    ok = md_node:start_application(Node, unchanged),
    clears(Config).

a_node_that_has_loaded_nothing(Config) ->
    fires(Config, ?FUNCTION_NAME),
    ok = md_gate:open(?config(gate, Config)),
    clears(Config).

a_database_that_is_away(Config) ->
    ok = md_gate:close(?config(gate, Config)),
    fires(Config, ?FUNCTION_NAME),
    ok = md_gate:open(?config(gate, Config)),
    clears(Config).

%% The file with the URL is not there when the follower is started again. The workers keep their connections.
a_follower_that_ended(Config) ->
    #{node := Node, url_file := File} = maps:from_list(Config),
    ok = add(Config, ?A),
    ok = file:rename(File, File ++ ".away"),
    true = md_node:call(Node, erlang, exit, [md_node:service(Node), kill]),
    fires(Config, ?FUNCTION_NAME),
    ok = file:rename(File ++ ".away", File),
    clears(Config).

%% A comparison that does not end: it has found a row, and gets no permit to add it.
a_table_that_is_not_current(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    ok = sql(Config, "INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1')"),
    fires(Config, ?FUNCTION_NAME),
    ok = md_node:call(Node, sys, resume, [service_domain_db]),
    clears(Config).

%% Another program holds a lock that lets others read.
changes_that_fail(Config) ->
    Node = ?config(node, Config),
    Locker = md_client:open(?config(database, Config)),
    [] = md_client:query(Locker, "BEGIN; LOCK TABLE domain_settings IN SHARE MODE"),
    fires(Config, ?FUNCTION_NAME, fun() ->
        {timeout, _} = md_node:call(Node, mongoose_domain_api, insert_domain, [?A, <<"type1">>])
    end),
    [] = md_client:query(Locker, "ROLLBACK"),
    clears(Config).

routes_that_are_kept(Config) ->
    Node = ?config(node, Config),
    [ok = add(Config, Domain) || Domain <- [?A, ?B]],
    ok = md_node:sync(Node),
    ok = sql(Config, "DELETE FROM domain_settings"),
    {ok, #{kept := 2}} = md_node:call(Node, service_domain_db, converge, []),
    fires(Config, ?FUNCTION_NAME),
    ok = declare(Config, 0),
    clears(Config).

%% Declared twice, so that it counts as regular, and then not again until a twentieth of the time is left.
freshness_that_nobody_declares_again(Config) ->
    ok = declare(Config, 1000),
    Left = fun() -> [Seconds || {_, Seconds} <- md_scraper:query(?config(scraper, Config), "mongoose_domain_freshness_expires_in_seconds")] end,
    md_wait:until(fun() -> Left() =/= [] end),
    ok = declare(Config, 2000),
    md_wait:until(fun() -> hd(Left()) > 1001.0 end),
    ok = sql(Config, "UPDATE domain_freshness SET expire_time = expire_time - 1900000000000"),
    fires(Config, ?FUNCTION_NAME),
    ok = declare(Config, 2000),
    clears(Config).

a_removal_that_failed(Config) ->
    Node = ?config(node, Config),
    ok = add(Config, ?A),
    ok = md_node:call(Node, md_handlers, register, [<<"type1">>, first, 1]),
    ok = md_node:call(Node, md_handlers, behave, [first, {error, on_purpose}]),
    {removal_failed, _} = remove(Config),
    fires(Config, ?FUNCTION_NAME),
    ok = md_node:call(Node, md_handlers, behave, [first, ok]),
    {ok, _} = remove(Config),
    clears(Config).

%% The node that had the removal is gone, and this one's process that would take it over hangs.
a_removal_that_no_node_takes_over(Config) ->
    Node = ?config(node, Config),
    ok = add(Config, ?A),
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_removal_jobs]),
    [] = md_client:query(?config(client, Config), md_database:statements("removals.sql")),
    ok = sql(Config, ["UPDATE domain_settings SET status = 2 WHERE domain = 'a.example'; ",
                      "INSERT INTO domain_removals (domain, host_type, owner, lease_until) VALUES ('a.example', 'type1', 'gone', 0)"]),
    fires(Config, ?FUNCTION_NAME),
    ok = md_node:call(Node, sys, resume, [mongoose_domain_removal_jobs]),
    clears(Config).

a_gap_that_stays_open(Config) ->
    Late = md_client:open(?config(database, Config)),
    [] = md_client:query(Late, "BEGIN; INSERT INTO domain_events (domain) VALUES ('b.example')"),
    ok = add(Config, ?A),
    fires(Config, ?FUNCTION_NAME),
    [] = md_client:query(Late, "ROLLBACK"),
    clears(Config).

changes_without_events(Config) ->
    Node = ?config(node, Config),
    ok = add(Config, ?A),
    ok = md_node:sync(Node),
    fires(Config, ?FUNCTION_NAME, fun() ->
        ok = sql(Config, "UPDATE domain_settings SET host_type = CASE host_type WHEN 'type1' THEN 'type2' ELSE 'type1' END"),
        {ok, #{changed := 1}} = md_node:call(Node, service_domain_db, converge, [])
    end),
    clears(Config).

fires(Config, Case) ->
    fires(Config, Case, fun() -> ok end).

%% Exactly the alert of this case.
fires(Config, Case, Meanwhile) ->
    {Alert, Case} = lists:keyfind(Case, 2, faults()),
    md_scraper:wait_until_firing(?config(scraper, Config), [Alert], Meanwhile).

clears(Config) ->
    md_scraper:wait_until_firing(?config(scraper, Config), []).

add(Config, Domain) ->
    {ok, _} = md_node:call(?config(node, Config), mongoose_domain_api, insert_domain, [Domain, <<"type1">>]),
    ok.

remove(Config) ->
    md_node:call(?config(node, Config), mongoose_domain_api, delete_domain, [?A, <<"type1">>]).

declare(Config, Seconds) ->
    md_node:call(?config(node, Config), mongoose_domain_freshness, upsert, [<<"type1">>, Seconds]).

sql(Config, Statement) ->
    [] = md_client:query(?config(client, Config), Statement),
    ok.
