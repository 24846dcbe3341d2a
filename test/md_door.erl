%% A node with a door and a database of its own: the fixture of the suites about doors.
%%
%%   init_per_testcase(_Case, Config) -> md_door:open(Config).
%%   end_per_testcase(_Case, Config) -> md_door:close(Config).
%%
%%   {204, _, <<>>} = md_http:request(?config(door, Config), put, "/api/domains/a.example", …),
%%
%% The configuration gets `database', `node', `door' (see md_http; its user is the admin) and `client'. The node serves
%% `static.example' from its configuration, with a host type that dynamic domains cannot have. Dynamic domains can have
%% `type1' and `type2'.
-module(md_door).

-include_lib("common_test/include/ct.hrl").

-export([open/1, open/2, close/1, environment/1, environment/2]).
-export([handled_by/3, handle/2, remove_domain/2]).

-type config() :: [{atom(), term()}].

%% @doc Starts the node with the default door of these tests. Where `kind' in the configuration is `mariadb', the database is
%% one of MariaDB.
-spec open(config()) -> config() | {fail, string()}.
open(Config) ->
    open(#{}, Config).

%% @doc The same, with these keys added to the door's configuration.
-spec open(#{atom() => term()}, config()) -> config() | {fail, string()}.
open(Admin, Config) ->
    md_database:or_fail(fun() ->
        Database = md_database:with_tables(database(?config(kind, Config))),
        Node = md_node:start(environment(Database, Admin)),
        ok = md_node:wait_until_following(Node),
        [{database, Database}, {node, Node}, {door, md_http:door(Node)}, {client, md_client:open(Database)} | Config]
    end).

database(mariadb) -> md_database:mariadb();
database(undefined) -> md_database:create().

-spec close(config()) -> ok.
close(Config) ->
    md_database:drop(?config(database, Config)).

%% @doc The application environment of such a node for this database.
-spec environment(term()) -> #{atom() => term()}.
environment(Database) ->
    environment(Database, #{}).

-spec environment(term(), #{atom() => term()}) -> #{atom() => term()}.
environment(Database, Admin) ->
    #{hosts => [{<<"static.example">>, <<"static type">>}],
      host_types => [<<"type1">>, <<"type2">>],
      service_domain_db => #{database => Database, poll_interval => 200},
      admin => maps:merge(#{port => 0, username => "admin", password => "secret"}, Admin)}.

%% @doc While Fun runs, the node's removal handler waits or fails.
-spec handled_by(config(), wait | fail, fun(() -> Result)) -> Result.
handled_by(Config, How, Fun) ->
    Node = ?config(node, Config),
    ok = handle(Config, How),
    ok = md_node:call(Node, mongoose_domain_removal, register_handler, [<<"type1">>, ?MODULE, 50]),
    try
        Fun()
    after
        ok = handle(Config, pass),
        ok = md_node:call(Node, mongoose_domain_removal, unregister_handler, [<<"type1">>, ?MODULE])
    end.

%% @doc From now on the removal handler waits, fails or succeeds.
-spec handle(config(), wait | fail | pass) -> ok.
handle(Config, How) ->
    md_node:call(?config(node, Config), persistent_term, put, [{?MODULE, how}, How]).

%% @private The removal handler.
-spec remove_domain(binary(), binary()) -> ok | {error, on_purpose}.
remove_domain(HostType, Domain) ->
    case persistent_term:get({?MODULE, how}) of
        pass -> ok;
        fail -> {error, on_purpose};
        wait -> timer:sleep(20), remove_domain(HostType, Domain)
    end.
