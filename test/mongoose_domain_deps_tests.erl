%% Which services are started, and in which order.
-module(mongoose_domain_deps_tests).

-include_lib("eunit/include/eunit.hrl").

-export([services_come_after_what_they_need/0,
         services_that_need_nothing_of_each_other_come_by_name/0,
         a_needed_service_is_added_with_the_options_that_are_known_for_it/0,
         configured_options_are_kept_whoever_is_looked_at_first/0,
         what_nobody_needs_is_not_added/0,
         a_needed_service_that_is_not_configured_is_named_with_who_needs_it/0,
         a_cycle_of_services_is_named_in_full/0,
         a_service_that_needs_itself_is_a_cycle/0,
         what_leads_into_a_cycle_is_no_part_of_it/0,
         a_closure_is_all_that_is_needed/0,
         an_order_is_kept_where_it_can_be_and_is_there_whatever_is_needed/0]).

all_test_() ->
    md_promises:of_module(?MODULE, fun() -> ok end, fun(ok) -> ok end).

deps(Graph) ->
    fun(Service) -> maps:get(Service, Graph, []) end.

resolve(Wanted, Known, Graph) ->
    mongoose_domain_deps:resolve(Wanted, Known, deps(Graph)).

%% All services are configured, without options.
order(Graph) ->
    Services = maps:map(fun(_, _) -> #{} end, Graph),
    {ok, Order} = resolve(Services, #{}, Graph),
    [Service || {Service, _} <- Order].

services_come_after_what_they_need() ->
    ?assertEqual([c, b, a], order(#{a => [b], b => [c], c => []})),
    ?assertEqual([d, b, c, a], order(#{a => [b, c], b => [d], c => [d], d => []})).

services_that_need_nothing_of_each_other_come_by_name() ->
    ?assertEqual([a, b, c], order(#{c => [], a => [], b => []})).

a_needed_service_is_added_with_the_options_that_are_known_for_it() ->
    ?assertEqual({ok, [{b, #{x => 1}}, {a, #{y => 2}}]},
                 resolve(#{a => #{y => 2}}, #{b => #{x => 1}}, #{a => [b]})).

configured_options_are_kept_whoever_is_looked_at_first() ->
    Configured = #{a => #{n => 1}, b => #{n => 2}, c => #{n => 3}},
    [begin
        {ok, Order} = resolve(Configured, Configured, Graph),
        ?assertEqual(Configured, maps:from_list(Order))
     end || Graph <- [#{a => [b], b => [c]}, #{c => [b], b => [a]}, #{b => [a, c]}, #{a => [c], b => [c]}]].

what_nobody_needs_is_not_added() ->
    ?assertEqual({ok, [{a, #{}}]}, resolve(#{a => #{}}, #{b => #{}}, #{b => [a]})).

a_needed_service_that_is_not_configured_is_named_with_who_needs_it() ->
    {error, Problem} = resolve(#{a => #{}, b => #{}}, #{}, #{a => [b], b => [missing]}),
    ?assertMatch(#{what := required_service_not_configured, service := missing, required_by := b}, Problem),
    [?assertNotEqual(nomatch, string:find(map_get(text, Problem), Name)) || Name <- ["missing", "b"]].

a_cycle_of_services_is_named_in_full() ->
    {error, Problem} = resolve(#{a => #{}, b => #{}, c => #{}}, #{}, #{a => [b], b => [c], c => [a]}),
    ?assertMatch(#{what := resolving_dependencies_aborted, service := c, dep_service := a, cycle_path := [a, b, c, a]},
                 Problem),
    ?assertNotEqual(nomatch, string:find(map_get(text, Problem), "a -> b -> c -> a")).

a_service_that_needs_itself_is_a_cycle() ->
    ?assertMatch({error, #{service := a, dep_service := a, cycle_path := [a, a]}},
                 resolve(#{a => #{}}, #{}, #{a => [a]})).

what_leads_into_a_cycle_is_no_part_of_it() ->
    Graph = #{a => [b], b => [c], c => [b]},
    ?assertMatch({error, #{cycle_path := [b, c, b]}}, resolve(#{a => #{}, b => #{}, c => #{}}, #{}, Graph)).

a_closure_is_all_that_is_needed() ->
    Deps = deps(#{a => [b, c], b => [d], e => [a], x => [x]}),
    ?assertEqual([a, b, c, d], lists:sort(mongoose_domain_deps:closure([a], Deps))),
    ?assertEqual([x], mongoose_domain_deps:closure([x], Deps)),
    ?assertEqual([], mongoose_domain_deps:closure([], Deps)).

an_order_is_kept_where_it_can_be_and_is_there_whatever_is_needed() ->
    ?assertEqual([c, a, b], mongoose_domain_deps:order([c, a, b], deps(#{}))),
    ?assertEqual([b, c, a], mongoose_domain_deps:order([c, a, b], deps(#{c => [b], a => [absent]}))),
    ?assertEqual([a, b], lists:sort(mongoose_domain_deps:order([a, b], deps(#{a => [b], b => [a]})))).
