%% The node's side of the admin program.
-module(mongoose_domain_admin_tests).

-include_lib("eunit/include/eunit.hrl").

%% An event without an atom would be logged with a binary name, and a search for the event would miss it.
every_event_that_the_program_logs_is_known_with_its_fields_test() ->
    Logged = [{Event, Fields} || #{event := Event, fields := {_, Fields}} <- md_events:in_program()],
    ?assertMatch([_, _ | _], Logged),
    ByEvent = maps:map(fun(_Event, Fields) -> lists:usort(lists:append(Fields)) end,
                       maps:groups_from_list(fun({Event, _}) -> Event end, fun({_, Fields}) -> Fields end, Logged)),
    ?assertEqual(maps:map(fun(_Event, Fields) -> lists:usort(Fields) end, mongoose_domain_admin:events()), ByEvent).
