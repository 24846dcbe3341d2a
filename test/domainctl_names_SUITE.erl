%% Names as input and output: `domainctl' accepts every name that a request can carry, prints the stored name, and
%% writes no control characters to a terminal.
-module(domainctl_names_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([what_is_stored_is_what_is_said/1,
         a_name_that_no_request_can_carry_is_refused_with_the_one_that_was_meant/1,
         nothing_that_is_shown_steers_a_terminal/1,
         a_refused_line_is_a_file_as_it_was_and_on_a_terminal_escaped/1,
         a_doctor_names_two_tenants_with_one_name/1]).

-import(md_domainctl, [command/2, says/3, refused/3, names/2, lines/1, shown/2, newest_event/1]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    Opened = md_door:open(Config),
    [{admin, md_command:admin(?config(door, Opened))} | Opened].

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

what_is_stored_is_what_is_said(Config) ->
    Node = ?config(node, Config),
    [begin
         says(Config, ["add", Typed, "type1"], ["added ", Stored, "\n"]),
         ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, unicode:characters_to_binary(Stored))),
         says(Config, ["disable", Typed], ["disabled ", Stored, "\n"]),
         #{exit := 0, out := Shown} = command(Config, ["show", Typed, "--output", "ndjson"]),
         ?assertMatch({_, _}, binary:match(Shown, unicode:characters_to_binary(["\"", Stored, "\""]))),
         says(Config, ["remove", Typed, "type1"], ["removed ", Stored, "\n"])
     end || {Typed, Stored} <- [{"A.Example", "a.example"}, {"Straße.example", "strasse.example"},
                                {"ドメイン。Example", "ドメイン.example"}, {"ド．example", "ド.example"},
                                {"ド｡example", "ド.example"}]],
    says(Config, ["add", "--as-is", "ド。example", "type1"], "added ド。example\n"),
    says(Config, ["remove", "--as-is", "ド。example", "type1"], "removed ド。example\n").

a_name_that_no_request_can_carry_is_refused_with_the_one_that_was_meant(Config) ->
    Names = [{"https://a.example/", "a.example"}, {"user@a.example", "a.example"}, {"a.example.", "a.example"},
             {"a..b", "a.b"}, {"*.a.example", "a.example"}, {"a.example:5222", "a.example"},
             {" a.example ", "a.example"}, {"a.example/x", "a.example"}, {"a.example。", "a.example"}],
    [begin
         refused(Config, ["add", Name, "type1"], [Meant, " was probably meant"]),
         #{exit := 1, out := Out, err := Err} =
             md_command:run(["import", "-"], ?config(admin, Config),
                            unicode:characters_to_binary(["\"", Name, "\",type1\n"])),
         ?assertMatch(<<"accepted 0, refused 1; ", _/binary>>, Out),
         ?assertMatch({_, _}, binary:match(Err, list_to_binary([Meant, " was probably meant"])))
     end || {Name, Meant} <- Names],
    refused(Config, ["add", "", "type1"], "it is empty"),
    ?assertEqual([], names(Config, [])),
    [says(Config, ["add", "--as-is", Name, "type1"], ["added ", Name, "\n"]) || {Name, _} <- Names],
    %% The doors accept the names that nameprep accepts.
    ?assertMatch({204, _, _}, md_http:request(?config(door, Config), put, "/api/domains/b..c",
                                              #{json => "{\"host_type\": \"type1\"}"})).

nothing_that_is_shown_steers_a_terminal(Config) ->
    Name = <<"x\e[2j\n\t\r\x7fy.example">>,
    Client = ?config(client, Config),
    [] = md_client:query(Client, ["INSERT INTO domain_settings (domain, host_type) VALUES (", md_rows:text(Client, Name),
                                  ", 'type1'), ('z.example', ",
                                  md_rows:text(Client, <<"type\e[2j\x{9b}2J\x{202e}"/utf8>>), ")"]),
    Before = newest_event(Config),
    Watch = md_command:start(["watch", "--after", Before], ?config(admin, Config)),
    says(Config, ["disable", Name], "disabled x\\u{1b}[2j\\n\\t\\r\\u{7f}y.example\n"),
    shown(Watch, <<"y.example  type1  disabled\n">>),
    _ = md_command:stop(Watch),
    Refused = <<"\"", Name/binary, "\",\e[2jtype9\n">>,
    Results = [command(Config, Args)
               || Args <- [["list"], ["list", "--output", "json"], ["list", "--output", "ndjson"], ["show", Name],
                           ["show", "z.example"], ["doctor"], ["doctor", "--output", "json"], ["add", Name, "type1"],
                           ["show", <<"\e[2j">>], ["fresh", <<"type1\e[2j">>, "1h"], ["status"],
                           ["export", "--format", "ndjson"],
                           ["graphql", "{domain {allDomains {domain hostType}}}"], ["import", <<"\e[2j">>]]]
        ++ [md_command:run(["import", "-", "--dry-run"], ?config(admin, Config), Refused)],
    Obeyed = "[\\x{0}-\\x{9}\\x{b}-\\x{1f}\\x{7f}-\\x{9f}\\x{202e}]",
    [?assertEqual(nomatch, re:run([Out, Err], Obeyed, [unicode]), {Out, Err})
     || #{out := Out, err := Err} <- [#{out => md_command:output(Watch), err => <<>>} | Results]],
    ?assertEqual(3, length(lines(maps:get(out, hd(Results))))).

a_refused_line_is_a_file_as_it_was_and_on_a_terminal_escaped(Config) ->
    Line = <<"\e[2jx.example,type1\n">>,
    #{exit := 1, err := Err} = md_command:run(["import", "-"], ?config(admin, Config), Line),
    ?assertMatch({_, _}, binary:match(Err, <<"\n", Line/binary>>)),
    [Pipe, File] = [filename:join(?config(priv_dir, Config), Name) || Name <- ["pipe", "lines"]],
    ok = file:write_file(File, Line),
    Terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)",
    #{exit := 1, out := Shown} =
        md_command:run_shell(["mkfifo ", Pipe, " && { cat ", File, " >", Pipe, " & ", os:find_executable("python3"),
                              " -c '", Terminal, "' \"$0\" import ", Pipe, "; }"], ?config(admin, Config)),
    ?assertMatch({_, _}, binary:match(Shown, <<"\n\\u{1b}[2jx.example,type1\r\n">>)).

a_doctor_names_two_tenants_with_one_name(Config) ->
    Add = fun(Names) -> [says(Config, ["add", Name, "type1"], ["added ", Name, "\n"]) || Name <- Names] end,
    Doctor = fun() -> maps:get(out, command(Config, ["doctor"])) end,
    Add(["im.plä.example", "xn--pl-wia.example", "пример.рф", "xn--e1afmkfd.com"]),
    ?assertMatch({_, _}, binary:match(Doctor(), <<"ok       names: none is there in two spellings\n">>)),
    Add(["im.xn--pl-wia.example"]),
    One = <<"warning  names: 1 name is there in two spellings: im.plä.example and im.xn--pl-wia.example\n"/utf8>>,
    ?assertMatch({_, _}, binary:match(Doctor(), One)),
    %% Names whose labels mix both spellings count as the same, too.
    Add(["xn--e1afmkfd.рф", "пример.xn--p1ai"]),
    ?assertMatch({_, _}, binary:match(Doctor(), <<"names: 4 names are there in two spellings: ">>)),
    {200, _, Json} = md_http:request(?config(door, Config), get, "/api/doctor", #{}),
    ?assertMatch({_, _}, binary:match(Json, <<"im.plä.example and im.xn--pl-wia.example"/utf8>>)),
    says(Config, ["disable", "im.plä.example"], "disabled im.plä.example\n"),
    ?assertMatch({_, _}, binary:match(Doctor(), <<"names: 3 names are there in two spellings: ">>)).
