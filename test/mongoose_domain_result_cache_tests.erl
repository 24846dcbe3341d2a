%% Values that are compiled into a module at run time.
-module(mongoose_domain_result_cache_tests).

-include_lib("eunit/include/eunit.hrl").

-define(MODULE_OF_MINE, mongoose_domain_result_cache_tests_value).

%% The generated module calls this function for indexes that it does not have.
-export([at/1]).
-export([values_are_at_their_places/0, the_other_module_is_asked_for_other_places/0, a_value_is_no_copy/0,
         a_module_with_an_old_version_stays_as_it_is/0, what_nobody_remembers_makes_room/0]).

constant_test_() ->
    [{foreach, fun forget/0, fun(_) -> forget() end,
      [fun ?MODULE:values_are_at_their_places/0, fun ?MODULE:the_other_module_is_asked_for_other_places/0,
       fun ?MODULE:a_value_is_no_copy/0, fun ?MODULE:a_module_with_an_old_version_stays_as_it_is/0,
       fun ?MODULE:what_nobody_remembers_makes_room/0]}].

forget() ->
    _ = code:purge(?MODULE_OF_MINE),
    _ = code:delete(?MODULE_OF_MINE),
    _ = code:purge(?MODULE_OF_MINE),
    ok.

at(Place) ->
    {elsewhere, Place}.

make(Values) ->
    mongoose_domain_result_cache:make(?MODULE_OF_MINE, Values, ?MODULE).

values() ->
    list_to_tuple([?MODULE_OF_MINE:at(Place) || Place <- lists:seq(1, ?MODULE_OF_MINE:count())]).

values_are_at_their_places() ->
    Tuples = [{}, {{error, not_found}, {ok, <<"type1">>}}, {#{key => [1, 2.0, "text", <<0:3>>]}}],
    lists:foreach(fun(Values) ->
        ?assertEqual(made, make(Values)),
        ?assertEqual(Values, values()),
        forget()
    end, Tuples).

the_other_module_is_asked_for_other_places() ->
    ?assertEqual(made, make({a, b})),
    [?assertEqual({elsewhere, Place}, ?MODULE_OF_MINE:at(Place)) || Place <- [-1, 0, 3, 1.0, none]].

a_value_is_no_copy() ->
    ?assertEqual(made, make({{ok, <<"type1">>}})),
    ?assert(erts_debug:same(?MODULE_OF_MINE:at(1), ?MODULE_OF_MINE:at(1))).

%% A process may still run the old version, and the VM would have to scan all processes to know.
a_module_with_an_old_version_stays_as_it_is() ->
    ?assertEqual(made, make({1})),
    ?assertEqual(made, make({2})),
    ?assertEqual(too_late, make({3})),
    ?assertEqual({2}, values()),
    ?assert(erlang:check_old_code(?MODULE_OF_MINE)).

what_nobody_remembers_makes_room() ->
    [?assertEqual(made, make({N})) || N <- [1, 2]],
    true = code:soft_purge(?MODULE_OF_MINE),
    ?assertEqual(made, make({3})),
    ?assertEqual({3}, values()).
