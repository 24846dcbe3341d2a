%% Scaling: the throughput of several processes beside that of one, from the results of the lookups.
-module(bench_scaling).

-export([of_lookups/1]).

%% @doc For each case with one process and with several: the calls a second of all processes together, divided by those
%% of the one alone.
-spec of_lookups([bench:result()]) -> [bench:result()].
of_lookups(Results) ->
    Lookups = [Facts || {lookup, Facts} <- Results],
    [{scaling, #{domains => Domains, keys => Keys, processes => Processes,
                 ets => Processes * cost(ets, One) / cost(ets, Several),
                 ours => Processes * cost(ours, One) / cost(ours, Several)}}
     || #{domains := Domains, keys := Keys, processes := Processes} = Several <- Lookups, Processes > 1,
        #{domains := Same, keys := Alike, processes := 1} = One <- Lookups, Same =:= Domains, Alike =:= Keys].

cost(Side, Facts) ->
    #{median := Nanoseconds} = map_get(Side, Facts),
    Nanoseconds.
