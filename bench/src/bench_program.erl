%% Runs a program to its end.
-module(bench_program).

-export([run/2]).

%% @doc What the program prints, on both of its outputs. Fails with that where the exit status is not 0.
-spec run(file:filename(), [string()]) -> iodata().
run(Program, Args) ->
    output(Program, open_port({spawn_executable, Program}, [{args, Args}, binary, exit_status, stderr_to_stdout]), []).

output(Program, Port, Output) ->
    receive
        {Port, {data, Bytes}} -> output(Program, Port, [Output, Bytes]);
        {Port, {exit_status, 0}} -> Output;
        {Port, {exit_status, Status}} -> error({filename:basename(Program), Status, iolist_to_binary(Output)})
    end.
