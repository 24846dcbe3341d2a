%% This application and MongooseIM can run in one VM: a module here has the name of one of MongooseIM's modules only if
%% it replaces that module.
-module(mongoose_domain_names_tests).

-include_lib("eunit/include/eunit.hrl").

-export([each_module_is_of_the_domains/0, no_module_is_called_as_another_of_the_peer/0]).

all_test_() ->
    md_promises:of_module(?MODULE, fun() -> _ = application:load(mongoose_domain) end, fun(_) -> ok end).

modules() ->
    {ok, [_ | _] = Modules} = application:get_key(mongoose_domain, modules),
    [atom_to_list(Module) || Module <- Modules].

each_module_is_of_the_domains() ->
    Prefixes = ["mongoose_domain_", "mongoose_subdomain_", "mongoose_lazy_routing", "service_domain_db"],
    ?assertEqual([], [Module || Module <- modules(), not starts_with(Module, Prefixes)]).

no_module_is_called_as_another_of_the_peer() ->
    Prefixes = ["gen_", "mod_", "ejabberd", "mongooseim", "mongoose_service", "mongoose_module", "mongoose_hooks",
                "mongoose_config", "mongoose_rdbms", "mongoose_graphql", "mongoose_admin", "mongoose_metrics",
                "mongoose_instrument", "mongoose_router", "mongoose_wpool", "mongoose_cluster", "service_mongoose",
                "mongoose_domain_handler"],
    ?assertEqual([], [Module || Module <- modules(), starts_with(Module, Prefixes)]).

starts_with(Module, Prefixes) ->
    lists:any(fun(Prefix) -> lists:prefix(Prefix, Module) end, Prefixes).
