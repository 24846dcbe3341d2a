%% Reports as lines of JSON.
-module(mongoose_domain_log_json_tests).

-include_lib("eunit/include/eunit.hrl").

line(Message) ->
    line(Message, #{}).

line(Message, Meta) ->
    Event = #{level => notice, msg => Message, meta => maps:merge(#{time => 1700000000000001, pid => self(), gl => group_leader()}, Meta)},
    unicode:characters_to_binary(mongoose_domain_log_json:format(Event, #{})).

a_report_is_one_object_on_one_line_test() ->
    Place = #{mfa => {service_domain_db, handle_info, 2}, file => "service_domain_db.erl", line => 7},
    ?assertEqual(<<"{\"time\":\"2023-11-14T22:13:20.000001Z\",\"level\":\"notice\",\"what\":\"domain_database_away\",\"count\":2,"
                   "\"reason\":\"no route\",\"at\":\"service_domain_db:7\"}\n">>,
                 line({report, #{what => domain_database_away, reason => <<"no route">>, count => 2}}, Place)).

each_term_is_what_json_has_for_it_test() ->
    Report = #{what => event, number => -1.5e-7, whole => 12345678901234567890, flag => true, other => {error, [<<"a">>, b]}, atom => away,
               string => "kept as Erlang writes it", none => undefined, <<"odd name">> => <<>>},
    ?assertEqual(#{<<"time">> => <<"2023-11-14T22:13:20.000001Z">>, <<"level">> => <<"notice">>, <<"what">> => <<"event">>,
                   <<"number">> => -1.5e-7, <<"whole">> => 12345678901234567890, <<"flag">> => true, <<"odd name">> => <<>>,
                   <<"other">> => <<"{error,[\"a\",b]}">>, <<"atom">> => <<"away">>, <<"none">> => <<"undefined">>,
                   <<"string">> => <<"\"kept as Erlang writes it\"">>},
                 md_json:decode(line({report, Report}))).

%% Control characters, quotes, characters beyond U+FFFF, the separators of lines.
every_text_comes_back_test() ->
    Text = unicode:characters_to_binary(lists:seq(0, 300) ++ [16#2028, 16#202E, 16#FFFD, 16#1F600, 16#10FFFF]),
    Line = line({report, #{what => event, reason => Text}}),
    ?assertMatch(#{<<"reason">> := Text}, md_json:decode(Line)),
    ?assertEqual([], [Byte || <<Byte>> <= binary:part(Line, 0, byte_size(Line) - 1), Byte < 32 orelse Byte > 126]).

what_is_no_text_is_shown_test() ->
    ?assertMatch(#{<<"domain">> := <<"\"a\\x{FF}\"">>}, md_json:decode(line({report, #{what => event, domain => <<"a", 255>>}}))).

a_long_text_has_an_end_test() ->
    #{<<"reason">> := Text} = md_json:decode(line({report, #{what => event, reason => binary:copy(<<"x">>, 10000)}})),
    ?assertEqual(4000, byte_size(Text)).

a_text_of_otp_is_a_message_test() ->
    ?assertMatch(#{<<"message">> := <<"two lines: тип"/utf8>>}, md_json:decode(line({"two ~ts: ~ts", ["lines", <<"тип"/utf8>>]}))),
    Crash = {report, #{label => {proc_lib, crash}, report => [[{pid, self()}, {error_info, {exit, "x\ny", []}}], []]}},
    ?assertMatch(#{<<"message">> := _}, md_json:decode(line(Crash, #{report_cb => fun proc_lib:report_cb/2}))).

the_logger_takes_no_other_configuration_test() ->
    ?assertEqual(ok, mongoose_domain_log_json:check_config(#{})),
    ?assertMatch({error, _}, mongoose_domain_log_json:check_config(#{single_line => true})).
