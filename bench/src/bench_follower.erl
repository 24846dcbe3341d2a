%% The follower when nothing happens, and when one domain is added.
-module(bench_follower).

-export([run/4]).

%% How the native thread that follows is called.
-define(THREAD, "domain_follower").

%% @doc Watches the thread for Idle milliseconds, then sees Changes domains come one by one.
-spec run(pos_integer(), pos_integer(), string(), file:filename()) -> [bench:result()].
run(Idle, Changes, Url, Psql) ->
    {ok, _} = application:ensure_all_started(mongoose_domain),
    await_following(),
    [idle(Idle), propagation(Changes, Url, Psql)].

idle(Milliseconds) ->
    timer:sleep(1000),
    Before = bench_os:thread(?THREAD),
    timer:sleep(Milliseconds),
    After = bench_os:thread(?THREAD),
    #{state := following} = service_domain_db:status(),
    Used = maps:map(fun(What, Count) -> Count - map_get(What, Before) end, After),
    {idle, Used#{unit => ms, duration => Milliseconds}}.

propagation(Changes, Url, Psql) ->
    Session = bench_psql:open(Psql, Url),
    Domain = fun(Number) -> <<"new", (integer_to_binary(Number))/binary, ".propagation.example">> end,
    %% The first one waits for psql to start.
    _ = bench_psql:change(Session, Domain(0), <<"type1">>),
    Times = [bench_psql:change(Session, Domain(Number), <<"type1">>) || Number <- lists:seq(1, Changes)],
    ok = bench_psql:close(Session),
    {SinceSent, SinceCommitted} = lists:unzip([{Sent / 1000, Committed / 1000} || {Sent, Committed} <- Times]),
    {propagation, #{
        changes => Changes, unit => ms, since_sent => bench_stats:summary(SinceSent),
        since_committed => bench_stats:summary(SinceCommitted)
    }}.

await_following() ->
    case service_domain_db:status() of
        #{state := following} ->
            ok;
        _ ->
            timer:sleep(10),
            await_following()
    end.
