%% The baseline: a lookup in an ETS table.
%%
%% The table has the layout of MongooseIM's: `{Domain, HostType, {dynamic, Pid}}' in a protected named set with read
%% concurrency. This code is our own and does only what is measured. It is called through bench_ets_api, so that both
%% sides make the same number of calls.
-module(bench_ets).

-export([new/0, insert/2, remove/1, delete/0, get_host_type/1, get_domains_by_host_type/1, bytes/0]).

%% @doc Creates the table. The calling process owns it, and only that process may write to it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [set, protected, named_table, {read_concurrency, true}]),
    ok.

%% @doc Inserts one domain.
-spec insert(binary(), binary()) -> ok.
insert(Domain, HostType) ->
    true = ets:insert(?MODULE, {Domain, HostType, {dynamic, self()}}),
    ok.

%% @doc Removes one domain.
-spec remove(binary()) -> ok.
remove(Domain) ->
    true = ets:delete(?MODULE, Domain),
    ok.

%% @doc Deletes the table.
-spec delete() -> ok.
delete() ->
    true = ets:delete(?MODULE),
    ok.

%% @doc The host type of a domain.
-spec get_host_type(binary()) -> {ok, binary()} | {error, not_found}.
get_host_type(Domain) ->
    case ets:lookup(?MODULE, Domain) of
        [{_Domain, HostType, _Source}] -> {ok, HostType};
        [] -> {error, not_found}
    end.

%% @doc All domains of a host type.
-spec get_domains_by_host_type(binary()) -> [binary()].
get_domains_by_host_type(HostType) ->
    [Domain || [Domain] <- ets:match(?MODULE, {'$1', HostType, '_'})].

%% @doc The size of the table in bytes, as ETS reports it.
-spec bytes() -> pos_integer().
bytes() ->
    ets:info(?MODULE, memory) * erlang:system_info(wordsize).
