%% Random HTTP requests, valid and broken, from a seed, so that a run can be repeated.
%%
%%   md_fuzz:seed(Seed, Worker),
%%   {Sound, Bytes} = md_fuzz:request().
%%
%% A `sound' request is valid HTTP and must be answered, whatever it contains. A `broken' one may get any answer or
%% none; it only must do no harm.
-module(md_fuzz).

-export([seed/2, request/0, address/0, one_in/1]).

-type kind() :: sound | broken.

%% @doc Begins this worker's sequence of requests.
-spec seed(non_neg_integer(), term()) -> ok.
seed(Seed, Worker) ->
    _ = rand:seed(exsss, {Seed, erlang:phash2(Worker), 5}),
    ok.

%% @doc The next request.
-spec request() -> {kind(), iolist()}.
request() ->
    case rand:uniform(10) of
        N when N =< 7 -> sound();
        8 -> {broken, mutated(iolist_to_binary(element(2, sound())))};
        9 -> {broken, framed(odd)};
        10 -> {broken, any([fun() -> bytes(300) end, fun() -> ["GET ", bytes(50), " HTTP/1.1\r\n\r\n"] end])}
    end.

%% @doc A loopback address to call from. Failed logins slow an address down, so the calls use many.
-spec address() -> inet:ip_address().
address() ->
    {127, rand:uniform(250), rand:uniform(250), rand:uniform(250)}.

%% @doc True for one call in that many, on average.
-spec one_in(pos_integer()) -> boolean().
one_in(Many) ->
    rand:uniform(Many) =:= 1.

sound() ->
    {sound, framed(sound)}.

framed(How) ->
    {Path, Type, Body} = door(),
    Method = any(["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "POST", "PUT", "PURGE"]),
    Framing = case How of
        sound -> ["content-length: ", integer_to_list(iolist_size(Body)), "\r\n"];
        odd -> any(["content-length: 99999999\r\n", "content-length: -1\r\n",
                    "content-length: 5\r\ncontent-length: 6\r\n",
                    "transfer-encoding: chunked\r\n", "transfer-encoding: gzip, chunked\r\ncontent-length: 3\r\n", "",
                    "expect: 100-continue\r\ncontent-length: 10\r\n"])
    end,
    Method1 = case How of odd -> any([Method, "HEAD", "CONNECT", "get", "", "\0"]); sound -> Method end,
    [Method1, " ", Path, " HTTP/1.1\r\nhost: localhost\r\n", Framing, type(Type), credentials(),
     [header() || _ <- lists:seq(1, rand:uniform(4) - 1)], "\r\n", Body].

%% A path, the content type of its body, and the body.
door() ->
    Door = rand:uniform(9),
    Whole = door(Door),
    case one_in(3) of
        true -> setelement(3, Whole, mutated(iolist_to_binary(element(3, Whole))));
        false -> Whole
    end.

door(1) -> {["/api/domains/", name()], "application/json",
            json([{"host_type", any(host_types())}, {"enabled", "true"}])};
door(2) -> {["/api/domains/", name()], "application/json", json([{"enabled", any(["true", "false", "1"])}])};
door(3) -> {["/api/domains", query()], "application/x-ndjson",
            [[json(pair()), "\n"] || _ <- lists:seq(1, rand:uniform(5))]};
door(4) -> {["/api/graphql", query()], "application/json", json([{"query", quoted(graphql())}, {"variables", "{}"}])};
door(5) -> {any(["/v1/domains/upsert", "/v1/domains/list"]), "application/x-protobuf", protobuf()};
door(6) -> {any(["/v1/domains/upsert", "/v1/domains/list"]), "application/json", json([{"domain", quoted(raw_name())},
                                                                                       {"ttl", number()}])};
door(7) -> {any(["/metrics", "/healthz", "/readyz", "/api/openapi.json", "/", "/api"]), "text/plain", ""};
door(8) -> {["/", percent(bytes(20)), any(["", "/", "//", "/..", "?", "?a=b&a", "#x"])], "text/plain", bytes(50)};
door(9) ->
    %% Some bodies are one byte longer than the limit.
    Length = case one_in(3) of true -> 1024 * 1024 + rand:uniform(3) - 1; false -> rand:uniform(20000) end,
    {["/api/domains/", name()], "application/json", binary:copy(<<"[">>, Length)}.

pair() -> [{"domain", quoted(raw_name())}, {"host_type", any(host_types())}].

host_types() -> ["\"type1\"", "\"type2\"", "\"static type\"", "\"\"", "null", "7", "[]", quoted(bytes(5))].

json(Fields) -> ["{", lists:join(", ", [["\"", Key, "\": ", Value] || {Key, Value} <- Fields]), "}"].

%% Not always valid, since quotes inside are not escaped.
quoted(Text) -> [$", Text, $"].

number() -> any(["0", "300", "-1", "4294967295", "4294967296", "1e3", "1e999", "\"5\"", "null", "{}"]).

graphql() ->
    any(["{ domain { domainDetails(domain: \\\"a.example\\\") { domain hostType status } } }",
         "mutation { domain { addDomain(domain: \\\"b.example\\\", hostType: \\\"type1\\\") { domain } } }",
         "mutation { domain { removeDomain(domain: \\\"b.example\\\", hostType: \\\"type1\\\") { msg } } }",
         "{ checkAuth { authStatus username } }", "{ __schema { types { name } } }",
         ["query ", lists:duplicate(200, "{ domain "), lists:duplicate(200, "}")]]).

protobuf() ->
    Domain = iolist_to_binary(raw_name()),
    [16#0A, varint(byte_size(Domain)), Domain, 16#10, varint(rand:uniform(1 bsl rand:uniform(70)))].

varint(Number) when Number < 128 -> <<Number>>;
varint(Number) -> <<1:1, Number:7, (varint(Number bsr 7))/binary>>.

query() ->
    any(["", "?limit=5", "?limit=0&after=a", "?limit=-1", "?status=enabled&hostType=type1", "?prefix=%ff", "?after=%00",
         ["?", percent(bytes(10)), "=", percent(bytes(10))], "?query=%7B__typename%7D"]).

name() -> percent(raw_name()).

raw_name() ->
    any(["a.example", "b.example", "static.example", "A.Example", "", ".", "a..b", binary:copy(<<"a">>, 251),
         <<"b\x{fc}cher.example"/utf8>>, <<"\x{202e}a"/utf8>>, ["d", integer_to_list(rand:uniform(50)), ".example"],
         bytes(30)]).

percent(Text) ->
    [case Byte of
         _ when Byte >= $a, Byte =< $z; Byte =:= $. -> Byte;
         _ -> io_lib:format("%~2.16.0b", [Byte])
     end || <<Byte>> <= iolist_to_binary(Text)].

type(Type) ->
    Said = any([Type, Type, Type, Type, "application/json; charset=x", "application/x-protobuf", "*/*", ";"]),
    [["content-type: ", Said, "\r\n"] || not one_in(10)].

credentials() ->
    Basic = fun(Text) -> ["authorization: Basic ", base64:encode(Text), "\r\n"] end,
    case rand:uniform(20) of
        1 -> "";
        2 -> Basic("admin:guess");
        3 -> Basic(iolist_to_binary(["admin@", raw_name(), ":guess"]));
        4 -> ["authorization: ", visible(20), "\r\n"];
        5 -> "authorization: Basic !!!\r\n";
        _ -> Basic("admin:secret")
    end.

header() ->
    any(["accept: text/html\r\n", "accept: application/json\r\n", "accept: ;;q=,\r\n", "origin: null\r\n",
         "origin: http://localhost\r\n", "access-control-request-method: PUT\r\n",
         ["x-vcap-request-id: ", visible(300), "\r\n"],
         ["x-", integer_to_list(rand:uniform(99)), ": ", visible(40), "\r\n"],
         "accept-encoding: gzip\r\n", "range: bytes=0-\r\n", "upgrade: h2c\r\n", "if-none-match: *\r\n",
         "x-forwarded-for: 1.2.3.4\r\n", "cookie: a=b\r\n"]).

%% Applies one of many random changes to the bytes.
mutated(<<>>) ->
    bytes(5);
mutated(Bytes) ->
    At = rand:uniform(byte_size(Bytes)) - 1,
    Length = min(rand:uniform(16), byte_size(Bytes) - At),
    <<Before:At/binary, Part:Length/binary, After/binary>> = Bytes,
    Changed = case rand:uniform(5) of
        1 -> [Before, After];
        2 -> [Before, Part, Part, After];
        3 -> [Before, bytes(Length), After];
        4 -> [Before];
        5 -> [Before, any([<<0>>, <<255>>, "\r\n", "\"", "{", "9999999999", "\\ud800"]), Part, After]
    end,
    iolist_to_binary(case one_in(2) of true -> mutated(iolist_to_binary(Changed)); false -> Changed end).

bytes(Most) -> rand:bytes(rand:uniform(Most)).

%% Bytes that a header may contain.
visible(Most) -> << <<(32 + Byte rem 95)>> || <<Byte>> <= bytes(Most) >>.

any(List) ->
    case lists:nth(rand:uniform(length(List)), List) of
        Make when is_function(Make) -> Make();
        Value -> Value
    end.
