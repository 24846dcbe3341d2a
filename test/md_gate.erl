%% A TCP gate before a server: open it, close it, let it stall, and the server itself notices nothing
%% but connections that come and go.
%%
%%   Gate = md_gate:start(5432),             % closed: connections are refused
%%   Url = md_database:with_port(Database, md_gate:port(Gate)),
%%   ok = md_gate:open(Gate),                % forwards
%%   ok = md_gate:close(Gate),               % cuts every connection and refuses new ones
%%   ok = md_gate:stall(Gate).               % takes connections and says nothing on them
%%
%% The port stays the gate's own in every state. A gate ends with the process that started it.
-module(md_gate).

-export([start/1, open/1, close/1, stall/1, port/1]).

-export_type([t/0]).

-type t() :: pid().

-record(gate, {
    target :: inet:port_number(),
    port :: inet:port_number(),
    %% Bound always; listens unless the gate is closed.
    socket :: socket:socket(),
    connections = [] :: [pid()]
}).

%% @doc A closed gate before this port of this machine.
-spec start(inet:port_number()) -> t().
start(Target) ->
    spawn_link(fun() ->
        Socket = bind(0),
        {ok, #{port := Port}} = socket:sockname(Socket),
        loop(#gate{target = Target, port = Port, socket = Socket})
    end).

%% @doc Forwards connections from now on.
-spec open(t()) -> ok.
open(Gate) ->
    call(Gate, {listen, forward}).

%% @doc Cuts every connection and refuses new ones.
-spec close(t()) -> ok.
close(Gate) ->
    call(Gate, close).

%% @doc Cuts every connection; new ones succeed, and nothing is ever said on them.
-spec stall(t()) -> ok.
stall(Gate) ->
    call(Gate, {listen, stall}).

%% @doc Where the gate is.
-spec port(t()) -> inet:port_number().
port(Gate) ->
    call(Gate, port).

call(Gate, Request) ->
    Monitor = monitor(process, Gate),
    Gate ! {self(), Monitor, Request},
    receive
        {Monitor, Answer} -> demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, Gate, Reason} -> erlang:error({gate_ended, Reason})
    end.

loop(#gate{port = Port, connections = Connections} = Gate) ->
    receive
        {From, Tag, port} ->
            From ! {Tag, Port},
            loop(Gate);
        {From, Tag, close} ->
            Closed = shut(Gate),
            From ! {Tag, ok},
            loop(Closed);
        {From, Tag, {listen, How}} ->
            #gate{socket = Socket, target = Target} = Shut = shut(Gate),
            ok = socket:listen(Socket),
            Self = self(),
            _ = spawn_link(fun() -> accept(Self, Socket, How, Target) end),
            From ! {Tag, ok},
            loop(Shut);
        {connection, Pid} ->
            loop(Gate#gate{connections = [Pid | Connections]})
    end.

shut(#gate{port = Port, socket = Socket, connections = Connections} = Gate) ->
    ok = socket:close(Socket),
    lists:foreach(fun kill/1, Connections),
    Gate#gate{socket = bind(Port), connections = []}.

kill(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

bind(Port) ->
    {ok, Socket} = socket:open(inet, stream, tcp),
    ok = socket:setopt(Socket, {socket, reuseaddr}, true),
    ok = socket:bind(Socket, #{family => inet, addr => {127, 0, 0, 1}, port => Port}),
    Socket.

accept(Gate, Listener, How, Target) ->
    case socket:accept(Listener) of
        {ok, Client} ->
            Connection = spawn(fun() -> receive go -> connection(How, Client, Target) end end),
            ok = socket:setopt(Client, {otp, controlling_process}, Connection),
            Gate ! {connection, Connection},
            Connection ! go,
            accept(Gate, Listener, How, Target);
        {error, closed} ->
            ok
    end.

%% Owns both sockets: when it ends, they are closed.
connection(stall, _Client, _Target) ->
    receive never -> ok end;
connection(forward, Client, Target) ->
    {ok, Server} = socket:open(inet, stream, tcp),
    case socket:connect(Server, #{family => inet, addr => {127, 0, 0, 1}, port => Target}) of
        ok ->
            _ = spawn_link(fun() -> pump(Server, Client) end),
            pump(Client, Server);
        {error, _} ->
            ok
    end.

pump(From, To) ->
    case socket:recv(From) of
        {ok, Bytes} ->
            case socket:send(To, Bytes) of
                ok -> pump(From, To);
                {error, _} -> exit(cut)
            end;
        {error, _} ->
            exit(cut)
    end.
