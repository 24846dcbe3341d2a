%% Removal handlers inside a node that behave as a test sets and record their calls.
%%
%%   ok = md_node:call(Node, md_handlers, register, [<<"type1">>, first, 10]),
%%   ok = md_node:call(Node, md_handlers, behave, [first, {error, full}]),
%%   [{first, <<"type1">>, <<"a.example">>}] = md_node:call(Node, md_handlers, calls, []).
-module(md_handlers).

-export([register/3, unregister/2, behave/2, calls/0]).
-export([called/3]).

-type name() :: first | second.
%% What a handler does: returns this, crashes, or waits until its behaviour changes.
-type behaviour() :: ok | {error, term()} | crash | wait.

%% @doc Registers a handler.
-spec register(binary(), name(), integer()) -> ok | {error, already_registered}.
register(HostType, Name, Priority) ->
    mongoose_domain_removal:register_handler(HostType, module(Name), Priority).

%% @doc Unregisters the handler.
-spec unregister(binary(), name()) -> ok.
unregister(HostType, Name) ->
    mongoose_domain_removal:unregister_handler(HostType, module(Name)).

module(first) -> md_handler_first;
module(second) -> md_handler_second.

%% @doc Sets the behaviour of the handler; the default is ok.
-spec behave(name(), behaviour()) -> ok.
behave(Name, Behaviour) ->
    persistent_term:put({?MODULE, Name}, Behaviour).

%% @doc All calls so far, oldest first.
-spec calls() -> [{name(), binary(), binary()}].
calls() ->
    lists:reverse(persistent_term:get({?MODULE, calls}, [])).

%% @private Records the call of a handler.
-spec called(name(), binary(), binary()) -> ok | {error, term()}.
called(Name, HostType, Domain) ->
    global:trans({?MODULE, self()}, fun() ->
        persistent_term:put({?MODULE, calls}, [{Name, HostType, Domain} | persistent_term:get({?MODULE, calls}, [])])
    end, [node()]),
    answer(Name).

answer(Name) ->
    case persistent_term:get({?MODULE, Name}, ok) of
        crash -> erlang:error(told_to_crash);
        wait ->
            timer:sleep(10),
            answer(Name);
        Answer -> Answer
    end.
