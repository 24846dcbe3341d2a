%% A stand-in for MongooseIM's module: see mim. Behaviours of the hook remove_domain: ok, a list of the modules that failed,
%% or a crash of the hook itself.
-module(mongoose_hooks).

-export([remove_domain/2, register_subhost/2, unregister_subhost/1]).

-spec remove_domain(binary(), binary()) -> mongoose_domain_api:remove_domain_acc().
remove_domain(HostType, Domain) ->
    case mim:called(?MODULE, remove_domain, [HostType, Domain]) of
        ok -> with_wrapper(fun() -> #{failed => []} end);
        fails -> with_wrapper(fun() -> erlang:error(told_to_fail) end)
    end.

%% As a handler of MongooseIM's does it.
with_wrapper(F) ->
    {_OkOrStop, Acc} = mongoose_domain_api:remove_domain_wrapper(#{failed => []}, F, mod_of_a_test),
    Acc.

-spec register_subhost(binary(), boolean()) -> term().
register_subhost(Subdomain, IsHidden) ->
    mim:called(?MODULE, register_subhost, [Subdomain, IsHidden]).

-spec unregister_subhost(binary()) -> term().
unregister_subhost(Subdomain) ->
    mim:called(?MODULE, unregister_subhost, [Subdomain]).
