%% A summary of many timings: the median, since other programs on the machine make some timings too long and none too
%% short; the 10th, 90th and 99th percentile; the minimum and the maximum.
-module(bench_stats).

-export([median/1, summary/1]).

-export_type([summary/0]).

-type summary() :: #{median := number(), p10 := number(), p90 := number(), p99 := number(),
                     min := number(), max := number()}.

%% @doc The median: the middle value, or the mean of the middle two.
-spec median([number(), ...]) -> number().
median(Values) ->
    Sorted = lists:sort(Values),
    Count = length(Sorted),
    case Count rem 2 of
        1 -> lists:nth(Count div 2 + 1, Sorted);
        0 -> (lists:nth(Count div 2, Sorted) + lists:nth(Count div 2 + 1, Sorted)) / 2
    end.

%% @doc The summary of the values. Of fewer than ten values, the percentiles are the minimum and the maximum.
-spec summary([number(), ...]) -> summary().
summary(Values) ->
    #{median => median(Values), p10 => percentile(10, Values), p90 => percentile(90, Values),
      p99 => percentile(99, Values), min => lists:min(Values), max => lists:max(Values)}.

%% The smallest value that Percent of a hundred values do not exceed.
percentile(Percent, Values) ->
    lists:nth((length(Values) * Percent + 99) div 100, lists:sort(Values)).
