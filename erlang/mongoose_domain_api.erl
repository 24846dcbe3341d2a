%% What other applications call. The functions and their results are those of MongooseIM's module of
%% this name.
%%
%% Every function here reads this node's table and no other thing: no process is asked, no database.
%% The table shows a change some milliseconds after the node that made it told the others, and at
%% the latest after the poll interval.
-module(mongoose_domain_api).

-export([get_host_type/1, get_domain_host_type/1]).
-export([get_all_static/0, get_all_dynamic/0, get_domains_by_host_type/1]).
-export([get_domains/2, get_domains/3]).

-export_type([continuation/0]).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type pair() :: mongoose_domain_core:pair().
-opaque continuation() :: mongoose_domain_core:position().

%% @doc The host type that serves this name. Fails with badarg when it is no binary.
-spec get_host_type(domain()) -> {ok, host_type()} | {error, not_found}.
get_host_type(Domain) ->
    mongoose_domain_core:get_host_type(Domain).

%% @doc As get_host_type/1, for domains only: no subdomain is found.
-spec get_domain_host_type(domain()) -> {ok, host_type()} | {error, not_found}.
get_domain_host_type(Domain) ->
    mongoose_domain_core:get_host_type(Domain).

%% @doc The domains from configuration.
-spec get_all_static() -> [pair()].
get_all_static() ->
    mongoose_domain_core:get_all_static().

%% @doc The enabled domains from the database, all in one list: see get_domains/2 for very many.
-spec get_all_dynamic() -> [pair()].
get_all_dynamic() ->
    mongoose_domain_core:get_all_dynamic().

%% @doc All domains of a host type in one list; none for an unknown host type.
-spec get_domains_by_host_type(host_type()) -> [domain()].
get_domains_by_host_type(HostType) ->
    mongoose_domain_core:get_domains_by_host_type(HostType).

%% @doc The first part of a listing: up to Limit pairs (1 to 1000, in no order), and what brings the
%% next part, or `done'. A part may hold fewer pairs than Limit, or none, and not be the last one. A
%% domain that is there from the first part to the last is listed exactly once.
%%
%%   {Pairs, More} = mongoose_domain_api:get_domains({host_type, <<"type1">>}, 1000),
%%   {MorePairs, EvenMore} = mongoose_domain_api:get_domains({host_type, <<"type1">>}, More, 1000).
-spec get_domains(all | static | dynamic | {host_type, host_type()}, 1..1000) ->
    {[pair()], continuation() | done}.
get_domains(Select, Limit) ->
    mongoose_domain_core:page(Select, 0, Limit).

%% @doc The next part of the listing that the continuation is from.
-spec get_domains(all | static | dynamic | {host_type, host_type()}, continuation(), 1..1000) ->
    {[pair()], continuation() | done}.
get_domains(Select, Continuation, Limit) ->
    mongoose_domain_core:page(Select, Continuation, Limit).
