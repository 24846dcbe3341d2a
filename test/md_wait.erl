%% Waits for a condition instead of a time.
%%
%% A test names the condition that it needs, and continues as soon as it holds:
%%
%%   md_wait:until(fun() -> md_node:lookup(Node, <<"example.com">>) =:= {ok, <<"type1">>} end).
%%
%% The deadline only ends a run that hangs. It is far longer than a slow machine needs, and no test may depend on it.
-module(md_wait).

-export([until/1, until/2]).

-define(DEADLINE, 60000).
-define(PAUSE, 10).

%% @doc Returns when the function returns true; fails with its last value after the deadline.
-spec until(fun(() -> term())) -> ok.
until(Condition) ->
    until(Condition, true).

%% @doc Returns when the function returns this value.
-spec until(fun(() -> term()), term()) -> ok.
until(Value, Wanted) ->
    until(Value, Wanted, erlang:monotonic_time(millisecond) + ?DEADLINE).

until(Value, Wanted, End) ->
    case {Value(), erlang:monotonic_time(millisecond) < End} of
        {Wanted, _} -> ok;
        {_Other, true} ->
            timer:sleep(?PAUSE),
            until(Value, Wanted, End);
        {Other, false} -> erlang:error({never_happened, #{wanted => Wanted, last => Other}})
    end.
