%% Watches nodes through a fault: whatever happens to the database, lookups are answered.
%%
%%   Watch = md_watch:start(Nodes, [<<"untouched.example">>]),      % which all of them serve
%%   ...,                                                           % the fault
%%   ok = md_watch:stop(Watch).                                     % fails when a lookup found nothing
%%
%% The domains are looked up in the nodes themselves, every few milliseconds. A node that was not running in
%% between is no fault of the database's: watch those that run throughout.
-module(md_watch).

-export([start/2, stop/1]).

-export_type([t/0]).

-opaque t() :: [{md_node:t(), Looker :: pid()}].

%% @doc Looks the domains up on each of these nodes from now on.
-spec start([md_node:t()], [binary()]) -> t().
start(Nodes, Domains) ->
    [{Node, md_node:call(Node, md_looker, start_calm, [Domains])} || Node <- Nodes].

%% @doc No more, and every one found its domain.
-spec stop(t()) -> ok.
stop(Watch) ->
    Counts = [md_node:call(Node, md_looker, stop, [Looker]) || {Node, Looker} <- Watch],
    case [Count || {_Lookups, [_ | _]} = Count <- Counts] of
        [] -> ok;
        Unanswered -> erlang:error({lookups_were_not_answered, Unanswered})
    end.
