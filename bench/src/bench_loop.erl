%% The loops that are timed, and nothing else.
%%
%% A loop walks a list of names, several times over, and looks each one up. The walk
%% itself, which all loops share, is timed as a loop of its own (`loop'), and bench_lookup subtracts it. Another one calls a
%% native function that looks at nothing (`floor'). The calls into the sides are written out, since a call of a fun would cost them more than it costs the empty loop. An
%% unexpected result ends the benchmark.
%%
%% A server has parsed a name a moment before it looks it up. So the names are read once before a loop is timed and are
%% in the processor's cache. What a lookup fetches from memory is then part of the table.
-module(bench_loop).

-export([time/4]).

-export_type([side/0, answer/0]).

-type side() :: loop | floor | ets | ours.
%% What every lookup of a loop must return. The baseline searches its subdomains only when they are asked for.
-type answer() :: found | not_found | subdomain | no_subdomain.

%% @doc Walks Names this many Times, and returns the nanoseconds for each name.
-spec time(side(), answer(), [binary(), ...], pos_integer()) -> float().
time(Side, Answer, Names, Times) ->
    ok = read(Names),
    Begin = erlang:monotonic_time(),
    ok = walk(Side, Answer, Names, Times),
    End = erlang:monotonic_time(),
    erlang:convert_time_unit(End - Begin, native, nanosecond) / (length(Names) * Times).

read([Name | Names]) ->
    true = binary:first(Name) + binary:last(Name) > 0,
    read(Names);
read([]) ->
    ok.

walk(_Side, _Answer, _Names, 0) ->
    ok;
walk(Side, Answer, Names, Times) ->
    ok = walk(Side, Answer, Names),
    walk(Side, Answer, Names, Times - 1).

walk(loop, _Answer, Names) -> nothing(Names);
walk(floor, _Answer, Names) -> native_call(Names);
walk(ets, found, Names) -> ets_found(Names);
walk(ets, not_found, Names) -> ets_not_found(Names);
walk(ets, subdomain, Names) -> ets_subdomain(Names);
walk(ets, no_subdomain, Names) -> ets_no_subdomain(Names);
walk(ours, Answer, Names) when Answer =:= found; Answer =:= subdomain -> ours_found(Names);
walk(ours, Answer, Names) when Answer =:= not_found; Answer =:= no_subdomain -> ours_not_found(Names).

nothing([_Name | Names]) -> nothing(Names);
nothing([]) -> ok.

native_call([Name | Names]) ->
    1 = bench_floor:take(Name),
    native_call(Names);
native_call([]) ->
    ok.

ets_found([Name | Names]) ->
    {ok, _HostType} = bench_ets_api:get_host_type(Name),
    ets_found(Names);
ets_found([]) ->
    ok.

ets_not_found([Name | Names]) ->
    {error, not_found} = bench_ets_api:get_host_type(Name),
    ets_not_found(Names);
ets_not_found([]) ->
    ok.

ets_subdomain([Name | Names]) ->
    {ok, _HostType} = bench_ets_api:get_any_host_type(Name),
    ets_subdomain(Names);
ets_subdomain([]) ->
    ok.

ets_no_subdomain([Name | Names]) ->
    {error, not_found} = bench_ets_api:get_any_host_type(Name),
    ets_no_subdomain(Names);
ets_no_subdomain([]) ->
    ok.

ours_found([Name | Names]) ->
    {ok, _HostType} = mongoose_domain_api:get_host_type(Name),
    ours_found(Names);
ours_found([]) ->
    ok.

ours_not_found([Name | Names]) ->
    {error, not_found} = mongoose_domain_api:get_host_type(Name),
    ours_not_found(Names);
ours_not_found([]) ->
    ok.
