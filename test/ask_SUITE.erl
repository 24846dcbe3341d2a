%% A reverse proxy asks at a separate listener which names a node serves. The answers come from the table, even without
%% the database and under many requests. Caddy, nginx and HAProxy are configured as in docs/doors.md.
-module(ask_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_name_is_served_or_not_or_is_none/1,
         what_changes_shows_in_the_next_answer/1,
         nothing_else_is_there_and_it_is_nowhere_else/1,
         its_answers_are_counted_for_the_metrics/1,
         before_the_first_load_not_found_is_not_answered/1,
         with_the_database_away_and_after_a_restart_it_answers/1,
         a_database_that_hangs_does_not_show/1,
         a_flood_does_not_show_at_the_other_doors/1,
         a_killed_program_is_back_at_the_same_port/1,
         a_port_that_is_taken_keeps_no_other_door_shut_and_is_taken_when_it_is_free/1,
         caddy_gets_certificates_for_what_is_served_while_the_database_is_stopped_and_after_a_restart/1,
         nginx_lets_through_what_is_served/1,
         haproxy_lets_through_what_is_served/1]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(PROGRAM, md_admin_program).
-define(ADMIN, mongoose_domain_admin).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

%% Starts a node whose database is behind a gate. The listener keeps its port when the node starts again, since a
%% proxy's configuration contains it.
init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Client = md_client:open(Database),
        ok = md_writer:write(Client, [{add, <<"type1">>, [?A]}]),
        Gate = md_gate:start(md_database:port(Database)),
        Directory = filename:join(?config(priv_dir, Config), Case),
        ok = filelib:ensure_path(Directory),
        Port = md_edge:free_port(),
        Common = [{database, Database}, {client, Client}, {gate, Gate}, {directory, Directory},
                  {edge, #{host => "127.0.0.1", port => Port, user => none}} | Config],
        _ = [ok = md_gate:open(Gate) || not begins_without_database(Case)],
        Node = md_node:start(environment(Common)),
        _ = [ok = md_node:wait_until_following(Node) || not begins_without_database(Case)],
        Started = [{node, Node}, {door, md_http:door(Node)} | Common],
        wait_until_listening(Started),
        Started
    end).

begins_without_database(Case) ->
    Case =:= before_the_first_load_not_found_is_not_answered.

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

environment(Config) ->
    #{port := Port} = ?config(edge, Config),
    Url = md_database:with_port(?config(database, Config), md_gate:port(?config(gate, Config))),
    #{hosts => [{<<"static.example">>, <<"static type: 100%">>}],
      host_types => [<<"type1">>, <<"type2">>],
      data_dir => ?config(directory, Config),
      subdomains => #{<<"type1">> => [{<<"muc.@HOST@">>, {?MODULE, #{}}}, {<<"one.example">>, {?MODULE, #{}}}]},
      service_domain_db => #{database => Url, poll_interval => 200, operation_timeout => 60000},
      admin => #{port => 0, username => "admin", password => "secret", ask => #{port => Port}}}.

%% The status of the answer and the host type in it.
ask(Config, Name) ->
    ask(Config, get, "/ask?domain=" ++ Name).

ask(Config, Method, Path) ->
    {Code, _, _} = Answer = md_http:request(?config(edge, Config), Method, Path, #{}),
    {Code, md_http:header(<<"x-host-type">>, Answer)}.

a_name_is_served_or_not_or_is_none(Config) ->
    {Served, Absent, NoName} = {{200, <<"type1">>}, {404, undefined}, {400, undefined}},
    [?assertEqual({Name, Expected}, {Name, ask(Config, Name)})
     || {Name, Expected} <- [{"a.example", Served}, {"A.Example", Served}, {"%61.example&more=1", Served},
                             {"muc.a.example", Served}, {"one.example", Served},
                             {"static.example", {200, <<"static%20type:%20100%25">>}},
                             {"b.example", Absent}, {"muc.b.example", Absent}, {"a.example.", Absent}, {"%2A", Absent},
                             {"", NoName}, {"%00", NoName}, {"%ff", NoName}, {"a.example&domain=b.example", NoName},
                             {lists:duplicate(251, $a), NoName}]],
    ?assertEqual(NoName, ask(Config, get, "/ask")),
    %% Traefik sends this header.
    Forwarded = md_http:request(?config(edge, Config), get, "/ask", #{headers => [{"x-forwarded-host", "a.example:443"}]}),
    ?assertMatch({200, _, <<>>}, Forwarded),
    {ok, Url} = md_node:call(?config(node, Config), ?ADMIN, ask_url, []),
    #{port := Port} = ?config(edge, Config),
    ?assertEqual(iolist_to_binary(["http://127.0.0.1:", integer_to_list(Port), "/ask"]), Url),
    ?assertMatch([{notice, #{url := Url}}], md_node:logged(?config(node, Config), domain_ask_listening)),
    [?assertEqual(Expected, head(Config, Name)) || {Name, Expected} <- [{"a.example", 200}, {"b.example", 404}, {"", 400}]].

%% The answer to HEAD has no body, whatever its head says.
head(#{host := Host, port := Port}, Name) ->
    {ok, Socket} = gen_tcp:connect(Host, Port, [{active, false}, binary]),
    ok = gen_tcp:send(Socket, ["HEAD /ask?domain=", Name, " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]),
    {ok, <<"HTTP/1.1 ", Code:3/binary, Rest/binary>>} = gen_tcp:recv(Socket, 0),
    ?assertMatch([_, <<>>], binary:split(Rest, <<"\r\n\r\n">>)),
    {error, closed} = gen_tcp:recv(Socket, 0),
    ok = gen_tcp:close(Socket),
    binary_to_integer(Code);
head(Config, Name) ->
    head(?config(edge, Config), Name).

what_changes_shows_in_the_next_answer(Config) ->
    Api = fun(Function, Args) -> {ok, _} = md_node:call(?config(node, Config), mongoose_domain_api, Function, Args) end,
    ?assertEqual({404, undefined}, ask(Config, "b.example")),
    Api(insert_domain, [?B, <<"type2">>]),
    ?assertEqual({200, <<"type2">>}, ask(Config, "b.example")),
    Api(disable_domain, [?A]),
    ?assertEqual([{404, undefined}, {404, undefined}], [ask(Config, Name) || Name <- ["a.example", "muc.a.example"]]),
    Api(enable_domain, [?A]),
    ?assertEqual({200, <<"type1">>}, ask(Config, "muc.a.example")),
    Api(delete_domain, [?B]),
    ?assertEqual({404, undefined}, ask(Config, "b.example")).

nothing_else_is_there_and_it_is_nowhere_else(Config) ->
    [?assertEqual({Path, {404, undefined}}, {Path, ask(Config, Method, Path)})
     || Method <- [get, post],
        Path <- ["/", "/ask/", "/ask/a", "/api/domains", "/api/domains/a.example", "/api/graphql", "/api/openapi.json",
                 "/v1/domains/list", "/metrics", "/healthz", "/readyz"]],
    [?assertEqual({405, undefined}, ask(Config, Method, "/ask?domain=a.example")) || Method <- [post, put, delete]],
    {404, _, _} = md_http:request(?config(door, Config), get, "/ask?domain=a.example", #{}).

its_answers_are_counted_for_the_metrics(Config) ->
    [ask(Config, Name) || Name <- ["a.example", "b.example", "c.example"]],
    {200, _, Metrics} = md_http:request(?config(door, Config), get, "/metrics", #{}),
    [?assertNotEqual(nomatch, string:find(Metrics, ["request_duration_seconds_count{door=\"ask\",code=", Counted]))
     || Counted <- ["\"2xx\"} 1\n", "\"4xx\"} 2\n"]].

before_the_first_load_not_found_is_not_answered(Config) ->
    Answers = fun() -> [ask(Config, Name) || Name <- ["static.example", "a.example", "b.example"]] end,
    Static = {200, <<"static%20type:%20100%25">>},
    ?assertEqual([Static, {503, undefined}, {503, undefined}], Answers()),
    ok = md_gate:open(?config(gate, Config)),
    md_wait:until(Answers, [Static, {200, <<"type1">>}, {404, undefined}]).

with_the_database_away_and_after_a_restart_it_answers(Config) ->
    Node = ?config(node, Config),
    ok = md_gate:close(?config(gate, Config)),
    Answers = fun() -> [element(1, ask(Config, Name)) || Name <- ["a.example", "muc.a.example", "b.example"]] end,
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    ?assertEqual([200, 200, 404], Answers()),
    ok = md_node:stop_application(Node),
    ok = md_node:start_application(Node, unchanged),
    wait_until_listening(Config),
    md_wait:until(Answers, [200, 200, 404]).

wait_until_listening(Config) ->
    md_wait:until(fun() -> element(1, md_node:call(?config(node, Config), ?ADMIN, ask_url, [])) end, ok).

%% The hanging database gets more requests than may run at once.
a_database_that_hangs_does_not_show(Config) ->
    ok = md_gate:hush(?config(gate, Config)),
    #{host := Host, port := Port} = ?config(door, Config),
    Request = ["GET /api/domains/a.example HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic ",
               base64:encode("admin:secret"), "\r\n\r\n"],
    Sockets = [begin
        {ok, Socket} = gen_tcp:connect(Host, Port, [{active, false}]),
        ok = gen_tcp:send(Socket, Request),
        Socket
    end || _ <- lists:seq(1, 200)],
    md_wait:until(fun() -> md_node:call(?config(node, Config), ?PROGRAM, workers, []) end, 128),
    [?assertEqual(Expected, ask(Config, Name))
     || {Name, Expected} <- [{"a.example", {200, <<"type1">>}}, {"b.example", {404, undefined}}], _ <- lists:seq(1, 100)],
    ?assertEqual(128, md_node:call(?config(node, Config), ?PROGRAM, workers, [])),
    lists:foreach(fun gen_tcp:close/1, Sockets),
    ok = md_gate:open(?config(gate, Config)).

%% Each client of the flood sends all its requests before it reads an answer.
a_flood_does_not_show_at_the_other_doors(Config) ->
    #{host := Host, port := Port} = ?config(edge, Config),
    Request = "GET /ask?domain=a.example HTTP/1.1\r\nhost: x\r\n\r\n",
    Sockets = [begin
        {ok, Socket} = gen_tcp:connect(Host, Port, [{active, false}, binary, {packet, http_bin}]),
        Socket
    end || _ <- lists:seq(1, 100)],
    Client = ?PROGRAM:start_client(?config(door, Config), "/api/domains/a.example",
                                   {200, <<"{\"host_type\":\"type1\",\"status\":\"enabled\"}">>}),
    [ok = gen_tcp:send(Socket, lists:duplicate(100, Request)) || Socket <- Sockets],
    [?assertEqual({ok, {http_response, {1, 1}, 200, <<"OK">>}}, next_answer(Socket))
     || Socket <- Sockets, _ <- lists:seq(1, 100)],
    {Right, Broken, Wrong} = ?PROGRAM:stop_client(Client),
    ?assertMatch({0, []}, {Broken, Wrong}),
    ?assert(Right > 0),
    lists:foreach(fun gen_tcp:close/1, Sockets).

next_answer(Socket) ->
    Status = gen_tcp:recv(Socket, 0),
    ok = skip_headers(Socket),
    Status.

%% The answers have no body.
skip_headers(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_header, _, _, _, _}} -> skip_headers(Socket);
        {ok, http_eoh} -> inet:setopts(Socket, [{packet, http_bin}])
    end.

a_killed_program_is_back_at_the_same_port(Config) ->
    Node = ?config(node, Config),
    ?assertEqual({200, <<"type1">>}, ask(Config, "a.example")),
    ok = ?PROGRAM:signal(md_node:call(Node, ?PROGRAM, os_pid, []), "KILL"),
    md_wait:until(fun() -> md_node:count(Node, domain_ask_listening) end, 2),
    ?assertEqual({200, <<"type1">>}, ask(Config, "a.example")).

a_port_that_is_taken_keeps_no_other_door_shut_and_is_taken_when_it_is_free(Config) ->
    Node = ?config(node, Config),
    ok = md_node:stop_application(Node),
    #{port := Port} = ?config(edge, Config),
    Listener = listen_when_free(Port),
    ok = md_node:call(Node, md_log, clear, []),
    ok = md_node:start_application(Node, unchanged),
    md_wait:until(fun() -> md_node:count(Node, domain_ask_not_listening) > 1 end),
    [{error, #{error := Error, retry_after := 100}} | _] = md_node:logged(Node, domain_ask_not_listening),
    ?assertMatch({match, _}, re:run(Error, ["cannot listen on 127.0.0.1:", integer_to_list(Port), ": .*in use"])),
    ?assertEqual({error, closed}, md_node:call(Node, ?ADMIN, ask_url, [])),
    {200, _, _} = md_http:request(md_http:door(Node), get, "/api/status", #{}),
    ?assertEqual(0, md_node:count(Node, domain_admin_gives_up)),
    ok = gen_tcp:close(Listener),
    wait_until_listening(Config),
    ?assertEqual(200, element(1, ask(Config, "static.example"))).

%% The program of the door may end a moment after the application.
listen_when_free(Port) ->
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}, {reuseaddr, true}]) of % closed connections still have it
        {ok, Listener} -> Listener;
        {error, eaddrinuse} ->
            timer:sleep(50),
            listen_when_free(Port)
    end.

%% The configuration is that of docs/doors.md with a local authority of Caddy, since this machine has no public name.
caddy_gets_certificates_for_what_is_served_while_the_database_is_stopped_and_after_a_restart(Config) ->
    case md_edge:program("caddy") of
        {ok, Caddy} -> caddy(Caddy, Config);
        Skip -> Skip
    end.

caddy(Program, Config) ->
    Node = ?config(node, Config),
    Cluster = md_cluster:start(),
    Client = md_client:open(md_database:with_tables(md_cluster:url(Cluster))),
    ok = md_writer:write(Client, [{add, <<"type1">>, [?A, ?B, <<"c.example">>]}]),
    ok = md_node:stop_application(Node),
    #{service_domain_db := Service} = Environment = environment(Config),
    ok = md_node:start_application(Node, Environment#{service_domain_db => Service#{database => md_cluster:url(Cluster)}}),
    ok = md_node:wait_until_following(Node),
    wait_until_listening(Config),
    Directory = filename:join(?config(directory, Config), "caddy"),
    ok = filelib:ensure_path(Directory),
    Port = md_edge:free_port(),
    Edge = md_edge:start(Program, ["run", "--adapter", "caddyfile", "--config", caddyfile(Directory, Port, Config)], Directory),
    Connects = fun(Name) -> connects(Name, Port, Directory) end,
    md_wait:until(fun() -> Connects("a.example") end),
    ?assertNot(Connects("unserved.example")),
    %% From here on the database is away, and the names are new to Caddy.
    ok = md_cluster:shut_down(Cluster),
    md_wait:until(fun() -> maps:get(state, md_node:status(Node)) end, away),
    ?assert(Connects("b.example")),
    ?assert(Connects("muc.b.example")),
    ok = md_node:stop_application(Node),
    ok = md_node:start_application(Node, unchanged),
    wait_until_listening(Config),
    md_wait:until(fun() -> element(1, ask(Config, "c.example")) end, 200),
    ?assert(Connects("c.example")),
    ?assert(Connects("muc.c.example")),
    ?assert(Connects("static.example")),
    ?assertNot(Connects("muc.unserved.example")),
    ok = md_edge:stop(Edge),
    ok = md_client:close(Client),
    md_cluster:stop(Cluster).

caddyfile(Directory, Port, Config) ->
    Globals = ["{\n\tadmin off\n\tpersist_config off\n\tskip_install_trust\n\thttps_port ", integer_to_list(Port),
               "\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\tstorage file_system ", Directory, "\n"],
    #{port := Ask} = ?config(edge, Config),
    replaced([{<<"{\n">>, Globals}, {<<"\ttls {\n">>, "\ttls internal {\n"}, {<<"127.0.0.1:8089">>, address(Ask)},
              {<<"127.0.0.1:8080">>, address(md_edge:start_server())}],
             md_edge:block("caddyfile"), filename:join(Directory, "Caddyfile")).

%% Replaces the first occurrence of each text, writes the result to the file and returns its name.
replaced(Replacements, Text, File) ->
    ok = file:write_file(File, lists:foldl(fun({What, By}, Some) ->
        [Before, After] = binary:split(Some, What),
        iolist_to_binary([Before, By, After])
    end, Text, Replacements)),
    File.

%% Whether a client that trusts Caddy's authority gets a certificate for this name and the answer of the server behind.
connects(Name, Port, Directory) ->
    Root = filename:join([Directory, "pki", "authorities", "local", "root.crt"]),
    Tls = [{verify, verify_peer}, {cacertfile, Root}, {server_name_indication, Name}, {log_level, none}],
    filelib:is_regular(Root) andalso
        try md_http:request(#{host => "127.0.0.1", port => Port, user => none, tls => Tls}, get, "/", #{headers => []}) of
            {200, _, _} -> true
        catch
            error:{_, {error, Reason}} -> ct:pal("~s: ~0p", [Name, Reason]), false
        end.

nginx_lets_through_what_is_served(Config) ->
    case md_edge:program("nginx") of
        {ok, Nginx} -> nginx(Nginx, Config);
        Skip -> Skip
    end.

nginx(Program, Config) ->
    lets_through_what_is_served(Config, fun(Directory, Port) ->
        md_edge:start_nginx(Program, ["include ", nginx_site(Directory, Port, Config), ";\n"], Directory)
    end).

haproxy_lets_through_what_is_served(Config) ->
    case md_edge:program("haproxy") of
        {ok, Haproxy} ->
            lets_through_what_is_served(Config, fun(Directory, Port) ->
                md_edge:start(Haproxy, ["-db", "-f", haproxy_cfg(Directory, Port, Config)], Directory)
            end);
        Skip -> Skip
    end.

haproxy_cfg(Directory, Port, Config) ->
    #{port := Ask} = ?config(edge, Config),
    Lua = replaced([{<<"127.0.0.1:8089">>, address(Ask)}], md_edge:block("lua"), filename:join(Directory, "served.lua")),
    replaced([{<<"/etc/haproxy/served.lua">>, Lua}, {<<"bind :80\n">>, ["bind ", address(Port), "\n"]},
              {<<"127.0.0.1:8080">>, address(md_edge:start_server())}],
             md_edge:block("haproxy"), filename:join(Directory, "haproxy.cfg")).

address(Port) ->
    ["127.0.0.1:", integer_to_list(Port)].

lets_through_what_is_served(Config, Start) ->
    Directory = filename:join(?config(directory, Config), "edge"),
    ok = filelib:ensure_path(Directory),
    Port = md_edge:free_port(),
    Edge = Start(Directory, Port),
    Through = fun(Host) ->
        Request = ["GET /page HTTP/1.1\r\nhost: ", Host, "\r\nx-host-type: of-the-client\r\nconnection: close\r\n\r\n"],
        case md_http:send(#{host => "127.0.0.1", port => Port}, Request) of
            {ok, {Code, _, Behind}} -> {Code, host_types(Behind)};
            Error -> {Error, md_edge:said(Edge)}
        end
    end,
    md_wait:until(fun() -> Through("a.example") end, {200, [<<"type1">>]}),
    Hosts = ["A.example", "muc.a.example", "static.example", "b.example", "a.example&domain=b.example"],
    Answers = fun() -> [Through(Host) || Host <- Hosts] end,
    Expected = [{200, [<<"type1">>]}, {200, [<<"type1">>]}, {200, [<<"static%20type:%20100%25">>]}, {403, []}, {403, []}],
    ?assertEqual(Expected, Answers()),
    ok = md_gate:close(?config(gate, Config)),
    md_wait:until(fun() -> maps:get(state, md_node:status(?config(node, Config))) end, away),
    ?assertEqual(Expected, Answers()),
    md_edge:stop(Edge).

nginx_site(Directory, Port, Config) ->
    #{port := Ask} = ?config(edge, Config),
    replaced([{<<"listen 80;">>, ["listen ", address(Port), ";"]}, {<<"127.0.0.1:8089">>, address(Ask)},
              {<<"127.0.0.1:8080">>, address(md_edge:start_server())}],
             md_edge:block("nginx"), filename:join(Directory, "site.conf")).

%% The host types that the server behind received.
host_types(Behind) ->
    case re:run(Behind, "x-host-type: (.*)\r\n", [global, caseless, {capture, all_but_first, binary}]) of
        {match, Found} -> lists:append(Found);
        nomatch -> []
    end.
