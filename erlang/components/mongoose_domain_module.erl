%% A module: something that runs for a host type, each time with options of its own.
%%
%% mongoose_domain_modules starts those that the application environment names, in the order of their dependencies:
%%
%%   {modules, #{all => #{my_archive => #{}}, <<"type2">> => #{my_archive => #{days => 30}}}}
%%
%%   -module(my_archive).
%%   -behaviour(mongoose_domain_module).
%%
%%   start(HostType, Options) -> my_archive_sup:start_archive(HostType, maps:get(days, Options, 7)).
%%   stop(HostType) -> {wait, my_archive_sup:stop_archive(HostType)}.
%%   deps(_HostType, _Options) -> [{service, service_domain_db}, {my_index, #{}, hard}, {my_cache, #{}, optional}].
%%   supported_features() -> [dynamic_domains].
%%   remove_domain(_HostType, Domain) -> my_archive_store:delete(Domain).
%%
%% One that exports remove_domain/2 is a handler of removals (see mongoose_domain_removal) for its host type, with
%% priority 50, exactly while it runs there.
-module(mongoose_domain_module).

-export_type([dependency/0, kind/0]).

-type host_type() :: mongoose_domain_core:host_type().
%% `hard' and `soft' dependencies are started with the module, `optional' ones only if something else brings them. In a
%% cycle, an optional edge is dropped, or else a soft one.
-type kind() :: hard | soft | optional.
%% A module is started with these options, where its configuration gives no others. A service is only checked.
-type dependency() :: {module(), Options :: map(), kind()} | {service, module()}.

%% It runs when this returns: `{ok, Result}', or any Result. It does not when this fails, or answers {error, Reason}.
-callback start(host_type(), Options :: map()) -> term().
%% It has stopped when this returns, or when the processes that it names have ended: they have five seconds.
-callback stop(host_type()) -> {wait, pid() | atom() | [pid() | atom()]} | term().
-callback deps(host_type(), Options :: map()) -> [dependency()].
%% Must name `dynamic_domains' for a module that is to run for a host type of dynamic domains.
-callback supported_features() -> [atom()].
-callback remove_domain(host_type(), mongoose_domain_core:domain()) -> ok | {error, term()}.
%% Whether it can be started with these options. Asked before anything is started or stopped.
-callback validate(Options :: map()) -> ok | {error, Why :: unicode:chardata()}.

-optional_callbacks([deps/2, supported_features/0, remove_domain/2, validate/1]).
