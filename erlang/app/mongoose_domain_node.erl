%% A node that runs as a service by itself, as the packages start it: `-s mongoose_domain_node'.
%%
%% - It tells systemd when the applications run, when it reads its configuration, and when it stops (sd_notify: a datagram
%%   to the socket that NOTIFY_SOCKET names). Without that variable it tells nobody.
%% - SIGHUP reads the configuration again (mongoose_domain_reload).
%%
%% A node whose release has other applications does this itself, since `mongoose_domain' knows nothing of their state.
-module(mongoose_domain_node).
-behaviour(gen_event).

-export([start/0, check/1]).
-export([init/1, handle_event/2, handle_info/2, handle_call/2]).

%% What reads the configuration, and whether another signal came meanwhile: then it is read once more, since the file
%% may have changed after it was read.
-type state() :: idle | {reading, Monitor :: reference(), Next :: none | again}.

%% @doc Handles signals from now on, and tells systemd that the node is ready. The applications run.
-spec start() -> ok.
start() ->
    %% Without a shell, OTP before 26 takes standard output to be Latin-1.
    ok = io:setopts(user, [{encoding, unicode}]),
    ok = gen_event:add_handler(erl_signal_server, ?MODULE, []),
    ok = os:set_signal(sighup, handle),
    notify("READY=1").

%% @doc Checks the file of the configuration in a VM of its own, prints what is wrong, and ends the VM: with 0 if nothing is.
-spec check([atom()]) -> no_return().
check([File]) ->
    ok = io:setopts(user, [{encoding, unicode}]),
    ok = application:load(mongoose_domain),
    case mongoose_domain_reload:read([atom_to_list(File)]) of
        {ok, _Environments} -> halt(0);
        {error, {not_read, Path, Reason}} -> wrong("~ts: ~ts", [Path, Reason]);
        {error, {wrong_configuration, Problem}} ->
            Text = mongoose_domain_log:format(Problem#{what => wrong_configuration},
                                              #{single_line => true, chars_limit => unlimited, depth => unlimited}),
            wrong("~ts: ~ts", [File, Text])
    end.

-spec wrong(string(), [term()]) -> no_return().
wrong(Format, Values) ->
    io:format(standard_error, Format ++ "~n", Values),
    halt(1).

%% In the process that gets the VM's signals

-spec init([]) -> {ok, state()}.
init([]) ->
    {ok, idle}.

-spec handle_event(term(), state()) -> {ok, state()}.
handle_event(sighup, idle) ->
    {ok, read()};
handle_event(sighup, {reading, Monitor, _Next}) ->
    {ok, {reading, Monitor, again}};
handle_event(sigterm, State) ->
    ok = notify("STOPPING=1"),
    {ok, State};
handle_event(_Other, State) ->
    {ok, State}.

-spec handle_info(term(), state()) -> {ok, state()}.
handle_info({'DOWN', Monitor, process, _, _}, {reading, Monitor, again}) ->
    {ok, read()};
handle_info({'DOWN', Monitor, process, _, Reason}, {reading, Monitor, none}) ->
    Status = case Reason of
        {read, Text} -> Text;
        _Crash -> "the configuration was not read; the log says why"
    end,
    ok = notify(["READY=1\nSTATUS=", Status]),
    {ok, idle};
handle_info(_Other, State) ->
    {ok, State}.

-spec handle_call(term(), state()) -> {ok, {error, unknown_call}, state()}.
handle_call(_Request, State) ->
    {ok, {error, unknown_call}, State}.

%% In a process of its own, so that the node can be stopped meanwhile.
read() ->
    ok = notify("RELOADING=1"),
    {_Pid, Monitor} = spawn_monitor(fun read_and_exit/0),
    {reading, Monitor, none}.

-spec read_and_exit() -> no_return().
read_and_exit() ->
    exit({read, status(mongoose_domain_reload:reload())}).

status({ok, #{needs_restart := []}}) -> "the configuration was read";
status({ok, #{needs_restart := _}}) -> "the configuration was read; some of it needs a restart, which the log names";
status({error, _Problem}) -> "the configuration is wrong and was left as it was; the log says why".

%% A name that begins with @ is one of Linux' abstract namespace.
notify(Text) ->
    case os:getenv("NOTIFY_SOCKET") of
        false -> ok;
        Name -> notify(Name, Text)
    end.

notify(Name, Text) ->
    Address = case Name of
        [$@ | Abstract] -> [0 | Abstract];
        Path -> Path
    end,
    {ok, Socket} = gen_udp:open(0, [local]),
    %% A service manager that is not there stops no node.
    _ = gen_udp:send(Socket, {local, Address}, 0, Text),
    gen_udp:close(Socket).
