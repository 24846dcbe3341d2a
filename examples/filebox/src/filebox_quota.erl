%% A module of a host type: how many bytes each of its tenants may keep.
%%
%% Other modules call keep/4 before they store an item, and forget/2 after they have deleted one. Each names this module
%% and its options as a dependency, so it is started for them; the configuration need not name it.
-module(filebox_quota).
-behaviour(mongoose_domain_module).

-export([start/2, stop/1, deps/2, supported_features/0, validate/1, remove_domain/2]).
-export([keep/4, forget/2, usage/2]).

-type host_type() :: mongoose_domain_core:host_type().
-type domain() :: mongoose_domain_core:domain().

-spec start(host_type(), #{max_bytes := pos_integer()}) -> ok.
start(HostType, #{max_bytes := Most}) ->
    persistent_term:put({?MODULE, HostType}, Most).

-spec stop(host_type()) -> ok.
stop(HostType) ->
    _ = persistent_term:erase({?MODULE, HostType}),
    ok.

-spec deps(host_type(), map()) -> [mongoose_domain_module:dependency()].
deps(_HostType, _Options) ->
    [{service, filebox_db}].

-spec supported_features() -> [atom()].
supported_features() ->
    [dynamic_domains].

-spec validate(map()) -> ok | {error, string()}.
validate(#{max_bytes := Most}) when is_integer(Most), Most > 0 -> ok;
validate(_Options) -> {error, "max_bytes is how many bytes a tenant may keep"}.

%% @doc Deletes the counts of a tenant that is being removed.
-spec remove_domain(host_type(), domain()) -> ok | {error, string()}.
remove_domain(_HostType, Domain) ->
    done(filebox_db:query("DELETE FROM filebox_usage WHERE domain = ?", [Domain])).

%% @doc Counts these bytes for an item, which is new or replaced, if the tenant's other items leave room for them.
-spec keep(host_type(), domain(), Item :: binary(), Bytes :: non_neg_integer()) -> ok | {error, string()}.
keep(HostType, Domain, Item, Bytes) ->
    Most = persistent_term:get({?MODULE, HostType}),
    Statement = "INSERT INTO filebox_usage (domain, item, bytes) SELECT ?, ?, ? WHERE ? >= ? + "
                "(SELECT coalesce(sum(bytes), 0) FROM filebox_usage WHERE domain = ? AND item <> ?) "
                "ON CONFLICT (domain, item) DO UPDATE SET bytes = excluded.bytes",
    case filebox_db:query(Statement, [Domain, Item, Bytes, Most, Bytes, Domain, Item]) of
        {ok, 1} -> ok;
        {ok, 0} -> {error, "there is no room for that"};
        {error, Reason} -> {error, Reason}
    end.

%% @doc Removes the count of an item.
-spec forget(domain(), Item :: binary()) -> ok | {error, string()}.
forget(Domain, Item) ->
    done(filebox_db:query("DELETE FROM filebox_usage WHERE domain = ? AND item = ?", [Domain, Item])).

%% @doc How many bytes the tenant keeps, and how many it may.
-spec usage(host_type(), domain()) -> {ok, non_neg_integer(), pos_integer()} | {error, string()}.
usage(HostType, Domain) ->
    Most = persistent_term:get({?MODULE, HostType}),
    case filebox_db:query("SELECT coalesce(sum(bytes), 0)::integer FROM filebox_usage WHERE domain = ?", [Domain]) of
        {ok, [{Used}]} -> {ok, Used, Most};
        {error, Reason} -> {error, Reason}
    end.

done({ok, _Count}) -> ok;
done({error, Reason}) -> {error, Reason}.
