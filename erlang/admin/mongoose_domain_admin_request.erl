%% Answers the requests of the admin program. Changes and listings of domains become calls of mongoose_domain_api, so that
%% all doors obey the same rules. A password is checked without it, since an integration may call a failure a wrong password.
%% Freshness, the status, the doctor and the metrics come from the modules that have them.
%%
%% The result is `{ok, Value}' or `{refused, Tag, Text}', whose text is empty where the API has none.
-module(mongoose_domain_admin_request).

-export([answer/1]).

-type result() :: {ok, term()} | {refused, Tag :: atom(), Text :: binary()}.

%% @doc The answer to a request. Fails with function_clause for one that makes no sense.
-spec answer(term()) -> result().
answer(Request) ->
    answered(call(Request)).

call(service) ->
    case service_domain_db:enabled() of
        true -> ok;
        false -> {service_disabled, <<"Dynamic domains service is disabled">>}
    end;
call({insert, Pairs}) -> {ok, [answered(Result) || Result <- mongoose_domain_api:insert_domains(Pairs)]};
call({delete, Domain, HostType}) -> mongoose_domain_api:delete_domain(Domain, HostType);
call({request_delete, Domain, HostType}) -> mongoose_domain_api:request_delete_domain(Domain, HostType);
call({enable, Domain}) -> mongoose_domain_api:enable_domain(Domain);
call({disable, Domain}) -> mongoose_domain_api:disable_domain(Domain);
call({details, Domain}) -> mongoose_domain_api:get_domain_details(Domain);
call({list, Listing}) -> mongoose_domain_api:list_domains(Listing);
call({removal, Domain}) -> mongoose_domain_api:removal_status(Domain);
call(removals) -> mongoose_domain_api:get_removals();
call(statics) -> {ok, mongoose_domain_api:get_all_static()};
call({host_type, Domain}) -> mongoose_domain_api:get_domain_host_type(Domain);
call({serving, Names}) -> {ok, serving(Names)};
call({subdomains, Domain}) ->
    %% A name that is a domain, too, does not belong to the admin of its parent.
    {ok, [Name || #{subdomain := Name} <- mongoose_domain_api:get_all_subdomains_for_domain(Domain),
                  {no_domain, _} <- [mongoose_domain_nif:name_use(Name)]]};
call({domains_by_host_type, HostType}) -> mongoose_domain_api:check_host_type_and_get_domains(HostType);
call({set_password, Domain, Password}) -> mongoose_domain_api:set_domain_password(Domain, Password);
call({delete_password, Domain}) -> mongoose_domain_api:delete_domain_password(Domain);
call({check_password, Domain, Password}) -> mongoose_domain_password:check(Domain, Password);
call({upsert_freshness, Domain, TTL}) -> mongoose_domain_freshness:upsert(Domain, TTL);
call(freshness) -> mongoose_domain_freshness:details();
call(fresh) -> mongoose_domain_freshness:list();
call(status) -> {ok, service_domain_db:status()};
call({changes, After, Limit}) -> mongoose_domain_api:get_changes(After, Limit);
call(doctor) -> {ok, mongoose_domain_doctor:examine()};
call(overview) -> {ok, overview()};
call(metrics) -> {ok, mongoose_domain_metrics:collect()};
call(readiness) -> {ok, mongoose_domain_metrics:readiness()}.

%% The host type of each name, by this node's table alone. Until the dynamic domains are loaded, a name that is not found
%% is unknown. Readiness is read first, since the domains may be loaded meanwhile.
serving(Names) ->
    Otherwise = case mongoose_domain_metrics:readiness() of
        ready -> not_found;
        _NotYet -> not_loaded
    end,
    [case mongoose_domain_api:get_host_type(Name) of
         {ok, HostType} -> #{host_type => HostType};
         {error, not_found} -> Otherwise
     end || Name <- Names].

%% What this node is, and what it is doing.
overview() ->
    {Static, Dynamic} = mongoose_domain_nif:counts(),
    [_Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    {ok, Version} = application:get_key(mongoose_domain, vsn),
    #{node => node(), version => list_to_binary(Version), host_types => HostTypes,
      domains => #{static => Static, dynamic => Dynamic}, follower => service_domain_db:status()}.

answered(ok) -> {ok, ok};
answered({ok, Value}) -> {ok, Value};
answered(List) when is_list(List) -> {ok, List};
answered({error, Tag}) when is_atom(Tag) -> {refused, Tag, <<>>};
answered({overloaded, _IntegrationsText}) -> {refused, overloaded, <<>>};
answered({Tag, Text}) when is_atom(Tag), is_binary(Text) -> {refused, Tag, Text}.
