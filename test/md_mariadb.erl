%% A MariaDB server for one test, which can be killed and started again.
%%
%%   Server = md_mariadb:start([]),
%%   Url = md_mariadb:url(Server),
%%   ok = md_mariadb:kill(Server),           % at once
%%   ok = md_mariadb:again(Server),          % with its data, at the same port
%%   ok = md_mariadb:stop(Server).
%%
%% A killed server keeps everything that it confirmed, since the operating system does not crash with it. The server ends
%% with the process that started it.
-module(md_mariadb).

-export([start/1, url/1, kill/1, again/1, stop/1]).
%% For md_galera
-export([script/1, run/2]).

-export_type([t/0]).

-record(server, {guard :: port(), directory :: string(), url :: string(), options :: [string()]}).
-opaque t() :: #server{}.

%% Waits for the end of its input, which comes when the owner ends, even if the owner is killed.
-define(GUARD,
    "trap '' HUP INT TERM\n"
    "dir=$(mktemp -d \"${TMPDIR:-/tmp}/mongoose_domain_ct.XXXXXX\") || exit 1\n"
    "chmod 711 \"$dir\"\n" % the server may run as another user
    "if url=$(\"$0\" start \"$dir/mariadb\" \"$@\" </dev/null); then\n"
    "    echo \"started $dir/mariadb $url\"\n"
    "    cat >/dev/null\n"
    "fi\n"
    "exec >/dev/null 2>&1\n"
    "\"$0\" stop \"$dir/mariadb\" </dev/null\n"
    "rm -rf \"$dir\"\n").

%% @doc Creates and starts a server with these options of mariadbd.
-spec start([string()]) -> t().
start(Options) ->
    Guard = open_port({spawn_executable, "/bin/sh"},
        [{args, ["-c", ?GUARD, script("mariadb") | Options]}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    {Directory, Url} = await_start(Guard, []),
    #server{guard = Guard, directory = Directory, url = Url, options = Options}.

%% @doc A program of scripts/.
-spec script(string()) -> file:filename().
script(Name) ->
    Checkout = filename:dirname(filename:dirname(md_events:path("docs/events.md"))),
    filename:join([Checkout, "scripts", Name]).

await_start(Guard, Said) ->
    receive
        {Guard, {data, {_, <<"started ", Places/binary>>}}} ->
            [Directory, Url] = string:split(binary_to_list(Places), " "),
            {Directory, Url};
        {Guard, {data, {_, Line}}} ->
            await_start(Guard, [Line | Said]);
        {Guard, {exit_status, _}} ->
            erlang:error({no_server, lists:reverse(Said)})
    end.

%% @doc The URL of its database.
-spec url(t()) -> string().
url(#server{url = Url}) ->
    Url.

%% @doc Kills the server; it is gone when this returns.
-spec kill(t()) -> ok.
kill(#server{directory = Directory}) ->
    run("mariadb", ["kill", Directory]).

%% @doc Starts a killed server with its data.
-spec again(t()) -> ok.
again(#server{directory = Directory, options = Options}) ->
    run("mariadb", ["again", Directory | Options]).

%% @doc Runs a program of scripts/ to its end. A server keeps no pipe of this process open: its output is in a file.
-spec run(string(), [string()]) -> ok.
run(Name, Args) ->
    Port = open_port({spawn_executable, script(Name)}, [{args, Args}, {line, 1000}, binary, stderr_to_stdout, exit_status, hide]),
    await_end(Port, []).

await_end(Port, Said) ->
    receive
        {Port, {data, {_, Line}}} -> await_end(Port, [Line | Said]);
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, Status}} -> erlang:error({no_server, Status, lists:reverse(Said)})
    end.

%% @doc Ends the server and deletes its data.
-spec stop(t()) -> ok.
stop(#server{guard = Guard, directory = Directory}) ->
    true = port_close(Guard),
    md_wait:until(fun() -> filelib:is_dir(Directory) end, false).
