%% Values that are set once and read all the time.
%%
%% make(Module, Values, Others) compiles a module that knows the values, and loads it in place of the one that is
%% there. Module:at(Place) has a clause for each value: to read one is a jump, and a literal that belongs to no
%% process's heap. For any other place it calls Others:at(Place).
%%
%% The VM keeps two versions of a module. To load a third, it has to forget the first, and looks at every process
%% whether that runs it: seconds where there are many, in which no other code is loaded and every process is woken.
%% So a module that has an old version already stays as it is. Values that come later need another place.
-module(mongoose_domain_constant).

-export([make/3]).

%% @doc Makes Module:at(Place) return one of the values (any terms without a fun, a process, a port or a
%% reference). `too_late': every process would have to be looked at, and the module stays as it is.
-spec make(module(), tuple(), Others :: module()) -> made | too_late.
make(Module, Values, Others) ->
    case erlang:check_old_code(Module) of
        true ->
            too_late;
        false ->
            {module, Module} = code:load_binary(Module, "made by mongoose_domain_constant", code(Module, Values, Others)),
            made
    end.

code(Module, Values, Others) ->
    Nowhere = erl_anno:new(0),
    Clause = fun({Place, Value}) ->
        {clause, Nowhere, [{integer, Nowhere, Place}], [], [erl_parse:abstract(Value)]}
    end,
    Place = {var, Nowhere, 'Place'},
    Ask = {call, Nowhere, {remote, Nowhere, {atom, Nowhere, Others}, {atom, Nowhere, at}}, [Place]},
    Last = {clause, Nowhere, [Place], [], [Ask]},
    {ok, Module, Code} = compile:forms([
        {attribute, Nowhere, module, Module},
        {attribute, Nowhere, export, [{at, 1}, {count, 0}]},
        {function, Nowhere, at, 1, lists:map(Clause, lists:enumerate(tuple_to_list(Values))) ++ [Last]},
        {function, Nowhere, count, 0, [{clause, Nowhere, [], [], [{integer, Nowhere, tuple_size(Values)}]}]}
    ]),
    Code.
