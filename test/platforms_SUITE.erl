%% The checks for build and test tools: they demand exactly what is missing on a machine, and warnings of a newer
%% compiler do not stop a build.
-module(platforms_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0]).
-export([a_warning_ends_the_build_of_the_tests_and_of_nobody_else/1,
         nothing_that_a_compiler_finds_is_denied_in_the_sources/1,
         an_application_is_there_when_it_can_be_loaded_and_not_when_its_directory_is/1,
         a_program_or_driver_is_there_when_it_works_and_not_when_its_name_is/1,
         every_program_that_a_test_calls_is_asked_for/1,
         every_application_that_is_asked_for_is_used/1]).

%% Programs that exist on every system with a shell.
-define(EVERYWHERE, [<<"sh">>, <<"bash">>, <<"id">>, <<"cat">>, <<"cd">>, <<"printf">>]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_warning_ends_the_build_of_the_tests_and_of_nobody_else,
     nothing_that_a_compiler_finds_is_denied_in_the_sources,
     an_application_is_there_when_it_can_be_loaded_and_not_when_its_directory_is,
     a_program_or_driver_is_there_when_it_works_and_not_when_its_name_is,
     every_program_that_a_test_calls_is_asked_for,
     every_application_that_is_asked_for_is_used].

%% Warnings

%% Uses the project's own rebar.config, for the project itself and as a dependency. The native library, which does not
%% matter here, is not built.
a_warning_ends_the_build_of_the_tests_and_of_nobody_else(Config) ->
    User = filename:join(?config(priv_dir, Config), "user"),
    Project = filename:join([User, "_checkouts", "mongoose_domain"]),
    ok = file(Project, "rebar.config", read("rebar.config")),
    ok = file(Project, "native/build", "#!/bin/sh\n"),
    ok = file:change_mode(filename:join(Project, "native/build"), 8#755),
    ok = file(Project, "erlang/mongoose_domain.app.src", read("erlang/mongoose_domain.app.src")),
    ok = file(Project, "erlang/mongoose_domain.appup", read("erlang/mongoose_domain.appup")),
    ok = file(Project, "erlang/base/warned.erl", "-module(warned).\nf() -> Unused = 1, ok.\n"),
    ok = file(User, "rebar.config", "{deps, [mongoose_domain]}.\n"),
    ok = file(User, "src/user.app.src", "{application, user, [{vsn, \"1\"}, {applications, [kernel, stdlib]}]}.\n"),
    [?assertMatch({0, {match, _}}, {Exit, re:run(Output, "function f/0 is unused")}, Output)
     || Directory <- [Project, User], {Exit, Output} <- [compile(Directory, [])]],
    {match, [Options]} = re:run(read("scripts/test"), "\nexport ERL_COMPILER_OPTIONS='(.*)'\n", [{capture, [1], list}]),
    Afresh = {"REBAR_BASE_DIR", filename:join(User, "strict")},
    {Exit, Output} = compile(Project, [Afresh, {"ERL_COMPILER_OPTIONS", Options}]),
    ?assertNotEqual({0, Output}, {Exit, Output}).

compile(Directory, Environment) ->
    Absent = [{Name, false} || Name <- ["ERL_COMPILER_OPTIONS", "REBAR_PROFILE"]],
    run("rebar3", ["compile"], [{cd, Directory}, {env, Absent ++ Environment}]).

nothing_that_a_compiler_finds_is_denied_in_the_sources(_Config) ->
    Rust = ["Cargo.toml" | files("native/**/*.{rs,toml}")],
    Denials = [{File, Found} || File <- Rust, {match, Found} <- [re:run(read(File), "\"(?:deny|forbid)\"|#!?\\[(?:deny|forbid)\\(")]],
    ?assertEqual([], Denials),
    Erlang = ["rebar.config", "bench/run", "examples/filebox/rebar.config"],
    ?assertEqual([], [File || File <- Erlang, {match, _} <- [re:run(read(File), "warnings_as_errors")]]).

%% Installed tools

%% The package erlang-dev leaves an empty directory when erlang-odbc is not installed.
an_application_is_there_when_it_can_be_loaded_and_not_when_its_directory_is(Config) ->
    Tools = tools(Config),
    ?assertNot(is_asked_for("erlang-odbc", Tools, [])),
    Empty = filename:join([?config(priv_dir, Config), "odbc-2.14", "ebin"]),
    ok = filelib:ensure_path(Empty),
    Replace = io_lib:format("true = code:del_path(odbc), true = code:add_pathz(~0p)", [Empty]),
    ok = tool(Tools, "erl", ["#!/bin/sh\nexec ", os:find_executable("erl"), " -eval '", Replace, "' \"$@\"\n"]),
    ?assert(is_asked_for("erlang-odbc", Tools, [])).

a_program_or_driver_is_there_when_it_works_and_not_when_its_name_is(Config) ->
    Tools = tools(Config),
    [?assertNot(is_asked_for(Package, Tools, [])) || Package <- ["odbc-postgresql", "python3-venv", "procps"]],
    Drivers = filename:join(?config(priv_dir, Config), "drivers"),
    ok = file(Drivers, "odbcinst.ini", "[PostgreSQL Unicode]\nDriver=/nowhere/psqlodbcw.so\n"),
    ?assert(is_asked_for("odbc-postgresql", Tools, [{"ODBCSYSINI", Drivers}])),
    [begin
         ok = tool(Tools, Program, "#!/bin/sh\nexit 1\n"),
         ?assert(is_asked_for(Package, Tools, []))
     end || {Program, Package} <- [{"valgrind", "valgrind"}, {"python3", "python3-venv"}, {"kill", "procps"}]].

%% A directory whose programs are found before those of the system.
tools(Config) ->
    Tools = filename:join(?config(priv_dir, Config), "tools"),
    _ = file:del_dir_r(Tools),
    ok = filelib:ensure_path(Tools),
    Tools.

tool(Tools, Name, Content) ->
    ok = file(Tools, Name, Content),
    file:change_mode(filename:join(Tools, Name), 8#755).

is_asked_for(Package, Tools, Environment) ->
    Path = {"PATH", Tools ++ ":" ++ os:getenv("PATH")},
    {_Exit, Output} = run(filename:join(root(), "scripts/require"), ["-n", "test"], [{env, [Path | Environment]}]),
    match =:= re:run(Output, ["^ *", Package, " "], [multiline, {capture, none}]).

%% Required tools

every_program_that_a_test_calls_is_asked_for(_Config) ->
    Suites = files("test/*.erl") ++ files("examples/*/test/*.erl"),
    Called = lists:usort(found(Suites, ["find_executable\\(\"([^\"/]+)\"", "[( ]program\\(\"([^\"/]+)\"", "os:cmd\\([^\"]*\"([a-z0-9_-]+)"])
        ++ found(files("examples/*/test/**/*.{ex,exs}"), ["System\\.cmd\\(\"([^\"/]+)\""])
        ++ found(files("native/**/*.rs"), ["[^:]Command::new\\(\"([^\"/]+)\""])
        ++ found(["README.md"] ++ files("docs/*.md"), ["^\\$ ([a-z0-9_-]+)", "^\\$ .*\\| ([a-z0-9_-]+)"])),
    ?assert(length(Called) >= 8),
    Asked = found(["scripts/require"], ["^ *(?:program|env) ([a-z0-9_-]+)", "command -v ([a-z0-9_-]+)", "^ *([a-z0-9_-]+) -c "]),
    Own = [list_to_binary(filename:basename(Program)) || Program <- files("priv/bin/*")],
    ?assertEqual([], Called -- (Asked ++ Own ++ ?EVERYWHERE)).

every_application_that_is_asked_for_is_used(_Config) ->
    Used = iolist_to_binary([read(File) || File <- ["rebar.config", "scripts/test.mk", "scripts/documents/edoc.escript", "erlang/mongoose_domain.app.src"]
        ++ files("test/*.erl") ++ files("examples/*/{src,test}/*.*") ++ files("examples/*/rebar.config")]),
    Apps = [App || Line <- found(["scripts/require"], ["apps='(.*)'"]), App <- binary:split(Line, <<" ">>, [global])],
    ?assert(length(Apps) >= 10),
    ?assertEqual([], [App || App <- lists:usort(Apps), re:run(Used, use_of(App)) =:= nomatch]).

%% The code calls most of these applications. The others are used by a test's header, by the release, or by rebar3.
use_of(<<"common_test">>) -> <<"include_lib\\(\"common_test/">>;
use_of(<<"crypto">>) -> <<"\\bcrypto:">>;
use_of(<<"dialyzer">>) -> <<"rebar3 dialyzer">>;
use_of(<<"eunit">>) -> <<"include_lib\\(\"eunit/">>;
use_of(<<"inets">>) -> <<"\\bhttpc:">>;
use_of(<<"runtime_tools">>) -> <<"\\[mongoose_domain, runtime_tools\\]">>;
use_of(<<"tools">>) -> <<"rebar3 xref">>;
use_of(App) -> <<"\\b", App/binary, ":">>.

%% Helpers

%% What the patterns capture in these files, each once.
found(Files, Patterns) ->
    Options = [global, multiline, {capture, all_but_first, binary}],
    lists:usort([Found || File <- Files, Text <- [read(File)], Pattern <- Patterns,
                          {match, Matches} <- [re:run(Text, Pattern, Options)], [Found] <- Matches]).

run(Program, Args, Options) ->
    Port = open_port({spawn_executable, os:find_executable(Program)},
                     [{args, Args}, exit_status, stderr_to_stdout, binary | Options]),
    ended(Port, <<>>).

ended(Port, Output) ->
    receive
        {Port, {data, Data}} -> ended(Port, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Exit}} -> {Exit, Output}
    end.

file(Directory, Name, Content) ->
    File = filename:join(Directory, Name),
    ok = filelib:ensure_dir(File),
    file:write_file(File, Content).

read(Name) ->
    {ok, Text} = file:read_file(filename:join(root(), Name)),
    Text.

files(Pattern) ->
    filelib:wildcard(Pattern, root()).

%% The checkout.
root() ->
    root(filename:dirname(code:which(?MODULE))).

root(Directory) ->
    case filelib:is_regular(filename:join(Directory, "scripts/require")) of
        true -> Directory;
        false -> root(filename:dirname(Directory))
    end.
