%% The tables of docs/configuration.md list each key of the configuration, with its unit and its default, and no other
%% key.
-module(mongoose_domain_config_keys_tests).

-include_lib("eunit/include/eunit.hrl").

-define(DOCUMENT, "docs/configuration.md").

the_tables_of_the_document_are_those_of_the_module_test_() ->
    {ok, Text} = file:read_file(md_events:path(?DOCUMENT)),
    Lines = binary:split(Text, <<"\n">>, [global]),
    [{atom_to_list(Section), ?_assertEqual(defined(Section), documented(Lines, After))}
     || {Section, After} <- [{application, <<"## The application">>}, {service_domain_db, <<"## service_domain_db">>},
                             {admin, <<"## admin">>}, {tls, <<"<a id=\"admin-tls\"></a>">>}]].

the_defaults_of_the_listener_for_the_edge_are_reported_with_its_key_test() ->
    {ok, Text} = file:read_file(md_events:path(?DOCUMENT)),
    [{ip, _, none, Ip}, {port, _, none, Port}] = mongoose_domain_config_keys:keys(ask),
    Told = io_lib:format("`ask` \\| `#{ip, port}`.*`#{}` is `\"~s\"` and ~b", [Ip, Port]),
    ?assertMatch({match, _}, re:run(Text, Told)).

defined(Section) ->
    lists:sort([{atom_to_binary(Key), unit(Unit), default(Default)}
                || {Key, _Type, Unit, Default} <- mongoose_domain_config_keys:keys(Section)]).

unit(none) -> <<>>;
unit(Unit) -> atom_to_binary(Unit).

default(undefined) -> <<"none">>;
default(Absent) when Absent =:= disabled; Absent =:= closed -> <<"absent">>;
default(required) -> <<"required">>;
default(Text) when is_binary(Text) -> <<$", Text/binary, $">>;
default(Value) -> iolist_to_binary(io_lib:format("~w", [Value])).

%% The rows of the first table after this line: key, unit and default.
documented(Lines, After) ->
    [After | Behind] = lists:dropwhile(fun(Line) -> Line =/= After end, Lines),
    IsRow = fun(Line) -> string:prefix(Line, "|") =/= nomatch end,
    [Head, _Rule | Rows] = lists:takewhile(IsRow, lists:dropwhile(fun(Line) -> not IsRow(Line) end, Behind)),
    lists:sort(lists:append([row(cells(Row), length(cells(Head))) || Row <- Rows])).

cells(Row) ->
    [<<>> | Cells] = re:split(Row, " *(?<!\\\\)\\| *"),
    lists:droplast(Cells).

%% A row may describe several keys.
row([Keys, _Meaning, Default], 3) -> row([Keys, <<>>, <<>>, Default], 4);
row([Keys, _Meaning, Unit, Default], 4) ->
    [{string:trim(Key, both, "`"), Unit, shown(Default)} || Key <- re:split(Keys, ", ")].

%% The text after a colon is an explanation.
shown(<<>>) -> <<"none">>;
shown(Default) -> re:replace(Default, "`|:.*", "", [global, {return, binary}]).
