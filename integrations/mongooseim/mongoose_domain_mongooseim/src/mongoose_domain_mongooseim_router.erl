%% Routes packets and IQs to hosts by MongooseIM's router.
%%
%% mongoose_lazy_routing calls it when a domain or a subdomain is used first, and when it goes.
%%
%% Subdomains are computed here and do not come into being with their domains. So MongooseIM's hooks register_subhost and
%% unregister_subhost run when a subdomain becomes known to the router, and when the router forgets it: a listener learns
%% of the subdomains that this node uses, and of no others.
%%
%% At the end of the node a part of MongooseIM may have stopped before this one. What is gone has no hosts any more.
-module(mongoose_domain_mongooseim_router).
-behaviour(mongoose_domain_router).

-export([register_host/2, unregister_host/2, register_handler/5, unregister_handler/4]).
-export([add_extra/2, add_iq_extra/2]).

-spec register_host(mongoose_domain_router:host(), mongoose_domain_router:route()) -> ok | {error, term()}.
register_host(Host, {domain, _HostType}) ->
    done(ejabberd_local:register_host(Host));
register_host(Host, {subdomain, #{packet_handler := Handler}}) ->
    case done(mongoose_router:register_route(Host, Handler)) of
        ok ->
            _ = mongoose_hooks:register_subhost(Host, false),
            ok;
        Error -> Error
    end.

-spec unregister_host(mongoose_domain_router:host(), mongoose_domain_router:kind()) -> ok.
unregister_host(Host, {domain, _HostType}) ->
    unless_gone(fun() -> ejabberd_local:unregister_host(Host) end);
unregister_host(Host, {subdomain, _HostType, _Pattern}) ->
    ok = unless_gone(fun() -> mongoose_router:unregister_route(Host) end),
    unless_gone(fun() -> mongoose_hooks:unregister_subhost(Host) end).

-spec register_handler(mongoose_domain_router:host(), mongoose_domain_router:kind(), mongoose_domain_router:namespace(),
                       mongoose_domain_router:component(), mongoose_domain_router:handler()) -> ok | {error, term()}.
register_handler(Host, _Kind, Namespace, Component, Handler) ->
    case done(gen_iq_component:register_iq_handler(Component, Host, Namespace, Handler)) of
        ok -> done(gen_iq_component:sync(Component));
        Error -> Error
    end.

-spec unregister_handler(mongoose_domain_router:host(), mongoose_domain_router:kind(),
                         mongoose_domain_router:namespace(), mongoose_domain_router:component()) -> ok.
unregister_handler(Host, _Kind, Namespace, Component) ->
    unless_gone(fun() -> gen_iq_component:unregister_iq_handler(Component, Host, Namespace) end).

-spec add_extra(Handler, #{atom() => term()}) -> Handler.
add_extra(Handler, Extra) ->
    mongoose_packet_handler:add_extra(Handler, Extra).

-spec add_iq_extra(Handler, #{atom() => term()}) -> Handler.
add_iq_extra(Handler, Extra) ->
    mongoose_iq_handler:add_extra(Handler, Extra).

%% What is not there needs not go.
unless_gone(Unregister) ->
    try
        _ = Unregister(),
        ok
    catch
        exit:{noproc, _Call} -> ok
    end.

%% MongooseIM's functions answer values that nothing here needs.
done({error, Reason}) -> {error, Reason};
done(_Done) -> ok.
