%% An HTTP client that sends exactly the given bytes, even invalid ones, and returns the answer.
%%
%%   Door = md_http:door(Node),
%%   {204, _, <<>>} = md_http:request(Door, put, "/api/domains/a.example", #{json => "{\"host_type\": \"type1\"}"}),
%%   {200, _, Body} = md_http:request(Door, get, "/api/domains/a.example", #{}).
%%
%% Each request opens a connection of its own. It uses the door's credentials unless its options have others.
-module(md_http).

-export([door/1, door/2, request/4, bytes/4, send/2, header/2]).
-export([connect/1, answer/1]).

-export_type([door/0, answer/0, connection/0]).

%% `tls' are the options of a TLS client; `from' is the local address of the connection.
-type door() :: #{host := string(), port := inet:port_number(), user => {iodata(), iodata()} | none,
                  tls => [ssl:tls_client_option()], from => inet:ip_address()}.
%% `json' is a body with JSON's content type; `user' replaces the door's credentials.
-type options() :: #{body => iodata(), json => iodata(), headers => [{iodata(), iodata()}],
                     user => {iodata(), iodata()} | none}.
-type answer() :: {Code :: pos_integer(), [{Name :: binary(), Value :: binary()}], Body :: binary()}.

-type connection() :: {gen_tcp | ssl, gen_tcp:socket() | ssl:sslsocket()}.

-define(TIMEOUT, 60000).

%% @doc The door of this node, once it is open, with the credentials of the global admin.
-spec door(md_node:t()) -> door().
door(Node) ->
    door(Node, {"admin", "secret"}).

-spec door(md_node:t(), {iodata(), iodata()} | none) -> door().
door(Node, User) ->
    md_wait:until(fun() -> element(1, md_node:call(Node, mongoose_domain_admin, url, [])) =:= ok end),
    {ok, Url} = md_node:call(Node, mongoose_domain_admin, url, []),
    #{host := Host, port := Port} = uri_string:parse(binary_to_list(Url)),
    #{host => Host, port => Port, user => User}.

%% @doc Sends the request and returns the answer. Fails when the connection breaks before.
-spec request(door(), atom() | string(), iodata(), options()) -> answer().
request(Door, Method, Path, Options) ->
    {ok, Answer} = send(Door, bytes(Door, Method, Path, Options)),
    Answer.

%% @doc The bytes of such a request.
-spec bytes(door(), atom() | string(), iodata(), options()) -> iodata().
bytes(Door, Method, Path, Options) ->
    Name = case is_atom(Method) of true -> string:uppercase(atom_to_list(Method)); false -> Method end,
    {Body, Type} = case Options of
        #{json := Json} -> {Json, [{"content-type", "application/json"}]};
        #{body := Bytes} -> {Bytes, []};
        #{} -> {none, []}
    end,
    Length = [{"content-length", integer_to_list(iolist_size(Body))} || Body =/= none],
    User = [{"authorization", ["Basic ", base64:encode(iolist_to_binary([Who, $:, Password]))]}
            || {Who, Password} <- [maps:get(user, Options, maps:get(user, Door, none))]],
    Headers = [{"host", "localhost"}, {"connection", "close"}] ++ Type ++ Length ++ User ++ maps:get(headers, Options, []),
    Head = [Name, $\s, Path, " HTTP/1.1\r\n", [[Key, ": ", Value, "\r\n"] || {Key, Value} <- Headers], "\r\n"],
    [Head, [Body || Body =/= none]].

%% @doc Sends these bytes; returns the answer, or `{error, closed}' where the server closes without one.
-spec send(door(), iodata()) -> {ok, answer()} | {error, term()}.
send(Door, Bytes) ->
    case connect(Door) of
        {ok, {Transport, Socket} = Connection} ->
            try
                %% A server that has answered already may refuse the rest.
                _ = Transport:send(Socket, Bytes),
                answer(Connection)
            after
                Transport:close(Socket)
            end;
        Error -> Error
    end.

%% @doc Opens a connection, for answer/1.
-spec connect(door()) -> {ok, connection()} | {error, term()}.
connect(#{host := Host, port := Port} = Door) ->
    From = [{ip, Ip} || #{from := Ip} <- [Door]],
    Options = From ++ [binary, {active, false}, {packet, http_bin}],
    {Transport, All} = case Door of
        #{tls := Tls} ->
            {ok, _} = application:ensure_all_started(ssl),
            {ssl, Options ++ Tls};
        #{} -> {gen_tcp, Options}
    end,
    case Transport:connect(Host, Port, All, ?TIMEOUT) of
        {ok, Socket} -> {ok, {Transport, Socket}};
        Error -> Error
    end.

%% @doc The next answer on a connection. Another request may follow on it.
-spec answer(connection()) -> {ok, answer()} | {error, term()}.
answer(Connection) ->
    _ = setopts(Connection, [{packet, http_bin}]),
    case recv(Connection, 0) of
        {ok, {http_response, _Version, Code, _Phrase}} ->
            Headers = headers(Connection),
            {ok, {Code, Headers, body(Connection, Headers)}};
        Error -> Error
    end.

%% @doc The value of a header; its name is in lower case.
-spec header(binary(), answer()) -> binary() | undefined.
header(Name, {_Code, Headers, _Body}) ->
    proplists:get_value(Name, Headers).

headers(Socket) ->
    case recv(Socket, 0) of
        {ok, {http_header, _, Name, _, Value}} -> [{lower(Name), Value} | headers(Socket)];
        {ok, http_eoh} -> []
    end.

lower(Name) when is_atom(Name) -> lower(atom_to_binary(Name));
lower(Name) -> string:lowercase(Name).

body(Socket, Headers) ->
    case proplists:get_value(<<"transfer-encoding">>, Headers) of
        <<"chunked">> ->
            ok = setopts(Socket, [{packet, line}]),
            chunks(Socket);
        undefined ->
            ok = setopts(Socket, [{packet, raw}]),
            part(Socket, binary_to_integer(proplists:get_value(<<"content-length">>, Headers, <<"0">>)))
    end.

chunks(Socket) ->
    {ok, Line} = recv(Socket, 0),
    case binary_to_integer(string:trim(Line), 16) of
        0 ->
            {ok, <<"\r\n">>} = recv(Socket, 0),
            <<>>;
        Length ->
            ok = setopts(Socket, [{packet, raw}]),
            Chunk = part(Socket, Length),
            <<"\r\n">> = part(Socket, 2),
            ok = setopts(Socket, [{packet, line}]),
            <<Chunk/binary, (chunks(Socket))/binary>>
    end.

part(_Socket, 0) ->
    <<>>;
part(Socket, Length) ->
    {ok, Bytes} = recv(Socket, Length),
    Bytes.

recv({Transport, Socket}, Length) ->
    Transport:recv(Socket, Length, ?TIMEOUT).

setopts({gen_tcp, Socket}, Options) ->
    inet:setopts(Socket, Options);
setopts({ssl, Socket}, Options) ->
    ssl:setopts(Socket, Options).
