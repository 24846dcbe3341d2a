%% Attacks on the door: password guessing, slow clients, too large requests, requests from pages of other sites, and
%% wrong configurations of the door. No secret is shown anywhere.
%%
%% No test here waits for a time limit: unit tests beside the code check those with a simulated clock. These tests check
%% that a client that holds a connection does not block the others.
-module(admin_security_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([who_guesses_in_parallel_is_held_up_and_nobody_else/1,
         who_is_right_is_let_in_however_long_others_guess_at_his_address/1,
         a_door_without_credentials_answers_to_its_own_names_alone/1,
         a_right_login_after_failures_is_let_in_and_forgives/1,
         requests_without_credentials_are_no_failures/1,
         without_configured_origins_no_header_speaks_of_them/1,
         scripts_of_a_configured_origin_may_read_answers/1,
         pages_of_other_origins_change_nothing/1,
         answers_are_not_kept_and_not_guessed_at/1,
         a_head_that_is_too_large_is_refused/1,
         a_body_that_is_too_large_is_refused_before_it_is_sent/1,
         a_body_without_a_length_is_read_up_to_the_limit/1,
         a_thousand_idle_connections_keep_nobody_out/1,
         clients_that_are_slow_keep_nobody_out/1,
         clients_that_read_nothing_keep_nobody_out/1,
         no_secret_is_in_a_log_an_answer_or_a_process_list/1]).
-export([a_password_that_is_exchanged_needs_no_restart/1,
         a_port_that_is_taken_is_reported_and_tried_again/1,
         files_of_tls_that_make_no_sense_are_reported_and_tried_again/1,
         only_tls_that_is_safe_is_spoken/1]).

-define(PATH, "/api/domains/a.example").
-define(TYPE1, #{json => <<"{\"host_type\": \"type1\"}">>}).
-define(PASSWORD, "s3cr3t of the door").
-define(HUGE, "content-length: 1073741824").

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        {Node, Door} = node(Database, #{}),
        [{database, Database}, {node, Node}, {door, Door} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% Starts a node and returns it with its open door.
node(Database, Admin) ->
    Node = md_node:start(environment(Database, Admin)),
    ok = md_node:wait_until_following(Node),
    {Node, md_http:door(Node, {"admin", ?PASSWORD})}.

environment(Database, Admin) ->
    #{host_types => [<<"type1">>],
      service_domain_db => #{database => Database, poll_interval => 200},
      admin => maps:merge(#{port => 0, username => "admin", password => ?PASSWORD}, Admin)}.

%% A hundred guesses may wait, and five may be compared at a time.
who_guesses_in_parallel_is_held_up_and_nobody_else(Config) ->
    Door = ?config(door, Config),
    Guesser = Door#{user => {"admin", "a guess"}, from => {127, 0, 0, 2}},
    Guess = fun() -> md_http:request(Guesser, get, ?PATH, #{}) end,
    [?assertMatch({401, _, _}, Guess()) || _ <- lists:seq(1, 15)],
    Answers = in_parallel(lists:duplicate(200, Guess)),
    Told = [Answer || {401, _, _} = Answer <- Answers],
    Refused = [Answer || {429, _, _} = Answer <- Answers],
    ?assertEqual(200, length(Told) + length(Refused)),
    ?assert(length(Refused) > 0),
    ?assertEqual([<<"10">>], lists:usort([md_http:header(<<"retry-after">>, Answer) || Answer <- Refused])),
    ?assertMatch({404, _, _}, md_http:request(Door, get, ?PATH, #{})).

%% Another user of the machine, or a client behind the same proxy, shares the address.
who_is_right_is_let_in_however_long_others_guess_at_his_address(Config) ->
    Door = (?config(door, Config))#{from => {127, 0, 0, 2}},
    Guess = fun() -> {401, _, _} = md_http:request(Door#{user => {"admin", "a guess"}}, get, ?PATH, #{}) end,
    Guessers = [spawn_link(fun Again() -> Guess(), Again() end) || _ <- lists:seq(1, 12)],
    [Guess() || _ <- lists:seq(1, 15)],
    [?assertMatch({404, _, _}, md_http:request(Door, get, ?PATH, #{})) || _ <- lists:seq(1, 5)],
    [begin unlink(Guesser), exit(Guesser, kill) end || Guesser <- Guessers].

a_right_login_after_failures_is_let_in_and_forgives(Config) ->
    Door = (?config(door, Config))#{from => {127, 0, 0, 2}},
    Guess = fun() -> md_http:request(Door#{user => {"admin", "a guess"}}, get, ?PATH, #{}) end,
    [?assertMatch({401, _, _}, Guess()) || _ <- lists:seq(1, 15)],
    ?assertMatch({404, _, _}, md_http:request(Door, get, ?PATH, #{})),
    %% Without the successful login, no more than a hundred could wait.
    ?assertEqual([401], lists:usort([Code || {Code, _, _} <- in_parallel(lists:duplicate(4, Guess))])).

%% DNS rebinding: a page's host name resolves to this machine, so the browser sends requests with that name.
a_door_without_credentials_answers_to_its_own_names_alone(Config) ->
    #{admin := Admin} = Environment = environment(?config(database, Config), #{host_names => ["door.example"]}),
    Node = md_node:start(Environment#{admin => maps:without([username, password], Admin)}),
    ok = md_node:wait_until_following(Node),
    Door = md_http:door(Node, none),
    Code = fun(Method, Path, Host) ->
        Request = [Method, " ", Path, " HTTP/1.1\r\nhost: ", Host, "\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"],
        {ok, {Code, _, _}} = md_http:send(Door, Request),
        Code
    end,
    Paths = [?PATH, "/api/domains", "/api/status", "/api/doctor", "/api/removals", "/api/freshness", "/api/changes",
             "/api/openapi.json", "/api/graphql?query={checkAuth{domain}}", "/metrics", "/healthz", "/readyz", "/nowhere",
             "/v1/domains/list", "http://rebound.example/metrics"],
    ?assertEqual([], [{Path, Host} || Path <- Paths, Host <- ["rebound.example", "rebound.example:8088", "127.0.0.1.example"],
                                      Code("GET", Path, Host) =/= 421]),
    ?assertEqual(421, Code("DELETE", ?PATH, "rebound.example")),
    [?assertEqual(200, Code("GET", "/metrics", Host))
     || Host <- ["localhost", "localhost:1", "127.0.0.1", "[::1]:8088", "192.0.2.1", "door.example", "Door.Example:1"]],
    {ok, {421, _, Why}} = md_http:send(Door, "GET /metrics HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n"),
    ?assertMatch({_, _}, binary:match(Why, <<"'other.example': add it to its host_names">>)),
    %% Browsers always send the host; some probes do not.
    {ok, {200, _, _}} = md_http:send(Door, "GET /healthz HTTP/1.0\r\n\r\n").

requests_without_credentials_are_no_failures(Config) ->
    Door = ?config(door, Config),
    Anonymous = [fun() -> md_http:request(Door#{user => none}, get, ?PATH, #{}) end || _ <- lists:seq(1, 100)],
    ?assertEqual([401], lists:usort([Code || {Code, _, _} <- in_parallel(Anonymous)])),
    ?assertMatch({404, _, _}, md_http:request(Door, get, ?PATH, #{})).

without_configured_origins_no_header_speaks_of_them(Config) ->
    Origin = {"origin", "https://page.example"},
    [?assertEqual([], [Name || {<<"access-control", _/binary>> = Name, _} <- Headers])
     || {Method, Asked} <- [{get, []}, {options, []}, {options, [{"access-control-request-method", "PUT"}]}],
        {_, Headers, _} <- [md_http:request(?config(door, Config), Method, ?PATH, #{headers => [Origin | Asked]})]].

scripts_of_a_configured_origin_may_read_answers(Config) ->
    Configured = #{allowed_origins => ["https://page.example", "https://Other.example/"]},
    {_Node, Door} = node(?config(database, Config), Configured),
    Ask = fun(Method, Origin, User, More) ->
        md_http:request(Door, Method, ?PATH, #{headers => [{"origin", Origin} | More], user => User})
    end,
    Admin = maps:get(user, Door),
    [begin
         Answer = Ask(get, Origin, Admin, []),
         ?assertMatch({404, _, _}, Answer),
         ?assertEqual(list_to_binary(Origin), md_http:header(<<"access-control-allow-origin">>, Answer)),
         ?assertEqual(<<"true">>, md_http:header(<<"access-control-allow-credentials">>, Answer)),
         ?assertEqual(<<"Origin">>, md_http:header(<<"vary">>, Answer))
     end || Origin <- ["https://page.example", "https://other.example"]],
    %% A browser sends this request before it sends credentials.
    Preflight = Ask(options, "https://page.example", none, [{"access-control-request-method", "PUT"}]),
    ?assertMatch({204, _, <<>>}, Preflight),
    ?assertEqual(<<"GET, POST, PUT, PATCH, DELETE">>, md_http:header(<<"access-control-allow-methods">>, Preflight)),
    ?assertEqual(<<"authorization, content-type">>, md_http:header(<<"access-control-allow-headers">>, Preflight)),
    ?assertMatch({401, _, _}, Ask(options, "https://page.example", none, [])),
    [begin
         Answer = Ask(options, Origin, none, [{"access-control-request-method", "PUT"}]),
         ?assertMatch({401, _, _}, Answer),
         ?assertEqual(undefined, md_http:header(<<"access-control-allow-origin">>, Answer)),
         ?assertEqual(<<"Origin">>, md_http:header(<<"vary">>, Answer))
     end || Origin <- ["http://page.example", "https://page.example.evil", "null", "*"]],
    Put = maps:put(headers, [{"origin", "https://page.example"}], ?TYPE1),
    ?assertMatch({204, _, _}, md_http:request(Door, put, ?PATH, Put)).

%% A browser that knows the credentials sends them with the requests of any page.
pages_of_other_origins_change_nothing(Config) ->
    #{port := Port} = Door = ?config(door, Config),
    Put = fun(Origin) ->
        element(1, md_http:request(Door, put, ?PATH, maps:put(headers, [{"origin", Origin}], ?TYPE1)))
    end,
    [?assertEqual(403, Put(Origin))
     || Origin <- ["https://page.example", "null", "", "http://localhost:1", ["http://", $x, 16#FF]]],
    [?assertMatch({403, _, _}, md_http:request(Door, post, Path, #{headers => [{"origin", "null"}], body => <<>>}))
     || Path <- ["/v1/domains/upsert", "/v1/domains/list"]],
    ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), <<"a.example">>)),
    %% These requests have a host without a port.
    ?assertEqual(403, Put(["http://localhost:", integer_to_list(Port)])),
    ?assertEqual(204, Put("http://localhost")).

answers_are_not_kept_and_not_guessed_at(Config) ->
    [begin
         Answer = md_http:request(?config(door, Config), Method, Path, #{user => User}),
         ?assertEqual(<<"nosniff">>, md_http:header(<<"x-content-type-options">>, Answer)),
         ?assertEqual(<<"no-store">>, md_http:header(<<"cache-control">>, Answer))
     end || {Method, Path, User} <- [{get, ?PATH, {"admin", ?PASSWORD}}, {get, ?PATH, none}, {post, ?PATH, none},
                                     {get, "/nowhere", none}, {post, "/v1/domains/list", {"admin", ?PASSWORD}}]].

a_head_that_is_too_large_is_refused(Config) ->
    Door = ?config(door, Config),
    [?assertMatch({431, _, _}, md_http:request(Door, get, ?PATH, #{headers => Headers}))
     || Headers <- [[{"x", binary:copy(<<"x">>, 200000)}],
                    [{["x", integer_to_list(N)], "x"} || N <- lists:seq(1, 200)]]],
    ?assertMatch({ok, {Code, _, _}} when Code =:= 431; Code =:= 414,
                 md_http:send(Door, ["GET /", binary:copy(<<"x">>, 200000), " HTTP/1.1\r\nhost: x\r\n\r\n"])),
    ?assertMatch({404, _, _}, md_http:request(Door, get, ?PATH, #{})).

a_body_that_is_too_large_is_refused_before_it_is_sent(Config) ->
    Door = ?config(door, Config),
    {ok, {gen_tcp, Socket} = Connection} = md_http:connect(Door),
    ok = gen_tcp:send(Socket, head(Door, [?HUGE, "\r\nexpect: 100-continue\r\n"])),
    {ok, Answer} = md_http:answer(Connection),
    ?assertMatch({413, _, <<"\"Request body is too large\"">>}, Answer),
    %% The server closes the connection instead of reading the next request.
    ?assertMatch({error, _}, md_http:answer(Connection)).

a_body_without_a_length_is_read_up_to_the_limit(Config) ->
    Door = ?config(door, Config),
    Chunk = ["20000\r\n", binary:copy(<<"x">>, 16#20000), "\r\n"],
    Head = head(Door, "transfer-encoding: chunked\r\n"),
    {ok, Answer} = md_http:send(Door, [Head, lists:duplicate(9, Chunk), "0\r\n\r\n"]),
    ?assertMatch({413, _, _}, Answer),
    {ok, Fits} = md_http:send(Door, [Head, lists:duplicate(8, Chunk), "0\r\n\r\n"]),
    ?assertMatch({400, _, <<"\"Invalid request body\"">>}, Fits).

a_thousand_idle_connections_keep_nobody_out(Config) ->
    Door = ?config(door, Config),
    Idle = [begin {ok, Connection} = md_http:connect(Door), Connection end || _ <- lists:seq(1, 1000)],
    served(Config),
    close(Idle).

%% Half of the clients stop in the middle of a head, half in the middle of a body.
clients_that_are_slow_keep_nobody_out(Config) ->
    Door = ?config(door, Config),
    Body = <<"{\"host_type\": \"type1\"}">>,
    Whole = iolist_to_binary([head(Door, ["content-length: ", integer_to_list(byte_size(Body)), "\r\n"]), Body]),
    Slow = [begin
                {ok, {gen_tcp, Socket} = Connection} = md_http:connect(Door),
                {Said, Rest} = split_binary(Whole, Length),
                ok = gen_tcp:send(Socket, Said),
                {Connection, Rest}
            end || Length <- [20, byte_size(Whole) - 5], _ <- lists:seq(1, 250)],
    served(Config),
    [begin
         ok = gen_tcp:send(Socket, binary_part(Rest, 0, 1)),
         served(Config),
         ok = gen_tcp:send(Socket, binary_part(Rest, 1, byte_size(Rest) - 1)),
         ?assertMatch({ok, {204, _, _}}, md_http:answer(Connection))
     end || {{gen_tcp, Socket} = Connection, Rest} <- [hd(Slow), lists:last(Slow)]],
    close([Connection || {Connection, _} <- Slow]).

%% Each requests far more data than the system buffers for a client that does not read.
clients_that_read_nothing_keep_nobody_out(Config) ->
    Door = ?config(door, Config),
    Get = ["GET ", ?PATH, " HTTP/1.1\r\nhost: x\r\n\r\n"],
    Greedy = [begin
                  {ok, {gen_tcp, Socket} = Connection} = md_http:connect(Door),
                  ok = inet:setopts(Socket, [{recbuf, 4096}, {send_timeout, 0}]),
                  _ = gen_tcp:send(Socket, lists:duplicate(5000, Get)),
                  Connection
              end || _ <- lists:seq(1, 20)],
    served(Config),
    close(Greedy).

served(Config) ->
    ?assertMatch({200, _, _}, md_http:request(?config(door, Config), post, "/v1/domains/list", #{body => <<>>})).

close(Connections) ->
    [gen_tcp:close(Socket) || {gen_tcp, Socket} <- Connections].

no_secret_is_in_a_log_an_answer_or_a_process_list(Config) ->
    Node = ?config(node, Config),
    Door = ?config(door, Config),
    Wrong = "guess " ++ ?PASSWORD,
    Answers = [md_http:request(Door#{user => User}, Method, Path, Options)
               || User <- [{"admin", ?PASSWORD}, {"admin", Wrong}],
                  {Method, Path, Options} <- [{get, ?PATH, #{}}, {put, ?PATH, ?TYPE1},
                                              {put, "/api/domains/%f3", ?TYPE1},
                                              {post, "/v1/domains/upsert", #{body => <<255>>}}]]
        ++ [md_http:request(Door#{user => none}, get, ?PATH, #{headers => [{"authorization", ["Basic ", ?PASSWORD]}]})],
    ?assertEqual([], [Answer || Answer <- Answers, shows(Answer)]),
    %% Crash reports and the reports of a restart must not contain the secret, either.
    Pid = md_node:call(Node, md_admin, os_pid, []),
    Files = [["/proc/", integer_to_list(Pid), "/", Name] || Name <- ["cmdline", "environ"]],
    Read = [element(2, {ok, _} = file:read_file(File)) || File <- Files],
    ?assertEqual([], [Bytes || Bytes <- Read, shows(Bytes)]),
    Owner = md_node:call(Node, erlang, whereis, [mongoose_domain_admin]),
    true = md_node:call(Node, erlang, exit, [Owner, kill]),
    md_wait:until(fun() -> lists:member(md_node:call(Node, md_admin, os_pid, []), [Pid, none]) end, false),
    _ = md_http:door(Node),
    ?assertEqual([], [Event || Event <- md_node:call(Node, md_log, all, []), shows(Event)]).

shows(Term) ->
    Encoded = binary_to_list(base64:encode("admin:" ++ ?PASSWORD)),
    lists:any(fun(Secret) -> md_secret:is_in(Secret, Term) end, [?PASSWORD, Encoded]).

a_password_that_is_exchanged_needs_no_restart(Config) ->
    File = filename:join(?config(priv_dir, Config), "password"),
    ok = file:write_file(File, ["old-sesame", "\n"]),
    {Node, Door} = node(?config(database, Config), #{username => "admin", password => {file, File}}),
    Program = md_node:call(Node, md_admin, os_pid, []),
    Status = fun(Password) -> element(1, md_http:request(Door#{user => {"admin", Password}}, get, "/api/domains", #{})) end,
    ?assertEqual(200, Status("old-sesame")),
    %% While the file cannot be read, the old password is valid, and the log says so once.
    ok = file:delete(File),
    md_wait:until(fun() -> md_node:count(Node, wrong_configuration) end, 1),
    ?assertEqual(200, Status("old-sesame")),
    ok = file:write_file(File, "new-sesame"),
    %% The old password first: failures with the new one would slow down its first success.
    md_wait:until(fun() -> Status("old-sesame") end, 401),
    ?assertEqual(200, Status("new-sesame")),
    ?assertEqual(Program, md_node:call(Node, md_admin, os_pid, [])),
    ?assertNot(md_secret:is_in("-sesame", md_node:call(Node, md_log, all, []))).

a_port_that_is_taken_is_reported_and_tried_again(Config) ->
    {ok, Listener} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listener),
    Node = md_node:start(environment(?config(database, Config), #{port => Port})),
    Text = iolist_to_binary(["cannot listen on 127.0.0.1:", integer_to_list(Port), ": "]),
    gives_up(Node, Text),
    ok = gen_tcp:close(Listener),
    ?assertMatch(#{port := Port}, md_http:door(Node)).

files_of_tls_that_make_no_sense_are_reported_and_tried_again(Config) ->
    Authority = md_tls:authority("an authority"),
    Dir = ?config(priv_dir, Config),
    Issued = md_tls:issue(Authority, [{dNSName, "localhost"}]),
    #{certificate := Certificate, key := Key} = Files = md_tls:write(Dir, "door", Issued),
    ok = file:delete(Certificate),
    Node = md_node:start(environment(?config(database, Config), #{tls => Files})),
    gives_up(Node, iolist_to_binary([Certificate, " cannot be read: "])),
    ok = file:write_file(Certificate, <<"no certificate">>),
    gives_up(Node, iolist_to_binary([Certificate, " holds no certificate: "])),
    %% The key is replaced first, so that it never matches the certificate.
    #{key := OtherKey} = md_tls:write(Dir, "other", md_tls:issue(Authority, [])),
    ok = file:rename(OtherKey, Key),
    ok = file:rename(map_get(certificate, md_tls:write(Dir, "again", Issued)), Certificate),
    gives_up(Node, iolist_to_binary([Certificate, " and ", Key, " cannot be used: "])),
    _ = md_tls:write(Dir, "door", Issued),
    Door = (md_http:door(Node, {"admin", ?PASSWORD}))#{tls => md_tls:client(Authority)},
    ?assertMatch({401, _, _}, md_http:request(Door, get, ?PATH, #{user => none})).

%% The program reports the reason to the node and ends, which the node logs.
gives_up(Node, Text) ->
    md_wait:until(fun() ->
        Said = [Error || #{error := Error} <- md_node:call(Node, md_admin, said, [<<"domain_admin_gives_up">>])],
        lists:any(fun(Error) -> binary:match(Error, Text) =/= nomatch end, Said) orelse Said
    end),
    md_wait:until(fun() -> md_node:count(Node, domain_admin_not_started) > 0 end).

only_tls_that_is_safe_is_spoken(Config) ->
    Authority = md_tls:authority("an authority"),
    Files = md_tls:write(?config(priv_dir, Config), "safe", md_tls:issue(Authority, [{dNSName, "localhost"}])),
    {_Node, Plain} = node(?config(database, Config), #{tls => Files}),
    Speaks = fun(Version) ->
        Door = Plain#{tls => [{versions, [Version]} | md_tls:client(Authority)]},
        case md_http:connect(Door) of
            {ok, {ssl, Socket}} -> ssl:close(Socket);
            {error, {tls_alert, _}} -> no
        end
    end,
    ?assertEqual([ok, ok, no], [Speaks(Version) || Version <- ['tlsv1.3', 'tlsv1.2', 'tlsv1.1']]),
    ?assertMatch({error, _}, md_http:send(Plain, ["GET ", ?PATH, " HTTP/1.1\r\nhost: x\r\n\r\n"])).

%% The head of a PUT, except for the caller's headers.
head(#{user := {Name, Password}}, Headers) ->
    ["PUT ", ?PATH, " HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Basic ",
     base64:encode(iolist_to_binary([Name, $:, Password])), "\r\n", Headers, "\r\n"].

in_parallel(Funs) ->
    Workers = [spawn_monitor(fun() -> exit({answered, Fun()}) end) || Fun <- Funs],
    [receive {'DOWN', Monitor, process, Pid, {answered, Answer}} -> Answer end || {Pid, Monitor} <- Workers].
