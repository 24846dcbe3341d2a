%% The file server as its users see it: it is started from its release, and used over REST and over its own protocol.
%%
%% The tests of this suite share one node and one database. The output of the node is kept, since it names the ports.
-module(filebox_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([a_tenant_is_served_as_soon_as_it_is_added/1]).
-export([a_tenant_keeps_as_much_as_its_plan_allows/1]).
-export([tenants_see_their_own_files_only/1]).
-export([removing_a_tenant_deletes_its_data_and_tells_its_connections/1]).
-export([a_disabled_tenant_is_not_served_and_keeps_its_data/1]).
-export([a_removal_waits_for_a_database_that_refuses_to_delete/1]).
-export([the_node_stops_in_order/1]).

%% OTP 29 deprecates odbc, which OTP 30 is to remove.
-compile({nowarn_deprecated_function, [{odbc, connect, 2}, {odbc, disconnect, 1}, {odbc, sql_query, 2}]}).

-define(RELEASE, "_build/default/rel/filebox/bin/filebox").

%% The limit of every wait.
-define(DEADLINE, 60000).

all() ->
    [a_tenant_is_served_as_soon_as_it_is_added,
     a_tenant_keeps_as_much_as_its_plan_allows,
     tenants_see_their_own_files_only,
     removing_a_tenant_deletes_its_data_and_tells_its_connections,
     a_disabled_tenant_is_not_served_and_keeps_its_data,
     a_removal_waits_for_a_database_that_refuses_to_delete,
     the_node_stops_in_order].

init_per_suite(Config) ->
    {ok, _} = application:ensure_all_started(inets),
    {ok, _} = application:ensure_all_started(odbc),
    Server = os:getenv("MONGOOSE_DOMAIN_TEST_PG"),
    Server =/= false orelse ct:fail("MONGOOSE_DOMAIN_TEST_PG is not set: the URL of a PostgreSQL server for tests"),
    Name = "filebox_" ++ os:getpid(),
    {updated, _} = sql(Server, "CREATE DATABASE " ++ Name),
    Database = uri_string:recompose((uri_string:parse(Server))#{path := "/" ++ Name}),
    Parent = self(),
    Keeper = spawn(fun() -> keep_output(start(Database), Parent) end),
    %% Both print their address when they are open.
    Door = await_output(Keeper, "http://127\\.0\\.0\\.1:\\d+"),
    "127.0.0.1:" ++ Port = await_output(Keeper, "filebox listens at \\K[\\d.]+:\\d+"),
    [{server, Server}, {name, Name}, {database, Database}, {keeper, Keeper}, {door, Door}, {port, list_to_integer(Port)}
     | Config].

end_per_suite(Config) ->
    Keeper = ?config(keeper, Config),
    ct:log("What the node printed:~n~ts", [output(Keeper)]),
    Keeper ! kill,
    {updated, _} = sql(?config(server, Config), ["DROP DATABASE ", ?config(name, Config), " WITH (FORCE)"]),
    ok.

a_tenant_is_served_as_soon_as_it_is_added(Config) ->
    Early = connect(Config),
    ?assertEqual(<<"ERROR no such host">>, ask(Early, "HELLO first.example")),
    ?assertEqual(<<"ERROR no such host">>, ask(Early, "HELLO files.first.example")),
    ?assertEqual(<<"ERROR say HELLO first">>, ask(Early, "USAGE")),
    ok = add("first.example", "basic", Config),
    ?assertEqual(<<"OK basic">>, ask(Early, "HELLO first.example")),
    ?assertEqual(<<"OK 0 of 100">>, ask(Early, "USAGE")),
    ?assertEqual(<<"OK basic">>, ask(Early, "HELLO Files.First.Example")),
    ?assertEqual(<<"OK">>, ask(Early, "PUT greeting hello, world")),
    ?assertEqual(<<"OK hello, world">>, ask(Early, "GET greeting")),
    ?assertEqual(<<"OK greeting">>, ask(Early, "LIST")),
    [?assertEqual(<<"ERROR no such file">>, ask(Early, [Command, " another"])) || Command <- ["GET", "DELETE"]],
    ?assertEqual(<<"OK">>, ask(Early, "QUIT")).

a_tenant_keeps_as_much_as_its_plan_allows(Config) ->
    ok = add("small.example", "basic", Config),
    ok = add("large.example", "pro", Config),
    Large = connect(Config, "files.large.example"),
    Small = connect(Config, "files.small.example"),
    [?assertEqual(<<"OK">>, ask(Files, ["PUT a ", lists:duplicate(60, $x)])) || Files <- [Small, Large]],
    ?assertEqual(<<"ERROR there is no room for that">>, ask(Small, ["PUT b ", lists:duplicate(60, $x)])),
    ?assertEqual(<<"OK">>, ask(Large, ["PUT b ", lists:duplicate(60, $x)])),
    %% A replaced file makes room for the new one, and a deleted file for any other.
    ?assertEqual(<<"OK">>, ask(Small, ["PUT a ", lists:duplicate(70, $x)])),
    ?assertEqual(<<"OK 70 of 100">>, ask(connect(Config, "small.example"), "USAGE")),
    ?assertEqual(<<"OK">>, ask(Small, "DELETE a")),
    ?assertEqual(<<"OK">>, ask(Small, ["PUT b ", lists:duplicate(100, $x)])).

tenants_see_their_own_files_only(Config) ->
    ok = add("one.example", "basic", Config),
    ok = add("two.example", "basic", Config),
    ?assertEqual(<<"OK">>, ask(connect(Config, "files.one.example"), "PUT secret of one")),
    ?assertEqual(<<"ERROR no such file">>, ask(connect(Config, "files.two.example"), "GET secret")),
    ?assertEqual(<<"ERROR unknown command">>, ask(connect(Config, "one.example"), "GET secret")).

removing_a_tenant_deletes_its_data_and_tells_its_connections(Config) ->
    [ok = add(Name, "basic", Config) || Name <- ["goes.example", "stays.example"]],
    [Goes, GoesFiles, Stays] = [connect(Config, Host) || Host <- ["goes.example", "files.goes.example", "files.stays.example"]],
    [?assertEqual(<<"OK">>, ask(Files, "PUT note something")) || Files <- [GoesFiles, Stays]],
    ?assertEqual({1, 1}, kept("goes.example", Config)),
    ok = remove("goes.example", "basic", Config),
    ?assertEqual(<<"GONE goes.example">>, hear(Goes)),
    ?assertEqual(<<"GONE files.goes.example">>, hear(GoesFiles)),
    [?assertEqual(closed, hear(Connection)) || Connection <- [Goes, GoesFiles]],
    %% The response to the request came after the data was deleted.
    ?assertEqual({0, 0}, kept("goes.example", Config)),
    ?assertEqual({1, 1}, kept("stays.example", Config)),
    ?assertEqual(<<"OK something">>, ask(Stays, "GET note")),
    ?assertEqual(<<"ERROR no such host">>, ask(connect(Config), "HELLO files.goes.example")),
    %% A new tenant with the same name does not see the old one's files.
    ok = add("goes.example", "pro", Config),
    ?assertEqual(<<"OK">>, ask(connect(Config, "files.goes.example"), "LIST")).

a_disabled_tenant_is_not_served_and_keeps_its_data(Config) ->
    ok = add("pauses.example", "basic", Config),
    Files = connect(Config, "files.pauses.example"),
    ?assertEqual(<<"OK">>, ask(Files, "PUT note something")),
    ok = rest(patch, "pauses.example", "{\"enabled\": false}", Config),
    ?assertEqual(<<"GONE files.pauses.example">>, hear(Files)),
    ?assertEqual(<<"ERROR no such host">>, ask(connect(Config), "HELLO files.pauses.example")),
    ok = rest(patch, "pauses.example", "{\"enabled\": true}", Config),
    ?assertEqual(<<"OK something">>, ask(connect(Config, "files.pauses.example"), "GET note")).

a_removal_waits_for_a_database_that_refuses_to_delete(Config) ->
    ok = add("stuck.example", "basic", Config),
    ?assertEqual(<<"OK">>, ask(connect(Config, "files.stuck.example"), "PUT note something")),
    Database = ?config(database, Config),
    {updated, _} = sql(Database, "ALTER TABLE filebox_files RENAME TO filebox_elsewhere"),
    ?assertEqual({error, 500}, remove("stuck.example", "basic", Config)),
    %% The tenant is not served any more, and its data still exists.
    ?assertEqual(<<"ERROR no such host">>, ask(connect(Config), "HELLO files.stuck.example")),
    {updated, _} = sql(Database, "ALTER TABLE filebox_elsewhere RENAME TO filebox_files"),
    ?assertMatch({1, _}, kept("stuck.example", Config)),
    ok = remove("stuck.example", "basic", Config),
    ?assertEqual({0, 0}, kept("stuck.example", Config)).

%% The last test.
the_node_stops_in_order(Config) ->
    Connection = connect(Config, "files.first.example"),
    Keeper = ?config(keeper, Config),
    Keeper ! stop,
    ?assertEqual(closed, hear(Connection)),
    "ended with 0" = await_output(Keeper, "ended with \\d+"),
    Output = output(Keeper),
    ?assertEqual(nomatch, re:run(Output, "lazy_routing_failed|service_stop_failed|module_stopping_failed|crash", [])).

%% Tenants, over REST

add(Domain, Plan, Config) ->
    rest(put, Domain, ["{\"host_type\": \"", Plan, "\"}"], Config).

remove(Domain, Plan, Config) ->
    rest(delete, Domain, ["{\"host_type\": \"", Plan, "\"}"], Config).

rest(Method, Domain, Body, Config) ->
    Url = ?config(door, Config) ++ "/api/domains/" ++ Domain,
    {ok, {{_, Code, _}, _, _}} =
        httpc:request(Method, {Url, [], "application/json", iolist_to_binary(Body)}, [], [{body_format, binary}]),
    case Code of
        204 -> ok;
        _ -> {error, Code}
    end.

%% Lines

connect(Config) ->
    {ok, Socket} = gen_tcp:connect("127.0.0.1", ?config(port, Config), [binary, {packet, line}, {active, false}]),
    Socket.

connect(Config, Host) ->
    Socket = connect(Config),
    {match, _} = re:run(ask(Socket, ["HELLO ", Host]), "^OK "),
    Socket.

ask(Socket, Line) ->
    ok = gen_tcp:send(Socket, [Line, "\n"]),
    hear(Socket).

hear(Socket) ->
    case gen_tcp:recv(Socket, 0, ?DEADLINE) of
        {ok, Line} -> string:trim(Line);
        {error, closed} -> closed
    end.

%% The tenants' data

%% The numbers of this tenant's rows: its files, and the counts of its quota.
kept(Domain, Config) ->
    [Files, Used] = [begin
        {selected, _, [{Count}]} =
            sql(?config(database, Config), ["SELECT count(*)::integer FROM ", Table, " WHERE domain = '", Domain, "'"]),
        Count
    end || Table <- ["filebox_files", "filebox_usage"]],
    {Files, Used}.

sql(Url, Statement) ->
    #{host := Host, port := Port, userinfo := User, path := "/" ++ Name} = uri_string:parse(Url),
    {ok, Connection} = odbc:connect(lists:flatten(io_lib:format(
        "DRIVER={PostgreSQL Unicode};SERVER=~s;PORT=~p;DATABASE=~s;UID=~s", [Host, Port, Name, User])), []),
    try
        odbc:sql_query(Connection, lists:flatten(Statement))
    after
        ok = odbc:disconnect(Connection)
    end.

%% The release

start(Database) ->
    Release = filename:absname(filename:join(root(), ?RELEASE)),
    open_port({spawn_executable, Release}, [
        {args, ["foreground"]}, {env, [{"FILEBOX_DATABASE", Database}, {"ERL_DIST_PORT", free_port()}]},
        binary, exit_status, stderr_to_stdout, use_stdio]).

%% With a given port, the node needs no port mapper.
free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    integer_to_list(Port).

%% The directory of this example: the suite was compiled below its _build.
root() ->
    [Root | _] = string:split(filename:dirname(code:which(?MODULE)), "/_build/"),
    Root.

%% A process that collects the output of the node, and returns it on request.
keep_output(Port, Parent) ->
    Monitor = monitor(process, Parent),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    keep_output(Port, Pid, Monitor, <<>>).

keep_output(Port, Pid, Monitor, Output) ->
    receive
        {Port, {data, Data}} ->
            keep_output(Port, Pid, Monitor, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Status}} ->
            Ended = integer_to_binary(Status),
            keep_output(Port, ended, Monitor, <<Output/binary, "\nended with ", Ended/binary, "\n">>);
        {output, From} ->
            From ! {output, Output},
            keep_output(Port, Pid, Monitor, Output);
        stop ->
            _ = os:cmd("kill -TERM " ++ integer_to_list(Pid)),
            keep_output(Port, Pid, Monitor, Output);
        kill when Pid =/= ended ->
            os:cmd("kill -KILL " ++ integer_to_list(Pid));
        kill ->
            ok
    end.

output(Keeper) ->
    Keeper ! {output, self()},
    receive {output, Output} -> Output end.

await_output(Keeper, Pattern) ->
    await_output(Keeper, Pattern, erlang:monotonic_time(millisecond) + ?DEADLINE).

await_output(Keeper, Pattern, End) ->
    Output = output(Keeper),
    case re:run(Output, Pattern, [{capture, first, list}]) of
        {match, [Found]} ->
            Found;
        nomatch ->
            erlang:monotonic_time(millisecond) < End orelse ct:fail("the node never printed ~s:~n~ts", [Pattern, Output]),
            timer:sleep(20),
            await_output(Keeper, Pattern, End)
    end.
