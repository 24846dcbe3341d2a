%% Which modules are started, with which options and in which order.
-module(mongoose_domain_module_deps_tests).

-include_lib("eunit/include/eunit.hrl").

-export([modules_come_after_what_they_depend_on/0,
         modules_that_do_not_depend_on_each_other_come_by_name/0,
         hard_and_soft_dependencies_are_added_with_the_options_that_are_asked_for/0,
         an_optional_dependency_is_not_added/0,
         an_optional_dependency_adds_options_to_what_is_there/0,
         an_optional_dependency_comes_before_who_mentions_it/0,
         optional_options_are_applied_when_all_else_is_done/0,
         the_last_of_several_optional_wishes_replaces_the_others/0,
         between_dependents_the_later_one_wins_and_it_is_said/0,
         a_dependents_wish_never_replaces_a_configured_option/0,
         a_configured_option_wins_whatever_the_names_are/0,
         options_of_modules_that_are_known_and_not_wanted_are_kept_when_something_brings_them/0,
         changed_options_are_asked_for_dependencies_again/0,
         what_an_earlier_evaluation_asked_for_stays/0,
         services_are_no_modules/0,
         a_cycle_of_hard_dependencies_is_an_error_with_its_path/0,
         a_module_that_depends_hard_on_itself_is_a_cycle/0,
         an_optional_edge_gives_way_to_a_hard_one_before_a_soft_one/0,
         a_soft_edge_gives_way_to_a_hard_one_and_it_is_said/0,
         a_soft_edge_that_would_close_a_cycle_is_left_out/0,
         a_hard_cycle_behind_a_soft_one_is_found/0,
         wishes_that_replace_each_other_around_a_cycle_settle/0,
         a_soft_edge_is_kept_when_what_was_against_it_gives_way/0,
         modules_that_change_each_others_options_for_ever_are_an_error/0,
         no_note_shows_a_value/0,
         an_order_for_stopping_is_there_whatever_they_depend_on/0]).

all_test_() ->
    md_promises:of_module(?MODULE, fun() -> ok end, fun(ok) -> ok end).

%% Dependencies that do not depend on options.
deps(Graph) ->
    fun(Module, _Options) -> maps:get(Module, Graph, []) end.

resolve(Wanted, Graph) ->
    mongoose_domain_module_deps:resolve(Wanted, #{}, deps(Graph)).

names(Wanted, Graph) ->
    {ok, Modules, _} = resolve(maps:from_keys(Wanted, #{}), Graph),
    [Module || {Module, _} <- Modules].

options(Wanted, Graph) ->
    {ok, Modules, _} = resolve(Wanted, Graph),
    maps:from_list(Modules).

notes(What, {ok, _, Notes}) -> notes(What, {error, none, Notes});
notes(What, {error, _, Notes}) -> [Note || {_, #{what := Named}} = Note <- Notes, Named =:= What].

modules_come_after_what_they_depend_on() ->
    ?assertEqual([c, b, a], names([a, b, c], #{a => [{b, #{}, hard}], b => [{c, #{}, soft}]})),
    ?assertEqual([d, b, c, a], names([a], #{a => [{b, #{}, hard}, {c, #{}, soft}], b => [{d, #{}, soft}],
                                            c => [{d, #{}, hard}]})).

modules_that_do_not_depend_on_each_other_come_by_name() ->
    ?assertEqual([a, b, c], names([c, a, b], #{})).

hard_and_soft_dependencies_are_added_with_the_options_that_are_asked_for() ->
    ?assertEqual(#{a => #{}, b => #{x => 1}, c => #{y => 2}},
                 options(#{a => #{}}, #{a => [{b, #{x => 1}, hard}, {c, #{y => 2}, soft}]})).

an_optional_dependency_is_not_added() ->
    ?assertEqual(#{a => #{}}, options(#{a => #{}}, #{a => [{b, #{x => 1}, optional}]})).

an_optional_dependency_adds_options_to_what_is_there() ->
    Graph = #{a => [{b, #{x => 1}, optional}], c => [{b, #{y => 2}, soft}]},
    ?assertEqual(#{a => #{}, b => #{x => 1, y => 2}, c => #{}}, options(#{a => #{}, c => #{}}, Graph)),
    ?assertEqual(#{a => #{}, b => #{x => 1, z => 3}}, options(#{a => #{}, b => #{z => 3}}, Graph)).

an_optional_dependency_comes_before_who_mentions_it() ->
    ?assertEqual([b, a], names([a, b], #{a => [{b, #{}, optional}]})).

optional_options_are_applied_when_all_else_is_done() ->
    %% c is resolved after a, and the options of a's optional edge are still applied last.
    Graph = #{a => [{b, #{x => optional}, optional}], c => [{b, #{x => soft}, soft}]},
    ?assertMatch(#{b := #{x := optional}}, options(#{a => #{}, c => #{}}, Graph)).

the_last_of_several_optional_wishes_replaces_the_others() ->
    Graph = #{a => [{z, #{x => 1, y => 1}, optional}], b => [{z, #{x => 2}, optional}], c => [{z, #{}, hard}]},
    ?assertMatch(#{z := #{x := 2} = Options} when map_size(Options) =:= 1,
                 options(#{a => #{}, b => #{}, c => #{}}, Graph)).

%% a's options for c are applied after b's, since b comes first in a's list.
between_dependents_the_later_one_wins_and_it_is_said() ->
    Graph = #{a => [{b, #{}, hard}, {c, #{x => parent}, hard}], b => [{c, #{x => child, y => 1}, hard}]},
    Result = resolve(#{a => #{}}, Graph),
    {ok, Modules, _} = Result,
    ?assertEqual({c, #{x => parent, y => 1}}, lists:keyfind(c, 1, Modules)),
    ?assertEqual([{warning, #{what => overriding_options, module => c, keys => [x], winner => dependent}}],
                 notes(overriding_options, Result)).

a_dependents_wish_never_replaces_a_configured_option() ->
    Result = resolve(#{a => #{}, b => #{x => own}}, #{a => [{b, #{x => wish, y => 1}, hard}]}),
    {ok, Modules, _} = Result,
    ?assertEqual(#{a => #{}, b => #{x => own, y => 1}}, maps:from_list(Modules)),
    ?assertEqual([{warning, #{what => overriding_options, module => b, keys => [x], winner => configuration}}],
                 notes(overriding_options, Result)).

a_configured_option_wins_whatever_the_names_are() ->
    [?assertEqual(#{From => #{}, To => #{x => own, y => 1}},
                  options(#{From => #{}, To => #{x => own}}, #{From => [{To, #{x => wish, y => 1}, Kind}]}))
     || {From, To} <- [{a, b}, {b, a}], Kind <- [hard, soft, optional]].

options_of_modules_that_are_known_and_not_wanted_are_kept_when_something_brings_them() ->
    Deps = deps(#{a => [{b, #{x => wish}, hard}]}),
    {ok, Modules, _} = mongoose_domain_module_deps:resolve(#{a => #{}}, #{b => #{x => own}, c => #{}}, Deps),
    ?assertEqual(#{a => #{}, b => #{x => own}}, maps:from_list(Modules)).

changed_options_are_asked_for_dependencies_again() ->
    Deps = fun(a, _) -> [{b, #{}, hard}];
              (b, #{with := c}) -> [{c, #{}, hard}];
              (z, _) -> [{b, #{with => c}, soft}];
              (_, _) -> []
           end,
    {ok, Modules, _} = mongoose_domain_module_deps:resolve(#{a => #{}, z => #{}}, #{}, Deps),
    ?assertEqual([c, b, a, z], [Module || {Module, _} <- Modules]).

what_an_earlier_evaluation_asked_for_stays() ->
    Deps = fun(a, _) -> [{b, #{}, hard}];
              (b, #{with := none}) -> [];
              (b, _) -> [{c, #{}, hard}];
              (z, _) -> [{b, #{with => none}, soft}];
              (_, _) -> []
           end,
    {ok, Modules, _} = mongoose_domain_module_deps:resolve(#{a => #{}, z => #{}}, #{}, Deps),
    ?assertEqual([c, b, a, z], [Module || {Module, _} <- Modules]).

services_are_no_modules() ->
    ?assertEqual([a], names([a], #{a => [{service, b}]})).

a_cycle_of_hard_dependencies_is_an_error_with_its_path() ->
    Result = resolve(#{a => #{}}, #{a => [{b, #{}, hard}], b => [{c, #{}, hard}], c => [{a, #{}, hard}]}),
    ?assertMatch({error, {dependency_cycle, [c, a, b, c]}, _}, Result),
    ?assertMatch([{critical, #{cycle_path := [c, a, b, c]}}], notes(resolving_dependencies_aborted, Result)).

a_module_that_depends_hard_on_itself_is_a_cycle() ->
    ?assertMatch({error, {dependency_cycle, [a, a]}, _}, resolve(#{a => #{}}, #{a => [{a, #{}, hard}]})),
    [?assertEqual([a], names([a], #{a => [{a, #{}, Kind}]})) || Kind <- [soft, optional]].

an_optional_edge_gives_way_to_a_hard_one_before_a_soft_one() ->
    Graph = #{a => [{b, #{}, soft}], b => [{c, #{}, optional}], c => [{a, #{}, hard}]},
    Result = resolve(#{a => #{}, b => #{}, c => #{}}, Graph),
    {ok, Modules, _} = Result,
    ?assertEqual([b, a, c], [Module || {Module, _} <- Modules]),
    ?assertEqual([#{module => b, dependency => c, kind => optional}],
                 [Dropped || {info, #{dropped := Dropped}} <- notes(soft_module_dependency_cycle_detected, Result)]).

a_soft_edge_gives_way_to_a_hard_one_and_it_is_said() ->
    Result = resolve(#{a => #{}}, #{a => [{b, #{}, soft}], b => [{a, #{}, hard}]}),
    {ok, Modules, _} = Result,
    ?assertEqual([a, b], [Module || {Module, _} <- Modules]),
    ?assertMatch([{info, #{cycle_path := [b, a, b], dropped := #{module := a, dependency := b, kind := soft}}}],
                 notes(soft_module_dependency_cycle_detected, Result)).

a_soft_edge_that_would_close_a_cycle_is_left_out() ->
    [?assertEqual([b, a], names([a, b], #{a => [{b, #{}, First}], b => [{a, #{}, Kind}]}))
     || First <- [hard, soft, optional], Kind <- [soft, optional]].

a_hard_cycle_behind_a_soft_one_is_found() ->
    %% Two paths lead back from a to d; the shorter one is soft.
    Graph = #{a => [{d, #{}, soft}, {b, #{}, hard}], b => [{d, #{}, hard}], d => [{a, #{}, hard}]},
    {error, {dependency_cycle, Path}, _} = resolve(#{a => #{}}, Graph),
    ?assertEqual([a, b, d], lists:usort(Path)).

%% a and b set different options for c, and c sets options for both, so their dependencies are computed again.
wishes_that_replace_each_other_around_a_cycle_settle() ->
    Graph = #{a => [{c, #{x => 1}, soft}, {b, #{y => 1}, soft}], b => [{c, #{x => 2}, soft}, {a, #{y => 1}, soft}],
              c => [{a, #{y => 2}, soft}, {b, #{y => 2}, soft}]},
    ?assertMatch(#{a := #{y := _}, b := #{y := _}, c := #{x := _}}, options(#{a => #{}, b => #{}}, Graph)).

a_soft_edge_is_kept_when_what_was_against_it_gives_way() ->
    %% The edge b-c was dropped for a-b. It is restored when a-b is dropped for b-a.
    Graph = #{a => [{b, #{}, soft}], b => [{c, #{}, soft}, {a, #{}, hard}], c => [{a, #{}, hard}]},
    ?assertEqual([a, c, b], names([c], Graph)).

modules_that_change_each_others_options_for_ever_are_an_error() ->
    Deps = fun(a, Options) -> [{b, #{x => maps:get(x, Options, 0) + 1}, soft}];
              (b, Options) -> [{a, #{x => maps:get(x, Options, 0) + 1}, soft}]
           end,
    ?assertMatch({error, {dependencies_do_not_settle, _}, _},
                 mongoose_domain_module_deps:resolve(#{a => #{}}, #{}, Deps)).

no_note_shows_a_value() ->
    Secret = "s3cret-pa55word",
    Graph = #{a => [{c, #{password => [Secret, "1"]}, hard}], b => [{c, #{password => Secret}, hard}]},
    {ok, _, [_ | _] = Notes} = resolve(#{a => #{}, b => #{}}, Graph),
    ?assertNot(md_secret:is_in(Secret, Notes)).

an_order_for_stopping_is_there_whatever_they_depend_on() ->
    Hard = deps(#{a => [{b, #{}, hard}], b => [{a, #{}, hard}], c => [{a, #{}, hard}]}),
    ?assertEqual([b, a, c], mongoose_domain_module_deps:order([{b, #{}}, {a, #{}}, {c, #{}}], Hard)),
    %% a was started again, after the module that depends on it.
    ?assertEqual([b, a], mongoose_domain_module_deps:order([{a, #{}}, {b, #{}}], deps(#{a => [{b, #{}, hard}]}))).
