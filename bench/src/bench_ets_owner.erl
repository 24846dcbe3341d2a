%% The process that owns the baseline's table and is its only writer, as in MongooseIM.
%%
%% It runs on the last scheduler, away from the process that looks names up.
%%
%% A fill favours the baseline: it makes a thousand rows at a time, as they would come from a database, and then inserts
%% them without a pause. It never waits for a database.
-module(bench_ets_owner).

-export([start/0, empty/1, fill/2, change/3, sync/1]).

-define(PART, 1000).

%% @doc Starts the process with an empty table.
-spec start() -> pid().
start() ->
    Owner = erlang:spawn_opt(
        fun() ->
            ok = bench_ets:new(),
            loop()
        end,
        [link, {scheduler, erlang:system_info(schedulers_online)}]
    ),
    ok = sync(Owner),
    Owner.

%% @doc Empties the table.
-spec empty(pid()) -> ok.
empty(Owner) ->
    call(Owner, empty).

%% @doc Inserts the first Domains domains, also those that the table already holds.
-spec fill(pid(), pos_integer()) -> ok.
fill(Owner, Domains) ->
    call(Owner, {fill, Domains}).

%% @doc Adds and removes these domains, without waiting for it.
-spec change(pid(), Added :: [binary()], Removed :: [binary()]) -> ok.
change(Owner, Added, Removed) ->
    Owner ! {change, Added, Removed},
    ok.

%% @doc Waits until the process has handled all earlier messages.
-spec sync(pid()) -> ok.
sync(Owner) ->
    call(Owner, sync).

call(Owner, What) ->
    Owner ! {What, self()},
    receive {Owner, done} -> ok end.

loop() ->
    receive
        {change, Added, Removed} ->
            lists:foreach(fun(Domain) -> bench_ets:insert(Domain, <<"type1">>) end, Added),
            lists:foreach(fun bench_ets:remove/1, Removed);
        {What, From} ->
            ok = do(What),
            From ! {self(), done}
    end,
    loop().

do(sync) ->
    ok;
do(empty) ->
    ok = bench_ets:delete(),
    bench_ets:new();
do({fill, Domains}) ->
    fill_from(0, Domains, bench_names:bases()).

fill_from(Domains, Domains, _Bases) ->
    ok;
fill_from(From, Domains, Bases) ->
    To = min(From + ?PART, Domains),
    Rows = [{bench_names:name(Index, Bases), bench_names:host_type(Index)} || Index <- lists:seq(From, To - 1)],
    lists:foreach(fun({Name, HostType}) -> bench_ets:insert(Name, HostType) end, Rows),
    fill_from(To, Domains, Bases).
