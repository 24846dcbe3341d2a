%% Freshness for Diego's clients: the bytes of the BBS's protobuf messages, the same in JSON, and authentication. With a
%% real node and PostgreSQL.
-module(freshness_door_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([a_declaration_makes_a_domain_fresh_and_listed/1,
         only_what_is_fresh_is_listed/1,
         a_later_declaration_replaces_the_expiry/1,
         a_ttl_of_zero_or_none_is_for_ever/1,
         unknown_fields_are_passed_over/1,
         a_body_that_does_not_parse_is_an_invalid_request/1,
         a_name_that_cannot_be_is_an_invalid_field/1,
         a_failing_database_is_an_unknown_error/1,
         without_a_database_every_answer_is_an_unknown_error/1,
         json_is_answered_where_json_is_sent/1,
         what_is_wrong_with_json_is_reported_in_json/1,
         the_door_has_one_method_and_two_paths/1,
         credentials_are_asked_for/1,
         a_body_that_is_too_large_is_refused/1,
         the_clients_request_id_is_logged/1]).
-export([a_certificate_stands_for_credentials_here_and_nowhere_else/1,
         of_named_certificates_only_those_may/1,
         a_certificate_of_another_authority_ends_the_handshake/1,
         a_handshake_that_fails_says_why_and_one_that_does_not_names_the_authorities/1,
         what_was_verified_once_is_not_believed_later/1,
         a_ping_is_answered_as_the_bbs_does/1,
         what_is_fresh_for_ever_is_reported/1,
         where_certificates_are_asked_for_and_nothing_else_one_is_needed/1,
         renewed_certificates_are_used_without_a_restart/1]).

-import(md_door, [environment/2]).

-define(UPSERT, "/v1/domains/upsert").
-define(LIST, "/v1/domains/list").
-define(DONE, <<>>).
-define(INVALID, <<"the request received is invalid">>).
-define(INVALID_DOMAIN, <<"Invalid field: domain">>).
-define(UNKNOWN, <<"the request failed for an unknown reason">>).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_door:open(Config).

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

a_declaration_makes_a_domain_fresh_and_listed(Config) ->
    ?assertEqual(<<>>, ask(Config, ?LIST, <<>>)),
    %% domain = 1: "type1"; ttl = 2: 300.
    ?assertEqual(?DONE, ask(Config, ?UPSERT, <<16#0A, 5, "type1", 16#10, 16#AC, 16#02>>)),
    ?assertEqual(?DONE, ask(Config, ?UPSERT, upsert(<<"type2">>, 300))),
    ?assertEqual({ok, [<<"type1">>, <<"type2">>]}, in_node(Config, list)),
    %% domains = 2, a repeated field.
    ?assertEqual(<<16#12, 5, "type1", 16#12, 5, "type2">>, ask(Config, ?LIST, <<>>)).

only_what_is_fresh_is_listed(Config) ->
    [?DONE = ask(Config, ?UPSERT, upsert(Domain, 300)) || Domain <- [<<"type1">>, <<"type2">>]],
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, "UPDATE domain_freshness SET expire_time = 1 WHERE domain = 'type1'"),
    ?assertEqual(<<16#12, 5, "type2">>, ask(Config, ?LIST, <<>>)).

a_later_declaration_replaces_the_expiry(Config) ->
    Left = fun() -> {ok, [#{seconds_left := Seconds}]} = in_node(Config, details), Seconds end,
    ?DONE = ask(Config, ?UPSERT, upsert(<<"type1">>, 16#FFFFFFFF)),
    ?assert(Left() > 16#F0000000),
    ?DONE = ask(Config, ?UPSERT, upsert(<<"type1">>, 1000)),
    ?assert(Left() =< 1001).

a_ttl_of_zero_or_none_is_for_ever(Config) ->
    ?DONE = ask(Config, ?UPSERT, <<(upsert(<<"zero">>, 5))/binary, 16#10, 0>>),
    ?DONE = ask(Config, ?UPSERT, <<16#0A, 4, "none">>),
    ?assertMatch({ok, [#{expire_time := infinity}, #{expire_time := infinity}]}, in_node(Config, details)).

unknown_fields_are_passed_over(Config) ->
    ?DONE = ask(Config, ?UPSERT, <<16#1A, 3, "xyz", (upsert(<<"type1">>, 300))/binary, 16#20, 7>>),
    ?assertEqual({ok, [<<"type1">>]}, in_node(Config, list)).

a_body_that_does_not_parse_is_an_invalid_request(Config) ->
    [?assertEqual(failure(4, ?INVALID), ask(Config, ?UPSERT, Body))
     || Body <- [<<16#FF>>, <<16#0A, 5, "typ">>, <<16#08, 1>>, <<16#0A, 2, 16#C3, 16#28>>,
                 <<"{\"domain\": \"type1\"}">>]],
    ?assertEqual({ok, []}, in_node(Config, list)).

a_name_that_cannot_be_is_an_invalid_field(Config) ->
    [?assertEqual(failure(4, ?INVALID_DOMAIN), ask(Config, ?UPSERT, Body))
     || Body <- [<<>>, upsert(<<>>, 300), upsert(<<"a", 0>>, 300), upsert(binary:copy(<<"a">>, 251), 300)]],
    ?assertEqual({ok, []}, in_node(Config, list)).

%% The type is 0, protobuf's default, so only the presence of the error field shows the error.
a_failing_database_is_an_unknown_error(Config) ->
    ?DONE = ask(Config, ?UPSERT, upsert(<<"type1">>, 300)),
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, "ALTER TABLE domain_freshness RENAME COLUMN expire_time TO elsewhere"),
    [?assertEqual(<<16#0A, 42, 16#12, 40, ?UNKNOWN/binary>>, ask(Config, Path, Body))
     || {Path, Body} <- [{?UPSERT, upsert(<<"type1">>, 300)}, {?LIST, <<>>}]].

without_a_database_every_answer_is_an_unknown_error(Config) ->
    Node = md_node:start(maps:remove(service_domain_db, environment(?config(database, Config), #{}))),
    [?assertEqual(failure(0, ?UNKNOWN), ask([{door, md_http:door(Node)}], Path, Body))
     || {Path, Body} <- [{?UPSERT, upsert(<<"type1">>, 300)}, {?LIST, <<>>}]].

json_is_answered_where_json_is_sent(Config) ->
    ?assertEqual(<<"{\"domains\":[]}">>, ask_json(Config, ?LIST, "")),
    [?assertEqual(<<"{}">>, ask_json(Config, ?UPSERT, Body))
     || Body <- ["{\"domain\": \"type1\", \"ttl\": 300}", "{\"domain\": \"type2\", \"ttl\": \"300\", \"more\": 1}",
                 "{\"domain\": \"type3\"}"]],
    ?assertEqual(<<"{\"domains\":[\"type1\",\"type2\",\"type3\"]}">>, ask_json(Config, ?LIST, "{}")),
    {ok, [#{seconds_left := Left}, #{}, #{expire_time := Never}]} = in_node(Config, details),
    ?assert(Left =< 301),
    ?assertEqual(infinity, Never).

what_is_wrong_with_json_is_reported_in_json(Config) ->
    Error = fun(Text) -> <<"{\"error\":{\"type\":\"InvalidRequest\",\"message\":\"", Text/binary, "\"}}">> end,
    [?assertEqual(Error(?INVALID), ask_json(Config, ?UPSERT, Body))
     || Body <- ["", "{", "[]", "[\"type1\", 300]", "{\"domain\": 1}", "{\"domain\": \"type1\", \"ttl\": -1}",
                 "{\"domain\": \"type1\", \"ttl\": 4294967296}", "{\"domain\": \"type1\", \"ttl\": 1.5}"]],
    [?assertEqual(Error(?INVALID_DOMAIN), ask_json(Config, ?UPSERT, Body)) || Body <- ["{}", "{\"domain\": null}"]].

the_door_has_one_method_and_two_paths(Config) ->
    Door = ?config(door, Config),
    [begin
         Answer = md_http:request(Door, Method, Path, #{user => none}),
         ?assertMatch({405, _, <<>>}, Answer),
         ?assertEqual(<<"POST">>, md_http:header(<<"allow">>, Answer))
     end || Method <- [get, put, options], Path <- [?UPSERT, ?LIST]],
    [?assertMatch({404, _, <<>>}, md_http:request(Door, post, Path, #{body => <<>>}))
     || Path <- ["/v1", "/v1/domains", "/v1/domains/", "/v1/domains/upsert/", "/v1/actual_lrps/list"]].

credentials_are_asked_for(Config) ->
    [begin
         Answer = md_http:request(?config(door, Config), post, Path, #{body => upsert(<<"type1">>, 300), user => User}),
         ?assertMatch({401, _, <<>>}, Answer),
         ?assertEqual(<<"Basic realm=\"mongooseim\"">>, md_http:header(<<"www-authenticate">>, Answer))
     end || Path <- [?UPSERT, ?LIST], User <- [none, {"admin", "wrong"}]],
    ?assertEqual({ok, []}, in_node(Config, list)).

%% A body that cannot be read is the only error that is not reported inside of a 200.
a_body_that_is_too_large_is_refused(Config) ->
    Body = upsert(binary:copy(<<"a">>, 1024 * 1024), 300),
    ?assertMatch({413, _, _}, md_http:request(?config(door, Config), post, ?UPSERT, #{body => Body})).

the_clients_request_id_is_logged(Config) ->
    Id = ["7f9a-", lists:duplicate(200, $x), 16#FF],
    Options = #{body => upsert(<<"type1">>, 300), headers => [{"X-Vcap-Request-Id", Id}]},
    {200, _, ?DONE} = md_http:request(?config(door, Config), post, ?UPSERT, Options),
    Logged = <<"7f9a-", (binary:copy(<<"x">>, 123))/binary>>,
    md_wait:until(fun() ->
        [Fields || #{level := info, msg := {report, #{request_id := _} = Fields}}
                       <- md_node:call(?config(node, Config), md_log, all, []),
                   maps:without([what], Fields) =:= #{domain => <<"type1">>, ttl => 300,
                                                      request_id => Logged}] =/= []
    end).

a_certificate_stands_for_credentials_here_and_nowhere_else(Config) ->
    with_tls(Config, #{}, fun(#{door := Door, issue := Issue, client := Client}) ->
        Certified = Door#{tls => Client(Issue([{dNSName, "client.example"}])), user => none},
        ?assertEqual(?DONE, ask([{door, Certified}], ?UPSERT, upsert(<<"type1">>, 300))),
        ?assertEqual(<<16#12, 5, "type1">>, ask([{door, Certified}], ?LIST, <<>>)),
        ?assertMatch({401, _, _}, md_http:request(Certified, get, "/api/domains/a.example", #{})),
        ?assertMatch({401, _, _}, md_http:request(Door#{user => none}, post, ?LIST, #{})),
        ?assertEqual(<<16#12, 5, "type1">>, ask([{door, Door}], ?LIST, <<>>))
    end).

of_named_certificates_only_those_may(Config) ->
    Allowed = ["bbs.example", "spiffe://example/bbs", "192.0.2.7", "2001:db8::7"],
    with_tls(Config, #{allowed_names => Allowed}, fun(#{door := Door, issue := Issue, client := Client}) ->
        Code = fun(Names) ->
            element(1, md_http:request(Door#{tls => Client(Issue(Names)), user => none}, post, ?LIST, #{}))
        end,
        [?assertEqual(200, Code([{dNSName, "other.example"}, Name]))
         || Name <- [{dNSName, "bbs.example"}, {uniformResourceIdentifier, "spiffe://example/bbs"},
                     {iPAddress, <<192, 0, 2, 7>>}, {iPAddress, <<16#2001:16, 16#DB8:16, 0:80, 7:16>>}]],
        [?assertEqual(401, Code(Names))
         || Names <- [[{dNSName, "a.bbs.example"}], [{rfc822Name, "bbs.example"}], [{iPAddress, <<192, 0, 2, 8>>}]]]
    end),
    with_tls(Config, #{allowed_names => ["server Peer cert"]}, fun(#{door := Door, issue := Issue, client := Client}) ->
        Named = Door#{tls => Client(Issue([])), user => none},
        ?assertMatch({200, _, _}, md_http:request(Named, post, ?LIST, #{}))
    end).

a_certificate_of_another_authority_ends_the_handshake(Config) ->
    with_tls(Config, #{}, fun(#{door := Door, authority := Authority, node := Node}) ->
        Foreign = md_tls:issue(md_tls:authority("another authority"), [{dNSName, "client.example"}]),
        [begin
             Shows = Door#{tls => [{versions, [Version]} | md_tls:client(Authority, Foreign)]},
             ?assertMatch({error, _}, md_http:send(Shows, ["POST ", ?LIST, " HTTP/1.1\r\nhost: x\r\n\r\n"]))
         end || Version <- ['tlsv1.2', 'tlsv1.3']],
        md_wait:until(fun() -> length(said(Node, <<"domain_admin_handshake_failed">>)) end, 2)
    end).

%% The alerts equal those of Diego's BBS; its clients use them to explain what is wrong with a certificate.
a_handshake_that_fails_says_why_and_one_that_does_not_names_the_authorities(Config) ->
    with_tls(Config, #{client_certificate => required}, fun(#{door := #{port := Port}, authority := Authority, dir := Dir}) ->
        Said = fun(Certificate) ->
            Arguments = [[" -cert '", File, "' -key '", Key, "'"] || #{certificate := File, key := Key} <- [Certificate]],
            os:cmd(lists:flatten(["(printf 'GET /v1/ping HTTP/1.0\\r\\n\\r\\n'; sleep 1) | openssl s_client -ign_eof -connect localhost:",
                                  integer_to_list(Port), Arguments, " 2>&1"]))
        end,
        Client = fun(Name, By) -> md_tls:write(Dir, Name, md_tls:issue(By, [{dNSName, "client.example"}])) end,
        None = Said(none),
        ?assertNotEqual(nomatch, string:find(None, "alert certificate required")),
        ?assertNotEqual(nomatch, string:find(None, "Acceptable client certificate CA names")),
        ?assertNotEqual(nomatch, string:find(None, "an authority")),
        %% An authority with the same name, and an unknown one.
        [?assertNotEqual(nomatch, string:find(Said(Client("foreign", md_tls:authority(Name))), "alert unknown ca"))
         || Name <- ["an authority", "another authority"]],
        ?assertNotEqual(nomatch, string:find(Said(Client("known", Authority)), "HTTP/1.0 200 OK"))
    end).

%% Each request checks the certificate of the handshake again: it may expire, and the authority may be replaced.
what_was_verified_once_is_not_believed_later(Config) ->
    with_tls(Config, #{}, fun(#{door := Door, issue := Issue, client := Client, authority := Authority, dir := Dir}) ->
        Shows = Door#{tls => Client(Issue([{dNSName, "client.example"}]))},
        {ok, {ssl, Socket} = Connection} = md_http:connect(Shows),
        Ask = fun() ->
            ok = ssl:send(Socket, ["POST ", ?LIST, " HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"]),
            {ok, {Code, _, _}} = md_http:answer(Connection),
            Code
        end,
        ?assertEqual(200, Ask()),
        New = md_tls:authority("a new authority"),
        _ = md_tls:write_authority(Dir, "clients", New),
        Known = Door#{tls => md_tls:client(Authority, md_tls:issue(New, [{dNSName, "client.example"}]))},
        md_wait:until(fun() ->
            case md_http:send(Known, ["POST ", ?LIST, " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]) of
                {ok, {Code, _, _}} -> Code;
                {error, _} = Refused -> Refused
            end
        end, 200),
        ?assertEqual(401, Ask())
    end).

a_ping_is_answered_as_the_bbs_does(Config) ->
    Ping = fun(Headers) -> md_http:request(?config(door, Config), get, "/v1/ping", #{headers => Headers}) end,
    ?assertMatch({200, _, <<8, 1>>}, Ping([])),
    ?assertMatch({200, _, <<"{\"available\":true}">>}, Ping([{"content-type", "application/json; charset=utf-8"}])),
    ?assertMatch({401, _, _}, md_http:request((?config(door, Config))#{user => none}, get, "/v1/ping", #{})),
    ?assertMatch({405, _, _}, md_http:request(?config(door, Config), post, "/v1/ping", #{})).

%% A client that omits the time-out most likely does so by mistake.
what_is_fresh_for_ever_is_reported(Config) ->
    Told = fun() -> [Domain || {notice, #{domain := Domain}} <- md_node:logged(?config(node, Config), domain_freshness_for_ever)] end,
    ?assertEqual(<<>>, ask(Config, ?UPSERT, upsert(<<"type1">>, 60))),
    ?assertEqual([], Told()),
    ?assertEqual(<<>>, ask(Config, ?UPSERT, <<16#0A, 5, "type1">>)),
    ?assertEqual([<<"type1">>], Told()).

where_certificates_are_asked_for_and_nothing_else_one_is_needed(Config) ->
    with_tls(Config, #{credentials => none}, fun(#{door := Door, issue := Issue, client := Client}) ->
        Anonymous = Door#{user => none},
        ?assertMatch({401, _, _}, md_http:request(Anonymous, post, ?LIST, #{})),
        Certified = Anonymous#{tls => Client(Issue([{dNSName, "client.example"}]))},
        ?assertMatch({200, _, _}, md_http:request(Certified, post, ?LIST, #{}))
    end).

renewed_certificates_are_used_without_a_restart(Config) ->
    with_tls(Config, #{}, fun(#{door := Door, node := Node, dir := Dir}) ->
        Program = program(Node),
        New = md_tls:authority("a new authority"),
        _ = md_tls:write(Dir, "door", md_tls:issue(New, [{dNSName, "localhost"}])),
        Renewed = Door#{tls => md_tls:client(New)},
        md_wait:until(fun() ->
            case md_http:connect(Renewed) of
                {ok, {ssl, Socket}} -> ssl:close(Socket);
                {error, {tls_alert, _}} -> not_yet
            end
        end, ok),
        ?assertMatch({200, _, _}, md_http:request(Renewed, post, ?LIST, #{})),
        ok = file:write_file(filename:join(Dir, "door.key"), <<"no key">>),
        md_wait:until(fun() -> length(said(Node, <<"domain_admin_certificates_unusable">>)) > 0 end),
        ?assertMatch({200, _, _}, md_http:request(Renewed, post, ?LIST, #{})),
        ?assertEqual(Program, program(Node))
    end).

program(Node) ->
    md_node:call(Node, md_admin, os_pid, []).

%% Starts a node whose door uses TLS with certificates of this authority.
with_tls(Config, Options, Fun) ->
    Authority = md_tls:authority("an authority"),
    Dir = filename:join(?config(priv_dir, Config), integer_to_list(erlang:unique_integer([positive]))),
    ok = filelib:ensure_path(Dir),
    Files = md_tls:write(Dir, "door", md_tls:issue(Authority, [{dNSName, "localhost"}])),
    Ca = md_tls:write_authority(Dir, "clients", Authority),
    Tls = maps:merge(Files#{client_ca => Ca}, maps:with([allowed_names, client_certificate], Options)),
    #{admin := Admin} = Environment = environment(?config(database, Config), #{tls => Tls}),
    Known = case Options of #{credentials := none} -> maps:without([username, password], Admin); #{} -> Admin end,
    Node = md_node:start(Environment#{admin => Known}),
    ok = md_node:wait_until_following(Node),
    Fun(#{door => (md_http:door(Node))#{tls => md_tls:client(Authority)}, authority => Authority, node => Node,
          dir => Dir,
          issue => fun(Names) -> md_tls:issue(Authority, Names) end,
          client => fun(Issued) -> md_tls:client(Authority, Issued) end}).

%% The program's reports with this name.
said(Node, What) ->
    md_node:call(Node, md_admin, said, [What]).

in_node(Config, Function) ->
    md_node:call(?config(node, Config), mongoose_domain_freshness, Function, []).

%% Sends a request as Diego's client does, and checks what that client expects of an answer.
ask(Config, Path, Body) ->
    exchange(Config, Path, Body, <<"application/x-protobuf">>).

ask_json(Config, Path, Body) ->
    exchange(Config, Path, Body, <<"application/json">>).

exchange(Config, Path, Body, Type) ->
    Options = #{body => Body, headers => [{"content-type", Type}]},
    {Code, _, Answer} = All = md_http:request(?config(door, Config), post, Path, Options),
    ?assertEqual({200, Type, integer_to_binary(byte_size(Answer))},
                 {Code, md_http:header(<<"content-type">>, All), md_http:header(<<"content-length">>, All)}),
    Answer.

upsert(Domain, Ttl) ->
    <<16#0A, (varint(byte_size(Domain)))/binary, Domain/binary, 16#10, (varint(Ttl))/binary>>.

failure(Type, Text) ->
    Kind = [<<16#08, Type>> || Type =/= 0],
    Message = iolist_to_binary([Kind, 16#12, varint(byte_size(Text)), Text]),
    <<16#0A, (varint(byte_size(Message)))/binary, Message/binary>>.

varint(Number) when Number < 128 -> <<Number>>;
varint(Number) -> <<1:1, Number:7, (varint(Number bsr 7))/binary>>.
