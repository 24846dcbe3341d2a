%% Whose turn it is to change what runs on this node: one process at a time, in the order in which they asked.
%%
%%   mongoose_domain_components_lock:exclusively(fun() -> ... end)
%%
%% Whoever has the turn may ask again, as a part does whose start asks for another part. The turn ends with the function,
%% or with the process that has it; who dies while it waits has left the queue.
%%
%% Whose turn it is stands in a table that lives as long as the application. So a crash of this process ends no turn: its
%% successor reads there who has it. Those who waited fail, as calls of a process do that crashes, before they did
%% anything. At the application's end they fail with `{not_running, mongoose_domain}'.
-module(mongoose_domain_components_lock).
-behaviour(gen_server).

-export([start_link/0, create_registry/0, exclusively/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("../base/mongoose_domain_log.hrl").

%% {turn, Pid}, while it is somebody's turn.
-define(REGISTRY, ?MODULE).

-record(state, {
    waiting = queue:new() :: queue:queue(gen_server:from()),
    %% Of those who wait, and of the one whose turn it is.
    monitors = #{} :: #{pid() => reference()}
}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private The supervisor's.
-spec create_registry() -> ok.
create_registry() ->
    ?REGISTRY = ets:new(?REGISTRY, [named_table, public]),
    ok.

%% @doc What the function returns, which is called while no other process has the turn. Fails as it does.
-spec exclusively(fun(() -> Result)) -> Result.
exclusively(Fun) ->
    Self = self(),
    %% Nobody but the process itself, and its death, ends its turn.
    case ets:lookup(mongoose_domain_running:registry(?REGISTRY), turn) of
        [{turn, Self}] ->
            Fun();
        _ ->
            try
                await_turn(),
                Fun()
            after
                end_turn()
            end
    end.

await_turn() ->
    case mongoose_domain_running:call(?MODULE, await_turn, infinity) of
        your_turn -> ok;
        the_end -> mongoose_domain_running:fail()
    end.

end_turn() ->
    ok = forget(self()),
    gen_server:cast(?MODULE, {ended, self()}).

%% The table may be gone with the application.
forget(Pid) ->
    try
        true = ets:delete_object(?REGISTRY, {turn, Pid}),
        ok
    catch
        error:badarg -> ok
    end.

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% So that an orderly stop answers those who wait.
    process_flag(trap_exit, true),
    {ok, lists:foldl(fun({turn, Pid}, State) -> watch(Pid, State) end, #state{}, ets:tab2list(?REGISTRY))}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(await_turn, {Pid, _Tag} = From, #state{waiting = Waiting} = State) ->
    {noreply, next(watch(Pid, State#state{waiting = queue:in(From, Waiting)}))};
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({ended, Pid}, #state{monitors = Monitors} = State) ->
    case maps:take(Pid, Monitors) of
        {Monitor, Others} ->
            true = demonitor(Monitor, [flush]),
            {noreply, next(State#state{monitors = Others})};
        error ->
            %% A predecessor's.
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
    lists:foreach(fun(From) -> gen_server:reply(From, the_end) end, queue:to_list(Waiting));
terminate(_Crash, _State) ->
    ok.

watch(Pid, #state{monitors = Monitors} = State) ->
    State#state{monitors = Monitors#{Pid => monitor(process, Pid)}}.

%% The turn of whoever waits longest, where it is nobody's.
next(#state{waiting = Waiting} = State) ->
    case {ets:member(?REGISTRY, turn), queue:out(Waiting)} of
        {false, {{value, {Pid, _Tag} = From}, Left}} ->
            true = ets:insert(?REGISTRY, {turn, Pid}),
            ok = gen_server:reply(From, your_turn),
            State#state{waiting = Left};
        _ ->
            State
    end.
