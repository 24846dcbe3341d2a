%% What Linux reports of this VM: its resident memory, and what one thread has used.
-module(bench_os).

-export([resident/0, forget_peak/0, peak/0, thread/1]).

%% @doc Resident bytes of the whole VM (VmRSS), after every process has collected its garbage. The
%% allocators may keep memory of processes that have ended.
-spec resident() -> pos_integer().
resident() ->
    lists:foreach(fun erlang:garbage_collect/1, processes()),
    number("/proc/self/status", "VmRSS") * 1024.

%% @doc The peak counts from now on.
-spec forget_peak() -> ok.
forget_peak() ->
    file:write_file("/proc/self/clear_refs", "5").

%% @doc The largest number of resident bytes that the VM has had (VmHWM).
-spec peak() -> pos_integer().
peak() ->
    number("/proc/self/status", "VmHWM") * 1024.

%% @doc What the one thread of this name has used so far: ticks of processor time (a hundredth of a
%% second on most systems), and the numbers of its voluntary and involuntary context switches.
-spec thread(string()) -> #{ticks := non_neg_integer(), waits := non_neg_integer(), preemptions := non_neg_integer()}.
thread(Name) ->
    [Task] = [Task || Task <- filelib:wildcard("/proc/self/task/*"), comm(Task) =:= Name],
    {ok, Stat} = file:read_file(filename:join(Task, "stat")),
    %% The name, in parentheses, may hold anything; after it come the state and numbers only.
    [_, Fields] = string:split(Stat, ") ", trailing),
    Numbers = string:lexemes(Fields, " "),
    Status = filename:join(Task, "status"),
    #{
        ticks => binary_to_integer(lists:nth(12, Numbers)) + binary_to_integer(lists:nth(13, Numbers)),
        waits => number(Status, "voluntary_ctxt_switches"),
        preemptions => number(Status, "nonvoluntary_ctxt_switches")
    }.

comm(Task) ->
    case file:read_file(filename:join(Task, "comm")) of
        {ok, Comm} -> string:trim(binary_to_list(Comm));
        {error, _} -> ended
    end.

number(File, Field) ->
    {ok, Text} = file:read_file(File),
    {match, [Number]} = re:run(Text, ["^", Field, ":\\s*(\\d+)"], [multiline, {capture, all_but_first, binary}]),
    binary_to_integer(Number).
