%% The follower when nothing happens.
-module(bench_follower).

-export([run/1]).

%% The name of the follower's native thread.
-define(THREAD, "domain_follower").

%% @doc Measures the thread for this many milliseconds. The application is configured to follow the database.
-spec run(pos_integer()) -> bench:result().
run(Milliseconds) ->
    ok = bench_node:start(),
    timer:sleep(1000),
    Before = bench_os:thread(?THREAD),
    timer:sleep(Milliseconds),
    After = bench_os:thread(?THREAD),
    #{state := following} = service_domain_db:status(),
    Used = maps:map(fun(What, Count) -> Count - map_get(What, Before) end, After),
    {idle, Used#{unit => ms, duration => Milliseconds}}.
