%% The admin program of a node, seen from inside the node, and clients that send it requests without a pause.
%%
%%   Pid = md_node:call(Node, md_admin_program, os_pid, []),
%%   Clients = [md_admin_program:start_client(Door, Path, {200, Body}) || _ <- lists:seq(1, 4)],
%%   ok = md_admin_program:signal(Pid, "KILL"),
%%   {Right, Broken, []} = md_admin_program:stop_client(hd(Clients)).
-module(md_admin_program).

-export([os_pid/0, workers/0, kill_worker/0, say/1, follower_thread/0]).
-export([start_client/3, stop_client/1]).
-export([signal/2, is_alive/1]).

%% Inside the node

%% @doc The id of the program's process, or `none' when it does not run.
-spec os_pid() -> pos_integer() | none.
os_pid() ->
    case port() of
        none -> none;
        Port ->
            case erlang:port_info(Port, os_pid) of
                {os_pid, Pid} -> Pid;
                undefined -> none
            end
    end.

port() ->
    Ports = [Port || Port <- tuple_to_list(sys:get_state(mongoose_domain_admin)), is_port(Port)],
    hd(Ports ++ [none]).

%% @doc How many requests of the program are being answered.
-spec workers() -> non_neg_integer().
workers() ->
    length(worker_pids()).

%% @doc Kills one of the processes that answer a request.
-spec kill_worker() -> true.
kill_worker() ->
    exit(hd(worker_pids()), kill).

worker_pids() ->
    [Pid || Pid <- processes(), is_worker(process_info(Pid, initial_call))].

is_worker({initial_call, {mongoose_domain_admin, answer_and_end, 2}}) -> true;
is_worker(_) -> false.

%% @doc Passes this message to the program's owner as if the program had sent it.
-spec say(term()) -> ok.
say(Term) ->
    mongoose_domain_admin ! {port(), {data, term_to_binary(Term)}},
    ok.

%% @doc The threads of the operating system that follow a database.
-spec follower_thread() -> [string()].
follower_thread() ->
    [filename:basename(filename:dirname(File)) || File <- filelib:wildcard("/proc/self/task/*/comm"),
                                                  {ok, <<"domain_follower\n">>} <- [file:read_file(File)]].

%% Outside

%% @doc Requests this path without a pause until stop_client/1 and compares each answer with this one.
-spec start_client(md_http:door(), string(), {Code :: pos_integer(), Body :: binary()}) -> pid().
start_client(Door, Path, Expected) ->
    spawn_link(fun() -> ask(Door, Path, Expected, {0, 0, []}) end).

%% @doc Stops the client. Returns how many answers were right, how many connections broke or were refused, and all
%% other answers.
-spec stop_client(pid()) -> {Right :: non_neg_integer(), Broken :: non_neg_integer(), Wrong :: [term()]}.
stop_client(Client) ->
    Client ! {stop, self()},
    receive {Client, Counts} -> Counts end.

ask(Door, Path, Expected, {Right, Broken, Wrong}) ->
    Counts = try md_http:request(Door, get, Path, #{}) of
        {Code, _Headers, Body} when {Code, Body} =:= Expected -> {Right + 1, Broken, Wrong};
        Other -> {Right, Broken, [Other | Wrong]}
    catch
        %% The connection was refused, reset, or closed before the answer was complete.
        error:{_Unexpected, {error, _Reason}} -> {Right, Broken + 1, Wrong}
    end,
    receive
        {stop, From} -> From ! {self(), Counts}, ok
    after 0 ->
        ask(Door, Path, Expected, Counts)
    end.

%% @doc Sends a signal to a process of the operating system.
-spec signal(pos_integer(), string()) -> ok.
signal(Pid, Name) ->
    "" = os:cmd(lists:concat(["kill -", Name, " ", Pid])),
    ok.

%% @doc Whether the process exists and runs. A zombie does not run.
-spec is_alive(pos_integer()) -> boolean().
is_alive(Pid) ->
    case file:read_file(lists:concat(["/proc/", Pid, "/stat"])) of
        {ok, Text} -> nomatch =:= re:run(Text, "\\) Z ");
        {error, enoent} -> os:cmd(lists:concat(["kill -0 ", Pid])) =:= ""
    end.
