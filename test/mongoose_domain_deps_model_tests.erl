%% The resolution of dependencies in random graphs: see md_deps_model.
-module(mongoose_domain_deps_model_tests).

-include_lib("eunit/include/eunit.hrl").

every_graph_of_modules_is_resolved_as_promised_test_() ->
    {timeout, 120, fun() -> ?assertEqual(true, check(md_deps_model:modules())) end}.

every_graph_of_services_is_resolved_as_promised_test_() ->
    {timeout, 120, fun() -> ?assertEqual(true, check(md_deps_model:services())) end}.

check(Property) ->
    proper:quickcheck(Property, [{numtests, 3000}, {max_size, 30}, long_result, quiet]).
