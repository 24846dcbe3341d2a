%% The table of domains: static ones from configuration, dynamic ones that are inserted.
%%
%% The functions and their results are those of MongooseIM's module of this name. The table itself
%% lives in the native library. Lookups call no process:
%%
%%   1> mongoose_domain_core:get_host_type(<<"example.com">>).
%%   {ok, <<"type1">>}
%%
%% The process opens the table when it starts, closes it at an orderly stop, and notifies observers of what the table shows
%% (mongoose_domain_observers). When it crashes, the table stays open and
%% its successor takes it over, so no route is lost. A start by start_link/2, and
%% mongoose_domain_sup:restart_core/1, begin with an empty table.
%%
%% Rules: a static pair never changes and wins over a dynamic one of the same name. A dynamic
%% domain's host type must be one of the list that the table was opened with. A name is valid when
%% nameprep leaves it unchanged and it has 1 to 250 bytes.
%%
%% What is wrong in the arguments (a pair given twice, a name or host type that cannot be one) is
%% logged once and left out; the rest is served.
%%
%% While the table is closed, all of these functions fail with `{not_running, mongoose_domain}' (mongoose_domain_running),
%% but for nameprep/1, lookups/0 and memory/0, which need no open table.
-module(mongoose_domain_core).
-behaviour(gen_server).

-export([start_link/2, resume_link/2, get_start_args/0]).
-export([get_host_type/1, is_static/1, is_host_type_allowed/1]).
-export([insert/3, delete/1, nameprep/1]).
-export([get_all_static/0, get_all_dynamic/0, get_all_outdated/1, get_all_kept/0, get_domains_by_host_type/1]).
-export([page/3, for_each_domain/2, domains_count/0, counts_by_host_type/0]).
-export([lookups/0, memory/0, has_routes/0]).
-export([host_type_number/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([domain/0, host_type/0, pair/0, source/0, select/0, position/0]).

-include("../base/mongoose_domain_log.hrl").

%% The number of the arguments that the open table was opened with; absent while it is closed. To replace or erase a number
%% touches no process. For a list, the VM would check every process for the old one.
-define(OPENED_WITH, {?MODULE, opened_with}).
%% The arguments of this number, which stay as long as the VM lives: few are ever used.
-define(START_ARGS(Number), {?MODULE, start_args, Number}).

-define(PAGE, 1000).
%% Changes that are sent to observers before other messages are handled.
-define(CHANGES, 1000).

-type domain() :: binary().
-type host_type() :: binary().
-type pair() :: {domain(), host_type()}.
%% What brought a dynamic domain: whatever term the caller names. Each load of the database is another source than every
%% term. A thousand terms are distinguished; beyond that, the one that was not used for the longest time is forgotten, and
%% what it brought counts as brought by another source.
-type source() :: term().
-type select() :: all | static | dynamic | kept | {host_type, host_type()} | {outdated, source()}.
-type position() :: non_neg_integer().

%% @doc Starts with an empty table, whatever was there before.
-spec start_link([pair()], [host_type()]) -> gen_server:start_ret().
start_link(Pairs, HostTypes) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, {empty, Pairs, HostTypes}, []).

%% @doc Starts with the table that a crashed predecessor left, if it had the same arguments.
-spec resume_link([pair()], [host_type()]) -> gen_server:start_ret().
resume_link(Pairs, HostTypes) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, {resume, Pairs, HostTypes}, []).

%% @doc The two arguments that the table was opened with.
-spec get_start_args() -> [[pair()] | [host_type()]].
get_start_args() ->
    case start_args() of
        closed -> mongoose_domain_running:fail();
        Args -> Args
    end.

start_args() ->
    case persistent_term:get(?OPENED_WITH, closed) of
        closed -> closed;
        Number -> persistent_term:get(?START_ARGS(Number))
    end.

%% @doc The host type that serves this domain. Fails with badarg when Domain is no binary.
-spec get_host_type(domain()) -> {ok, host_type()} | {error, not_found}.
get_host_type(Domain) ->
    mongoose_domain_results:at(mongoose_domain_nif:lookup_domain(Domain)).

%% @doc Whether the domain is from configuration.
-spec is_static(domain()) -> boolean().
is_static(Domain) ->
    mongoose_domain_nif:is_static(Domain).

%% @doc Whether dynamic domains may have this host type.
-spec is_host_type_allowed(host_type()) -> boolean().
is_host_type_allowed(HostType) ->
    mongoose_domain_nif:is_host_type_allowed(HostType).

%% @doc Adds a dynamic domain to this node's table, or confirms it with a new source. To add one for
%% all nodes, change the database.
-spec insert(domain(), host_type(), source()) ->
    ok | {error, unknown_host_type | static | bad_insert | invalid_domain}.
insert(Domain, HostType, Source) ->
    case mongoose_domain_nif:insert(Domain, HostType, source_name(Source)) of
        added -> ok;
        kept -> ok;
        invalid_domain -> {error, invalid_domain};
        Reason -> refuse(insert_event(Reason), Reason, #{domain => Domain, host_type => HostType})
    end.

insert_event(unknown_host_type) -> ignore_domain_from_db_with_unknown_host_type;
insert_event(static) -> domain_static_but_in_db;
insert_event(bad_insert) -> ignore_domain_from_db_with_different_host_type.

%% Terms that are equal (=:=) have the same name, and no others.
source_name(Source) ->
    term_to_binary(Source, [deterministic]).

%% @doc Removes a dynamic domain from this node's table; one that is not there is removed already.
-spec delete(domain()) -> ok | {error, static | invalid_domain}.
delete(Domain) ->
    case mongoose_domain_nif:delete(Domain) of
        removed -> ok;
        absent -> ok;
        invalid_domain -> {error, invalid_domain};
        static -> refuse(domain_static_but_was_in_db, static, #{domain => Domain})
    end.

refuse(Event, Reason, Report) ->
    ?LOG_ERROR(Report#{what => Event}),
    {error, Reason}.

%% @doc The valid name that stands for this one: nameprep (RFC 3491) applied.
-spec nameprep(binary()) -> {ok, domain()} | {error, invalid_domain}.
nameprep(Domain) ->
    mongoose_domain_nif:nameprep(Domain).

%% @doc The pairs from configuration.
-spec get_all_static() -> [pair()].
get_all_static() ->
    list(static).

%% @doc The dynamic pairs, all in one list: with very many of them, read page/3 by page/3.
-spec get_all_dynamic() -> [pair()].
get_all_dynamic() ->
    list(dynamic).

%% @doc The dynamic pairs that another source than this one brought.
-spec get_all_outdated(source()) -> [pair()].
get_all_outdated(Source) ->
    list({outdated, Source}).

%% @doc The dynamic pairs that the database did not have when the table was last compared with it.
-spec get_all_kept() -> [pair()].
get_all_kept() ->
    list(kept).

%% @doc Static and dynamic domains of a host type, all in one list; none for an unknown one.
-spec get_domains_by_host_type(host_type()) -> [domain()].
get_domains_by_host_type(HostType) ->
    [Domain || {Domain, _} <- list({host_type, HostType})].

%% @doc A bounded part of a listing, from position 0 on: up to Limit (at most 1000) pairs, and the
%% position of the next part. A part may be empty and not be the last one. A domain that is there
%% from the first part to the last is listed exactly once; others may be or not. Fails with badarg for a selection, a
%% position or a limit that makes no sense.
-spec page(select(), position(), pos_integer()) -> {[pair()], position() | done}.
page(Select, From, Limit) ->
    Selected = selected(Select),
    is_integer(Limit) andalso Limit >= 1 orelse error(badarg, [Select, From, Limit]),
    {Next, Page} = mongoose_domain_nif:page(Selected, From, min(Limit, ?PAGE)),
    {[{Domain, host_type_at(Number)} || {Domain, Number} <- Page], Next}.

host_type_at(Number) ->
    {ok, HostType} = mongoose_domain_results:at(Number),
    HostType.

selected({outdated, Source}) -> {outdated, source_name(Source)};
selected({host_type, HostType} = Select) when is_binary(HostType) -> Select;
selected(Select) when Select =:= all; Select =:= static; Select =:= dynamic; Select =:= kept -> Select;
selected(Select) -> error(badarg, [Select]).

list(Select) ->
    list(Select, 0, []).

list(_Select, done, Parts) ->
    lists:append(lists:reverse(Parts));
list(Select, From, Parts) ->
    {Part, Next} = page(Select, From, ?PAGE),
    list(Select, Next, [Part | Parts]).

%% @doc Calls F(HostType, Domain) for each domain of the host type. A call that fails is logged and
%% does not stop the others. Domains may come and go meanwhile.
-spec for_each_domain(host_type(), fun((host_type(), domain()) -> term())) -> ok.
for_each_domain(HostType, F) ->
    for_each_domain(HostType, F, 0).

for_each_domain(_HostType, _F, done) ->
    ok;
for_each_domain(HostType, F, From) ->
    {Pairs, Next} = page({host_type, HostType}, From, ?PAGE),
    lists:foreach(fun({Domain, _}) -> call(F, HostType, Domain) end, Pairs),
    for_each_domain(HostType, F, Next).

call(F, HostType, Domain) ->
    try
        F(HostType, Domain)
    catch
        Class:Reason:Stacktrace ->
            ?LOG_ERROR(#{what => domain_operation_failed, domain => Domain, host_type => HostType,
                         class => Class, reason => Reason, stacktrace => Stacktrace})
    end.

%% @doc How many domains there are, static ones included.
-spec domains_count() -> non_neg_integer().
domains_count() ->
    {Static, Dynamic} = mongoose_domain_nif:counts(),
    Static + Dynamic.

%% @doc How many domains each host type has, static and dynamic ones: the host types that have any, and those
%% that dynamic domains may have. Counted as the table changes, so that a million domains cost nothing here.
-spec counts_by_host_type() -> [{host_type(), Static :: non_neg_integer(), Dynamic :: non_neg_integer()}].
counts_by_host_type() ->
    mongoose_domain_nif:counts_by_host_type().

%% @doc How many calls of get_host_type/1, here and in mongoose_domain_api, found a host type since the VM was
%% started, and how many did not. One that failed is not counted. Never less than an earlier answer.
-spec lookups() -> #{hits | misses := non_neg_integer()}.
lookups() ->
    {Hits, Misses} = mongoose_domain_nif:lookups(),
    #{hits => Hits, misses => Misses}.

%% @doc How many bytes of memory the table uses: for its domains, their index, and the changes that observers did not get
%% yet. They are no part of erlang:memory/0.
-spec memory() -> #{entries | index | change_feed := non_neg_integer()}.
memory() ->
    {Entries, Index, ChangeFeed} = mongoose_domain_nif:memory(),
    #{entries => Entries, index => Index, change_feed => ChangeFeed}.

%% @doc Whether dynamic domains are served: they were loaded, or read from the file of a warm start, since the
%% table was opened.
-spec has_routes() -> boolean().
has_routes() ->
    case mongoose_domain_nif:progress() of
        closed -> mongoose_domain_running:fail();
        Progress -> lists:member(Progress, [following, reset])
    end.

%% @private The number of the result `{ok, HostType}', which is cached if it is not there: also for host types that no
%% domain may have. Fails with badarg for what cannot be one.
-spec host_type_number(host_type()) -> mongoose_domain_nif:result_number().
host_type_number(HostType) when is_binary(HostType) ->
    ok = mongoose_domain_running:check(),
    case mongoose_domain_nif:intern_host_type(HostType) of
        {ok, Number} ->
            _ = mongoose_domain_results:at(Number),
            Number;
        {error, _Text} ->
            error(badarg, [HostType])
    end.

%% gen_server

-spec init({empty | resume, [pair()], [host_type()]}) -> {ok, mongoose_domain_observers:t()}.
init({How, Pairs, HostTypes}) ->
    %% So that an orderly stop closes the table.
    process_flag(trap_exit, true),
    Args = [Pairs, HostTypes],
    case How =:= resume andalso start_args() =:= Args of
        true -> ok;
        false -> open(Args)
    end,
    ok = mongoose_domain_nif:watch(),
    %% The first change of a feed; new/0 sends it to the registered observers.
    everything = mongoose_domain_nif:take_changes(?CHANGES),
    {ok, mongoose_domain_observers:new()}.

-spec handle_call(term(), gen_server:from(), mongoose_domain_observers:t()) ->
    {reply, term(), mongoose_domain_observers:t()} | {noreply, mongoose_domain_observers:t()}.
handle_call({sync_observer, Pid}, From, Observers) ->
    {noreply, mongoose_domain_observers:sync(Pid, From, notify_of_all(Observers))};
handle_call(Request, _From, Observers) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, Observers}.

-spec handle_cast(term(), mongoose_domain_observers:t()) -> {noreply, mongoose_domain_observers:t()}.
handle_cast({handled, Pid, Batch}, Observers) ->
    {noreply, mongoose_domain_observers:handled(Pid, Batch, Observers)};
handle_cast({observe, Pid}, Observers) ->
    {noreply, mongoose_domain_observers:register_observer(Pid, Observers)};
handle_cast(Message, Observers) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, Observers}.

-spec handle_info(term(), mongoose_domain_observers:t()) -> {noreply, mongoose_domain_observers:t()}.
handle_info(domain_changes, Observers) ->
    case changes() of
        [] ->
            {noreply, Observers};
        Changes ->
            self() ! domain_changes, % after what came meanwhile
            {noreply, mongoose_domain_observers:notify(Changes, Observers)}
    end;
handle_info({'DOWN', _Monitor, process, Pid, _Reason}, Observers) ->
    {noreply, mongoose_domain_observers:ended(Pid, Observers)};
handle_info(Message, Observers) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, Observers}.

-spec terminate(term(), mongoose_domain_observers:t()) -> ok.
terminate(Reason, _Observers) when Reason =:= normal; Reason =:= shutdown; element(1, Reason) =:= shutdown ->
    _ = persistent_term:erase(?OPENED_WITH),
    ok = mongoose_domain_nif:close(),
    ok;
terminate(_Crash, _Observers) ->
    ok.

notify_of_all(Observers) ->
    case changes() of
        [] -> Observers;
        Changes -> notify_of_all(mongoose_domain_observers:notify(Changes, Observers))
    end.

%% The changes that the table has shown since the last call.
changes() ->
    case mongoose_domain_nif:take_changes(?CHANGES) of
        everything -> everything;
        Changes -> [{Fate, host_type_at(Number), Domain} || {Fate, Number, Domain} <- Changes]
    end.

open([Pairs, HostTypes] = Args) ->
    Allowed = lists:append([host_type(host_types, HostType) || HostType <- HostTypes]),
    {Static, _Seen} = lists:mapfoldl(fun static_pair/2, #{}, Pairs),
    %% A result is cached before a lookup can need it, and the mark that the table is open comes last: after a crash in
    %% between, a successor takes nothing over.
    _ = persistent_term:erase(?OPENED_WITH),
    ok = cache_results(),
    ok = mongoose_domain_nif:open(lists:append(Static), Allowed),
    persistent_term:put(?OPENED_WITH, number(Args, 1)),
    mongoose_domain_table_events:publish(opened).

%% The number of these arguments, from this one on.
number(Args, Number) ->
    case persistent_term:get(?START_ARGS(Number), none) of
        Args -> Number;
        none ->
            ok = persistent_term:put(?START_ARGS(Number), Args),
            Number;
        _Others -> number(Args, Number + 1)
    end.

%% Host types are never forgotten, so a result that is cached stays right.
cache_results() ->
    Results = [{error, not_found} | [{ok, HostType} || HostType <- mongoose_domain_nif:host_types()]],
    _ = length(Results) > mongoose_domain_results:count() andalso
        mongoose_domain_result_cache:make(mongoose_domain_results, list_to_tuple(Results), mongoose_domain_result_cache),
    lists:foreach(fun mongoose_domain_results:at/1, lists:seq(1, length(Results))).

static_pair({Domain, HostType}, Seen) when is_map_key(Domain, Seen) ->
    Report = #{what => static_domain_given_twice, domain => Domain, host_type => HostType,
               kept_host_type => map_get(Domain, Seen)},
    ?LOG_ERROR(Report),
    {[], Seen};
static_pair({Domain, HostType}, Seen) ->
    case {domain(Domain), host_type(hosts, HostType)} of
        {ok, [Number]} -> {[{Domain, Number}], Seen#{Domain => HostType}};
        _ -> {[], Seen}
    end.

domain(Domain) when is_binary(Domain) ->
    case mongoose_domain_nif:check_domain(Domain) of
        ok -> ok;
        {error, Text} -> ignore(ignore_invalid_domain, hosts, Domain, Text)
    end;
domain(Domain) ->
    ignore(ignore_invalid_domain, hosts, Domain, <<"a domain name is a binary">>).

host_type(Key, HostType) when is_binary(HostType) ->
    case mongoose_domain_nif:intern_host_type(HostType) of
        {ok, Number} -> [Number];
        {error, Text} -> ignore(ignore_invalid_host_type, Key, HostType, Text)
    end;
host_type(Key, HostType) ->
    ignore(ignore_invalid_host_type, Key, HostType, <<"a host type is a binary">>).

ignore(Event, Key, Value, Expected) ->
    ?LOG_ERROR(#{what => Event, key => Key, value => Value, expected => Expected}),
    [].
