%% Two nodes that follow one database through a fault, and the steps that such test cases share.
%%
%% The promises are the same for every fault. In the end the tables agree with the database. Routes of lost rows are
%% kept until their host type is declared fresh. Users can change domains on each node. A domain that does not change is
%% found at every moment. So the cases of several suites are alike:
%%
%%   Config = with_steady(md_database:create(), Config0),        % in init_per_testcase
%%   Nodes = start(?config(database, Config), told()),           % two, and both follow
%%   watching(Nodes, fun() ->
%%       ...,                                                    % the fault and its end
%%       ok = md_rows:wait_until_agreed(Nodes, ?config(client, Config)),
%%       change_on_each(Nodes, ?config(client, Config))
%%   end).
%%
%% The nodes serve `static.example' from their configuration, and `steady.example', which never changes, from the
%% database. They are not connected to each other. This module causes no faults: see md_gate and md_cluster.
-module(md_followers).

-include_lib("stdlib/include/assert.hrl").
-include_lib("common_test/include/ct.hrl").

-export([with_steady/2, environment/2, start/2, hasty/0, told/0, watching/2]).
-export([api/3, service/3, converge/1, make_fresh/3, change_on_each/2]).
-export([wait_for_state/2, wait_for_status/3, wait_until_found/2, wait_until_logged/3, wait_until_kept/3]).
-export([query/2, write/2, silently/2, add_silently/3, delete_silently/2, gate/1]).
-export([routes/2, in_parts/1]).

-type config() :: [{atom(), term()}].
-type options() :: #{atom() => term()}.
-type routes() :: #{Domain :: binary() => HostType :: binary()}.

-define(HOUR, 3600000).
-define(STEADY, <<"steady.example">>).

%% @doc Creates the tables in this database, adds the steady domain, and adds the database and a client of it to the
%% configuration.
-spec with_steady(string(), config()) -> config().
with_steady(Database, Config) ->
    Client = md_client:open(md_database:with_tables(Database)),
    ok = md_writer:write(Client, [{add, <<"type1">>, [?STEADY]}]),
    [{database, Database}, {client, Client} | Config].

%% Nodes

%% @doc The application environment of a node that follows this database with these options of the service.
-spec environment(string(), options()) -> #{atom() => term()}.
environment(Url, Options) ->
    #{hosts => [{<<"static.example">>, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => maps:merge(#{database => Url, poll_interval => 200}, Options)}.

%% @doc Starts two unconnected nodes that follow this database.
-spec start(string(), options()) -> [md_node:t()].
start(Url, Options) ->
    Nodes = md_node:start_many([environment(Url, Options), environment(Url, Options)]),
    [md_node:wait_until_following(Node) || Node <- Nodes],
    Nodes.

%% @doc Options with short time-outs, for servers that hang.
-spec hasty() -> options().
hasty() ->
    #{connect_timeout => 1000, statement_timeout => 1000, lock_timeout => 500}.

%% @doc Options with which a node reads the database only after a notification: the hour between two polls is longer
%% than any test.
-spec told() -> options().
told() ->
    #{poll_interval => ?HOUR}.

%% @doc Runs this while the steady domain is looked up on each node.
-spec watching([md_node:t()], fun(() -> term())) -> ok.
watching(Nodes, Do) ->
    Watch = md_watch:start(Nodes, [?STEADY]),
    Do(),
    md_watch:stop(Watch).

%% @doc Calls a function of mongoose_domain_api in the node.
-spec api(md_node:t(), atom(), [term()]) -> term().
api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

%% @doc Calls a function of service_domain_db in the node.
-spec service(md_node:t(), atom(), [term()]) -> term().
service(Node, Function, Args) ->
    md_node:call(Node, service_domain_db, Function, Args).

%% @doc Makes the node compare its whole table with the database; returns what it repaired.
-spec converge(md_node:t()) -> {ok, map()} | {error, binary()}.
converge(Node) ->
    service(Node, converge, []).

%% @doc Declares a host type complete, for that many seconds or, with 0, without an end.
%% Any node can do this.
-spec make_fresh(md_node:t(), binary(), non_neg_integer()) -> ok.
make_fresh(Node, HostType, Seconds) ->
    md_node:call(Node, mongoose_domain_freshness, upsert, [HostType, Seconds]).

%% @doc Adds a domain on each node through the API; afterwards the tables agree with the database.
-spec change_on_each([md_node:t()], md_client:t()) -> ok.
change_on_each(Nodes, Client) ->
    [begin
        Name = <<"by-node-", (integer_to_binary(erlang:unique_integer([positive])))/binary, ".example">>,
        ?assertEqual({ok, #{domain => Name, host_type => <<"type1">>}}, api(Node, insert_domain, [Name, <<"type1">>])),
        ?assertEqual({ok, <<"type1">>}, md_node:lookup(Node, Name))
     end || Node <- Nodes],
    md_rows:wait_until_agreed(Nodes, Client).

%% @doc Waits until the status of each node has this state.
-spec wait_for_state([md_node:t()], atom()) -> ok.
wait_for_state(Nodes, State) ->
    wait_for_status(Nodes, state, State).

%% @doc Waits until the status of each node has this value.
-spec wait_for_status([md_node:t()], atom(), term()) -> ok.
wait_for_status(Nodes, Key, Value) ->
    lists:foreach(fun(Node) -> md_wait:until(fun() -> maps:get(Key, md_node:status(Node)) end, Value) end, Nodes).

%% @doc Waits until each node serves this domain with the first host type.
-spec wait_until_found([md_node:t()], binary()) -> ok.
wait_until_found(Nodes, Domain) ->
    lists:foreach(fun(Node) -> md_wait:until(fun() -> md_node:lookup(Node, Domain) end, {ok, <<"type1">>}) end, Nodes).

%% @doc Waits until the node has logged this that many times. It may log it again.
-spec wait_until_logged(md_node:t(), atom(), non_neg_integer()) -> ok.
wait_until_logged(Node, What, Count) ->
    md_wait:until(fun() -> md_node:count(Node, What) end, Count).

%% @doc Waits until the tables have the database's routes and these besides, and the nodes report each of these as
%% kept.
-spec wait_until_kept([md_node:t()], md_client:t(), routes()) -> ok.
wait_until_kept(Nodes, Client, Kept) ->
    ok = md_rows:wait_until_agreed(Nodes, Client, Kept),
    Wanted = lists:sort(maps:to_list(Kept)),
    lists:foreach(fun(Node) -> md_wait:until(fun() -> lists:sort(service(Node, kept, [])) end, Wanted) end, Nodes).

%% The database

%% @doc The rows that this statement returns.
-spec query(config(), iodata()) -> [[binary()]].
query(Config, Sql) ->
    md_client:query(?config(client, Config), Sql).

%% @doc Changes domains and writes their events, in one transaction that notifies every node.
-spec write(config(), [md_writer:change()]) -> ok.
write(Config, Changes) ->
    md_writer:write_and_notify(?config(client, Config), Changes).

%% @doc Runs a statement that returns no rows and writes no event and no notification.
-spec silently(config(), iodata()) -> ok.
silently(Config, Sql) ->
    [] = query(Config, Sql),
    ok.

%% @doc Adds domains without an event and without a notification.
-spec add_silently(config(), binary(), [binary()]) -> ok.
add_silently(Config, HostType, Names) ->
    Rows = lists:join(", ", [["(", md_writer:literal(Name), ", ", md_writer:literal(HostType), ")"] || Name <- Names]),
    silently(Config, ["INSERT INTO domain_settings (domain, host_type) VALUES ", Rows]).

%% @doc Deletes domains without an event and without a notification.
-spec delete_silently(config(), [binary()]) -> ok.
delete_silently(Config, Names) ->
    silently(Config, ["DELETE FROM domain_settings WHERE domain IN (",
                      lists:join(", ", [md_writer:literal(Name) || Name <- Names]), ")"]).

%% @doc An open gate in front of the database, and the URL that leads through it.
-spec gate(config()) -> {md_gate:t(), Url :: string()}.
gate(Config) ->
    Database = ?config(database, Config),
    Gate = md_gate:start(md_database:port(Database)),
    ok = md_gate:open(Gate),
    {Gate, md_database:with_port(Database, md_gate:port(Gate))}.

%% Names

%% @doc These domains, all with this host type.
-spec routes(binary(), [binary()]) -> routes().
routes(HostType, Names) ->
    maps:from_list([{Name, HostType} || Name <- Names]).

%% @doc The list in parts of ten; its length must be a multiple of ten.
-spec in_parts([binary()]) -> [[binary()]].
in_parts([]) -> [];
in_parts(Names) ->
    {Part, Rest} = lists:split(10, Names),
    [Part | in_parts(Rest)].
