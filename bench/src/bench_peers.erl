%% Other nodes on this machine: VMs that follow the database, too.
%%
%% A node is connected to this VM by its standard input and output only. There is no distribution between any of them, so a
%% node learns of the changes of another one only from PostgreSQL. It ends with this VM.
-module(bench_peers).

-export([start/1, stop/1, stop_processes/1, continue_processes/1]).

-export_type([stopped/0]).

-opaque stopped() :: port().

%% @doc Starts a node, and returns when it has loaded the database of this URL and follows it. `peer:call' calls it.
-spec start(string()) -> pid().
start(Url) ->
    Directories = [filename:dirname(code:which(Module)) || Module <- [?MODULE, mongoose_domain_api]],
    Args = ["-kernel", "logger_level", "warning" | lists:append([["-pa", filename:absname(D)] || D <- Directories])],
    {ok, Node, _Name} = peer:start_link(#{connection => standard_io, args => Args}),
    nonode@nohost = peer:call(Node, erlang, node, []),
    ok = peer:call(Node, bench_node, configure, [Url]),
    ok = peer:call(Node, bench_node, start, [], infinity),
    Node.

%% @doc Ends a node.
-spec stop(pid()) -> ok.
stop(Node) ->
    peer:stop(Node).

%% @doc Has the system stop all threads of a node's VM (SIGSTOP), until continue_processes/1 is called or this VM ends.
-spec stop_processes(pid()) -> stopped().
stop_processes(Node) ->
    Script = "kill -STOP \"$1\" && echo stopped && cat >/dev/null; kill -CONT \"$1\"",
    Args = ["-c", Script, "sh", peer:call(Node, os, getpid, [])],
    Stopped = open_port({spawn_executable, "/bin/sh"}, [{args, Args}, {line, 100}]),
    receive {Stopped, {data, {eol, "stopped"}}} -> Stopped end.

%% @doc Has the threads go on.
-spec continue_processes(stopped()) -> ok.
continue_processes(Stopped) ->
    true = port_close(Stopped),
    ok.
