%% Notifies processes of the domains that come and go.
%%
%% A process that keeps something for each domain observes:
%%
%%   ok = mongoose_domain_observers:observe(),
%%   …
%%   handle_info({domain_changes, Batch, everything}, State) ->     % always the first one
%%       … compare what is kept with the table (mongoose_domain_core:for_each_domain/2) …
%%       ok = mongoose_domain_observers:handled(Batch),
%%   handle_info({domain_changes, Batch, Changes}, State) ->
%%       … {added, HostType, Domain} or {removed, HostType, Domain}, each …
%%       ok = mongoose_domain_observers:handled(Batch),
%%
%% Promised: lookups show a change before an observer gets it. An observer gets all changes in the order in which lookups
%% showed them, many at once when they come fast, and the next batch when it has handled the one before. So an observer that
%% is slow or hangs delays no other, and never has more than one batch in its mailbox. The changes that wait for it are
%% bounded: more than 10,000 become `everything', as does a first load of the table when it has ended; the observer then
%% reads the table. A domain whose host type changes is removed, then added.
%%
%% Not promised: that the table still shows a change. Later changes may have come meanwhile; they follow in a later batch.
%%
%% Observers are registered until they end, for the life of the application. After a crash of mongoose_domain_core, whose
%% process sends the batches and keeps a t() of this module, they get `everything'.
-module(mongoose_domain_observers).

-export([observe/0, handled/1, sync/1, sync_server/1]).
-export([request_sync/1, create_registry/0, new/0, register_observer/2, notify/2, handled/3, sync/3, ended/2]).

-export_type([t/0, change/0, changes/0]).

-define(REGISTRY, ?MODULE).

%% How many changes wait for one observer before they become everything.
-define(LIMIT, 10000).

-type change() :: {added | removed, mongoose_domain_core:host_type(), mongoose_domain_core:domain()}.
-type changes() :: everything | [change()].

-record(observer, {
    monitor :: reference(),
    %% The batch that it has not handled yet.
    batch = none :: reference() | none,
    %% What waits for it, the newest part first.
    waiting = [] :: everything | [[change()]],
    length = 0 :: non_neg_integer(),
    %% Calls of sync/1 that wait until it has handled all changes of then.
    syncing = [] :: [gen_server:from()]
}).

-opaque t() :: #{pid() => #observer{}}.

%% @doc Has the calling process notified of all changes from now on, until it ends.
-spec observe() -> ok.
observe() ->
    true = ets:insert(mongoose_domain_running:registry(?REGISTRY), {self()}),
    gen_server:cast(mongoose_domain_core, {observe, self()}).

%% @doc The calling process has handled this batch, and is ready for the next one. Succeeds also where mongoose_domain has
%% stopped meanwhile.
-spec handled(Batch :: reference()) -> ok.
handled(Batch) ->
    gen_server:cast(mongoose_domain_core, {handled, self(), Batch}).

%% @doc Returns when this observer has handled all changes that lookups showed before the call.
-spec sync(pid()) -> ok.
sync(Pid) ->
    mongoose_domain_running:call(mongoose_domain_core, {sync_observer, Pid}, infinity).

%% @private The same for an observer that is a registered gen_server of this application and answers `sync' with `ok'.
-spec sync_server(module()) -> ok.
sync_server(Name) ->
    %% A process that was started just now observes once it answers.
    ok = mongoose_domain_running:call(Name, sync, infinity),
    ok = sync(whereis(Name)),
    mongoose_domain_running:call(Name, sync, infinity).

%% @private The same as sync/1 without waiting: the request is answered then.
-spec request_sync(pid()) -> gen_server:request_id().
request_sync(Pid) ->
    gen_server:send_request(mongoose_domain_core, {sync_observer, Pid}).

%% @private The supervisor owns the registry: observers are registered as long as the application runs.
-spec create_registry() -> ok.
create_registry() ->
    _ = mongoose_domain_tables:create(?REGISTRY, []),
    ok.

%% What follows is called by mongoose_domain_core

%% @private The registered observers, each of which gets `everything' first.
-spec new() -> t().
new() ->
    Registered = case ets:whereis(?REGISTRY) of
        undefined -> []; % started by hand
        Registry -> [Pid || {Pid} <- ets:tab2list(Registry)]
    end,
    lists:foldl(fun register_observer/2, #{}, Registered).

%% @private One more, which gets `everything' first.
-spec register_observer(pid(), t()) -> t().
register_observer(Pid, Observers) when is_map_key(Pid, Observers) ->
    Observers;
register_observer(Pid, Observers) ->
    Observers#{Pid => send(Pid, #observer{monitor = monitor(process, Pid), waiting = everything})}.

%% @private Sends the changes to all observers, now or when they are ready.
-spec notify(changes(), t()) -> t().
notify([], Observers) ->
    Observers;
notify(Changes, Observers) ->
    maps:map(fun(Pid, Observer) -> send(Pid, add(Changes, Observer)) end, Observers).

%% @private The observer is ready again.
-spec handled(pid(), reference(), t()) -> t().
handled(Pid, Batch, Observers) ->
    case Observers of
        #{Pid := #observer{batch = Batch} = Observer} -> Observers#{Pid := send(Pid, Observer#observer{batch = none})};
        _Late -> Observers
    end.

%% @private Answers the caller when the observer has nothing left to handle.
-spec sync(pid(), gen_server:from(), t()) -> t().
sync(Pid, From, Observers) ->
    case Observers of
        #{Pid := #observer{syncing = Syncing} = Observer} ->
            Observers#{Pid := send(Pid, Observer#observer{syncing = [From | Syncing]})};
        _Gone ->
            gen_server:reply(From, ok),
            Observers
    end.

%% @private The observer has ended.
-spec ended(pid(), t()) -> t().
ended(Pid, Observers) ->
    _ = [ets:delete(?REGISTRY, Pid) || ets:whereis(?REGISTRY) =/= undefined],
    case maps:take(Pid, Observers) of
        {#observer{syncing = Syncing}, Others} ->
            ok = reply(Syncing),
            Others;
        error ->
            Observers
    end.

add(_Changes, #observer{waiting = everything} = Observer) ->
    Observer;
add(Changes, #observer{waiting = Waiting, length = Length} = Observer)
        when is_list(Changes), Length + length(Changes) =< ?LIMIT ->
    Observer#observer{waiting = [Changes | Waiting], length = Length + length(Changes)};
add(_EverythingOrTooMany, Observer) ->
    Observer#observer{waiting = everything, length = 0}.

%% Sends what waits if the observer is ready.
send(_Pid, #observer{batch = Batch} = Observer) when Batch =/= none ->
    Observer;
send(_Pid, #observer{waiting = [], syncing = Syncing} = Observer) ->
    ok = reply(Syncing),
    Observer#observer{syncing = []};
send(Pid, #observer{waiting = Waiting} = Observer) ->
    Batch = make_ref(),
    Pid ! {domain_changes, Batch, changes(Waiting)},
    Observer#observer{batch = Batch, waiting = [], length = 0}.

changes(everything) -> everything;
changes(Parts) -> lists:append(lists:reverse(Parts)).

reply(Syncing) ->
    lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Syncing).
