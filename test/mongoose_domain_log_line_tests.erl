%% Reports as lines, for the journal and for a console.
-module(mongoose_domain_log_line_tests).

-include_lib("eunit/include/eunit.hrl").

line(Message) ->
    line(notice, Message, #{}).

line(Level, Message, Meta) ->
    Event = #{level => Level, msg => Message, meta => maps:merge(#{time => 0, pid => self(), gl => group_leader()}, Meta)},
    unicode:characters_to_binary(mongoose_domain_log_line:format(Event, #{target => journal})).

a_report_is_one_line_of_pairs_after_its_priority_test() ->
    Place = #{mfa => {service_domain_db, handle_info, 2}, file => "service_domain_db.erl", line => 7},
    ?assertEqual(<<"<3>what=domain_database_away level=error count=2 reason=\"no route\" at=service_domain_db:7\n">>,
                 line(error, {report, #{what => domain_database_away, reason => <<"no route">>, count => 2}}, Place)).

each_level_has_its_priority_test() ->
    Levels = [emergency, alert, critical, error, warning, notice, info, debug],
    [?assertMatch(<<"<", Number:1/binary, ">what=event", _/binary>>, line(Level, {report, #{what => event}}, #{}))
     || {Index, Level} <- lists:zip(lists:seq(0, 7), Levels), Number <- [integer_to_binary(Index)]].

a_term_that_would_fall_apart_is_quoted_test() ->
    ?assertEqual(<<"<5>what=event level=notice keys=[a,b] reason=\"{error,\\\"a b\\\"}\"\n">>,
                 line({report, #{what => event, reason => {error, <<"a b">>}, keys => [a, b]}})).

nothing_that_is_logged_begins_a_second_line_test() ->
    Stacktrace = [{m, f, [1, <<"x\ny">>], []}, {m, g, 2, [{file, "m.erl"}, {line, 7}]}],
    Lines = [line({report, #{what => event, reason => <<"a\n<0>what=forged">>, stacktrace => Stacktrace}}),
             line({string, "two\nlines \"quoted\" \e[2J"}),
             line({"~s~n~p", ["a\nb", #{c => "d\n"}]}),
             line(error, {report, #{label => {proc_lib, crash}, report => [[{pid, self()}, {error_info, {exit, "x\ny", []}}], []]}},
                  #{report_cb => fun proc_lib:report_cb/2})],
    [?assertEqual({Line, [byte_size(Line) - 1]}, {Line, [At || {At, 1} <- binary:matches(Line, <<"\n">>)]}) || Line <- Lines].

a_text_of_otp_is_a_message_test() ->
    ?assertEqual(<<"<5>level=notice message=\"тип \\\"x\\\"\"\n"/utf8>>, line({string, <<"тип \"x\""/utf8>>})).

a_line_for_a_console_begins_with_the_time_test() ->
    Event = #{level => info, msg => {report, #{what => event}}, meta => #{time => 1700000000000001}},
    ?assertEqual("time=2023-11-14T22:13:20.000001Z what=event level=info\n",
                 lists:flatten(io_lib:format("~ts", [mongoose_domain_log_line:format(Event, #{target => console})]))).

the_logger_takes_no_other_configuration_test() ->
    ?assertEqual(ok, mongoose_domain_log_line:check_config(#{target => journal})),
    [?assertMatch({error, _}, mongoose_domain_log_line:check_config(Config))
     || Config <- [#{}, #{target => file}, #{target => journal, single_line => true}]].
