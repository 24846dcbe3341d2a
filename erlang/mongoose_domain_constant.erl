%% Values that are set once in a while and read all the time.
%%
%% set(Module, Values, Reason) compiles a module that knows the values, and loads it in place of the one that is
%% there. Module:at(Place) has a clause for each value, and Module:all() returns all of them: to read one is
%% a jump, and a literal that belongs to no process's heap. The module that is shipped under that name reads
%% the persistent term Module, which holds the values too.
-module(mongoose_domain_constant).

-export([set/3]).

%% How often, and how many milliseconds apart, it is tried to replace a module that is in use.
-define(TRIES, 1000).
-define(PAUSE, 5).

%% @doc Makes Module:at(Place) return one of the values (any terms without a fun, a process, a port or a
%% reference), and fail with the reason for any other place.
-spec set(module(), tuple(), Reason :: term()) -> ok.
set(Module, Values, Reason) ->
    persistent_term:put(Module, Values),
    Nowhere = erl_anno:new(0),
    Clause = fun({Place, Value}) ->
        {clause, Nowhere, [{integer, Nowhere, Place}], [], [erl_parse:abstract(Value)]}
    end,
    Error = {call, Nowhere, {remote, Nowhere, {atom, Nowhere, erlang}, {atom, Nowhere, error}}, [erl_parse:abstract(Reason)]},
    Last = {clause, Nowhere, [{var, Nowhere, '_'}], [], [Error]},
    {ok, Module, Code} = compile:forms([
        {attribute, Nowhere, module, Module},
        {attribute, Nowhere, export, [{at, 1}, {all, 0}]},
        {function, Nowhere, at, 1, lists:map(Clause, lists:enumerate(tuple_to_list(Values))) ++ [Last]},
        {function, Nowhere, all, 0, [{clause, Nowhere, [], [], [erl_parse:abstract(Values)]}]}
    ]),
    ok = purge(Module, ?TRIES),
    {module, Module} = code:load_binary(Module, "made by mongoose_domain_constant", Code),
    ok.

%% The module before the last one has to go. A process may have been put off in the very moment of its
%% call, and is not to die for that: it will have its turn. One that never has, since somebody suspended
%% it, does not hold up the rest.
purge(Module, 0) ->
    _ = code:purge(Module),
    ok;
purge(Module, Tries) ->
    case code:soft_purge(Module) of
        true -> ok;
        false ->
            timer:sleep(?PAUSE),
            purge(Module, Tries - 1)
    end.
