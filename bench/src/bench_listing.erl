%% All domains of one host type as a list: ours, in bounded pages, beside ets:match/2, in one call.
%%
%% This shows the price of pages: ours visits every domain, as ets:match/2 does, but returns to the scheduler after each
%% page.
-module(bench_listing).

-export([run/3]).

%% @doc Lists the domains of one host type, in a table that already holds this many Domains.
-spec run(pos_integer(), binary(), pos_integer()) -> bench:result().
run(Domains, HostType, Rounds) ->
    Timings = [{time(fun() -> bench_ets:get_domains_by_host_type(HostType) end),
                time(fun() -> mongoose_domain_api:get_domains_by_host_type(HostType) end)}
               || _ <- lists:seq(1, Rounds)],
    {EtsTimings, OursTimings} = lists:unzip(Timings),
    {Counts, EtsTimes} = lists:unzip(EtsTimings),
    {Counts, OursTimes} = lists:unzip(OursTimings),
    {Ets, Ours} = {bench_stats:summary(EtsTimes), bench_stats:summary(OursTimes)},
    {listing, #{
        domains => Domains, listed => hd(Counts), rounds => Rounds, unit => ms, ets => Ets, ours => Ours,
        times_as_fast => map_get(median, Ets) / map_get(median, Ours)
    }}.

%% In a new process, so that each list starts with an empty heap.
time(List) ->
    Parent = self(),
    Pid = spawn_link(fun() ->
        {Microseconds, Domains} = timer:tc(List),
        Parent ! {self(), {length(Domains), Microseconds / 1000}}
    end),
    receive {Pid, Timing} -> Timing end.
