%% A PropEr model of the table: a map from each domain to its host type and source.
%%
%% Random insertions, deletions and lookups from several sources are applied to the table and to the map; each answer
%% of the table must equal the map's.
%%
%% PropEr's functions are called by their full names: where it is installed as a system package, its
%% header with the short ones may be missing.
-module(md_core_model).
-behaviour(proper_statem).

-import(proper_types, [frequency/1, integer/2, oneof/1]).

-export([property/0]).
-export([initial_state/0, command/1, precondition/2, postcondition/3, next_state/3]).
-export([pages/2]).

-define(STATIC, #{<<"static.example">> => <<"static type">>, <<"own.example">> => <<"own.example">>}).
-define(HOST_TYPES, [<<"type1">>, <<"type2">>, <<"type3">>]).
-define(CORE, mongoose_domain_core).

%% @doc The table answers as the model does, after any sequence of calls.
property() ->
    proper:forall(proper_statem:more_commands(5, proper_statem:commands(?MODULE)), fun(Commands) ->
        {ok, Pid} = ?CORE:start_link(maps:to_list(?STATIC), ?HOST_TYPES),
        {_History, State, Result} = proper_statem:run_commands(?MODULE, Commands),
        Whole = lists:sort(?CORE:get_all_dynamic()) =:= dynamic(State),
        ok = gen_server:stop(Pid),
        Say = fun() -> io:format(user, "~p~nafter ~p~n", [Result, Commands]) end,
        proper:whenfail(Say, fun() -> Result =:= ok andalso Whole end)
    end).

%% The model: {HostType, static | Source} of each domain.
initial_state() ->
    maps:map(fun(_, HostType) -> {HostType, static} end, ?STATIC).

command(_State) ->
    frequency([
        {8, {call, ?CORE, insert, [domain(), host_type(), source()]}},
        {4, {call, ?CORE, delete, [domain()]}},
        {3, {call, ?CORE, get_host_type, [domain()]}},
        {1, {call, ?CORE, is_static, [domain()]}},
        {1, {call, ?CORE, is_host_type_allowed, [host_type()]}},
        {1, {call, ?CORE, domains_count, []}},
        {1, {call, ?CORE, get_all_dynamic, []}},
        {1, {call, ?CORE, get_all_static, []}},
        {1, {call, ?CORE, get_all_outdated, [source()]}},
        {1, {call, ?CORE, get_domains_by_host_type, [host_type()]}},
        {1, {call, ?MODULE, pages, [selection(), integer(1, 10)]}}
    ]).

domain() ->
    oneof([oneof([<<"d", (integer_to_binary(N))/binary, ".example">> || N <- lists:seq(1, 30)]),
           oneof([<<"static.example">>, <<"own.example">>, <<"пример.рф"/utf8>>]),
           oneof([<<>>, <<"UPPER.example">>, <<16#F3>>, binary:copy(<<"a">>, 251)])]).

host_type() ->
    frequency([{9, oneof(?HOST_TYPES)}, {1, oneof([<<"static type">>, <<"unknown">>, <<>>])}]).

source() ->
    integer(1, 4).

selection() ->
    oneof([all, static, dynamic, {host_type, host_type()}, {outdated, source()}]).

%% @private All pages of a listing, joined.
pages(Select, Limit) ->
    pages(Select, 0, Limit, []).

pages(_Select, done, _Limit, Parts) ->
    lists:append(Parts);
pages(Select, From, Limit, Parts) ->
    {Part, Next} = ?CORE:page(Select, From, Limit),
    true = length(Part) =< Limit,
    pages(Select, Next, Limit, [Part | Parts]).

precondition(_State, _Call) ->
    true.

next_state(State, _Result, {call, _, insert, [Domain, HostType, Source]}) ->
    case insertion(State, Domain, HostType) of
        ok -> State#{Domain => {HostType, Source}};
        _ -> State
    end;
next_state(State, _Result, {call, _, delete, [Domain]}) ->
    case deletion(State, Domain) of
        ok -> maps:remove(Domain, State);
        _ -> State
    end;
next_state(State, _Result, _Call) ->
    State.

postcondition(State, {call, _, insert, [Domain, HostType, _]}, Result) ->
    Result =:= insertion(State, Domain, HostType);
postcondition(State, {call, _, delete, [Domain]}, Result) ->
    Result =:= deletion(State, Domain);
postcondition(State, {call, _, get_host_type, [Domain]}, Result) ->
    case State of
        #{Domain := {HostType, _}} -> Result =:= {ok, HostType};
        #{} -> Result =:= {error, not_found}
    end;
postcondition(State, {call, _, is_static, [Domain]}, Result) ->
    Result =:= is_static(State, Domain);
postcondition(_State, {call, _, is_host_type_allowed, [HostType]}, Result) ->
    Result =:= lists:member(HostType, ?HOST_TYPES);
postcondition(State, {call, _, domains_count, []}, Result) ->
    Result =:= map_size(State);
postcondition(State, {call, _, get_all_dynamic, []}, Result) ->
    lists:sort(Result) =:= dynamic(State);
postcondition(_State, {call, _, get_all_static, []}, Result) ->
    maps:from_list(Result) =:= ?STATIC andalso length(Result) =:= map_size(?STATIC);
postcondition(State, {call, _, get_all_outdated, [Source]}, Result) ->
    lists:sort(Result) =:= selected({outdated, Source}, State);
postcondition(State, {call, _, get_domains_by_host_type, [HostType]}, Result) ->
    lists:sort([{Domain, HostType} || Domain <- Result]) =:= selected({host_type, HostType}, State);
postcondition(State, {call, _, pages, [Select, _]}, Result) ->
    lists:sort(Result) =:= selected(Select, State).

insertion(State, Domain, HostType) ->
    case {is_valid(Domain), lists:member(HostType, ?HOST_TYPES), State} of
        {false, _, _} -> {error, invalid_domain};
        {_, false, _} -> {error, unknown_host_type};
        {_, _, #{Domain := {_, static}}} -> {error, static};
        {_, _, #{Domain := {HostType, _}}} -> ok;
        {_, _, #{Domain := {_, _}}} -> {error, bad_insert};
        _ -> ok
    end.

deletion(State, Domain) ->
    case {is_valid(Domain), is_static(State, Domain)} of
        {false, _} -> {error, invalid_domain};
        {_, true} -> {error, static};
        _ -> ok
    end.

%% Only for the names that domain/0 generates.
is_valid(Domain) ->
    Domain =/= <<>> andalso byte_size(Domain) =< 250 andalso Domain =/= <<16#F3>> andalso Domain =/= <<"UPPER.example">>.

is_static(State, Domain) ->
    case State of
        #{Domain := {_, static}} -> true;
        #{} -> false
    end.

dynamic(State) ->
    selected(dynamic, State).

selected(Select, State) ->
    lists:sort([{Domain, HostType} || {Domain, {HostType, Origin}} <- maps:to_list(State), takes(Select, HostType, Origin)]).

takes(all, _, _) -> true;
takes(static, _, Origin) -> Origin =:= static;
takes(dynamic, _, Origin) -> Origin =/= static;
takes({host_type, HostType}, HostType, _) -> true;
takes({host_type, _}, _, _) -> false;
takes({outdated, Source}, _, Origin) -> Origin =/= static andalso Origin =/= Source.
