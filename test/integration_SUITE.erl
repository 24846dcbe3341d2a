%% This application inside MongooseIM's release, by integrations/mongooseim.
%%
%% MongooseIM itself is not here. The stand-ins in the application's folder test have the names of its modules, record their
%% calls, and start what it starts in its order (mim). All else is real: nodes of their own, and PostgreSQL.
%%
%% The sources of the integration and of the stand-ins are compiled here, since this application does not depend on them.
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
         while_the_database_is_away_callers_get_answers_that_they_know/1,
         a_start_waits_until_many_domains_are_loaded/1,
         a_start_goes_on_when_the_database_stays_away/1,
         a_driver_that_is_not_supported_says_what_to_do/1,
         an_operator_may_name_another_database/1,
         a_wrong_start_leaves_nothing_behind/1,
         urls_are_made_of_every_form_of_a_pool/1]).

-define(PASSWORD, "s3cret/pa:55@w#o?r%d").
-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
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
     while_the_database_is_away_callers_get_answers_that_they_know,
     a_start_waits_until_many_domains_are_loaded,
     a_start_goes_on_when_the_database_stays_away,
     a_driver_that_is_not_supported_says_what_to_do,
     an_operator_may_name_another_database,
     a_wrong_start_leaves_nothing_behind,
     urls_are_made_of_every_form_of_a_pool].

init_per_suite(Config) ->
    Beams = filename:join(?config(priv_dir, Config), "ebin"),
    ok = filelib:ensure_path(Beams),
    Checkout = filename:dirname(filename:dirname(md_events:path("docs/events.md"))),
    Folder = filename:join([Checkout, "integrations", "mongooseim", "mongoose_domain_mongooseim"]),
    Sources = filelib:wildcard(filename:join([Folder, "{src,test}", "*.erl"])),
    ?assert(length(Sources) > 10),
    [{ok, _} = compile:file(Source, [{outdir, Beams}, debug_info, report, warnings_as_errors]) || Source <- Sources],
    {ok, [{application, App, Keys}]} =
        file:consult(filename:join([Folder, "src", "mongoose_domain_mongooseim.app.src"])),
    Modules = [list_to_atom(filename:basename(Source, ".erl")) || Source <- Sources, string:find(Source, "/src/") =/= nomatch],
    ok = file:write_file(filename:join(Beams, lists:concat([App, ".app"])),
                         io_lib:format("~tp.~n", [{application, App, [{modules, Modules} | Keys]}])),
    [{beams, Beams} | Config].

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
    ok = start(Node, (config(Config))#{service => Options}),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    peer:stop(Node).

version(Application) ->
    _ = application:load(Application),
    {ok, Version} = application:get_key(Application, vsn),
    Version.

it_starts_below_another_supervisor_while_it_is_loaded_only(Config) ->
    Node = boot(Config, #{}),
    ok = start(Node, config(Config)),
    ?assertNot(lists:keymember(mongoose_domain, 1, md_node:call(Node, application, which_applications, []))),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    ?assertEqual(?TYPES, api(Node, get_host_types, [])),
    %% The table is current when the start of the server returns.
    ?assertMatch(#{state := following}, md_node:status(Node)),
    ?assertMatch({ok, _}, api(Node, insert_domain, [?A, ?TYPE])),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, ?A)),
    ?assertEqual({duplicate, <<"Domain already exists">>}, api(Node, insert_domain, [?A, ?TYPE])),
    [?assertEqual([mongoose_domain_mongooseim], md_node:call(Node, mongoose_domain_removal, handlers, [HostType]))
     || HostType <- [?STATIC | ?TYPES]],
    %% Of an event a hundred reports a second are logged, as where OTP starts the application.
    [md_node:call(Node, mongoose_domain_core, insert, [?STATIC, ?TYPE, source]) || _ <- lists:seq(1, 150)],
    ?assert(md_node:count(Node, domain_static_but_in_db) < 150),
    Running = md_node:call(Node, erlang, whereis, [mongoose_domain_sup]),
    ?assertEqual({error, {already_started, Running}}, md_node:call(Node, mongoose_domain_sup, start_link, [])),
    ok = md_node:call(Node, mim, stop, []),
    ?assertError({not_running, mongoose_domain}, api(Node, get_host_type, [?A])).

the_door_is_opened_by_configuration(Config) ->
    Node = boot(Config, #{admin => #{port => 0}}),
    ok = start(Node, config(Config)),
    Url = fun() -> md_node:call(Node, mongoose_domain_admin, url, []) end,
    md_wait:until(fun() -> element(1, Url()) end, ok),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    Door = md_http:door(Node, none),
    ?assertMatch({200, _, _}, md_http:request(Door, get, "/api/domains/a.example", #{})),
    {200, _, Metrics} = md_http:request(Door, get, "/metrics", #{}),
    ?assertNotEqual(nomatch, binary:match(Metrics, <<"mongoose_domain">>)),
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> element(1, Url()) end, ok),
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual({error, closed}, Url()).

the_section_of_the_configuration_is_what_the_service_takes(Config) ->
    Node = boot(Config, #{}),
    Process = fun(Given) -> md_node:call(Node, mim, process_section, [service(Node), Given]) end,
    ?assertEqual({ok, #{event_cleaning_interval => 1800, event_max_age => 7200, db_pool => global}}, Process(#{})),
    [?assertEqual({error, Key}, Process(#{Key => Value}))
     || {Key, Value} <- [{<<"event_max_age">>, 0}, {<<"event_max_age">>, <<"1">>}, {<<"event_cleaning_interval">>, -1},
                         {<<"db_pool">>, 10}, {<<"db_pool">>, <<>>}, {<<"poll">>, 1}]],
    {ok, Options} = Process(#{<<"event_max_age">> => 60, <<"event_cleaning_interval">> => 7, <<"db_pool">> => <<"global">>}),
    ok = start(Node, (config(Config))#{service => Options}),
    {ok, Service} = md_node:call(Node, mongoose_domain_config, service, []),
    ?assertMatch(#{event_max_age := 60, event_cleaning_interval := 7, database := {pool, global},
                   first_load_timeout := 10000}, Service).

service(Node) ->
    md_node:call(Node, service_domain_db, config_spec, []).

a_wrong_start_leaves_nothing_behind(Config) ->
    Node = boot(Config, #{}),
    ?assertMatch({error, _}, start(Node, (config(Config))#{host_types => no_list})),
    ?assertEqual(1, md_node:count(Node, wrong_configuration)),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup])),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_tables])),
    %% The integration cannot be loaded.
    ok = md_node:call(Node, application, set_env, [mongoose_domain, integration, no_such_module]),
    ?assertMatch({error, _}, start(Node, config(Config))),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, integration, mongoose_domain_mongooseim]),
    %% What fails when the processes run already: this is no handler of the router's.
    ok = md_node:call(Node, application, set_env, [mongoose_domain, subdomains, #{all => [{"muc.@HOST@", none}]}]),
    ?assertMatch({error, _}, start(Node, config(Config))),
    ?assertEqual(1, md_node:count(Node, integration_failed)),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [mongoose_domain_sup])),
    ok = md_node:call(Node, application, unset_env, [mongoose_domain, subdomains]),
    ok = start(Node, config(Config)),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    ?assertEqual({ok, ?TYPE}, md_node:lookup(Node, ?A)).

%% Removal

a_removal_runs_the_hook_of_each_host_type(Config) ->
    Node = started(Config),
    [begin
         {ok, _} = api(Node, insert_domain, [?A, HostType]),
         ?assertEqual({ok, #{domain => ?A, host_type => HostType, status => deleted}}, api(Node, delete_domain, [?A, HostType]))
     end || HostType <- ?TYPES],
    ?assertEqual([[HostType, ?A] || HostType <- ?TYPES], args(Node, mongoose_hooks, remove_domain)),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    ?assertMatch({ok, #{status := deleting}}, api(Node, request_delete_domain, [?A, ?TYPE])),
    md_wait:until(fun() -> api(Node, get_domain_details, [?A]) end, {not_found, <<"Given domain does not exist">>}),
    ?assertEqual(3, length(args(Node, mongoose_hooks, remove_domain))).

a_handler_that_fails_keeps_the_domain_in_removal(Config) ->
    Node = started(Config),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    [begin
         ok = behave(Node, mongoose_hooks, remove_domain, Behaviour),
         ?assertMatch({removal_failed, _}, api(Node, delete_domain, [?A, ?TYPE])),
         ?assertMatch({ok, #{status := deleting}}, api(Node, get_domain_details, [?A])),
         ?assertEqual({error, not_found}, md_node:lookup(Node, ?A))
     end || Behaviour <- [fails, crash]],
    ?assertMatch([{error, #{module := mod_of_a_test, reason := told_to_fail}}], md_node:logged(Node, hook_failed)),
    ?assertMatch([{error, #{reason := {error, {failed, [mod_of_a_test]}}}}, {error, #{reason := told_to_crash}}],
                 md_node:logged(Node, domain_deletion_failed)),
    ok = behave(Node, mongoose_hooks, remove_domain, ok),
    ?assertMatch({ok, #{status := deleted}}, api(Node, delete_domain, [?A, ?TYPE])).

%% Routing

packets_and_iqs_are_routed_to_hosts_that_are_used(Config) ->
    Node = started(Config),
    Handler = packet_handler(Node, #{own => 1}),
    IQ = iq_handler(Node, #{own => 2}),
    ok = api(Node, register_subdomain, [?TYPE, ?MUC, Handler]),
    ok = routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, IQ]),
    ok = routing(Node, register_iq_handler_for_subdomain, [?TYPE, ?MUC, ?NS, muc_iq, IQ]),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    [{ejabberd_sup, start_domains, []}] = take_calls(Node),
    WithType = iq_handler(Node, #{own => 2, host_type => ?TYPE}),
    ?assert(routing(Node, maybe_add_domain_or_subdomain, [?A])),
    ?assertEqual([{gen_iq_component, register_iq_handler, [ejabberd_sm, ?A, ?NS, WithType]},
                  {gen_iq_component, sync, [ejabberd_sm]},
                  {ejabberd_local, register_host, [?A]}], take_calls(Node)),
    Muc = <<"muc.a.example">>,
    ?assert(routing(Node, maybe_add_domain_or_subdomain, [Muc])),
    ?assertEqual([{gen_iq_component, register_iq_handler, [muc_iq, Muc, ?NS, WithType]},
                  {gen_iq_component, sync, [muc_iq]},
                  {mongoose_router, register_route, [Muc, packet_handler(Node, #{own => 1, host_type => ?TYPE})]},
                  {mongoose_hooks, register_subhost, [Muc, false]}], take_calls(Node)),
    ?assert(routing(Node, maybe_add_domain_or_subdomain, [Muc])),
    ?assertNot(routing(Node, maybe_add_domain_or_subdomain, [<<"nobody.example">>])),
    ?assertEqual([], take_calls(Node)),
    %% A namespace for hosts that are there already.
    ?assertEqual({error, already_registered}, routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, IQ])),
    ok = routing(Node, register_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local, IQ]),
    ?assertEqual([{gen_iq_component, register_iq_handler, [ejabberd_local, ?A, <<"more">>, WithType]},
                  {gen_iq_component, sync, [ejabberd_local]}], take_calls(Node)),
    ?assertEqual({ok, WithType}, routing(Node, unregister_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local])),
    ?assertEqual([{gen_iq_component, unregister_iq_handler, [ejabberd_local, ?A, <<"more">>]}], take_calls(Node)),
    ?assertEqual({error, not_found}, routing(Node, unregister_iq_handler_for_domain, [?TYPE, <<"more">>, ejabberd_local])),
    %% The domain goes, and its subdomain with it.
    {ok, _} = api(Node, disable_domain, [?A]),
    ok = routing(Node, sync, []),
    ?assertEqual([{ejabberd_local, unregister_host, [?A]},
                  {gen_iq_component, unregister_iq_handler, [ejabberd_sm, ?A, ?NS]},
                  {gen_iq_component, unregister_iq_handler, [muc_iq, Muc, ?NS]},
                  {mongoose_hooks, unregister_subhost, [Muc]},
                  {mongoose_router, unregister_route, [Muc]}], lists:sort(take_calls(Node))).

at_the_end_of_the_node_parts_that_are_gone_make_no_noise(Config) ->
    Node = started(Config),
    ok = api(Node, register_subdomain, [?TYPE, ?MUC, packet_handler(Node, #{})]),
    ok = routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, iq_handler(Node, #{})]),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    [true = routing(Node, maybe_add_domain_or_subdomain, [Host]) || Host <- [?A, <<"muc.a.example">>]],
    [ok = behave(Node, Module, Function, noproc)
     || {Module, Function} <- [{ejabberd_local, unregister_host}, {mongoose_router, unregister_route},
                               {mongoose_hooks, unregister_subhost}, {gen_iq_component, unregister_iq_handler}]],
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual(1, length(args(Node, ejabberd_local, unregister_host))),
    ?assertEqual(0, md_node:count(Node, lazy_routing_failed)).

%% Restarts

a_supervisor_that_is_killed_loses_no_registration(Config) ->
    Node = started(Config),
    Options = options(),
    ok = register_all(Node),
    [begin
         _ = md_node:kill(Node, mongoose_domain_sup),
         ok = assert_all_is_there(Node, Config, Number)
     end || Number <- [1, 2]],
    %% Each restart succeeded at once, and no route was taken away meanwhile.
    ?assertEqual(2, length(args(Node, ejabberd_sup, start_domains))),
    ?assertEqual([], args(Node, ejabberd_local, unregister_host)),
    ?assertEqual([], args(Node, mongoose_router, unregister_route)),
    {ok, Service} = md_node:call(Node, mongoose_domain_config, service, []),
    ?assertEqual(maps:remove(db_pool, Options), maps:with(maps:keys(Options), Service)),
    %% The service manager can stop it, and start it with other options.
    ok = md_node:call(Node, service_domain_db, stop, []),
    ?assertMatch({service_disabled, _}, api(Node, insert_domain, [<<"later.example">>, ?TYPE])),
    {ok, _} = md_node:call(Node, service_domain_db, start, [Options#{event_max_age := 9}]),
    ?assertMatch({ok, #{event_max_age := 9}}, md_node:call(Node, mongoose_domain_config, service, [])),
    ok = md_node:call(Node, service_domain_db, stop, []),
    %% What was stopped stays stopped.
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> md_node:call(Node, service_domain_db, enabled, []) end, false),
    ?assertMatch({service_disabled, _}, api(Node, insert_domain, [<<"later.example">>, ?TYPE])).

a_supervisor_that_gives_up_loses_no_registration(Config) ->
    Node = started(Config),
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
    ok = api(Node, register_subdomain, [?TYPE, ?MUC, packet_handler(Node, #{})]),
    ok = routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm, iq_handler(Node, #{})]),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    [true = routing(Node, maybe_add_domain_or_subdomain, [Host]) || Host <- [?A, <<"muc.a.example">>]],
    _ = take_calls(Node),
    ok.

assert_all_is_there(Node, Config, Number) ->
    New = <<(integer_to_binary(Number))/binary, ".example">>,
    %% The service follows and changes again.
    md_wait:until(fun() -> element(1, api(Node, insert_domain, [New, ?TYPE])) end, ok),
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
    true = routing(Node, maybe_add_domain_or_subdomain, [New]),
    ?assert(lists:member(New, [Host || [_, Host | _] <- args(Node, gen_iq_component, register_iq_handler)])),
    ok.

a_new_start_of_the_server_begins_anew(Config) ->
    Node = started(Config),
    ok = register_all(Node),
    ok = md_node:call(Node, mim, stop, []),
    ?assertEqual([[?A]], args(Node, ejabberd_local, unregister_host)),
    ok = start(Node, maps:remove(service, config(Config))),
    ?assertNot(md_node:call(Node, service_domain_db, enabled, [])),
    ?assertEqual([], api(Node, get_all_dynamic, [])),
    ok = md_node:call(Node, mongoose_domain_core, insert, [?A, ?TYPE, source]),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"muc.a.example">>)),
    ?assertEqual({error, not_found}, routing(Node, unregister_iq_handler_for_domain, [?TYPE, ?NS, ejabberd_sm])).

%% Nobody else may have its registrations after a stop, nor after a supervisor that was killed.
an_application_that_otp_starts_begins_anew(Config) ->
    Node = md_node:start(#{host_types => ?TYPES, service_domain_db => #{database => ?config(database, Config)}}),
    Registered = fun() ->
        {md_node:call(Node, mongoose_domain_removal, handlers, [?TYPE]),
         routing(Node, unregister_iq_handler_for_domain, [?TYPE, ?NS, part])}
    end,
    Register = fun() ->
        ok = md_node:call(Node, mongoose_domain_removal, register_handler, [?TYPE, md_handler_first, 50]),
        ok = routing(Node, register_iq_handler_for_domain, [?TYPE, ?NS, part, handler])
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

%% The database

while_the_database_is_away_callers_get_answers_that_they_know(Config) ->
    Gate = md_gate:start(md_database:port(?config(database, Config))),
    ok = md_gate:open(Gate),
    Node = boot(Config, #{service_domain_db => #{operation_timeout => 300, pool_size => 1, queue_limit => 1}}),
    ok = start(Node, config(Config, #{port => md_gate:port(Gate), host => "127.0.0.1"})),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    {ok, _} = api(Node, set_domain_password, [?A, <<"right">>]),
    ?assertEqual({error, wrong_password}, api(Node, check_domain_password, [?A, <<"wrong">>])),
    ?assertEqual(ok, api(Node, check_domain_password, [?A, <<"right">>])),
    ok = md_gate:close(Gate),
    ?assertEqual({error, not_found}, api(Node, check_domain_password, [?A, <<"right">>])),
    ?assertMatch([{error, #{reason := {db_error, _}}}], md_node:logged(Node, domain_password_not_checked)),
    %% The door's clients know more.
    ?assertMatch({refused, db_error, _},
                 md_node:call(Node, mongoose_domain_admin_request, answer, [{check_password, ?A, <<"right">>}])),
    ?assertEqual([#{domain => ?A, host_type => ?TYPE, status => enabled}], api(Node, get_all_domains, [])),
    ?assertEqual(1, md_node:count(Node, domain_list_from_table)),
    ?assertEqual({ok, ?TYPE}, api(Node, get_host_type, [?A])),
    ?assertEqual({ok, [?A]}, api(Node, check_host_type_and_get_domains, [?TYPE])),
    Says = fun(Words, {db_error, Text}) -> binary:match(Text, Words) =/= nomatch end,
    [?assert(Says(<<"nothing was changed">>, api(Node, Function, Args)), Function)
     || {Function, Args} <- [{insert_domain, [?B, ?TYPE]}, {enable_domain, [?A]}, {disable_domain, [?A]},
                             {delete_domain, [?A, ?TYPE]}, {delete_domain, [?A]}, {request_delete_domain, [?A, ?TYPE]},
                             {set_domain_password, [?A, <<"new">>]}, {delete_domain_password, [?A]}]],
    [begin
         Answer = api(Node, Function, Args),
         ?assertNot(Says(<<"changed">>, Answer), Answer)
     end || {Function, Args} <- [{get_domain_details, [?A]}, {get_removals, []}, {removal_status, [?A]},
                                 {get_changes, [undefined, 1]}, {list_domains, [#{}]}]],
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> api(Node, check_domain_password, [?A, <<"right">>]) end, ok),
    %% More than one of these waits for the only worker.
    ok = md_gate:hush(Gate),
    Answers = at_once([fun() -> api(Node, insert_domain, [<<(integer_to_binary(N))/binary, ".example">>, ?TYPE]) end
                       || N <- lists:seq(1, 8)]),
    ?assert(lists:keymember(overloaded, 1, Answers)),
    ?assertEqual([], [Answer || {Tag, Text} = Answer <- Answers, not is_atom(Tag) orelse Tag =:= error orelse not is_binary(Text)]).

at_once(Funs) ->
    Monitors = [spawn_monitor(fun() -> exit({answer, Fun()}) end) || Fun <- Funs],
    [receive {'DOWN', Monitor, process, Pid, {answer, Answer}} -> Answer end || {Pid, Monitor} <- Monitors].

a_start_waits_until_many_domains_are_loaded(Config) ->
    Count = 30000,
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, ["INSERT INTO domain_settings (domain, host_type) SELECT 'd' || n || '.example', 'type1' "
                                  "FROM generate_series(1, ", integer_to_list(Count), ") n"]),
    ok = md_client:close(Client),
    Node = boot(Config, #{}),
    ok = start(Node, config(Config)),
    ?assertEqual(Count, length(api(Node, get_domains_by_host_type, [?TYPE]))),
    ?assertEqual(0, md_node:count(Node, domain_first_load_not_done)).

a_start_goes_on_when_the_database_stays_away(Config) ->
    Gate = md_gate:start(md_database:port(?config(database, Config))),
    Node = boot(Config, #{service_domain_db => #{first_load_timeout => 200}}),
    ok = start(Node, config(Config, #{port => md_gate:port(Gate), host => "127.0.0.1"})),
    ?assertMatch([{warning, #{waited := 200}}], md_node:logged(Node, domain_first_load_not_done)),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    %% It accepts connections and does not answer.
    ok = md_node:call(Node, service_domain_db, stop, []),
    ok = md_gate:stall(Gate),
    {ok, _} = md_node:call(Node, service_domain_db, start, [options()]),
    ?assertEqual(2, md_node:count(Node, domain_first_load_not_done)),
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> element(1, api(Node, insert_domain, [?A, ?TYPE])) end, ok).

a_driver_that_is_not_supported_says_what_to_do(Config) ->
    Node = boot(Config, #{}),
    {error, {wrong_configuration, #{expected := Text}}} = start(Node, config(Config, #{driver => mysql, password => ?PASSWORD})),
    [?assertNotEqual(nomatch, binary:match(Text, Word)) || Word <- [<<"pgsql">>, <<"mysql">>, <<"service_domain_db">>]],
    ok = assert_not_shown(Node, ?PASSWORD).

an_operator_may_name_another_database(Config) ->
    File = filename:join(?config(priv_dir, Config), "url"),
    ok = file:write_file(File, ?config(database, Config)),
    Node = boot(Config, #{service_domain_db => #{database => {file, File}, pool_size => 2}}),
    ok = start(Node, config(Config, #{driver => mysql})),
    {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> element(1, api(Node, insert_domain, [?B, ?TYPE])) end, ok),
    ?assertMatch({ok, #{database := {file, File}, pool_size := 2, event_max_age := 7200}},
                 md_node:call(Node, mongoose_domain_config, service, [])).

urls_are_made_of_every_form_of_a_pool(Config) ->
    true = code:add_pathz(?config(beams, Config)),
    ok = eunit:test(mongoose_domain_mongooseim_url_tests, []),
    true = code:del_path(?config(beams, Config)),
    %% A user whose password needs escaping gets in, and the password is nowhere to be read.
    User = "mim_" ++ integer_to_list(erlang:unique_integer([positive])),
    Client = md_client:open(?config(database, Config)),
    [md_client:query(Client, Sql)
     || Sql <- [["CREATE ROLE ", User, " LOGIN SUPERUSER PASSWORD '", ?PASSWORD, "'"]]],
    Node = boot(Config, #{}),
    try
        ok = start(Node, config(Config, #{username => User, password => ?PASSWORD})),
        {ok, _} = api(Node, insert_domain, [?A, ?TYPE]),
        [begin
             _ = md_node:kill(Node, Name),
             md_wait:until(fun() -> element(1, api(Node, enable_domain, [?A])) end, ok)
         end || Name <- [service_domain_db, mongoose_domain_operations, mongoose_domain_sup]],
        ok = assert_not_shown(Node, ?PASSWORD)
    after
        peer:stop(Node),
        [] = md_client:query(Client, ["DROP ROLE ", User]),
        ok = md_client:close(Client)
    end.

%% The password is in no report, no state of a process, no argument of a child and not in the environment.
assert_not_shown(Node, Password) ->
    Escaped = uri_string:quote(Password),
    Logged = md_node:call(Node, md_log, all, []),
    Environment = md_node:call(Node, application, get_all_env, [mongoose_domain]),
    States = [md_node:call(Node, sys, get_state, [Name])
              || Name <- [mongoose_domain_sup, mongoose_domain_database_sup, service_domain_db, mongoose_domain_operations,
                          ejabberd_sup],
                 is_pid(md_node:call(Node, erlang, whereis, [Name]))],
    Text = unicode:characters_to_list(io_lib:format("~tp", [{Logged, Environment, States}])),
    ?assert(length(Logged) > 0),
    [?assertEqual(nomatch, string:find(Text, Secret)) || Secret <- [Password, Escaped, "55@w", "55%40w"]],
    ok.

%% A node of the server

%% A VM whose release has this application loaded, with these keys in the environment besides the integration.
boot(Config, Environment) ->
    Node = md_node:boot(),
    true = md_node:call(Node, code, add_pathz, [?config(beams, Config)]),
    ok = md_node:call(Node, application, load, [mongoose_domain]),
    [ok = md_node:call(Node, application, set_env, [mongoose_domain, Key, Value])
     || {Key, Value} <- maps:to_list(Environment#{integration => mongoose_domain_mongooseim})],
    Node.

start(Node, Config) ->
    md_node:call(Node, mim, start, [Config]).

started(Config) ->
    %% Other programs do not notify.
    Node = boot(Config, #{service_domain_db => #{poll_interval => 100}}),
    ok = start(Node, config(Config)),
    Node.

config(Config) ->
    config(Config, #{}).

%% The server's configuration, with these parts of its connection to the database.
config(Config, Connection) ->
    #{host := Host, path := "/" ++ Database, userinfo := User} = Parts = uri_string:parse(?config(database, Config)),
    Pool = #{type => rdbms, scope => global, tag => default, opts => #{workers => 2},
             conn_opts => maps:merge(#{driver => pgsql, host => Host, port => maps:get(port, Parts, 5432),
                                       database => Database, username => User, query_timeout => 5000}, Connection)},
    #{hosts => [?STATIC], host_types => ?TYPES, outgoing_pools => [Pool], service => options()}.

options() ->
    #{event_cleaning_interval => 1800, event_max_age => 7200, db_pool => global}.

api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

routing(Node, Function, Args) ->
    md_node:call(Node, mongoose_lazy_routing, Function, Args).

behave(Node, Module, Function, Behaviour) ->
    md_node:call(Node, mim, behave, [{Module, Function}, Behaviour]).

take_calls(Node) ->
    md_node:call(Node, mim, take_calls, []).

args(Node, Module, Function) ->
    [Args || {M, F, Args} <- md_node:call(Node, mim, calls, []), M =:= Module, F =:= Function].

packet_handler(Node, Extra) ->
    md_node:call(Node, mongoose_packet_handler, new, [fun mongoose_packet_handler:process/5, Extra]).

iq_handler(Node, Extra) ->
    md_node:call(Node, mongoose_iq_handler, new, [handler_of_a_test, Extra]).
