%% Configures, starts and stops the application in this VM.
-module(bench_node).

-export([configure/1, start/0, stop/0, await_following/0]).

%% Longer than any measurement.
-define(POLL_INTERVAL, 600000).

%% @doc Configures the stopped application to follow this database, or none.
-spec configure(no_database | string()) -> ok.
configure(no_database) ->
    application:set_env(mongoose_domain, host_types, bench_names:host_types());
configure(Url) ->
    ok = configure(no_database),
    application:set_env(mongoose_domain, service_domain_db, #{database => Url, poll_interval => ?POLL_INTERVAL}).

%% @doc Starts the application, and returns when it has loaded the database and follows it.
-spec start() -> ok.
start() ->
    {ok, _} = application:ensure_all_started(mongoose_domain),
    await_following().

%% @doc Returns when the application follows the database.
-spec await_following() -> ok.
await_following() ->
    case service_domain_db:status() of
        #{state := following} ->
            ok;
        _ ->
            timer:sleep(1),
            await_following()
    end.

%% @doc Stops the application if it runs.
-spec stop() -> ok.
stop() ->
    case application:stop(mongoose_domain) of
        ok -> ok;
        {error, {not_started, _}} -> ok
    end.
