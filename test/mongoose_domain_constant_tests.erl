%% The constants that are compiled at run time.
-module(mongoose_domain_constant_tests).

-include_lib("eunit/include/eunit.hrl").

-define(MODULE_OF_MINE, mongoose_domain_constant_tests_value).

-export([values_replace_those_before/0, a_value_is_no_copy/0, who_is_put_off_in_the_call_survives/0]).

constant_test_() ->
    [{foreach, fun() -> ok end, fun(ok) -> forget() end,
      [fun ?MODULE:values_replace_those_before/0, fun ?MODULE:a_value_is_no_copy/0]},
     {timeout, 60, {setup, fun() -> ok end, fun(ok) -> forget() end, fun ?MODULE:who_is_put_off_in_the_call_survives/0}}].

forget() ->
    _ = code:purge(?MODULE_OF_MINE),
    _ = code:delete(?MODULE_OF_MINE),
    _ = code:purge(?MODULE_OF_MINE),
    persistent_term:erase(?MODULE_OF_MINE).

values_replace_those_before() ->
    Tuples = [{}, {{error, not_found}, {ok, <<"type1">>}}, {#{key => [1, 2.0, "text", <<0:3>>]}}],
    lists:foreach(fun(Values) ->
        ok = mongoose_domain_constant:set(?MODULE_OF_MINE, Values, badarg),
        ?assertEqual(Values, ?MODULE_OF_MINE:all()),
        ?assertEqual(Values, list_to_tuple([?MODULE_OF_MINE:at(Place) || Place <- lists:seq(1, tuple_size(Values))])),
        [?assertError(badarg, ?MODULE_OF_MINE:at(Place)) || Place <- [-1, 0, tuple_size(Values) + 1, 1.0, none]],
        ?assertEqual(Values, persistent_term:get(?MODULE_OF_MINE))
    end, Tuples).

a_value_is_no_copy() ->
    ok = mongoose_domain_constant:set(?MODULE_OF_MINE, {{ok, <<"type1">>}}, badarg),
    ?assert(erts_debug:same(?MODULE_OF_MINE:at(1), ?MODULE_OF_MINE:at(1))),
    ?assert(erts_debug:same(?MODULE_OF_MINE:all(), ?MODULE_OF_MINE:all())).

%% A process may be put off, for as long as others have work, in the very moment of its call. The module
%% that it is in must not be purged before it had its turn.
who_is_put_off_in_the_call_survives() ->
    ok = mongoose_domain_constant:set(?MODULE_OF_MINE, {1}, badarg),
    {Caller, Called} = spawn_monitor(fun read/0),
    suspend_in_the_call(Caller),
    ok = mongoose_domain_constant:set(?MODULE_OF_MINE, {2}, badarg),
    {_Setter, Set} = spawn_monitor(fun() -> ok = mongoose_domain_constant:set(?MODULE_OF_MINE, {3}, badarg) end),
    receive
        {'DOWN', Called, process, Caller, Killed} -> error({killed, Killed});
        {'DOWN', Set, process, _, TooEarly} -> error({set_while_the_module_was_in_use, TooEarly})
    after 50 -> ok
    end,
    true = erlang:resume_process(Caller),
    receive {'DOWN', Set, process, _, Reason} -> ?assertEqual(normal, Reason) end,
    ?assertEqual(3, ?MODULE_OF_MINE:at(1)),
    Caller ! stop,
    receive {'DOWN', Called, process, Caller, Last} -> ?assertEqual(normal, Last) end.

suspend_in_the_call(Caller) ->
    true = erlang:suspend_process(Caller),
    case process_info(Caller, current_function) of
        {current_function, {?MODULE_OF_MINE, at, 1}} -> ok;
        _Elsewhere ->
            true = erlang:resume_process(Caller),
            suspend_in_the_call(Caller)
    end.

read() ->
    %% An uneven number of calls, or every turn on the processor would end in the same place.
    _ = [true = is_integer(?MODULE_OF_MINE:at(1)) || _ <- lists:seq(1, erlang:system_time() rem 16)],
    receive stop -> ok after 0 -> read() end.
