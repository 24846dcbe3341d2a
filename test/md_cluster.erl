%% A PostgreSQL cluster of a test's own, whose processes can be stopped as a debugger stops them: its
%% connections stay, and nothing is ever said on them.
%%
%%   Cluster = md_cluster:start(),
%%   Url = md_cluster:url(Cluster),
%%   ok = md_cluster:freeze(Cluster),        % the postmaster and all its children
%%   ok = md_cluster:thaw(Cluster),
%%   ok = md_cluster:stop(Cluster).
%%
%% It ends with the process that started it, frozen or not. Its processes are found in Linux's /proc.
-module(md_cluster).

-export([start/0, url/1, freeze/1, thaw/1, stop/1]).

-export_type([t/0]).

-record(cluster, {guard :: port(), directory :: string(), url :: string()}).
-opaque t() :: #cluster{}.

%% Where the ids of the processes that are frozen stand, for the guard.
-define(FROZEN, "frozen").

%% Waits for the end of its input, which comes with the end of its owner, whatever ends that.
-define(GUARD,
    "trap '' HUP INT TERM\n"
    "dir=$(mktemp -d \"${TMPDIR:-/tmp}/mongoose_domain_ct.XXXXXX\") || exit 1\n"
    "chmod 711 \"$dir\"\n" % the cluster may belong to another user
    "if url=$(\"$0\" start \"$dir/postgres\" </dev/null); then\n"
    "    echo \"started $dir $url\"\n"
    "    cat >/dev/null\n"
    "fi\n"
    "exec >/dev/null 2>&1\n"
    "[ ! -e \"$dir/" ?FROZEN "\" ] || kill -CONT $(cat \"$dir/" ?FROZEN "\")\n"
    "\"$0\" stop \"$dir/postgres\" </dev/null\n"
    "rm -rf \"$dir\"\n").

%% @doc A new one.
-spec start() -> t().
start() ->
    Args = ["-c", ?GUARD, filename:join([checkout(), "scripts", "postgres"])],
    Guard = open_port({spawn_executable, "/bin/sh"},
        [{args, Args}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_start(Guard, []).

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

%% The directory that the tests were built below.
checkout() ->
    Places = [code:lib_dir(mongoose_domain), proplists:get_value(source, ?MODULE:module_info(compile))],
    [Checkout | _] = [Above || Place <- Places, Above <- above(Place), filelib:is_regular(filename:join([Above, "scripts", "postgres"]))],
    Checkout.

above(Place) ->
    case filename:dirname(Place) of
        Place -> [];
        Above -> [Above | above(Above)]
    end.

%% @doc Where it is.
-spec url(t()) -> string().
url(#cluster{url = Url}) ->
    Url.

%% @doc Stops every process; none is left that runs when this returns.
-spec freeze(t()) -> ok.
freeze(#cluster{directory = Directory} = Cluster) ->
    {ok, Text} = file:read_file(filename:join([Directory, "postgres", "data", "postmaster.pid"])),
    [Postmaster | _] = binary:split(Text, <<"\n">>),
    %% First the one that starts others.
    ok = freeze(Cluster, fun() -> [Postmaster] end),
    ok = freeze(Cluster, fun() -> [Postmaster | [Pid || {Pid, Parent, _} <- processes_of_all(), Parent =:= Postmaster]] end).

freeze(#cluster{directory = Directory}, List) ->
    Pids = List(),
    ok = file:write_file(filename:join(Directory, ?FROZEN), lists:join(" ", Pids)),
    ok = signal("STOP", Pids),
    %% One that was about to end may be gone.
    md_wait:until(fun() -> [Pid || {Pid, _, State} <- processes_of_all(), lists:member(Pid, Pids), not is_still(State)] end, []).

is_still(State) ->
    lists:member(State, [<<"T">>, <<"Z">>, <<"X">>]).

%% @doc Lets them go on.
-spec thaw(t()) -> ok.
thaw(#cluster{directory = Directory}) ->
    {ok, Pids} = file:read_file(filename:join(Directory, ?FROZEN)),
    signal("CONT", string:lexemes(Pids, " ")).

signal(Name, Pids) ->
    _ = os:cmd(lists:flatten(["kill -", Name, " ", lists:join(" ", [binary_to_list(Pid) || Pid <- Pids])])),
    ok.

%% Each process's id, its parent's, and its state as a letter.
processes_of_all() ->
    lists:append([process_of(File) || File <- filelib:wildcard("/proc/[0-9]*/stat")]).

process_of(File) ->
    case file:read_file(File) of
        {ok, Stat} ->
            [Pid | _] = binary:split(Stat, <<" ">>),
            %% The name, in parentheses, may hold anything.
            [_, Fields] = string:split(Stat, <<") ">>, trailing),
            [State, Parent | _] = string:lexemes(Fields, " "),
            [{Pid, Parent, State}];
        {error, _} ->
            []
    end.

%% @doc Ends it and takes it away; any process may do that.
-spec stop(t()) -> ok.
stop(#cluster{guard = Guard, directory = Directory}) ->
    _ = catch port_close(Guard),
    md_wait:until(fun() -> filelib:is_dir(Directory) end, false).
