%% docs/events.md lists exactly the events that the code can log.
-module(mongoose_domain_events_tests).

-include_lib("eunit/include/eunit.hrl").

%% Each test reads all sources, which may take longer than EUnit's five seconds on a busy machine.
all_test_() ->
    [{timeout, 60, {Name, Test}}
     || {Name, Test} <- [{"every event that the code can log is listed", fun every_event_that_the_code_can_log_is_listed/0},
                         {"every event that is listed can be logged", fun every_event_that_is_listed_can_be_logged/0},
                         {"the fields of an event are those that are listed", fun the_fields_of_an_event_are_those_that_are_listed/0},
                         {"the level of an event is one that is listed", fun the_level_of_an_event_is_one_that_is_listed/0},
                         {"modules log by the macros of this application", fun modules_log_by_the_macros_of_this_application/0}]].

every_event_that_the_code_can_log_is_listed() ->
    Listed = md_events:documented(),
    ?assertEqual([], [text("event ~p is logged in file ~s (line ~b) and not in docs/events.md: add a line", [Event, File, Line])
                      || #{event := Event, file := File, line := Line} <- md_events:in_code(), not is_map_key(Event, Listed)]).

every_event_that_is_listed_can_be_logged() ->
    Logged = [Event || #{event := Event} <- md_events:in_code()],
    ?assertEqual([], [text("event ~p is in docs/events.md and logged nowhere: remove its line, or correct its name", [Event])
                      || Event <- maps:keys(md_events:documented()), not lists:member(Event, Logged)]).

the_fields_of_an_event_are_those_that_are_listed() ->
    Listed = md_events:documented(),
    ?assertEqual([], [text("event ~p, logged in file ~s (line ~b), has the fields ~0p; docs/events.md lists ~0p, and sometimes ~0p",
                           [Event, File, Line, Fields, Always, Sometimes])
                      || #{event := Event, file := File, line := Line, fields := {Whole, Fields}} <- md_events:in_code(),
                         #{always := Always, sometimes := Sometimes} <- [maps:get(Event, Listed, #{})],
                         not fits(Whole, Fields, Always, Sometimes)]).

fits(some, Fields, Always, Sometimes) -> Fields -- (Always ++ Sometimes) =:= [];
fits(all, Fields, Always, Sometimes) -> fits(some, Fields, Always, Sometimes) andalso Always -- Fields =:= [].

the_level_of_an_event_is_one_that_is_listed() ->
    Listed = md_events:documented(),
    ?assertEqual([], [text("event ~p is logged in file ~s (line ~b) with the level ~p; docs/events.md says ~0p",
                           [Event, File, Line, Level, Levels])
                      || #{event := Event, file := File, line := Line, level := Level} <- md_events:in_code(), Level =/= unknown,
                         #{levels := Levels} <- [maps:get(Event, Listed, #{})], not lists:member(Level, Levels)]).

%% Other ways of logging would bypass the formatting of mongoose_domain_log. A formatter names the logger's types.
modules_log_by_the_macros_of_this_application() ->
    ?assertEqual([], [text("~s calls OTP's logger: include mongoose_domain_log.hrl and log by its macros", [Source])
                      || Source <- md_events:sources(), filename:basename(Source) =/= "mongoose_domain_log.erl",
                         {ok, Text} <- [file:read_file(Source)],
                         re:run(Text, "kernel/include/logger|[^a-z_]logger:(?!(level|log_event|formatter_config)\\(\\))|error_logger", []) =/= nomatch]).

text(Format, Values) ->
    lists:flatten(io_lib:format(Format, Values)).
