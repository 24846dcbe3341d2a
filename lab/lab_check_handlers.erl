%% Rule 6: a handler runs only for a domain that is in removal, and on one node at a time.
%%
%% A handler at work when its domain is served again is killed within a quarter of the lease, and one whose node was stopped runs for a
%% moment when the node goes on, until it is killed: lines within these times are no violations. Nor are those of removals that the database
%% lost: the handler did what it was asked to.
-module(lab_check_handlers).

-export([violations/1]).

%% A quarter of the lease that lab.erl sets, and the time in which the node learns of it: its statement's limit.
-define(STOPPED, 7500000).
%% A stopped node's timers are all due when it goes on.
-define(AWAKE, 500000).
%% Half of the lease.
-define(CLOSE, 3000000).

-spec violations([lab_history:line()]) -> [lab_check:violation()].
violations(Lines) ->
    Handlers = [Line || #{kind := <<"handler">>} = Line <- Lines],
    Losses = lab_rows:losses(Lines),
    Domains = lists:usort([Domain || #{domain := Domain} <- Handlers]),
    lists:append([of_domain(Domain, [Line || #{domain := Name} = Line <- Handlers, Name =:= Domain],
                            [Line || #{domain := Name} = Line <- Lines, Name =:= Domain], Losses) || Domain <- Domains]).

of_domain(Domain, Handlers, Lines, Losses) ->
    Versions = lab_rows:of_domain(Domain, Lines),
    Lost = lab_rows:lost([Op || #{kind := <<"op">>} = Op <- Lines], Versions, Losses),
    Removals = [From || #{value := null, from := From} <- Lost],
    alive(Handlers, Versions, Removals) ++ together(Handlers).

alive(Handlers, Versions, Removals) ->
    %% The first line of each handler is enough.
    Bad = [{Line, Version} || #{at := At} = Line <- Handlers, not lists:any(fun(From) -> From =< At end, Removals),
                              Version <- [served(At, Line, Versions)], Version =/= none],
    [lab_check:violation(6, "a handler runs for a domain that is not in removal", [Line | [Row || #{line := Row} <- [Version]]])
     || {Line, Version} <- lists:sublist(Bad, 1)].

%% The version at this time, if the row had not been in removal for too long.
served(At, Line, Versions) ->
    Slack = case Line of #{step := <<"begin">>} -> 1000000; _ -> ?STOPPED end,
    #{row := Row, at := Since} = Version = lists:last([V || #{at := Began} = V <- Versions, Began =< At]),
    case Row of
        {_, 2} -> none;
        _ when At - Since =< Slack -> none;
        _ -> Version
    end.

%% A handler is at work between signs that are close to each other: a node that was stopped shows one more when it goes on, and then
%% its handler is killed.
together(Handlers) ->
    Signs = lists:foldl(fun(#{node := Node, run := Run, worker := Worker} = Line, Map) ->
        maps:update_with({Node, Run, Worker}, fun(Lines) -> [Line | Lines] end, [Line], Map)
    end, #{}, Handlers),
    Works = lists:append([stretches(lists:reverse(Lines)) || Lines <- maps:values(Signs)]),
    [lab_check:violation(6, "two nodes run a handler for one domain at the same time", [A, EndA, B, EndB])
     || {#{node := One, at := From} = A, #{at := To} = EndA} <- Works, {#{node := Other, at := Begun} = B, #{at := Ended} = EndB} <- Works, One =/= Other,
        From =< Begun, min(To, Ended) - Begun > ?AWAKE].

stretches([First | Lines]) ->
    lists:reverse(lists:foldl(fun
        (#{at := At} = Line, [{From, #{at := Before}} | Others]) when At - Before =< ?CLOSE -> [{From, Line} | Others];
        (Line, Stretches) -> [{Line, Line} | Stretches]
    end, [{First, First}], Lines)).
