%% A process that registers itself when it starts, as docs/components.md describes, under a supervisor of its own.
%%
%%   Supervisor = md_node:call(Node, md_registrant, start, [<<"type1">>]),
%%   ok = md_node:call(Node, md_registrant, crash, [3]).                        % three times
-module(md_registrant).
-behaviour(gen_server). % and, for its other argument, a supervisor

-export([start/1, crash/1]).
-export([start_link/1, init/1, handle_call/3, handle_cast/2]).

%% @doc The supervisor survives its caller.
-spec start(binary()) -> pid().
start(HostType) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {supervisor, HostType}),
    true = unlink(Supervisor),
    Supervisor.

%% @doc Crashes the process that many times and returns when it runs again. Fails when its supervisor has given up.
-spec crash(non_neg_integer()) -> ok.
crash(0) ->
    ok;
crash(Times) ->
    Pid = whereis(?MODULE),
    Monitor = monitor(process, Pid),
    true = exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    md_wait:until(fun() -> is_pid(whereis(?MODULE)) andalso gen_server:call(?MODULE, hello) end, registered),
    crash(Times - 1).

%% @private
-spec start_link(binary()) -> gen_server:start_ret().
start_link(HostType) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, {worker, HostType}, []).

init({supervisor, HostType}) ->
    {ok, {#{intensity => 5, period => 60}, [#{id => worker, start => {?MODULE, start_link, [HostType]}}]}};
init({worker, HostType}) ->
    ok = mongoose_domain_removal:register_handler(HostType, md_handler_first, 50),
    ok = mongoose_domain_api:register_subdomain(HostType, {prefix, <<"muc.">>}, {?MODULE, #{rooms => 10}}),
    ok = mongoose_domain_api:register_subdomain(HostType, {fqdn, <<"rooms.example">>}, {?MODULE, #{}}),
    {ok, registered}.

handle_call(hello, _From, State) ->
    {reply, State, State}.

handle_cast(_Message, State) ->
    {noreply, State}.
