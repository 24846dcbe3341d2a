%% Starts and stops one module for one host type: what mongoose_domain_modules does with each.
%%
%% Before a start: the services that the module needs run (they are never started for it), and for a host type of
%% dynamic domains it supports those. While it runs, it is a handler of removals if it exports remove_domain/2; also while
%% it is started anew, since a removal must not skip its data. After a stop, the processes that it named have ended, if need
%% be by force.
%%
%% A failure is logged with the keys of the options and without their values: see mongoose_domain_redact.
-module(mongoose_domain_module_runner).

-export([component/3, check/3, stop/2, stop_at_the_end/2, deps/3]).

-include("../base/mongoose_domain_log.hrl").

%% The priority of modules among the handlers of removals.
-define(PRIORITY, 50).
%% How long what stop/1 named may take to end, in milliseconds.
-define(END_TIMEOUT, 5000).

-type host_type() :: mongoose_domain_core:host_type().

%% @doc The module as a component of the host type.
-spec component(host_type(), module(), Options :: map()) -> mongoose_domain_components:component().
component(HostType, Module, Options) ->
    #{key => {HostType, Module}, options => Options, secrets => [],
      start => fun() -> start(HostType, Module, Options) end,
      stop => fun(Old) -> halt(HostType, Module, Old) end}.

%% @doc What the module depends on with these options; nothing where it does not say.
-spec deps(host_type(), module(), Options :: map()) -> [mongoose_domain_module:dependency()].
deps(HostType, Module, Options) ->
    mongoose_domain_redact:call_optional({Module, deps}, [HostType, Options], Options, []).

%% @doc Fails where the module cannot be started: before anything is started or stopped.
-spec check(host_type(), module(), Options :: map()) -> ok.
check(HostType, Module, Options) ->
    is_host_type(HostType)
        orelse refuse(HostType, Module, #{what => unknown_host_type, text => <<"this node has no such host type">>}),
    code:ensure_loaded(Module) =:= {module, Module}
        orelse refuse(HostType, Module, #{what => module_not_found,
                                          text => <<"no Erlang module of this name can be loaded">>}),
    case mongoose_domain_redact:call_optional({Module, validate}, [Options], Options, ok) of
        ok -> ok;
        {error, Why} ->
            Text = mongoose_domain_redact:redact(unicode:characters_to_binary(Why), Options),
            refuse(HostType, Module, #{what => invalid_module_options, text => Text,
                                       options => mongoose_domain_redact:keys(Options)})
    end,
    lists:foreach(fun(Service) -> check_service(HostType, Module, Service) end,
                  [Service || {service, Service} <- deps(HostType, Module, Options)]),
    not mongoose_domain_core:is_host_type_allowed(HostType)
        orelse lists:member(dynamic_domains, mongoose_domain_redact:call_optional({Module, supported_features}, [], #{}, []))
        orelse erlang:error({Module, HostType, dynamic_domains_feature_is_not_supported}),
    ok.

is_host_type(HostType) ->
    [Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    lists:member(HostType, HostTypes) orelse lists:keymember(HostType, 2, Pairs).

check_service(HostType, Module, Service) ->
    mongoose_domain_services:is_loaded(Service)
        orelse refuse(HostType, Module, #{what => service_not_loaded, service => Service,
                                          text => <<"the module needs a service that does not run: services are not "
                                                    "started for modules, so configure it or start it first">>}).

-spec refuse(host_type(), module(), map()) -> no_return().
refuse(HostType, Module, Problem) ->
    erlang:error(Problem#{module => Module, host_type => HostType}).

start(HostType, Module, Options) ->
    Report = #{what => module_start_failed, module => Module, host_type => HostType},
    Before = links(),
    Result = try
        mongoose_domain_redact:call(critical, Report, Options, fun() -> result(Module:start(HostType, Options)) end)
    catch
        Class:Reason:Stacktrace ->
            %% It may have been one until it was started anew.
            ok = mongoose_domain_removal:unregister_handler(HostType, Module),
            erlang:raise(Class, Reason, Stacktrace)
    end,
    ok = report_links(HostType, Module, links() -- Before),
    ok = register_handler(HostType, Module),
    ?LOG_INFO(#{what => module_started, module => Module, host_type => HostType,
                options => mongoose_domain_redact:keys(Options)}),
    Result.

result({ok, Result}) -> Result;
result({error, Reason}) -> erlang:error(Reason);
result(Result) -> Result.

links() ->
    {links, Links} = process_info(self(), links),
    Links.

%% A linked process would end with the caller, and the module needs it for longer.
report_links(_HostType, _Module, []) ->
    ok;
report_links(HostType, Module, Links) ->
    ?LOG_ERROR(#{what => unexpected_links, module => Module, host_type => HostType, links => Links}).

register_handler(HostType, Module) ->
    case erlang:function_exported(Module, remove_domain, 2) of
        true ->
            %% Or it has done that itself, with another priority.
            _ = mongoose_domain_removal:register_handler(HostType, Module, ?PRIORITY),
            ok;
        false -> ok
    end.

%% @doc Stops the module where it runs. When that fails, it stays loaded, and a handler of removals.
-spec stop(host_type(), module()) -> {stopped, Options :: map()} | already_stopped.
stop(HostType, Module) ->
    mongoose_domain_components:ensure_stopped({HostType, Module}, fun(Options) ->
        ok = mongoose_domain_removal:unregister_handler(HostType, Module),
        try
            halt(HostType, Module, Options)
        catch
            Class:Reason:Stacktrace ->
                %% Its data may be there still, so removals have to call it.
                ok = register_handler(HostType, Module),
                erlang:raise(Class, Reason, Stacktrace)
        end
    end).

%% @doc The same when the application ends. The module stays a handler until then, so that a removal that begins now fails
%% instead of skipping its data.
-spec stop_at_the_end(host_type(), module()) -> {stopped, Options :: map()} | already_stopped.
stop_at_the_end(HostType, Module) ->
    mongoose_domain_components:ensure_stopped({HostType, Module}, fun(Options) -> halt(HostType, Module, Options) end).

halt(HostType, Module, Options) ->
    Report = #{what => module_stopping_failed, module => Module, host_type => HostType},
    case mongoose_domain_redact:call(error, Report, Options, fun() -> Module:stop(HostType) end) of
        {wait, Processes} when is_list(Processes) -> lists:foreach(fun await_end/1, Processes);
        {wait, Process} -> await_end(Process);
        _Stopped -> ok
    end,
    ?LOG_INFO(#{what => module_stopped, module => Module, host_type => HostType,
                options => mongoose_domain_redact:keys(Options)}).

await_end(Process) ->
    Monitor = monitor(process, Process),
    receive
        {'DOWN', Monitor, process, _, _} -> ok
    after ?END_TIMEOUT ->
        ?LOG_WARNING(#{what => module_process_killed, process => Process, waited => ?END_TIMEOUT}),
        kill(Process),
        receive {'DOWN', Monitor, process, _, _} -> ok end
    end.

kill(undefined) -> ok;
kill(Pid) when is_pid(Pid) -> exit(Pid, kill);
kill(Name) when is_atom(Name) -> kill(whereis(Name)).
