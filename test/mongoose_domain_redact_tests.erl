%% Errors are reported without the values of options.
-module(mongoose_domain_redact_tests).

-include_lib("eunit/include/eunit.hrl").

-export([values_are_recognised_wherever_they_are/0,
         what_is_no_value_stays_as_it_is/0,
         a_failure_is_logged_and_raised_without_values_and_arguments/0,
         an_optional_callback_that_is_not_there_has_a_default/0]).

-define(SECRET, "s3cret-pa55word").

all_test_() ->
    md_promises:of_module(?MODULE, fun md_log:start/0, fun(_) -> md_log:stop() end).

options() ->
    #{url => <<"postgres://x:" ?SECRET "@db.example/x">>, password => ?SECRET, servers => [{10, <<?SECRET>>}],
      port => 4711, deep => #{down => [?SECRET | tail]}}.

values_are_recognised_wherever_they_are() ->
    Url = map_get(url, options()),
    Terms = [options(), {bad, options()}, [{password, ?SECRET}], {badmatch, {error, ?SECRET}}, [a, b | <<?SECRET>>],
             #{x => [Url]}, {error, <<"cannot reach ", Url/binary, ".">>}, "no such user: " ++ ?SECRET,
             {{?SECRET, [?SECRET]}, #{<<?SECRET>> => x}}, maps:to_list(options())],
    [?assertEqual({Term, false}, {Term, md_secret:is_in(?SECRET, mongoose_domain_redact:redact(Term, options()))})
     || Term <- Terms],
    ?assertEqual({port, '(not shown)'}, mongoose_domain_redact:redact({port, 4711}, options())).

what_is_no_value_stays_as_it_is() ->
    [?assertEqual(Term, mongoose_domain_redact:redact(Term, options()))
     || Term <- [eaddrinuse, {error, enoent}, [], <<>>, "", #{}, {}, {port, 4712}, 4711, "db", [1, 2 | 3], self()]],
    ?assertEqual({bad, "text"}, mongoose_domain_redact:redact({bad, "text"}, #{x => "", y => <<>>, z => [], v => "e"})).

a_failure_is_logged_and_raised_without_values_and_arguments() ->
    Options = options(),
    Calls = [{md, start, [Options], [{error_info, #{cause => Options}}]}],
    Fail = fun() -> erlang:raise(error, {bad, Options}, Calls) end,
    try mongoose_domain_redact:call(critical, #{what => a_test_failed}, Options, Fail) of
        _ -> ?assert(false)
    catch
        error:Reason:Stacktrace ->
            ?assertEqual({bad, '(not shown)'}, Reason),
            ?assertMatch([{md, start, 1, []} | _], Stacktrace)
    end,
    [{critical, Report}] = md_log:named(a_test_failed),
    ?assertMatch(#{options := [deep, password, port, servers, url], class := error, reason := {bad, '(not shown)'}},
                 Report),
    ?assertNot(md_secret:is_in(?SECRET, md_log:all())).

an_optional_callback_that_is_not_there_has_a_default() ->
    ?assertEqual(none, mongoose_domain_redact:call_optional({?MODULE, not_there}, [1], #{}, none)),
    ?assertEqual(none, mongoose_domain_redact:call_optional({no_such_module, f}, [], #{}, none)),
    ?assertEqual([a], mongoose_domain_redact:call_optional({lists, reverse}, [[a]], #{}, none)).
