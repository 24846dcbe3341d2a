%% Waits for a condition, never for a clock.
%%
%% A test that needs something to have happened says what, and goes on as soon as it is so:
%%
%%   md_wait:until(fun() -> md_node:lookup(Node, <<"example.com">>) =:= {ok, <<"type1">>} end).
%%
%% The deadline is there to end a run that hangs. It is far beyond what a slow machine needs, and no
%% test may depend on it.
-module(md_wait).

-export([until/1, until/2]).

-define(DEADLINE, 60000).
-define(PAUSE, 10).

%% @doc Returns when the condition is true; fails with what it last was when that never comes.
-spec until(fun(() -> term())) -> ok.
until(Condition) ->
    until(Condition, true).

%% @doc Returns when the function's value is this one.
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
