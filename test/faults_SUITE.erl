%% Changes when a node dies, a connection breaks, or PostgreSQL is away or hangs.
%%
%% One promise holds throughout: a confirmed change is in the database and in its event log, and the error of any other
%% change says truly whether it may have been made.
-module(faults_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, suite/0]).
-export([init_per_testcase/2, end_per_testcase/2]).
-export([a_killed_node_loses_no_addition_that_it_confirmed/1,
         another_node_finishes_the_removals_of_a_killed_one/1,
         a_domain_that_is_added_again_while_its_removers_node_is_dead_loses_nothing/1,
         a_hung_database_slows_neither_lookups_nor_files/1,
         a_lost_connection_is_replaced/1,
         a_change_while_the_database_is_away_is_refused_in_words/1,
         changes_work_as_soon_as_the_database_is_back/1,
         a_call_that_times_out_says_so/1]).

-import(md_followers, [gate/1]).

-define(HOUR, 3600000).
-define(TYPE, <<"type1">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_killed_node_loses_no_addition_that_it_confirmed,
     another_node_finishes_the_removals_of_a_killed_one,
     a_domain_that_is_added_again_while_its_removers_node_is_dead_loses_nothing,
     a_hung_database_slows_neither_lookups_nor_files,
     a_lost_connection_is_replaced,
     a_change_while_the_database_is_away_is_refused_in_words,
     changes_work_as_soon_as_the_database_is_back,
     a_call_that_times_out_says_so].

init_per_testcase(a_hung_database_slows_neither_lookups_nor_files, Config) ->
    Cluster = md_cluster:start(),
    with_client(md_cluster:url(Cluster), [{cluster, Cluster} | Config]);
init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() -> with_client(md_database:create(), Config) end).

with_client(Database, Config) ->
    Client = md_client:open(md_database:with_tables(Database)),
    [{database, Database}, {client, Client} | Config].

end_per_testcase(a_hung_database_slows_neither_lookups_nor_files, Config) ->
    md_cluster:stop(?config(cluster, Config));
end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% The hour between two polls: whatever a node shows earlier came by PostgreSQL's notification. The lease of an hour: no
%% search for removals runs meanwhile, so all failed operations are the case's own.
environment(Database, Options) ->
    Service = #{database => Database, poll_interval => ?HOUR, removal_lease => ?HOUR},
    #{host_types => [?TYPE], service_domain_db => maps:merge(Service, Options)}.

start(Database, Options) ->
    Node = md_node:start(environment(Database, Options)),
    md_node:wait_until_following(Node),
    Node.

%% Kills the node's process at once.
kill(Node) ->
    Pid = md_node:call(Node, os, getpid, []),
    Monitor = monitor(process, Node),
    true = unlink(Node),
    "" = os:cmd("kill -KILL " ++ Pid),
    receive {'DOWN', Monitor, process, Node, _} -> ok end.

insert(Node, Domain) ->
    md_node:call(Node, mongoose_domain_api, insert_domain, [Domain, ?TYPE]).

handlers(Node, Function, Args) ->
    md_node:call(Node, md_handlers, Function, Args).

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

enabled(Config) ->
    Rows = query(Config, "SELECT domain, host_type FROM domain_settings WHERE status = 1"),
    maps:from_list([{Domain, Type} || [Domain, Type] <- Rows]).

domains(Config) ->
    maps:keys(enabled(Config)).

%% Concurrent writers make events visible out of order: a node that has seen the newest may still wait for others.
wait_until_shown(Node, Config) ->
    md_wait:until(fun() -> md_node:routes(Node) end, enabled(Config)).

rows_without_event(Config) ->
    query(Config, "SELECT domain FROM domain_settings WHERE domain NOT IN (SELECT domain FROM domain_events)").

%% Returns when no connection to this database except the client's executes a statement.
wait_until_idle(Config) ->
    md_wait:until(fun() ->
        query(Config, "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() "
                      "AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()")
    end, []).

%% Nodes that die

a_killed_node_loses_no_addition_that_it_confirmed(Config) ->
    Database = ?config(database, Config),
    [Adding, Following] = md_node:start_many([environment(Database, #{}) || _ <- [1, 2]]),
    [md_node:wait_until_following(Node) || Node <- [Adding, Following]],
    File = filename:join(?config(priv_dir, Config), "confirmed"),
    Lists = [md_names:numbered(<<"adder", Adder, "-">>, 1250) || Adder <- "abcdefgh"],
    ok = md_node:call(Adding, md_adders, start_noting, [?TYPE, File, Lists]),
    Enough = 200 + rand:uniform(300),
    md_wait:until(fun() -> length(confirmed(File)) >= Enough end),
    ok = kill(Adding),
    Confirmed = confirmed(File),
    ct:pal("~b additions were confirmed", [length(Confirmed)]),
    ?assert(length(Confirmed) < 10000),
    %% The database may still execute the node's last statements.
    wait_until_idle(Config),
    ?assertEqual([], Confirmed -- lists:append(Lists)),
    ?assertEqual([], Confirmed -- domains(Config)),
    ?assertEqual([], domains(Config) -- lists:append(Lists)),
    ?assertEqual([], rows_without_event(Config)),
    wait_until_shown(Following, Config),
    ?assertMatch({ok, _}, insert(Following, ?A)).

confirmed(File) ->
    case file:read_file(File) of
        {ok, Text} -> binary:split(Text, <<"\n">>, [global, trim]);
        {error, enoent} -> []
    end.

start_with_a_handler_that_waits(Config) ->
    Environment = environment(?config(database, Config), #{removal_lease => 1500}),
    Nodes = md_node:start_many([Environment, Environment]),
    [begin
        md_node:wait_until_following(Node),
        ok = handlers(Node, register, [?TYPE, first, 10]),
        ok = handlers(Node, behave, [first, wait])
     end || Node <- Nodes],
    Nodes.

another_node_finishes_the_removals_of_a_killed_one(Config) ->
    [Removing, Other] = start_with_a_handler_that_waits(Config),
    Domains = md_names:numbered(<<"removed-">>, 20),
    [{ok, _} = insert(Removing, Domain) || Domain <- [?A | Domains]],
    [?assertMatch({ok, #{status := deleting}},
                  md_node:call(Removing, mongoose_domain_api, request_delete_domain, [Domain, ?TYPE])) || Domain <- Domains],
    md_wait:until(fun() -> handlers(Removing, calls, []) =/= [] end),
    ok = kill(Removing),
    ?assertEqual(20, length(md_node:call(Other, mongoose_domain_api, get_removals, []))),
    ok = handlers(Other, behave, [first, ok]),
    md_wait:until(fun() -> md_node:call(Other, mongoose_domain_api, get_removals, []) end, []),
    ?assertEqual([[?A, <<"1">>]], query(Config, "SELECT domain, status FROM domain_settings")),
    %% Every domain passed the handlers and has three events: added, marked and deleted.
    ?assertEqual(lists:sort(Domains), lists:usort([Domain || {first, ?TYPE, Domain} <- handlers(Other, calls, [])])),
    ?assertEqual(lists:sort([[?A, <<"1">>] | [[Domain, <<"3">>] || Domain <- Domains]]),
                 lists:sort(query(Config, "SELECT domain, count(*) FROM domain_events GROUP BY domain"))),
    wait_until_shown(Other, Config).

%% Another program deletes and adds the first domain and enables the second.
a_domain_that_is_added_again_while_its_removers_node_is_dead_loses_nothing(Config) ->
    [Removing, Other] = start_with_a_handler_that_waits(Config),
    [begin
        {ok, _} = insert(Removing, Domain),
        {ok, _} = md_node:call(Removing, mongoose_domain_api, request_delete_domain, [Domain, ?TYPE])
     end || Domain <- [?A, ?B]],
    md_wait:until(fun() -> length(handlers(Removing, calls, [])) end, 2),
    ok = kill(Removing),
    ok = md_writer:write_and_notify(?config(client, Config), [{delete, [?A]}, {add, ?TYPE, [?A]}, {enable, [?B]}]),
    md_wait:until(fun() -> md_node:count(Other, domain_removal_ended) end, 2),
    ?assertEqual([], query(Config, "SELECT domain FROM domain_removals")),
    ?assertEqual([], handlers(Other, calls, [])),
    ?assertEqual([?A, ?B], lists:sort(domains(Config))),
    wait_until_shown(Other, Config).

%% A database that hangs

%% One node has a long time-out and a long queue, so all its callers wait; the other node has neither.
a_hung_database_slows_neither_lookups_nor_files(Config) ->
    Database = ?config(database, Config),
    Patient = start(Database, #{pool_size => 4, queue_limit => 200, operation_timeout => ?HOUR, statement_timeout => ?HOUR,
                                lock_timeout => ?HOUR}),
    Hasty = start(Database, #{pool_size => 4, queue_limit => 100, operation_timeout => 2000}),
    Held = names(<<"held-">>, 4),
    ?assertEqual([], failed(add(Patient, [?A | Held]))),
    %% This addition opens a connection.
    wait_until_added(Hasty, <<"before.example">>),
    Locker = hold_each_worker(Patient, Held, Config),
    ok = md_cluster:freeze(?config(cluster, Config)),
    Waiting = names(<<"waiting-">>, 200),
    Waiters = start_adding(Patient, Waiting),
    ?assertEqual({100000, 1000}, md_node:call(Patient, md_adders, use_the_node, [?A, 100000, 1000])),
    ?assertEqual(#{}, answers(Patient, Waiters)),

    %% The queue is full, and no worker takes anything from it.
    Late = names(<<"late-">>, 16),
    Refused = add(Patient, Late),
    ?assertEqual(lists:sort(Late), lists:sort(with_answer({error, overloaded}, Refused))),
    ?assertEqual(#{}, answers(Patient, Waiters)),

    %% All callers get an answer while the database hangs, and the node goes on.
    Answers = add(Hasty, names(<<"hurried-">>, 400)),
    ?assertEqual([], [Answer || Answer <- maps:values(Answers), not is_refusal(Answer)]),
    %% The statements of the workers, each of one addition or of several: the database has received them and may execute them.
    ?assertNotEqual([], [Text || {timeout, Text} = Answer <- maps:values(Answers), is_in_doubt(Answer)]),
    ?assertEqual({1000, 10}, md_node:call(Hasty, md_adders, use_the_node, [?A, 1000, 10])),
    %% Each of these changes loses a connection until none is left: there are at most four, and new ones hang.
    Later = [{Domain, insert(Hasty, Domain)} || Domain <- names(<<"later-">>, 5)],
    ?assertEqual([], [Answer || {_Domain, Answer} <- Later, not is_refusal(Answer)]),
    {_, Last} = lists:last(Later),
    ?assertEqual({true, Last}, {is_surely_not_made(Last), Last}),

    ok = md_cluster:thaw(?config(cluster, Config)),
    [] = md_client:query(Locker, "COMMIT"),
    md_wait:until(fun() -> map_size(answers(Patient, Waiters)) end, 200),
    ?assertEqual([], failed(answers(Patient, Waiters))),
    wait_until_idle(Config),
    Domains = domains(Config),
    ?assertEqual([], Waiting -- Domains),
    %% No change that was reported as not made was made.
    ?assertEqual([], [Domain || {Domain, Answer} <- maps:to_list(maps:merge(Refused, Answers)) ++ Later,
                                is_surely_not_made(Answer), lists:member(Domain, Domains)]),
    ?assertEqual([], rows_without_event(Config)),
    [wait_until_added(Node, Domain) || {Node, Domain} <- [{Patient, <<"x.example">>}, {Hasty, <<"y.example">>}]],
    wait_until_shown(Patient, Config).

%% Each worker waits for the lock of one of these rows. They are locked until the returned client commits.
hold_each_worker(Node, Domains, Config) ->
    Locker = md_client:open(?config(database, Config)),
    [_ | _] = md_client:query(Locker, "BEGIN; SELECT domain FROM domain_settings WHERE domain LIKE 'held-%' FOR UPDATE"),
    lists:foldl(fun(Domain, Count) ->
        %% Two at the same time would be one statement of one worker.
        _ = spawn_link(fun() -> {ok, _} = md_node:call(Node, mongoose_domain_api, disable_domain, [Domain]) end),
        md_wait:until(fun() ->
            query(Config, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        end, [[integer_to_binary(Count)]]),
        Count + 1
    end, 1, Domains),
    Locker.

%% A node whose limit is short may need more than one attempt on a slow machine.
wait_until_added(Node, Domain) ->
    md_wait:until(fun() -> insert(Node, Domain) end, {ok, #{domain => Domain, host_type => ?TYPE}}).

names(Prefix, Count) ->
    md_names:numbered(Prefix, Count).

add(Node, Domains) ->
    md_node:call(Node, md_adders, add, [?TYPE, Domains]).

start_adding(Node, Domains) ->
    md_node:call(Node, md_adders, start, [?TYPE, Domains]).

answers(Node, Adders) ->
    md_node:call(Node, md_adders, answers, [Adders]).

failed(Answers) ->
    [Pair || {Domain, Answer} = Pair <- maps:to_list(Answers), Answer =/= {ok, #{domain => Domain, host_type => ?TYPE}}].

with_answer(Wanted, Answers) ->
    [Domain || {Domain, Answer} <- maps:to_list(Answers), Answer =:= Wanted].

%% An error whose text says whether the change may have been made.
is_refusal({error, overloaded}) -> true;
is_refusal({Tag, _} = Answer) when Tag =:= timeout; Tag =:= db_error ->
    is_surely_not_made(Answer) orelse is_in_doubt(Answer);
is_refusal(_Answer) -> false.

is_surely_not_made({error, overloaded}) -> true;
is_surely_not_made({_Tag, Text}) -> says(<<"nothing was changed">>, Text).

is_in_doubt({error, overloaded}) -> false;
is_in_doubt({_Tag, Text}) -> says(<<"the change may have been made">>, Text).

says(Words, Text) ->
    is_binary(Text) andalso binary:match(Text, Words) =/= nomatch.

a_call_that_times_out_says_so(Config) ->
    %% The only worker is connected after the first change, so the second one waits for the lock, and for nothing else.
    Node = start(?config(database, Config), #{pool_size => 1, lock_timeout => ?HOUR, statement_timeout => ?HOUR}),
    ?assertMatch({ok, _}, insert(Node, ?A)),
    Locking = md_client:open(?config(database, Config)),
    [] = md_client:query(Locking, "BEGIN; LOCK TABLE domain_settings"),
    Answer = {timeout, Text} = insert(Node, ?B),
    ?assertEqual({true, Text}, {is_in_doubt(Answer), Text}),
    ?assertMatch([{error, #{doubt := timeout, reason := <<_, _/binary>>}}], md_node:logged(Node, domain_operation_not_done)),
    [] = md_client:query(Locking, "COMMIT"),
    %% The change was made: the statement was not cancelled.
    md_wait:until(fun() -> lists:sort(domains(Config)) end, [?A, ?B]),
    [?assertMatch({ok, _}, insert(Node, Domain)) || Domain <- [?B, <<"c.example">>]],
    ?assertEqual([[?A], [?B], [<<"c.example">>]], query(Config, "SELECT domain FROM domain_events ORDER BY id")).

%% Connections that break

a_lost_connection_is_replaced(Config) ->
    Node = start(?config(database, Config), #{}),
    [begin
        ?assertEqual([], failed(add(Node, names(<<"round", Round, "-before-">>, 8)))),
        cut_connections(Config),
        ?assertEqual([], failed(add(Node, names(<<"round", Round, "-after-">>, 8))))
     end || Round <- "12345678"],
    ?assertEqual([], md_node:logged(Node, domain_operation_not_done)).

%% Ends all connections except the client's; they are gone when this returns.
cut_connections(Config) ->
    Pids = lists:append(query(Config, "SELECT pid FROM pg_stat_activity "
                                      "WHERE datname = current_database() AND pid <> pg_backend_pid()")),
    ?assertNotEqual([], Pids),
    List = lists:join(",", Pids),
    _ = query(Config, ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN (", List, ")"]),
    md_wait:until(fun() -> query(Config, ["SELECT pid FROM pg_stat_activity WHERE pid IN (", List, ")"]) end, []).

a_change_while_the_database_is_away_is_refused_in_words(Config) ->
    {Gate, Database} = gate(Config),
    Node = start(Database, #{}),
    ?assertMatch({ok, _}, insert(Node, ?A)),
    [begin
        ok = md_gate:Away(Gate),
        Before = md_node:logged(Node, domain_operation_not_done),
        Answer = {Tag, Text} = insert(Node, ?B),
        ?assert(lists:member(Tag, [db_error, timeout])),
        ?assertEqual({true, Text}, {is_surely_not_made(Answer), Text}),
        %% The node prolongs its leases meanwhile, which may fail, too.
        [_ | _] = Reasons = [Reason || {error, #{reason := Reason}} <- md_node:logged(Node, domain_operation_not_done) -- Before],
        %% The log contains the reason, the answer does not.
        ?assert(lists:all(fun(Reason) -> byte_size(Reason) > 0 end, Reasons)),
        [?assertEqual({nomatch, Text}, {binary:match(Text, Word), Text})
         || Word <- [integer_to_binary(md_gate:port(Gate)), <<"refused">>, <<"connect">> | Reasons]]
     end || Away <- [close, stall]],
    ?assertEqual([?A], domains(Config)),
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> element(1, insert(Node, ?B)) end, ok),
    ?assertEqual([?A, ?B], lists:sort(domains(Config))).

%% No call fails after a long absence: a call has far more time than a new connection needs.
changes_work_as_soon_as_the_database_is_back(Config) ->
    {Gate, Database} = gate(Config),
    Node = start(Database, #{operation_timeout => 3000, pool_size => 2}),
    ?assertMatch({ok, _}, insert(Node, ?A)),
    ok = md_gate:close(Gate),
    [?assertEqual([], [Answer || Answer <- maps:values(add(Node, names(<<"away-">>, 4))), not is_surely_not_made(Answer)])
     || _ <- [1, 2, 3]],
    ok = md_gate:open(Gate),
    ?assertMatch({ok, _}, insert(Node, ?B)).
