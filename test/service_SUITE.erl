%% The service and its processes: a database that is away, a connection that breaks, and processes that are suspended,
%% killed, restarted and stopped.
%%
%% Two promises hold throughout: a route is lost only when the database removed it, and each
%% problem is reported once.
-module(service_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% The database goes away and comes back.
-export([a_node_starts_without_its_database_and_loads_when_it_comes/1,
         a_connection_that_breaks_is_reported_once_and_caught_up_after/1,
         a_database_that_does_not_exist_is_named/1,
         sync_local_answers_an_error_while_the_database_is_away/1,
         a_lost_event_log_is_noticed_and_made_good/1,
         an_emptied_event_log_is_noticed_and_made_good/1,
         ids_that_ran_backwards_are_noticed_and_lose_no_route/1]).
%% Processes stop and start.
-export([nothing_is_applied_while_the_service_is_suspended/1,
         the_successor_of_a_killed_service_goes_on_from_the_cursor/1,
         a_service_killed_again_and_again_leaves_one_thread/1,
         restart_loads_again_and_removes_what_that_does_not_bring/1,
         a_thread_that_ends_is_started_again_after_a_pause/1,
         a_thread_that_panics_is_started_again_after_a_pause/1,
         a_thread_that_reports_and_ends_again_and_again_is_given_longer_and_longer_pauses/1,
         who_waits_for_an_answer_when_the_service_stops_gets_one/1,
         a_url_that_cannot_be_read_stops_no_lookup_and_is_read_again/1,
         a_data_directory_that_cannot_be_made_stops_no_lookup_and_is_tried_again/1,
         a_scope_that_was_restarted_is_joined_again/1,
         a_scope_that_another_application_restarts_is_joined_again/1,
         a_crash_of_the_core_loses_no_route/1,
         restart_core_begins_with_an_empty_table_and_the_service_loads_again/1,
         restart_core_may_change_the_lists/1,
         restart_core_without_arguments_begins_with_the_configuration/1,
         an_application_that_stops_and_starts_again_loads_again/1,
         a_stop_ends_every_thread/1,
         static_domains_need_no_service/1]).
%% Status and answers.
-export([status_reports_what_the_service_is_doing/1,
         status_answers_whatever_becomes_of_the_service/1,
         what_waits_for_a_service_that_dies_is_reported_in_words/1,
         ping_reports_whether_a_nodes_service_answers/1,
         ping_takes_a_member_of_the_group_too/1,
         restart_says_when_there_is_nothing_to_restart/1,
         unknown_messages_are_logged_and_survived/1]).
%% Secrets and mistakes.
-export([a_password_is_shown_nowhere/1,
         a_password_is_shown_nowhere_while_the_database_is_away/1,
         a_wrong_url_stops_the_start_and_shows_no_password/1,
         a_wrong_configuration_stops_the_start_and_names_the_key/1]).

-define(HOUR, 3600000).
-define(STATIC, <<"static.example">>).
-define(NAMES, [<<"a.example">>, <<"b.example">>, <<"c.example">>]).
-define(SECRET, "s3cret-pa55word").

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, database}, {group, processes}, {group, words}, {group, secrets}].

groups() ->
    [{database, [a_node_starts_without_its_database_and_loads_when_it_comes,
                 a_connection_that_breaks_is_reported_once_and_caught_up_after,
                 a_database_that_does_not_exist_is_named,
                 sync_local_answers_an_error_while_the_database_is_away,
                 a_lost_event_log_is_noticed_and_made_good,
                 an_emptied_event_log_is_noticed_and_made_good,
                 ids_that_ran_backwards_are_noticed_and_lose_no_route]},
     {processes, [nothing_is_applied_while_the_service_is_suspended,
                  the_successor_of_a_killed_service_goes_on_from_the_cursor,
                  a_service_killed_again_and_again_leaves_one_thread,
                  restart_loads_again_and_removes_what_that_does_not_bring,
                  a_thread_that_ends_is_started_again_after_a_pause,
                  a_thread_that_panics_is_started_again_after_a_pause,
                  a_thread_that_reports_and_ends_again_and_again_is_given_longer_and_longer_pauses,
                  who_waits_for_an_answer_when_the_service_stops_gets_one,
                  a_url_that_cannot_be_read_stops_no_lookup_and_is_read_again,
                  a_data_directory_that_cannot_be_made_stops_no_lookup_and_is_tried_again,
                  a_scope_that_was_restarted_is_joined_again,
                  a_scope_that_another_application_restarts_is_joined_again,
                  a_crash_of_the_core_loses_no_route,
                  restart_core_begins_with_an_empty_table_and_the_service_loads_again,
                  restart_core_may_change_the_lists,
                  restart_core_without_arguments_begins_with_the_configuration,
                  an_application_that_stops_and_starts_again_loads_again,
                  a_stop_ends_every_thread,
                  static_domains_need_no_service]},
     {words, [status_reports_what_the_service_is_doing,
              status_answers_whatever_becomes_of_the_service,
              what_waits_for_a_service_that_dies_is_reported_in_words,
              ping_reports_whether_a_nodes_service_answers,
              ping_takes_a_member_of_the_group_too,
              restart_says_when_there_is_nothing_to_restart,
              unknown_messages_are_logged_and_survived]},
     {secrets, [a_password_is_shown_nowhere,
                a_password_is_shown_nowhere_while_the_database_is_away,
                a_wrong_url_stops_the_start_and_shows_no_password,
                a_wrong_configuration_stops_the_start_and_names_the_key]}].

init_per_group(_Group, Config) ->
    Config.

end_per_group(_Group, _Config) ->
    ok.

%% A database with three domains, and a client that writes.
init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Writer = md_client:open(Database),
        ok = md_writer:write(Writer, [{add, <<"type1">>, ?NAMES}]),
        [{database, Database}, {writer, Writer} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

environment(Config) ->
    environment(Config, #{}).

environment(Config, Options) ->
    Service = #{database => ?config(database, Config), poll_interval => ?HOUR},
    #{hosts => [{?STATIC, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => maps:merge(Service, Options)}.

%% Starts a node and waits until it has loaded the three domains.
start(Config) ->
    Node = md_node:start(environment(Config)),
    md_node:wait_until_following(Node),
    assert_loaded(Node),
    Node.

%% The same behind an open gate.
start_behind_gate(Config) ->
    {Gate, Url} = gate(Config),
    ok = md_gate:open(Gate),
    Node = md_node:start(environment(Config, #{database => Url})),
    md_node:wait_until_following(Node),
    assert_loaded(Node),
    {Node, Gate}.

gate(Config) ->
    Database = ?config(database, Config),
    Gate = md_gate:start(md_database:port(Database)),
    {Gate, md_database:with_port(Database, md_gate:port(Gate))}.

write(Config, Changes) ->
    md_writer:write(?config(writer, Config), Changes).

query(Config, Sql) ->
    md_client:query(?config(writer, Config), Sql).

loaded() ->
    maps:from_list([{Name, <<"type1">>} || Name <- ?NAMES]).

assert_loaded(Node) ->
    ?assertEqual(loaded(), md_node:routes(Node)),
    assert_static(Node).

assert_static(Node) ->
    ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, ?STATIC)).

assert_one_thread(Node) ->
    case md_node:threads(Node) of
        unknown -> ok;
        _ -> md_wait:until(fun() -> md_node:threads(Node) end, 1)
    end.

wait_for_state(Node, State) ->
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, State).

wait_until_found(Node, Domain, HostType) ->
    md_wait:until(fun() -> md_node:lookup(Node, Domain) end, {ok, HostType}).

%% Waits for that many further failed attempts.
wait_for_retries(_Node, 0) ->
    ok;
wait_for_retries(Node, Count) ->
    #{last_error_at := Last} = md_node:status(Node),
    md_wait:until(fun() -> maps:get(last_error_at, md_node:status(Node)) =/= Last end),
    wait_for_retries(Node, Count - 1).

%% Waits until the suspended service has this message in its queue.
wait_for_message(Node, Message) ->
    Service = md_node:service(Node),
    md_wait:until(fun() ->
        {messages, Messages} = md_node:call(Node, erlang, process_info, [Service, messages]),
        lists:member(Message, Messages)
    end).

kill(Node, Name) ->
    Pid = md_node:call(Node, erlang, whereis, [Name]),
    true = md_node:call(Node, erlang, exit, [Pid, kill]),
    md_wait:until(fun() ->
        New = md_node:call(Node, erlang, whereis, [Name]),
        is_pid(New) andalso New =/= Pid
    end),
    Pid.

%% The database goes away and comes back

a_node_starts_without_its_database_and_loads_when_it_comes(Config) ->
    {Gate, Url} = gate(Config),
    Node = md_node:start(environment(Config, #{database => Url})),
    assert_static(Node),
    ?assertEqual({error, not_found}, md_node:lookup(Node, hd(?NAMES))),
    wait_for_state(Node, away),
    wait_for_retries(Node, 5),
    assert_static(Node),
    ?assertMatch([{error, #{reason := <<_, _/binary>>}}], md_node:logged(Node, domain_database_away)),
    ?assertMatch(#{last_error := <<_, _/binary>>, cursor := undefined, current_at := undefined, loads := 0}, md_node:status(Node)),
    ok = md_gate:open(Gate),
    md_node:wait_until_following(Node),
    assert_loaded(Node),
    md_wait:until(fun() -> md_node:count(Node, domain_database_back) end, 1),
    ?assertEqual(1, md_node:count(Node, domain_database_away)),
    ?assertMatch([{notice, _}], md_node:logged(Node, domain_database_back)).

a_connection_that_breaks_is_reported_once_and_caught_up_after(Config) ->
    {Node, Gate} = start_behind_gate(Config),
    ok = md_gate:close(Gate),
    wait_for_state(Node, away),
    ok = write(Config, [{add, <<"type2">>, [<<"d.example">>]}, {delete, [<<"a.example">>]}]),
    wait_for_retries(Node, 4),
    %% Lookups still return the routes of the table.
    assert_loaded(Node),
    ?assertEqual(1, md_node:count(Node, domain_database_away)),
    ok = md_gate:open(Gate),
    wait_until_found(Node, <<"d.example">>, <<"type2">>),
    ?assertEqual(maps:remove(<<"a.example">>, (loaded())#{<<"d.example">> => <<"type2">>}), md_node:routes(Node)),
    md_wait:until(fun() -> md_node:count(Node, domain_database_back) end, 1),
    ?assertEqual(1, md_node:count(Node, domain_database_away)),
    ?assertMatch(#{loads := 1}, md_node:status(Node)),
    %% The next absence is reported again.
    ok = md_gate:close(Gate),
    md_wait:until(fun() -> md_node:count(Node, domain_database_away) end, 2),
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> md_node:count(Node, domain_database_back) end, 2).

a_database_that_does_not_exist_is_named(Config) ->
    Node = md_node:start(environment(Config, #{database => ?config(database, Config) ++ "_not"})),
    wait_for_state(Node, away),
    #{last_error := Error} = md_node:status(Node),
    ?assertNotEqual(nomatch, binary:match(Error, <<"_not">>)),
    ?assertNotEqual(nomatch, binary:match(Error, <<"does not exist">>)),
    assert_static(Node).

sync_local_answers_an_error_while_the_database_is_away(Config) ->
    {Node, Gate} = start_behind_gate(Config),
    ok = md_gate:close(Gate),
    wait_for_state(Node, away),
    [?assertMatch({error, <<_, _/binary>>}, md_node:sync(Node)) || _ <- lists:seq(1, 5)],
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> md_node:sync(Node) end, ok).

%% Events that the node has not read are gone, including that of a deletion.
a_lost_event_log_is_noticed_and_made_good(Config) ->
    Node = start(Config),
    ok = write(Config, [{delete, [<<"a.example">>]}, {add, <<"type2">>, [<<"d.example">>]}, {move, <<"type2">>, [<<"b.example">>]}]),
    [] = query(Config, "DELETE FROM domain_events WHERE id < (SELECT max(id) FROM domain_events)"),
    assert_made_good(Config, Node).

an_emptied_event_log_is_noticed_and_made_good(Config) ->
    Node = start(Config),
    ok = write(Config, [{delete, [<<"a.example">>]}, {add, <<"type2">>, [<<"d.example">>]}, {move, <<"type2">>, [<<"b.example">>]}]),
    [] = query(Config, "DELETE FROM domain_events"),
    assert_made_good(Config, Node).

ids_that_ran_backwards_are_noticed_and_lose_no_route(Config) ->
    Node = start(Config),
    [] = query(Config, "TRUNCATE domain_events, domain_settings RESTART IDENTITY"),
    ok = write(Config, [{add, <<"type2">>, [<<"b.example">>]}]),
    ok = write(Config, [{add, <<"type1">>, [<<"c.example">>]}]),
    [] = query(Config, "DELETE FROM domain_events"),
    _ = query(Config, "SELECT setval('domain_events_id_seq', 1, false)"),
    ok = write(Config, [{add, <<"type2">>, [<<"d.example">>]}]),
    assert_kept(Config, Node).

%% This does not count as lost rows, so routes without a row are removed.
assert_made_good(Config, Node) ->
    assert_noticed(Config, Node, maps:remove(<<"a.example">>, loaded())),
    ?assertEqual([], md_node:logged(Node, outdated_domains_kept)),
    ?assertEqual([], md_node:call(Node, service_domain_db, kept, [])).

%% The rows of the database are served; the route without a row is kept.
assert_kept(Config, Node) ->
    assert_noticed(Config, Node, loaded()),
    ?assertMatch([{warning, #{count := 1, reason := ids_backwards, host_types := <<"type1">>}}],
                 md_node:logged(Node, outdated_domains_kept)),
    ?assertEqual([{<<"a.example">>, <<"type1">>}], md_node:call(Node, service_domain_db, kept, [])),
    ?assertMatch(#{kept := 1}, md_node:status(Node)).

%% The node reports the loss and follows from there.
assert_noticed(Config, Node, Rest) ->
    ok = md_node:sync(Node),
    Wanted = Rest#{<<"b.example">> => <<"type2">>, <<"d.example">> => <<"type2">>},
    ?assertEqual(Wanted, md_node:routes(Node)),
    ?assertMatch([{critical, #{cursor := _}}], md_node:logged(Node, events_log_out_of_sync)),
    ?assertMatch(#{loads := 2}, md_node:status(Node)),
    ok = md_writer:add_events(?config(writer, Config), [<<>>]),
    ok = md_node:sync(Node),
    ok = write(Config, [{disable, [<<"b.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual(maps:remove(<<"b.example">>, Wanted), md_node:routes(Node)).

%% Processes stop and start

nothing_is_applied_while_the_service_is_suspended(Config) ->
    Node = start(Config),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    ok = md_writer:write_and_notify(?config(writer, Config), [{add, <<"type1">>, [<<"d.example">>]}, {delete, [<<"a.example">>]}]),
    %% The thread has read the events and requests a permit.
    wait_for_message(Node, {domain_follower, request_permit}),
    assert_loaded(Node),
    ok = md_node:call(Node, sys, resume, [service_domain_db]),
    wait_until_found(Node, <<"d.example">>, <<"type1">>),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"a.example">>)).

the_successor_of_a_killed_service_goes_on_from_the_cursor(Config) ->
    Node = start(Config),
    ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
    _ = kill(Node, service_domain_db),
    ok = md_node:sync(Node),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, <<"d.example">>)),
    ?assertMatch(#{loads := 0, events := 1, cursor := 4}, md_node:status(Node)),
    ?assertEqual(1, md_node:count(Node, load_data_from_base)),
    assert_one_thread(Node).

a_service_killed_again_and_again_leaves_one_thread(Config) ->
    Node = start(Config),
    [_ = kill(Node, service_domain_db) || _ <- lists:seq(1, 5)],
    ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual((loaded())#{<<"d.example">> => <<"type1">>}, md_node:routes(Node)),
    ?assertEqual(1, md_node:count(Node, load_data_from_base)),
    assert_one_thread(Node).

restart_loads_again_and_removes_what_that_does_not_bring(Config) ->
    Node = start(Config),
    [ok = md_node:call(Node, mongoose_domain_core, insert, [Name, <<"type2">>, 4000000000])
     || Name <- [<<"by-hand.example">>, <<"also.example">>]],
    Before = md_node:service(Node),
    ok = md_node:call(Node, service_domain_db, restart, []),
    md_wait:until(fun() -> md_node:count(Node, load_data_from_base) end, 2),
    md_node:wait_until_following(Node),
    assert_loaded(Node),
    ?assertMatch([{warning, #{count := 2}}], md_node:logged(Node, remove_outdated_domains_from_core)),
    ?assertNotEqual(Before, md_node:service(Node)),
    assert_one_thread(Node).

a_thread_that_ends_is_started_again_after_a_pause(Config) ->
    Node = start(Config),
    Before = md_node:service(Node),
    ok = md_node:call(Node, mongoose_domain_nif, follower_command, [follower(Node), stop]),
    md_wait:until(fun() -> md_node:count(Node, domain_follower_ended) end, 1),
    assert_goes_on(Config, Node, Before).

%% The message is that of a panic; the thread is only stopped, since a test cannot make it panic.
a_thread_that_panics_is_started_again_after_a_pause(Config) ->
    Node = start(Config),
    Before = md_node:service(Node),
    Follower = follower(Node),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    _ = md_node:call(Node, erlang, send, [service_domain_db, {domain_follower, {ended, {panicked, <<"a test">>}}}]),
    ok = md_node:call(Node, mongoose_domain_nif, follower_command, [Follower, stop]),
    wait_for_message(Node, {domain_follower, {ended, stopped}}),
    ok = md_node:call(Node, sys, resume, [service_domain_db]),
    md_wait:until(fun() -> md_node:count(Node, domain_follower_ended) end, 1),
    ?assertMatch([{critical, #{reason := {panicked, <<"a test">>}, retry_after := Pause}}] when Pause > 0,
                 md_node:logged(Node, domain_follower_ended)),
    assert_goes_on(Config, Node, Before).

%% Reports before the end do not shorten the pause; a long life of the thread does.
a_thread_that_reports_and_ends_again_and_again_is_given_longer_and_longer_pauses(Config) ->
    Node = start(Config),
    ok = md_node:call(Node, md_looker, set_retry, [100, 0]),
    [ok = report_and_end(Node, Count) || Count <- [1, 2, 3]],
    md_wait:until(fun() -> follower(Node) =/= undefined end),
    ok = md_node:call(Node, md_looker, set_retry, [?HOUR, ?HOUR]),
    ok = report_and_end(Node, 4),
    ?assertEqual([100, 200, 400, 100],
                 [Pause || {critical, #{retry_after := Pause}} <- md_node:logged(Node, domain_follower_ended)]).

report_and_end(Node, Count) ->
    md_wait:until(fun() -> follower(Node) =/= undefined end),
    _ = md_node:call(Node, erlang, send, [service_domain_db, {domain_follower, {reports, []}}]),
    ok = md_node:call(Node, mongoose_domain_nif, follower_command, [follower(Node), stop]),
    md_wait:until(fun() -> md_node:count(Node, domain_follower_ended) end, Count).

%% The comparison hangs in the database while the service restarts.
who_waits_for_an_answer_when_the_service_stops_gets_one(Config) ->
    {Node, Gate} = start_behind_gate(Config),
    ok = md_gate:hush(Gate),
    Answer = ask(Node, converge, []),
    md_wait:until(fun() -> map_size(element(3, md_node:call(Node, sys, get_state, [service_domain_db]))) end, 1),
    ok = md_node:call(Node, service_domain_db, restart, []),
    ?assertEqual({error, <<"the follower has ended">>}, Answer()).

%% Calls in another process; returns a function that waits for the answer.
ask(Node, Function, Args) ->
    Self = self(),
    Pid = spawn_link(fun() ->
        Answer = try
                     md_node:call(Node, service_domain_db, Function, Args)
                 catch
                     Class:Reason -> {Class, Reason}
                 end,
        Self ! {self(), Answer}
    end),
    fun() -> receive {Pid, Answer} -> Answer end end.

%% The file of a secret is absent for a moment, while all processes that need it restart.
a_url_that_cannot_be_read_stops_no_lookup_and_is_read_again(Config) ->
    File = filename:join(?config(priv_dir, Config), "database_url"),
    ok = file:write_file(File, ?config(database, Config)),
    Node = md_node:start(environment(Config, #{database => {file, File}})),
    md_node:wait_until_following(Node),
    Watch = md_watch:start([Node], [?STATIC | ?NAMES]),
    Insert = fun() -> md_node:call(Node, mongoose_domain_api, insert_domain, [<<"d.example">>, <<"type1">>]) end,
    ok = file:delete(File),
    [_ = kill(Node, Name) || Name <- [service_domain_db, mongoose_domain_operations, mongoose_domain_removal_jobs]],
    assert_waits_for_configuration(Node),
    {db_error, Text} = Insert(),
    ?assertNotEqual(nomatch, binary:match(Text, <<"nothing was changed">>)),
    %% Both processes that read it report it once, however often they try.
    ?assertMatch([{error, #{value := {file, File}}}, {error, #{value := {file, File}}}],
                 md_node:logged(Node, wrong_configuration)),
    ok = file:write_file(File, ?config(database, Config)),
    md_node:wait_until_following(Node),
    md_wait:until(fun() -> element(1, Insert()) end, ok),
    ?assertEqual((loaded())#{<<"d.example">> => <<"type1">>}, md_node:routes(Node)),
    ?assertEqual(2, md_node:count(Node, configuration_right_again)),
    ok = md_watch:stop(Watch).

%% Changes do not need the data directory.
a_data_directory_that_cannot_be_made_stops_no_lookup_and_is_tried_again(Config) ->
    Directory = filename:join(?config(priv_dir, Config), "data"),
    Node = md_node:start((environment(Config))#{data_dir => Directory}),
    md_node:wait_until_following(Node),
    Watch = md_watch:start([Node], [?STATIC | ?NAMES]),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, data_dir, Directory ++ "/below"]),
    ok = file:write_file(Directory ++ "/below", "a file, no directory"),
    [_ = kill(Node, Name) || Name <- [service_domain_db, mongoose_domain_operations, mongoose_domain_removal_jobs]],
    assert_waits_for_configuration(Node),
    ?assertMatch([{error, #{key := data_dir}}], md_node:logged(Node, wrong_configuration)),
    ?assertMatch({ok, _}, md_node:call(Node, mongoose_domain_api, get_domain_details, [hd(?NAMES)])),
    ok = file:delete(Directory ++ "/below"),
    md_node:wait_until_following(Node),
    ok = md_watch:stop(Watch).

%% The service has tried several times, with growing pauses.
assert_waits_for_configuration(Node) ->
    md_wait:until(fun() -> md_node:call(Node, md_looker, next_pause, [service_domain_db]) > 400 end),
    ?assertEqual(#{state => ended}, md_node:status(Node)),
    ?assertMatch({error, <<_, _/binary>>}, md_node:sync(Node)).

a_scope_that_was_restarted_is_joined_again(Config) ->
    Node = start(Config),
    Service = md_node:service(Node),
    wait_until_joined(Node),
    [begin
        _ = kill(Node, service_domain_db:scope()),
        wait_until_joined(Node)
     end || _ <- [1, 2, 3]],
    ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
    ok = md_node:call(Node, service_domain_db, force_check_for_updates, []),
    wait_until_found(Node, <<"d.example">>, <<"type1">>),
    ?assertEqual(Service, md_node:service(Node)).

a_scope_that_another_application_restarts_is_joined_again(Config) ->
    Node = md_node:boot(),
    Scope = service_domain_db:scope(),
    {ok, First} = md_node:call(Node, pg, start, [Scope]),
    ok = md_node:start_application(Node, environment(Config)),
    md_node:wait_until_following(Node),
    wait_until_joined(Node),
    true = md_node:call(Node, erlang, exit, [First, kill]),
    %% No other process starts the scope.
    md_wait:until(fun() -> element(6, md_node:call(Node, sys, get_state, [service_domain_db])) end, undefined),
    ?assertEqual(undefined, md_node:call(Node, erlang, whereis, [Scope])),
    ?assertEqual(ok, md_node:call(Node, service_domain_db, force_check_for_updates, [])),
    {ok, _} = md_node:call(Node, pg, start, [Scope]),
    wait_until_joined(Node).

wait_until_joined(Node) ->
    Group = [service_domain_db:scope(), service_domain_db_group],
    md_wait:until(fun() -> md_node:call(Node, pg, get_members, Group) end, [md_node:service(Node)]).

%% The handle of the thread, from the state of the service.
follower(Node) ->
    element(2, md_node:call(Node, sys, get_state, [service_domain_db])).

assert_goes_on(Config, Node, Service) ->
    assert_loaded(Node),
    ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
    md_wait:until(fun() -> md_node:sync(Node) end, ok),
    ?assertEqual((loaded())#{<<"d.example">> => <<"type1">>}, md_node:routes(Node)),
    ?assertEqual(1, md_node:count(Node, load_data_from_base)),
    ?assertEqual(Service, md_node:service(Node)),
    assert_one_thread(Node).

a_crash_of_the_core_loses_no_route(Config) ->
    Node = start(Config),
    Looker = md_node:call(Node, md_looker, start, [?NAMES]),
    [_ = kill(Node, mongoose_domain_core) || _ <- lists:seq(1, 3)],
    assert_loaded(Node),
    {Lookups, []} = md_node:call(Node, md_looker, stop, [Looker]),
    ?assert(Lookups > 0),
    ok = write(Config, [{add, <<"type1">>, [<<"d.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, <<"d.example">>)),
    ?assertEqual(1, md_node:count(Node, load_data_from_base)).

restart_core_begins_with_an_empty_table_and_the_service_loads_again(Config) ->
    Node = start(Config),
    ok = md_node:call(Node, mongoose_domain_core, insert, [<<"by-hand.example">>, <<"type2">>, 4000000000]),
    Args = md_node:call(Node, mongoose_domain_core, get_start_args, []),
    {ok, Pid} = md_node:call(Node, mongoose_domain_sup, restart_core, [Args]),
    ?assert(is_pid(Pid)),
    assert_static(Node),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"by-hand.example">>)),
    ok = md_node:sync(Node),
    assert_loaded(Node),
    ?assertMatch(#{loads := 2}, md_node:status(Node)),
    ?assertEqual(0, md_node:count(Node, remove_outdated_domains_from_core)).

restart_core_may_change_the_lists(Config) ->
    Node = start(Config),
    ok = write(Config, [{add, <<"type3">>, [<<"d.example">>]}]),
    ok = md_node:sync(Node),
    ?assertEqual(1, md_node:count(Node, ignore_domain_from_db_with_unknown_host_type)),
    {ok, _} = md_node:call(Node, mongoose_domain_sup, restart_core, [[[{<<"other.example">>, <<"x">>}], [<<"type3">>]]]),
    ok = md_node:sync(Node),
    ?assertEqual(#{<<"d.example">> => <<"type3">>}, md_node:routes(Node)),
    ?assertEqual({error, not_found}, md_node:lookup(Node, ?STATIC)),
    ?assertEqual({ok, <<"x">>}, md_node:lookup(Node, <<"other.example">>)),
    %% The host types are different now, so other rows are invalid.
    ?assertEqual(1 + length(?NAMES), md_node:count(Node, ignore_domain_from_db_with_unknown_host_type)).

restart_core_without_arguments_begins_with_the_configuration(Config) ->
    Node = start(Config),
    Restart = fun(Args) -> md_node:call(Node, mongoose_domain_sup, restart_core, [Args]) end,
    Before = md_node:call(Node, mongoose_domain_core, get_start_args, []),
    {ok, _} = Restart([[], [<<"type2">>]]),
    ?assertEqual([[], [<<"type2">>]], md_node:call(Node, mongoose_domain_core, get_start_args, [])),
    {ok, _} = Restart([]),
    ?assertEqual(Before, md_node:call(Node, mongoose_domain_core, get_start_args, [])),
    ok = md_node:sync(Node),
    assert_loaded(Node),
    %% A changed configuration is used, and a wrong one changes nothing.
    ok = md_node:call(Node, application, set_env, [mongoose_domain, host_types, no_list]),
    ?assertMatch({error, {wrong_configuration, #{key := host_types}}}, Restart([])),
    assert_loaded(Node),
    ok = md_node:call(Node, application, set_env, [mongoose_domain, host_types, [<<"type1">>, <<"type3">>]]),
    {ok, _} = Restart([]),
    ?assertEqual([<<"type1">>, <<"type3">>], md_node:call(Node, mongoose_domain_api, get_host_types, [])).

an_application_that_stops_and_starts_again_loads_again(Config) ->
    Node = start(Config),
    [begin
        ok = md_node:stop_application(Node),
        ?assertEqual(0, case md_node:threads(Node) of unknown -> 0; Count -> Count end),
        ?assertEqual(#{state => not_running}, md_node:status(Node)),
        ?assertError({not_running, mongoose_domain}, md_node:lookup(Node, ?STATIC)),
        Name = <<"again-", (integer_to_binary(Time))/binary, ".example">>,
        ok = write(Config, [{add, <<"type1">>, [Name]}]),
        ok = md_node:start_application(Node, unchanged),
        md_node:wait_until_following(Node),
        ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name)),
        ok = write(Config, [{delete, [Name]}]),
        ok = md_node:sync(Node),
        assert_loaded(Node),
        ?assertMatch(#{loads := 1}, md_node:status(Node)),
        assert_one_thread(Node)
     end || Time <- [1, 2, 3]].

%% Threads that only ended at their next timer would stay for half a minute.
a_stop_ends_every_thread(Config) ->
    Node = start(Config),
    {ok, _} = md_node:call(Node, mongoose_domain_api, insert_domain, [<<"d.example">>, <<"type1">>]),
    case md_node:threads_of_the_library(Node) of
        unknown -> {skip, "this system does not tell a process's threads"};
        Threads ->
            ?assertEqual([], [<<"domain_follower\n">>, <<"domain_worker\n">>] -- Threads),
            {Microseconds, ok} = timer:tc(fun() ->
                ok = md_node:stop_application(Node),
                md_wait:until(fun() -> md_node:threads_of_the_library(Node) end, [])
            end),
            ?assert(Microseconds < 15000000)
    end.

static_domains_need_no_service(Config) ->
    Node = md_node:start(maps:remove(service_domain_db, environment(Config))),
    assert_static(Node),
    ?assertEqual(#{}, md_node:routes(Node)),
    ?assertEqual(false, md_node:call(Node, service_domain_db, enabled, [])),
    ?assertEqual(#{state => not_running}, md_node:status(Node)),
    ?assertEqual(ok, md_node:call(Node, service_domain_db, check_local, [])),
    Children = md_node:call(Node, supervisor, which_children, [mongoose_domain_sup]),
    Ids = lists:sort([Id || {Id, _, _, _} <- Children]),
    Always = [mongoose_domain_components_lock, mongoose_domain_components_sup, mongoose_domain_core,
              mongoose_domain_database_sup, mongoose_lazy_routing, mongoose_subdomain_core],
    ?assertEqual(Always, Ids),
    ?assertEqual([], md_node:call(Node, supervisor, which_children, [mongoose_domain_database_sup])),
    ok = md_node:stop_application(Node).

%% Status and answers

status_reports_what_the_service_is_doing(Config) ->
    {Gate, Url} = gate(Config),
    ok = md_gate:stall(Gate),
    Before = erlang:system_time(millisecond),
    Node = md_node:start(environment(Config, #{database => Url, connect_timeout => ?HOUR, lock_timeout => ?HOUR})),
    wait_for_state(Node, connecting),
    ?assertMatch(#{cursor := undefined, lag := undefined, last_error := undefined, current_at := undefined,
                   loads := 0, events := 0}, md_node:status(Node)),
    ok = md_gate:close(Gate),
    wait_for_state(Node, away),
    %% A lock on the table stops the load.
    [] = query(Config, "BEGIN; LOCK TABLE domain_settings IN ACCESS EXCLUSIVE MODE"),
    ok = md_gate:open(Gate),
    wait_for_state(Node, loading),
    [] = query(Config, "COMMIT"),
    wait_for_state(Node, following),
    md_node:wait_until_following(Node),
    ok = write(Config, [{disable, ?NAMES}]),
    ok = md_node:sync(Node),
    #{since := Since, current_at := CurrentAt, database := Database} = Status = md_node:status(Node),
    After = erlang:system_time(millisecond),
    ?assertMatch(#{state := following, cursor := 6, lag := 0, loads := 1, events := 3, last_error := <<_, _/binary>>,
                   last_error_at := At} when is_integer(At), Status),
    [?assert(Before =< Time andalso Time =< After) || Time <- [Since, CurrentAt, maps:get(last_error_at, Status)]],
    ?assertEqual(Url, binary_to_list(Database)),
    ?assertEqual(true, md_node:call(Node, service_domain_db, enabled, [])),
    %% The service restarts a thread after a pause; a long pause shows the state between.
    ok = md_node:call(Node, md_looker, set_retry, [?HOUR, 0]),
    ok = md_node:call(Node, mongoose_domain_nif, follower_command, [follower(Node), stop]),
    wait_for_state(Node, ended),
    ?assertMatch({error, <<_, _/binary>>}, md_node:sync(Node)),
    ok = md_node:stop_application(Node),
    ?assertEqual(#{state => not_running}, md_node:status(Node)).

status_answers_whatever_becomes_of_the_service(Config) ->
    Node = start(Config),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    ?assertMatch(#{state := not_answering, last_error := <<_, _/binary>>}, md_node:status(Node)),
    _ = kill(Node, service_domain_db),
    ?assertEqual([#{state => not_running}], dies_while_asked(Node, [{status, []}])).

what_waits_for_a_service_that_dies_is_reported_in_words(Config) ->
    Node = start(Config),
    Questions = [{converge, []}, {converge, [force]}, {sync_local, []}],
    Died = {error, <<"the service stopped before it answered">>},
    ?assertEqual([Died || _ <- Questions], dies_while_asked(Node, Questions)),
    {stopped, _} = md_node:call(Node, mongoose_domain_services, ensure_stopped, [service_domain_db]),
    [?assertEqual({error, <<"the service is not running">>}, md_node:call(Node, service_domain_db, Function, Args))
     || {Function, Args} <- Questions].

%% The answers of these calls when the service is killed before it handles them.
dies_while_asked(Node, Questions) ->
    Service = md_node:service(Node),
    ok = md_node:call(Node, sys, suspend, [Service]),
    Answers = [ask(Node, Function, Args) || {Function, Args} <- Questions],
    md_wait:until(fun() -> asked(md_node:call(Node, erlang, process_info, [Service, messages])) end, length(Questions)),
    Service = kill(Node, service_domain_db),
    [Answer() || Answer <- Answers].

asked({messages, Messages}) ->
    length([Call || {'$gen_call', _, _} = Call <- Messages]).

ping_reports_whether_a_nodes_service_answers(Config) ->
    Node = start(Config),
    Self = md_node:call(Node, erlang, node, []),
    ?assertEqual(pong, md_node:call(Node, service_domain_db, ping, [Self])),
    ?assertMatch({error, _}, md_node:call(Node, service_domain_db, ping, ['nobody@127.0.0.1'])),
    ok = md_node:stop_application(Node),
    ?assertMatch({error, noproc}, md_node:call(Node, service_domain_db, ping, [Self])).

%% The group may also have processes of MongooseIM, which answer a ping as ours do.
ping_takes_a_member_of_the_group_too(Config) ->
    Node = start(Config),
    Ping = fun(Member) -> md_node:call(Node, service_domain_db, ping, [Member]) end,
    [Member] = md_node:call(Node, pg, get_members, [mim_scope, service_domain_db_group]),
    ?assertEqual(pong, Ping(Member)),
    Core = md_node:call(Node, erlang, whereis, [mongoose_domain_core]),
    ?assertEqual({error, unknown_call}, Ping(Core)),
    _ = md_node:kill(Node, service_domain_db),
    ?assertEqual({error, noproc}, Ping(Member)).

restart_says_when_there_is_nothing_to_restart(Config) ->
    Node = start(Config),
    Restart = fun() -> md_node:call(Node, service_domain_db, restart, []) end,
    Service = md_node:service(Node),
    ?assertEqual(ok, Restart()),
    md_wait:until(fun() -> is_pid(md_node:service(Node)) andalso md_node:service(Node) =/= Service end),
    {stopped, _} = md_node:call(Node, mongoose_domain_services, ensure_stopped, [service_domain_db]),
    ?assertEqual({error, <<"the service is not running">>}, Restart()).

unknown_messages_are_logged_and_survived(Config) ->
    Node = start(Config),
    Service = md_node:service(Node),
    ?assertEqual({error, unknown_call}, md_node:call(Node, gen_server, call, [service_domain_db, nonsense])),
    ok = md_node:call(Node, gen_server, cast, [service_domain_db, nonsense]),
    nonsense = md_node:call(Node, erlang, send, [service_domain_db, nonsense]),
    ok = md_node:sync(Node),
    ?assertEqual([1, 1, 1], [md_node:count(Node, What) || What <- [unknown_call, unknown_cast, unknown_message]]),
    ?assertEqual(Service, md_node:service(Node)).

%% Secrets and mistakes

a_password_is_shown_nowhere(Config) ->
    Url = md_database:with_user(?config(database, Config), "mongoose", ?SECRET),
    Node = md_node:start(environment(Config, #{database => Url})),
    md_node:wait_until_following(Node),
    [_ = kill(Node, Name) || Name <- [service_domain_db, mongoose_domain_core]],
    ok = md_node:sync(Node),
    assert_shown_nowhere(Node).

a_password_is_shown_nowhere_while_the_database_is_away(Config) ->
    {_Gate, Url} = gate(Config),
    Node = md_node:start(environment(Config, #{database => md_database:with_user(Url, "mongoose", ?SECRET)})),
    wait_for_state(Node, away),
    {error, _} = md_node:sync(Node),
    assert_shown_nowhere(Node).

%% Only the application environment may contain it, since the configuration sets it there.
assert_shown_nowhere(Node) ->
    Places = md_node:call(Node, md_looker, everything_shown, []),
    ?assertEqual([], [Place || {Place, Shown} <- Places, md_secret:is_in(?SECRET, Shown)]).

a_wrong_url_stops_the_start_and_shows_no_password(Config) ->
    Database = md_database:with_user(?config(database, Config), "mongoose", ?SECRET),
    Node = md_node:boot(),
    [begin
        {error, Reason} = md_node:start_application(Node, environment(Config, #{database => Url})),
        Printed = lists:flatten(io_lib:format("~0tp", [Reason])),
        ?assertNotEqual({nomatch, Word, Printed}, {string:find(Printed, Word), Word, Printed}),
        ?assertNotEqual({nomatch, Url}, {string:find(Printed, "wrong_configuration"), Url})
     end || {Url, Word} <- [
        {md_database:with_query(Database, "sslmode=sometimes"), "sslmode"},
        {md_database:with_query(Database, "ssl_mode=require"), "ssl_mode"},
        {md_database:with_query(Database, "password=" ?SECRET "&x&y=1"), "database"},
        {"oracle://mongoose:" ?SECRET "@127.0.0.1/mongoose", "postgres://"},
        {"mysql://mongoose:" ?SECRET "@127.0.0.1/mongoose?ssl_mode=required", "ssl_mode"},
        {"mariadb://mongoose:" ?SECRET "@127.0.0.1/", "database"},
        {"postgres://mongoose:" ?SECRET "/@127.0.0.1/mongoose", "reserved"},
        {"postgres://mongoose:" ?SECRET "@127.0.0.1:port/mongoose", "port"},
        {{env, "MONGOOSE_DOMAIN_TEST_NOT_SET"}, "MONGOOSE_DOMAIN_TEST_NOT_SET"},
        {"sqlite:", "sqlite"}]],
    ?assertNot(md_secret:is_in(?SECRET, md_node:call(Node, md_log, all, []))).

a_wrong_configuration_stops_the_start_and_names_the_key(Config) ->
    Node = md_node:boot(),
    [begin
        {error, Reason} = md_node:start_application(Node, maps:merge(environment(Config), Wrong)),
        ?assertMatch({{wrong_configuration, #{key := Key, value := _, expected := _}}, _}, Reason),
        ?assert(lists:any(fun({error, #{key := Said}}) -> Said =:= Key end, md_node:logged(Node, wrong_configuration)))
     end || {Key, Wrong} <- [
        {hosts, #{hosts => one_host}},
        {host_types, #{host_types => <<"type1">>}},
        {repeated_operations, #{repeated_operations => 'maybe'}},
        {[service_domain_db, poll_interval], environment(Config, #{poll_interval => 0})},
        {[service_domain_db, pol_interval], environment(Config, #{pol_interval => 1})}]],
    %% With the right configuration it starts.
    ok = md_node:start_application(Node, environment(Config)),
    md_node:wait_until_following(Node).
