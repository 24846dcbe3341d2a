%% Forwards bytes between a client and a server, and counts round trips: how often the client sent something after the
%% server had sent something.
-module(bench_relay).

-export([start/2, round_trips/1]).

-export_type([t/0]).

%% Has a row for each connection on which the client has sent the words.
-opaque t() :: ets:table().

%% @doc Starts a relay to the server of this URL, and returns the URL that leads through it. Only connections on which
%% the client has sent these words are counted, with all their round trips.
-spec start(string(), binary()) -> {t(), string()}.
start(Url, Words) ->
    #{host := Host, port := Port} = Parts = uri_string:parse(Url),
    Counts = ets:new(?MODULE, [public]),
    {ok, Listener} = gen_tcp:listen(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}, {nodelay, true}]),
    {ok, Own} = inet:port(Listener),
    Acceptor = spawn_link(fun() -> receive go -> accept(Listener, Host, Port, Counts, Words) end end),
    ok = gen_tcp:controlling_process(Listener, Acceptor),
    Acceptor ! go,
    {Counts, uri_string:recompose(Parts#{host => "127.0.0.1", port => Own})}.

%% @doc The number of round trips so far.
-spec round_trips(t()) -> non_neg_integer().
round_trips(Counts) ->
    lists:sum([Count || {_Connection, Count} <- ets:tab2list(Counts)]).

accept(Listener, Host, Port, Counts, Words) ->
    {ok, Client} = gen_tcp:accept(Listener),
    Connection = spawn_link(fun() ->
        receive go -> ok end,
        {ok, Server} = gen_tcp:connect(Host, Port, [binary, {active, true}, {nodelay, true}]),
        ok = inet:setopts(Client, [{active, true}]),
        pass_on(Client, Server, server, 0, fun(Bytes, Count) ->
            Counted = ets:member(Counts, self()) orelse binary:match(Bytes, Words) =/= nomatch,
            Counted andalso ets:insert(Counts, {self(), Count})
        end)
    end),
    ok = gen_tcp:controlling_process(Client, Connection),
    Connection ! go,
    accept(Listener, Host, Port, Counts, Words).

pass_on(Client, Server, Spoke, Count, Note) ->
    receive
        {tcp, Client, Bytes} ->
            Asked = case Spoke of server -> Count + 1; client -> Count end,
            _ = Note(Bytes, Asked),
            _ = gen_tcp:send(Server, Bytes),
            pass_on(Client, Server, client, Asked, Note);
        {tcp, Server, Bytes} ->
            _ = gen_tcp:send(Client, Bytes),
            pass_on(Client, Server, server, Count, Note);
        {tcp_closed, _Socket} ->
            ok;
        {tcp_error, _Socket, _Reason} ->
            ok
    end.
