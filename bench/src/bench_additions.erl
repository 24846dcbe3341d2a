%% Domains added through the API by one caller and by many at the same time, beside pgbench on as many connections.
%%
%% An addition writes its row, its event and a notification in one transaction, and ends when this node's table shows
%% the domain. pgbench (bench_pgbench) executes such transactions without a node in between: with the same NOTIFY, which
%% this node then follows, and without, while this node rests. The first is the yardstick for the time that an addition
%% takes, the second, which is the most that the server can do, for additions a second. A server has no thousand
%% connections, so a thousand callers are compared with the best rate of any number of connections.
%%
%% All sides take turns, each for about the same time. A rate, a median and a 99th percentile are those of a turn; the median
%% of the turns is quoted.
-module(bench_additions).

-export([run/4]).

-type side() :: ours | batches | bench_pgbench:kind().

-define(HOST_TYPE, <<"type1">>).
-define(BATCH, 1000).
-define(CALLERS, [1, 8, 64, 1000]).
-define(CONNECTIONS, [1, 8, 64]).
%% How many domains pgbench adds for each second of a turn of ours: about as many as it can.
-define(A_SECOND, 3000).
%% How many milliseconds the follower may take for domains that others added.
-define(LONG, 60000).
%% The number of additions whose round trips are counted.
-define(COUNTED, 100).

%% @doc Measures in turns, and then counts round trips. The application is configured to follow the database. Directory is
%% for the files of pgbench.
-spec run(#{rounds := pos_integer(), seconds := pos_integer()}, string(), file:filename(), file:filename()) ->
    [bench:result()].
run(#{rounds := Rounds, seconds := Seconds}, Url, Psql, Directory) ->
    ok = bench_node:start(),
    Cases = [{ours, Count} || Count <- ?CALLERS] ++ [{batches, 1}] ++
            [{Kind, Count} || Kind <- [notify, plain], Count <- ?CONNECTIONS],
    Pgbench = fun(Kind, Turn) -> bench_pgbench:add(Psql, Url, Directory, Kind, Turn, Seconds * ?A_SECOND) end,
    %% The first additions open the connections.
    _ = turn({ours, lists:max(?CALLERS)}, warm, Seconds, Pgbench),
    Turns = [{Case, turn(Case, Round, Seconds, Pgbench)} || Round <- lists:seq(1, Rounds), Case <- Cases],
    Figures = maps:map(fun(_Case, Loads) -> figures(Loads) end,
                       maps:groups_from_list(fun({Case, _}) -> Case end, fun({_, Load}) -> Load end, Turns)),
    [{additions, beside(Case, Figures, maps:merge(map_get(Case, Figures), identity(Case, Rounds)))} || Case <- Cases] ++
        [round_trips(Url)].

identity({Side, Count}, Rounds) ->
    #{side => Side, callers => Count, rounds => Rounds, unit => ms}.

-spec turn({side(), pos_integer()}, warm | pos_integer(), pos_integer(),
           fun((bench_pgbench:kind(), {string(), pos_integer()}) -> bench_callers:load())) -> bench_callers:load().
turn({Side, Count}, Round, Seconds, Pgbench) ->
    %% The follower reads what others added before the turn begins.
    ok = service_domain_db:sync_local(?LONG),
    Unique = lists:flatten(io_lib:format("~w.~s~b", [Round, Side, Count])),
    case Side of
        ours -> bench_callers:for_seconds(Count, Seconds, fun(Caller, Number) -> add_one(name(Unique, Caller, Number)) end);
        batches -> batches(bench_callers:for_seconds(Count, Seconds, fun(Caller, Number) ->
            add_many([name(Unique, Caller, (Number - 1) * ?BATCH + Offset) || Offset <- lists:seq(1, ?BATCH)])
        end));
        _ -> Pgbench(Side, {Unique, Count})
    end.

%% The time of a batch stays that of a call; its rate is that of the additions.
batches(#{rate := Rate} = Load) ->
    Load#{rate := Rate * ?BATCH}.

add_one(Name) ->
    {ok, _} = mongoose_domain_api:insert_domain(Name, ?HOST_TYPE),
    ok.

add_many(Names) ->
    lists:foreach(fun({ok, _}) -> ok end, mongoose_domain_api:insert_domains([{Name, ?HOST_TYPE} || Name <- Names])).

%% Names that no other turn uses.
name(Unique, Caller, Number) ->
    iolist_to_binary(["added", integer_to_list(Number), ".caller", integer_to_list(Caller), $., Unique, ".example"]).

figures(Loads) ->
    Summaries = [bench_stats:summary(Milliseconds) || #{milliseconds := Milliseconds} <- Loads],
    Of = fun(What) -> bench_stats:median([map_get(What, Summary) || Summary <- Summaries]) end,
    #{rate => bench_stats:summary([Rate || #{rate := Rate} <- Loads]), p50 => Of(median), p99 => Of(p99),
      calls => lists:sum([length(Milliseconds) || #{milliseconds := Milliseconds} <- Loads])}.

%% Adds the ratios to the yardsticks, where there are some.
beside({Side, Count}, Figures, Facts) when Side =:= ours; Side =:= batches ->
    maps:merge(rate_beside(Count, Figures, Facts), latency_beside(Side, Count, Figures, Facts));
beside(_Pgbench, _Figures, Facts) ->
    Facts.

rate_beside(Count, Figures, #{rate := #{median := Ours}} = Facts) ->
    Rates = [{Connections, Rate} || {{plain, Connections}, #{rate := #{median := Rate}}} <- maps:to_list(Figures)],
    Beside = proplists:get_value(Count, Rates, lists:max([Rate || {_Connections, Rate} <- Rates])),
    Facts#{share => Ours / Beside}.

latency_beside(ours, Count, Figures, #{p50 := P50, p99 := P99} = Facts) ->
    case Figures of
        #{{notify, Count} := #{p50 := Median, p99 := Tail}} ->
            Facts#{p50_times_as_long => P50 / Median, p99_times_as_long => P99 / Tail};
        #{} ->
            Facts
    end;
latency_beside(batches, _Count, _Figures, Facts) ->
    Facts.

%% Counts those of the connections that add, not those of the follower's.
round_trips(Url) ->
    {Relay, RelayUrl} = bench_relay:start(Url, <<"INSERT INTO domain_settings">>),
    ok = bench_node:stop(),
    ok = bench_node:configure(RelayUrl),
    ok = bench_node:start(),
    ok = add_one(name("warm.counted", 1, 1)),
    Before = bench_relay:round_trips(Relay),
    lists:foreach(fun(Number) -> ok = add_one(name("counted", 1, Number)) end, lists:seq(1, ?COUNTED)),
    RoundTrips = bench_relay:round_trips(Relay) - Before,
    ok = bench_node:stop(),
    {round_trips, #{additions => ?COUNTED, round_trips => RoundTrips}}.
