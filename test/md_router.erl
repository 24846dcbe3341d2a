%% A router inside a node that records its calls and behaves as a test sets.
%%
%%   ok = md_node:call(Node, md_router, behave, [register_host, <<"a.example">>, {error, full}]),
%%   [{register_host, <<"a.example">>, {domain, <<"type1">>}}] = md_node:call(Node, md_router, calls, []).
%%
%% The node's environment has `router => md_router'. The record survives a restart of the application.
-module(md_router).
-behaviour(mongoose_domain_router).

-export([behave/3, calls/0, take_calls/0]).
-export([register_host/2, unregister_host/2, register_handler/4, unregister_handler/3, add_extra/2]).

-export_type([call/0]).

%% The callback and its arguments.
-type call() :: {atom(), mongoose_domain_router:host()} | {atom(), mongoose_domain_router:host(), term()}
    | {atom(), mongoose_domain_router:host(), term(), term()}
    | {atom(), mongoose_domain_router:host(), term(), term(), term()}.
%% What a callback does: returns this, crashes, or starts a linked process that ends.
-type behaviour() :: ok | {error, term()} | crash | throw | exit | link | link_normal.

%% @doc Sets what a callback does for this host; the default is ok.
-spec behave(atom(), mongoose_domain_router:host(), behaviour()) -> ok.
behave(Function, Host, Behaviour) ->
    persistent_term:put({?MODULE, Function, Host}, Behaviour).

%% @doc All calls since the last take_calls/0, oldest first, including those that failed.
-spec calls() -> [call()].
calls() ->
    lists:reverse(persistent_term:get({?MODULE, calls}, [])).

%% @doc The same, and deletes the record. Other processes must not call the router meanwhile.
-spec take_calls() -> [call()].
take_calls() ->
    Calls = calls(),
    persistent_term:put({?MODULE, calls}, []),
    Calls.

-spec register_host(mongoose_domain_router:host(), mongoose_domain_router:route()) -> ok | {error, term()}.
register_host(Host, Route) ->
    called(register_host, [Host, Route]).

-spec unregister_host(mongoose_domain_router:host(), mongoose_domain_router:kind()) -> ok.
unregister_host(Host, Kind) ->
    called(unregister_host, [Host, Kind]).

-spec register_handler(mongoose_domain_router:host(), mongoose_domain_router:namespace(),
                       mongoose_domain_router:component(), mongoose_domain_router:handler()) -> ok | {error, term()}.
register_handler(Host, Namespace, Component, Handler) ->
    called(register_handler, [Host, Namespace, Component, Handler]).

-spec unregister_handler(mongoose_domain_router:host(), mongoose_domain_router:namespace(),
                         mongoose_domain_router:component()) -> ok.
unregister_handler(Host, Namespace, Component) ->
    called(unregister_handler, [Host, Namespace, Component]).

%% Returns a shape that only this router makes, which proves that it was called.
-spec add_extra(mongoose_domain_router:packet_handler(), #{atom() => term()}) ->
    mongoose_domain_router:packet_handler().
add_extra(Handler, Extra) ->
    {extended, Handler, Extra}.

%% Only one process calls the router, so no other write comes in between.
called(Function, [Host | _] = Args) ->
    Before = persistent_term:get({?MODULE, calls}, []),
    persistent_term:put({?MODULE, calls}, [list_to_tuple([Function | Args]) | Before]),
    do(persistent_term:get({?MODULE, Function, Host}, ok)).

do(crash) -> erlang:error(told_to_crash);
do(throw) -> throw(told_to_throw);
do(exit) -> exit(told_to_exit);
do(link) -> link_to_one_that_ends(told_to_exit);
do(link_normal) -> link_to_one_that_ends(normal);
do(Answer) -> Answer.

link_to_one_that_ends(Reason) ->
    {_Pid, Monitor} = spawn_opt(fun() -> exit(Reason) end, [link, monitor]),
    receive {'DOWN', Monitor, process, _, _} -> ok end.
