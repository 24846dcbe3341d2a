%% Domains added through the API, beside a psql that adds them by plain SQL.
%%
%% An addition writes its row, its event and a notification in one transaction, and ends when this node's table shows
%% the domain. psql reads as many transactions from a file and executes them on one connection: each is a row and its
%% event, in one message to the server. Its time does not include that a node shows the domains.
-module(bench_operations).

-export([run/5]).

-define(HOST_TYPE, <<"type1">>).
-define(BATCH, 1000).
%% How many milliseconds the follower may take for domains that others added.
-define(LONG, 60000).
%% The number of additions whose round trips are counted.
-define(COUNTED, 100).

%% @doc Measures this many Rounds of Additions each, in turns with psql, which reads its own from File, and then counts
%% round trips. The application is configured to follow the database.
-spec run(pos_integer(), pos_integer(), string(), file:filename(), file:filename()) -> [bench:result()].
run(Additions, Rounds, Url, Psql, File) ->
    {module, bench_psql} = code:ensure_loaded(bench_psql),
    ok = bench_node:start(),
    Yardstick = fun(Names) -> bench_psql:add(Psql, Url, File, Names, ?HOST_TYPE) end,
    Sides = [one_caller, eight_callers, batches, psql],
    %% The first additions open the connections.
    _ = [add(Side, {warm, Side}, ?BATCH, Yardstick) || Side <- Sides],
    Turns = [{Side, add(Side, {Round, Side}, Additions, Yardstick)} || Round <- lists:seq(1, Rounds), Side <- Sides],
    Rate = maps:from_list([{Side, bench_stats:summary([R || {S, R} <- Turns, S =:= Side])} || Side <- Sides]),
    #{psql := #{median := Beside}} = Rate,
    [{additions, #{side => Side, additions => Additions, rounds => Rounds, unit => additions_a_second,
                   rate => map_get(Side, Rate), times_as_fast => map_get(median, map_get(Side, Rate)) / Beside}}
     || Side <- Sides] ++ [round_trips(Url)].

%% Returns additions a second.
add(psql, Round, Count, Yardstick) ->
    Count / Yardstick(names(Round, Count));
add(Side, Round, Count, _Yardstick) ->
    Names = names(Round, Count),
    %% The follower reads what psql added before the time begins.
    ok = service_domain_db:sync_local(?LONG),
    {Microseconds, ok} = timer:tc(fun() -> add(Side, Names) end),
    Count * 1000000 / Microseconds.

add(one_caller, Names) ->
    lists:foreach(fun add_one/1, Names);
add(eight_callers, Names) ->
    Parts = parts(Names, (length(Names) + 7) div 8),
    Callers = [spawn_monitor(fun() -> lists:foreach(fun add_one/1, Part) end) || Part <- Parts],
    lists:foreach(fun({Pid, Monitor}) -> receive {'DOWN', Monitor, process, Pid, normal} -> ok end end, Callers);
add(batches, Names) ->
    lists:foreach(fun(Part) ->
        lists:foreach(fun({ok, _}) -> ok end, mongoose_domain_api:insert_domains([{Name, ?HOST_TYPE} || Name <- Part]))
    end, parts(Names, ?BATCH)).

add_one(Name) ->
    {ok, _} = mongoose_domain_api:insert_domain(Name, ?HOST_TYPE).

parts(Names, Length) when length(Names) =< Length -> [Names];
parts(Names, Length) ->
    {Part, Rest} = lists:split(Length, Names),
    [Part | parts(Rest, Length)].

%% Names that no other round uses.
names(Round, Count) ->
    Unique = erlang:phash2(Round),
    [iolist_to_binary(io_lib:format("added~b.round~b.operations.example", [N, Unique])) || N <- lists:seq(1, Count)].

%% Counts those of the connections that add, not those of the follower's.
round_trips(Url) ->
    {Relay, RelayUrl} = bench_relay:start(Url, <<"INSERT INTO domain_settings">>),
    ok = bench_node:stop(),
    ok = bench_node:configure(RelayUrl),
    ok = bench_node:start(),
    ok = add(one_caller, names(first, 1)),
    Before = bench_relay:round_trips(Relay),
    ok = add(one_caller, names(counted, ?COUNTED)),
    RoundTrips = bench_relay:round_trips(Relay) - Before,
    ok = bench_node:stop(),
    {round_trips, #{additions => ?COUNTED, round_trips => RoundTrips}}.
