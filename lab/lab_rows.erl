%% What a domain's row was at which time, from the journal; which changes of it are there, and which the database has lost.
%%
%% Version 0 is that there is no row. Every other version is a line of the journal. The row is a version from the time in its line, or
%% later, when its transaction committed, which is before the next version and before the answer to the change.
-module(lab_rows).

-export([of_domain/2, value/1, answers/2, lost/3, losses/1, holds/3]).

-export_type([versions/0, version/0, loss/0]).

-type version() :: #{index := non_neg_integer(), at := integer(), row := absent | {binary(), integer()}, line => lab_history:line()}.
-type versions() :: [version(), ...].
%% Of what was written from `since' to `until', some may be lost; at `lost' it was.
-type loss() :: #{since := integer(), lost := integer(), until := integer()}.

%% How long a commit may take after its line in the journal, where no answer says when it had ended.
-define(COMMIT, 1000000).
%% How long a former primary may take changes after the first one of its successor: Patroni's ttl, and what a stopped process adds to it.
-define(DEMOTION, 30000000).

%% @doc The versions of this domain's row, oldest first.
-spec of_domain(binary(), [lab_history:line()]) -> versions().
of_domain(Domain, Lines) ->
    Journal = lists:sort(fun(#{seq := A}, #{seq := B}) -> A =< B end, [Line || #{kind := <<"journal">>, domain := Name} = Line <- Lines, Name =:= Domain]),
    [#{index => 0, at => 0, row => absent} | [#{index => Index, at => maps:get(at, Line), row => row(Line), line => Line} || {Index, Line} <- lists:enumerate(Journal)]].

row(#{status := -1}) -> absent;
row(#{host_type := HostType, status := Status}) -> {HostType, Status}.

%% @doc What lookups show of this version.
-spec value(version()) -> binary() | null.
value(#{row := {HostType, 1}}) -> HostType;
value(#{}) -> null.

%% @doc The indexes of the versions with which this answered call can be explained: those that held at some time between the call
%% and its answer and are what it asked for.
-spec answers(lab_history:line(), versions()) -> [non_neg_integer()].
answers(#{from := From, to := To} = Op, Versions) ->
    [Index || {#{index := Index, at := At} = Version, Next} <- with_next(Versions), At =< To, Next + ?COMMIT >= From, holds(Op, Version, Versions)].

with_next(Versions) ->
    Ends = [At || #{at := At} <- tl(Versions)] ++ [infinity],
    [{Version, case End of infinity -> maps:get(at, Version) + 1 bsl 60; _ -> End end} || {Version, End} <- lists:zip(Versions, Ends)].

%% @doc Whether this version is what the call asked for. A statement of SQL that finds no row is answered as one that does.
-spec holds(lab_history:line(), version(), versions()) -> boolean().
holds(#{door := <<"sql">>, what := What}, #{row := Row}, _) when What =/= <<"add">>, Row =:= absent -> true;
holds(#{door := <<"sql">>, what := What}, #{row := {_, 2}}, _) when What =:= <<"enable">>; What =:= <<"disable">> -> true;
holds(#{what := What, host_type := HostType}, #{row := Row}, _) when What =:= <<"add">>; What =:= <<"import">>; What =:= <<"move">> ->
    is_tuple(Row) andalso element(1, Row) =:= HostType;
holds(#{what := <<"enable">>}, #{row := Row}, _) -> is_tuple(Row) andalso element(2, Row) =:= 1;
holds(#{what := <<"disable">>}, #{row := Row}, _) -> is_tuple(Row) andalso element(2, Row) =:= 0;
holds(#{what := <<"remove">>}, #{row := Row}, _) -> Row =:= absent;
holds(#{what := <<"request_remove">>}, #{row := Row}, _) -> Row =:= absent orelse element(2, Row) =:= 2;
holds(_Op, _Version, _Versions) -> true.

%% @doc The changes of this domain that may have been made, and that the database does not have because it lost what was written then. Each
%% with the value that lookups show of it, and the time at which the database had lost it.
-spec lost([lab_history:line()], versions(), [loss()]) -> [#{op := lab_history:line(), value := binary() | null, from := integer(), lost := integer()}].
lost(Ops, Versions, Losses) ->
    [#{op => Op, value => Value, from => From, lost => Lost}
     || #{answer := Answer, from := From, to := To} = Op <- Ops, Answer =/= <<"refused">>, changes(Op), not is_there(Op, Versions),
        #{lost := Lost} <- lists:sublist([Loss || #{since := Since, until := Until} = Loss <- Losses, To >= Since, From =< Until], 1),
        Value <- shown(Op, Versions)].

%% Whether the journal has a line of it, not only one that is as it was asked for.
is_there(#{from := From, to := To} = Op, Versions) ->
    lists:any(fun(#{at := At} = Version) -> At >= From andalso At =< To andalso holds(Op, Version, Versions) end, Versions).

changes(#{what := What}) ->
    lists:member(What, [<<"add">>, <<"import">>, <<"move">>, <<"enable">>, <<"disable">>, <<"remove">>, <<"request_remove">>]).

%% What lookups may show when the change is made.
shown(#{what := What, host_type := HostType}, _) when What =:= <<"add">>; What =:= <<"import">>; What =:= <<"move">> -> [HostType];
shown(#{what := <<"enable">>, host_type := HostType}, Versions) ->
    lists:usort([HostType | [Type || #{row := {Type, _}} <- Versions]]);
shown(_, _) -> [null].

%% @doc When the database lost what was written. A server that becomes the primary has all that was committed up to some moment, and nothing
%% after it: so the last line of the journal before the new timeline is older than all that was lost. The former primary may go on for a
%% while, until it knows.
%%
%% Two servers may become primaries on one timeline number, of which one loses all that it took: then the journal shows no other timeline,
%% but the primary has moved without one.
-spec losses([lab_history:line()]) -> [loss()].
losses(Lines) ->
    Journal = lists:sort(fun(#{seq := A}, #{seq := B}) -> A =< B end, [Line || #{kind := <<"journal">>} = Line <- Lines]),
    Primaries = [Line || #{kind := <<"primary">>, timeline := Timeline} = Line <- Lines, Timeline > 0],
    {Losses, _} = lists:foldl(fun
        (#{at := At, timeline := Timeline}, {Found, {Last, Newest}}) when Timeline > Newest, Newest > 0 ->
            {[#{since => Last, lost => At, until => At + ?DEMOTION} | Found], {At, Timeline}};
        (#{kind := <<"journal">>, at := At, timeline := Timeline}, {Found, {_, Newest}}) ->
            {Found, {At, max(Timeline, Newest)}};
        (#{timeline := Timeline}, {Found, {Last, Newest}}) ->
            {Found, {Last, max(Timeline, Newest)}}
    end, {[], {0, 0}}, Journal ++ Primaries),
    lists:reverse(Losses) ++ [#{since => Before - ?DEMOTION, lost => At, until => At + ?DEMOTION}
                              || {#{site := One, timeline := Was, at := Before}, #{site := Other, timeline := Is, at := At}} <- pairs(Primaries),
                                 One =/= Other, Is =< Was].

pairs([]) -> [];
pairs(Lines) -> lists:zip(lists:droplast(Lines), tl(Lines)).
