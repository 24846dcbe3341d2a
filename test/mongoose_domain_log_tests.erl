%% The text of a report in the log.
-module(mongoose_domain_log_tests).

-include_lib("eunit/include/eunit.hrl").

-define(LONGEST, 4000).

lines(Report) ->
    Text = unicode:characters_to_binary(mongoose_domain_log:format(Report, #{depth => unlimited, chars_limit => unlimited,
                                                                             single_line => false})),
    binary:split(Text, <<"\n">>, [global]).

value(Value) ->
    [_, <<"    value: ", Shown/binary>>] = lines(#{what => event, value => Value}),
    Shown.

a_report_begins_with_its_name_and_has_a_field_a_line_test() ->
    ?assertEqual([<<"    what: event">>, <<"    a: 1">>, <<"    z: two">>], lines(#{z => two, what => event, a => 1})).

a_report_is_one_line_where_that_is_configured_test() ->
    Shown = mongoose_domain_log:format(#{what => event, a => 1, stacktrace => [{m, f, 1, [{file, "m.erl"}, {line, 7}]}]},
                                       #{depth => unlimited, chars_limit => unlimited, single_line => true}),
    ?assertEqual("what: event, a: 1, stacktrace: m:f/1 (m.erl:7)", lists:flatten(Shown)).

a_text_is_shown_as_it_is_wherever_it_stands_test() ->
    ?assertEqual(<<"\"тип\""/utf8>>, value(<<"тип"/utf8>>)),
    ?assertEqual(<<"\"тип\""/utf8>>, value("тип")),
    ?assertEqual(<<"{error,\"тип\",[1,\"é\"],#{\"ключ\" => x}}"/utf8>>,
                 value({error, <<"тип"/utf8>>, [1, <<"é"/utf8>>], #{<<"ключ"/utf8>> => x}})).

what_could_forge_a_line_or_command_a_terminal_is_escaped_test() ->
    ?assertEqual(<<"\"a\\n=ERROR REPORT==== \\\"\\\\ \\x{1B}[2J \\x{9B} \\x{202E}\"">>,
                 value(<<"a\n=ERROR REPORT==== \"\\ \e[2J ", 16#9B/utf8, " ", 16#202E/utf8>>)),
    ?assertEqual(<<"\"a\\x{FF}b\"">>, value(<<"a", 255, "b">>)).

a_field_has_an_end_test() ->
    [?assert(string:length(value(Huge)) < 2 * ?LONGEST) || Huge <- [
        binary:copy(<<"x">>, 1000000), lists:seq(1, 100000), list_to_tuple(lists:seq(1, 100000)),
        maps:from_keys(lists:seq(1, 100000), <<"x">>), [lists:seq(1, 10000) | tail], 1 bsl 100000,
        lists:foldl(fun(_, Deep) -> {[Deep]} end, x, lists:seq(1, 10000))]].

every_term_is_shown_test() ->
    Terms = [{[], <<"[]">>}, {{}, <<"{}">>}, {#{}, <<"#{}">>}, {[1 | 2], <<"[1|2]">>}, {[a, b], <<"[a,b]">>}, {1.5, <<"1.5">>},
             {'an atom', <<"'an atom'">>}, {<<1:3>>, <<"<<1:3>>">>}, {<<>>, <<"\"\"">>}],
    [?assertEqual({Term, Shown}, {Term, value(Term)}) || {Term, Shown} <- Terms].

a_stacktrace_has_a_call_a_line_test() ->
    Stacktrace = [{m, f, [1, <<"x">>], []}, {m, g, 2, [{file, "m.erl"}, {line, 7}]}, other],
    ?assertEqual([<<"    what: event">>, <<"    stacktrace: ">>, <<"        m:f/2 called with [1,\"x\"]">>,
                  <<"        m:g/2 (m.erl:7)">>, <<"        other">>], lines(#{what => event, stacktrace => Stacktrace})).
