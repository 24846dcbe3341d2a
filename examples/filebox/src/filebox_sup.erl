%% Supervises the connections, the groups that they are in, and the process that accepts them.
-module(filebox_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Connections = #{id => filebox_connections, type => supervisor,
                    start => {supervisor, start_link, [{local, filebox_connections}, ?MODULE, connections]}},
    {ok, {#{strategy => rest_for_one}, [
        #{id => filebox_groups, start => {pg, start_link, [filebox_router:scope()]}},
        Connections,
        #{id => filebox_listener, start => {filebox_listener, start_link, []}}
    ]}};
init(connections) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => filebox_connection, start => {filebox_connection, start_link, []}, restart => temporary}]}}.
