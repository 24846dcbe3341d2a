%% Host types that are added while a node runs. Lookups return them, and no other process is interrupted.
-module(host_types_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([all/0, suite/0]).
-export([a_new_host_type_loads_no_code_and_has_no_process_looked_at/1,
         a_restart_of_the_core_with_new_host_types_does_neither/1,
         all_host_types_are_answered_in_whatever_order_they_come/1,
         host_types_that_come_at_the_same_time_are_distinguished/1,
         all_are_answered_after_another_start_of_the_application/1,
         all_are_answered_after_the_shipped_module_was_loaded_again/1,
         an_answer_is_no_copy/1]).
%% Run in the node.
-export([register_many/1, told_to_look/1, register_at_once/1, same/1]).

-import(md_subdomains, [insert/3, core/3]).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [a_new_host_type_loads_no_code_and_has_no_process_looked_at,
     a_restart_of_the_core_with_new_host_types_does_neither,
     all_host_types_are_answered_in_whatever_order_they_come,
     host_types_that_come_at_the_same_time_are_distinguished,
     all_are_answered_after_another_start_of_the_application,
     all_are_answered_after_the_shipped_module_was_loaded_again,
     an_answer_is_no_copy].

start() ->
    start([<<"type1">>]).

start(HostTypes) ->
    md_node:start(#{hosts => [{<<"static.example">>, <<"static type">>}], host_types => HostTypes}).

host_types(From, To) ->
    [<<"late ", (integer_to_binary(N))/binary>> || N <- lists:seq(From, To)].

%% The subdomain whose lookup returns this host type.
name(HostType) ->
    [<<"late">>, Number] = binary:split(HostType, <<" ">>),
    <<"s", Number/binary, ".example">>.

%% @doc Registers a subdomain for each host type.
-spec register_many([binary()]) -> ok.
register_many(HostTypes) ->
    lists:foreach(fun(HostType) ->
        ok = mongoose_subdomain_core:register_subdomain(HostType, {fqdn, name(HostType)}, {some_rooms, #{}})
    end, HostTypes).

assert_answered(Node, HostTypes) ->
    ?assertEqual([{ok, HostType} || HostType <- HostTypes], md_node:lookups(Node, lists:map(fun name/1, HostTypes))).

%% Identifies the loaded code and whether an older version of it exists.
code(Node) ->
    {md_node:call(Node, mongoose_domain_results, module_info, [md5]),
     md_node:call(Node, mongoose_domain_results, count, []),
     md_node:call(Node, erlang, check_old_code, [mongoose_domain_results])}.

a_new_host_type_loads_no_code_and_has_no_process_looked_at(_Config) ->
    Node = start(),
    Code = code(Node),
    %% `not_found', type1 and the static type are literals of the module.
    ?assertMatch({_, 3, true}, Code),
    ?assertEqual(#{code => 0, literals => 1},
                 md_node:call(Node, ?MODULE, told_to_look, [{?MODULE, register_many, [host_types(1, 50)]}])),
    ?assertEqual(Code, code(Node)),
    assert_answered(Node, host_types(1, 50)).

%% @doc Calls the function and erases one old literal meanwhile. Counts the requests to the two VM processes that scan
%% all other processes, for old code and for old literals.
-spec told_to_look({module(), atom(), [term()]}) -> #{code | literals := non_neg_integer()}.
told_to_look({Module, Function, Args}) ->
    [Literals] = [Pid || Pid <- processes(), Called <- [process_info(Pid, initial_call)],
                  {initial_call, {erts_literal_area_collector, _, _}} <- [Called]],
    Code = whereis(erts_code_purger),
    ok = persistent_term:put(?MODULE, [old]),
    %% The scan copies the literal for a process that holds it, which is a garbage collection of that process.
    Holder = spawn_link(fun() -> hold(persistent_term:get(?MODULE)) end),
    1 = erlang:trace(Holder, true, [garbage_collection]),
    [1 = erlang:trace(Pid, true, ['receive']) || Pid <- [Code, Literals]],
    _ = apply(Module, Function, Args),
    true = persistent_term:erase(?MODULE),
    %% Scans run in order, so all earlier ones are over by now.
    receive {trace, Holder, _GarbageCollection, _} -> ok end,
    [1 = erlang:trace(Pid, false, ['receive']) || Pid <- [Code, Literals]],
    [receive {trace_delivered, Pid, Ref} -> ok end || Pid <- [Code, Literals], Ref <- [erlang:trace_delivered(Pid)]],
    Holder ! stop,
    #{code => count(Code, 0), literals => count(Literals, 0)}.

hold(Literal) ->
    receive stop -> Literal end.

count(Pid, Count) ->
    receive
        %% The answer of a scanned process, not a request.
        {trace, Pid, 'receive', {copy_literals, _, _}} -> count(Pid, Count);
        {trace, Pid, 'receive', _Told} -> count(Pid, Count + 1)
    after 0 ->
        Count
    end.

a_restart_of_the_core_with_new_host_types_does_neither(_Config) ->
    Node = start(),
    Code = code(Node),
    New = host_types(1, 20),
    Static = [{<<"new.example">>, <<"new static type">>}],
    Args = [Static, [<<"type1">> | New]],
    ?assertEqual(#{code => 0, literals => 1},
                 md_node:call(Node, ?MODULE, told_to_look, [{mongoose_domain_sup, restart_core, [Args]}])),
    ?assertEqual(Args, core(Node, get_start_args, [])),
    [ok = insert(Node, HostType, [name(HostType)]) || HostType <- New],
    assert_answered(Node, New),
    ?assertEqual({ok, <<"new static type">>}, md_node:lookup(Node, <<"new.example">>)),
    ?assertEqual(Code, code(Node)).

%% Host types of the start, registered ones, and those of a new table, together; listings return them, too.
all_host_types_are_answered_in_whatever_order_they_come(_Config) ->
    First = host_types(1, 10),
    Node = start(First),
    [ok = insert(Node, HostType, [name(HostType)]) || HostType <- First],
    Registered = lists:reverse(host_types(11, 1000)),
    ok = md_node:call(Node, ?MODULE, register_many, [Registered]),
    assert_answered(Node, First ++ Registered),
    ?assertEqual({error, not_found}, md_node:lookup(Node, <<"unknown.example">>)),
    Allowed = [<<"type2">> | host_types(5, 15)],
    {ok, _} = md_node:call(Node, mongoose_domain_sup, restart_core, [[[], Allowed]]),
    [ok = insert(Node, HostType, [<<HostType/binary, ".example">>]) || HostType <- [<<"type2">>]],
    [ok = insert(Node, HostType, [<<"d-", (name(HostType))/binary>>]) || HostType <- host_types(5, 15)],
    ?assertEqual(lists:sort([{<<"type2.example">>, <<"type2">>}
                             | [{<<"d-", (name(HostType))/binary>>, HostType} || HostType <- host_types(5, 15)]]),
                 lists:sort(core(Node, get_all_dynamic, []))),
    assert_answered(Node, Registered).

host_types_that_come_at_the_same_time_are_distinguished(_Config) ->
    Node = start(),
    HostTypes = host_types(1, 100),
    ?assertEqual(lists:duplicate(16, [{ok, HostType} || HostType <- HostTypes]),
                 md_node:call(Node, ?MODULE, register_at_once, [lists:duplicate(16, HostTypes)])),
    assert_answered(Node, HostTypes).

%% @doc Registers these lists in a process each, and answers what each of them finds.
-spec register_at_once([[binary()]]) -> [[term()]].
register_at_once(Lists) ->
    Self = self(),
    Pids = [spawn_link(fun() ->
        lists:foreach(fun(HostType) -> ok = register_many([HostType]) end, HostTypes),
        Self ! {self(), md_node:look_up(lists:map(fun name/1, HostTypes))}
    end) || HostTypes <- Lists],
    [receive {Pid, Found} -> Found end || Pid <- Pids].

all_are_answered_after_another_start_of_the_application(_Config) ->
    Node = start(),
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(1, 10)]),
    ok = md_node:stop_application(Node),
    ?assertError({not_running, mongoose_domain}, md_node:lookup(Node, <<"s1.example">>)),
    Allowed = host_types(5, 20),
    ok = md_node:start_application(Node, #{host_types => Allowed}),
    [ok = insert(Node, HostType, [name(HostType)]) || HostType <- Allowed],
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(1, 4)]),
    assert_answered(Node, host_types(1, 20)).

%% A release upgrade or l/1 in a shell loads the module again; the next start must find the same answers.
all_are_answered_after_the_shipped_module_was_loaded_again(_Config) ->
    Node = start(),
    ok = insert(Node, <<"type1">>, [<<"a.example">>]),
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(1, 10)]),
    Reload = fun() ->
        _ = md_node:call(Node, code, purge, [mongoose_domain_results]),
        ?assertEqual({module, mongoose_domain_results}, md_node:call(Node, code, load_file, [mongoose_domain_results]))
    end,
    Reload(),
    ?assertMatch({_, 0, true}, code(Node)),
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(11, 20)]),
    AsBefore = fun() ->
        assert_answered(Node, host_types(1, 20)),
        ?assertEqual({ok, <<"static type">>}, md_node:lookup(Node, <<"static.example">>)),
        ?assertEqual({error, not_found}, md_node:lookup(Node, <<"unknown.example">>))
    end,
    AsBefore(),
    ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, <<"a.example">>)),
    %% No old code exists now, so all known host types become literals.
    ok = md_node:stop_application(Node),
    true = md_node:call(Node, code, soft_purge, [mongoose_domain_results]),
    ok = md_node:start_application(Node, unchanged),
    ?assertMatch({_, 23, true}, code(Node)),
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(1, 20)]),
    AsBefore().

an_answer_is_no_copy(_Config) ->
    Node = start(),
    ok = md_node:call(Node, ?MODULE, register_many, [host_types(1, 1)]),
    ?assert(md_node:call(Node, ?MODULE, same, [<<"s1.example">>])),
    ?assert(md_node:call(Node, ?MODULE, same, [<<"static.example">>])).

%% @doc Whether two lookups return the same term in memory, which then is on no process's heap.
-spec same(binary()) -> boolean().
same(Domain) ->
    erts_debug:same(mongoose_domain_api:get_host_type(Domain), mongoose_domain_api:get_host_type(Domain)).
