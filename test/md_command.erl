%% Runs `domainctl' as a user does, and returns its exit status and its output.
%%
%%   Admin = md_command:admin(Door),
%%   #{exit := 0, out := <<"added a.example\n">>} = md_command:run(["add", "a.example", "type1"], Admin).
%%
%% It is the installed program. Its environment is exactly what the test passes, and it finds no configuration file of
%% the user who runs the tests. A command ends with the process that started it.
-module(md_command).

-export([admin/1, program/0, run/2, run/3, run_shell/2]).
-export([start/2, kill/1, stop/1, output/1]).

-export_type([t/0, result/0]).

-type environment() :: [{string(), string()}].
-type result() :: #{exit := non_neg_integer(), out := binary(), err := binary()}.
-record(command, {port :: port(), directory :: file:filename()}).
-opaque t() :: #command{}.

-define(TIMEOUT, 60000).

%% Standard input and both outputs are files, so each is complete however the command ends. `exec' makes the command
%% the port's own process, which is the one that kill/1 kills.
-define(SHELL, "exec \"$@\" <\"$MD_COMMAND/in\" >\"$MD_COMMAND/out\" 2>\"$MD_COMMAND/err\"").

%% @doc The environment in which it calls this door as the door's admin.
-spec admin(md_http:door()) -> environment().
admin(#{host := Host, port := Port, user := {User, Password}}) ->
    [{"DOMAINCTL_URL", lists:concat(["http://", Host, ":", Port])},
     {"DOMAINCTL_USERNAME", User}, {"DOMAINCTL_PASSWORD", Password}].

%% @doc The path of the installed program.
-spec program() -> file:filename().
program() ->
    filename:join([code:priv_dir(mongoose_domain), "bin", "domainctl"]).

%% @doc Runs it and waits for its end.
-spec run([iodata()], environment()) -> result().
run(Args, Environment) ->
    run(Args, Environment, <<>>).

%% @doc The same, with this on its standard input.
-spec run([iodata()], environment(), iodata()) -> result().
run(Args, Environment, Input) ->
    result(start([program() | Args], Environment, Input)).

%% @doc Runs a line of shell in which $0 is the program.
-spec run_shell(iodata(), environment()) -> result().
run_shell(Line, Environment) ->
    result(start(["/bin/sh", "-c", Line, program()], Environment, <<>>)).

%% @doc Starts it.
-spec start([iodata()], environment()) -> t().
start(Args, Environment) ->
    start([program() | Args], Environment, <<>>).

start(Words, Environment, Input) ->
    Name = lists:concat(["md_command-", os:getpid(), "-", erlang:unique_integer([positive])]),
    Directory = filename:join(os:getenv("TMPDIR", "/tmp"), Name),
    ok = file:make_dir(Directory),
    ok = file:write_file(filename:join(Directory, "in"), Input),
    Absent = [{Key, false} || Key <- ["DOMAINCTL_URL", "DOMAINCTL_USERNAME", "DOMAINCTL_PASSWORD"],
                              not lists:keymember(Key, 1, Environment)],
    Own = [{"MD_COMMAND", Directory}, {"XDG_CONFIG_HOME", Directory}],
    Args = ["-c", ?SHELL, "sh" | [unicode:characters_to_binary(Word) || Word <- Words]],
    Port = open_port({spawn_executable, "/bin/sh"}, [exit_status, {args, Args}, {env, Environment ++ Own ++ Absent}]),
    #command{port = Port, directory = Directory}.

result(Command) ->
    Exit = wait(Command),
    Result = #{exit => Exit, out => read(Command, "out"), err => read(Command, "err")},
    ok = file:del_dir_r(Command#command.directory),
    Result.

%% @doc Kills it with SIGKILL, as a crash would. The result says whether it was still running.
-spec kill(t()) -> killed | {ended, non_neg_integer()}.
kill(Command) ->
    _ = signal(Command, "KILL"),
    case wait(Command) of
        137 -> killed;
        Exit -> {ended, Exit}
    end.

%% @doc Ends it as the end of a login session does.
-spec stop(t()) -> non_neg_integer().
stop(Command) ->
    _ = signal(Command, "TERM"),
    wait(Command).

signal(#command{port = Port}, Name) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} -> os:cmd(lists:concat(["kill -", Name, " ", Pid]));
        undefined -> gone
    end.

%% @doc Its standard output so far.
-spec output(t()) -> binary().
output(Command) ->
    read(Command, "out").

read(#command{directory = Directory}, Name) ->
    case file:read_file(filename:join(Directory, Name)) of
        {ok, Bytes} -> Bytes;
        {error, enoent} -> <<>>
    end.

wait(#command{port = Port}) ->
    receive
        {Port, {exit_status, Exit}} -> Exit
    after ?TIMEOUT ->
        erlang:error({a_command_does_not_end, Port})
    end.
