%% Subdomains: ours, which are computed, beside an ETS table with a row for each.
%%
%% The baseline does what MongooseIM does: a second table has a row for each subdomain (with its host type, parent,
%% pattern and handler), and a name is searched among the domains first, then there. Ours is called by the same
%% function as for domains. Names are drawn as for domains (bench_lookup), and get one of the prefixes.
%%
%% Memory is measured in two VMs, one for each side: the resident memory with the domains alone, and with five patterns.
%% So is the time until a pattern is registered and every domain has its subdomain.
-module(bench_subdomains).

-export([run/3, memory/2, draw/4]).
-export([ets_new/0, ets_get_host_type/1]).

-define(TABLE, ?MODULE).
-define(PREFIXES, [<<"muc.">>, <<"pubsub.">>, <<"vjud.">>, <<"upload.">>, <<"conference.">>]).

%% @doc Times lookups of subdomains that exist, and of some that do not, in tables that already hold this many Domains.
-spec run(pos_integer(), [pos_integer()], map()) -> [bench:result()].
run(Domains, Processes, Options) ->
    ok = ets_new(),
    ok = ets_register(Domains),
    ok = register_patterns(),
    Cases = [{Keys, Count} || Keys <- [subdomains, missing_subdomains], Count <- Processes],
    Results = [{subdomain_lookup, Facts} || {lookup, Facts} <- bench_lookup:run(Domains, Cases, Options)],
    ok = unregister_patterns(),
    true = ets:delete(?TABLE),
    Results.

%% @doc The memory and time of the subdomains of one side, in a fresh VM whose tables already hold this many Domains.
-spec memory(ets | ours, pos_integer()) -> bench:result().
memory(Side, Domains) ->
    Before = bench_os:resident(),
    {Time, ok} = timer:tc(fun() -> registered(Side, Domains) end),
    After = bench_os:resident(),
    {subdomain_memory, #{side => Side, domains => Domains, patterns => length(?PREFIXES), unit => bytes,
                         resident_before => Before, resident_after => After,
                         bytes_a_domain => (After - Before) / Domains, milliseconds => Time / 1000}}.

registered(ours, _Domains) -> register_patterns();
registered(ets, Domains) -> ok = ets_new(), ets_register(Domains).

register_patterns() ->
    [ok = mongoose_domain_api:register_subdomain(HostType, {prefix, Prefix}, {?MODULE, #{}})
     || HostType <- bench_names:host_types(), Prefix <- ?PREFIXES],
    ok.

unregister_patterns() ->
    [ok = mongoose_domain_api:unregister_subdomain(HostType, {prefix, Prefix})
     || HostType <- bench_names:host_types(), Prefix <- ?PREFIXES],
    ok.

%% @doc As bench_names:draw/4, with a prefix.
-spec draw(pos_integer(), non_neg_integer(), pos_integer(), integer()) -> [binary()].
draw(Count, From, Among, Seed) ->
    Prefixes = list_to_tuple(?PREFIXES),
    Names = lists:zip(lists:seq(1, Count), bench_names:draw(Count, From, Among, Seed)),
    [iolist_to_binary([element(Number rem tuple_size(Prefixes) + 1, Prefixes), Name]) || {Number, Name} <- Names].

%% The baseline

%% @doc Creates the table of subdomains. The calling process owns it.
-spec ets_new() -> ok.
ets_new() ->
    ?TABLE = ets:new(?TABLE, [set, protected, named_table, {read_concurrency, true}]),
    ok.

ets_register(Domains) ->
    Bases = bench_names:bases(),
    lists:foreach(fun(Index) ->
        {Domain, HostType} = {bench_names:name(Index, Bases), bench_names:host_type(Index)},
        [true = ets:insert(?TABLE, {<<Prefix/binary, Domain/binary>>, HostType, Domain, {prefix, Prefix}, {?MODULE, #{}}})
         || Prefix <- ?PREFIXES]
    end, lists:seq(0, Domains - 1)).

%% @doc The host type of a domain, or else of a subdomain.
-spec ets_get_host_type(binary()) -> {ok, binary()} | {error, not_found}.
ets_get_host_type(Name) ->
    case bench_ets:get_host_type(Name) of
        {ok, HostType} -> {ok, HostType};
        {error, not_found} -> ets_subdomain(Name)
    end.

ets_subdomain(Name) ->
    case ets:lookup(?TABLE, Name) of
        [{_Name, HostType, _Parent, _Pattern, _Handler}] -> {ok, HostType};
        [] -> {error, not_found}
    end.
