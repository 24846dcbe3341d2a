%% A Galera cluster of three MariaDB servers for one test, each of which can fail in its own way.
%%
%%   Cluster = md_galera:start(),
%%   [One, Two, Three] = md_galera:urls(Cluster),     % of the same database, at another server first
%%   ok = md_galera:server(Cluster, kill, 2),         % at once
%%   ok = md_galera:server(Cluster, again, 2),        % with its data; returns when it takes statements
%%   ok = md_galera:stop(Cluster).
%%
%% Each server of start_sites/0 is at a site of its own, a network namespace, which can be cut from the others. Programs
%% that are started behind within/2 run there. This needs root.
%%
%% The servers end with the process that started them.
-module(md_galera).

-export([start/0, start_sites/0, urls/1, url/2, server/3, restart/1, within/2, client/2, stop/1]).

-export_type([t/0, place/0]).

-record(cluster, {guard :: port(), directory :: string(), urls :: [string()]}).
-opaque t() :: #cluster{}.
-type place() :: 1..3.

%% Waits for the end of its input, which comes when the owner ends, even if the owner is killed.
-define(GUARD,
    "trap '' HUP INT TERM\n"
    "dir=$(mktemp -d \"${TMPDIR:-/tmp}/mongoose_domain_ct.XXXXXX\") || exit 1\n"
    "chmod 711 \"$dir\"\n" % the servers may run as another user
    "if urls=$(\"$0\" start \"$dir/galera\" \"$@\" </dev/null); then\n"
    "    echo \"started $dir/galera\" $urls\n"
    "    cat >/dev/null\n"
    "fi\n"
    "exec >/dev/null 2>&1\n"
    "\"$0\" stop \"$dir/galera\" </dev/null\n"
    "rm -rf \"$dir\"\n").

%% @doc Creates and starts a cluster on ports of this machine.
-spec start() -> t().
start() ->
    start([]).

%% @doc The same, with a site for each server.
-spec start_sites() -> t().
start_sites() ->
    start(["sites"]).

start(Args) ->
    Guard = open_port({spawn_executable, "/bin/sh"},
        [{args, ["-c", ?GUARD, script() | Args]}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_start(Guard, []).

script() ->
    md_mariadb:script("galera").

await_start(Guard, Said) ->
    receive
        {Guard, {data, {_, <<"started ", Places/binary>>}}} ->
            [Directory | Urls] = string:lexemes(binary_to_list(Places), " "),
            #cluster{guard = Guard, directory = Directory, urls = Urls};
        {Guard, {data, {_, Line}}} ->
            await_start(Guard, [Line | Said]);
        {Guard, {exit_status, _}} ->
            erlang:error({no_cluster, lists:reverse(Said)})
    end.

%% @doc For each server a URL that names it first, and then the others.
-spec urls(t()) -> [string()].
urls(#cluster{urls = Urls}) ->
    Places = [place(Url) || Url <- Urls],
    [of_places(lists:sublist(Places ++ Places, First, length(Places))) || First <- lists:seq(1, length(Places))].

place(Url) ->
    #{host := Host, port := Port} = uri_string:parse(Url),
    lists:concat([Host, ":", Port]).

of_places(Places) ->
    lists:concat(["mysql://mongoose@", lists:append(lists:join(",", Places)), "/mongoose?connect_timeout=2"]).

%% @doc The URL of this server alone.
-spec url(t(), place()) -> string().
url(#cluster{urls = Urls}, Number) ->
    lists:nth(Number, Urls).

%% @doc Does this with a server, in the words of scripts/galera. What it does is done when this returns.
-spec server(t(), kill | leave | empty | again | pause | resume | cut | join, place()) -> ok.
server(#cluster{directory = Directory}, What, Number) ->
    md_mariadb:run("galera", [atom_to_list(What), Directory, integer_to_list(Number)]).

%% @doc Starts all servers, of which none may run.
-spec restart(t()) -> ok.
restart(#cluster{directory = Directory}) ->
    md_mariadb:run("galera", ["restart", Directory]).

%% @doc The beginning of a command that runs at this server's site.
-spec within(t(), place()) -> [string()].
within(#cluster{directory = Directory}, Number) ->
    [script(), "within", Directory, integer_to_list(Number)].

%% @doc A client of this server at its site.
-spec client(t(), place()) -> md_client:t().
client(Cluster, Number) ->
    md_client:open_within(within(Cluster, Number), url(Cluster, Number)).

%% @doc Ends the cluster and deletes its data.
-spec stop(t()) -> ok.
stop(#cluster{guard = Guard, directory = Directory}) ->
    true = port_close(Guard),
    md_wait:until(fun() -> filelib:is_dir(Directory) end, false).
