%% What is said about many timings of one thing: the median, because other programs on the machine
%% make some of them too long and none too short, and the two ends.
-module(bench_stats).

-export([median/1, percentile/2, summary/1]).

-export_type([summary/0]).

-type summary() :: #{median := number(), min := number(), max := number()}.

%% @doc The middle one, or what lies halfway between the middle two.
-spec median([number(), ...]) -> number().
median(Values) ->
    Sorted = lists:sort(Values),
    Count = length(Sorted),
    case Count rem 2 of
        1 -> lists:nth(Count div 2 + 1, Sorted);
        0 -> (lists:nth(Count div 2, Sorted) + lists:nth(Count div 2 + 1, Sorted)) / 2
    end.

%% @doc The smallest value that Percent of a hundred values do not exceed.
-spec percentile(1..100, [number(), ...]) -> number().
percentile(Percent, Values) ->
    lists:nth((length(Values) * Percent + 99) div 100, lists:sort(Values)).

%% @doc The median and the two ends.
-spec summary([number(), ...]) -> summary().
summary(Values) ->
    #{median => median(Values), min => lists:min(Values), max => lists:max(Values)}.
