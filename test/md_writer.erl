%% Writes domains into a database as any program would: plain SQL, a row and its event in one transaction. It is
%% confirmed when the function returns.
%%
%%   md_writer:write(Client, [{add, <<"type1">>, [<<"example.com">>]}, {disable, [<<"example.org">>]}]),
%%   md_writer:write_and_notify(Client, [{delete, [<<"example.com">>]}]).
%%
%% Only one writer may run at a time: then a node that shows the event of newest/1 shows all earlier ones, too.
-module(md_writer).

-export([write/2, write_and_notify/2, add_events/2, newest/1]).
-export([values/1, literal/1]).

-export_type([change/0]).

-type domain() :: binary().
-type change() ::
    {add, HostType :: binary(), [domain()]}
    | {move, HostType :: binary(), [domain()]}
    | {status, integer(), [domain()]}
    | {enable | disable | delete, [domain()]}.

%% @doc Makes the changes in one transaction. No listener is notified.
-spec write(md_client:t(), [change()]) -> ok.
write(Client, Changes) ->
    commit(Client, [change(Change) || Change <- Changes]).

%% @doc Makes the changes in one transaction that notifies every listener when it commits, where the database has
%% notifications.
-spec write_and_notify(md_client:t(), [change()]) -> ok.
write_and_notify(Client, Changes) ->
    Notify = case md_client:kind(Client) of
        postgres -> ["NOTIFY mongoose_domain_events; "];
        _ -> []
    end,
    commit(Client, [change(Change) || Change <- Changes] ++ Notify).

%% @doc Adds events without changes. An empty domain makes a dummy event.
-spec add_events(md_client:t(), [domain()]) -> ok.
add_events(Client, Domains) ->
    commit(Client, [events(Domains)]).

%% @doc The id of the newest event, 0 for none.
-spec newest(md_client:t()) -> non_neg_integer().
newest(Client) ->
    [[Id]] = md_client:query(Client, "SELECT coalesce(max(id), 0) FROM domain_events"),
    binary_to_integer(Id).

commit(Client, Statements) ->
    [] = md_client:query(Client, ["BEGIN; ", Statements, "COMMIT"]),
    ok.

change({add, HostType, Domains}) ->
    Rows = lists:join(", ", [["(", literal(Domain), ", ", literal(HostType), ")"] || Domain <- Domains]),
    ["INSERT INTO domain_settings (domain, host_type) VALUES ", Rows, "; ", events(Domains)];
change({move, HostType, Domains}) ->
    update(["host_type = ", literal(HostType)], Domains);
change({status, Status, Domains}) ->
    update(["status = ", integer_to_list(Status)], Domains);
change({enable, Domains}) ->
    change({status, 1, Domains});
change({disable, Domains}) ->
    change({status, 0, Domains});
change({delete, Domains}) ->
    ["DELETE FROM domain_settings WHERE domain IN (", literals(Domains), "); ", events(Domains)].

update(What, Domains) ->
    ["UPDATE domain_settings SET ", What, " WHERE domain IN (", literals(Domains), "); ", events(Domains)].

events(Domains) ->
    ["INSERT INTO domain_events (domain) VALUES ", values(Domains), "; "].

%% @doc Rows of one text each, for VALUES.
-spec values([binary()]) -> iodata().
values(Texts) ->
    lists:join(", ", [["(", literal(Text), ")"] || Text <- Texts]).

literals(Texts) ->
    lists:join(", ", [literal(Text) || Text <- Texts]).

%% @doc The text as an SQL literal.
-spec literal(binary()) -> iodata().
literal(Text) ->
    ["'", binary:replace(Text, <<"'">>, <<"''">>, [global]), "'"].
