%% Templates, patterns and the names made from them, all by pure functions.
-module(mongoose_subdomain_utils_tests).

-include_lib("eunit/include/eunit.hrl").

-export([a_template_that_ends_with_the_host_after_a_dot_is_a_prefix/0]).
-export([any_other_template_is_an_fqdn/0]).
-export([the_host_elsewhere_in_a_template_is_not_special/0]).
-export([a_template_may_be_a_binary_a_string_or_an_atom/0]).
-export([a_template_that_is_no_text_or_an_empty_one_is_a_badarg/0]).
-export([a_prefix_makes_a_name_of_each_domain/0]).
-export([an_fqdn_is_the_same_name_for_every_domain/0]).
-export([a_pattern_tells_its_kind/0]).
-export([a_name_is_the_subdomain_of_its_own_parent_and_pattern_alone/0]).

-define(UTILS, mongoose_subdomain_utils).

all_test_() ->
    md_promises:of_module(?MODULE, fun() -> ok end, fun(_) -> ok end).

a_template_that_ends_with_the_host_after_a_dot_is_a_prefix() ->
    [?assertEqual({prefix, Prefix}, ?UTILS:make_subdomain_pattern(<<Prefix/binary, "@HOST@">>))
     || Prefix <- [<<"muc.">>, <<"a.b.">>, <<".">>, <<"комната."/utf8>>]].

any_other_template_is_an_fqdn() ->
    [?assertEqual({fqdn, Template}, ?UTILS:make_subdomain_pattern(Template))
     || Template <- [<<"muc.example.com">>, <<"localhost">>, <<"a">>, <<"muc.@HOST">>, <<"muc.HOST@">>,
                     <<"muc.@host@">>]].

the_host_elsewhere_in_a_template_is_not_special() ->
    [?assertEqual({fqdn, Template}, ?UTILS:make_subdomain_pattern(Template))
     || Template <- [<<"@HOST@">>, <<"muc@HOST@">>, <<"@HOST@.muc">>, <<"muc.@HOST@.example">>, <<"muc.@HOST@.">>]],
    ?assertEqual({prefix, <<"@HOST@.">>}, ?UTILS:make_subdomain_pattern(<<"@HOST@.@HOST@">>)).

a_template_may_be_a_binary_a_string_or_an_atom() ->
    [?assertEqual({prefix, <<"muc.">>}, ?UTILS:make_subdomain_pattern(Template))
     || Template <- [<<"muc.@HOST@">>, "muc.@HOST@", 'muc.@HOST@', ["muc", $., <<"@HOST@">>]]],
    ?assertEqual({prefix, <<"комната."/utf8>>}, ?UTILS:make_subdomain_pattern("комната.@HOST@")).

a_template_that_is_no_text_or_an_empty_one_is_a_badarg() ->
    [?assertError(badarg, ?UTILS:make_subdomain_pattern(Value))
     || Value <- [<<>>, "", undefined, nil, true, 1, {}, [-1], [a], <<1:3>>, <<16#FF>>]].

a_prefix_makes_a_name_of_each_domain() ->
    ?assertEqual(<<"muc.example.com">>, ?UTILS:get_fqdn({prefix, <<"muc.">>}, <<"example.com">>)),
    ?assertEqual(<<"a.b.example.com">>, ?UTILS:get_fqdn({prefix, <<"a.b.">>}, <<"example.com">>)).

an_fqdn_is_the_same_name_for_every_domain() ->
    [?assertEqual(<<"muc.example.com">>, ?UTILS:get_fqdn({fqdn, <<"muc.example.com">>}, Domain))
     || Domain <- [<<"example.com">>, <<"example.org">>, no_parent_domain]].

a_pattern_tells_its_kind() ->
    ?assertEqual(subdomain, ?UTILS:subdomain_type({prefix, <<"muc.">>})),
    ?assertEqual(fqdn, ?UTILS:subdomain_type({fqdn, <<"muc.example.com">>})),
    ?assertError(function_clause, ?UTILS:subdomain_type({suffix, <<".example.com">>})).

a_name_is_the_subdomain_of_its_own_parent_and_pattern_alone() ->
    ?assert(?UTILS:is_subdomain({prefix, <<"muc.">>}, <<"example.com">>, <<"muc.example.com">>)),
    ?assertNot(?UTILS:is_subdomain({prefix, <<"muc.">>}, <<"example.org">>, <<"muc.example.com">>)),
    ?assertNot(?UTILS:is_subdomain({prefix, <<"pubsub.">>}, <<"example.com">>, <<"muc.example.com">>)),
    ?assertNot(?UTILS:is_subdomain({prefix, <<"muc.">>}, <<"example.com">>, <<"example.com">>)),
    ?assert(?UTILS:is_subdomain({fqdn, <<"muc.example.com">>}, <<"whatever">>, <<"muc.example.com">>)),
    ?assertNot(?UTILS:is_subdomain({fqdn, <<"muc.example.com">>}, <<"example.com">>, <<"example.com">>)).
