%% Accepts connections, and starts a process for each.
-module(filebox_listener).

-export([start_link/0, init/1]).

-include_lib("kernel/include/logger.hrl").

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    proc_lib:start_link(?MODULE, init, [self()]).

%% @private
-spec init(pid()) -> no_return().
init(Parent) ->
    {ok, Ip} = application:get_env(filebox, ip),
    {ok, Port} = application:get_env(filebox, port),
    Options = [binary, {packet, line}, {active, false}, {reuseaddr, true}, {ip, Ip}, {buffer, 65536}, {backlog, 128}],
    case gen_tcp:listen(Port, Options) of
        {ok, Socket} ->
            {ok, Open} = inet:port(Socket),
            ?LOG_NOTICE("filebox listens at ~s:~p", [inet:ntoa(Ip), Open]),
            proc_lib:init_ack(Parent, {ok, self()}),
            accept(Socket);
        {error, Reason} ->
            ?LOG_ERROR("filebox cannot listen at ~s:~p: ~s", [inet:ntoa(Ip), Port, inet:format_error(Reason)]),
            exit(Reason)
    end.

accept(Listening) ->
    {ok, Socket} = gen_tcp:accept(Listening),
    {ok, Connection} = supervisor:start_child(filebox_connections, [Socket]),
    ok = gen_tcp:controlling_process(Socket, Connection),
    ok = filebox_connection:begin_work(Connection),
    accept(Listening).
