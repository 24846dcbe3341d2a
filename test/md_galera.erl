%% A Galera cluster of three MariaDB servers for one test, each of which can be killed and started again.
%%
%%   Cluster = md_galera:start(),
%%   [One, Two, Three] = md_galera:urls(Cluster),     % of the same database, at another server first
%%   ok = md_galera:kill(Cluster, 2),                 % at once
%%   ok = md_galera:again(Cluster, 2),                % with its data; returns when it takes statements
%%   ok = md_galera:stop(Cluster).
%%
%% The servers end with the process that started them.
-module(md_galera).

-export([start/0, urls/1, url/2, kill/2, again/2, stop/1]).

-export_type([t/0]).

-record(cluster, {guard :: port(), directory :: string(), urls :: [string()]}).
-opaque t() :: #cluster{}.

%% Waits for the end of its input, which comes when the owner ends, even if the owner is killed.
-define(GUARD,
    "trap '' HUP INT TERM\n"
    "dir=$(mktemp -d \"${TMPDIR:-/tmp}/mongoose_domain_ct.XXXXXX\") || exit 1\n"
    "chmod 711 \"$dir\"\n" % the servers may run as another user
    "if urls=$(\"$0\" start \"$dir/galera\" </dev/null); then\n"
    "    echo \"started $dir/galera\" $urls\n"
    "    cat >/dev/null\n"
    "fi\n"
    "exec >/dev/null 2>&1\n"
    "\"$0\" stop \"$dir/galera\" </dev/null\n"
    "rm -rf \"$dir\"\n").

%% @doc Creates and starts a cluster.
-spec start() -> t().
start() ->
    Guard = open_port({spawn_executable, "/bin/sh"},
        [{args, ["-c", ?GUARD, md_mariadb:script("galera")]}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_start(Guard, []).

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
    Ports = [md_database:port(Url) || Url <- Urls],
    [of_ports(lists:sublist(Ports ++ Ports, First, length(Ports))) || First <- lists:seq(1, length(Ports))].

of_ports(Ports) ->
    Hosts = lists:join(",", [["127.0.0.1:", integer_to_list(Port)] || Port <- Ports]),
    lists:flatten(["mysql://mongoose@", Hosts, "/mongoose?connect_timeout=5"]).

%% @doc The URL of this server alone.
-spec url(t(), 1..3) -> string().
url(#cluster{urls = Urls}, Number) ->
    lists:nth(Number, Urls).

%% @doc Kills a server; it is gone when this returns.
-spec kill(t(), 1..3) -> ok.
kill(#cluster{directory = Directory}, Number) ->
    md_mariadb:run("galera", ["kill", Directory, integer_to_list(Number)]).

%% @doc Starts a killed server with its data.
-spec again(t(), 1..3) -> ok.
again(#cluster{directory = Directory}, Number) ->
    md_mariadb:run("galera", ["again", Directory, integer_to_list(Number)]).

%% @doc Ends the cluster and deletes its data.
-spec stop(t()) -> ok.
stop(#cluster{guard = Guard, directory = Directory}) ->
    true = port_close(Guard),
    md_wait:until(fun() -> filelib:is_dir(Directory) end, false).
