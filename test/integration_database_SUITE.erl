%% This application inside MongooseIM's release, by integrations/mongooseim: the database of MongooseIM's pool.
-module(integration_database_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([while_the_database_is_away_callers_get_answers_that_they_know/1,
         a_start_waits_until_many_domains_are_loaded/1,
         a_start_goes_on_when_the_database_stays_away/1,
         a_driver_that_is_not_supported_says_what_to_do/1,
         a_pool_of_mysql_leads_to_mariadb/1,
         an_operator_may_name_another_database/1,
         urls_are_made_of_every_form_of_a_pool/1]).

-define(PASSWORD, "s3cret/pa:55@w#o?r%d").
-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(B, <<"b.example">>).
-define(TYPE, <<"type1">>).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [while_the_database_is_away_callers_get_answers_that_they_know,
     a_start_waits_until_many_domains_are_loaded,
     a_start_goes_on_when_the_database_stays_away,
     a_driver_that_is_not_supported_says_what_to_do,
     a_pool_of_mysql_leads_to_mariadb,
     an_operator_may_name_another_database,
     urls_are_made_of_every_form_of_a_pool].

init_per_suite(Config) ->
    md_mim:compile(Config).

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(case Case of
            a_pool_of_mysql_leads_to_mariadb -> md_database:mariadb();
            _ -> md_database:create()
        end),
        [{database, Database} | Config]
    end).

end_per_testcase(_Case, Config) ->
    md_database:drop(?config(database, Config)).

%% The database

while_the_database_is_away_callers_get_answers_that_they_know(Config) ->
    Gate = md_gate:start(md_database:port(?config(database, Config))),
    ok = md_gate:open(Gate),
    Node = md_mim:boot(Config, #{service_domain_db => #{operation_timeout => 300, pool_size => 1, queue_limit => 1}}),
    ok = md_mim:start(Node, md_mim:config(Config, #{port => md_gate:port(Gate), host => "127.0.0.1"})),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    {ok, _} = md_mim:api(Node, set_domain_password, [?A, <<"right">>]),
    ?assertEqual({error, wrong_password}, md_mim:api(Node, check_domain_password, [?A, <<"wrong">>])),
    ?assertEqual(ok, md_mim:api(Node, check_domain_password, [?A, <<"right">>])),
    ok = md_gate:close(Gate),
    ?assertEqual({error, not_found}, md_mim:api(Node, check_domain_password, [?A, <<"right">>])),
    ?assertMatch([{error, #{reason := {db_error, _}}}], md_node:logged(Node, domain_password_not_checked)),
    %% The door's clients know more.
    ?assertMatch({refused, db_error, _},
                 md_node:call(Node, mongoose_domain_admin_request, answer, [{check_password, ?A, <<"right">>}])),
    ?assertEqual([#{domain => ?A, host_type => ?TYPE, status => enabled}], md_mim:api(Node, get_all_domains, [])),
    ?assertEqual(1, md_node:count(Node, domain_list_from_table)),
    ?assertEqual({ok, ?TYPE}, md_mim:api(Node, get_host_type, [?A])),
    ?assertEqual({ok, [?A]}, md_mim:api(Node, check_host_type_and_get_domains, [?TYPE])),
    Says = fun(Words, {db_error, Text}) -> binary:match(Text, Words) =/= nomatch end,
    [?assert(Says(<<"nothing was changed">>, md_mim:api(Node, Function, Args)), Function)
     || {Function, Args} <- [{insert_domain, [?B, ?TYPE]}, {enable_domain, [?A]}, {disable_domain, [?A]},
                             {delete_domain, [?A, ?TYPE]}, {delete_domain, [?A]}, {request_delete_domain, [?A, ?TYPE]},
                             {set_domain_password, [?A, <<"new">>]}, {delete_domain_password, [?A]}]],
    [begin
         Answer = md_mim:api(Node, Function, Args),
         ?assertNot(Says(<<"changed">>, Answer), Answer)
     end || {Function, Args} <- [{get_domain_details, [?A]}, {get_removals, []}, {removal_status, [?A]},
                                 {get_changes, [undefined, 1]}, {list_domains, [#{}]}]],
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> md_mim:api(Node, check_domain_password, [?A, <<"right">>]) end, ok),
    %% More than one of these waits for the only worker.
    ok = md_gate:hush(Gate),
    Answers = at_once([fun() -> md_mim:api(Node, insert_domain, [<<(integer_to_binary(N))/binary, ".example">>, ?TYPE]) end
                       || N <- lists:seq(1, 8)]),
    ?assert(lists:keymember(overloaded, 1, Answers)),
    ?assertEqual([], [Answer || {Tag, Text} = Answer <- Answers, not is_atom(Tag) orelse Tag =:= error orelse not is_binary(Text)]).

at_once(Funs) ->
    Monitors = [spawn_monitor(fun() -> exit({answer, Fun()}) end) || Fun <- Funs],
    [receive {'DOWN', Monitor, process, Pid, {answer, Answer}} -> Answer end || {Pid, Monitor} <- Monitors].

a_start_waits_until_many_domains_are_loaded(Config) ->
    Count = 30000,
    Client = md_client:open(?config(database, Config)),
    [] = md_client:query(Client, ["INSERT INTO domain_settings (domain, host_type) SELECT 'd' || n || '.example', 'type1' "
                                  "FROM generate_series(1, ", integer_to_list(Count), ") n"]),
    ok = md_client:close(Client),
    Node = md_mim:boot(Config, #{}),
    ok = md_mim:start(Node, md_mim:config(Config)),
    ?assertEqual(Count, length(md_mim:api(Node, get_domains_by_host_type, [?TYPE]))),
    ?assertEqual(0, md_node:count(Node, domain_first_load_not_done)).

a_start_goes_on_when_the_database_stays_away(Config) ->
    Gate = md_gate:start(md_database:port(?config(database, Config))),
    Node = md_mim:boot(Config, #{service_domain_db => #{first_load_timeout => 200}}),
    ok = md_mim:start(Node, md_mim:config(Config, #{port => md_gate:port(Gate), host => "127.0.0.1"})),
    ?assertMatch([{warning, #{waited := 200}}], md_node:logged(Node, domain_first_load_not_done)),
    ?assertEqual({ok, ?STATIC}, md_node:lookup(Node, ?STATIC)),
    %% It accepts connections and does not answer.
    ok = md_node:call(Node, service_domain_db, stop, []),
    ok = md_gate:stall(Gate),
    {ok, _} = md_node:call(Node, service_domain_db, start, [md_mim:options()]),
    ?assertEqual(2, md_node:count(Node, domain_first_load_not_done)),
    ok = md_gate:open(Gate),
    md_wait:until(fun() -> element(1, md_mim:api(Node, insert_domain, [?A, ?TYPE])) end, ok).

a_driver_that_is_not_supported_says_what_to_do(Config) ->
    Node = md_mim:boot(Config, #{}),
    {error, {wrong_configuration, #{expected := Text}}} = md_mim:start(Node, md_mim:config(Config, #{driver => odbc, password => ?PASSWORD})),
    [?assertNotEqual(nomatch, binary:match(Text, Word)) || Word <- [<<"pgsql">>, <<"mysql">>, <<"odbc">>, <<"service_domain_db">>]],
    ok = assert_not_shown(Node, ?PASSWORD).

a_pool_of_mysql_leads_to_mariadb(Config) ->
    Node = md_mim:boot(Config, #{}),
    ok = md_mim:start(Node, md_mim:config(Config)),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    Client = md_client:open(?config(database, Config)),
    ?assertEqual(#{?A => {?TYPE, enabled}}, md_rows:all(Client)),
    ok = md_writer:write(Client, [{add, ?TYPE, [?B]}]),
    md_wait:until(fun() -> md_mim:api(Node, get_host_type, [?B]) end, {ok, ?TYPE}).

an_operator_may_name_another_database(Config) ->
    File = filename:join(?config(priv_dir, Config), "url"),
    ok = file:write_file(File, ?config(database, Config)),
    Node = md_mim:boot(Config, #{service_domain_db => #{database => {file, File}, pool_size => 2}}),
    ok = md_mim:start(Node, md_mim:config(Config, #{driver => odbc})),
    {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
    _ = md_node:kill(Node, mongoose_domain_sup),
    md_wait:until(fun() -> element(1, md_mim:api(Node, insert_domain, [?B, ?TYPE])) end, ok),
    ?assertMatch({ok, #{database := {file, File}, pool_size := 2, event_max_age := 7200}},
                 md_node:call(Node, mongoose_domain_config, service, [])).

urls_are_made_of_every_form_of_a_pool(Config) ->
    true = code:add_pathz(?config(beams, Config)),
    ok = eunit:test(mongoose_domain_mongooseim_url_tests, []),
    true = code:del_path(?config(beams, Config)),
    %% A user whose password needs escaping gets in, and the password is nowhere to be read.
    User = "mim_" ++ integer_to_list(erlang:unique_integer([positive])),
    Client = md_client:open(?config(database, Config)),
    [md_client:query(Client, Sql)
     || Sql <- [["CREATE ROLE ", User, " LOGIN SUPERUSER PASSWORD '", ?PASSWORD, "'"]]],
    Node = md_mim:boot(Config, #{}),
    try
        ok = md_mim:start(Node, md_mim:config(Config, #{username => User, password => ?PASSWORD})),
        {ok, _} = md_mim:api(Node, insert_domain, [?A, ?TYPE]),
        [begin
             _ = md_node:kill(Node, Name),
             md_wait:until(fun() -> element(1, md_mim:api(Node, enable_domain, [?A])) end, ok)
         end || Name <- [service_domain_db, mongoose_domain_operations, mongoose_domain_sup]],
        ok = assert_not_shown(Node, ?PASSWORD)
    after
        peer:stop(Node),
        [] = md_client:query(Client, ["DROP ROLE ", User]),
        ok = md_client:close(Client)
    end.

%% The password is in no report, no state of a process, no argument of a child and not in the environment.
assert_not_shown(Node, Password) ->
    Escaped = uri_string:quote(Password),
    Logged = md_node:call(Node, md_log, all, []),
    Environment = md_node:call(Node, application, get_all_env, [mongoose_domain]),
    States = [md_node:call(Node, sys, get_state, [Name])
              || Name <- [mongoose_domain_sup, mongoose_domain_database_sup, service_domain_db, mongoose_domain_operations,
                          ejabberd_sup],
                 is_pid(md_node:call(Node, erlang, whereis, [Name]))],
    Text = unicode:characters_to_list(io_lib:format("~tp", [{Logged, Environment, States}])),
    ?assert(length(Logged) > 0),
    [?assertEqual(nomatch, string:find(Text, Secret)) || Secret <- [Password, Escaped, "55@w", "55%40w"]],
    ok.
