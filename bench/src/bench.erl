%% One part of the benchmark in one VM. bench/run starts a VM for each part, since memory can only be
%% measured in a fresh one, and a last VM to report the results of the others.
%%
%%   erl -noinput -pa ... -run bench main PART SCALE ROWS RESULTS URL PSQL PROCESSES
%%
%% A part appends its results, as Erlang terms, to the file RESULTS. The part `report' prints them as tables and writes
%% them to RESULTS.jsonl; after it, the part `plots' draws RESULTS-NAME.svg. The database at URL already holds ROWS
%% domains (written by bench_names:write/2). PSQL is the path of psql; for the part `mariadb', whose URL is that of a
%% MariaDB server, it is the path of that server's client. PROCESSES lists the numbers of processes
%% that look up at the same time, such as 1,2,4; when it is empty, they are 1, 2, 4 and so on up to the number of cores.
-module(bench).

-export([main/1]).

-export_type([result/0]).

%% What was measured, and the figures.
-type result() :: {What :: atom(), #{atom() => term()}}.

%% The parts in which the application of this VM follows the database.
-define(FOLLOWING, ["load", "mariadb", "latency", "idle", "propagation", "additions", "changes", "busy", "import", "catchup",
                    "ask"]).
%% How many callers change domains at the same time, where many do.
-define(MANY, 64).

-spec main([string()]) -> no_return().
main([Part, Scale, Rows, Results, Url, Psql, Processes]) ->
    %% The part runs in a process of its own. When a linked process fails, this one fails too, and the VM ends.
    {Pid, Monitor} = spawn_monitor(fun() ->
        Options = (scale(Scale))#{rows => list_to_integer(Rows), url => Url, psql => Psql,
                                  processes => processes(Processes)},
        _ = [ok = bench_node:configure(Url) || lists:member(Part, ?FOLLOWING)],
        part(list_to_atom(Part), Options, Results)
    end),
    receive
        {'DOWN', Monitor, process, Pid, normal} ->
            halt(0);
        {'DOWN', Monitor, process, Pid, Reason} ->
            io:format(standard_error, "bench: ~s: ~p~n", [Part, Reason]),
            halt(1)
    end.

%% How much each part does. `sizes' are the sizes of the tables for lookups, the largest last. ROWS is the size of the
%% database.
scale("quick") ->
    #{sizes => [1, 1000, 10000, 100000], lookups => #{passes => 3, rounds => 31, calls => 1000}, loads => 3,
      latency => #{rounds => 2, milliseconds => 1000}, catchup => {20000, 4}, idle => 2000, propagation => 50,
      additions => #{rounds => 2, seconds => 1}, changes => {2, [{1, 100}, {?MANY, 640}]}, imports => {2, 10000},
      nodes => #{rounds => 2, seconds => 1, stopped => 3}, lists => 3, subdomains => [1000, 100000], crowd => #{crowd => 200000, rounds => 3},
      turns => #{callers => [1, 10], rounds => 10}, ask => #{connections => [1, 64], rounds => 2, seconds => 1}};
scale("standard") ->
    #{sizes => [1, 1000, 10000, 1000000], lookups => #{passes => 9, rounds => 61, calls => 1000}, loads => 5,
      latency => #{rounds => 3, milliseconds => 3000}, catchup => {100000, 6}, idle => 10000, propagation => 500,
      additions => #{rounds => 5, seconds => 2}, changes => {3, [{1, 300}, {?MANY, 1280}]}, imports => {3, 100000},
      nodes => #{rounds => 3, seconds => 2, stopped => 10}, lists => 7, subdomains => [1000, 1000000], crowd => #{crowd => 200000, rounds => 7},
      turns => #{callers => [1, 10], rounds => 30}, ask => #{connections => [1, 16, 64, 256], rounds => 5, seconds => 2}};
scale("full") ->
    #{sizes => [1, 100, 1000, 10000, 100000, 1000000], lookups => #{passes => 15, rounds => 61, calls => 1000},
      loads => 9, latency => #{rounds => 9, milliseconds => 5000}, catchup => {100000, 10}, idle => 30000,
      propagation => 2000, additions => #{rounds => 9, seconds => 3}, changes => {9, [{1, 1000}, {?MANY, 3200}]},
      imports => {5, 100000}, nodes => #{rounds => 9, seconds => 3, stopped => 60}, lists => 15, subdomains => [1000, 10000, 1000000],
      crowd => #{crowd => 200000, rounds => 15}, turns => #{callers => [1, 10], rounds => 100},
      ask => #{connections => [1, 16, 64, 256], rounds => 9, seconds => 3}};
%% The same, and a table of three million domains.
scale("full-3m") ->
    #{sizes := Sizes} = Full = scale("full"),
    Full#{sizes => Sizes ++ [3000000]}.

processes("") ->
    Schedulers = erlang:system_info(schedulers_online),
    lists:usort([Count || Count <- [1 bsl Power || Power <- lists:seq(0, 10)], Count =< Schedulers] ++ [Schedulers]);
processes(Listed) ->
    [1 | _] = Counts = lists:usort([1 | [list_to_integer(Count) || Count <- string:lexemes(Listed, ",")]]),
    true = lists:max(Counts) =< erlang:system_info(schedulers_online),
    Counts.

part(rows, #{rows := Rows}, File) ->
    bench_names:write(File, Rows);
part(machine, #{psql := Psql}, Results) ->
    save(Results, bench_machine:describe(Psql));
part(load, #{rows := Rows, loads := Loads, url := Url, psql := Psql}, Results) ->
    save_all(Results, bench_load:run(postgres, Rows, Loads, fun() -> bench_psql:copy_out(Psql, Url) end));
part(mariadb, #{rows := Rows, loads := Loads, url := Url, psql := Client}, Results) ->
    save_all(Results, bench_load:run(mariadb, Rows, Loads, fun() -> bench_mariadb:select_out(Client, Url) end));
part(ets_memory, #{rows := Rows}, Results) ->
    save(Results, bench_load:ets_memory(Rows));
part(latency, #{rows := Rows, latency := Options, url := Url, psql := Psql}, Results) ->
    save_all(Results, bench_latency:run(Rows, Options, Url, Psql));
part(idle, #{idle := Milliseconds}, Results) ->
    save(Results, bench_follower:run(Milliseconds));
part(propagation, #{propagation := Changes, url := Url, psql := Psql}, Results) ->
    save(Results, bench_propagation:run(Changes, Url, Psql));
part(additions, #{additions := Options, url := Url, psql := Psql}, Results) ->
    save_all(Results, bench_additions:run(Options, Url, Psql, filename:dirname(Results)));
part(changes, #{changes := {Rounds, Sizes}}, Results) ->
    save_all(Results, bench_changes:run(Rounds, Sizes));
part(busy, #{rows := Rows, latency := Options}, Results) ->
    save_all(Results, bench_busy:run(Rows, ?MANY, Options));
part(import, #{imports := {Rounds, Lines}, url := Url, psql := Psql}, Results) ->
    save(Results, bench_import:run(Rounds, Lines, Url, Psql, filename:dirname(Results)));
part(nodes, #{nodes := Options, url := Url, psql := Psql}, Results) ->
    save_all(Results, bench_nodes:run(Options, ?MANY, Url, Psql));
part(catchup, #{catchup := {Domains, Rounds}, url := Url, psql := Psql}, Results) ->
    save(Results, bench_catchup:run(Domains, Rounds, Url, Psql));
part(lookup, #{sizes := Sizes, lookups := Options, processes := Processes}, Results) ->
    ok = open_tables(),
    lists:foldl(fun(Domains, Filled) ->
        fill(Filled, Domains),
        Cases = [{Keys, Count} || Keys <- keys(Domains), Count <- Processes],
        Lookups = bench_lookup:run(Domains, Cases, Options),
        save_all(Results, Lookups ++ bench_scaling:of_lookups(Lookups)),
        Domains
    end, 0, Sizes);
part(subdomains, #{subdomains := Sizes, lookups := Options, processes := Processes}, Results) ->
    ok = open_tables(),
    lists:foldl(fun(Domains, Filled) ->
        fill(Filled, Domains),
        save_all(Results, bench_subdomains:run(Domains, Processes, Options)),
        Domains
    end, 0, Sizes);
part(Memory, #{subdomains := Sizes}, Results) when Memory =:= subdomain_memory; Memory =:= ets_subdomain_memory ->
    ok = open_tables(),
    Domains = lists:max(Sizes),
    {Fill, Side} = case Memory of
        subdomain_memory -> {fun mongoose_domain_core:insert/3, ours};
        ets_subdomain_memory -> {fun(Domain, HostType, _Source) -> bench_ets:insert(Domain, HostType) end, ets}
    end,
    fill_one(Fill, Domains),
    save(Results, bench_subdomains:memory(Side, Domains));
part(crowd, #{crowd := Options, lookups := Lookups}, Results) ->
    ok = start_without_database(),
    save(Results, bench_crowd:answers(Lookups)),
    save_all(Results, bench_crowd:run(Options));
part(turns, #{turns := Options}, Results) ->
    ok = start_without_database(),
    save_all(Results, bench_turns:run(Options));
part(ask, #{rows := Rows, ask := Options}, Results) ->
    save_all(Results, bench_ask:run(Rows, Options));
part(listing, #{rows := Rows, lists := Rounds}, Results) ->
    ok = open_tables(),
    fill(0, Rows),
    save(Results, bench_listing:run(Rows, <<"type2">>, Rounds)),
    save(Results, bench_pages:run(Rows, <<"type2">>, 10 * Rounds));
part(report, _Options, Results) ->
    {ok, Terms} = file:consult(Results),
    ok = file:write_file(Results ++ ".jsonl", bench_json:lines(Terms)),
    bench_report:print(Terms);
part(plots, _Options, Results) ->
    {ok, Terms} = file:consult(Results),
    case bench_plots:write(Results, Terms) of
        ok -> ok;
        {error, Failed} -> exit({not_drawn, Failed})
    end.

%% With one domain, a hit is a lookup of the hot key.
keys(1) -> [hot, misses];
keys(_Domains) -> [hot, hits, misses].

%% Opens the tables of both sides, without a database.
open_tables() ->
    ok = start_without_database(),
    bench_ets:new().

start_without_database() ->
    ok = bench_node:configure(no_database),
    {ok, _} = application:ensure_all_started(mongoose_domain),
    ok.

%% Fills the tables of both sides, from domain number From on.
fill(From, To) ->
    Bases = bench_names:bases(),
    lists:foreach(fun(Index) ->
        {Name, HostType} = {bench_names:name(Index, Bases), bench_names:host_type(Index)},
        ok = bench_ets:insert(Name, HostType),
        ok = mongoose_domain_core:insert(Name, HostType, 1)
    end, lists:seq(From, To - 1)).

fill_one(Insert, Domains) ->
    Bases = bench_names:bases(),
    lists:foreach(fun(Index) ->
        ok = Insert(bench_names:name(Index, Bases), bench_names:host_type(Index), 1)
    end, lists:seq(0, Domains - 1)).

save_all(Results, Found) ->
    lists:foreach(fun(Result) -> save(Results, Result) end, Found).

%% Appends the result to the file, and prints it to standard error.
save(Results, {What, Facts} = Result) ->
    Shown = [domains, keys, patterns, milliseconds, processes, phase, side, times_as_fast, times_as_long, p999,
             beyond_commit, bytes_a_domain, what, callers, connections, p99, share, p50_times_as_long],
    io:format(standard_error, "  ~s ~0p~n", [What, maps:with(Shown, Facts)]),
    ok = file:write_file(Results, io_lib:format("~w.~n", [Result]), [append]).
