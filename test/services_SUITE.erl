%% Services on a real node: the order of starts, the lists of running services, and the log.
-module(services_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% Start and stop of the application.
-export([configured_services_start_after_what_they_need_and_stop_in_exact_reverse/1,
         a_needed_service_that_is_not_configured_stops_the_start_and_both_are_named/1,
         a_cycle_of_services_stops_the_start_and_is_named_in_full/1,
         a_service_that_fails_stops_the_start_and_what_was_started_is_stopped/1,
         a_service_that_no_module_is_stops_the_start_and_is_named/1,
         a_stop_that_fails_keeps_no_other_service_from_being_stopped_at_the_end/1,
         a_stop_of_all_that_fails_leaves_the_rest_running/1]).
%% At run time.
-export([ensure_started_says_what_it_did/1,
         what_a_start_returns_is_passed_on/1,
         ensure_started_starts_what_is_configured_and_needed_before/1,
         ensure_started_starts_nothing_when_a_needed_service_is_not_configured/1,
         a_failed_start_leaves_all_as_it_was/1,
         a_failed_restart_is_not_listed/1,
         a_failed_stop_leaves_the_service_listed/1,
         options_that_are_refused_stop_nothing/1,
         ensure_stopped_stops_the_one_service_and_says_with_which_options_it_ran/1,
         replace_services_stops_what_is_needed_no_more_and_leaves_the_rest_alone/1,
         replace_services_starts_what_the_new_ones_need/1,
         replace_services_that_cannot_be_resolved_touch_nothing/1,
         a_service_may_ask_for_another_one_while_it_starts/1,
         callers_take_turns/1,
         what_runs_already_is_answered_while_another_start_hangs/1,
         a_component_that_is_about_to_stop_does_not_count_as_started/1,
         a_caller_that_is_killed_while_it_starts_a_service_leaves_nothing_listed/1,
         the_list_outlives_every_process_but_the_supervisor/1]).
%% Reports in the log.
-export([starts_and_stops_are_logged_with_the_keys_of_options/1,
         no_value_of_an_option_is_in_a_log_or_a_crash_reason/1]).
%% The service that follows the database.
-export([the_service_of_the_database_comes_and_goes/1,
         the_service_of_the_database_is_started_anew_with_other_options/1,
         the_service_of_the_database_leaves_unknown_options_alone/1,
         a_start_of_the_service_of_the_database_that_fails_leaves_the_environment_as_it_was/1,
         another_service_may_need_the_one_of_the_database/1,
         the_url_is_shown_nowhere/1]).

-import(md_components, [hold/3, await_held/1, let_go/1, await_callers/2]).

-define(SECRET, "s3cret-pa55word").
-define(A, md_service_a).
-define(B, md_service_b).
-define(C, md_service_c).
-define(D, md_service_d).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, application}, {group, run_time}, {group, words}, {group, database}].

groups() ->
    [{application, [configured_services_start_after_what_they_need_and_stop_in_exact_reverse,
                    a_needed_service_that_is_not_configured_stops_the_start_and_both_are_named,
                    a_cycle_of_services_stops_the_start_and_is_named_in_full,
                    a_service_that_fails_stops_the_start_and_what_was_started_is_stopped,
                    a_service_that_no_module_is_stops_the_start_and_is_named,
                    a_stop_that_fails_keeps_no_other_service_from_being_stopped_at_the_end,
                    a_stop_of_all_that_fails_leaves_the_rest_running]},
     {run_time, [ensure_started_says_what_it_did,
                 what_a_start_returns_is_passed_on,
                 ensure_started_starts_what_is_configured_and_needed_before,
                 ensure_started_starts_nothing_when_a_needed_service_is_not_configured,
                 a_failed_start_leaves_all_as_it_was,
                 a_failed_restart_is_not_listed,
                 a_failed_stop_leaves_the_service_listed,
                 options_that_are_refused_stop_nothing,
                 ensure_stopped_stops_the_one_service_and_says_with_which_options_it_ran,
                 replace_services_stops_what_is_needed_no_more_and_leaves_the_rest_alone,
                 replace_services_starts_what_the_new_ones_need,
                 replace_services_that_cannot_be_resolved_touch_nothing,
                 a_service_may_ask_for_another_one_while_it_starts,
                 callers_take_turns,
                 what_runs_already_is_answered_while_another_start_hangs,
                 a_component_that_is_about_to_stop_does_not_count_as_started,
                 a_caller_that_is_killed_while_it_starts_a_service_leaves_nothing_listed,
                 the_list_outlives_every_process_but_the_supervisor]},
     {words, [starts_and_stops_are_logged_with_the_keys_of_options,
              no_value_of_an_option_is_in_a_log_or_a_crash_reason]},
     {database, [the_service_of_the_database_comes_and_goes,
                 the_service_of_the_database_is_started_anew_with_other_options,
                 the_service_of_the_database_leaves_unknown_options_alone,
                 a_start_of_the_service_of_the_database_that_fails_leaves_the_environment_as_it_was,
                 another_service_may_need_the_one_of_the_database,
                 the_url_is_shown_nowhere]}].

init_per_group(database, Config) ->
    [{database, yes} | Config];
init_per_group(_Group, Config) ->
    Config.

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    case proplists:get_value(database, Config) of
        yes -> md_database:or_fail(fun() -> [{url, md_database:with_tables(md_database:create())} | Config] end);
        undefined -> Config
    end.

end_per_testcase(_Case, Config) ->
    case proplists:get_value(url, Config) of
        undefined -> ok;
        Url -> md_database:drop(Url)
    end.

%% Boots a node that has these services with their dependencies. The application is not started.
boot(Needs) ->
    Node = md_node:boot(),
    {ok, _} = md_node:call(Node, application, ensure_all_started, [compiler]),
    ok = md_node:call(Node, md_components, make, [maps:map(fun(_, Deps) -> {service, #{deps => Deps}} end, Needs)]),
    Node.

%% The same, with the application started and these services in its configuration.
start(Needs, Configured) ->
    Node = boot(Needs),
    ok = configure(Node, Configured),
    Node.

configure(Node, Configured) ->
    md_node:start_application(Node, #{services => Configured}).

services(Node, Function, Arguments) ->
    md_node:call(Node, mongoose_domain_services, Function, Arguments).

behave(Node, Service, Callback, Behaviour) ->
    ok = md_node:call(Node, md_components, behave, [Service, Callback, Behaviour]).

%% The calls since the last call of this function.
calls(Node) ->
    Calls = md_node:call(Node, md_components, calls, []),
    ok = md_node:call(Node, md_components, forget, []),
    [{Callback, Service} || {Service, Callback, _} <- Calls].

loaded(Node) ->
    services(Node, loaded_services_with_opts, []).

%% The class and reason of the exception of a call in the node.
failure(Node, Function, Arguments) ->
    try services(Node, Function, Arguments) of
        Result -> {returned, Result}
    catch
        Class:Reason -> {Class, Reason}
    end.

%% Start and stop of the application

configured_services_start_after_what_they_need_and_stop_in_exact_reverse(_Config) ->
    Node = start(#{?A => [?D, ?C], ?B => [], ?C => [?D], ?D => []}, #{}),
    ?assertEqual([], calls(Node)),
    ok = md_node:stop_application(Node),
    ok = configure(Node, maps:from_keys([?A, ?B, ?C, ?D], #{})),
    Started = [?D, ?C, ?A, ?B],
    ?assertEqual([{start, S} || S <- Started], calls(Node)),
    [?assert(services(Node, is_loaded, [S])) || S <- Started],
    ok = md_node:stop_application(Node),
    ?assertEqual([{stop, S} || S <- lists:reverse(Started)], calls(Node)),
    [?assertNot(services(Node, is_loaded, [S])) || S <- Started],
    ?assertEqual(#{}, loaded(Node)).

a_needed_service_that_is_not_configured_stops_the_start_and_both_are_named(_Config) ->
    Node = boot(#{?A => [?B], ?B => [?C], ?C => []}),
    {error, {Problem, _}} = configure(Node, #{?A => #{}, ?B => #{}}),
    ?assertMatch(#{what := required_service_not_configured, service := ?C, required_by := ?B, text := _}, Problem),
    ?assertMatch([{error, #{reason := Problem}}], md_node:logged(Node, application_not_started)),
    ?assertEqual([], calls(Node)),
    ok = configure(Node, #{?A => #{}, ?B => #{}, ?C => #{}}).

a_cycle_of_services_stops_the_start_and_is_named_in_full(_Config) ->
    Node = boot(#{?A => [?B], ?B => [?C], ?C => [?A]}),
    {error, {Problem, _}} = configure(Node, maps:from_keys([?A, ?B, ?C], #{})),
    ?assertMatch(#{what := resolving_dependencies_aborted, service := ?C, dep_service := ?A,
                   cycle_path := [?A, ?B, ?C, ?A]}, Problem),
    ?assertEqual([], calls(Node)).

a_service_that_fails_stops_the_start_and_what_was_started_is_stopped(_Config) ->
    Node = boot(#{?A => [], ?B => [], ?C => []}),
    [begin
        behave(Node, ?C, start, Behaviour),
        {error, {Problem, _}} = configure(Node, maps:from_keys([?A, ?B, ?C], #{})),
        ?assertMatch(#{what := service_startup_failed, service := ?C, reason := disk_full}, Problem),
        ?assertEqual([{start, ?A}, {start, ?B}, {start, ?C}, {stop, ?B}, {stop, ?A}], calls(Node)),
        ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup]))
     end || Behaviour <- [{crash, disk_full}, {return, {error, disk_full}}]],
    behave(Node, ?C, start, {return, ok}),
    ok = configure(Node, maps:from_keys([?A, ?B, ?C], #{})).

a_service_that_no_module_is_stops_the_start_and_is_named(_Config) ->
    Node = boot(#{}),
    {error, {Problem, _}} = configure(Node, #{md_service_nowhere => #{}}),
    ?assertMatch(#{what := service_not_found, service := md_service_nowhere}, Problem).

a_stop_that_fails_keeps_no_other_service_from_being_stopped_at_the_end(_Config) ->
    Node = start(#{?A => [], ?B => [], ?C => []}, maps:from_keys([?A, ?B, ?C], #{})),
    behave(Node, ?B, stop, {crash, busy}),
    _ = calls(Node),
    ok = md_node:stop_application(Node),
    ?assertEqual([{stop, ?C}, {stop, ?B}, {stop, ?A}], calls(Node)),
    ?assertMatch([{error, #{service := ?B, class := error, reason := busy}}],
                 md_node:logged(Node, service_stop_failed)).

a_stop_of_all_that_fails_leaves_the_rest_running(_Config) ->
    Node = start(#{?A => [], ?B => [], ?C => []}, maps:from_keys([?A, ?B, ?C], #{})),
    behave(Node, ?B, stop, {crash, busy}),
    ?assertEqual({error, busy}, failure(Node, stop, [])),
    ?assertEqual(#{?A => #{}, ?B => #{}}, loaded(Node)),
    behave(Node, ?B, stop, {return, ok}),
    ?assertEqual(ok, services(Node, stop, [])),
    ?assertEqual(#{}, loaded(Node)),
    ?assertEqual(ok, services(Node, start, [])),
    ?assertEqual(maps:from_keys([?A, ?B, ?C], #{}), loaded(Node)).

%% At run time

ensure_started_says_what_it_did(_Config) ->
    Node = start(#{?A => []}, #{}),
    ?assertEqual({started, ok}, services(Node, ensure_started, [?A, #{x => 1}])),
    ?assertEqual(already_started, services(Node, ensure_started, [?A, #{x => 1}])),
    ?assertEqual({restarted, #{x => 1}, ok}, services(Node, ensure_started, [?A, #{x => 2}])),
    ?assertEqual([{start, ?A}, {stop, ?A}, {start, ?A}], calls(Node)),
    ?assertEqual(#{?A => #{x => 2}}, loaded(Node)).

what_a_start_returns_is_passed_on(_Config) ->
    Node = start(#{?A => []}, #{}),
    [begin
        behave(Node, ?A, start, {return, Returned}),
        ?assertEqual({started, Passed}, services(Node, ensure_started, [?A, #{}])),
        {stopped, #{}} = services(Node, ensure_stopped, [?A])
     end || {Returned, Passed} <- [{{ok, 7}, 7}, {7, 7}, {ok, ok}, {{other, 7}, {other, 7}}]].

ensure_started_starts_what_is_configured_and_needed_before(_Config) ->
    Node = start(#{?A => [?B], ?B => [?C], ?C => []}, #{?B => #{b => 1}, ?C => #{c => 1}}),
    [{stopped, _} = services(Node, ensure_stopped, [S]) || S <- [?B, ?C]],
    _ = calls(Node),
    ?assertEqual({started, ok}, services(Node, ensure_started, [?A, #{a => 1}])),
    ?assertEqual([{start, ?C}, {start, ?B}, {start, ?A}], calls(Node)),
    ?assertEqual(#{?A => #{a => 1}, ?B => #{b => 1}, ?C => #{c => 1}}, loaded(Node)),
    ?assertEqual([?B], services(Node, get_deps, [?A])).

ensure_started_starts_nothing_when_a_needed_service_is_not_configured(_Config) ->
    Node = start(#{?A => [?B, ?C], ?B => [], ?C => []}, #{?B => #{}}),
    {stopped, _} = services(Node, ensure_stopped, [?B]),
    _ = calls(Node),
    ?assertMatch({error, #{what := required_service_not_configured, service := ?C, required_by := ?A}},
                 failure(Node, ensure_started, [?A, #{}])),
    ?assertEqual([], calls(Node)),
    ?assertEqual(#{}, loaded(Node)),
    %% A running service needs no configuration.
    {started, ok} = services(Node, ensure_started, [?C, #{}]),
    {started, ok} = services(Node, ensure_started, [?A, #{}]).

a_failed_start_leaves_all_as_it_was(_Config) ->
    Node = start(#{?A => [?B], ?B => [], ?C => []}, #{?B => #{}, ?C => #{}}),
    {stopped, _} = services(Node, ensure_stopped, [?B]),
    behave(Node, ?A, start, {crash, full}),
    _ = calls(Node),
    ?assertEqual({error, full}, failure(Node, ensure_started, [?A, #{}])),
    ?assertEqual([{start, ?B}, {start, ?A}, {stop, ?B}], calls(Node)),
    ?assertEqual(#{?C => #{}}, loaded(Node)).

a_failed_restart_is_not_listed(_Config) ->
    Node = start(#{?A => []}, #{?A => #{x => 1}}),
    behave(Node, ?A, start, {crash, full}),
    ?assertEqual({error, full}, failure(Node, ensure_started, [?A, #{x => 2}])),
    ?assertNot(services(Node, is_loaded, [?A])),
    ?assertEqual(#{}, loaded(Node)),
    ?assertEqual(already_stopped, services(Node, ensure_stopped, [?A])).

a_failed_stop_leaves_the_service_listed(_Config) ->
    Node = start(#{?A => []}, #{?A => #{x => 1}}),
    behave(Node, ?A, stop, {crash, busy}),
    ?assertEqual({error, busy}, failure(Node, ensure_stopped, [?A])),
    ?assertEqual({error, busy}, failure(Node, ensure_started, [?A, #{x => 2}])),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node)).

options_that_are_refused_stop_nothing(_Config) ->
    Node = boot(#{}),
    ok = md_node:call(Node, md_components, make, [#{?A => {service, #{deps => [], validate => ok}}}]),
    ok = configure(Node, #{?A => #{x => 1}}),
    behave(Node, ?A, validate, {return, {error, "x must be 1"}}),
    _ = calls(Node),
    ?assertMatch({error, #{what := invalid_service_options, service := ?A, options := [x], text := <<"x must be 1">>}},
                 failure(Node, ensure_started, [?A, #{x => 2}])),
    ?assertMatch({error, #{what := invalid_service_options}},
                 failure(Node, replace_services, [[], #{?A => #{x => 2}}])),
    ?assertEqual([], calls(Node)),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node)).

ensure_stopped_stops_the_one_service_and_says_with_which_options_it_ran(_Config) ->
    Node = start(#{?A => [?B], ?B => []}, #{?A => #{}, ?B => #{x => 1}}),
    _ = calls(Node),
    ?assertEqual({stopped, #{x => 1}}, services(Node, ensure_stopped, [?B])),
    ?assertEqual(already_stopped, services(Node, ensure_stopped, [?B])),
    ?assertEqual([{stop, ?B}], calls(Node)),
    ?assertEqual(#{?A => #{}}, loaded(Node)).

replace_services_stops_what_is_needed_no_more_and_leaves_the_rest_alone(_Config) ->
    Node = start(#{?A => [?B, ?C], ?B => [], ?C => [], ?D => [?C]}, maps:from_keys([?A, ?B, ?C, ?D], #{})),
    _ = calls(Node),
    ?assertEqual(ok, services(Node, replace_services, [[?A], #{}])),
    %% C stays, since D needs it.
    ?assertEqual([{stop, ?A}, {stop, ?B}], calls(Node)),
    ?assertEqual(maps:from_keys([?C, ?D], #{}), loaded(Node)),
    ?assertEqual(ok, services(Node, replace_services, [[?C], #{}])),
    ?assertEqual([], calls(Node)).

replace_services_starts_what_the_new_ones_need(_Config) ->
    Node = start(#{?A => [], ?B => [?C], ?C => [], ?D => [?C]}, #{?A => #{}, ?C => #{c => 1}}),
    {stopped, _} = services(Node, ensure_stopped, [?C]),
    _ = calls(Node),
    ?assertEqual(ok, services(Node, replace_services, [[?A], #{?B => #{b => 1}, ?D => #{}}])),
    ?assertEqual([{stop, ?A}, {start, ?C}, {start, ?B}, {start, ?D}], calls(Node)),
    ?assertEqual(#{?B => #{b => 1}, ?C => #{c => 1}, ?D => #{}}, loaded(Node)),
    %% New options restart the service; its dependencies and dependents keep running.
    ?assertEqual(ok, services(Node, replace_services, [[], #{?B => #{b => 2}, ?D => #{}}])),
    ?assertEqual([{stop, ?B}, {start, ?B}], calls(Node)).

replace_services_that_cannot_be_resolved_touch_nothing(_Config) ->
    Node = start(#{?A => [], ?B => [?C], ?C => []}, #{?A => #{}}),
    _ = calls(Node),
    ?assertMatch({error, #{what := required_service_not_configured, service := ?C, required_by := ?B}},
                 failure(Node, replace_services, [[?A], #{?B => #{}}])),
    ?assertEqual([], calls(Node)),
    ?assertEqual(ok, services(Node, replace_services, [[?A], #{?B => #{}, ?C => #{}}])),
    ?assertEqual([{stop, ?A}, {start, ?C}, {start, ?B}], calls(Node)).

a_service_may_ask_for_another_one_while_it_starts(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{}),
    behave(Node, ?A, start, {call, fun([_]) -> mongoose_domain_services:ensure_started(?B, #{}) end}),
    ?assertEqual({started, {started, ok}}, services(Node, ensure_started, [?A, #{}])),
    ?assertEqual(#{?A => #{}, ?B => #{}}, loaded(Node)),
    %% Inside its own start, a service counts as running.
    behave(Node, ?A, start, {call, fun([Options]) -> mongoose_domain_services:ensure_started(?A, Options) end}),
    {stopped, _} = services(Node, ensure_stopped, [?A]),
    ?assertEqual({started, already_started}, services(Node, ensure_started, [?A, #{}])).

%% The first start waits until the test releases it; the second caller waits for its turn.
callers_take_turns(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{}),
    hold(Node, ?A, start),
    First = call_beside(Node, ensure_started, [?A, #{}]),
    await_held(Node),
    Second = call_beside(Node, ensure_started, [?B, #{}]),
    await_callers(Node, 2),
    ?assertNot(services(Node, is_loaded, [?A])),
    ?assertEqual([{start, ?A}], calls(Node)),
    ok = let_go(Node),
    ?assertEqual([{started, ok}, {started, ok}], [First(), Second()]),
    ?assertEqual([{start, ?B}], calls(Node)).

what_runs_already_is_answered_while_another_start_hangs(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{?A => #{x => 1}}),
    hold(Node, ?B, start),
    Hanging = call_beside(Node, ensure_started, [?B, #{}]),
    await_held(Node),
    ?assertEqual(already_started, services(Node, ensure_started, [?A, #{x => 1}])),
    %% A call with other options, or for a service that is still starting, has to wait.
    Others = call_beside(Node, ensure_started, [?A, #{x => 2}]),
    await_callers(Node, 2),
    Same = call_beside(Node, ensure_started, [?B, #{}]),
    await_callers(Node, 3),
    ok = let_go(Node),
    ?assertEqual([{started, ok}, {restarted, #{x => 1}, ok}, already_started], [Hanging(), Others(), Same()]),
    ok = md_node:stop_application(Node),
    ?assertEqual({error, {not_running, mongoose_domain}}, failure(Node, ensure_started, [?A, #{x => 2}])).

a_component_that_is_about_to_stop_does_not_count_as_started(_Config) ->
    Node = start(#{?A => []}, #{?A => #{x => 1}}),
    Ask = fun() -> call_beside(Node, ensure_started, [?A, #{x => 1}]) end,
    %% The service stops or restarts with other options.
    Changes = [{ensure_stopped, [?A], {stopped, #{x => 1}}, {started, ok}},
               {ensure_started, [?A, #{x => 2}], {restarted, #{x => 1}, ok}, {restarted, #{x => 2}, ok}}],
    [begin
        hold(Node, ?A, stop),
        Change = call_beside(Node, Function, Arguments),
        await_held(Node),
        ?assert(services(Node, is_loaded, [?A])),
        ?assertEqual(#{?A => #{x => 1}}, loaded(Node)),
        Asks = Ask(),
        await_callers(Node, 2),
        behave(Node, ?A, stop, {return, ok}),
        ok = let_go(Node),
        ?assertEqual([Changed, Asked], [Change(), Asks()])
     end || {Function, Arguments, Changed, Asked} <- Changes],
    %% A service whose stop failed keeps running, so the call returns at once.
    behave(Node, ?A, stop, {crash, stuck}),
    ?assertEqual({error, stuck}, failure(Node, ensure_stopped, [?A])),
    ?assertEqual(already_started, services(Node, ensure_started, [?A, #{x => 1}])).

call_beside(Node, Function, Arguments) ->
    Self = self(),
    Pid = spawn_link(fun() -> Self ! {self(), services(Node, Function, Arguments)} end),
    fun() -> receive {Pid, Answer} -> Answer end end.

a_caller_that_is_killed_while_it_starts_a_service_leaves_nothing_listed(_Config) ->
    Node = start(#{?A => []}, #{}),
    behave(Node, ?A, start, {call, fun([_]) -> exit(self(), kill), receive never -> ok end end}),
    Caller = md_node:call(Node, erlang, spawn, [mongoose_domain_services, ensure_started, [?A, #{}]]),
    md_wait:until(fun() -> md_node:call(Node, erlang, is_process_alive, [Caller]) end, false),
    ?assertNot(services(Node, is_loaded, [?A])),
    ?assertEqual(#{}, loaded(Node)),
    behave(Node, ?A, start, {return, ok}),
    ?assertEqual({started, ok}, services(Node, ensure_started, [?A, #{}])).

the_list_outlives_every_process_but_the_supervisor(_Config) ->
    Node = start(#{?A => []}, #{?A => #{}}),
    Children = md_node:call(Node, supervisor, which_children, [mongoose_domain_sup]),
    [true = md_node:call(Node, erlang, exit, [Pid, kill]) || {_, Pid, _, _} <- Children],
    ?assert(services(Node, is_loaded, [?A])),
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_sup]),
    ?assert(services(Node, is_loaded, [?A])),
    ok = md_node:call(Node, sys, resume, [mongoose_domain_sup]).

%% Reports in the log

starts_and_stops_are_logged_with_the_keys_of_options(_Config) ->
    Node = start(#{?A => []}, #{?A => #{x => 1, y => 2}}),
    {stopped, _} = services(Node, ensure_stopped, [?A]),
    [?assertMatch([{info, #{service := ?A, options := [x, y]}}], md_node:logged(Node, What))
     || What <- [service_started, service_stopped]],
    behave(Node, ?A, start, {crash, full}),
    {error, full} = failure(Node, ensure_started, [?A, #{z => 1}]),
    ?assertMatch([{critical, #{service := ?A, options := [z], class := error, reason := full, stacktrace := [_ | _]}}],
                 md_node:logged(Node, service_startup_failed)),
    behave(Node, ?A, start, {return, ok}),
    {started, ok} = services(Node, ensure_started, [?A, #{z => 1}]),
    behave(Node, ?A, stop, {crash, busy}),
    {error, busy} = failure(Node, ensure_stopped, [?A]),
    ?assertMatch([{error, #{service := ?A, options := [z], class := error, reason := busy, stacktrace := [_ | _]}}],
                 md_node:logged(Node, service_stop_failed)).

no_value_of_an_option_is_in_a_log_or_a_crash_reason(_Config) ->
    Node = boot(#{?A => [?B], ?B => []}),
    ok = md_node:call(Node, md_components, make, [#{?A => {service, #{deps => [], validate => ok}}}]),
    Options = #{password => ?SECRET, deep => [{url, <<"http://x:" ?SECRET "@y">>}]},
    Echo = fun([Given]) -> erlang:error({cannot_use, Given, maps:to_list(Given)}) end,
    [begin
        behave(Node, ?A, Callback, Behaviour),
        {error, Reason} = configure(Node, #{?A => Options}),
        ?assertNot(md_secret:is_in(?SECRET, Reason)),
        behave(Node, ?A, Callback, {return, ok})
     end || {Callback, Behaviour} <- [{start, {call, Echo}}, {start, no_clause}, {validate, no_clause},
                                      {validate, {return, {error, "no " ?SECRET}}}]],
    ok = configure(Node, #{?A => Options}),
    behave(Node, ?A, start, {call, Echo}),
    %% The failure ends the process, which logs a crash report.
    Before = length(crash_reports(Node)),
    _ = md_node:call(Node, proc_lib, spawn, [mongoose_domain_services, ensure_started, [?A, Options#{x => 1}]]),
    md_wait:until(fun() -> length(crash_reports(Node)) end, Before + 1),
    ?assertNotEqual([], md_node:logged(Node, service_startup_failed)),
    ?assertEqual([], [Event || Event <- md_node:call(Node, md_log, all, []), md_secret:is_in(?SECRET, Event)]).

crash_reports(Node) ->
    [Event || #{msg := {report, #{label := {proc_lib, crash}}}} = Event <- md_node:call(Node, md_log, all, [])].

%% The service that follows the database

environment(Config) ->
    #{host_types => [<<"type1">>], service_domain_db => #{database => ?config(url, Config), poll_interval => 3600000}}.

enabled(Node) ->
    md_node:call(Node, service_domain_db, enabled, []).

insert(Node, Domain) ->
    md_node:call(Node, mongoose_domain_api, insert_domain, [Domain, <<"type1">>]).

%% The processes that run only with the service of the database.
children(Node) ->
    Children = md_node:call(Node, supervisor, which_children, [mongoose_domain_database_sup]),
    lists:sort([Id || {Id, _, _, _} <- Children]).

the_service_of_the_database_comes_and_goes(Config) ->
    Node = md_node:start(environment(Config)),
    All = [pg_scope, service_domain_db, mongoose_domain_operations, mongoose_domain_removal_jobs],
    [begin
        ?assert(enabled(Node)),
        ?assert(services(Node, is_loaded, [service_domain_db])),
        ?assertEqual(lists:sort(All), children(Node)),
        md_node:wait_until_following(Node),
        Name = <<"a", (integer_to_binary(Round))/binary, ".example">>,
        ?assertMatch({ok, _}, insert(Node, Name)),
        ?assertEqual({stopped, #{poll_interval => 3600000}}, services(Node, ensure_stopped, [service_domain_db])),
        ?assertNot(enabled(Node)),
        ?assertEqual([], children(Node)),
        ?assertMatch({service_disabled, _}, insert(Node, <<"b.example">>)),
        ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)),
        ?assertMatch({started, _}, services(Node, ensure_started, [service_domain_db, #{poll_interval => 3600000}]))
     end || Round <- [1, 2]],
    ?assertEqual(already_started, services(Node, ensure_started, [service_domain_db, #{poll_interval => 3600000}])),
    ok = md_node:stop_application(Node),
    ?assertNot(enabled(Node)),
    ok = md_node:start_application(Node, #{host_types => [<<"type1">>]}),
    ?assertNot(enabled(Node)),
    %% The service starts even though the configuration does not have it.
    ?assertMatch({error, #{what := invalid_service_options}}, failure(Node, ensure_started, [service_domain_db, #{}])),
    {started, _} = services(Node, ensure_started, [service_domain_db, #{database => ?config(url, Config)}]),
    ?assert(enabled(Node)),
    md_node:wait_until_following(Node),
    ?assertMatch({ok, _}, insert(Node, <<"c.example">>)).

the_service_of_the_database_is_started_anew_with_other_options(Config) ->
    Node = md_node:start(environment(Config)),
    Before = md_node:service(Node),
    ?assertMatch({restarted, #{poll_interval := 3600000}, Pid} when is_pid(Pid),
                 services(Node, ensure_started, [service_domain_db, #{password_iterations => 7}])),
    ?assertNotEqual(Before, md_node:service(Node)),
    ?assert(enabled(Node)),
    ?assertMatch({ok, #{password_iterations := 7, poll_interval := 3600000}},
                 md_node:call(Node, mongoose_domain_config, service, [])),
    ?assertEqual(#{service_domain_db => #{password_iterations => 7}}, loaded(Node)),
    md_node:wait_until_following(Node).

the_service_of_the_database_leaves_unknown_options_alone(Config) ->
    Node = md_node:start(environment(Config)),
    {restarted, _, _} = services(Node, ensure_started, [service_domain_db, #{db_pool => global}]),
    ?assertEqual(#{service_domain_db => #{db_pool => global}}, loaded(Node)),
    ?assertMatch({ok, _}, md_node:call(Node, mongoose_domain_config, service, [])),
    %% MongooseIM's service manager calls start and stop like this.
    ok = md_node:call(Node, service_domain_db, stop, []),
    {ok, _} = md_node:call(Node, service_domain_db, start, [#{event_max_age => 7200, db_pool => global}]),
    ?assert(enabled(Node)),
    md_node:wait_until_following(Node).

a_start_of_the_service_of_the_database_that_fails_leaves_the_environment_as_it_was(Config) ->
    Node = md_node:start(environment(Config)),
    Options = md_node:call(Node, application, get_env, [mongoose_domain, service_domain_db]),
    Wrong = md_database:with_query(?config(url, Config), "sslmode=sometimes"),
    ?assertMatch({error, {wrong_configuration, #{key := [service_domain_db, database]}}},
                 failure(Node, ensure_started, [service_domain_db, #{database => Wrong}])),
    ?assertEqual(Options, md_node:call(Node, application, get_env, [mongoose_domain, service_domain_db])),
    ?assertNot(enabled(Node)),
    ?assertEqual(#{}, loaded(Node)),
    ?assertEqual([], children(Node)),
    {started, _} = services(Node, ensure_started, [service_domain_db, #{}]),
    %% Options that are invalid in themselves are refused before the service stops.
    ?assertMatch({error, #{what := invalid_service_options}},
                 failure(Node, ensure_started, [service_domain_db, #{poll_interval => 0}])),
    ?assert(enabled(Node)).

another_service_may_need_the_one_of_the_database(Config) ->
    Node = boot(#{?A => [service_domain_db]}),
    {error, {Problem, _}} = configure(Node, #{?A => #{}}),
    ?assertMatch(#{what := required_service_not_configured, service := service_domain_db, required_by := ?A}, Problem),
    behave(Node, ?A, start, {call, fun([_]) -> service_domain_db:enabled() end}),
    ok = md_node:start_application(Node, (environment(Config))#{services => #{?A => #{}}}),
    [{stopped, _} = services(Node, ensure_stopped, [S]) || S <- [?A, service_domain_db]],
    ?assertEqual({started, true}, services(Node, ensure_started, [?A, #{}])),
    ?assert(enabled(Node)).

the_url_is_shown_nowhere(Config) ->
    Url = md_database:with_user(?config(url, Config), "mongoose", ?SECRET),
    Node = md_node:start((environment(Config))#{service_domain_db => #{database => Url}}),
    {restarted, _, _} = services(Node, ensure_started, [service_domain_db, #{database => Url}]),
    ?assertEqual(already_started, services(Node, ensure_started, [service_domain_db, #{database => Url}])),
    {error, _} = failure(Node, ensure_started, [service_domain_db, #{database => Url ++ "?sslmode=sometimes"}]),
    {started, _} = services(Node, ensure_started, [service_domain_db, #{database => Url, pool_size => 1}]),
    md_node:wait_until_following(Node),
    Places = [{loaded, loaded(Node)}, {list, md_node:call(Node, ets, tab2list, [mongoose_domain_components])}
              | md_node:call(Node, md_looker, everything_shown, [])],
    ?assertEqual([], [Place || {Place, Shown} <- Places, md_secret:is_in(?SECRET, Shown)]).
