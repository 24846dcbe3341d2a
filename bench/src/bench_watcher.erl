%% Watches this node's table for domains that are added one after the other.
%%
%% A timer's millisecond is too coarse, and lookups without a pause would occupy a core that the database and the
%% followers need. So the watcher sleeps until the service receives a message, which its native thread sends when it is
%% about to change the table. From then on it looks up without a pause until the table shows the domain. Without a
%% message it looks up every millisecond.
-module(bench_watcher).

-export([start/1, seen/0]).

%% The number of lookups without a pause: some milliseconds.
-define(SOON, 20000).

%% @doc Starts a process that watches for the first of these domains, then for the second, and so on.
-spec start([binary()]) -> ok.
start(Domains) ->
    true = register(?MODULE, spawn(fun() ->
        1 = erlang:trace(whereis(service_domain_db), true, ['receive']),
        Times = [see(Domain) || Domain <- Domains],
        receive {seen, From} -> From ! {?MODULE, Times} end
    end)),
    ok.

%% @doc Waits until lookups have found all domains, and returns the reading of the monotonic clock (os:perf_counter/0)
%% at which each was found, in their order.
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

%% Looks up without a pause, but not for ever: the message may have meant something else.
see(Domain, 0) ->
    see(Domain);
see(Domain, Left) ->
    case mongoose_domain_api:get_host_type(Domain) of
        {ok, _HostType} -> os:perf_counter();
        {error, not_found} -> see(Domain, Left - 1)
    end.

%% Discards messages about earlier changes.
forget() ->
    receive
        {trace, _Service, 'receive', _Message} -> forget()
    after 0 ->
        ok
    end.
