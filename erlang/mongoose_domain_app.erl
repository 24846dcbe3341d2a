%% Starts and stops the application. A wrong configuration stops the start with a report that names
%% the key, the value and what was expected.
-module(mongoose_domain_app).
-behaviour(application).

-export([start/2, stop/1]).

-include_lib("kernel/include/logger.hrl").

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    case mongoose_domain_config:read() of
        {ok, _Config} ->
            warn_of_unknown(mongoose_domain_config:unknown_keys()),
            mongoose_domain_sup:start_link();
        {error, Report} ->
            ?LOG_ERROR(Report#{what => wrong_configuration, application => mongoose_domain}),
            {error, {wrong_configuration, Report}}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.

warn_of_unknown([]) ->
    ok;
warn_of_unknown(Keys) ->
    ?LOG_WARNING(#{what => unknown_configuration_keys, application => mongoose_domain, keys => Keys}).
