%% PropEr generates random graphs of services and of modules and checks each resolution of one.
%%
%% The model does not resolve graphs itself: each property describes the result, and a graph must fail to resolve when
%% its edges that cannot be dropped form a cycle.
%%
%% PropEr's functions are called by their full names: where it is installed as a system package, its header with the
%% short ones may be missing.
-module(md_deps_model).

-import(proper_types, [frequency/1, list/1, oneof/1]).

-export([modules/0, services/0]).

-define(NAMES, [a, b, c, d, e, f, g, h]).

%% @doc The property of modules: graphs with hard, soft and optional edges.
modules() ->
    Edges = list({name(), name(), kind(), options()}),
    proper:forall({Edges, configured(), configured()}, fun({Random, Wanted, Others}) ->
        Graph = unique(Random),
        Known = maps:merge(Others, Wanted),
        Deps = fun(Module, _Options) -> [{To, Wish, Kind} || {From, To, Kind, Wish} <- Graph, From =:= Module] end,
        Result = mongoose_domain_module_deps:resolve(Wanted, Known, Deps),
        proper:whenfail(fun() -> io:format(user, "~p~n", [{Graph, Wanted, Others, Result}]) end,
                        fun() -> check_modules(Result, Graph, Wanted, Known, Deps) end)
    end).

check_modules({error, {dependency_cycle, Path}, _Notes}, Graph, _Wanted, _Known, _Deps) ->
    is_cycle(Path, [{From, To} || {From, To, hard, _} <- Graph]);
check_modules({ok, Modules, Notes}, Graph, Wanted, Known, Deps) ->
    Names = [Module || {Module, _} <- Modules],
    Present = [Edge || {From, To, _, _} = Edge <- Graph, lists:member(From, Names), lists:member(To, Names)],
    Kept = [{From, To} || {From, To, _, _} <- Present, is_before(To, From, Names)],
    Brought = [{From, To} || {From, To, Kind, _} <- Graph, Kind =/= optional],
    all([{nobody_is_there_twice, Names =:= lists:reverse(lists:foldl(fun keep_new/2, [], Names))},
         {exactly_what_is_wanted_and_brought_is_there,
          lists:sort(Names) =:= reachable(maps:keys(Wanted), Brought)},
         {hard_dependencies_come_before, follow(Names, [{From, To} || {From, To, hard, _} <- Present])},
         {others_come_before_unless_what_was_kept_is_against_it,
          lists:all(fun({From, To, _, _}) -> is_before(To, From, Names) orelse leads(To, From, Kept) end, Present)},
         {no_hard_dependency_gives_way,
          [] =:= [Note || {_, #{dropped := #{kind := hard}}} = Note <- Notes]},
         {no_hard_cycle_is_passed_over, not has_cycle([{From, To} || {From, To, hard, _} <- Present])},
         {configured_options_are_kept,
          lists:all(fun({Module, Options}) ->
              Own = maps:get(Module, Known, #{}),
              maps:with(maps:keys(Own), Options) =:= Own
          end, Modules)},
         {every_wish_for_an_option_is_heard,
          lists:all(fun({_, To, Kind, Wish}) ->
              %% Of several optional edges only the options of the last one apply.
              Kind =:= optional orelse maps:keys(Wish) -- maps:keys(proplists:get_value(To, Modules)) =:= []
          end, Present)},
         {no_option_comes_from_nowhere,
          lists:all(fun({Module, Options}) ->
              Asked = [Wish || {_, To, _, Wish} <- Present, To =:= Module],
              lists:all(fun({Key, Value}) ->
                  lists:any(fun(Some) -> maps:find(Key, Some) =:= {ok, Value} end,
                            [maps:get(Module, Known, #{}) | Asked])
              end, maps:to_list(Options))
          end, Modules)},
         {they_can_be_stopped_in_reverse, mongoose_domain_module_deps:order(Modules, Deps) =:= Names}]).

%% @doc The property of services.
services() ->
    proper:forall({list({name(), name()}), configured(), configured()}, fun({Edges, Wanted, Others}) ->
        Known = maps:merge(Others, Wanted),
        Deps = fun(Service) -> [To || {From, To} <- Edges, From =:= Service] end,
        Result = mongoose_domain_deps:resolve(Wanted, Others, Deps),
        proper:whenfail(fun() -> io:format(user, "~p~n", [{Edges, Wanted, Others, Result}]) end,
                        fun() -> check_services(Result, Edges, Wanted, Known, Deps) end)
    end).

check_services({error, #{what := required_service_not_configured} = Problem}, Edges, Wanted, Known, _Deps) ->
    #{service := Missing, required_by := By} = Problem,
    lists:member({By, Missing}, Edges) andalso not is_map_key(Missing, Known)
        andalso lists:member(By, reachable(maps:keys(Wanted), Edges));
check_services({error, #{what := resolving_dependencies_aborted} = Problem}, Edges, Wanted, _Known, _Deps) ->
    #{service := From, dep_service := To, cycle_path := Path} = Problem,
    is_cycle(Path, Edges) andalso hd(Path) =:= To andalso lists:nth(length(Path) - 1, Path) =:= From
        andalso lists:member(To, reachable(maps:keys(Wanted), Edges));
check_services({ok, Services}, Edges, Wanted, Known, Deps) ->
    Names = [Service || {Service, _} <- Services],
    all([{exactly_what_is_wanted_and_needed_is_there, lists:sort(Names) =:= reachable(maps:keys(Wanted), Edges)},
         {what_is_needed_comes_before, follow(Names, [Edge || {From, _} = Edge <- Edges, lists:member(From, Names)])},
         {options_are_kept, maps:from_list(Services) =:= maps:with(Names, Known)},
         {a_closure_is_the_same,
          lists:sort(mongoose_domain_deps:closure(maps:keys(Wanted), Deps)) =:= lists:sort(Names)},
         {they_can_be_stopped_in_reverse, mongoose_domain_deps:order(Names, Deps) =:= Names}]).

name() -> oneof(?NAMES).
kind() -> oneof([hard, soft, optional]).

configured() ->
    proper_types:bind(list({name(), options()}), fun maps:from_list/1, false).

options() ->
    proper_types:bind(list({oneof([x, y, z]), frequency([{3, oneof([1, 2])}, {1, 3}])}), fun maps:from_list/1, false).

%% At most one edge in each direction between two modules.
unique(Edges) ->
    lists:foldl(fun({From, To, _, _} = Edge, Kept) ->
        case [x || {F, T, _, _} <- Kept, F =:= From, T =:= To] of
            [] -> Kept ++ [Edge];
            _ -> Kept
        end
    end, [], Edges).

keep_new(Name, Kept) ->
    case lists:member(Name, Kept) of
        true -> Kept;
        false -> [Name | Kept]
    end.

%% Prints the names of the claims that are false.
all(Claims) ->
    case [Name || {Name, false} <- Claims] of
        [] -> true;
        Wrong -> io:format(user, "not so: ~p~n", [Wrong]), false
    end.

follow(Names, Edges) ->
    lists:all(fun({From, To}) -> is_before(To, From, Names) end, Edges).

is_before(First, Second, Names) ->
    lists:member(First, lists:takewhile(fun(Name) -> Name =/= Second end, Names)).

is_cycle([First | Rest] = Path, Edges) ->
    lists:last(Path) =:= First andalso Rest =/= []
        andalso lists:all(fun(Step) -> lists:member(Step, Edges) end, lists:zip(lists:droplast(Path), Rest)).

has_cycle(Edges) ->
    lists:any(fun({From, To}) -> leads(To, From, Edges) end, Edges).

leads(From, To, Edges) ->
    lists:member(To, reachable([From], Edges)).

%% These modules and all that can be reached from them.
reachable(Names, Edges) ->
    case lists:usort(Names ++ [To || {From, To} <- Edges, lists:member(From, Names)]) of
        Names -> Names;
        More -> reachable(More, Edges)
    end.
