%% `domainctl apply' and `diff': files that declare which domains there should be, with a real node and PostgreSQL.
-module(domainctl_apply_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_first_apply_adds_everything_and_the_next_one_changes_nothing/1,
         a_diff_shows_what_is_due_and_changes_nothing/1,
         a_status_is_changed_where_one_is_declared_and_left_where_none_is/1,
         host_types_that_no_file_names_are_left_alone/1,
         what_a_complete_file_lacks_is_removed_once_that_was_shown/1,
         what_a_plan_did_not_show_is_not_removed/1,
         a_person_at_a_terminal_types_the_number_of_removals/1,
         nothing_is_removed_where_no_file_is_complete/1,
         more_removals_than_the_limit_are_refused/1,
         a_move_between_complete_host_types_is_a_removal_and_an_addition/1,
         a_killed_apply_is_run_again_and_ends_the_same/1,
         a_killed_removal_is_run_again_with_the_same_plan/1,
         a_domain_in_removal_stops_an_apply_that_wants_it/1,
         what_is_removed_meanwhile_is_reported_and_nothing_is_declared_complete/1,
         kept_routes_go_when_a_complete_declaration_is_done/1,
         freshness_is_declared_each_time_and_for_complete_host_types_alone/1,
         standard_input_is_read/1,
         a_directory_is_one_declaration/1,
         csv_and_json_declare_the_same/1,
         every_mistake_in_a_file_is_named_and_nothing_is_changed/1,
         what_the_node_would_refuse_is_named_before_anything_is_changed/1,
         usage_has_another_exit_code_than_changes/1,
         all_spellings_of_a_name_are_one_domain/1,
         a_name_that_no_request_can_carry_needs_as_is/1,
         a_program_reads_the_changes_and_nothing_else/1]).

-import(md_domainctl, [command/2]).

-define(ONE_OF_TYPE1, "host_types:\n  type1:\n    - a.example\n").

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(Case, Config) ->
    Opened = md_door:open(Config),
    Directory = filename:join(?config(priv_dir, Config), atom_to_list(Case)),
    ok = file:make_dir(Directory),
    [{admin, md_command:admin(?config(door, Opened))}, {directory, Directory},
     {file, filename:join(Directory, "domains.yaml")} | Opened].

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

a_first_apply_adds_everything_and_the_next_one_changes_nothing(Config) ->
    write(Config, "host_types:\n  type1:\n    - A.example\n    - {domain: b.example, status: disabled}\n  type2: [c.example]\n"),
    Table = <<"CHANGE  DOMAIN     HOST TYPE  STATUS\n"
              "add     a.example  type1      enabled\n"
              "add     b.example  type1      disabled\n"
              "add     c.example  type2      enabled\n"
              "3 to add; 0 as declared\n">>,
    ?assertEqual(#{exit => 2, out => <<Table/binary, "made 3 changes\n">>, err => <<>>}, applied(Config, [])),
    Wanted = #{<<"a.example">> => {<<"type1">>, enabled}, <<"b.example">> => {<<"type1">>, disabled},
               <<"c.example">> => {<<"type2">>, enabled}},
    ?assertEqual(Wanted, rows(Config)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)),
    Before = md_domainctl:newest_event(Config),
    ?assertEqual(#{exit => 0, out => <<"nothing to change; 3 as declared\n">>, err => <<>>}, applied(Config, [])),
    ?assertEqual(#{exit => 0, out => <<"nothing to change; 3 as declared\n">>, err => <<>>}, diff(Config, [])),
    ?assertEqual({Wanted, Before}, {rows(Config), md_domainctl:newest_event(Config)}).

a_diff_shows_what_is_due_and_changes_nothing(Config) ->
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}]),
    write(Config, "host_types:\n  type1:\n    - {domain: a.example, status: disabled}\n    - b.example\n"),
    Out = <<"CHANGE   DOMAIN     HOST TYPE  STATUS\n"
            "disable  a.example  type1      disabled\n"
            "add      b.example  type1      enabled\n"
            "1 to add, 1 to disable; 0 as declared, 1 not declared and left\n">>,
    Before = rows(Config),
    ?assertEqual(#{exit => 2, out => Out, err => <<>>}, diff(Config, [])),
    ?assertEqual(#{exit => 2, out => Out, err => <<>>}, applied(Config, ["--dry-run"])),
    ?assertEqual(Before, rows(Config)).

a_status_is_changed_where_one_is_declared_and_left_where_none_is(Config) ->
    Statuses = fun() -> [{Name, Status} || {Name, {_, Status}} <- lists:sort(maps:to_list(rows(Config)))] end,
    File = fun(Status) ->
        ["host_types:\n  type1:\n    - b.example\n    - {domain: a.example, status: ", Status, "}\n"]
    end,
    [begin
         write(Config, File(atom_to_list(Status))),
         #{exit := Exit} = applied(Config, []),
         ?assertEqual([{<<"a.example">>, Status}, {<<"b.example">>, enabled}], Statuses())
     end || {Status, Exit} <- [{disabled, 2}, {disabled, 0}, {enabled, 2}, {enabled, 0}]],
    #{exit := 0} = command(Config, ["disable", "b.example"]),
    #{exit := 0} = applied(Config, []),
    ?assertEqual([{<<"a.example">>, enabled}, {<<"b.example">>, disabled}], Statuses()).

host_types_that_no_file_names_are_left_alone(Config) ->
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}, {"y.example", "type2"}]),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    #{exit := 2} = pruned(Config, []),
    ?assertEqual([<<"a.example">>, <<"y.example">>], names(Config)),
    ?assertEqual({ok, [<<"type1">>]}, fresh(Config)).

what_a_complete_file_lacks_is_removed_once_that_was_shown(Config) ->
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}]),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    Left = <<"nothing to change; 1 as declared, 1 not declared and left\ndeclared type1 complete for 3600 s\n">>,
    ?assertEqual(#{exit => 0, out => Left, err => <<>>}, applied(Config, [])),
    #{exit := 1, out := Shown, err := Err} = applied(Config, ["--prune"]),
    Table = <<"CHANGE  DOMAIN     HOST TYPE  STATUS\nremove  x.example  type1      -\n1 to remove; 1 as declared\n">>,
    ?assertEqual(Table, Shown),
    contains(Err, "a domain is removed only where that was shown before: nothing was changed"),
    ?assertEqual([<<"a.example">>, <<"x.example">>], names(Config)),
    Done = <<Table/binary, "made 1 change\ndeclared type1 complete for 3600 s\n">>,
    ?assertEqual(#{exit => 2, out => Done, err => <<>>}, pruned(Config, [])),
    ?assertEqual([<<"a.example">>], names(Config)),
    %% The plan is good for a run that has nothing left to do.
    #{exit := 0} = applied(Config, ["--prune", "--plan", plan(Config)]).

what_a_plan_did_not_show_is_not_removed(Config) ->
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}]),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    #{exit := 2} = planned(Config, []),
    add(Config, [{"new.example", "type1"}]),
    #{exit := 1, err := Err} = applied(Config, ["--prune", "--plan", plan(Config), "--max-removals", "5"]),
    contains(Err, "1 removal is not in "),
    ?assertEqual([<<"a.example">>, <<"new.example">>, <<"x.example">>], names(Config)),
    ok = file:write_file(plan(Config), "CHANGE  DOMAIN\n"),
    #{exit := 1, err := Other} = applied(Config, ["--prune", "--plan", plan(Config), "--max-removals", "5"]),
    contains(Other, "plan.ndjson:1: this is no line of diff"),
    ?assertEqual(3, map_size(rows(Config))).

%% Python's module pty gives the program a terminal.
a_person_at_a_terminal_types_the_number_of_removals(Config) ->
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    Script =
        "import os, pty, sys\n"
        "pid, terminal = pty.fork()\n"
        "if pid == 0: os.execv(sys.argv[2], sys.argv[2:])\n"
        "shown, answered = b'', False\n"
        "while True:\n"
        "    try: more = os.read(terminal, 65536)\n"
        "    except OSError: break\n" % the program has ended
        "    shown += more\n"
        "    if not more: break\n"
        "    if b'to go on: ' in shown and not answered:\n"
        "        os.write(terminal, sys.argv[1].encode() + b'\\n')\n"
        "        answered = True\n"
        "sys.stdout.buffer.write(shown)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
    Python = os:find_executable("python3"),
    Answer = fun(Text) ->
        md_command:run_shell([Python, " -c \"$SCRIPT\" '", Text, "' \"$0\" apply --prune -f \"$FILE\""],
                             [{"SCRIPT", Script}, {"FILE", ?config(file, Config)} | ?config(admin, Config)])
    end,
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}]),
    [begin
         #{exit := 1, out := Out} = Answer(No),
         contains(Out, "remove  x.example"),
         contains(Out, "This removes 1 domain and all their data. Type 1 to go on: "),
         contains(Out, "nothing was changed"),
         ?assertEqual([<<"a.example">>, <<"x.example">>], names(Config))
     end || No <- ["", "y", "2"]],
    #{exit := 2} = Answer("1"),
    ?assertEqual([<<"a.example">>], names(Config)).

nothing_is_removed_where_no_file_is_complete(Config) ->
    add(Config, [{"x.example", "type1"}]),
    write(Config, ?ONE_OF_TYPE1),
    [begin
         #{exit := 1, out := <<>>, err := Err} = command(Config, [Verb, "--prune", "-f", ?config(file, Config)]),
         contains(Err, "no file has complete_for: nothing was changed")
     end || Verb <- ["diff", "apply"]],
    ?assertEqual([<<"x.example">>], names(Config)),
    ?assertEqual({ok, []}, fresh(Config)).

more_removals_than_the_limit_are_refused(Config) ->
    add(Config, [{Name, "type1"} || Name <- ["a.example" | [["x", integer_to_list(N), ".example"] || N <- lists:seq(1, 19)]]]),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    Refused = fun(Args, Most) ->
        #{exit := 1, out := Out, err := Err} = command(Config, ["diff", "--prune", "-f", ?config(file, Config) | Args]),
        contains(Err, ["would remove 19 of the 20 domains of type1, and at most ", Most, " may be: nothing was changed"]),
        contains(Out, "19 to remove; 1 as declared\n")
    end,
    Refused([], "2"),
    Refused(["--max-removals", "18"], "18"),
    Refused(["--max-removals", "90%"], "18"),
    #{exit := 2} = planned(Config, ["--max-removals", "19"]),
    #{exit := 1} = applied(Config, ["--prune", "--plan", plan(Config)]),
    ?assertEqual(20, map_size(rows(Config))),
    #{exit := 2} = applied(Config, ["--prune", "--plan", plan(Config), "--max-removals", "95%"]),
    ?assertEqual([<<"a.example">>], names(Config)).

a_move_between_complete_host_types_is_a_removal_and_an_addition(Config) ->
    add(Config, [{"a.example", "type1"}, {"b.example", "type1"}]),
    Moved = "host_types:\n  type1: [a.example]\n  type2: [b.example]\n",
    write(Config, Moved),
    #{exit := 1, out := <<>>, err := Err} = applied(Config, []),
    contains(Err, "domains.yaml:3: b.example has the host type type1 in the database. A move removes its data"),
    ?assertEqual({<<"type1">>, enabled}, maps:get(<<"b.example">>, rows(Config))),
    write(Config, ["complete_for: 1h\n", Moved]),
    #{exit := 2, out := Out} = pruned(Config, []),
    contains(Out, "move    b.example  type1 -> type2  enabled\n"),
    ?assertEqual(#{<<"a.example">> => {<<"type1">>, enabled}, <<"b.example">> => {<<"type2">>, enabled}}, rows(Config)),
    ?assertEqual({ok, <<"type2">>}, md_node:lookup(?config(node, Config), <<"b.example">>)).

%% A transaction holds a row of the third batch or so, until the program is killed.
a_killed_apply_is_run_again_and_ends_the_same(Config) ->
    write(Config, ["complete_for: 1h\nhost_types:\n  type1:\n", items(5000)]),
    held(Config, "d3000.example", fun() ->
        Apply = md_command:start(["apply", "-f", ?config(file, Config)], ?config(admin, Config)),
        md_wait:until(fun() -> map_size(rows(Config)) > 500 end),
        ?assertEqual(killed, md_command:kill(Apply))
    end),
    ?assert(map_size(rows(Config)) < 5000),
    ?assertEqual({ok, []}, fresh(Config)),
    #{exit := 2, err := <<>>} = applied(Config, []),
    ?assertEqual({5000, {ok, [<<"type1">>]}}, {map_size(rows(Config)), fresh(Config)}),
    #{exit := 0, out := <<"nothing to change; 5000 as declared\n", _/binary>>} = applied(Config, []).

a_killed_removal_is_run_again_with_the_same_plan(Config) ->
    add(Config, [{Name, "type1"} || Name <- ["a.example", "x.example", "y.example"]]),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    Limit = ["--max-removals", "2"],
    #{exit := 2} = planned(Config, Limit),
    Args = ["--prune", "--plan", plan(Config) | Limit],
    md_door:handled_by(Config, wait, fun() ->
        Apply = md_command:start(["apply", "-f", ?config(file, Config) | Args], ?config(admin, Config)),
        md_wait:until(fun() -> maps:get(<<"x.example">>, rows(Config)) =:= {<<"type1">>, deleting} end),
        ?assertEqual(killed, md_command:kill(Apply)),
        ?assertEqual({ok, []}, fresh(Config)),
        ok = md_door:handle(Config, pass),
        #{exit := 2, out := Out} = applied(Config, Args),
        contains(Out, "declared type1 complete"),
        ?assertEqual([<<"a.example">>], names(Config))
    end).

a_domain_in_removal_stops_an_apply_that_wants_it(Config) ->
    add(Config, [{"a.example", "type1"}]),
    write(Config, "host_types:\n  type1: [a.example, new.example]\n"),
    md_door:handled_by(Config, wait, fun() ->
        #{exit := 0} = command(Config, ["remove", "--no-wait", "a.example", "type1"]),
        #{exit := 1, out := <<>>, err := Err} = applied(Config, []),
        contains(Err, "domains.yaml:2: a.example is being removed"),
        ?assertEqual([<<"a.example">>], names(Config))
    end),
    md_wait:until(fun() -> rows(Config) end, #{}),
    #{exit := 2} = applied(Config, []),
    ?assertEqual([<<"a.example">>, <<"new.example">>], names(Config)).

%% A transaction holds the first batch. Before the batch with z.example is sent, its removal begins.
what_is_removed_meanwhile_is_reported_and_nothing_is_declared_complete(Config) ->
    add(Config, [{"z.example", "type1"}]),
    write(Config, ["complete_for: 1h\nhost_types:\n  type1:\n    - {domain: z.example, status: disabled}\n", items(2000)]),
    md_door:handled_by(Config, wait, fun() ->
        Self = self(),
        held(Config, "d1.example", fun() ->
            _ = spawn_link(fun() -> Self ! {applied, applied(Config, ["--output", "ndjson"])} end),
            md_wait:until(fun() -> waits_for_lock(Config) end),
            #{exit := 0} = command(Config, ["remove", "--no-wait", "z.example", "type1"])
        end),
        receive
            {applied, #{exit := 1, err := Err}} ->
                contains(Err, "z.example: "),
                contains(Err, "1 change was refused, and nothing is declared complete")
        end,
        ?assertEqual({ok, []}, fresh(Config)),
        ?assertEqual({<<"type1">>, deleting}, maps:get(<<"z.example">>, rows(Config)))
    end),
    md_wait:until(fun() -> map_size(rows(Config)) end, 2000),
    #{exit := 2} = applied(Config, []),
    ?assertEqual({<<"type1">>, disabled}, maps:get(<<"z.example">>, rows(Config))),
    ?assertEqual({ok, [<<"type1">>]}, fresh(Config)).

%% The database loses its rows; the node keeps the routes until their host type is declared complete.
kept_routes_go_when_a_complete_declaration_is_done(Config) ->
    Node = ?config(node, Config),
    add(Config, [{"a.example", "type1"}, {"lost.example", "type1"}, {"other.example", "type2"}]),
    [] = md_client:query(?config(client, Config), "DELETE FROM domain_settings"),
    ?assertMatch({ok, #{kept := 3}}, md_node:call(Node, service_domain_db, converge, [])),
    write(Config, ?ONE_OF_TYPE1),
    #{exit := 2} = applied(Config, []),
    ?assertMatch({ok, #{kept := 2}}, md_node:call(Node, service_domain_db, converge, [])),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, <<"lost.example">>)),
    write(Config, ["complete_for: 1h\n", ?ONE_OF_TYPE1]),
    #{exit := 0} = applied(Config, []),
    md_wait:until(fun() -> md_node:routes(Node) end,
                  #{<<"a.example">> => <<"type1">>, <<"other.example">> => <<"type2">>}).

freshness_is_declared_each_time_and_for_complete_host_types_alone(Config) ->
    Write = fun(Name, Text) -> ok = file:write_file(filename:join(?config(directory, Config), Name), Text) end,
    Write("one.yaml", "complete_for: 30m\nhost_types:\n  type1: [a.example]\n"),
    Write("two.yaml", "host_types:\n  type2: [b.example]\n"),
    #{exit := 2, out := Out} = command(Config, ["apply", "-f", ?config(directory, Config)]),
    contains(Out, "made 2 changes\ndeclared type1 complete for 1800 s\n"),
    ?assertEqual({ok, [<<"type1">>]}, fresh(Config)),
    Again = <<"nothing to change; 2 as declared\ndeclared type1 complete for 1800 s\n">>,
    ?assertEqual(#{exit => 0, out => Again, err => <<>>}, command(Config, ["apply", "-f", ?config(directory, Config)])),
    Write("one.yaml", "complete_for: forever\nhost_types:\n  type1: [a.example]\n"),
    #{exit := 0, out := ForEver} = command(Config, ["apply", "-f", ?config(directory, Config)]),
    contains(ForEver, "declared type1 complete for ever\n").

standard_input_is_read(Config) ->
    Piped = fun(Args, Text) -> md_command:run(["apply", "-f", "-" | Args], ?config(admin, Config), Text) end,
    ?assertMatch(#{exit := 2}, Piped([], ?ONE_OF_TYPE1)),
    ?assertMatch(#{exit := 2}, Piped(["--format", "csv"], "b.example,type1\n")),
    ?assertMatch(#{exit := 0}, Piped(["--format", "csv"], "domain,host_type\na.example,type1\nb.example,type1\n")),
    #{exit := 1, err := Err} = Piped([], "c.example,type1\n"),
    contains(Err, "standard input:1: "),
    #{exit := 0, out := Listed} = command(Config, ["list", "--output", "json"]),
    ?assertMatch(#{exit := 0}, Piped(["--format", "json"], Listed)),
    ?assertEqual([<<"a.example">>, <<"b.example">>], names(Config)).

a_directory_is_one_declaration(Config) ->
    Directory = ?config(directory, Config),
    Write = fun(Name, Text) -> ok = file:write_file(filename:join(Directory, Name), Text) end,
    Apply = fun() -> command(Config, ["apply", "-f", Directory]) end,
    #{exit := 1, err := Empty} = Apply(),
    contains(Empty, "no file in it ends with .yaml"),
    Write("1.yaml", "host_types:\n  type1: [a.example]\n"),
    Write("2.csv", "b.example,type2\n"),
    Write("3.json", "{\"host_types\": {\"type2\": [\"c.example\"]}}"),
    Write("README", "not a declaration"),
    #{exit := 2, err := Note} = Apply(),
    contains(Note, "not read, by its name: "),
    contains(Note, "README"),
    ?assertEqual([<<"a.example">>, <<"b.example">>, <<"c.example">>], names(Config)),
    Write("4.yaml", "complete_for: 1h\nhost_types:\n  type2: [A.Example]\n"),
    #{exit := 1, err := Err} = Apply(),
    contains(Err, "4.yaml:3: type2 is named in "),
    contains(Err, "only one of the files has complete_for"),
    contains(Err, "4.yaml:3: a.example is declared already, at "),
    contains(Err, "1.yaml:2: leave one of them out"),
    %% Several may be named, too.
    ?assertMatch(#{exit := 0}, command(Config, ["diff", "-f", filename:join(Directory, "1.yaml"), "-f",
                                                filename:join(Directory, "2.csv")])).

csv_and_json_declare_the_same(Config) ->
    add(Config, [{"a.example", "type1"}, {"x.example", "type1"}]),
    Out = <<"disable  a.example  type1      disabled\nremove   x.example  type1      -\n1 to disable, 1 to remove; 0 as declared\n">>,
    [begin
         File = filename:join(?config(directory, Config), Name),
         ok = file:write_file(File, Text),
         #{exit := 2, out := Shown} = command(Config, ["diff", "--prune", "-f", File]),
         contains(Shown, Out)
     end || {Name, Text} <-
                [{"a.yml", "complete_for: 1h\nhost_types: {type1: [{domain: a.example, status: disabled}]}\n"},
                 {"a.json", "{\"complete_for\": \"1h\",\n\t\"host_types\": {\"type1\": [{\"domain\": \"a.example\", "
                            "\"status\": \"disabled\"}]}}"},
                 {"b.json", "# complete_for: 1h\n[{\"domain\": \"a.example\", \"host_type\": \"type1\", \"status\": \"disabled\"}]"},
                 {"a.ndjson", "# complete_for: 1h\n{\"domain\": \"a.example\", \"host_type\": \"type1\", \"status\": \"disabled\"}\n"},
                 {"a.csv", "# complete_for: 1h\nHost Type;Status;Domain\ntype1;disabled;a.example\n"}]].

every_mistake_in_a_file_is_named_and_nothing_is_changed(Config) ->
    Good = "host_types:\n  type2: [good.example]\n",
    Other = filename:join(?config(directory, Config), "good.yaml"),
    ok = file:write_file(Other, Good),
    [begin
         write(Config, Text),
         #{exit := 1, out := <<>>, err := Err} = command(Config, ["apply", "-f", Other, "-f", ?config(file, Config)]),
         contains(Err, ["domains.yaml:", Line, ": "]),
         contains(Err, Words),
         contains(Err, "nothing was changed"),
         ?assertEqual(#{}, rows(Config))
     end || {Text, Line, Words} <-
                [{"host_types:\n  type1: [a.example\n", "2", "unclosed bracket"},
                 {"hosts:\n  type1: [a.example]\n", "1", "hosts"},
                 {"complete_for: soon\n" ?ONE_OF_TYPE1, "1", "soon is no duration such as 3600, 12h or forever"},
                 {"complete_for: true\n" ?ONE_OF_TYPE1, "1", "true is no duration"},
                 {"host_types:\n  type1:\n  type2: []\n", "2", "type1 has no list; a host type without domains has []"},
                 {"host_types:\n  type1: [a.example]\n  type1: [b.example]\n", "3", "type1"},
                 {"host_types:\n  type1:\n    - a.example\n    - a.EXAMPLE\n", "4", "a.example is declared already, at "},
                 {"host_types:\n  type1: [good.example]\n", "2", "good.example is declared already, at "},
                 {"host_types:\n  type1:\n    - https://a.example/\n", "3", "it is a URL; a.example was probably meant"},
                 {"host_types:\n  type1:\n    - 1.5\n", "3", "in quotes"},
                 {"host_types:\n  type1:\n    - {domain: a.example, state: disabled}\n", "3", "state"},
                 {"host_types:\n  type1:\n    - {domain: a.example, status: deleting}\n", "3", "deleting"},
                 {<<"host_types:\n  type1: [\xff]\n">>, "1", "not UTF-8"}]],
    write(Config, ["host_types:\n  type1:\n", [["    - b", integer_to_list(N), "..example\n"] || N <- lists:seq(1, 30)]]),
    #{exit := 1, err := Many} = applied(Config, []),
    contains(Many, "domains.yaml:22: "),
    ?assertEqual(nomatch, binary:match(Many, <<"domains.yaml:23: ">>)),
    contains(Many, "the declaration has 30 mistakes; nothing was changed"),
    #{exit := 1, err := None} = command(Config, ["apply", "-f", filename:join(?config(directory, Config), "none.yaml")]),
    contains(None, "none.yaml: ").

what_the_node_would_refuse_is_named_before_anything_is_changed(Config) ->
    add(Config, [{"of.example", "type1"}]),
    write(Config, "host_types:\n  type2:\n    - a.example\n    - static.example\n    - of.example\n  type9: [b.example]\n"),
    #{exit := 1, out := <<>>, err := Err} = applied(Config, []),
    contains(Err, "domains.yaml:6: the node does not serve the host type type9; it serves type1, type2\n"),
    contains(Err, "domains.yaml:4: static.example is a static domain"),
    contains(Err, "domains.yaml:5: of.example has the host type type1 in the database"),
    contains(Err, "the declaration has 3 mistakes; nothing was changed"),
    ?assertEqual([<<"of.example">>], names(Config)).

usage_has_another_exit_code_than_changes(Config) ->
    write(Config, ?ONE_OF_TYPE1),
    [?assertMatch({Args, #{exit := 1, out := <<>>}}, {Args, command(Config, Args)})
     || Args <- [["apply"], ["diff", "--nonsense"], ["apply", "-f", ?config(file, Config), "--max-removals", "some"],
                 ["--url", "nonsense", "diff", "-f", ?config(file, Config)]]],
    ?assertMatch(#{exit := 0}, command(Config, ["apply", "--help"])),
    ?assertMatch(#{exit := 3}, command(Config, ["diff", "-f", ?config(file, Config), "--url", "http://127.0.0.1:1"])),
    ?assertEqual(#{}, rows(Config)).

all_spellings_of_a_name_are_one_domain(Config) ->
    add(Config, [{"xn--pl-wia.example", "type1"}]),
    write(Config, <<"complete_for: 1h\nhost_types:\n  type1:\n    - {domain: PLÄ.example, status: disabled}\n"/utf8>>),
    #{exit := 2} = pruned(Config, []),
    ?assertEqual(#{<<"xn--pl-wia.example">> => {<<"type1">>, disabled}}, rows(Config)),
    write(Config, <<"host_types:\n  type1:\n    - plä.example\n    - xn--pl-wia.example\n"/utf8>>),
    #{exit := 1, err := Err} = applied(Config, []),
    contains(Err, <<"domains.yaml:4: xn--pl-wia.example is declared already, as plä.example, at "/utf8>>),
    add(Config, [{<<"plä.example"/utf8>>, "type1"}]),
    write(Config, <<"host_types:\n  type1: [plä.example]\n"/utf8>>),
    #{exit := 1, err := Two} = applied(Config, []),
    contains(Two, "is in the database in two spellings, "),
    ?assertEqual(2, map_size(rows(Config))).

a_name_that_no_request_can_carry_needs_as_is(Config) ->
    Odd = ["host_types:\n  type1:\n    - \"x\\ny.example\"\n    - \"a..b\"\n    - '[2001:db8::1]'\n    - ",
           lists:duplicate(60, $a), ".", lists:duplicate(60, $b), ".example\n"],
    write(Config, Odd),
    #{exit := 1, err := Err} = applied(Config, []),
    contains(Err, "domains.yaml:3: no request can carry the name \"x\\ny.example\""),
    contains(Err, "domains.yaml:4: no request can carry the name \"a..b\""),
    contains(Err, "has 2 mistakes"),
    #{exit := 2} = applied(Config, ["--as-is"]),
    #{exit := 0} = applied(Config, ["--as-is"]),
    write(Config, "host_types:\n  type1:\n    - {domain: \"a..b\", as_is: true}\n"),
    #{exit := 0, out := <<"nothing to change; 1 as declared, 3 not declared and left\n">>} = applied(Config, []),
    %% What an export writes is a declaration.
    Exported = filename:join(?config(directory, Config), "all.ndjson"),
    #{exit := 0} = command(Config, ["export", Exported]),
    #{exit := 0, out := <<"nothing to change; 4 as declared\n">>} = command(Config, ["diff", "-f", Exported]).

a_program_reads_the_changes_and_nothing_else(Config) ->
    add(Config, [{"a.example", "type1"}]),
    write(Config, "complete_for: 1h\nhost_types:\n  type1: [{domain: a.example, status: disabled}]\n  type2: [b.example]\n"),
    #{exit := 2, out := Lines, err := <<>>} = diff(Config, ["--output", "ndjson"]),
    ?assertEqual(<<"{\"change\":\"disable\",\"domain\":\"a.example\",\"host_type\":\"type1\",\"status\":\"disabled\"}\n"
                   "{\"change\":\"add\",\"domain\":\"b.example\",\"host_type\":\"type2\"}\n">>, Lines),
    #{exit := 2, out := Lines, err := Err} = applied(Config, ["--output", "ndjson"]),
    ?assertEqual(<<"made 2 changes\ndeclared type1 complete for 3600 s\ndeclared type2 complete for 3600 s\n">>, Err),
    ?assertMatch(#{exit := 0, out := <<"[]\n">>}, diff(Config, ["--output", "json"])).

applied(Config, Args) ->
    command(Config, ["apply", "-f", ?config(file, Config) | Args]).

diff(Config, Args) ->
    command(Config, ["diff", "-f", ?config(file, Config) | Args]).

%% Writes the plan of an apply with --prune.
planned(Config, Args) ->
    #{out := Out} = Result = diff(Config, ["--prune", "--output", "ndjson" | Args]),
    ok = file:write_file(plan(Config), Out),
    Result.

%% An apply with --prune whose plan was shown.
pruned(Config, Args) ->
    #{exit := 2} = planned(Config, Args),
    applied(Config, ["--prune", "--plan", plan(Config) | Args]).

plan(Config) ->
    filename:join(?config(directory, Config), "plan.ndjson").

contains(Text, Words) ->
    ?assertMatch({_, _}, binary:match(Text, unicode:characters_to_binary([Words, ""])), Text).

write(Config, Text) ->
    ok = file:write_file(?config(file, Config), Text).

add(Config, Pairs) ->
    [#{exit := 0} = command(Config, ["add", Name, Type]) || {Name, Type} <- Pairs].

items(Count) ->
    [["    - d", integer_to_list(N), ".example\n"] || N <- lists:seq(1, Count)].

rows(Config) ->
    md_rows:all(?config(client, Config)).

names(Config) ->
    lists:sort(maps:keys(rows(Config))).

fresh(Config) ->
    md_node:call(?config(node, Config), mongoose_domain_freshness, list, []).

%% While Fun runs, an open transaction is adding this row, so nobody else can add it.
held(Config, Domain, Fun) ->
    Holder = md_client:open(?config(database, Config)),
    [] = md_client:query(Holder, "BEGIN"),
    [] = md_client:query(Holder, ["INSERT INTO domain_settings (domain, host_type) VALUES ('", Domain, "', 'type1')"]),
    try Fun() after [] = md_client:query(Holder, "ROLLBACK") end.

%% Whether another session waits for the end of a transaction.
waits_for_lock(Config) ->
    [[Count]] = md_client:query(?config(client, Config), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                                         "AND datname = current_database()"),
    Count =/= <<"0">>.
