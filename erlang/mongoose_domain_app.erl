%% Starts and stops the application. A wrong configuration stops the start with a report that names
%% the key, the value and what was expected.
%%
%% Once the application has started, it stops nothing any more: a process that is restarted and finds it
%% wrong says so and tries again (see mongoose_domain_retry), and lookups are answered meanwhile.
-module(mongoose_domain_app).
-behaviour(application).

-export([start/2, stop/1, has_started/0]).

%% Holds the supervisor whose start succeeded last.
-define(STARTED, {?MODULE, started}).

-include_lib("kernel/include/logger.hrl").

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    case mongoose_domain_config:read() of
        {ok, _Config} ->
            warn_of_unknown(mongoose_domain_config:unknown_keys()),
            start_supervisor();
        {error, Report} ->
            ?LOG_ERROR(Report#{what => wrong_configuration, application => mongoose_domain}),
            {error, {wrong_configuration, Report}}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    %% The table is closed already; subdomains of their own need none.
    mongoose_domain_nif:unregister_patterns().

%% @doc Whether the running application has started, as opposed to being about to.
-spec has_started() -> boolean().
has_started() ->
    persistent_term:get(?STARTED, never) =:= whereis(mongoose_domain_sup).

start_supervisor() ->
    case mongoose_domain_sup:start_link() of
        {ok, Pid} ->
            ok = persistent_term:put(?STARTED, Pid),
            {ok, Pid};
        {error, Reason} ->
            {error, Reason}
    end.

warn_of_unknown([]) ->
    ok;
warn_of_unknown(Keys) ->
    ?LOG_WARNING(#{what => unknown_configuration_keys, application => mongoose_domain, keys => Keys}).
