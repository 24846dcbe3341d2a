%% What the node knows of the admin program.
-module(mongoose_domain_admin_tests).

-include_lib("eunit/include/eunit.hrl").

%% A name that is no atom here would be logged as a binary, and nobody who looks for the event would find it.
every_event_that_the_program_logs_is_known_test() ->
    Sources = filelib:wildcard("native/admin/src/**/*.rs"),
    ?assertMatch([_, _ | _], Sources),
    Logged = lists:usort(lists:flatmap(fun events/1, Sources)),
    ?assertEqual(Logged, [atom_to_binary(Event) || Event <- lists:usort(mongoose_domain_admin:events())]).

%% `what = "…"', or `let (what, …) = ("…"'.
events(Source) ->
    {ok, Text} = file:read_file(Source),
    case re:run(Text, "what(?: = |, [a-z_]+\\) = \\()\"([a-z_]+)\"", [global, {capture, all_but_first, binary}]) of
        {match, Found} -> [Event || [Event] <- Found];
        nomatch -> []
    end.
