%% The node of a site: an Erlang VM in the site's network namespace, which a process of the laboratory starts again whenever it ends.
%%
%%   Node = lab_node:start(1, Environment, Names, "/.../history"),
%%   #{result := {ok, _}} = lab_node:call(Node, <<"a.example">>, insert_domain, [<<"a.example">>, <<"t1">>]).
%%
%% The VM is no distributed node, and is controlled over its standard input.
-module(lab_node).

-export([start/4, peer/1, process_id/1, call/4, ask/4, hold/1, release/1]).

-define(BOOT, 120000).
%% Longer than any answer may take: those of removals wait for handlers.
-define(ANSWER, 20000).
%% As systemd's RestartSec of the package.
-define(PAUSE, 2000).

-spec start(1..3, #{atom() => term()}, [binary()], file:filename()) -> pid().
start(Site, Environment, Names, History) ->
    Caller = self(),
    Keeper = spawn_link(fun() ->
        process_flag(trap_exit, true),
        State = begun(#{site => Site, environment => Environment, names => Names, history => History, run => 0, held => false}),
        Caller ! {self(), started},
        keep(State)
    end),
    receive {Keeper, started} -> Keeper end.

begun(#{site := Site, run := Run, history := History, names := Names, environment := Environment} = State) ->
    Number = Run + 1,
    Boot = ["netns", "exec", lists:concat(["site", Site]), filename:join([code:root_dir(), "bin", "erl"])],
    Arguments = ["+S", "2", "+sbwt", "none", "-kernel", "logger", "[{handler,default,undefined}]", "-pa" | code_path()],
    {ok, Peer, _Name} = peer:start_link(#{connection => standard_io, wait_boot => ?BOOT, exec => {os:find_executable("ip"), Boot}, args => Arguments}),
    File = filename:join(History, lists:concat(["node-", Site, "-", Number, ".jsonl"])),
    _ = peer:call(Peer, logger, remove_handler, [simple]),
    ok = peer:call(Peer, lab_inside, start, [#{file => File, node => Site, run => Number}]),
    ok = peer:call(Peer, md_node, configure_and_start, [Environment], ?BOOT),
    ok = peer:call(Peer, lab_inside, look_up, [Names]),
    Pid = list_to_integer(peer:call(Peer, os, getpid, [])),
    State#{run := Number, peer => Peer, pid => Pid}.

code_path() ->
    lists:usort([filename:dirname(code:which(Module)) || Module <- [mongoose_domain_core, md_node, ?MODULE]]).

keep(#{peer := Peer, held := Held} = State) ->
    receive
        {'EXIT', Peer, _} when Held ->
            keep(State#{peer := none, pid := none});
        {'EXIT', Peer, _} ->
            keep(again(State#{peer := none, pid := none}));
        {'EXIT', _, Reason} ->
            exit(Reason);
        {From, Tag, peer} ->
            From ! {Tag, Peer},
            keep(State);
        {From, Tag, process_id} ->
            From ! {Tag, maps:get(pid, State)},
            keep(State);
        hold ->
            keep(State#{held := true});
        release when Peer =:= none ->
            keep(again(State#{held := false}));
        release ->
            keep(State#{held := false})
    end.

%% A node may be killed while it starts.
again(State) ->
    timer:sleep(?PAUSE),
    try begun(State)
    catch _:Reason ->
        ok = lab_history:note(trouble, #{text => lab_command:text(Reason)}),
        again(State#{run := maps:get(run, State) + 1})
    end.

%% @doc The process that controls the VM, or none while it does not run.
-spec peer(pid()) -> pid() | none.
peer(Node) ->
    ask(Node, peer).

%% @doc The operating system's id of the VM, or none.
-spec process_id(pid()) -> pos_integer() | none.
process_id(Node) ->
    ask(Node, process_id).

ask(Node, What) ->
    Tag = make_ref(),
    Node ! {self(), Tag, What},
    receive {Tag, Answer} -> Answer after ?BOOT -> none end.

%% @doc Calls a function of the API in the node, as lab_inside:call/3; `none' when no answer came.
-spec call(pid(), binary(), atom(), [term()]) -> map() | none.
call(Node, Domain, Function, Arguments) ->
    ask(Node, lab_inside, call, [Domain, Function, Arguments]).

%% @doc Calls any function in the node; `none' when no answer came.
-spec ask(pid(), module(), atom(), [term()]) -> term() | none.
ask(Node, Module, Function, Arguments) ->
    case peer(Node) of
        none -> none;
        Peer -> try peer:call(Peer, Module, Function, Arguments, ?ANSWER) catch _:_ -> none end
    end.

%% @doc From now on the node is not started again when it ends.
-spec hold(pid()) -> ok.
hold(Node) ->
    Node ! hold,
    ok.

%% @doc Starts the node again if it has ended, now and whenever it ends.
-spec release(pid()) -> ok.
release(Node) ->
    Node ! release,
    ok.
