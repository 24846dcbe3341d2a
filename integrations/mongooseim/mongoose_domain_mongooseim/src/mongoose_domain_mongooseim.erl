%% What MongooseIM is to mongoose_domain: where its hosts and its database are, what is called when a domain is removed, and
%% what its callers understand.
%%
%%   [{mongoose_domain, [{integration, mongoose_domain_mongooseim}]}].      in the release's sys.config
%%
%% MongooseIM's supervisor starts mongoose_domain_sup, which calls environment/0 before its processes start and started/0
%% after. MongooseIM's service manager calls service_domain_db:start/1, which calls service_options/1; the database's URL is
%% made from the pool's connection whenever it is needed, and kept in no environment and no process of Erlang.
%%
%% An operator can name another database, or change limits that MongooseIM does not know, in the section `mongoose_domain' of
%% sys.config, under `service_domain_db'. Hosts, host types, the router and the two times are always MongooseIM's.
-module(mongoose_domain_mongooseim).
-behaviour(mongoose_domain_integration).
-behaviour(mongoose_domain_removal).

-export([environment/0, started/0, service_options/1, database_url/1, answer/2]).
-export([remove_domain/2]).

%% The place of the handler among those that the environment names.
-define(PRIORITY, 50).
%% How long the start of the service waits for the first load, in milliseconds.
-define(FIRST_LOAD_TIMEOUT, 10000).

%% @doc Hosts and host types as MongooseIM's configuration has them, and its router. A repeated change is an error, as
%% MongooseIM's callers have it.
-spec environment() -> #{atom() => term()}.
environment() ->
    Fixed = #{hosts => mongoose_config:get_opt(hosts), host_types => mongoose_config:get_opt(host_types),
              router => mongoose_domain_mongooseim_router, repeated_operations => error},
    case application:get_env(mongoose_domain, service_domain_db) of
        {ok, #{} = Service} -> Fixed#{service_domain_db => with_database(Service)};
        _None -> Fixed
    end.

%% @doc Has the hook run for each domain that is removed. A restart registers the same again, which is no error.
-spec started() -> ok.
started() ->
    lists:foreach(fun(HostType) ->
        ok = mongoose_domain_removal:register_handler(HostType, ?MODULE, ?PRIORITY)
    end, lists:usort(mongoose_config:get_opt(hosts) ++ mongoose_config:get_opt(host_types))).

%% @doc What MongooseIM's options are here. Its times are in seconds, as those of this application are.
-spec service_options(map()) -> map().
service_options(Options) ->
    Own = case application:get_env(mongoose_domain, service_domain_db) of
        {ok, #{} = Service} -> Service;
        _None -> #{}
    end,
    Pool = {pool, maps:get(db_pool, Options, global)},
    Database = case Own of
        #{database := {pool, _Earlier}} -> Pool;
        #{database := Named} -> Named;
        #{} -> Pool
    end,
    Defaults = #{first_load_timeout => ?FIRST_LOAD_TIMEOUT},
    maps:merge(Defaults, (maps:merge(Own, maps:remove(db_pool, Options)))#{database => Database}).

with_database(Service) ->
    maps:merge(#{database => {pool, global}}, Service).

%% @doc The URL of the database of MongooseIM's pool of this scope.
-spec database_url(Pool :: atom()) -> {ok, binary()} | {error, unicode:chardata()}.
database_url(Pool) ->
    mongoose_domain_mongooseim_url:of_pool(Pool, mongoose_config:get_opt(outgoing_pools)).

%% @doc What MongooseIM's callers get when the database does not answer, or too much waits for it.
%%
%% The log-in of a domain's admin knows two errors. Both refuse it, and neither says that the database is away: the log does.
%% GraphQL's list of all domains takes a list only, and gets what this node serves.
-spec answer(mongoose_domain_integration:call(), mongoose_domain_operations:failure()) -> term().
answer(check_domain_password, Failure) ->
    ok = log(domain_password_not_checked, Failure),
    {error, not_found};
answer(get_all_domains, Failure) ->
    ok = log(domain_list_from_table, Failure),
    lists:sort([#{domain => Domain, host_type => HostType, status => enabled}
                || {Domain, HostType} <- mongoose_domain_core:get_all_dynamic()]);
answer(any_other, {error, overloaded}) ->
    {overloaded, <<"Too many changes wait for the database: nothing was changed">>};
answer(any_other, Failure) ->
    Failure.

%% Anybody can try to log in, so no more than a hundred of these are logged in a second.
log(What, Failure) ->
    mongoose_domain_log:report(error, #{what => What, reason => Failure}, #{mfa => {?MODULE, answer, 2}}).

%% @doc Runs MongooseIM's hook, whose handlers delete the domain's data.
-spec remove_domain(HostType :: binary(), Domain :: binary()) -> ok | {error, {failed, [module()]}}.
remove_domain(HostType, Domain) ->
    case mongoose_hooks:remove_domain(HostType, Domain) of
        #{failed := []} -> ok;
        #{failed := Modules} -> {error, {failed, Modules}}
    end.
