%% The configuration is read again while a node runs: nodes of their own, each started with a file.
-module(reload_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([what_may_change_is_in_force_at_once/1,
         the_door_is_opened_anew_with_another_password_of_a_file/1,
         what_needs_a_restart_is_named_and_left/1,
         a_faulty_file_changes_nothing/1,
         included_files_and_the_command_line_count_as_at_the_start/1,
         a_signal_has_the_node_read_it_and_tell_systemd/1]).

-define(TOLD, 60000).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [what_may_change_is_in_force_at_once,
     the_door_is_opened_anew_with_another_password_of_a_file,
     what_needs_a_restart_is_named_and_left,
     a_faulty_file_changes_nothing,
     included_files_and_the_command_line_count_as_at_the_start,
     a_signal_has_the_node_read_it_and_tell_systemd].

init_per_testcase(Case, Config) ->
    Directory = filename:join(?config(priv_dir, Config), Case),
    File = filename:join(Directory, "sys.config"),
    ok = filelib:ensure_dir(File),
    [{directory, Directory}, {file, File} | Config].

end_per_testcase(_Case, _Config) ->
    _ = file:delete(socket()),
    ok.

%% A node that runs with this environment in its file.
start(Config, Environment) ->
    start(Config, Environment, []).

start(Config, Environment, Args) ->
    write(Config, Environment),
    Node = md_stock:start(#{directory => ?config(directory, Config), args => ["-config", ?config(file, Config) | Args]}),
    {ok, _} = md_stock:call(Node, application, ensure_all_started, [mongoose_domain]),
    Node.

%% The file of the node: this environment and the level of the log beside a database.
write(Config, Environment) ->
    write(Config, Environment, notice).

write(Config, Environment, Level) ->
    Own = maps:merge(#{host_types => [<<"type1">>], service_domain_db => service(Config, #{})}, Environment),
    text(Config, io_lib:format("~tp.~n", [[{mongoose_domain, maps:to_list(Own)}, {kernel, [{logger_level, Level}]}]])).

text(Config, Text) ->
    ok = file:write_file(?config(file, Config), unicode:characters_to_binary(Text)).

service(Config, Options) ->
    Options#{database => "sqlite:" ++ filename:join(?config(directory, Config), "domains.db")}.

reload(Node) ->
    md_stock:call(Node, mongoose_domain_reload, reload, []).

what_may_change_is_in_force_at_once(Config) ->
    Node = start(Config, #{}),
    write(Config, #{repeated_operations => error, service_domain_db => service(Config, #{visibility_timeout => 7}),
                    admin => #{port => 0}}, info),
    ?assertEqual({ok, #{applied => [admin, repeated_operations, [service_domain_db, visibility_timeout]], needs_restart => []}},
                 reload(Node)),
    ?assertEqual(error, md_stock:call(Node, mongoose_domain_config, repeated_operations, [])),
    ?assertEqual(7, md_stock:call(Node, mongoose_domain_config, visibility_timeout, [])),
    ?assertMatch(#{level := info}, md_stock:call(Node, logger, get_primary_config, [])),
    _ = md_stock:printed(Node, domain_admin_listening),
    {ok, _} = md_stock:call(Node, mongoose_domain_api, insert_domain, [<<"a.example">>, <<"type1">>]),
    ?assertMatch({duplicate, _}, md_stock:call(Node, mongoose_domain_api, insert_domain, [<<"a.example">>, <<"type1">>])),
    %% A key that is not in the file any more has its default again.
    write(Config, #{}),
    ?assertMatch({ok, #{needs_restart := []}}, reload(Node)),
    ?assertEqual(ok, md_stock:call(Node, mongoose_domain_config, repeated_operations, [])),
    ?assertEqual(3000, md_stock:call(Node, mongoose_domain_config, visibility_timeout, [])),
    ?assertEqual({error, closed}, md_stock:call(Node, mongoose_domain_admin, url, [])).

the_door_is_opened_anew_with_another_password_of_a_file(Config) ->
    Password = filename:join(?config(directory, Config), "password"),
    ok = file:write_file(Password, "first"),
    Door = #{port => 0, username => "admin", password => {file, Password}},
    Node = start(Config, #{admin => Door}),
    ?assertEqual(200, status(Node, "first")),
    ok = file:write_file(Password, "second"),
    ?assertEqual({ok, #{applied => [admin], needs_restart => []}}, reload(Node)),
    ?assertEqual(200, status(Node, "second")),
    ?assertEqual(401, status(Node, "first")).

status(Node, Password) ->
    md_wait:until(fun() -> element(1, md_stock:call(Node, mongoose_domain_admin, url, [])) end, ok),
    {ok, Url} = md_stock:call(Node, mongoose_domain_admin, url, []),
    #{host := Host, port := Port} = uri_string:parse(binary_to_list(Url)),
    {Status, _, _} = md_http:request(#{host => Host, port => Port, user => {"admin", Password}}, get, "/metrics", #{}),
    Status.

what_needs_a_restart_is_named_and_left(Config) ->
    Node = start(Config, #{}),
    write(Config, #{host_types => [<<"type1">>, <<"type2">>], hosts => [<<"static.example">>], repeated_operations => error,
                    service_domain_db => service(Config, #{pool_size => 2, visibility_timeout => 7})}),
    ?assertEqual({ok, #{applied => [repeated_operations, [service_domain_db, visibility_timeout]],
                        needs_restart => [host_types, hosts, [service_domain_db, pool_size]]}}, reload(Node)),
    ?assertMatch(#{level := warning, keys := <<"[host_types,hosts,", _/binary>>},
                 md_stock:printed(Node, configuration_needs_restart)),
    ?assertEqual([], md_stock:call(Node, mongoose_domain_api, get_all_static, [])),
    {ok, #{host_types := HostTypes, service_domain_db := Service}} = md_stock:call(Node, mongoose_domain_config, read, []),
    ?assertMatch({[<<"type1">>], #{pool_size := 4, visibility_timeout := 7}}, {HostTypes, Service}).

a_faulty_file_changes_nothing(Config) ->
    Node = start(Config, #{}),
    write(Config, #{repeated_operations => error, hosts => 7}),
    ?assertMatch({error, {wrong_configuration, #{key := hosts, value := 7}}}, reload(Node)),
    _ = md_stock:printed(Node, wrong_configuration),
    File = list_to_binary(?config(file, Config)),
    [begin
         text(Config, Text),
         {error, {not_read, File, Reason}} = at(File, reload(Node)),
         ?assertMatch({Text, {_, _}}, {Text, binary:match(Reason, Words)})
     end || {Text, Words} <- [{"[{mongoose_domain, [{hosts, []}]}\n", <<"1">>}, {"", <<"one list">>}, {"[]. [].", <<"one list">>},
                              {"[mongoose_domain].", <<"neither">>}]],
    ok = file:delete(?config(file, Config)),
    {error, {not_read, File, <<"no such file or directory">>}} = at(File, reload(Node)),
    _ = md_stock:printed(Node, configuration_not_read),
    ?assertEqual(ok, md_stock:call(Node, mongoose_domain_config, repeated_operations, [])).

at(File, {error, {not_read, Path, Reason}}) ->
    {error, {not_read, list_to_binary([Path || list_to_binary(Path) =:= File]), Reason}}.

included_files_and_the_command_line_count_as_at_the_start(Config) ->
    Node = start(Config, #{}, ["-mongoose_domain", "hosts", "[<<\"line.example\">>]"]),
    ok = file:write_file(filename:join(?config(directory, Config), "more.config"),
                         "[{mongoose_domain, [{repeated_operations, error}]}]."),
    Own = [{host_types, [<<"type1">>]}, {hosts, [<<"file.example">>]}, {service_domain_db, service(Config, #{})}],
    text(Config, io_lib:format("~tp.~n", [[{mongoose_domain, Own}, "more"]])),
    ?assertEqual({ok, #{applied => [repeated_operations], needs_restart => []}}, reload(Node)).

a_signal_has_the_node_read_it_and_tell_systemd(Config) ->
    {ok, Systemd} = gen_udp:open(0, [local, {active, false}, {ifaddr, {local, socket()}}]),
    Node = start(Config, #{}),
    true = md_stock:call(Node, os, putenv, ["NOTIFY_SOCKET", socket()]),
    ok = md_stock:call(Node, mongoose_domain_node, start, []),
    ?assertEqual("READY=1", told(Systemd)),
    write(Config, #{repeated_operations => error}),
    signal(Node, "HUP"),
    ?assertEqual("RELOADING=1", told(Systemd)),
    ?assertEqual("READY=1\nSTATUS=the configuration was read", told(Systemd)),
    ?assertEqual(error, md_stock:call(Node, mongoose_domain_config, repeated_operations, [])),
    text(Config, "no term"),
    signal(Node, "HUP"),
    ?assertEqual("RELOADING=1", told(Systemd)),
    ?assertMatch("READY=1\nSTATUS=the configuration is wrong" ++ _, told(Systemd)),
    ?assertEqual(error, md_stock:call(Node, mongoose_domain_config, repeated_operations, [])),
    signal(Node, "TERM"),
    ?assertEqual("STOPPING=1", told(Systemd)),
    md_stock:await_exit(Node).

%% A name of a socket has at most some hundred bytes, and the directory of a test has a longer one.
socket() ->
    "/tmp/mongoose_domain_" ++ os:getpid() ++ ".socket".

told(Systemd) ->
    {ok, {_, _, Text}} = gen_udp:recv(Systemd, 0, ?TOLD),
    Text.

signal(Node, Name) ->
    Pid = md_stock:call(Node, os, getpid, []),
    "" = os:cmd("kill -" ++ Name ++ " " ++ Pid).
