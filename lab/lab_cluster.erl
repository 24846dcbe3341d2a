%% The sites' programs, as lab/cluster starts them: each is started again some seconds after it ended, as systemd does it.
%%
%%   ok = lab_cluster:start("/.../work"),
%%   Pids = lab_cluster:pids(1, postgres),
%%   ok = lab_cluster:hold(1, patroni), ..., ok = lab_cluster:release(1, patroni).
%%
%% PostgreSQL belongs to its Patroni, which starts it.
-module(lab_cluster).

-export([start/1, pids/2, hold/2, release/2, release/0, kill_databases/0]).
-export([leader/0, members/0, query/1, query_at/2, address/1]).

-define(ROLES, [{1, etcd}, {2, etcd}, {3, etcd}, {1, patroni}, {2, patroni}, {3, patroni}, {1, haproxy}, {2, haproxy}, {3, haproxy}, {3, pgbouncer}]).
-define(LOOK, 500).
-define(PAUSE, 2000).
-define(BEGINNING, 180).

%% @doc Starts all programs, and returns when there is a primary with two standbys.
-spec start(file:filename()) -> ok.
start(Work) ->
    persistent_term:put(?MODULE, Work),
    {0, _} = lab_command:run(here, [script(), "prepare"], 60000),
    Caller = self(),
    Keeper = spawn_link(fun() ->
        register(?MODULE, self()),
        _ = [begin_role(Role) || Role <- ?ROLES],
        Caller ! {self(), begun},
        keep(#{held => [], dead => #{}})
    end),
    receive {Keeper, begun} -> ok end,
    until_complete(?BEGINNING).

until_complete(0) ->
    erlang:error({no_cluster, members()});
until_complete(Left) ->
    case {leader(), [Site || #{site := Site, state := <<"running">>} <- members()]} of
        {#{}, [_, _, _]} -> ok;
        _ -> timer:sleep(1000), until_complete(Left - 1)
    end.

script() ->
    os:getenv("LAB_SCRIPTS") ++ "/cluster".

%% The script's programs outlive it, so its output must not be awaited.
begin_role({Site, Role}) ->
    {0, _} = lab_command:run(here, [script(), "start", integer_to_list(Site), atom_to_list(Role)], 60000).

keep(#{held := Held, dead := Dead0} = State) ->
    receive
        {hold, Role} -> keep(State#{held := [Role | Held]});
        {release, Role} -> keep(State#{held := Held -- [Role]});
        release -> keep(State#{held := []})
    after ?LOOK ->
        Now = erlang:monotonic_time(millisecond),
        Dead = maps:from_list([{Role, maps:get(Role, Dead0, Now)} || {Site, Name} = Role <- ?ROLES -- Held, pids(Site, Name) =:= []]),
        Due = [Role || {Role, Since} <- maps:to_list(Dead), Now - Since >= ?PAUSE],
        _ = [begin_role(Role) || Role <- Due],
        keep(State#{dead := maps:without(Due, Dead)})
    end.

%% @doc From now on this program is not started when it is not there.
-spec hold(1..3, atom()) -> ok.
hold(Site, Role) ->
    ?MODULE ! {hold, {Site, Role}},
    ok.

-spec release(1..3, atom()) -> ok.
release(Site, Role) ->
    ?MODULE ! {release, {Site, Role}},
    ok.

%% @doc Ends all that hold/2 began.
-spec release() -> ok.
release() ->
    ?MODULE ! release,
    ok.

%% @doc Kills Patroni and PostgreSQL in all sites; they come again.
-spec kill_databases() -> ok.
kill_databases() ->
    Pids = lists:append([pids(Site, Role) || Role <- [patroni, postgres], Site <- [1, 2, 3]]),
    _ = os:cmd(lists:flatten(["kill -KILL", [[" ", integer_to_list(Pid)] || Pid <- Pids]])),
    ok.

%% @doc The ids of the program's processes that run: of PostgreSQL's the postmaster first, of the others one.
-spec pids(1..3, atom()) -> [pos_integer()].
pids(Site, Role) ->
    File = case Role of
        postgres -> filename:join([work(), integer_to_list(Site), "postgres", "data", "postmaster.pid"]);
        _ -> filename:join([work(), "pids", lists:concat([Role, "-", Site])])
    end,
    First = case file:read_file(File) of
        {ok, Text} -> [Pid || {Pid, _} <- [string:to_integer(string:trim(hd(binary:split(Text, <<"\n">>))))], is_integer(Pid), runs(Pid, Role)];
        {error, _} -> []
    end,
    case {Role, First} of
        {postgres, [Postmaster]} -> First ++ children(Postmaster);
        _ -> First
    end.

%% An id may belong to another process by now.
runs(Pid, Role) ->
    case file:read_file(lists:concat(["/proc/", Pid, "/cmdline"])) of
        {ok, <<>>} -> false;
        {ok, Line} -> binary:match(Line, atom_to_binary(Role)) =/= nomatch orelse Role =:= any;
        {error, _} -> false
    end.

children(Parent) ->
    [Pid || File <- filelib:wildcard("/proc/[0-9]*/stat"), {ok, Stat} <- [file:read_file(File)],
            [_, Fields] <- [string:split(Stat, <<") ">>, trailing)],
            [_, Ppid | _] <- [string:lexemes(Fields, " ")], binary_to_integer(Ppid) =:= Parent,
            Pid <- [list_to_integer(filename:basename(filename:dirname(File)))]].

work() ->
    persistent_term:get(?MODULE).

%% @doc The address of a site's hosts.
-spec address(1..3) -> string().
address(Site) ->
    "10.77.0.1" ++ integer_to_list(Site).

%% @doc The primary, if exactly one site has one and Patroni leads the others to it.
-spec leader() -> #{site := 1..3, timeline := pos_integer()} | none.
leader() ->
    case [Member || #{role := <<"leader">>, state := <<"running">>} = Member <- members()] of
        [#{site := Site, timeline := Timeline}] -> #{site => Site, timeline => Timeline};
        _ -> none
    end.

%% @doc The members of the cluster, as the first Patroni says that answers.
-spec members() -> [#{site := 1..3, role := binary(), state := binary(), timeline := integer(), lag := term()}].
members() ->
    members([1, 2, 3]).

members([]) ->
    [];
members([Site | Sites]) ->
    case lab_command:run(here, ["curl", "-s", "-m", "2", ["http://", address(Site), ":8008/cluster"]], 4000) of
        {0, Text} ->
            try [member(Member) || Member <- maps:get(<<"members">>, md_json:decode(Text))]
            catch error:_ -> members(Sites)
            end;
        _ -> members(Sites)
    end.

member(#{<<"name">> := <<"site", Site>>, <<"role">> := Role, <<"state">> := State} = Member) ->
    #{site => Site - $0, role => Role, state => State, timeline => maps:get(<<"timeline">>, Member, 0), lag => maps:get(<<"lag">>, Member, 0)}.

%% @doc The rows that the primary returns, as PostgreSQL's superuser; `none' where it does not answer.
-spec query(iodata()) -> [[binary()]] | none.
query(Sql) ->
    case leader() of
        #{site := Site} -> query_at(Site, Sql);
        none -> none
    end.

-spec query_at(1..3, iodata()) -> [[binary()]] | none.
query_at(Site, Sql) ->
    Psql = ["psql", "-X", "-q", "-A", "-t", "-h", address(Site), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", Sql],
    Database = case persistent_term:get({?MODULE, database}, undefined) of undefined -> "postgres"; Name -> Name end,
    case lab_command:run(here, Psql ++ [Database], 15000) of
        {0, Output} -> [binary:split(Line, <<"|">>, [global]) || Line <- binary:split(Output, <<"\n">>, [global, trim])];
        _ -> none
    end.
