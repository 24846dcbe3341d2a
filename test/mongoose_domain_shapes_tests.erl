%% The names, arities and results that MongooseIM's modules share with ours: callers of its modules can call ours.
%%
%% The lists contain what other parts of MongooseIM call, not everything that our modules export. They may only grow.
-module(mongoose_domain_shapes_tests).

-include_lib("eunit/include/eunit.hrl").

-export([every_function_that_mongooseim_calls_is_exported/0]).
-export([every_type_that_mongooseim_names_is_exported/0]).
-export([the_answers_of_the_table_have_the_shapes_of_mongooseim/0]).
-export([a_removal_wrapper_answers_the_accumulator_or_stops_the_chain/0]).
-export([patterns_and_their_names_have_the_shapes_of_mongooseim/0]).

-define(API, mongoose_domain_api).
-define(CORE, mongoose_domain_core).
-define(STATIC, [{<<"static.example">>, <<"static type">>}]).

all_test_() ->
    md_promises:of_module(?MODULE, fun begin_with_a_table/0, fun close_table/1).

begin_with_a_table() ->
    ok = md_log:start(),
    {ok, Pid} = ?CORE:start_link(?STATIC, [<<"type1">>]),
    Pid.

close_table(Pid) ->
    gen_server:stop(Pid),
    md_log:stop().

functions() ->
    #{mongoose_domain_api =>
          [{get_host_type, 1}, {get_domain_host_type, 1}, {get_subdomain_host_type, 1}, {get_subdomain_info, 1},
           {insert_domain, 2}, {delete_domain, 2}, {request_delete_domain, 2}, {enable_domain, 1}, {disable_domain, 1},
           {get_domain_details, 1}, {get_all_domains, 0}, {get_all_static, 0}, {get_all_dynamic, 0}, {get_domains_by_host_type, 1},
           {check_host_type_and_get_domains, 1}, {get_host_types, 0}, {delete_domain, 1}, {remove_domain, 1},
           {set_domain_password, 2}, {check_domain_password, 2}, {delete_domain_password, 1},
           {register_subdomain, 3}, {unregister_subdomain, 2}, {get_all_subdomains_for_domain, 1}, {remove_domain_wrapper, 3}],
      mongoose_domain_core =>
          [{start_link, 2}, {get_start_args, 0}, {get_host_type, 1}, {is_static, 1}, {is_host_type_allowed, 1}, {insert, 3}, {delete, 1},
           {get_all_static, 0}, {get_all_dynamic, 0}, {get_all_outdated, 1}, {get_domains_by_host_type, 1}, {for_each_domain, 2},
           {domains_count, 0}],
      mongoose_subdomain_core =>
          [{start_link, 0}, {register_subdomain, 3}, {unregister_subdomain, 2}, {get_host_type, 1}, {get_subdomain_info, 1},
           {get_all_subdomains_for_domain, 1}, {sync, 0}],
      mongoose_subdomain_utils =>
          [{make_subdomain_pattern, 1}, {get_fqdn, 2}, {subdomain_type, 1}, {is_subdomain, 3}],
      mongoose_lazy_routing =>
          [{start_link, 0}, {maybe_add_domain_or_subdomain, 1}, {maybe_remove_domain, 2}, {maybe_remove_subdomain, 1}, {sync, 0},
           {register_iq_handler_for_domain, 4}, {register_iq_handler_for_subdomain, 5},
           {unregister_iq_handler_for_domain, 3}, {unregister_iq_handler_for_subdomain, 4}],
      service_domain_db =>
          [{start, 1}, {stop, 0}, {config_spec, 0}, {start_link, 0}, {enabled, 0}, {restart, 0},
           {force_check_for_updates, 0}, {sync_local, 0}, {ping, 1}],
      mongoose_domain_sup => [{start_link, 0}, {restart_core, 1}]}.

every_function_that_mongooseim_calls_is_exported() ->
    Missing = [{Module, Function} || {Module, Functions} <- maps:to_list(functions()), Function <- Functions,
                                     not lists:member(Function, Module:module_info(exports))],
    ?assertEqual([], Missing).

every_type_that_mongooseim_names_is_exported() ->
    Types = [{mongoose_domain_api, [{status, 0}, {remove_domain_acc, 0}]},
             {mongoose_subdomain_core, [{subdomain_info, 0}]},
             {mongoose_subdomain_utils, [{subdomain_pattern, 0}]}],
    [?assertEqual({Module, []}, {Module, Wanted -- exported_types(Module)}) || {Module, Wanted} <- Types].

exported_types(Module) ->
    {Module, Binary, _File} = code:get_object_code(Module),
    {ok, {Module, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(Binary, [abstract_code]),
    lists:append([Types || {attribute, _, export_type, Types} <- Forms]).

the_answers_of_the_table_have_the_shapes_of_mongooseim() ->
    ?assertEqual(ok, ?CORE:insert(<<"a.example">>, <<"type1">>, self())),
    ?assertEqual({ok, <<"type1">>}, ?API:get_host_type(<<"a.example">>)),
    ?assertEqual({ok, <<"type1">>}, ?API:get_domain_host_type(<<"a.example">>)),
    ?assertEqual({error, not_found}, ?API:get_subdomain_host_type(<<"a.example">>)),
    ?assertEqual({error, not_found}, ?API:get_subdomain_info(<<"a.example">>)),
    ?assertEqual([], ?CORE:get_all_outdated(self())),
    ?assertEqual([{<<"a.example">>, <<"type1">>}], ?CORE:get_all_outdated(make_ref())),
    ?assertEqual([<<"type1">>], ?API:get_host_types()),
    ?assertEqual({ok, [<<"a.example">>]}, ?API:check_host_type_and_get_domains(<<"type1">>)),
    ?assertEqual({unknown_host_type, <<"Unknown host type">>},
                 ?API:check_host_type_and_get_domains(<<"static type">>)),
    ?assertEqual(?STATIC, ?API:get_all_static()),
    ?assertEqual([<<"a.example">>], ?API:get_domains_by_host_type(<<"type1">>)),
    ?assertEqual(2, ?CORE:domains_count()),
    ?assertEqual([?STATIC, [<<"type1">>]], ?CORE:get_start_args()),
    ?assertEqual({error, static}, ?CORE:delete(<<"static.example">>)),
    ?assertEqual(ok, ?CORE:delete(<<"a.example">>)).

a_removal_wrapper_answers_the_accumulator_or_stops_the_chain() ->
    Acc = #{failed => [earlier]},
    ?assertEqual({ok, Acc}, ?API:remove_domain_wrapper(Acc, fun() -> Acc end, my_archive)),
    ?assertEqual([], md_log:named(hook_failed)),
    Stopped = {stop, #{failed => [my_archive, earlier]}},
    [?assertEqual(Stopped, ?API:remove_domain_wrapper(Acc, F, my_archive))
     || F <- [fun() -> error(disk_full) end, fun() -> exit(killed) end, fun() -> throw(away) end,
              fun() -> #{failed => []} end]],
    ?assertMatch([{error, #{module := my_archive, class := error, reason := disk_full, stacktrace := [_ | _]}},
                  {error, #{class := exit, reason := killed}}, {error, #{class := throw, reason := away}},
                  {error, #{class := error, reason := {badmatch, #{failed := []}}}}],
                 md_log:named(hook_failed)).

patterns_and_their_names_have_the_shapes_of_mongooseim() ->
    [?assertEqual({prefix, <<"vjud.">>}, mongoose_subdomain_utils:make_subdomain_pattern(Template))
     || Template <- ["vjud.@HOST@", <<"vjud.@HOST@">>]],
    ?assertEqual({fqdn, <<"vjud.example">>}, mongoose_subdomain_utils:make_subdomain_pattern("vjud.example")),
    ?assertEqual([subdomain, fqdn], [mongoose_subdomain_utils:subdomain_type(Pattern)
                                     || Pattern <- [{prefix, <<"vjud.">>}, {fqdn, <<"vjud.example">>}]]).
