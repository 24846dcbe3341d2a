%% The supervisor of the processes of services and modules.
-module(mongoose_domain_components_sup_tests).

-include_lib("eunit/include/eunit.hrl").

-export([a_child_lives_on_when_who_started_it_has_ended/0]).
-export([a_child_that_crashes_is_restarted_and_others_are_left_alone/0]).
-export([when_too_many_crashes_end_the_supervisor_its_successor_has_the_same_children/0]).
-export([a_stopped_child_is_gone_for_its_successor_too/0]).
-export([stopping_what_is_not_there_succeeds/0]).
-export([a_child_that_does_not_start_is_not_remembered/0]).
-export([who_starts_a_child_that_runs_gets_it/0]).

-define(SUP, mongoose_domain_components_sup).

all_test_() ->
    md_promises:of_module(?MODULE, fun begin_with_a_registry/0, fun end_all/1).

begin_with_a_registry() ->
    process_flag(trap_exit, true),
    ok = ?SUP:create_registry(),
    {ok, _} = ?SUP:start_link(),
    ok.

end_all(_) ->
    %% A supervisor that a test started is linked to the test's process and ends with it.
    _ = [exit(Sup, shutdown) || Sup <- [whereis(?SUP)], is_pid(Sup)],
    md_wait:until(fun() -> whereis(?SUP) =:= undefined end),
    true = ets:delete(?SUP).

a_child_lives_on_when_who_started_it_has_ended() ->
    {Pid, Monitor} = spawn_monitor(fun() -> {ok, _} = start(one) end),
    receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end,
    ?assert(is_pid(whereis(md_part_one))).

a_child_that_crashes_is_restarted_and_others_are_left_alone() ->
    [{ok, One}, {ok, Two}] = [start(one), start(two)],
    exit(One, kill),
    md_wait:until(fun() -> is_pid(whereis(md_part_one)) andalso whereis(md_part_one) =/= One end),
    ?assertEqual(Two, whereis(md_part_two)).

when_too_many_crashes_end_the_supervisor_its_successor_has_the_same_children() ->
    _ = [{ok, _} = start(Name) || Name <- [one, two]],
    Sup = whereis(?SUP),
    Monitor = monitor(process, Sup),
    ok = kill_until_ended(Monitor),
    ?assertEqual([undefined, undefined], [whereis(Name) || Name <- [md_part_one, md_part_two]]),
    {ok, _} = ?SUP:start_link(),
    ?assertEqual([one, two], lists:sort([Id || {Id, Pid, _, _} <- supervisor:which_children(?SUP), is_pid(Pid)])).

kill_until_ended(Monitor) ->
    _ = [exit(Pid, kill) || Pid <- [whereis(md_part_one)], is_pid(Pid)],
    receive
        {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(shutdown, Reason)
    after 1 ->
        kill_until_ended(Monitor)
    end.

a_stopped_child_is_gone_for_its_successor_too() ->
    _ = [{ok, _} = start(Name) || Name <- [one, two]],
    ok = ?SUP:stop_child(one),
    ?assertEqual(undefined, whereis(md_part_one)),
    exit(whereis(?SUP), kill),
    md_wait:until(fun() -> [whereis(Name) || Name <- [?SUP, md_part_two]] =:= [undefined, undefined] end),
    {ok, _} = ?SUP:start_link(),
    ?assertMatch([{two, _, _, _}], supervisor:which_children(?SUP)),
    %% The name is free again.
    ?assertMatch({ok, _}, start(one)).

stopping_what_is_not_there_succeeds() ->
    ?assertEqual(ok, ?SUP:stop_child(nobody)).

a_child_that_does_not_start_is_not_remembered() ->
    {ok, _One} = start(one),
    ?assertMatch({error, _}, ?SUP:start_child(#{id => bad, start => {erlang, error, [on_purpose]}})),
    ?assertEqual(1, ets:info(?SUP, size)).

%% A service that is started again after an unfinished first start does this.
who_starts_a_child_that_runs_gets_it() ->
    {ok, One} = start(one),
    ?assertEqual({ok, One}, start(one)),
    %% The child runs, but its starter was killed before it recorded it.
    {ok, Two} = supervisor:start_child(?SUP, #{id => two, start => {gen_event, start_link, [{local, md_part_two}]}}),
    ?assertEqual({ok, Two}, start(two)),
    ?assertEqual(2, ets:info(?SUP, size)),
    ?assertEqual({error, {already_started, One}}, ?SUP:start_child(#{id => one, start => {gen_event, start_link, []}})).

%% An event manager stands for any kind of process.
start(Name) ->
    ?SUP:start_child(#{id => Name, start => {gen_event, start_link, [{local, registered(Name)}]}}).

registered(one) -> md_part_one;
registered(two) -> md_part_two.
