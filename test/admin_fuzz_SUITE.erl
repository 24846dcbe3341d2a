%% Sends ten thousand random and mutated requests, several at a time. Every door answers, no answer reports an internal
%% error, and the admin program still runs at the end and has not grown.
%%
%% The log of the run contains the seed; MONGOOSE_DOMAIN_FUZZ_SEED repeats it. The interleaving of concurrent requests
%% is not repeated.
-module(admin_fuzz_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([ten_thousand_requests_bring_no_500_no_crash_and_no_growth/1]).

-define(REQUESTS, 10000).
-define(WORKERS, 8).
%% The memory, in bytes, that allocators and caches may add between the halves of the run.
-define(GROWTH, 16 * 1024 * 1024).

suite() ->
    [{timetrap, {minutes, 5}}].

all() ->
    [ten_thousand_requests_bring_no_500_no_crash_and_no_growth].

init_per_testcase(_Case, Config) ->
    md_door:open(#{allowed_origins => ["http://localhost"]}, Config).

end_per_testcase(_Case, Config) ->
    md_door:close(Config).

ten_thousand_requests_bring_no_500_no_crash_and_no_growth(Config) ->
    Node = ?config(node, Config),
    Seed = seed(),
    ct:pal("MONGOOSE_DOMAIN_FUZZ_SEED=~b", [Seed]),
    Program = in_node(Node, os_pid, []),
    First = half(Config, Seed, first),
    Middle = in_node(Node, resident, []),
    Second = half(Config, Seed, second),
    End = in_node(Node, resident, []),
    Seen = maps:merge_with(fun(_, One, Other) -> One + Other end, First, Second),
    ct:pal("answers: ~p~nmemory after each half: ~b ~b", [Seen, Middle, End]),
    ?assertEqual(?REQUESTS, lists:sum(maps:values(Seen))),
    ?assertEqual(Program, in_node(Node, os_pid, [])),
    ?assertEqual([], [Code || Code <- maps:keys(Seen), is_integer(Code), Code >= 500, Code =/= 503, Code =/= 505]),
    %% The run must have produced every kind of answer.
    ?assertEqual([], [200, 204, 400, 401, 403, 404, 405, 406, 413, 415] -- maps:keys(Seen)),
    ?assert(End - Middle < ?GROWTH),
    ?assertEqual([], [Event || #{level := Level} = Event <- md_node:call(Node, md_log, all, []),
                               logger:compare_levels(Level, error) =/= lt]),
    ?assertMatch({200, _, _}, md_http:request(?config(door, Config), post, "/v1/domains/list", #{})).

seed() ->
    case os:getenv("MONGOOSE_DOMAIN_FUZZ_SEED") of
        false -> rand:uniform(1 bsl 32);
        Text -> list_to_integer(Text)
    end.

%% Counts each status of one half.
half(Config, Seed, Half) ->
    Door = ?config(door, Config),
    Run = fun(Worker) ->
        ok = md_fuzz:seed(Seed, {Half, Worker}),
        exit({seen, requests(Door, ?REQUESTS div (2 * ?WORKERS), none, #{})})
    end,
    Workers = [spawn_monitor(fun() -> Run(Worker) end) || Worker <- lists:seq(1, ?WORKERS)],
    Seen = [receive {'DOWN', Monitor, process, Pid, {seen, One}} -> One;
                    {'DOWN', Monitor, process, Pid, Failure} -> error(Failure) end || {Pid, Monitor} <- Workers],
    lists:foldl(fun(One, All) -> maps:merge_with(fun(_, A, B) -> A + B end, One, All) end, #{}, Seen).

requests(_Door, 0, Connection, Seen) ->
    close(Connection),
    Seen;
requests(Door, Left, Connection, Seen) ->
    {Kind, Bytes} = md_fuzz:request(),
    {Answer, After} = exchange(Kind, Door, iolist_to_binary(Bytes), Connection),
    Kept = case md_fuzz:one_in(10) of true -> close(After), none; false -> After end,
    requests(Door, Left - 1, Kept, maps:update_with(Answer, fun(Count) -> Count + 1 end, 1, Seen)).

exchange(sound, Door, Bytes, Connection) ->
    {gen_tcp, Socket} = Open = opened(Door, Connection),
    _ = gen_tcp:send(Socket, Bytes),
    case {md_http:answer(Open), Connection} of
        {{ok, {413, _, _}}, _} ->
            %% The server does not read the rest of the body.
            close(Open),
            {413, none};
        {{ok, {Code, _, _}}, _} -> {Code, Open};
        {{error, _}, none} ->
            error({not_answered, Bytes});
        {{error, _}, _Resting} ->
            %% The server may have closed this connection just then; a new one must get an answer.
            close(Open),
            exchange(sound, Door, Bytes, none)
    end;
exchange(broken, Door, Bytes, Connection) ->
    close(Connection),
    {gen_tcp, Socket} = Open = opened(Door, none),
    _ = gen_tcp:send(Socket, Bytes),
    _ = gen_tcp:shutdown(Socket, write),
    Answer = gen_tcp:recv(Socket, 0, 60000),
    close(Open),
    case Answer of
        {ok, {http_response, _, Code, _}} -> {Code, none};
        {ok, _NoHttp} -> {no_http, none};
        {error, timeout} -> error({not_given_up, Bytes});
        {error, _} -> {closed, none}
    end.

opened(Door, none) ->
    {ok, Connection} = md_http:connect(Door#{from => md_fuzz:address()}),
    Connection;
opened(_Door, Connection) ->
    Connection.

close(none) -> ok;
close({gen_tcp, Socket}) -> gen_tcp:close(Socket).

in_node(Node, Function, Args) ->
    md_node:call(Node, md_admin, Function, Args).
