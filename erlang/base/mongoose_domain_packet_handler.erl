%% Handlers of packets (of a subdomain) and of IQs (of a namespace), to which `host_type' is added when they are
%% registered.
%%
%% A handler is `{Module, Extra}', where Extra is a map, unless the router has handlers of another shape. Such a router
%% exports add_extra/2 (see mongoose_domain_router).
-module(mongoose_domain_packet_handler).

-export([with_host_type/2]).

-export_type([handler/0]).

-type handler() :: {module(), Extra :: #{atom() => term()}} | term().

%% @doc The handler with `host_type' in its extra. The router's add_extra/2 makes it, if there is one; without it, a
%% handler of another shape stays as it is.
-spec with_host_type(handler(), HostType :: binary()) -> handler().
with_host_type(Handler, HostType) ->
    Router = mongoose_domain_config:router(),
    Extra = #{host_type => HostType},
    case {erlang:function_exported(Router, add_extra, 2), Handler} of
        {true, _} -> Router:add_extra(Handler, Extra);
        {false, {Module, #{} = Own}} when is_atom(Module) -> {Module, maps:merge(Own, Extra)};
        {false, Opaque} -> Opaque
    end.
