%% The lock of the components: real processes request it, hold it and die. Each test has its own table and process.
-module(mongoose_domain_components_lock_tests).

-include_lib("eunit/include/eunit.hrl").

-export([turns_come_in_the_order_in_which_they_were_asked_for/0]).
-export([whoever_has_the_turn_may_ask_again/0]).
-export([a_function_that_fails_ends_its_turn/0]).
-export([the_turn_of_a_process_that_dies_is_the_next_ones/0]).
-export([whoever_dies_while_waiting_has_left_the_queue/0]).
-export([nothing_is_remembered_of_those_who_had_a_turn/0]).
-export([a_crash_ends_no_turn_and_fails_those_who_wait/0]).
-export([a_turn_that_ends_while_there_is_no_process_is_over/0]).
-export([a_process_that_dies_while_there_is_none_of_ours_has_no_turn/0]).
-export([an_orderly_stop_tells_those_who_wait_and_leaves_the_turn/0]).
-export([without_the_application_it_fails/0]).

-define(TURNS, mongoose_domain_components_lock).

all_test_() ->
    md_promises:of_module(?MODULE, fun begin_with_nobody/0, fun(_) -> end_all() end).

begin_with_nobody() ->
    process_flag(trap_exit, true),
    ok = ?TURNS:create_registry(),
    start().

start() ->
    {ok, Pid} = ?TURNS:start_link(),
    Pid.

end_all() ->
    _ = [stop() || whereis(?TURNS) =/= undefined],
    _ = [ets:delete(?TURNS) || ets:whereis(?TURNS) =/= undefined].

stop() ->
    gen_server:stop(?TURNS, shutdown, infinity).

kill() ->
    Monitor = monitor(process, ?TURNS),
    true = exit(whereis(?TURNS), kill),
    receive {'DOWN', Monitor, process, _, killed} -> ok end.

%% Starts a process that requests the lock, reports when it holds it, and releases it on request.
ask() ->
    Self = self(),
    {Pid, _} = spawn_monitor(fun() ->
        ?TURNS:exclusively(fun() ->
            Self ! {turn, self()},
            receive proceed -> ok end
        end)
    end),
    Pid.

%% Starts a process that holds the lock.
have_turn() ->
    Pid = ask(),
    ok = await_turn(Pid),
    Pid.

await_turn(Pid) ->
    receive {turn, Pid} -> ok end.

%% Starts a process that waits for the lock behind this many others.
wait_in_queue(Before) ->
    Pid = ask(),
    md_wait:until(fun() -> known() end, Before + 1),
    Pid.

%% The number of processes that hold the lock or wait for it.
known() ->
    {monitors, Monitors} = process_info(whereis(?TURNS), monitors),
    length(Monitors).

proceed(Pid) ->
    Pid ! proceed,
    end_of(Pid).

end_of(Pid) ->
    receive {'DOWN', _, process, Pid, Reason} -> Reason end.

kill(Pid) ->
    true = exit(Pid, kill),
    ?assertEqual(killed, end_of(Pid)).

no_turn_yet() ->
    receive {turn, Pid} -> error({turn, Pid}) after 0 -> ok end.

turns_come_in_the_order_in_which_they_were_asked_for() ->
    First = have_turn(),
    Others = [wait_in_queue(Before) || Before <- lists:seq(1, 20)],
    no_turn_yet(),
    ?assertEqual(normal, proceed(First)),
    lists:foreach(fun(Pid) ->
        %% The next holder reports itself.
        receive {turn, Had} -> ?assertEqual(Pid, Had) end,
        no_turn_yet(),
        ?assertEqual(normal, proceed(Pid))
    end, Others).

whoever_has_the_turn_may_ask_again() ->
    Ask = fun(Fun) -> ?TURNS:exclusively(Fun) end,
    ?assertEqual(inner, Ask(fun() -> Ask(fun() -> Ask(fun() -> inner end) end) end)),
    %% The end of the inner call does not release the lock.
    Second = Ask(fun() ->
        ok = Ask(fun() -> ok end),
        Waiting = wait_in_queue(1),
        _ = sys:get_state(?TURNS),
        no_turn_yet(),
        Waiting
    end),
    ok = await_turn(Second),
    ?assertEqual(normal, proceed(Second)).

a_function_that_fails_ends_its_turn() ->
    ?assertError(mine, ?TURNS:exclusively(fun() -> error(mine) end)),
    ?assertExit(mine, ?TURNS:exclusively(fun() -> exit(mine) end)),
    ?assertThrow(mine, ?TURNS:exclusively(fun() -> throw(mine) end)),
    ?assertEqual(normal, proceed(have_turn())).

the_turn_of_a_process_that_dies_is_the_next_ones() ->
    First = have_turn(),
    Second = wait_in_queue(1),
    Third = wait_in_queue(2),
    kill(First),
    ok = await_turn(Second),
    no_turn_yet(),
    kill(Second),
    ok = await_turn(Third),
    ?assertEqual(normal, proceed(Third)).

whoever_dies_while_waiting_has_left_the_queue() ->
    First = have_turn(),
    [Second, Third, Fourth] = [wait_in_queue(Before) || Before <- [1, 2, 3]],
    kill(Second),
    md_wait:until(fun() -> known() end, 3),
    kill(Third),
    no_turn_yet(),
    ?assertEqual(normal, proceed(First)),
    ok = await_turn(Fourth),
    ?assertEqual(normal, proceed(Fourth)).

nothing_is_remembered_of_those_who_had_a_turn() ->
    [?assertEqual(N, ?TURNS:exclusively(fun() -> N end)) || N <- lists:seq(1, 100)],
    Dying = have_turn(),
    kill(Dying),
    md_wait:until(fun() -> known() end, 0),
    ?assertEqual([], ets:tab2list(?TURNS)).

a_crash_ends_no_turn_and_fails_those_who_wait() ->
    First = have_turn(),
    Second = wait_in_queue(1),
    ok = kill(),
    ?assertMatch({killed, _}, end_of(Second)),
    _ = start(),
    Third = wait_in_queue(1),
    no_turn_yet(),
    ?assertEqual(normal, proceed(First)),
    ok = await_turn(Third),
    ?assertEqual(normal, proceed(Third)).

a_turn_that_ends_while_there_is_no_process_is_over() ->
    First = have_turn(),
    ok = kill(),
    ?assertEqual(normal, proceed(First)),
    _ = start(),
    ?assertEqual(normal, proceed(have_turn())).

a_process_that_dies_while_there_is_none_of_ours_has_no_turn() ->
    First = have_turn(),
    ok = kill(),
    kill(First),
    _ = start(),
    ?assertEqual(normal, proceed(have_turn())).

an_orderly_stop_tells_those_who_wait_and_leaves_the_turn() ->
    First = have_turn(),
    Second = wait_in_queue(1),
    ok = stop(),
    ?assertMatch({{not_running, mongoose_domain}, _}, end_of(Second)),
    true = ets:delete(?TURNS),
    ?assertEqual(normal, proceed(First)).

without_the_application_it_fails() ->
    end_all(),
    ?assertError({not_running, mongoose_domain}, ?TURNS:exclusively(fun() -> ok end)).
