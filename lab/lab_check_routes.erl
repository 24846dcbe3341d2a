%% Rules 1 to 4: acknowledged changes are there, and what each node shows of a domain is explained by the changes of its row.
%%
%% The checker follows each run of a node, name by name, and knows where it may be: at a version of the row, or at a change that the
%% database lost. It stays there or goes to a later version that exists by then, never back. A line that no place explains is a
%% violation. When a run begins, the node may be anywhere up to the present, or show nothing: it serves from its file, or not yet.
%%
%% A node may come to a change that the database lost, and leave it. Where that was a route, the node keeps it, until the row changes
%% after the loss, an event names it or its removal is called for, or the host type is declared fresh.
%%
%% Where its log says that the database is another one, or its log of events, a node may show something older: what that database has. A route
%% does not go for that reason.
-module(lab_check_routes).

-export([violations/1]).

%% How long after a comparison its report may come.
-define(LOGGED, 5000000).

-spec violations([lab_history:line()]) -> [lab_check:violation()].
violations(Lines) ->
    Losses = lab_rows:losses(Lines),
    Fresh = [Op || #{kind := <<"op">>, what := <<"fresh">>} = Op <- Lines],
    Logged = [Line || #{kind := <<"log">>} = Line <- Lines],
    ByDomain = grouped([Line || #{domain := _, kind := Kind} = Line <- Lines, lists:member(Kind, [<<"op">>, <<"shows">>, <<"journal">>])]),
    lists:append([of_domain(Domain, Of, Losses, Fresh, Logged) || {Domain, Of} <- lists:sort(maps:to_list(ByDomain))]).

grouped(Lines) ->
    maps:map(fun(_, Of) -> lists:reverse(Of) end, lists:foldl(fun(#{domain := Domain} = Line, Map) ->
        maps:update_with(Domain, fun(Of) -> [Line | Of] end, [Line], Map)
    end, #{}, Lines)).

of_domain(<<"static.", _/binary>>, Lines, _, _, _) ->
    [lab_check:violation(2, "a static domain is not found", [Line]) || #{kind := <<"shows">>, value := null} = Line <- Lines];
of_domain(Domain, Lines, Losses, Fresh, Logged) ->
    Versions = lab_rows:of_domain(Domain, Lines),
    Ops = [Op || #{kind := <<"op">>} = Op <- Lines],
    Lost = lab_rows:lost(Ops, Versions, Losses),
    Runs = lists:usort([{Node, Run} || #{kind := <<"shows">>, node := Node, run := Run} <- Lines]),
    State = #{versions => Versions, lost => Lost, fresh => Fresh, domain => Domain, ops => Ops, logged => Logged},
    acknowledged(Ops, Versions, Lost)
        ++ lists:append([seen(Op, Versions, Lost, Logged) || #{sees := _, answer := <<"ok">>} = Op <- Ops])
        ++ lists:append([follow([Line || #{kind := <<"shows">>, node := N, run := R} = Line <- Lines, {N, R} =:= Run], start, none, State) || Run <- Runs]).

%% Rule 1

acknowledged(Ops, Versions, Lost) ->
    [lab_check:violation(1, "an acknowledged change is not in the database, which lost nothing then",
                         [Op | around(Op, Versions)])
     || #{answer := <<"ok">>} = Op <- Ops, lab_rows:answers(Op, Versions) =:= [], not lists:any(fun(#{op := Same}) -> Same =:= Op end, Lost)].

around(#{from := From, to := To}, Versions) ->
    [Line || #{at := At, line := Line} <- Versions, At >= From - 5000000, At =< To + 5000000].

%% Rule 3

seen(#{what := What}, _, _, _) when What =:= <<"password">>; What =:= <<"check_password">> ->
    [];
seen(#{sees := Sees, site := Site, within := [From, To]} = Op, Versions, Lost, Logged) ->
    Floor = case lab_rows:answers(Op, Versions) of [] -> none; Indexes -> lists:min(Indexes) end,
    Explained = Floor =:= none
        orelse lists:any(fun(#{index := Index, at := At} = Version) -> Index >= Floor andalso At =< To andalso lab_rows:value(Version) =:= Sees end, Versions)
        orelse lists:any(fun(#{value := Value, from := Began}) -> Value =:= Sees andalso Began =< To end, Lost)
        orelse lists:any(fun(#{at := At, node := Node, what := What}) ->
            Node =:= Site andalso At >= From andalso At =< To + 1000000 andalso What =:= <<"domain_change_not_visible_yet">>
        end, Logged),
    [lab_check:violation(3, "who changed it does not see it on that node when the call returns", [Op | around(Op, Versions)]) || not Explained].

%% Rules 2 and 4, and that lost routes are kept

%% A place is {version, Index}, {lost, Number, Index} (a lost change, after this version), or cold.
follow([], _Places, _Before, _State) ->
    [];
follow([#{value := Value} = Line | Lines], Places, Before, State) ->
    Reached = [Place || Place <- next(Places, Line, State), value(Place, State) =:= Value],
    case Reached of
        [] ->
            [unexplained(Line, Before, State) || Value =:= null orelse not is_another_database(Line, Before, State)] ++ follow(Lines, start, Line, State);
        _ ->
            Kept = [Place || Place <- Reached, kept(Places, Place, Line, State)],
            case Kept of
                [] -> [not_kept(Line, Before, State) | follow(Lines, lists:usort(Reached), Line, State)];
                _ -> follow(Lines, lists:usort(Kept), Line, State)
            end
    end.

is_another_database(_Line, none, _State) ->
    false;
is_another_database(#{at := To, node := Node}, #{at := From}, #{logged := Logged}) ->
    lists:any(fun(#{at := At, node := Of, what := What}) ->
        Of =:= Node andalso At >= From andalso At =< To + ?LOGGED
            andalso lists:member(What, [<<"domain_database_changed">>, <<"events_log_out_of_sync">>])
    end, Logged).

next(start, #{at := At} = Line, State) ->
    [cold | [{version, Index} || #{index := Index} <- reached(0, Line, State)]]
        ++ [{lost, Number, 0} || {Number, #{from := From}} <- numbered(State), From =< last(Line, At)];
next(Places, Line, State) ->
    lists:usort(lists:append([from(Place, Line, State) || Place <- Places])).

from(cold, Line, State) ->
    next(start, Line, State);
from({version, Index}, Line, State) ->
    [{version, Later} || #{index := Later} <- reached(Index, Line, State)]
        ++ [{lost, Number, Index} || {Number, #{from := From, op := #{to := To}}} <- numbered(State), From =< last(Line, 0),
                                     maps:get(at, lists:nth(Index + 1, maps:get(versions, State))) =< To];
from({lost, Number, Index}, Line, State) ->
    [{version, Later} || #{index := Later} <- reached(Index, Line, State)]
        ++ [{lost, Later, Index} || {Later, #{from := From}} <- numbered(State), Later >= Number, From =< last(Line, 0)].

%% The versions from this one on that the node can have seen when it showed the line's value.
reached(Index, Line, #{versions := Versions}) ->
    [Version || #{index := Later, at := At} = Version <- Versions, Later >= Index, At =< last(Line, 0)].

%% A pass of the reader began at `at' and ended at `to'.
last(#{to := To}, _) -> To;
last(#{at := At}, _) -> At.

numbered(#{lost := Lost}) ->
    lists:enumerate(Lost).

value(cold, _) -> null;
value({version, Index}, #{versions := Versions}) -> lab_rows:value(lists:nth(Index + 1, Versions));
value({lost, Number, _}, #{lost := Lost}) -> maps:get(value, lists:nth(Number, Lost)).

%% Whether the way to this place is none on which a lost route went by itself: from where the node can have been, there is a change of the
%% row, or a declaration, that explains it.
kept(start, _Place, _Line, _State) ->
    true;
kept(Places, {version, Index} = Place, Line, #{versions := Versions, fresh := Fresh, ops := Ops} = State) ->
    value(Place, State) =/= null orelse lists:any(fun
        ({lost, Number, _} = Before) ->
            #{lost := LostAt, value := HostType, from := From} = lists:nth(Number, maps:get(lost, State)),
            value(Before, State) =:= null
                orelse maps:get(at, lists:nth(Index + 1, Versions)) >= From
                orelse lists:any(fun(Op) -> is_obeyed(Op, From, last(Line, 0)) end, Ops)
                orelse lists:any(fun(#{host_type := Type, from := Declared, answer := Answer}) ->
                    Type =:= HostType andalso Answer =/= <<"refused">> andalso Declared =< last(Line, 0) andalso Declared + 25000000 >= LostAt
                end, Fresh);
        (_) -> true
    end, [Before || Before <- Places, lists:member(Place, from(Before, Line, State))]);
kept(_Places, _Place, _Line, _State) ->
    true.

%% A statement of SQL writes an event whether or not it finds a row, and whoever calls for a removal sees it.
is_obeyed(#{door := Door, what := What, answer := Answer, from := Began, to := Ended}, From, To) ->
    Answer =/= <<"refused">> andalso Ended >= From andalso Began =< To
        andalso lists:member(What, [<<"remove">>, <<"request_remove">>, <<"disable">> | [What || Door =:= <<"sql">>, What =/= <<"rolled_back">>]]).

unexplained(#{value := null} = Line, Before, State) ->
    lab_check:violation(2, "a route has gone, and no change of its row explains it", piece(Line, Before, State));
unexplained(Line, Before, State) ->
    lab_check:violation(4, "a node shows something older than before, or what never was", piece(Line, Before, State)).

not_kept(Line, Before, State) ->
    lab_check:violation(1, "a route that the database has lost is not kept", piece(Line, Before, State)).

%% The two lines of the node, and what happened to the row and was called about it around them.
piece(Line, none, State) -> [Line | near(Line, Line, State)];
piece(Line, Before, State) -> [Before, Line | near(Before, Line, State)].

near(#{at := From}, #{at := To} = Line, #{versions := Versions, ops := Ops}) ->
    Known = [Version || #{at := At, line := _} = Version <- Versions, At =< To],
    Since = case Known of [] -> From; _ -> min(From, maps:get(at, lists:last(lists:sublist(Known, max(1, length(Known) - 1))))) end,
    [Seen || #{line := Seen, at := At} <- Versions, At >= Since, At =< last(Line, 0)]
        ++ [Op || #{from := Began, to := Ended} = Op <- Ops, Ended >= Since, Began =< last(Line, 0)].
