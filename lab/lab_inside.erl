%% What the laboratory runs inside a node: readers who look up all the time, and writers of what they see.
%%
%% A reader looks all names up every few milliseconds and writes down each answer that is another one than before, so between two lines
%% about a name its answer was the same. Every second it writes how many lookups there were, how many failed, and the processor
%% time of the slowest pass: the largest that any scheduler's thread used meanwhile, which no lookup of the pass can have exceeded.
-module(lab_inside).

-export([start/1, look_up/1, note/2, call/3]).
%% The callback of the logger.
-export([log/2]).

-define(PAUSE, 5).
-define(SECOND, 1000000).

%% @doc Begins to write down the log. `node' and `run' are in each line.
-spec start(#{file := file:filename(), node := pos_integer(), run := pos_integer()}) -> ok.
start(#{file := File, node := Node, run := Run}) ->
    ok = lab_history:open(File),
    persistent_term:put(?MODULE, #{node => Node, run => Run}),
    ok = logger:set_primary_config(level, notice),
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => notice}),
    note(started, #{}).

%% @doc Begins to look these names up.
-spec look_up([binary()]) -> ok.
look_up(Names) ->
    _ = spawn(fun() -> watch(Names) end),
    _ = spawn(fun() -> measure() end),
    ok.

%% @doc Writes a line with the node's number.
-spec note(atom(), #{atom() => term()}) -> ok.
note(Kind, Fields) ->
    lab_history:note(Kind, maps:merge(persistent_term:get(?MODULE), Fields)).

%% @doc Calls a function of the API and looks the domain up as soon as it has returned.
-spec call(binary(), atom(), [term()]) -> #{from := integer(), to := integer(), result := term(), sees := binary() | null}.
call(Domain, Function, Arguments) ->
    From = lab_history:now(),
    Result = try apply(mongoose_domain_api, Function, Arguments) catch Class:Reason -> {Class, Reason} end,
    Sees = shown(Domain),
    #{from => From, to => lab_history:now(), result => Result, sees => Sees}.

shown(Domain) ->
    case mongoose_domain_api:get_host_type(Domain) of
        {ok, HostType} -> HostType;
        {error, not_found} -> null
    end.

watch(Names) ->
    watch(Names, #{}, empty_beat()).

empty_beat() ->
    #{since => lab_history:now(), lookups => 0, failed => 0, slowest => 0}.

watch(Names, Before, Beat0) ->
    Began = lab_history:now(),
    Used = processor_times(),
    {Now, Failed} = lists:foldl(fun(Name, {Answers, Failures}) ->
        try {Answers#{Name => shown(Name)}, Failures}
        catch
            %% The node stops, as it was asked to.
            error:{not_running, mongoose_domain} -> {Answers, Failures};
            _:_ -> {Answers, Failures + 1}
        end
    end, {Before, 0}, Names),
    Slowest = lists:max([0 | [After - maps:get(Thread, Used, After) || {Thread, After} <- maps:to_list(processor_times())]]),
    Ended = lab_history:now(),
    _ = [note(shows, #{at => Began, to => Ended, domain => Name, value => Value})
         || {Name, Value} <- maps:to_list(Now), maps:get(Name, Before, never) =/= Value],
    #{since := Since, lookups := Lookups, failed := Failures, slowest := Slower} = Beat0,
    Beat = Beat0#{lookups := Lookups + length(Names), failed := Failures + Failed, slowest := max(Slower, Slowest)},
    timer:sleep(?PAUSE),
    case lab_history:now() - Since > ?SECOND of
        true ->
            note(beat, maps:remove(since, Beat)),
            watch(Names, Now, empty_beat());
        false ->
            watch(Names, Now, Beat)
    end.

%% The processor time of each scheduler's thread, in microseconds.
processor_times() ->
    maps:from_list([{Task, time_of(Task)} || Task <- scheduler_threads()]).

time_of(Task) ->
    {ok, Text} = file:read_file(Task ++ "/schedstat"),
    [Nanoseconds | _] = string:lexemes(binary_to_list(Text), " "),
    list_to_integer(Nanoseconds) div 1000.

scheduler_threads() ->
    case persistent_term:get({?MODULE, threads}, undefined) of
        undefined ->
            Threads = [Task || Task <- filelib:wildcard("/proc/self/task/*"),
                               {ok, Name} <- [file:read_file(Task ++ "/comm")], re:run(Name, "^erts_sched_|_scheduler$") =/= nomatch],
            persistent_term:put({?MODULE, threads}, Threads),
            Threads;
        Threads ->
            Threads
    end.

%% What may grow.
measure() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Resident]} = re:run(Status, "VmRSS:\\s+([0-9]+)", [{capture, all_but_first, binary}]),
    note(size, #{processes => erlang:system_info(process_count), memory_kb => binary_to_integer(Resident),
                 files => length(filelib:wildcard("/proc/self/fd/*")), threads => length(filelib:wildcard("/proc/self/task/*")),
                 atoms => erlang:system_info(atom_count), ports => erlang:system_info(port_count)}),
    timer:sleep(5000),
    measure().

-spec log(logger:log_event(), logger:handler_config()) -> term().
log(#{level := Level, msg := {report, #{what := What} = Report}}, _Config) ->
    note(log, #{level => Level, what => What, text => text(maps:remove(what, Report))});
log(#{level := Level, msg := Message}, _Config) ->
    note(log, #{level => Level, what => other, text => text(Message)}).

text(Term) ->
    unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
