%% What a new host type costs a VM with very many processes.
%%
%% Many processes wait. One process looks up a static domain in a loop and reads the clock after each result: the
%% longest time between two results is how long the VM stopped it. Meanwhile, one of these happens (`what'):
%%
%%   known       a subdomain is registered again, which changes nothing: shows the delays that the machine itself causes
%%   code        the yardstick: a small module is compiled and loaded again, for which the VM checks every process
%%   host_type   a subdomain is registered for a new host type
%%   table       the table is opened again, with a new host type
%%
%% They take turns. Each time, the measurement goes on for half a second after the call has returned, since the VM does
%% some of its work later.
-module(bench_crowd).

-export([run/1, answers/1]).

-type options() :: #{crowd := pos_integer(), rounds := pos_integer()}.

-define(LOOKED_UP, <<"static.example">>).
-define(AFTERWARDS, 500).
%% The module that is loaded again.
-define(MODULE_OF_MINE, bench_crowd_code).

%% @doc Measures all four, in a VM in which the application runs without a database.
-spec run(options()) -> [bench:result()].
run(#{crowd := Size, rounds := Rounds}) ->
    %% This loads all modules that the measurement needs.
    ok = restart([]),
    ok = register(0),
    Crowd = [spawn_link(fun idle/0) || _ <- lists:seq(1, Size)],
    Turns = [{What, turn(What, Round)} || Round <- lists:seq(1, Rounds), What <- order(Round)],
    [Pid ! stop || Pid <- Crowd],
    [result(What, Size, [Turn || {Its, Turn} <- Turns, Its =:= What]) || What <- order(0)].

order(Round) ->
    {Later, First} = lists:split(Round rem 4, [known, code, host_type, table]),
    First ++ Later.

idle() ->
    receive stop -> ok end.

result(What, Size, Turns) ->
    {Calls, Longest} = lists:unzip(Turns),
    {crowd, #{what => What, crowd => Size, rounds => length(Turns), unit => ms, call => bench_stats:summary(Calls),
              still => bench_stats:summary(Longest)}}.

%% The milliseconds of the call, and the longest between two results.
turn(What, Round) ->
    Call = call(What, Round),
    Stop = atomics:new(1, []),
    Self = self(),
    Looker = spawn_link(fun() -> Self ! {self(), look(Stop, os:perf_counter(), 0)} end),
    timer:sleep(?AFTERWARDS div 10),
    Begin = os:perf_counter(),
    ok = Call(),
    Took = os:perf_counter() - Begin,
    timer:sleep(?AFTERWARDS),
    ok = atomics:put(Stop, 1, 1),
    receive {Looker, Longest} -> {Took / 1.0e6, Longest / 1.0e6} end.

look(Stop, Before, Longest) ->
    %% While the table is being opened again, a lookup fails.
    _ = try mongoose_domain_api:get_host_type(?LOOKED_UP) catch error:_NotRunning -> none end,
    Now = os:perf_counter(),
    case atomics:get(Stop, 1) of
        0 -> look(Stop, Now, max(Longest, Now - Before));
        1 -> Longest
    end.

call(known, _Round) ->
    fun() -> register(0) end;
call(code, Round) ->
    fun() ->
        Code = code(Round),
        _ = code:purge(?MODULE_OF_MINE),
        {module, _} = code:load_binary(?MODULE_OF_MINE, "bench_crowd", Code),
        ok
    end;
call(host_type, Round) ->
    fun() -> register(Round) end;
call(table, Round) ->
    fun() -> restart([<<"opened ", (integer_to_binary(Round))/binary>>]) end.

register(Number) ->
    Text = integer_to_binary(Number),
    Pattern = {fqdn, <<"rooms", Text/binary, ".example">>},
    mongoose_domain_api:register_subdomain(<<"registered ", Text/binary>>, Pattern, {bench_crowd, #{}}).

code(Round) ->
    Nowhere = erl_anno:new(0),
    {ok, ?MODULE_OF_MINE, Code} = compile:forms([
        {attribute, Nowhere, module, ?MODULE_OF_MINE},
        {attribute, Nowhere, export, [{round, 0}]},
        {function, Nowhere, round, 0, [{clause, Nowhere, [], [], [{integer, Nowhere, Round}]}]}
    ]),
    Code.

restart(More) ->
    Static = [{?LOOKED_UP, hd(bench_names:host_types())}],
    {ok, _} = mongoose_domain_sup:restart_core([Static, bench_names:host_types() ++ More]),
    ok.

%% @doc Compares a lookup whose host type existed at the start of the VM with one whose host type was added later. Both
%% domains are static, and the two take turns.
-spec answers(#{passes := pos_integer(), rounds := pos_integer(), calls := pos_integer(), _ => _}) -> bench:result().
answers(#{passes := Passes, rounds := Rounds, calls := Calls}) ->
    Names = #{first => <<"first.example">>, later => <<"later.example">>},
    Static = [{map_get(first, Names), hd(bench_names:host_types())}, {map_get(later, Names), <<"a later one">>}],
    {ok, _} = mongoose_domain_sup:restart_core([Static, bench_names:host_types()]),
    Lists = maps:map(fun(_Which, Name) -> lists:duplicate(100, Name) end, Names),
    Time = fun(Side, Which) -> bench_loop:time(Side, found, map_get(Which, Lists), Calls div 100) end,
    Timings = [{Time(loop, first), Time(ours, first), Time(ours, later)} || _ <- lists:seq(1, Passes * Rounds)],
    {Loops, First, Later} = lists:unzip3(Timings),
    Loop = bench_stats:median(Loops),
    Net = fun(Times) -> bench_stats:summary([Each - Loop || Each <- Times]) end,
    {answers, #{unit => ns_a_call, rounds => length(Timings), first => Net(First), later => Net(Later)}}.
