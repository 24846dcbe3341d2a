%% Which services are started, and in which order: those that are wanted, and before each what it needs.
%%
%%   Deps = fun(mailer) -> [database]; (database) -> [] end,
%%   {ok, [{database, #{pool => 4}}, {mailer, #{}}]} =
%%       mongoose_domain_deps:resolve(#{mailer => #{}}, #{database => #{pool => 4}}, Deps).
%%
%% A needed service gets the options that are known for it. A needed service without known options is an error: it is not
%% configured. Services that do not need each other are in the order of their names, so the order is always the same.
%%
%% The functions are pure: they call no process and log nothing.
-module(mongoose_domain_deps).

-export([resolve/3, closure/2, order/2]).

-export_type([problem/0]).

-type services() :: #{module() => Options :: map()}.
-type deps() :: fun((module()) -> [module()]).
%% `required_service_not_configured' (service, required_by) or `resolving_dependencies_aborted' (service, dep_service,
%% cycle_path: each needs the next, the last is the first again).
-type problem() :: #{what := atom(), service := module(), text := binary(), atom() => term()}.

%% @doc The wanted services and what they need, each after what it needs. Known gives the options of those that are
%% not wanted by themselves.
-spec resolve(Wanted :: services(), Known :: services(), deps()) -> {ok, [{module(), map()}]} | {error, problem()}.
resolve(Wanted, Known, Deps) ->
    All = maps:merge(Known, Wanted),
    Visit = fun(Service, Order) -> visit(Service, [], Order, All, Deps) end,
    try lists:foldl(Visit, [], lists:sort(maps:keys(Wanted))) of
        Order -> {ok, [{Service, map_get(Service, All)} || Service <- lists:reverse(Order)]}
    catch
        throw:{problem, Problem} -> {error, Problem}
    end.

%% Above are the services that need it, the nearest first; Order are the visited ones, the last first.
visit(Service, Above, Order, All, Deps) ->
    case {lists:member(Service, Order), lists:member(Service, Above), is_map_key(Service, All)} of
        {true, _, _} -> Order;
        {_, true, _} -> throw({problem, cycle(Service, Above)});
        {_, _, false} -> throw({problem, missing(Service, hd(Above))});
        {_, _, true} ->
            Visit = fun(Dep, Visited) -> visit(Dep, [Service | Above], Visited, All, Deps) end,
            [Service | lists:foldl(Visit, Order, lists:usort(Deps(Service)))]
    end.

cycle(Service, [Last | _] = Above) ->
    {Between, _} = lists:splitwith(fun(Other) -> Other =/= Service end, Above),
    Path = [Service | lists:reverse([Service | Between])],
    #{what => resolving_dependencies_aborted, service => Last, dep_service => Service, cycle_path => Path,
      text => text("services need each other in a cycle: ~ts", [lists:join(" -> ", [atom_to_list(S) || S <- Path])])}.

missing(Service, RequiredBy) ->
    #{what => required_service_not_configured, service => Service, required_by => RequiredBy,
      text => text("~p needs the service ~p, which is not configured: give it options, if only #{}",
                   [RequiredBy, Service])}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% @doc These services and all that they need, known or not, in a cycle or not.
-spec closure([module()], deps()) -> [module()].
closure(Services, Deps) ->
    sort(Services, Deps, fun(_Service) -> true end).

%% @doc These services, each after those of them that it needs; else in the order in which they are given. There is an
%% order whatever they need: what is to be stopped must not be in the way of the others.
-spec order([module()], deps()) -> [module()].
order(Services, Deps) ->
    sort(Services, Deps, fun(Service) -> lists:member(Service, Services) end).

sort(Services, Deps, Takes) ->
    {_Begun, Order} = lists:foldl(fun(Service, Seen) -> reach(Service, Seen, Deps, Takes) end, {[], []}, Services),
    lists:reverse(Order).

%% Begun are the services that were reached; Order has each after all that it needs, the last one first.
reach(Service, {Begun, Order}, Deps, Takes) ->
    case lists:member(Service, Begun) orelse not Takes(Service) of
        true -> {Begun, Order};
        false ->
            Reach = fun(Dep, Seen) -> reach(Dep, Seen, Deps, Takes) end,
            {Later, Sorted} = lists:foldl(Reach, {[Service | Begun], Order}, lists:usort(Deps(Service))),
            {Later, [Service | Sorted]}
    end.
