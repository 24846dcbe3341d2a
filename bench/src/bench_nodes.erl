%% Many callers on three nodes that follow one database: what its notifications cost, and what a node costs that stands
%% still.
%%
%% PostgreSQL commits transactions with a NOTIFY one after the other, and wakes every session that listens. So the same
%% additions are made without it, in turns. The nodes' statements stay as they are: they call a function of the name
%% pg_notify that does nothing, since the nodes search its schema first. To rename the schema brings the server's own
%% function back. That the other nodes then learn of nothing is checked.
%%
%% Then one node's VM is stopped (SIGSTOP) while the others add. Its session takes no notification any more, and the server
%% has to keep all of them.
-module(bench_nodes).

-export([run/4]).
-export([add/3]).

-define(HOST_TYPE, <<"type1">>).
-define(NODES, 3).
%% How many milliseconds a follower may take for domains that others added.
-define(LONG, 120000).
%% How many milliseconds the check waits for a notification that should not come.
-define(NOT_COMING, 500).

%% @doc Measures with so many Callers on all nodes together. A turn takes `seconds'; one node stands still for `stopped'
%% seconds. The nodes follow the database at Url.
-spec run(#{rounds := pos_integer(), seconds := pos_integer(), stopped := pos_integer()}, pos_integer(), string(),
          file:filename()) -> [bench:result()].
run(#{rounds := Rounds, seconds := Seconds, stopped := Stopped}, Callers, Url, Psql) ->
    Session = bench_psql:open(Psql, Url),
    _ = bench_psql:ask(Session, "CREATE SCHEMA unheard;"),
    _ = bench_psql:ask(Session, "CREATE FUNCTION unheard.pg_notify(text, text) RETURNS void LANGUAGE sql AS '';"),
    %% New tables go to the first schema.
    Nodes = [bench_peers:start(Url ++ "?options=-csearch_path%3Dpublic,unheard,pg_catalog") || _ <- lists:seq(1, ?NODES)],
    ok = check(Nodes),
    _ = bench_psql:ask(Session, "ALTER SCHEMA unheard RENAME TO unused;"),
    _ = load(Nodes, Callers, Seconds, "warm"),
    Turns = [{Side, turn(Side, Session, Nodes, Callers, Seconds, Round)}
             || Round <- lists:seq(1, Rounds), Side <- [notify, plain]],
    Results = results(Callers, Turns) ++ [stopped(Nodes, Callers, Stopped, Url, Psql)],
    lists:foreach(fun bench_peers:stop/1, Nodes),
    ok = bench_psql:close(Session),
    Results.

%% @doc On a node: so many callers add domains for so many seconds.
-spec add(pos_integer(), pos_integer(), string()) -> bench_callers:load().
add(Callers, Seconds, Unique) ->
    bench_callers:for_seconds(Callers, Seconds, fun(Caller, Number) ->
        Name = io_lib:format("added~b.caller~b.~s.nodes.example", [Number, Caller, Unique]),
        {ok, _} = mongoose_domain_api:insert_domain(iolist_to_binary(Name), ?HOST_TYPE),
        ok
    end).

%% While the schema has its name, an addition on one node is not known to another.
check([One, Other | _]) ->
    Name = <<"unheard.nodes.example">>,
    {ok, _} = peer:call(One, mongoose_domain_api, insert_domain, [Name, ?HOST_TYPE]),
    ok = timer:sleep(?NOT_COMING),
    {error, not_found} = peer:call(Other, mongoose_domain_api, get_host_type, [Name]),
    ok.

turn(notify, _Session, Nodes, Callers, Seconds, Round) ->
    load(Nodes, Callers, Seconds, unique(notify, Round));
turn(plain, Session, Nodes, Callers, Seconds, Round) ->
    _ = bench_psql:ask(Session, "ALTER SCHEMA unused RENAME TO unheard;"),
    Load = load(Nodes, Callers, Seconds, unique(plain, Round)),
    _ = bench_psql:ask(Session, "ALTER SCHEMA unheard RENAME TO unused;"),
    Load.

unique(Side, Round) ->
    lists:flatten(io_lib:format("~s~w", [Side, Round])).

%% All nodes show everything before the callers begin.
load(Nodes, Callers, Seconds, Unique) ->
    lists:foreach(fun(Node) -> ok = peer:call(Node, service_domain_db, sync_local, [?LONG], infinity) end, Nodes),
    Numbered = lists:enumerate(0, Nodes),
    Parent = self(),
    Pids = [spawn_link(fun() ->
        Share = (Callers + Number) div length(Nodes),
        Of = Unique ++ ".node" ++ integer_to_list(Number),
        Parent ! {self(), peer:call(Node, ?MODULE, add, [Share, Seconds, Of], infinity)}
    end) || {Number, Node} <- Numbered],
    Loads = [receive {Pid, Load} -> Load end || Pid <- Pids],
    #{rate => lists:sum([Rate || #{rate := Rate} <- Loads]),
      milliseconds => lists:append([Milliseconds || #{milliseconds := Milliseconds} <- Loads])}.

results(Callers, Turns) ->
    Of = fun(Side) -> [Load || {Whose, Load} <- Turns, Whose =:= Side] end,
    Rate = fun(Side) -> bench_stats:summary([R || #{rate := R} <- Of(Side)]) end,
    P99 = fun(Side) -> bench_stats:median([map_get(p99, bench_stats:summary(M)) || #{milliseconds := M} <- Of(Side)]) end,
    #{median := Beside} = Rate(plain),
    [{nodes, #{side => Side, nodes => ?NODES, callers => Callers, rounds => length(Of(Side)), unit => ms, rate => Rate(Side),
               p99 => P99(Side), share => map_get(median, Rate(Side)) / Beside}} || Side <- [notify, plain]].

%% The callers are on the other nodes, before and meanwhile.
stopped([Still | Others] = Nodes, Callers, Seconds, Url, Psql) ->
    #{rate := Before} = load(Nodes -- [Still], Callers, Seconds, "before"),
    Stopped = bench_peers:stop_processes(Still),
    Watch = watch(Url, Psql),
    #{rate := During} = load(Others, Callers, Seconds, "during"),
    Usage = watched(Watch),
    Begin = os:perf_counter(),
    ok = bench_peers:continue_processes(Stopped),
    ok = peer:call(Still, service_domain_db, sync_local, [?LONG], infinity),
    {stopped, #{nodes => ?NODES, callers => Callers, seconds => Seconds, before => Before, during => During,
                share => During / Before, queue_usage => Usage, caught_up => (os:perf_counter() - Begin) / 1.0e6}}.

%% Reads, in a process of its own, which share of its queue of notifications the server uses.
watch(Url, Psql) ->
    spawn_link(fun() -> watch(Url, Psql, 0.0) end).

watch(Url, Psql, Most) ->
    Usage = bench_psql:value(Psql, Url, "SELECT pg_notification_queue_usage()::numeric(20, 15)"),
    receive
        {most, From} -> From ! {self(), max(Usage, Most)}
    after 500 ->
        watch(Url, Psql, max(Usage, Most))
    end.

watched(Pid) ->
    Pid ! {most, self()},
    receive {Pid, Most} -> Most end.
