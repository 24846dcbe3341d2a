%% The forms of MongooseIM's pools, as URLs.
-module(mongoose_domain_mongooseim_url_tests).

-include_lib("eunit/include/eunit.hrl").

-define(M, mongoose_domain_mongooseim_url).
-define(PASSWORD, "s3cret/pa:55@w#o?r%d é").

a_connection_is_a_url_test_() ->
    [{Expected, ?_assertEqual({ok, unicode:characters_to_binary(Expected)}, ?M:of_connection(maps:merge(connection(), More)))}
     || {Expected, More} <- [
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim", #{}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5433/mongooseim", #{port => 5433}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim",
         #{host => <<"localhost">>, database => <<"mongooseim">>, username => <<"mongooseim">>,
           password => <<"mongooseim_secret">>}},
        {"postgres://mongooseim:s3cret%2Fpa%3A55%40w%23o%3Fr%25d%20%C3%A9@localhost:5432/mongooseim", #{password => ?PASSWORD}},
        {"postgres://mongooseim:s3cret%2Fpa%3A55%40w%23o%3Fr%25d%20%C3%A9@localhost:5432/mongooseim",
         #{password => unicode:characters_to_binary(?PASSWORD)}},
        {"postgres://a%40b:mongooseim_secret@localhost:5432/d%2F1%3Fx", #{username => "a@b", database => "d/1?x"}},
        {"postgres://mongooseim:mongooseim_secret@[::1]:5432/mongooseim", #{host => "::1"}},
        {"postgres://mongooseim:mongooseim_secret@[2001:db8::5]:5432/mongooseim", #{host => <<"2001:db8::5">>}},
        {"postgres://mongooseim:mongooseim_secret@[fe80::1]:5432/mongooseim", #{host => {16#fe80, 0, 0, 0, 0, 0, 0, 1}}},
        {"postgres://mongooseim:mongooseim_secret@10.0.0.7:5432/mongooseim", #{host => {10, 0, 0, 7}}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim?sslmode=verify-full", #{tls => #{}}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem",
         #{tls => #{cacertfile => "/etc/ca.pem"}}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim?sslmode=verify-full&sslrootcert=ca.pem"
         "&sslcert=c.pem&sslkey=k.pem", #{tls => [{cacertfile, "ca.pem"}, {certfile, "c.pem"}, {keyfile, "k.pem"}]}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim?sslmode=require",
         #{tls => #{verify => verify_none, cacertfile => "ca.pem"}}},
        {"postgres://mongooseim:mongooseim_secret@localhost:5432/mongooseim",
         #{max_start_interval => 30, query_timeout => 5000}},
        {"mysql://mongooseim:mongooseim_secret@localhost:3306/mongooseim", #{driver => mysql}},
        {"mysql://mongooseim:s3cret%2Fpa%3A55%40w%23o%3Fr%25d%20%C3%A9@[::1]:3307/mongooseim?sslmode=verify-full&sslrootcert=ca.pem",
         #{driver => mysql, host => "::1", port => 3307, password => ?PASSWORD, tls => #{cacertfile => "ca.pem"}}},
        {"mysql://mongooseim:mongooseim_secret@localhost:3306/mongooseim?sslmode=require",
         #{driver => mysql, tls => [{verify, verify_none}]}}]].

a_user_may_have_no_password_test() ->
    ?assertEqual({ok, <<"postgres://mongooseim@localhost:5432/mongooseim">>},
                 ?M:of_connection(maps:remove(password, connection()))).

another_driver_says_what_to_do_and_shows_no_password_test_() ->
    [{atom_to_list(Driver), fun() ->
        {error, Text} = ?M:of_connection((connection())#{driver := Driver}),
        Flat = unicode:characters_to_list(Text),
        [?assertNotEqual(nomatch, string:find(Flat, Word))
         || Word <- [atom_to_list(Driver), "pgsql", "mysql", "service_domain_db", "database"]],
        ?assertEqual(nomatch, string:find(Flat, "mongooseim_secret"))
     end} || Driver <- [odbc, cockroachdb]].

a_connection_without_its_parts_is_an_error_test_() ->
    [?_assertMatch({error, _}, ?M:of_connection(Connection))
     || Connection <- [#{}, #{driver => pgsql}, maps:remove(host, connection()), maps:remove(database, connection())]].

a_pool_is_found_by_its_scope_and_the_default_tag_comes_first_test() ->
    Pool = fun(Type, Scope, Tag, Database) ->
        #{type => Type, scope => Scope, tag => Tag, opts => #{}, conn_opts => (connection())#{database := Database}}
    end,
    Pools = [Pool(redis, global, default, "redis"), Pool(rdbms, global, other, "other"),
             Pool(rdbms, <<"type1">>, default, "type1"), Pool(rdbms, global, default, "wanted")],
    Database = fun(Scope) ->
        {ok, Url} = ?M:of_pool(Scope, Pools),
        lists:last(binary:split(Url, <<"/">>, [global]))
    end,
    ?assertEqual(<<"wanted">>, Database(global)),
    ?assertEqual(<<"type1">>, Database(type1)),
    {error, Text} = ?M:of_pool(nowhere, Pools),
    ?assertNotEqual(nomatch, string:find(unicode:characters_to_list(Text), "nowhere")).

connection() ->
    #{driver => pgsql, host => "localhost", database => "mongooseim", username => "mongooseim",
      password => "mongooseim_secret"}.
