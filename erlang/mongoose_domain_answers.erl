%% The ready-made answers to a lookup, {error, not_found} first.
%%
%% This is the module as it is shipped, in which they are a persistent term. When the table is opened,
%% mongoose_domain_core has mongoose_domain_constant put another module in its place, in which they
%% are literals: a lookup gets its own by a jump instead of a search, and takes a quarter less time. Should
%% this one be loaded again (by a release upgrade, or by l/1 in a shell), lookups are right and slower.
-module(mongoose_domain_answers).

-export([at/1, all/0]).

%% @doc The answer at this place, counted from 1. At 0, which is the answer of a closed table, fails with
%% `{not_running, mongoose_domain}'.
-spec at(non_neg_integer()) -> {ok, binary()} | {error, not_found}.
at(0) ->
    mongoose_domain_running:fail();
at(Place) ->
    element(Place, all()).

%% @doc The answers; none before the table was first opened.
-spec all() -> tuple().
all() ->
    persistent_term:get(?MODULE, {}).
