%% Catching up: how long the follower takes for many domains that were added without a notification.
%%
%% psql writes the rows and their events in one transaction, without NOTIFY, and no poll is due. Then
%% the follower is asked to check the database, as another node would ask it. The time ends when a lookup finds the
%% domain of the newest event.
%%
%% The yardstick is the least that any follower must do: a connected psql reads the same events with their rows, in one
%% query and by binary COPY, into a program that counts the bytes. It uses the follower's own statement, and psql itself
%% measures the time. The pages are vacuumed before, so that neither reader has to mark rows as visible for the other.
%% The two take turns at being first.
-module(bench_catchup).

-export([run/4]).

%% @doc Adds so many Domains and catches up, in so many Rounds, each with names of its own. The application
%% is configured to follow the database.
-spec run(pos_integer(), pos_integer(), string(), file:filename()) -> bench:result().
run(Domains, Rounds, Url, Psql) ->
    ok = bench_node:start(),
    Session = bench_psql:open(Psql, Url),
    %% The first round is not counted.
    [_ | Times] = [round(Session, Round, Domains) || Round <- lists:seq(0, Rounds)],
    ok = bench_psql:close(Session),
    {OursTimes, CopyTimes} = lists:unzip(Times),
    {Ours, Copy} = {bench_stats:summary(OursTimes), bench_stats:summary(CopyTimes)},
    {catchup, #{
        domains => Domains, rounds => Rounds, unit => ms, ours => Ours, copy => Copy,
        times_as_long => map_get(median, Ours) / map_get(median, Copy)
    }}.

round(Session, Round, Domains) ->
    #{cursor := Cursor} = service_domain_db:status(),
    _ = bench_psql:ask(Session, add(Round, Domains)),
    _ = bench_psql:ask(Session, "VACUUM domain_settings, domain_events;"),
    Last = iolist_to_binary(["catchup", integer_to_list(Domains), suffix(Round)]),
    {error, not_found} = mongoose_domain_api:get_host_type(Last),
    Ours = fun() -> catch_up(Last) end,
    Copy = fun() -> bench_psql:ask(Session, bench_psql:copy(events(Cursor, Domains))) end,
    case Round rem 2 of
        0 ->
            OursTime = Ours(),
            {OursTime, Copy()};
        1 ->
            CopyTime = Copy(),
            {Ours(), CopyTime}
    end.

catch_up(Last) ->
    Begin = erlang:monotonic_time(microsecond),
    ok = service_domain_db:check_local(),
    ok = await(Last),
    (erlang:monotonic_time(microsecond) - Begin) / 1000.

await(Last) ->
    case mongoose_domain_api:get_host_type(Last) of
        {ok, _HostType} ->
            ok;
        {error, not_found} ->
            timer:sleep(1),
            await(Last)
    end.

suffix(Round) ->
    [".round", integer_to_list(Round), ".example"].

add(Round, Domains) ->
    Names = ["SELECT 'catchup' || n || '", suffix(Round), "' AS domain FROM generate_series(1, ",
             integer_to_list(Domains), ") n ORDER BY n"],
    ["BEGIN \\; INSERT INTO domain_settings (domain, host_type) SELECT domain, 'type1' FROM (", Names, ") names \\; "
     "INSERT INTO domain_events (domain) ", Names, " \\; COMMIT;"].

%% The follower's statement, for all events at once; see native/store/src/postgres/log.rs.
events(Cursor, Domains) ->
    ["SELECT e.id, e.domain, s.host_type, s.status FROM (SELECT id, domain FROM domain_events WHERE id >= ",
     integer_to_list(cursor(Cursor)), " AND id <= 9223372036854775807 ORDER BY id LIMIT ", integer_to_list(Domains + 1),
     ") e LEFT JOIN LATERAL (SELECT host_type, status FROM domain_settings WHERE domain = e.domain LIMIT 1) s ON true "
     "ORDER BY e.id"].

%% The cursor is undefined while the log is empty.
cursor(undefined) -> 0;
cursor(Cursor) -> Cursor.
