%% Checks that nodes answer lookups throughout a fault of the database.
%%
%%   Watch = md_watch:start(Nodes, [<<"untouched.example">>]),      % which all of them serve
%%   ...,                                                           % the fault
%%   ok = md_watch:stop(Watch).                                     % fails when a lookup found nothing
%%
%% The domains are looked up inside the nodes, every few milliseconds. A node that stops meanwhile fails the check, so
%% watch only nodes that run throughout.
-module(md_watch).

-export([start/2, stop/1]).

-export_type([t/0]).

-opaque t() :: [{md_node:t(), Looker :: pid()}].

%% @doc Looks the domains up on each of these nodes from now on.
-spec start([md_node:t()], [binary()]) -> t().
start(Nodes, Domains) ->
    [{Node, md_node:call(Node, md_looker, start_calm, [Domains])} || Node <- Nodes].

%% @doc Stops, and fails when any lookup did not find its domain.
-spec stop(t()) -> ok.
stop(Watch) ->
    Counts = [md_node:call(Node, md_looker, stop, [Looker]) || {Node, Looker} <- Watch],
    case [Count || {_Lookups, [_ | _]} = Count <- Counts] of
        [] -> ok;
        Unanswered -> erlang:error({lookups_were_not_answered, Unanswered})
    end.
