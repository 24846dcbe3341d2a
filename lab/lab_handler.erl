%% A removal handler that takes time, fails at times, and writes down when it is at work.
%%
%% It shows a sign of life every tenth of a second. A node that is stopped shows none, and a handler that was killed shows no end; so what
%% counts as its work is the time from its beginning to its last sign.
-module(lab_handler).
-behaviour(mongoose_domain_removal).

-export([remove_domain/2]).

-define(TICK, 100).

-spec remove_domain(binary(), binary()) -> ok | {error, term()}.
remove_domain(_HostType, Domain) ->
    note(Domain, <<"begin">>),
    %% One of eight takes longer than a lease.
    work(Domain, case rand:uniform(8) of 1 -> 70 + rand:uniform(20); _ -> rand:uniform(15) end),
    Result = case rand:uniform(6) of
        1 -> {error, the_store_is_full};
        2 -> erlang:error(the_store_is_broken);
        _ -> ok
    end,
    note(Domain, <<"end">>),
    Result.

work(_Domain, 0) ->
    ok;
work(Domain, Ticks) ->
    timer:sleep(?TICK),
    note(Domain, <<"tick">>),
    work(Domain, Ticks - 1).

note(Domain, Step) ->
    lab_inside:note(handler, #{domain => Domain, step => Step, worker => list_to_binary(pid_to_list(self()))}).
