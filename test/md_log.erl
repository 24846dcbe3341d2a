%% Records all log events of this VM, so that a test can count them.
%%
%% It is a logger handler that stores every event of every level in a table. Reports are found by their `what', which
%% every report of this project has.
%%
%%   md_log:start(), ..., 1 = md_log:count(domain_database_away), md_log:stop().
%%
%% While it runs, the other handlers are silent: a test that provokes a hundred errors must not fill the terminal.
-module(md_log).

-export([start/0, stop/0, clear/0]).
-export([all/0, named/1, count/1]).
-export([log/2]).

-define(TABLE, ?MODULE).

%% @doc Starts with an empty record.
-spec start() -> ok.
start() ->
    Caller = self(),
    Keeper = spawn(fun() ->
        ?TABLE = ets:new(?TABLE, [named_table, public, ordered_set]),
        Caller ! {self(), ready},
        receive stop -> ok end
    end),
    Monitor = monitor(process, Keeper),
    receive
        {Keeper, ready} -> demonitor(Monitor, [flush]);
        {'DOWN', Monitor, process, Keeper, Reason} -> erlang:error(Reason)
    end,
    #{level := Level} = logger:get_primary_config(),
    Others = [{Id, Was} || #{id := Id, level := Was} <- logger:get_handler_config()],
    [ok = logger:set_handler_config(Id, level, none) || {Id, _} <- Others],
    ok = logger:set_primary_config(level, all),
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => all, config => #{before => {Level, Others}, keeper => Keeper}}).

%% @doc Deletes the record and enables the other handlers again.
-spec stop() -> ok.
stop() ->
    {ok, #{config := #{before := {Level, Others}, keeper := Keeper}}} = logger:get_handler_config(?MODULE),
    ok = logger:remove_handler(?MODULE),
    ok = logger:set_primary_config(level, Level),
    [_ = logger:set_handler_config(Id, level, Was) || {Id, Was} <- Others],
    Monitor = monitor(process, Keeper),
    Keeper ! stop,
    receive {'DOWN', Monitor, process, Keeper, _} -> ok end.

%% @doc Deletes everything that was recorded so far.
-spec clear() -> ok.
clear() ->
    ets:delete_all_objects(?TABLE),
    ok.

%% @doc All events, oldest first, as the logger passed them.
-spec all() -> [logger:log_event()].
all() ->
    [Event || {_, Event} <- ets:tab2list(?TABLE)].

%% @doc The reports with this `what', oldest first, each with its level.
-spec named(atom()) -> [{logger:level(), map()}].
named(What) ->
    [{Level, Report} || #{level := Level, msg := {report, #{what := Named} = Report}} <- all(), Named =:= What].

%% @doc How many reports have this `what'.
-spec count(atom()) -> non_neg_integer().
count(What) ->
    length(named(What)).

%% @private The handler's callback. It runs in the process that logs.
-spec log(logger:log_event(), logger:handler_config()) -> term().
log(Event, _Config) ->
    ets:insert(?TABLE, {erlang:unique_integer([monotonic]), Event}).
