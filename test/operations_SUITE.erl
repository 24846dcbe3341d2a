%% The results and the effects of the operations of mongoose_domain_api, on one node, with each database.
%%
%% Another program reads what an operation wrote and counts its events: one for each change, none for an operation that
%% changed nothing.
-module(operations_SUITE).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([all/0, groups/0, suite/0]).
-export([init_per_group/2, end_per_group/2, init_per_testcase/2, end_per_testcase/2]).
-export([an_added_domain_is_served_when_the_call_returns/1,
         a_repeated_addition_succeeds_or_is_an_error_as_configured/1,
         what_another_host_type_has_is_a_duplicate/1,
         what_is_wrong_is_reported_in_the_peers_order/1,
         a_deleted_domain_is_gone_when_the_call_returns/1,
         a_repeated_deletion_succeeds_or_is_an_error_as_configured/1,
         only_the_right_host_type_deletes_a_domain/1,
         a_domain_is_deleted_without_naming_its_host_type/1,
         a_disabled_domain_is_not_served_until_it_is_enabled/1,
         a_status_that_is_so_already_writes_nothing/1,
         a_domain_of_an_unknown_host_type_is_left_alone/1,
         details_tell_what_the_database_says/1,
         domains_are_listed_in_parts_and_by_filters/1,
         the_domains_of_a_host_type_come_from_the_table/1,
         a_batch_answers_for_each_pair/1,
         a_batch_of_many_is_added_whole/1,
         the_own_change_is_visible_before_the_follower_reads_it/1,
         a_change_that_is_not_visible_in_time_succeeds_with_a_warning/1]).
-export([a_password_is_stored_in_the_peers_format/1,
         a_password_that_the_peer_stored_is_checked/1,
         a_password_needs_a_domain_that_is_served/1,
         a_password_that_is_no_utf8_is_invalid_and_lets_no_one_in/1,
         a_password_ends_with_the_row_of_its_domain/1,
         a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains/1,
         a_corrupt_password_lets_no_one_in/1,
         an_admins_password_is_shown_nowhere/1]).
-export([handlers_run_in_the_order_of_their_priorities/1,
         a_failed_handler_stops_the_removal_until_it_is_requested_again/1,
         a_requested_removal_goes_on_by_itself/1,
         a_domain_in_removal_is_deleted_to_everyone_else/1,
         a_removal_survives_the_processes_that_run_it/1,
         a_removal_goes_on_after_a_restart_with_the_handlers_that_there_were/1,
         a_removal_waits_while_nobody_can_tell_how_long_a_lease_is/1,
         a_removal_deletes_the_admin_too/1,
         a_job_that_was_left_runs_no_handler_for_a_domain_that_is_not_in_removal/1,
         a_removal_ends_before_the_next_handler_when_the_domain_is_served_again/1,
         a_handler_at_work_is_stopped_when_the_domain_is_served_again/1,
         a_removal_whose_row_was_deleted_is_not_called_done/1,
         a_removal_of_a_domain_that_was_served_again_begins_with_the_first_handler/1]).
-export([a_declaration_is_fresh_until_it_expires/1,
         a_declaration_for_0_seconds_is_for_ever/1,
         a_declaration_replaces_the_one_before/1,
         an_expired_declaration_is_in_the_details_alone/1,
         what_is_fresh_is_listed_in_order/1,
         a_declaration_that_makes_no_sense_is_refused_in_diegos_words/1,
         the_first_declaration_makes_the_table/1,
         a_table_of_freshness_that_fails_is_reported_in_words/1]).
-export([without_a_service_changes_are_refused_in_words/1]).

-define(HOUR, 3600000).
-define(TYPES, [<<"type1">>, <<"type2">>]).
-define(STATIC, <<"static.example">>).
-define(A, <<"a.example">>).
-define(DUPLICATE, {duplicate, <<"Domain already exists">>}).
-define(NOT_FOUND, {not_found, <<"Given domain does not exist">>}).
-define(UNKNOWN, {unknown_host_type, <<"Unknown host type">>}).
-define(IS_STATIC, {static, <<"Domain is static">>}).
-define(GONE, {deleted, <<"Domain has been deleted">>}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [{group, postgres}, {group, mariadb}, {group, sqlite}, without_a_service_changes_are_refused_in_words].

groups() ->
    Cases = [an_added_domain_is_served_when_the_call_returns,
             a_repeated_addition_succeeds_or_is_an_error_as_configured,
             what_another_host_type_has_is_a_duplicate,
             what_is_wrong_is_reported_in_the_peers_order,
             a_deleted_domain_is_gone_when_the_call_returns,
             a_repeated_deletion_succeeds_or_is_an_error_as_configured,
             only_the_right_host_type_deletes_a_domain,
             a_domain_is_deleted_without_naming_its_host_type,
             a_disabled_domain_is_not_served_until_it_is_enabled,
             a_status_that_is_so_already_writes_nothing,
             a_domain_of_an_unknown_host_type_is_left_alone,
             details_tell_what_the_database_says,
             domains_are_listed_in_parts_and_by_filters,
             the_domains_of_a_host_type_come_from_the_table,
             a_batch_answers_for_each_pair,
             a_batch_of_many_is_added_whole,
             the_own_change_is_visible_before_the_follower_reads_it,
             a_change_that_is_not_visible_in_time_succeeds_with_a_warning,
             a_password_is_stored_in_the_peers_format,
             a_password_that_the_peer_stored_is_checked,
             a_password_needs_a_domain_that_is_served,
             a_password_that_is_no_utf8_is_invalid_and_lets_no_one_in,
             a_password_ends_with_the_row_of_its_domain,
             a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains,
             a_corrupt_password_lets_no_one_in,
             an_admins_password_is_shown_nowhere,
             handlers_run_in_the_order_of_their_priorities,
             a_failed_handler_stops_the_removal_until_it_is_requested_again,
             a_requested_removal_goes_on_by_itself,
             a_domain_in_removal_is_deleted_to_everyone_else,
             a_removal_survives_the_processes_that_run_it,
             a_removal_goes_on_after_a_restart_with_the_handlers_that_there_were,
             a_removal_waits_while_nobody_can_tell_how_long_a_lease_is,
             a_removal_deletes_the_admin_too,
             a_job_that_was_left_runs_no_handler_for_a_domain_that_is_not_in_removal,
             a_removal_ends_before_the_next_handler_when_the_domain_is_served_again,
             a_handler_at_work_is_stopped_when_the_domain_is_served_again,
             a_removal_whose_row_was_deleted_is_not_called_done,
             a_removal_of_a_domain_that_was_served_again_begins_with_the_first_handler,
             a_declaration_is_fresh_until_it_expires,
             a_declaration_for_0_seconds_is_for_ever,
             a_declaration_replaces_the_one_before,
             an_expired_declaration_is_in_the_details_alone,
             what_is_fresh_is_listed_in_order,
             a_declaration_that_makes_no_sense_is_refused_in_diegos_words,
             the_first_declaration_makes_the_table,
             a_table_of_freshness_that_fails_is_reported_in_words],
    [{postgres, Cases}, {mariadb, Cases}, {sqlite, Cases}].

init_per_group(sqlite, Config) ->
    case md_client:speaks_sqlite() of
        true -> [{kind, sqlite} | Config];
        false -> {skip, "no program to read SQLite with: neither sqlite3 nor python3 is on PATH"}
    end;
init_per_group(Group, Config) ->
    [{kind, Group} | Config].

end_per_group(_Group, _Config) ->
    ok.

init_per_testcase(without_a_service_changes_are_refused_in_words, Config) ->
    Config;
init_per_testcase(Case, Config) ->
    md_database:or_fail(fun() ->
        Database = case ?config(kind, Config) of
            postgres -> md_database:create();
            mariadb -> md_database:mariadb();
            sqlite -> md_database:sqlite(?config(priv_dir, Config))
        end,
        Client = md_client:open(md_database:with_tables(Database)),
        Node = md_node:start(environment(Database, lease(Case))),
        md_node:wait_until_following(Node),
        [{database, Database}, {client, Client}, {node, Node} | Config]
    end).

end_per_testcase(without_a_service_changes_are_refused_in_words, _Config) ->
    ok;
end_per_testcase(_Case, Config) ->
    case ?config(kind, Config) of
        sqlite -> ok;
        _Server -> md_database:drop(?config(database, Config))
    end.

%% With an hour between polls, the table shows a change at the return of a call only because of that call.
environment(Database, Lease) ->
    #{hosts => [{?STATIC, <<"static type">>}],
      host_types => ?TYPES,
      service_domain_db => #{database => Database, poll_interval => ?HOUR, password_iterations => 7,
                             removal_lease => Lease}}.

%% Short where a lease has to expire. Elsewhere none expires, even on a slow machine.
lease(a_removal_survives_the_processes_that_run_it) -> 2000;
lease(a_removal_goes_on_after_a_restart_with_the_handlers_that_there_were) -> 2000;
lease(a_job_that_was_left_runs_no_handler_for_a_domain_that_is_not_in_removal) -> 2000;
lease(a_handler_at_work_is_stopped_when_the_domain_is_served_again) -> 2000;
lease(a_removal_of_a_domain_that_was_served_again_begins_with_the_first_handler) -> 2000;
lease(_Case) -> ?HOUR.

api(Config, Function, Args) ->
    md_node:call(?config(node, Config), mongoose_domain_api, Function, Args).

lookup(Config, Domain) ->
    md_node:lookup(?config(node, Config), Domain).

option(Config, Key, Value) ->
    ok = md_node:call(?config(node, Config), application, set_env, [mongoose_domain, Key, Value]).

handlers(Config, Function, Args) ->
    md_node:call(?config(node, Config), md_handlers, Function, Args).

query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

%% The row of a domain: its host type and its status as a number.
row(Config, Domain) ->
    query(Config, ["SELECT host_type, status FROM domain_settings WHERE domain = ", md_writer:literal(Domain)]).

events(Config) ->
    [Domain || [Domain] <- query(Config, "SELECT domain FROM domain_events ORDER BY id")].

%% Domains

an_added_domain_is_served_when_the_call_returns(Config) ->
    Names = md_names:some(20),
    [begin
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>}}, api(Config, insert_domain, [Name, <<"type1">>])),
        ?assertEqual({ok, <<"type1">>}, lookup(Config, Name)),
        ?assertEqual([[<<"type1">>, <<"1">>]], row(Config, Name))
     end || Name <- Names],
    ?assertEqual(Names, events(Config)).

a_repeated_addition_succeeds_or_is_an_error_as_configured(Config) ->
    Added = {ok, #{domain => ?A, host_type => <<"type1">>}},
    ?assertEqual(Added, api(Config, insert_domain, [?A, <<"type1">>])),
    ?assertEqual(Added, api(Config, insert_domain, [?A, <<"type1">>])),
    option(Config, repeated_operations, error),
    ?assertEqual(?DUPLICATE, api(Config, insert_domain, [?A, <<"type1">>])),
    ?assertEqual([?A], events(Config)).

what_another_host_type_has_is_a_duplicate(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    ?assertEqual(?DUPLICATE, api(Config, insert_domain, [?A, <<"type2">>])),
    ?assertEqual({ok, <<"type1">>}, lookup(Config, ?A)),
    ok = md_writer:write(?config(client, Config), [{status, 2, [?A]}]),
    ?assertEqual(?DUPLICATE, api(Config, insert_domain, [?A, <<"type1">>])),
    ?assertEqual([?A, ?A], events(Config)).

%% The order is: name, static domain, host type, database.
what_is_wrong_is_reported_in_the_peers_order(Config) ->
    Nowhere = <<"nowhere">>,
    Bad = <<"UPPER.example">>,
    [?assertMatch({invalid_domain, <<_, _/binary>>}, api(Config, Function, Args)) || {Function, Args} <- [
        {insert_domain, [Bad, Nowhere]}, {delete_domain, [Bad, Nowhere]}, {request_delete_domain, [Bad, Nowhere]},
        {enable_domain, [Bad]}, {disable_domain, [Bad]}, {get_domain_details, [Bad]}, {removal_status, [Bad]},
        {set_domain_password, [Bad, <<"secret">>]}, {delete_domain_password, [Bad]}]],
    [?assertEqual(?IS_STATIC, api(Config, Function, Args)) || {Function, Args} <- [
        {insert_domain, [?STATIC, Nowhere]}, {delete_domain, [?STATIC, Nowhere]},
        {request_delete_domain, [?STATIC, Nowhere]}, {enable_domain, [?STATIC]}, {disable_domain, [?STATIC]},
        {get_domain_details, [?STATIC]}]],
    [?assertEqual(?UNKNOWN, api(Config, Function, Args)) || {Function, Args} <- [
        {insert_domain, [?A, Nowhere]}, {insert_domain, [?A, <<"static type">>]}, {delete_domain, [?A, Nowhere]},
        {request_delete_domain, [?A, Nowhere]}, {check_host_type_and_get_domains, [Nowhere]}]],
    [?assertEqual(?NOT_FOUND, api(Config, Function, [?A])) || Function <- [
        enable_domain, disable_domain, get_domain_details, removal_status]],
    ?assertEqual({error, not_found}, api(Config, check_domain_password, [Bad, <<"secret">>])),
    ?assertEqual([], events(Config)).

a_deleted_domain_is_gone_when_the_call_returns(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    ?assertEqual({ok, #{domain => ?A, host_type => <<"type1">>, status => deleted}},
                 api(Config, delete_domain, [?A, <<"type1">>])),
    ?assertEqual({error, not_found}, lookup(Config, ?A)),
    ?assertEqual([], row(Config, ?A)),
    ?assertEqual([], api(Config, get_removals, [])),
    %% The events of the addition and of the deletion: without handlers no mark comes before it.
    ?assertEqual([?A, ?A], events(Config)),
    {ok, _} = api(Config, insert_domain, [?A, <<"type2">>]),
    ?assertEqual({ok, <<"type2">>}, lookup(Config, ?A)).

a_repeated_deletion_succeeds_or_is_an_error_as_configured(Config) ->
    Gone = {ok, #{domain => ?A, host_type => <<"type1">>, status => deleted}},
    [?assertEqual(Gone, api(Config, Function, [?A, <<"type1">>])) || Function <- [delete_domain, request_delete_domain]],
    option(Config, repeated_operations, error),
    [?assertEqual(?NOT_FOUND, api(Config, Function, [?A, <<"type1">>]))
     || Function <- [delete_domain, request_delete_domain]],
    ?assertEqual([], events(Config)).

only_the_right_host_type_deletes_a_domain(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    [?assertEqual({wrong_host_type, <<"Wrong host type was provided">>}, api(Config, Function, [?A, <<"type2">>]))
     || Function <- [delete_domain, request_delete_domain]],
    ?assertEqual({ok, <<"type1">>}, lookup(Config, ?A)),
    ?assertEqual([?A], events(Config)).

a_domain_is_deleted_without_naming_its_host_type(Config) ->
    [begin
        {ok, _} = api(Config, insert_domain, [?A, HostType]),
        ?assertEqual({ok, #{domain => ?A, host_type => HostType, status => deleted}}, api(Config, Function, [?A])),
        ?assertEqual({error, not_found}, md_node:lookup(?config(node, Config), ?A)),
        ?assertEqual({ok, #{domain => ?A, status => deleted}}, api(Config, Function, [?A]))
     end || HostType <- ?TYPES, Function <- [delete_domain, remove_domain]],
    ?assertEqual(?IS_STATIC, api(Config, delete_domain, [?STATIC])),
    ok = md_node:call(?config(node, Config), application, set_env, [mongoose_domain, repeated_operations, error]),
    ?assertEqual(?NOT_FOUND, api(Config, delete_domain, [?A])).

a_disabled_domain_is_not_served_until_it_is_enabled(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    [begin
        ?assertEqual({ok, #{domain => ?A, status => disabled}}, api(Config, disable_domain, [?A])),
        ?assertEqual({error, not_found}, lookup(Config, ?A)),
        ?assertEqual([[<<"type1">>, <<"0">>]], row(Config, ?A)),
        ?assertEqual({ok, #{domain => ?A, status => enabled}}, api(Config, enable_domain, [?A])),
        ?assertEqual({ok, <<"type1">>}, lookup(Config, ?A))
     end || _ <- [1, 2, 3]],
    ?assertEqual(7, length(events(Config))).

a_status_that_is_so_already_writes_nothing(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    ?assertEqual({ok, #{domain => ?A, status => enabled}}, api(Config, enable_domain, [?A])),
    {ok, _} = api(Config, disable_domain, [?A]),
    ?assertEqual({ok, #{domain => ?A, status => disabled}}, api(Config, disable_domain, [?A])),
    ?assertEqual([?A, ?A], events(Config)).

a_domain_of_an_unknown_host_type_is_left_alone(Config) ->
    ok = md_writer:write(?config(client, Config), [{add, <<"elsewhere">>, [?A]}]),
    [?assertEqual(?UNKNOWN, api(Config, Function, [?A])) || Function <- [enable_domain, disable_domain]],
    [?assertEqual(?UNKNOWN, api(Config, Function, [?A, <<"elsewhere">>]))
     || Function <- [insert_domain, delete_domain, request_delete_domain]],
    ?assertEqual({ok, #{domain => ?A, host_type => <<"elsewhere">>, status => enabled}},
                 api(Config, get_domain_details, [?A])),
    ?assertEqual([[<<"elsewhere">>, <<"1">>]], row(Config, ?A)),
    ?assertEqual([?A], events(Config)).

details_tell_what_the_database_says(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    [begin
        ok = md_writer:write(?config(client, Config), [{status, Number, [?A]}]),
        ?assertEqual({ok, #{domain => ?A, host_type => <<"type1">>, status => Status}},
                     api(Config, get_domain_details, [?A]))
     end || {Number, Status} <- [{0, disabled}, {1, enabled}, {2, deleting}, {7, {unknown, 7}}]].

domains_are_listed_in_parts_and_by_filters(Config) ->
    Names = md_names:numbered(<<"list-">>, 2500),
    {Ones, Twos} = lists:split(1200, Names),
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, Ones}, {add, <<"type2">>, Twos}, {disable, [hd(Twos)]}]),
    All = api(Config, get_all_domains, []),
    ?assertEqual(lists:sort(Names), lists:sort([Name || #{domain := Name} <- All])),
    ?assertEqual(1200, length([x || #{host_type := <<"type1">>, status := enabled} <- All])),
    ?assertEqual(All, in_parts(Config, #{limit => 7}, 7)),
    ?assertEqual([hd(Twos)], [Name || #{domain := Name} <- api(Config, get_all_domains, [#{status => disabled}])]),
    Some = api(Config, get_all_domains, [#{prefix => <<"list-22">>, host_type => <<"type2">>, limit => 1000}]),
    ?assert(length(Some) > 1),
    ?assertEqual([], [Name || #{domain := Name} <- Some, string:prefix(Name, "list-22") =:= nomatch]),
    ?assertEqual([], api(Config, get_all_domains, [#{prefix => <<"%">>}])),
    ?assertEqual([], api(Config, get_all_domains, [#{prefix => <<"lis_">>}])).

in_parts(Config, Listing, Limit) ->
    case api(Config, get_all_domains, [Listing]) of
        Part when length(Part) < Limit -> Part;
        Part ->
            #{domain := Last} = lists:last(Part),
            Part ++ in_parts(Config, Listing#{'after' => Last}, Limit)
    end.

the_domains_of_a_host_type_come_from_the_table(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, insert_domain, [<<"b.example">>, <<"type2">>]),
    ?assertEqual({ok, [?A]}, api(Config, check_host_type_and_get_domains, [<<"type1">>])).

a_batch_answers_for_each_pair(Config) ->
    {ok, _} = api(Config, insert_domain, [<<"there.example">>, <<"type1">>]),
    Added = fun(Name, Type) -> {ok, #{domain => Name, host_type => Type}} end,
    Wanted = [
        {{?A, <<"type1">>}, Added(?A, <<"type1">>)},
        {{?STATIC, <<"type1">>}, ?IS_STATIC},
        {{<<"there.example">>, <<"type1">>}, Added(<<"there.example">>, <<"type1">>)},
        {{<<"there.example">>, <<"type2">>}, ?DUPLICATE},
        {{?A, <<"type2">>}, ?DUPLICATE},
        {{?A, <<"type1">>}, Added(?A, <<"type1">>)},
        {{<<"b.example">>, <<"nowhere">>}, ?UNKNOWN},
        {{<<"c.example">>, <<"type2">>}, Added(<<"c.example">>, <<"type2">>)}
    ],
    {Pairs, Answers} = lists:unzip(Wanted),
    ?assertEqual(Answers, api(Config, insert_domains, [Pairs])),
    ?assertEqual({ok, <<"type2">>}, lookup(Config, <<"c.example">>)),
    ?assertMatch([{invalid_domain, _}], api(Config, insert_domains, [[{<<"UPPER">>, <<"type1">>}]])),
    ?assertEqual([], api(Config, insert_domains, [[]])),
    ?assertEqual(lists:sort([<<"there.example">>, ?A, <<"c.example">>]), lists:sort(events(Config))).

a_batch_of_many_is_added_whole(Config) ->
    Pairs = [{Name, <<"type1">>} || Name <- md_names:numbered(<<"batch-">>, 3456)],
    Answers = api(Config, insert_domains, [Pairs]),
    ?assertEqual([{ok, #{domain => Name, host_type => Type}} || {Name, Type} <- Pairs], Answers),
    ?assertEqual(maps:from_list(Pairs), md_node:routes(?config(node, Config))),
    ?assertEqual(length(Pairs), length(events(Config))).

%% The follower applies nothing while its owner is suspended.
the_own_change_is_visible_before_the_follower_reads_it(Config) ->
    Node = ?config(node, Config),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    ?assertMatch({ok, _}, api(Config, insert_domain, [?A, <<"type1">>])),
    ?assertEqual({ok, <<"type1">>}, lookup(Config, ?A)),
    ?assertMatch({ok, _}, api(Config, disable_domain, [?A])),
    ?assertEqual({error, not_found}, lookup(Config, ?A)),
    Pairs = [{Name, <<"type2">>} || Name <- md_names:numbered(<<"own-">>, 1500)],
    [?assertMatch({ok, _}, Answer) || Answer <- api(Config, insert_domains, [Pairs])],
    ?assertEqual(maps:from_list(Pairs), md_node:routes(Node)),
    ?assertEqual([], md_node:logged(Node, domain_change_not_visible_yet)),
    %% The follower finds nothing to change.
    ok = md_node:call(Node, sys, resume, [service_domain_db]),
    ok = md_node:sync(Node),
    ?assertEqual(maps:from_list(Pairs), md_node:routes(Node)).

a_change_that_is_not_visible_in_time_succeeds_with_a_warning(Config) ->
    Node = ?config(node, Config),
    #{service_domain_db := Service} = environment(?config(database, Config), ?HOUR),
    option(Config, service_domain_db, Service#{visibility_timeout => 100}),
    ok = md_node:call(Node, sys, suspend, [service_domain_db]),
    %% Another program has added it, which only the follower can find.
    ok = md_writer:write(?config(client, Config), [{add, <<"type1">>, [?A]}]),
    ?assertMatch({ok, _}, api(Config, insert_domain, [?A, <<"type1">>])),
    ?assertEqual({error, not_found}, lookup(Config, ?A)),
    ?assertMatch([{warning, #{waited := 100}}], md_node:logged(Node, domain_change_not_visible_yet)),
    ok = md_node:call(Node, sys, resume, [service_domain_db]),
    md_wait:until(fun() -> lookup(Config, ?A) end, {ok, <<"type1">>}).

%% Passwords

%% MongooseIM's format, computed from its description without this project's code.
stored(Password, Salt, Iterations) ->
    Salted = crypto:pbkdf2_hmac(sha512, Password, Salt, Iterations, 64),
    StoredKey = crypto:hash(sha512, crypto:mac(hmac, sha512, Salted, <<"Client Key">>)),
    ServerKey = crypto:mac(hmac, sha512, Salted, <<"Server Key">>),
    Keys = lists:join("|", [base64:encode(Part) || Part <- [Salt, StoredKey, ServerKey]]),
    iolist_to_binary(["==MULTI_SCRAM==,", integer_to_list(Iterations), ",==SHA512==", Keys]).

stored(Config, Domain) ->
    [[Stored]] = whole_lines(query(Config, ["SELECT pass_details FROM domain_admins WHERE domain = ", md_writer:literal(Domain)])),
    Stored.

%% The client splits rows at the character that also separates the keys, so this joins them again.
whole_lines(Rows) ->
    [[iolist_to_binary(lists:join("|", Columns))] || Columns <- Rows].

a_password_is_stored_in_the_peers_format(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    [begin
        ?assertEqual({ok, <<"Domain password set successfully">>}, api(Config, set_domain_password, [Domain, Password])),
        Stored = stored(Config, Domain),
        [<<"==MULTI_SCRAM==">>, <<"7">>, <<"==SHA512==", Keys/binary>>] = binary:split(Stored, <<",">>, [global]),
        [Salt | _] = binary:split(Keys, <<"|">>, [global]),
        ?assertEqual(16, byte_size(base64:decode(Salt))),
        ?assertEqual(stored(Password, base64:decode(Salt), 7), Stored),
        ?assertEqual(ok, api(Config, check_domain_password, [Domain, Password])),
        ?assertEqual({error, wrong_password}, api(Config, check_domain_password, [Domain, <<Password/binary, "x">>]))
     end || {Domain, Password} <- [{?A, <<"secret">>}, {?A, <<"another">>}, {?STATIC, <<>>}]],
    ?assertEqual([?A], events(Config)).

a_password_that_the_peer_stored_is_checked(Config) ->
    Stored = stored(<<"from the peer">>, <<"0123456789abcdef">>, 10000),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    put_stored(Config, ?A, Stored),
    ?assertEqual(ok, api(Config, check_domain_password, [?A, <<"from the peer">>])),
    ?assertEqual({error, wrong_password}, api(Config, check_domain_password, [?A, <<"from nobody">>])),
    ?assertEqual({ok, <<"Domain password deleted successfully">>}, api(Config, delete_domain_password, [?A])),
    ?assertEqual({not_found, <<"Domain password does not exist">>}, api(Config, delete_domain_password, [?A])),
    ?assertEqual({error, not_found}, api(Config, check_domain_password, [?A, <<"from the peer">>])).

put_stored(Config, Domain, Stored) ->
    [] = query(Config, ["INSERT INTO domain_admins (domain, pass_details) VALUES (", md_writer:literal(Domain), ", ",
                        md_writer:literal(Stored), ")"]).

a_password_needs_a_domain_that_is_served(Config) ->
    Refused = {not_found, <<"Given domain does not exist or is disabled">>},
    ?assertEqual(Refused, api(Config, set_domain_password, [?A, <<"secret">>])),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, disable_domain, [?A]),
    ?assertEqual(Refused, api(Config, set_domain_password, [?A, <<"secret">>])),
    {ok, _} = api(Config, enable_domain, [?A]),
    ?assertMatch({ok, _}, api(Config, set_domain_password, [?A, <<"secret">>])),
    ?assertMatch({invalid_password, _}, api(Config, set_domain_password, [?A, <<"bell", 7>>])).

a_password_that_is_no_utf8_is_invalid_and_lets_no_one_in(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, set_domain_password, [?A, <<"no UTF-8">>]),
    [begin
        ?assertMatch({invalid_password, _}, api(Config, set_domain_password, [?A, Password])),
        ?assertMatch({not_found, _}, api(Config, set_domain_password, [<<"b.example">>, Password])),
        ?assertEqual({error, wrong_password}, api(Config, check_domain_password, [?A, Password])),
        ?assertEqual({error, not_found}, api(Config, check_domain_password, [<<"b.example">>, Password]))
     end || Password <- [<<16#FF>>, <<"secret", 16#C3>>, <<16#ED, 16#A0, 16#80>>]],
    ?assertEqual(ok, api(Config, check_domain_password, [?A, <<"no UTF-8">>])),
    [?assertError(badarg, api(Config, Function, [?A, secret]))
     || Function <- [set_domain_password, check_domain_password]].

%% This also holds when another program deletes the row and leaves the password.
a_password_ends_with_the_row_of_its_domain(Config) ->
    Check = fun() -> api(Config, check_domain_password, [?A, <<"secret">>]) end,
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, set_domain_password, [?A, <<"secret">>]),
    ?assertEqual(ok, Check()),
    [] = query(Config, "DELETE FROM domain_settings"),
    ?assertEqual({error, not_found}, Check()),
    ?assertMatch({not_found, _}, api(Config, set_domain_password, [?A, <<"secret">>])),
    {ok, _} = api(Config, insert_domain, [?A, <<"type2">>]),
    ?assertEqual({error, not_found}, Check()).

a_password_of_a_subdomain_ends_with_its_parent_and_is_never_a_domains(Config) ->
    Sub = <<"muc.", ?A/binary>>,
    Set = fun() -> api(Config, set_domain_password, [Sub, <<"secret">>]) end,
    Check = fun() -> api(Config, check_domain_password, [Sub, <<"secret">>]) end,
    ok = api(Config, register_subdomain, [<<"type1">>, {prefix, <<"muc.">>}, {?MODULE, #{}}]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = Set(),
    ?assertEqual(ok, Check()),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    ?assertEqual({error, not_found}, Check()),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    ?assertEqual({error, not_found}, Check()),
    {ok, _} = Set(),
    {ok, _} = api(Config, insert_domain, [Sub, <<"type2">>]),
    ?assertEqual({error, not_found}, Check()),
    ok = api(Config, unregister_subdomain, [<<"type1">>, {prefix, <<"muc.">>}]).

a_corrupt_password_lets_no_one_in(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    put_stored(Config, ?A, <<"==MULTI_SCRAM==,7,==SHA512==rubbish">>),
    ?assertEqual({error, wrong_password}, api(Config, check_domain_password, [?A, <<"rubbish">>])),
    ?assertMatch([{warning, #{domain := ?A}}], md_node:logged(?config(node, Config), scram_serialisation_corrupted)).

an_admins_password_is_shown_nowhere(Config) ->
    Secret = "s3cret-pa55word",
    Password = list_to_binary(Secret),
    Node = ?config(node, Config),
    {ok, _} = api(Config, set_domain_password, [?STATIC, Password]),
    ok = api(Config, check_domain_password, [?STATIC, Password]),
    {error, wrong_password} = api(Config, check_domain_password, [?STATIC, <<Password/binary, "x">>]),
    %% A crash report prints the last message and the message queue.
    ok = md_node:call(Node, sys, suspend, [mongoose_domain_operations]),
    Self = self(),
    Waiting = spawn_link(fun() -> Self ! {self(), api(Config, check_domain_password, [?STATIC, Password])} end),
    md_wait:until(fun() -> md_node:call(Node, md_looker, operations_hold, [Password]) end),
    Places = md_node:call(Node, md_looker, everything_printed, []),
    ok = md_node:call(Node, sys, resume, [mongoose_domain_operations]),
    receive {Waiting, Answer} -> ?assertEqual(ok, Answer) end,
    ok = md_node:call(Node, md_looker, crash_operations, []),
    After = md_node:call(Node, md_looker, everything_printed, []),
    ?assertEqual([], [Place || {Place, Shown} <- Places ++ After, string:find(Shown, Secret) =/= nomatch]).

%% Removals

handlers_run_in_the_order_of_their_priorities(Config) ->
    ok = handlers(Config, register, [<<"type1">>, second, 50]),
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, register, [<<"type2">>, second, 10]),
    ok = handlers(Config, register, [<<"type2">>, first, 10]),
    ?assertEqual(ok, handlers(Config, register, [<<"type1">>, first, 10])),
    ?assertEqual({error, already_registered}, handlers(Config, register, [<<"type1">>, first, 99])),
    [begin
        {ok, _} = api(Config, insert_domain, [Domain, Type]),
        {ok, _} = api(Config, delete_domain, [Domain, Type])
     end || {Domain, Type} <- [{?A, <<"type1">>}, {<<"b.example">>, <<"type2">>}]],
    ok = handlers(Config, unregister, [<<"type1">>, first]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    ?assertEqual([{first, <<"type1">>, ?A}, {second, <<"type1">>, ?A},
                  {second, <<"type2">>, <<"b.example">>}, {first, <<"type2">>, <<"b.example">>},
                  {second, <<"type1">>, ?A}], handlers(Config, calls, [])).

a_failed_handler_stops_the_removal_until_it_is_requested_again(Config) ->
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, register, [<<"type1">>, second, 20]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, set_domain_password, [?A, <<"secret">>]),
    lists:foldl(fun({Behaviour, Word}, Logged) ->
        ok = handlers(Config, behave, [second, Behaviour]),
        ?assertEqual({removal_failed, <<"A removal handler failed: the domain stays in removal">>},
                     api(Config, delete_domain, [?A, <<"type1">>])),
        ?assertEqual([[<<"type1">>, <<"2">>]], row(Config, ?A)),
        {ok, #{state := failed, failure := Why, handlers := {1, 2}} = Removal} = api(Config, removal_status, [?A]),
        ?assertEqual([Removal], api(Config, get_removals, [])),
        ?assertNotEqual({nomatch, Why}, {binary:match(Why, Word), Why}),
        ?assertNotEqual(nomatch, binary:match(Why, <<"md_handler_second">>)),
        ?assertEqual(Logged + 1, md_node:count(?config(node, Config), domain_deletion_failed)),
        ?assertEqual({error, not_found}, api(Config, check_domain_password, [?A, <<"secret">>])),
        ?assertEqual({error, not_found}, lookup(Config, ?A)),
        Logged + 1
    end, 0, [{{error, disk_full}, <<"disk_full">>}, {crash, <<"told_to_crash">>}, {nonsense, <<"nonsense">>}]),
    ok = handlers(Config, behave, [second, ok]),
    ?assertMatch({ok, #{status := deleted}}, api(Config, delete_domain, [?A, <<"type1">>])),
    ?assertEqual([], row(Config, ?A)),
    %% Each attempt starts with the first handler.
    ?assertEqual(lists:append(lists:duplicate(4, [first, second])), [Name || {Name, _, _} <- handlers(Config, calls, [])]).

a_requested_removal_goes_on_by_itself(Config) ->
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, behave, [first, wait]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    Deleting = {ok, #{domain => ?A, host_type => <<"type1">>, status => deleting}},
    ?assertEqual(Deleting, api(Config, request_delete_domain, [?A, <<"type1">>])),
    ?assertEqual({error, not_found}, lookup(Config, ?A)),
    ?assertMatch({ok, #{status := deleting}}, api(Config, get_domain_details, [?A])),
    md_wait:until(fun() -> length(handlers(Config, calls, [])) end, 1),
    ?assertMatch({ok, #{state := running, owner := <<_, _/binary>>, handlers := {0, 1}}}, api(Config, removal_status, [?A])),
    ?assertEqual(Deleting, api(Config, request_delete_domain, [?A, <<"type1">>])),
    ok = handlers(Config, behave, [first, ok]),
    md_wait:until(fun() -> api(Config, get_domain_details, [?A]) end, ?NOT_FOUND),
    ?assertEqual(?NOT_FOUND, api(Config, removal_status, [?A])),
    ?assertEqual(1, length(handlers(Config, calls, []))).

a_domain_in_removal_is_deleted_to_everyone_else(Config) ->
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, behave, [first, {error, later}]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {removal_failed, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    Before = length(events(Config)),
    [?assertEqual(?GONE, api(Config, Function, [?A])) || Function <- [enable_domain, disable_domain]],
    [?assertEqual(?DUPLICATE, api(Config, insert_domain, [?A, Type])) || Type <- ?TYPES],
    ?assertEqual(Before, length(events(Config))).

a_removal_survives_the_processes_that_run_it(Config) ->
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, behave, [first, wait]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, request_delete_domain, [?A, <<"type1">>]),
    md_wait:until(fun() -> length(handlers(Config, calls, [])) end, 1),
    %% A new removal_jobs process recognizes its job. After the end of operations, the lease has to expire first.
    [begin
        Calls = length(handlers(Config, calls, [])),
        true = md_node:call(?config(node, Config), erlang, exit,
                            [md_node:call(?config(node, Config), erlang, whereis, [Process]), kill]),
        md_wait:until(fun() -> length(handlers(Config, calls, [])) > Calls end)
     end || Process <- [mongoose_domain_removal_jobs, mongoose_domain_operations]],
    ok = handlers(Config, behave, [first, ok]),
    md_wait:until(fun() -> api(Config, get_domain_details, [?A]) end, ?NOT_FOUND).

%% Registrations end with the application, and its jobs are taken over before all handlers are registered again.
a_removal_goes_on_after_a_restart_with_the_handlers_that_there_were(Config) ->
    Node = ?config(node, Config),
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ok = handlers(Config, register, [<<"type1">>, second, 20]),
    ok = handlers(Config, behave, [first, wait]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, request_delete_domain, [?A, <<"type1">>]),
    md_wait:until(fun() -> length(handlers(Config, calls, [])) end, 1),
    ok = md_node:stop_application(Node),
    ok = handlers(Config, behave, [first, ok]),
    ok = md_node:start_application(Node, unchanged),
    md_wait:until(fun() -> md_node:count(Node, domain_removal_taken_over) end, 1),
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    ?assertMatch({ok, #{status := deleting}}, api(Config, get_domain_details, [?A])),
    ?assertMatch({ok, #{state := running, handlers := {0, 2}}}, api(Config, removal_status, [?A])),
    ?assertEqual(1, length(handlers(Config, calls, []))),
    ok = handlers(Config, register, [<<"type1">>, second, 20]),
    md_wait:until(fun() -> api(Config, get_domain_details, [?A]) end, ?NOT_FOUND),
    ?assertEqual([first, first, second], [Name || {Name, _, _} <- handlers(Config, calls, [])]).

a_removal_waits_while_nobody_can_tell_how_long_a_lease_is(Config) ->
    Node = ?config(node, Config),
    ok = handlers(Config, register, [<<"type1">>, first, 10]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    #{service_domain_db := Service} = environment(?config(database, Config), ?HOUR),
    option(Config, service_domain_db, Service#{removal_lease := 0}),
    true = md_node:call(Node, erlang, exit, [md_node:call(Node, erlang, whereis, [mongoose_domain_removal_jobs]), kill]),
    md_wait:until(fun() -> md_node:count(Node, wrong_configuration) end, 1),
    {ok, _} = api(Config, request_delete_domain, [?A, <<"type1">>]),
    %% Its second attempt is over, and it has the job.
    md_wait:until(fun() -> md_node:call(Node, md_looker, next_pause, [mongoose_domain_removal_jobs]) > 200 end),
    ?assertEqual([], handlers(Config, calls, [])),
    ?assertMatch({ok, #{status := deleting}}, api(Config, get_domain_details, [?A])),
    option(Config, service_domain_db, Service),
    md_wait:until(fun() -> api(Config, get_domain_details, [?A]) end, ?NOT_FOUND),
    ?assertMatch([{first, _, _}], handlers(Config, calls, [])),
    ?assertMatch([{error, #{key := [service_domain_db, removal_lease]}}], md_node:logged(Node, wrong_configuration)).

a_removal_deletes_the_admin_too(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, set_domain_password, [?A, <<"secret">>]),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    ?assertEqual({error, not_found}, api(Config, check_domain_password, [?A, <<"secret">>])),
    ?assertEqual([], query(Config, "SELECT domain FROM domain_admins")).

%% Removals and other programs: the row of a domain decides

both_handlers(Config) ->
    [begin
        ok = handlers(Config, register, [HostType, first, 10]),
        ok = handlers(Config, register, [HostType, second, 20])
     end || HostType <- ?TYPES],
    ok.

called(Config) ->
    [{Name, Domain} || {Name, _HostType, Domain} <- handlers(Config, calls, [])].

begin_deletion(Config, Domain) ->
    {Self, Tag} = {self(), make_ref()},
    _ = spawn_link(fun() -> Self ! {Tag, api(Config, delete_domain, [Domain, <<"type1">>])} end),
    Tag.

end_deletion(Tag) ->
    receive {Tag, Answer} -> Answer end.

%% The handlers of ?A wait, and the first one runs.
begin_deletion_and_wait(Config) ->
    ok = both_handlers(Config),
    ok = handlers(Config, behave, [first, wait]),
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    Deletion = begin_deletion(Config, ?A),
    md_wait:until(fun() -> called(Config) end, [{first, ?A}]),
    Deletion.

served_again(Config) ->
    md_writer:write(?config(client, Config), [{delete, [?A]}, {add, <<"type1">>, [?A]}]).

jobs(Config) ->
    query(Config, "SELECT domain FROM domain_removals ORDER BY domain").

%% The state after a node died in a removal, while another program deleted the domain and added it again.
a_job_that_was_left_runs_no_handler_for_a_domain_that_is_not_in_removal(Config) ->
    Node = ?config(node, Config),
    ok = both_handlers(Config),
    [] = query(Config, md_database:statements("removals.sql")),
    Enabled = md_names:numbered(<<"enabled-">>, 3),
    ok = md_writer:write(?config(client, Config), [
        {add, <<"type1">>, Enabled ++ [<<"disabled.example">>, <<"deleting.example">>]},
        {add, <<"type2">>, [<<"other-type.example">>, <<"moved.example">>]},
        {disable, [<<"disabled.example">>]}, {status, 2, [<<"deleting.example">>, <<"moved.example">>]}]),
    Rows = query(Config, "SELECT domain, host_type, status FROM domain_settings ORDER BY domain"),
    Void = Enabled ++ [<<"disabled.example">>, <<"other-type.example">>, <<"moved.example">>, <<"gone.example">>],
    [] = query(Config, ["INSERT INTO domain_removals (domain, host_type, owner, lease_until, handlers, handlers_done) VALUES ",
                        lists:join(", ", [["(", md_writer:literal(Domain), ", 'type1', 'dead@node/1/AA', 0, 2, 1)"]
                                          || Domain <- [<<"deleting.example">> | Void]])]),
    md_wait:until(fun() -> {jobs(Config), md_node:count(Node, domain_removal_ended)} end, {[], length(Void)}),
    ?assertEqual([{first, <<"deleting.example">>}, {second, <<"deleting.example">>}], called(Config)),
    ?assertEqual([Row || [Domain | _] = Row <- Rows, Domain =/= <<"deleting.example">>],
                 query(Config, "SELECT domain, host_type, status FROM domain_settings ORDER BY domain")),
    Logged = maps:from_list([{Domain, Row} || {warning, #{domain := Domain, host_type := <<"type1">>, row := Row}}
                                              <- md_node:logged(Node, domain_removal_ended)]),
    ?assertEqual(lists:sort(Void), lists:sort(maps:keys(Logged))),
    ?assertMatch(#{<<"disabled.example">> := {<<"type1">>, disabled}, <<"gone.example">> := not_found,
                   <<"moved.example">> := {<<"type2">>, deleting}}, Logged).

%% The lease is extended only before the second handler.
a_removal_ends_before_the_next_handler_when_the_domain_is_served_again(Config) ->
    Deletion = begin_deletion_and_wait(Config),
    ok = served_again(Config),
    ok = handlers(Config, behave, [first, ok]),
    ?assertEqual({removal_ended, <<"The domain was enabled or added again: its removal ended">>}, end_deletion(Deletion)),
    ?assertEqual([{first, ?A}], called(Config)),
    ?assertMatch([{warning, #{domain := ?A, row := {<<"type1">>, enabled}}}],
                 md_node:logged(?config(node, Config), domain_removal_ended)),
    ?assertEqual([[<<"type1">>, <<"1">>]], row(Config, ?A)),
    ?assertEqual(?NOT_FOUND, api(Config, removal_status, [?A])),
    ok = md_node:sync(?config(node, Config)),
    ?assertEqual({ok, <<"type1">>}, lookup(Config, ?A)).

a_handler_at_work_is_stopped_when_the_domain_is_served_again(Config) ->
    Node = ?config(node, Config),
    Deletion = begin_deletion_and_wait(Config),
    ok = served_again(Config),
    ?assertMatch({removal_ended, _}, end_deletion(Deletion)),
    ?assertMatch([{warning, #{domain := ?A, reason := not_in_removal, row := {<<"type1">>, enabled}}}],
                 md_node:logged(Node, domain_removal_stopped)),
    ?assertMatch([{warning, #{domain := ?A}}], md_node:logged(Node, domain_removal_ended)),
    ?assertEqual([], jobs(Config)),
    ok = handlers(Config, behave, [first, ok]),
    ?assertEqual([{first, ?A}], called(Config)),
    ?assertEqual([[<<"type1">>, <<"1">>]], row(Config, ?A)).

a_removal_whose_row_was_deleted_is_not_called_done(Config) ->
    Deletion = begin_deletion_and_wait(Config),
    ok = md_writer:write(?config(client, Config), [{delete, [?A]}]),
    ok = handlers(Config, behave, [first, ok]),
    ?assertEqual({removal_ended, <<"Another program deleted the domain before its removal was done: its data may be there still">>},
                 end_deletion(Deletion)),
    ?assertEqual([{first, ?A}], called(Config)),
    ?assertMatch([{warning, #{domain := ?A, row := not_found}}],
                 md_node:logged(?config(node, Config), domain_removal_ended)).

%% The running handler deletes data from before the domain was added again.
a_removal_of_a_domain_that_was_served_again_begins_with_the_first_handler(Config) ->
    Deletion = begin_deletion_and_wait(Config),
    ok = served_again(Config),
    Again = begin_deletion(Config, ?A),
    %% The second request puts the domain into removal again, and the handler of the first request never returns.
    md_wait:until(fun() -> md_node:count(?config(node, Config), domain_removal_stopped) end, 1),
    ok = handlers(Config, behave, [first, ok]),
    ?assertMatch({ok, #{status := deleted}}, end_deletion(Again)),
    %% The first job has ended or was restarted: the node may notice either first.
    ?assertMatch({Tag, _} when Tag =:= ok; Tag =:= removal_ended, end_deletion(Deletion)),
    ?assertEqual([{first, ?A}, {first, ?A}, {second, ?A}], called(Config)),
    ?assertEqual([], row(Config, ?A)).

%% Freshness

freshness(Config, Function, Args) ->
    md_node:call(?config(node, Config), mongoose_domain_freshness, Function, Args).

%% The fresh host types, and all declarations by host type.
fresh(Config) ->
    {ok, Fresh} = freshness(Config, list, []),
    Fresh.

declared(Config) ->
    {ok, All} = freshness(Config, details, []),
    maps:from_list([{Domain, Details} || #{domain := Domain} = Details <- All]).

%% Changes a declaration as if it had been made earlier or for another time.
expire_at(Config, Domain, Nanoseconds) ->
    [] = query(Config, ["UPDATE domain_freshness SET expire_time = ", integer_to_list(Nanoseconds), " WHERE domain = ",
                        md_writer:literal(Domain)]),
    ok.

tables(Config) ->
    query(Config, case ?config(kind, Config) of
        postgres -> "SELECT relname FROM pg_class WHERE relname = 'domain_freshness'";
        mariadb -> "SELECT table_name FROM information_schema.tables "
                   "WHERE table_schema = DATABASE() AND table_name = 'domain_freshness'";
        sqlite -> "SELECT name FROM sqlite_master WHERE name = 'domain_freshness'"
    end).

a_declaration_is_fresh_until_it_expires(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    %% The clock of the machine, as the database has it: Erlang's follows it slowly.
    Before = os:system_time(millisecond) * 1000000,
    ?assertEqual(ok, freshness(Config, upsert, [<<"type1">>, 3600])),
    After = (os:system_time(millisecond) + 1) * 1000000,
    ?assertEqual([<<"type1">>], fresh(Config)),
    #{<<"type1">> := #{expire_time := ExpireTime} = Details} = declared(Config),
    ?assertMatch(#{domain := <<"type1">>, state := fresh, seconds_left := Left} when Left > 3000, Details),
    ?assertMatch(#{seconds_left := Left} when Left =< 3601, Details),
    Hour = 3600 * 1000000000,
    ?assert(Before + Hour =< ExpireTime),
    ?assert(ExpireTime =< After + Hour),
    ?assertEqual([[integer_to_binary(ExpireTime)]], query(Config, "SELECT expire_time FROM domain_freshness")),
    %% The present time is rounded by at most half a second.
    ok = expire_at(Config, <<"type1">>, Before - 1000000000),
    ?assertEqual([], fresh(Config)),
    %% A declaration concerns no single domain, so it writes no event.
    ?assertEqual([?A], events(Config)).

a_declaration_for_0_seconds_is_for_ever(Config) ->
    ?assertEqual(ok, freshness(Config, upsert, [<<"type1">>, 0])),
    ?assertEqual([<<"type1">>], fresh(Config)),
    ?assertEqual({ok, [#{domain => <<"type1">>, state => fresh, expire_time => infinity, seconds_left => infinity}]},
                 freshness(Config, details, [])),
    ?assertEqual([[<<"9223372036854775807">>]], query(Config, "SELECT expire_time FROM domain_freshness")).

a_declaration_replaces_the_one_before(Config) ->
    Expiries = [begin
        ok = freshness(Config, upsert, [<<"type1">>, TTL]),
        [{<<"type1">>, #{expire_time := ExpireTime}}] = maps:to_list(declared(Config)),
        ExpireTime
     end || TTL <- [3600, 16#FFFFFFFF, 7200, 0, 3600]],
    [Hour, Longest, TwoHours, infinity, HourAgain] = Expiries,
    ?assert(Hour < TwoHours),
    ?assert(TwoHours < Longest),
    ?assert(HourAgain < TwoHours).

an_expired_declaration_is_in_the_details_alone(Config) ->
    [ok = freshness(Config, upsert, [Domain, 3600]) || Domain <- [<<"type1">>, <<"type2">>]],
    [begin
        ok = expire_at(Config, <<"type1">>, Time),
        ?assertEqual([<<"type2">>], fresh(Config)),
        ?assertMatch(#{<<"type2">> := #{state := fresh},
                       <<"type1">> := #{state := expired, expire_time := Shown, seconds_left := 0}}, declared(Config))
     end || {Time, Shown} <- [{1, 1}, {0, 0}, {-1, 0}]],
    ok = freshness(Config, upsert, [<<"type1">>, 1000]),
    ?assertEqual([<<"type1">>, <<"type2">>], fresh(Config)).

what_is_fresh_is_listed_in_order(Config) ->
    Names = [<<"type2">>, <<"Type2">>, <<"type-2">>, <<"type 2">>, <<"тип"/utf8>>, <<"it's">>, <<"a">>,
             binary:copy(<<"n">>, 250)],
    [?assertEqual(ok, freshness(Config, upsert, [Name, 3600])) || Name <- Names],
    ?assertEqual(lists:sort(Names), fresh(Config)),
    {ok, All} = freshness(Config, details, []),
    ?assertEqual(lists:sort(Names), [Name || #{domain := Name} <- All]).

a_declaration_that_makes_no_sense_is_refused_in_diegos_words(Config) ->
    [?assertEqual({invalid_request, <<"Invalid field: domain">>}, freshness(Config, upsert, [Domain, TTL]))
     || Domain <- [<<>>, <<255>>, <<"a", 0>>, binary:copy(<<"n">>, 251), "type1", type1, <<1:3>>], TTL <- [3600, -1]],
    [?assertEqual({invalid_request, <<"Invalid field: ttl">>}, freshness(Config, upsert, [<<"type1">>, TTL]))
     || TTL <- [-1, 16#100000000, 1.0, infinity, <<"1">>]],
    ?assertEqual({ok, []}, freshness(Config, details, [])),
    ?assertEqual([], tables(Config)).

the_first_declaration_makes_the_table(Config) ->
    {ok, _} = api(Config, insert_domain, [?A, <<"type1">>]),
    {ok, _} = api(Config, delete_domain, [?A, <<"type1">>]),
    ?assertEqual({ok, []}, freshness(Config, list, [])),
    ?assertEqual({ok, []}, freshness(Config, details, [])),
    ?assertEqual([], tables(Config)),
    ok = freshness(Config, upsert, [<<"type1">>, 3600]),
    ?assertEqual([[<<"domain_freshness">>]], tables(Config)).

%% The table has the same name but belongs to another program.
a_table_of_freshness_that_fails_is_reported_in_words(Config) ->
    [] = query(Config, "CREATE TABLE domain_freshness (note TEXT)"),
    ?assertEqual({db_error, <<"Database error: nothing was changed">>}, freshness(Config, upsert, [<<"type1">>, 0])),
    [?assertEqual({db_error, <<"Database error: there is no answer">>}, freshness(Config, Function, []))
     || Function <- [list, details]],
    Logged = md_node:logged(?config(node, Config), domain_operation_not_done),
    ?assertEqual(3, length([Reason || {error, #{reason := Reason}} <- Logged,
                                      string:find(Reason, "freshness") =/= nomatch])),
    %% The connections still work.
    ?assertMatch({ok, _}, api(Config, insert_domain, [?A, <<"type1">>])).

without_a_service_changes_are_refused_in_words(_Config) ->
    Node = md_node:start(#{hosts => [?STATIC], host_types => ?TYPES}),
    Call = fun(Function, Args) -> md_node:call(Node, mongoose_domain_api, Function, Args) end,
    ?assertEqual(?IS_STATIC, Call(insert_domain, [?STATIC, <<"type1">>])),
    ?assertEqual(?UNKNOWN, Call(insert_domain, [?A, <<"nowhere">>])),
    [?assertEqual({service_disabled, <<"Dynamic domains service is disabled">>}, Call(Function, Args))
     || {Function, Args} <- [
        {insert_domain, [?A, <<"type1">>]}, {delete_domain, [?A, <<"type1">>]}, {enable_domain, [?A]},
        {get_domain_details, [?A]}, {get_all_domains, []}, {get_removals, []}, {check_domain_password, [?A, <<"x">>]}]],
    [?assertEqual({service_disabled, <<"Dynamic domains service is disabled">>},
                  md_node:call(Node, mongoose_domain_freshness, Function, Args))
     || {Function, Args} <- [{upsert, [<<"type1">>, 0]}, {list, []}, {details, []}]].
