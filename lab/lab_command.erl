%% Runs programs of the operating system, in a site's network namespace or beside it.
%%
%%   {0, <<"...">>} = lab_command:run({site, 1}, ["curl", "-s", "http://127.0.0.1:8088/readyz"], 5000).
-module(lab_command).

-export([run/3, text/1]).

-export_type([place/0]).

-type place() :: {site, 1..3} | here.

%% @doc The exit status and the output, or `timeout' when the program was killed after that many milliseconds.
-spec run(place(), [iodata()], pos_integer()) -> {non_neg_integer(), binary()} | timeout.
run({site, Site}, Command, Timeout) ->
    run(here, ["ip", "netns", "exec", lists:concat(["site", Site]) | Command], Timeout);
run(here, [Program | Arguments], Timeout) ->
    Port = open_port({spawn_executable, os:find_executable(lists:flatten([Program]))},
        [{args, [unicode:characters_to_list(Argument) || Argument <- Arguments]}, binary, exit_status, stderr_to_stdout, hide]),
    Timer = erlang:send_after(Timeout, self(), {late, Port}),
    Answer = await(Port, []),
    _ = erlang:cancel_timer(Timer),
    receive {late, Port} -> ok after 0 -> ok end,
    Answer.

await(Port, Output) ->
    receive
        {Port, {data, Data}} -> await(Port, [Output, Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Output)};
        {late, Port} ->
            _ = case erlang:port_info(Port, os_pid) of
                {os_pid, Pid} -> os:cmd("kill -KILL " ++ integer_to_list(Pid));
                undefined -> gone
            end,
            _ = try port_close(Port) catch error:badarg -> closed end,
            flush(Port),
            timeout
    end.

flush(Port) ->
    receive {Port, _} -> flush(Port) after 0 -> ok end.

%% @doc Any term as text for a line of the history.
-spec text(term()) -> binary().
text(Term) ->
    unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
