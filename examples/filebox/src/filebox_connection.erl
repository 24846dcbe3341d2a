%% One connection. Requests and responses are lines:
%%
%%   C: HELLO my.example              S: OK basic                 the tenant itself
%%   C: USAGE                         S: OK 7 of 100
%%
%%   C: HELLO files.my.example        S: OK basic                 its subdomain, where filebox_files answers
%%   C: PUT greeting hello, world     S: OK
%%   C: GET greeting                  S: OK hello, world
%%
%%   S: GONE my.example                                           the tenant is served no more; the connection ends
%%
%% HELLO looks up the host once. After that, the router sends a message when the host is served no more.
-module(filebox_connection).
-behaviour(gen_server).

-export([start_link/1, begin_work/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {
    socket :: gen_tcp:socket(),
    route = none :: none | mongoose_domain_router:route(),
    host = none :: none | binary()
}).

-spec start_link(gen_tcp:socket()) -> gen_server:start_ret().
start_link(Socket) ->
    gen_server:start_link(?MODULE, Socket, []).

%% @doc Starts to read. The process must own its socket by now.
-spec begin_work(pid()) -> ok.
begin_work(Connection) ->
    gen_server:cast(Connection, begin_work).

-spec init(gen_tcp:socket()) -> {ok, #state{}}.
init(Socket) ->
    {ok, #state{socket = Socket}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, {error, unknown_call}, #state{}}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_call}, State}.

-spec handle_cast(begin_work, #state{}) -> {noreply, #state{}}.
handle_cast(begin_work, State) ->
    {noreply, read_more(State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({tcp, Socket, Line}, #state{socket = Socket} = State) ->
    case string:split(string:trim(Line, trailing, "\r\n"), " ") of
        [<<"QUIT">>] ->
            ok = say(State, "OK"),
            {stop, normal, State};
        [<<"HELLO">>, Host] ->
            {noreply, read_more(hello(Host, State))};
        [Command | Rest] ->
            ok = say(State, answer(Command, Rest, State)),
            {noreply, read_more(State)}
    end;
handle_info({host_gone, Host}, #state{host = Host} = State) ->
    ok = say(State, ["GONE ", Host]),
    {stop, normal, State};
handle_info({tcp_closed, _Socket}, State) ->
    {stop, normal, State};
handle_info({tcp_error, _Socket, _Reason}, State) ->
    {stop, normal, State};
handle_info(_Late, State) ->
    {noreply, State}.

%% A connection may change to another host.
hello(Name, #state{host = Before} = State) ->
    ok = filebox_router:leave(Before),
    case mongoose_domain_core:nameprep(Name) of
        {ok, Host} -> hello_host(Host, State#state{host = none, route = none});
        {error, invalid_domain} -> no_such_host(State#state{host = none, route = none})
    end.

hello_host(Host, State) ->
    %% Registers the host with the router if this is its first use.
    case mongoose_lazy_routing:maybe_add_domain_or_subdomain(Host) andalso filebox_router:join(Host) of
        {ok, Route} ->
            ok = say(State, ["OK ", host_type(Route)]),
            State#state{host = Host, route = Route};
        _NotServed ->
            no_such_host(State)
    end.

no_such_host(State) ->
    ok = say(State, "ERROR no such host"),
    State.

host_type({domain, HostType}) -> HostType;
host_type({subdomain, #{host_type := HostType}}) -> HostType.

answer(_Command, _Rest, #state{route = none}) ->
    "ERROR say HELLO first";
answer(<<"USAGE">>, [], #state{route = {domain, HostType}, host = Domain}) ->
    case filebox_quota:usage(HostType, Domain) of
        {ok, Used, Most} -> io_lib:format("OK ~p of ~p", [Used, Most]);
        {error, Reason} -> ["ERROR ", Reason]
    end;
answer(Command, Rest, #state{route = {subdomain, #{packet_handler := {Module, Extra}, parent_domain := Domain}}}) ->
    Module:handle_request(Command, Rest, Domain, Extra);
answer(_Command, _Rest, _State) ->
    "ERROR unknown command".

read_more(#state{socket = Socket} = State) ->
    _ = inet:setopts(Socket, [{active, once}]),
    State.

%% An error is ignored, since a message reports a closed socket.
say(#state{socket = Socket}, Line) ->
    _ = gen_tcp:send(Socket, [Line, "\r\n"]),
    ok.
