%% The README's examples, as they are written there: each block of the kind `console' is run, line by line, against a
%% node, and must print what stands below it.
%%
%% A line that begins with `$ ' is a command; it goes on while lines end with a backslash. `…' in what is printed
%% stands for anything. The commands find the node at the address that `make run' has, which is exchanged for that of
%% the test's node; all commands of a block run in one shell, in an empty directory.
%%
%% A command of domainctl that the running text names does something, too: it ends with 0.
-module(readme_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([every_example_prints_what_it_says/1, every_command_in_the_text_is_one/1]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [every_example_prints_what_it_says, every_command_in_the_text_is_one].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        Node = md_node:start(#{hosts => [{<<"static.example">>, <<"static.example">>}, <<"bare.example">>],
                               host_types => [<<"type1">>, <<"type2">>],
                               service_domain_db => #{database => Database},
                               admin => #{port => 0}}),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {door, md_http:door(Node, none)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

every_example_prints_what_it_says(Config) ->
    Root = root(filename:dirname(code:which(?MODULE))),
    Blocks = blocks(readme(Root)),
    ?assert(length(Blocks) >= 3),
    #{port := Port} = ?config(door, Config),
    Directory = filename:join(?config(priv_dir, Config), "readme"),
    ok = filelib:ensure_path(Directory),
    [run(Example, Port, Root, Directory) || Block <- Blocks, Example <- examples(Block)].

every_command_in_the_text_is_one(Config) ->
    Readme = readme(root(filename:dirname(code:which(?MODULE)))),
    {match, Commands} = re:run(Readme, "`domainctl ([^`]+)`", [global, {capture, all_but_first, binary}]),
    #{port := Port} = ?config(door, Config),
    Environment = [{"DOMAINCTL_URL", "http://127.0.0.1:" ++ integer_to_list(Port)}],
    [?assertMatch(#{exit := 0}, md_command:run(string:lexemes(Command, " \n"), Environment), Command)
     || [Command] <- Commands].

readme(Root) ->
    {ok, Readme} = file:read_file(filename:join(Root, "README.md")),
    Readme.

%% The checkout: where the README and the programs are.
root(Directory) ->
    case filelib:is_regular(filename:join(Directory, "rebar.config")) of
        true -> Directory;
        false -> root(filename:dirname(Directory))
    end.

blocks(Readme) ->
    {match, Found} = re:run(Readme, "```console\n(.*?)```", [global, dotall, {capture, all_but_first, binary}]),
    [Block || [Block] <- Found].

%% Each command and the lines that it prints.
examples(Block) ->
    [begin
         {match, [Command, Printed]} =
             re:run(Example, "^((?:[^\n]*\\\\\n)*[^\n]*)\n?(.*)$", [dotall, {capture, all_but_first, binary}]),
         {Command, Printed}
     end || Example <- tl(binary:split(<<"\n", Block/binary>>, <<"\n$ ">>, [global]))].

run({Command, Printed}, Port, Root, Directory) ->
    Here = binary:replace(Command, <<"127.0.0.1:8088">>, iolist_to_binary(["127.0.0.1:", integer_to_list(Port)]), [global]),
    Shell = os:find_executable("bash"),
    Running = open_port({spawn_executable, Shell},
                        [{args, ["-c", Here]}, {cd, Directory}, exit_status, stderr_to_stdout, binary,
                         {env, [{"PATH", filename:join([Root, "priv", "bin"]) ++ ":" ++ os:getenv("PATH")},
                                {"DOMAINCTL_URL", "http://127.0.0.1:" ++ integer_to_list(Port)},
                                {"HOME", Directory}]}]),
    Told = collect(Running, <<>>),
    ?assertMatch({match, _}, re:run(Told, pattern(Printed)), #{command => Here, printed => Told}).

collect(Running, Told) ->
    receive
        {Running, {data, More}} -> collect(Running, <<Told/binary, More/binary>>);
        {Running, {exit_status, _}} -> Told
    end.

%% Space at the end of a line is nobody's.
pattern(Printed) ->
    Escaped = re:replace(string:trim(Printed), "[][.*+?^${}()|\\\\]", "\\\\&", [global, unicode, {return, binary}]),
    Any = binary:replace(Escaped, <<"…"/utf8>>, <<".*">>, [global]),
    ["^\\s*", binary:replace(Any, <<"\n">>, <<"\\s*\n">>, [global]), "\\s*$"].
