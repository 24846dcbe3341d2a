%% What is wrong with this node and its database, and what to do about it.
%%
%%   [io:format("~s: ~s, ~s. ~s~n", [Name, State, Found, Advice])
%%    || #{name := Name, state := State, found := Found, advice := Advice} <- mongoose_domain_doctor:examine()].
%%
%% Each check has what it found; one that is not `ok' has an advice. `failed' needs attention now, `warning' may be
%% intended. An examination reads every row of the database once and changes nothing.
-module(mongoose_domain_doctor).

-export([examine/0]).

-export_type([check/0]).

-type check() :: #{name := binary(), state := ok | warning | failed, found := binary(), advice := binary()}.

%% Clocks that are further apart than this make times in logs hard to compare, in milliseconds.
-define(CLOCKS_APART, 5000).

%% Domains that one page of the table has.
-define(PART, 1000).

%% How many of something are named.
-define(SHOWN, 10).

%% @doc All checks, those of the database last; without a configured database, that is the only one.
-spec examine() -> [check(), ...].
examine() ->
    ok = mongoose_domain_running:check(),
    case service_domain_db:enabled() of
        false ->
            [check(<<"configuration">>, ok, "no database is configured: static domains only", "")];
        true ->
            Status = service_domain_db:status(),
            [follower(Status), freshness(Status), gaps(Status), kept(Status), table(), names() | rights() ++ database()]
    end.

follower(#{state := following} = Status) ->
    check(<<"follower">>, ok, ["following, event ", cursor(Status)], "");
follower(#{state := State} = Status) when State =:= connecting; State =:= loading; State =:= converging ->
    check(<<"follower">>, warning, [atom_to_list(State), ", event ", cursor(Status)], "Wait, and ask again.");
follower(#{state := away} = Status) ->
    check(<<"follower">>, failed, ["the database cannot be followed: ", last_error(Status)],
          "Look at the database, the way to it, and the rights of its user. Lookups answer from the table meanwhile.");
follower(#{state := State} = Status) ->
    check(<<"follower">>, failed, [atom_to_list(State), ": ", last_error(Status)],
          "Look at the log of this node: the service says there what keeps it from following.").

freshness(#{stale := true}) ->
    check(<<"routes">>, warning, "all are from the file of a warm start, and as old as that",
          "They become current as soon as the database answers.");
freshness(#{lag_seconds := Lag}) when is_integer(Lag) ->
    check(<<"routes">>, ok, io_lib:format("current ~b s ago", [Lag]), "");
freshness(_Unknown) ->
    check(<<"routes">>, warning, "never seen to be current", "Wait for the first load, and ask again.").

%% Where the writers are unknown, every rolled-back transaction leaves a gap that stays for ten minutes.
gaps(#{open_gaps := Open, writers := unknown}) when is_integer(Open), Open > 0 ->
    check(<<"gaps">>, ok, [counted(Open, "range", "ranges"),
                           " of event ids may still show; each is read again for ten minutes, since the database does not "
                           "tell which transactions are open"], "");
gaps(#{open_gaps := Open}) when is_integer(Open), Open > 0 ->
    check(<<"gaps">>, warning, [counted(Open, "range", "ranges"), " of event ids may still show"],
          "A transaction that writes is open for long. If this stays, look for it in pg_stat_activity and "
          "pg_prepared_xacts, on MariaDB in information_schema.INNODB_TRX, and end it.");
gaps(_None) ->
    check(<<"gaps">>, ok, "none is open", "").

kept(#{kept := Kept}) when is_integer(Kept), Kept > 0 ->
    check(<<"gate">>, warning, [counted(Kept, "route stays", "routes stay"), " that the database does not have"],
          "Restore the rows; or, if they were meant to go, declare the content complete "
          "(domainctl fresh HOST_TYPE TTL), or have service_domain_db:converge(force) called.");
kept(_None) ->
    check(<<"gate">>, ok, "keeps no route that the database does not have", "").

%% This memory is in no other figure of the node.
table() ->
    Bytes = lists:sum(maps:values(mongoose_domain_core:memory())),
    check(<<"table">>, ok, [counted(mongoose_domain_core:domains_count(), "domain", "domains"),
                             io_lib:format(" in ~.1f MiB beside the VM's own memory", [Bytes / (1 bsl 20)])], "").

%% Two domains with one name: some requests for it reach the one, some the other. The table is read in parts, so that a
%% million names neither fill the memory nor hold up a scheduler.
names() ->
    case names_in_two_spellings(0, 0, []) of
        {0, []} ->
            check(<<"names">>, ok, "none is there in two spellings", "");
        {Count, Some} ->
            Pairs = [[One, " and ", Other] || {One, Other} <- lists:reverse(Some)],
            check(<<"names">>, warning,
                  [counted(Count, "name is", "names are"), " there in two spellings: ", lists:join("; ", Pairs)],
                  "A request names either, so these are two tenants with one name. Keep the one, and disable or remove the "
                  "other.")
    end.

names_in_two_spellings(done, Count, Some) ->
    {Count, Some};
names_in_two_spellings(Position, Count, Some) ->
    {Pairs, Next} = mongoose_domain_core:page(all, Position, ?PART),
    %% One of two spellings has such a label. Where both have one, the first stands for both.
    Found = [{Other, Domain} || {Domain, _HostType} <- Pairs, binary:match(Domain, <<"xn--">>) =/= nomatch,
                                Other <- mongoose_domain_nif:spellings(Domain), is_domain(Other),
                                binary:match(Other, <<"xn--">>) =:= nomatch orelse Other < Domain],
    names_in_two_spellings(Next, Count + length(Found), lists:sublist(lists:reverse(Found, Some), ?SHOWN)).

is_domain(Name) ->
    element(1, mongoose_domain_nif:name_use(Name)) =:= domain.

%% The tables, and the rights of the database's user on them. database/0 reports a database that does not answer.
rights() ->
    case mongoose_domain_operations:explain(findings) of
        {ok, []} -> [check(<<"rights">>, ok, "this user sees all rows, and may change them", "")];
        {ok, Findings} -> [check(<<"rights">>, State, Found, Advice) || {State, Found, Advice} <- Findings];
        {error, _Why} -> []
    end.

%% What only the database knows.
database() ->
    Began = erlang:system_time(millisecond),
    case mongoose_domain_operations:explain(survey) of
        {ok, {Time, Counted, LeftOut}} ->
            Here = (Began + erlang:system_time(millisecond)) div 2,
            [check(<<"database">>, ok, ["answers, ", counted(lists:sum([N || {_, N} <- Counted]), "row", "rows")], ""),
             clocks(Time - Here), ids(mongoose_domain_operations:run(sequences)), host_types(Counted), rows(LeftOut),
             removals(mongoose_domain_operations:explain(removals))];
        {error, Why} ->
            [check(<<"database">>, failed, Why,
                   "The database is away, its tables are not what they should be, or this user may not read them.")]
    end.

rows({0, []}) ->
    check(<<"rows">>, ok, "all can be read", "");
rows({Count, Examples}) ->
    check(<<"rows">>, warning,
          io_lib:format("~b cannot be read, and lists are without them: ~ts", [Count, lists:join("; ", Examples)]),
          "Correct or delete these rows. A byte that is part of no text is shown as \\xff, a value that is none as NULL.").

clocks(Apart) when abs(Apart) =< ?CLOCKS_APART ->
    check(<<"clocks">>, ok, io_lib:format("the database's is ~b ms ahead", [Apart]), "");
clocks(Apart) ->
    check(<<"clocks">>, warning, io_lib:format("the database's is ~b ms ahead", [Apart]),
          "Have both follow NTP. Nothing here compares them, but people who read logs do.").

ids({ok, Sequences}) ->
    case [Behind || {_Name, {behind, _, _, _}} = Behind <- Sequences] of
        [] ->
            check(<<"ids">>, ok, "no sequence is behind the ids that are there", "");
        Behind ->
            Found = [io_lib:format("~ts hands out ~b, the newest id is ~b", [Name, Next, Newest])
                     || {Name, {behind, Next, Newest, _}} <- Behind],
            Remedies = [Remedy || {_, {behind, _, _, Remedy}} <- Behind],
            check(<<"ids">>, failed, lists:join("; ", Found),
                  ["Rows were brought with their ids, and additions are refused. Run: ", lists:join("; ", Remedies), "."])
    end;
ids(_Failure) ->
    check(<<"ids">>, warning, "the sequences could not be read",
          "The reason is in the log of this node (domain_operation_not_done).").

host_types(Counted) ->
    case [{Name, N} || {Name, N} <- Counted, not mongoose_domain_core:is_host_type_allowed(Name)] of
        [] ->
            check(<<"host types">>, ok, "this node serves those of all rows", "");
        Unknown ->
            Names = lists:join(", ", [[Name, " (", counted(N, "row", "rows"), ")"] || {Name, N} <- Unknown]),
            check(<<"host types">>, warning, ["not served here: ", Names],
                  "Add them to host_types in this node's configuration, if it should serve their domains.")
    end.

removals({ok, Removals, {0, []}}) ->
    case [Domain || {Domain, _HostType, {failed, _Why}, _Owner, _Done, _Of} <- Removals] of
        [] ->
            check(<<"removals">>, ok, io_lib:format("~b at work, none failed", [length(Removals)]), "");
        Failed ->
            Some = lists:join(", ", lists:sublist(Failed, ?SHOWN)),
            check(<<"removals">>, failed, io_lib:format("~b failed: ~ts", [length(Failed), Some]),
                  "A handler could not delete their data: its reason is in the log and in the removal. Mend it, and "
                  "remove them again.")
    end;
removals({ok, _Removals, {Count, Examples}}) ->
    check(<<"removals">>, warning, io_lib:format("~b cannot be read: ~ts", [Count, lists:join("; ", Examples)]),
          "No node works on these. Delete the rows from domain_removals, and remove the domains again.");
removals({error, Why}) ->
    check(<<"removals">>, warning, Why, "Do what it says of the table domain_removals, or look at the database.").

cursor(#{cursor := Cursor}) when is_integer(Cursor) -> integer_to_list(Cursor);
cursor(_Unknown) -> "unknown".

last_error(#{last_error := Error}) when is_binary(Error) -> Error;
last_error(_None) -> "no reason is known".

%% How many of what.
counted(1, One, _Many) -> ["1 ", One];
counted(N, _One, Many) -> [integer_to_list(N), " ", Many].

check(Name, State, Found, Advice) ->
    #{name => Name, state => State, found => unicode:characters_to_binary(Found),
      advice => unicode:characters_to_binary(Advice)}.
