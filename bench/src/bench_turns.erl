%% The cost of ensure_started of a service.
%%
%% One process calls it, or several at the same time, once each. Each call is timed. Three sides take turns:
%%
%%   running   the service already runs with these options, so nothing is done
%%   changed   the service runs with other options, so each call stops and starts it, one call after the other
%%   global    the yardstick: an empty function under a lock of `global' for this node alone
%%
%% This module is the service, whose start and stop do nothing.
-module(bench_turns).

-export([run/1]).
-export([start/1, stop/0]).

-define(SIDES, [running, changed, global]).

%% @doc Measures all three, in a VM in which the application runs.
-spec run(#{callers := [pos_integer()], rounds := pos_integer()}) -> [bench:result()].
run(#{callers := Callers, rounds := Rounds}) ->
    Timings = [{{Side, Count}, time(Side, Count)}
               || _Round <- lists:seq(1, Rounds), Count <- Callers, Side <- ?SIDES],
    [result(Side, Count, lists:append(proplists:get_all_values({Side, Count}, Timings)))
     || Count <- Callers, Side <- ?SIDES].

result(Side, Callers, Timings) ->
    {turns, #{side => Side, callers => Callers, calls => length(Timings), unit => us,
              took => bench_stats:summary(Timings)}}.

%% Returns the microseconds of each call.
time(Side, Callers) ->
    _ = mongoose_domain_services:ensure_started(?MODULE, #{}),
    Self = self(),
    Pids = [spawn_link(fun() ->
        receive go -> ok end,
        Self ! {self(), time(Side)}
    end) || _ <- lists:seq(1, Callers)],
    [Pid ! go || Pid <- Pids],
    [receive {Pid, Took} -> Took end || Pid <- Pids].

time(Side) ->
    Begin = os:perf_counter(),
    ok = ask(Side),
    (os:perf_counter() - Begin) / 1000.

ask(running) ->
    already_started = mongoose_domain_services:ensure_started(?MODULE, #{}),
    ok;
ask(changed) ->
    {restarted, _, ok} = mongoose_domain_services:ensure_started(?MODULE, #{caller => make_ref()}),
    ok;
ask(global) ->
    global:trans({?MODULE, self()}, fun() -> ok end, [node()]).

%% The service

-spec start(map()) -> ok.
start(_Options) ->
    ok.

-spec stop() -> ok.
stop() ->
    ok.
