%% A real Prometheus that scrapes one node's door, with the alert rules that this project ships, and its tool promtool.
%%
%%   init_per_suite(Config) -> md_scraper:with_programs(Config).
%%   Scraper = md_scraper:start(?config(programs, Config), Door, Directory),
%%   ok = md_scraper:wait_until_firing(Scraper, [<<"MongooseDomainGapsOpen">>]),
%%   [{#{<<"instance">> := _}, 1.0}] = md_scraper:query(Scraper, "mongoose_domain_ready").
%%
%% The rules are the shipped ones but for their times, since a test does not wait for a quarter of an hour: each `for' is
%% five seconds, each range three seconds (ten minutes, where a rule compares with what was before), and a table is behind
%% and a gap is old after a second. A range stays shorter than the `for' beside it: what happens once fires nothing. test/alerts has the real times, on which promtool needs no clock.
%%
%% It listens on a free port of this machine and ends with the process that started it.
-module(md_scraper).

-export([with_programs/1, start/3, promtool/3, query/2, wait_until_firing/2, wait_until_firing/3, samples/1]).
-export([rules/0, dashboard/0, path/1, captured/2]).

-export_type([t/0, programs/0]).

-type programs() :: #{prometheus | promtool := file:filename()}.
-type t() :: md_http:door().

%% Downloads them where they are not installed.
programs() ->
    case {md_edge:program("prometheus"), md_edge:program("promtool")} of
        {{ok, Prometheus}, {ok, Promtool}} -> {ok, #{prometheus => Prometheus, promtool => Promtool}};
        {{skip, Why}, _} -> {skip, Why};
        {_, {skip, Why}} -> {skip, Why}
    end.

%% @doc The start of a suite that needs them; it is skipped where they are not to be had.
-spec with_programs([{atom(), term()}]) -> [{atom(), term()}] | {skip, string()}.
with_programs(Config) ->
    case programs() of
        {ok, Programs} -> [{programs, Programs} | Config];
        {skip, Why} -> {skip, Why}
    end.

%% @doc Starts Prometheus for this door; returns when it has scraped it.
-spec start(programs(), md_http:door(), file:filename()) -> t().
start(#{prometheus := Program}, #{host := Host, port := Port, user := {User, Password}}, Directory) ->
    Own = md_edge:free_port(),
    Rules = filename:join(Directory, "alerts.yml"),
    File = filename:join(Directory, "prometheus.yml"),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(Rules, in_seconds(rules())),
    ok = file:write_file(File, [
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}\n",
        "rule_files: [", Rules, "]\n",
        "scrape_configs:\n",
        "  - job_name: mongoose_domain\n",
        "    basic_auth: {username: ", User, ", password: ", Password, "}\n",
        "    static_configs: [{targets: [\"", Host, ":", integer_to_list(Port), "\"]}]\n"]),
    Address = "127.0.0.1:" ++ integer_to_list(Own),
    Args = ["--config.file=" ++ File, "--storage.tsdb.path=" ++ filename:join(Directory, "data"),
            "--web.listen-address=" ++ Address, "--query.lookback-delta=5s", "--log.level=warn"],
    _ = md_edge:start(Program, Args, Directory),
    Scraper = #{host => "127.0.0.1", port => Own, user => none},
    md_wait:until(fun() -> try query(Scraper, "up") catch error:_ -> starting end end, [{labels(Host, Port), 1.0}]),
    Scraper.

labels(Host, Port) ->
    #{<<"__name__">> => <<"up">>, <<"job">> => <<"mongoose_domain">>,
      <<"instance">> => iolist_to_binary([Host, ":", integer_to_list(Port)])}.

%% Only times change. The numbers that rules compare with stay, but for the one that is a time.
in_seconds(Rules) ->
    lists:foldl(fun({Pattern, With}, Text) -> re:replace(Text, Pattern, With, [global]) end, Rules,
                [{"for: [0-9]+[mh]", "for: 5s"}, {"\\[[0-9]+[mh]\\]", "[3s]"}, {"\\[[0-9]+[mh]:\\]", "[10m:]"},
                 {"lag_seconds > [0-9]+", "lag_seconds > 1"}, {"gap_seconds > [0-9]+", "gap_seconds > 1"}]).

%% @doc Runs promtool; its output, and its exit status.
-spec promtool(programs(), [string()], file:filename()) -> {integer(), binary()}.
promtool(#{promtool := Program}, Args, Directory) ->
    Port = open_port({spawn_executable, Program}, [{args, Args}, {cd, Directory}, binary, stderr_to_stdout, exit_status, hide]),
    finish(Port, <<>>).

finish(Port, Output) ->
    receive
        {Port, {data, Data}} -> finish(Port, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Output}
    end.

%% @doc What Prometheus answers to this expression, an instant vector, now.
-spec query(t(), iodata()) -> [{#{binary() => binary()}, md_prometheus:number_of()}].
query(Scraper, Expression) ->
    Path = ["/api/v1/query?", uri_string:compose_query([{"query", unicode:characters_to_list(Expression)}])],
    #{<<"status">> := <<"success">>, <<"data">> := #{<<"resultType">> := <<"vector">>, <<"result">> := Result}} = get(Scraper, Path),
    [{Labels, md_prometheus:number(Value)} || #{<<"metric">> := Labels, <<"value">> := [_Time, Value]} <- Result].

get(Scraper, Path) ->
    {200, _, Body} = md_http:request(Scraper, get, Path, #{}),
    md_json:decode(Body).

%% @doc Returns when exactly these alerts fire.
-spec wait_until_firing(t(), [binary()]) -> ok.
wait_until_firing(Scraper, Alerts) ->
    wait_until_firing(Scraper, Alerts, fun() -> ok end).

%% @doc The same; calls the function again and again meanwhile. Fails when another alert fires before.
-spec wait_until_firing(t(), [binary()], fun(() -> term())) -> ok.
wait_until_firing(Scraper, Alerts, Meanwhile) ->
    md_wait:until(fun() ->
        _ = Meanwhile(),
        Firing = firing(Scraper),
        [erlang:error({another_alert_fires, Firing, #{wanted => Alerts}}) || Alerts =/= [], Firing -- Alerts =/= []],
        Firing
    end, lists:sort(Alerts)).

firing(Scraper) ->
    #{<<"data">> := #{<<"alerts">> := Alerts}} = get(Scraper, "/api/v1/alerts"),
    lists:usort([Name || #{<<"state">> := <<"firing">>, <<"labels">> := #{<<"alertname">> := Name}} <- Alerts]).

%% @doc How often Prometheus has scraped the node.
-spec samples(t()) -> non_neg_integer().
samples(Scraper) ->
    case query(Scraper, "count_over_time(up[1h])") of
        [{_, Count}] -> round(Count);
        [] -> 0
    end.

%% @doc The text of the rules that this project ships.
-spec rules() -> binary().
rules() ->
    {ok, Text} = file:read_file(path("priv/observability/alerts.yml")),
    Text.

%% @doc The dashboard that this project ships.
-spec dashboard() -> md_json:t().
dashboard() ->
    {ok, Text} = file:read_file(path("priv/observability/grafana.json")),
    md_json:decode(Text).

%% @doc The path of a file of this project.
-spec path(string()) -> file:filename().
path(File) ->
    md_events:path(File).

%% @doc What the one group of the pattern matches in the text, each time.
-spec captured(iodata(), iodata()) -> [binary()].
captured(Text, Pattern) ->
    case re:run(Text, Pattern, [global, {capture, all_but_first, binary}]) of
        {match, Found} -> lists:append(Found);
        nomatch -> []
    end.
