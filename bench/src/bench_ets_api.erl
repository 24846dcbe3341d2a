%% The API of the baseline. It adds one call, as mongoose_domain_api does on our side.
-module(bench_ets_api).

-export([get_host_type/1, get_any_host_type/1]).

%% @doc The host type of a domain.
-spec get_host_type(binary()) -> {ok, binary()} | {error, not_found}.
get_host_type(Domain) ->
    bench_ets:get_host_type(Domain).

%% @doc The host type of a domain or a subdomain.
-spec get_any_host_type(binary()) -> {ok, binary()} | {error, not_found}.
get_any_host_type(Name) ->
    bench_subdomains:ets_get_host_type(Name).
