%% A PostgreSQL cluster for one test, which can be frozen, killed, emptied, restored and copied to a standby.
%%
%%   Cluster = md_cluster:start(),
%%   Url = md_cluster:url(Cluster),
%%   ok = md_cluster:freeze(Cluster),        % the postmaster and all its children, as a debugger does it
%%   ok = md_cluster:thaw(Cluster),
%%   ok = md_cluster:kill(Cluster),          % all of them at once
%%   ok = md_cluster:again(Cluster),         % with its data
%%   ok = md_cluster:stop(Cluster).
%%
%% A frozen cluster keeps its connections and sends nothing on them. The port never changes. A killed server keeps
%% everything that it confirmed, since the operating system does not crash with it.
%%
%%   Standby = md_cluster:standby(md_cluster:port(Cluster)),     % copies and follows the server at that port
%%   ok = md_cluster:kill(Cluster),
%%   ok = md_cluster:promote(Standby).
%%
%% The cluster ends with the process that started it, even when it is frozen. Its processes are found in Linux's /proc.
-module(md_cluster).

-export([start/0, standby/1, url/1, port/1, stop/1]).
-export([freeze/1, thaw/1, kill/1, shut_down/1, again/1, empty/1, backup/1, restore/1, promote/1]).
-export([receives/1, shows_all_of/2]).

-export_type([t/0]).

-record(cluster, {guard :: port(), directory :: string(), url :: string()}).
-opaque t() :: #cluster{}.

%% The file with the ids of the frozen processes; the guard reads it.
-define(FROZEN, "frozen").

%% Waits for the end of its input, which comes when the owner ends, even if the owner is killed.
-define(GUARD,
    "trap '' HUP INT TERM\n"
    "dir=$(mktemp -d \"${TMPDIR:-/tmp}/mongoose_domain_ct.XXXXXX\") || exit 1\n"
    "chmod 711 \"$dir\"\n" % the cluster may belong to another user
    "verb=$1; shift\n"
    "if url=$(\"$0\" \"$verb\" \"$dir/postgres\" \"$@\" </dev/null); then\n"
    "    echo \"started $dir $url\"\n"
    "    cat >/dev/null\n"
    "fi\n"
    "exec >/dev/null 2>&1\n"
    "[ ! -e \"$dir/" ?FROZEN "\" ] || kill -CONT $(cat \"$dir/" ?FROZEN "\")\n"
    "\"$0\" stop \"$dir/postgres\" </dev/null\n"
    "rm -rf \"$dir\"\n").

%% @doc Creates and starts a cluster.
-spec start() -> t().
start() ->
    start("start", []).

%% @doc Starts a standby that copies the cluster at this port and follows it through the same port, which may be a
%% gate's.
-spec standby(inet:port_number()) -> t().
standby(Port) ->
    start("standby", [integer_to_list(Port)]).

start(Verb, Rest) ->
    Guard = open_port({spawn_executable, "/bin/sh"},
        [{args, ["-c", ?GUARD, script(), Verb | Rest]}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_start(Guard, []).

script() ->
    filename:join([checkout(), "scripts", "postgres"]).

await_start(Guard, Said) ->
    receive
        {Guard, {data, {_, <<"started ", Places/binary>>}}} ->
            [Directory, Url] = string:split(binary_to_list(Places), " "),
            #cluster{guard = Guard, directory = Directory, url = Url};
        {Guard, {data, {_, Line}}} ->
            await_start(Guard, [Line | Said]);
        {Guard, {exit_status, _}} ->
            erlang:error({no_cluster, lists:reverse(Said)})
    end.

%% The directory of the checkout: the tests are built below it.
checkout() ->
    Places = [code:lib_dir(mongoose_domain), proplists:get_value(source, ?MODULE:module_info(compile))],
    [Checkout | _] = [Above || Place <- Places, Above <- above(Place), filelib:is_regular(filename:join([Above, "scripts", "postgres"]))],
    Checkout.

above(Place) ->
    case filename:dirname(Place) of
        Place -> [];
        Above -> [Above | above(Above)]
    end.

%% @doc The URL of its database.
-spec url(t()) -> string().
url(#cluster{url = Url}) ->
    Url.

%% @doc The port at which it listens.
-spec port(t()) -> inet:port_number().
port(#cluster{url = Url}) ->
    md_database:port(Url).

%% @doc Stops every process with SIGSTOP; none runs when this returns.
-spec freeze(t()) -> ok.
freeze(#cluster{} = Cluster) ->
    {ok, Text} = file:read_file(pid_file(Cluster)),
    [Postmaster | _] = binary:split(Text, <<"\n">>),
    %% The postmaster first, since it starts the others.
    ok = freeze(Cluster, fun() -> [Postmaster] end),
    ok = freeze(Cluster, fun() -> [Postmaster | [Pid || {Pid, Parent, _} <- processes_of_all(), Parent =:= Postmaster]] end).

freeze(#cluster{directory = Directory}, List) ->
    Pids = List(),
    ok = file:write_file(filename:join(Directory, ?FROZEN), lists:join(" ", Pids)),
    ok = signal("STOP", Pids),
    %% A process that was about to end may be gone.
    md_wait:until(fun() -> [Pid || {Pid, _, State} <- processes_of_all(), lists:member(Pid, Pids), not is_still(State)] end, []).

pid_file(#cluster{directory = Directory}) ->
    filename:join([Directory, "postgres", "data", "postmaster.pid"]).

is_still(State) ->
    State =:= <<"T">> orelse is_dead(State).

is_dead(State) ->
    lists:member(State, [<<"Z">>, <<"X">>]).

%% @doc Continues the frozen processes.
-spec thaw(t()) -> ok.
thaw(Cluster) ->
    ok = signal("CONT", frozen(Cluster)),
    no_longer_frozen(Cluster).

frozen(#cluster{directory = Directory}) ->
    {ok, Pids} = file:read_file(filename:join(Directory, ?FROZEN)),
    string:lexemes(Pids, " ").

%% The file must go, since the system may give the same ids to other processes.
no_longer_frozen(#cluster{directory = Directory}) ->
    file:delete(filename:join(Directory, ?FROZEN)).

%% @doc Kills every process; none is left when this returns.
-spec kill(t()) -> ok.
kill(Cluster) ->
    %% They are frozen first, so that no process can react to the end of another.
    ok = freeze(Cluster),
    Pids = frozen(Cluster),
    ok = signal("KILL", Pids),
    md_wait:until(fun() -> [Pid || {Pid, _, State} <- processes_of_all(), lists:member(Pid, Pids), not is_dead(State)] end, []),
    ok = no_longer_frozen(Cluster),
    %% A new postmaster takes a zombie, which still has an id, for a running server; without these files it does not
    %% look.
    lists:foreach(fun(File) -> ok = file:delete(File) end, [pid_file(Cluster) | locks(Cluster)]).

locks(#cluster{directory = Directory}) ->
    filelib:wildcard(filename:join([Directory, "postgres", ".s.PGSQL.*"])).

%% @doc Shuts the server down in order, as for maintenance; its data stays.
-spec shut_down(t()) -> ok.
shut_down(Cluster) -> do("shut-down", Cluster).

%% @doc Starts a stopped server with its data.
-spec again(t()) -> ok.
again(Cluster) -> do("again", Cluster).

%% @doc Starts a stopped server without data: another database at the same address.
-spec empty(t()) -> ok.
empty(Cluster) -> do("empty", Cluster).

%% @doc Copies the data of a running server, for restore/1.
-spec backup(t()) -> ok.
backup(Cluster) -> do("backup", Cluster).

%% @doc Starts a stopped server with the data of its last backup.
-spec restore(t()) -> ok.
restore(Cluster) -> do("restore", Cluster).

%% @doc Makes a standby a primary.
-spec promote(t()) -> ok.
promote(Cluster) -> do("promote", Cluster).

do(Verb, #cluster{directory = Directory}) ->
    Port = open_port({spawn_executable, script()}, [{args, [Verb, filename:join(Directory, "postgres")]},
        {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_end(Port, Verb, []).

await_end(Port, Verb, Said) ->
    receive
        {Port, {data, {_, Line}}} -> await_end(Port, Verb, [Line | Said]);
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, _}} -> erlang:error({cluster, Verb, lists:reverse(Said)})
    end.

%% @doc Whether a standby is connected to its primary.
-spec receives(t()) -> boolean().
receives(Standby) ->
    ask(Standby, "SELECT status FROM pg_stat_wal_receiver") =:= [[<<"streaming">>]].

%% @doc Whether a standby shows all that its primary has confirmed.
-spec shows_all_of(t(), t()) -> boolean().
shows_all_of(Standby, Primary) ->
    [[Written]] = ask(Primary, "SELECT pg_current_wal_flush_lsn()"),
    ask(Standby, ["SELECT pg_last_wal_replay_lsn() >= '", Written, "'"]) =:= [[<<"t">>]].

ask(Cluster, Sql) ->
    Client = md_client:open(url(Cluster)),
    Rows = md_client:query(Client, Sql),
    ok = md_client:close(Client),
    Rows.

signal(Name, Pids) ->
    _ = os:cmd(lists:flatten(["kill -", Name, " ", lists:join(" ", [binary_to_list(Pid) || Pid <- Pids])])),
    ok.

%% The id of each process, its parent's id, and its state as a letter.
processes_of_all() ->
    lists:append([process_of(File) || File <- filelib:wildcard("/proc/[0-9]*/stat")]).

process_of(File) ->
    case file:read_file(File) of
        {ok, Stat} ->
            [Pid | _] = binary:split(Stat, <<" ">>),
            %% The name, in parentheses, may contain spaces and parentheses.
            [_, Fields] = string:split(Stat, <<") ">>, trailing),
            [State, Parent | _] = string:lexemes(Fields, " "),
            [{Pid, Parent, State}];
        {error, _} ->
            []
    end.

%% @doc Stops the cluster and deletes its files; any process may call this.
-spec stop(t()) -> ok.
stop(#cluster{guard = Guard, directory = Directory}) ->
    _ = [port_close(Guard) || erlang:port_info(Guard) =/= undefined],
    md_wait:until(fun() -> filelib:is_dir(Directory) end, false).
