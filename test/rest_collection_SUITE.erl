%% REST beyond one domain: pages, imports line by line, removals, the stream of changes, freshness, the status and the
%% doctor. With a real node and PostgreSQL.
-module(rest_collection_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([pages_show_every_domain_once_in_order/1,
         pages_can_be_of_a_host_type_a_status_and_a_prefix/1,
         pages_of_static_domains_need_no_database/1,
         a_line_may_say_with_which_status_a_domain_is_added/1,
         a_page_of_rows_that_make_no_sense_is_shown_all_the_same/1,
         parameters_that_make_no_sense_are_refused/1,
         an_import_answers_each_line_in_order/1,
         lines_are_answered_while_others_are_still_to_come/1,
         a_line_without_end_is_refused_and_the_next_one_counts/1,
         an_import_of_many_thousands_is_in_the_database_and_the_table/1,
         an_import_that_breaks_off_has_added_what_was_answered/1,
         an_import_is_of_ndjson_only/1,
         a_row_that_the_database_refuses_is_refused_alone_with_its_reason_at_every_door/1,
         a_doctor_names_a_sequence_that_is_behind_and_what_mends_it/1,
         a_removal_reports_how_far_it_is/1,
         changes_come_as_they_are_made/1,
         a_change_that_commits_late_is_reported_late/1,
         changes_begin_behind_a_given_one/1,
         what_is_declared_fresh_is_shown/1,
         the_status_reports_what_the_node_is_and_does/1,
         a_doctor_finds_what_is_wrong_and_says_what_to_do/1,
         a_doctor_reports_that_the_database_is_away/1,
         resources_that_can_only_be_read_say_so/1]).
-export([remove_domain/2]).

-import(md_http, [request/4]).

-define(NDJSON, [{"content-type", "application/x-ndjson"}]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [Case || {Case, 1} <- ?MODULE:module_info(exports), Case =/= module_info].

init_per_testcase(_Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(md_database:create()),
        {Gate, Url} = md_followers:gate([{database, Database}]),
        Node = md_node:start(#{hosts => [{<<"static.example">>, <<"static type">>}],
                               host_types => [<<"type1">>, <<"type2">>],
                               service_domain_db => #{database => Url, poll_interval => 200, operation_timeout => 3000},
                               admin => #{port => 0, username => "admin", password => "secret"}}),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {gate, Gate}, {node, Node}, {door, md_http:door(Node)},
         {client, md_client:open(Database)} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

pages_show_every_domain_once_in_order(Config) ->
    Names = md_names:numbered(<<"page-">>, 25),
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, Names}]),
    Pages = pages(Config, "limit=10", ""),
    ?assertEqual([10, 10, 5], [length(Page) || Page <- Pages]),
    ?assertEqual(lists:sort(Names), [Domain || #{<<"domain">> := Domain} <- lists:append(Pages)]),
    ?assertEqual(lists:usort([<<"enabled">>]), lists:usort([Status || #{<<"status">> := Status} <- lists:append(Pages)])),
    #{<<"domains">> := Hundred} = read(Config, "/api/domains"),
    ?assertEqual(25, length(Hundred)).

pages(Config, Query, After) ->
    #{<<"domains">> := Page, <<"next">> := Next} = read(Config, ["/api/domains?", Query, After]),
    case Next of
        null -> [Page];
        _ -> [Page | pages(Config, Query, ["&after=", Next])]
    end.

pages_can_be_of_a_host_type_a_status_and_a_prefix(Config) ->
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [<<"a1.example">>, <<"b1.example">>]},
                                                   {add, <<"type2">>, [<<"a2.example">>, <<"b2.example">>]}]),
    [] = md_client:query(?config(client, Config), "UPDATE domain_settings SET status = 0 WHERE domain LIKE 'b%'"),
    [?assertEqual(Expected, [Domain || #{<<"domain">> := Domain} <- lists:append(pages(Config, Query, ""))])
     || {Query, Expected} <- [{"hostType=type1", [<<"a1.example">>, <<"b1.example">>]},
                              {"status=disabled", [<<"b1.example">>, <<"b2.example">>]},
                              {"prefix=a", [<<"a1.example">>, <<"a2.example">>]},
                              {"prefix=a&hostType=type2&status=enabled", [<<"a2.example">>]},
                              {"status=deleting", []}, {"hostType=type3", []}, {"prefix=%25", []}]].

pages_of_static_domains_need_no_database(Config) ->
    Hosts = [<<"c.example">>, {<<"a.example">>, <<"type1">>}, {<<"b.example">>, <<"type1">>}],
    Door = md_http:door(md_node:start(#{hosts => Hosts, host_types => [<<"type1">>], admin => #{port => 0}}), none),
    Entry = fun(Domain, Type) -> #{<<"domain">> => Domain, <<"host_type">> => Type, <<"status">> => <<"enabled">>} end,
    [A, B, C] = [Entry(<<"a.example">>, <<"type1">>), Entry(<<"b.example">>, <<"type1">>),
                 Entry(<<"c.example">>, <<"c.example">>)],
    [begin
         {200, _, Page} = request(Door, get, ["/api/domains?type=static", Query], #{}),
         ?assertEqual(#{<<"domains">> => Domains, <<"next">> => Next}, md_json:decode(Page))
     end || {Query, Domains, Next} <- [{"", [A, B, C], null}, {"&limit=2", [A, B], <<"b.example">>},
                                       {"&limit=2&after=b.example", [C], null}, {"&hostType=type1", [A, B], null},
                                       {"&prefix=b", [B], null}, {"&status=disabled", [], null}]],
    [?assertMatch({Code, _, _}, request(Door, get, ["/api/domains?type=", Type], #{}))
     || {Code, Type} <- [{403, "dynamic"}, {400, "static&limit=0"}]],
    ?assertMatch({400, _, _}, request(?config(door, Config), get, "/api/domains?type=x", #{})).

a_line_may_say_with_which_status_a_domain_is_added(Config) ->
    Line = fun(Domain, Status) -> ["{\"domain\": \"", Domain, "\", \"host_type\": \"type1\", \"status\": ", Status, "}\n"] end,
    Import = fun(Lines) ->
        {200, _, Answers} = import(Config, Lines),
        [maps:get(<<"result">>, md_json:decode(Answer)) || Answer <- binary:split(Answers, <<"\n">>, [global, trim])]
    end,
    Rows = fun() -> md_rows:all(?config(client, Config)) end,
    ?assertEqual([<<"ok">>, <<"ok">>, <<"ok">>, <<"error">>],
                 Import([Line("off.example", "\"disabled\""), Line("on.example", "\"enabled\""),
                         Line("null.example", "null"), Line("x.example", "\"deleting\"")])),
    ?assertEqual(#{<<"off.example">> => {<<"type1">>, disabled}, <<"on.example">> => {<<"type1">>, enabled},
                   <<"null.example">> => {<<"type1">>, enabled}}, Rows()),
    %% The last of several lines about one domain decides.
    ?assertEqual([<<"ok">>, <<"ok">>], Import([Line("off.example", "\"enabled\""), Line("off.example", "\"disabled\"")])),
    ?assertEqual([<<"ok">>], Import([Line("on.example", "\"disabled\"")])),
    ?assertEqual([disabled, enabled, disabled],
                 [element(2, maps:get(Name, Rows())) || Name <- [<<"off.example">>, <<"null.example">>, <<"on.example">>]]).

a_page_of_rows_that_make_no_sense_is_shown_all_the_same(Config) ->
    [] = md_client:query(?config(client, Config),
                         "INSERT INTO domain_settings (domain, host_type, status) VALUES ('UPPER', 'type9', 7)"),
    ?assertEqual(#{<<"domains">> => [#{<<"domain">> => <<"UPPER">>, <<"host_type">> => <<"type9">>,
                                       <<"status">> => <<"unknown">>}], <<"next">> => null},
                 read(Config, "/api/domains")).

parameters_that_make_no_sense_are_refused(Config) ->
    [?assertMatch({400, _, <<"\"", _/binary>>}, request(?config(door, Config), get, ["/api/domains?", Query], #{}))
     || Query <- ["limit=0", "limit=1001", "limit=ten", "limit=-1", "status=deleted", "prefix=%00", "after=%00",
                  ["prefix=", binary:copy(<<"a">>, 251)]]].

an_import_answers_each_line_in_order(Config) ->
    Lines = ["{\"domain\": \"A.example\", \"host_type\": \"type1\"}", "nonsense", "", "[]",
             "{\"domain\": \"static.example\", \"host_type\": \"type1\"}", "{\"domain\": \"x.example\"}",
             "{\"domain\": \"b.example\", \"host_type\": \"type3\"}", "{\"domain\": \"\", \"host_type\": \"type1\"}",
             "{\"domain\": \"a.example\", \"host_type\": \"type2\"}", "{\"domain\": \"a.example\", \"host_type\": \"type1\"}"],
    {200, Headers, Body} = import(Config, lists:join($\n, Lines)),
    ?assertEqual(<<"application/x-ndjson">>, proplists:get_value(<<"content-type">>, Headers)),
    Answers = answers(Body),
    ?assertEqual([{1, <<"ok">>, none}, {2, <<"error">>, <<"invalid_line">>}, {4, <<"error">>, <<"invalid_line">>},
                  {5, <<"error">>, <<"static">>}, {6, <<"error">>, <<"invalid_line">>},
                  {7, <<"error">>, <<"unknown_host_type">>}, {8, <<"error">>, <<"invalid_domain">>},
                  {9, <<"error">>, <<"duplicate">>}, {10, <<"ok">>, none}],
                 [{Line, Result, maps:get(<<"code">>, Answer, none)}
                  || #{<<"line">> := Line, <<"result">> := Result} = Answer <- Answers]),
    ?assertMatch(#{<<"domain">> := <<"a.example">>}, hd(Answers)),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), <<"a.example">>)).

%% The client waits for the first answer before it sends the second line.
lines_are_answered_while_others_are_still_to_come(Config) ->
    Socket = begin_import(Config),
    [begin
         ok = chunk(Socket, line(Name)),
         {ok, Line} = read_line(Socket),
         ?assertMatch(#{<<"domain">> := Name, <<"result">> := <<"ok">>}, md_json:decode(Line)),
         ?assertEqual({ok, <<"type1">>}, md_node:lookup(?config(node, Config), Name))
     end || Name <- md_names:numbered(<<"slow-">>, 5)],
    ok = gen_tcp:send(Socket, "0\r\n\r\n"),
    md_wait:until(fun() -> element(1, gen_tcp:recv(Socket, 0)) =:= error end).

a_line_without_end_is_refused_and_the_next_one_counts(Config) ->
    {200, _, Body} = import(Config, [binary:copy(<<"x">>, 100000), $\n, line(<<"a.example">>)]),
    ?assertMatch([#{<<"line">> := 1, <<"code">> := <<"invalid_line">>},
                  #{<<"line">> := 2, <<"result">> := <<"ok">>}], answers(Body)).

an_import_of_many_thousands_is_in_the_database_and_the_table(Config) ->
    Names = md_names:numbered(<<"bulk-">>, 20000),
    {200, _, Body} = import(Config, [line(Name) || Name <- Names]),
    ?assertEqual(Names, [Domain || #{<<"domain">> := Domain, <<"result">> := <<"ok">>} <- answers(Body)]),
    ?assertEqual([[<<"20000">>]], md_client:query(?config(client, Config), "SELECT count(*) FROM domain_settings")),
    ?assertEqual(20001, md_node:call(?config(node, Config), mongoose_domain_core, domains_count, [])).

an_import_that_breaks_off_has_added_what_was_answered(Config) ->
    Socket = begin_import(Config),
    ok = chunk(Socket, [line(<<"a.example">>), "{\"domain\": \"half"]),
    {ok, Line} = read_line(Socket),
    ?assertMatch(#{<<"result">> := <<"ok">>}, md_json:decode(Line)),
    ok = gen_tcp:close(Socket),
    ?assertMatch({200, _, _}, request(?config(door, Config), get, "/api/domains/a.example", #{})),
    ?assertEqual([[<<"1">>]], md_client:query(?config(client, Config), "SELECT count(*) FROM domain_settings")).

%% One line among 1,500, and then each request that changes one domain.
a_row_that_the_database_refuses_is_refused_alone_with_its_reason_at_every_door(Config) ->
    [] = md_client:query(?config(client, Config),
                         "ALTER TABLE domain_settings ADD CONSTRAINT no_underscore CHECK (domain !~ '_')"),
    {Before, After} = lists:split(700, md_names:numbered(<<"many-">>, 1500)),
    {200, _, Body} = import(Config, [line(Name) || Name <- Before ++ [<<"a_b.example">>] ++ After]),
    {Made, Others} = lists:partition(fun(#{<<"result">> := Result}) -> Result =:= <<"ok">> end, answers(Body)),
    ?assertEqual(1500, length(Made)),
    ?assertMatch([#{<<"line">> := 701, <<"domain">> := <<"a_b.example">>, <<"code">> := <<"refused">>}], Others),
    ?assertMatch({_, _}, binary:match(map_get(<<"message">>, hd(Others)), <<"no_underscore">>)),
    ?assertEqual([[<<"1500">>]], md_client:query(?config(client, Config), "SELECT count(*) FROM domain_settings")),

    Pairs = [{Name, <<"type1">>} || Name <- [<<"c.example">>, <<"c_d.example">>, <<"d.example">>]],
    ?assertMatch([{ok, _}, {refused, _}, {ok, _}],
                 md_node:call(?config(node, Config), mongoose_domain_api, insert_domains, [Pairs])),
    {422, _, Text} = request(?config(door, Config), put, "/api/domains/e_f.example", #{json => "{\"host_type\": \"type1\"}"}),
    ?assertMatch({_, _}, binary:match(Text, <<"no_underscore">>)),
    Call = "addDomain(domain: \"g_h.example\", hostType: \"type1\") {domain}",
    {Message, #{<<"code">> := <<"refused">>}} = md_graphql:call(?config(door, Config), Call),
    ?assertMatch({_, _}, binary:match(Message, <<"no_underscore">>)).

a_doctor_names_a_sequence_that_is_behind_and_what_mends_it(Config) ->
    ?assertMatch(#{<<"ids">> := #{<<"state">> := <<"ok">>}}, doctor(Config)),
    [] = md_client:query(?config(client, Config),
                         "INSERT INTO domain_settings (id, domain, host_type) SELECT n, 'b' || n || '.example', 'type1'
                            FROM generate_series(1, 30) n"),
    #{<<"ids">> := #{<<"state">> := <<"failed">>, <<"advice">> := Advice}} = doctor(Config),
    ?assertMatch({db_error, _}, md_node:call(?config(node, Config), mongoose_domain_api, insert_domain,
                                             [<<"a.example">>, <<"type1">>])),
    {match, [Setval]} = re:run(Advice, "SELECT setval[^;]*\\)", [{capture, first, list}]),
    _ = md_client:query(?config(client, Config), Setval),
    ?assertMatch({ok, _}, md_node:call(?config(node, Config), mongoose_domain_api, insert_domain,
                                       [<<"a.example">>, <<"type1">>])),
    ?assertMatch(#{<<"ids">> := #{<<"state">> := <<"ok">>}}, doctor(Config)).

an_import_is_of_ndjson_only(Config) ->
    Door = ?config(door, Config),
    ?assertMatch({415, _, <<>>}, request(Door, post, "/api/domains", #{json => line(<<"a.example">>)})),
    ?assertMatch({415, _, <<>>}, request(Door, post, "/api/domains", #{body => ""})),
    Html = [{"accept", "text/html"} | ?NDJSON],
    ?assertMatch({406, _, <<>>}, request(Door, post, "/api/domains", #{body => "", headers => Html})),
    ?assertMatch({401, _, <<>>}, request(Door#{user => none}, post, "/api/domains", #{body => "", headers => ?NDJSON})).

a_removal_reports_how_far_it_is(Config) ->
    {Node, Door} = {?config(node, Config), ?config(door, Config)},
    ?assertMatch({404, _, _}, request(Door, get, "/api/domains/a.example/removal", #{})),
    {200, _, _} = import(Config, line(<<"a.example">>)),
    ok = md_node:call(Node, mongoose_domain_removal, register_handler, [<<"type1">>, ?MODULE, 50]),
    Body = "{\"host_type\": \"type1\", \"request\": true}",
    {202, _, _} = request(Door, delete, "/api/domains/a.example", #{json => Body}),
    md_wait:until(fun() -> maps:get(<<"state">>, read(Config, "/api/domains/a.example/removal")) end, <<"failed">>),
    Removal = read(Config, "/api/domains/a.example/removal"),
    ?assertMatch(#{<<"domain">> := <<"a.example">>, <<"host_type">> := <<"type1">>, <<"owner">> := null,
                   <<"handlers_done">> := 0, <<"handlers">> := 1, <<"failure">> := <<_, _/binary>>}, Removal),
    ?assertEqual(#{<<"removals">> => [Removal]}, read(Config, "/api/removals")),
    ?assertMatch(#{<<"removals">> := #{<<"state">> := <<"failed">>, <<"advice">> := <<"A handler", _/binary>>}},
                 doctor(Config)).

changes_come_as_they_are_made(Config) ->
    Socket = watch(Config, ""),
    [begin
         {Code, _, _} = request(?config(door, Config), Method, "/api/domains/a.example", #{json => Body}),
         ?assertEqual(204, Code),
         ?assertMatch(#{<<"domain">> := <<"a.example">>, <<"status">> := Status}, next_change(Socket))
     end || {Method, Body, Status} <- [{put, "{\"host_type\": \"type1\"}", <<"enabled">>},
                                       {patch, "{\"enabled\": false}", <<"disabled">>}]].

%% Its id is below those of changes that were sent before.
a_change_that_commits_late_is_reported_late(Config) ->
    Socket = watch(Config, ""),
    Late = md_client:open(?config(database, Config)),
    [] = md_client:query(Late, "BEGIN"),
    [] = md_client:query(Late, "INSERT INTO domain_events (domain) VALUES ('late.example')"),
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [<<"early.example">>]}]),
    #{<<"domain">> := <<"early.example">>, <<"id">> := Id} = next_change(Socket),
    [] = md_client:query(Late, "COMMIT"),
    #{<<"domain">> := <<"late.example">>, <<"id">> := Below, <<"host_type">> := null} = next_change(Socket),
    ?assert(Below < Id).

changes_begin_behind_a_given_one(Config) ->
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, md_names:numbered(<<"c-">>, 2500)}]),
    Socket = watch(Config, "?after=100"),
    Ids = [map_get(<<"id">>, next_change(Socket)) || _ <- lists:seq(101, 2500)],
    ?assertEqual(lists:seq(101, 2500), Ids).

what_is_declared_fresh_is_shown(Config) ->
    Door = ?config(door, Config),
    ?assertEqual(#{<<"freshness">> => []}, read(Config, "/api/freshness")),
    [{204, _, <<>>} = request(Door, put, ["/api/freshness/", Name], #{json => Body})
     || {Name, Body} <- [{"type1", "{\"ttl\": 0}"}, {"type%202", "{\"ttl\": 4294967295}"}]],
    #{<<"freshness">> := [#{<<"domain">> := <<"type 2">>, <<"state">> := <<"fresh">>, <<"seconds_left">> := Left,
                            <<"expire_time">> := Time}, ForEver]} = read(Config, "/api/freshness"),
    ?assert(Left > 4294960000 andalso Time > 0),
    ?assertEqual(#{<<"domain">> => <<"type1">>, <<"state">> => <<"fresh">>, <<"seconds_left">> => null,
                   <<"expire_time">> => null}, ForEver),
    [?assertMatch({400, _, _}, request(Door, put, ["/api/freshness/", Name], #{json => Body}))
     || {Name, Body} <- [{"type1", "{}"}, {"type1", "{\"ttl\": -1}"}, {"type1", "{\"ttl\": \"1\"}"}, {"type1", "["},
                         {"type1", "{\"ttl\": 4294967296}"}, {"%00", "{\"ttl\": 1}"}, {"%f3", "{\"ttl\": 1}"}]],
    ?assertMatch({415, _, _}, request(Door, put, "/api/freshness/type1", #{body => "{\"ttl\": 1}"})).

the_status_reports_what_the_node_is_and_does(Config) ->
    {200, _, _} = import(Config, line(<<"a.example">>)),
    ok = md_node:sync(?config(node, Config)),
    Node = atom_to_binary(md_node:call(?config(node, Config), erlang, node, [])),
    ?assertMatch(#{<<"node">> := Node, <<"version">> := <<"0.", _/binary>>, <<"host_types">> := [<<"type1">>, <<"type2">>],
                   <<"domains">> := #{<<"static">> := 1, <<"dynamic">> := 1},
                   <<"follower">> := #{<<"state">> := <<"following">>, <<"cursor">> := 1, <<"open_gaps">> := 0}},
                 read(Config, "/api/status")).

a_doctor_finds_what_is_wrong_and_says_what_to_do(Config) ->
    All = maps:map(fun(_, #{<<"state">> := State}) -> State end, doctor(Config)),
    ?assertEqual([<<"ok">>], lists:usort(maps:values(All))),
    [] = md_client:query(?config(client, Config),
                         "INSERT INTO domain_settings (domain, host_type) VALUES ('a.example', 'type9')"),
    Late = md_client:open(?config(database, Config)),
    [] = md_client:query(Late, "BEGIN"),
    [] = md_client:query(Late, "INSERT INTO domain_events (domain) VALUES ('late.example')"),
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [<<"b.example">>]}]),
    md_wait:until(fun() -> maps:get(<<"state">>, map_get(<<"gaps">>, doctor(Config))) end, <<"warning">>),
    #{<<"host types">> := #{<<"state">> := <<"warning">>, <<"found">> := Found, <<"advice">> := Advice}} = doctor(Config),
    ?assertNotEqual(nomatch, string:find(Found, "type9 (1 row)")),
    ?assertNotEqual(nomatch, string:find(Advice, "host_types")).

a_doctor_reports_that_the_database_is_away(Config) ->
    ok = md_gate:close(?config(gate, Config)),
    md_wait:until(fun() ->
        #{<<"follower">> := #{<<"state">> := Follower}, <<"database">> := #{<<"state">> := Database}} = doctor(Config),
        {Follower, Database}
    end, {<<"failed">>, <<"failed">>}).

resources_that_can_only_be_read_say_so(Config) ->
    [begin
         Answer = request(?config(door, Config), post, Path, #{json => "{}"}),
         ?assertMatch({405, _, <<>>}, Answer),
         ?assertEqual(<<"GET">>, md_http:header(<<"allow">>, Answer))
     end || Path <- ["/api/status", "/api/doctor", "/api/removals", "/api/changes", "/api/openapi.json",
                     "/api/freshness", "/api/domains/a.example/removal"]],
    ?assertEqual(<<"PUT">>, md_http:header(<<"allow">>, request(?config(door, Config), get, "/api/freshness/a", #{}))),
    ?assertEqual(<<"GET, POST">>, md_http:header(<<"allow">>, request(?config(door, Config), put, "/api/domains", #{}))).

remove_domain(_HostType, _Domain) ->
    {error, on_purpose}.

read(Config, Path) ->
    {200, _, Body} = request(?config(door, Config), get, Path, #{}),
    md_json:decode(Body).

doctor(Config) ->
    #{<<"checks">> := Checks} = read(Config, "/api/doctor"),
    maps:from_list([{Name, Check} || #{<<"name">> := Name} = Check <- Checks]).

import(Config, Body) ->
    request(?config(door, Config), post, "/api/domains", #{body => Body, headers => ?NDJSON}).

line(Name) ->
    ["{\"domain\": \"", Name, "\", \"host_type\": \"type1\"}\n"].

answers(Body) ->
    [md_json:decode(Line) || Line <- binary:split(Body, <<"\n">>, [global, trim])].

%% Sends the head of an import with a chunked body, and reads the head of the answer.
begin_import(Config) ->
    open(Config, ["POST /api/domains HTTP/1.1\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n"]).

watch(Config, Query) ->
    open(Config, ["GET /api/changes", Query, " HTTP/1.1\r\n"]).

open(Config, Head) ->
    #{host := Host, port := Port} = ?config(door, Config),
    {ok, Socket} = gen_tcp:connect(Host, Port, [binary, {active, false}, {packet, line}]),
    ok = gen_tcp:send(Socket, [Head, "host: localhost\r\nconnection: close\r\nauthorization: Basic ",
                               base64:encode("admin:secret"), "\r\n\r\n"]),
    {ok, <<"HTTP/1.1 200", _/binary>>} = gen_tcp:recv(Socket, 0),
    ok = skip_head(Socket),
    Socket.

skip_head(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<"\r\n">>} -> ok;
        {ok, _Header} -> skip_head(Socket)
    end.

chunk(Socket, Text) ->
    gen_tcp:send(Socket, [integer_to_list(iolist_size(Text), 16), "\r\n", Text, "\r\n"]).

%% The next line that does not frame a chunk.
read_line(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, <<"{", _/binary>> = Line} -> {ok, Line};
        {ok, _Frame} -> read_line(Socket);
        Error -> Error
    end.

next_change(Socket) ->
    {ok, Line} = read_line(Socket),
    md_json:decode(Line).
