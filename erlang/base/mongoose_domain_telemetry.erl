%% Events for the library `telemetry', where a system has it. This application does not depend on it: where it is not
%% loaded, nothing is measured and nothing is made.
%%
%%   telemetry:attach(mine, [mongoose_domain, change, stop], fun mine:handle_event/4, []).
%%
%% docs/events.md lists the events, each with its measurements and metadata. Lookups are not among them: they are counted
%% (mongoose_domain_core:lookups/0), and an event of each would take longer than the lookup.
-module(mongoose_domain_telemetry).

-export([execute/2, timed/3]).

-type event() :: [atom(), ...].
%% What handlers of the event get. Measurements are numbers; a `duration' is in native units of time.
-type described() :: {Measurements :: #{atom() => number() | undefined}, Metadata :: #{atom() => term()}}.

%% @doc Executes the event `[mongoose_domain | Event]'. The function is called only where there is a library to give the
%% event to.
-spec execute(event(), fun(() -> described())) -> ok.
execute(Event, Describe) ->
    case is_loaded(telemetry) of
        true ->
            {Measurements, Metadata} = Describe(),
            execute(telemetry, Event, Measurements, Metadata);
        false ->
            ok
    end.

%% @doc Does the work and returns its result. Then executes the event `[mongoose_domain | Event] ++ [stop]' with the
%% `duration' besides what the second function makes of the result. Work that fails has no event.
-spec timed(event(), fun(() -> Result), fun((Result) -> described())) -> Result.
timed(Event, Work, Describe) ->
    case is_loaded(telemetry) of
        true ->
            Begin = erlang:monotonic_time(),
            Result = Work(),
            Duration = erlang:monotonic_time() - Begin,
            {Measurements, Metadata} = Describe(Result),
            ok = execute(telemetry, Event ++ [stop], Measurements#{duration => Duration}, Metadata),
            Result;
        false ->
            Work()
    end.

is_loaded(Library) ->
    erlang:function_exported(Library, execute, 3).

%% The library is an argument, since xref and Dialyzer would miss the function of a module that is named here.
execute(Library, Event, Measurements, Metadata) ->
    Known = maps:filter(fun(_Name, Value) -> Value =/= undefined end, Measurements),
    Library:execute([mongoose_domain | Event], Known, Metadata).
