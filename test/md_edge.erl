%% Starts reverse proxies, Caddy, nginx and HAProxy, and a server behind them.
%%
%%   Behind = md_edge:start_server(),                            % answers each request with the request's head
%%   {ok, Caddy} = md_edge:program("caddy"),
%%   Edge = md_edge:start(Caddy, ["run", "--config", File], Directory),
%%   ok = md_edge:stop(Edge).
%%
%% Their configuration is the one that docs/doors.md shows: block/1 reads it from there. They end with the process that
%% started them.
-module(md_edge).

-export([program/1, start/3, start_nginx/3, stop/1, said/1]).
-export([start_server/0, free_port/0, block/1, script/1]).

-export_type([t/0]).

%% Ends the program when the owner ends, even if the owner is killed: the end of the input is the signal. After TERM,
%% PgBouncer waits for its clients since version 1.23; QUIT ends it.
-define(GUARD, "\"$@\" </dev/null & program=$!; cat >/dev/null; kill -TERM $program; kill -QUIT $program; wait $program").

-record(edge, {guard :: port(), log :: file:filename()}).
-opaque t() :: #edge{}.

%% @doc The path of the program; downloads it where it is not installed.
-spec program(string()) -> {ok, file:filename()} | {skip, string()}.
program(Name) ->
    Port = open_port({spawn_executable, script("edges")}, [{args, [Name]}, exit_status, {line, 1000}, hide]),
    await_program(Port, Name, none).

await_program(Port, Name, Found) ->
    receive
        {Port, {data, {_, Line}}} -> await_program(Port, Name, Line);
        {Port, {exit_status, 0}} -> {ok, Found};
        {Port, {exit_status, 77}} -> {skip, Name ++ " is not here and could not be fetched"}
    end.

%% @doc Starts it with a data directory of its own.
-spec start(file:filename(), [string()], file:filename()) -> t().
start(Program, Args, Directory) ->
    Log = filename:join(Directory, "log"),
    Guard = open_port({spawn_executable, "/bin/sh"},
                      [{args, ["-c", "exec >\"$0\" 2>&1; " ++ ?GUARD, Log, Program | Args]}, exit_status, hide,
                       {env, [{"HOME", Directory}, {"XDG_DATA_HOME", Directory}, {"XDG_CONFIG_HOME", Directory}]}]),
    #edge{guard = Guard, log = Log}.

%% @doc Starts nginx with this in the http block of its configuration; it writes only into the directory.
-spec start_nginx(file:filename(), iodata(), file:filename()) -> t().
start_nginx(Program, Http, Directory) ->
    Kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"],
    Paths = [[Kind, "_temp_path ", Directory, "/", Kind, ";\n"] || Kind <- Kinds],
    File = filename:join(Directory, "nginx.conf"),
    ok = file:write_file(File, ["daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n",
                                "http {\naccess_log off;\n", Paths, Http, "}\n"]),
    start(Program, ["-p", Directory, "-c", File], Directory).

%% @doc Ends the program.
-spec stop(t()) -> ok.
stop(#edge{guard = Guard}) ->
    true = port_close(Guard),
    ok.

%% @doc The program's output so far.
-spec said(t()) -> binary().
said(#edge{log = Log}) ->
    case file:read_file(Log) of
        {ok, Text} -> Text;
        {error, enoent} -> <<>>
    end.

%% @doc Starts a server on this machine that answers each request with the request's head.
-spec start_server() -> inet:port_number().
start_server() ->
    Self = self(),
    Server = spawn_link(fun() ->
        {ok, Listener} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}, binary]),
        {ok, Port} = inet:port(Listener),
        Self ! {self(), Port},
        accept(Listener)
    end),
    receive {Server, Port} -> Port end.

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    ok = answer(Socket, <<>>),
    accept(Listener).

answer(Socket, Head) ->
    {ok, Bytes} = gen_tcp:recv(Socket, 0),
    case <<Head/binary, Bytes/binary>> of
        All when binary_part(All, byte_size(All), -4) =:= <<"\r\n\r\n">> ->
            Length = integer_to_list(byte_size(All)),
            ok = gen_tcp:send(Socket, ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ", Length, "\r\n\r\n", All]),
            gen_tcp:close(Socket);
        Some ->
            answer(Socket, Some)
    end.

%% @doc A port of this machine on which no program listens at the moment. It lies below the ports that the system gives to
%% clients: one of those could be in use again at once, by a suite that runs at the same time.
-spec free_port() -> inet:port_number().
free_port() ->
    Port = 10000 + rand:uniform(6000),
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
        {ok, Socket} ->
            ok = gen_tcp:close(Socket),
            Port;
        {error, eaddrinuse} ->
            free_port()
    end.

%% @doc The block of this kind in docs/doors.md.
-spec block(string()) -> binary().
block(Kind) ->
    {ok, Text} = file:read_file(filename:join([root(), "docs", "doors.md"])),
    {match, [Block]} = re:run(Text, ["```", Kind, "\n(.*?)```"], [dotall, {capture, all_but_first, binary}]),
    Block.

%% @doc The path of a script of this project.
-spec script(string()) -> file:filename().
script(Name) ->
    filename:join([root(), "scripts", Name]).

root() ->
    root(filename:dirname(filename:absname(code:which(?MODULE)))).

root(Directory) ->
    case filelib:is_regular(filename:join([Directory, "scripts", "edges"])) of
        true -> Directory;
        false -> root(filename:dirname(Directory))
    end.
