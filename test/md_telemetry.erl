%% Stands in a node for the library `telemetry', which no registry that the tests use has: a module of its name with the
%% documented function execute/3. It keeps the events that are executed.
%%
%%   ok = md_node:call(Node, md_telemetry, load, []),
%%   [{#{count := 1}, #{change := insert}}] = md_node:call(Node, md_telemetry, executed, [[mongoose_domain, change, stop]]).
-module(md_telemetry).

-export([load/0, unload/0, executed/1, names/0]).
-export([execute/3]).

%% @doc Loads the module.
-spec load() -> ok.
load() ->
    Arguments = [{var, 1, Name} || Name <- ['Event', 'Measurements', 'Metadata']],
    {ok, telemetry, Code} = compile:forms([
        {attribute, 1, module, telemetry},
        {attribute, 1, export, [{execute, 3}]},
        {function, 1, execute, 3, [{clause, 1, Arguments, [], [{call, 1, {remote, 1, {atom, 1, ?MODULE}, {atom, 1, execute}}, Arguments}]}]}]),
    {module, telemetry} = code:load_binary(telemetry, "telemetry.erl", Code),
    ok.

%% @doc Takes it away again, and forgets the events.
-spec unload() -> ok.
unload() ->
    true = code:delete(telemetry),
    _ = code:purge(telemetry),
    _ = persistent_term:erase(?MODULE),
    ok.

%% @doc The measurements and the metadata of each event of this name so far, oldest first.
-spec executed([atom()]) -> [{map(), map()}].
executed(Event) ->
    [{Measurements, Metadata} || {Its, Measurements, Metadata} <- lists:reverse(persistent_term:get(?MODULE, [])), Its =:= Event].

%% @doc The names of all events so far.
-spec names() -> [[atom()]].
names() ->
    [Event || {Event, _Measurements, _Metadata} <- lists:reverse(persistent_term:get(?MODULE, []))].

%% @private As telemetry:execute/3.
-spec execute([atom()], #{atom() => number()}, map()) -> ok.
execute(Event, Measurements, Metadata) ->
    _ = global:trans({?MODULE, self()}, fun() ->
        persistent_term:put(?MODULE, [{Event, Measurements, Metadata} | persistent_term:get(?MODULE, [])])
    end, [node()]),
    ok.
