%% Counts the messages that processes receive during a call, which shows the cost in messages without a clock.
-module(md_tracer).

-export([received/2]).

%% @doc The result of the call, and how many messages each of these processes received meanwhile. Runs in a node.
-spec received([atom()], {module(), atom(), [term()]}) -> {term(), #{atom() => non_neg_integer()}}.
received(Names, {Module, Function, Args}) ->
    Processes = [{whereis(Name), Name} || Name <- Names],
    [1 = erlang:trace(Pid, true, ['receive']) || {Pid, _} <- Processes],
    Result = apply(Module, Function, Args),
    %% When they answer, all earlier messages have arrived.
    [_ = sys:get_state(Pid) || {Pid, _} <- Processes],
    [1 = erlang:trace(Pid, false, ['receive']) || {Pid, _} <- Processes],
    [receive {trace_delivered, Pid, Ref} -> ok end || {Pid, _} <- Processes, Ref <- [erlang:trace_delivered(Pid)]],
    {Result, count(maps:from_list([{Name, 0} || Name <- Names]), maps:from_list(Processes))}.

count(Counts, Processes) ->
    receive
        {trace, _Pid, 'receive', {system, _From, get_state}} ->
            count(Counts, Processes);
        {trace, Pid, 'receive', _Message} when is_map_key(Pid, Processes) ->
            count(maps:update_with(map_get(Pid, Processes), fun(Count) -> Count + 1 end, Counts), Processes)
    after 0 ->
        Counts
    end.
