%% Runs one Common Test suite in this VM, for scripts/suites, which runs several of them beside each other.
%%
%% It is also the hook that prints the name of each failed test and the reason, in the form that scripts/step looks for.
%% It prints to `user`, since the group leader of a hook writes into the log files of Common Test.
-module(md_suite).

-export([run/2]).
-export([init/2, on_tc_fail/4, on_tc_skip/4]).

%% @doc Runs the suite, prints what it counted (passed, failed, skipped by itself, skipped since its set-up failed) and ends
%% the VM: with 0 when nothing failed.
-spec run(module(), file:filename()) -> no_return().
run(Suite, Logs) ->
    Options = [{dir, filename:dirname(code:which(?MODULE))}, {suite, Suite}, {logdir, Logs}, {auto_compile, false},
        {ct_hooks, [?MODULE]}],
    case ct:run_test(Options) of
        {Passed, Failed, {User, Auto}} ->
            io:format("~nmd_suite: ~b ~b ~b ~b~n", [Passed, Failed, User, Auto]),
            halt(min(1, Failed + Auto));
        {error, Reason} ->
            io:format("~s: ~tp~n", [Suite, Reason]),
            halt(1)
    end.

-spec init(term(), term()) -> {ok, []}.
init(_Id, _Options) ->
    {ok, []}.

-spec on_tc_fail(module(), term(), term(), []) -> [].
on_tc_fail(Suite, Case, Reason, State) ->
    report(Suite, Case, Reason),
    State.

-spec on_tc_skip(module(), term(), term(), []) -> [].
on_tc_skip(Suite, Case, {tc_auto_skip, Reason}, State) ->
    report(Suite, Case, Reason),
    State;
on_tc_skip(_Suite, _Case, _Reason, State) ->
    State.

report(Suite, {Case, Group}, Reason) ->
    io:format(user, "~n%%% ~s ==> ~s.~s: FAILED~n~tp~n", [Suite, Group, Case, Reason]);
report(Suite, Case, Reason) ->
    io:format(user, "~n%%% ~s ==> ~s: FAILED~n~tp~n", [Suite, Case, Reason]).
