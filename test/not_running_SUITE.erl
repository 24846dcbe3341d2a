%% Every function returns the same error while mongoose_domain does not run.
%%
%% The test takes the functions from the exports of the application's modules. A new function fails the test until this
%% suite has arguments for it or the reason why it returns something else.
-module(not_running_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0]).
-export([before_the_first_start_every_function_fails_with_the_same_error/1,
         after_a_stop_every_function_fails_with_the_same_error/1,
         while_the_core_is_restarted_after_a_crash_lookups_are_answered/1]).
%% Runs in the node.
-export([answers/1]).

-define(NOT_RUNNING, {not_running, mongoose_domain}).
-define(A, <<"a.example">>).
-define(TYPE, <<"type1">>).
-define(MUC, {prefix, <<"muc.">>}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [before_the_first_start_every_function_fails_with_the_same_error,
     after_a_stop_every_function_fails_with_the_same_error,
     while_the_core_is_restarted_after_a_crash_lookups_are_answered].

before_the_first_start_every_function_fails_with_the_same_error(_Config) ->
    Node = md_node:boot(),
    ok = md_node:call(Node, application, load, [mongoose_domain]),
    assert_all_fail(Node).

after_a_stop_every_function_fails_with_the_same_error(_Config) ->
    Node = md_node:start(#{hosts => [?A], host_types => [?TYPE]}),
    ok = md_node:call(Node, mongoose_domain_api, register_subdomain, [?TYPE, ?MUC, {handler, #{}}]),
    ok = md_node:stop_application(Node),
    assert_all_fail(Node).

while_the_core_is_restarted_after_a_crash_lookups_are_answered(_Config) ->
    Node = md_node:start(#{hosts => [?A], host_types => [?TYPE]}),
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_sup]),
    Core = md_node:call(Node, erlang, whereis, [mongoose_domain_core]),
    true = md_node:call(Node, erlang, exit, [Core, kill]),
    md_wait:until(fun() -> md_node:call(Node, erlang, whereis, [mongoose_domain_core]) end, undefined),
    ?assertEqual({ok, ?A}, md_node:lookup(Node, ?A)),
    ?assertEqual({[{?A, ?A}], done}, md_node:call(Node, mongoose_domain_api, get_domains, [static, 10])),
    ?assert(md_node:call(Node, mongoose_domain_core, is_static, [?A])),
    ok = md_node:call(Node, sys, resume, [mongoose_domain_sup]).

assert_all_fail(Node) ->
    Calls = calls(Node),
    Answers = md_node:call(Node, ?MODULE, answers, [Calls]),
    ?assertEqual([], [Answered || {_Call, Answer} = Answered <- Answers, Answer =/= {error, ?NOT_RUNNING}]).

%% @private
-spec answers([{module(), atom(), [term()]}]) -> [{mfa(), term()}].
answers(Calls) ->
    [{{M, F, length(Args)}, answer(M, F, Args)} || {M, F, Args} <- Calls].

answer(M, F, Args) ->
    try apply(M, F, Args) of
        Answer -> {returned, Answer}
    catch
        Class:Reason -> {Class, Reason}
    end.

%% All exported functions, except for those below that return something else.
calls(Node) ->
    {ok, Modules} = md_node:call(Node, application, get_key, [mongoose_domain, modules]),
    Exported = [{M, F, A} || M <- Modules -- internal(), {F, A} <- md_node:call(Node, M, module_info, [exports]),
                             not is_callback(F, A)],
    Known = maps:from_list([{{M, F, length(Args)}, Args} || {M, F, Args} <- arguments()]),
    ?assertEqual([], [Function || Function <- Exported -- exempt(), not is_map_key(Function, Known)]),
    ?assertEqual([], (maps:keys(Known) ++ exempt()) -- Exported),
    arguments().

is_callback(Function, _) when Function =:= module_info; Function =:= behaviour_info -> true;
is_callback(Function, Arity) ->
    lists:member({Function, Arity}, [{init, 1}, {handle_call, 3}, {handle_cast, 2}, {handle_info, 2}, {terminate, 2},
                                     {handle_continue, 2}, {format_status, 1}, {format_status, 2}, {code_change, 3}])
        orelse lists:member(Function, [start_link, create_registry, create_table]).

%% Internal or pure modules.
internal() ->
    [mongoose_domain_admin_request, mongoose_domain_app, mongoose_domain_changes, mongoose_domain_components,
     mongoose_domain_components_lock, mongoose_domain_config, mongoose_domain_config_admin,
     mongoose_domain_config_check, mongoose_domain_config_components, mongoose_domain_config_keys,
     mongoose_domain_config_problem, mongoose_domain_database_sup, mongoose_domain_deletion, mongoose_domain_deps,
     mongoose_domain_follower, mongoose_domain_integration, mongoose_domain_log, mongoose_domain_log_json,
     mongoose_domain_log_line,
     mongoose_domain_module, mongoose_domain_module_deps, mongoose_domain_module_runner, mongoose_domain_nif,
     mongoose_domain_node, mongoose_domain_password, mongoose_domain_redact, mongoose_domain_removal_jobs,
     mongoose_domain_request, mongoose_domain_result_cache, mongoose_domain_results, mongoose_domain_retry,
     mongoose_domain_running, mongoose_domain_secret, mongoose_domain_service, mongoose_domain_tables, mongoose_domain_telemetry,
     mongoose_domain_text, mongoose_domain_visibility, mongoose_subdomain_conflicts, mongoose_subdomain_utils].

exempt() ->
    [%% These return what runs: nothing does.
     {service_domain_db, enabled, 0}, {service_domain_db, status, 0}, {service_domain_db, last_status, 0},
     {service_domain_db, ping, 1}, {mongoose_domain_metrics, collect, 0}, {mongoose_domain_metrics, readiness, 0},
     {mongoose_domain_services, is_loaded, 1}, {mongoose_domain_services, loaded_services_with_opts, 0},
     {mongoose_domain_modules, is_loaded, 2}, {mongoose_domain_modules, loaded_modules, 1},
     {mongoose_domain_modules, loaded_modules_with_opts, 1}, {mongoose_domain_admin, url, 0},
     {mongoose_domain_admin, ask_url, 0},
     %% These need no table and no process.
     {mongoose_domain_api, remove_domain_wrapper, 3}, {mongoose_domain_core, nameprep, 1},
     {mongoose_domain_core, lookups, 0}, {mongoose_domain_core, memory, 0}, {mongoose_domain_operations, failures, 0},
     {mongoose_domain_services, get_deps, 1}, {mongoose_domain_packet_handler, with_host_type, 2},
     {mongoose_domain_host_type_config, removal_handlers, 1}, {mongoose_domain_host_type_config, subdomains, 1},
     {service_domain_db, validate, 1}, {service_domain_db, secrets, 0}, {service_domain_db, scope, 0},
     {service_domain_db, config_spec, 0}, {mongoose_domain_packet_handler, iq_with_host_type, 2},
     {mongoose_domain_operations, unchanged, 1}, {mongoose_domain_reload, read, 1},
     %% Messages, which may be sent to a process that does not run.
     {mongoose_domain_observers, handled, 1}, {service_domain_db, check_local, 0},
     %% These start or stop something.
     {mongoose_domain_core, resume_link, 2}, {mongoose_domain_sup, stop, 1}, {mongoose_domain_sup, start_processes, 1},
     {mongoose_domain_sup, open_door, 0}, {mongoose_domain_sup, close_door, 0},
     %% Only the application's own processes call these.
     {mongoose_domain_admin, events, 0}, {mongoose_domain_admin, answer_and_end, 2},
     {mongoose_domain_admin, read_credentials, 1}, {mongoose_domain_operations, reconnect, 0},
     {mongoose_domain_operations, refused, 2}, {mongoose_domain_operations, failed, 2},
     {mongoose_domain_removal, suspend, 0}, {mongoose_domain_removal, resume, 0},
     {mongoose_subdomain_core, register_configured, 1}, {mongoose_domain_table_events, publish, 1},
     {mongoose_domain_admin, write_frames, 1}, {mongoose_domain_metrics, ask_database, 0},
     {mongoose_domain_observers, request_sync, 1}, {mongoose_domain_observers, sync_server, 1}, {mongoose_domain_observers, new, 0},
     {mongoose_domain_observers, register_observer, 2},
     {mongoose_domain_observers, notify, 2}, {mongoose_domain_observers, handled, 3},
     {mongoose_domain_observers, sync, 3}, {mongoose_domain_observers, ended, 2}].

arguments() ->
    [{M, F, Args} || {M, Functions} <- arguments_by_module(), {F, Args} <- Functions].

arguments_by_module() ->
    [{mongoose_domain_reload, [{reload, []}]},
     {mongoose_domain_api,
      [{get_host_type, [?A]}, {get_domain_host_type, [?A]}, {get_host_types, []}, {get_all_static, []},
       {get_all_dynamic, []}, {get_domains_by_host_type, [?TYPE]}, {get_domains, [all, 10]},
       {get_domains, [all, 0, 10]}, {register_subdomain, [?TYPE, ?MUC, {handler, #{}}]},
       {unregister_subdomain, [?TYPE, ?MUC]}, {get_subdomain_host_type, [?A]}, {get_subdomain_info, [?A]},
       {get_all_subdomains_for_domain, [?A]}, {insert_domain, [?A, ?TYPE]}, {insert_domains, [[{?A, ?TYPE}]]},
       {delete_domain, [?A]}, {remove_domain, [?A]}, {delete_domain, [?A, ?TYPE]},
       {request_delete_domain, [?A, ?TYPE]}, {enable_domain, [?A]}, {disable_domain, [?A]},
       {get_domain_details, [?A]}, {check_host_type_and_get_domains, [?TYPE]}, {get_all_domains, []},
       {get_all_domains, [#{}]}, {list_domains, [#{}]}, {removal_status, [?A]}, {get_removals, []}, {get_changes, [undefined, 1]},
       {set_domain_password, [?A, <<"secret">>]}, {check_domain_password, [?A, <<"secret">>]},
       {delete_domain_password, [?A]}]},
     {mongoose_domain_core,
      [{get_start_args, []}, {get_host_type, [?A]}, {is_static, [?A]}, {is_host_type_allowed, [?TYPE]},
       {insert, [?A, ?TYPE, self()]}, {delete, [?A]}, {get_all_static, []}, {get_all_dynamic, []},
       {get_all_outdated, [self()]}, {get_all_kept, []}, {get_domains_by_host_type, [?TYPE]}, {page, [all, 0, 10]},
       {for_each_domain, [?TYPE, fun erlang:max/2]}, {domains_count, []}, {counts_by_host_type, []},
       {has_routes, []}, {host_type_number, [<<"a host type that nobody named before">>]}]},
     {mongoose_subdomain_core,
      [{register_subdomain, [?TYPE, ?MUC, {handler, #{}}]}, {unregister_subdomain, [?TYPE, ?MUC]}, {sync, []},
       {get_host_type, [?A]}, {get_subdomain_info, [?A]}, {get_all_subdomains_for_domain, [no_parent_domain]}]},
     {mongoose_lazy_routing,
      [{maybe_add_domain_or_subdomain, [?A]}, {sync, []}, {maybe_remove_domain, [?TYPE, ?A]},
       {maybe_remove_subdomain, [#{subdomain => ?A, host_type => ?TYPE, subdomain_pattern => ?MUC}]},
       {maybe_remove_subdomains, [?TYPE, ?MUC]}, {register_iq_handler_for_domain, [?TYPE, <<"ns">>, part, handler]},
       {unregister_iq_handler_for_domain, [?TYPE, <<"ns">>, part]},
       {register_iq_handler_for_subdomain, [?TYPE, ?MUC, <<"ns">>, part, handler]},
       {unregister_iq_handler_for_subdomain, [?TYPE, ?MUC, <<"ns">>, part]}]},
     {mongoose_domain_router_table,
      [{route, [?A]}, {hosts, []}, {handlers, [?A]}, {register_host, [?A, {domain, ?TYPE}]},
       {unregister_host, [?A, {domain, ?TYPE}]}, {register_handler, [?A, <<"ns">>, part, handler]},
       {unregister_handler, [?A, <<"ns">>, part]}]},
     {mongoose_domain_removal,
      [{register_handler, [?TYPE, ?MODULE, 50]}, {unregister_handler, [?TYPE, ?MODULE]}, {handlers, [?TYPE]},
       {ready_handlers, [?TYPE]}]},
     {mongoose_domain_observers, [{observe, []}, {sync, [self()]}]},
     {mongoose_domain_operations, [{run, [removals]}, {run, [removals, 1000]}, {read, [removals]}, {explain, [survey]}]},
     {mongoose_domain_freshness, [{upsert, [?TYPE, 60]}, {list, []}, {details, []}]},
     {mongoose_domain_doctor, [{examine, []}]},
     {mongoose_domain_sup, [{restart_core, [[]]}]},
     {mongoose_domain_table_events, [{subscribe, []}]},
     {mongoose_domain_components_sup, [{start_child, [#{id => one, start => {one, start_link, []}}]}, {stop_child, [one]}]},
     {mongoose_domain_services,
      [{start, []}, {stop, []}, {stop_all, []}, {ensure_started, [service_domain_db, #{}]},
       {ensure_stopped, [service_domain_db]}, {replace_services, [[], #{}]}]},
     {mongoose_domain_modules,
      [{start, []}, {stop, []}, {stop_all, []}, {ensure_started, [?TYPE, ?MODULE, #{}]},
       {ensure_stopped, [?TYPE, ?MODULE]}, {replace_modules, [?TYPE, [], #{}]}, {get_module_opts, [?TYPE, ?MODULE]},
       {get_deps, [?TYPE, ?MODULE]}]},
     {service_domain_db,
      [{start, [#{}]}, {stop, []}, {restart, []}, {converge, []}, {converge, [force]}, {kept, []},
       {force_check_for_updates, []}, {sync_local, []}, {sync_local, [1000]},
       {sync_event, [1, 1000]}]}].
