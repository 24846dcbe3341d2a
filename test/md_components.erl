%% Services and modules for tests: made inside a node, they record their calls and behave as a test sets.
%%
%%   ok = md_node:call(Node, md_components, make, [#{md_service_a => {service, #{deps => [md_service_b]}}}]),
%%   ok = md_node:call(Node, md_components, behave, [md_service_a, start, {crash, full}]),
%%   [{md_service_a, start, [#{}]}] = md_node:call(Node, md_components, calls, []).
%%
%% A module exports start, stop and deps, and the other callbacks of its description.
-module(md_components).

-export([make/1, behave/3, calls/0, forget/0]).
-export([hold/3, await_held/1, let_go/1, await_callers/2]).
-export([done/3]).

-type description() :: {service | module, #{Callback :: atom() => Answer :: term()}}.
%% Returns this (the default is ok), crashes with this reason or as if no clause had matched, starts and links a
%% process, returns `{wait, _}' with a process that ends soon or never, or calls a function with the arguments.
-type behaviour() :: {return, term()} | {crash, term()} | no_clause | link | {wait, soon | never | named}
                   | {call, fun(([term()]) -> term())}.

%% @doc Makes these modules. A callback with a value in the description returns that value.
-spec make(#{module() => description()}) -> ok.
make(Descriptions) ->
    maps:foreach(fun make/2, Descriptions).

make(Name, {Kind, Answers}) ->
    Arities = maps:merge(arities(Kind), maps:with(maps:keys(Answers), optional(Kind))),
    Exports = lists:join(", ", [io_lib:format("~p/~b", [F, Arity]) || {F, Arity} <- maps:to_list(Arities)]),
    Head = [io_lib:format("-module(~p).", [Name]), ["-export([", Exports, "])."]],
    Functions = [function(Name, Callback, Arity) || {Callback, Arity} <- maps:to_list(Arities)],
    {ok, Name, Binary} = compile:forms([form(Text) || Text <- Head ++ Functions]),
    {module, Name} = code:load_binary(Name, "md_components", Binary),
    maps:foreach(fun(Callback, Answer) -> behave(Name, Callback, {return, Answer}) end, Answers).

arities(service) -> #{start => 1, stop => 0, deps => 0};
arities(module) -> #{start => 2, stop => 1, deps => 2}.

optional(service) -> #{validate => 1, secrets => 0};
optional(module) -> #{validate => 1, supported_features => 0, remove_domain => 2}.

function(Name, Callback, Arity) ->
    Arguments = lists:join(", ", [[$A, integer_to_list(N)] || N <- lists:seq(1, Arity)]),
    io_lib:format("~p(~s) -> md_components:done(~p, ~p, [~s]).", [Callback, Arguments, Name, Callback, Arguments]).

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

%% @doc Sets the behaviour of a callback.
-spec behave(module(), atom(), behaviour()) -> ok.
behave(Name, Callback, Behaviour) ->
    persistent_term:put({?MODULE, Name, Callback}, Behaviour).

%% @doc All starts, stops and removals so far, oldest first.
-spec calls() -> [{module(), atom(), [term()]}].
calls() ->
    lists:reverse(persistent_term:get({?MODULE, calls}, [])).

%% @doc Forgets all recorded calls.
-spec forget() -> ok.
forget() ->
    persistent_term:put({?MODULE, calls}, []).

%% Called from outside of the node, for callbacks that last as long as a test needs.

%% @doc Makes a callback wait for let_go/1 from now on. Only one callback can wait at a time.
-spec hold(md_node:t(), module(), atom()) -> ok.
hold(Node, Name, Callback) ->
    md_node:call(Node, ?MODULE, behave, [Name, Callback, {call, fun(_Arguments) ->
        true = register(md_components_held, self()),
        receive go -> ok end
    end}]).

%% @doc Returns when the callback waits.
-spec await_held(md_node:t()) -> ok.
await_held(Node) ->
    md_wait:until(fun() -> is_pid(md_node:call(Node, erlang, whereis, [md_components_held])) end).

-spec let_go(md_node:t()) -> ok.
let_go(Node) ->
    go = md_node:call(Node, erlang, send, [md_components_held, go]),
    ok.

%% @doc Returns when that many processes hold the lock of the components or wait for it.
-spec await_callers(md_node:t(), non_neg_integer()) -> ok.
await_callers(Node, Count) ->
    Turns = md_node:call(Node, erlang, whereis, [mongoose_domain_components_lock]),
    md_wait:until(fun() ->
        {monitors, Monitors} = md_node:call(Node, erlang, process_info, [Turns, monitors]),
        length(Monitors)
    end, Count).

%% @private Records the call of a callback.
-spec done(module(), atom(), [term()]) -> term().
done(Name, Callback, Arguments) ->
    _ = [remember({Name, Callback, Arguments}) || lists:member(Callback, [start, stop, remove_domain])],
    behaviour(persistent_term:get({?MODULE, Name, Callback}, default(Callback)), Arguments).

remember(Call) ->
    global:trans({?MODULE, self()}, fun() ->
        persistent_term:put({?MODULE, calls}, [Call | persistent_term:get({?MODULE, calls}, [])])
    end, [node()]).

default(deps) -> {return, []};
default(_Callback) -> {return, ok}.

behaviour({return, Answer}, _Arguments) -> Answer;
behaviour({crash, Reason}, _Arguments) -> erlang:error(Reason);
behaviour(no_clause, Arguments) -> erlang:error(function_clause, Arguments);
behaviour(link, _Arguments) -> spawn_link(fun live/0);
behaviour({wait, soon}, _Arguments) -> {wait, spawn(fun() -> ok end)};
behaviour({wait, never}, _Arguments) -> {wait, [spawn(fun live/0)]};
behaviour({wait, named}, _Arguments) ->
    true = register(md_components_waiting, spawn(fun live/0)),
    {wait, [md_components_waiting, md_components_gone]};
behaviour({call, Fun}, Arguments) -> Fun(Arguments).

live() ->
    receive stop -> ok end.
