%% Who is told when domains come and go, and what they have not been told yet.
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
%% Promised: lookups show a change before an observer is told of it. An observer is told of all changes in the order in
%% which lookups showed them, many at once when they come fast, and gets the next batch when it has handled the one
%% before. So one that is slow or hangs holds up nobody else, and never has more than one batch in its mailbox. What waits
%% for it is bounded: more than 10,000 changes become `everything', as does what a first load of the table brought, when
%% that has ended; then it looks at the table itself. A domain whose host type changes is removed, then added.
%%
%% Not promised: that the table still shows what a change says. Later changes may have come meanwhile; they are told, too.
%%
%% Observers are remembered for the life of the application, until they end: a crash of mongoose_domain_core, whose
%% process does the telling, only makes it begin with `everything' again. It keeps a t() of this module.
-module(mongoose_domain_observers).

-export([observe/0, handled/1, sync/1]).
-export([request_sync/1, create_registry/0, new/0, register_observer/2, tell/2, handled/3, sync/3, ended/2]).

-export_type([t/0, change/0, news/0]).

-define(REGISTRY, ?MODULE).

%% How many changes wait for one observer before they become everything.
-define(LIMIT, 10000).

-type change() :: {added | removed, mongoose_domain_core:host_type(), mongoose_domain_core:domain()}.
-type news() :: everything | [change()].

-record(observer, {
    monitor :: reference(),
    %% The batch that it has not handled yet.
    batch = none :: reference() | none,
    %% What waits for it, the newest part first.
    waiting = [] :: everything | [[change()]],
    length = 0 :: non_neg_integer(),
    %% Callers who want to know when it has handled all that there was.
    syncing = [] :: [gen_server:from()]
}).

-opaque t() :: #{pid() => #observer{}}.

%% @doc Has the calling process told of all changes from now on, until it ends.
-spec observe() -> ok.
observe() ->
    true = ets:insert(mongoose_domain_running:registry(?REGISTRY), {self()}),
    gen_server:cast(mongoose_domain_core, {observe, self()}).

%% @doc The calling process has handled this batch, and is ready for the next one. Always succeeds: an observer whose batch
%% was the last one before mongoose_domain stopped need not know that.
-spec handled(Batch :: reference()) -> ok.
handled(Batch) ->
    gen_server:cast(mongoose_domain_core, {handled, self(), Batch}).

%% @doc Returns when this observer has handled all changes that lookups showed before the call.
-spec sync(pid()) -> ok.
sync(Pid) ->
    mongoose_domain_running:call(mongoose_domain_core, {sync_observer, Pid}, infinity).

%% @private The same without waiting: the request is answered then.
-spec request_sync(pid()) -> gen_server:request_id().
request_sync(Pid) ->
    gen_server:send_request(mongoose_domain_core, {sync_observer, Pid}).

%% @private The supervisor's: observers are known as long as the application runs.
-spec create_registry() -> ok.
create_registry() ->
    ?REGISTRY = ets:new(?REGISTRY, [named_table, public]),
    ok.

%% What follows is called by mongoose_domain_core

%% @private Those who are registered and know nothing yet.
-spec new() -> t().
new() ->
    Registered = case ets:whereis(?REGISTRY) of
        undefined -> []; % started by hand
        Registry -> [Pid || {Pid} <- ets:tab2list(Registry)]
    end,
    lists:foldl(fun register_observer/2, #{}, Registered).

%% @private One more, who is told everything.
-spec register_observer(pid(), t()) -> t().
register_observer(Pid, Observers) when is_map_key(Pid, Observers) ->
    Observers;
register_observer(Pid, Observers) ->
    Observers#{Pid => send(Pid, #observer{monitor = monitor(process, Pid), waiting = everything})}.

%% @private Tells all of them, now or when they are ready.
-spec tell(news(), t()) -> t().
tell([], Observers) ->
    Observers;
tell(News, Observers) ->
    maps:map(fun(Pid, Observer) -> send(Pid, add(News, Observer)) end, Observers).

%% @private This one is ready again.
-spec handled(pid(), reference(), t()) -> t().
handled(Pid, Batch, Observers) ->
    case Observers of
        #{Pid := #observer{batch = Batch} = Observer} -> Observers#{Pid := send(Pid, Observer#observer{batch = none})};
        _Late -> Observers
    end.

%% @private Answers the caller when this one has nothing to handle any more.
-spec sync(pid(), gen_server:from(), t()) -> t().
sync(Pid, From, Observers) ->
    case Observers of
        #{Pid := #observer{syncing = Syncing} = Observer} ->
            Observers#{Pid := send(Pid, Observer#observer{syncing = [From | Syncing]})};
        _Gone ->
            gen_server:reply(From, ok),
            Observers
    end.

%% @private This one has ended.
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

add(_News, #observer{waiting = everything} = Observer) ->
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
    Pid ! {domain_changes, Batch, news(Waiting)},
    Observer#observer{batch = Batch, waiting = [], length = 0}.

news(everything) -> everything;
news(Parts) -> lists:append(lists:reverse(Parts)).

reply(Syncing) ->
    lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Syncing).
