%% Two nodes at each of the three servers of a Galera cluster, the changes that callers make on all six during a fault, and
%% what must be true after it.
%%
%%   Config = md_galera_nodes:start(md_galera:start(), Config0),      % in init_per_testcase
%%   md_galera_nodes:throughout(Config, fun() ->
%%       ...                                                          % the fault and its end
%%   end).
%%
%% In the end every table equals the database, and so do all servers. The state of each domain and the number of its
%% events are those that its acknowledged changes leave. A domain that does not change is found at every moment. Then a
%% change of each node shows on all nodes.
%%
%% The nodes are not connected to each other, and the hour between two polls is longer than any case: what a node shows it
%% made itself or has asked for. Each has its own server first in its URL, and then the others.
-module(md_galera_nodes).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([start/2, start/3, nodes_at/2, client/2]).
-export([throughout/2, calls/2, state/2, changed_on_all/1, agreed/1, add_on_each/2]).

-import(md_followers, [api/3]).

-type config() :: [{atom(), term()}].

-define(HOUR, 3600000).
-define(SERVERS, [1, 2, 3]).
%% Each of a node's callers has that many domains.
-define(DOMAINS, 5).
-define(CALLERS, 2).

%% @doc Starts the nodes.
-spec start(md_galera:t(), config()) -> config().
start(Cluster, Config) ->
    start(Cluster, #{}, Config).

%% @doc The same, with these options of the service besides.
-spec start(md_galera:t(), #{atom() => term()}, config()) -> config().
start(Cluster, Own, Config0) ->
    Config = md_followers:with_steady(md_galera:url(Cluster, 1), Config0),
    %% The time-outs are those of a user who has a server that answers in a second.
    Options = #{poll_interval => ?HOUR, statement_timeout => 5000, operation_timeout => 10000},
    Environments = [{md_galera:within(Cluster, Number), md_followers:environment(Url, maps:merge(Options, Own))}
                    || {Number, Url} <- lists:zip(?SERVERS, md_galera:urls(Cluster)), _ <- [1, 2]],
    Nodes = md_node:start_within(Environments),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    [{cluster, Cluster}, {nodes, Nodes} | Config].

%% @doc The two nodes whose URL names this server first.
-spec nodes_at(md_galera:place(), config()) -> [md_node:t()].
nodes_at(Number, Config) ->
    lists:sublist(?config(nodes, Config), 2 * Number - 1, 2).

%% @doc Runs this while callers on all nodes change domains; then the whole cluster must take statements. Checks what must be
%% true.
-spec throughout(config(), fun(() -> term())) -> ok.
throughout(Config, Fault) ->
    Nodes = ?config(nodes, Config),
    md_followers:watching(Nodes, fun() ->
        Calls = calls([{Node, of_place(Place)} || {Place, Node} <- lists:enumerate(Nodes)], Fault),
        ok = changed_on_all(Config),
        ok = agreed(Config),
        right(Calls, Config)
    end).

%% @doc Runs this while callers on these nodes change these domains. Returns all calls of each domain.
-spec calls([{md_node:t(), [[binary()]]}], fun(() -> term())) -> #{binary() => [md_callers:call()]}.
calls(Lists, Do) ->
    Callers = [{Node, md_node:call(Node, md_callers, start, [Own])} || {Node, Own} <- Lists],
    Do(),
    Calls = md_callers:together([md_node:call(Node, md_callers, stop, [Own]) || {Node, Own} <- Callers]),
    ct:pal("~b changes: ~p", [lists:sum([length(These) || These <- maps:values(Calls)]), answers(Calls)]),
    Calls.

of_place(Place) ->
    [md_names:numbered(iolist_to_binary(io_lib:format("of-~b-~b-", [Place, Caller])), ?DOMAINS) || Caller <- lists:seq(1, ?CALLERS)].

%% The rows and events are those that the acknowledged changes leave.
right(Calls, Config) ->
    Client = client(1, Config),
    Rows = md_rows:all(Client),
    Events = maps:from_list([{Domain, binary_to_integer(Count)}
                             || [Domain, Count] <- md_client:query(Client, "SELECT domain, COUNT(*) FROM domain_events GROUP BY domain")]),
    ok = md_client:close(Client),
    ?assertEqual([], [{Domain, State, Count, Possible, These}
        || {Domain, These} <- maps:to_list(Calls),
           State <- [state(Domain, Rows)], Count <- [maps:get(Domain, Events, 0)],
           Possible <- [md_callers:possible(These)],
           case Possible of
               #{State := {Least, Most}} -> Count < Least orelse Count > Most;
               _ -> true
           end]),
    ok.

%% @doc What md_callers calls the state of a domain with these rows.
-spec state(binary(), #{binary() => {binary(), Status}}) -> Status | absent.
state(Domain, Rows) ->
    case Rows of
        #{Domain := {_HostType, Status}} -> Status;
        _ -> absent
    end.

%% How many calls had which answer.
answers(Calls) ->
    lists:foldl(fun({_, Answer, _, _}, Counts) ->
        Kind = case Answer of
            {ok, _} -> ok;
            Other -> Other
        end,
        maps:update_with(Kind, fun(Count) -> Count + 1 end, 1, Counts)
    end, #{}, lists:append(maps:values(Calls))).

%% @doc Returns when a change of each node shows on all nodes. A change that is refused, or of which the outcome is unknown, is
%% repeated.
-spec changed_on_all(config()) -> ok.
changed_on_all(Config) ->
    Nodes = ?config(nodes, Config),
    %% The first change of a node may have to wait for its connection.
    _ = add_on_each(Nodes, 1),
    Times = [begin
        [Name] = add_on_each([Node], 1),
        Committed = erlang:monotonic_time(millisecond),
        [md_followers:wait_until_found([Other], Name) || Other <- Nodes],
        erlang:monotonic_time(millisecond) - Committed
     end || Node <- Nodes],
    ct:pal("a change showed on all nodes after ~w ms", [Times]).

%% @doc Adds that many domains on each node.
-spec add_on_each([md_node:t()], pos_integer()) -> [binary()].
add_on_each(Nodes, Count) ->
    Prefix = <<"added-", (integer_to_binary(erlang:unique_integer([positive])))/binary, "-">>,
    Changes = [{Node, Name} || {Place, Node} <- lists:enumerate(Nodes),
                               Name <- md_names:numbered(<<Prefix/binary, ($a + Place)>>, Count)],
    [md_wait:until(fun() -> element(1, api(Node, insert_domain, [Name, <<"type1">>])) end, ok) || {Node, Name} <- Changes],
    [Name || {_, Name} <- Changes].

%% @doc Waits until each node shows what each server has, without a pass that was requested.
-spec agreed(config()) -> ok.
agreed(Config) ->
    Clients = [client(Number, Config) || Number <- ?SERVERS],
    md_wait:until(fun() ->
        [Wanted | Others] = [rows(Client) || Client <- Clients],
        [differences(Wanted, Table) || Table <- Others ++ [md_node:routes(Node) || Node <- ?config(nodes, Config)], Table =/= Wanted]
    end, []),
    [ok = md_client:close(Client) || Client <- Clients],
    ok.

%% A server that is joining refuses statements for a moment.
rows(Client) ->
    try
        md_rows:enabled(md_rows:all(Client))
    catch
        error:{sql_failed, _Said, _Sql} -> refused
    end.

differences(Wanted, Table) when Wanted =:= refused; Table =:= refused ->
    refused;
differences(Wanted, Table) ->
    {maps:without(maps:keys(Wanted), Table), maps:without(maps:keys(Table), Wanted)}.

%% @doc A client of this server at its site.
-spec client(md_galera:place(), config()) -> md_client:t().
client(Number, Config) ->
    md_galera:client(?config(cluster, Config), Number).
