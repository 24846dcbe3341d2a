%% A stand-in for MongooseIM, written from what is known of it: its modules as far as mongoose_domain calls them, and the
%% order of its start.
%%
%%   ok = mim:start(#{hosts => [..], host_types => [..], outgoing_pools => [..], service => #{..}}).
%%
%% The modules beside this one (mongoose_config, ejabberd_sup, …) have MongooseIM's names and record their calls here. A
%% behaviour is set by behave/2: what a function returns, or that it crashes.
-module(mim).

-export([start/1, stop/0, process_section/2]).
-export([behave/2, calls/0, take_calls/0]).
%% For the stand-ins.
-export([option/1, called/3]).

-type behaviour() :: term() | crash | noproc.

%% @doc Parses, starts the supervisor, then the service where the configuration has it. Returns when that is done.
-spec start(#{atom() => term()}) -> ok | {error, term()}.
start(Config) ->
    ok = persistent_term:put({?MODULE, config}, Config),
    Self = self(),
    {Pid, Monitor} = spawn_monitor(fun() -> run(Self, Config) end),
    receive
        {Pid, Result} -> demonitor(Monitor, [flush]), Result;
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

%% Stands for the application's master: the supervisor ends with it, and it with the supervisor.
run(Caller, Config) ->
    true = register(?MODULE, self()),
    process_flag(trap_exit, true),
    case ejabberd_sup:start_link() of
        {ok, Supervisor} ->
            Caller ! {self(), started_service(Config)},
            receive
                stop ->
                    exit(Supervisor, shutdown),
                    receive {'EXIT', Supervisor, _} -> ok end;
                {'EXIT', Supervisor, _} -> ok
            end;
        {error, Reason} -> Caller ! {self(), {error, Reason}}
    end.

started_service(#{service := Options}) ->
    try service_domain_db:start(Options) of
        {ok, _} -> ok
    catch
        error:Reason -> {error, Reason}
    end;
started_service(#{}) ->
    ok.

%% @doc Stops it, as the end of its application does.
-spec stop() -> ok.
stop() ->
    Monitor = monitor(process, ?MODULE),
    ?MODULE ! stop,
    receive {'DOWN', Monitor, process, _, _} -> ok end.

%% @doc What the configuration makes of a section, by its specification: `{error, Key}' for a value that it refuses.
-spec process_section(tuple(), #{binary() => term()}) -> {ok, map()} | {error, binary()}.
process_section({section, Items, any, [], any, map, [], Defaults, default, when_present}, Given) ->
    Values = maps:merge(Defaults, Given),
    case [Key || {Key, Value} <- maps:to_list(Values), not is_right(maps:get(Key, Items, none), Value)] of
        [] -> {ok, maps:from_list([{binary_to_atom(Key), atom_of_text(map_get(Key, Items), Value)}
                                   || {Key, Value} <- maps:to_list(Values)])};
        [Wrong | _] -> {error, Wrong}
    end.

is_right({option, integer, positive, [], default}, Value) -> is_integer(Value) andalso Value > 0;
is_right({option, atom, pool_name, [], default}, Value) -> Value =/= <<>> andalso (is_atom(Value) orelse is_binary(Value));
is_right(none, _Value) -> false.

atom_of_text({option, atom, _, _, _}, Text) when is_binary(Text) -> binary_to_atom(Text);
atom_of_text(_Option, Value) -> Value.

%% @doc Has a function of a stand-in return this, or crash.
-spec behave({module(), atom()}, behaviour()) -> ok.
behave(Function, Behaviour) ->
    persistent_term:put({?MODULE, behaviour, Function}, Behaviour).

%% @doc All calls of the stand-ins, oldest first.
-spec calls() -> [{module(), atom(), [term()]}].
calls() ->
    lists:reverse(persistent_term:get({?MODULE, calls}, [])).

%% @doc The same, and forgets them.
-spec take_calls() -> [{module(), atom(), [term()]}].
take_calls() ->
    Calls = calls(),
    persistent_term:put({?MODULE, calls}, []),
    Calls.

%% @private An option of the configuration.
-spec option(atom()) -> term().
option(Key) ->
    map_get(Key, persistent_term:get({?MODULE, config})).

%% @private Records the call of a stand-in.
-spec called(module(), atom(), [term()]) -> term().
called(Module, Function, Args) ->
    global:trans({?MODULE, self()}, fun() ->
        persistent_term:put({?MODULE, calls}, [{Module, Function, Args} | persistent_term:get({?MODULE, calls}, [])])
    end, [node()]),
    case persistent_term:get({?MODULE, behaviour, {Module, Function}}, ok) of
        crash -> erlang:error(told_to_crash);
        noproc -> exit({noproc, {gen_server, call, [Module, Function]}});
        Answer -> Answer
    end.
