%% The files of priv/observability: promtool reads the rules, and each alert fires on the series of its file in test/alerts and
%% on no others. alerts_live_SUITE has a real Prometheus at a real node.
-module(alerts_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([promtool_accepts_the_rules/1,
         each_alert_fires_on_its_series_and_on_no_others/1,
         each_alert_is_documented_and_tested/1]).

suite() ->
    [{timetrap, {minutes, 5}}].

all() ->
    [promtool_accepts_the_rules, each_alert_fires_on_its_series_and_on_no_others, each_alert_is_documented_and_tested].

init_per_suite(Config) ->
    md_scraper:with_programs(Config).

end_per_suite(_Config) ->
    ok.

promtool_accepts_the_rules(Config) ->
    {Status, Output} = md_scraper:promtool(?config(programs, Config), ["check", "rules", "priv/observability/alerts.yml"],
                                           md_scraper:path("")),
    ?assertEqual({0, Output}, {Status, Output}).

each_alert_fires_on_its_series_and_on_no_others(Config) ->
    Files = filelib:wildcard(md_scraper:path("test/alerts/*.yml")),
    ?assertEqual(length(alerts_live_SUITE:faults()) + 1, length(Files)),
    {Status, Output} = md_scraper:promtool(?config(programs, Config), ["test", "rules" | Files], md_scraper:path("")),
    ?assertEqual({0, Output}, {Status, Output}).

each_alert_is_documented_and_tested(_Config) ->
    Rules = md_scraper:rules(),
    Alerts = md_scraper:captured(Rules, "- alert: (\\w+)"),
    ?assertEqual(lists:sort(Alerts), lists:sort([Alert || {Alert, _Case} <- alerts_live_SUITE:faults()])),
    {ok, Document} = file:read_file(md_scraper:path("docs/operations.md")),
    [begin
         Anchor = string:lowercase(Alert),
         ?assertMatch({Alert, [_ | _]}, {Alert, md_scraper:captured(Rules, ["runbook_url: (docs/operations.md#", Anchor, ")\n"])}),
         ?assertMatch({Alert, [_]}, {Alert, md_scraper:captured(Document, ["(<a id=\"", Anchor, "\">)"])}),
         ?assert(filelib:is_regular(md_scraper:path("test/alerts/" ++ binary_to_list(Alert) ++ ".yml")), Alert)
     end || Alert <- Alerts],
    [?assertEqual({Key, length(Alerts)}, {Key, length(md_scraper:captured(Rules, ["\\n +", Key, ": (.)"]))})
     || Key <- ["severity", "summary", "description", "runbook_url"]].
