%% Supervises the processes that services and modules need, if they have no supervisor of their own.
%%
%%   start(HostType, Options) ->
%%       {ok, _Pid} = mongoose_domain_components_sup:start_child(
%%           #{id => {my_archive, HostType}, start => {my_archive_server, start_link, [HostType]}}),
%%       ok.
%%   stop(HostType) ->
%%       mongoose_domain_components_sup:stop_child({my_archive, HostType}).
%%
%% They are restarted apart from each other. More than ten crashes in ten seconds have all of them started again; the
%% table of domains and its processes are not affected.
%%
%% A child's specification stays in this process's state: it should name where a secret is, and not hold it.
-module(mongoose_domain_components_sup).
-behaviour(supervisor).

-export([start_link/0, start_child/1, stop_child/1]).
-export([create_registry/0]).
-export([init/1]).

%% {Number, Id, Specification}: what this supervisor begins with when it is itself started again.
-define(REGISTRY, ?MODULE).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% @doc Starts a process that outlives the caller. If a process with the same specification runs, because the start of its
%% component was killed, this succeeds with that process.
-spec start_child(supervisor:child_spec()) -> supervisor:startchild_ret().
start_child(#{id := Id} = Specification) ->
    _ = mongoose_domain_running:registry(?REGISTRY),
    case supervisor:start_child(?MODULE, Specification) of
        {error, {already_started, Pid}} ->
            case supervisor:get_childspec(?MODULE, Id) of
                {ok, Known} when is_pid(Pid) -> started_again(Pid, Specification, Known);
                _Restarting -> {error, {already_started, Pid}}
            end;
        {error, Reason} ->
            {error, Reason};
        Started ->
            ok = remember(Specification),
            Started
    end.

started_again(Pid, Specification, Known) ->
    case maps:with(maps:keys(Specification), Known) of
        Specification ->
            ok = remember(Specification),
            {ok, Pid};
        _Another -> {error, {already_started, Pid}}
    end.

remember(#{id := Id} = Specification) ->
    case ets:match_object(?REGISTRY, {'_', Id, '_'}) of
        [] -> true = ets:insert(?REGISTRY, {erlang:unique_integer([monotonic]), Id, Specification}), ok;
        [_Known] -> ok
    end.

%% @doc Stops the process. Succeeds where there is none.
-spec stop_child(Id :: term()) -> ok.
stop_child(Id) ->
    true = ets:match_delete(mongoose_domain_running:registry(?REGISTRY), {'_', Id, '_'}),
    _ = supervisor:terminate_child(?MODULE, Id),
    _ = supervisor:delete_child(?MODULE, Id),
    ok.

%% @private The application's supervisor owns the table.
-spec create_registry() -> ok.
create_registry() ->
    _ = mongoose_domain_tables:create(?REGISTRY, [ordered_set]),
    ok.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10},
          [Specification || {_Number, _Id, Specification} <- ets:tab2list(?REGISTRY)]}}.
