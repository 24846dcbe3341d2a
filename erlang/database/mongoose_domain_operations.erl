%% Owns the native workers that change the database.
%%
%% run/1 hands a request over and waits for its answer. The workers answer every request within `operation_timeout'; a
%% request is refused at once when `queue_limit' requests wait. No scheduler waits for the database. A request whose
%% caller has died before a worker takes it up is dropped.
%%
%% A wrong configuration stops the first start only. When this process is restarted and finds it wrong, it answers
%% `db_error' and tries again with growing pauses.
%%
%% A failure is counted and logged here with its reason. The caller gets a text without the database's words: of a change it
%% says whether that may have been made all the same, of a question that there is no answer; explain/1 returns the reason.
%%
%% A row that cannot be read is left out of an answer, counted and named: read/1 returns both, and each row is logged once.
-module(mongoose_domain_operations).
-behaviour(gen_server).

-export([start_link/0, run/1, run/2, read/1, explain/1, unchanged/1, reconnect/0, failures/0, refused/2, failed/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([failure/0, left_out/0]).

-include("../base/mongoose_domain_log.hrl").

%% Where the counter of failures is.
-define(FAILURES, {?MODULE, failures}).

%% Rows that are named in the log once. The rest is counted by the doctor.
-define(NAMED, 1000).

%% How many rows could not be read, and some of them: table, key (escaped), column and fault.
-type left_out() :: {Count :: non_neg_integer(), Examples :: [binary()]}.
-type failure() :: {service_disabled | db_error | timeout | refused, binary()} | {error, overloaded}.

-record(state, {
    %% None while the configuration is wrong.
    workers :: {mongoose_domain_nif:workers(), Limit :: pos_integer()} | undefined,
    retry = mongoose_domain_retry:new() :: mongoose_domain_retry:t(),
    waiting = #{} :: #{non_neg_integer() => gen_server:from()},
    next_ticket = 0 :: non_neg_integer(),
    %% Rows left out that were logged.
    named = #{} :: #{binary() => []}
}).

%% @doc Starts the workers as the application environment says.
-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc What the database answered, or why it did not. Fails with badarg for a request that makes no sense,
%% such as one with a text that is not UTF-8.
-spec run(mongoose_domain_nif:request()) -> {ok, term()} | failure().
run(Request) ->
    run(Request, infinity).

%% @doc The same, but the database has no longer than this, in milliseconds, nor longer than `operation_timeout'.
%% While all workers are busy, the answer that it is too late comes when one of them is not.
-spec run(mongoose_domain_nif:request(), timeout()) -> {ok, term()} | failure().
run(Request, Most) ->
    case ask(Request, Most) of
        {ok, Rows, _LeftOut} -> {ok, Rows};
        {failed, Doubt, _Reason} -> failure(kind(Request), Doubt);
        Result -> Result
    end.

%% @doc The rows that a request asks for, and what is known of those that could not be read. For requests that answer
%% rows of a table, which are all but those about one domain and the survey.
-spec read(mongoose_domain_nif:request()) -> {ok, [term()], left_out()} | failure().
read(Request) ->
    case ask(Request, infinity) of
        {failed, Doubt, _Reason} -> failure(question, Doubt);
        Result -> Result
    end.

%% @doc What run/1 or read/1 returns, but with the reason of a failure: for callers that may see the database's words.
-spec explain(mongoose_domain_nif:request()) -> {ok, term()} | {ok, [term()], left_out()} | {error, binary()}.
explain(Request) ->
    case ask(Request, infinity) of
        {failed, _Doubt, Reason} -> {error, Reason};
        {error, overloaded} -> {error, <<"too many requests wait for the database">>};
        {_Tag, Text} when is_binary(Text) -> {error, Text};
        Answer -> Answer
    end.

ask(Request, Most) ->
    %% Inside a fun, a password shows in no message and no crash report.
    Asker = self(),
    Submit = fun(Workers, Ticket, Limit) ->
        %% An atom is more than any number.
        mongoose_domain_nif:operation(Workers, Ticket, min(Limit, Most), Asker, Request)
    end,
    try gen_server:call(?MODULE, {run, Submit}, infinity) of
        badarg -> erlang:error(badarg);
        not_configured -> {db_error, not_configured(kind(Request))};
        Result -> Result
    catch
        exit:{noproc, _} ->
            ok = mongoose_domain_running:check(),
            not_here(mongoose_domain_database_sup:enabled(), kind(Request));
        exit:{_Died, _} ->
            {db_error, stopped(kind(Request))}
    end.

%% The process may be gone because it, or a supervisor above it, is being started again.
not_here(false, _Kind) -> {service_disabled, <<"Dynamic domains service is disabled">>};
not_here(true, change) -> {db_error, <<"The service is being started again: nothing was changed">>};
not_here(true, question) -> {db_error, <<"The service is being started again: there is no answer">>}.

stopped(change) -> <<"The service stopped: the change may have been made all the same">>;
stopped(question) -> <<"The service stopped: there is no answer">>.

not_configured(change) -> <<"The configuration cannot be used (the reason is in the log): nothing was changed">>;
not_configured(question) -> <<"The configuration cannot be used (the reason is in the log): there is no answer">>.

%% What a question leaves as it is needs no word.
kind(Request) when is_atom(Request), Request =/= renew_removals -> question;
kind(Request) when element(1, Request) =:= details; element(1, Request) =:= list; element(1, Request) =:= removal;
                   element(1, Request) =:= check_password; element(1, Request) =:= changes -> question;
kind(_Request) -> change.

%% @doc The same failure in the words of a change that was not begun, since the question before it has no answer.
-spec unchanged(failure()) -> failure().
unchanged({db_error, _Text}) -> failure(change, none);
unchanged({timeout, _Text}) -> failure(change, expired);
unchanged(Other) -> Other.

%% @doc Has the workers and the follower connect anew: a change that was made is not where the follower looks.
-spec reconnect() -> ok.
reconnect() ->
    gen_server:cast(?MODULE, reconnect).

%% @doc How many requests failed since the VM was started, because of the database or for lack of time; those that
%% were refused are none of them.
-spec failures() -> non_neg_integer().
failures() ->
    counters:get(counter(), 1).

%% Outlives this process: a count that went back would look like one that began anew.
counter() ->
    case persistent_term:get(?FAILURES, undefined) of
        undefined ->
            ok = persistent_term:put(?FAILURES, counters:new(1, [])),
            persistent_term:get(?FAILURES);
        Counter -> Counter
    end.

%% gen_server

-spec init([]) -> {ok, #state{}} | {stop, term()}.
init([]) ->
    process_flag(trap_exit, true),
    _ = counter(),
    case start_workers() of
        {ok, Workers} ->
            {ok, started(Workers, #state{})};
        {error, Problem} ->
            case mongoose_domain_database_sup:enabled() of
                true -> {ok, wrong(Problem, #state{})};
                false -> {stop, {wrong_configuration, Problem}}
            end
    end.

started(Workers, #state{retry = Retry} = State) ->
    State#state{workers = Workers, retry = mongoose_domain_retry:started(Retry)}.

wrong(Problem, #state{retry = Retry} = State) ->
    State#state{retry = mongoose_domain_retry:wrong(Problem, Retry)}.

start_workers() ->
    case mongoose_domain_config:service() of
        {ok, #{database := Database} = Options} -> start_workers(mongoose_domain_config:database_source(Database), Options);
        {error, Problem} -> {error, Problem}
    end.

start_workers({ok, Source}, #{operation_timeout := Limit} = Options) ->
    %% The owner of this node's removals. It is unique, also among successive runs of one node.
    Unique = binary:encode_hex(rand:bytes(8)),
    Owner = iolist_to_binary(io_lib:format("~s/~s/~s", [node(), os:getpid(), Unique])),
    case mongoose_domain_nif:operations_start(Source, Options#{owner => Owner}) of
        {ok, Workers} -> {ok, {Workers, Limit}};
        {error, Text} -> {error, #{key => service_domain_db, value => '(not shown)', expected => Text}}
    end;
start_workers({error, Problem}, _Options) ->
    {error, Problem}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({run, _Submit}, _From, #state{workers = undefined} = State) ->
    {reply, not_configured, State};
handle_call({run, Submit}, From, #state{workers = {Workers, Limit}, next_ticket = Ticket} = State) ->
    Next = State#state{next_ticket = Ticket + 1},
    try Submit(Workers, Ticket, Limit) of
        ok -> {noreply, Next#state{waiting = maps:put(Ticket, From, State#state.waiting)}};
        overloaded -> {reply, {error, overloaded}, Next}
    catch
        error:_NoSense -> {reply, badarg, Next}
    end;
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(reconnect, #state{workers = {Workers, _Limit}} = State) ->
    ok = mongoose_domain_nif:operations_reconnect(Workers),
    {noreply, State};
handle_cast(reconnect, State) ->
    {noreply, State};
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({domain_operation, Ticket, Result}, #state{waiting = Waiting} = State) ->
    {From, Others} = maps:take(Ticket, Waiting),
    %% Logged before the answer, so that a caller finds the report.
    Noted = noted(Result, State#state{waiting = Others}),
    gen_server:reply(From, answer(Result)),
    {noreply, Noted};
handle_info(retry, State) ->
    case start_workers() of
        {ok, Workers} -> {noreply, started(Workers, State)};
        {error, Problem} -> {noreply, wrong(Problem, State)}
    end;
handle_info({'EXIT', _Parent, Reason}, State) ->
    {stop, Reason, State};
handle_info(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{workers = undefined}) ->
    ok;
terminate(_Reason, #state{workers = {Workers, _Limit}}) ->
    mongoose_domain_nif:operations_stop(Workers).

answer({ok, {readable, Rows, LeftOut}}) -> {ok, Rows, LeftOut};
answer({ok, Answer}) -> {ok, Answer};
answer({refused, _Reason} = Refused) -> Refused;
answer({failed, _Doubt, _Reason} = Failed) -> Failed.

failure(question, Doubt) when Doubt =:= none; Doubt =:= unknown ->
    {db_error, <<"Database error: there is no answer">>};
failure(question, _ExpiredOrTimeout) ->
    {timeout, <<"The database did not answer in time">>};
failure(change, none) ->
    {db_error, <<"Database error: nothing was changed">>};
failure(change, unknown) ->
    {db_error, <<"Database error: the change may have been made all the same">>};
failure(change, expired) ->
    {timeout, <<"The database did not answer in time: nothing was changed">>};
failure(change, timeout) ->
    {timeout, <<"The database did not answer in time: the change may have been made all the same">>}.

%% Each row once: a list that is read every second would fill the log with the same rows.
noted({ok, {readable, _Rows, {Count, Examples}}}, #state{named = Named} = State)
  when Count > 0, map_size(Named) < ?NAMED ->
    case [Row || Row <- Examples, not is_map_key(Row, Named)] of
        [] -> State;
        New ->
            ?LOG_WARNING(#{what => domain_rows_left_out, count => Count, rows => New}),
            State#state{named = maps:merge(Named, maps:from_list([{Row, []} || Row <- New]))}
    end;
noted({refused, Reason}, State) ->
    ok = refused(1, Reason),
    State;
noted({failed, abandoned, _Reason}, State) ->
    State;
noted({failed, Doubt, Reason}, State) ->
    _ = failed(Doubt, Reason),
    State;
noted(_Well, State) ->
    State.

%% @doc Logs that the database refused so many rows, and the reason of the first.
-spec refused(pos_integer(), binary()) -> ok.
refused(Rows, Reason) ->
    ?LOG_WARNING(#{what => domain_change_refused, rows => Rows, reason => Reason}).

%% @doc Counts and logs the failure of a change, and puts it into words for the caller.
-spec failed(none | unknown | expired | timeout, binary()) -> failure().
failed(Doubt, Reason) ->
    ok = counters:add(counter(), 1, 1),
    ?LOG_ERROR(#{what => domain_operation_not_done, reason => Reason, doubt => Doubt}),
    failure(change, Doubt).
