%% Which modules are started for a host type, with which options and in which order: those that are wanted, and what
%% they depend on.
%%
%%   Deps = fun(archive, _) -> [{index, #{days => 7}, hard}, {cache, #{}, optional}]; (_, _) -> [] end,
%%   {ok, [{index, #{days => 30}}, {archive, #{}}], _Notes} =
%%       mongoose_domain_module_deps:resolve(#{archive => #{}}, #{index => #{days => 30}}, Deps).
%%
%% Hard and soft dependencies are there in the end, optional ones only if something else brings them. For each option,
%% the value that the configuration gives wins, whatever the modules' names are. (In MongooseIM a dependent that is
%% visited later overrides it.) Among dependents the one that is visited last wins: modules are visited by name, what a
%% module depends on right after it, and optional dependencies at the end.
%%
%% A module comes after what it depends on. In a cycle, an optional edge is dropped, or else a soft one; a cycle of hard
%% edges is an error.
%%
%% The functions are pure: what is to be logged is in the notes that they return.
-module(mongoose_domain_module_deps).

-export([resolve/3, order/2]).

-export_type([note/0, deps/0]).

-type modules() :: #{module() => Options :: map()}.
-type deps() :: fun((module(), Options :: map()) -> [mongoose_domain_module:dependency()]).
-type kind() :: mongoose_domain_module:kind().
%% What depends on what.
-type graph() :: #{From :: module() => #{To :: module() => kind()}}.
-type note() :: {logger:level(), map()}.
-type request() :: {Options :: map(), Of :: module() | configuration}.
-type problem() :: {dependency_cycle, [module(), ...]} | {dependencies_do_not_settle, module()}.

%% In a cycle, dependents can replace each other's options for ever. After so many changes of one module's options, a
%% request that was seen before is ignored.
-define(MANY_CHANGES, 10).
%% After so many changes, its dependents answer each other with ever new options: an error.
-define(MOST_CHANGES, 100).

-record(state, {
    %% What the configuration says of each module, present or not.
    configured :: modules(),
    deps :: deps(),
    present = #{} :: modules(),
    %% Optional requests that were not visited yet, and the modules that made them.
    optional = #{} :: #{module() => request()},
    %% The last request of each module for each.
    requested = #{} :: #{{Of :: module() | configuration, For :: module()} => Options :: map()},
    %% Each with the number of its discovery.
    edges = #{} :: #{{From :: module(), To :: module()} => {non_neg_integer(), kind()}},
    changes = #{} :: #{module() => pos_integer()},
    %% The last one first.
    notes = [] :: [note()]
}).

%% @doc The wanted modules and what they depend on, each after what it depends on. Known are the options of modules that
%% are configured and not wanted by themselves.
-spec resolve(Wanted :: modules(), Known :: modules(), deps()) ->
    {ok, [{module(), Options :: map()}], [note()]} | {error, problem(), [note()]}.
resolve(Wanted, Known, Deps) ->
    State = #state{configured = maps:merge(Known, Wanted), deps = Deps},
    try collect([{Module, {Options, configuration}} || {Module, Options} <- lists:sort(maps:to_list(Wanted))], State) of
        #state{present = Present, edges = Edges, notes = Notes} ->
            arrange(Present, by_discovery(Edges, Present), lists:reverse(Notes))
    catch
        throw:{problem, Problem, Notes} -> {error, Problem, lists:reverse(Notes)}
    end.

%% @doc These modules, each after those of them that it depends on; else in the order in which they are given, as far
%% as it goes. There is an order whatever they depend on: what is to be stopped must not be in the way of the others.
-spec order([{module(), Options :: map()}], deps()) -> [module()].
order(Modules, Deps) ->
    Names = [Module || {Module, _} <- Modules],
    Edges = [{From, To, Kind} || {From, Options} <- Modules, {To, _, Kind} <- Deps(From, Options),
                                 lists:member(To, Names)],
    %% First those that the given order obeys: they are in no cycle.
    Places = maps:from_list(lists:zip(Names, lists:seq(1, length(Names)))),
    {Obeyed, Others} = lists:partition(fun({From, To, _}) -> map_get(To, Places) < map_get(From, Places) end, Edges),
    Graph = lists:foldl(fun({From, To, Kind}, Graph) ->
        case path(To, From, Graph) of
            none -> put_edge(From, To, Kind, Graph);
            _Cycle -> Graph
        end
    end, #{}, Obeyed ++ Others),
    mongoose_domain_deps:order(Names, fun(Module) -> successors(Module, Graph) end).

%% Which modules are present, with which options

collect([], #state{optional = Optional, present = Present} = State) ->
    {Now, Later} = lists:partition(fun({Module, _}) -> is_map_key(Module, Present) end,
                                   lists:sort(maps:to_list(Optional))),
    case Now of
        [] -> State;
        _ -> collect(Now, State#state{optional = maps:from_list(Later)})
    end;
collect([{Module, {Request, Of}} | Queue], #state{requested = Requested, present = Present} = State) ->
    case maps:find({Of, Module}, Requested) =:= {ok, Request} andalso changes(Module, State) >= ?MANY_CHANGES of
        true -> collect(Queue, State);
        false ->
            Before = maps:get(Module, Present, absent),
            Own = maps:get(Module, State#state.configured, #{}),
            Noted = note_overriding(Module, Before, Request, Own, State#state{requested = Requested#{{Of, Module} => Request}}),
            case merge(Before, Request, Own) of
                Before -> collect(Queue, Noted);
                Options -> collect_deps(Module, Options, Queue, Noted)
            end
    end.

merge(absent, Request, Own) -> maps:merge(Request, Own);
merge(Before, Request, Own) -> maps:merge(maps:merge(Before, Request), Own).

%% What an earlier evaluation requested stays requested.
collect_deps(Module, Options, Queue, #state{present = Present, deps = Deps} = State) ->
    Asked = [Dep || {_, _, _} = Dep <- Deps(Module, Options)],
    Changed = count_change(Module, State#state{present = Present#{Module => Options}}),
    Requests = [{Dep, {Request, Module}} || {Dep, Request, Kind} <- Asked, Kind =/= optional],
    Optional = maps:from_list([{Dep, {Request, Module}} || {Dep, Request, optional} <- Asked]),
    Discovered = lists:foldl(fun({Dep, _, Kind}, Edges) -> discover({Module, Dep}, Kind, Edges) end,
                             Changed#state.edges, Asked),
    collect(Requests ++ Queue, Changed#state{optional = maps:merge(Changed#state.optional, Optional),
                                           edges = Discovered}).

count_change(Module, #state{changes = Changes, notes = Notes} = State) ->
    case changes(Module, State) of
        ?MOST_CHANGES -> throw({problem, {dependencies_do_not_settle, Module}, Notes});
        Count -> State#state{changes = Changes#{Module => Count + 1}}
    end.

changes(Module, #state{changes = Changes}) ->
    maps:get(Module, Changes, 0).

%% The strongest kind of several.
discover(Edge, Kind, Edges) ->
    case Edges of
        #{Edge := {Number, Known}} -> Edges#{Edge := {Number, stronger(Kind, Known)}};
        #{} -> Edges#{Edge => {map_size(Edges), Kind}}
    end.

stronger(One, Other) ->
    hd([Kind || Kind <- [hard, soft, optional], Kind =:= One orelse Kind =:= Other]).

note_overriding(Module, Before, Request, Own, State) ->
    Refused = [Key || {Key, Value} <- maps:to_list(Request), differs(Key, Value, Own)],
    Replaced = case Before of
        absent -> [];
        #{} -> [Key || {Key, Value} <- maps:to_list(Request), differs(Key, Value, Before), not is_map_key(Key, Own)]
    end,
    note_keys(Module, Replaced, dependent, note_keys(Module, Refused, configuration, State)).

differs(Key, Value, Options) ->
    is_map_key(Key, Options) andalso map_get(Key, Options) =/= Value.

note_keys(_Module, [], _Winner, State) ->
    State;
note_keys(Module, Keys, Winner, State) ->
    Report = #{what => overriding_options, module => Module, keys => lists:sort(Keys), winner => Winner},
    case lists:member({warning, Report}, State#state.notes) of
        true -> State;
        false -> State#state{notes = [{warning, Report} | State#state.notes]}
    end.

%% In which order

by_discovery(Edges, Present) ->
    [{From, To, Kind} || {_Number, From, To, Kind} <- lists:sort([{Number, From, To, Kind}
        || {{From, To}, {Number, Kind}} <- maps:to_list(Edges), is_map_key(To, Present)])].

arrange(Present, Edges, Notes) ->
    try lists:foldl(fun add/2, {#{}, [], []}, Edges) of
        {Added, LeftOut, Dropped} ->
            %% What was in the way of an edge may have given way itself.
            {Graph, _, _} = lists:foldl(fun add/2, {Added, [], []}, lists:reverse(LeftOut)),
            Names = mongoose_domain_deps:order(lists:sort(maps:keys(Present)),
                                               fun(Module) -> successors(Module, Graph) end),
            Gone = [Note || {_, #{dropped := #{module := From, dependency := To}}} = Note <- lists:reverse(Dropped),
                            not lists:member(To, successors(From, Graph))],
            {ok, [{Module, map_get(Module, Present)} || Module <- Names], Notes ++ Gone}
    catch
        throw:{cycle, Path, Dropped} ->
            Report = #{what => resolving_dependencies_aborted, cycle_path => Path,
                       text => <<"modules depend on each other in a cycle of hard dependencies">>},
            {error, {dependency_cycle, Path}, Notes ++ lists:reverse([{critical, Report} | Dropped])}
    end.

%% Edges that are left out, and notes of those among them that had been there.
add({From, To, Kind} = Edge, {Graph, LeftOut, Notes}) ->
    case path(To, From, Graph) of
        none -> {put_edge(From, To, Kind, Graph), LeftOut, Notes};
        _Path when Kind =/= hard -> {Graph, [Edge | LeftOut], Notes};
        Path -> add(Edge, give_way(Path, [From | Path], Graph, LeftOut, Notes))
    end.

%% The weakest edge on the way back.
give_way(Path, Cycle, Graph, LeftOut, Notes) ->
    Edges = [{kind(A, B, Graph), A, B} || {A, B} <- lists:zip(lists:droplast(Path), tl(Path))],
    case [Edge || Weak <- [optional, soft], {Kind, _, _} = Edge <- Edges, Kind =:= Weak] of
        [] -> throw({cycle, Cycle, Notes});
        [{Kind, A, B} | _] ->
            Report = #{what => soft_module_dependency_cycle_detected, cycle_path => Cycle,
                       dropped => #{module => A, dependency => B, kind => Kind}},
            {Graph#{A := maps:remove(B, map_get(A, Graph))}, [{A, B, Kind} | LeftOut], [{info, Report} | Notes]}
    end.

%% The modules from this one to that one, both included, by as few steps as can be.
-spec path(module(), module(), graph()) -> [module(), ...] | none.
path(From, To, Graph) ->
    search([[From]], To, Graph, #{From => seen}).

search([], _To, _Graph, _Seen) ->
    none;
search([[To | _] = Path | _], To, _Graph, _Seen) ->
    lists:reverse(Path);
search([[Module | _] = Path | Paths], To, Graph, Seen) ->
    New = [Next || Next <- successors(Module, Graph), not is_map_key(Next, Seen)],
    search(Paths ++ [[Next | Path] || Next <- New], To, Graph, maps:merge(Seen, maps:from_keys(New, seen))).

successors(Module, Graph) ->
    lists:sort(maps:keys(maps:get(Module, Graph, #{}))).

kind(From, To, Graph) ->
    map_get(To, map_get(From, Graph)).

put_edge(From, To, Kind, Graph) ->
    Graph#{From => (maps:get(From, Graph, #{}))#{To => Kind}}.
