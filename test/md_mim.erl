%% A node of MongooseIM with this application: the integration of integrations/mongooseim, and stand-ins for MongooseIM.
%%
%%   Config = md_mim:compile(Config0),                    % in init_per_suite/1
%%   Node = md_mim:started(Config),                       % a server that follows the database in Config
%%   {ok, _} = md_mim:api(Node, insert_domain, [<<"a.example">>, <<"type1">>]).
%%
%% The stand-ins in the integration's folder test have the names of MongooseIM's modules, record their calls, and start what it
%% starts in its order (mim). All else is real: nodes of their own, PostgreSQL and MariaDB. The sources of the integration and of the
%% stand-ins are compiled here, since this application does not depend on them.
-module(md_mim).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([compile/1, boot/2, start/2, started/1, config/1, config/2, options/0]).
-export([api/3, routing/3, behave/4, take_calls/1, args/3, packet_handler/2, iq_handler/2]).

-type config() :: [{atom(), term()}].

-define(STATIC, <<"static.example">>).
-define(TYPES, [<<"type1">>, <<"type2">>]).

%% @doc Compiles the sources into the suite's private directory, which is `beams' in the configuration then.
-spec compile(config()) -> config().
compile(Config) ->
    Beams = filename:join(?config(priv_dir, Config), "ebin"),
    ok = filelib:ensure_path(Beams),
    Checkout = filename:dirname(filename:dirname(md_events:path("docs/events.md"))),
    Folder = filename:join([Checkout, "integrations", "mongooseim", "mongoose_domain_mongooseim"]),
    Sources = filelib:wildcard(filename:join([Folder, "{src,test}", "*.erl"])),
    ?assert(length(Sources) > 10),
    [{ok, _} = compile:file(Source, [{outdir, Beams}, debug_info, report, warnings_as_errors]) || Source <- Sources],
    {ok, [{application, App, Keys}]} =
        file:consult(filename:join([Folder, "src", "mongoose_domain_mongooseim.app.src"])),
    Modules = [list_to_atom(filename:basename(Source, ".erl")) || Source <- Sources, string:find(Source, "/src/") =/= nomatch],
    ok = file:write_file(filename:join(Beams, lists:concat([App, ".app"])),
                         io_lib:format("~tp.~n", [{application, App, [{modules, Modules} | Keys]}])),
    [{beams, Beams} | Config].

%% @doc A VM whose release has this application loaded, with these keys in the environment besides the integration.
-spec boot(config(), #{atom() => term()}) -> md_node:t().
boot(Config, Environment) ->
    Node = md_node:boot(),
    true = md_node:call(Node, code, add_pathz, [?config(beams, Config)]),
    ok = md_node:call(Node, application, load, [mongoose_domain]),
    [ok = md_node:call(Node, application, set_env, [mongoose_domain, Key, Value])
     || {Key, Value} <- maps:to_list(Environment#{integration => mongoose_domain_mongooseim})],
    Node.

%% @doc Starts the server with this configuration.
-spec start(md_node:t(), #{atom() => term()}) -> ok | {error, term()}.
start(Node, Config) ->
    md_node:call(Node, mim, start, [Config]).

%% @doc A node with a server that follows the test's database.
-spec started(config()) -> md_node:t().
started(Config) ->
    %% Other programs do not notify.
    Node = boot(Config, #{service_domain_db => #{poll_interval => 100}}),
    ok = start(Node, config(Config)),
    Node.

%% @doc The server's configuration, for the test's database.
-spec config(config()) -> #{atom() => term()}.
config(Config) ->
    config(Config, #{}).

%% @doc The same with these parts of its connection to the database.
-spec config(config(), #{atom() => term()}) -> #{atom() => term()}.
config(Config, Connection) ->
    #{scheme := Scheme, host := Host, path := "/" ++ Database, userinfo := User} = uri_string:parse(?config(database, Config)),
    Pool = #{type => rdbms, scope => global, tag => default, opts => #{workers => 2},
             conn_opts => maps:merge(#{driver => driver(Scheme), host => Host, port => md_database:port(?config(database, Config)),
                                       database => Database, username => User, query_timeout => 5000}, Connection)},
    #{hosts => [?STATIC], host_types => ?TYPES, outgoing_pools => [Pool], service => options()}.

driver("postgres") -> pgsql;
driver("mysql") -> mysql.

%% @doc What the server hands to service_domain_db:start/1.
-spec options() -> #{atom() => term()}.
options() ->
    #{event_cleaning_interval => 1800, event_max_age => 7200, db_pool => global}.

%% @doc Calls mongoose_domain_api in the node.
-spec api(md_node:t(), atom(), [term()]) -> term().
api(Node, Function, Args) ->
    md_node:call(Node, mongoose_domain_api, Function, Args).

%% @doc Calls mongoose_lazy_routing in the node.
-spec routing(md_node:t(), atom(), [term()]) -> term().
routing(Node, Function, Args) ->
    md_node:call(Node, mongoose_lazy_routing, Function, Args).

%% @doc Has a function of a stand-in return this, or crash.
-spec behave(md_node:t(), module(), atom(), term()) -> ok.
behave(Node, Module, Function, Behaviour) ->
    md_node:call(Node, mim, behave, [{Module, Function}, Behaviour]).

%% @doc The calls of stand-ins since the last time.
-spec take_calls(md_node:t()) -> [{module(), atom(), [term()]}].
take_calls(Node) ->
    md_node:call(Node, mim, take_calls, []).

%% @doc The arguments of each call of this function of a stand-in.
-spec args(md_node:t(), module(), atom()) -> [[term()]].
args(Node, Module, Function) ->
    [Args || {M, F, Args} <- md_node:call(Node, mim, calls, []), M =:= Module, F =:= Function].

%% @doc A handler of packets, as the server has them.
-spec packet_handler(md_node:t(), map()) -> tuple().
packet_handler(Node, Extra) ->
    md_node:call(Node, mongoose_packet_handler, new, [fun mongoose_packet_handler:process/5, Extra]).

%% @doc A handler of IQs, as the server has them.
-spec iq_handler(md_node:t(), map()) -> tuple().
iq_handler(Node, Extra) ->
    md_node:call(Node, mongoose_iq_handler, new, [handler_of_a_test, Extra]).
