%% Starts and stops the application: its processes, the services, the modules, and then the admin program; stops them in
%% the reverse order.
%%
%% A wrong configuration stops the start with a report that names the key, the value and what was expected; a service or
%% module that does not start stops it with a report that names the service or module. What had been started is stopped.
%%
%% A configuration that turns wrong after the start stops nothing: a process that is restarted and finds it wrong reports
%% it and tries again (see mongoose_domain_retry). Lookups are answered meanwhile.
-module(mongoose_domain_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

-include("../base/mongoose_domain_log.hrl").

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    ok = mongoose_domain_log:start(),
    ok = mongoose_domain_tables:forget(),
    case mongoose_domain_sup:start_processes(new) of
        {ok, Pid} -> start_components(Pid);
        {error, Reason} -> {error, Reason}
    end.

%% @doc Stops the services and modules while the processes that they need still run.
-spec prep_stop(State) -> State.
prep_stop(State) ->
    ok = stop_components(),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    %% The table is closed already, but subdomains that belong to no domain are served without it.
    mongoose_domain_nif:unregister_patterns().

start_components(Supervisor) ->
    try
        %% The service takes over removals that were left, and their handlers are modules, which start after it.
        ok = mongoose_domain_removal:suspend(),
        ok = mongoose_domain_services:start(),
        ok = mongoose_domain_modules:start(),
        ok = mongoose_domain_removal:resume(),
        ok = mongoose_domain_sup:open_door(),
        {ok, Supervisor}
    catch
        _Class:Reason ->
            ?LOG_ERROR(#{what => application_not_started, application => mongoose_domain, reason => Reason}),
            ok = stop_components(),
            ok = mongoose_domain_sup:stop(Supervisor),
            {error, Reason}
    end.

%% A stop that fails is logged, and the others are stopped all the same.
stop_components() ->
    ok = mongoose_domain_sup:close_door(),
    ok = mongoose_domain_modules:stop_all(),
    mongoose_domain_services:stop_all().
