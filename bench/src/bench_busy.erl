%% Single lookups while many callers add domains through the same node, beside lookups while nothing is written.
%%
%% bench_prober times lookups of random names in a process of its own, and beside them a loop that looks nothing up: it
%% shows what the machine itself does when callers, the database and the follower need its processors. All take turns. Each
%% percentile is the median of the turns' percentiles.
-module(bench_busy).

-export([run/3]).

-define(HOST_TYPE, <<"type1">>).
-define(PHASES, [quiet, adding]).
-define(SIDES, [loop, ours]).

%% @doc Measures while so many Callers add. The database holds this many Domains, and the application is configured to
%% follow it.
-spec run(pos_integer(), pos_integer(), #{rounds := pos_integer(), milliseconds := pos_integer()}) -> [bench:result()].
run(Domains, Callers, #{rounds := Rounds, milliseconds := Milliseconds}) ->
    ok = bench_node:start(),
    Cases = [{Phase, Side} || Phase <- ?PHASES, Side <- ?SIDES],
    Turns = [{Case, turn(Case, Domains, Callers, Round, Milliseconds)} || Round <- lists:seq(1, Rounds), Case <- Cases],
    [result(Case, Domains, Callers, proplists:get_all_values(Case, Turns)) || Case <- Cases].

turn({Phase, Side}, Domains, Callers, Round, Milliseconds) ->
    Prober = bench_prober:start(Side, Domains, Round * 1000000),
    ok = bench_prober:go(Prober),
    Rate = write(Phase, {Side, Round}, Callers, Milliseconds),
    {bench_prober:stop(Prober), Rate}.

%% Returns additions a second.
write(quiet, _Turn, _Callers, Milliseconds) ->
    ok = timer:sleep(Milliseconds),
    0;
write(adding, {Side, Round}, Callers, Milliseconds) ->
    #{rate := Rate} = bench_callers:for_seconds(Callers, Milliseconds / 1000, fun(Caller, Number) ->
        Name = io_lib:format("added~b.caller~b.round~b.~s.busy.example", [Number, Caller, Round, Side]),
        {ok, _} = mongoose_domain_api:insert_domain(iolist_to_binary(Name), ?HOST_TYPE),
        ok
    end),
    Rate.

result({Phase, Side}, Domains, Callers, Turns) ->
    {Histograms, Rates} = lists:unzip(Turns),
    Counts = [bench_histogram:counts(Histogram) || Histogram <- Histograms],
    Summaries = [bench_histogram:summary(Histogram) || Histogram <- Histograms],
    Of = fun(Share) -> bench_stats:median([bench_histogram:percentile(Share, Counted) || Counted <- Counts]) end,
    {busy, #{
        phase => Phase, side => Side, domains => Domains, callers => Callers, rounds => length(Turns), unit => ns,
        writes_a_second => bench_stats:median(Rates), lookups => lists:sum([Count || #{count := Count} <- Summaries]),
        p50 => Of(0.5), p99 => Of(0.99), p999 => Of(0.999), p9999 => Of(0.9999),
        longest => lists:max([Longest || #{longest := Longest} <- Summaries])
    }}.
