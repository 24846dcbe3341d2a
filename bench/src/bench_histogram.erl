%% Counts durations by their size, so that millions of them can be recorded one by one.
%%
%% The sizes are nanoseconds. Up to 64 each has a bucket of its own; above, each doubling is divided into
%% 32 buckets, so that a bucket is at most 3 % wide: 64 to 65, 66 to 67, ... 1024 to 1055, and so on, up
%% to half a minute. Recording one takes about ten nanoseconds and makes no garbage. One process writes to
%% a histogram. The longest duration and the sum of all are exact.
-module(bench_histogram).

-export([new/0, add/2, counts/1, summary/1, percentile/2, at_least/2]).

-export_type([t/0, counts/0]).

-opaque t() :: counters:counters_ref().
%% The buckets that are not empty: the longest duration of each, and its count.
-type counts() :: [{Nanoseconds :: non_neg_integer(), Count :: pos_integer()}].

%% The number of buckets in one doubling.
-define(PARTS, 32).
-define(DOUBLINGS, 30).
-define(BUCKETS, (?DOUBLINGS + 2) * ?PARTS).
-define(LONGEST, ?BUCKETS + 1).
-define(SUM, ?BUCKETS + 2).

%% @doc Creates an empty histogram.
-spec new() -> t().
new() ->
    counters:new(?SUM, []).

%% @doc Records one duration.
-spec add(t(), non_neg_integer()) -> ok.
add(Histogram, Nanoseconds) ->
    ok = counters:add(Histogram, bucket(Nanoseconds, 0), 1),
    ok = counters:add(Histogram, ?SUM, Nanoseconds),
    case counters:get(Histogram, ?LONGEST) of
        Longest when Longest < Nanoseconds -> counters:put(Histogram, ?LONGEST, Nanoseconds);
        _ -> ok
    end.

bucket(Part, Doublings) when Part < 2 * ?PARTS -> Doublings * ?PARTS + Part + 1;
bucket(_Part, ?DOUBLINGS) -> ?BUCKETS;
bucket(Part, Doublings) -> bucket(Part bsr 1, Doublings + 1).

%% The inverse: the longest duration of a bucket.
longest(Bucket) when Bucket =< 2 * ?PARTS ->
    Bucket - 1;
longest(Bucket) ->
    Doublings = (Bucket - 1) div ?PARTS - 1,
    ((Bucket - 1 - Doublings * ?PARTS + 1) bsl Doublings) - 1.

%% @doc The buckets that are not empty, the shortest durations first.
-spec counts(t()) -> counts().
counts(Histogram) ->
    All = [{longest(Bucket), counters:get(Histogram, Bucket)} || Bucket <- lists:seq(1, ?BUCKETS)],
    [Counted || {_, Count} = Counted <- All, Count > 0].

%% @doc The number of durations, the longest, and the sum of all.
-spec summary(t()) -> #{count := non_neg_integer(), longest := non_neg_integer(), sum := non_neg_integer()}.
summary(Histogram) ->
    #{count => lists:sum([Count || {_, Count} <- counts(Histogram)]),
      longest => counters:get(Histogram, ?LONGEST), sum => counters:get(Histogram, ?SUM)}.

%% @doc The duration that this share of all (0.5 is the median) does not exceed.
-spec percentile(float(), counts()) -> non_neg_integer().
percentile(Share, Counts) ->
    Wanted = Share * lists:sum([Count || {_, Count} <- Counts]),
    percentile(Wanted, 0, Counts).

percentile(_Wanted, _Seen, [{Nanoseconds, _}]) -> Nanoseconds;
percentile(Wanted, Seen, [{Nanoseconds, Count} | _]) when Seen + Count >= Wanted -> Nanoseconds;
percentile(Wanted, Seen, [{_, Count} | Counts]) -> percentile(Wanted, Seen + Count, Counts).

%% @doc How many durations are in the bucket of this one or in a later bucket.
-spec at_least(non_neg_integer(), counts()) -> non_neg_integer().
at_least(Nanoseconds, Counts) ->
    lists:sum([Count || {Longest, Count} <- Counts, Longest >= Nanoseconds]).
