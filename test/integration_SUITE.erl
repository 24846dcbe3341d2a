%% This application inside MongooseIM's release, by integrations/mongooseim: its start, removals, routing and restarts.
-module(integration_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([a_release_has_it_loaded_and_not_started/1,
         it_starts_below_another_supervisor_while_it_is_loaded_only/1,
         the_door_is_opened_by_configuration/1,
         the_section_of_the_configuration_is_what_the_service_takes/1,
         a_removal_runs_the_hook_of_each_host_type/1,
         a_handler_that_fails_keeps_the_domain_in_removal/1,
         packets_and_iqs_are_routed_to_hosts_that_are_used/1,
         at_the_end_of_the_node_parts_that_are_gone_make_no_noise/1,
         a_supervisor_that_is_killed_loses_no_registration/1,
         a_supervisor_that_gives_up_loses_no_registration/1,
         a_new_start_of_the_server_begins_anew/1,
         an_application_that_otp_starts_begins_anew/1,
         a_wrong_start_leaves_nothing_behind/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(TYPE, <<"type1">>).
-define(TYPES, [?TYPE, <<"type2">>]).
-define(MUC, {prefix, <<"muc.">>}).
-define(NS, <<"urn:example:ns">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_release_has_it_loaded_and_not_started,
     it_starts_below_another_supervisor_while_it_is_loaded_only,
     the_door_is_opened_by_configuration,
     the_section_of_the_configuration_is_what_the_service_takes,
     a_removal_runs_the_hook_of_each_host_type,
     a_handler_that_fails_keeps_the_domain_in_removal,
     packets_and_iqs_are_routed_to_hosts_that_are_used,
     at_the_end_of_the_node_parts_that_are_gone_make_no_noise,
     a_supervisor_that_is_killed_loses_no_registration,
     a_supervisor_that_gives_up_loses_no_registration,
     a_new_start_of_the_server_begins_anew,
     an_application_that_otp_starts_begins_anew,
     a_wrong_start_leaves_nothing_behind].

init_per_suite(Config) ->
    md_mim:compile(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        [{database, Database} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% The start

%% As the page of the integration has it: both applications are in the release with the type `load'.
a_release_has_it_loaded_and_not_started(Config) ->
    Directory = ?config(priv_dir, Config),
    Ours = [filename:dirname(code:which(Module)) || Module <- [mongoose_domain_core, ?MODULE]] ++ [?config(beams, Config)],
    ok = code:add_pathsz(Ours),
    Applications = [{App, version(App)} || App <- [kernel, stdlib, compiler]]
        ++ [{App, version(App), load} || App <- [mongoose_domain, mongoose_domain_mongooseim]],
    Release = {release, {"mongooseim", "0"}, {erts, erlang:system_info(version)}, Applications},
    Name = filename:join(Directory, "mongooseim"),
    ok = file:write_file(Name ++ ".rel", io_lib:format("~tp.~n", [Release])),
    {ok, systools_make, _Warnings} = systools:make_script(Name, [{path, Ours}, {outdir, Directory}, silent, no_warn_sasl]),
    ok = file:write_file(Name ++ ".config", "[{mongoose_domain, [{integration, mongoose_domain_mongooseim}]}].\n"),
    {ok, Node, _} = peer:start_link(#{connection => standard_io, name => peer:random_name(), host => "127.0.0.1",
                                      longnames => true, args => ["-boot", Name, "-config", Name, "-pa" | Ours]}),
    ?assertNot(lists:keymember(mongoose_domain, 1, md_node:call(Node, application, which_applications, []))),
    %% The configuration is parsed before anything of this application runs.
    {ok, Options} = md_node:call(Node, mim, process_section, [service(Node), #{}]),
    ok = md_mim:start(Node, (md_mim:config(Config))#{service => Options}),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    peer:stop(Node).

version(Application) ->
    _ = application:load(Application),
    {ok, Version} = application:get_key(Application, vsn),
    Version.

it_starts_below_another_supervisor_while_it_is_loaded_only(Config) ->
    Node = md_mim:boot(Config, #{}),
    ok = md_mim:start(Node, md_mim:config(Config)),
    ?assertNot(lists:keymember(mongoose_domain, 1, md_node:call(Node, application, which_applications, []))),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    ?assertEqual(?TYPES, md_mim:api(Node, get_host_types, [])),
    %% The table is current when the start of the server returns.
    ?assertMatch(#{state := following}, md_node:status(Node)),
    ?assertMatch({ok, _}, md_mim:api(Node, insert_domain, [?A, ?TYPE])),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, ?A)),
    ?assertEqual({duplicate, <<"Domain already exists">>}, md_mim:api(Node, insert_domain, [?A, ?TYPE])),
    [?assertEqual([mongoose_domain_mongooseim], md_node:call(Node, mongoose_domain_removal, handlers, [HostType]))
     || HostType <- [?STATIC | ?TYPES]],
    %% Of an event a hundred reports a second are logged, as where OTP starts the application.
    [md_node:call(Node, mongoose_domain_core, insert, [?STATIC, ?TYPE, source]) || _ <- lists:seq(1, 150)],
    ?assert(md_node:count(Node, domain_static_but_in_db) < 150),
    Running = md_node:call(Node, erlang, whereis, [mongoose_domain_sup]),
    ?assertEqual({error, {already_started, Running}}, md_node:call(Node, mongoose_domain_sup, start_link, [])),
    ok = md_node:call(Node, mim, stop, []),
    ?assertError({not_running, mongoose_domain}, md_mim:api(Node, get_host_type, [?A])).

the_door_is_opened_by_configuration(Config) ->
    Node = md_mim:boot(Config, #{admin => #{port => 0}}),
    ok = md_mim:start(Node, md_mim:config(Config)),
    Url = fun() -> md_node:call(Node, mongoose_domain_admin, url, []) end,
    md_wait:until(fun() -> element(1, Url()) end, ok),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    Door = md_http:door(Node, none),
    ?assertMatch({200, _, _}, md_http:request(Door, get, "/api/domains/a.example", #{})),
    {200, _, Metrics} = md_http:request(Door, get, "/metrics", #{}),
    ?assertNotEqual(nomatch, binary:match(Metrics, <<"mongoose_domain">>)),
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> element(1, Url()) end, ok),
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual({error, closed}, Url()).

the_section_of_the_configuration_is_what_the_service_takes(Config) ->
    Node = md_mim:boot(Config, #{}),
    Process = fun(Given) -> md_node:call(Node, mim, process_section, [service(Node), Given]) end,
    ?assertEqual({ok, #{event_cleaning_interval => 1800, event_max_age => 7200, db_pool => global}}, Process(#{})),
    [?assertEqual({error, Key}, Process(#{Key => Value}))
     || {Key, Value} <- [{<<"event_max_age">>, 0}, {<<"event_max_age">>, <<"1">>}, {<<"event_cleaning_interval">>, -1},
                         {<<"db_pool">>, 10}, {<<"db_pool">>, <<>>}, {<<"poll">>, 1}]],
    {ok, Options} = Process(#{<<"event_max_age">> => 60, <<"event_cleaning_interval">> => 7, <<"db_pool">> => <<"global">>}),
    ok = md_mim:start(Node, (md_mim:config(Config))#{service => Options}),
    {ok, Service} = md_node:call(Node, mongoose_domain_config, service, []),
    ?assertMatch(#{event_max_age := 60, event_cleaning_interval := 7, database := {pool, global},
                   first_load_timeout := 10000}, Service).

service(Node) ->
    md_node:call(Node, service_domain_db, config_spec, []).

a_wrong_start_leaves_nothing_behind(Config) ->
    Node = md_mim:boot(Config, #{}),
    ?assertMatch({error, _}, md_mim:start(Node, (md_mim:config(Config))#{host_types => no_list})),
    ?assertEqual(1, md_node:count(Node, wrong_configuration)),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup])),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_tables])),
    %% The integration cannot be loaded.
    ok = md_node:call(Node, application, set_env, [mongoose_domain, integration, no_such_module]),
    ?assertMatch({error, _}, md_mim:start(Node, md_mim:config(Config))),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, integration, mongoose_domain_mongooseim]),
    %% What fails when the processes run already: this is no handler of the router's.
    ok = md_node:call(Node, application, set_env, [mongoose_domain, subdomains, #{all => [{"muc.@HOST@", none}]}]),
    ?assertMatch({error, _}, md_mim:start(Node, md_mim:config(Config))),
    ?assertEqual(1, md_node:count(Node, integration_failed)),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup])),
    ok = md_node:call(Node, application, unset_env, [mongoose_domain, subdomains]),
    ok = md_mim:start(Node, md_mim:config(Config)),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, ?A)).

%% Removal

a_removal_runs_the_hook_of_each_host_type(Config) ->
    Node = md_mim:started(Config),
    [begin
         {ok, _} = md_mim:api(Node, insert_domain, [?A, HostType]),
         ?assertEqual({ok, #{domain => ?A, host_type => HostType, status => deleted}}, md_mim:api(Node, delete_domain, [?A, HostType]))
     end || HostType <- ?TYPES],
    ?assertEqual([[HostType, ?A] || HostType <- ?TYPES], md_mim:args(Node, mongoose_hooks, remove_domain)),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    ?assertMatch({ok, #{status := deleting}}, md_mim:api(Node, request_delete_domain, [?A, ?TYPE])),
    md_wait:until(fun() -> md_mim:api(Node, get_domain_details, [?A]) end, {not_found, <<"Given domain does not exist">>}),
    ?assertEqual(3, length(md_mim:args(Node, mongoose_hooks, remove_domain))).

a_handler_that_fails_keeps_the_domain_in_removal(Config) ->
    Node = md_mim:started(Config),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    [begin
         ok = md_mim:behave(Node, mongoose_hooks, remove_domain, Behaviour),
         ?assertMatch({removal_failed, _}, md_mim:api(Node, delete_domain, [?A, ?TYPE])),
         ?assertMatch({ok, #{status := deleting}}, md_mim:api(Node, get_domain_details, [?A])),
         ?assertEqual({error, not_found}, md_node:lookup(Node, ?A))
     end || Behaviour <- [fails, crash]],
    ?assertMatch([{error, #{module := mod_of_a_test, reason := told_to_fail}}], md_node:logged(Node, hook_failed)),
    ?assertMatch([{error, #{reason := {error, {failed, [mod_of_a_test]}}}}, {error, #{reason := told_to_crash}}],
                 md_node:logged(Node, domain_deletion_failed)),
    ok = md_mim:behave(Node, mongoose_hooks, remove_domain, ok),
    ?assertMatch({ok, #{status := deleted}}, md_mim:api(Node, delete_domain, [?A, ?TYPE])).

%% Routing

packets_and_iqs_are_routed_to_hosts_that_are_used(Config) ->
    Node = md_mim:started(Config),
    Handler = md_mim:packet_handler(Node, #{own => 1}),
    IQ = md_mim:iq_handler(Node, #{own => 2}),
    ok = md_mim:api(Node, register_subdomain, [?TYPE, ?MUC, Handler]),
    ok = md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, IQ]),
    ok = md_mim:routing(Node, register_iq_handler_for_subdomain, [?TYPE, ?MUC, ?NS, muc_iq, IQ]),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    [{ejabberd_sup, start_domains, []}] = md_mim:take_calls(Node),
    WithType = md_mim:iq_handler(Node, #{own => 2, host_type => ?TYPE}),
    ?assert(md_mim:routing(Node, maybe_add_domain_or_subdomain, [?A])),
    ?assertEqual([{gen_iq_component, register_iq_handler, [ejabberd_sm, ?A, ?NS, WithType]},
                  {gen_iq_component, sync, [ejabberd_sm]},
                  {ejabberd_local, register_host, [?A]}], md_mim:take_calls(Node)),
    Muc = <<"muc.a.example">>,
    ?assert(md_mim:routing(Node, maybe_add_domain_or_subdomain, [Muc])),
    ?assertEqual([{gen_iq_component, register_iq_handler, [muc_iq, Muc, ?NS, WithType]},
                  {gen_iq_component, sync, [muc_iq]},
                  {mongoose_router, register_route, [Muc, md_mim:packet_handler(Node, #{own => 1, host_type => ?TYPE})]},
                  {mongoose_hooks, register_subhost, [Muc, false]}], md_mim:take_calls(Node)),
    ?assert(md_mim:routing(Node, maybe_add_domain_or_subdomain, [Muc])),
    ?assertNot(md_mim:routing(Node, maybe_add_domain_or_subdomain, [<<"nobody.example">>])),
    ?assertEqual([], md_mim:take_calls(Node)),
    %% A namespace for hosts that are there already.
    ?assertEqual({error, already_registered}, md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, IQ])),
    ok = md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local, IQ]),
    ?assertEqual([{gen_iq_component, register_iq_handler, [ejabberd_local, ?A, <<"more">>, WithType]},
                  {gen_iq_component, sync, [ejabberd_local]}], md_mim:take_calls(Node)),
    ?assertEqual({ok, WithType}, md_mim:routing(Node, unregister_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local])),
    ?assertEqual([{gen_iq_component, unregister_iq_handler, [ejabberd_local, ?A, <<"more">>]}], md_mim:take_calls(Node)),
    ?assertEqual({error, not_found}, md_mim:routing(Node, unregister_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local])),
    %% The domain goes, and its subdomain with it.
    {ok, _} = md_mim:api(Node, disable_domain, [?A]),
    ok = md_mim:routing(Node, sync, []),
    ?assertEqual([{ejabberd_local, unregister_host, [?A]},
                  {gen_iq_component, unregister_iq_handler, [ejabberd_sm, ?A, ?NS]},
                  {gen_iq_component, unregister_iq_handler, [muc_iq, Muc, ?NS]},
                  {mongoose_hooks, unregister_subhost, [Muc]},
                  {mongoose_router, unregister_route, [Muc]}], lists:sort(md_mim:take_calls(Node))).

at_the_end_of_the_node_parts_that_are_gone_make_no_noise(Config) ->
    Node = md_mim:started(Config),
    ok = md_mim:api(Node, register_subdomain, [?TYPE, ?MUC, md_mim:packet_handler(Node, #{})]),
    ok = md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, md_mim:iq_handler(Node, #{})]),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    [true = md_mim:routing(Node, maybe_add_domain_or_subdomain, [Host]) || Host <- [?A, <<"muc.a.example">>]],
    [ok = md_mim:behave(Node, Module, Function, noproc)
     || {Module, Function} <- [{ejabberd_local, unregister_host}, {mongoose_router, unregister_route},
                               {mongoose_hooks, unregister_subhost}, {gen_iq_component, unregister_iq_handler}]],
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual(1, length(md_mim:args(Node, ejabberd_local, unregister_host))),
    ?assertEqual(0, md_node:count(Node, lazy_routing_failed)).

%% Restarts

a_supervisor_that_is_killed_loses_no_registration(Config) ->
    Node = md_mim:started(Config),
    Options = md_mim:options(),
    ok = register_all(Node),
    [begin
         _ = md_node:kill(Node, mongoose_domain_sup),
         ok = assert_all_is_there(Node, Config, Number)
     end || Number <- [1, 2]],
    %% Each restart succeeded at once, and no route was taken away meanwhile.
    ?assertEqual(2, length(md_mim:args(Node, ejabberd_sup, start_domains))),
    ?assertEqual([], md_mim:args(Node, ejabberd_local, unregister_host)),
    ?assertEqual([], md_mim:args(Node, mongoose_router, unregister_route)),
    {ok, Service} = md_node:call(Node, mongoose_domain_config, service, []),
    ?assertEqual(maps:remove(db_pool, Options), maps:with(maps:keys(Options), Service)),
    %% The service manager can stop it, and start it with other options.
    ok = md_node:call(Node, service_domain_db, stop, []),
    ?assertMatch({service_disabled, _}, md_mim:api(Node, insert_domain, [<<"later.example">>, ?TYPE])),
    {ok, _} = md_node:call(Node, service_domain_db, start, [Options#{event_max_age := 9}]),
    ?assertMatch({ok, #{event_max_age := 9}}, md_node:call(Node, mongoose_domain_config, service, [])),
    ok = md_node:call(Node, service_domain_db, stop, []),
    %% What was stopped stays stopped.
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> md_node:call(Node, service_domain_db, enabled, []) end, false),
    ?assertMatch({service_disabled, _}, md_mim:api(Node, insert_domain, [<<"later.example">>, ?TYPE])).

a_supervisor_that_gives_up_loses_no_registration(Config) ->
    Node = md_mim:started(Config),
    ok = register_all(Node),
    Before = md_node:call(Node, erlang, whereis, [mongoose_domain_sup]),
    md_wait:until(fun() ->
        case md_node:call(Node, erlang, whereis, [mongoose_domain_sup]) of
            Before ->
                _ = [exit_process(Node, Pid) || Pid <- [md_node:call(Node, erlang, whereis, [mongoose_domain_components_lock])],
                                                is_pid(Pid)],
                false;
            After -> is_pid(After)
        end
    end),
    md_wait:until(fun() -> is_pid(md_node:call(Node, erlang, whereis, [service_domain_db])) end),
    ok = assert_all_is_there(Node, Config, 1).

exit_process(Node, Pid) ->
    md_node:call(Node, erlang, exit, [Pid, kill]).

register_all(Node) ->
    ok = md_mim:api(Node, register_subdomain, [?TYPE, ?MUC, md_mim:packet_handler(Node, #{})]),
    ok = md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, md_mim:iq_handler(Node, #{})]),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    [true = md_mim:routing(Node, maybe_add_domain_or_subdomain, [Host]) || Host <- [?A, <<"muc.a.example">>]],
    _ = md_mim:take_calls(Node),
    ok.

assert_all_is_there(Node, Config, Number) ->
    New = <<(integer_to_binary(Number))/binary, ".example">>,
    %% The service follows and changes again.
    md_wait:until(fun() -> element(1, md_mim:api(Node, insert_domain, [New, ?TYPE])) end, ok),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, New)),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, <<"muc.", New/binary>>)),
    ByAnother = <<"other.", New/binary>>,
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, ["BEGIN; INSERT INTO domain_settings (domain, host_type) VALUES ('", ByAnother, "', 'type1'); "
                                  "INSERT INTO domain_events (domain) VALUES ('", ByAnother, "'); COMMIT"]),
    ok = md_client:close(Client),
    md_wait:until(fun() -> md_node:lookup(Node, ByAnother) end, {ok, ?TYPE}),
    ?assertEqual([mongoose_domain_mongooseim], md_node:call(Node, mongoose_domain_removal, handlers, [?TYPE])),
    %% A host that is used now gets the handler of before.
    true = md_mim:routing(Node, maybe_add_domain_or_subdomain, [New]),
    ?assert(lists:member(New, [Host || [_, Host | _] <- md_mim:args(Node, gen_iq_component, register_iq_handler)])),
    ok.

a_new_start_of_the_server_begins_anew(Config) ->
    Node = md_mim:started(Config),
    ok = register_all(Node),
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual([[?A]], md_mim:args(Node, ejabberd_local, unregister_host)),
    ok = md_mim:start(Node, maps:remove(service, md_mim:config(Config))),
    ?assertNot(md_node:call(Node, service_domain_db, enabled, [])),
    ?assertEqual([], md_mim:api(Node, get_all_dynamic, [])),
    ok = md_node:call(Node, mongoose_domain_core, insert, [?A, ?TYPE, source]),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"muc.a.example">>)),
    ?assertEqual({error, not_found}, md_mim:routing(Node, unregister_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm])).

%% Nobody else may have its registrations after a stop, nor after a supervisor that was killed.
an_application_that_otp_starts_begins_anew(Config) ->
    Node = md_node:start(#{host_types => ?TYPES, service_domain_db => #{database => ?config(database, Config)}}),
    Registered = fun() ->
        {md_node:call(Node, mongoose_domain_removal, handlers, [?TYPE]),
         md_mim:routing(Node, unregister_iq_handler_for_domain, [?TYPE, ?NS, part])}
    end,
    Register = fun() ->
        ok = md_node:call(Node, mongoose_domain_removal, register_handler, [?TYPE, md_handler_first, 50]),
        ok = md_mim:routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, part, handler])
    end,
    Register(),
    ok = md_node:stop_application(Node),
    ok = md_node:start_application(Node, unchanged),
    ?assertEqual({[], {error, not_found}}, Registered()),
    Register(),
    Supervisor = md_node:call(Node, erlang, whereis, [mongoose_domain_sup]),
    true = exit_process(Node, Supervisor),
    md_wait:until(fun() -> lists:keymember(mongoose_domain, 1, md_node:call(Node, application, which_applications, [])) end, false),
    ok = md_node:start_application(Node, unchanged),
    ?assertEqual({[], {error, not_found}}, Registered()).
