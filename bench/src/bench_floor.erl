%% The least that a lookup by a native function can cost: a call of one that takes the name and looks at nothing.
-module(bench_floor).

-export([take/1]).

-on_load(load/0).
-nifs([take/1]).

load() ->
    erlang:load_nif(filename:rootname(code:which(?MODULE)), 0).

%% @doc Returns 1.
-spec take(binary()) -> 1.
take(_Name) ->
    erlang:nif_error(not_loaded).
