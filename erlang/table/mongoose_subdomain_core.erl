%% Subdomains: names that a host type serves beside its domains.
%%
%%   ok = mongoose_subdomain_core:register_subdomain(<<"type1">>, {prefix, <<"muc.">>}, {my_rooms, #{}}),
%%   {ok, <<"type1">>} = mongoose_subdomain_core:get_host_type(<<"muc.example.com">>).
%%
%% The functions and their results are those of MongooseIM's module of this name. What is different: a subdomain is not
%% stored. The native table computes it from its parent at each lookup, so patterns cost the same for ten domains and for
%% a million, and there is no moment at which a domain is there and its subdomain is not yet. Looking calls no process.
%%
%% A name may be claimed more than once: by two patterns, or by a pattern and a domain. A domain goes before a subdomain;
%% of subdomains, the one that was first serves, and when it goes, the next one does. Each such conflict is logged once
%% (mongoose_subdomain_conflicts). What is found only by looking at all domains of a host type is logged later, by this
%% process, a page at a time.
%%
%% The line in the log names the one that came second: a domain, or a subdomain that came with its domain. The table may
%% show both before this process handles the change that brought the first one. So a conflict that a change brings is
%% logged once all changes are handled that the table showed then, as the last one of them has it.
%%
%% Registrations end with the application. A crash of this process loses none. To register what is registered, as a
%% process does that is started again, is no error. What the configuration names (`subdomains') is registered before the
%% first dynamic domain is loaded.
-module(mongoose_subdomain_core).
-behaviour(gen_server).

-export([start_link/0, register_subdomain/3, unregister_subdomain/2, sync/0]).
-export([get_host_type/1, get_subdomain_info/1, get_all_subdomains_for_domain/1]).
-export([create_registry/0, register_configured/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([subdomain_info/0, pattern/0]).

-include("../base/mongoose_domain_log.hrl").

%% {{HostType, Pattern}, PacketHandler, Number}
-define(REGISTRY, ?MODULE).
%% Domains that are checked before other messages are handled: few, so that a registration does not wait for them.
-define(PAGE, 20).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type pattern() :: mongoose_subdomain_utils:subdomain_pattern().
-type subdomain_info() :: #{
    host_type := host_type(),
    subdomain := binary(),
    subdomain_pattern := pattern(),
    parent_domain := domain() | no_parent_domain,
    packet_handler := mongoose_domain_packet_handler:handler()
}.

-record(state, {
    conflicts = mongoose_subdomain_conflicts:new() :: mongoose_subdomain_conflicts:t(),
    %% The prefixes whose subdomains are still to be checked; of the first one, from this position on.
    scans = [] :: [{host_type(), Prefix :: binary()}],
    position = 0 :: mongoose_domain_core:position(),
    %% Whether the message is under way that brings the next page.
    next = none :: none | scan,
    %% Names in conflict, and which of the two the last change about them brought.
    suspects = #{} :: #{binary() => domain | subdomain},
    %% The request that is answered when all changes are handled that the table showed when it was made.
    barrier = none :: none | gen_server:request_id(),
    %% Calls of sync/0 that wait for the end of these.
    syncing = [] :: [gen_server:from()]
}).

%% More suspects than these are logged at once: they are more than are logged one by one.
-define(SUSPECTS, 1000).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Gives each domain of the host type, now and later, the subdomain of this prefix, which ends with a dot; or the
%% host type the subdomain of this name. Any host type may have them. The handler is for the router; its extra gets
%% `host_type'. `subdomain_already_exists': another subdomain has this name and keeps it while it is there. The same
%% registration again answers as if it were the first; `already_registered': the pattern has another handler.
-spec register_subdomain(host_type(), pattern(), mongoose_domain_packet_handler:handler()) ->
    ok | {error, already_registered | subdomain_already_exists}.
register_subdomain(HostType, {Type, Text} = Pattern, PacketHandler) when is_binary(HostType), is_binary(Text) ->
    true = valid(Type, Text) orelse error(badarg, [HostType, Pattern, PacketHandler]),
    Number = mongoose_domain_core:host_type_number(HostType),
    Handler = mongoose_domain_packet_handler:with_host_type(PacketHandler, HostType),
    mongoose_domain_running:call(?MODULE, {register, HostType, Number, Pattern, Handler}).

valid(prefix, Text) -> Text =/= <<>> andalso binary:last(Text) =:= $.;
valid(fqdn, Text) -> Text =/= <<>>;
valid(_, _) -> false.

%% @doc Takes them away, and out of the router; others that claim these names serve them from now on.
-spec unregister_subdomain(host_type(), pattern()) -> ok.
unregister_subdomain(HostType, Pattern) ->
    mongoose_domain_running:call(?MODULE, {unregister, HostType, Pattern}).

%% @doc The host type that serves this subdomain; a domain of this name is not found.
-spec get_host_type(Subdomain :: binary()) -> {ok, host_type()} | {error, not_found}.
get_host_type(Subdomain) ->
    case mongoose_domain_nif:subdomain(Subdomain) of
        {Number, _Kind} -> mongoose_domain_results:at(Number);
        not_found -> {error, not_found}
    end.

%% @doc What is known of a subdomain.
-spec get_subdomain_info(Subdomain :: binary()) -> {ok, subdomain_info()} | {error, not_found}.
get_subdomain_info(Subdomain) ->
    case mongoose_domain_nif:subdomain(Subdomain) of
        {Number, Kind} ->
            {ok, HostType} = mongoose_domain_results:at(Number),
            {Pattern, Parent} = origin(Kind, Subdomain),
            case ets:lookup(mongoose_domain_running:registry(?REGISTRY), {HostType, Pattern}) of
                [{_, Handler, _Answer}] ->
                    {ok, #{host_type => HostType, subdomain => Subdomain, subdomain_pattern => Pattern,
                           parent_domain => Parent, packet_handler => Handler}};
                [] ->
                    %% It was unregistered just now, so the table does not show it any more; perhaps another one.
                    get_subdomain_info(Subdomain)
            end;
        not_found ->
            {error, not_found}
    end.

origin(fqdn, Subdomain) ->
    {{fqdn, Subdomain}, no_parent_domain};
origin({prefix, Bytes}, Subdomain) ->
    <<Prefix:Bytes/binary, Parent/binary>> = Subdomain,
    {{prefix, Prefix}, Parent}.

%% @doc The subdomains that a domain has, or those that belong to no domain, without those whose names others claimed first.
-spec get_all_subdomains_for_domain(domain() | no_parent_domain) -> [subdomain_info()].
get_all_subdomains_for_domain(no_parent_domain) ->
    ok = mongoose_domain_running:check(),
    infos([{Name, no_parent_domain} || Name <- fqdns()]);
get_all_subdomains_for_domain(Domain) ->
    case mongoose_domain_core:get_host_type(Domain) of
        {ok, HostType} -> infos([{<<Prefix/binary, Domain/binary>>, Domain} || Prefix <- prefixes(HostType)]);
        {error, not_found} -> []
    end.

infos(Names) ->
    [Info || {Name, Parent} <- lists:usort(Names),
             {ok, #{parent_domain := Its} = Info} <- [get_subdomain_info(Name)], Its =:= Parent].

fqdns() ->
    [Name || [Name] <- ets:match(mongoose_domain_running:registry(?REGISTRY), {{'_', {fqdn, '$1'}}, '_', '_'})].

prefixes(HostType) ->
    [Prefix || [Prefix] <- ets:match(mongoose_domain_running:registry(?REGISTRY), {{HostType, {prefix, '$1'}}, '_', '_'})].

%% @doc Returns when all conflicts are logged that were there before the call.
-spec sync() -> ok.
sync() ->
    mongoose_domain_observers:sync_server(?MODULE).

%% @private The supervisor owns the registry: registrations live as long as the application.
-spec create_registry() -> ok.
create_registry() ->
    case mongoose_domain_tables:create(?REGISTRY, [ordered_set, {read_concurrency, true}]) of
        kept -> ok; % and the native table has the patterns
        created -> mongoose_domain_nif:unregister_patterns() % an earlier run may have left some
    end.

%% @private Registers those that the configuration names. Conflicts are logged as others are.
-spec register_configured([{host_type(), {pattern(), mongoose_domain_packet_handler:handler()}}]) -> ok.
register_configured(Subdomains) ->
    lists:foreach(fun({HostType, {Pattern, PacketHandler}}) ->
        _ = register_subdomain(HostType, Pattern, PacketHandler)
    end, Subdomains).

%% gen_server

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% A predecessor may have been killed between the registry and the table.
    lists:foreach(fun({{_HostType, Pattern}, _Handler, Number}) ->
        ok = mongoose_domain_nif:register_pattern(Number, Pattern)
    end, ets:tab2list(?REGISTRY)),
    ok = mongoose_domain_observers:observe(),
    {ok, #state{}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({register, HostType, Number, Pattern, Handler}, _From, State) ->
    %% The handler first, so that each subdomain that is found has one.
    case ets:insert_new(?REGISTRY, {{HostType, Pattern}, Handler, Number}) of
        true ->
            ok = mongoose_domain_nif:register_pattern(Number, Pattern),
            registered(HostType, Pattern, State);
        false ->
            case ets:lookup_element(?REGISTRY, {HostType, Pattern}, 2) of
                Handler -> {reply, registered_again(HostType, Pattern), State};
                _Another -> {reply, {error, already_registered}, State}
            end
    end;
handle_call({unregister, HostType, Pattern}, _From, State) ->
    case ets:lookup(?REGISTRY, {HostType, Pattern}) of
        [{_, _Handler, Number}] ->
            ok = mongoose_domain_nif:unregister_pattern(Number, Pattern),
            true = ets:delete(?REGISTRY, {HostType, Pattern}),
            ok = mongoose_domain_table_events:publish({pattern_unregistered, HostType, Pattern}),
            {reply, ok, unregistered(HostType, Pattern, State)};
        [] ->
            {reply, ok, State}
    end;
handle_call(sync, From, #state{syncing = Syncing} = State) ->
    {noreply, scan(State#state{syncing = [From | Syncing]})};
handle_call(Request, _From, State) ->
    ?LOG_WARNING(#{what => unknown_call, server => ?MODULE, request => Request}),
    {reply, {error, unknown_call}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    ?LOG_WARNING(#{what => unknown_cast, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({domain_changes, Batch, everything}, #state{conflicts = Conflicts} = State) ->
    Checked = lists:foldl(fun check_fqdn/2, mongoose_subdomain_conflicts:forget_ended(Conflicts), fqdns()),
    All = [{HostType, Prefix} || [HostType, Prefix] <- ets:match(?REGISTRY, {{'$1', {prefix, '$2'}}, '_', '_'})],
    ok = mongoose_domain_observers:handled(Batch),
    {noreply, scan(State#state{conflicts = Checked, scans = All, position = 0})};
handle_info({domain_changes, Batch, Changes}, State) ->
    Next = judge(lists:foldl(fun changed/2, State, Changes)),
    ok = mongoose_domain_observers:handled(Batch),
    {noreply, Next};
handle_info(scan, State) ->
    Scanned = scan_page(State#state{next = none}),
    %% So that a process that waits for this scheduler need not wait for the rest of a time slice.
    true = erlang:yield(),
    {noreply, Scanned};
handle_info(Message, #state{barrier = Barrier} = State) when Barrier =/= none ->
    case gen_server:check_response(Message, Barrier) of
        no_reply -> unknown(Message, State);
        _ReplyOrCrash -> {noreply, scan(report_suspects(State#state{barrier = none}))}
    end;
handle_info(Message, State) ->
    unknown(Message, State).

unknown(Message, State) ->
    ?LOG_WARNING(#{what => unknown_message, server => ?MODULE, message => Message}),
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, _State) ->
    ok.

registered(_HostType, {fqdn, Name}, #state{conflicts = Conflicts} = State) ->
    Next = mongoose_subdomain_conflicts:check_subdomain(Name, Conflicts),
    case mongoose_domain_nif:name_use(Name) of
        {_Domain, Claims} when Claims > 1 -> {reply, {error, subdomain_already_exists}, State#state{conflicts = Next}};
        _Alone -> {reply, ok, State#state{conflicts = Next}}
    end;
registered(HostType, {prefix, Prefix}, #state{scans = Scans} = State) ->
    {reply, ok, scan(State#state{scans = Scans ++ [{HostType, Prefix}]})}.

%% A prefix is never refused; a name belongs to the host type that it serves.
registered_again(_HostType, {prefix, _}) ->
    ok;
registered_again(HostType, {fqdn, Name}) ->
    case get_subdomain_info(Name) of
        {ok, #{host_type := HostType}} -> ok;
        _Another -> {error, subdomain_already_exists}
    end.

%% The scan at work may be of this pattern, so the first one that is left starts again.
unregistered(HostType, Pattern, #state{conflicts = Conflicts, scans = Scans} = State) ->
    Left = [Scan || {Of, Prefix} = Scan <- Scans, {Of, {prefix, Prefix}} =/= {HostType, Pattern}],
    State#state{conflicts = mongoose_subdomain_conflicts:forget_pattern(Pattern, Conflicts), scans = Left, position = 0}.

changed({added, HostType, Domain}, #state{suspects = Suspects} = State) ->
    Found = [{Domain, domain} || mongoose_subdomain_conflicts:is_domain_in_conflict(Domain)]
        ++ [{Name, subdomain} || Prefix <- prefixes(HostType), Name <- [<<Prefix/binary, Domain/binary>>],
                                 mongoose_subdomain_conflicts:is_subdomain_in_conflict(Name)],
    State#state{suspects = maps:merge(Suspects, maps:from_list(Found))};
changed({removed, HostType, Domain}, #state{conflicts = Conflicts} = State) ->
    Names = [Domain | [<<Prefix/binary, Domain/binary>> || Prefix <- prefixes(HostType)]],
    State#state{conflicts = mongoose_subdomain_conflicts:forget(Names, Conflicts)}.

%% Changes about a suspect may be on their way: it is reported when those are handled that the table shows now.
judge(#state{suspects = Suspects} = State) when map_size(Suspects) =:= 0 ->
    State;
judge(#state{suspects = Suspects} = State) when map_size(Suspects) > ?SUSPECTS ->
    report_suspects(State);
judge(#state{barrier = none} = State) ->
    State#state{barrier = mongoose_domain_observers:request_sync(self())};
judge(State) ->
    State.

report_suspects(#state{conflicts = Conflicts, suspects = Suspects} = State) ->
    Reported = maps:fold(fun
        (Name, domain, Before) -> mongoose_subdomain_conflicts:check_domain(Name, Before);
        (Name, subdomain, Before) -> mongoose_subdomain_conflicts:check_subdomain(Name, Before)
    end, Conflicts, Suspects),
    State#state{conflicts = Reported, suspects = #{}}.

%% The domains came after it, or their conflict is known.
check_fqdn(Name, Conflicts) ->
    mongoose_subdomain_conflicts:check_subdomain(Name, mongoose_subdomain_conflicts:check_domain(Name, Conflicts)).

%% Looks at the next page, after what came meanwhile.
scan(#state{scans = [], barrier = none, syncing = Syncing} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, ok) end, Syncing),
    State#state{syncing = []};
scan(#state{scans = []} = State) ->
    State; % until the barrier is reached
scan(#state{next = scan} = State) ->
    State;
scan(State) ->
    self() ! scan,
    State#state{next = scan}.

scan_page(#state{scans = []} = State) ->
    scan(State);
scan_page(#state{scans = [{HostType, Prefix} | Scans], position = From, conflicts = Conflicts} = State) ->
    {Pairs, Next} = page(HostType, From),
    Check = fun({Domain, _HostType}, Before) ->
        mongoose_subdomain_conflicts:check_subdomain(<<Prefix/binary, Domain/binary>>, Before)
    end,
    Checked = State#state{conflicts = lists:foldl(Check, Conflicts, Pairs)},
    case Next of
        done -> scan(Checked#state{scans = Scans, position = 0});
        _ -> scan(Checked#state{position = Next})
    end.

%% A closed table has no domains; when it is opened again, everything is checked.
page(HostType, From) ->
    try
        mongoose_domain_core:page({host_type, HostType}, From, ?PAGE)
    catch
        error:{not_running, mongoose_domain} -> {[], done}
    end.
