%% Starts and stops services, which are global to the node: see mongoose_domain_service for what one is.
%%
%% The application starts the configured ones, each after what it needs, before any module and before the door; it stops
%% them in the reverse order. At run time:
%%
%%   {started, _} = mongoose_domain_services:ensure_started(my_mailer, #{port => 25}),
%%   true = mongoose_domain_services:is_loaded(my_mailer),
%%   {stopped, #{port := 25}} = mongoose_domain_services:ensure_stopped(my_mailer).
%%
%% The functions are those of MongooseIM's services, with these differences. A needed service is started by itself only
%% when it is configured: with the options from the environment, or those it is given in the same call. One that is not
%% is an error that names both. "Loaded" means that it runs: a service that could not be started again is not loaded.
%%
%% A failure is raised: that of the service, or a map with `what', the names and a text. It is logged with the keys of
%% the options and without their values: see mongoose_domain_redact. All runs in the caller's process, one at a time and
%% in the order of the calls; to start what runs already does not wait.
-module(mongoose_domain_services).

-export([start/0, stop/0, stop_all/0]).
-export([ensure_started/2, ensure_stopped/1, replace_services/2]).
-export([is_loaded/1, loaded_services_with_opts/0, get_deps/1]).

-include("../base/mongoose_domain_log.hrl").

-type service() :: module().
-type options() :: map().

%% @doc Starts the configured services. When one fails, those that were started are stopped again, and the failure is
%% raised, with its name: `service_startup_failed'.
-spec start() -> ok.
start() ->
    mongoose_domain_components_lock:exclusively(fun() ->
        Configured = mongoose_domain_config:services(),
        case start_all(resolve(Configured, Configured)) of
            {ok, _} -> ok;
            {failed, {{services, Service}, Class, Reason, Stacktrace}} ->
                Report = #{what => service_startup_failed, service => Service, class => Class, reason => Reason,
                           text => <<"the service could not be started: its own reason is beside this">>},
                erlang:raise(error, Report, Stacktrace)
        end
    end).

%% @doc Stops all that run. A failure is raised and leaves the others running.
-spec stop() -> ok.
stop() ->
    mongoose_domain_components_lock:exclusively(fun() -> lists:foreach(fun stop_one/1, stop_order()) end).

%% @private The application's end: whatever fails, the others are stopped.
-spec stop_all() -> ok.
stop_all() ->
    mongoose_domain_components_lock:exclusively(fun() ->
        lists:foreach(fun(Service) ->
            try
                stop_one(Service)
            catch
                _:_ -> it_is_logged
            end
        end, stop_order())
    end).

%% @doc Starts a service, or starts it anew when it runs with other options. Services that it needs and that do not run
%% are started before, if they are configured. When something fails, what this call started is stopped again.
-spec ensure_started(service(), options()) -> mongoose_domain_components:outcome().
ensure_started(Service, Options) when is_atom(Service), is_map(Options) ->
    case mongoose_domain_components:is_running_with({services, Service}, Options) of
        true -> already_started;
        false -> mongoose_domain_components_lock:exclusively(fun() -> ensure_started_now(Service, Options) end)
    end.

ensure_started_now(Service, Options) ->
    case mongoose_domain_components:runs_with({services, Service}, Options) of
        true -> already_started;
        false ->
            Running = running(),
            Known = maps:merge(mongoose_domain_config:services(), Running),
            Needed = resolve(#{Service => Options}, Known),
            Absent = [Needs || {Name, _} = Needs <- Needed,
                               Name =:= Service orelse not is_map_key(Name, Running)],
            lists:last(started(start_all(Absent)))
    end.

%% @doc Stops a service, also where others need it. When that fails, it stays loaded.
-spec ensure_stopped(service()) -> {stopped, options()} | already_stopped.
ensure_stopped(Service) when is_atom(Service) ->
    mongoose_domain_components_lock:exclusively(fun() -> stop_one(Service) end).

%% @doc Stops services together with what they need, and starts others with what those need; what is still needed
%% runs on. When a start fails, what this call had started is stopped again; what it had stopped stays so. What runs
%% counts as configured.
-spec replace_services(ToStop :: [service()], ToEnsure :: #{service() => options()}) -> ok.
replace_services(ToStop, ToEnsure) when is_list(ToStop), is_map(ToEnsure) ->
    mongoose_domain_components_lock:exclusively(fun() ->
        Running = running(),
        Stays = maps:without(mongoose_domain_deps:closure(ToStop, fun get_deps/1), Running),
        Known = maps:merge(mongoose_domain_config:services(), Running),
        Target = resolve(maps:merge(Stays, ToEnsure), Known),
        ToStart = [Found || {Service, _} = Found <- Target,
                           is_map_key(Service, ToEnsure) orelse not is_map_key(Service, Running)],
        ok = lists:foreach(fun check/1, ToStart),
        lists:foreach(fun stop_one/1, [Service || Service <- stop_order(), not lists:keymember(Service, 1, Target)]),
        _ = started(start_all(ToStart)),
        ok
    end).

%% @doc Whether the service runs.
-spec is_loaded(service()) -> boolean().
is_loaded(Service) ->
    mongoose_domain_components:is_running({services, Service}).

%% @doc The services that run and the options that they were started with, but for those that may hold a secret.
-spec loaded_services_with_opts() -> #{service() => options()}.
loaded_services_with_opts() ->
    running().

%% @doc The services that it needs; none where it does not export deps/0.
-spec get_deps(service()) -> [service()].
get_deps(Service) ->
    mongoose_domain_redact:call_optional({Service, deps}, [], #{}, []).

running() ->
    maps:from_list(mongoose_domain_components:list(services)).

resolve(Wanted, Known) ->
    case mongoose_domain_deps:resolve(Wanted, Known, fun get_deps/1) of
        {ok, Services} -> Services;
        {error, Problem} -> erlang:error(Problem)
    end.

%% The last one that was started is the first, but for those that it needs.
stop_order() ->
    Started = [Service || {Service, _} <- mongoose_domain_components:list(services)],
    lists:reverse(mongoose_domain_deps:order(Started, fun get_deps/1)).

start_all(Services) ->
    ok = lists:foreach(fun check/1, Services),
    mongoose_domain_components:ensure_all_started([component(Service, Options) || {Service, Options} <- Services]).

started({ok, Outcomes}) -> Outcomes;
started({failed, {_Key, Class, Reason, Stacktrace}}) -> erlang:raise(Class, Reason, Stacktrace).

%% Before anything is started or stopped.
check({Service, Options}) ->
    case code:ensure_loaded(Service) of
        {module, Service} -> ok;
        {error, Reason} ->
            erlang:error(#{what => service_not_found, service => Service, reason => Reason,
                           text => <<"no Erlang module of this name can be loaded">>})
    end,
    case mongoose_domain_redact:call_optional({Service, validate}, [Options], Options, ok) of
        ok -> ok;
        {error, Why} ->
            Text = mongoose_domain_redact:redact(unicode:characters_to_binary(Why), Options),
            erlang:error(#{what => invalid_service_options, service => Service, text => Text,
                           options => mongoose_domain_redact:keys(Options)})
    end.

component(Service, Options) ->
    #{key => {services, Service}, options => Options,
      secrets => mongoose_domain_redact:call_optional({Service, secrets}, [], #{}, []),
      start => fun() -> start_service(Service, Options) end,
      stop => fun(Old) -> stop_service(Service, Old) end}.

start_service(Service, Options) ->
    Report = #{what => service_startup_failed, service => Service},
    Result = mongoose_domain_redact:call(critical, Report, Options, fun() -> result(Service:start(Options)) end),
    ?LOG_INFO(#{what => service_started, service => Service, options => mongoose_domain_redact:keys(Options)}),
    Result.

result({ok, Result}) -> Result;
result({error, Reason}) -> erlang:error(Reason);
result(Result) -> Result.

stop_one(Service) ->
    mongoose_domain_components:ensure_stopped({services, Service}, fun(Options) -> stop_service(Service, Options) end).

stop_service(Service, Options) ->
    Report = #{what => service_stop_failed, service => Service},
    _ = mongoose_domain_redact:call(error, Report, Options, fun() -> Service:stop() end),
    ?LOG_INFO(#{what => service_stopped, service => Service, options => mongoose_domain_redact:keys(Options)}),
    ok.
