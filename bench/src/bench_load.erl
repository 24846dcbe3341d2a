%% Loading all domains from a database: how long it takes, and how much memory they occupy.
%%
%% The whole start is measured: the application starts, its follower connects, checks the schema and loads. The time
%% ends when the table holds every domain, a lookup finds the last one and the follower follows. In turns with that,
%% the database's own client reads the same rows from the same server into a pipe (the yardstick), and the loaded table is
%% compared with the database.
%%
%% Memory is the VM's resident size after the first load, less the size before the start of the application. So it
%% includes the library, the follower's thread and what the load has not returned, besides the table. The peak is the
%% largest resident size until the end of the first load.
-module(bench_load).

-export([run/4, ets_memory/1]).

-export_type([yardstick/0]).

%% Reads the rows with the database's client, and returns the milliseconds and the bytes that it wrote.
-type yardstick() :: fun(() -> {float(), pos_integer()}).

-define(MANY, 100000).

%% @doc Loads once for the memory, and then this many times for the duration. Small tables have no figure for the memory
%% of a domain, since the library and the thread would dominate it. The VM is a fresh one, and its application is
%% configured to follow the database.
-spec run(postgres | mariadb, pos_integer(), pos_integer(), yardstick()) -> [bench:result()].
run(From, Domains, Loads, Yardstick) ->
    {What, Side} = case From of
        postgres -> {load, ours};
        mariadb -> {mariadb_load, mariadb}
    end,
    %% This reads files and loads code, too.
    _ = Yardstick(),
    Last = bench_names:name(Domains - 1, bench_names:bases()),
    Before = bench_os:resident(),
    ok = bench_os:forget_peak(),
    First = load(Domains, Last),
    Peak = bench_os:peak(),
    After = bench_os:resident(),
    Turns = [{Yardstick(), reload(Domains, Last), converge()} || _ <- lists:seq(1, Loads)],
    {Copies, Reloads, Comparisons} = lists:unzip3(Turns),
    {CopyTimes, [Bytes | _]} = lists:unzip(Copies),
    [Copy, Ours, Compared] = [bench_stats:summary(Times) || Times <- [CopyTimes, Reloads, Comparisons]],
    [
        {What, #{
            domains => Domains, rounds => Loads, unit => ms, first => First, ours => Ours, copy => Copy,
            comparison => Compared, comparison_to_load => map_get(median, Compared) / map_get(median, Ours),
            copy_bytes => Bytes, times_as_long => map_get(median, Ours) / map_get(median, Copy)
        }}
        | [memory(Side, Domains, Before, After, #{resident_peak => Peak, resident_after_reloads => bench_os:resident()})
           || Domains >= ?MANY]
    ].

%% @doc The memory of the same domains in the baseline's table, in a VM of its own.
-spec ets_memory(pos_integer()) -> bench:result().
ets_memory(Domains) ->
    Bases = bench_names:bases(),
    ok = bench_ets:new(),
    Before = bench_os:resident(),
    lists:foreach(
        fun(Index) -> bench_ets:insert(bench_names:name(Index, Bases), bench_names:host_type(Index)) end,
        lists:seq(0, Domains - 1)
    ),
    memory(ets, Domains, Before, bench_os:resident(), #{ets_info_bytes_a_domain => bench_ets:bytes() / Domains}).

memory(Side, Domains, Before, After, More) ->
    Facts = #{side => Side, domains => Domains, unit => bytes, resident_before => Before, resident_after => After,
              bytes_a_domain => (After - Before) / Domains, mean_name_size => bench_names:mean_size(Domains)},
    {memory, maps:merge(Facts, More)}.

reload(Domains, Last) ->
    ok = bench_node:stop(),
    load(Domains, Last).

converge() ->
    Nothing = #{added => 0, changed => 0, removed => 0, kept => 0},
    {Microseconds, {ok, Nothing}} = timer:tc(fun() -> service_domain_db:converge() end),
    Microseconds / 1000.

load(Domains, Last) ->
    Begin = erlang:monotonic_time(microsecond),
    {ok, _} = application:ensure_all_started(mongoose_domain),
    await(Domains, Last),
    (erlang:monotonic_time(microsecond) - Begin) / 1000.

await(Domains, Last) ->
    case mongoose_domain_core:domains_count() =:= Domains andalso service_domain_db:status() of
        #{state := following} ->
            {ok, _HostType} = mongoose_domain_api:get_host_type(Last);
        _ ->
            timer:sleep(1),
            await(Domains, Last)
    end.
