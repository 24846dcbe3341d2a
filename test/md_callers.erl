%% Processes in a node that change domains without a pause worth the name, each one domain after the other, and keep every
%% call with its answer.
%%
%%   Callers = md_node:call(Node, md_callers, start, [[Names, OtherNames]]),   % a process for each list
%%   #{Name := Calls} = md_node:call(Node, md_callers, stop, [Callers]),
%%   #{enabled := {Least, Most}} = md_callers:possible(Calls).
%%
%% While nobody else changes a name, its calls tell what its row may be in the end, and how many events it may have
%% (possible/1). Of a name that callers on several nodes change, its last changes tell that (is_possible/2).
%%
%% A change that was answered with "may have been made" may be made at any later time, too: a server that was stopped executes
%% what it has received when it goes on.
-module(md_callers).

-export([start/1, stop/1, together/1, possible/1, is_possible/2]).

-export_type([t/0, call/0, state/0]).

-type t() :: [pid()].
-type change() :: insert_domain | delete_domain | enable_domain | disable_domain.
%% The times are the operating system's, which all nodes of a machine have in common.
-type call() :: {change(), Answer :: term(), Began :: integer(), Ended :: integer()}.
-type state() :: absent | enabled | disabled.

-define(TYPE, <<"type1">>).
-define(CHANGES, [insert_domain, delete_domain, enable_domain, disable_domain]).
%% So that six nodes on one machine leave the servers time for faults. In milliseconds.
-define(PAUSE, 50).

%% In the node

%% @doc Starts a process for each of these lists of domains.
-spec start([[binary()]]) -> t().
start(Lists) ->
    [spawn(fun() -> go_on(Domains, #{}) end) || Domains <- Lists].

%% @doc Returns all calls of each domain, oldest first. A call that is made now ends first.
-spec stop(t()) -> #{binary() => [call()]}.
stop(Callers) ->
    [Caller ! {stop, self()} || Caller <- Callers],
    All = [receive {Caller, Calls} -> Calls end || Caller <- Callers],
    together([maps:map(fun(_, Calls) -> lists:reverse(Calls) end, Own) || Own <- All]).

%% @doc All calls of each domain. Those of one caller stay in their order.
-spec together([#{binary() => [call()]}]) -> #{binary() => [call()]}.
together(All) ->
    lists:foldl(fun(Some, Others) -> maps:merge_with(fun(_, One, Other) -> One ++ Other end, Some, Others) end, #{}, All).

go_on(Domains, Calls) ->
    Domain = one_of(Domains),
    Change = one_of(?CHANGES),
    Began = os:perf_counter(),
    Call = {Change, make(Change, Domain), Began, os:perf_counter()},
    Made = maps:update_with(Domain, fun(Before) -> [Call | Before] end, [Call], Calls),
    receive
        {stop, From} -> From ! {self(), Made}
    after ?PAUSE ->
        go_on(Domains, Made)
    end.

one_of(List) ->
    lists:nth(rand:uniform(length(List)), List).

make(Change, Domain) ->
    Args = case lists:member(Change, [insert_domain, delete_domain]) of
        true -> [Domain, ?TYPE];
        false -> [Domain]
    end,
    try
        apply(mongoose_domain_api, Change, Args)
    catch
        Class:Reason -> {Class, Reason}
    end.

%% In the test

%% @doc In which states the domain may be in the end, each with the least and the greatest number of events. Without any
%% state, an answer contradicts those before it.
-spec possible([call()]) -> #{state() => {non_neg_integer(), non_neg_integer()}}.
possible(Calls) ->
    Ends = lists:foldl(fun step/2, #{{absent, []} => {0, 0}}, Calls),
    maps:fold(fun({State, _Open}, Events, All) -> add(State, Events, All) end, #{}, Ends).

%% What may be true after a call: a state, and the changes that may still be made.
step({Change, Answer, _, _}, Before) ->
    case outcome(Answer) of
        none -> Before;
        unknown ->
            with_open(maps:fold(fun({State, Open}, Events, All) ->
                add({State, lists:sort([Change | Open])}, Events, All)
            end, #{}, Before));
        Outcome ->
            with_open(maps:fold(fun({State, Open}, {Least, Most}, All) ->
                case change(Change, Outcome, State) of
                    impossible -> All;
                    {New, Events} -> add({New, Open}, {Least + Events, Most + Events}, All)
                end
            end, #{}, Before))
    end.

%% These, and those where one or more of the open changes was made.
with_open(All) ->
    Next = maps:fold(fun({State, Open}, {Least, Most}, Found) ->
        lists:foldl(fun(Change, Others) ->
            case change(Change, made, State) of
                impossible -> Others;
                {New, Events} -> add({New, lists:delete(Change, Open)}, {Least + Events, Most + Events}, Others)
            end
        end, Found, Open)
    end, All, All),
    case Next of
        All -> All;
        _ -> with_open(Next)
    end.

add(Key, {Least, Most}, All) ->
    maps:update_with(Key, fun({Low, High}) -> {min(Least, Low), max(Most, High)} end, {Least, Most}, All).

%% What a change makes of a state, and how many events it writes.
change(insert_domain, made, absent) -> {enabled, 1};
change(insert_domain, made, State) -> {State, 0};
change(delete_domain, made, absent) -> {absent, 0};
change(delete_domain, made, _State) -> {absent, 1};
change(enable_domain, made, disabled) -> {enabled, 1};
change(enable_domain, made, enabled) -> {enabled, 0};
change(disable_domain, made, enabled) -> {disabled, 1};
change(disable_domain, made, disabled) -> {disabled, 0};
change(_Change, not_found, absent) -> {absent, 0};
change(_Change, _Outcome, _State) -> impossible.

outcome({ok, _}) -> made;
outcome({not_found, _}) -> not_found;
outcome({error, overloaded}) -> none;
outcome({Tag, Text}) when Tag =:= timeout; Tag =:= db_error ->
    case binary:match(Text, <<"nothing was changed">>) of
        nomatch -> unknown;
        _ -> none
    end.

%% @doc Whether a domain that is in this state in the end may have had these calls: at the same time as each acknowledged
%% change that left another state, or later, a change left this one.
-spec is_possible(state(), [call()]) -> boolean().
is_possible(End, Calls) ->
    Left = [{Outcome, left(Change, Outcome), Began, Ended} || {Change, Answer, Began, Ended} <- Calls,
                                                              Outcome <- [outcome(Answer)], Outcome =/= none],
    Last = [{Outcome, Ended} || {Outcome, States, _, Ended} <- Left, lists:member(End, States)],
    lists:all(fun({Outcome, States, Began, _}) ->
        Outcome =:= unknown orelse lists:member(End, States)
            orelse lists:any(fun({Its, Ended}) -> Its =:= unknown orelse Ended > Began end, Last)
    end, Left).

%% The states in which a change may leave a domain.
left(_Change, not_found) -> [absent];
left(insert_domain, _) -> [enabled, disabled];
left(delete_domain, _) -> [absent];
left(enable_domain, _) -> [enabled];
left(disable_domain, _) -> [disabled].
