%% Tables that outlive the supervisor that made them, where another application's supervisor restarts it.
%%
%% What processes and other applications register (subdomains, handlers, observers) is in tables of mongoose_domain_sup. Where
%% OTP starts the application, they end with it: the next start begins anew. Where the supervisor is a child of another
%% application's, nobody registers again what was registered before it was killed. There the process that calls keep/0,
%% which is that other supervisor, stands for one run: until it ends, an heir that no supervisor knows gets the tables of a
%% mongoose_domain_sup that died, and hands them to the next one. Meanwhile they can be read.
%%
%%   new = mongoose_domain_tables:keep(),                  % in the supervisor above mongoose_domain_sup
%%   created = mongoose_domain_tables:create(my_table, []),  % in mongoose_domain_sup
%%   …                                                      % mongoose_domain_sup is killed, and started again
%%   kept = mongoose_domain_tables:keep(),
%%   kept = mongoose_domain_tables:create(my_table, []).
%%
%% Without keep/0 a table ends with its maker.
-module(mongoose_domain_tables).
-behaviour(gen_server).

-export([keep/0, forget/0, create/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% How long the heir waits for the table of a process that is ending, in milliseconds.
-define(ENDING, 5000).

%% The process above the supervisor, with its monitor.
-record(state, {run :: pid(), monitor :: reference()}).

%% @doc Keeps tables as long as the calling process lives. `kept' where it did so before: the tables are those of then.
-spec keep() -> new | kept.
keep() ->
    case run() of
        Run when Run =:= self() -> kept;
        _AnotherOrNone ->
            ok = forget(),
            {ok, _Heir} = gen_server:start({local, ?MODULE}, ?MODULE, self(), []),
            new
    end.

run() ->
    try
        gen_server:call(?MODULE, run)
    catch
        exit:_None -> none
    end.

%% @doc Ends the keeping, and the tables that no process owns.
-spec forget() -> ok.
forget() ->
    case whereis(?MODULE) of
        undefined -> ok;
        Heir ->
            Monitor = monitor(process, Heir),
            true = exit(Heir, kill),
            receive {'DOWN', Monitor, process, Heir, _Reason} -> ok end
    end.

%% @doc Makes a table with this name, which all processes may write. `kept': the calling process got one that was kept, with
%% what is in it.
-spec create(atom(), [term()]) -> created | kept.
create(Name, Options) ->
    case whereis(?MODULE) of
        undefined -> create(Name, Options, []);
        Heir ->
            case gen_server:call(Heir, {give, Name}, infinity) of
                given -> receive {'ETS-TRANSFER', _Table, Heir, Name} -> kept end;
                none -> create(Name, Options, [{heir, Heir, Name}])
            end
    end.

create(Name, Options, Heir) ->
    Name = ets:new(Name, [named_table, public | Heir] ++ Options),
    created.

%% gen_server

-spec init(pid()) -> {ok, #state{}}.
init(Run) ->
    {ok, #state{run = Run, monitor = monitor(process, Run)}}.

-spec handle_call(run | {give, atom()}, gen_server:from(), #state{}) -> {reply, pid() | given | none, #state{}}.
handle_call(run, _From, #state{run = Run} = State) ->
    {reply, Run, State};
handle_call({give, Name}, {To, _Tag}, State) ->
    {reply, give(Name, ets:info(Name, owner), To), State}.

give(_Name, undefined, _To) ->
    none;
give(Name, Owner, To) when Owner =:= self() ->
    true = ets:give_away(Name, To, Name),
    given;
give(Name, _Ending, To) ->
    receive
        {'ETS-TRANSFER', _Table, _Owner, Name} -> give(Name, self(), To)
    after ?ENDING -> none
    end.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_None, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({'DOWN', Monitor, process, _Run, _Reason}, #state{monitor = Monitor} = State) ->
    {stop, normal, State};
handle_info(_TableArrived, State) ->
    {noreply, State}.
