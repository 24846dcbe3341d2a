%% The checker: reads a history and finds where it breaks one of the eight rules.
%%
%%   [] = lab_check:violations(lab_history:read(Directory)).
%%
%%   1  no acknowledged change is lost unless the database lost it, and then the route is kept        lab_check_routes
%%   2  no route goes that nothing asked to go                                                         lab_check_routes
%%   3  who changed something sees it on that node from the answer on                                  lab_check_routes
%%   4  every node shows what it showed before or something newer                                      lab_check_routes
%%   5  no lookup fails, or takes longer than 50 ms of processor time                                  lab_check_bounds
%%   6  no handler runs for a domain that is alive, nor on two nodes at once                           lab_check_handlers
%%   7  after the faults all tables are equal to the database, within a stated time                    lab_check_bounds
%%   8  nothing grows without bound                                                                    lab_check_bounds
%%
%% A violation names its rule, says what is wrong, and has the lines that show it, and no others.
%%
%% The kinds of lines: `op' is a call with its answer, between `from' and `to'; `shows' is what a node's lookups answer from this line to
%% the next one about the domain; `journal' is a change as the database has it; `handler' is a sign of a removal handler at work;
%% `primary' is who was the primary from this time on; `log' is an event in a node's log; `beat' and `size' are measurements; `final',
%% `rows', `settled' and `unsettled' come after the faults; `fault' is a fault that began or ended.
-module(lab_check).

-export([violations/1, violation/3]).

-export_type([violation/0]).

-type violation() :: #{rule := 1..8, text := binary(), piece := [lab_history:line()]}.

-spec violations([lab_history:line()]) -> [violation()].
violations(Lines) ->
    lab_check_routes:violations(Lines) ++ lab_check_handlers:violations(Lines) ++ lab_check_bounds:violations(Lines).

%% @private
-spec violation(1..8, iodata(), [lab_history:line()]) -> violation().
violation(Rule, Text, Piece) ->
    #{rule => Rule, text => unicode:characters_to_binary(Text), piece => lists:sort(fun(#{at := A}, #{at := B}) -> A =< B end, Piece)}.
