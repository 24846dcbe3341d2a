%% The application: opens its port when mongoose_domain, which it depends on, has started the service and the modules that
%% its configuration names. So nobody is served before everything is there.
-module(filebox_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> supervisor:startlink_ret().
start(_Type, _Args) ->
    filebox_sup:start_link().

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
