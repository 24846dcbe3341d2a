%% The laboratory's checker: each rule holds for a history that keeps it, and is found broken in one that breaks it.
-module(lab_check_tests).

-include_lib("eunit/include/eunit.hrl").

-export([a_quiet_history_breaks_no_rule/0,
         an_acknowledged_change_that_is_not_in_the_database_is_found/0,
         an_acknowledged_change_that_a_new_primary_lacks_is_the_databases_loss/0,
         what_one_of_two_primaries_on_one_timeline_took_is_the_databases_loss/0,
         a_change_that_was_refused_or_is_unknown_need_not_be_there/0,
         an_addition_of_what_is_there_is_explained_by_what_is_there/0,
         a_lost_route_that_goes_by_itself_is_found/0,
         a_lost_route_may_go_after_a_declaration_or_a_change_of_its_row/0,
         a_route_that_goes_without_a_change_is_found/0,
         a_route_that_went_because_its_domain_was_disabled_is_no_violation/0,
         a_static_domain_that_is_not_found_is_found/0,
         a_change_that_its_own_node_does_not_show_is_found/0,
         a_change_that_the_log_says_is_not_visible_yet_is_no_violation/0,
         a_node_that_shows_something_older_is_found/0,
         a_node_that_shows_a_change_before_it_was_made_is_found/0,
         a_node_may_show_something_older_when_its_log_says_that_the_database_is_another_one/0,
         a_run_may_begin_with_something_older/0,
         a_lookup_that_fails_or_is_slow_is_found/0,
         a_handler_for_a_domain_that_is_served_is_found/0,
         a_handler_that_is_stopped_soon_is_no_violation/0,
         two_handlers_at_once_on_two_nodes_are_found/0,
         a_last_sign_of_a_node_that_was_stopped_is_no_violation/0,
         handlers_one_after_the_other_are_no_violation/0,
         tables_that_are_not_equal_at_the_end_are_found/0,
         a_kept_route_at_the_end_is_no_violation/0,
         what_grows_is_found/0]).

-define(D, <<"a.example">>).
-define(S, 1000000).

all_test_() ->
    md_promises:of_module(?MODULE, fun() -> ok end, fun(ok) -> ok end).

%% A domain is added at 1 s and shown by node 1 at once and by node 2 at 2 s, disabled at 10 s, and shown as gone then.
quiet() ->
    [op(1, <<"add">>, <<"t1">>, <<"ok">>, #{door => <<"api">>, sees => <<"t1">>, within => [1 * ?S, 2 * ?S]}), row(1, 1, <<"t1">>, 1),
     shows(0, 1, null), shows(0, 2, null), shows(1, 1, <<"t1">>), shows(2, 2, <<"t1">>),
     op(10, <<"disable">>, <<"t1">>, <<"ok">>, #{}), row(10, 2, <<"t1">>, 0), shows(10, 1, null), shows(11, 2, null)].

a_quiet_history_breaks_no_rule() ->
    ?assertEqual([], rules(quiet())).

%% Rule 1

an_acknowledged_change_that_is_not_in_the_database_is_found() ->
    ?assertEqual([1], rules(quiet() ++ [op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{})])),
    ?assertEqual([1], rules(quiet() ++ [op(20, <<"remove">>, <<"t1">>, <<"ok">>, #{})])),
    ?assertEqual([1], rules(quiet() ++ [op(20, <<"move">>, <<"t2">>, <<"ok">>, #{}), primary(5, 1)])).

an_acknowledged_change_that_a_new_primary_lacks_is_the_databases_loss() ->
    ?assertEqual([], rules(quiet() ++ [primary(5, 1), op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{}), primary(25, 2)])),
    Other = fun(At, Timeline) -> on_timeline(Timeline, (row(At, At, <<"t1">>, 1))#{domain := <<"b.example">>}) end,
    Lost = op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{}),
    ?assertEqual([], rules(quiet() ++ [Lost, Other(25, 2)])),
    %% What was written after it is there.
    ?assertEqual([1], rules(quiet() ++ [Lost, Other(23, 1), Other(25, 2)])),
    %% The former primary cannot have gone on for so long.
    ?assertEqual([1], rules(quiet() ++ [Lost#{from := 60 * ?S, to := 61 * ?S}, Other(25, 2)])).

what_one_of_two_primaries_on_one_timeline_took_is_the_databases_loss() ->
    Lost = op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{}),
    Flip = [primary(18, 1), (primary(25, 1))#{site := 2}, (row(28, 28, <<"t1">>, 1))#{domain := <<"b.example">>}],
    ?assertEqual([], rules(quiet() ++ [Lost | Flip])),
    ?assertEqual([1], rules(quiet() ++ [Lost | lists:delete((primary(25, 1))#{site := 2}, Flip)])).

a_change_that_was_refused_or_is_unknown_need_not_be_there() ->
    ?assertEqual([], rules(quiet() ++ [op(20, <<"enable">>, <<"t1">>, Answer, #{}) || Answer <- [<<"refused">>, <<"unknown">>]])).

an_addition_of_what_is_there_is_explained_by_what_is_there() ->
    ?assertEqual([], rules(quiet() ++ [op(20, <<"add">>, <<"t1">>, <<"ok">>, #{}), op(25, <<"disable">>, <<"t1">>, <<"ok">>, #{})])).

lost_route() ->
    quiet() ++ [primary(5, 1), op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{}), shows(21, 1, <<"t1">>), primary(25, 2)].

a_lost_route_that_goes_by_itself_is_found() ->
    ?assertEqual([], rules(lost_route())),
    ?assertEqual([1], rules(lost_route() ++ [shows(30, 1, null)])).

a_lost_route_may_go_after_a_declaration_or_a_change_of_its_row() ->
    ?assertEqual([], rules(lost_route() ++ [(op(28, <<"fresh">>, <<"t1">>, <<"ok">>, #{}))#{domain => <<"b.example">>}, shows(30, 1, null)])),
    ?assertEqual([1], rules(lost_route() ++ [(op(28, <<"fresh">>, <<"t2">>, <<"ok">>, #{}))#{domain => <<"b.example">>}, shows(30, 1, null)])),
    ?assertEqual([], rules(lost_route() ++ [op(28, <<"remove">>, <<"t1">>, <<"ok">>, #{}), on_timeline(2, gone(28, 3)), shows(30, 1, null)])).

%% Rule 2

a_route_that_goes_without_a_change_is_found() ->
    ?assertEqual([2], rules(quiet() ++ [shows(5, 2, null), shows(6, 2, <<"t1">>)])),
    ?assertEqual([2], rules([op(1, <<"add">>, <<"t1">>, <<"ok">>, #{}), row(1, 1, <<"t1">>, 1), shows(2, 1, <<"t1">>), shows(5, 1, null)])).

a_route_that_went_because_its_domain_was_disabled_is_no_violation() ->
    ?assertEqual([], rules(quiet() ++ [row(15, 3, <<"t1">>, 1), shows(16, 1, <<"t1">>), row(17, 4, <<"t1">>, 2), shows(18, 1, null)])).

a_static_domain_that_is_not_found_is_found() ->
    ?assertEqual([2], rules([(shows(5, 1, null))#{domain => <<"static.example">>}])),
    ?assertEqual([], rules([(shows(5, 1, <<"static.example">>))#{domain => <<"static.example">>}])).

%% Rule 3

unseen() ->
    quiet() ++ [row(20, 3, <<"t1">>, 1),
                op(20, <<"enable">>, <<"t1">>, <<"ok">>, #{door => <<"api">>, sees => null, within => [20 * ?S, 21 * ?S]})].

a_change_that_its_own_node_does_not_show_is_found() ->
    ?assertEqual([3], rules(unseen())).

a_change_that_the_log_says_is_not_visible_yet_is_no_violation() ->
    Logged = line(21, <<"log">>, #{node => 1, run => 1, what => <<"domain_change_not_visible_yet">>}),
    ?assertEqual([], rules(unseen() ++ [Logged])),
    ?assertEqual([3], rules(unseen() ++ [Logged#{node := 2}])).

%% Rule 4

a_node_that_shows_something_older_is_found() ->
    ?assertEqual([4], rules(quiet() ++ [shows(20, 1, <<"t1">>)])),
    ?assertEqual([4], rules(quiet() ++ [row(15, 3, <<"t2">>, 1), shows(16, 1, <<"t2">>), shows(17, 1, <<"t1">>)])).

a_node_that_shows_a_change_before_it_was_made_is_found() ->
    ?assertEqual([4], rules(quiet() ++ [shows(14, 1, <<"t2">>), row(15, 3, <<"t2">>, 1)])).

a_node_may_show_something_older_when_its_log_says_that_the_database_is_another_one() ->
    Older = quiet() ++ [row(15, 3, <<"t2">>, 1), shows(16, 1, <<"t2">>), shows(20, 1, <<"t1">>)],
    ?assertEqual([], rules(Older ++ [line(20, <<"log">>, #{node => 1, run => 1, what => <<"events_log_out_of_sync">>})])),
    ?assertEqual([4], rules(Older ++ [line(20, <<"log">>, #{node => 2, run => 1, what => <<"events_log_out_of_sync">>})])),
    ?assertEqual([4], rules(Older ++ [line(14, <<"log">>, #{node => 1, run => 1, what => <<"events_log_out_of_sync">>})])),
    %% A route does not go for that.
    Gone = quiet() ++ [row(15, 3, <<"t2">>, 1), shows(16, 1, <<"t2">>), shows(20, 1, null)],
    ?assertEqual([2], rules(Gone ++ [line(20, <<"log">>, #{node => 1, run => 1, what => <<"events_log_out_of_sync">>})])).

a_run_may_begin_with_something_older() ->
    ?assertEqual([], rules(quiet() ++ [(shows(20, 1, <<"t1">>))#{run := 2}, (shows(21, 1, null))#{run := 2}])).

%% Rule 5

a_lookup_that_fails_or_is_slow_is_found() ->
    Beat = line(5, <<"beat">>, #{node => 1, run => 1, lookups => 1000, failed => 0, slowest => 900}),
    ?assertEqual([], rules(quiet() ++ [Beat])),
    ?assertEqual([5], rules(quiet() ++ [Beat#{failed := 1}])),
    ?assertEqual([5], rules(quiet() ++ [Beat#{slowest := 60000}])).

%% Rule 6

removal() ->
    quiet() ++ [op(20, <<"remove">>, <<"t1">>, <<"unknown">>, #{}), row(20, 3, <<"t1">>, 2)].

a_handler_for_a_domain_that_is_served_is_found() ->
    ?assertEqual([], rules(removal() ++ handler(1, 21, 25))),
    ?assertEqual([6], rules(quiet() ++ handler(1, 21, 25))),
    %% It goes on after the domain was enabled again.
    ?assertEqual([6], rules(removal() ++ [row(22, 4, <<"t1">>, 1) | handler(1, 21, 35)])).

a_handler_that_is_stopped_soon_is_no_violation() ->
    ?assertEqual([], rules(removal() ++ [row(22, 4, <<"t1">>, 1) | handler(1, 21, 24)])).

two_handlers_at_once_on_two_nodes_are_found() ->
    ?assertEqual([6], rules(removal() ++ handler(1, 21, 25) ++ handler(2, 23, 28))).

a_last_sign_of_a_node_that_was_stopped_is_no_violation() ->
    Stopped = [Line || #{at := At} = Line <- handler(1, 21, 40), At =< 22 * ?S orelse At =:= 39 * ?S],
    ?assertEqual([], rules(removal() ++ Stopped ++ handler(2, 30, 34))),
    ?assertEqual([], rules(removal() ++ Stopped ++ handler(2, 38, 39))),
    %% It goes on beside the other one.
    ?assertEqual([6], rules(removal() ++ [Line || #{at := At} = Line <- handler(1, 21, 40), At =< 22 * ?S orelse At > 30 * ?S] ++ handler(2, 29, 34))).

handlers_one_after_the_other_are_no_violation() ->
    ?assertEqual([], rules(removal() ++ handler(1, 21, 25) ++ handler(2, 26, 28))).

%% Rule 7

ending(Routes, Kept) ->
    [line(90, <<"rows">>, #{routes => #{?D => <<"t1">>}}), line(90, <<"final">>, #{node => 1, routes => Routes, kept => Kept})].

tables_that_are_not_equal_at_the_end_are_found() ->
    ?assertEqual([], rules(ending(#{?D => <<"t1">>}, #{}))),
    ?assertEqual([7], rules(ending(#{}, #{}))),
    ?assertEqual([7], rules(ending(#{?D => <<"t2">>}, #{}))),
    ?assertEqual([7], rules(ending(#{?D => <<"t1">>, <<"b.example">> => <<"t1">>}, #{}))),
    ?assertEqual([7], rules(ending(null, null))),
    ?assertEqual([7], rules([line(90, <<"unsettled">>, #{nodes => [], at_work => true})])).

a_kept_route_at_the_end_is_no_violation() ->
    ?assertEqual([], rules(ending(#{?D => <<"t1">>, <<"b.example">> => <<"t1">>}, #{<<"b.example">> => <<"t1">>}))).

%% Rule 8

what_grows_is_found() ->
    Size = #{node => 1, run => 1, processes => 100, files => 50, threads => 20, memory_kb => 100000, ports => 5, atoms => 20000},
    Sizes = fun(Growth) -> [line(5 * N, <<"size">>, Size#{memory_kb => 100000 + N * Growth}) || N <- lists:seq(1, 20)] end,
    ?assertEqual([], rules(Sizes(100))),
    ?assertEqual([8], rules(Sizes(10000))),
    ?assertEqual([8], rules([line(5, <<"size">>, Size#{files := 5000})])),
    ?assertEqual([8], rules([line(5, <<"connections">>, #{count => 90})])).

%% Lines, with times in seconds

rules(Lines) ->
    lists:usort([Rule || #{rule := Rule} <- lab_check:violations(lists:sort(fun(#{at := A}, #{at := B}) -> A =< B end, Lines))]).

line(At, Kind, Fields) ->
    Fields#{at => At * ?S, kind => Kind}.

op(At, What, HostType, Answer, More) ->
    line(At + 1, <<"op">>, maps:merge(#{door => <<"rest">>, site => 1, what => What, domain => ?D, host_type => HostType, answer => Answer,
                                        from => At * ?S, to => (At + 1) * ?S}, More)).

row(At, Seq, HostType, Status) ->
    line(At, <<"journal">>, #{seq => Seq, timeline => 1, domain => ?D, host_type => HostType, status => Status}).

on_timeline(Timeline, Row) ->
    Row#{timeline := Timeline}.

gone(At, Seq) ->
    row(At, Seq, <<>>, -1).

shows(At, Node, Value) ->
    line(At, <<"shows">>, #{to => At * ?S + 1000, node => Node, run => 1, domain => ?D, value => Value}).

primary(At, Timeline) ->
    line(At, <<"primary">>, #{site => Timeline, timeline => Timeline}).

handler(Node, From, To) ->
    [line(At, <<"handler">>, #{node => Node, run => 1, domain => ?D, worker => <<"<0.1.0>">>, step => Step})
     || {At, Step} <- [{From, <<"begin">>}] ++ [{At, <<"tick">>} || At <- lists:seq(From + 1, To - 1)] ++ [{To, <<"end">>}]].
