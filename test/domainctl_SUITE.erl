%% `domainctl' for people: short verbs, settings and the program itself, with a real node and database: PostgreSQL, and for
%% the group `mariadb' MariaDB.
-module(domainctl_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, groups/0, suite/0, init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([a_domain_is_added_shown_switched_and_removed/1,
         what_the_server_refuses_is_reported_in_its_words/1,
         a_change_that_may_have_been_made_is_reported_as_such/1,
         a_change_that_was_not_answered_may_have_been_made/1,
         a_removal_is_begun_and_shown/1,
         domains_are_listed_as_a_table_and_as_json/1,
         a_list_is_filtered/1,
         static_domains_are_listed_where_that_is_wanted/1,
         a_long_list_has_every_domain_once/1,
         whoever_stops_reading_ends_a_list_quietly/1,
         freshness_is_declared_and_shown/1,
         nodes_stand_side_by_side/1,
         times_are_as_people_read_them/1,
         a_doctor_fails_where_a_check_finds_something/1,
         one_of_a_thing_is_reported_in_the_singular/1,
         changes_are_shown_as_they_come/1,
         a_watch_survives_the_servers_end/1,
         wrong_credentials_are_refused/1,
         credentials_come_from_a_file_that_nobody_else_may_read/1,
         credentials_do_not_leave_the_machine_unencrypted/1,
         a_private_authority_is_trusted_where_it_is_named/1,
         without_a_server_the_exit_code_is_three/1,
         a_line_that_makes_no_sense_has_the_exit_code_two/1,
         help_lists_every_verb_that_the_documents_name/1,
         localhost_is_found/1,
         the_program_needs_no_library/1,
         completion_and_manual_are_generated/1]).
%% A handler of removals.
-export([remove_domain/2]).

-import(md_door, [environment/1]).
-import(md_domainctl, [command/2, says/3, refused/3, names/2, lines/1, shown/2, newest_event/1]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info] ++ [{group, mariadb}].

groups() ->
    [{mariadb, [a_domain_is_added_shown_switched_and_removed, what_the_server_refuses_is_reported_in_its_words,
                a_removal_is_begun_and_shown, a_list_is_filtered, freshness_is_declared_and_shown,
                a_doctor_fails_where_a_check_finds_something, changes_are_shown_as_they_come]}].

init_per_group(mariadb, Config) ->
    [{kind, mariadb} | Config].

end_per_group(mariadb, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    Opened = md_door:open(Config),
    [{admin, md_command:admin(?config(door, Opened))} | Opened].

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

a_domain_is_added_shown_switched_and_removed(Config) ->
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)),
    says(Config, ["show", "a.example"], "domain     a.example\nhost type  type1\nstatus     enabled\n"),
    says(Config, ["disable", "a.example"], "disabled a.example\n"),
    Json = "{\"domain\":\"a.example\",\"host_type\":\"type1\",\"status\":\"disabled\"}\n",
    says(Config, ["show", "a.example", "--output", "ndjson"], Json),
    says(Config, ["enable", "a.example"], "enabled a.example\n"),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)),
    says(Config, ["remove", "a.example", "type1"], "removed a.example\n"),
    refused(Config, ["show", "a.example"], "Given domain does not exist").

what_the_server_refuses_is_reported_in_its_words(Config) ->
    refused(Config, ["add", "static.example", "type1"], "Domain is static"),
    refused(Config, ["add", "a.example", "type3"], "Unknown host type"),
    refused(Config, ["show", ""], "does not offer this"),
    refused(Config, ["enable", "a.example"], "Given domain does not exist"),
    says(Config, ["add", "--as-is", "a/ü.example", "type1"], "added a/ü.example\n"),
    refused(Config, ["add", "--as-is", "a/ü.example", "type2"], "Domain already exists"),
    refused(Config, ["remove", "a/ü.example", "type2"], "Wrong host type was provided").

a_change_that_may_have_been_made_is_reported_as_such(Config) ->
    #{service_domain_db := Service} = Environment = environment(?config(database, Config)),
    Node = md_node:start(Environment#{service_domain_db := Service#{pool_size => 1, operation_timeout => 5000}}),
    ok = md_node:wait_until_following(Node),
    Admin = md_command:admin(md_http:door(Node)),
    #{exit := 0} = md_command:run(["add", "a.example", "type1"], Admin),
    ok = md_rows:lock(?config(client, Config)),
    [begin
         #{exit := 1, out := <<>>, err := Err} = md_command:run(Args, Admin),
         ?assertMatch({_, _}, binary:match(Err, <<"the change may have been made all the same">>), Err)
     end || Args <- [["disable", "a.example"], ["add", "b.example", "type1"]]],
    ok = md_rows:unlock(?config(client, Config)).

a_change_that_was_not_answered_may_have_been_made(Config) ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listening),
    spawn_link(fun Accept() ->
        {ok, Socket} = gen_tcp:accept(Listening),
        {ok, _Request} = gen_tcp:recv(Socket, 0),
        ok = gen_tcp:close(Socket),
        Accept()
    end),
    Told = fun(Args, Number) ->
        #{exit := 3, out := <<>>, err := Err} =
            command(Config, ["--url", lists:concat(["http://127.0.0.1:", Number]) | Args]),
        binary:match(Err, <<"; the change may have been made all the same">>) =/= nomatch
    end,
    Add = ["add", "a.example", "type1"],
    ?assertEqual([true, false, false], [Told(Add, Port), Told(["list"], Port), Told(Add, 1)]).

a_removal_is_begun_and_shown(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, persistent_term, put, [?MODULE, wait]),
    ok = md_node:call(Node, mongoose_domain_removal, register_handler, [<<"type1">>, ?MODULE, 50]),
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    says(Config, ["remove", "--no-wait", "a.example", "type1"], "removing a.example\n"),
    md_wait:until(fun() ->
        #{exit := 0, out := Out} = command(Config, ["show", "a.example"]),
        binary:match(Out, <<"removal    running, 0 of 1 handlers done">>) =/= nomatch
    end),
    ok = md_node:call(Node, persistent_term, put, [?MODULE, pass]),
    md_wait:until(fun() -> maps:get(exit, command(Config, ["show", "a.example"])) end, 1).

domains_are_listed_as_a_table_and_as_json(Config) ->
    says(Config, ["list"], "DOMAIN  HOST TYPE  STATUS\n"),
    says(Config, ["list", "--output", "json"], "[]\n"),
    add_rows(Config, [{"1.example", 1}, {"2.example", 0}]),
    says(Config, ["list"], ["DOMAIN     HOST TYPE  STATUS\n", "1.example  type1      enabled\n",
                            "2.example  type1      disabled\n"]),
    [One, Two] = ["{\"domain\":\"1.example\",\"host_type\":\"type1\",\"status\":\"enabled\"}",
                  "{\"domain\":\"2.example\",\"host_type\":\"type1\",\"status\":\"disabled\"}"],
    says(Config, ["list", "--output", "ndjson"], [One, "\n", Two, "\n"]),
    says(Config, ["list", "--output", "json"], ["[\n  ", One, ",\n  ", Two, "\n]\n"]).

a_list_is_filtered(Config) ->
    add_rows(Config, [{"1.example", 1}, {"2.example", 0}, {"3.example", 1}, {"4.example", 0}]),
    says(Config, ["add", "--as-is", "x&y.example", "type2"], "added x&y.example\n"),
    ?assertEqual([<<"1.example">>, <<"3.example">>, <<"x&y.example">>], names(Config, ["--status", "enabled"])),
    ?assertEqual([<<"x&y.example">>], names(Config, ["--host-type", "type2"])),
    ?assertEqual([<<"x&y.example">>], names(Config, ["--prefix", "x&"])),
    ?assertEqual([], names(Config, ["--prefix", "x", "--status", "disabled"])).

static_domains_are_listed_where_that_is_wanted(Config) ->
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    Listed = ["DOMAIN          HOST TYPE    STATUS   TYPE\n", "static.example  static type  enabled  static\n",
              "a.example       type1        enabled  dynamic\n"],
    #{exit := 0, out := Out} = command(Config, ["list", "--static"]),
    ?assertEqual(lines(list_to_binary(Listed)), lines(Out)),
    Ndjson = ["{\"domain\":\"static.example\",\"host_type\":\"static type\",\"status\":\"enabled\",",
              "\"type\":\"static\"}\n"],
    says(Config, ["list", "--static", "--output", "ndjson", "--prefix", "static"], Ndjson),
    ?assertEqual([<<"a.example">>], names(Config, ["--static", "--host-type", "type1"])),
    ?assertEqual([], names(Config, ["--static", "--status", "disabled"])).

a_long_list_has_every_domain_once(Config) ->
    add_rows(Config, [{[integer_to_list(N), ".example"], 1} || N <- lists:seq(1, 2500)]),
    Names = names(Config, []),
    ?assertEqual(2500, length(Names)),
    ?assertEqual(2500, length(lists:usort(Names))).

whoever_stops_reading_ends_a_list_quietly(Config) ->
    add_rows(Config, [{["a-rather-long-name-", integer_to_list(N), ".example"], 1} || N <- lists:seq(1, 20000)]),
    Shell = "{ \"$0\" list; echo \"exit $?\" >&2; } | head -n 1",
    #{exit := 0, out := Out, err := Err} = md_command:run_shell(Shell, ?config(admin, Config)),
    ?assertMatch(<<"DOMAIN ", _/binary>>, Out),
    ?assertEqual(<<"exit 0\n">>, Err).

freshness_is_declared_and_shown(Config) ->
    says(Config, ["fresh", "type1", "forever"], "declared type1 complete for ever\n"),
    says(Config, ["fresh", "type2", "1h"], "declared type2 complete for 3600 s\n"),
    ?assertMatch({ok, [_, _]}, md_node:call(?config(node, Config), mongoose_domain_freshness, list, [])),
    #{exit := 0, out := Out} = command(Config, ["fresh"]),
    ?assertMatch([[<<"HOST">> | _], [<<"type1">>, <<"fresh">>, <<"for">>, <<"ever">>], [<<"type2">>, <<"fresh">>, _]],
                 lines(Out)),
    usage(Config, ["fresh", "type1", "1w"]),
    usage(Config, ["fresh", "type1"]).

nodes_stand_side_by_side(Config) ->
    Url = proplists:get_value("DOMAINCTL_URL", ?config(admin, Config)),
    Other = md_node:start(environment(?config(database, Config))),
    ok = md_node:wait_until_following(Other),
    OtherUrl = proplists:get_value("DOMAINCTL_URL", md_command:admin(md_http:door(Other))),
    [md_wait:until(fun() ->
         #{exit := Exit, out := Out} = command(Config, ["status", "--node", Url, "--node", Second]),
         lists:member([<<"follower.state">>, <<"following">>, There], lines(Out))
     end) || {Second, There, Exit} <- [{OtherUrl, <<"following">>, 0}, {"http://127.0.0.1:1", <<"-">>, 3}]],
    #{exit := 0, out := Json} = command(Config, ["status", "--output", "json"]),
    ?assertMatch({_, _}, binary:match(Json, <<"\"state\": \"following\"">>)).

times_are_as_people_read_them(Config) ->
    #{exit := 0, out := Table} = command(Config, ["status"]),
    Time = "20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC, \\d+ \\w+ ago\n",
    ?assertMatch({match, _}, re:run(Table, ["follower.since +", Time])),
    #{exit := 0, out := Json} = command(Config, ["status", "--output", "json"]),
    ?assertMatch({match, _}, re:run(Json, "\"since\": \\d{13},")).

a_doctor_fails_where_a_check_finds_something(Config) ->
    #{exit := 0, out := Well} = command(Config, ["doctor"]),
    ?assertEqual(nomatch, re:run(Well, "FAILED|warning")),
    [] = md_client:query(?config(client, Config),
                         "INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type9')"),
    #{exit := 1, out := Unwell} = command(Config, ["doctor"]),
    ?assertMatch({_, _}, binary:match(Unwell, <<"warning  ">>)),
    #{exit := 1, out := Json} = command(Config, ["doctor", "--output", "json"]),
    ?assertMatch({_, _}, binary:match(Json, <<"\"state\": \"warning\"">>)),
    ?assertEqual(length(binary:matches(Unwell, <<"\nok  ">>)) + 1,
                 length(binary:matches(Json, <<"\"state\": \"ok\"">>))),
    ok = md_rows:hide(?config(client, Config)),
    #{exit := 1, out := Ill} = command(Config, ["doctor"]),
    ?assertMatch({_, _}, binary:match(Ill, <<"FAILED   database">>)).

one_of_a_thing_is_reported_in_the_singular(Config) ->
    #{out := None} = command(Config, ["doctor"]),
    [?assertMatch({_, _}, binary:match(None, Words)) || Words <- [<<"table: 1 domain in">>, <<"answers, 0 rows\n">>]],
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    #{out := One} = command(Config, ["doctor"]),
    [?assertMatch({_, _}, binary:match(One, Words)) || Words <- [<<"table: 2 domains in">>, <<"answers, 1 row\n">>]],
    File = filename:join(?config(priv_dir, Config), "one.csv"),
    #{out := Exported} = command(Config, ["export", File]),
    ?assertMatch(<<"exported 1 domain to ", _/binary>>, Exported),
    ok = file:write_file(File, "a.example,type1\n"),
    #{out := Looked} = command(Config, ["import", File, "--dry-run"]),
    ?assertMatch(<<"1 domain to import, 0 lines make no sense; ", _/binary>>, Looked),
    #{out := Imported} = command(Config, ["import", File]),
    ?assertMatch(<<"accepted 1, refused 0; 1 line in ", _/binary>>, Imported).

changes_are_shown_as_they_come(Config) ->
    Before = list_to_integer(binary_to_list(newest_event(Config))),
    Watch = md_command:start(["watch", "--after", integer_to_list(Before)], ?config(admin, Config)),
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    shown(Watch, <<"  a.example  type1  enabled\n">>),
    says(Config, ["remove", "a.example", "type1"], "removed a.example\n"),
    shown(Watch, <<"  a.example  gone\n">>),
    ?assertNotEqual(0, md_command:stop(Watch)).

a_watch_survives_the_servers_end(Config) ->
    Watch = md_command:start(["watch", "--after", newest_event(Config), "--output", "ndjson"], ?config(admin, Config)),
    says(Config, ["add", "a.example", "type1"], "added a.example\n"),
    shown(Watch, <<"\"domain\":\"a.example\"">>),
    Node = ?config(node, Config),
    #{port := Port} = ?config(door, Config),
    Admin = maps:get(admin, environment(?config(database, Config))),
    ok = md_node:stop_application(Node),
    ok = md_node:start_application(Node, (environment(?config(database, Config)))#{admin => Admin#{port => Port}}),
    md_wait:until(fun() -> maps:get(exit, command(Config, ["add", "b.example", "type1"])) end, 0),
    shown(Watch, <<"\"domain\":\"b.example\"">>),
    _ = md_command:stop(Watch),
    ?assertEqual(1, length(binary:matches(md_command:output(Watch), <<"a.example">>))).

wrong_credentials_are_refused(Config) ->
    Wrong = lists:keystore("DOMAINCTL_PASSWORD", 1, ?config(admin, Config), {"DOMAINCTL_PASSWORD", "geheim"}),
    #{exit := 1, out := <<>>, err := Err} = md_command:run(["list"], Wrong),
    ?assertEqual(nomatch, binary:match(Err, <<"geheim">>)),
    #{exit := 2} = md_command:run(["list"], lists:keydelete("DOMAINCTL_PASSWORD", 1, ?config(admin, Config))).

credentials_come_from_a_file_that_nobody_else_may_read(Config) ->
    File = filename:join(?config(priv_dir, Config), "config.toml"),
    Url = proplists:get_value("DOMAINCTL_URL", ?config(admin, Config)),
    ok = file:write_file(File, ["url = \"", Url, "\"\nusername = \"admin\"\npassword = \"secret\"\n"]),
    ok = file:change_mode(File, 8#640),
    #{exit := 2, out := <<>>, err := Err} = md_command:run(["--config", File, "list"], []),
    ?assertMatch({_, _}, binary:match(Err, <<"chmod 600">>)),
    ok = file:change_mode(File, 8#600),
    ?assertMatch(#{exit := 0}, md_command:run(["--config", File, "list"], [])),
    ?assertMatch(#{exit := 0}, md_command:run(["list", "--config", File], [])).

credentials_do_not_leave_the_machine_unencrypted(Config) ->
    #{exit := 2, err := Err} = command(Config, ["--url", "http://192.0.2.1:8088", "list"]),
    ?assertMatch({_, _}, binary:match(Err, <<"--insecure">>)),
    usage(Config, ["--password", "secret", "list"]).

a_private_authority_is_trusted_where_it_is_named(Config) ->
    Dir = ?config(priv_dir, Config),
    Authority = md_tls:authority("an authority"),
    Trusted = md_tls:write_authority(Dir, "authority", Authority),
    Other = md_tls:write_authority(Dir, "other", md_tls:authority("another authority")),
    Files = #{key := Key} = md_tls:write(Dir, "door", md_tls:issue(Authority, [{dNSName, "localhost"}])),
    #{admin := Admin} = Environment = environment(?config(database, Config)),
    #{port := Port} = md_http:door(md_node:start(Environment#{admin => Admin#{tls => Files}})),
    Url = fun(Host) -> lists:concat(["https://", Host, ":", Port]) end,
    ?assertMatch(#{exit := 0}, command(Config, ["--url", Url("localhost"), "--ca-file", Trusted, "list"])),
    [?assertMatch(#{exit := 3, out := <<>>}, command(Config, ["--url", Url(Host) | Args]))
     || {Host, Args} <- [{"localhost", ["list"]}, {"localhost", ["--ca-file", Other, "list"]},
                         {"127.0.0.1", ["--ca-file", Trusted, "list"]}]],
    [usage(Config, ["--url", Url("localhost"), "--ca-file", File, "list"]) || File <- [Key, Dir ++ "/nowhere.pem"]].

without_a_server_the_exit_code_is_three(Config) ->
    [?assertMatch(#{exit := 3, out := <<>>}, command(Config, ["--url", Url | Args]))
     || Url <- ["http://127.0.0.1:1", "https://nowhere.invalid"],
        Args <- [["list"], ["add", "a.example", "type1"], ["watch"]]].

a_line_that_makes_no_sense_has_the_exit_code_two(Config) ->
    [usage(Config, Args)
     || Args <- [["add"], ["list", "--output", "xml"], ["--url", "x", "list"], ["add", "a", "b", "c"]]],
    #{exit := 2, out := Help} = command(Config, ["lst"]),
    ?assertMatch({_, _}, binary:match(Help, <<"domainctl --help">>)).

help_lists_every_verb_that_the_documents_name(_Config) ->
    {ok, Text} = file:read_file(filename:join([code:lib_dir(mongoose_domain), "..", "..", "..", "..", "docs", "operations.md"])),
    Found = [global, {capture, all_but_first, binary}],
    {match, [[Named]]} = re:run(Text, "`domainctl help` lists its verbs \\(([^)]*)\\)", Found),
    {match, Verbs} = re:run(Named, "`([a-z]+)`", Found),
    #{exit := 0, out := Help} = md_command:run(["help"], []),
    [?assertMatch({match, _}, re:run(Help, ["\n  ", Verb, "  "])) || [Verb] <- Verbs].

localhost_is_found(Config) ->
    #{port := Port} = ?config(door, Config),
    ?assertMatch(#{exit := 0}, command(Config, ["--url", lists:concat(["http://localhost:", Port]), "list"])).

%% An ELF file that uses shared libraries names its dynamic linker in a segment of type PT_INTERP (3).
the_program_needs_no_library(_Config) ->
    case file:read_file(md_command:program()) of
        {ok, <<16#7f, "ELF", 2, 1, _:26/binary, Offset:64/little, _:14/binary, Size:16/little, Count:16/little,
               _/binary>> = Elf} ->
            Type = fun(N) -> binary:decode_unsigned(binary:part(Elf, Offset + N * Size, 4), little) end,
            Types = [Type(N) || N <- lists:seq(0, Count - 1)],
            ?assert(lists:member(1, Types)), % PT_LOAD: these are the headers
            ?assertNot(lists:member(3, Types));
        {ok, _} ->
            {skip, "this system's programs are not 64-bit ELF"}
    end.

completion_and_manual_are_generated(_Config) ->
    [begin
         #{exit := 0, out := Script} = md_command:run(["completion", Shell], []),
         ?assertMatch({_, _}, binary:match(Script, <<"requestRemoveDomain">>))
     end || Shell <- ["bash", "zsh", "fish"]],
    [begin
         #{exit := 0, out := Page} = md_command:run(["man" | Verb], []),
         ?assertMatch({_, _}, binary:match(Page, <<".TH ">>))
     end || Verb <- [[], ["import"]]],
    ?assertMatch(#{exit := 2}, md_command:run(["man", "nothing"], [])).

usage(Config, Args) ->
    ?assertMatch(#{exit := 2, out := <<>>}, command(Config, Args)).

add_rows(Config, Rows) ->
    Values = [["('", Name, "', 'type1', ", integer_to_list(Status), ")"] || {Name, Status} <- Rows],
    [] = md_client:query(?config(client, Config),
                         ["INSERT INTO domain_settings (domain, host_type, status) VALUES ", lists:join(", ", Values)]).

remove_domain(_HostType, Domain) ->
    case persistent_term:get(?MODULE) of
        pass -> ok;
        wait -> timer:sleep(20), remove_domain(a_type, Domain)
    end.
