%% The functions of mongoose_domain_api, which other applications call.
-module(mongoose_domain_api_tests).

-include_lib("eunit/include/eunit.hrl").

-define(STATIC, [{<<"static.example">>, <<"static type">>}]).
-define(API, mongoose_domain_api).

all_test_() ->
    {setup,
     fun begin_with_a_table/0,
     fun close_table/1,
     {with, [fun lookups_find_static_and_dynamic_domains/1,
             fun listings_answer_pairs_or_names/1,
             fun a_listing_in_parts_lists_each_domain_once/1,
             fun a_part_never_holds_more_than_the_limit/1,
             fun a_listing_of_nothing_is_done/1]}}.

begin_with_a_table() ->
    {ok, Pid} = mongoose_domain_core:start_link(?STATIC, [<<"type1">>, <<"type2">>]),
    Names = md_names:some(3000),
    {Ones, Twos} = lists:split(2000, Names),
    [ok = mongoose_domain_core:insert(Name, <<"type1">>, 1) || Name <- Ones],
    [ok = mongoose_domain_core:insert(Name, <<"type2">>, 1) || Name <- Twos],
    {Pid, Ones, Twos}.

close_table({Pid, _, _}) ->
    gen_server:stop(Pid).

lookups_find_static_and_dynamic_domains({_, [One | _], [Two | _]}) ->
    [begin
        ?assertEqual({ok, <<"static type">>}, ?API:Lookup(<<"static.example">>)),
        ?assertEqual({ok, <<"type1">>}, ?API:Lookup(One)),
        ?assertEqual({ok, <<"type2">>}, ?API:Lookup(Two)),
        ?assertEqual({error, not_found}, ?API:Lookup(<<"nowhere.example">>)),
        ?assertEqual({error, not_found}, ?API:Lookup(<<"Static.Example">>)),
        ?assertError(badarg, ?API:Lookup(no_binary))
     end || Lookup <- [get_host_type, get_domain_host_type]].

listings_answer_pairs_or_names({_, Ones, Twos}) ->
    ?assertEqual(?STATIC, ?API:get_all_static()),
    ?assertEqual(dynamic(Ones, Twos), lists:sort(?API:get_all_dynamic())),
    ?assertEqual(lists:sort(Ones), lists:sort(?API:get_domains_by_host_type(<<"type1">>))),
    ?assertEqual([<<"static.example">>], ?API:get_domains_by_host_type(<<"static type">>)),
    ?assertEqual([], ?API:get_domains_by_host_type(<<"type3">>)).

dynamic(Ones, Twos) ->
    lists:sort([{Name, <<"type1">>} || Name <- Ones] ++ [{Name, <<"type2">>} || Name <- Twos]).

a_listing_in_parts_lists_each_domain_once({_, Ones, Twos}) ->
    Dynamic = dynamic(Ones, Twos),
    [?assertEqual(lists:sort(Wanted), lists:sort(lists:append(parts(Select, Limit))))
     || {Select, Wanted} <- [{all, ?STATIC ++ Dynamic}, {static, ?STATIC}, {dynamic, Dynamic},
                             {{host_type, <<"type2">>}, [{Name, <<"type2">>} || Name <- Twos]}],
        Limit <- [1000, 999, 10]].

a_part_never_holds_more_than_the_limit(_) ->
    [?assert(lists:all(fun(Part) -> length(Part) =< Limit end, parts(Select, Limit)))
     || Select <- [all, dynamic, {host_type, <<"type1">>}], Limit <- [1, 10, 1000]].

a_listing_of_nothing_is_done(_) ->
    ?assertEqual({[], done}, ?API:get_domains({host_type, <<"type3">>}, 10)).

parts(Select, Limit) ->
    rest(Select, ?API:get_domains(Select, Limit), Limit).

rest(_Select, {Part, done}, _Limit) ->
    [Part];
rest(Select, {Part, More}, Limit) ->
    [Part | rest(Select, ?API:get_domains(Select, More, Limit), Limit)].
