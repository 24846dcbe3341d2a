%% The examples of README.md, docs/ and the examples' own README.
%%
%% The examples of a document run in order against a node of their own and must print what the document shows below
%% them. A block of the kind `console' runs line by line. A line that begins with `$ ' is a command; it continues while
%% lines end with a backslash, and up to the end mark of a here-document. All commands of a document run in one
%% directory. The address of the node of `make run' is replaced by that of the test's node. A block of the kind `erlang'
%% whose lines begin with a prompt (`1> ') is evaluated in the node as its shell would do it. `…' in the output of a
%% command stands for any text.
%%
%% A command of domainctl in the running text must succeed, too. A command with a placeholder, as in `domainctl show
%% NAME', must have a verb that `domainctl help' explains.
-module(readme_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([every_example_prints_what_it_says/1, every_command_in_the_text_is_one/1]).
%% Runs in the node.
-export([evaluate/2]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [every_example_prints_what_it_says, every_command_in_the_text_is_one].

init_per_testcase(_Case, Config) ->
    Root = root(filename:dirname(code:which(?MODULE))),
    Documents = [{Name, read(Root, Name)} || Name <- documents(Root)],
    [{root, Root}, {documents, Documents} | Config].

end_per_testcase(_Case, _Config) ->
    ok.

every_example_prints_what_it_says(Config) ->
    WithExamples = [{Name, Examples} || {Name, Text} <- ?config(documents, Config), Examples <- [examples(Text)], Examples =/= []],
    ?assert(length([shell || {_, Examples} <- WithExamples, {console, _, _} <- Examples]) >= 10),
    ?assert(length([shell || {_, Examples} <- WithExamples, {erlang, _, _} <- Examples]) >= 10),
    [with_node(fun(Node) -> run_all(Name, Examples, Node, Config) end) || {Name, Examples} <- WithExamples].

every_command_in_the_text_is_one(Config) ->
    Commands = [string:lexemes(Command, " \n") || {_Name, Text} <- ?config(documents, Config), Command <- commands(Text)],
    ?assert(length(Commands) >= 3),
    with_node(fun(Node) ->
        #{port := Port} = md_http:door(Node, none),
        Environment = [{"DOMAINCTL_URL", "http://127.0.0.1:" ++ integer_to_list(Port)}],
        [?assertMatch(#{exit := 0}, md_command:run(without_placeholders(Command), Environment), Command)
         || Command <- lists:usort(Commands)]
    end).

%% Runs Fun with a node that has the domains and host types of `make run'.
with_node(Fun) ->
    Database = md_database:with_tables(md_database:create()),
    try
        Node = md_node:start(#{hosts => [{<<"static.example">>, <<"static.example">>}, <<"bare.example">>],
                               host_types => [<<"type1">>, <<"type2">>],
                               service_domain_db => #{database => Database},
                               admin => #{port => 0}}),
        ok = md_node:wait_until_following(Node),
        Fun(Node),
        peer:stop(Node)
    after
        md_database:drop(Database)
    end.

%% The checkout, with the documents and the programs.
root(Directory) ->
    case filelib:is_regular(filename:join(Directory, "rebar.config")) of
        true -> Directory;
        false -> root(filename:dirname(Directory))
    end.

documents(Root) ->
    ["README.md" | lists:sort(filelib:wildcard("docs/*.md", Root) ++ filelib:wildcard("examples/*/README.md", Root))].

read(Root, Name) ->
    {ok, Text} = file:read_file(filename:join(Root, Name)),
    Text.

commands(Text) ->
    case re:run(Text, "`domainctl ([^`]+)`", [global, {capture, all_but_first, binary}]) of
        {match, Commands} -> [Command || [Command] <- Commands];
        nomatch -> []
    end.

without_placeholders([Verb | Arguments] = Command) ->
    IsPlaceholder = fun(Argument) -> re:run(Argument, "^[A-Z_]+$") =/= nomatch end,
    case lists:any(IsPlaceholder, Arguments) of
        true -> [<<"help">>, Verb];
        false -> Command
    end.

%% {console | erlang, input, output} of each example, in the order of the document.
examples(Text) ->
    Found = re:run(Text, "```(console|erlang)\n(.*?)```", [global, dotall, {capture, all_but_first, binary}]),
    Blocks = case Found of {match, Matches} -> Matches; nomatch -> [] end,
    lists:append([examples(Kind, Block) || [Kind, Block] <- Blocks]).

examples(<<"console">>, Block) ->
    [command(Example) || Example <- tl(binary:split(<<"\n", Block/binary>>, <<"\n$ ">>, [global]))];
examples(<<"erlang">>, Block) ->
    Prompts = re:split(<<"\n", Block/binary>>, "\n[0-9]+> ", [{return, binary}]),
    [begin
         {match, [Expression, Printed]} =
             re:run(Example, "^(.*?\\.)\n(.*)$", [dotall, {capture, all_but_first, binary}]),
         {erlang, Expression, Printed}
     end || Example <- tl(Prompts)].

%% A command and the lines of its output.
command(Example) ->
    Ends = ["^([^\n]*<<'([A-Z]+)'\n.*?\n\\2)\n?(.*)$", "^((?:[^\n]*\\\\\n)*[^\n]*)\n?(.*)$"],
    [{Command, Printed} | _] =
        [{hd(Captured), lists:last(Captured)}
         || End <- Ends, {match, Captured} <- [re:run(Example, End, [dotall, {capture, all_but_first, binary}])]],
    {console, Command, Printed}.

run_all(Name, Examples, Node, Config) ->
    #{port := Port} = md_http:door(Node, none),
    Directory = filename:join(?config(priv_dir, Config), [case C of $/ -> $_; _ -> C end || C <- Name]),
    ok = filelib:ensure_path(Directory),
    ok = md_node:call(Node, file, set_cwd, [Directory]),
    lists:foldl(fun(Example, Bindings) -> run(Example, Bindings, Node, {Port, ?config(root, Config), Directory}) end,
                erl_eval:new_bindings(), Examples).

run({console, Command, Printed}, Bindings, _Node, {Port, Root, Directory}) ->
    Here = binary:replace(Command, <<"127.0.0.1:8088">>, iolist_to_binary(["127.0.0.1:", integer_to_list(Port)]), [global]),
    Shell = os:find_executable("bash"),
    Running = open_port({spawn_executable, Shell},
                        [{args, ["-c", Here]}, {cd, Directory}, exit_status, stderr_to_stdout, binary,
                         {env, [{"PATH", filename:join([Root, "priv", "bin"]) ++ ":" ++ os:getenv("PATH")},
                                {"DOMAINCTL_URL", "http://127.0.0.1:" ++ integer_to_list(Port)},
                                {"HOME", Directory}]}]),
    Told = collect(Running, <<>>),
    ?assertMatch({match, _}, re:run(Told, pattern(Printed)), #{command => Here, printed => Told}),
    Bindings;
run({erlang, Expression, Printed}, Bindings, Node, _Place) ->
    {Value, NewBindings} = md_node:call(Node, ?MODULE, evaluate, [Expression, Bindings]),
    %% Terms are compared, since the shell chooses line breaks and the order of keys.
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list([Printed, "."])),
    ?assertEqual(erl_parse:parse_term(Tokens), {ok, Value}, Expression),
    NewBindings.

%% @private Evaluates as the shell does, with the functions of the module c as its commands.
-spec evaluate(binary(), erl_eval:binding_struct()) -> {term(), erl_eval:binding_struct()}.
evaluate(Expression, Bindings) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Expression)),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, NewBindings} = erl_eval:exprs(Expressions, Bindings, {value, fun(Name, Args) -> apply(c, Name, Args) end}),
    {Value, NewBindings}.

collect(Running, Told) ->
    receive
        {Running, {data, More}} -> collect(Running, <<Told/binary, More/binary>>);
        {Running, {exit_status, _}} -> Told
    end.

%% Space at the end of a line is ignored.
pattern(Printed) ->
    Escaped = re:replace(string:trim(Printed), "[][.*+?^${}()|\\\\]", "\\\\&", [global, unicode, {return, binary}]),
    Any = binary:replace(Escaped, <<"…"/utf8>>, <<".*">>, [global]),
    ["^\\s*", binary:replace(Any, <<"\n">>, <<"\\s*\n">>, [global]), "\\s*$"].
