%% The table of one node: the answers of its functions, and the work of its process.
%%
%% The results equal those of MongooseIM's module with the same name. The names of the tests are promises; those that
%% the header of the module makes are tested here, too.
-module(mongoose_domain_core_tests).

-include_lib("eunit/include/eunit.hrl").

-export([a_static_domain_is_found_with_its_host_type/0]).
-export([an_unknown_domain_is_not_found/0]).
-export([a_lookup_of_what_is_no_binary_fails_with_badarg/0]).
-export([a_binary_that_cannot_be_a_name_is_not_found/0]).
-export([an_inserted_domain_is_found/0]).
-export([inserting_the_same_pair_again_succeeds/0]).
-export([another_host_type_is_a_bad_insert_and_changes_nothing/0]).
-export([a_host_type_that_is_not_allowed_is_refused_and_logged/0]).
-export([a_static_domain_cannot_be_inserted/0]).
-export([the_host_type_is_checked_before_the_static_rule/0]).
-export([a_static_host_type_is_not_allowed_for_dynamic_domains/0]).
-export([an_invalid_name_is_refused_by_insert_and_delete/0]).
-export([a_name_of_1_to_250_bytes_is_accepted/0]).
-export([any_term_is_a_source_and_no_two_are_the_same/0]).
-export([what_makes_no_sense_is_a_badarg/0]).
-export([a_deleted_domain_is_not_found/0]).
-export([deleting_what_is_not_there_succeeds/0]).
-export([a_static_domain_cannot_be_deleted/0]).
-export([is_static_tells_static_domains_from_all_others/0]).
-export([is_host_type_allowed_tells_the_list_from_all_others/0]).
-export([listings_hold_static_and_dynamic_domains/0]).
-export([get_all_outdated_lists_what_other_sources_brought/0]).
-export([a_listing_in_pages_lists_each_domain_once/0]).
-export([domains_that_stay_are_listed_once_while_others_come_and_go/0]).
-export([for_each_domain_calls_once_for_each/0]).
-export([a_failing_call_is_logged_and_does_not_stop_the_others/0]).
-export([for_each_domain_tolerates_that_it_deletes_what_it_visits/0]).
-export([domains_count_counts_static_ones_too/0]).
-export([get_start_args_answers_what_the_table_was_opened_with/0]).
-export([start_link_begins_with_an_empty_table/0]).
-export([a_crash_loses_no_route/0]).
-export([lookups_answer_while_there_is_no_process/0]).
-export([a_successor_with_other_arguments_begins_with_an_empty_table/0]).
-export([an_orderly_stop_closes_the_table/0]).
-export([both_lists_may_be_empty/0]).
-export([the_first_of_two_static_pairs_of_one_name_wins/0]).
-export([a_bad_entry_is_reported_once_and_left_out/0]).
-export([a_host_type_of_250_bytes_is_served/0]).
-export([a_thousand_host_types_are_told_apart/0]).
-export([nameprep_answers_the_valid_name/0]).
-export([every_name_of_the_data_files_is_valid_but_one_newer_than_nameprep/0]).
-export([unknown_messages_are_logged_and_survived/0]).

-define(STATIC, [{<<"static.example">>, <<"static type">>}, {<<"own.example">>, <<"own.example">>}]).
-define(HOST_TYPES, [<<"type1">>, <<"type2">>]).
-define(CORE, mongoose_domain_core).

%% Each test starts with a new table and ends with a closed one.
all_test_() ->
    md_promises:of_module(?MODULE, fun begin_with_a_table/0, fun close_table/1).

begin_with_a_table() ->
    process_flag(trap_exit, true),
    ok = md_log:start(),
    {ok, Pid} = ?CORE:start_link(?STATIC, ?HOST_TYPES),
    Pid.

close_table(_Pid) ->
    stop(),
    md_log:stop().

%% Stops the process of the table, whichever it is now. One that a test started ends with the test's process, perhaps at
%% this moment.
stop() ->
    try
        gen_server:stop(?CORE)
    catch
        exit:_ -> md_wait:until(fun() -> whereis(?CORE) end, undefined)
    end.

restart_with(Pairs, HostTypes) ->
    stop(),
    ok = md_log:clear(),
    {ok, Pid} = ?CORE:start_link(Pairs, HostTypes),
    Pid.

kill() ->
    Pid = whereis(?CORE),
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, killed} -> ok end.

%% Lookups

a_static_domain_is_found_with_its_host_type() ->
    ?assertEqual({ok, <<"static type">>}, ?CORE:get_host_type(<<"static.example">>)),
    ?assertEqual({ok, <<"own.example">>}, ?CORE:get_host_type(<<"own.example">>)).

an_unknown_domain_is_not_found() ->
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"nowhere.example">>)).

a_lookup_of_what_is_no_binary_fails_with_badarg() ->
    [?assertError(badarg, ?CORE:get_host_type(Value)) || Value <- [atom, "static.example", 1, {}, <<1:3>>]].

a_binary_that_cannot_be_a_name_is_not_found() ->
    [?assertEqual({error, not_found}, ?CORE:get_host_type(Name)) || Name <- names_that_cannot_be()].

names_that_cannot_be() ->
    [<<>>, binary:copy(<<"a">>, 251), <<"a", 16#F3>>, <<"Static.Example">>, <<"a", 0, "b">>].

%% Insertion and deletion

an_inserted_domain_is_found() ->
    ?assertEqual(ok, ?CORE:insert(<<"a.example">>, <<"type1">>, 1)),
    ?assertEqual({ok, <<"type1">>}, ?CORE:get_host_type(<<"a.example">>)).

inserting_the_same_pair_again_succeeds() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ?assertEqual(ok, ?CORE:insert(<<"a.example">>, <<"type1">>, 1)),
    ?assertEqual(ok, ?CORE:insert(<<"a.example">>, <<"type1">>, 2)),
    ?assertEqual([], ?CORE:get_all_outdated(2)),
    ?assertEqual([], md_log:all()).

another_host_type_is_a_bad_insert_and_changes_nothing() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ?assertEqual({error, bad_insert}, ?CORE:insert(<<"a.example">>, <<"type2">>, 2)),
    ?assertEqual({ok, <<"type1">>}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual([], ?CORE:get_all_outdated(1)),
    ?assertMatch([{error, #{domain := <<"a.example">>, host_type := <<"type2">>}}],
                 md_log:named(ignore_domain_from_db_with_different_host_type)).

a_host_type_that_is_not_allowed_is_refused_and_logged() ->
    ?assertEqual({error, unknown_host_type}, ?CORE:insert(<<"a.example">>, <<"type3">>, 1)),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertMatch([{error, #{domain := <<"a.example">>, host_type := <<"type3">>}}],
                 md_log:named(ignore_domain_from_db_with_unknown_host_type)).

a_static_domain_cannot_be_inserted() ->
    ?assertEqual({error, static}, ?CORE:insert(<<"static.example">>, <<"type1">>, 1)),
    ?assertEqual({ok, <<"static type">>}, ?CORE:get_host_type(<<"static.example">>)),
    ?assertMatch([{error, #{domain := <<"static.example">>}}], md_log:named(domain_static_but_in_db)).

the_host_type_is_checked_before_the_static_rule() ->
    ?assertEqual({error, unknown_host_type}, ?CORE:insert(<<"static.example">>, <<"type3">>, 1)).

a_static_host_type_is_not_allowed_for_dynamic_domains() ->
    ?assertEqual({error, unknown_host_type}, ?CORE:insert(<<"a.example">>, <<"static type">>, 1)).

an_invalid_name_is_refused_by_insert_and_delete() ->
    Count = ?CORE:domains_count(),
    [begin
        ?assertEqual({error, invalid_domain}, ?CORE:insert(Name, <<"type1">>, 1)),
        ?assertEqual({error, invalid_domain}, ?CORE:delete(Name))
     end || Name <- names_that_cannot_be()],
    ?assertEqual(Count, ?CORE:domains_count()).

a_name_of_1_to_250_bytes_is_accepted() ->
    [begin
        ?assertEqual(ok, ?CORE:insert(Name, <<"type1">>, 1)),
        ?assertEqual({ok, <<"type1">>}, ?CORE:get_host_type(Name))
     end || Name <- [<<"a">>, binary:copy(<<"a">>, 250), <<"пример.рф"/utf8>>, binary:copy(<<"é"/utf8>>, 125)]].

any_term_is_a_source_and_no_two_are_the_same() ->
    Sources = [0, -1, 1, 1.0, 1 bsl 32, self(), make_ref(), x, "x", <<"x">>, #{}, fun ?MODULE:all_test_/0, {x, [y]}],
    [begin
        ?assertEqual(ok, ?CORE:insert(<<"a.example">>, <<"type1">>, Source)),
        ?assertEqual([Source], [Other || Other <- Sources, ?CORE:get_all_outdated(Other) =:= []]),
        ?assertMatch({[_], done}, ?CORE:page({outdated, never_named}, 0, 10))
     end || Source <- Sources ++ lists:reverse(Sources)].

what_makes_no_sense_is_a_badarg() ->
    [?assertError(badarg, apply(?CORE, page, Args))
     || Args <- [[bogus, 0, 10], [{host_type, type1}, 0, 10], [{bogus, 1}, 0, 10], [all, -1, 10], [all, more, 10],
                 [all, 1 bsl 32, 10], [all, 0, 0], [all, 0, -1], [all, 0, 1.0], [all, 0, infinity]]],
    [?assertError(badarg, apply(mongoose_domain_api, Function, Args))
     || {Function, Args} <- [{get_domains, [bogus, 10]}, {get_domains, [all, 0]}, {get_domains, [all, 1001]},
                             {get_domains, [all, done, 10]}, {get_all_domains, [#{limit => 0}]},
                             {get_all_domains, [#{bogus => 1}]}, {get_all_domains, [#{status => bogus}]},
                             {get_changes, [0, 0]}, {get_changes, [0, bogus]}]].

a_deleted_domain_is_not_found() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ?assertEqual(ok, ?CORE:delete(<<"a.example">>)),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"a.example">>)).

deleting_what_is_not_there_succeeds() ->
    ?assertEqual(ok, ?CORE:delete(<<"a.example">>)),
    ?assertEqual([], md_log:all()).

a_static_domain_cannot_be_deleted() ->
    ?assertEqual({error, static}, ?CORE:delete(<<"static.example">>)),
    ?assertEqual({ok, <<"static type">>}, ?CORE:get_host_type(<<"static.example">>)),
    ?assertMatch([{error, #{domain := <<"static.example">>}}], md_log:named(domain_static_but_was_in_db)).

%% Queries

is_static_tells_static_domains_from_all_others() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ?assert(?CORE:is_static(<<"static.example">>)),
    ?assertNot(?CORE:is_static(<<"a.example">>)),
    ?assertNot(?CORE:is_static(<<"nowhere.example">>)),
    ?assertNot(?CORE:is_static(<<>>)).

is_host_type_allowed_tells_the_list_from_all_others() ->
    [?assert(?CORE:is_host_type_allowed(HostType)) || HostType <- ?HOST_TYPES],
    [?assertNot(?CORE:is_host_type_allowed(HostType)) || HostType <- [<<"static type">>, <<"type3">>, <<>>, <<16#F3>>]].

listings_hold_static_and_dynamic_domains() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ok = ?CORE:insert(<<"b.example">>, <<"type2">>, 1),
    ok = ?CORE:insert(<<"c.example">>, <<"type1">>, 1),
    ?assertEqual(lists:sort(?STATIC), lists:sort(?CORE:get_all_static())),
    ?assertEqual([{<<"a.example">>, <<"type1">>}, {<<"b.example">>, <<"type2">>}, {<<"c.example">>, <<"type1">>}],
                 lists:sort(?CORE:get_all_dynamic())),
    ?assertEqual([<<"a.example">>, <<"c.example">>], lists:sort(?CORE:get_domains_by_host_type(<<"type1">>))),
    ?assertEqual([<<"static.example">>], ?CORE:get_domains_by_host_type(<<"static type">>)),
    ?assertEqual([], ?CORE:get_domains_by_host_type(<<"type3">>)).

get_all_outdated_lists_what_other_sources_brought() ->
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- [<<"a.example">>, <<"b.example">>]],
    [ok = ?CORE:insert(Name, <<"type2">>, 2) || Name <- [<<"c.example">>]],
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 2),
    ?assertEqual([{<<"b.example">>, <<"type1">>}], ?CORE:get_all_outdated(2)),
    ?assertEqual([{<<"a.example">>, <<"type1">>}, {<<"c.example">>, <<"type2">>}],
                 lists:sort(?CORE:get_all_outdated(1))),
    ?assertEqual(3, length(?CORE:get_all_outdated(3))).

%% Listings in parts

a_listing_in_pages_lists_each_domain_once() ->
    Names = md_names:numbered(<<"p">>, 2500),
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- Names],
    All = lists:sort([{Name, <<"type1">>} || Name <- Names] ++ ?STATIC),
    [begin
        Parts = pages(Select, Limit),
        ?assert(lists:all(fun(Part) -> length(Part) =< Limit end, Parts)),
        ?assertEqual(Wanted, lists:sort(lists:append(Parts)))
     end || {Select, Wanted} <- [{all, All}, {static, lists:sort(?STATIC)}, {dynamic, All -- ?STATIC},
                                 {{host_type, <<"type1">>}, All -- ?STATIC}, {{host_type, <<"type2">>}, []},
                                 {{host_type, <<"type3">>}, []}, {{outdated, 1}, []}],
            Limit <- [1000, 7]],
    %% The size of a page is limited, whatever the caller requests.
    {Part, _} = ?CORE:page(all, 0, 1000000),
    ?assert(length(Part) =< 1000).

pages(Select, Limit) ->
    pages(Select, 0, Limit).

pages(_Select, done, _Limit) ->
    [];
pages(Select, From, Limit) ->
    {Part, Next} = ?CORE:page(Select, From, Limit),
    [Part | pages(Select, Next, Limit)].

domains_that_stay_are_listed_once_while_others_come_and_go() ->
    Staying = md_names:numbered(<<"stay">>, 1500),
    Going = md_names:numbered(<<"go">>, 1500),
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- Staying ++ Going],
    {First, Next} = ?CORE:page({host_type, <<"type1">>}, 0, 500),
    [ok = ?CORE:delete(Name) || Name <- Going],
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- md_names:numbered(<<"come">>, 6000)],
    Listed = [Name || {Name, _} <- lists:append([First | pages({host_type, <<"type1">>}, Next, 500)])],
    ?assertEqual(lists:sort(Staying), lists:sort([Name || <<"stay", _/binary>> = Name <- Listed])).

for_each_domain_calls_once_for_each() ->
    Names = md_names:numbered(<<"e">>, 2500),
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- Names],
    Self = self(),
    ?assertEqual(ok, ?CORE:for_each_domain(<<"type1">>, fun(HostType, Domain) -> Self ! {HostType, Domain} end)),
    ?assertEqual(lists:sort([{<<"type1">>, Name} || Name <- Names]), lists:sort(received())),
    ?assertEqual(ok, ?CORE:for_each_domain(<<"type3">>, fun(_, _) -> error(never_called) end)).

received() ->
    receive Message -> [Message | received()] after 0 -> [] end.

a_failing_call_is_logged_and_does_not_stop_the_others() ->
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- [<<"a.example">>, <<"b.example">>, <<"c.example">>]],
    Self = self(),
    Fails = fun(_, <<"b.example">>) -> error(deliberate);
               (_, Domain) -> Self ! Domain
            end,
    ?assertEqual(ok, ?CORE:for_each_domain(<<"type1">>, Fails)),
    ?assertEqual([<<"a.example">>, <<"c.example">>], lists:sort(received())),
    ?assertMatch([{error, #{domain := <<"b.example">>, host_type := <<"type1">>, class := error, reason := deliberate}}],
                 md_log:named(domain_operation_failed)).

for_each_domain_tolerates_that_it_deletes_what_it_visits() ->
    [ok = ?CORE:insert(Name, <<"type1">>, 1) || Name <- md_names:numbered(<<"d">>, 3000)],
    ok = ?CORE:for_each_domain(<<"type1">>, fun(_, Domain) -> ok = ?CORE:delete(Domain) end),
    ?assertEqual([], ?CORE:get_domains_by_host_type(<<"type1">>)),
    ?assertEqual(0, md_log:count(domain_operation_failed)).

domains_count_counts_static_ones_too() ->
    ?assertEqual(2, ?CORE:domains_count()),
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 2),
    ?assertEqual(3, ?CORE:domains_count()),
    ok = ?CORE:delete(<<"a.example">>),
    ?assertEqual(2, ?CORE:domains_count()).

%% The process

get_start_args_answers_what_the_table_was_opened_with() ->
    ?assertEqual([?STATIC, ?HOST_TYPES], ?CORE:get_start_args()),
    stop(),
    ?assertError({not_running, mongoose_domain}, ?CORE:get_start_args()).

start_link_begins_with_an_empty_table() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    kill(),
    {ok, _} = ?CORE:start_link(?STATIC, ?HOST_TYPES),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual({ok, <<"static type">>}, ?CORE:get_host_type(<<"static.example">>)).

a_crash_loses_no_route() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    kill(),
    {ok, _} = ?CORE:resume_link(?STATIC, ?HOST_TYPES),
    ?assertEqual({ok, <<"type1">>}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual({ok, <<"static type">>}, ?CORE:get_host_type(<<"static.example">>)),
    ?assertEqual(3, ?CORE:domains_count()).

lookups_answer_while_there_is_no_process() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    kill(),
    ?assertEqual({ok, <<"type1">>}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"b.example">>)).

a_successor_with_other_arguments_begins_with_an_empty_table() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    kill(),
    {ok, _} = ?CORE:resume_link([], [<<"type1">>]),
    ?assertEqual(0, ?CORE:domains_count()),
    ?assertEqual([[], [<<"type1">>]], ?CORE:get_start_args()).

an_orderly_stop_closes_the_table() ->
    ok = ?CORE:insert(<<"a.example">>, <<"type1">>, 1),
    stop(),
    ?assertError({not_running, mongoose_domain}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertError({not_running, mongoose_domain}, ?CORE:get_start_args()),
    ?assertError({not_running, mongoose_domain}, ?CORE:domains_count()),
    {ok, _} = ?CORE:resume_link(?STATIC, ?HOST_TYPES),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"a.example">>)).

both_lists_may_be_empty() ->
    _ = restart_with([], []),
    ?assertEqual(0, ?CORE:domains_count()),
    ?assertEqual({error, not_found}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual({error, unknown_host_type}, ?CORE:insert(<<"a.example">>, <<"type1">>, 1)).

%% Wrong arguments

the_first_of_two_static_pairs_of_one_name_wins() ->
    _ = restart_with([{<<"a.example">>, <<"first">>}, {<<"b.example">>, <<"b">>}, {<<"a.example">>, <<"second">>}], []),
    ?assertEqual({ok, <<"first">>}, ?CORE:get_host_type(<<"a.example">>)),
    ?assertEqual({ok, <<"b">>}, ?CORE:get_host_type(<<"b.example">>)),
    ?assertEqual(2, ?CORE:domains_count()),
    ?assertMatch([{error, #{domain := <<"a.example">>, host_type := <<"second">>, kept_host_type := <<"first">>}}],
                 md_log:named(static_domain_given_twice)).

a_bad_entry_is_reported_once_and_left_out() ->
    TooLong = binary:copy(<<"t">>, 251),
    BadNames = names_that_cannot_be() ++ [an_atom, "text"],
    BadHostTypes = [<<>>, an_atom, TooLong],
    Good = [{<<"a.example">>, <<"a">>}, {<<"b.example">>, <<"b">>}],
    Pairs = [{Name, <<"x">>} || Name <- BadNames] ++ [hd(Good)]
        ++ [{<<(integer_to_binary(N))/binary, ".example">>, HostType} || {N, HostType} <- lists:enumerate(BadHostTypes)]
        ++ tl(Good),
    _ = restart_with(Pairs, BadHostTypes ++ [<<"type1">>]),
    ?assertEqual(Good, lists:sort(?CORE:get_all_static())),
    ?assertEqual(ok, ?CORE:insert(<<"c.example">>, <<"type1">>, 1)),
    Reported = md_log:named(ignore_invalid_domain),
    ?assertEqual(lists:sort(BadNames), lists:sort([Value || {error, #{key := hosts, value := Value}} <- Reported])),
    Types = [{Key, Value} || {error, #{key := Key, value := Value}} <- md_log:named(ignore_invalid_host_type)],
    ?assertEqual(lists:sort([{Key, HostType} || Key <- [hosts, host_types], HostType <- BadHostTypes]), lists:sort(Types)),
    [?assertMatch(#{expected := <<_, _/binary>>}, Report)
     || {_, Report} <- Reported ++ md_log:named(ignore_invalid_host_type)].

a_host_type_of_250_bytes_is_served() ->
    Long = binary:copy(<<"t">>, 250),
    _ = restart_with([{<<"a.example">>, Long}], [Long]),
    ?assertEqual({ok, Long}, ?CORE:get_host_type(<<"a.example">>)),
    ok = ?CORE:insert(<<"b.example">>, Long, 1),
    ?assertEqual({ok, Long}, ?CORE:get_host_type(<<"b.example">>)),
    ?assertEqual([], md_log:all()).

a_thousand_host_types_are_told_apart() ->
    HostTypes = [<<"many ", (integer_to_binary(N))/binary>> || N <- lists:seq(1, 1000)],
    Domain = fun(<<"many ", N/binary>>) -> <<"d", N/binary, ".example">> end,
    _ = restart_with([{<<"static.example">>, <<"many static">>}], HostTypes),
    [ok = ?CORE:insert(Domain(HostType), HostType, 1) || HostType <- HostTypes],
    [begin
        ?assertEqual({ok, HostType}, ?CORE:get_host_type(Domain(HostType))),
        ?assertEqual([Domain(HostType)], ?CORE:get_domains_by_host_type(HostType))
     end || HostType <- HostTypes],
    ?assertEqual({ok, <<"many static">>}, ?CORE:get_host_type(<<"static.example">>)).

%% Other functions

nameprep_answers_the_valid_name() ->
    ?assertEqual({ok, <<"strasse.de">>}, ?CORE:nameprep(<<"Straße.DE"/utf8>>)),
    ?assertEqual({ok, <<"example.com">>}, ?CORE:nameprep(<<"example.com">>)),
    [?assertEqual({error, invalid_domain}, ?CORE:nameprep(Name))
     || Name <- [<<>>, binary:copy(<<"a">>, 251), <<16#F3>>, <<"a", 0>>, <<16#E000/utf8>>]].

every_name_of_the_data_files_is_valid_but_one_newer_than_nameprep() ->
    %% These Balinese letters are in Unicode since 5.0; nameprep (RFC 3491) only knows 3.2.
    ?assertEqual([<<"ᬩᬮᬶ.id"/utf8>>], md_names:refused()).

unknown_messages_are_logged_and_survived() ->
    Pid = whereis(?CORE),
    ?assertEqual({error, unknown_call}, gen_server:call(Pid, nonsense)),
    gen_server:cast(Pid, nonsense),
    Pid ! nonsense,
    _ = sys:get_state(Pid),
    ?assertEqual([1, 1, 1], [md_log:count(What) || What <- [unknown_call, unknown_cast, unknown_message]]).
