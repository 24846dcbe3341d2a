%% What other applications call. The functions and their results are those of MongooseIM's module of
%% this name.
%%
%% The functions that read (get_host_type/1 and the other functions of the table) read this node's table: they call no
%% process and no database. The table shows a change of another node some milliseconds after it is committed, and at the
%% latest after the poll interval.
%%
%% Where mongoose_domain does not run, every function but remove_domain_wrapper/3 fails with
%% `{not_running, mongoose_domain}': see mongoose_domain_running.
%%
%% Changing goes to the database, in one transaction per call. With `{ok, _}' the change is in the database with its
%% event. This node's table shows it when the call returns, unless the follower does not answer within
%% `visibility_timeout' (then the log has `domain_change_not_visible_yet').
%%
%% Errors of a change are pairs of a tag and a text for people. These can come from every change, besides those that are
%% named with it:
%%
%%   {invalid_domain, Text}     the name is not one that nameprep leaves as it is, of 1 to 250 bytes
%%   {service_disabled, Text}   service_domain_db does not run: it is not configured, or was stopped
%%   {db_error, Text}           the database failed, or the configuration has turned wrong; the reason is
%%                              in the log
%%   {timeout, Text}            it did not answer in time
%%   {refused, Text}            the database refuses the row: a constraint, a trigger or a type is against it. The text
%%                              is what the database says, in up to 500 bytes; nothing was changed
%%   {error, overloaded}        too many changes wait for it
%%
%% The text of the third and the fourth says whether the change may have been made all the same.
%%
%% A change that is made already (the same domain with the same host type added again, or a domain
%% deleted that is gone) succeeds, or is an error where the option `repeated_operations' is `error'.
-module(mongoose_domain_api).

-export([get_host_type/1, get_domain_host_type/1]).
-export([get_host_types/0, get_all_static/0, get_all_dynamic/0, get_domains_by_host_type/1]).
-export([get_domains/2, get_domains/3]).
-export([register_subdomain/3, unregister_subdomain/2]).
-export([get_subdomain_host_type/1, get_subdomain_info/1, get_all_subdomains_for_domain/1]).
-export([insert_domain/2, insert_domains/1, delete_domain/1, remove_domain/1, delete_domain/2, request_delete_domain/2]).
-export([remove_domain_wrapper/3]).
-export([enable_domain/1, disable_domain/1]).
-export([get_domain_details/1, check_host_type_and_get_domains/1, get_all_domains/0, get_all_domains/1, list_domains/1]).
-export([removal_status/1, get_removals/0, get_changes/2]).
-export([set_domain_password/2, check_domain_password/2, delete_domain_password/1]).

-export_type([continuation/0, error/0, status/0, details/0, listing/0, removal/0, remove_domain_acc/0, change/0]).

-include("../base/mongoose_domain_log.hrl").

%% Rows that one statement of a listing reads.
-define(BATCH, 1000).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type pair() :: mongoose_domain_core:pair().
-opaque continuation() :: mongoose_domain_core:position().
-type status() :: mongoose_domain_nif:status().
-type error() ::
    {static | unknown_host_type | duplicate | not_found | wrong_host_type | deleted, binary()}
    | {invalid_domain | invalid_password | removal_failed | removal_ended, binary()}
    | mongoose_domain_operations:failure().
%% What handlers of MongooseIM's hook `remove_domain' pass on: those that failed.
-type remove_domain_acc() :: #{failed := [module()]}.
%% Which keys it has is said with each function.
-type details() :: #{domain := domain(), host_type => host_type(), status => status() | deleted}.
-type listing() :: #{
    'after' => domain(),
    limit => 1..1000,
    host_type => host_type(),
    status => enabled | disabled | deleting,
    prefix => binary()
}.
%% A domain without a row has neither host type nor status.
-type change() :: #{id := integer(), domain := domain(), host_type => host_type(), status => status()}.
%% `running' is a node at work, `orphaned' one that died: another takes the job over when its lease has
%% ended. `owner' is the node that works on it; `handlers' how many are done of how many.
-type removal() :: #{
    domain := domain(),
    host_type := host_type(),
    state := running | orphaned | failed,
    failure => binary(),
    owner => binary(),
    handlers := {Done :: non_neg_integer(), Of :: non_neg_integer()}
}.

%% @doc The host type that serves this name: a domain, or else a subdomain. Fails with badarg when it is no binary.
-spec get_host_type(domain()) -> {ok, host_type()} | {error, not_found}.
get_host_type(Domain) ->
    %% One call less than by mongoose_domain_core:get_host_type/1, since it is called for every stanza.
    mongoose_domain_results:at(mongoose_domain_nif:lookup(Domain)).

%% @doc As get_host_type/1, for domains only: no subdomain is found.
-spec get_domain_host_type(domain()) -> {ok, host_type()} | {error, not_found}.
get_domain_host_type(Domain) ->
    mongoose_domain_core:get_host_type(Domain).

%% @doc The host types of the configuration's `host_types', which dynamic domains may have. Those that only static
%% domains have are not among them.
-spec get_host_types() -> [host_type()].
get_host_types() ->
    [_Pairs, HostTypes] = mongoose_domain_core:get_start_args(),
    [HostType || HostType <- HostTypes, is_binary(HostType), mongoose_domain_core:is_host_type_allowed(HostType)].

%% @doc The domains from configuration.
-spec get_all_static() -> [pair()].
get_all_static() ->
    mongoose_domain_core:get_all_static().

%% @doc The enabled domains from the database, all in one list: see get_domains/2 for very many.
-spec get_all_dynamic() -> [pair()].
get_all_dynamic() ->
    mongoose_domain_core:get_all_dynamic().

%% @doc All domains of a host type in one list; none for an unknown host type.
-spec get_domains_by_host_type(host_type()) -> [domain()].
get_domains_by_host_type(HostType) ->
    mongoose_domain_core:get_domains_by_host_type(HostType).

%% @doc The first part of a listing: up to Limit pairs (1 to 1000, in no order), and what brings the
%% next part, or `done'. A part may hold fewer pairs than Limit, or none, and not be the last one. A
%% domain that is there from the first part to the last is listed exactly once. Fails with badarg for any other selection or
%% limit.
%%
%% ```
%%   {Pairs, More} = mongoose_domain_api:get_domains({host_type, <<"type1">>}, 1000),
%%   {MorePairs, EvenMore} = mongoose_domain_api:get_domains({host_type, <<"type1">>}, More, 1000).
%% '''
-spec get_domains(all | static | dynamic | {host_type, host_type()}, 1..1000) ->
    {[pair()], continuation() | done}.
get_domains(Select, Limit) ->
    get_domains(Select, 0, Limit).

%% @doc The next part of the listing that the continuation is from.
-spec get_domains(all | static | dynamic | {host_type, host_type()}, continuation(), 1..1000) ->
    {[pair()], continuation() | done}.
get_domains(Select, Continuation, Limit) ->
    _ = is_limit(Limit) orelse error(badarg, [Select, Continuation, Limit]),
    mongoose_domain_core:page(Select, Continuation, Limit).

%% Subdomains: see mongoose_subdomain_core

%% @doc Gives each domain of the host type, now and later, the subdomain of this pattern, or the host type one of its own.
-spec register_subdomain(host_type(), mongoose_subdomain_core:pattern(), mongoose_domain_router:packet_handler()) ->
    ok | {error, already_registered | subdomain_already_exists}.
register_subdomain(HostType, Pattern, PacketHandler) ->
    mongoose_subdomain_core:register_subdomain(HostType, Pattern, PacketHandler).

%% @doc Takes them away again.
-spec unregister_subdomain(host_type(), mongoose_subdomain_core:pattern()) -> ok.
unregister_subdomain(HostType, Pattern) ->
    mongoose_subdomain_core:unregister_subdomain(HostType, Pattern).

%% @doc As get_host_type/1, for subdomains only: no domain is found.
-spec get_subdomain_host_type(binary()) -> {ok, host_type()} | {error, not_found}.
get_subdomain_host_type(Subdomain) ->
    mongoose_subdomain_core:get_host_type(Subdomain).

%% @doc What is known of a subdomain: its parent, its pattern, its handler.
-spec get_subdomain_info(binary()) -> {ok, mongoose_subdomain_core:subdomain_info()} | {error, not_found}.
get_subdomain_info(Subdomain) ->
    mongoose_subdomain_core:get_subdomain_info(Subdomain).

%% @doc The subdomains of a domain, or those that belong to none.
-spec get_all_subdomains_for_domain(domain() | no_parent_domain) -> [mongoose_subdomain_core:subdomain_info()].
get_all_subdomains_for_domain(Domain) ->
    mongoose_subdomain_core:get_all_subdomains_for_domain(Domain).

%% Changes

%% @doc Adds a domain, enabled. `duplicate' for one that is there: with another host type, in removal,
%% or at all where `repeated_operations' is `error'.
-spec insert_domain(domain(), host_type()) -> {ok, details()} | error().
insert_domain(Domain, HostType) ->
    [Result] = insert_domains([{Domain, HostType}]),
    Result.

%% @doc Adds many domains, a thousand a transaction: for each pair, in order, what insert_domain/2 would
%% answer. A row that the database refuses is `refused', and the others are made; a database that fails, fails for all
%% pairs of a transaction. A domain that is given with a status has it from the first moment; one that is there already gets it.
-spec insert_domains([mongoose_domain_changes:wanted()]) -> [{ok, details()} | error()].
insert_domains(Wanted) ->
    changed(insert, [element(1, One) || One <- Wanted], fun() -> mongoose_domain_changes:insert(Wanted) end).

%% @doc Removes a domain: marks it as in removal, which takes its route from every node, has the handlers
%% of its host type delete its data, and deletes its row and its admin's password. Without handlers, one transaction
%% deletes both. Returns when all that is done, however long it takes. `removal_failed' when a handler failed: the
%% domain stays in removal, and a new request begins with the first handler again.
-spec delete_domain(domain(), host_type()) -> {ok, details()} | error().
delete_domain(Domain, HostType) ->
    changed(delete, [Domain], fun() -> mongoose_domain_deletion:delete(Domain, HostType) end).

%% @doc The same for a domain whose host type is the one that the database has. A domain that the database does not have
%% is deleted already: its answer has no host type.
-spec delete_domain(domain()) -> {ok, details()} | error().
delete_domain(Domain) ->
    changed(delete, [Domain], fun() -> mongoose_domain_deletion:delete(Domain) end).

%% @doc Another name of delete_domain/1.
-spec remove_domain(domain()) -> {ok, details()} | error().
remove_domain(Domain) ->
    delete_domain(Domain).

%% @doc The same, but returns as soon as the domain is marked; removal_status/1 returns the progress.
-spec request_delete_domain(domain(), host_type()) -> {ok, details()} | error().
request_delete_domain(Domain, HostType) ->
    changed(request_delete, [Domain], fun() -> mongoose_domain_deletion:request(Domain, HostType) end).

%% @doc For handlers of MongooseIM's hook `remove_domain': calls F, which deletes the module's data and returns Acc. When
%% it fails, or returns another value, that is logged, and the hook's chain ends with the module among those that failed,
%% so that the domain stays in removal.
-spec remove_domain_wrapper(Acc, F :: fun(() -> Acc), module()) -> {ok | stop, Acc} when Acc :: remove_domain_acc().
remove_domain_wrapper(#{failed := Failed} = Acc, F, Module) ->
    try
        Acc = F(),
        {ok, Acc}
    catch
        Class:Reason:Stacktrace ->
            ?LOG_ERROR(#{what => hook_failed, module => Module, class => Class, reason => Reason,
                         stacktrace => Stacktrace}),
            {stop, Acc#{failed := [Module | Failed]}}
    end.

%% @doc Enables a domain. `not_found', `unknown_host_type' (this node's lists lack it), or `deleted' for
%% one in removal.
-spec enable_domain(domain()) -> {ok, details()} | error().
enable_domain(Domain) ->
    changed(enable, [Domain], fun() -> mongoose_domain_changes:set_status(Domain, enabled) end).

%% @doc Disables a domain. The errors are those of enable_domain/1.
-spec disable_domain(domain()) -> {ok, details()} | error().
disable_domain(Domain) ->
    changed(disable, [Domain], fun() -> mongoose_domain_changes:set_status(Domain, disabled) end).

%% A batch has a result for each domain.
changed(Change, Domains, Work) ->
    mongoose_domain_telemetry:timed([change], Work, fun(Result) ->
        Tags = [element(1, One) || One <- lists:flatten([Result])],
        {#{count => length(Domains), failed => length([Tag || Tag <- Tags, Tag =/= ok])},
         #{change => Change, domains => Domains, results => Tags}}
    end).

%% @doc What the database says of a domain now.
-spec get_domain_details(domain()) -> {ok, details()} | error().
get_domain_details(Domain) ->
    mongoose_domain_request:run([valid, dynamic], Domain, {details, Domain}, fun
        ({HostType, Status}) -> {ok, #{domain => Domain, host_type => HostType, status => Status}};
        (not_found) -> mongoose_domain_request:not_found()
    end).

%% @doc The static and dynamic domains of a host type that dynamic domains may have, from the table.
-spec check_host_type_and_get_domains(host_type()) -> {ok, [domain()]} | error().
check_host_type_and_get_domains(HostType) ->
    case mongoose_domain_core:is_host_type_allowed(HostType) of
        true -> {ok, get_domains_by_host_type(HostType)};
        false -> mongoose_domain_request:unknown_host_type()
    end.

%% @doc What the database says of all domains, in its order of their names. Callers of an integration may know no failure,
%% and get what it has for it.
-spec get_all_domains() -> [details()] | error().
get_all_domains() ->
    case get_all_domains_after(#{limit => ?BATCH}, []) of
        Domains when is_list(Domains) -> Domains;
        Failure -> mongoose_domain_integration:answer(get_all_domains, Failure)
    end.

get_all_domains_after(Listing, Parts) ->
    case get_all_domains(Listing) of
        Part when is_list(Part), length(Part) < ?BATCH -> lists:append(lists:reverse(Parts, [Part]));
        Part when is_list(Part) ->
            #{domain := Last} = lists:last(Part),
            get_all_domains_after(Listing#{'after' => Last}, [Part | Parts]);
        Error -> Error
    end.

%% @doc A part of it: up to `limit' domains (1000 by default) behind the domain `after', of this host
%% type, with this status, whose names begin with `prefix'. The next part is the one after its last domain;
%% a part that is shorter than the limit is the last one. A row that cannot be read (a name that is not UTF-8, a host type
%% that is NULL) is in no part, and is logged once. Fails with badarg for any other key or value.
-spec get_all_domains(listing()) -> [details()] | error().
get_all_domains(Listing) ->
    case list_domains(Listing) of
        {ok, #{domains := Domains}} -> Domains;
        Error -> Error
    end.

%% @doc The same with the rows that cannot be read: how many there are before the last domain of this part, or to the
%% end of the list where this part is the last one, and some of them.
-spec list_domains(listing()) ->
    {ok, #{domains := [details()], left_out := #{count := non_neg_integer(), examples := [binary()]}}} | error().
list_domains(Listing) ->
    Limit = maps:get(limit, Listing, ?BATCH),
    Known = ['after', limit, host_type, status, prefix],
    _ = (maps:without(Known, Listing) =:= #{} andalso is_limit(Limit)) orelse error(badarg, [Listing]),
    Choice = maps:from_list([{Key, maps:get(Key, Listing, undefined)} || Key <- ['after', host_type, prefix]]),
    Status = status_number(maps:get(status, Listing, undefined)),
    case mongoose_domain_operations:read({list, Choice#{status => Status}, Limit}) of
        {ok, Rows, {Count, Examples}} ->
            Domains = [#{domain => Domain, host_type => HostType, status => Is} || {Domain, HostType, Is} <- Rows],
            {ok, #{domains => Domains, left_out => #{count => Count, examples => Examples}}};
        Failure -> Failure
    end.

%% @doc How far the removal of a domain is. `not_found' when no removal of it is at work: it is gone, or was never
%% requested.
-spec removal_status(domain()) -> {ok, removal()} | error().
removal_status(Domain) ->
    mongoose_domain_request:run([valid], Domain, {removal, Domain}, fun
        ([Removal]) -> {ok, removal(Removal)};
        ([]) -> mongoose_domain_request:not_found()
    end).

%% @doc All removals that run, were left, or failed.
-spec get_removals() -> [removal()] | error().
get_removals() ->
    mongoose_domain_request:run(removals, fun(Removals) -> [removal(Removal) || Removal <- Removals] end).

%% @doc Up to Limit (at most 1000) changes behind the event After, in the order of their ids, with what the
%% rows say now; behind `undefined', the newest change alone. A transaction that commits late shows ids
%% below those that were returned already: to get them all, read the ids below again.
-spec get_changes(After :: integer() | undefined, Limit :: 1..1000) -> [change()] | error().
get_changes(After, Limit) ->
    _ = is_limit(Limit) orelse error(badarg, [After, Limit]),
    mongoose_domain_request:run({changes, After, Limit}, fun(Changes) -> [change(Change) || Change <- Changes] end).

is_limit(Limit) ->
    is_integer(Limit) andalso Limit >= 1 andalso Limit =< ?BATCH.

change({Id, Domain, undefined}) -> #{id => Id, domain => Domain};
change({Id, Domain, {HostType, Status}}) -> #{id => Id, domain => Domain, host_type => HostType, status => Status}.

%% Domain admins

%% @doc Stores the password of a domain's admin, hashed (see mongoose_domain_operations), in place of the
%% one before. The domain or subdomain must be served by this node: static, or enabled. The password ends with it:
%% with the removal of the domain, or of the domain that a subdomain belongs to. `invalid_password' for what is no UTF-8,
%% or has characters that no password may have.
-spec set_domain_password(domain(), Password :: binary()) -> {ok, binary()} | error().
set_domain_password(Domain, Password) ->
    mongoose_domain_password:set(Domain, Password).

%% @doc Whether this is the password of the domain's admin. A stored password that is corrupt matches no
%% password, and is logged. `not_found' when there is none, or the domain has no row any more or is in removal. Callers of
%% an integration (mongoose_domain_integration) may know none of the failures, and get what it has for them.
-spec check_domain_password(domain(), Password :: binary()) ->
    ok | {error, wrong_password | not_found} | mongoose_domain_operations:failure().
check_domain_password(Domain, Password) ->
    case mongoose_domain_password:check(Domain, Password) of
        ok -> ok;
        {error, Why} when Why =:= wrong_password; Why =:= not_found -> {error, Why};
        Failure -> mongoose_domain_integration:answer(check_domain_password, Failure)
    end.

%% @doc Removes the password of a domain's admin.
-spec delete_domain_password(domain()) -> {ok, binary()} | error().
delete_domain_password(Domain) ->
    mongoose_domain_password:delete(Domain).

status_number(undefined) -> undefined;
status_number(disabled) -> 0;
status_number(enabled) -> 1;
status_number(deleting) -> 2;
status_number(_Other) -> error(badarg).

removal({Domain, HostType, State, Owner, Done, Of}) ->
    Removal = #{domain => Domain, host_type => HostType, handlers => {Done, Of}},
    case State of
        {failed, Why} -> Removal#{state => failed, failure => Why};
        AtWork -> Removal#{state => AtWork, owner => Owner}
    end.
