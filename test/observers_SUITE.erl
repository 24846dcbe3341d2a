%% Observers of domains: which changes they receive, when, in which order, and which they do not receive.
%%
%% The observer of these tests (md_observer) keeps a map of the domains. In the end it equals the table, whatever
%% changes and crashes happened.
-module(observers_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-import(md_subdomains, [core/3, insert/3, delete/2, restart_core/1]).

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
%% The batches of an observer.
-export([the_first_batch_is_everything/1,
         an_observer_is_notified_after_the_table_shows_it/1,
         changes_are_reported_in_the_order_in_which_they_were_made/1,
         what_changes_nothing_is_not_reported/1,
         every_observer_is_notified/1]).
%% Observers that are slow or have ended.
-export([changes_that_come_meanwhile_are_one_batch/1,
         an_observer_that_hangs_has_one_batch_and_holds_up_nobody/1,
         ten_thousand_changes_wait_and_more_become_everything/1,
         more_changes_than_the_table_notes_become_everything/1,
         an_observer_that_ended_is_forgotten/1,
         sync_waits_for_what_was_changed_before/1]).
%% The core stops and starts.
-export([a_crash_of_the_core_is_followed_by_everything/1,
         a_batch_of_a_core_that_crashed_is_handled_in_vain/1,
         an_observer_that_begins_while_there_is_no_core_is_notified_by_the_next_one/1,
         an_emptied_table_is_reported_as_everything/1,
         the_map_of_an_observer_is_the_table_after_random_changes/1]).
%% With a database.
-export([changes_by_others_are_reported_in_order/1,
         a_changed_host_type_is_reported_as_removed_then_added/1,
         a_first_load_is_reported_as_a_whole/1,
         the_map_of_an_observer_is_the_table_whatever_crashes_while_the_database_changes/1]).

-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(HOUR, 3600000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, telling}, {group, slow}, {group, core}, {group, database}].

groups() ->
    [{telling, [the_first_batch_is_everything,
                an_observer_is_notified_after_the_table_shows_it,
                changes_are_reported_in_the_order_in_which_they_were_made,
                what_changes_nothing_is_not_reported,
                every_observer_is_notified]},
     {slow, [changes_that_come_meanwhile_are_one_batch,
             an_observer_that_hangs_has_one_batch_and_holds_up_nobody,
             ten_thousand_changes_wait_and_more_become_everything,
             more_changes_than_the_table_notes_become_everything,
             an_observer_that_ended_is_forgotten,
             sync_waits_for_what_was_changed_before]},
     {core, [a_crash_of_the_core_is_followed_by_everything,
             a_batch_of_a_core_that_crashed_is_handled_in_vain,
             an_observer_that_begins_while_there_is_no_core_is_notified_by_the_next_one,
             an_emptied_table_is_reported_as_everything,
             the_map_of_an_observer_is_the_table_after_random_changes]},
     {database, [changes_by_others_are_reported_in_order,
                 a_changed_host_type_is_reported_as_removed_then_added,
                 a_first_load_is_reported_as_a_whole,
                 the_map_of_an_observer_is_the_table_whatever_crashes_while_the_database_changes]}].

init_per_group(Group, Config) ->
    [{group, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(_Case, Config) ->
    case ?config(group, Config) of
        database ->
            md_database:or_fail(fun() ->
                Database = md_database:with_tables(md_database:create()),
                Service = #{database => Database, poll_interval => ?HOUR},
                Node = md_node:start((environment())#{service_domain_db => Service}),
                ok = md_node:wait_until_following(Node),
                [{database, Database}, {writer, md_client:open(Database)}, {node, Node} | Config]
            end);
        _ ->
            [{node, md_node:start(environment())} | Config]
    end.

end_per_testcase(_Case, Config) ->
    case ?config(group, Config) of
        database -> md_database:drop(?config(database, Config));
        _ -> ok
    end.

environment() ->
    #{hosts => [{?STATIC, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>]}.

start(Node, Behaviour) ->
    observer(Node, start, [Behaviour]).

observer(Node, Function, Args) ->
    md_node:call(Node, md_observer, Function, Args).

sync(Node, Observer) ->
    ok = md_node:call(Node, mongoose_domain_observers, sync, [Observer]).

%% The batches that it received, once it has handled all.
told(Node, Observer) ->
    sync(Node, Observer),
    observer(Node, told, [Observer]).

changes(Node, Observer) ->
    sync(Node, Observer),
    observer(Node, changes, [Observer]).

added(HostType, Domains) ->
    [{added, HostType, Domain} || Domain <- Domains].

removed(HostType, Domains) ->
    [{removed, HostType, Domain} || Domain <- Domains].

%% All domains of the table, static ones too.
table(Node) ->
    maps:from_list(core(Node, get_all_static, []) ++ core(Node, get_all_dynamic, [])).

assert_model(Node, Observer) ->
    sync(Node, Observer),
    ?assertEqual(table(Node), observer(Node, model, [Observer])).

%% The batches of an observer

the_first_batch_is_everything(Config) ->
    Node = ?config(node, Config),
    ok = insert(Node, <<"type1">>, [?A]),
    Observer = start(Node, ready),
    ?assertEqual([everything], told(Node, Observer)),
    ?assertEqual(#{?A => <<"type1">>, ?STATIC => <<"static type">>}, observer(Node, model, [Observer])),
    ok = insert(Node, <<"type1">>, [<<"b.example">>]),
    ?assertEqual([everything, added(<<"type1">>, [<<"b.example">>])], told(Node, Observer)).

an_observer_is_notified_after_the_table_shows_it(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    Names = md_names:numbered(<<"d">>, 3000),
    ok = insert(Node, <<"type1">>, Names),
    sync(Node, Observer),
    lists:foreach(fun(Name) -> ok = delete(Node, Name) end, lists:sublist(Names, 500)),
    sync(Node, Observer),
    Seen = observer(Node, seen, [Observer]),
    ?assertEqual(3500, length(Seen)),
    ?assertEqual([], [Looked || {{added, HostType, _}, Answer} = Looked <- Seen, Answer =/= {ok, HostType}]),
    ?assertEqual([], [Looked || {{removed, _, _}, Answer} = Looked <- Seen, Answer =/= {error, not_found}]).

changes_are_reported_in_the_order_in_which_they_were_made(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    Made = md_node:call(Node, erlang, apply, [fun() -> make_changes(2000, #{}, []) end, []]),
    ?assertEqual(Made, changes(Node, Observer)),
    assert_model(Node, Observer).

%% Runs in the node: adds and removes a few domains again and again.
make_changes(0, _There, Made) ->
    lists:reverse(Made);
make_changes(Count, There, Made) ->
    Domain = <<"d", (integer_to_binary(Count * 7 rem 30))/binary, ".example">>,
    HostType = <<"type", (integer_to_binary(1 + Count rem 2))/binary>>,
    case There of
        #{Domain := Its} ->
            ok = mongoose_domain_core:delete(Domain),
            make_changes(Count - 1, maps:remove(Domain, There), [{removed, Its, Domain} | Made]);
        #{} ->
            ok = mongoose_domain_core:insert(Domain, HostType, 1),
            make_changes(Count - 1, There#{Domain => HostType}, [{added, HostType, Domain} | Made])
    end.

what_changes_nothing_is_not_reported(Config) ->
    Node = ?config(node, Config),
    ok = insert(Node, <<"type1">>, [?A]),
    Observer = start(Node, ready),
    ok = core(Node, insert, [?A, <<"type1">>, 2]),
    {error, bad_insert} = core(Node, insert, [?A, <<"type2">>, 2]),
    {error, static} = core(Node, insert, [?STATIC, <<"type1">>, 2]),
    {error, static} = core(Node, delete, [?STATIC]),
    ok = delete(Node, <<"nowhere.example">>),
    ok = md_subdomains:register(Node, <<"type1">>, {prefix, <<"muc.">>}),
    ?assertEqual([everything], told(Node, Observer)).

every_observer_is_notified(Config) ->
    Node = ?config(node, Config),
    Observers = [start(Node, ready) || _ <- lists:seq(1, 5)],
    ok = insert(Node, <<"type1">>, [?A]),
    ok = delete(Node, ?A),
    Wanted = added(<<"type1">>, [?A]) ++ removed(<<"type1">>, [?A]),
    [?assertEqual(Wanted, changes(Node, Observer)) || Observer <- Observers].

%% Observers that are slow or have ended

%% The other observer has handled all changes, so the core has read them.
changes_that_come_meanwhile_are_one_batch(Config) ->
    Node = ?config(node, Config),
    [Slow, Other] = [start(Node, ready) || _ <- [slow, other]],
    sync(Node, Slow),
    ok = observer(Node, behave, [Slow, holding]),
    Names = md_names:numbered(<<"d">>, 5000),
    First = hold_first(Node, Slow),
    ok = insert(Node, <<"type1">>, Names),
    sync(Node, Other),
    ?assertEqual([everything, First], observer(Node, told, [Slow])),
    ok = observer(Node, behave, [Slow, ready]),
    ?assertEqual([everything, First, added(<<"type1">>, Names)], told(Node, Slow)),
    ?assertEqual(5001, length(changes(Node, Other))),
    [assert_model(Node, Observer) || Observer <- [Slow, Other]].

%% A batch with one change, which the observer does not handle yet.
hold_first(Node, Observer) ->
    ok = insert(Node, <<"type1">>, [<<"first.example">>]),
    First = added(<<"type1">>, [<<"first.example">>]),
    md_wait:until(fun() -> lists:last(observer(Node, told, [Observer])) end, First),
    First.

an_observer_that_hangs_has_one_batch_and_holds_up_nobody(Config) ->
    Node = ?config(node, Config),
    Hanging = [mongoose_subdomain_core, mongoose_lazy_routing],
    [ok = md_node:call(Node, Server, sync, []) || Server <- Hanging],
    [ok = md_node:call(Node, sys, suspend, [Server]) || Server <- Hanging],
    Observer = start(Node, ready),
    [begin
        Names = md_names:numbered(<<"d", (integer_to_binary(Round))/binary, "-">>, 1000),
        ok = insert(Node, <<"type1">>, Names),
        sync(Node, Observer),
        ?assertEqual([{ok, <<"type1">>}], lists:usort(md_node:lookups(Node, Names)))
     end || Round <- lists:seq(1, 5)],
    ?assertEqual(5000, length(changes(Node, Observer))),
    [?assertEqual(1, batches(Node, Server)) || Server <- Hanging],
    [ok = md_node:call(Node, sys, resume, [Server]) || Server <- Hanging],
    [ok = md_node:call(Node, Server, sync, []) || Server <- Hanging].

%% The number of batches in its mailbox.
batches(Node, Name) ->
    Pid = md_node:call(Node, erlang, whereis, [Name]),
    {messages, Messages} = md_node:call(Node, erlang, process_info, [Pid, messages]),
    length([Batch || {domain_changes, Batch, _} <- Messages]).

ten_thousand_changes_wait_and_more_become_everything(Config) ->
    Node = ?config(node, Config),
    [Slow, Other] = [start(Node, ready) || _ <- [slow, other]],
    sync(Node, Slow),
    ok = observer(Node, behave, [Slow, holding]),
    First = hold_first(Node, Slow),
    {Most, [Last]} = lists:split(10000, md_names:numbered(<<"d">>, 10001)),
    ok = insert(Node, <<"type1">>, Most),
    sync(Node, Other),
    ok = observer(Node, handle, [Slow]),
    md_wait:until(fun() -> length(observer(Node, told, [Slow])) end, 3),
    ?assertEqual([everything, First, added(<<"type1">>, Most)], observer(Node, told, [Slow])),
    %% That batch has the largest size. Now one change more than that waits.
    lists:foreach(fun(Name) -> ok = delete(Node, Name) end, [<<"first.example">>]),
    ok = insert(Node, <<"type2">>, md_names:numbered(<<"e">>, 9999)),
    ok = insert(Node, <<"type1">>, [Last]),
    sync(Node, Other),
    ok = observer(Node, behave, [Slow, ready]),
    ?assertEqual([everything, First, added(<<"type1">>, Most), everything], told(Node, Slow)),
    [assert_model(Node, Observer) || Observer <- [Slow, Other]],
    %% Afterwards it receives single changes again.
    ok = delete(Node, Last),
    ?assertEqual(removed(<<"type1">>, [Last]), lists:last(told(Node, Slow))).

%% The core is suspended and reads no changes.
more_changes_than_the_table_notes_become_everything(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_core]),
    Names = md_names:numbered(<<"d">>, 16385),
    ok = insert(Node, <<"type1">>, Names),
    ?assertEqual([{ok, <<"type1">>}], lists:usort(md_node:lookups(Node, Names))),
    ok = md_node:call(Node, sys, resume, [mongoose_domain_core]),
    ?assertEqual([everything, everything], told(Node, Observer)),
    assert_model(Node, Observer),
    ok = insert(Node, <<"type1">>, [?A]),
    ?assertEqual([everything, everything, added(<<"type1">>, [?A])], told(Node, Observer)).

an_observer_that_ended_is_forgotten(Config) ->
    Node = ?config(node, Config),
    [Observer, Other] = [start(Node, holding) || _ <- [observer, other]],
    Known = fun() ->
        {lists:member({Observer}, md_node:call(Node, ets, tab2list, [mongoose_domain_observers])),
         is_map_key(Observer, md_node:call(Node, sys, get_state, [mongoose_domain_core]))}
    end,
    ?assertEqual({true, true}, Known()),
    %% The end of an observer ends the waiting for it.
    Waiting = spawn_monitor(fun() -> sync(Node, Observer) end),
    true = md_node:call(Node, erlang, exit, [Observer, kill]),
    receive {'DOWN', Monitor, process, Pid, Reason} when {Pid, Monitor} =:= Waiting -> ?assertEqual(normal, Reason) end,
    md_wait:until(Known, {false, false}),
    sync(Node, Observer),
    %% The other observers receive the changes, also from the next core.
    ok = observer(Node, behave, [Other, ready]),
    ok = insert(Node, <<"type1">>, [?A]),
    ?assertEqual([everything, added(<<"type1">>, [?A])], told(Node, Other)),
    _ = md_node:kill(Node, mongoose_domain_core),
    ?assertEqual(everything, lists:last(told(Node, Other))),
    ?assertEqual({false, false}, Known()).

sync_waits_for_what_was_changed_before(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    [begin
        ok = insert(Node, <<"type1">>, [Name]),
        ?assertEqual(added(<<"type1">>, [Name]), lists:last(told(Node, Observer)))
     end || Name <- md_names:numbered(<<"d">>, 50)],
    %% This includes changes whose message the core has not received.
    _ = md_node:call(Node, erlang, apply, [fun change_unheard/0, []]),
    ?assertEqual(added(<<"type1">>, [<<"unheard.example">>]), lists:last(told(Node, Observer))),
    ok = observer(Node, behave, [Observer, holding]),
    ok = insert(Node, <<"type1">>, [?A]),
    Tester = self(),
    _ = spawn_link(fun() -> sync(Node, Observer), Tester ! synced end),
    md_wait:until(fun() -> lists:last(observer(Node, told, [Observer])) end, added(<<"type1">>, [?A])),
    ?assertEqual(waiting, receive synced -> synced after 0 -> waiting end),
    ok = observer(Node, handle, [Observer]),
    receive synced -> ok end.

%% Runs in the node, inside the core, and removes the message about the change.
change_unheard() ->
    sys:replace_state(mongoose_domain_core, fun(State) ->
        ok = mongoose_domain_core:insert(<<"unheard.example">>, <<"type1">>, 1),
        receive domain_changes -> State end
    end).

%% The core stops and starts

a_crash_of_the_core_is_followed_by_everything(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    ok = insert(Node, <<"type1">>, [?A]),
    sync(Node, Observer),
    _ = md_node:kill(Node, mongoose_domain_core),
    ?assertEqual([everything, added(<<"type1">>, [?A]), everything], told(Node, Observer)),
    ok = delete(Node, ?A),
    ?assertEqual(removed(<<"type1">>, [?A]), lists:last(told(Node, Observer))),
    %% The batch `everything' includes the changes that were made without a core.
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_core]),
    ok = insert(Node, <<"type2">>, [?A]),
    _ = md_node:kill(Node, mongoose_domain_core),
    ?assertEqual(everything, lists:last(told(Node, Observer))),
    assert_model(Node, Observer).

a_batch_of_a_core_that_crashed_is_handled_in_vain(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    sync(Node, Observer),
    ok = observer(Node, behave, [Observer, holding]),
    First = hold_first(Node, Observer),
    _ = md_node:kill(Node, mongoose_domain_core),
    md_wait:until(fun() -> observer(Node, told, [Observer]) end, [everything, First, everything]),
    ok = observer(Node, handle, [Observer]), % a batch of the core that was killed
    Other = start(Node, ready),
    ok = insert(Node, <<"type1">>, [?A]),
    sync(Node, Other),
    ?assertEqual([everything, First, everything], observer(Node, told, [Observer])),
    ok = observer(Node, behave, [Observer, ready]),
    ?assertEqual([everything, First, everything, added(<<"type1">>, [?A])], told(Node, Observer)).

an_observer_that_begins_while_there_is_no_core_is_notified_by_the_next_one(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, supervisor, terminate_child, [mongoose_domain_sup, mongoose_domain_core]),
    Starting = spawn_monitor(fun() -> exit({observer, start(Node, ready)}) end),
    md_wait:until(fun() -> length(md_node:call(Node, ets, tab2list, [mongoose_domain_observers])) end, 3),
    {ok, _} = md_node:call(Node, supervisor, restart_child, [mongoose_domain_sup, mongoose_domain_core]),
    receive
        {'DOWN', Monitor, process, Pid, Reason} when {Pid, Monitor} =:= Starting ->
            {observer, Observer} = Reason,
            assert_model(Node, Observer)
    end.

an_emptied_table_is_reported_as_everything(Config) ->
    Node = ?config(node, Config),
    ok = insert(Node, <<"type1">>, [?A]),
    Observer = start(Node, ready),
    ok = restart_core(Node),
    ?assertEqual([everything, everything], told(Node, Observer)),
    ?assertEqual(#{?STATIC => <<"static type">>}, observer(Node, model, [Observer])).

%% The core crashes and the observer is slow at random moments.
the_map_of_an_observer_is_the_table_after_random_changes(Config) ->
    Node = ?config(node, Config),
    Seed = erlang:unique_integer([positive]) + erlang:phash2(make_ref()),
    ct:pal("seed ~p", [Seed]),
    _ = rand:seed(exsss, Seed),
    [Observer, Other] = [start(Node, ready) || _ <- [observer, other]],
    [begin
        ok = observer(Node, behave, [Observer, lists:nth(rand:uniform(2), [ready, holding])]),
        ok = md_node:call(Node, erlang, apply, [fun change_at_random/2, [rand:uniform(1 bsl 30), rand:uniform(4000)]]),
        _ = [md_node:kill(Node, mongoose_domain_core) || Round rem 8 =:= 0],
        assert_model(Node, Other)
     end || Round <- lists:seq(1, 40)],
    ok = observer(Node, behave, [Observer, ready]),
    [assert_model(Node, One) || One <- [Observer, Other]].

%% Runs in the node.
change_at_random(Seed, Count) ->
    _ = rand:seed(exsss, Seed),
    lists:foreach(fun(_) ->
        Domain = <<"d", (integer_to_binary(rand:uniform(300)))/binary, ".example">>,
        _ = case rand:uniform(3) of
            3 -> mongoose_domain_core:delete(Domain);
            Type -> mongoose_domain_core:insert(Domain, <<"type", (integer_to_binary(Type))/binary>>, 1)
        end
    end, lists:seq(1, Count)).

%% With a database

write(Config, Changes) ->
    ok = md_writer:write(?config(writer, Config), Changes).

changes_by_others_are_reported_in_order(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    Names = md_names:some(200),
    [write(Config, [{add, <<"type1">>, [Name]}]) || Name <- Names],
    ok = md_node:sync(Node),
    ?assertEqual(added(<<"type1">>, Names), changes(Node, Observer)),
    Backwards = lists:reverse(Names),
    [ok = md_writer:write_and_notify(?config(writer, Config), [{disable, [Name]}]) || Name <- Backwards],
    ok = md_node:sync(Node),
    ?assertEqual(added(<<"type1">>, Names) ++ removed(<<"type1">>, Backwards), changes(Node, Observer)).

a_changed_host_type_is_reported_as_removed_then_added(Config) ->
    Node = ?config(node, Config),
    write(Config, [{add, <<"type1">>, [?A, <<"b.example">>]}]),
    ok = md_node:sync(Node),
    Observer = start(Node, ready),
    write(Config, [{move, <<"type2">>, [?A]}]),
    ok = md_node:sync(Node),
    ?assertEqual(removed(<<"type1">>, [?A]) ++ added(<<"type2">>, [?A]), changes(Node, Observer)),
    %% The domain always had a route: the new one existed before the observer received the removal of the old one.
    ?assertEqual([{ok, <<"type2">>}], lists:usort([Answer || {_, Answer} <- observer(Node, seen, [Observer])])),
    assert_model(Node, Observer).

a_first_load_is_reported_as_a_whole(Config) ->
    Node = ?config(node, Config),
    Names = md_names:some(3000),
    write(Config, [{add, <<"type1">>, Names}]),
    ok = md_node:sync(Node),
    Observer = start(Node, ready),
    ok = restart_core(Node),
    md_wait:until(fun() -> map_size(md_node:routes(Node)) end, 3000),
    ok = md_node:sync(Node),
    [?assertEqual(everything, News) || News <- told(Node, Observer)],
    assert_model(Node, Observer),
    ?assertEqual(3001, map_size(observer(Node, model, [Observer]))).

the_map_of_an_observer_is_the_table_whatever_crashes_while_the_database_changes(Config) ->
    Node = ?config(node, Config),
    Observer = start(Node, ready),
    Notify = fun(Changes) -> ok = md_writer:write_and_notify(?config(writer, Config), Changes) end,
    Names = md_names:numbered(<<"d">>, 6000),
    {Some, Others} = lists:split(2000, Names),
    Notify([{add, <<"type1">>, Names}]),
    _ = md_node:kill(Node, mongoose_domain_core),
    Notify([{move, <<"type2">>, Some}, {delete, lists:sublist(Others, 1000)}]),
    _ = md_node:kill(Node, mongoose_domain_core),
    Notify([{add, <<"type2">>, lists:sublist(Others, 500)}, {disable, lists:nthtail(3000, Others)}]),
    _ = md_node:kill(Node, service_domain_db),
    Notify([{delete, Some}]),
    ok = restart_core(Node),
    Notify([{enable, lists:nthtail(3500, Others)}]),
    _ = md_node:kill(Node, mongoose_domain_core),
    Client = ?config(writer, Config),
    Wanted = (md_rows:enabled(md_rows:all(Client)))#{?STATIC => <<"static type">>},
    md_wait:until(fun() ->
        case md_node:sync(Node) of
            ok -> table(Node) =:= Wanted;
            Error -> Error
        end
    end),
    assert_model(Node, Observer),
    ?assertEqual(Wanted, observer(Node, model, [Observer])).
