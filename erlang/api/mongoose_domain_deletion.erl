%% Removes domains. Where handlers have to delete data first, marks the row, and has the removal's job
%% (mongoose_domain_removal_jobs) do the rest. Where none has to, one statement deletes the row.
-module(mongoose_domain_deletion).

-export([delete/2, delete/1, request/2]).

%% The pause before a removal that another node works on is checked again, in milliseconds.
-define(PAUSE, 50).

-type domain() :: mongoose_domain_core:domain().
-type host_type() :: mongoose_domain_core:host_type().
-type result() :: {ok, mongoose_domain_api:details()} | mongoose_domain_api:error().

%% @doc What mongoose_domain_api:delete_domain/2 returns.
-spec delete(domain(), host_type()) -> result().
delete(Domain, HostType) ->
    Result = case mongoose_domain_removal:ready_handlers(HostType) of
        {ok, []} -> delete_at_once(Domain, HostType);
        _HandlersOrWaiting -> has_job
    end,
    case Result of
        has_job -> delete_by_job(Domain, HostType);
        {ok, gone} -> {ok, removed(Domain, HostType, deleted)};
        Error -> Error
    end.

delete_by_job(Domain, HostType) ->
    case begin_removal(Domain, HostType) of
        {ok, gone} -> {ok, removed(Domain, HostType, deleted)};
        {ok, {here, Handlers}} ->
            removed_or_not(mongoose_domain_removal_jobs:remove_and_await(Domain, HostType, Handlers), Domain, HostType);
        {ok, elsewhere} -> await_removal(Domain, HostType);
        Error -> Error
    end.

%% @doc What mongoose_domain_api:delete_domain/1 returns.
-spec delete(domain()) -> result().
delete(Domain) ->
    case mongoose_domain_request:check([valid, dynamic], Domain) of
        ok -> delete_known(Domain, mongoose_domain_operations:run({details, Domain}));
        Error -> Error
    end.

delete_known(Domain, {ok, {HostType, _Status}}) ->
    case delete(Domain, HostType) of
        %% Another program has given it another host type meanwhile.
        {wrong_host_type, _Text} -> delete(Domain);
        Result -> Result
    end;
delete_known(Domain, {ok, not_found}) ->
    Deleted = #{domain => Domain, status => deleted},
    mongoose_domain_request:repeated(Deleted, mongoose_domain_request:not_found());
delete_known(_Domain, Failure) ->
    mongoose_domain_integration:answer(any_other, mongoose_domain_operations:unchanged(Failure)).

%% @doc What mongoose_domain_api:request_delete_domain/2 returns.
-spec request(domain(), host_type()) -> result().
request(Domain, HostType) ->
    case begin_removal(Domain, HostType) of
        {ok, gone} -> {ok, removed(Domain, HostType, deleted)};
        {ok, {here, Handlers}} ->
            ok = mongoose_domain_removal_jobs:remove(Domain, HostType, Handlers),
            {ok, removed(Domain, HostType, deleting)};
        {ok, elsewhere} -> {ok, removed(Domain, HostType, deleting)};
        Error -> Error
    end.

%% `has_job': the domain is in removal already, or the database refuses to delete the row, which the job is to report.
delete_at_once(Domain, HostType) ->
    Rules = mongoose_domain_request:rules(HostType),
    Result = mongoose_domain_request:run(Rules, Domain, {delete, Domain, HostType}, fun
        ({removed, Event}) -> mongoose_domain_visibility:visible(Event, {ok, gone});
        (kept) -> has_job;
        (Other) -> not_removed(Other)
    end),
    case Result of
        {refused, _Text} -> has_job;
        _ -> Result
    end.

%% Returns when this node's route is gone, since no handler may run before. `here': this node has the job, which the caller
%% starts. A node that does not follow the mark does not start it; a node that does takes it over.
begin_removal(Domain, HostType) ->
    Handlers = length(mongoose_domain_removal:handlers(HostType)),
    Rules = mongoose_domain_request:rules(HostType),
    mongoose_domain_request:run(Rules, Domain, {begin_removal, Domain, HostType, Handlers}, fun
        ({claimed, Event}) ->
            mongoose_domain_visibility:visible(Event, {ok, {here, Handlers}});
        ({elsewhere, Event}) ->
            mongoose_domain_visibility:visible(Event, {ok, elsewhere});
        (Other) -> not_removed(Other)
    end).

not_removed(not_found) ->
    %% Another node may have removed it just now.
    Result = mongoose_domain_request:repeated(gone, mongoose_domain_request:not_found()),
    mongoose_domain_visibility:visible(undefined, Result);
not_removed(wrong_host_type) ->
    {wrong_host_type, <<"Wrong host type was provided">>}.

await_removal(Domain, HostType) ->
    removed_or_not(mongoose_domain_removal_jobs:await(Domain), Domain, HostType).

removed_or_not(ok, Domain, HostType) -> {ok, removed(Domain, HostType, deleted)};
removed_or_not({failed, _Why}, _Domain, _HostType) -> removal_failed();
removed_or_not({ended, Row}, _Domain, _HostType) -> removal_ended(Row);
removed_or_not(_LostOrNotHere, Domain, HostType) -> watch_removal(Domain, HostType).

%% Another node works on the removal, or has ended it: the row says which.
watch_removal(Domain, HostType) ->
    mongoose_domain_request:run({removal, Domain}, fun
        ([]) ->
            mongoose_domain_request:run({details, Domain}, fun
                (not_found) -> {ok, removed(Domain, HostType, deleted)};
                (Row) -> removal_ended(Row)
            end);
        ([{_, _, {failed, _Why}, _, _, _}]) -> removal_failed();
        ([_AtWork]) ->
            timer:sleep(?PAUSE),
            await_removal(Domain, HostType)
    end).

removed(Domain, HostType, Status) ->
    #{domain => Domain, host_type => HostType, status => Status}.

removal_ended(not_found) ->
    {removal_ended, <<"Another program deleted the domain before its removal was done: its data may be there still">>};
removal_ended({_HostType, _Status}) ->
    {removal_ended, <<"The domain was enabled or added again: its removal ended">>}.

removal_failed() -> {removal_failed, <<"A removal handler failed: the domain stays in removal">>}.
