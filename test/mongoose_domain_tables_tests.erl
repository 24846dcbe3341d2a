%% Tables that outlive their maker as long as the process lives that asked for it.
-module(mongoose_domain_tables_tests).

-include_lib("eunit/include/eunit.hrl").

-define(M, mongoose_domain_tables).
-define(TABLE, ?MODULE).

all_test_() ->
    {foreach, fun() -> ok = ?M:forget() end, fun(_) -> ok = ?M:forget() end,
     [{with, [Test]} || Test <- [fun without_keeping_a_table_ends_with_its_maker/1, fun a_table_is_kept_whatever_its_maker_ends_with/1,
                                 fun a_kept_table_can_be_read_meanwhile/1, fun it_ends_with_the_run/1,
                                 fun another_run_begins_anew/1, fun what_is_forgotten_is_gone/1]]}.

without_keeping_a_table_ends_with_its_maker(_) ->
    ?assertEqual(created, made(fun() -> exit(killed) end)),
    ?assertEqual(undefined, ets:whereis(?TABLE)),
    ?assertEqual(created, made(fun() -> ok end)).

a_table_is_kept_whatever_its_maker_ends_with(_) ->
    new = ?M:keep(),
    [begin
         ?assertEqual(Expected, made(fun() -> exit(Reason) end)),
         ?assertEqual(kept, ?M:keep())
     end || {Expected, Reason} <- [{created, kill}, {kept, shutdown}, {kept, normal}, {kept, crashed}]],
    ?assertEqual([{1, written}], ets:tab2list(?TABLE)).

a_kept_table_can_be_read_meanwhile(_) ->
    new = ?M:keep(),
    created = made(fun() -> ok end),
    ?assertEqual([{1, written}], ets:lookup(?TABLE, 1)),
    true = ets:insert(?TABLE, {2, meanwhile}),
    kept = made(fun() -> ok end),
    ?assertEqual([{2, meanwhile}], ets:lookup(?TABLE, 2)).

it_ends_with_the_run(_) ->
    ok = in_a_process(fun() -> new = ?M:keep(), created = made(fun() -> ok end), ok end),
    md_wait:until(fun() -> {ets:whereis(?TABLE), whereis(?M)} end, {undefined, undefined}).

another_run_begins_anew(_) ->
    new = ?M:keep(),
    created = made(fun() -> ok end),
    ?assertEqual({new, created}, in_a_process(fun() -> {?M:keep(), made(fun() -> ok end)} end)),
    ?assertEqual(new, ?M:keep()).

what_is_forgotten_is_gone(_) ->
    new = ?M:keep(),
    created = made(fun() -> ok end),
    ok = ?M:forget(),
    ?assertEqual(undefined, ets:whereis(?TABLE)),
    ok = ?M:forget(),
    ?assertEqual(new, ?M:keep()),
    ?assertEqual(created, made(fun() -> ok end)).

%% What create/2 answers in a process that writes into the table and then ends so.
made(End) ->
    Self = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Answer = ?M:create(?TABLE, [ordered_set]),
        true = ets:insert(?TABLE, {1, written}),
        Self ! {self(), Answer},
        End()
    end),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    receive {Pid, Answer} -> Answer end.

in_a_process(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({result, Fun()}) end),
    receive {'DOWN', Monitor, process, Pid, {result, Result}} -> Result end.
