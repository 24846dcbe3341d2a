%% From one node to another: how long after an addition here a lookup on the other node finds the domain.
%%
%% The other node is a VM of its own (bench_peers), which learns of a change only from PostgreSQL. bench_watcher watches the
%% table there. Both VMs read the machine's monotonic clock.
%%
%% In turns with that, psql adds a domain by the same transaction (row, event and NOTIFY), in one message on one
%% connection. The time that psql reports is the commit alone. Both nodes follow those changes too, and the other one
%% watches for them, so the machine does the same work during both. That also shows how soon the change of another
%% program arrives.
-module(bench_propagation).

-export([run/3]).

-define(HOST_TYPE, <<"type1">>).
%% The number of changes before the first one that counts.
-define(WARM, 20).
%% Milliseconds between two changes: enough for both nodes to finish the one before.
-define(REST, 5).

%% @doc Measures this many Changes from here, and as many by psql. The application is configured to follow the database.
-spec run(pos_integer(), string(), file:filename()) -> bench:result().
run(Changes, Url, Psql) ->
    ok = bench_node:start(),
    Other = bench_peers:start(Url),
    ok = same_clock(Other),
    Session = bench_psql:open(Psql, Url),
    Numbers = lists:seq(1, ?WARM + Changes),
    ok = peer:call(Other, bench_watcher, start, [lists:append([[name(here, N), name(psql, N)] || N <- Numbers])]),
    Times = lists:nthtail(?WARM, [{here(N), psql(Session, N)} || N <- Numbers]),
    Seen = lists:nthtail(2 * ?WARM, peer:call(Other, bench_watcher, seen, [], infinity)),
    ok = bench_peers:stop(Other),
    ok = bench_psql:close(Session),
    {Here, ByPsql} = lists:unzip(Times),
    Facts = #{
        visible => since_begin(Here, every_other(Seen)), returned => [Took || {_Begin, Took} <- Here],
        others => since_begin(ByPsql, every_other(tl(Seen) ++ [none])), commit => [Took || {_Begin, Took} <- ByPsql]
    },
    #{visible := #{median := Visible}, commit := #{median := Commit}} = Summaries =
        maps:map(fun(_What, Figures) -> bench_stats:summary(Figures) end, Facts),
    {propagation, Summaries#{changes => Changes, unit => ms, beyond_commit => Visible - Commit}}.

since_begin(Changes, Seen) ->
    [(At - Begin) / 1.0e6 || {{Begin, _Took}, At} <- lists:zip(Changes, Seen)].

%% Checks that a reading of the clock there lies between two readings here.
same_clock(Other) ->
    Before = os:perf_counter(),
    There = peer:call(Other, os, perf_counter, []),
    After = os:perf_counter(),
    true = Before =< There andalso There =< After,
    1000000000 = erlang:convert_time_unit(1, second, perf_counter),
    ok.

%% Returns when the addition began, and how many milliseconds it took.
here(Number) ->
    Name = name(here, Number),
    Begin = os:perf_counter(),
    {ok, _} = mongoose_domain_api:insert_domain(Name, ?HOST_TYPE),
    End = os:perf_counter(),
    timer:sleep(?REST),
    {Begin, (End - Begin) / 1.0e6}.

psql(Session, Number) ->
    Name = name(psql, Number),
    Begin = os:perf_counter(),
    Milliseconds = bench_psql:ask(Session, [
        "BEGIN \\; INSERT INTO domain_settings (domain, host_type) VALUES ('", Name, "', '", ?HOST_TYPE, "') \\; "
        "INSERT INTO domain_events (domain) VALUES ('", Name, "') \\; NOTIFY mongoose_domain_events \\; COMMIT;"
    ]),
    timer:sleep(?REST),
    {Begin, Milliseconds}.

name(Side, Number) ->
    iolist_to_binary(["new", integer_to_list(Number), $., atom_to_list(Side), ".propagation.example"]).

every_other([First, _Second | Others]) -> [First | every_other(Others)];
every_other([]) -> [].
