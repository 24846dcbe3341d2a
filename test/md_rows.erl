%% Reads the domain rows of a database with a client and compares them with the tables of nodes. It can also make the
%% rows unreadable for nodes, and lock their table.
-module(md_rows).

-export([all/1, enabled/1, disagreements/2, disagreements/3]).
-export([wait_until_agreed/2, wait_until_agreed/3]).
-export([hide/1, show/1, lock/1, unlock/1]).
-export([all_exactly/1, text/2]).

-type disagreements() :: [{Place :: pos_integer(), Only :: list(), Missing :: list()} | {pos_integer(), binary()}].
-type rows() :: #{Domain :: binary() => {HostType :: binary(), enabled | disabled | deleting}}.

%% @doc Every row.
-spec all(md_client:t()) -> rows().
all(Client) ->
    Rows = md_client:query(Client, "SELECT domain, host_type, status FROM domain_settings"),
    maps:from_list([{Domain, {HostType, status(Status)}} || [Domain, HostType, Status] <- Rows]).

%% @doc The same for names with line breaks.
-spec all_exactly(md_client:t()) -> rows().
all_exactly(Client) ->
    Name = case md_client:kind(Client) of
        postgres -> "encode(convert_to(domain, 'UTF8'), 'hex')";
        mariadb -> "HEX(CONVERT(domain USING utf8mb4))"
    end,
    Rows = md_client:query(Client, ["SELECT ", Name, ", host_type, status FROM domain_settings"]),
    maps:from_list([{binary:decode_hex(Hex), {HostType, status(Status)}} || [Hex, HostType, Status] <- Rows]).

%% @doc Any text as a part of a statement.
-spec text(md_client:t(), binary()) -> iodata().
text(Client, Text) ->
    Hex = binary:encode_hex(Text),
    case md_client:kind(Client) of
        postgres -> ["convert_from('\\x", Hex, "', 'UTF8')"];
        mariadb -> ["_utf8mb4 X'", Hex, "'"]
    end.

status(<<"0">>) -> disabled;
status(<<"1">>) -> enabled;
status(<<"2">>) -> deleting.

%% @doc The enabled domains of these rows and their host types.
-spec enabled(rows()) -> #{binary() => binary()}.
enabled(Rows) ->
    maps:from_list([{Domain, HostType} || {Domain, {HostType, enabled}} <- maps:to_list(Rows)]).

%% @doc The differences between the nodes' tables and the database, after each node has read it: the position of each
%% node that differs, what only its table has, and what only the database has. Nothing may write to the database
%% meanwhile.
-spec disagreements([md_node:t()], md_client:t()) -> disagreements().
disagreements(Nodes, Client) ->
    disagreements(Nodes, Client, #{}).

%% @doc The same for nodes that also keep these routes, which the database lost. A node that cannot read the database is
%% listed with the reason.
-spec disagreements([md_node:t()], md_client:t(), #{binary() => binary()}) -> disagreements().
disagreements(Nodes, Client, Kept) ->
    Wanted = lists:sort(maps:to_list(maps:merge(Kept, enabled(all(Client))))),
    Numbered = lists:zip(lists:seq(1, length(Nodes)), Nodes),
    lists:append([disagreement(Place, md_node:sync(Node), Node, Wanted) || {Place, Node} <- Numbered]).

disagreement(Place, ok, Node, Wanted) ->
    case lists:sort(maps:to_list(md_node:routes(Node))) of
        Wanted -> [];
        Table -> [{Place, Table -- Wanted, Wanted -- Table}]
    end;
disagreement(Place, {error, Reason}, _Node, _Wanted) ->
    [{Place, Reason}].

%% @doc Returns when the tables and the database have the same routes.
-spec wait_until_agreed([md_node:t()], md_client:t()) -> ok.
wait_until_agreed(Nodes, Client) ->
    wait_until_agreed(Nodes, Client, #{}).

%% @doc The same for nodes that also keep these routes.
-spec wait_until_agreed([md_node:t()], md_client:t(), #{binary() => binary()}) -> ok.
wait_until_agreed(Nodes, Client, Kept) ->
    md_wait:until(fun() -> disagreements(Nodes, Client, Kept) end, []).

%% @doc Renames a column, so that every statement about rows fails until show/1. Renaming the table would not do: every
%% new connection creates missing tables, and a node may connect at any moment.
-spec hide(md_client:t()) -> ok.
hide(Client) ->
    [] = md_client:query(Client, "ALTER TABLE domain_settings RENAME COLUMN status TO elsewhere"),
    ok.

%% @doc Undoes hide/1.
-spec show(md_client:t()) -> ok.
show(Client) ->
    [] = md_client:query(Client, "ALTER TABLE domain_settings RENAME COLUMN elsewhere TO status"),
    ok.

%% @doc Locks the table of rows, so that every other statement about it waits until unlock/1.
-spec lock(md_client:t()) -> ok.
lock(Client) ->
    [] = md_client:query(Client, case md_client:kind(Client) of
        postgres -> "BEGIN; LOCK TABLE domain_settings";
        mariadb -> "LOCK TABLES domain_settings WRITE"
    end),
    ok.

%% @doc Undoes lock/1.
-spec unlock(md_client:t()) -> ok.
unlock(Client) ->
    [] = md_client:query(Client, case md_client:kind(Client) of
        postgres -> "COMMIT";
        mariadb -> "UNLOCK TABLES"
    end),
    ok.
