%% A node with OTP's default configuration of the logger. Its output is read as an operator reads it.
%%
%%   Node = md_stock:start(#{}),
%%   _ = md_stock:call(Node, application, start, [mongoose_domain]),
%%   #{level := error, reason := _} = md_stock:printed(Node, domain_database_away).
%%
%% A socket controls the node, since its standard output is under test. The node ends with the test that started it. A
%% printed report is returned as a map whose values, except `level' and `what', are texts. From OTP 26 on, a character
%% beyond Latin-1 is printed as itself, before as `\x{442}'; the texts returned here contain the character in both
%% cases.
-module(md_stock).

-export([start/1, call/4, printed/2, all_printed/1, count/2, output/1, await_exit/1]).
%% Runs in the node.
-export([serve/1, set_environment/1]).

-export_type([t/0]).

-record(stock, {socket :: gen_tcp:socket() | undefined, port :: port(), output :: file:filename()}).
-opaque t() :: #stock{}.
-type report() :: #{level := logger:level(), what := atom(), atom() => binary()}.

-define(TIMEOUT, 60000).
%% Environment variables that would add arguments to `erl'.
-define(UNSET, [{Name, false} || Name <- ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS"]]).

%% @doc Starts a node without starting the application. `directory' is for its output; `environment' is set as the
%% application's environment; `args' are further arguments of `erl'.
-spec start(#{directory := file:filename(), environment => map(), args => [string()]}) -> t().
start(#{directory := Directory} = Options) ->
    {ok, Listener} = gen_tcp:listen(0, [binary, {packet, 4}, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Listener),
    Serve = ["-s", atom_to_list(?MODULE), "serve", integer_to_list(Number)],
    Stock = start_vm(Directory, maps:get(args, Options, []) ++ Serve),
    {ok, Socket} = gen_tcp:accept(Listener, ?TIMEOUT),
    ok = gen_tcp:close(Listener),
    Node = Stock#stock{socket = Socket},
    ok = call(Node, ?MODULE, set_environment, [maps:get(environment, Options, #{})]),
    Node.

start_vm(Directory, Args) ->
    Output = filename:join(Directory, lists:concat(["node-", erlang:unique_integer([positive]), ".txt"])),
    ok = filelib:ensure_dir(Output),
    Paths = lists:usort([filename:dirname(code:which(Module)) || Module <- [mongoose_domain_core, ?MODULE]]),
    Erl = [filename:join([code:root_dir(), "bin", "erl"]), "-noinput", "-pa" | Paths] ++ Args,
    Port = open_port({spawn_executable, "/bin/sh"},
                     [exit_status, {args, ["-c", "out=$1; shift; exec \"$@\" >\"$out\" 2>&1", "sh", Output | Erl]},
                      {env, ?UNSET}]),
    #stock{port = Port, output = Output}.

%% @private In the node: executes calls until the connection ends.
-spec serve([atom()]) -> pid().
serve([Number]) ->
    spawn(fun() ->
        {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, list_to_integer(atom_to_list(Number)),
                                       [binary, {packet, 4}, {active, false}]),
        serve_on(Socket)
    end).

serve_on(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Frame} ->
            {Module, Function, Arguments} = binary_to_term(Frame),
            Answer = try {returned, apply(Module, Function, Arguments)} catch Class:Reason -> {Class, Reason} end,
            ok = gen_tcp:send(Socket, term_to_binary(Answer)),
            serve_on(Socket);
        {error, closed} ->
            erlang:halt(0)
    end.

%% @private In the node.
-spec set_environment(map()) -> ok.
set_environment(Environment) ->
    _ = application:load(mongoose_domain),
    maps:foreach(fun(Key, Value) -> application:set_env(mongoose_domain, Key, Value) end, Environment).

%% @doc Calls a function in the node; raises the exception of the call if it fails.
-spec call(t(), module(), atom(), [term()]) -> term().
call(#stock{socket = Socket}, Module, Function, Arguments) ->
    ok = gen_tcp:send(Socket, term_to_binary({Module, Function, Arguments})),
    {ok, Frame} = gen_tcp:recv(Socket, 0, ?TIMEOUT),
    case binary_to_term(Frame) of
        {returned, Value} -> Value;
        {Class, Reason} -> erlang:raise(Class, Reason, element(2, process_info(self(), current_stacktrace)))
    end.

%% @doc Waits for the first printed report of this event.
-spec printed(t(), atom()) -> report().
printed(Node, What) ->
    md_wait:until(fun() ->
        case [Report || #{what := Event} = Report <- all_printed(Node), Event =:= What] of
            [_ | _] -> true;
            [] -> {not_printed, What, string:slice(output(Node), max(0, string:length(output(Node)) - 3000))}
        end
    end),
    hd([Report || #{what := Event} = Report <- all_printed(Node), Event =:= What]).

%% @doc How many reports of this event are printed.
-spec count(t(), atom()) -> non_neg_integer().
count(Node, What) ->
    length([Event || #{what := Event} <- all_printed(Node), Event =:= What]).

%% @doc All reports with a `what', oldest first.
-spec all_printed(t()) -> [report()].
all_printed(Node) ->
    Parts = binary:split(<<"\n", (output(Node))/binary>>, <<"\n=">>, [global]),
    [Report || Part <- Parts, #{what := _} = Report <- [report(Part)]].

report(Part) ->
    case re:run(Part, "^([A-Z]+) REPORT==== [^\\n]*===\\n((?:    .*(?:\\n|$))*)", [unicode, {capture, all_but_first, binary}]) of
        {match, [Level, Fields]} ->
            maps:from_list([{level, level(Level)} | [field(Line) || Line <- binary:split(Fields, <<"\n">>, [global]),
                                                                    is_field(Line)]]);
        nomatch -> #{}
    end.

%% The continuation lines of a field are indented further.
is_field(<<"    ", First, _/binary>>) -> First =/= $\s;
is_field(_Other) -> false.

field(<<"    ", Line/binary>>) ->
    [Name, Value] = binary:split(Line, <<":">>),
    case binary_to_atom(Name) of
        what -> {what, binary_to_atom(string:trim(Value))};
        Field -> {Field, characters(string:trim(Value))}
    end.

characters(Text) ->
    case re:run(Text, "^(.*?)\\\\x\\{([0-9A-F]{3,6})\\}(.*)$", [{capture, all_but_first, binary}]) of
        {match, [Before, Code, After]} -> <<Before/binary, (binary_to_integer(Code, 16))/utf8, (characters(After))/binary>>;
        nomatch -> Text
    end.

level(Level) ->
    binary_to_existing_atom(string:lowercase(Level)).

%% @doc The node's output so far.
-spec output(t()) -> binary().
output(#stock{output = Output}) ->
    case file:read_file(Output) of
        {ok, Text} -> Text;
        {error, enoent} -> <<>>
    end.

%% @doc Waits for the node's end and returns its exit status.
-spec await_exit(t()) -> non_neg_integer().
await_exit(#stock{port = Port}) ->
    receive
        {Port, {exit_status, Status}} -> Status
    after ?TIMEOUT ->
        erlang:error(a_node_does_not_end)
    end.
