%% The application. It depends on mongoose_domain, which has started the configured service and modules by then. So the
%% port opens when everything is ready.
-module(filebox_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> supervisor:startlink_ret().
start(_Type, _Args) ->
    filebox_sup:start_link().

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
