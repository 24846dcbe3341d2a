%% Connections that break, stall or are closed in one direction while the server is well.
%%
%% A gate between the nodes and PostgreSQL causes the faults. A node repeats a read whose connection broke. A write
%% whose connection broke is in the database once or not at all, and the caller gets an error that says that the result
%% is unknown. A connection on which nothing arrives ends by a time-out of this project, which is far shorter than the
%% system's.
%%
%% Throughout, every node finds a domain that does not change.
%% In the end every table equals the database.
-module(connections_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_load_that_is_cut_in_its_middle_is_made_up_for/1,
         a_batch_of_events_that_is_cut_in_its_middle_is_read_again/1,
         a_change_whose_answer_is_lost_is_made_exactly_once/1,
         a_silent_connection_is_noticed/1,
         a_connection_that_is_closed_in_one_direction_is_noticed/1]).

-import(md_followers, [environment/2, start/2, hasty/0, told/0, watching/2, api/3, wait_for_state/2,
                       change_on_each/2, query/2, write/2, silently/2, gate/1, with_steady/2]).

-define(HOUR, 3600000).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(UNSERVED, {error, not_found}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_load_that_is_cut_in_its_middle_is_made_up_for,
     a_batch_of_events_that_is_cut_in_its_middle_is_read_again,
     a_change_whose_answer_is_lost_is_made_exactly_once,
     a_silent_connection_is_noticed,
     a_connection_that_is_closed_in_one_direction_is_noticed].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_steady(md_database:create(), Config) end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

a_load_that_is_cut_in_its_middle_is_made_up_for(Config) ->
    silently(Config, "INSERT INTO domain_settings (domain, host_type) "
                     "SELECT 'bulk-' || n || '.example', 'type1' FROM generate_series(1, 20000) n"),
    {Gate, Url} = gate(Config),
    ok = md_gate:cut_after(Gate, 500000),
    Node = md_node:start(environment(Url, #{})),
    md_wait:until(fun() -> md_gate:is_closed(Gate) end),
    wait_for_state([Node], away),
    Loaded = maps:keys(md_node:routes(Node)),
    %% Most of the rows, or none: on a slow node the system discards unread data when the connection breaks.
    ?assert(length(Loaded) < 20001),
    ?assertMatch(#{loads := 0}, md_node:status(Node)),
    %% Loaded routes stay.
    Watch = md_watch:start([Node], lists:sublist(Loaded, 10)),
    ok = md_gate:open(Gate),
    md_node:wait_until_following(Node),
    ok = md_watch:stop(Watch),
    ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
    change_on_each([Node], ?config(client, Config)).

a_batch_of_events_that_is_cut_in_its_middle_is_read_again(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        ok = md_gate:cut_after(Gate, 20000),
        ok = write(Config, [{add, <<"type1">>, md_names:numbered(<<"event-">>, 3000)}]),
        md_wait:until(fun() -> md_gate:is_closed(Gate) end),
        wait_for_state(Nodes, away),
        ok = write(Config, [{delete, md_names:numbered(<<"event-">>, 10)}]),
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config))
    end),
    %% The nodes caught up by events, without another load.
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

%% With a lease of an hour, no search for removals runs meanwhile.
a_change_whose_answer_is_lost_is_made_exactly_once(Config) ->
    {Gate, Url} = gate(Config),
    Node = md_node:start(environment(Url, (told())#{pool_size => 1, removal_lease => ?HOUR})),
    md_node:wait_until_following(Node),
    watching([Node], fun() ->
        [begin
            %% Opens the worker's connection.
            ?assertMatch({ok, _}, api(Node, insert_domain, [<<"warm.", (atom_to_binary(Change))/binary>>, <<"type1">>])),
            prepare_change(Node, Change, Name),
            ok = md_node:sync(Node),
            Before = events(Config, Name),
            ok = md_gate:swallow(Gate, Name),
            {Tag, Text} = api(Node, Change, [Name | Args]),
            ?assert(lists:member(Tag, [db_error, timeout])),
            ?assertEqual({true, Text}, {is_in_doubt(Text), Text}),
            md_wait:until(fun() -> md_gate:is_closed(Gate) end),
            ?assertEqual(Before + 1, events(Config, Name)),
            ok = md_gate:open(Gate),
            %% The change was made, and repeating it changes nothing.
            ok = md_rows:wait_until_agreed([Node], ?config(client, Config)),
            ?assertMatch({ok, _}, api(Node, Change, [Name | Args])),
            ?assertEqual(Before + 1, events(Config, Name)),
            ?assertEqual(Shown, md_node:lookup(Node, Name))
         end || {Change, Name, Args, Shown} <- [{insert_domain, <<"i.example">>, [<<"type1">>], {ok, <<"type1">>}},
                                                {disable_domain, <<"d.example">>, [], ?UNSERVED},
                                                {enable_domain, <<"e.example">>, [], {ok, <<"type1">>}}]]
    end),
    ok = md_rows:wait_until_agreed([Node], ?config(client, Config)).

prepare_change(_Node, insert_domain, _Name) ->
    ok;
prepare_change(Node, disable_domain, Name) ->
    {ok, _} = api(Node, insert_domain, [Name, <<"type1">>]),
    ok;
prepare_change(Node, enable_domain, Name) ->
    ok = prepare_change(Node, disable_domain, Name),
    {ok, _} = api(Node, disable_domain, [Name]),
    ok.

events(Config, Domain) ->
    [[Count]] = query(Config, ["SELECT count(*) FROM domain_events WHERE domain = ", md_writer:literal(Domain)]),
    binary_to_integer(Count).

is_in_doubt(Text) ->
    binary:match(Text, <<"the change may have been made">>) =/= nomatch.

a_silent_connection_is_noticed(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, hasty()),
    watching(Nodes, fun() ->
        ok = md_gate:hush(Gate),
        wait_for_state(Nodes, away),
        %% A time-out of a statement or of a log-in ended the connection, not the system's, which are far longer.
        [?assertMatch({match, _}, re:run(maps:get(last_error, md_node:status(Node)), "1s|1 s|1000"))
         || Node <- Nodes],
        ok = write(Config, [{add, <<"type1">>, [?A]}, {add, <<"type2">>, [?B]}]),
        ok = md_gate:open(Gate),
        ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
        change_on_each(Nodes, ?config(client, Config))
    end),
    [?assertMatch(#{loads := 1}, md_node:status(Node)) || Node <- Nodes].

a_connection_that_is_closed_in_one_direction_is_noticed(Config) ->
    {Gate, Url} = gate(Config),
    Nodes = start(Url, told()),
    watching(Nodes, fun() ->
        [begin
            Before = [md_node:count(Node, domain_database_away) || Node <- Nodes],
            ok = md_gate:half_close(Gate, Deaf),
            [md_wait:until(fun() -> md_node:count(Node, domain_database_away) > Count end)
             || {Node, Count} <- lists:zip(Nodes, Before)],
            %% A connection that is open in only one direction is useless, and the node replaces it. A fast node has a
            %% new connection by now, which this cuts as well.
            ok = md_gate:open(Gate),
            ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
            [wait_until_back(Node) || Node <- Nodes],
            change_on_each(Nodes, ?config(client, Config))
         end || Deaf <- [client, server]]
    end).

%% Each report that the database is away is followed by one that it is back.
wait_until_back(Node) ->
    md_wait:until(fun() -> md_node:count(Node, domain_database_back) =:= md_node:count(Node, domain_database_away) end).
