%% A strict parser of Prometheus' text format (0.0.4); it fails with the line that breaks the format.
%%
%%   Metrics = md_prometheus:parse(Text),
%%   2.0 = md_prometheus:value(Metrics, "mongoose_domain_domains", #{<<"host_type">> => <<"type1">>}),
%%   ok = md_prometheus:only_grew(Before, After).
%%
%% It also checks this project's promises: each family appears once, with its HELP, then its TYPE, then all its samples;
%% names and labels are well-formed, and no two samples are equal in both; a counter's name ends with `_total', and its
%% value is not negative; the buckets of a histogram grow and end with `+Inf', which equals its count.
-module(md_prometheus).

-include_lib("stdlib/include/assert.hrl").

-export([parse/1, families/1, samples/2, value/3, number/1, only_grew/2]).

-export_type([t/0, number_of/0]).

-type labels() :: #{binary() => binary()}.
-type number_of() :: float() | infinity | neg_infinity | nan.
-type family() :: #{kind := counter | gauge | histogram, samples := [{Name :: binary(), labels(), number_of()}]}.
-type t() :: #{Name :: binary() => family()}.

%% @doc Parses the text.
-spec parse(binary()) -> t().
parse(Text) ->
    ?assertEqual($\n, binary:last(Text)),
    Lines = binary:split(binary:part(Text, 0, byte_size(Text) - 1), <<"\n">>, [global]),
    Families = families(Lines, #{}),
    maps:foreach(fun check/2, Families),
    Families.

%% @doc The names of all families, including those without samples.
-spec families(t()) -> [binary()].
families(Metrics) ->
    lists:sort(maps:keys(Metrics)).

%% @doc The samples of a family.
-spec samples(t(), string()) -> [{labels(), number_of()}].
samples(Metrics, Family) ->
    #{samples := Samples} = map_get(list_to_binary(Family), Metrics),
    [{Labels, Value} || {_Name, Labels, Value} <- Samples].

%% @doc The value of the only sample of this name that has at least these labels;
%% `absent' where there is none.
-spec value(t(), string(), labels()) -> number_of() | absent.
value(Metrics, Name, Labels) ->
    All = lists:append([Samples || #{samples := Samples} <- maps:values(Metrics)]),
    Wanted = list_to_binary(Name),
    case [Value || {Is, Has, Value} <- All, Is =:= Wanted, maps:with(maps:keys(Labels), Has) =:= Labels] of
        [Value] -> Value;
        [] -> absent
    end.

%% @doc Checks that no counter and no part of a histogram has decreased or disappeared.
-spec only_grew(t(), t()) -> ok.
only_grew(Before, After) ->
    Counts = fun(Metrics) ->
        maps:from_list([{{Name, Labels}, Value} || #{kind := Kind, samples := Samples} <- maps:values(Metrics),
                                                   Kind =/= gauge, {Name, Labels, Value} <- Samples])
    end,
    Now = Counts(After),
    maps:foreach(fun(Key, Value) ->
        ?assertMatch(#{Key := _}, Now),
        ?assert(map_get(Key, Now) >= Value, {Key, Value, map_get(Key, Now)})
    end, Counts(Before)).

families([], Families) ->
    Families;
families([<<"# HELP ", Help/binary>>, <<"# TYPE ", Type/binary>> | Lines], Families) ->
    [Name, Words] = binary:split(Help, <<" ">>),
    [Name, Kind] = binary:split(Type, <<" ">>),
    ?assertMatch({match, _}, re:run(Name, "^mongoose_domain_[a-z][a-z0-9_]*$")),
    ?assertNotEqual(<<>>, Words),
    ?assertNot(is_map_key(Name, Families), Name),
    {Samples, Others} = lists:splitwith(fun(Line) -> binary:first(Line) =/= $# end, Lines),
    Family = #{kind => kind(Kind), samples => [sample(Line) || Line <- Samples]},
    families(Others, Families#{Name => Family});
families([Line | _], _Families) ->
    erlang:error({not_the_beginning_of_a_family, Line}).

kind(<<"counter">>) -> counter;
kind(<<"gauge">>) -> gauge;
kind(<<"histogram">>) -> histogram.

sample(Line) ->
    {Name, Rest} = split(Line, "^([a-zA-Z_:][a-zA-Z0-9_:]*)(.*)$"),
    {Labels, <<" ", Value/binary>>} = labels(Rest),
    {Name, Labels, number(Value)}.

labels(<<"{", Rest/binary>>) -> label(Rest, #{});
labels(Rest) -> {#{}, Rest}.

label(Text, Labels) ->
    {Name, Rest} = split(Text, "^([a-zA-Z_][a-zA-Z0-9_]*)=\"(.*)$"),
    ?assertNot(is_map_key(Name, Labels), Name),
    {Value, More} = label_value(Rest, <<>>),
    case More of
        <<",", Next/binary>> -> label(Next, Labels#{Name => Value});
        <<"}", After/binary>> -> {Labels#{Name => Value}, After}
    end.

split(Text, Pattern) ->
    {match, [Name, Rest]} = re:run(Text, Pattern, [{capture, all_but_first, binary}, dotall]),
    {Name, Rest}.

label_value(<<"\\\\", Rest/binary>>, Value) -> label_value(Rest, <<Value/binary, "\\">>);
label_value(<<"\\\"", Rest/binary>>, Value) -> label_value(Rest, <<Value/binary, "\"">>);
label_value(<<"\\n", Rest/binary>>, Value) -> label_value(Rest, <<Value/binary, "\n">>);
label_value(<<"\"", Rest/binary>>, Value) -> {Value, Rest};
label_value(<<Character/utf8, Rest/binary>>, Value) when Character =/= $\\ ->
    label_value(Rest, <<Value/binary, Character/utf8>>).

%% @doc The number of this text.
-spec number(binary()) -> number_of().
number(<<"+Inf">>) -> infinity;
number(<<"-Inf">>) -> neg_infinity;
number(<<"NaN">>) -> nan;
number(Text) ->
    case string:to_float(Text) of
        {Number, <<>>} -> Number;
        _ -> float(binary_to_integer(Text))
    end.

check(Name, #{kind := Kind, samples := Samples}) ->
    Keys = [{Sample, Labels} || {Sample, Labels, _} <- Samples],
    ?assertEqual(lists:sort(Keys), lists:usort(Keys)),
    check(Kind, Name, Samples).

check(counter, Name, Samples) ->
    ?assertMatch({match, _}, re:run(Name, "_total$")),
    [?assertMatch({Name, _, Value} when is_float(Value), Sample) || Sample <- Samples],
    [?assert(Value >= 0) || {_, _, Value} <- Samples];
check(gauge, Name, Samples) ->
    ?assertEqual(nomatch, re:run(Name, "_(total|sum|count|bucket)$")),
    [?assertMatch({Name, _, _}, Sample) || Sample <- Samples];
check(histogram, Name, Samples) ->
    [?assertMatch({_, _, Value} when is_float(Value); Value =:= infinity, Sample) || Sample <- Samples],
    Part = fun(Suffix) -> <<Name/binary, Suffix/binary>> end,
    [Bucket, Sum, Count] = [Part(Suffix) || Suffix <- [<<"_bucket">>, <<"_sum">>, <<"_count">>]],
    ?assertEqual([], [Is || {Is, _, _} <- Samples, not lists:member(Is, [Bucket, Sum, Count])]),
    Series = lists:usort([maps:remove(<<"le">>, Labels) || {_, Labels, _} <- Samples]),
    [begin
         [All] = [Value || {Is, Has, Value} <- Samples, Is =:= Count, Has =:= Labels],
         [_] = [Value || {Is, Has, Value} <- Samples, Is =:= Sum, Has =:= Labels],
         Buckets = [{number(map_get(<<"le">>, Has)), Value}
                    || {Is, Has, Value} <- Samples, Is =:= Bucket, maps:remove(<<"le">>, Has) =:= Labels],
         %% In Erlang's order an atom is greater than every number.
         ?assertEqual(Buckets, lists:usort(Buckets)),
         ?assertEqual([Value || {_, Value} <- Buckets], lists:sort([Value || {_, Value} <- Buckets])),
         ?assertEqual({infinity, All}, lists:last(Buckets))
     end || Labels <- Series].
