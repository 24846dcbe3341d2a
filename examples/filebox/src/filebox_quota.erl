%% A module of a host type: how many bytes each of its tenants may keep.
%%
%% Other modules ask it before they store an item, and tell it what they deleted. It is started for them, with the
%% options that they give it; the configuration need not name it.
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

%% @doc What it kept goes with the tenant.
-spec remove_domain(host_type(), domain()) -> ok | {error, string()}.
remove_domain(_HostType, Domain) ->
    done(filebox_db:query("DELETE FROM filebox_usage WHERE domain = ?", [Domain])).

%% @doc Counts these bytes for an item, new or replaced, if there is room for them beside the others.
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

%% @doc Counts the item no more.
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
