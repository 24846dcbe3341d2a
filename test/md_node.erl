%% A node with the application: a separate VM in its own operating system process.
%%
%% Nodes are controlled over their standard input and are not distributed, so two of them know nothing of each other.
%% Nodes from connected/1 have names and are connected. A node ends with the test that started it.
%%
%%   Node = md_node:start(#{host_types => [<<"type1">>], service_domain_db => #{database => Url}}),
%%   {error, not_found} = md_node:lookup(Node, <<"example.com">>).
%%
%% A node keeps its log events in memory; logged/2 and count/2 read them.
-module(md_node).

-export([boot/0, boot_many/1, start/1, start_many/1, start_within/1, connected/1]).
-export([start_application/2, stop_application/1]).
-export([start_bounded/1, bound_files/2]).
-export([kill/2, kill_vm/1]).
-export([call/4, lookup/2, lookups/2, routes/1, status/1, sync/1, service/1, threads/1, threads_of_the_library/1]).
-export([logged/2, count/2]).
-export([wait_until_following/1, wait_until_at/2]).
%% Runs in the node.
-export([configure_and_start/1, look_up/1, follower_threads/0, library_threads/0]).

-export_type([t/0]).

-type t() :: pid().
-type environment() :: #{atom() => term()}.

-define(BOOT_TIMEOUT, 60000).
-define(CALL_TIMEOUT, 60000).

%% @doc Boots a VM without starting the application.
-spec boot() -> t().
boot() ->
    [Node] = boot_many(1),
    Node.

%% @doc Boots that many VMs at the same time.
-spec boot_many(pos_integer()) -> [t()].
boot_many(Count) ->
    boot_all([#{} || _ <- lists:seq(1, Count)]).

%% @doc Starts a node with this application environment.
-spec start(environment()) -> t().
start(Environment) ->
    [Node] = start_many([Environment]),
    Node.

%% @doc Starts several nodes at the same time.
-spec start_many([environment()]) -> [t()].
start_many(Environments) ->
    start_all([#{} || _ <- Environments], Environments).

%% @doc The same, each behind a command that runs it, as md_galera:within/2 returns it.
-spec start_within([{Command :: [string()], environment()}]) -> [t()].
start_within(Nodes) ->
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    start_all([#{exec => {Program, Args ++ [Erl]}} || {[Program | Args], _} <- Nodes], [Environment || {_, Environment} <- Nodes]).

%% @doc Starts a node for bound_files/2.
-spec start_bounded(environment()) -> t().
start_bounded(Environment) ->
    %% A process that writes past the limit gets SIGXFSZ, which would end it.
    Shell = {"/bin/sh", ["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", filename:join([code:root_dir(), "bin", "erl"])]},
    [Node] = start_all([#{exec => Shell}], [Environment]),
    Node.

%% @doc Limits the size of each file that this node writes, to simulate a full disk. Needs Linux's prlimit.
-spec bound_files(t(), non_neg_integer() | unlimited) -> ok.
bound_files(Node, Bytes) ->
    Pid = call(Node, os, getpid, []),
    "" = os:cmd(lists:flatten(io_lib:format("prlimit --pid ~s --fsize=~p:", [Pid, Bytes]))),
    ok.

%% @doc As start_many/1, but the nodes have names, and each is connected to the first.
-spec connected([environment()]) -> [t()].
connected(Environments) ->
    Cookie = ["-setcookie", "mongoose_domain_ct_" ++ os:getpid()],
    Names = [#{name => peer:random_name(md), host => "127.0.0.1", longnames => true, args => Cookie} || _ <- Environments],
    [First | Others] = Nodes = start_all(Names, Environments),
    Name = call(First, erlang, node, []),
    [true = call(Node, net_kernel, connect_node, [Name]) || Node <- Others],
    Nodes.

start_all(Options, Environments) ->
    Nodes = boot_all(Options),
    [ok = start_application(Node, Environment) || {Node, Environment} <- lists:zip(Nodes, Environments)],
    Nodes.

boot_all(AllOptions) ->
    Nodes = [begin_boot(Options) || Options <- AllOptions],
    [await_boot(Node, Tag) || {Node, Tag} <- Nodes].

begin_boot(Options) ->
    Tag = make_ref(),
    Args = ["+S", "2", "-kernel", "logger", "[{handler,default,undefined}]", "-pa" | code_path()],
    Own = maps:get(args, Options, []),
    case peer:start_link(Options#{connection => standard_io, wait_boot => {self(), Tag}, args => Own ++ Args}) of
        {ok, Node} -> {Node, Tag};
        {ok, Node, _Name} -> {Node, Tag}
    end.

await_boot(Node, Tag) ->
    receive
        {Tag, {started, _Name, Node}} ->
            _ = call(Node, logger, remove_handler, [simple]),
            ok = call(Node, md_log, start, []),
            Node;
        {Tag, Failed} ->
            erlang:error(Failed)
    after ?BOOT_TIMEOUT ->
        erlang:error({a_node_does_not_boot, Node})
    end.

%% The directories of the modules of this application and its tests.
code_path() ->
    lists:usort([filename:dirname(code:which(Module)) || Module <- [mongoose_domain_core, ?MODULE]]).

%% @doc Starts the application with exactly this environment, or with its present one.
-spec start_application(t(), environment() | unchanged) -> ok | {error, term()}.
start_application(Node, Environment) ->
    call(Node, ?MODULE, configure_and_start, [Environment]).

%% @private
-spec configure_and_start(environment() | unchanged) -> ok | {error, term()}.
configure_and_start(unchanged) ->
    start_with_dependencies();
configure_and_start(Environment) ->
    _ = application:load(mongoose_domain),
    [ok = application:unset_env(mongoose_domain, Key) || {Key, _} <- application:get_all_env(mongoose_domain)],
    maps:foreach(fun(Key, Value) -> application:set_env(mongoose_domain, Key, Value) end, Environment),
    start_with_dependencies().

start_with_dependencies() ->
    {ok, _} = application:ensure_all_started(compiler),
    application:start(mongoose_domain).

%% @doc Stops the application; the VM keeps running.
-spec stop_application(t()) -> ok.
stop_application(Node) ->
    call(Node, application, stop, [mongoose_domain]).

%% @doc Calls a function in the node.
-spec call(t(), module(), atom(), [term()]) -> term().
call(Node, Module, Function, Args) ->
    peer:call(Node, Module, Function, Args, ?CALL_TIMEOUT).

%% @doc Kills the process with this name; returns its old id once a successor is registered.
-spec kill(t(), atom()) -> pid().
kill(Node, Name) ->
    Pid = call(Node, erlang, whereis, [Name]),
    true = call(Node, erlang, exit, [Pid, kill]),
    md_wait:until(fun() ->
        New = call(Node, erlang, whereis, [Name]),
        is_pid(New) andalso New =/= Pid
    end),
    Pid.

%% @doc Kills the VM, as the kernel does when memory runs out; it is gone when this returns.
-spec kill_vm(t()) -> ok.
kill_vm(Node) ->
    Pid = call(Node, os, getpid, []),
    Monitor = monitor(process, Node),
    true = unlink(Node),
    "" = os:cmd("kill -KILL " ++ Pid),
    receive {'DOWN', Monitor, process, Node, _} -> ok end.

%% @doc The answer of mongoose_domain_api:get_host_type/1 in the node.
-spec lookup(t(), binary()) -> {ok, binary()} | {error, not_found}.
lookup(Node, Domain) ->
    call(Node, mongoose_domain_api, get_host_type, [Domain]).

%% @doc The answers for many domains, in one call.
-spec lookups(t(), [binary()]) -> [{ok, binary()} | {error, not_found}].
lookups(Node, Domains) ->
    call(Node, ?MODULE, look_up, [Domains]).

%% @private
-spec look_up([binary()]) -> [{ok, binary()} | {error, not_found}].
look_up(Domains) ->
    [mongoose_domain_api:get_host_type(Domain) || Domain <- Domains].

%% @doc The dynamic domains and their host types.
-spec routes(t()) -> #{binary() => binary()}.
routes(Node) ->
    maps:from_list(call(Node, mongoose_domain_api, get_all_dynamic, [])).

%% @doc The answer of service_domain_db:status/0 in the node.
-spec status(t()) -> map().
status(Node) ->
    call(Node, service_domain_db, status, []).

%% @doc The answer of service_domain_db:sync_local/1 in the node. All earlier reports are logged when this returns.
-spec sync(t()) -> ok | {error, binary()}.
sync(Node) ->
    call(Node, service_domain_db, sync_local, [?CALL_TIMEOUT]).

%% @doc The process of the service.
-spec service(t()) -> pid() | undefined.
service(Node) ->
    call(Node, erlang, whereis, [service_domain_db]).

%% @doc How many operating system threads follow a database in the node.
-spec threads(t()) -> non_neg_integer() | unknown.
threads(Node) ->
    call(Node, ?MODULE, follower_threads, []).

%% Counted in Linux's /proc; unknown on other systems.
-spec follower_threads() -> non_neg_integer() | unknown.
follower_threads() ->
    case filelib:wildcard("/proc/self/task/*/comm") of
        [] -> unknown;
        Files -> length([File || File <- Files, {ok, <<"domain_follower\n">>} <- [file:read_file(File)]])
    end.

%% @doc The names of the native library's threads in the node, without the one that lives as long as the VM.
-spec threads_of_the_library(t()) -> [binary()] | unknown.
threads_of_the_library(Node) ->
    call(Node, ?MODULE, library_threads, []).

%% Read from Linux's /proc; unknown on other systems.
-spec library_threads() -> [binary()] | unknown.
library_threads() ->
    case [Name || File <- filelib:wildcard("/proc/self/task/*/comm"), {ok, Name} <- [file:read_file(File)]] of
        [] -> unknown;
        Names -> [Name || Name <- Names, Name =/= <<"domain_notifier\n">>,
                          re:run(Name, "^(domain_|r2d2)") =/= nomatch]
    end.

%% @doc The reports with this `what' that the node logged, each with its level.
-spec logged(t(), atom()) -> [{logger:level(), map()}].
logged(Node, What) ->
    call(Node, md_log, named, [What]).

%% @doc How many such reports the node logged.
-spec count(t(), atom()) -> non_neg_integer().
count(Node, What) ->
    call(Node, md_log, count, [What]).

%% @doc Returns when the node's table is current and the node has reported it.
-spec wait_until_following(t()) -> ok.
wait_until_following(Node) ->
    md_wait:until(fun() ->
        case status(Node) of
            #{current_at := At} when is_integer(At) -> sync(Node); % ends a pass, even if the next one begins at once
            Status -> Status
        end
    end, ok).

%% @doc Returns when the node's table shows this event. It then shows all earlier ones, if writers take turns.
-spec wait_until_at(t(), non_neg_integer()) -> ok.
wait_until_at(Node, Event) ->
    md_wait:until(fun() ->
        case status(Node) of
            #{state := following, cursor := Cursor} when Cursor =:= Event -> true;
            Status -> Status
        end
    end).
