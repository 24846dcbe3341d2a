%% The process that owns the baseline's table and alone writes to it, as MongooseIM's does.
%%
%% It runs on the last scheduler, so that it shares none with the process that looks names up.
%%
%% A fill is fair to it: what it inserts it gets in parts of a thousand rows, ready-made, as rows come from
%% a database, and inserts them one after the other with nothing in between. It waits for no database.
-module(bench_ets_owner).

-export([start/0, empty/1, fill/2, change/3, sync/1]).

-define(PART, 1000).

%% @doc A process with an empty table.
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

%% @doc Makes an empty table of it.
-spec empty(pid()) -> ok.
empty(Owner) ->
    call(Owner, empty).

%% @doc Inserts the first so many Domains, whether they are there or not.
-spec fill(pid(), pos_integer()) -> ok.
fill(Owner, Domains) ->
    call(Owner, {fill, Domains}).

%% @doc Has these domains added, and those removed; waits for neither.
-spec change(pid(), Added :: [binary()], Removed :: [binary()]) -> ok.
change(Owner, Added, Removed) ->
    Owner ! {change, Added, Removed},
    ok.

%% @doc Returns when it has done all that it was told.
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
