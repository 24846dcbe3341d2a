%% Values that are set once in a while and read all the time.
%%
%% set(Module, Function, Value) compiles a module of one function that returns the value, and loads it
%% in place of the one that is there. To read it is to call Module:Function(): a jump, and a literal
%% that belongs to no process's heap. The module that is shipped under that name reads the persistent
%% term {Module, Function}, which holds the value too.
-module(mongoose_domain_constant).

-export([set/3]).

%% How often, and how many milliseconds apart, it is tried to replace a module that is in use.
-define(TRIES, 1000).
-define(PAUSE, 5).

%% @doc Makes Module:Function() return Value: any term without a fun, a process, a port or a reference.
-spec set(module(), atom(), term()) -> ok.
set(Module, Function, Value) ->
    persistent_term:put({Module, Function}, Value),
    Nowhere = erl_anno:new(0),
    {ok, Module, Code} = compile:forms([
        {attribute, Nowhere, module, Module},
        {attribute, Nowhere, export, [{Function, 0}]},
        {function, Nowhere, Function, 0, [{clause, Nowhere, [], [], [erl_parse:abstract(Value)]}]}
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
