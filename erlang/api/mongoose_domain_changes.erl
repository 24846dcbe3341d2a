%% Adds domains to the database, and enables and disables them.
-module(mongoose_domain_changes).

-export([insert/1, set_status/2]).

-export_type([wanted/0]).

%% Pairs that one transaction adds.
-define(BATCH, 1000).

-type domain() :: mongoose_domain_core:domain().
-type wanted() :: mongoose_domain_core:pair() | {domain(), mongoose_domain_core:host_type(), enabled | disabled}.
-type result() :: {ok, mongoose_domain_api:details()} | mongoose_domain_api:error().

%% @doc What mongoose_domain_api:insert_domains/1 returns.
-spec insert([wanted()]) -> [result()].
insert(Wanted) ->
    Numbered = lists:zip(lists:seq(1, length(Wanted)), [with_status(One) || One <- Wanted]),
    Checked = [{Number, One, mongoose_domain_request:check(mongoose_domain_request:rules(HostType), Domain)}
               || {Number, {Domain, HostType, _Status} = One} <- Numbered],
    Wrong = maps:from_list([{Number, Error} || {Number, _, Error} <- Checked, Error =/= ok]),
    Results = insert_rounds([{Number, One} || {Number, One, ok} <- Checked], Wrong),
    Shown = wait_until_all_visible(maps:values(Results)),
    [shown(maps:get(Number, Results), Shown) || {Number, _} <- Numbered].

with_status({Domain, HostType}) -> {Domain, HostType, any};
with_status({_Domain, _HostType, Status} = Wanted) when Status =:= enabled; Status =:= disabled -> Wanted.

%% Waits for each event. Where nothing was added, waits for the domains that were there already.
wait_until_all_visible(Results) ->
    case {lists:usort([Event || {added, Event, _} <- Results]), lists:any(fun is_ok/1, Results)} of
        {[], false} -> #{};
        {[], true} -> #{undefined => mongoose_domain_visibility:wait(undefined)};
        {Events, _} -> maps:from_list([{Event, mongoose_domain_visibility:wait(Event)} || Event <- Events])
    end.

shown({added, Event, Answer}, Shown) ->
    case Shown of
        #{Event := ok} -> Answer;
        #{Event := Error} -> Error
    end;
shown(Result, _Shown) ->
    Result.

%% A domain that is there more than once is added by the first pair, and repeated by the others.
insert_rounds([], Results) ->
    Results;
insert_rounds(Wanted, Results) ->
    First = maps:from_list(lists:reverse([{Domain, Number} || {Number, {Domain, _, _}} <- Wanted])),
    {Round, Later} = lists:partition(fun({Number, {Domain, _, _}}) -> map_get(Domain, First) =:= Number end, Wanted),
    insert_rounds(Later, maps:merge(Results, maps:from_list(insert_parts(Round)))).

insert_parts(Round) when length(Round) =< ?BATCH ->
    insert_part(Round);
insert_parts(Round) ->
    {Part, Rest} = lists:split(?BATCH, Round),
    insert_part(Part) ++ insert_parts(Rest).

insert_part(Part) ->
    {Numbers, Wanted} = lists:unzip(Part),
    New = [{Domain, HostType, case Status of any -> enabled; _ -> Status end} || {Domain, HostType, Status} <- Wanted],
    case mongoose_domain_operations:run({insert, New}) of
        {ok, Outcomes} ->
            Refused = [Reason || {refused, Reason} <- Outcomes],
            _ = [ok = mongoose_domain_operations:refused(length(Refused), hd(Refused)) || Refused =/= []],
            Failures = maps:from_list([{Failed, mongoose_domain_operations:failed(Doubt, Reason)}
                                       || {failed, Doubt, Reason} = Failed <- lists:usort(Outcomes)]),
            %% Each part is one transaction, so where the newest event is visible, all are.
            Newest = case [Event || {added, Event} <- Outcomes, is_integer(Event)] of
                [] -> visible;
                Events -> lists:max(Events)
            end,
            Inserted = fun(One, Outcome) -> inserted(One, maps:get(Outcome, Failures, Outcome), Newest) end,
            lists:zip(Numbers, lists:zipwith(Inserted, Wanted, Outcomes));
        Failure ->
            Answer = mongoose_domain_integration:answer(any_other, Failure),
            [{Number, Answer} || Number <- Numbers]
    end.

inserted({Domain, HostType, _Wanted}, {added, _Event}, Newest) ->
    {added, Newest, {ok, #{domain => Domain, host_type => HostType}}};
inserted({Domain, HostType, Wanted}, {HostType, Status}, _Newest) when Status =:= enabled; Status =:= disabled ->
    Duplicate = {duplicate, <<"Domain already exists">>},
    case mongoose_domain_request:repeated(#{domain => Domain, host_type => HostType}, Duplicate) of
        {ok, Details} when Wanted =/= any, Wanted =/= Status -> switched(set_status(Domain, Wanted), Details);
        Answer -> Answer
    end;
inserted(_Wanted, {HostType, _Status}, _Newest) when is_binary(HostType) ->
    {duplicate, <<"Domain already exists">>};
inserted(_Wanted, {Tag, _Text} = Failure, _Newest) when is_atom(Tag) ->
    Failure.

switched({ok, _Switched}, Details) -> {ok, Details};
switched(Error, _Details) -> Error.

is_ok({ok, _}) -> true;
is_ok(_Error) -> false.

%% @doc Gives a domain this status. Succeeds for one that has it.
-spec set_status(domain(), enabled | disabled) -> result().
set_status(Domain, Wanted) ->
    mongoose_domain_request:run([valid, dynamic], Domain, {set_status, Domain, Wanted}, fun
        ({changed, Event}) ->
            mongoose_domain_visibility:visible(Event, {ok, #{domain => Domain, status => Wanted}});
        (kept) ->
            mongoose_domain_visibility:visible(undefined, {ok, #{domain => Domain, status => Wanted}});
        (not_found) -> mongoose_domain_request:not_found();
        (unknown_host_type) -> mongoose_domain_request:unknown_host_type();
        (deleted) -> {deleted, <<"Domain has been deleted">>}
    end).
