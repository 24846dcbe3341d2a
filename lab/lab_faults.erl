%% The faults: each draws its victim and its length from the seed, begins, and ends. Several run at the same time.
%%
%%   kill        SIGKILL to one process: etcd, Patroni, PostgreSQL, HAProxy, PgBouncer, a node, its admin program
%%   freeze      SIGSTOP to one of these, and SIGCONT some seconds later
%%   restart     SIGTERM to one of these
%%   dark        SIGKILL to all processes of a site, which come back later
%%   partition   the links between one site and the two others carry nothing
%%   pair        the link between two sites carries nothing
%%   oneway      the packets from one site to another are lost, and those of the other direction are not
%%   lossy       some of the packets from and to a site are lost, up to a sixth in each direction
%%   slow        a site's link is slow: a queue of 300 ms at 400 kbit/s, or netem's delay where the kernel has it
%%   switchover  Patroni is asked for another primary
%%   missed      a standby becomes the primary that had not received the last changes: replication is cut for some seconds, then the
%%               primary's site goes dark
%%   truncate    the log of events is emptied, and at times its ids begin again with 1
%%   full        a site's disk is full for some seconds
%%
%% FAULTS=kill,partition in the environment of lab/run leaves the others out.
-module(lab_faults).

-export([kinds/0, start/4, stop/1]).

-define(KINDS, [kill, freeze, restart, dark, partition, pair, oneway, lossy, slow, switchover, missed, truncate, full]).
%% Drawn three times as often, since a third of their victims are nodes.
-define(OFTEN, [kill, freeze]).
%% How many run at the same time.
-define(HANDS, 2).
%% The longest pause between two faults of a hand, in seconds.
-define(PAUSE, 12).
-define(LENGTH, 20).

-spec kinds() -> [atom()].
kinds() ->
    ?KINDS.

%% @doc Begins with faults of these kinds.
-spec start(integer(), [atom()], #{1..3 => pid()}, file:filename()) -> [pid()].
start(Seed, Kinds, Nodes, Work) ->
    [spawn_link(fun() -> hand(Kinds, Nodes, Work, rand:seed_s(exsss, {Seed, Hand, 2})) end) || Hand <- lists:seq(1, ?HANDS), Kinds =/= []].

%% @doc Returns when all faults have ended and nothing is held any more.
-spec stop([pid()]) -> ok.
stop(Hands) ->
    Monitors = [monitor(process, Hand) || Hand <- Hands],
    _ = [Hand ! stop || Hand <- Hands],
    lists:foreach(fun(Monitor) -> receive {'DOWN', Monitor, process, _, normal} -> ok end end, Monitors).

%% The numbers of a fault are all drawn before it begins, so that a seed draws the same faults whatever they meet.
hand(Kinds, Nodes, Work, Random0) ->
    {Pause, Random1} = rand:uniform_s(?PAUSE, Random0),
    Weighted = Kinds ++ [Kind || Kind <- Kinds, _ <- [1, 2], lists:member(Kind, ?OFTEN)],
    {Kind, Random2} = rand:uniform_s(length(Weighted), Random1),
    {Numbers, Random3} = lists:mapfoldl(fun(_, Random) -> rand:uniform_s(60, Random) end, Random2, lists:seq(1, 5)),
    case wait(Pause) of
        stopped ->
            ok;
        passed ->
            Fault = fault(lists:nth(Kind, Weighted), Numbers, Nodes, Work),
            #{name := Name, target := Target, seconds := Seconds, cause := Cause, mend := Mend} = Fault,
            Noted = #{name => Name, target => lab_command:text(Target), number => erlang:unique_integer([positive])},
            ok = lab_history:note(fault, Noted#{step => 'begin', seconds => Seconds}),
            Done = Cause(),
            Waited = wait(Seconds),
            Mend(Done),
            ok = lab_history:note(fault, Noted#{step => 'end'}),
            case Waited of
                stopped -> ok;
                passed -> hand(Kinds, Nodes, Work, Random3)
            end
    end.

wait(Seconds) ->
    receive stop -> stopped after Seconds * 1000 -> passed end.

fault(kill, [A, B | _], Nodes, _Work) ->
    Victim = victim(A, B),
    instant(kill, Victim, fun() -> signal("KILL", pids(Victim, Nodes)) end);
fault(restart, [A, B | _], Nodes, _Work) ->
    Victim = victim(A, B),
    %% PostgreSQL would wait for its clients after SIGTERM, and they stay.
    Signal = case Victim of {_, postgres} -> "INT"; _ -> "TERM" end,
    instant(restart, Victim, fun() -> signal(Signal, lists:sublist(pids(Victim, Nodes), 1)) end);
fault(freeze, [A, B, C | _], Nodes, _Work) ->
    Victim = victim(A, B),
    lasting(freeze, Victim, C,
        fun() -> Pids = pids(Victim, Nodes), signal("STOP", Pids), Pids end,
        fun(Pids) -> signal("CONT", Pids) end);
fault(dark, [A, _, C | _], Nodes, _Work) ->
    Site = site(A),
    lasting(dark, Site, C, fun() -> dark(Site, Nodes) end, fun(_) -> light(Site, Nodes) end);
fault(partition, [A, _, C | _], _Nodes, _Work) ->
    Site = site(A),
    cut(partition, Site, C, [[Rule, " drop"] || Other <- [1, 2, 3] -- [Site], Rule <- [from_to(Site, Other), from_to(Other, Site)]]);
fault(pair, [A, _, C | _], _Nodes, _Work) ->
    [One, Other] = [1, 2, 3] -- [site(A)],
    cut(pair, {One, Other}, C, [[from_to(One, Other), " drop"], [from_to(Other, One), " drop"]]);
fault(oneway, [A, B, C | _], _Nodes, _Work) ->
    From = site(A),
    To = lists:nth(1 + B rem 2, [1, 2, 3] -- [From]),
    cut(oneway, {From, To}, C, [[from_to(From, To), " drop"]]);
fault(lossy, [A, B, C | _], _Nodes, _Work) ->
    Site = site(A),
    Share = [" numgen random mod 100 < ", integer_to_list(3 + B div 4), " drop"],
    cut(lossy, Site, C, [[End, " \"link", integer_to_list(Site), "\"", Share] || End <- ["iifname", "oifname"]]);
fault(slow, [A, _, C | _], _Nodes, _Work) ->
    Site = site(A),
    Link = "link" ++ integer_to_list(Site),
    lasting(slow, Site, C,
        fun() ->
            case lab_command:run(here, ["tc", "qdisc", "add", "dev", Link, "root", "netem", "delay", "150ms", "50ms"], 5000) of
                {0, _} -> ok;
                _ -> tool(["tc", "qdisc", "add", "dev", Link, "root", "tbf", "rate", "400kbit", "burst", "3000", "latency", "300ms"])
            end
        end,
        fun(_) -> tool(["tc", "qdisc", "del", "dev", Link, "root"]) end);
fault(switchover, _Numbers, _Nodes, Work) ->
    instant(switchover, any, fun() ->
        Configuration = filename:join([Work, "1", "patroni.yml"]),
        _ = lab_command:run(here, ["patronictl", "-c", Configuration, "switchover", "--force"], 30000),
        ok
    end);
fault(missed, [_, B, C | _], Nodes, _Work) ->
    lasting(missed, leader, C,
        fun() ->
            case lab_cluster:leader() of
                none -> none;
                #{site := Site} ->
                    %% The standbys' connections alone: etcd, Patroni and clients see nothing of it.
                    Standbys = lab_cluster:query_at(Site, "SELECT client_port FROM pg_stat_replication"),
                    Rules = [["iifname \"link", integer_to_list(Site), "\" tcp sport 5432 tcp dport ", Port, " drop"]
                             || is_list(Standbys), [Port] <- Standbys],
                    Chain = add_rules(Rules),
                    timer:sleep(1000 + 1000 * (B rem 4)),
                    dark(Site, Nodes),
                    remove_rules(Chain),
                    Site
            end
        end,
        fun(none) -> ok; (Site) -> light(Site, Nodes) end);
fault(truncate, [A | _], _Nodes, _Work) ->
    instant(truncate, any, fun() ->
        _ = lab_cluster:query(["TRUNCATE domain_events" | [" RESTART IDENTITY" || A rem 3 =:= 0]]),
        ok
    end);
fault(full, [A, _, C | _], _Nodes, Work) ->
    Site = site(A),
    File = filename:join([Work, integer_to_list(Site), "full"]),
    lasting(full, Site, C div 2,
        fun() -> _ = lab_command:run(here, ["dd", "if=/dev/zero", ["of=", File], "bs=1M"], 20000), ok end,
        fun(_) -> _ = file:delete(File), ok end).

instant(Name, Target, Cause) ->
    #{name => Name, target => Target, seconds => 0, cause => Cause, mend => fun(_) -> ok end}.

lasting(Name, Target, Number, Cause, Mend) ->
    #{name => Name, target => Target, seconds => 1 + Number * ?LENGTH div 60, cause => Cause, mend => Mend}.

site(Number) ->
    1 + Number rem 3.

%% Nodes are the application under test, so they are drawn more often than the others.
victim(A, B) ->
    lists:nth(1 + B rem 10, [{site(A), node}, {site(A), node}, {site(A), node}, {site(A), admin}, {site(A), postgres}, {site(A), postgres},
                             {site(A), patroni}, {site(A), etcd}, {site(A), haproxy}, {3, pgbouncer}]).

pids({Site, node}, Nodes) ->
    [Pid || Pid <- [lab_node:process_id(maps:get(Site, Nodes))], Pid =/= none];
pids({Site, admin}, Nodes) ->
    [Pid || {Number, Output} <- [lab_command:run({site, Site}, ["pgrep", "-n", "domain_admin", "--ns", own(Site, Nodes), "--nslist", "net"], 5000)],
            Number =:= 0, Pid <- [binary_to_integer(string:trim(Output))]];
pids({Site, Role}, _Nodes) ->
    lab_cluster:pids(Site, Role).

%% A process of the site, whose network namespace is the site's.
own(Site, Nodes) ->
    case lab_node:process_id(maps:get(Site, Nodes)) of
        none -> "1";
        Pid -> integer_to_list(Pid)
    end.

signal(_Signal, []) -> ok;
signal(Signal, Pids) ->
    _ = os:cmd(lists:flatten(["kill -", Signal, [[" ", integer_to_list(Pid)] || Pid <- Pids]])),
    ok.

dark(Site, Nodes) ->
    Roles = [etcd, patroni, haproxy | [pgbouncer || Site =:= 3]],
    _ = [lab_cluster:hold(Site, Role) || Role <- Roles],
    ok = lab_node:hold(maps:get(Site, Nodes)),
    %% Patroni before PostgreSQL, which it would start again.
    signal("KILL", lists:append([pids({Site, Role}, Nodes) || Role <- Roles ++ [node, postgres]])).

light(Site, Nodes) ->
    _ = [lab_cluster:release(Site, Role) || Role <- [etcd, patroni, haproxy, pgbouncer]],
    lab_node:release(maps:get(Site, Nodes)).

cut(Name, Target, Number, Rules) ->
    lasting(Name, Target, Number, fun() -> add_rules(Rules) end, fun remove_rules/1).

from_to(From, To) ->
    lists:concat(["iifname \"link", From, "\" oifname \"link", To, "\""]).

%% A chain of its own for each fault, beside which others stay.
add_rules(Rules) ->
    Chain = "fault" ++ integer_to_list(erlang:unique_integer([positive])),
    tool(["nft", "add chain bridge lab " ++ Chain ++ " { type filter hook forward priority 0; }"]),
    _ = [tool(["nft", ["add rule bridge lab ", Chain, " ", Rule]]) || Rule <- Rules],
    Chain.

remove_rules(Chain) ->
    tool(["nft", "delete chain bridge lab " ++ Chain]).

%% A fault that is not caused would be a record that lies.
tool(Command) ->
    {0, _} = lab_command:run(here, Command, 60000),
    ok.
