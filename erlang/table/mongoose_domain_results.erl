%% The results of lookups by their numbers, as literals.
%%
%% A lookup in the native table returns a number: 0 while the table is closed, 1 for `{error, not_found}', and one from 2
%% on for each host type. This module maps the number to the result.
%%
%% The module as shipped knows no results. When the table is first opened, mongoose_domain_result_cache replaces it by a
%% generated module that has a clause for each result known then. A lookup then finds its result by a jump instead of a
%% search, which saves a quarter of its time. If this module is loaded again (by a release upgrade, or by `l/1' in a
%% shell), every result comes from mongoose_domain_result_cache: lookups stay right and become slower.
-module(mongoose_domain_results).

-export([at/1, count/0]).

%% @doc The result with this number. Fails with `{not_running, mongoose_domain}' for 0.
-spec at(mongoose_domain_nif:result_number()) -> mongoose_domain_result_cache:result().
at(Number) ->
    mongoose_domain_result_cache:at(Number).

%% @doc How many results are literals.
-spec count() -> non_neg_integer().
count() ->
    0.
