%% A lock: one process at a time starts and stops components, in the order of the calls.
%%
%%   mongoose_domain_components_lock:exclusively(fun() -> ... end)
%%
%% The holder may call again, as a component does that starts another one. The lock is released when the function returns
%% or fails, or when the holder dies. A process that dies while it waits leaves the queue.
%%
%% The holder is in a table that lives as long as the application, so a crash of this process releases no lock: its
%% successor reads the holder there. The waiting calls then fail, as calls of a process that crashes do, before their
%% functions ran. At the application's end they fail with `{not_running, mongoose_domain}'.
-module(mongoose_domain_components_lock).
-behaviour(gen_server).

-export([start_link/0, create_registry/0, exclusively/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("../base/mongoose_domain_log.hrl").

%% {holder, Pid}, while a process holds the lock.
-define(REGISTRY, ?MODULE).

-record(state, {
    waiting = queue:new() :: queue:queue(gen_server:from()),
    %% Of the waiting processes and of the holder.
    monitors = #{} :: #{pid() => reference()}
}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private The supervisor owns the table.
-spec create_registry() -> ok.
create_registry() ->
    _ = mongoose_domain_tables:create(?REGISTRY, []),
    ok.

%% @doc Calls the function while no other process holds the lock, and returns what it returns. Fails as it does.
-spec exclusively(fun(() -> Result)) -> Result.
exclusively(Fun) ->
    Self = self(),
    %% The holder alone releases the lock, or its death.
    case ets:lookup(mongoose_domain_running:registry(?REGISTRY), holder) of
        [{holder, Self}] ->
            Fun();
        _ ->
            try
                acquire(),
                Fun()
            after
                release()
            end
    end.

acquire() ->
    case mongoose_domain_running:call(?MODULE, acquire, infinity) of
        acquired -> ok;
        stopped -> mongoose_domain_running:fail()
    end.

release() ->
    ok = forget(self()),
    gen_server:cast(?MODULE, {released, self()}).

%% The table may be gone with the application.
forget(Pid) ->
    try
        true = ets:delete_object(?REGISTRY, {holder, Pid}),
        ok
    catch
        error:badarg -> ok
    end.

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that an orderly stop calls terminate/2, which answers the waiting processes.
    process_flag(trap_exit, true),
    {ok, lists:foldl(fun({holder, Pid}, State) -> watch(Pid, State) end, #state{}, ets:tab2list(?REGISTRY))}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(acquire, {Pid, _Tag} = From, #state{waiting = Waiting} = State) ->
    {noreply, next(watch(Pid, State#state{waiting = queue:in(From, Waiting)}))};
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({released, Pid}, #state{monitors = Monitors} = State) ->
    case maps:take(Pid, Monitors) of
        {Monitor, Others} ->
            true = demonitor(Monitor, [flush]),
            {noreply, next(State#state{monitors = Others})};
        error ->
            %% A predecessor gave it the lock.
            {noreply, State}
    end;
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'DOWN', _Monitor, process, Pid, _Reason}, #state{waiting = Waiting, monitors = Monitors} = State) ->
    ok = forget(Pid),
    Left = queue:filter(fun({Caller, _Tag}) -> Caller =/= Pid end, Waiting),
    {noreply, next(State#state{waiting = Left, monitors = maps:remove(Pid, Monitors)})};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{waiting = Waiting}) when Reason =:= normal; Reason =:= shutdown; element(1, Reason) =:= shutdown ->
    lists:foreach(fun(From) -> gen_server:reply(From, stopped) end, queue:to_list(Waiting));
terminate(_Crash, _State) ->
    ok.

watch(Pid, #state{monitors = Monitors} = State) ->
    State#state{monitors = Monitors#{Pid => monitor(process, Pid)}}.

%% Gives the lock to the process that waits longest, if no process holds it.
next(#state{waiting = Waiting} = State) ->
    case {ets:member(?REGISTRY, holder), queue:out(Waiting)} of
        {false, {{value, {Pid, _Tag} = From}, Left}} ->
            true = ets:insert(?REGISTRY, {holder, Pid}),
            ok = gen_server:reply(From, acquired),
            State#state{waiting = Left};
        _ ->
            State
    end.
