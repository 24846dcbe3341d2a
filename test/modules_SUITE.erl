%% Modules on a real node: the order of starts for each host type, the lists of running modules, the log, and the part
%% that running modules take in removals.
-module(modules_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% Start and stop of the application.
-export([modules_start_for_static_host_types_first_and_stop_in_reverse_for_the_same_host_types/1,
         an_entry_of_a_host_type_replaces_that_of_all/1,
         dependencies_are_started_and_configured_options_kept/1,
         services_start_before_modules_and_stop_after_them/1,
         a_cycle_of_hard_dependencies_stops_the_start_and_is_named/1,
         a_module_that_fails_stops_the_start_and_what_was_started_is_stopped/1,
         a_stop_that_fails_keeps_no_other_module_from_being_stopped_at_the_end/1,
         a_stop_of_all_that_fails_leaves_the_rest_running/1]).
%% At run time.
-export([ensure_started_says_what_it_did/1,
         the_functions_of_one_module_leave_its_dependencies_alone/1,
         a_module_whose_service_does_not_run_does_not_start_and_says_which/1,
         a_module_that_does_not_support_dynamic_domains_is_refused_for_their_host_types/1,
         a_host_type_that_the_node_does_not_have_is_refused/1,
         a_module_that_is_not_there_is_named/1,
         options_that_are_refused_stop_nothing/1,
         a_failed_start_leaves_all_as_it_was/1,
         a_failed_restart_is_not_listed/1,
         a_failed_stop_leaves_the_module_listed/1,
         options_are_there_while_a_module_starts_and_stops/1,
         what_runs_already_is_answered_while_another_start_hangs/1,
         replace_modules_stops_what_is_needed_no_more_and_leaves_the_rest_alone/1,
         replace_modules_starts_what_the_new_ones_depend_on/1,
         replace_modules_that_cannot_be_resolved_touch_nothing/1,
         host_types_do_not_know_each_others_modules/1,
         a_stop_waits_for_the_processes_that_it_names/1,
         a_process_that_does_not_end_in_time_is_killed/1]).
%% Reports in the log.
-export([starts_and_stops_are_logged_with_the_keys_of_options/1,
         links_that_a_module_leaves_are_logged/1,
         options_that_are_overridden_are_logged_without_values/1,
         no_value_of_an_option_is_in_a_log_or_a_crash_reason/1]).
%% Removals.
-export([waiting_jobs/0]).
-export([a_removal_calls_the_modules_that_run_and_no_others/1,
         a_module_is_a_handler_after_its_start_and_until_its_stop/1,
         at_the_end_no_removal_passes_a_stopped_module_by/1,
         a_module_that_fails_to_remove_stops_the_removal/1,
         a_removal_right_after_the_start_calls_the_handlers_of_the_configuration/1,
         a_removal_waits_for_a_handler_that_registers_itself_later/1,
         a_removal_that_was_left_waits_for_the_modules_of_the_configuration/1]).

-define(SECRET, "s3cret-pa55word").
-define(STATIC, <<"static type">>).
-define(TYPE, <<"type1">>).
-define(A, md_module_a).
-define(B, md_module_b).
-define(C, md_module_c).
-define(D, md_module_d).
-define(SERVICE, md_service_a).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, application}, {group, run_time}, {group, words}, {group, postgres}, {group, sqlite}].

groups() ->
    Removals = [a_removal_calls_the_modules_that_run_and_no_others,
                a_module_is_a_handler_after_its_start_and_until_its_stop,
                at_the_end_no_removal_passes_a_stopped_module_by,
                a_module_that_fails_to_remove_stops_the_removal,
                a_removal_right_after_the_start_calls_the_handlers_of_the_configuration,
                a_removal_waits_for_a_handler_that_registers_itself_later,
                a_removal_that_was_left_waits_for_the_modules_of_the_configuration],
    [{application, [modules_start_for_static_host_types_first_and_stop_in_reverse_for_the_same_host_types,
                    an_entry_of_a_host_type_replaces_that_of_all,
                    dependencies_are_started_and_configured_options_kept,
                    services_start_before_modules_and_stop_after_them,
                    a_cycle_of_hard_dependencies_stops_the_start_and_is_named,
                    a_module_that_fails_stops_the_start_and_what_was_started_is_stopped,
                    a_stop_that_fails_keeps_no_other_module_from_being_stopped_at_the_end,
                    a_stop_of_all_that_fails_leaves_the_rest_running]},
     {run_time, [ensure_started_says_what_it_did,
                 the_functions_of_one_module_leave_its_dependencies_alone,
                 a_module_whose_service_does_not_run_does_not_start_and_says_which,
                 a_module_that_does_not_support_dynamic_domains_is_refused_for_their_host_types,
                 a_host_type_that_the_node_does_not_have_is_refused,
                 a_module_that_is_not_there_is_named,
                 options_that_are_refused_stop_nothing,
                 a_failed_start_leaves_all_as_it_was,
                 a_failed_restart_is_not_listed,
                 a_failed_stop_leaves_the_module_listed,
                 options_are_there_while_a_module_starts_and_stops,
                 what_runs_already_is_answered_while_another_start_hangs,
                 replace_modules_stops_what_is_needed_no_more_and_leaves_the_rest_alone,
                 replace_modules_starts_what_the_new_ones_depend_on,
                 replace_modules_that_cannot_be_resolved_touch_nothing,
                 host_types_do_not_know_each_others_modules,
                 a_stop_waits_for_the_processes_that_it_names,
                 a_process_that_does_not_end_in_time_is_killed]},
     {words, [starts_and_stops_are_logged_with_the_keys_of_options,
              links_that_a_module_leaves_are_logged,
              options_that_are_overridden_are_logged_without_values,
              no_value_of_an_option_is_in_a_log_or_a_crash_reason]},
     {postgres, Removals},
     {sqlite, Removals}].

init_per_group(sqlite, Config) ->
    case md_client:speaks_sqlite() of
        true -> [{kind, sqlite} | Config];
        false -> {skip, "no program to read SQLite with: neither sqlite3 nor python3 is on PATH"}
    end;
init_per_group(postgres, Config) ->
    [{kind, postgres} | Config];
init_per_group(_Group, Config) ->
    Config.

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    case proplists:get_value(kind, Config) of
        postgres -> md_database:or_fail(fun() -> [{url, md_database:with_tables(md_database:create())} | Config] end);
        sqlite -> [{url, md_database:with_tables(md_database:sqlite(?config(priv_dir, Config)))} | Config];
        undefined -> Config
    end.

end_per_testcase(_Case, Config) ->
    case proplists:get_value(kind, Config) of
        postgres -> md_database:drop(?config(url, Config));
        _ -> ok
    end.

%% Boots a node that has these modules with their dependencies, and a service. The application is not started.
boot(Dependencies) ->
    Node = md_node:boot(),
    {ok, _} = md_node:call(Node, application, ensure_all_started, [compiler]),
    Modules = maps:map(fun(_, Deps) -> {module, #{deps => Deps, supported_features => [dynamic_domains]}} end,
                       Dependencies),
    ok = md_node:call(Node, md_components, make, [Modules#{?SERVICE => {service, #{deps => []}}}]),
    Node.

environment(Modules) ->
    #{hosts => [{<<"static.example">>, ?STATIC}, {<<"other.example">>, ?STATIC}], host_types => [?TYPE],
      modules => Modules}.

configure(Node, Modules) ->
    md_node:start_application(Node, environment(Modules)).

%% The same, with the application started and these modules in its configuration.
start(Dependencies, Modules) ->
    Node = boot(Dependencies),
    ok = configure(Node, Modules),
    _ = calls(Node),
    Node.

modules(Node, Function, Arguments) ->
    md_node:call(Node, mongoose_domain_modules, Function, Arguments).

behave(Node, Module, Callback, Behaviour) ->
    ok = md_node:call(Node, md_components, behave, [Module, Callback, Behaviour]).

%% The calls since the last call of this function, each with its first argument, the host type.
calls(Node) ->
    Calls = md_node:call(Node, md_components, calls, []),
    ok = md_node:call(Node, md_components, forget, []),
    [{Callback, Name, hd(Arguments ++ [none])} || {Name, Callback, Arguments} <- Calls].

loaded(Node, HostType) ->
    modules(Node, loaded_modules_with_opts, [HostType]).

failure(Node, Function, Arguments) ->
    try modules(Node, Function, Arguments) of
        Result -> {returned, Result}
    catch
        Class:Reason -> {Class, Reason}
    end.

hard(Module) -> {Module, #{}, hard}.

%% Start and stop of the application

modules_start_for_static_host_types_first_and_stop_in_reverse_for_the_same_host_types(_Config) ->
    Node = boot(#{?A => [hard(?C)], ?B => [], ?C => []}),
    ok = configure(Node, #{all => maps:from_keys([?A, ?B, ?C], #{})}),
    ?assertEqual([{start, Module, HostType} || HostType <- [?STATIC, ?TYPE], Module <- [?C, ?A, ?B]], calls(Node)),
    ?assertEqual([?C, ?A, ?B], modules(Node, loaded_modules, [?TYPE])),
    ok = md_node:stop_application(Node),
    ?assertEqual([{stop, Module, HostType} || HostType <- [?STATIC, ?TYPE], Module <- [?B, ?A, ?C]], calls(Node)),
    ?assertEqual(#{}, loaded(Node, ?TYPE)).

an_entry_of_a_host_type_replaces_that_of_all(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{all => #{?A => #{x => 1}}, ?TYPE => #{?B => #{y => 2}}}),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node, ?STATIC)),
    ?assertEqual(#{?B => #{y => 2}}, loaded(Node, ?TYPE)).

dependencies_are_started_and_configured_options_kept(_Config) ->
    Node = start(#{?A => [{?C, #{x => wish, y => wish}, hard}], ?B => [{?D, #{}, optional}], ?C => [], ?D => []},
                 #{?TYPE => #{?A => #{}, ?B => #{}, ?C => #{x => own}}}),
    ?assertEqual(#{?A => #{}, ?B => #{}, ?C => #{x => own, y => wish}}, loaded(Node, ?TYPE)),
    ?assertEqual(#{x => own, y => wish}, modules(Node, get_module_opts, [?TYPE, ?C])),
    ?assertEqual([{?C, #{x => wish, y => wish}, hard}], modules(Node, get_deps, [?TYPE, ?A])),
    ?assertMatch({error, #{what := module_not_loaded, module := ?D, host_type := ?TYPE}},
                 failure(Node, get_module_opts, [?TYPE, ?D])).

services_start_before_modules_and_stop_after_them(_Config) ->
    Node = boot(#{?A => [{service, ?SERVICE}]}),
    Environment = (environment(#{?TYPE => #{?A => #{}}}))#{services => #{?SERVICE => #{}}},
    ok = md_node:start_application(Node, Environment),
    ?assertEqual([{start, ?SERVICE, #{}}, {start, ?A, ?TYPE}], calls(Node)),
    ok = md_node:stop_application(Node),
    ?assertEqual([{stop, ?A, ?TYPE}, {stop, ?SERVICE, none}], calls(Node)),
    %% A module without its service is an error; a module that fails to start makes its service stop again.
    {error, {Problem, _}} = configure(Node, #{?TYPE => #{?A => #{}}}),
    ?assertMatch(#{what := service_not_loaded, service := ?SERVICE, module := ?A, host_type := ?TYPE}, Problem),
    behave(Node, ?A, start, {crash, full}),
    {error, _} = md_node:start_application(Node, Environment),
    ?assertEqual([{start, ?SERVICE, #{}}, {start, ?A, ?TYPE}, {stop, ?SERVICE, none}], calls(Node)).

a_cycle_of_hard_dependencies_stops_the_start_and_is_named(_Config) ->
    Node = boot(#{?A => [hard(?B)], ?B => [hard(?A)]}),
    {error, {Reason, _}} = configure(Node, #{?TYPE => #{?A => #{}}}),
    ?assertEqual({dependency_cycle, [?B, ?A, ?B]}, Reason),
    ?assertMatch([{critical, #{cycle_path := [?B, ?A, ?B], host_type := ?TYPE}}],
                 md_node:logged(Node, resolving_dependencies_aborted)),
    ?assertEqual([], calls(Node)).

a_module_that_fails_stops_the_start_and_what_was_started_is_stopped(_Config) ->
    Node = boot(#{?A => [], ?B => []}),
    [begin
        behave(Node, ?B, start, Behaviour),
        {error, {Problem, _}} = configure(Node, #{all => #{?A => #{}, ?B => #{}}}),
        ?assertMatch(#{what := module_start_failed, module := ?B, host_type := ?STATIC, reason := full}, Problem),
        ?assertEqual([{start, ?A, ?STATIC}, {start, ?B, ?STATIC}, {stop, ?A, ?STATIC}], calls(Node)),
        ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup]))
     end || Behaviour <- [{crash, full}, {return, {error, full}}]].

a_stop_that_fails_keeps_no_other_module_from_being_stopped_at_the_end(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{all => #{?A => #{}, ?B => #{}}}),
    behave(Node, ?B, stop, {crash, busy}),
    ok = md_node:stop_application(Node),
    ?assertEqual([{stop, Module, HostType} || HostType <- [?STATIC, ?TYPE], Module <- [?B, ?A]], calls(Node)),
    ?assertEqual(2, md_node:count(Node, module_stopping_failed)).

a_stop_of_all_that_fails_leaves_the_rest_running(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{all => #{?A => #{}, ?B => #{}}}),
    behave(Node, ?A, stop, {crash, busy}),
    ?assertEqual({error, busy}, failure(Node, stop, [])),
    ?assertEqual([[?A], [?A, ?B]], [modules(Node, loaded_modules, [HostType]) || HostType <- [?STATIC, ?TYPE]]),
    behave(Node, ?A, stop, {return, ok}),
    ?assertEqual(ok, modules(Node, stop, [])),
    ?assertEqual(ok, modules(Node, start, [])),
    ?assertEqual([[?A, ?B], [?A, ?B]], [modules(Node, loaded_modules, [HostType]) || HostType <- [?STATIC, ?TYPE]]).

%% At run time

ensure_started_says_what_it_did(_Config) ->
    Node = start(#{?A => []}, #{}),
    behave(Node, ?A, start, {return, {ok, 7}}),
    ?assertEqual({started, 7}, modules(Node, ensure_started, [?TYPE, ?A, #{x => 1}])),
    ?assertEqual(already_started, modules(Node, ensure_started, [?TYPE, ?A, #{x => 1}])),
    ?assertEqual({restarted, #{x => 1}, 7}, modules(Node, ensure_started, [?TYPE, ?A, #{x => 2}])),
    ?assertEqual({stopped, #{x => 2}}, modules(Node, ensure_stopped, [?TYPE, ?A])),
    ?assertEqual(already_stopped, modules(Node, ensure_stopped, [?TYPE, ?A])),
    ?assertEqual([{start, ?A, ?TYPE}, {stop, ?A, ?TYPE}, {start, ?A, ?TYPE}, {stop, ?A, ?TYPE}], calls(Node)).

the_functions_of_one_module_leave_its_dependencies_alone(_Config) ->
    Node = start(#{?A => [hard(?B)], ?B => []}, #{?TYPE => #{?B => #{}}}),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?B]),
    ?assertEqual({started, ok}, modules(Node, ensure_started, [?TYPE, ?A, #{}])),
    ?assertEqual([{stop, ?B, ?TYPE}, {start, ?A, ?TYPE}], calls(Node)),
    {started, ok} = modules(Node, ensure_started, [?TYPE, ?B, #{}]),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?B]),
    ?assertEqual([?A], modules(Node, loaded_modules, [?TYPE])).

a_module_whose_service_does_not_run_does_not_start_and_says_which(_Config) ->
    Node = start(#{?A => [{service, ?SERVICE}]}, #{}),
    [?assertMatch({error, #{what := service_not_loaded, service := ?SERVICE, module := ?A, host_type := ?TYPE}},
                  failure(Node, Function, Arguments))
     || {Function, Arguments} <- [{ensure_started, [?TYPE, ?A, #{}]}, {replace_modules, [?TYPE, [], #{?A => #{}}]}]],
    ?assertEqual([], calls(Node)),
    {started, ok} = md_node:call(Node, mongoose_domain_services, ensure_started, [?SERVICE, #{}]),
    ?assertEqual({started, ok}, modules(Node, ensure_started, [?TYPE, ?A, #{}])).

a_module_that_does_not_support_dynamic_domains_is_refused_for_their_host_types(_Config) ->
    Node = start(#{}, #{}),
    ok = md_node:call(Node, md_components, make, [#{?A => {module, #{deps => []}},
                                               ?B => {module, #{deps => [], supported_features => [others]}}}]),
    [begin
        ?assertEqual({error, {Module, ?TYPE, dynamic_domains_feature_is_not_supported}},
                     failure(Node, ensure_started, [?TYPE, Module, #{}])),
        ?assertEqual({started, ok}, modules(Node, ensure_started, [?STATIC, Module, #{}]))
     end || Module <- [?A, ?B]],
    ok = md_node:stop_application(Node),
    {error, {Reason, _}} = configure(Node, #{all => #{?A => #{}}}),
    ?assertEqual({?A, ?TYPE, dynamic_domains_feature_is_not_supported}, Reason).

a_host_type_that_the_node_does_not_have_is_refused(_Config) ->
    Node = start(#{?A => []}, #{}),
    ?assertMatch({error, #{what := unknown_host_type, host_type := <<"nowhere">>, module := ?A}},
                 failure(Node, ensure_started, [<<"nowhere">>, ?A, #{}])),
    ?assertEqual(already_stopped, modules(Node, ensure_stopped, [<<"nowhere">>, ?A])).

a_module_that_is_not_there_is_named(_Config) ->
    Node = start(#{}, #{}),
    ?assertMatch({error, #{what := module_not_found, module := md_module_nowhere}},
                 failure(Node, ensure_started, [?TYPE, md_module_nowhere, #{}])).

options_that_are_refused_stop_nothing(_Config) ->
    Node = start(#{?A => []}, #{?TYPE => #{?A => #{x => 1}}}),
    ok = md_node:call(Node, md_components, make, [#{?A => {module, #{deps => [], supported_features => [dynamic_domains],
                                                                validate => {error, "x must be 1"}}}}]),
    [?assertMatch({error, #{what := invalid_module_options, module := ?A, options := [x], text := <<"x must be 1">>}},
                  failure(Node, Function, Arguments))
     || {Function, Arguments} <- [{ensure_started, [?TYPE, ?A, #{x => 2}]},
                                  {replace_modules, [?TYPE, [], #{?A => #{x => 2}}]}]],
    ?assertEqual([], calls(Node)),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node, ?TYPE)).

a_failed_start_leaves_all_as_it_was(_Config) ->
    Node = start(#{?A => [hard(?B)], ?B => [], ?C => []}, #{?TYPE => #{?C => #{}}}),
    behave(Node, ?A, start, {crash, full}),
    ?assertEqual({error, full}, failure(Node, ensure_started, [?TYPE, ?A, #{}])),
    ?assertEqual({error, full}, failure(Node, replace_modules, [?TYPE, [], #{?A => #{}}])),
    ?assertEqual([{start, ?A, ?TYPE}, {start, ?B, ?TYPE}, {start, ?A, ?TYPE}, {stop, ?B, ?TYPE}], calls(Node)),
    ?assertEqual(#{?C => #{}}, loaded(Node, ?TYPE)).

a_failed_restart_is_not_listed(_Config) ->
    Node = start(#{?A => []}, #{?TYPE => #{?A => #{x => 1}}}),
    behave(Node, ?A, start, {crash, full}),
    ?assertEqual({error, full}, failure(Node, ensure_started, [?TYPE, ?A, #{x => 2}])),
    ?assertNot(modules(Node, is_loaded, [?TYPE, ?A])),
    ?assertEqual(already_stopped, modules(Node, ensure_stopped, [?TYPE, ?A])).

a_failed_stop_leaves_the_module_listed(_Config) ->
    Node = start(#{?A => []}, #{?TYPE => #{?A => #{x => 1}}}),
    behave(Node, ?A, stop, {crash, busy}),
    ?assertEqual({error, busy}, failure(Node, ensure_stopped, [?TYPE, ?A])),
    ?assertEqual({error, busy}, failure(Node, replace_modules, [?TYPE, [?A], #{}])),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node, ?TYPE)).

options_are_there_while_a_module_starts_and_stops(_Config) ->
    Node = start(#{?A => []}, #{}),
    Own = fun([HostType | _]) -> mongoose_domain_modules:get_module_opts(HostType, ?A) end,
    behave(Node, ?A, start, {call, Own}),
    ?assertEqual({started, #{x => 1}}, modules(Node, ensure_started, [?TYPE, ?A, #{x => 1}])),
    behave(Node, ?A, stop, {call, Own}),
    ?assertEqual({stopped, #{x => 1}}, modules(Node, ensure_stopped, [?TYPE, ?A])),
    ?assertMatch({error, #{what := module_not_loaded}}, failure(Node, get_module_opts, [?TYPE, ?A])).

what_runs_already_is_answered_while_another_start_hangs(_Config) ->
    Node = start(#{?A => [], ?B => []}, #{?TYPE => #{?A => #{x => 1}}}),
    md_components:hold(Node, ?B, start),
    Self = self(),
    Hanging = spawn_link(fun() -> Self ! {self(), modules(Node, ensure_started, [?TYPE, ?B, #{}])} end),
    md_components:await_held(Node),
    ?assertEqual(already_started, modules(Node, ensure_started, [?TYPE, ?A, #{x => 1}])),
    %% Other options require a restart, so this call waits.
    Others = spawn_link(fun() -> Self ! {self(), modules(Node, ensure_started, [?TYPE, ?A, #{x => 2}])} end),
    md_components:await_callers(Node, 2),
    ok = md_components:let_go(Node),
    ?assertEqual([{started, ok}, {restarted, #{x => 1}, ok}],
                 [receive {Pid, Answer} -> Answer end || Pid <- [Hanging, Others]]).

replace_modules_stops_what_is_needed_no_more_and_leaves_the_rest_alone(_Config) ->
    Node = start(#{?A => [hard(?B), {?C, #{}, soft}], ?B => [], ?C => [], ?D => [hard(?C)]},
                 #{?TYPE => #{?A => #{}, ?D => #{}}}),
    ?assertEqual(ok, modules(Node, replace_modules, [?TYPE, [?A], #{}])),
    ?assertEqual([{stop, ?A, ?TYPE}, {stop, ?B, ?TYPE}], calls(Node)),
    ?assertEqual([?C, ?D], modules(Node, loaded_modules, [?TYPE])).

replace_modules_starts_what_the_new_ones_depend_on(_Config) ->
    Node = start(#{?A => [], ?B => [{?C, #{x => wish, y => wish}, hard}], ?C => [hard(?D)], ?D => []},
                 #{?TYPE => #{?A => #{}, ?C => #{x => own}}}),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?C]),
    _ = calls(Node),
    ?assertEqual(ok, modules(Node, replace_modules, [?TYPE, [?A], #{?B => #{b => 1}}])),
    %% D is not listed, since it runs already: C was configured.
    ?assertEqual([{stop, ?A, ?TYPE}, {start, ?C, ?TYPE}, {start, ?B, ?TYPE}], calls(Node)),
    ?assertEqual(#{?B => #{b => 1}, ?C => #{x => own, y => wish}, ?D => #{}}, loaded(Node, ?TYPE)),
    ?assertEqual(ok, modules(Node, replace_modules, [?TYPE, [], #{?B => #{b => 2}}])),
    ?assertEqual([{stop, ?B, ?TYPE}, {start, ?B, ?TYPE}], calls(Node)).

replace_modules_that_cannot_be_resolved_touch_nothing(_Config) ->
    Node = start(#{?A => [], ?B => [hard(?C)], ?C => [hard(?B)]}, #{?TYPE => #{?A => #{}}}),
    ?assertEqual({error, {dependency_cycle, [?C, ?B, ?C]}},
                 failure(Node, replace_modules, [?TYPE, [?A], #{?B => #{}}])),
    ?assertEqual([], calls(Node)),
    ?assertEqual(#{?A => #{}}, loaded(Node, ?TYPE)).

host_types_do_not_know_each_others_modules(_Config) ->
    Node = start(#{?A => []}, #{all => #{?A => #{x => 1}}}),
    ?assertEqual(ok, modules(Node, replace_modules, [?TYPE, [?A], #{}])),
    ?assertEqual([{stop, ?A, ?TYPE}], calls(Node)),
    ?assertEqual(#{?A => #{x => 1}}, loaded(Node, ?STATIC)),
    ?assertNot(modules(Node, is_loaded, [?TYPE, ?A])).

a_stop_waits_for_the_processes_that_it_names(_Config) ->
    Node = start(#{?A => []}, #{?TYPE => #{?A => #{}}}),
    behave(Node, ?A, stop, {wait, soon}),
    ?assertEqual({stopped, #{}}, modules(Node, ensure_stopped, [?TYPE, ?A])),
    ?assertEqual(0, md_node:count(Node, module_process_killed)).

a_process_that_does_not_end_in_time_is_killed(_Config) ->
    Node = start(#{?A => []}, #{all => #{?A => #{}}}),
    [begin
        behave(Node, ?A, stop, {wait, Which}),
        ?assertEqual({stopped, #{}}, modules(Node, ensure_stopped, [HostType, ?A]))
     end || {HostType, Which} <- [{?TYPE, never}, {?STATIC, named}]],
    ?assertMatch([{warning, #{process := Pid, waited := 5000}}, {warning, #{process := md_components_waiting}}]
                     when is_pid(Pid), md_node:logged(Node, module_process_killed)),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [md_components_waiting])).

%% Reports in the log

starts_and_stops_are_logged_with_the_keys_of_options(_Config) ->
    Node = start(#{?A => []}, #{?TYPE => #{?A => #{x => 1, y => 2}}}),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?A]),
    [?assertMatch([{info, #{module := ?A, host_type := ?TYPE, options := [x, y]}}], md_node:logged(Node, What))
     || What <- [module_started, module_stopped]],
    behave(Node, ?A, start, {crash, full}),
    {error, full} = failure(Node, ensure_started, [?TYPE, ?A, #{z => 1}]),
    behave(Node, ?A, start, {return, ok}),
    {started, ok} = modules(Node, ensure_started, [?TYPE, ?A, #{z => 1}]),
    behave(Node, ?A, stop, {crash, busy}),
    {error, busy} = failure(Node, ensure_stopped, [?TYPE, ?A]),
    [?assertMatch([{Level, #{module := ?A, host_type := ?TYPE, options := [z], class := error, reason := Reason,
                             stacktrace := [_ | _]}}], md_node:logged(Node, What))
     || {Level, What, Reason} <- [{critical, module_start_failed, full}, {error, module_stopping_failed, busy}]].

links_that_a_module_leaves_are_logged(_Config) ->
    Node = start(#{?A => []}, #{}),
    behave(Node, ?A, start, link),
    {started, Pid} = modules(Node, ensure_started, [?TYPE, ?A, #{}]),
    ?assertMatch([{error, #{module := ?A, host_type := ?TYPE, links := [Pid]}}],
                 md_node:logged(Node, unexpected_links)),
    ?assert(modules(Node, is_loaded, [?TYPE, ?A])).

options_that_are_overridden_are_logged_without_values(_Config) ->
    Node = start(#{?A => [{?B, #{password => ?SECRET}, hard}], ?B => []},
                 #{?TYPE => #{?A => #{}, ?B => #{password => ?SECRET ++ "2"}}}),
    ?assertMatch([{warning, #{module := ?B, keys := [password], host_type := ?TYPE}}],
                 md_node:logged(Node, overriding_options)),
    ?assertNot(md_secret:is_in(?SECRET, md_node:call(Node, md_log, all, []))).

no_value_of_an_option_is_in_a_log_or_a_crash_reason(_Config) ->
    Node = boot(#{}),
    Answers = #{deps => [], validate => ok, supported_features => [dynamic_domains]},
    ok = md_node:call(Node, md_components, make, [#{?A => {module, Answers}}]),
    Options = #{password => ?SECRET, deep => [{url, <<"http://x:" ?SECRET "@y">>}]},
    Echo = fun(Given) -> erlang:error({cannot_use, lists:last(Given)}) end,
    [begin
        behave(Node, ?A, Callback, Behaviour),
        {error, Reason} = configure(Node, #{?TYPE => #{?A => Options}}),
        ?assertNot(md_secret:is_in(?SECRET, Reason)),
        behave(Node, ?A, Callback, {return, maps:get(Callback, Answers, ok)})
     end || {Callback, Behaviour} <- [{start, {call, Echo}}, {start, no_clause}, {validate, no_clause},
                                      {deps, no_clause}, {validate, {return, {error, "no " ?SECRET}}}]],
    ok = configure(Node, #{?TYPE => #{?A => Options}}),
    behave(Node, ?A, stop, {crash, {cannot_stop, Options}}),
    {error, {cannot_stop, '(not shown)'}} = failure(Node, ensure_stopped, [?TYPE, ?A]),
    ?assertEqual([], [Event || Event <- md_node:call(Node, md_log, all, []), md_secret:is_in(?SECRET, Event)]).

%% Removals

%% Starts a node that follows the database, with modules that take part in removals.
start_with_database(Config) ->
    Node = md_node:boot(),
    {ok, _} = md_node:call(Node, application, ensure_all_started, [compiler]),
    Answers = #{deps => [{service, service_domain_db}], supported_features => [dynamic_domains], remove_domain => ok},
    ok = md_node:call(Node, md_components, make, [#{?A => {module, Answers}, ?B => {module, Answers},
                                               ?C => {module, maps:remove(remove_domain, Answers)}}]),
    Service = #{database => ?config(url, Config), poll_interval => 3600000},
    ok = md_node:start_application(Node, (environment(#{?TYPE => maps:from_keys([?A, ?B, ?C], #{})}))
                                             #{service_domain_db => Service}),
    md_node:wait_until_following(Node),
    _ = calls(Node),
    Node.

remove(Node, Domain) ->
    {ok, _} = md_node:call(Node, mongoose_domain_api, insert_domain, [Domain, ?TYPE]),
    md_node:call(Node, mongoose_domain_api, delete_domain, [Domain, ?TYPE]).

handlers(Node) ->
    md_node:call(Node, mongoose_domain_removal, handlers, [?TYPE]).

a_removal_calls_the_modules_that_run_and_no_others(Config) ->
    Node = start_with_database(Config),
    {ok, #{status := deleted}} = remove(Node, <<"a.example">>),
    ?assertEqual([{remove_domain, ?A, ?TYPE}, {remove_domain, ?B, ?TYPE}], calls(Node)),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?A]),
    _ = calls(Node),
    {ok, #{status := deleted}} = remove(Node, <<"b.example">>),
    ?assertEqual([{remove_domain, ?B, ?TYPE}], calls(Node)),
    %% A module whose start failed is no handler, either.
    behave(Node, ?A, start, {crash, full}),
    {error, full} = failure(Node, ensure_started, [?TYPE, ?A, #{}]),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?B]),
    _ = calls(Node),
    {ok, #{status := deleted}} = remove(Node, <<"c.example">>),
    ?assertEqual([], calls(Node)).

a_module_is_a_handler_after_its_start_and_until_its_stop(Config) ->
    Node = start_with_database(Config),
    ?assertEqual([?A, ?B], handlers(Node)),
    Handlers = fun([HostType | _]) -> mongoose_domain_removal:handlers(HostType) end,
    behave(Node, ?A, start, {call, Handlers}),
    %% A removal must not skip the module while it restarts.
    ?assertEqual({restarted, #{}, [?A, ?B]}, modules(Node, ensure_started, [?TYPE, ?A, #{x => 1}])),
    ?assertEqual([?A, ?B], handlers(Node)),
    behave(Node, ?A, stop, {call, fun(Given) -> erlang:error(Handlers(Given)) end}),
    ?assertEqual({error, [?B]}, failure(Node, ensure_stopped, [?TYPE, ?A])),
    %% Its stop failed, so a removal must not skip it.
    ?assertEqual([?B, ?A], handlers(Node)),
    behave(Node, ?A, stop, {return, ok}),
    {stopped, _} = modules(Node, ensure_stopped, [?TYPE, ?A]),
    ?assertEqual([?B], handlers(Node)),
    ?assertEqual({started, [?B]}, modules(Node, ensure_started, [?TYPE, ?A, #{}])),
    ?assertEqual([?B, ?A], handlers(Node)),
    %% A module whose restart failed is no handler.
    behave(Node, ?A, start, {crash, full}),
    ?assertEqual({error, full}, failure(Node, ensure_started, [?TYPE, ?A, #{x => 2}])),
    ?assertEqual([?B], handlers(Node)),
    %% Modules have the priority 50 among other handlers.
    ok = md_node:call(Node, md_handlers, register, [?TYPE, first, 49]),
    ok = md_node:call(Node, md_handlers, register, [?TYPE, second, 51]),
    ?assertEqual([md_handler_first, ?B, md_handler_second], handlers(Node)).

at_the_end_no_removal_passes_a_stopped_module_by(Config) ->
    Node = start_with_database(Config),
    Note = fun([HostType | _]) -> persistent_term:put(?MODULE, mongoose_domain_removal:handlers(HostType)) end,
    %% The module that started first stops last.
    behave(Node, ?A, stop, {call, Note}),
    ok = md_node:stop_application(Node),
    ?assertEqual([?A, ?B], md_node:call(Node, persistent_term, get, [?MODULE])).

a_module_that_fails_to_remove_stops_the_removal(Config) ->
    Node = start_with_database(Config),
    behave(Node, ?A, remove_domain, {return, {error, busy}}),
    ?assertMatch({removal_failed, _}, remove(Node, <<"a.example">>)),
    ?assertEqual([{remove_domain, ?A, ?TYPE}], calls(Node)),
    behave(Node, ?A, remove_domain, {return, ok}),
    ?assertMatch({ok, #{status := deleted}},
                 md_node:call(Node, mongoose_domain_api, delete_domain, [<<"a.example">>, ?TYPE])).

%% Starts a node with these handlers and an enabled domain in its database.
start_with_handlers(Config, Handlers) ->
    ok = md_writer:write(md_client:open(?config(url, Config)), [{add, ?TYPE, [<<"a.example">>]}]),
    Service = #{database => ?config(url, Config), poll_interval => 3600000},
    md_node:start((environment(#{}))#{service_domain_db => Service, removal_handlers => Handlers}).

called(Node) ->
    [{Name, Domain} || {Name, ?TYPE, Domain} <- md_node:call(Node, md_handlers, calls, [])].

details(Node) ->
    md_node:call(Node, mongoose_domain_api, get_domain_details, [<<"a.example">>]).

a_removal_right_after_the_start_calls_the_handlers_of_the_configuration(Config) ->
    Node = start_with_handlers(Config, #{all => [md_handler_first, {md_handler_second, 10}]}),
    ?assertMatch({ok, #{status := deleted}},
                 md_node:call(Node, mongoose_domain_api, delete_domain, [<<"a.example">>, ?TYPE])),
    ?assertEqual([{second, <<"a.example">>}, {first, <<"a.example">>}], called(Node)).

a_removal_waits_for_a_handler_that_registers_itself_later(Config) ->
    Node = start_with_handlers(Config, #{?TYPE => [{md_handler_second, 10}, {await, md_handler_first}]}),
    {ok, _} = md_node:call(Node, mongoose_domain_api, request_delete_domain, [<<"a.example">>, ?TYPE]),
    md_wait:until(fun() -> md_node:call(Node, ?MODULE, waiting_jobs, []) =/= [] end),
    ?assertEqual([], called(Node)),
    ?assertMatch({ok, #{status := deleting}}, details(Node)),
    ok = md_node:call(Node, md_handlers, register, [?TYPE, first, 50]),
    md_wait:until(fun() -> details(Node) end, {not_found, <<"Given domain does not exist">>}),
    ?assertEqual([{second, <<"a.example">>}, {first, <<"a.example">>}], called(Node)).

%% Runs in the node: the removal processes that wait for something other than the database.
waiting_jobs() ->
    {links, Links} = process_info(whereis(mongoose_domain_removal_jobs), links),
    [Pid || Pid <- Links, process_info(Pid, current_function) =:= {current_function, {timer, sleep, 1}}].

%% The job's row says that no handlers were registered when it was created.
a_removal_that_was_left_waits_for_the_modules_of_the_configuration(Config) ->
    Client = md_client:open(?config(url, Config)),
    First = start_with_handlers(Config, #{}),
    ok = md_node:stop_application(First),
    [] = md_client:query(Client, md_database:statements("removals.sql")),
    ok = md_writer:write(Client, [{status, 2, [<<"a.example">>]}]),
    [] = md_client:query(Client, ["INSERT INTO domain_removals (domain, host_type, owner, lease_until, handlers) "
                                  "VALUES ('a.example', 'type1', 'dead@node/1/AA', 0, 0)"]),
    Node = md_node:boot(),
    {ok, _} = md_node:call(Node, application, ensure_all_started, [compiler]),
    Answers = #{supported_features => [dynamic_domains], remove_domain => ok},
    ok = md_node:call(Node, md_components, make, [#{?A => {module, Answers}}]),
    %% The start of the module lasts until the job was taken over and either waits or is done.
    behave(Node, ?A, start, {call, fun(_) ->
        md_wait:until(fun() -> md_log:count(domain_removal_taken_over) end, 1),
        md_wait:until(fun() ->
            mongoose_domain_api:get_removals() =:= [] orelse waiting_jobs() =/= []
        end),
        {ok, started}
    end}),
    Service = #{database => ?config(url, Config), poll_interval => 3600000},
    ok = md_node:start_application(Node, (environment(#{?TYPE => #{?A => #{}}}))#{service_domain_db => Service}),
    md_wait:until(fun() -> details(Node) end, {not_found, <<"Given domain does not exist">>}),
    ?assert(lists:member({remove_domain, ?A, ?TYPE}, calls(Node))).
