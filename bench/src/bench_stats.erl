%% What is said about many timings of one thing: the median, because other programs on the machine
%% make some of them too long and none too short; between what and what eight of ten lie; what
%% ninety-nine of a hundred don't exceed; the ends.
-module(bench_stats).

-export([median/1, summary/1]).

-export_type([summary/0]).

-type summary() :: #{median := number(), p10 := number(), p90 := number(), p99 := number(),
                     min := number(), max := number()}.

%% @doc The middle one, or what lies halfway between the middle two.
-spec median([number(), ...]) -> number().
median(Values) ->
    Sorted = lists:sort(Values),
    Count = length(Sorted),
    case Count rem 2 of
        1 -> lists:nth(Count div 2 + 1, Sorted);
        0 -> (lists:nth(Count div 2, Sorted) + lists:nth(Count div 2 + 1, Sorted)) / 2
    end.

%% @doc All that is said about them. Of fewer than ten values, the percentiles are the ends.
-spec summary([number(), ...]) -> summary().
summary(Values) ->
    #{median => median(Values), p10 => percentile(10, Values), p90 => percentile(90, Values),
      p99 => percentile(99, Values), min => lists:min(Values), max => lists:max(Values)}.

%% The smallest value that Percent of a hundred values do not exceed.
percentile(Percent, Values) ->
    lists:nth((length(Values) * Percent + 99) div 100, lists:sort(Values)).
