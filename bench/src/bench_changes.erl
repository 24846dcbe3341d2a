%% Domains that are disabled, enabled and deleted through the API, beside additions of as many.
%%
%% A round adds domains, disables each of them, enables each, and deletes each, by one caller and then by several at the
%% same time. The host type has no removal handlers, so a deletion ends when its row is gone. Every call ends when this
%% node's table shows the change. In each round the time of a change is divided by that of the round's own additions.
-module(bench_changes).

-export([run/2]).

-define(HOST_TYPE, <<"type1">>).
-define(KINDS, [add, disable, enable, delete]).

%% @doc Measures so many Rounds. Sizes says how many callers there are, and how many domains they change together. The
%% application is configured to follow the database.
-spec run(pos_integer(), [{Callers :: pos_integer(), Domains :: pos_integer()}]) -> [bench:result()].
run(Rounds, Sizes) ->
    ok = bench_node:start(),
    %% The first round opens the connections, and is not counted.
    [_ | Measured] = [[{Callers, round(Callers, Domains, Round)} || {Callers, Domains} <- Sizes]
                      || Round <- lists:seq(0, Rounds)],
    [result(Kind, Callers, Domains, proplists:get_all_values(Callers, lists:append(Measured)))
     || {Callers, Domains} <- Sizes, Kind <- ?KINDS].

round(Callers, Domains, Round) ->
    Names = [iolist_to_binary(io_lib:format("changed~b.round~b.callers~b.example", [Number, Round, Callers]))
             || Number <- lists:seq(1, Domains)],
    [{Kind, bench_callers:share(Callers, Names, fun(Name) -> change(Kind, Name) end)} || Kind <- ?KINDS].

change(Kind, Name) ->
    {ok, _} = case Kind of
        add -> mongoose_domain_api:insert_domain(Name, ?HOST_TYPE);
        disable -> mongoose_domain_api:disable_domain(Name);
        enable -> mongoose_domain_api:enable_domain(Name);
        delete -> mongoose_domain_api:delete_domain(Name, ?HOST_TYPE)
    end,
    ok.

result(Kind, Callers, Domains, Rounds) ->
    Loads = [proplists:get_value(Kind, Round) || Round <- Rounds],
    Longer = [map_get(rate, proplists:get_value(add, Round)) / map_get(rate, proplists:get_value(Kind, Round))
              || Round <- Rounds],
    Summaries = [bench_stats:summary(Milliseconds) || #{milliseconds := Milliseconds} <- Loads],
    {changes, #{
        what => Kind, callers => Callers, domains => Domains, rounds => length(Rounds), unit => ms,
        rate => bench_stats:summary([Rate || #{rate := Rate} <- Loads]),
        p50 => bench_stats:median([map_get(median, Summary) || Summary <- Summaries]),
        p99 => bench_stats:median([map_get(p99, Summary) || Summary <- Summaries]),
        times_as_long => bench_stats:median(Longer)
    }}.
