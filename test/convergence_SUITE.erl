%% Convergence: a node compares its table with the database and repairs what no event reported. The gate decides which
%% of the routes that the database lacks may be removed.
%%
%% Here rows change without events, as when an administrator uses psql or restores a backup. Routes that only the
%% database has are served at once. Routes that only the table has are removed or kept until their host type is declared
%% fresh. With `off' all are removed, with `always' all are kept, and the settings between keep only what looks like
%% lost data: an empty table or a large share of a host type. An event is always applied.
%%
%% The hour between polls is longer than any test: only a call starts a comparison, or the clock where a case sets it.
-module(convergence_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([converge_repairs_what_no_event_reported/1,
         converge_reports_when_the_database_is_away/1,
         a_repair_by_the_clock_is_logged/1,
         without_a_gate_every_lost_route_goes/1,
         with_a_gate_at_all_times_a_silent_removal_waits_for_freshness/1,
         a_large_share_of_a_host_type_is_kept_and_a_small_one_goes/1,
         an_emptied_table_keeps_every_route/1]).

-import(md_followers, [start/2, told/0, watching/2, service/3, converge/1, make_fresh/3, wait_for_state/2,
                       wait_until_found/2, wait_until_logged/3, wait_until_kept/3, change_on_each/2, routes/2,
                       write/2, silently/2, add_silently/3, delete_silently/2, gate/1, with_steady/2]).

%% The domain that never changes.
-define(STEADY, <<"steady.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(UNSERVED, {error, not_found}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [converge_repairs_what_no_event_reported,
     converge_reports_when_the_database_is_away,
     a_repair_by_the_clock_is_logged,
     without_a_gate_every_lost_route_goes,
     with_a_gate_at_all_times_a_silent_removal_waits_for_freshness,
     a_large_share_of_a_host_type_is_kept_and_a_small_one_goes,
     an_emptied_table_keeps_every_route].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_steady(md_database:create(), Config) end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

converge_repairs_what_no_event_reported(Config) ->
    Names = [Deleted, Disabled, Moved | _] = md_names:numbered(<<"one-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        ok = add_silently(Config, <<"type2">>, [?A, ?B]),
        ok = delete_silently(Config, [Deleted]),
        silently(Config, ["UPDATE domain_settings SET status = 0 WHERE domain = ", md_writer:literal(Disabled)]),
        silently(Config, ["UPDATE domain_settings SET host_type = 'type2' WHERE domain = ", md_writer:literal(Moved)]),
        [ok = md_node:sync(Node) || Node <- Nodes],
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes],
        [?assertEqual({ok, #{added => 2, changed => 1, removed => 2, kept => 0}}, converge(Node)) || Node <- Nodes],
        ?assertEqual([], md_rows:disagreements(Nodes, ?config(client, Config))),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 0}}, converge(Node)) || Node <- Nodes],
        change_on_each(Nodes, ?config(client, Config))
    end).

converge_reports_when_the_database_is_away(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, #{}),
    watching(Nodes, fun() ->
        ok = md_gate:close(Gate),
        wait_for_state(Nodes, away),
        [?assertMatch({error, <<_, _/binary>>}, service(Node, converge, Args)) || Node <- Nodes, Args <- [[], [force]]],
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 0}}, converge(Node)) || Node <- Nodes]
    end).

a_repair_by_the_clock_is_logged(Config) ->
    Nodes = start(?config(database, Config), (told())#{converge_interval => 200}),
    watching(Nodes, fun() ->
        [?assertEqual([], md_node:logged(Node, domain_convergence_repaired)) || Node <- Nodes],
        ok = add_silently(Config, <<"type1">>, [?A]),
        wait_until_found(Nodes, ?A),
        [wait_until_logged(Node, domain_convergence_repaired, 1) || Node <- Nodes],
        ok = delete_silently(Config, [?A]),
        [wait_until_logged(Node, domain_convergence_repaired, 2) || Node <- Nodes],
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    [?assertMatch([{warning, #{added := 1, removed := 0}}, {warning, #{added := 0, removed := 1}}],
                  md_node:logged(Node, domain_convergence_repaired)) || Node <- Nodes].

without_a_gate_every_lost_route_goes(Config) ->
    ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"one-">>, 20)},
                        {add, <<"type2">>, md_names:numbered(<<"two-">>, 20)}]),
    Nodes = start(?config(database, Config), (told())#{convergence_gate => off}),
    watching(Nodes, fun() ->
        silently(Config, ["DELETE FROM domain_settings WHERE domain <> ", md_writer:literal(?STEADY)]),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 40, kept => 0}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{}),
        change_on_each(Nodes, ?config(client, Config))
    end).

with_a_gate_at_all_times_a_silent_removal_waits_for_freshness(Config) ->
    [Silent, Told | _] = Names = md_names:numbered(<<"one-">>, 20),
    [Other | _] = Others = md_names:numbered(<<"two-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}, {add, <<"type2">>, Others}]),
    [One | _] = Nodes = start(?config(database, Config), (told())#{convergence_gate => always}),
    watching(Nodes, fun() ->
        ok = delete_silently(Config, [Silent, Other]),
        [?assertEqual({ok, #{added => 0, changed => 0, removed => 0, kept => 2}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{Silent => <<"type1">>, Other => <<"type2">>}),
        %% An event is always applied.
        ok = write(Config, [{delete, [Told]}]),
        wait_until_kept(Nodes, ?config(client, Config), #{Silent => <<"type1">>, Other => <<"type2">>}),
        ok = make_fresh(One, <<"type1">>, 600),
        wait_until_kept(Nodes, ?config(client, Config), #{Other => <<"type2">>}),
        %% While the host type is fresh, none of its routes is kept.
        ok = delete_silently(Config, [lists:nth(3, Names)]),
        [?assertMatch({ok, #{removed := 1, kept := 1}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), #{Other => <<"type2">>}),
        %% An event also removes a kept route.
        ok = write(Config, [{delete, [Other]}]),
        wait_until_kept(Nodes, ?config(client, Config), #{})
    end).

a_large_share_of_a_host_type_is_kept_and_a_small_one_goes(Config) ->
    {Ones, Twos} = {md_names:numbered(<<"one-">>, 19), md_names:numbered(<<"two-">>, 20)},
    ok = write(Config, [{add, <<"type1">>, Ones}, {add, <<"type2">>, Twos}]),
    [One | _] = Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        %% Exactly half is not more than half.
        ok = delete_silently(Config, lists:sublist(Ones, 10)),
        [?assertMatch({ok, #{removed := 10, kept := 0}}, converge(Node)) || Node <- Nodes],
        Lost = lists:sublist(Twos, 11),
        ok = delete_silently(Config, Lost),
        [?assertMatch({ok, #{removed := 0, kept := 11}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), routes(<<"type2">>, Lost)),
        ok = make_fresh(One, <<"type2">>, 0),
        wait_until_kept(Nodes, ?config(client, Config), #{})
    end).

an_emptied_table_keeps_every_route(Config) ->
    ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
    [One | _] = Nodes = start(?config(database, Config), told()),
    All = #{?STEADY => <<"type1">>, ?A => <<"type1">>, ?B => <<"type2">>},
    watching(Nodes, fun() ->
        silently(Config, "TRUNCATE domain_settings"),
        [?assertMatch({ok, #{removed := 0, kept := 3}}, converge(Node)) || Node <- Nodes],
        wait_until_kept(Nodes, ?config(client, Config), All),
        [?assertMatch(#{kept := 3}, md_node:status(Node)) || Node <- Nodes],
        ok = add_silently(Config, <<"type1">>, [?STEADY]),
        ok = make_fresh(One, <<"type1">>, 600),
        wait_until_kept(Nodes, ?config(client, Config), #{?B => <<"type2">>})
    end).
