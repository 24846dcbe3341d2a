%% The behaviour of a router: what brings requests to hosts. A *host* is a domain or a subdomain that was used on this
%% node and that it serves.
%%
%% mongoose_lazy_routing calls the router that the key `router' names when hosts come and go. The default,
%% mongoose_domain_router_table, only keeps a table.
%%
%%   -module(my_router).
%%   -behaviour(mongoose_domain_router).
%%   register_host(Host, {domain, HostType}) -> …;                          requests to Host are for this node
%%   register_host(Host, {subdomain, #{packet_handler := {Module, Extra}}}) -> ….
%%   unregister_host(Host, {domain, HostType}) -> …;                        it is gone: close its connections
%%   unregister_host(Host, {subdomain, HostType, Pattern}) -> ….
%%   register_handler(Host, Kind, Namespace, Component, Handler) -> …;      IQs of Namespace to Host are for Handler
%%   unregister_handler(Host, Kind, Namespace, Component) -> ….
%%
%% A router that needs no kind of host with a namespace has register_handler/4 and unregister_handler/3 instead, without that
%% argument. Where it has both, those with the kind are called.
%%
%% One process calls the callbacks, one at a time, so they should be quick: hosts that are used for the first time wait for
%% them. A host's handlers are registered before it and unregistered after it. A failure or crash is logged; a host that
%% could not be registered is tried again when it is used again.
-module(mongoose_domain_router).

-export_type([host/0, route/0, kind/0, packet_handler/0, namespace/0, component/0, handler/0]).

-type host() :: binary().
-type host_type() :: mongoose_domain_core:host_type().
-type route() :: {domain, host_type()} | {subdomain, mongoose_subdomain_core:subdomain_info()}.
%% What hosts have in common that have the same handlers.
-type kind() :: {domain, host_type()} | {subdomain, host_type(), mongoose_subdomain_core:pattern()}.
%% What handles the requests to a subdomain. Routers that have handlers of another shape export add_extra/2.
-type packet_handler() :: mongoose_domain_packet_handler:handler().
-type namespace() :: binary().
%% Which part of a host a handler belongs to; its meaning is the router's.
-type component() :: atom().
%% What handles the requests of a namespace: of the same shapes as a packet handler, or of shapes of its own.
-type handler() :: mongoose_domain_packet_handler:handler().

-callback register_host(host(), route()) -> ok | {error, term()}.
%% The kind is that of the route with which the host was registered.
-callback unregister_host(host(), kind()) -> ok.
%% The kind is that of the host, and has its host type.
-callback register_handler(host(), kind(), namespace(), component(), handler()) -> ok | {error, term()}.
-callback unregister_handler(host(), kind(), namespace(), component()) -> ok.
-callback register_handler(host(), namespace(), component(), handler()) -> ok | {error, term()}.
-callback unregister_handler(host(), namespace(), component()) -> ok.
%% The same handler, of packets, with these keys in its extra; of a namespace, too, where there is no add_iq_extra/2.
-callback add_extra(packet_handler() | handler(), #{atom() => term()}) -> packet_handler() | handler().
%% The same handler of a namespace with these keys in its extra.
-callback add_iq_extra(handler(), #{atom() => term()}) -> handler().
-optional_callbacks([register_handler/5, unregister_handler/4, register_handler/4, unregister_handler/3]).
-optional_callbacks([add_extra/2, add_iq_extra/2]).
