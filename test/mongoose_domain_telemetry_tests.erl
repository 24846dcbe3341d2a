%% Events for the library `telemetry', where it is loaded. md_telemetry stands for it.
-module(mongoose_domain_telemetry_tests).

-include_lib("eunit/include/eunit.hrl").

%% The first use of the compiler may take longer than EUnit's five seconds on a busy machine.
all_test_() ->
    [{timeout, 60, {Name, Test}}
     || {Name, Test} <- [{"without the library nothing is described", fun without_the_library_nothing_is_described/0},
                         {"an event has the measurements that are known", fun an_event_has_the_measurements_that_are_known/0},
                         {"work is timed", fun work_is_timed/0},
                         {"work that fails has no event", fun work_that_fails_has_no_event/0}]].

with_library(Test) ->
    ok = md_telemetry:load(),
    try Test() after md_telemetry:unload() end.

without_the_library_nothing_is_described() ->
    Never = fun() -> erlang:error(described) end,
    ?assertEqual(ok, mongoose_domain_telemetry:execute([any], Never)),
    ?assertEqual(done, mongoose_domain_telemetry:timed([any], fun() -> done end, fun(done) -> Never() end)).

an_event_has_the_measurements_that_are_known() ->
    with_library(fun() ->
        ok = mongoose_domain_telemetry:execute([follower, status], fun() -> {#{lag => undefined, kept => 1}, #{state => away}} end),
        ?assertEqual([{#{kept => 1}, #{state => away}}], md_telemetry:executed([mongoose_domain, follower, status]))
    end).

work_is_timed() ->
    with_library(fun() ->
        Work = fun() -> lists:seq(1, 3) end,
        Count = fun(Result) -> {#{count => length(Result)}, #{}} end,
        ?assertEqual([1, 2, 3], mongoose_domain_telemetry:timed([change], Work, Count)),
        [{Measurements, #{}}] = md_telemetry:executed([mongoose_domain, change, stop]),
        ?assertMatch(#{count := 3, duration := Duration} when is_integer(Duration) andalso Duration >= 0, Measurements)
    end).

work_that_fails_has_no_event() ->
    with_library(fun() ->
        Fails = fun() -> erlang:error(on_purpose) end,
        ?assertError(on_purpose, mongoose_domain_telemetry:timed([change], Fails, fun(_) -> {#{}, #{}} end)),
        ?assertEqual([], md_telemetry:executed([mongoose_domain, change, stop]))
    end).
