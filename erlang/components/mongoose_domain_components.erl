%% The components that run on this node: services, and modules for their host types, each with its options.
%%
%% The list is a table that lives as long as the application, so it outlives the process that started a component, and
%% reading it calls no process. It lists what runs: a component is listed when its start has returned. It leaves the list
%% when it was stopped, when its start fails, and when a new start after its stop fails. A component whose stop fails stays
%% listed.
%%
%% A change runs in the caller's process, which holds mongoose_domain_components_lock. is_running_with/2 needs no lock.
%%
%% Options that may hold secrets are not kept. A fingerprint of all options says whether a component runs with the same
%% ones.
-module(mongoose_domain_components).

-export([create_table/0, check/0]).
-export([ensure_started/1, ensure_all_started/1, ensure_stopped/2]).
-export([is_running/1, is_running_with/2, runs_with/2, find_options/1, list/1, host_types/0]).

-export_type([key/0, component/0, outcome/0, failure/0]).

%% {Key, Options, Fingerprint, Number, State}: the state is {starting, Pid}, running or stopping.
-define(TABLE, ?MODULE).
-define(STATE, 5).

-type place() :: services | mongoose_domain_core:host_type().
-type key() :: {place(), module()}.
-type options() :: map().
%% How it is started and stopped: what start returns is in the outcome. `secrets' are keys of options.
-type component() :: #{key := key(), options := options(), secrets := [term()],
                  start := fun(() -> term()), stop := fun((options()) -> term())}.
-type outcome() :: {started, term()} | already_started | {restarted, Old :: options(), term()}.
-type failure() :: {key(), error | exit | throw, Reason :: term(), erlang:stacktrace()}.

%% @private The supervisor owns the list: it lives as long as the application.
-spec create_table() -> ok.
create_table() ->
    %% Ordered, so that a host type's part of it is found without looking at the others.
    _ = mongoose_domain_tables:create(?TABLE, [ordered_set, {read_concurrency, true}]),
    ok.

%% @doc Fails where mongoose_domain does not run, and nothing can be started.
-spec check() -> ok.
check() ->
    _ = mongoose_domain_running:registry(?TABLE),
    ok.

%% @doc Starts a component that does not run, and starts it anew when it runs with other options. Fails as its start or its
%% stop does. Only where mongoose_domain_components_lock:exclusively/1 called.
-spec ensure_started(component()) -> outcome().
ensure_started(#{key := Key, options := Options, stop := Stop} = Component) ->
    case {runs_with(Key, Options), find(Key)} of
        {true, _} -> already_started;
        {false, none} -> {started, start(Component)};
        {false, {ok, Old}} ->
            ok = stop(Key, Old, Stop),
            {restarted, Old, start(Component)}
    end.

start(#{key := Key, options := Options, secrets := Secrets, start := Start}) ->
    Row = {Key, maps:without(Secrets, Options), fingerprint(Options), erlang:unique_integer([monotonic])},
    %% `starting' lists it for this process alone: if the process is killed, nothing is listed.
    true = ets:insert(?TABLE, erlang:append_element(Row, {starting, self()})),
    try Start() of
        Result ->
            true = ets:insert(?TABLE, erlang:append_element(Row, running)),
            Result
    catch
        Class:Reason:Stacktrace ->
            true = ets:delete(?TABLE, Key),
            erlang:raise(Class, Reason, Stacktrace)
    end.

%% @doc The same for several, in this order. When one fails, those that were started before it are stopped again, the
%% last one first. Only where mongoose_domain_components_lock:exclusively/1 called.
-spec ensure_all_started([component()]) -> {ok, [outcome()]} | {failed, failure()}.
ensure_all_started(Components) ->
    ensure_all_started(Components, [], []).

ensure_all_started([], _Started, Outcomes) ->
    {ok, lists:reverse(Outcomes)};
ensure_all_started([#{key := Key} = Component | Components], Started, Outcomes) ->
    try ensure_started(Component) of
        {started, _} = Outcome -> ensure_all_started(Components, [Component | Started], [Outcome | Outcomes]);
        Outcome -> ensure_all_started(Components, Started, [Outcome | Outcomes])
    catch
        Class:Reason:Stacktrace ->
            lists:foreach(fun stop_again/1, Started),
            {failed, {Key, Class, Reason, Stacktrace}}
    end.

%% A component whose stop fails has logged it, and stays listed.
stop_again(#{key := Key, stop := Stop}) ->
    try
        ensure_stopped(Key, Stop)
    catch
        _:_ -> it_is_logged
    end.

%% @doc Stops a component that runs. Fails as its stop does. Only where mongoose_domain_components_lock:exclusively/1 called.
-spec ensure_stopped(key(), Stop :: fun((options()) -> term())) -> {stopped, options()} | already_stopped.
ensure_stopped(Key, Stop) ->
    case find(Key) of
        none -> already_stopped;
        {ok, Options} ->
            ok = stop(Key, Options, Stop),
            true = ets:delete(?TABLE, Key),
            {stopped, Options}
    end.

%% It stays listed until it has stopped, as `stopping': is_running_with/2 then answers false, so its caller takes the lock.
stop(Key, Options, Stop) ->
    Before = ets:lookup_element(?TABLE, Key, ?STATE),
    _ = Before =:= running andalso ets:update_element(?TABLE, Key, {?STATE, stopping}),
    try Stop(Options) of
        _Stopped -> ok
    catch
        Class:Reason:Stacktrace ->
            _ = ets:update_element(?TABLE, Key, {?STATE, Before}),
            erlang:raise(Class, Reason, Stacktrace)
    end.

%% While it starts, it counts as running only for the process that starts it. Another process that was starting it is dead,
%% since this one holds the lock.
find(Key) ->
    Self = self(),
    case lookup(Key) of
        [{_, _, _, _, {starting, Other}}] when Other =/= Self -> none;
        [{_, Options, _, _, _}] -> {ok, Options};
        [] -> none
    end.

%% @doc Whether it runs. False without the application.
-spec is_running(key()) -> boolean().
is_running(Key) ->
    case lookup(Key) of
        [{_, _, _, _, State}] when State =:= running; State =:= stopping -> true;
        _ -> false
    end.

%% @doc Whether it runs with these options and no others, and is not being stopped. False without the application.
-spec is_running_with(key(), options()) -> boolean().
is_running_with(Key, Options) ->
    case lookup(Key) of
        [{_, _, Fingerprint, _, running}] -> Fingerprint =:= fingerprint(Options);
        _ -> false
    end.

%% @doc Whether it runs with these options and no others. Only where mongoose_domain_components_lock:exclusively/1 called.
-spec runs_with(key(), options()) -> boolean().
runs_with(Key, Options) ->
    find(Key) =/= none andalso ets:lookup_element(?TABLE, Key, 3) =:= fingerprint(Options).

%% @doc The options that it runs with, or is being started or stopped with.
-spec find_options(key()) -> {ok, options()} | none.
find_options(Key) ->
    case lookup(Key) of
        [{_, Options, _, _, _}] -> {ok, Options};
        [] -> none
    end.

%% @doc What runs at this place, in the order in which it was started.
-spec list(place()) -> [{module(), options()}].
list(Place) ->
    Rows = select([{{{Place, '$1'}, '$2', '_', '$3', State}, [], [{{'$3', '$1', '$2'}}]} || State <- [running, stopping]]),
    [{Name, Options} || {_Number, Name, Options} <- lists:sort(Rows)].

%% @doc The host types that something runs for.
-spec host_types() -> [mongoose_domain_core:host_type()].
host_types() ->
    Rows = select([{{{'$1', '_'}, '_', '_', '_', State}, [], ['$1']} || State <- [running, stopping]]),
    lists:usort([Place || Place <- Rows, is_binary(Place)]).

%% Without the application there is no table, and nothing runs.
lookup(Key) ->
    try ets:lookup(?TABLE, Key) catch error:badarg -> [] end.

select(Pattern) ->
    try ets:select(?TABLE, Pattern) catch error:badarg -> [] end.

fingerprint(Options) ->
    erlang:md5(term_to_binary(Options, [deterministic])).
