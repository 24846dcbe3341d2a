%% Processes that call the same function at the same time, each again and again. Each call is timed by itself.
%%
%% Each process has its own list of times, so the processes share nothing that is measured. The rate includes the loops
%% around the calls; the times of the calls do not.
-module(bench_callers).

-export([for_seconds/3, share/3]).

-export_type([load/0]).

%% Calls a second of all processes together, and the milliseconds of each call.
-type load() :: #{rate := float(), milliseconds := [float(), ...]}.

%% @doc Starts this many Callers, each of which calls Call with its own number and then the numbers 1, 2, 3 and so on, until
%% Seconds have passed. A call that has begun by then is finished and counted.
-spec for_seconds(pos_integer(), number(), fun((Caller :: pos_integer(), pos_integer()) -> ok)) -> load().
for_seconds(Callers, Seconds, Call) ->
    run(Callers, fun(Caller, Begin) -> until(Begin + round(Seconds * 1.0e9), Call, Caller, 1, []) end).

%% @doc Divides the items among this many Callers, and calls Call once with each item.
-spec share(pos_integer(), [Item, ...], fun((Item) -> ok)) -> load().
share(Callers, Items, Call) ->
    Dealt = [{Number rem Callers + 1, Item} || {Number, Item} <- lists:enumerate(0, Items)],
    Hands = maps:groups_from_list(fun({Caller, _Item}) -> Caller end, fun({_Caller, Item}) -> Item end, Dealt),
    run(map_size(Hands), fun(Caller, _Begin) -> [timed(fun() -> Call(Item) end) || Item <- map_get(Caller, Hands)] end).

run(Callers, Work) ->
    Pids = [start(Caller, Work) || Caller <- lists:seq(1, Callers)],
    Begin = os:perf_counter(),
    lists:foreach(fun(Pid) -> Pid ! {go, Begin} end, Pids),
    Nanoseconds = lists:append([receive {Pid, Took} -> Took end || Pid <- Pids]),
    Seconds = (os:perf_counter() - Begin) / 1.0e9,
    #{rate => length(Nanoseconds) / Seconds, milliseconds => [Took / 1.0e6 || Took <- Nanoseconds]}.

start(Caller, Work) ->
    %% os:perf_counter/0 counts nanoseconds on Linux.
    1000000000 = erlang:convert_time_unit(1, second, perf_counter),
    Parent = self(),
    spawn_link(fun() -> receive {go, Begin} -> Parent ! {self(), Work(Caller, Begin)} end end).

until(End, Call, Caller, Number, Times) ->
    Took = timed(fun() -> Call(Caller, Number) end),
    case os:perf_counter() < End of
        true -> until(End, Call, Caller, Number + 1, [Took | Times]);
        false -> [Took | Times]
    end.

timed(Call) ->
    Begin = os:perf_counter(),
    ok = Call(),
    os:perf_counter() - Begin.
