%% The log as an operator sees it with OTP's default configuration of the logger: the nodes are plain `erl', and the
%% tests read their standard output. Faults are real where a test can cause them quickly. The other events of
%% docs/events.md enter where the native code passes them to Erlang, so they take the same way as real ones.
-module(default_log_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([what_goes_wrong_with_the_database_is_printed/1,
         what_goes_wrong_with_the_door_is_printed/1,
         what_goes_wrong_with_services_modules_and_names_is_printed/1,
         each_event_of_the_list_is_printed/1,
         why_a_node_does_not_start_is_printed/1,
         what_a_caller_on_another_node_provokes_is_printed_where_it_happened/1,
         a_flood_of_one_event_hides_no_other/1]).
%% Run in the nodes.
-export([log/2, report/1, to_door/1, junk_to_door/0, provoke_many/1]).

-include("../erlang/base/mongoose_domain_log.hrl").

-define(HOUR, 3600000).
-define(A, <<"a.example">>).
%% A text outside of Latin-1.
-define(CYRILLIC, <<"тип"/utf8>>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [what_goes_wrong_with_the_database_is_printed,
     what_goes_wrong_with_the_door_is_printed,
     what_goes_wrong_with_services_modules_and_names_is_printed,
     each_event_of_the_list_is_printed,
     why_a_node_does_not_start_is_printed,
     what_a_caller_on_another_node_provokes_is_printed_where_it_happened,
     a_flood_of_one_event_hides_no_other].

init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Directory = filename:join(?config(priv_dir, Config), Case),
        [{database, Database}, {directory, Directory}, {writer, md_client:open(Database)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% Starts a node that runs the application with this environment.
start(Config, Environment) ->
    Node = boot(Config, Environment, []),
    ok = md_stock:call(Node, application, start, [mongoose_domain]),
    Node.

boot(Config, Environment, Args) ->
    Node = md_stock:start(#{directory => ?config(directory, Config), environment => Environment, args => Args}),
    {ok, _} = md_stock:call(Node, application, ensure_all_started, [compiler]),
    Node.

environment(Database, Options) ->
    #{hosts => [{<<"static.example">>, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => Options#{database => Database}}.

wait_until_following(Node) ->
    md_wait:until(fun() -> map_get(state, md_stock:call(Node, service_domain_db, status, [])) =:= following end).

sql(Config, Statement) ->
    [] = md_client:query(?config(writer, Config), Statement),
    ok.

%% All these events are printed, each as docs/events.md describes it.
printed(Node, Events) ->
    Listed = md_events:documented(),
    [begin
         #{level := Level} = Report = md_stock:printed(Node, Event),
         #{levels := Levels, always := Always, sometimes := Sometimes} = map_get(Event, Listed),
         Fields = maps:keys(Report) -- [level, what],
         ?assertEqual({Event, true}, {Event, lists:member(Level, Levels)}),
         ?assertEqual({Event, []}, {Event, Fields -- (Always ++ Sometimes)}),
         ?assertEqual({Event, []}, {Event, Always -- Fields}),
         Report
     end || Event <- Events].

what_goes_wrong_with_the_database_is_printed(Config) ->
    Database = ?config(database, Config),
    Data = filename:join(?config(directory, Config), "data"),
    Gate = md_gate:start(md_database:port(Database)),
    ok = md_gate:open(Gate),
    ok = md_writer:write(?config(writer, Config), [{add, <<"type1">>, md_names:numbered(<<"one-">>, 20)}]),
    sql(Config, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION '%', U&'\\043D\\0435\\043B\\044C\\0437\\044F'; END $$"),
    sql(Config, "CREATE TRIGGER refuse BEFORE DELETE ON domain_events EXECUTE FUNCTION refuse()"),
    Options = #{poll_interval => ?HOUR, snapshot_interval => 100, event_cleaning_interval => 1, event_max_age => 1,
                visibility_timeout => 1},
    Environment = environment(md_database:with_port(Database, md_gate:port(Gate)), Options),
    Node = start(Config, Environment#{data_dir => Data}),
    printed(Node, [load_data_from_base]),
    %% Invalid rows, and a name that tries to forge a line of the log.
    ok = md_writer:write_and_notify(?config(writer, Config),
        [{add, ?CYRILLIC, [?A]}, {add, <<"type1">>, [<<"b.example">>, <<"static.example">>, <<"no name\n=ERROR">>]},
         {status, 7, [<<"b.example">>]}]),
    [#{host_type := HostType}, _, #{domain := Forged} | _] =
        printed(Node, [ignore_domain_from_db_with_unknown_host_type, ignore_domain_from_db_with_unknown_status,
                       ignore_domain_from_db_with_invalid_name, domain_static_but_in_db]),
    ?assertEqual(<<$", ?CYRILLIC/binary, $">>, HostType),
    ?assertEqual(<<"\"no name\\n=ERROR\"">>, Forged),
    ok = md_writer:write_and_notify(?config(writer, Config), [{delete, [<<"static.example">>]}]),
    printed(Node, [domain_static_but_was_in_db]),
    [#{reason := Refused}] = printed(Node, [domain_cleaning_failed]),
    ?assertMatch({_, _}, binary:match(Refused, <<"нельзя"/utf8>>)),
    %% The directory disappears and comes back.
    ok = file:rename(Data, Data ++ ".aside"),
    ok = file:write_file(Data, <<>>),
    ok = md_writer:write_and_notify(?config(writer, Config), [{add, <<"type1">>, [<<"c.example">>]}]),
    printed(Node, [domain_snapshot_failed]),
    ok = file:delete(Data),
    ok = file:rename(Data ++ ".aside", Data),
    printed(Node, [domain_snapshot_written]),
    %% The database goes away and comes back.
    ok = md_gate:close(Gate),
    printed(Node, [domain_database_away]),
    {db_error, _} = md_stock:call(Node, mongoose_domain_api, insert_domain, [<<"d.example">>, <<"type1">>]),
    printed(Node, [domain_operation_not_done]),
    ok = md_gate:open(Gate),
    printed(Node, [domain_database_back]),
    %% The database loses its rows and then gets other ones.
    sql(Config, "TRUNCATE domain_settings"),
    {ok, #{kept := _}} = md_stock:call(Node, service_domain_db, converge, []),
    printed(Node, [outdated_domains_kept]),
    sql(Config, "INSERT INTO domain_settings (domain, host_type) "
                "SELECT 'x' || n || '.example', 'type1' FROM generate_series(1, 9) n"),
    {ok, #{added := 9}} = md_stock:call(Node, service_domain_db, converge, [force]),
    printed(Node, [domains_converged]),
    %% The event log loses its newest events.
    sql(Config, "DROP TRIGGER refuse ON domain_events"),
    sql(Config, "TRUNCATE domain_events RESTART IDENTITY"),
    ok = md_writer:write_and_notify(?config(writer, Config), [{add, <<"type1">>, [<<"e.example">>]}]),
    printed(Node, [events_log_out_of_sync]).

what_goes_wrong_with_the_door_is_printed(Config) ->
    {ok, Listener} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Taken} = inet:port(Listener),
    Environment = environment(?config(database, Config), #{}),
    Node = start(Config, Environment#{admin => #{port => Taken}}),
    [#{error := Error}, _] = printed(Node, [domain_admin_gives_up, domain_admin_not_started]),
    ?assertMatch({_, _}, binary:match(Error, integer_to_binary(Taken))),
    ok = gen_tcp:close(Listener),
    printed(Node, [domain_admin_listening]),
    Door = #{host => "127.0.0.1", port => Taken, user => none},
    {400, _, _} = md_http:request(Door, put, "/api/domains/a.example", #{json => <<"no json">>}),
    printed(Node, [parse_body_failed, mongoose_admin_api_error_response]),
    {os_pid, Pid} = md_stock:call(Node, erlang, port_info, [door_port(Node), os_pid]),
    _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
    printed(Node, [domain_admin_ended]),
    ok = md_stock:call(Node, ?MODULE, junk_to_door, []),
    printed(Node, [domain_admin_frame_not_understood]).

door_port(Node) ->
    element(2, md_stock:call(Node, sys, get_state, [mongoose_domain_admin])).

%% @private A message of the program that cannot be understood.
junk_to_door() ->
    mongoose_domain_admin ! {element(2, sys:get_state(mongoose_domain_admin)), {data, <<"no term">>}},
    ok.

what_goes_wrong_with_services_modules_and_names_is_printed(Config) ->
    Environment = maps:remove(service_domain_db, environment(none, #{})),
    Static = [{<<"static.example">>, <<"type1">>}, {<<"static.example">>, <<"type2">>}, {<<"No.Name">>, <<"type1">>},
              {?A, <<>>}],
    Node = start(Config, Environment#{hosts := Static, slip_of_the_pen => 1}),
    printed(Node, [static_domain_given_twice, ignore_invalid_domain, ignore_invalid_host_type, unknown_configuration_keys]),
    ok = md_stock:call(Node, md_components, make, [#{md_service => {service, #{}},
                                                md_module => {module, #{supported_features => [dynamic_domains]}}}]),
    Behave = fun(Part, Callback, How) -> ok = md_stock:call(Node, md_components, behave, [Part, Callback, How]) end,
    Module = fun(Function, Arguments) ->
        md_stock:call(Node, mongoose_domain_modules, Function, [<<"type1">>, md_module | Arguments])
    end,
    Service = fun(Function, Arguments) ->
        md_stock:call(Node, mongoose_domain_services, Function, [md_service | Arguments])
    end,
    Behave(md_service, start, {crash, ?CYRILLIC}),
    ?assertError(?CYRILLIC, Service(ensure_started, [#{}])),
    [#{reason := Reason}] = printed(Node, [service_startup_failed]),
    ?assertEqual(<<$", ?CYRILLIC/binary, $">>, Reason),
    Behave(md_service, start, {return, ok}),
    {started, _} = Service(ensure_started, [#{}]),
    Behave(md_service, stop, {crash, stuck}),
    ?assertError(stuck, Service(ensure_stopped, [])),
    printed(Node, [service_stop_failed]),
    Behave(md_module, start, {crash, full}),
    ?assertError(full, Module(ensure_started, [#{}])),
    Behave(md_module, start, link),
    {started, _} = Module(ensure_started, [#{}]),
    Behave(md_module, stop, {crash, stuck}),
    ?assertError(stuck, Module(ensure_stopped, [])),
    Behave(md_module, deps, {crash, lost}),
    ?assertError(lost, Module(ensure_started, [#{other => options}])),
    printed(Node, [module_start_failed, unexpected_links, module_stopping_failed, callback_failed]),
    %% Names that are claimed twice, and unexpected messages.
    ok = md_stock:call(Node, mongoose_domain_core, insert, [?A, <<"type1">>, 1]),
    ok = md_stock:call(Node, mongoose_domain_core, insert, [<<"muc.a.example">>, <<"type2">>, 1]),
    {error, bad_insert} = md_stock:call(Node, mongoose_domain_core, insert, [?A, <<"type2">>, 1]),
    ok = md_stock:call(Node, mongoose_domain_api, register_subdomain,
                       [<<"type1">>, {prefix, <<"muc.">>}, {md_module, #{}}]),
    {error, unknown_call} = md_stock:call(Node, gen_server, call, [mongoose_domain_core, what]),
    ok = md_stock:call(Node, gen_server, cast, [mongoose_domain_core, what]),
    what = md_stock:call(Node, erlang, send, [mongoose_domain_core, what]),
    printed(Node, [check_subdomain_name_failed, ignore_domain_from_db_with_different_host_type,
                   unknown_call, unknown_cast, unknown_message]).

%% Includes events that no test can cause quickly. An `info' event is printed when the level of the logger allows it.
each_event_of_the_list_is_printed(Config) ->
    Environment = environment(?config(database, Config), #{}),
    Node = start(Config, Environment#{admin => #{port => 0}}),
    wait_until_following(Node),
    printed(Node, [domain_admin_listening]),
    Listed = maps:filter(fun(_Event, #{levels := Levels}) -> Levels =/= [] end, md_events:documented()),
    {Info, Seen} = lists:partition(fun({_Event, #{levels := [Level | _]}}) -> Level =:= info end, maps:to_list(Listed)),
    %% To parse all sources takes a second.
    Places = maps:from_list([{Event, File} || #{event := Event, file := File} <- lists:reverse(md_events:in_code())]),
    lists:foreach(fun(Event) -> provoke(Node, Event, Places) end, Info ++ Seen),
    _ = printed(Node, [Event || {Event, _} <- Seen]),
    ?assertEqual([], [Event || {Event, _} <- Info, md_stock:count(Node, Event) > 0]),
    ok = md_stock:call(Node, logger, set_primary_config, [level, info]),
    lists:foreach(fun(Event) -> provoke(Node, Event, Places) end, Info),
    printed(Node, [Event || {Event, _} <- Info]).

provoke(Node, {Event, #{levels := [Level | _], always := Fields}}, Places) ->
    Report = maps:from_list([{Field, <<"text">>} || Field <- Fields]),
    {Function, Arguments} = case map_get(Event, Places) of
        "native/sync" ++ _ -> {report, [{Level, Report#{what => Event}}]};
        "native/admin" ++ _ ->
            Names = maps:from_list([{atom_to_binary(Field), Value} || {Field, Value} <- maps:to_list(Report)]),
            {to_door, [{log, Level, atom_to_binary(Event), Names}]};
        _Erlang -> {log, [Level, Report#{what => Event}]}
    end,
    ok = md_stock:call(Node, ?MODULE, Function, Arguments).

%% @private Logs as any module of the application does.
log(Level, Report) ->
    ?LOG(Level, Report).

%% @private Passes a report as the follower's thread does.
report(Leveled) ->
    service_domain_db ! {domain_follower, {reports, [Leveled]}},
    ok.

%% @private Passes a message as the program does.
to_door(Frame) ->
    mongoose_domain_admin ! {element(2, sys:get_state(mongoose_domain_admin)), {data, term_to_binary(Frame)}},
    ok.

%% A node that ends because an application does not start must still print the reason.
why_a_node_does_not_start_is_printed(Config) ->
    Node = boot(Config, #{host_types => no_list}, []),
    {error, _} = md_stock:call(Node, application, start, [mongoose_domain]),
    [#{expected := _}] = printed(Node, [wrong_configuration]),
    Failing = environment(none, #{}),
    Other = boot(Config, maps:remove(service_domain_db, Failing#{services => #{no_such_service => #{}}}), []),
    {error, _} = md_stock:call(Other, application, start, [mongoose_domain, permanent]),
    [#{reason := Reason}] = printed(Other, [application_not_started]),
    ?assertMatch({_, _}, binary:match(Reason, <<"service_not_found">>)).

what_a_caller_on_another_node_provokes_is_printed_where_it_happened(Config) ->
    [Here, There] = [["-name", lists:concat([Name, erlang:unique_integer([positive]), "@127.0.0.1"]),
                      "-setcookie", "mongoose_domain_ct_" ++ os:getpid()] || Name <- ["md_here", "md_there"]],
    Node = boot(Config, maps:remove(service_domain_db, environment(none, #{})), Here),
    ok = md_stock:call(Node, application, start, [mongoose_domain]),
    Caller = boot(Config, #{}, There),
    Name = md_stock:call(Node, erlang, node, []),
    {error, static} = md_stock:call(Caller, rpc, call,
                                    [Name, mongoose_domain_core, delete, [<<"static.example">>]]),
    printed(Node, [domain_static_but_was_in_db]).

%% OTP's handler drops all reports when there are more than five hundred in a second.
a_flood_of_one_event_hides_no_other(Config) ->
    Node = start(Config, maps:remove(service_domain_db, environment(none, #{}))),
    ok = md_stock:call(Node, ?MODULE, provoke_many, [3000]),
    printed(Node, [domain_static_but_in_db]),
    %% The log also says how many reports were left out.
    md_wait:until(fun() ->
        {error, static} = md_stock:call(Node, mongoose_domain_core, delete, [<<"static.example">>]),
        [] =/= [Before || #{what := domain_static_but_was_in_db, not_logged := Before} <- md_stock:all_printed(Node)]
    end).

%% @private Logs one event this many times and then another event once.
provoke_many(Times) ->
    lists:foreach(fun(_) -> {error, static} = mongoose_domain_core:delete(<<"static.example">>) end, lists:seq(1, Times)),
    {error, static} = mongoose_domain_core:insert(<<"static.example">>, <<"type1">>, 1),
    ok.
