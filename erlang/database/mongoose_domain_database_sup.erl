%% Supervises the processes that follow the database and change it: service_domain_db, the workers and the removals.
%%
%% They come and go with the service. They are restarted apart from each other: a crashed follower leaves the table as
%% current as it was, and jobs of removal are rows in the database.
%%
%% No argument of a child holds the configuration, since it shows in crash reports and may hold the database's password.
-module(mongoose_domain_database_sup).
-behaviour(supervisor).

-export([start_link/0, create_registry/0, start_service/0, stop_service/0, enabled/0, scope/0, group/0]).
-export([start_scope/0]).
-export([init/1]).

%% {enabled}, while the service is.
-define(REGISTRY, ?MODULE).

%% The pg scope is MongooseIM's, so that its nodes and ours notify each other.
-define(SCOPE, mim_scope).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% @private The application's supervisor owns the registry, so the service is enabled again when this process, or that one
%% with a registry that is kept, is restarted.
-spec create_registry() -> ok.
create_registry() ->
    _ = mongoose_domain_tables:create(?REGISTRY, [{read_concurrency, true}]),
    ok.

%% @doc Starts the processes of the service, all or none. Returns the one that follows the database.
-spec start_service() -> {ok, pid()} | {error, term()}.
start_service() ->
    %% A start that was killed may have left some.
    ok = stop_service(),
    case start_children(children(), []) of
        {ok, Pid} ->
            true = ets:insert(?REGISTRY, {enabled}),
            {ok, Pid};
        NotStarted -> NotStarted
    end.

start_children([], Started) ->
    {ok, proplists:get_value(service_domain_db, Started)};
start_children([#{id := Id} = Child | Children], Started) ->
    case supervisor:start_child(?MODULE, Child) of
        {ok, Pid} -> start_children(Children, [{Id, Pid} | Started]);
        {error, {Reason, _Child}} ->
            ok = remove([Other || {Other, _Pid} <- Started]),
            {error, Reason}
    end.

%% @doc Stops them, the last one first.
-spec stop_service() -> ok.
stop_service() ->
    true = ets:delete(?REGISTRY, enabled),
    remove(lists:reverse([Id || #{id := Id} <- children()])).

remove(Ids) ->
    lists:foreach(fun(Id) ->
        _ = supervisor:terminate_child(?MODULE, Id),
        _ = supervisor:delete_child(?MODULE, Id)
    end, Ids).

%% @doc Whether the service was started and not stopped since. Calls no process.
-spec enabled() -> boolean().
enabled() ->
    try
        ets:member(?REGISTRY, enabled)
    catch
        error:badarg -> false
    end.

%% @doc The pg scope in which the services of all nodes find each other.
-spec scope() -> atom().
scope() ->
    ?SCOPE.

%% @doc The group of these services in the scope.
-spec group() -> atom().
group() ->
    service_domain_db_group.

%% The service may be enabled when this supervisor is started again.
-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Children = case enabled() of
        true -> children();
        false -> []
    end,
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Children}}.

children() ->
    [#{id => pg_scope, start => {?MODULE, start_scope, []}},
     #{id => service_domain_db, start => {service_domain_db, start_link, []}, shutdown => 10000},
     #{id => mongoose_domain_operations, start => {mongoose_domain_operations, start_link, []}},
     #{id => mongoose_domain_removal_jobs, start => {mongoose_domain_removal_jobs, start_link, []}}].

%% @private MongooseIM's scope, which is there already in a VM with MongooseIM. Its supervisor restarts it: if this one
%% did, too, the other's restart would fail.
-spec start_scope() -> {ok, pid()} | ignore.
start_scope() ->
    case pg:start_link(?SCOPE) of
        {ok, Pid} -> {ok, Pid};
        {error, {already_started, _Pid}} -> ignore
    end.
