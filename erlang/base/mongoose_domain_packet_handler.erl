%% Handlers of packets (of a subdomain) and of IQs (of a namespace), to which `host_type' is added when they are
%% registered.
%%
%% A handler is `{Module, Extra}', where Extra is a map, unless the router has handlers of another shape. Such a router
%% exports add_extra/2, and add_iq_extra/2 where its handlers of IQs have yet another shape (see mongoose_domain_router).
-module(mongoose_domain_packet_handler).

-export([with_host_type/2, iq_with_host_type/2]).

-export_type([handler/0]).

-type handler() :: {module(), Extra :: #{atom() => term()}} | term().

%% @doc The handler of packets with `host_type' in its extra. The router's add_extra/2 makes it, if there is one; without it,
%% a handler of another shape stays as it is.
-spec with_host_type(handler(), HostType :: binary()) -> handler().
with_host_type(Handler, HostType) ->
    extended(Handler, HostType, [add_extra]).

%% @doc The same for a handler of IQs: the router's add_iq_extra/2 comes first.
-spec iq_with_host_type(handler(), HostType :: binary()) -> handler().
iq_with_host_type(Handler, HostType) ->
    extended(Handler, HostType, [add_iq_extra, add_extra]).

extended(Handler, HostType, Functions) ->
    Router = mongoose_domain_config:router(),
    Extra = #{host_type => HostType},
    case {[Function || Function <- Functions, erlang:function_exported(Router, Function, 2)], Handler} of
        {[Function | _], _} -> Router:Function(Handler, Extra);
        {[], {Module, #{} = Own}} when is_atom(Module) -> {Module, maps:merge(Own, Extra)};
        {[], Opaque} -> Opaque
    end.
