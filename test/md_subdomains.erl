%% Subdomains of a node whose domains a test inserts into the table directly: steps that several suites share.
%%
%%   ok = md_subdomains:insert(Node, <<"type1">>, [<<"a.example">>]),
%%   ok = md_subdomains:register(Node, <<"type1">>, {prefix, <<"muc.">>}),
%%   md_subdomains:assert_subdomain(Node, <<"type1">>, <<"muc.a.example">>).
-module(md_subdomains).

-include_lib("stdlib/include/assert.hrl").

-export([core/3, insert/3, delete/2, restart_core/1]).
-export([subdomains/3, register/3, unregister/3, conflicts/1]).
-export([assert_subdomain/3, assert_no_subdomain/2]).

%% @doc Calls a function of mongoose_domain_core in the node.
-spec core(md_node:t(), atom(), [term()]) -> term().
core(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_core, Function, Args).

%% @doc Inserts these domains, in one call.
-spec insert(md_node:t(), binary(), [binary()]) -> ok.
insert(Node, HostType, Domains) ->
    md_node:call(Node, lists, foreach, [fun(Domain) ->
        ok = mongoose_domain_core:insert(Domain, HostType, 1)
    end, Domains]).

-spec delete(md_node:t(), binary()) -> ok.
delete(Node, Domain) ->
    core(Node, delete, [Domain]).

%% @doc Restarts the core with an empty table and the same arguments.
-spec restart_core(md_node:t()) -> ok.
restart_core(Node) ->
    {ok, _} = md_node:call(Node, mongoose_domain_sup, restart_core, [core(Node, get_start_args, [])]),
    ok.

%% @doc Calls a function of mongoose_subdomain_core in the node.
-spec subdomains(md_node:t(), atom(), [term()]) -> term().
subdomains(Node, Function, Args) ->
    md_node:call(Node, mongoose_subdomain_core, Function, Args).

%% @doc Registers a pattern with the handler `{some_rooms, #{size => 10}}'.
-spec register(md_node:t(), binary(), mongoose_subdomain_core:pattern()) -> ok | {error, atom()}.
register(Node, HostType, Pattern) ->
    subdomains(Node, register_subdomain, [HostType, Pattern, {some_rooms, #{size => 10}}]).

-spec unregister(md_node:t(), binary(), mongoose_subdomain_core:pattern()) -> ok.
unregister(Node, HostType, Pattern) ->
    subdomains(Node, unregister_subdomain, [HostType, Pattern]).

%% @doc All logged conflicts of names, oldest first, once no more are to come.
-spec conflicts(md_node:t()) -> [{What :: atom(), Name :: binary()}].
conflicts(Node) ->
    ok = subdomains(Node, sync, []),
    Names = [check_domain_name_failed, check_subdomain_name_failed, subdomains_collision,
             subdomain_conflicts_not_reported],
    [{What, maps:get(domain, Report, maps:get(subdomain, Report, none))}
     || #{level := error, msg := {report, #{what := What} = Report}} <- md_node:call(Node, md_log, all, []),
        lists:member(What, Names)].

%% @doc Checks that this host type serves the subdomain.
-spec assert_subdomain(md_node:t(), binary(), binary()) -> ok.
assert_subdomain(Node, HostType, Name) ->
    ?assertEqual({ok, HostType}, subdomains(Node, get_host_type, [Name])),
    ?assertMatch({ok, #{host_type := HostType, subdomain := Name}}, subdomains(Node, get_subdomain_info, [Name])).

-spec assert_no_subdomain(md_node:t(), binary()) -> ok.
assert_no_subdomain(Node, Name) ->
    ?assertEqual({error, not_found}, subdomains(Node, get_host_type, [Name])),
    ?assertEqual({error, not_found}, subdomains(Node, get_subdomain_info, [Name])).
