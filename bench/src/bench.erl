%% One part of the benchmark in one VM. bench/run starts a VM for each part, since memory can only be
%% measured in a fresh one, and a last one to report what the others found.
%%
%%   erl -noinput -pa ... -run bench main PART FULL_OR_QUICK RESULTS URL PSQL
%%
%% A part appends its results, as Erlang terms, to the file RESULTS. The database at URL holds the
%% domains already (bench_names:write/2 made them); PSQL is the program.
-module(bench).

-export([main/1]).

-export_type([result/0]).

%% What was measured, and what came out.
-type result() :: {What :: atom(), #{atom() => term()}}.

%% No poll falls into a measurement.
-define(POLL_INTERVAL, 600000).

-spec main([string()]) -> no_return().
main([Part, Scale, Results, Url, Psql]) ->
    try
        part(list_to_atom(Part), scale(Scale), Results, Url, Psql),
        halt(0)
    catch
        Class:Reason:Stacktrace ->
            io:format(standard_error, "bench: ~s: ~p~n~p~n", [Part, {Class, Reason}, Stacktrace]),
            halt(1)
    end.

scale("full") ->
    #{sizes => [1, 10000, 100000, 1000000], lookups => #{passes => 9, rounds => 61, calls => 1000}, loads => 7,
      idle => 10000, changes => 50, operations => #{additions => 4000, rounds => 7}};
scale("quick") ->
    #{sizes => [1, 10000, 100000], lookups => #{passes => 3, rounds => 31, calls => 1000}, loads => 3,
      idle => 2000, changes => 10, operations => #{additions => 1000, rounds => 3}}.

part(rows, #{sizes := Sizes}, File, _Url, _Psql) ->
    bench_names:write(File, lists:max(Sizes));
part(machine, _Scale, Results, _Url, Psql) ->
    save(Results, bench_machine:describe(Psql));
part(load, #{sizes := Sizes, loads := Loads}, Results, Url, Psql) ->
    configure(Url),
    [save(Results, Result) || Result <- bench_load:run(lists:max(Sizes), Loads, Url, Psql)];
part(ets_memory, #{sizes := Sizes}, Results, _Url, _Psql) ->
    save(Results, bench_load:ets_memory(lists:max(Sizes)));
part(lookup, #{sizes := Sizes, lookups := Options}, Results, _Url, _Psql) ->
    configure(no_database),
    {ok, _} = application:ensure_all_started(mongoose_domain),
    ok = bench_ets:new(),
    Schedulers = erlang:system_info(schedulers_online),
    Processes = lists:usort([1, min(2, Schedulers), Schedulers]),
    lists:foldl(fun(Domains, Filled) ->
        fill(Filled, Domains),
        Cases = [{Keys, Count} || Keys <- keys(Domains), Count <- Processes],
        [save(Results, Result) || Result <- bench_lookup:run(Domains, Cases, Options)],
        Domains
    end, 0, Sizes),
    save(Results, bench_listing:run(lists:max(Sizes), <<"type2">>, 7));
part(follower, #{idle := Idle, changes := Changes}, Results, Url, Psql) ->
    configure(Url),
    [save(Results, Result) || Result <- bench_follower:run(Idle, Changes, Url, Psql)];
part(operations, #{operations := #{additions := Additions, rounds := Rounds}}, Results, Url, Psql) ->
    configure(Url),
    File = filename:join(filename:dirname(Results), "additions.sql"),
    [save(Results, Result) || Result <- bench_operations:run(Additions, Rounds, Url, Psql, File)];
part(report, _Scale, Results, _Url, _Psql) ->
    {ok, Terms} = file:consult(Results),
    ok = file:write_file(Results, bench_json:lines(Terms)),
    bench_report:print(Terms).

%% With one domain, a hit is a lookup of the hot key.
keys(1) -> [hot, misses];
keys(_Domains) -> [hot, hits, misses].

%% Both sides, from domain number From on.
fill(From, To) ->
    Bases = bench_names:bases(),
    lists:foreach(fun(Index) ->
        {Name, HostType} = {bench_names:name(Index, Bases), bench_names:host_type(Index)},
        ok = bench_ets:insert(Name, HostType),
        ok = mongoose_domain_core:insert(Name, HostType, 1)
    end, lists:seq(From, To - 1)).

configure(no_database) ->
    application:set_env(mongoose_domain, host_types, bench_names:host_types());
configure(Url) ->
    configure(no_database),
    application:set_env(mongoose_domain, service_domain_db, #{database => Url, poll_interval => ?POLL_INTERVAL}).

save(Results, {What, Facts} = Result) ->
    io:format(standard_error, "  ~s ~0p~n", [What, maps:with([domains, keys, processes, side, times_as_fast], Facts)]),
    ok = file:write_file(Results, io_lib:format("~p.~n", [Result]), [append]).
