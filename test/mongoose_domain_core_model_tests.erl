%% The table against a model: see md_core_model.
-module(mongoose_domain_core_model_tests).

-include_lib("eunit/include/eunit.hrl").

the_table_answers_what_the_model_says_test_() ->
    {timeout, 120, fun() ->
        ok = md_log:start(),
        Result = proper:quickcheck(md_core_model:property(), [{numtests, 300}, long_result, quiet]),
        ok = md_log:stop(),
        ?assertEqual(true, Result)
    end}.

