%% The admin program may end, hang or be missing at any time. The node goes on and only logs it. Clients of the door see
%% broken connections and never a wrong answer.
-module(admin_program_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([killed_fifty_times_under_load_it_is_back_and_the_node_goes_on/1,
         it_ends_when_the_node_is_killed/1,
         it_ends_when_the_application_stops/1,
         one_that_hangs_is_replaced/1,
         one_that_hangs_with_a_full_pipe_stops_nobody/1,
         questions_beyond_the_bound_are_refused_and_those_of_a_killed_program_forgotten/1,
         a_worker_that_crashes_is_an_error_without_words/1,
         a_request_that_crashes_is_logged_without_its_secrets/1,
         what_makes_no_sense_ends_it_and_is_not_shown/1,
         a_crash_of_its_owner_is_logged_without_the_last_message/1,
         a_program_that_is_missing_stops_nothing_and_is_tried_again/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(PATH, "/api/domains/a.example").
-define(SHOWN, {200, <<"{\"host_type\":\"type1\",\"status\":\"enabled\"}">>}).
-define(KILLS, 50).
-define(ADMIN, mongoose_domain_admin).
-define(PROGRAM, md_admin_program).

suite() ->
    [{timetrap, {minutes, 5}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(a_program_that_is_missing_stops_nothing_and_is_tried_again, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Client = md_client:open(Database),
        ok = md_writer:write(Client, [{add, <<"type1">>, [?A]}]),
        Gate = md_gate:start(md_database:port(Database)),
        ok = md_gate:open(Gate),
        Node = md_node:start(environment(md_database:with_port(Database, md_gate:port(Gate)))),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {client, Client}, {gate, Gate}, {node, Node}, {door, md_http:door(Node)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    [md_database:drop(Database) || {database, Database} <- Config].

environment(Url) ->
    %% A thousand domains make an answer of half a pipe's capacity.
    #{hosts => [{Name, <<"static type">>} || Name <- [?STATIC | md_names:numbered(<<"static-">>, 1000)]],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => #{database => Url, poll_interval => 200, operation_timeout => 60000},
      admin => #{port => 0, username => "admin", password => "secret"}}.

killed_fifty_times_under_load_it_is_back_and_the_node_goes_on(Config) ->
    Node = ?config(node, Config),
    Door = ?config(door, Config),
    Before = following(Node),
    ok = md_node:call(Node, md_log, clear, []),
    Lookers = [md_node:call(Node, md_looker, start, [[?STATIC, ?A]]) || _ <- [1, 2]],
    Clients = [?PROGRAM:start_client(Door, ?PATH, ?SHOWN) || _ <- [1, 2, 3]],
    Names = md_names:numbered(<<"new-">>, ?KILLS),
    lists:foreach(fun(Name) -> kill_and_change(Config, Name) end, Names),
    Counts = [?PROGRAM:stop_client(Client) || Client <- Clients],
    Looks = [md_node:call(Node, md_looker, stop, [Looker]) || Looker <- Lookers],
    ct:pal("answered rightly, broken, wrong: ~p; lookups: ~p", [Counts, Looks]),
    [?assertMatch({Right, Broken, []} when Right > ?KILLS andalso Broken > 0, Count) || Count <- Counts],
    [?assertMatch({Lookups, []} when Lookups > 0, Look) || Look <- Looks],
    ?assertEqual(Before, following(Node)),
    [?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, Name)) || Name <- Names],
    Said = [{Level, Message} || #{level := Level, msg := Message} <- md_node:call(Node, md_log, all, []),
                                logger:compare_levels(Level, warning) =/= lt],
    ?assertEqual(?KILLS, length(Said)),
    [?assertMatch({error, {report, #{what := domain_admin_ended}}}, Line) || Line <- Said].

%% What must not change: the service's process, its thread, its state and the time of it, and its last error.
following(Node) ->
    Status = md_node:status(Node),
    {md_node:service(Node), md_node:call(Node, ?PROGRAM, follower_thread, []),
     maps:with([state, since, loads, last_error, failures], Status)}.

kill_and_change(Config, Name) ->
    Node = ?config(node, Config),
    Killed = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = ?PROGRAM:signal(Killed, "KILL"),
    ok = md_writer:write_and_notify(?config(client, Config), [{add, <<"type2">>, [Name]}]),
    md_wait:until(fun() -> md_node:lookup(Node, Name) end, {ok, <<"type2">>}),
    wait_until_replaced(Config, Killed).

%% Returns when a new program answers at the same address.
wait_until_replaced(Config, Before) ->
    Node = ?config(node, Config),
    md_wait:until(fun() -> not lists:member(md_node:call(Node, ?PROGRAM, os_pid, []), [Before, none]) end),
    ?assertNot(?PROGRAM:is_alive(Before)),
    wait_until_answered(Config).

wait_until_answered(Config) ->
    md_wait:until(fun() ->
        try md_http:request(?config(door, Config), get, ?PATH, #{}) of
            {Code, _, Body} -> {Code, Body}
        catch
            error:{_, {error, Reason}} -> Reason
        end
    end, ?SHOWN).

it_ends_when_the_node_is_killed(Config) ->
    Node = ?config(node, Config),
    Program = md_node:call(Node, ?PROGRAM, os_pid, []),
    ?assert(?PROGRAM:is_alive(Program)),
    VM = list_to_integer(md_node:call(Node, os, getpid, [])),
    true = unlink(Node),
    ok = ?PROGRAM:signal(VM, "KILL"),
    md_wait:until(fun() -> ?PROGRAM:is_alive(Program) end, false).

it_ends_when_the_application_stops(Config) ->
    Node = ?config(node, Config),
    Program = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = md_node:stop_application(Node),
    md_wait:until(fun() -> ?PROGRAM:is_alive(Program) end, false).

one_that_hangs_is_replaced(Config) ->
    Node = ?config(node, Config),
    Hanging = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = ?PROGRAM:signal(Hanging, "STOP"),
    wait_until_replaced(Config, Hanging),
    ?assertEqual(1, md_node:count(Node, domain_admin_hangs)),
    ?assertEqual(1, md_node:count(Node, domain_admin_ended)).

%% The program reads nothing, and more is written to it than a pipe holds.
one_that_hangs_with_a_full_pipe_stops_nobody(Config) ->
    Node = ?config(node, Config),
    Hanging = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = ?PROGRAM:signal(Hanging, "STOP"),
    [ok = md_node:call(Node, ?PROGRAM, say, [{ask, Id, statics}]) || Id <- lists:seq(1000000, 1000040)],
    md_wait:until(fun() -> md_node:call(Node, ?PROGRAM, workers, []) end, 0),
    ?assertMatch({ok, _Url}, md_node:call(Node, ?ADMIN, url, [])),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    ok = md_node:stop_application(Node),
    md_wait:until(fun() -> ?PROGRAM:is_alive(Hanging) end, false).

%% The database does not answer, so all requests stay open.
questions_beyond_the_bound_are_refused_and_those_of_a_killed_program_forgotten(Config) ->
    #{host := Host, port := Port} = ?config(door, Config),
    Node = ?config(node, Config),
    ok = md_gate:hush(?config(gate, Config)),
    User = ["authorization: Basic ", base64:encode("admin:secret")],
    Request = ["GET ", ?PATH, " HTTP/1.1\r\nhost: localhost\r\n", User, "\r\n\r\n"],
    Sockets = [begin
        {ok, Socket} = gen_tcp:connect(Host, Port, [{active, false}]),
        ok = gen_tcp:send(Socket, Request),
        Socket
    end || _ <- lists:seq(1, 128)],
    md_wait:until(fun() -> md_node:call(Node, ?PROGRAM, workers, []) end, 128),
    Answer = md_http:request(?config(door, Config), get, ?PATH, #{}),
    ?assertMatch({503, _, <<"\"Too many requests wait for the database\"">>}, Answer),
    ?assertEqual(<<"1">>, md_http:header(<<"retry-after">>, Answer)),
    {200, _, <<"ok\n">>} = md_http:request(?config(door, Config), get, "/healthz", #{}),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, ?A)),
    Killed = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = ?PROGRAM:signal(Killed, "KILL"),
    md_wait:until(fun() -> md_node:call(Node, ?PROGRAM, workers, []) end, 0),
    lists:foreach(fun gen_tcp:close/1, Sockets),
    ok = md_gate:open(?config(gate, Config)),
    wait_until_answered(Config).

a_worker_that_crashes_is_an_error_without_words(Config) ->
    Node = ?config(node, Config),
    ok = md_gate:hush(?config(gate, Config)),
    Self = self(),
    Client = spawn_link(fun() -> Self ! {self(), md_http:request(?config(door, Config), get, ?PATH, #{})} end),
    md_wait:until(fun() -> md_node:call(Node, ?PROGRAM, workers, []) end, 1),
    true = md_node:call(Node, ?PROGRAM, kill_worker, []),
    ?assertMatch({500, _, <<>>}, receive {Client, Answer} -> Answer end),
    ok = md_gate:open(?config(gate, Config)),
    wait_until_answered(Config).

a_request_that_crashes_is_logged_without_its_secrets(Config) ->
    Node = ?config(node, Config),
    Requests = [{set_password, ?A, {<<"geheim-1">>}}, {check_password, [<<"geheim-2">>], <<"geheim-3">>},
                {no_such_request, <<"geheim-4">>}],
    [ok = md_node:call(Node, ?PROGRAM, say, [{ask, 1000000, Request}]) || Request <- Requests],
    md_wait:until(fun() -> md_node:count(Node, domain_admin_request_failed) end, length(Requests)),
    nothing_is_shown(Node),
    wait_until_answered(Config).

what_makes_no_sense_ends_it_and_is_not_shown(Config) ->
    Node = ?config(node, Config),
    Before = md_node:call(Node, ?PROGRAM, os_pid, []),
    ok = md_node:call(Node, ?PROGRAM, say, [{told, <<"geheim">>}]),
    wait_until_replaced(Config, Before),
    ?assertEqual(1, md_node:count(Node, domain_admin_frame_not_understood)),
    nothing_is_shown(Node).

%% A message that answers no request crashes the owner. The new program listens on another port.
a_crash_of_its_owner_is_logged_without_the_last_message(Config) ->
    Node = ?config(node, Config),
    Owner = md_node:call(Node, erlang, whereis, [?ADMIN]),
    Answer = {'DOWN', make_ref(), process, self(), {answered, <<"geheim">>}},
    Answer = md_node:call(Node, erlang, send, [?ADMIN, Answer]),
    md_wait:until(fun() -> lists:member(md_node:call(Node, erlang, whereis, [?ADMIN]), [Owner, undefined]) end, false),
    _ = md_http:door(Node),
    ?assert(lists:any(fun is_crash/1, md_node:call(Node, md_log, all, []))),
    nothing_is_shown(Node).

is_crash(#{msg := {report, #{label := {gen_server, terminate}, name := ?ADMIN}}}) -> true;
is_crash(_Event) -> false.

nothing_is_shown(Node) ->
    Printed = md_node:call(Node, md_looker, everything_printed, []),
    ?assertEqual([], [Place || {Place, Text} <- Printed, string:find(Text, "geheim") =/= nomatch]).

%% The application lies in a directory of its own, where the program is missing at first.
a_program_that_is_missing_stops_nothing_and_is_tried_again(Config) ->
    Root = filename:join(?config(priv_dir, Config), "elsewhere"),
    Ebin = filename:join(Root, "ebin"),
    Bin = filename:join([Root, "priv", "bin"]),
    ok = filelib:ensure_path(Ebin),
    ok = filelib:ensure_path(Bin),
    Lib = code:lib_dir(mongoose_domain),
    {ok, _} = file:copy(filename:join([Lib, "ebin", "mongoose_domain_admin.beam"]),
                        filename:join(Ebin, "mongoose_domain_admin.beam")),
    Node = md_node:boot(),
    true = md_node:call(Node, code, add_patha, [Ebin]),
    ok = md_node:start_application(Node, #{hosts => [{?STATIC, <<"static type">>}], admin => #{port => 0}}),
    ?assertEqual({error, closed}, md_node:call(Node, ?ADMIN, url, [])),
    md_wait:until(fun() -> md_node:count(Node, domain_admin_not_started) > 1 end),
    ?assertMatch([{error, #{reason := enoent}} | _], md_node:logged(Node, domain_admin_not_started)),
    ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, ?STATIC)),
    {ok, _} = file:copy(filename:join([Lib, "priv", "bin", "domain_admin"]), filename:join(Bin, "domain_admin.new")),
    ok = file:change_mode(filename:join(Bin, "domain_admin.new"), 8#755),
    ok = file:rename(filename:join(Bin, "domain_admin.new"), filename:join(Bin, "domain_admin")),
    {200, _, <<"ready\n">>} = md_http:request(md_http:door(Node, none), get, "/readyz", #{}).
