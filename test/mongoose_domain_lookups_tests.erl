%% The counters of lookups: each lookup is counted once, with its result, wherever it runs.
-module(mongoose_domain_lookups_tests).

-include_lib("eunit/include/eunit.hrl").

-export([each_lookup_is_counted_once_as_what_it_found/0]).
-export([lookups_of_many_processes_on_all_schedulers_are_counted/0]).
-export([a_lookup_that_fails_is_not_counted/0]).
-export([domains_are_counted_by_host_type_and_source/0]).
-export([routes_are_there_once_they_were_loaded/0]).

-define(CORE, mongoose_domain_core).
-define(KNOWN, <<"static.example">>).
-define(UNKNOWN, <<"unknown.example">>).

all_test_() ->
    md_promises:of_module(?MODULE, fun begin_with_a_table/0, fun close_table/1).

begin_with_a_table() ->
    process_flag(trap_exit, true),
    {ok, Pid} = ?CORE:start_link([{?KNOWN, <<"static type">>}], [<<"type1">>, <<"type2">>]),
    Pid.

close_table(Pid) ->
    _ = [gen_server:stop(Pid) || is_process_alive(Pid)],
    ok.

each_lookup_is_counted_once_as_what_it_found() ->
    {Hits, Misses} = counted(fun() ->
        [{ok, _} = ?CORE:get_host_type(?KNOWN) || _ <- lists:seq(1, 70)],
        [{error, not_found} = ?CORE:get_host_type(Name) || Name <- [?UNKNOWN, <<>>, <<255>>], _ <- lists:seq(1, 10)]
    end),
    ?assertEqual({70, 30}, {Hits, Misses}).

lookups_of_many_processes_on_all_schedulers_are_counted() ->
    Schedulers = erlang:system_info(schedulers),
    {Hits, Misses} = counted(fun() ->
        Workers = [erlang:spawn_opt(fun look_up_a_thousand_times/0, [monitor, {scheduler, 1 + N rem Schedulers}])
                   || N <- lists:seq(1, 40)],
        [receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end
         || {Pid, Monitor} <- Workers]
    end),
    ?assertEqual({40 * 750, 40 * 250}, {Hits, Misses}).

look_up_a_thousand_times() ->
    [begin
         [{ok, _} = ?CORE:get_host_type(?KNOWN) || _ <- lists:seq(1, 3)],
         {error, not_found} = ?CORE:get_host_type(?UNKNOWN),
         erlang:yield()
     end || _ <- lists:seq(1, 250)].

a_lookup_that_fails_is_not_counted() ->
    ok = gen_server:stop(?CORE),
    ?assertEqual({0, 0}, counted(fun() ->
        ?assertError({not_running, mongoose_domain}, ?CORE:get_host_type(?KNOWN)),
        ?assertError(badarg, ?CORE:get_host_type(no_binary))
    end)).

counted(Fun) ->
    #{hits := HitsBefore, misses := MissesBefore} = ?CORE:lookups(),
    Fun(),
    #{hits := Hits, misses := Misses} = ?CORE:lookups(),
    {Hits - HitsBefore, Misses - MissesBefore}.

domains_are_counted_by_host_type_and_source() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ok = ?CORE:insert(<<"b.example">>, <<"type1">>, 1),
    ok = ?CORE:insert(<<"b.example">>, <<"type1">>, 2),
    ok = ?CORE:insert(<<"c.example">>, <<"type2">>, 1),
    ok = ?CORE:delete(<<"c.example">>),
    ?assertEqual([{<<"static type">>, 1, 0}, {<<"type1">>, 0, 2}, {<<"type2">>, 0, 0}],
                 lists:sort(?CORE:counts_by_host_type())).

routes_are_there_once_they_were_loaded() ->
    ?assertNot(?CORE:has_routes()),
    ok = mongoose_domain_nif:reset_progress(),
    ?assert(?CORE:has_routes()),
    ok = gen_server:stop(?CORE),
    ?assertError({not_running, mongoose_domain}, ?CORE:has_routes()).
