%% A service of the node: the connection to the database in which the tenants' files are.
%%
%%   {services, #{filebox_db => #{database => {env, "FILEBOX_DATABASE"}}}}
%%
%% mongoose_domain starts it before the modules that need it, and stops it after them. It uses ODBC, because that is
%% part of Erlang/OTP. One connection is enough for an example. The first query opens it, and so does the first one
%% after it broke. So a request fails while the database is down, and this process goes on.
-module(filebox_db).
-behaviour(mongoose_domain_service).
-behaviour(gen_server).

-export([start/1, stop/0, validate/1]).
-export([start_link/1, query/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

%% OTP 29 deprecates odbc, which OTP 30 is to remove.
-compile({nowarn_deprecated_function, [{odbc, connect, 2}, {odbc, disconnect, 1}, {odbc, param_query, 4}]}).

-define(CONNECT_TIMEOUT, 5000).
-define(QUERY_TIMEOUT, 5000).

%% The type of a text parameter, and the longest text.
-define(TEXT, {sql_varchar, 65536}).

%% The error of OTP's driver for a statement that changed no row (ODBC's SQL_NO_DATA), which is no failure.
-define(NOTHING_DONE, "No SQL-driver information available.").

-record(state, {variable :: string(), connection = none :: odbc:connection_reference() | none}).

%% The service

-spec start(#{database := {env, string()}}) -> ok.
start(#{database := {env, Variable}}) ->
    {ok, _Pid} = mongoose_domain_components_sup:start_child(
        #{id => ?MODULE, start => {?MODULE, start_link, [Variable]}}),
    {ok, _} = query("CREATE TABLE IF NOT EXISTS filebox_files (domain VARCHAR(250), name VARCHAR(250), content TEXT, "
                    "PRIMARY KEY (domain, name))", []),
    {ok, _} = query("CREATE TABLE IF NOT EXISTS filebox_usage (domain VARCHAR(250), item VARCHAR(250), bytes INTEGER, "
                    "PRIMARY KEY (domain, item))", []),
    ok.

-spec stop() -> ok.
stop() ->
    mongoose_domain_components_sup:stop_child(?MODULE).

-spec validate(map()) -> ok | {error, string()}.
validate(#{database := {env, Variable}}) when is_list(Variable) -> ok;
validate(_Options) -> {error, "database is {env, Variable}: where the URL of the database is"}.

%% The connection

%% @private
-spec start_link(string()) -> gen_server:start_ret().
start_link(Variable) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Variable, []).

%% @doc Executes a statement, and returns its rows or the number of rows that it changed. Parameters are texts and
%% integers.
-spec query(string(), [binary() | integer()]) -> {ok, [tuple()] | non_neg_integer() | undefined} | {error, string()}.
query(Statement, Parameters) ->
    gen_server:call(?MODULE, {query, Statement, Parameters}, ?CONNECT_TIMEOUT + 2 * ?QUERY_TIMEOUT).

-spec init(string()) -> {ok, #state{}}.
init(Variable) ->
    %% This process goes on when a connection ends.
    process_flag(trap_exit, true),
    {ok, #state{variable = Variable}}.

-spec handle_call({query, string(), [term()]}, gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({query, _, _} = Query, From, #state{connection = none} = State) ->
    case connect(State) of
        {ok, Connection} -> handle_call(Query, From, State#state{connection = Connection});
        {error, Reason} -> {reply, {error, failed(Reason)}, State}
    end;
handle_call({query, Statement, Parameters}, _From, #state{connection = Connection} = State) ->
    try odbc:param_query(Connection, Statement, [parameter(Value) || Value <- Parameters], ?QUERY_TIMEOUT) of
        {selected, _Columns, Rows} -> {reply, {ok, Rows}, State};
        {updated, Count} -> {reply, {ok, Count}, State};
        {error, ?NOTHING_DONE} -> {reply, {ok, 0}, State};
        %% ODBC does not say whether the connection is broken, so the next query opens a new one.
        {error, Reason} -> {reply, {error, failed(Reason)}, disconnect(State)}
    catch
        exit:Reason -> {reply, {error, failed(Reason)}, disconnect(State)}
    end.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'EXIT', Connection, _Reason}, #state{connection = Connection} = State) ->
    {noreply, State#state{connection = none}};
handle_info(_Message, State) ->
    {noreply, State}.

parameter(Text) when is_binary(Text) -> {?TEXT, [Text]};
parameter(Number) when is_integer(Number) -> {sql_integer, [Number]}.

%% The URL may hold a password, so it is read here and not kept in the state.
connect(#state{variable = Variable}) ->
    #{host := Host, path := "/" ++ Name} = Url = uri_string:parse(os:getenv(Variable, "")),
    Port = maps:get(port, Url, 5432),
    [User | Password] = string:split(maps:get(userinfo, Url, "postgres"), ":"),
    Parts = ["DRIVER={PostgreSQL Unicode};SERVER=", Host, ";PORT=", integer_to_list(Port), ";DATABASE=", Name, ";UID=", User,
             [[";PWD={", uri_string:percent_decode(Secret), "}"] || Secret <- Password]],
    Options = [{binary_strings, on}, {timeout, ?CONNECT_TIMEOUT}],
    try
        odbc:connect(lists:flatten(Parts), Options)
    catch
        exit:Reason -> {error, Reason}
    end.

disconnect(#state{connection = Connection} = State) ->
    _ = try odbc:disconnect(Connection) catch _:_ -> it_has_ended end,
    State#state{connection = none}.

failed(Reason) ->
    ?LOG_ERROR(#{what => filebox_db_failed, reason => Reason}),
    "the database does not answer".
