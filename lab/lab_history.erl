%% The history of a run: what was called, answered, seen and broken, one JSON object a line, each with its time.
%%
%% Every VM of the laboratory writes files of its own, so that a node that is killed loses no line that it has written:
%%
%%   ok = lab_history:open("/.../node-1-1.jsonl"),
%%   ok = lab_history:note(shows, #{node => 1, domain => <<"a.example">>, value => null}),
%%   [#{at := _, kind := <<"shows">>, domain := <<"a.example">>} | _] = lab_history:read("/...").
%%
%% Times are microseconds of the system's clock, which all processes of a machine share, PostgreSQL's `clock_timestamp()' included.
%% The laboratory runs on one machine and sets no clock.
-module(lab_history).

-export([open/1, note/2, now/0, read/1]).

-export_type([line/0]).

-compile({no_auto_import, [now/0]}).

%% A line of the history. Its `kind' says which other keys it has: lab_check has them all.
-type line() :: #{at := integer(), kind := binary(), atom() => term()}.

%% @doc Opens this VM's file.
-spec open(file:filename()) -> ok.
open(File) ->
    Caller = self(),
    {Keeper, Monitor} = spawn_monitor(fun() ->
        {ok, Device} = file:open(File, [append, raw, binary]),
        persistent_term:put(?MODULE, self()),
        Caller ! {self(), open},
        keep(Device)
    end),
    receive
        {Keeper, open} -> true = demonitor(Monitor, [flush]), ok;
        {'DOWN', Monitor, process, Keeper, Reason} -> erlang:error(Reason)
    end.

keep(Device) ->
    receive
        {line, Line} ->
            ok = file:write(Device, Line),
            keep(Device)
    end.

%% @doc Writes a line, with the present time where it has no `at' of its own.
-spec note(atom(), #{atom() => term()}) -> ok.
note(Kind, Fields) ->
    Line = maps:merge(#{at => now()}, Fields#{kind => Kind}),
    persistent_term:get(?MODULE) ! {line, [md_json:encode(Line), $\n]},
    ok.

%% @doc The time, as the history has it.
-spec now() -> integer().
now() ->
    os:system_time(microsecond).

%% @doc All lines of all files in this directory, in the order of their times.
-spec read(file:filename()) -> [line()].
read(Directory) ->
    Lines = lists:append([lines(File) || File <- filelib:wildcard(filename:join(Directory, "*.jsonl"))]),
    lists:sort(fun(#{at := A}, #{at := B}) -> A =< B end, Lines).

%% The last line of a VM that was killed may be cut off.
lines(File) ->
    {ok, Text} = file:read_file(File),
    [Whole || Line <- binary:split(Text, <<"\n">>, [global, trim_all]), Whole <- decoded(Line)].

decoded(Line) ->
    try [maps:fold(fun(Key, Value, Map) -> Map#{binary_to_atom(Key) => Value} end, #{}, md_json:decode(Line))]
    catch error:_ -> []
    end.
