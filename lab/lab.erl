%% One run of the laboratory: a cluster, three nodes, a load and faults for some minutes, and then the check of what was written down.
%%
%% lab/run starts it inside namespaces of its own, which end with it, and everything in them.
-module(lab).

-export([main/1]).

%% How long the nodes have, after the last fault, to show what the database has.
-define(SETTLING, 120).
-define(PAUSE, 500).
%% How long the cluster has to find a primary by itself, in tries.
-define(RECOVERY, 40).

-spec main([string()]) -> no_return().
main([Seed, Minutes, Faults, Work, Programs]) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        History = filename:join(Work, "history"),
        ok = run(list_to_integer(Seed), list_to_float(Minutes ++ ".0"), kinds(Faults), Work, Programs, History),
        exit({checked, lab_report:print(History)})
    end),
    receive
        {'DOWN', Monitor, process, Pid, {checked, 0}} -> halt(0);
        {'DOWN', Monitor, process, Pid, {checked, _}} -> halt(1);
        {'DOWN', Monitor, process, Pid, Reason} ->
            io:format(standard_error, "lab: ~tp~n", [Reason]),
            halt(2)
    end;
main(["check", History]) ->
    halt(min(1, lab_report:print(History))).

kinds("all") -> lab_faults:kinds();
kinds("none") -> [];
kinds(Names) ->
    Kinds = maps:from_list([{atom_to_list(Kind), Kind} || Kind <- lab_faults:kinds()]),
    [maps:get(Name, Kinds) || Name <- string:lexemes(Names, ",")].

run(Seed, Minutes, Kinds, Work, Programs, History) ->
    ok = lab_history:open(filename:join(History, "lab.jsonl")),
    say("the cluster starts"),
    ok = lab_cluster:start(Work),
    ok = lab_database:create(),
    say("the nodes start"),
    Nodes = maps:from_list([{Site, lab_node:start(Site, environment(Site, Work), [<<"static.example">> | lab_load:names()], History)} || Site <- [1, 2, 3]]),
    ok = lab_history:note(run, #{seed => Seed, kinds => Kinds, names => lab_load:names(), synchronous => os:getenv("SYNCHRONOUS") =:= "yes"}),
    Observer = spawn_link(fun() -> observe(none) end),
    say("load and faults begin"),
    Clients = lab_load:start(Seed, Nodes, Programs, Work),
    Hands = lab_faults:start(Seed, Kinds, Nodes, Work),
    timer:sleep(round(Minutes * 60000)),
    ok = lab_faults:stop(Hands),
    ok = lab_cluster:release(),
    say("the faults have ended"),
    %% A while of load after the faults shows that nodes and database work together again.
    timer:sleep(5000),
    ok = lab_load:stop(Clients),
    ok = lab_history:note(calm, #{}),
    recover(?RECOVERY),
    settle(Nodes, erlang:monotonic_time(second) + ?SETTLING),
    unlink(Observer),
    exit(Observer, kill),
    ok = lab_database:journal(),
    _ = [ok = lab_history:note(final, #{node => Site, routes => routes(Node), kept => kept(Node)}) || {Site, Node} <- maps:to_list(Nodes)],
    ok = lab_history:note(rows, #{routes => lab_database:routes()}),
    %% The lines are written by another process.
    timer:sleep(500),
    ok.

say(Text) ->
    io:format(standard_error, "lab: ~s~n", [Text]).

%% The database is reached through the site's HAProxy, in site 3 through its PgBouncer besides. Times are shorter than the defaults, so that
%% more happens in a minute.
environment(Site, Work) ->
    Port = case Site of 3 -> "6432"; _ -> "5000" end,
    #{hosts => [<<"static.example">>],
      host_types => lab_load:host_types(),
      data_dir => filename:join([Work, integer_to_list(Site), "node"]),
      removal_handlers => #{all => [lab_handler]},
      admin => #{},
      service_domain_db => #{database => "postgres://domains@127.0.0.1:" ++ Port ++ "/domains?target_session_attrs=read-write",
                             poll_interval => 2000, converge_interval => 60000, connect_timeout => 3000, statement_timeout => 6000,
                             lock_timeout => 3000, operation_timeout => 5000, snapshot_interval => 10000, removal_lease => 6000,
                             event_cleaning_interval => 30, event_max_age => 60, password_iterations => 100}}.

%% Patroni and PostgreSQL may be stuck (a server that does not end its shutdown): then somebody helps them, as in production.
recover(Left) ->
    case lab_cluster:leader() of
        #{} ->
            ok;
        none when Left > 0 ->
            timer:sleep(1000),
            recover(Left - 1);
        none ->
            ok = lab_history:note(help, #{members => lab_command:text(lab_cluster:members())}),
            ok = lab_cluster:kill_databases(),
            recover(?RECOVERY)
    end.

%% Who is the primary, written down whenever that changes.
observe(Before) ->
    Now = lab_cluster:leader(),
    _ = [ok = lab_history:note(primary, maps:merge(#{site => null, timeline => 0}, Known))
         || Now =/= Before, Known <- [case Now of none -> #{}; _ -> Now end]],
    _ = [ok = lab_history:note(connections, #{count => Count}) || #{} <- [Now], Count <- [lab_database:connections()], is_integer(Count)],
    timer:sleep(?PAUSE),
    observe(Now).

%% Removals may be at work, and what their handlers have failed stays in removal: such rows serve no route.
settle(Nodes, End) ->
    Rows = lab_database:routes(),
    Different = [Site || {Site, Node} <- maps:to_list(Nodes), differs(Node, Rows)],
    case {Different, is_map(Rows) andalso lab_database:at_work()} of
        {[], false} ->
            ok = lab_history:note(settled, #{});
        {_, AtWork} ->
            case erlang:monotonic_time(second) < End of
                true -> timer:sleep(?PAUSE), settle(Nodes, End);
                false -> ok = lab_history:note(unsettled, #{nodes => Different, at_work => AtWork})
            end
    end.

differs(_Node, none) -> true;
differs(Node, Rows) ->
    case {routes(Node), kept(Node)} of
        {#{} = Routes, #{} = Kept} -> maps:without(maps:keys(Kept) -- maps:keys(Rows), Routes) =/= Rows;
        _ -> true
    end.

routes(Node) ->
    pairs(lab_node:ask(Node, mongoose_domain_api, get_all_dynamic, [])).

kept(Node) ->
    pairs(lab_node:ask(Node, service_domain_db, kept, [])).

pairs(Pairs) when is_list(Pairs) -> maps:from_list(Pairs);
pairs(_) -> null.
