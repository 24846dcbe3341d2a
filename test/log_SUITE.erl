%% Event logs as databases really have them: with gaps, out of order, truncated, with jumps, with events of no domain,
%% and pruned by several nodes at once.
%%
%% PostgreSQL assigns ids before the transactions commit, so an event may become visible below ids that were already
%% read. A node does not wait for a missing id: it passes it and remembers the gap. For every such log, the node
%% follows all events, and the load at the start stays the only one. A further load is needed only when events are gone
%% that the node had not read.
%%
%% Where the polls are an hour apart, only PostgreSQL's notifications make a node read.
-module(log_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_transaction_that_commits_late_is_followed/1,
         a_transaction_that_is_rolled_back_leaves_no_gap/1,
         a_log_that_was_truncated_past_the_cursor_is_made_up_for/1,
         a_sequence_that_jumped_by_a_million_is_followed/1,
         ids_below_the_oldest_are_followed/1,
         dummy_events_are_skipped_wherever_they_are/1,
         old_events_go_and_the_newest_stays/1]).

-import(md_followers, [start/2, told/0, watching/2, wait_for_state/2, wait_for_status/3, wait_until_found/2,
                       change_on_each/2, in_parts/1, query/2, write/2, silently/2, gate/1, with_steady/2]).

-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(UNSERVED, {error, not_found}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_transaction_that_commits_late_is_followed,
     a_transaction_that_is_rolled_back_leaves_no_gap,
     a_log_that_was_truncated_past_the_cursor_is_made_up_for,
     a_sequence_that_jumped_by_a_million_is_followed,
     ids_below_the_oldest_are_followed,
     dummy_events_are_skipped_wherever_they_are,
     old_events_go_and_the_newest_stays].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_steady(md_database:create(), Config) end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

a_transaction_that_commits_late_is_followed(Config) ->
    hold_in_the_middle(Config, fun(Late, Nodes) ->
        [] = md_client:query(Late, "COMMIT"),
        [] = md_client:query(Late, "NOTIFY mongoose_domain_events"),
        wait_until_found(Nodes, ?A)
    end).

a_transaction_that_is_rolled_back_leaves_no_gap(Config) ->
    hold_in_the_middle(Config, fun(Late, Nodes) ->
        [] = md_client:query(Late, "ROLLBACK"),
        [] = md_client:query(Late, "NOTIFY mongoose_domain_events"),
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes]
    end).

%% A transaction takes an id for its event and stays open, while a thousand others take ids before and after it and
%% commit. Then it ends with this statement.
hold_in_the_middle(Config, End) ->
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- in_parts(md_names:numbered(<<"first-">>, 500))],
        Late = md_client:open(?config(database, Config)),
        [] = md_client:query(Late, ["BEGIN; "
                                    "INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type1'); "
                                    "INSERT INTO domain_events (domain) VALUES ('a.example')"]),
        [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- in_parts(md_names:numbered(<<"second-">>, 500))],
        %% The nodes do not wait for the open transaction.
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        ?assertEqual(1001, maps:size(md_node:routes(hd(Nodes)))),
        [?assertEqual(?UNSERVED, md_node:lookup(Node, ?A)) || Node <- Nodes],
        wait_for_status(Nodes, open_gaps, 1),
        End(Late, Nodes),
        wait_for_status(Nodes, open_gaps, 0),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

a_log_that_was_truncated_past_the_cursor_is_made_up_for(Config) ->
    Names = [Deleted, Disabled, Moved | _] = md_names:numbered(<<"one-">>, 20),
    ok = write(Config, [{add, <<"type1">>, Names}]),
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        ok = md_gate:close(Gate),
        wait_for_state(Nodes, away),
        ok = write(Config, [{delete, [Deleted]}, {disable, [Disabled]}, {move, <<"type2">>, [Moved]},
                            {add, <<"type1">>, [?A]}]),
        silently(Config, "TRUNCATE domain_events"),
        ok = write(Config, [{add, <<"type2">>, [?B]}]),
        ok = md_gate:open(Gate),
        %% This does not count as data loss, so routes without a row are removed.
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        change_on_each(Nodes, ?config(client, Config))
    end).

a_sequence_that_jumped_by_a_million_is_followed(Config) ->
    Nodes = start(?config(database, Config), #{}),
    watching(Nodes, fun() ->
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        Before = [maps:get(events, md_node:status(Node)) || Node <- Nodes],
        _ = query(Config, "SELECT setval('domain_events_id_seq', nextval('domain_events_id_seq') + 1000000)"),
        ok = write(Config, [{add, <<"type1">>, [?A]}]),
        wait_until_found(Nodes, ?A),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        %% The jump counts as one event.
        ?assertEqual([Count + 1 || Count <- Before], [maps:get(events, md_node:status(Node)) || Node <- Nodes]),
        %% The ids between do not stay open gaps, but an event may still appear there.
        ok = write(Config, [{add, <<"type1">>, [?B]}]),
        wait_until_found(Nodes, ?B),
        ok = add_event_with_id(Config, 500000, {add, <<"c.example">>}),
        wait_until_found(Nodes, <<"c.example">>),
        wait_for_status(Nodes, open_gaps, 0),
        change_on_each(Nodes, ?config(client, Config))
    end).

ids_below_the_oldest_are_followed(Config) ->
    [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- in_parts(md_names:numbered(<<"one-">>, 100))],
    silently(Config, "DELETE FROM domain_events WHERE id < 50"),
    Nodes = start(?config(database, Config), #{}),
    watching(Nodes, fun() ->
        [begin
            Name = <<"below-", (integer_to_binary(Id))/binary, ".example">>,
            ok = add_event_with_id(Config, Id, {add, Name}),
            wait_until_found(Nodes, Name)
         end || Id <- [49, 20, 1]],
        ok = add_event_with_id(Config, 30, {delete, <<"one-7.example">>}),
        [md_wait:until(fun() -> md_node:lookup(Node, <<"one-7.example">>) end, ?UNSERVED) || Node <- Nodes],
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end).

%% Makes a change whose event has the given id.
%% Each poll checks the gap ids that no open transaction can hold.
add_event_with_id(Config, Id, Change) ->
    {Settings, Domain} = case Change of
        {add, Name} ->
            {["INSERT INTO domain_settings (domain, host_type) VALUES (", md_writer:literal(Name), ", 'type1')"], Name};
        {delete, Name} ->
            {["DELETE FROM domain_settings WHERE domain = ", md_writer:literal(Name)], Name}
    end,
    Event = ["(", integer_to_binary(Id), ", ", md_writer:literal(Domain), ")"],
    [] = query(Config, ["BEGIN; ", Settings, "; INSERT INTO domain_events (id, domain) VALUES ", Event, "; "
                        "NOTIFY mongoose_domain_events; COMMIT"]),
    ok.

%% MongooseIM fills gaps with dummy events.
dummy_events_are_skipped_wherever_they_are(Config) ->
    Nodes = start(?config(database, Config), told()),
    watching(Nodes, fun() ->
        _ = query(Config, "SELECT nextval('domain_events_id_seq')"),
        [[Gap]] = query(Config, "SELECT last_value FROM domain_events_id_seq"),
        ok = write(Config, [{add, <<"type1">>, [?A]}]),
        wait_until_found(Nodes, ?A),
        [] = query(Config, ["INSERT INTO domain_events (id, domain) VALUES (", Gap, ", '')"]),
        ok = md_writer:add_events(?config(client, Config), [<<>>, <<>>]),
        ok = write(Config, [{add, <<"type1">>, [?B]}]),
        ok = md_writer:add_events(?config(client, Config), [<<>>]),
        wait_until_found(Nodes, ?B),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        wait_for_status(Nodes, open_gaps, 0)
    end),
    [?assertEqual([], md_node:logged(Node, ignore_domain_from_db_with_invalid_name)) || Node <- Nodes].

%% Two nodes prune at the same time, each second. Pruned events are older than any node needs.
old_events_go_and_the_newest_stays(Config) ->
    Nodes = start(?config(database, Config), #{event_cleaning_interval => 1, event_max_age => 3}),
    watching(Nodes, fun() ->
        [begin
            [ok = write(Config, [{add, <<"type1">>, Names}]) || Names <- in_parts(md_names:numbered(Prefix, 200))],
            Newest = md_writer:newest(?config(client, Config)),
            md_wait:until(fun() -> query(Config, "SELECT id FROM domain_events") end, [[integer_to_binary(Newest)]]),
            ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
         end || Prefix <- [<<"first-">>, <<"second-">>]],
        change_on_each(Nodes, ?config(client, Config))
    end),
    [?assertEqual({What, []}, {What, md_node:logged(Node, What)})
     || Node <- Nodes, What <- [events_log_out_of_sync, domain_database_away, domain_convergence_repaired]],
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].
