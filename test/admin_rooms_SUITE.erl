%% Slow requests do not block health checks, and abandoned requests are not executed.
%%
%% A lock on the domains holds the database up until the test releases it, so no test waits for a time limit, except for
%% the seconds after which a queued request is refused.
-module(admin_rooms_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_database_that_hangs_holds_up_nobody_who_needs_none/1,
         who_waits_for_the_end_of_removals_holds_up_nobody/1,
         a_request_without_a_caller_is_not_carried_out/1,
         an_import_without_a_client_ends/1,
         one_question_to_the_node_serves_all_watchers/1,
         who_watches_from_an_old_event_on_misses_nothing/1,
         large_documents_hold_up_nobody/1,
         behind_nginx_lines_come_as_they_are_written/1]).

-define(TYPE1, #{json => <<"{\"host_type\": \"type1\"}">>}).
%% Paths that must answer at any time: health, metrics and status.
-define(VITAL, ["/healthz", "/readyz", "/metrics", "/api/status"]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        #{service_domain_db := Service} = Environment = md_door:environment(Database),
        Patient = #{pool_size => 1, operation_timeout => 60000, lock_timeout => 60000, statement_timeout => 60000},
        Node = md_node:start(Environment#{service_domain_db => maps:merge(Service, Patient)}),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {node, Node}, {door, md_http:door(Node)}, {client, md_client:open(Database)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

%% 128 requests run and wait for the database; the others are refused when their time in the queue is over.
a_database_that_hangs_holds_up_nobody_who_needs_none(Config) ->
    Put = fun(Number) -> md_http:request(?config(door, Config), put, path(Number), ?TYPE1) end,
    {Refused, Others} = while_the_database_hangs(Config, fun() ->
        Putting = [begin_request(fun() -> Put(Number) end) || Number <- lists:seq(1, 200)],
        Refused = [answer(Putting) || _ <- lists:seq(1, 200 - 128)],
        ?assertEqual([], [Path || Path <- ?VITAL, code(Config, get, Path) =/= 200]),
        {Refused, Putting}
    end),
    ?assertEqual([{503, <<"1">>}], lists:usort([{Code, md_http:header(<<"retry-after">>, Answer)}
                                                || {Code, _, _} = Answer <- Refused])),
    ?assertEqual([204], lists:usort([element(1, answer(Others)) || _ <- lists:seq(1, 128)])).

who_waits_for_the_end_of_removals_holds_up_nobody(Config) ->
    Numbers = lists:seq(1, 150),
    [] = md_client:query(?config(client, Config),
                         ["INSERT INTO domain_settings (domain, host_type) SELECT n || '.example', 'type1' "
                          "FROM generate_series(1, 150) n"]),
    md_door:handled_by(Config, wait, fun() ->
        Delete = fun(Number) -> md_http:request(?config(door, Config), delete, path(Number), ?TYPE1) end,
        Deleting = [begin_request(fun() -> Delete(Number) end) || Number <- Numbers],
        In = "SELECT count(*) FROM domain_settings WHERE status = 2",
        md_wait:until(fun() -> md_client:query(?config(client, Config), In) end, [[<<"150">>]]),
        ?assertEqual([], [Path || Path <- ?VITAL ++ [path(1)], code(Config, get, Path) =/= 200]),
        ?assertMatch({204, _, _}, md_http:request(?config(door, Config), put, path(new), ?TYPE1)),
        ok = md_door:handle(Config, pass),
        ?assertEqual([204], lists:usort([element(1, answer(Deleting)) || _ <- Numbers]))
    end).

a_request_without_a_caller_is_not_carried_out(Config) ->
    Door = ?config(door, Config),
    Busy = while_the_database_hangs(Config, fun() ->
        Busy = begin_request(fun() -> md_http:request(Door, put, path(busy), ?TYPE1) end),
        wait_until_blocked(Config),
        Waiting = [unanswered(Door, put, path(Number), ?TYPE1) || Number <- lists:seq(1, 20)],
        wait_until_asked(Config, 21),
        [ok = gen_tcp:close(Socket) || Socket <- Waiting],
        wait_until_asked(Config, 1),
        Busy
    end),
    ?assertMatch({204, _, _}, answer([Busy])),
    ?assertMatch({204, _, _}, md_http:request(Door, put, path(last), ?TYPE1)),
    ?assertEqual([[<<"busy.example">>], [<<"last.example">>]], domains(Config)),
    ?assertEqual([], md_node:logged(?config(node, Config), domain_operation_not_done)).

an_import_without_a_client_ends(Config) ->
    Door = ?config(door, Config),
    Busy = while_the_database_hangs(Config, fun() ->
        Busy = begin_request(fun() -> md_http:request(Door, put, path(busy), ?TYPE1) end),
        wait_until_blocked(Config),
        Lines = [["{\"domain\": \"", integer_to_list(Number), ".example\", \"host_type\": \"type1\"}\n"]
                 || Number <- lists:seq(1, 3000)],
        Importing = unanswered(Door, post, "/api/domains",
                               #{body => Lines, headers => [{"content-type", "application/x-ndjson"}]}),
        wait_until_asked(Config, 2),
        ok = gen_tcp:close(Importing),
        wait_until_asked(Config, 1),
        Busy
    end),
    ?assertMatch({204, _, _}, answer([Busy])),
    ?assertEqual([[<<"busy.example">>]], domains(Config)).

%% If each watcher polled by itself, the node would get as many calls as there are watchers between two changes.
one_question_to_the_node_serves_all_watchers(Config) ->
    Door = ?config(door, Config),
    Looks = {mongoose_domain_api, get_changes, 2},
    Watching = [unanswered(Door, get, "/api/changes", #{}) || _ <- lists:seq(1, 50)],
    [{ok, _} = read_until(Socket, <<"200 OK">>) || Socket <- Watching],
    1 = md_node:call(?config(node, Config), erlang, trace_pattern, [Looks, true, [call_count]]),
    Count = fun() ->
        {call_count, Count} = md_node:call(?config(node, Config), erlang, trace_info, [Looks, call_count]),
        Count
    end,
    See = fun(Name) ->
        {204, _, _} = md_http:request(Door, put, path(Name), ?TYPE1),
        [{ok, _} = read_until(Socket, <<"\"", (atom_to_binary(Name))/binary, ".example\"">>) || Socket <- Watching],
        Count()
    end,
    First = See(first),
    Second = See(second),
    ?assert(Second > First),
    ?assert(Second - First < length(Watching)).

%% The client starts behind the shared reader and catches up with it.
who_watches_from_an_old_event_on_misses_nothing(Config) ->
    Door = ?config(door, Config),
    [] = md_client:query(?config(client, Config),
                         ["WITH new AS (INSERT INTO domain_settings (domain, host_type) SELECT n || '.example', 'type1' "
                          "FROM generate_series(1, 3500) n RETURNING domain) "
                          "INSERT INTO domain_events (domain) SELECT domain FROM new"]),
    Now = unanswered(Door, get, "/api/changes", #{}),
    {ok, _} = read_until(Now, <<"200 OK">>),
    Behind = unanswered(Door, get, "/api/changes?after=0", #{}),
    {204, _, _} = md_http:request(Door, put, path(last), ?TYPE1),
    {ok, Told} = read_until(Behind, <<"\"last.example\"">>),
    {match, Names} = re:run(Told, "\"domain\":\"([^\"]*)\"", [global, {capture, all_but_first, binary}]),
    ?assertEqual(lists:sort([[<<"last.example">>] | [[<<(integer_to_binary(N))/binary, ".example">>] || N <- lists:seq(1, 3500)]]),
                 lists:sort(Names)),
    {ok, New} = read_until(Now, <<"\"last.example\"">>),
    ?assertEqual(nomatch, binary:match(New, <<"\"3500.example\"">>)).

%% Sent both with and without the admin's credentials.
large_documents_hold_up_nobody(Config) ->
    Door = ?config(door, Config),
    Fields = fun(Bytes) -> ["{\"query\": \"{", binary:copy(<<"a ">>, Bytes div 2), "}\"}"] end,
    Aliases = ["{\"query\": \"{", [["a", integer_to_list(N), ": __schema {types {name}} "] || N <- lists:seq(1, 3000)], "}\"}"],
    Senders = [spawn_link(fun Again() ->
                              {Code, _, _} = md_http:request(Door#{user => User}, post, "/api/graphql", #{json => Body}),
                              true = lists:member(Code, [400, 401, 413, 503]),
                              Again()
                          end) || User <- [none, {"admin", "secret"}], Body <- [Fields(1000000), Fields(250000), Aliases, Fields(8000)]],
    Vital = lists:append(lists:duplicate(8, ?VITAL)),
    ?assertEqual([], [Path || Path <- Vital, code(Config, get, Path) =/= 200]),
    [begin unlink(Sender), exit(Sender, kill) end || Sender <- Senders].

%% nginx as Debian installs it buffers an answer unless the answer forbids it.
behind_nginx_lines_come_as_they_are_written(Config) ->
    case md_edge:program("nginx") of
        {ok, Nginx} -> behind(Nginx, Config);
        Skip -> Skip
    end.

behind(Nginx, Config) ->
    Directory = filename:join(?config(priv_dir, Config), "nginx"),
    ok = filelib:ensure_path(Directory),
    #{port := Behind} = Door = ?config(door, Config),
    Port = md_edge:free_port(),
    Edge = md_edge:start_nginx(Nginx, ["server {\nlisten 127.0.0.1:", integer_to_list(Port), ";\n"
                                       "location / {\nproxy_pass http://127.0.0.1:", integer_to_list(Behind), ";\n}\n}\n"],
                               Directory),
    Through = Door#{host => "127.0.0.1", port => Port},
    md_wait:until(fun() -> element(1, md_http:send(Through, "GET / HTTP/1.0\r\n\r\n")) end, ok),
    Watching = unanswered(Through, get, "/api/changes", #{}),
    {ok, _} = read_until(Watching, <<"200 OK">>),
    {204, _, _} = md_http:request(Through, put, path(seen), ?TYPE1),
    {ok, _} = read_until(Watching, <<"\"seen.example\"">>),
    md_edge:stop(Edge).

path(Name) ->
    ["/api/domains/", io_lib:format("~p", [Name]), ".example"].

code(Config, Method, Path) ->
    element(1, md_http:request(?config(door, Config), Method, Path, #{})).

domains(Config) ->
    md_client:query(?config(client, Config), "SELECT domain FROM domain_settings ORDER BY domain").

while_the_database_hangs(Config, Fun) ->
    Holder = md_client:open(?config(database, Config)),
    [] = md_client:query(Holder, "BEGIN"),
    [] = md_client:query(Holder, "LOCK TABLE domain_settings IN ACCESS EXCLUSIVE MODE"),
    Result = Fun(),
    [] = md_client:query(Holder, "ROLLBACK"),
    Result.

%% The only worker waits for the lock. The follower may wait for it, too.
wait_until_blocked(Config) ->
    Blocked = ["SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
               "WHERE NOT l.granted AND c.relname = 'domain_settings' AND l.mode = 'RowExclusiveLock'"],
    md_wait:until(fun() -> md_client:query(?config(client, Config), Blocked) end, [[<<"1">>]]).

%% Returns when the node answers that many requests of the door.
wait_until_asked(Config, Count) ->
    md_wait:until(fun() -> length(md_node:call(?config(node, Config), md_admin, answering, [])) end, Count).

begin_request(Fun) ->
    spawn_monitor(fun() -> exit({answered, Fun()}) end).

%% Waits for the first answer to any of these requests.
answer(Requests) ->
    receive
        {'DOWN', Monitor, process, Pid, Ended} ->
            true = lists:member({Pid, Monitor}, Requests),
            {answered, Answer} = Ended,
            Answer
    end.

%% Opens a connection and sends a request without reading the answer.
unanswered(#{host := Host, port := Port} = Door, Method, Path, Options) ->
    {ok, Socket} = gen_tcp:connect(Host, Port, [binary, {active, false}]),
    ok = gen_tcp:send(Socket, md_http:bytes(Door, Method, Path, Options)),
    Socket.

%% Reads up to and including this text; returns everything that came.
read_until(Socket, Wanted) ->
    read_until(Socket, Wanted, <<>>).

read_until(Socket, Wanted, Read) ->
    case binary:match(Read, Wanted) of
        nomatch ->
            case gen_tcp:recv(Socket, 0) of
                {ok, More} -> read_until(Socket, Wanted, <<Read/binary, More/binary>>);
                Error -> {Error, Read}
            end;
        _ -> {ok, Read}
    end.
