%% Owns the admin program, which speaks HTTP for this node.
%%
%% The program (priv/bin/domain_admin) runs as a port: no HTTP, TLS or GraphQL code runs inside the VM. It sends requests
%% in frames of Erlang terms. A process for each request calls mongoose_domain_api (see mongoose_domain_admin_request), up
%% to a limit. Only a request for the host types that serve some names (`/ask') is answered by this process: a lookup takes
%% less time than a process, and the program has one such request open at a time.
%%
%% When the program ends, it is started again: at once, if it had listened; with growing pauses, if not (its port is taken,
%% or the program is not there, say). A ping is sent every few seconds, and a program that hangs is killed. When this
%% process ends, the port closes, and the program ends itself; in an orderly stop it is killed, since it may hang. It keeps
%% no state.
%%
%% Nothing on the node waits for the program, not even this process: a writer process waits while the pipe is full (see
%% write_frames/1).
%%
%% With each ping, the password is read again where the configuration keeps it, so that a new one needs no restart. A
%% process of its own reads it: a file may lie on a disk that hangs.
%%
%% The program gets its configuration over the port: others on this machine could read an argument or an environment
%% variable. Its standard error is the node's.
-module(mongoose_domain_admin).
-behaviour(gen_server).

-export([start_link/0, url/0, ask_url/0]).
-export([events/0, answer_and_end/2, read_credentials/1, write_frames/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, format_status/1]).

-include("../base/mongoose_domain_log.hrl").

%% Requests that are answered at the same time. The program has at most half as many open: nearly all of them wait for the
%% end of a removal, which costs a process and nothing else.
-define(WORKERS, 10000).
%% The pause before a program that had listened is started again, in milliseconds.
-define(PAUSE, 50).
%% The time between two pings, in milliseconds, and how many may stay without an answer before the program is killed: it
%% may have many frames to read first, on a busy machine.
-define(HEARTBEAT, 5000).
-define(PATIENCE, 3).

-record(state, {
    port :: port() | undefined,
    %% Writes to it.
    writer :: pid() | undefined,
    %% Pings since its last frame.
    unanswered = 0 :: non_neg_integer(),
    %% Where the program listens, once it does.
    url :: binary() | undefined,
    %% Where `/ask' listens, once it does.
    ask_url :: binary() | undefined,
    %% The port that it found free, to be taken again.
    found = 0 :: inet:port_number(),
    %% The processes that answer requests.
    workers = #{} :: #{reference() => {Writer :: pid(), Id :: non_neg_integer(), Worker :: pid()}},
    %% The process that reads the password again, and what was wrong with it the last time.
    reader :: reference() | undefined,
    problem :: mongoose_domain_config:problem() | undefined,
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t()
}).

%% @doc Starts the program as the application environment says.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc The URL of the door, as soon as the program listens: `{error, closed}' before, and where the
%% configuration opens none.
-spec url() -> {ok, binary()} | {error, closed}.
url() ->
    call(url).

%% @doc The URL at which the edge asks which names are served (without `?domain=NAME'), as soon as the program listens
%% there: `{error, closed}' before, and where the configuration has no `ask'.
-spec ask_url() -> {ok, binary()} | {error, closed}.
ask_url() ->
    call(ask_url).

call(Request) ->
    try
        gen_server:call(?MODULE, Request)
    catch
        exit:_NotRunning -> {error, closed}
    end.

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true),
    %% Loads the modules that hold the atoms of requests, which binary_to_term/2 takes only if they exist.
    ok = code:ensure_modules_loaded([mongoose_domain_admin_request, mongoose_domain_api, mongoose_domain_operations]),
    _ = erlang:send_after(?HEARTBEAT, self(), heartbeat),
    {ok, start_program(#state{})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(url, _From, #state{url = Url} = State) ->
    {reply, known_url(Url), State};
handle_call(ask_url, _From, #state{ask_url = Url} = State) ->
    {reply, known_url(Url), State};
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

known_url(undefined) -> {error, closed};
known_url(Url) -> {ok, Url}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({Port, {data, Frame}}, #state{port = Port} = State) ->
    {noreply, handle_frame(term(Frame), State#state{unanswered = 0})};
handle_info({Port, {exit_status, Status}}, #state{port = Port} = State) ->
    {noreply, ended({exit_status, Status}, State)};
handle_info({'EXIT', Port, Reason}, #state{port = Port} = State) ->
    {noreply, ended(Reason, State)};
handle_info({'DOWN', Reader, process, _Pid, Result}, #state{reader = Reader} = State) ->
    {noreply, credentials_read(Result, State#state{reader = undefined})};
handle_info({'DOWN', Worker, process, _Pid, {answered, Frame}}, State) ->
    {noreply, answered(Worker, Frame, State)};
handle_info({'DOWN', Worker, process, _Pid, _Crash}, #state{workers = Workers} = State) ->
    {_Writer, Id, _Worker} = map_get(Worker, Workers),
    {noreply, answered(Worker, frame({answer, Id, {refused, crashed, <<>>}}), State)};
handle_info(heartbeat, State) ->
    _ = erlang:send_after(?HEARTBEAT, self(), heartbeat),
    {noreply, heartbeat(State)};
handle_info(retry, State) ->
    {noreply, start_program(State)};
handle_info({Port, _OfAnEarlierProgram}, State) when is_port(Port) ->
    {noreply, State};
handle_info({'EXIT', Port, _OfAnEarlierProgram}, State) when is_port(Port) ->
    {noreply, State};
handle_info({'EXIT', _Parent, Reason}, State) ->
    {stop, Reason, State};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{port = Port}) ->
    %% First, since a port with a full pipe waits for its reader.
    _ = [kill(Port) || is_port(Port)],
    _ = [close(Port) || is_port(Port)],
    ok.

%% @private The frame in a message may hold a password, and a crash report would print the last message.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun(message, _Message) -> not_shown; (log, _Messages) -> []; (_Key, Value) -> Value end, Status).

%% The program

start_program(#state{retry = Retry, found = Found} = State) ->
    case mongoose_domain_config:admin() of
        {ok, #{port := Wanted} = Config} ->
            Admin = Config#{port := case Wanted of 0 -> Found; _ -> Wanted end},
            start_program(frame({configure, Admin}), State#state{url = undefined, ask_url = undefined});
        {error, Problem} ->
            State#state{port = undefined, url = undefined, ask_url = undefined, retry = mongoose_domain_retry:wrong(Problem, Retry)}
    end.

start_program(Configuration, State) ->
    try open_port({spawn_executable, program()}, [{packet, 4}, binary, exit_status, use_stdio]) of
        Port ->
            Writer = spawn(?MODULE, write_frames, [Port]),
            ok = send_frame(Writer, Configuration),
            State#state{port = Port, writer = Writer, unanswered = 0}
    catch
        error:Reason -> ended(Reason, State)
    end.

program() ->
    filename:join([filename:dirname(code:which(?MODULE)), "..", "priv", "bin", "domain_admin"]).

%% The frame is in a fun, which no crash report prints: the configuration holds a password.
send_frame(Writer, Frame) ->
    Writer ! {write, fun() -> Frame end},
    ok.

%% @private Hands frames to the program, waiting while its pipe is full. Lives as long as the port.
-spec write_frames(port()) -> ok.
write_frames(Port) ->
    write_frames(Port, monitor(port, Port)).

write_frames(Port, Monitor) ->
    receive
        {write, Frame} ->
            try port_command(Port, Frame()) of
                true -> write_frames(Port, Monitor)
            catch
                error:badarg -> ok
            end;
        {'DOWN', Monitor, port, Port, _Reason} ->
            ok
    end.

heartbeat(#state{port = undefined} = State) ->
    State;
heartbeat(#state{port = Port, unanswered = ?PATIENCE} = State) ->
    ?LOG_ERROR(#{what => domain_admin_hangs, silent_for => ?PATIENCE * ?HEARTBEAT}),
    %% Its exit status then starts it again.
    ok = kill(Port),
    State;
heartbeat(#state{writer = Writer, unanswered = Unanswered} = State) ->
    ok = send_frame(Writer, frame(ping)),
    renew_credentials(State#state{unanswered = Unanswered + 1}).

%% A program that does not listen yet got its configuration a moment ago.
renew_credentials(#state{url = Url, reader = Reader} = State) when Url =:= undefined; Reader =/= undefined ->
    State;
renew_credentials(#state{writer = Writer} = State) ->
    {_Pid, Reader} = spawn_monitor(?MODULE, read_credentials, [Writer]),
    State#state{reader = Reader}.

%% @private Sends the program the credentials as they are now.
-spec read_credentials(pid()) -> no_return().
read_credentials(Writer) ->
    case mongoose_domain_config:admin() of
        {ok, #{credentials := #{} = Credentials}} ->
            ok = send_frame(Writer, frame({credentials, Credentials})),
            exit(normal);
        {ok, #{}} ->
            exit(normal);
        {error, Problem} ->
            exit({wrong, Problem})
    end.

%% After a problem the old password stays in use. The same problem is logged once.
credentials_read({wrong, Problem}, #state{problem = Problem} = State) ->
    State;
credentials_read({wrong, Problem}, State) ->
    ?LOG_ERROR(Problem#{what => wrong_configuration, application => mongoose_domain}),
    State#state{problem = Problem};
credentials_read(_Read, State) ->
    State#state{problem = undefined}.

kill(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} ->
            _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
            ok;
        undefined ->
            ok
    end.

%% It may be closed already.
close(Port) ->
    try
        port_close(Port)
    catch
        error:badarg -> true
    end.

frame(Term) ->
    term_to_binary(Term).

%% A frame may hold only atoms that this node knows.
term(Frame) ->
    try
        binary_to_term(Frame, [safe])
    catch
        error:badarg -> not_understood
    end.

ended(Reason, #state{workers = Workers} = State) ->
    %% The program that gets the answers is gone.
    _ = [exit(Pid, kill) || {_Writer, _Id, Pid} <- maps:values(Workers)],
    start_again(Reason, State).

start_again(Reason, #state{url = undefined, retry = Retry} = State) ->
    {Pause, Later} = mongoose_domain_retry:ended(Retry),
    ?LOG_ERROR(#{what => domain_admin_not_started, reason => Reason, retry_after => Pause}),
    State#state{port = undefined, writer = undefined, found = 0, retry = Later};
start_again(Reason, State) ->
    ?LOG_ERROR(#{what => domain_admin_ended, reason => Reason, retry_after => ?PAUSE}),
    _ = erlang:send_after(?PAUSE, self(), retry),
    State#state{port = undefined, writer = undefined, url = undefined, ask_url = undefined}.

handle_frame(pong, State) ->
    State;
handle_frame({ask, Id, {serving, _Names} = Request}, #state{writer = Writer} = State) ->
    ok = send_frame(Writer, frame({answer, Id, answer(Request)})),
    State;
handle_frame({ask, Id, Request}, #state{writer = Writer, workers = Workers} = State)
  when map_size(Workers) < ?WORKERS ->
    {Pid, Worker} = spawn_monitor(?MODULE, answer_and_end, [Id, fun() -> Request end]),
    State#state{workers = Workers#{Worker => {Writer, Id, Pid}}};
handle_frame({ask, Id, _Request}, #state{writer = Writer} = State) ->
    ok = send_frame(Writer, frame({answer, Id, {refused, overloaded, <<>>}})),
    State;
handle_frame({forget, Id}, #state{writer = Writer, workers = Workers} = State) ->
    %% A change that a worker has begun is made; one that waits in the queue is not (see mongoose_domain_operations).
    _ = [exit(Pid, kill) || {By, Asked, Pid} <- maps:values(Workers), Asked =:= Id, By =:= Writer],
    State;
handle_frame({listening, Ip, Number}, #state{retry = Retry} = State) ->
    Url = url(scheme(), Ip, Number, ""),
    ?LOG_NOTICE(#{what => domain_admin_listening, url => Url}),
    State#state{url = Url, found = Number, retry = mongoose_domain_retry:started(Retry)};
handle_frame({ask_listening, Ip, Number}, State) ->
    Url = url("http", Ip, Number, "/ask"),
    ?LOG_NOTICE(#{what => domain_ask_listening, url => Url}),
    State#state{ask_url = Url};
handle_frame({log, Level, What, Fields}, State) ->
    Report = maps:from_list([{known(Name), Value} || {Name, Value} <- maps:to_list(Fields)]),
    ?LOG(Level, Report#{what => known(What)}),
    State;
handle_frame(_NotUnderstood, #state{port = Port} = State) ->
    %% It is not shown: a request may hold a password.
    ?LOG_ERROR(#{what => domain_admin_frame_not_understood}),
    ok = kill(Port),
    State.

%% @private What a process was started with shows when it crashes, but not what a fun holds: a request may hold a
%% password.
-spec answer_and_end(non_neg_integer(), fun(() -> term())) -> no_return().
answer_and_end(Id, Request) ->
    exit({answered, frame({answer, Id, answer(Request())})}).

answer(Request) ->
    try
        mongoose_domain_admin_request:answer(Request)
    catch
        Class:Reason:Stacktrace ->
            %% The request is not shown: it may hold a password.
            ?LOG_ERROR(#{what => domain_admin_request_failed, class => Class, reason => reason(Reason),
                         stacktrace => [without_arguments(Call) || Call <- Stacktrace]}),
            {refused, crashed, <<>>}
    end.

reason(Reason) when is_atom(Reason) -> Reason;
reason(Reason) -> element(1, Reason).

without_arguments({Module, Function, Arguments, Where}) when is_list(Arguments) ->
    {Module, Function, length(Arguments), Where};
without_arguments(Call) ->
    Call.

answered(Worker, Frame, #state{workers = Workers} = State) ->
    {{Writer, _Id, _Pid}, Others} = maps:take(Worker, Workers),
    ok = send_frame(Writer, Frame),
    State#state{workers = Others}.

url(Scheme, Ip, Number, Path) ->
    iolist_to_binary(io_lib:format("~s://~s:~b~s", [Scheme, host(Ip), Number, Path])).

scheme() ->
    case mongoose_domain_config:admin() of
        {ok, #{tls := #{}}} -> "https";
        _ -> "http"
    end.

host(Ip) ->
    case binary:match(Ip, <<":">>) of
        nomatch -> Ip;
        _ -> [$[, Ip, $]]
    end.

%% The name of an event or a field, as the log has them: an atom.
known(Name) ->
    try
        %% Those of events/0 exist, since this module is loaded.
        binary_to_existing_atom(Name)
    catch
        error:badarg -> Name
    end.

%% @private What the program logs: the events, and the fields of each.
-spec events() -> #{Event :: atom() => [Field :: atom()]}.
events() ->
    #{domain_admin_accept_failed => [error],
      domain_admin_answer_not_understood => [error],
      domain_admin_certificates_read => [],
      domain_admin_certificates_unusable => [error],
      domain_admin_gives_up => [error],
      domain_admin_handshake_failed => [address, error],
      domain_admin_panicked => [place],
      domain_ask_not_listening => [error, retry_after],
      domain_freshness_request => [domain, ttl, request_id],
      domain_freshness_request_failed => [tag, text],
      graphql_crash => [category, reason],
      graphql_login_not_checked => [reason],
      graphql_parser_not_started => [reason],
      mongoose_admin_api_error_response => [error_type, message],
      parse_body_failed => []}.
