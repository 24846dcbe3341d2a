%% Watches this node's table for domains that come one after the other.
%%
%% A timer's millisecond is too coarse, and asking without a pause would keep a core busy that the databases
%% and followers need. So it sleeps until the service hears something, which it does when its thread is
%% about to change the table, and asks without a pause from then on, until the table shows the domain. Were
%% nothing heard, it would look every millisecond all the same.
-module(bench_watcher).

-export([start/1, seen/0]).

%% Lookups, some milliseconds of them.
-define(SOON, 20000).

%% @doc A process that watches for the first of these domains, then for the second, and so on.
-spec start([binary()]) -> ok.
start(Domains) ->
    true = register(?MODULE, spawn(fun() ->
        1 = erlang:trace(whereis(service_domain_db), true, ['receive']),
        Times = [see(Domain) || Domain <- Domains],
        receive {seen, From} -> From ! {?MODULE, Times} end
    end)),
    ok.

%% @doc What the monotonic clock (os:perf_counter/0) said when each of them answered, in their order.
%% Waits until all of them do.
-spec seen() -> [integer()].
seen() ->
    ?MODULE ! {seen, self()},
    receive {?MODULE, Times} -> Times end.

see(Domain) ->
    ok = forget(),
    case mongoose_domain_api:get_host_type(Domain) of
        {ok, _HostType} ->
            os:perf_counter();
        {error, not_found} ->
            receive
                {trace, _Service, 'receive', _Message} -> see(Domain, ?SOON)
            after 1 ->
                see(Domain)
            end
    end.

%% Without a pause, but not for ever: what was heard may have been something else.
see(Domain, 0) ->
    see(Domain);
see(Domain, Left) ->
    case mongoose_domain_api:get_host_type(Domain) of
        {ok, _HostType} -> os:perf_counter();
        {error, not_found} -> see(Domain, Left - 1)
    end.

%% What was heard of other changes.
forget() ->
    receive
        {trace, _Service, 'receive', _Message} -> forget()
    after 0 ->
        ok
    end.
