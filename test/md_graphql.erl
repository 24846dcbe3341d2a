%% Sends GraphQL requests to a door.
%%
%%   {200, #{<<"data">> := #{<<"domain">> := Answer}}} =
%%       md_graphql:post(Door, <<"{domain {allDomains {domain}}}">>, #{}),
%%   {ok, #{<<"status">> := <<"ENABLED">>}} = md_graphql:call(Door, "enableDomain(domain: \"a.example\") {status}").
-module(md_graphql).

-export([post/3, ask/2, call/2, call/3, get/2, quoted/1]).

-define(PATH, "/api/graphql").

%% @doc Posts the document with these variables; returns the status and the decoded answer.
-spec post(md_http:door(), iodata(), map()) -> {pos_integer(), md_json:t()}.
post(Door, Document, Variables) ->
    ask(Door, #{query => iolist_to_binary(Document), variables => Variables}).

%% @doc Posts a whole request body.
-spec ask(md_http:door(), map()) -> {pos_integer(), md_json:t()}.
ask(Door, Request) ->
    {Code, _, Body} = md_http:request(Door, post, ?PATH, #{json => md_json:encode(Request)}),
    {Code, md_json:decode(Body)}.

%% @doc The value of one field of the category, with or without arguments. It is a field of a mutation unless its name
%% is one of the queries'. An error is returned as its message and its extensions; its path is checked here.
-spec call(md_http:door(), iodata()) -> {ok, md_json:t()} | {Message :: binary(), Extensions :: map()}.
call(Door, Call) ->
    call(Door, Call, "").

%% @doc The same, with the fields of the domain that the answer shall contain.
-spec call(md_http:door(), iodata(), iodata()) -> {ok, md_json:t()} | {binary(), map()}.
call(Door, Call, Shown) ->
    {match, [Field]} = re:run(Call, "^[a-zA-Z]+", [{capture, first, binary}]),
    Questions = [<<"domainsByHostType">>, <<"allDomains">>, <<"domainDetails">>, <<"domains">>],
    Kind = case lists:member(Field, Questions) of true -> "query"; false -> "mutation" end,
    {200, Answer} = post(Door, [Kind, "{domain {", Call, " ", Shown, "}}"], #{}),
    #{<<"data">> := #{<<"domain">> := #{Field := Value} = Only}} = Answer,
    1 = map_size(Only),
    case Answer of
        #{<<"errors">> := [#{<<"message">> := Message, <<"extensions">> := Extensions} = Error]} ->
            null = Value,
            [<<"domain">>, Field] = maps:get(<<"path">>, Error),
            {Message, Extensions};
        #{} ->
            1 = map_size(Answer),
            {ok, Value}
    end.

%% @doc Sends a GET with this query string.
-spec get(md_http:door(), [{string(), iodata()}]) -> {pos_integer(), md_json:t()}.
get(Door, Parameters) ->
    Query = uri_string:compose_query([{Key, unicode:characters_to_list(iolist_to_binary(Value))}
                                      || {Key, Value} <- Parameters]),
    Accept = #{headers => [{"accept", "application/json"}]},
    {Code, _, Body} = md_http:request(Door, get, [?PATH, "?", Query], Accept),
    {Code, md_json:decode(Body)}.

%% @doc The text as a GraphQL string.
-spec quoted(binary()) -> iodata().
quoted(Text) ->
    md_json:encode(Text).
