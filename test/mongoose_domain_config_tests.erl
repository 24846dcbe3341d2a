%% The application environment: the valid values of each key, its default, and the report of a
%% wrong value.
-module(mongoose_domain_config_tests).

-include_lib("eunit/include/eunit.hrl").
-include_lib("kernel/include/file.hrl").

-export([without_any_key_every_default_is_there/0]).
-export([hosts_are_pairs_or_domains_that_are_their_own_host_type/0]).
-export([an_integration_is_a_module_of_its_behaviour/0, a_pool_is_a_database_of_the_integration/0]).
-export([a_first_load_may_be_awaited_for_no_time/0]).
-export([a_router_is_a_module_that_can_be_loaded/0]).
-export([wrong_hosts_are_named/0]).
-export([an_entry_that_cannot_be_a_name_is_left_to_the_core/0]).
-export([wrong_host_types_are_named/0]).
-export([a_data_directory_is_made/0]).
-export([a_data_directory_that_cannot_be_made_is_named/0]).
-export([a_data_directory_whose_name_cannot_be_encoded_is_named/0]).
-export([repeated_operations_are_ok_or_error/0]).
-export([a_door_has_every_default/0, every_text_may_be_a_binary_a_string_or_an_atom/0,
         what_is_nil_or_undefined_is_not_given/0,
         the_edge_asks_at_a_place_of_its_own_on_this_machine_unless_told_otherwise/0,
         an_address_may_be_a_tuple/0,
         a_place_of_a_password_that_makes_no_sense_is_named/0,
         what_is_wrong_with_a_door_is_named/0, a_password_is_in_no_report/0,
         a_door_beyond_this_machine_has_a_lock_or_a_word_that_says_so/0]).
-export([a_service_has_every_default/0]).
-export([the_gate_is_one_of_three_words_and_a_share/0]).
-export([a_node_keeps_its_routes_where_a_data_directory_is_set_unless_told_not_to/0]).
-export([each_option_of_the_service_takes_a_positive_integer/0]).
-export([each_wrong_option_is_named/0]).
-export([an_unknown_option_is_named_and_the_known_ones_are_listed/0]).
-export([a_service_needs_a_database/0]).
-export([a_service_that_is_no_map_is_named/0]).
-export([the_service_is_read_whatever_the_other_keys_say/0]).
-export([a_visibility_timeout_is_there_whatever_the_service_is/0]).
-export([a_database_has_one_of_four_shapes/0]).
-export([a_wrong_database_is_named_and_not_shown/0]).
-export([services_are_maps_of_options/0, wrong_services_are_named_and_not_shown/0]).
-export([modules_are_for_all_host_types_or_for_one/0, wrong_modules_are_named_and_not_shown/0]).
-export([modules_are_for_host_types_that_there_are/0]).
-export([removal_handlers_are_modules_with_a_priority_or_are_waited_for/0, wrong_removal_handlers_are_named/0]).
-export([subdomains_have_a_template_and_a_handler/0, wrong_subdomains_are_named_and_not_shown/0]).
-export([the_database_counts_as_a_service_and_keeps_its_url/0]).
-export([an_unknown_key_is_told_and_stops_nothing/0]).
-export([the_url_comes_from_the_environment_a_file_or_the_configuration/0]).
-export([a_url_that_is_not_there_is_a_problem_that_names_the_place/0]).
-export([a_database_that_is_no_text_is_a_problem/0]).
-export([no_problem_shows_a_password/0]).

-define(SECRET, "s3cret-pa55word").
-define(URL, "postgres://mongoose:" ?SECRET "@db.example/mongoose").

all_test_() ->
    md_promises:of_module(?MODULE, fun empty/0, fun restore/1).

%% Starts with an environment without keys; the cleanup restores the real one.
empty() ->
    _ = application:load(mongoose_domain),
    Before = application:get_all_env(mongoose_domain),
    [ok = application:unset_env(mongoose_domain, Key) || {Key, _} <- Before],
    ok = md_log:start(),
    Before.

restore(Before) ->
    ok = md_log:stop(),
    [ok = application:unset_env(mongoose_domain, Key) || {Key, _} <- application:get_all_env(mongoose_domain)],
    [ok = application:set_env(mongoose_domain, Key, Value) || {Key, Value} <- Before].

read(Environment) ->
    [ok = application:unset_env(mongoose_domain, Key) || {Key, _} <- application:get_all_env(mongoose_domain)],
    maps:foreach(fun(Key, Value) -> ok = application:set_env(mongoose_domain, Key, Value) end, Environment),
    mongoose_domain_config:read().

%% Asserts a report that has this key and this value and describes the expected value.
-define(assertWrong(Key, Value, Environment),
    (fun() ->
        {error, Problem} = read(Environment),
        ?assertMatch(#{key := _, value := _, expected := _}, Problem),
        ?assertEqual({Key, Value}, {map_get(key, Problem), map_get(value, Problem)}),
        ?assertMatch(<<_, _/binary>>, unicode:characters_to_binary(map_get(expected, Problem)))
    end)()).

without_any_key_every_default_is_there() ->
    ?assertEqual({ok, #{hosts => [], host_types => [], data_dir => undefined, repeated_operations => ok,
                        router => mongoose_domain_router_table, service_domain_db => disabled, services => #{},
                        modules => #{}, removal_handlers => #{}, subdomains => #{}, admin => closed,
                        integration => none}}, read(#{})).

hosts_are_pairs_or_domains_that_are_their_own_host_type() ->
    {ok, #{hosts := Hosts}} = read(#{hosts => [{<<"a.example">>, <<"type">>}, <<"b.example">>]}),
    ?assertEqual([{<<"a.example">>, <<"type">>}, {<<"b.example">>, <<"b.example">>}], Hosts).

an_integration_is_a_module_of_its_behaviour() ->
    [?assertWrong(integration, Value, #{integration => Value}) || Value <- [no_such_module, lists, <<"lists">>, 1]],
    [?assertMatch({ok, #{integration := none}}, read(#{integration => None})) || None <- [none, undefined, nil]].

a_pool_is_a_database_of_the_integration() ->
    ?assertMatch({ok, #{service_domain_db := #{database := {pool, global}}}},
                 read(#{service_domain_db => #{database => {pool, global}}})),
    ?assertWrong([service_domain_db, database], mongoose_domain_config_problem:not_shown(),
                 #{service_domain_db => #{database => {pool, <<"global">>}}}),
    {error, #{key := [service_domain_db, database], value := {pool, global}, expected := Expected}} =
        mongoose_domain_config:database_source({pool, global}),
    ?assertNotEqual(nomatch, binary:match(Expected, <<"integration">>)).

a_first_load_may_be_awaited_for_no_time() ->
    [?assertMatch({ok, #{service_domain_db := #{first_load_timeout := Time}}}, read(service(#{first_load_timeout => Time})))
     || Time <- [0, 1, 16#FFFFFFFF]],
    [?assertWrong([service_domain_db, first_load_timeout], Time, service(#{first_load_timeout => Time}))
     || Time <- [-1, 16#100000000, soon]].

a_router_is_a_module_that_can_be_loaded() ->
    ?assertMatch({ok, #{router := ?MODULE}}, read(#{router => ?MODULE})),
    [?assertWrong(router, Value, #{router => Value}) || Value <- [no_such_module, <<"lists">>, [], 1]].

wrong_hosts_are_named() ->
    [?assertWrong(hosts, Value, #{hosts => Value}) || Value <- [<<"a.example">>, "a.example", #{}, [<<"a">> | <<"b">>], all]],
    [?assertWrong(hosts, Value, #{hosts => [<<"a.example">>, Value]}) || Value <- [7, {a}, {a, b, c}]].

an_entry_that_cannot_be_a_name_is_left_to_the_core() ->
    Hosts = [{<<"UPPER">>, <<>>}, {<<>>, 7}, {nil, undefined}],
    HostTypes = [<<>>, 7, <<16#FF>>, true],
    ?assertMatch({ok, #{hosts := Hosts, host_types := HostTypes}}, read(#{hosts => Hosts, host_types => HostTypes})).

wrong_host_types_are_named() ->
    ?assertMatch({ok, #{host_types := [<<"a">>]}}, read(#{host_types => [<<"a">>]})),
    [?assertWrong(host_types, Value, #{host_types => Value}) || Value <- [<<"a">>, "a", #{}, [<<"a">> | b], all]].

a_data_directory_is_made() ->
    Directory = filename:join([temporary(), "data", "below"]),
    ?assertMatch({ok, #{data_dir := Directory}}, read(#{data_dir => Directory})),
    ?assert(filelib:is_dir(Directory)),
    %% Only this user may read a new directory, since it may contain passwords. An existing one keeps its mode.
    ?assertEqual(8#700, rights(Directory)),
    ok = file:change_mode(Directory, 8#750),
    AsBinary = unicode:characters_to_binary(Directory),
    ?assertMatch({ok, #{data_dir := AsBinary}}, read(#{data_dir => AsBinary})),
    ?assertEqual(8#750, rights(Directory)),
    ok = file:del_dir_r(filename:dirname(filename:dirname(Directory))).

rights(File) ->
    {ok, #file_info{mode = Mode}} = file:read_file_info(File),
    Mode band 8#777.

a_data_directory_that_cannot_be_made_is_named() ->
    File = temporary_file("a file, no directory"),
    Below = filename:join(File, "below"),
    [?assertWrong(data_dir, Value, #{data_dir => Value}) || Value <- [File, Below, "", <<>>, 7, true, [1, a]]],
    ok = file:delete(File).

%% Tested in a VM whose file names are Latin-1.
a_data_directory_whose_name_cannot_be_encoded_is_named() ->
    Path = filename:dirname(code:which(mongoose_domain_config)),
    {ok, Peer, _} = peer:start_link(#{connection => standard_io, args => ["+fnl", "-pa", Path]}),
    Read = fun(Dir) ->
        ok = peer:call(Peer, application, set_env, [mongoose_domain, data_dir, Dir]),
        ok = peer:call(Peer, application, set_env, [mongoose_domain, service_domain_db, #{database => ?URL}]),
        peer:call(Peer, mongoose_domain_config, read, [])
    end,
    latin1 = peer:call(Peer, file, native_name_encoding, []),
    Base = temporary(),
    {error, Problem} = Read(Base ++ [$/, 16#4E2D]),
    ?assertMatch(#{key := data_dir, value := [_ | _], expected := <<_, _/binary>>}, Problem),
    ?assertNot(filelib:is_file(Base)),
    %% A name that Latin-1 can encode is valid there.
    {ok, Config} = Read(Base ++ [$/, 16#E4]),
    ?assertEqual(<<(list_to_binary(Base))/binary, $/, 16#E4, "/routes.snapshot">>,
                 peer:call(Peer, mongoose_domain_config, snapshot_file, [Config])),
    ok = peer:call(Peer, file, del_dir_r, [Base]),
    ok = peer:stop(Peer).

repeated_operations_are_ok_or_error() ->
    [?assertMatch({ok, #{repeated_operations := Value}}, read(#{repeated_operations => Value})) || Value <- [ok, error]],
    [?assertWrong(repeated_operations, Value, #{repeated_operations => Value}) || Value <- [true, <<"ok">>, 1]].

a_door_has_every_default() ->
    {ok, #{admin := Admin}} = read(#{admin => #{}}),
    ?assertEqual(#{ip => <<"127.0.0.1">>, port => 8088, credentials => undefined, tls => undefined,
                   host_names => [], allowed_origins => [], keep_alive => 75000, ask => undefined}, Admin),
    Given = #{ip => <<"::1">>, port => 0, username => "admin", password => {env, "HOME"},
              tls => #{certificate => "c.pem", key => <<"k.pem">>, client_ca => "ca.pem", allowed_names => ["diego"]},
              allowed_origins => ["https://admin.example"]},
    Home = list_to_binary(os:getenv("HOME")),
    ?assertMatch({ok, #{admin := #{ip := <<"::1">>, port := 0,
                                   credentials := #{username := <<"admin">>, password := Home},
                                   tls := #{certificate := <<"c.pem">>, key := <<"k.pem">>, client_ca := <<"ca.pem">>,
                                            allowed_names := [<<"diego">>]},
                                   allowed_origins := [<<"https://admin.example">>]}}}, read(#{admin => Given})).

%% Erlang's and Elixir's configurations write texts differently.
every_text_may_be_a_binary_a_string_or_an_atom() ->
    Spellings = [fun unicode:characters_to_list/1, fun(Text) -> Text end, fun(Text) -> [Text] end,
                 fun(Text) -> binary_to_atom(Text) end],
    true = os:putenv("MONGOOSE_DOMAIN_TEST_URL", "geheim"),
    Configurations = [read(#{
        hosts => [{S(<<"a.example">>), S(<<"type1">>)}, S(<<"b.example">>)],
        host_types => [S(<<"type1">>), S(<<"type2">>)],
        modules => #{S(<<"type1">>) => #{}},
        admin => #{ip => S(<<"127.0.0.1">>), username => S(<<"admin">>),
                   password => {env, S(<<"MONGOOSE_DOMAIN_TEST_URL">>)},
                   tls => #{certificate => S(<<"c.pem">>), key => S(<<"k.pem">>), client_ca => S(<<"ca.pem">>),
                            allowed_names => [S(<<"diego">>)]},
                   allowed_origins => [S(<<"https://admin.example">>)]}
    }) || S <- Spellings],
    true = os:unsetenv("MONGOOSE_DOMAIN_TEST_URL"),
    ?assertMatch([{ok, #{
        hosts := [{<<"a.example">>, <<"type1">>}, {<<"b.example">>, <<"b.example">>}],
        host_types := [<<"type1">>, <<"type2">>],
        modules := #{<<"type1">> := #{}},
        admin := #{ip := <<"127.0.0.1">>, credentials := #{username := <<"admin">>, password := <<"geheim">>},
                   tls := #{certificate := <<"c.pem">>, allowed_names := [<<"diego">>]},
                   allowed_origins := [<<"https://admin.example">>]}
    }}], lists:usort(Configurations)).

what_is_nil_or_undefined_is_not_given() ->
    Defaults = read(#{admin => #{}, service_domain_db => #{database => "sqlite:x.db"}}),
    [?assertEqual(Defaults, read(#{
        hosts => Absent, host_types => Absent, data_dir => Absent, repeated_operations => Absent, router => Absent,
        services => Absent, modules => Absent,
        admin => #{ip => Absent, port => Absent, username => Absent, password => Absent, tls => Absent,
                   host_names => Absent, allowed_origins => Absent, keep_alive => Absent, unprotected => Absent,
                   ask => Absent},
        service_domain_db => #{database => "sqlite:x.db", poll_interval => Absent, warm_start => Absent}
    })) || Absent <- [nil, undefined]],
    [begin
        ?assertEqual(read(#{}), read(#{admin => Absent, service_domain_db => Absent})),
        %% A required key must not be absent.
        ?assertWrong([service_domain_db, database], undefined, #{service_domain_db => #{database => Absent}}),
        ?assertWrong([admin, password], undefined, #{admin => #{username => "admin", password => Absent}})
     end || Absent <- [nil, undefined]].

the_edge_asks_at_a_place_of_its_own_on_this_machine_unless_told_otherwise() ->
    [?assertMatch({ok, #{admin := #{ask := Place}}}, read(#{admin => #{ask => Ask}}))
     || {Ask, Place} <- [{#{}, #{ip => <<"127.0.0.1">>, port => 8089}},
                         {#{ip => nil, port => 0}, #{ip => <<"127.0.0.1">>, port => 0}},
                         {#{ip => {0, 0, 0, 0, 0, 0, 0, 1}}, #{ip => <<"::1">>, port => 8089}},
                         {#{ip => "192.0.2.1", port => 80}, #{ip => <<"192.0.2.1">>, port => 80}},
                         {undefined, undefined}]],
    [?assertWrong([admin, ask, Key], Value, #{admin => #{ask => #{Key => Value}}})
     || {Key, Value} <- [{ip, "localhost"}, {port, -1}, {port, '8089'}]],
    ?assertWrong([admin, ask], open, #{admin => #{ask => open}}),
    ?assertMatch({error, #{key := [admin, ask, colour]}}, read(#{admin => #{ask => #{colour => red}}})).

an_address_may_be_a_tuple() ->
    [?assertMatch({ok, #{admin := #{ip := Text}}}, read(#{admin => #{ip => Ip}}))
     || {Ip, Text} <- [{{127, 0, 0, 1}, <<"127.0.0.1">>}, {{0, 0, 0, 0, 0, 0, 0, 1}, <<"::1">>}]],
    [?assertMatch({error, #{key := [admin, ip]}}, read(#{admin => #{ip => Ip}})) || Ip <- [{127, 0, 0}, {a, b, c, d}, {}]].

a_place_of_a_password_that_makes_no_sense_is_named() ->
    [?assertMatch({error, #{key := [admin, password], expected := _}},
                  read(#{admin => #{username => "admin", password => Place}}))
     || Place <- [{env, 7}, {env, ""}, {env, nil}, {env, "A=B"}, {file, 7}, {file, ""}, {file, {}}]].

what_is_wrong_with_a_door_is_named() ->
    ?assertWrong(admin, open, #{admin => open}),
    [?assertWrong([admin, Key], Value, #{admin => #{Key => Value}})
     || {Key, Value} <- [{ip, "localhost"}, {ip, "1.2.3"}, {ip, 1}, {port, -1}, {port, 65536}, {port, '8088'},
                         {allowed_origins, any}, {unprotected, true}, {keep_alive, 0}, {keep_alive, "75 s"}]],
    [?assertWrong([admin, host_names], Name, #{admin => #{host_names => [Name]}})
     || Name <- [<<"https://a.example">>, <<"a.example:8088">>, <<"*.a.example">>, <<>>]],
    [?assertWrong([admin, Missing], undefined, #{admin => #{Given => "x"}})
     || {Given, Missing} <- [{username, password}, {password, username}]],
    ?assertWrong([admin, username], <<"a:b">>, #{admin => #{username => "a:b", password => "x"}}),
    ?assertMatch({error, #{key := [admin, colour]}}, read(#{admin => #{colour => red}})),
    ?assertMatch({error, #{key := [admin, tls]}}, read(#{admin => #{tls => #{key => "k.pem"}}})),
    {error, #{key := [admin, password]} = Problem} =
        read(#{admin => #{username => "admin", password => {file, "/there/is/none"}}}),
    ?assertMatch(#{value := {file, "/there/is/none"}}, Problem).

a_password_is_in_no_report() ->
    [begin
         {error, Problem} = read(#{admin => maps:merge(#{username => "admin", password => Password}, Others)}),
         ?assertEqual(nomatch, string:find(io_lib:format("~p", [Problem]), "geheim"))
     end || {Password, Others} <- [{[geheim], #{}}, {{geheim}, #{}}, {"geheim", #{port => no}}, {"geheim", #{colour => 1}}]].

a_door_beyond_this_machine_has_a_lock_or_a_word_that_says_so() ->
    Locked = #{username => "admin", password => "x", tls => #{certificate => "c.pem", key => "k.pem"}},
    [begin
         [?assertWrong([admin, ip], list_to_binary(Ip), #{admin => Admin#{ip => Ip}})
          || Admin <- [#{}, maps:remove(tls, Locked), maps:without([username, password], Locked)]],
         ?assertMatch({ok, _}, read(#{admin => Locked#{ip => Ip}})),
         ?assertMatch({ok, _}, read(#{admin => #{ip => Ip, unprotected => anyone_may_change_domains}}))
     end || Ip <- ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"]],
    [?assertMatch({ok, _}, read(#{admin => #{ip => Ip}})) || Ip <- ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]].

a_service_has_every_default() ->
    {ok, #{service_domain_db := Service}} = read(#{service_domain_db => #{database => "sqlite:x.db"}}),
    ?assertEqual(#{database => "sqlite:x.db", poll_interval => 30000, look_interval => 200, converge_interval => 300000,
                   convergence_gate => on_loss, max_removal_share => 0.5, warm_start => true,
                   snapshot_interval => 300000, snapshot_max_age => 604800, event_cleaning_interval => 1800,
                   event_max_age => 7200, pool_size => 4,
                   queue_limit => 1000, operation_timeout => 5000, visibility_timeout => 3000,
                   password_iterations => 10000, removal_lease => 30000, connect_timeout => 5000, statement_timeout => 30000,
                   lock_timeout => 5000, first_load_timeout => 0}, Service),
    ?assertMatch({ok, #{service_domain_db := disabled}}, read(#{service_domain_db => disabled})).

the_gate_is_one_of_three_words_and_a_share() ->
    [?assertMatch({ok, #{service_domain_db := #{convergence_gate := Gate}}}, read(service(#{convergence_gate => Gate})))
     || Gate <- [off, on_loss, always]],
    [?assertWrong([service_domain_db, convergence_gate], Gate, service(#{convergence_gate => Gate}))
     || Gate <- [true, never, 1]],
    [?assertMatch({ok, #{service_domain_db := #{max_removal_share := Read}}} when Read == Share,
                  read(service(#{max_removal_share => Share}))) || Share <- [0, 0.0, 0.3, 1, 1.0]],
    [?assertWrong([service_domain_db, max_removal_share], Share, service(#{max_removal_share => Share}))
     || Share <- [-0.1, 1.1, half, 50]].

a_node_keeps_its_routes_where_a_data_directory_is_set_unless_told_not_to() ->
    Directory = temporary_file("") ++ ".d",
    File = unicode:characters_to_binary(filename:join(Directory, "routes.snapshot")),
    [begin
        {ok, Config} = read(maps:merge(service(Options), Data)),
        ?assertEqual(Wanted, mongoose_domain_config:snapshot_file(Config))
     end || {Options, Data, Wanted} <- [{#{}, #{data_dir => Directory}, File},
                                        {#{}, #{data_dir => unicode:characters_to_binary(Directory)}, File},
                                        {#{warm_start => false}, #{data_dir => Directory}, undefined},
                                        {#{}, #{}, undefined}]],
    ?assertWrong([service_domain_db, warm_start], yes, service(#{warm_start => yes})),
    ok = file:del_dir(Directory).

options() ->
    [poll_interval, look_interval, converge_interval, snapshot_interval, snapshot_max_age, event_cleaning_interval, event_max_age, pool_size, queue_limit, operation_timeout,
     visibility_timeout, password_iterations, removal_lease, connect_timeout, statement_timeout, lock_timeout].

service(Options) ->
    #{service_domain_db => Options#{database => ?URL}}.

each_option_of_the_service_takes_a_positive_integer() ->
    [begin
        {ok, #{service_domain_db := Service}} = read(service(#{Option => Value})),
        ?assertEqual(Value, map_get(Option, Service))
     end || Option <- options(), Value <- [1, most(Option)]].

most(password_iterations) -> 10000000;
most(pool_size) -> 1000;
most(queue_limit) -> 1000000;
most(_Times) -> 16#FFFFFFFF.

each_wrong_option_is_named() ->
    [?assertWrong([service_domain_db, Option], Value, service(#{Option => Value}))
     || Option <- options(), Value <- [0, -1, most(Option) + 1, 1.5, <<"1">>, infinity]].

an_unknown_option_is_named_and_the_known_ones_are_listed() ->
    {error, #{key := [service_domain_db, pol_interval], expected := Expected}} = read(service(#{pol_interval => 1})),
    [?assertNotEqual(nomatch, string:find(Expected, atom_to_list(Option))) || Option <- [database | options()]].

a_service_needs_a_database() ->
    ?assertWrong([service_domain_db, database], undefined, #{service_domain_db => #{}}).

a_service_that_is_no_map_is_named() ->
    [?assertMatch({error, #{key := service_domain_db, expected := _}}, read(#{service_domain_db => Value}))
     || Value <- [[], [{database, "sqlite:x.db"}], true, <<"sqlite:x.db">>]].

the_service_is_read_whatever_the_other_keys_say() ->
    {error, _} = read((service(#{removal_lease => 7}))#{hosts => wrong, data_dir => wrong}),
    ?assertMatch({ok, #{removal_lease := 7, pool_size := 4}}, mongoose_domain_config:service()),
    {error, _} = read(service(#{removal_lease => 0})),
    ?assertMatch({error, #{key := [service_domain_db, removal_lease]}}, mongoose_domain_config:service()),
    [begin
        {ok, _} = read(Environment),
        ?assertMatch({error, #{key := service_domain_db, value := disabled}}, mongoose_domain_config:service())
     end || Environment <- [#{}, #{service_domain_db => disabled}]].

a_visibility_timeout_is_there_whatever_the_service_is() ->
    [begin
        _ = read(Environment),
        ?assertEqual(Timeout, mongoose_domain_config:visibility_timeout())
     end || {Environment, Timeout} <- [{service(#{visibility_timeout => 7}), 7}, {service(#{}), 3000}, {#{}, 3000},
                                       {#{service_domain_db => disabled}, 3000}]].

a_database_has_one_of_four_shapes() ->
    [?assertMatch({ok, #{service_domain_db := #{database := Database}}}, read(#{service_domain_db => #{database => Database}}))
     || Database <- [?URL, <<?URL>>, "sqlite:x.db", {env, "NAME"}, {env, <<"NAME">>}, {env, 'NAME'}, {file, "path"},
                      {file, <<"path">>}, {file, path}]].

a_wrong_database_is_named_and_not_shown() ->
    [begin
        {error, Problem} = read(#{service_domain_db => #{database => Database}}),
        ?assertMatch(#{key := [service_domain_db, database], expected := _}, Problem)
     end || Database <- [atom, 7, {env, ""}, {env, 7}, {env, "A=B"}, {env, <<"A", 0>>}, {env, nil}, {file, ""}, {file, 7},
                     {url, ?URL}, #{}]].

services_are_maps_of_options() ->
    Services = #{a => #{}, b => #{x => 1}},
    ?assertMatch({ok, #{services := Services}}, read(#{services => Services})),
    ?assertEqual(Services, mongoose_domain_config:services()).

wrong_services_are_named_and_not_shown() ->
    [begin
        {error, #{key := Named, value := Shown, expected := _}} = read(#{services => Services}),
        ?assertEqual({Services, Key}, {Services, Named}),
        ?assertNot(md_secret:is_in(?SECRET, Shown)),
        ?assertError({wrong_configuration, _}, mongoose_domain_config:services())
     end || {Services, Key} <- [{[{a, ?SECRET}], services}, {?SECRET, services}, {#{a => ?SECRET}, [services, a]},
                                {#{a => [{password, ?SECRET}]}, [services, a]}, {#{<<"a">> => #{}}, [services]},
                                {#{service_domain_db => #{database => ?URL}}, [services, service_domain_db]}]].

modules_are_for_all_host_types_or_for_one() ->
    Modules = #{all => #{a => #{}, b => #{x => 1}}, <<"type1">> => #{c => #{}}, <<"own.example">> => #{}},
    ?assertMatch({ok, #{modules := Modules}},
                 read(#{hosts => [<<"own.example">>], host_types => [<<"type1">>, <<"type2">>], modules => Modules})),
    ?assertEqual([#{c => #{}}, #{a => #{}, b => #{x => 1}}, #{}],
                 [mongoose_domain_config:modules(HostType)
                  || HostType <- [<<"type1">>, <<"type2">>, <<"own.example">>]]),
    {ok, _} = read(#{host_types => [<<"type1">>], modules => maps:with([<<"type1">>], Modules)}),
    ?assertEqual(#{}, mongoose_domain_config:modules(<<"type2">>)).

wrong_modules_are_named_and_not_shown() ->
    [begin
        {error, #{key := Named, value := Shown, expected := _}} = read(#{host_types => [<<"t">>], modules => Modules}),
        ?assertEqual({Modules, Key}, {Modules, Named}),
        ?assertNot(md_secret:is_in(?SECRET, Shown))
     end || {Modules, Key} <- [{?SECRET, modules}, {#{all => ?SECRET}, [modules, all]}, {#{other => #{}}, modules},
                               {#{7 => #{}}, modules}, {#{<<"t">> => #{}, "t" => #{}}, modules},
                               {#{<<"t">> => [{a, ?SECRET}]}, [modules, <<"t">>]},
                               {#{<<"t">> => #{a => ?SECRET}}, [modules, <<"t">>, a]},
                               {#{all => #{"a" => #{}}}, [modules, all]}]].

modules_are_for_host_types_that_there_are() ->
    Hosts = #{hosts => [{<<"a.example">>, <<"static type">>}], host_types => [<<"type1">>]},
    [?assertMatch({ok, _}, read(Hosts#{modules => #{HostType => #{}}}))
     || HostType <- [<<"static type">>, <<"type1">>, all]],
    [?assertWrong(modules, HostType, Hosts#{modules => #{HostType => #{a => #{}}}})
     || HostType <- [<<"a.example">>, <<"t">>]].

removal_handlers_are_modules_with_a_priority_or_are_waited_for() ->
    Handlers = #{all => [md_handler_first, {await, not_loaded_yet}], "type1" => [{md_handler_second, 7}]},
    {ok, Config} = read(#{hosts => [{<<"a.example">>, <<"static type">>}], host_types => [<<"type1">>, <<"type2">>],
                          removal_handlers => Handlers}),
    ?assertEqual([{<<"static type">>, {md_handler_first, 50}}, {<<"static type">>, {await, not_loaded_yet}},
                  {<<"type1">>, {md_handler_second, 7}},
                  {<<"type2">>, {md_handler_first, 50}}, {<<"type2">>, {await, not_loaded_yet}}],
                 mongoose_domain_host_type_config:removal_handlers(Config)).

wrong_removal_handlers_are_named() ->
    Types = #{host_types => [<<"t">>]},
    [begin
        {error, #{key := Named, value := Shown, expected := _}} = read(Types#{removal_handlers => Handlers}),
        ?assertEqual({Handlers, Key, Value}, {Handlers, Named, Shown})
     end || {Handlers, Key, Value} <- [
        {[md_handler_first], removal_handlers, '(not shown, it may hold a password)'},
        {#{<<"t">> => md_handler_first}, [removal_handlers, <<"t">>], '(not shown, it may hold a password)'},
        {#{7 => []}, removal_handlers, 7}, {#{"t" => [], <<"t">> => []}, removal_handlers, ["t", <<"t">>]}, {#{<<"other">> => []}, removal_handlers, <<"other">>},
        {#{all => [no_such_module]}, [removal_handlers, all], no_such_module},
        {#{all => [lists]}, [removal_handlers, all], lists},
        {#{all => [{md_handler_first, high}]}, [removal_handlers, all], '(not shown, it may hold a password)'},
        {#{all => [md_handler_first, {await, md_handler_first}]}, [removal_handlers, all], md_handler_first}]].

subdomains_have_a_template_and_a_handler() ->
    Subdomains = #{<<"type1">> => [{"muc.@HOST@", {rooms, #{}}}, {<<"vjud.example">>, any_term}]},
    {ok, Config} = read(#{host_types => [<<"type1">>, <<"type2">>], subdomains => Subdomains}),
    ?assertEqual([{<<"type1">>, {{prefix, <<"muc.">>}, {rooms, #{}}}}, {<<"type1">>, {{fqdn, <<"vjud.example">>}, any_term}}],
                 mongoose_domain_host_type_config:subdomains(Config)).

wrong_subdomains_are_named_and_not_shown() ->
    [begin
        {error, #{key := Named, value := Shown, expected := _}} =
            read(#{host_types => [<<"t">>], subdomains => Subdomains}),
        ?assertEqual({Subdomains, Key}, {Subdomains, Named}),
        ?assertNot(md_secret:is_in(?SECRET, Shown))
     end || {Subdomains, Key} <- [{?SECRET, subdomains}, {#{<<"t">> => ?SECRET}, [subdomains, <<"t">>]},
                                  {#{all => [?SECRET]}, [subdomains, all]}, {#{all => [{<<>>, ?SECRET}]}, [subdomains, all]},
                                  {#{all => [{7, ?SECRET}]}, [subdomains, all]}, {#{<<"other">> => []}, subdomains},
                                  {#{all => [{"muc.@HOST@", one}, {<<"muc.@HOST@">>, ?SECRET}]}, [subdomains, all]}]].

the_database_counts_as_a_service_and_keeps_its_url() ->
    {ok, _} = read((service(#{pool_size => 7}))#{services => #{a => #{}}}),
    ?assertEqual(#{a => #{}, service_domain_db => #{pool_size => 7}}, mongoose_domain_config:services()),
    {ok, _} = read(#{service_domain_db => disabled}),
    ?assertEqual(#{}, mongoose_domain_config:services()).

an_unknown_key_is_told_and_stops_nothing() ->
    ?assertMatch({ok, _}, read(#{hots => [<<"a.example">>]})),
    ?assertEqual([hots], mongoose_domain_config:unknown_keys()).

%% The URL

the_url_comes_from_the_environment_a_file_or_the_configuration() ->
    true = os:putenv("MONGOOSE_DOMAIN_TEST_URL", " " ++ ?URL ++ "\n"),
    File = temporary_file(["  ", ?URL, "\n"]),
    [?assertEqual({ok, <<?URL>>}, mongoose_domain_config:database_url(Database))
     || Database <- [{env, "MONGOOSE_DOMAIN_TEST_URL"}, {env, <<"MONGOOSE_DOMAIN_TEST_URL">>},
                     {env, 'MONGOOSE_DOMAIN_TEST_URL'}, {file, File}, {file, list_to_binary(File)},
                     {file, list_to_atom(File)}, ?URL, <<?URL>>]],
    ?assertEqual([{ok, {env, <<"MONGOOSE_DOMAIN_TEST_URL">>}}, {ok, {file, list_to_binary(File)}}, {ok, {url, <<?URL>>}}],
                 [mongoose_domain_config:database_source(Database)
                  || Database <- [{env, 'MONGOOSE_DOMAIN_TEST_URL'}, {file, File}, ?URL]]),
    ?assertEqual({ok, <<"sqlite:d\x{e4}ta.db"/utf8>>}, mongoose_domain_config:database_url("sqlite:d\x{e4}ta.db")),
    true = os:unsetenv("MONGOOSE_DOMAIN_TEST_URL"),
    ok = file:delete(File).

a_url_that_is_not_there_is_a_problem_that_names_the_place() ->
    true = os:unsetenv("MONGOOSE_DOMAIN_TEST_URL"),
    Empty = temporary_file("\n"),
    Absent = Empty ++ ".absent",
    [?assertMatch({error, #{key := [service_domain_db, database], value := Place, expected := _}},
                  mongoose_domain_config:database_url(Place))
     || Place <- [{env, "MONGOOSE_DOMAIN_TEST_URL"}, {file, Absent}, {file, Empty}]],
    ok = file:delete(Empty).

a_database_that_is_no_text_is_a_problem() ->
    [?assertMatch({error, #{key := [service_domain_db, database], expected := _}},
                  problem_of(#{service_domain_db => #{database => Database}}))
     || Database <- ["", <<>>, <<?URL, 16#F3>>, [?URL, 16#110000], [?URL, not_a_character], [?URL | {}]]].

%% Some problems are found when the configuration is read, others when the URL is.
problem_of(Environment) ->
    case read(Environment) of
        {ok, #{service_domain_db := #{database := Database}}} -> mongoose_domain_config:database_url(Database);
        {error, Problem} -> {error, Problem}
    end.

no_problem_shows_a_password() ->
    File = temporary_file([?URL, 16#F3]),
    true = os:putenv("MONGOOSE_DOMAIN_TEST_URL", [?URL, 16#F3]),
    Databases = [{url, ?URL}, [?URL, 16#110000], {file, File}, <<?URL, 16#F3>>,
                 {env, "MONGOOSE_DOMAIN_TEST_URL"}],
    Services = [#{database => Database} || Database <- Databases]
        ++ [?URL, <<?URL>>, [{database, ?URL}], {database, ?URL}, #{url => ?URL}, #{database => ?URL, url => ?URL},
            #{database => ?URL, password => ?SECRET}, #{database => ?URL, poll_interval => 0}],
    Shown = [Service || Service <- Services, shows_secret(#{service_domain_db => Service})],
    true = os:unsetenv("MONGOOSE_DOMAIN_TEST_URL"),
    ok = file:delete(File),
    ?assertEqual([], Shown).

shows_secret(Environment) ->
    try problem_of(Environment) of
        {ok, _} -> false;
        Problem -> md_secret:is_in(?SECRET, Problem)
    catch
        Class:Reason:Stacktrace -> md_secret:is_in(?SECRET, {Class, Reason, Stacktrace})
    end.

%% Files

temporary() ->
    Name = "mongoose_domain_config_tests_" ++ os:getpid() ++ "_" ++ integer_to_list(erlang:unique_integer([positive])),
    filename:join(os:getenv("TMPDIR", "/tmp"), Name).

temporary_file(Content) ->
    File = temporary(),
    ok = file:write_file(File, Content),
    File.
