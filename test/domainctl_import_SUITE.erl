%% `domainctl import' and `export': many domains, refused lines and interruptions, with a real node and PostgreSQL.
-module(domainctl_import_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([all_domains_of_a_file_are_imported/1,
         refused_lines_can_be_corrected_and_imported/1,
         batches_under_way_at_the_same_time_keep_the_order_of_the_file/1,
         a_line_that_the_database_refuses_is_written_with_its_reason/1,
         ndjson_and_standard_input_are_read_too/1,
         a_dry_run_sends_nothing/1,
         a_killed_import_goes_on_and_every_domain_is_there_once/1,
         a_file_that_changed_is_imported_anew/1,
         an_import_outlives_the_servers_end/1,
         an_import_without_a_server_gives_up_and_keeps_its_progress/1,
         wrong_credentials_import_nothing/1,
         what_was_exported_is_imported_again/1,
         what_is_malformed_is_never_taken_for_a_name/1,
         spreadsheets_are_read_as_they_are_written/1,
         a_json_array_is_read_like_its_lines/1,
         a_file_whose_columns_are_not_known_is_not_imported/1,
         every_name_and_status_comes_back_from_an_export/1,
         a_disabled_domain_is_never_served_on_its_way/1,
         a_status_is_what_the_domain_has_afterwards/1]).

-import(md_domainctl, [command/2]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(Case, Config) ->
    Opened = md_door:open(Config),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    ok = file:make_dir(Directory),
    [{admin, md_command:admin(?config(door, Opened))}, {file, filename:join(Directory, "domains.csv")} | Opened].

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

all_domains_of_a_file_are_imported(Config) ->
    write(Config, ["domain,host_type\n", rows(1, 5000)]),
    imported(Config, 0, "accepted 5000, refused 0; 5001 lines in "),
    ?assertEqual({5000, 5000}, counted(Config)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"d5000.example">>)),
    ?assertEqual(["domains.csv"], files(Config)).

refused_lines_can_be_corrected_and_imported(Config) ->
    write(Config, ["host_type,domain\ntype1,a.example\ntype9,b.example\n\ntype1,static.example\njust one\n",
                   "type2,c.example\n"]),
    imported(Config, 1, "accepted 2, refused 3; 7 lines in "),
    Refused = ?config(file, Config) ++ ".refused",
    {ok, Text} = file:read_file(Refused),
    Wanted = <<"host_type,domain\n# line 3: Unknown host type\ntype9,b.example\n# line 5: Domain is static\n"
               "type1,static.example\n# line 6: the line has no domain and host type, separated by a comma\n"
               "just one\n">>,
    ?assertEqual(Wanted, Text),
    Corrected = binary:replace(Text, [<<"type9">>], <<"type2">>),
    ok = file:write_file(Refused, Corrected),
    #{exit := 1, out := Out} = command(Config, ["import", Refused, "--format", "csv"]),
    ?assertMatch(<<"accepted 1, refused 2; ", _/binary>>, Out),
    ?assertEqual({3, 3}, counted(Config)).

%% The last line of a batch and the first of the next one have the same name. Each batch has a line that is refused.
batches_under_way_at_the_same_time_keep_the_order_of_the_file(Config) ->
    Twice = fun(Number) -> io_lib:format("twice-~b.example", [Number]) end,
    Batch = fun(Number) ->
        [[Twice(Number - 1), ",type2\n"], rows(Number * 1000 + 1, Number * 1000 + 997), [Twice(Number), ",type1\n"],
         io_lib:format("refused-~b.example,type9\n", [Number])]
    end,
    write(Config, lists:map(Batch, lists:seq(1, 20))),
    imported(Config, 1, "accepted 19961, refused 39; 20000 lines in "),
    {ok, Text} = file:read_file(?config(file, Config) ++ ".refused"),
    {match, Found} = re:run(Text, "^# line ([0-9]+): ", [global, multiline, {capture, all_but_first, list}]),
    Numbers = [list_to_integer(Number) || [Number] <- Found],
    ?assertEqual({39, lists:sort(Numbers)}, {length(Numbers), Numbers}),
    Node = ?config(node, Config),
    [?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, iolist_to_binary(Twice(Number)))) || Number <- lists:seq(1, 20)],
    ?assertEqual({ok, <<"type2">>}, md_node:lookup(Node, iolist_to_binary(Twice(0)))).

a_line_that_the_database_refuses_is_written_with_its_reason(Config) ->
    [] = md_client:query(?config(client, Config),
                         "ALTER TABLE domain_settings ADD CONSTRAINT no_underscore CHECK (position('_' in domain) = 0)"),
    write(Config, [rows(1, 700), "a_b.example,type1\n", rows(701, 1500)]),
    imported(Config, 1, "accepted 1500, refused 1; 1501 lines in "),
    {ok, Refused} = file:read_file(?config(file, Config) ++ ".refused"),
    ?assertMatch({match, _}, re:run(Refused, "^# line 701: .*no_underscore.*\na_b.example,type1\n$")),
    imported(Config, 1, "accepted 1500, refused 1; 1501 lines in ").

ndjson_and_standard_input_are_read_too(Config) ->
    Object = fun(N, Type) -> io_lib:format("{\"host_type\": \"~s\", \"domain\": \"n~b.example\"}\n", [Type, N]) end,
    Lines = [Object(1, "type1"), Object(2, "type9"), "{\n", Object(3, "type2")],
    #{exit := 1, out := Out, err := Err} =
        md_command:run(["import", "-", "--format", "ndjson"], ?config(admin, Config), Lines),
    ?assertMatch(<<"accepted 2, refused 2; 4 lines", _/binary>>, Out),
    ?assertMatch({_, _}, binary:match(Err, <<"# line 2: Unknown host type\n">>)),
    ?assertEqual({2, 2}, counted(Config)),
    File = filename:rootname(?config(file, Config)) ++ ".ndjson",
    ok = file:write_file(File, [Object(N, "type1") || N <- lists:seq(10, 20)]),
    #{exit := 0} = command(Config, ["import", File]),
    ?assertEqual({13, 13}, counted(Config)).

a_dry_run_sends_nothing(Config) ->
    write(Config, [rows(1, 50), "a.example,\n"]),
    Nobody = ["--url", "http://127.0.0.1:1"],
    #{exit := 1, out := Out, err := Err} = command(Config, ["import", ?config(file, Config), "--dry-run" | Nobody]),
    ?assertEqual(<<"50 domains to import, 1 line makes no sense; nothing was sent\n"
                   "read as CSV, cells separated by a comma, columns domain, host_type, status\n">>, Out),
    ?assertEqual(<<"line 51: the host type is empty\n">>, Err),
    ?assertEqual(["domains.csv"], files(Config)),
    write(Config, rows(1, 50)),
    ?assertMatch(#{exit := 0}, command(Config, ["import", ?config(file, Config), "--dry-run"])),
    ?assertEqual({0, 0}, counted(Config)).

a_killed_import_goes_on_and_every_domain_is_there_once(Config) ->
    write(Config, [rows(1, 2500), "static.example,type1\n", rows(2501, 5000)]),
    killed_in_the_middle(Config),
    {Some, Some} = counted(Config),
    ?assert(Some >= 1000 andalso Some < 5000, Some),
    #{exit := 1, out := Out} = command(Config, ["import", ?config(file, Config)]),
    ?assertMatch({_, _}, binary:match(Out, <<"accepted 5000, refused 1 (the first ">>)),
    ?assertEqual({5000, 5000}, counted(Config)),
    ?assertEqual(["domains.csv", "domains.csv.refused"], files(Config)),
    ?assertEqual({ok, <<"# line 2501: Domain is static\nstatic.example,type1\n">>},
                 file:read_file(?config(file, Config) ++ ".refused")).

a_file_that_changed_is_imported_anew(Config) ->
    write(Config, rows(1, 3000)),
    killed_in_the_middle(Config),
    write(Config, rows(100001, 100010)),
    imported(Config, 0, "accepted 10, refused 0; 10 lines in ").

an_import_outlives_the_servers_end(Config) ->
    write(Config, rows(1, 5000)),
    Node = ?config(node, Config),
    #{port := Port} = ?config(door, Config),
    Self = self(),
    Admin = ?config(admin, Config),
    held_in_the_middle(Config, fun() ->
        _ = spawn_link(fun() -> Self ! {imported, md_command:run(["import", ?config(file, Config)], Admin)} end),
        md_wait:until(fun() -> filelib:is_regular(?config(file, Config) ++ ".progress") end),
        ok = md_node:stop_application(Node)
    end),
    ok = md_node:start_application(Node, md_door:environment(?config(database, Config), #{port => Port})),
    receive
        {imported, Result} -> ?assertMatch(#{exit := 0, out := <<"accepted 5000, refused 0; ", _/binary>>}, Result)
    end,
    ?assertEqual({5000, 5000}, counted(Config)).

an_import_without_a_server_gives_up_and_keeps_its_progress(Config) ->
    write(Config, rows(1, 10)),
    #{exit := 3, out := <<"accepted 0, refused 0; ", _/binary>>} =
        command(Config, ["import", ?config(file, Config), "--patience", "0", "--url", "http://127.0.0.1:1"]),
    imported(Config, 0, "accepted 10, refused 0; ").

wrong_credentials_import_nothing(Config) ->
    write(Config, rows(1, 10)),
    Wrong = lists:keystore("DOMAINCTL_PASSWORD", 1, ?config(admin, Config), {"DOMAINCTL_PASSWORD", "wrong"}),
    ?assertMatch(#{exit := 1}, md_command:run(["import", ?config(file, Config)], Wrong)),
    ?assertEqual({0, 0}, counted(Config)).

what_was_exported_is_imported_again(Config) ->
    write(Config, ["\"a,b.example\",type1\n", rows(1, 1500)]),
    imported(Config, 1, "accepted 1500, refused 1; "),
    #{exit := 0} = command(Config, ["import", "--as-is", ?config(file, Config)]),
    [begin
         File = filename:join(filename:dirname(?config(file, Config)), Name),
         #{exit := 0, out := Out} = command(Config, ["export", File]),
         ?assertMatch(<<"exported 1501 domains to ", _/binary>>, Out),
         [] = md_client:query(?config(client, Config), "DELETE FROM domain_settings"),
         Imported = command(Config, ["import", File]),
         ?assertMatch(#{exit := 0, out := <<"accepted 1501, refused 0; ", _/binary>>}, Imported),
         ?assertEqual({1501, 1501}, counted(Config))
     end || Name <- ["all.csv", "all.ndjson"]],
    #{exit := 0, out := Some} = command(Config, ["export", "--prefix", "d150", "--format", "csv"]),
    ?assertEqual(<<"domain,host_type,status\nd150.example,type1,enabled\nd1500.example,type1,enabled\n">>, Some).

what_is_malformed_is_never_taken_for_a_name(Config) ->
    write(Config, ["Host Type , DOMAIN\n", "type1,a.example\n", "type1,\"x\nline.example\"\n", "type1,b\".example\n",
                   "type1,\"c\".example\n", "type1 c2.example\n", ",\n", "type1,d.example,more\n",
                   "type1,\"e.example\n", "type1,f.example\n"]),
    imported(Config, 1, "accepted 2, refused 6; 11 lines in "),
    ?assertEqual([<<"a.example">>, <<"f.example">>], lists:sort(maps:keys(rows(Config)))),
    {ok, Refused} = file:read_file(?config(file, Config) ++ ".refused"),
    ?assertMatch(<<"Host Type , DOMAIN\n# line 3: no request can carry the name \"x\\nline.example\": ", _/binary>>, Refused),
    [?assertMatch({_, _}, binary:match(Refused, Line))
     || Line <- [<<"\ntype1,\"x\nline.example\"\n">>, <<"# line 5: malformed CSV: a quotation mark inside a cell\n">>,
                 <<"# line 6: malformed CSV: something behind a closing quotation mark\n">>,
                 <<"# line 9: the line has 3 cells and not 2\n">>,
                 <<"# line 10: malformed CSV: ">>]],
    %% A second import refuses the lines for the same reasons.
    #{exit := 1, out := Out} = command(Config, ["import", ?config(file, Config) ++ ".refused"]),
    ?assertMatch(<<"accepted 0, refused 6; ", _/binary>>, Out).

%% Python's module csv writes the format of Excel.
spreadsheets_are_read_as_they_are_written(Config) ->
    Python = os:find_executable("python3"),
    Wanted = #{<<"ü.example"/utf8>> => {<<"type1">>, enabled}, <<"b.example">> => {<<"type2">>, enabled}},
    [begin
         Script = ["import csv, sys; out = open(sys.argv[1], 'w', newline='', encoding='", Encoding, "'); ", First,
                   "csv.writer(out, ", Dialect, ").writerows([['Host Type', ' Domain', 'Note'], "
                   "['type1', '\\u00fc.example', 'a, \"b\"; c\\n\\td'], ['', '', ''], ['type2', 'b.example', '']])"],
         #{exit := 0} = md_command:run_shell([Python, " -c \"$SCRIPT\" ", ?config(file, Config)],
                                             [{"SCRIPT", lists:flatten(Script)}]),
         #{exit := 0, out := Out} = command(Config, ["import", ?config(file, Config)]),
         ?assertMatch(<<"accepted 2, refused 0; ", _/binary>>, Out),
         Read = ["read as CSV, cells separated by ", Cells, ", columns as the first line names them", In, "\n"],
         ?assertMatch({_, _}, binary:match(Out, list_to_binary(Read)), Out),
         ?assertEqual(Wanted, rows(Config)),
         [] = md_client:query(?config(client, Config), "DELETE FROM domain_settings")
     end || {Dialect, First, Encoding, Cells, In} <-
                [{"'excel'", "", "utf-8", "a comma", ""},
                 {"'excel'", "", "utf-8-sig", "a comma", ""},
                 {"'excel', lineterminator='\\r'", "", "utf-8", "a comma", ""},
                 {"'excel-tab'", "", "utf-16", "a tab", ", in UTF-16LE"},
                 {"'excel', delimiter=';'", "", "utf-8-sig", "a semicolon", ""},
                 {"'excel', delimiter=';'", "out.write('\\ufeff'); ", "utf-16-be", "a semicolon", ", in UTF-16BE"},
                 {"'excel', delimiter=';'", "out.write('sep=;\\r\\n'); ", "utf-8", "a semicolon", ""},
                 {"'excel', delimiter='|'", "out.write('sep=|\\r\\n'); ", "utf-8", "|", ""}]].

a_json_array_is_read_like_its_lines(Config) ->
    write(Config, ["[\n  {\"domain\": \"a.example\", \"host_type\": \"type1\"},\n",
                   "  {\"domain\": \"b.example\",\n   \"hostType\": \"type9\"}\n]\n"]),
    imported(Config, 1, "accepted 1, refused 1; "),
    ?assertEqual({ok, <<"# line 3: Unknown host type\n{\"domain\": \"b.example\",    \"hostType\": \"type9\"}\n">>},
                 file:read_file(?config(file, Config) ++ ".refused")),
    #{exit := 0, out := Listed} = command(Config, ["list", "--output", "json"]),
    [] = md_client:query(?config(client, Config), "DELETE FROM domain_settings"),
    write(Config, Listed),
    #{exit := 0, out := Out} = command(Config, ["import", ?config(file, Config)]),
    ?assertMatch({_, _}, binary:match(Out, <<"read as a JSON array\n">>)),
    ?assertEqual([<<"a.example">>], maps:keys(rows(Config))),
    write(Config, "[{\"domain\": \"c.example\", \"host_type\": \"type1\"},"),
    #{exit := 1, err := Err} = command(Config, ["import", ?config(file, Config)]),
    ?assertMatch({_, _}, binary:match(Err, <<"the JSON array cannot be read">>)),
    ?assertEqual([<<"a.example">>], maps:keys(rows(Config))).

a_file_whose_columns_are_not_known_is_not_imported(Config) ->
    [begin
         write(Config, [Header, "\ntype1,a.example\na.example,type1\n"]),
         #{exit := 1, err := Err} = command(Config, ["import", ?config(file, Config)]),
         ?assertMatch({_, _}, binary:match(Err, <<"the first line names columns">>)),
         ?assertEqual({0, 0}, counted(Config))
     end || Header <- ["domain,type", "type,domain", "name,Host Type", "domain,host_type,domain"]].

every_name_and_status_comes_back_from_an_export(Config) ->
    Names = [<<"x\nvictim.example,type2">>, <<"y\r\n\"z\".example">>, <<"\"">>, <<"#a">>, <<"# as-is">>, <<" a ">>, <<"=1+1">>,
             <<"a,b">>, <<"a;b">>, <<"a\tb">>, <<"\e[2j">>, <<"https://a.example/">>, <<"a..b.">>, <<"sep=;">>, <<"domain">>,
             <<"ü.example"/utf8>>, <<"ド。example"/utf8>>, <<"xn--pl-wia.example">>],
    All = maps:from_list([{Name, {Type, Status}}
                          || {Name, N} <- lists:zip(Names, lists:seq(1, length(Names))),
                             {Type, Status} <- [{lists:nth(1 + N rem 2, [<<"type1">>, <<"type2">>]),
                                                 lists:nth(1 + N rem 3, [enabled, disabled, enabled])}]]),
    Number = fun(enabled) -> "1"; (disabled) -> "0" end,
    Values = [["(", md_rows:text(?config(client, Config), Name), ", '", Type, "', ", Number(Status), ")"] || {Name, {Type, Status}} <- maps:to_list(All)],
    [] = md_client:query(?config(client, Config),
                         ["INSERT INTO domain_settings (domain, host_type, status) VALUES ", lists:join(", ", Values)]),
    ?assertEqual(All, exact_rows(Config)),
    [begin
         File = filename:join(filename:dirname(?config(file, Config)), Name),
         #{exit := 0, out := <<"exported 18 domains to ", _/binary>>} = command(Config, ["export", File]),
         [] = md_client:query(?config(client, Config), "DELETE FROM domain_settings"),
         #{exit := 0, out := Out} = command(Config, ["import", File]),
         ?assertMatch(<<"accepted 18, refused 0; ", _/binary>>, Out),
         ?assertEqual(All, exact_rows(Config)),
         %% A second import changes nothing.
         #{exit := 0} = command(Config, ["import", File]),
         ?assertEqual(All, exact_rows(Config))
     end || Name <- ["all.csv", "all.ndjson"]],
    %% A name that differs from its nameprep form belongs to no domain, and an import does not add it.
    [] = md_client:query(?config(client, Config), "UPDATE domain_settings SET domain = 'A.example' WHERE domain = 'domain'"),
    [begin
         File = filename:join(filename:dirname(?config(file, Config)), Name),
         #{exit := 0} = command(Config, ["export", File, "--prefix", "A"]),
         ?assertMatch(#{exit := 1, out := <<"accepted 0, refused 1; ", _/binary>>}, command(Config, ["import", File]))
     end || Name <- ["all.csv", "all.ndjson"]].

a_disabled_domain_is_never_served_on_its_way(Config) ->
    write(Config, "domain,host_type,status\noff.example,type1,Disabled\non.example,type1,enabled\n"),
    imported(Config, 0, "accepted 2, refused 0; "),
    ?assertEqual(#{<<"off.example">> => {<<"type1">>, disabled}, <<"on.example">> => {<<"type1">>, enabled}}, rows(Config)),
    %% It was added as disabled in one step: there is no second event.
    ?assertEqual([[<<"1">>]], md_client:query(?config(client, Config),
                                              "SELECT count(*) FROM domain_events WHERE domain = 'off.example'")).

a_status_is_what_the_domain_has_afterwards(Config) ->
    #{exit := 0} = command(Config, ["add", "a.example", "type1"]),
    Import = fun(Line, Exit) ->
        write(Config, Line),
        #{exit := Exit} = command(Config, ["import", ?config(file, Config)]),
        maps:get(<<"a.example">>, rows(Config))
    end,
    ?assertEqual({<<"type1">>, disabled}, Import("a.example,type1,disabled\n", 0)),
    ?assertEqual({<<"type1">>, disabled}, Import("a.example,type1\n", 0)),
    ?assertEqual({<<"type1">>, enabled}, Import("a.example,type1,enabled\n", 0)),
    ?assertEqual({<<"type1">>, enabled}, Import("a.example,type1,deleting\n", 1)),
    ?assertEqual({<<"type1">>, enabled}, Import("a.example,type1,off\n", 1)),
    ?assertEqual({<<"type1">>, enabled}, Import("a.example,type2,disabled\n", 1)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)).

killed_in_the_middle(Config) ->
    held_in_the_middle(Config, fun() ->
        Import = md_command:start(["import", ?config(file, Config)], ?config(admin, Config)),
        md_wait:until(fun() -> filelib:is_regular(?config(file, Config) ++ ".progress") end),
        ?assertEqual(killed, md_command:kill(Import))
    end).

%% While Fun runs, an import stops at this row, since an open transaction is adding it.
held_in_the_middle(Config, Fun) ->
    Client = ?config(client, Config),
    [] = md_client:query(Client, "BEGIN"),
    [] = md_client:query(Client, "INSERT INTO domain_settings (domain, host_type) VALUES ('d2500.example', 'type1')"),
    try Fun() after [] = md_client:query(Client, "ROLLBACK") end.

imported(Config, Exit, Begins) ->
    #{exit := Exit, out := Out} = command(Config, ["import", ?config(file, Config)]),
    ?assertEqual(list_to_binary(Begins), binary:part(Out, 0, min(length(Begins), byte_size(Out)))).

write(Config, Text) ->
    ok = file:write_file(?config(file, Config), Text).

rows(Config) ->
    md_rows:all(?config(client, Config)).

%% The same for names with line breaks.
exact_rows(Config) ->
    md_rows:all_exactly(?config(client, Config)).

rows(First, Last) ->
    [["d", integer_to_list(N), ".example,type1\n"] || N <- lists:seq(First, Last)].

files(Config) ->
    {ok, Names} = file:list_dir(filename:dirname(?config(file, Config))),
    lists:sort(Names).

%% The number of rows and of different domains in them.
counted(Config) ->
    [[Rows, Names]] = md_client:query(?config(client, Config),
                                      "SELECT count(*), count(DISTINCT domain) FROM domain_settings"),
    {binary_to_integer(Rows), binary_to_integer(Names)}.
