%% Watches this node's table for domains that come one after the other.
%%
%% It asks without a pause, as a timer's millisecond would be too coarse, and so keeps one core busy.
-module(bench_watcher).

-export([start/1, seen/0]).

%% @doc A process that watches for the first of these domains, then for the second, and so on.
-spec start([binary()]) -> ok.
start(Domains) ->
    true = register(?MODULE, spawn(fun() ->
        Times = watch(Domains, []),
        receive {seen, From} -> From ! {?MODULE, Times} end
    end)),
    ok.

%% @doc What the monotonic clock (os:perf_counter/0) said when each of them answered, in their order.
%% Waits until all of them do.
-spec seen() -> [integer()].
seen() ->
    ?MODULE ! {seen, self()},
    receive {?MODULE, Times} -> Times end.

watch([], Times) ->
    lists:reverse(Times);
watch([Domain | Others] = Domains, Times) ->
    case mongoose_domain_api:get_host_type(Domain) of
        {ok, _HostType} -> watch(Others, [os:perf_counter() | Times]);
        {error, not_found} -> watch(Domains, Times)
    end.
