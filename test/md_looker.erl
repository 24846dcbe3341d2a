%% Looks domains up inside a node, without a pause or now and then, and inspects the application's processes.
-module(md_looker).

-export([start/1, start_calm/1, stop/1]).
-export([everything_shown/0, everything_printed/0, operations_hold/1, crash_operations/0, set_retry/2, next_pause/1]).

-define(SUPERVISORS, [mongoose_domain_sup, mongoose_domain_database_sup]).

%% @doc Starts a process that looks these domains up without a pause, until stop/1.
-spec start([binary()]) -> pid().
start(Domains) ->
    spawn(fun() -> look(Domains, 0, 0, []) end).

%% @doc Starts one that looks them up every few milliseconds and leaves the processor to others.
-spec start_calm([binary()]) -> pid().
start_calm(Domains) ->
    spawn(fun() -> look(Domains, 3, 0, []) end).

%% @doc Returns how many lookups it made, and the answers that were not {ok, HostType}.
-spec stop(pid()) -> {non_neg_integer(), [term()]}.
stop(Looker) ->
    Looker ! {stop, self()},
    receive {Looker, Lookups, Failures} -> {Lookups, Failures} end.

%% Looks them up at least once.
look(Domains, Pause, LookupsBefore, FailuresBefore) ->
    Failed = [{Domain, Answer} || Domain <- Domains, Answer <- [look_up(Domain)],
                                  element(1, Answer) =/= ok],
    {Lookups, Failures} = {LookupsBefore + length(Domains), lists:sublist(Failed ++ FailuresBefore, 10)},
    receive
        {stop, From} -> From ! {self(), Lookups, Failures}
    after Pause ->
        look(Domains, Pause, Lookups, Failures)
    end.

look_up(Domain) ->
    try
        mongoose_domain_api:get_host_type(Domain)
    catch
        Class:Reason -> {Class, Reason}
    end.

%% @doc Everything that the node shows: the log, the status, the supervisor's children, and the states, dictionaries and
%% messages of the application's processes.
-spec everything_shown() -> [{Place :: term(), term()}].
everything_shown() ->
    Children = children(),
    Pids = [{mongoose_domain_sup, whereis(mongoose_domain_sup)} | [{Id, Pid} || {Id, Pid, _, _} <- Children, is_pid(Pid)]],
    [{log, md_log:all()},
     {status, service_domain_db:status()},
     {children, Children},
     {child_specifications, [supervisor:get_childspec(Supervisor, Id)
                             || Supervisor <- ?SUPERVISORS, {Id, _, _, _} <- supervisor:which_children(Supervisor)]}]
        ++ [{{state, Id}, sys:get_state(Pid)} || {Id, Pid} <- Pids]
        ++ [{{status, Id}, sys:get_status(Pid)} || {Id, Pid} <- Pids]
        ++ [{{process, Id}, process_info(Pid, [dictionary, messages, initial_call])} || {Id, Pid} <- Pids].

children() ->
    lists:append([supervisor:which_children(Supervisor) || Supervisor <- ?SUPERVISORS]).

%% @doc The same as printed text, without the states, which a suspended process does not return.
-spec everything_printed() -> [{Place :: term(), string()}].
everything_printed() ->
    Messages = [{{process, Id}, process_info(Pid, [dictionary, messages, backtrace])}
                || {Id, Pid, _, _} <- children(), is_pid(Pid)],
    [{Place, lists:flatten(io_lib:format("~tp", [Shown]))} || {Place, Shown} <- [{log, md_log:all()} | Messages]].

%% @doc Whether a request with this text waits in the message queue of the server of operations. The text is inside a
%% fun, since a printed fun does not show it; this function opens the fun.
-spec operations_hold(binary()) -> boolean().
operations_hold(Text) ->
    {messages, Messages} = process_info(whereis(mongoose_domain_operations), messages),
    Requests = [erlang:fun_info(Submit, env) || {'$gen_call', _From, {run, Submit}} <- Messages],
    binary:match(term_to_binary(Requests), Text) =/= nomatch.

%% @doc Crashes the server of operations with an answer that belongs to no request, so that it prints a crash report.
-spec crash_operations() -> ok.
crash_operations() ->
    Name = mongoose_domain_operations,
    md_wait:until(fun() -> is_pid(whereis(Name)) end),
    Before = whereis(Name),
    _ = Name ! {domain_operation, 1 bsl 62, {ok, ok}},
    md_wait:until(fun() -> is_pid(whereis(Name)) andalso whereis(Name) =/= Before end).

%% @doc Sets the service's state as if it had started its thread that many milliseconds ago, after such a pause.
-spec set_retry(Pause :: pos_integer(), Age :: non_neg_integer()) -> ok.
set_retry(Pause, Age) ->
    Started = erlang:monotonic_time(millisecond) - Age,
    _ = sys:replace_state(service_domain_db, fun({state, Follower, Waiting, Ticket, Retry, Scope}) ->
        {retry, _Pause, _Started, Said} = Retry,
        {state, Follower, Waiting, Ticket, {retry, Pause, Started, Said}, Scope}
    end),
    ok.

%% @doc The length of the next pause of this process.
-spec next_pause(atom()) -> pos_integer().
next_pause(Name) ->
    [Pause] = [Pause || {retry, Pause, _Started, _Said} <- tuple_to_list(sys:get_state(Name))],
    Pause.
