%% What the configuration says for each host type, with `all' filled in: handlers of removals, and subdomains.
-module(mongoose_domain_host_type_config).

-export([removal_handlers/1, subdomains/1]).

%% @doc The handlers of removals, for each host type that the configuration has.
-spec removal_handlers(mongoose_domain_config:t()) ->
    [{mongoose_domain_core:host_type(), mongoose_domain_config_components:removal_handler()}].
removal_handlers(#{removal_handlers := Handlers} = Config) ->
    for_each_host_type(Handlers, Config).

%% @doc The subdomains, for each host type that the configuration has.
-spec subdomains(mongoose_domain_config:t()) ->
    [{mongoose_domain_core:host_type(), mongoose_domain_config_components:subdomain()}].
subdomains(#{subdomains := Subdomains} = Config) ->
    for_each_host_type(Subdomains, Config).

%% mongoose_domain_core reports and leaves out what cannot be the name of a host type, so it is left out here, too.
for_each_host_type(Entries, #{hosts := Pairs, host_types := HostTypes}) ->
    All = maps:get(all, Entries, []),
    [{HostType, Entry} || HostType <- lists:uniq([Of || {_Domain, Of} <- Pairs] ++ HostTypes),
                          is_binary(HostType), mongoose_domain_nif:check_host_type(HostType) =:= ok,
                          Entry <- maps:get(HostType, Entries, All)].
