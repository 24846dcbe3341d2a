%% Everything that is measured on this node, in one map, for the admin program's /metrics.
%%
%% What the node knows by itself is read without calling a process, so that a scrape neither waits for a busy process nor
%% keeps it busy. No listing is made, so that a million domains cost no more than one.
%%
%% What only the database knows (freshness, removals) is read with a short deadline. It is not read while the database is
%% away. When it does not answer in time, that part is `undefined', and the rest is there all the same. Nothing is cached
%% between two calls.
-module(mongoose_domain_metrics).

-export([collect/0, readiness/0]).
-export([ask_database/0]).

-export_type([t/0, database/0]).

%% How long the database may take, in milliseconds.
-define(DEADLINE, 1500).

-type t() :: #{
    enabled := boolean(),
    ready := boolean(),
    domains := [#{host_type := binary(), static | dynamic := non_neg_integer()}],
    table_bytes := #{entries | index | change_feed := non_neg_integer()},
    lookups := #{hits | misses := non_neg_integer()},
    %% What service_domain_db:last_status/0 says; undefined where there is no database.
    follower := map() | undefined,
    %% Requests that the database failed.
    failed_operations := non_neg_integer(),
    database := database() | undefined
}.
-type database() :: #{
    %% 0 once it is expired.
    freshness := [#{host_type := binary(), seconds_left := non_neg_integer() | infinity}],
    removals := #{running | orphaned | failed := non_neg_integer()}
}.

%% @doc Everything. Takes about as long as the deadline at the very most.
-spec collect() -> t().
collect() ->
    Enabled = service_domain_db:enabled(),
    #{enabled => Enabled,
      ready => readiness() =:= ready,
      domains => [#{host_type => HostType, static => Static, dynamic => Dynamic}
                  || {HostType, Static, Dynamic} <- counts_by_host_type()],
      table_bytes => mongoose_domain_core:memory(),
      lookups => mongoose_domain_core:lookups(),
      follower => case Enabled of true -> service_domain_db:last_status(); false -> undefined end,
      failed_operations => mongoose_domain_operations:failures(),
      database => database(Enabled)}.

%% A closed table has no domains.
counts_by_host_type() ->
    try
        mongoose_domain_core:counts_by_host_type()
    catch
        error:{not_running, mongoose_domain} -> []
    end.

%% @doc Whether the dynamic domains are served: loaded, or read from the file of a warm start. Without a database, always.
%% Once they are served, the node stays ready while the database is away. Otherwise, what the service is doing.
-spec readiness() -> ready | atom().
readiness() ->
    case {service_domain_db:enabled(), mongoose_domain_nif:progress()} of
        {_, closed} -> closed;
        {false, _} -> ready;
        {true, Progress} when Progress =:= following; Progress =:= reset -> ready;
        {true, unloaded} -> map_get(state, service_domain_db:last_status())
    end.

%% The database

%% The follower has tried the database a moment ago, so its state says whether to try it.
database(false) ->
    undefined;
database(true) ->
    case service_domain_db:last_status() of
        #{state := State} when State =:= away; State =:= connecting -> undefined;
        #{} -> ask_in_time()
    end.

%% A process of its own waits for the workers, because they may be busy for longer.
ask_in_time() ->
    {Pid, Monitor} = spawn_monitor(?MODULE, ask_database, []),
    receive
        {'DOWN', Monitor, process, Pid, {asked, Answer}} -> Answer;
        {'DOWN', Monitor, process, Pid, _Crash} -> undefined
    after ?DEADLINE ->
        true = demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        undefined
    end.

%% @private
-spec ask_database() -> no_return().
ask_database() ->
    exit({asked, answers([mongoose_domain_operations:run(Request, ?DEADLINE) || Request <- [freshness, removals]])}).

answers([{ok, Declared}, {ok, Removals}]) ->
    None = #{running => 0, orphaned => 0, failed => 0},
    Count = fun(Removal, Counts) -> maps:update_with(removal_state(Removal), fun(N) -> N + 1 end, Counts) end,
    #{freshness => [#{host_type => HostType, seconds_left => seconds_left(Expiry)}
                    || {HostType, _Time, Expiry} <- Declared],
      removals => lists:foldl(Count, None, Removals)};
answers(_Failures) ->
    undefined.

seconds_left({in, Seconds}) -> Seconds;
seconds_left(past) -> 0;
seconds_left(infinity) -> infinity.

-spec removal_state(mongoose_domain_nif:removal()) -> running | orphaned | failed.
removal_state({_Domain, _HostType, {failed, _Why}, _Owner, _Done, _Of}) -> failed;
removal_state({_Domain, _HostType, State, _Owner, _Done, _Of}) -> State.
