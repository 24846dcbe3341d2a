%% The ready-made answers to a lookup, {error, not_found} first.
%%
%% This is the module as it is shipped, which knows none itself. When the table is first opened,
%% mongoose_domain_core has mongoose_domain_constant put another module in its place, in which the answers for the host
%% types of then are literals: a lookup gets its own by a jump instead of a search, and takes a quarter less time. Those
%% for host types that come later are late answers. Should this module be loaded again (by a release upgrade, or by l/1
%% in a shell), all are: lookups are right and slower.
-module(mongoose_domain_answers).

-export([at/1, count/0]).

%% @doc The answer at this place, counted from 1. At 0, which is the answer of a closed table, fails with
%% `{not_running, mongoose_domain}'.
-spec at(mongoose_domain_nif:answer()) -> mongoose_domain_late_answers:answer().
at(Place) ->
    mongoose_domain_late_answers:at(Place).

%% @doc How many of them are literals.
-spec count() -> non_neg_integer().
count() ->
    0.
