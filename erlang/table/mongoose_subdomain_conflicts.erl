%% Names that are claimed more than once, each reported once.
%%
%% The reports are MongooseIM's: `check_domain_name_failed' for a new domain whose name is a subdomain,
%% `check_subdomain_name_failed' for a new subdomain whose name is a domain, `subdomains_collision' for one name that two
%% patterns make. They change nothing: the native table decides which host type serves the name. A t() holds what was
%% reported until one of the two is gone, for a hundred names; that there are more is reported, too, once.
-module(mongoose_subdomain_conflicts).

-export([new/0, is_domain_in_conflict/1, is_subdomain_in_conflict/1, check_domain/2, check_subdomain/2, forget/2, forget_pattern/2, forget_ended/1]).

-export_type([t/0]).

-include("../base/mongoose_domain_log.hrl").

%% As many as the node's logger takes at a time.
-define(LIMIT, 100).

-opaque t() :: #{{domain | pattern, Name :: binary()} | too_many => reported}.

%% @doc Nothing was reported.
-spec new() -> t().
new() ->
    #{}.

%% @doc Whether check_domain/2 would report it.
-spec is_domain_in_conflict(mongoose_domain_core:domain()) -> boolean().
is_domain_in_conflict(Domain) ->
    {Use, Claims} = mongoose_domain_nif:name_use(Domain),
    Use =:= domain andalso Claims > 0.

%% @doc Whether check_subdomain/2 would report it.
-spec is_subdomain_in_conflict(binary()) -> boolean().
is_subdomain_in_conflict(Name) ->
    case mongoose_domain_nif:name_use(Name) of
        {domain, Claims} -> Claims > 0;
        {no_domain, Claims} -> Claims > 1
    end.

%% @doc Reports a domain that is a subdomain, too.
-spec check_domain(mongoose_domain_core:domain(), t()) -> t().
check_domain(Domain, Reported) ->
    case is_domain_in_conflict(Domain) of
        true -> report({domain, Domain}, #{what => check_domain_name_failed, domain => Domain}, Reported);
        false -> Reported
    end.

%% @doc Reports a subdomain that is a domain, or another subdomain, too.
-spec check_subdomain(binary(), t()) -> t().
check_subdomain(Name, Reported) ->
    Use = mongoose_domain_nif:name_use(Name),
    case Use of
        {no_domain, Claims} when Claims < 2 -> Reported;
        _ -> report_subdomain(Name, Use, Reported)
    end.

report_subdomain(_Name, {domain, 0}, Reported) ->
    Reported; % it is no subdomain any more
report_subdomain(Name, {domain, 1}, Reported) ->
    report({domain, Name}, #{what => check_subdomain_name_failed, subdomain => Name}, Reported);
report_subdomain(Name, {domain, _More}, Reported) ->
    report_subdomain(Name, {no_domain, 2}, report_subdomain(Name, {domain, 1}, Reported));
report_subdomain(Name, {no_domain, _More}, Reported) ->
    report({pattern, Name}, #{what => subdomains_collision, subdomain => Name}, Reported).

report(Conflict, _Report, Reported) when is_map_key(Conflict, Reported); is_map_key(too_many, Reported) ->
    Reported;
report(_Conflict, Report, Reported) when map_size(Reported) >= ?LIMIT ->
    ?LOG_ERROR(Report#{what => subdomain_conflicts_not_reported, limit => ?LIMIT}),
    Reported#{too_many => reported};
report(Conflict, Report, Reported) ->
    ?LOG_ERROR(Report),
    Reported#{Conflict => reported}.

%% @doc Something of these names is gone; should it come again, that is reported again.
-spec forget([binary()], t()) -> t().
forget(_Names, Reported) when Reported =:= #{} ->
    Reported;
forget(Names, Reported) ->
    with_room(maps:without([{Of, Name} || Of <- [domain, pattern], Name <- Names], Reported), Reported).

%% As long as nothing is over, it stays said that there are too many.
with_room(Left, Reported) when map_size(Left) =:= map_size(Reported) -> Reported;
with_room(Left, _Reported) -> maps:remove(too_many, Left).

%% @doc The pattern is gone, and with it the subdomains that it made.
-spec forget_pattern(mongoose_subdomain_utils:subdomain_pattern(), t()) -> t().
forget_pattern({fqdn, Name}, Reported) ->
    forget([Name], Reported);
forget_pattern({prefix, Prefix}, Reported) ->
    Bytes = byte_size(Prefix),
    forget([Name || {_, <<Begin:Bytes/binary, _/binary>> = Name} <- maps:keys(Reported), Begin =:= Prefix], Reported).

%% @doc Forgets all that are no conflicts any more.
-spec forget_ended(t()) -> t().
forget_ended(Reported) ->
    with_room(maps:filter(fun(Conflict, reported) -> is_there(Conflict) end, Reported), Reported).

is_there({domain, Name}) ->
    {Domain, Claims} = mongoose_domain_nif:name_use(Name),
    Domain =:= domain andalso Claims > 0;
is_there({pattern, Name}) ->
    {_Domain, Claims} = mongoose_domain_nif:name_use(Name),
    Claims > 1;
is_there(too_many) ->
    true.
