%% Starts and stops modules for host types: see mongoose_domain_module for what one is.
%%
%% The application starts the configured ones after the services: for the host types of static domains, then for those
%% of `host_types', each in the order of dependencies (see mongoose_domain_module_deps). It stops them for the host
%% types in the same order, each in the reverse order of dependencies. At run time:
%%
%%   {started, _} = mongoose_domain_modules:ensure_started(<<"type1">>, my_archive, #{days => 7}),
%%   #{days := 7} = mongoose_domain_modules:get_module_opts(<<"type1">>, my_archive),
%%   {stopped, #{days := 7}} = mongoose_domain_modules:ensure_stopped(<<"type1">>, my_archive).
%%
%% The functions are those of MongooseIM's modules. ensure_started/3 and ensure_stopped/2 act on the one module alone;
%% replace_modules/3 looks at dependencies. Services are checked and never started: a module whose service does not run
%% does not start. "Loaded" means that it runs, and a module that could not be started again is not loaded.
%%
%% A failure is raised: that of the module, or a map with `what', the names and a text. All runs in the caller's
%% process, one at a time and in the order of the calls; to start what runs already does not wait. Modules are not changed by
%% mongoose_domain_sup:restart_core/1, which may change the host types.
-module(mongoose_domain_modules).

-export([start/0, stop/0, stop_all/0]).
-export([ensure_started/3, ensure_stopped/2, replace_modules/3]).
-export([is_loaded/2, loaded_modules/1, loaded_modules_with_opts/1, get_module_opts/2, get_deps/2]).

-include("../base/mongoose_domain_log.hrl").

-type host_type() :: mongoose_domain_core:host_type().
-type options() :: map().

%% @doc Starts the configured modules of all host types. When one fails, those that were started are stopped again, and
%% the failure is raised, with its name: `module_start_failed'.
-spec start() -> ok.
start() ->
    mongoose_domain_components_lock:exclusively(fun() ->
        Resolved = [{HostType, resolve_configured(HostType)} || HostType <- host_types()],
        Modules = [{HostType, Module, Options} || {HostType, Some} <- Resolved, {Module, Options} <- Some],
        ok = lists:foreach(fun check/1, Modules),
        case mongoose_domain_components:ensure_all_started([component(Module) || Module <- Modules]) of
            {ok, _} -> ok;
            {failed, {{HostType, Module}, Class, Reason, Stacktrace}} ->
                Report = #{what => module_start_failed, module => Module, host_type => HostType, class => Class,
                           reason => Reason,
                           text => <<"the module could not be started: its own reason is beside this">>},
                erlang:raise(error, Report, Stacktrace)
        end
    end).

resolve_configured(HostType) ->
    Configured = mongoose_domain_config:modules(HostType),
    resolve(HostType, Configured, Configured).

%% @doc Stops all that run. A failure is raised and leaves the others running.
-spec stop() -> ok.
stop() ->
    mongoose_domain_components_lock:exclusively(fun() -> lists:foreach(fun stop_one/1, all_in_stop_order()) end).

%% @private The application's end: whatever fails, the others are stopped.
-spec stop_all() -> ok.
stop_all() ->
    mongoose_domain_components_lock:exclusively(fun() ->
        lists:foreach(fun({HostType, Module}) ->
            try
                mongoose_domain_module_runner:stop_at_the_end(HostType, Module)
            catch
                _:_ -> it_is_logged
            end
        end, all_in_stop_order())
    end).

%% The table may be closed, or restart_core/1 may have left modules of host types that are gone.
all_in_stop_order() ->
    Now = try host_types() catch error:{not_running, mongoose_domain} -> [] end,
    Gone = mongoose_domain_components:host_types() -- Now,
    [{HostType, Module} || HostType <- Now ++ lists:sort(Gone), Module <- stop_order(HostType)].

%% The host types of this node's table: those of static domains first, each once.
host_types() ->
    [Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    lists:uniq([HostType || HostType <- [Of || {_Domain, Of} <- Pairs] ++ HostTypes, is_binary(HostType)]).

stop_one({HostType, Module}) ->
    mongoose_domain_module_runner:stop(HostType, Module).

%% @doc Starts a module, or starts it anew when it runs with other options. Services that it needs must run. When the
%% start fails, it is not loaded.
-spec ensure_started(host_type(), module(), options()) -> mongoose_domain_components:outcome().
ensure_started(HostType, Module, Options) when is_binary(HostType), is_atom(Module), is_map(Options) ->
    case mongoose_domain_components:is_running_with({HostType, Module}, Options) of
        true -> already_started;
        false -> mongoose_domain_components_lock:exclusively(fun() -> ensure_started_now(HostType, Module, Options) end)
    end.

ensure_started_now(HostType, Module, Options) ->
    case mongoose_domain_components:runs_with({HostType, Module}, Options) of
        true -> already_started;
        false ->
            ok = check({HostType, Module, Options}),
            mongoose_domain_components:ensure_started(component({HostType, Module, Options}))
    end.

%% @doc Stops a module, also where others depend on it. When that fails, it stays loaded.
-spec ensure_stopped(host_type(), module()) -> {stopped, options()} | already_stopped.
ensure_stopped(HostType, Module) when is_binary(HostType), is_atom(Module) ->
    mongoose_domain_components_lock:exclusively(fun() -> stop_one({HostType, Module}) end).

%% @doc Stops modules together with what they depend on, and starts others with what those depend on; what is still
%% needed runs on, or anew if it gets other options. When a start fails, what this call had started is stopped again;
%% what it had stopped stays so. What runs counts as configured, with its options.
-spec replace_modules(host_type(), ToStop :: [module()], ToEnsure :: #{module() => options()}) -> ok.
replace_modules(HostType, ToStop, ToEnsure) when is_binary(HostType), is_list(ToStop), is_map(ToEnsure) ->
    mongoose_domain_components_lock:exclusively(fun() ->
        Running = loaded_modules_with_opts(HostType),
        Gone = mongoose_domain_deps:closure(ToStop, fun(Module) -> brought_by(HostType, Module, Running) end),
        Wanted = maps:merge(maps:without(Gone, Running), ToEnsure),
        Target = resolve(HostType, Wanted, mongoose_domain_config:modules(HostType)),
        Changed = [{HostType, Module, Options} || {Module, Options} <- Target,
                   not mongoose_domain_components:runs_with({HostType, Module}, Options)],
        ok = lists:foreach(fun check/1, Changed),
        lists:foreach(fun(Module) -> stop_one({HostType, Module}) end,
                      [Module || Module <- stop_order(HostType), not lists:keymember(Module, 1, Target)]),
        case mongoose_domain_components:ensure_all_started([component(Module) || Module <- Changed]) of
            {ok, _} -> ok;
            {failed, {_Key, Class, Reason, Stacktrace}} -> erlang:raise(Class, Reason, Stacktrace)
        end
    end).

%% What was started for it.
brought_by(HostType, Module, Running) ->
    case Running of
        #{Module := Options} ->
            [Dep || {Dep, _, Kind} <- (deps(HostType))(Module, Options), Kind =/= optional];
        #{} -> []
    end.

%% @doc Whether the module runs for the host type.
-spec is_loaded(host_type(), module()) -> boolean().
is_loaded(HostType, Module) ->
    mongoose_domain_components:is_running({HostType, Module}).

%% @doc The modules that run for the host type, in the order in which they were started.
-spec loaded_modules(host_type()) -> [module()].
loaded_modules(HostType) ->
    [Module || {Module, _} <- mongoose_domain_components:list(HostType)].

%% @doc The same with their options.
-spec loaded_modules_with_opts(host_type()) -> #{module() => options()}.
loaded_modules_with_opts(HostType) ->
    maps:from_list(mongoose_domain_components:list(HostType)).

%% @doc The options that the module runs with, or is just started or stopped with. Fails with `module_not_loaded' where
%% it does not run.
-spec get_module_opts(host_type(), module()) -> options().
get_module_opts(HostType, Module) ->
    case mongoose_domain_components:find_options({HostType, Module}) of
        {ok, Options} -> Options;
        none ->
            ok = mongoose_domain_components:check(),
            erlang:error(#{what => module_not_loaded, module => Module, host_type => HostType,
                           text => <<"the module does not run for this host type">>})
    end.

%% @doc What a module that runs depends on, with the options that it runs with. Fails as get_module_opts/2 does.
-spec get_deps(host_type(), module()) -> [mongoose_domain_module:dependency()].
get_deps(HostType, Module) ->
    mongoose_domain_module_runner:deps(HostType, Module, get_module_opts(HostType, Module)).

resolve(HostType, Wanted, Known) ->
    {Result, Notes} = case mongoose_domain_module_deps:resolve(Wanted, Known, deps(HostType)) of
        {ok, Modules, Said} -> {{ok, Modules}, Said};
        {error, Problem, Said} -> {{error, Problem}, Said}
    end,
    lists:foreach(fun({Level, Report}) -> ?LOG(Level, Report#{host_type => HostType}) end, Notes),
    case Result of
        {ok, Resolved} -> Resolved;
        {error, Reason} -> erlang:error(Reason)
    end.

%% The last one that was started is the first, but for those that it depends on.
stop_order(HostType) ->
    lists:reverse(mongoose_domain_module_deps:order(mongoose_domain_components:list(HostType), deps(HostType))).

deps(HostType) ->
    fun(Module, Options) -> mongoose_domain_module_runner:deps(HostType, Module, Options) end.

check({HostType, Module, Options}) ->
    mongoose_domain_module_runner:check(HostType, Module, Options).

component({HostType, Module, Options}) ->
    mongoose_domain_module_runner:component(HostType, Module, Options).
