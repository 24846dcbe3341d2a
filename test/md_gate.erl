%% A TCP proxy before a server, which a test can open, close, stall or break. The server itself keeps running and sees
%% only connections that open and close.
%%
%%   Gate = md_gate:start(5432),             % closed: connections are refused
%%   Url = md_database:with_port(Database, md_gate:port(Gate)),
%%   ok = md_gate:open(Gate),                % forwards
%%   ok = md_gate:close(Gate),               % cuts every connection and refuses new ones
%%   ok = md_gate:stall(Gate).               % accepts connections and sends nothing on them
%%   ok = md_gate:lead_to(Gate, 5433).       % forwards new connections to another server, and keeps the old ones
%%
%% An open gate can also break without being closed first:
%%
%%   ok = md_gate:hush(Gate),                % keeps old and new connections, and forwards nothing
%%   ok = md_gate:half_close(Gate, client),  % the client reads the end of the stream, and may still write
%%   ok = md_gate:cut_after(Gate, 4000),     % closes after 4000 more bytes of the server
%%   ok = md_gate:swallow(Gate, Bytes).      % closes when the server answers a client that sent these bytes
%%
%% After the last two, md_gate:is_closed/1 returns whether the gate has closed. After any of the four, open/1 cuts the
%% remaining connections and starts anew. The gate keeps its port in every state. It ends with the process that started
%% it.
-module(md_gate).

-export([start/1, open/1, close/1, stall/1, lead_to/2, port/1]).
-export([hush/1, half_close/2, cut_after/2, swallow/2, is_closed/1]).

-export_type([t/0]).

-type t() :: pid().

-record(gate, {
    target :: inet:port_number(),
    port :: inet:port_number(),
    %% Always bound; it listens unless the gate is closed.
    socket :: socket:socket(),
    is_closed = true :: boolean(),
    valve :: valve(),
    connections = [] :: [pid()],
    %% Only the connections that reached the server.
    pairs = [] :: [{Client :: socket:socket(), Server :: socket:socket()}]
}).

%% State that the connections of an open gate share. Each opening makes a new one, so that an old connection that ends
%% cannot change the state of the new ones.
%%
%%   quiet              whether nothing is forwarded
%%   halved             whether one direction is closed, and what is meant for it is thrown away
%%   budget             bytes that the server may still send
%%   target             the port that new connections are forwarded to
%%   swallow            bytes of a client after which the server's answer is dropped, or none
%%   {answer, Client}   set when this client has sent these bytes
-type valve() :: ets:table().

-define(PLENTY, 1 bsl 60).

%% @doc Starts a closed gate before this port of this machine.
-spec start(inet:port_number()) -> t().
start(Target) ->
    spawn_link(fun() ->
        Socket = bind(0),
        {ok, #{port := Port}} = socket:sockname(Socket),
        loop(#gate{target = Target, port = Port, socket = Socket, valve = valve(Target)})
    end).

%% @doc Forwards connections from now on.
-spec open(t()) -> ok.
open(Gate) ->
    call(Gate, {listen, forward}).

%% @doc Cuts every connection and refuses new ones.
-spec close(t()) -> ok.
close(Gate) ->
    call(Gate, close).

%% @doc Cuts every connection. New ones are accepted, and nothing is sent on them.
-spec stall(t()) -> ok.
stall(Gate) ->
    call(Gate, {listen, stall}).

%% @doc Forwards new connections to this port from now on. Existing connections stay with the old server, as when an
%% address moves to another server while the old one still runs.
-spec lead_to(t(), inet:port_number()) -> ok.
lead_to(Gate, Target) ->
    call(Gate, {lead_to, Target}).

%% @doc Keeps every connection and forwards nothing in either direction, as a network does that drops all packets. New
%% connections are accepted, and nothing is sent on them.
-spec hush(t()) -> ok.
hush(Gate) ->
    call(Gate, {set, quiet, true}).

%% @doc Shuts one direction of every connection: this side reads the end of the stream.
-spec half_close(t(), client | server) -> ok.
half_close(Gate, Deaf) ->
    call(Gate, {half_close, Deaf}).

%% @doc Closes the gate after that many more bytes from the server, counted over all connections; these bytes are still
%% forwarded.
-spec cut_after(t(), non_neg_integer()) -> ok.
cut_after(Gate, Bytes) ->
    call(Gate, {set, budget, Bytes}).

%% @doc Closes the gate as soon as the server answers a client that sends these bytes, at once, from now on, and drops the
%% answer: the server has executed the request, and the client does not know. Other connections are served until then.
-spec swallow(t(), binary()) -> ok.
swallow(Gate, Bytes) ->
    call(Gate, {set, swallow, Bytes}).

%% @doc Whether the gate refuses connections.
-spec is_closed(t()) -> boolean().
is_closed(Gate) ->
    call(Gate, is_closed).

%% @doc The port of the gate.
-spec port(t()) -> inet:port_number().
port(Gate) ->
    call(Gate, port).

call(Gate, Request) ->
    Monitor = monitor(process, Gate),
    Gate ! {asked, self(), Monitor, Request},
    receive
        {Monitor, Answer} -> demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, Gate, Reason} -> erlang:error({gate_ended, Reason})
    end.

loop(#gate{valve = Valve, connections = Connections, pairs = Pairs} = Gate) ->
    receive
        {asked, From, Tag, Request} ->
            {Answer, Now} = answer(Request, Gate),
            From ! {Tag, Answer},
            loop(Now);
        {connection, Valve, Pid} ->
            loop(Gate#gate{connections = [Pid | Connections]});
        {connection, _Old, Pid} ->
            kill(Pid),
            loop(Gate);
        {pair, Valve, Pair} ->
            loop(Gate#gate{pairs = [Pair | Pairs]});
        {pair, _Old, _Pair} ->
            loop(Gate);
        {used_up, Valve} ->
            loop(shut(Gate));
        {used_up, _Old} ->
            loop(Gate)
    end.

answer(port, #gate{port = Port} = Gate) ->
    {Port, Gate};
answer(is_closed, #gate{is_closed = IsClosed} = Gate) ->
    {IsClosed, Gate};
answer(close, Gate) ->
    {ok, shut(Gate)};
answer({listen, How}, Gate) ->
    #gate{socket = Socket, valve = Valve} = Shut = shut(Gate),
    ok = socket:listen(Socket),
    Self = self(),
    _ = spawn_link(fun() -> accept(Self, Valve, Socket, How) end),
    {ok, Shut#gate{is_closed = false}};
answer({lead_to, Target}, #gate{valve = Valve} = Gate) ->
    {set(target, Target, Valve), Gate#gate{target = Target}};
answer({set, What, Value}, #gate{valve = Valve} = Gate) ->
    {set(What, Value, Valve), Gate};
answer({half_close, Deaf}, #gate{valve = Valve, pairs = Pairs} = Gate) ->
    ok = set(halved, true, Valve),
    _ = [socket:shutdown(side(Deaf, Pair), write) || Pair <- Pairs],
    {ok, Gate}.

side(client, {Client, _Server}) -> Client;
side(server, {_Client, Server}) -> Server.

valve(Target) ->
    Valve = ets:new(valve, [public]),
    true = ets:insert(Valve, [{quiet, false}, {halved, false}, {budget, ?PLENTY}, {target, Target}, {swallow, none}]),
    Valve.

set(What, Value, Valve) ->
    true = ets:insert(Valve, {What, Value}),
    ok.

get(What, Valve) ->
    ets:lookup_element(Valve, What, 2).

shut(#gate{port = Port, target = Target, socket = Socket, connections = Connections} = Gate) ->
    ok = socket:close(Socket),
    lists:foreach(fun kill/1, Connections),
    Gate#gate{socket = bind(Port), is_closed = true, valve = valve(Target), connections = [], pairs = []}.

kill(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

bind(Port) ->
    {ok, Socket} = socket:open(inet, stream, tcp),
    ok = socket:setopt(Socket, {socket, reuseaddr}, true),
    ok = socket:bind(Socket, #{family => inet, addr => {127, 0, 0, 1}, port => Port}),
    Socket.

accept(Gate, Valve, Listener, How) ->
    case socket:accept(Listener) of
        {ok, Client} ->
            Connection = spawn(fun() -> receive go -> connection(How, Gate, Valve, Client) end end),
            ok = socket:setopt(Client, {otp, controlling_process}, Connection),
            Gate ! {connection, Valve, Connection},
            Connection ! go,
            accept(Gate, Valve, Listener, How);
        {error, closed} ->
            ok
    end.

%% Owns both sockets: they are closed when it ends.
connection(stall, _Gate, _Valve, _Client) ->
    receive never -> ok end;
connection(forward, Gate, Valve, Client) ->
    Target = get(target, Valve),
    {ok, Server} = socket:open(inet, stream, tcp),
    case socket:connect(Server, #{family => inet, addr => {127, 0, 0, 1}, port => Target}) of
        ok ->
            Gate ! {pair, Valve, {Client, Server}},
            _ = spawn_link(fun() -> pump(Server, Valve, fun(Bytes) -> say(Bytes, Client, Gate, Valve) end) end),
            pump(Client, Valve, fun(Bytes) -> ask(Bytes, Client, Server, Valve) end);
        {error, _} ->
            ok
    end.

pump(From, Valve, Send) ->
    case socket:recv(From) of
        {ok, Bytes} ->
            _ = [receive never -> ok end || get(quiet, Valve)],
            _ = Send(Bytes) =:= ok orelse get(halved, Valve) orelse exit(cut),
            pump(From, Valve, Send);
        {error, _} ->
            exit(cut)
    end.

ask(Bytes, Client, Server, Valve) ->
    Swallow = get(swallow, Valve),
    _ = [ets:insert(Valve, {{answer, Client}, dropped}) || is_binary(Swallow), binary:match(Bytes, Swallow) =/= nomatch],
    socket:send(Server, Bytes).

%% Forwards as many of the bytes as the limit allows.
say(Bytes, Client, Gate, Valve) ->
    Limit = case ets:member(Valve, {answer, Client}) of
        true -> ?PLENTY;
        false -> byte_size(Bytes)
    end,
    case ets:update_counter(Valve, budget, -Limit) of
        Left when Left >= 0 ->
            socket:send(Client, Bytes);
        Left ->
            _ = socket:send(Client, binary:part(Bytes, 0, max(0, byte_size(Bytes) + Left))),
            _ = Gate ! {used_up, Valve},
            ok
    end.
