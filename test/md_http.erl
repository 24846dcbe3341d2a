%% An HTTP client that sends what it is told, however odd, and says what came back.
%%
%%   Door = md_http:door(Node),
%%   {204, _, <<>>} = md_http:request(Door, put, "/api/domains/a.example", #{json => "{\"host_type\": \"type1\"}"}),
%%   {200, _, Body} = md_http:request(Door, get, "/api/domains/a.example", #{}).
%%
%% Each request has a connection of its own. The credentials are the door's, unless told otherwise.
-module(md_http).

-export([door/1, door/2, request/4, send/2, header/2]).

-export_type([door/0, answer/0]).

-type door() :: #{host := string(), port := inet:port_number(), user => {iodata(), iodata()} | none}.
%% `json' is a body with its content type; `user' is who asks.
-type options() :: #{body => iodata(), json => iodata(), headers => [{iodata(), iodata()}],
                     user => {iodata(), iodata()} | none}.
-type answer() :: {Code :: pos_integer(), [{Name :: binary(), Value :: binary()}], Body :: binary()}.

-define(TIMEOUT, 60000).

%% @doc The door of this node, once it is open, and its global admin as these tests configure it.
-spec door(md_node:t()) -> door().
door(Node) ->
    door(Node, {"admin", "secret"}).

-spec door(md_node:t(), {iodata(), iodata()} | none) -> door().
door(Node, User) ->
    md_wait:until(fun() -> element(1, md_node:call(Node, mongoose_domain_admin, url, [])) =:= ok end),
    {ok, Url} = md_node:call(Node, mongoose_domain_admin, url, []),
    #{host := Host, port := Port} = uri_string:parse(binary_to_list(Url)),
    #{host => Host, port => Port, user => User}.

%% @doc What is answered. Fails when the connection breaks before.
-spec request(door(), atom() | string(), iodata(), options()) -> answer().
request(Door, Method, Path, Options) ->
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
    {ok, Answer} = send(Door, [Head, [Body || Body =/= none]]),
    Answer.

%% @doc What these bytes are answered, or `{error, closed}' where the server just hangs up.
-spec send(door(), iodata()) -> {ok, answer()} | {error, term()}.
send(#{host := Host, port := Port}, Bytes) ->
    {ok, Socket} = gen_tcp:connect(Host, Port, [binary, {active, false}, {packet, http_bin}], ?TIMEOUT),
    try
        %% A server that has answered already may not take the rest.
        _ = gen_tcp:send(Socket, Bytes),
        case gen_tcp:recv(Socket, 0, ?TIMEOUT) of
            {ok, {http_response, _Version, Code, _Phrase}} ->
                Headers = headers(Socket),
                {ok, {Code, Headers, body(Socket, Headers)}};
            Error -> Error
        end
    after
        gen_tcp:close(Socket)
    end.

%% @doc The value of a header; its name is in lower case.
-spec header(binary(), answer()) -> binary() | undefined.
header(Name, {_Code, Headers, _Body}) ->
    proplists:get_value(Name, Headers).

headers(Socket) ->
    case gen_tcp:recv(Socket, 0, ?TIMEOUT) of
        {ok, {http_header, _, Name, _, Value}} -> [{lower(Name), Value} | headers(Socket)];
        {ok, http_eoh} -> []
    end.

lower(Name) when is_atom(Name) -> lower(atom_to_binary(Name));
lower(Name) -> string:lowercase(Name).

body(Socket, Headers) ->
    case proplists:get_value(<<"transfer-encoding">>, Headers) of
        <<"chunked">> ->
            ok = inet:setopts(Socket, [{packet, line}]),
            chunks(Socket);
        undefined ->
            ok = inet:setopts(Socket, [{packet, raw}]),
            part(Socket, binary_to_integer(proplists:get_value(<<"content-length">>, Headers, <<"0">>)))
    end.

chunks(Socket) ->
    {ok, Line} = gen_tcp:recv(Socket, 0, ?TIMEOUT),
    case binary_to_integer(string:trim(Line), 16) of
        0 -> <<>>;
        Length ->
            ok = inet:setopts(Socket, [{packet, raw}]),
            Chunk = part(Socket, Length),
            <<"\r\n">> = part(Socket, 2),
            ok = inet:setopts(Socket, [{packet, line}]),
            <<Chunk/binary, (chunks(Socket))/binary>>
    end.

part(_Socket, 0) ->
    <<>>;
part(Socket, Length) ->
    {ok, Bytes} = gen_tcp:recv(Socket, Length, ?TIMEOUT),
    Bytes.
