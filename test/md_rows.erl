%% What the rows of a database say of domains, read by a client, and whether nodes say the same. A client can also have
%% no node read them.
-module(md_rows).

-export([all/1, enabled/1, disagreements/2, disagreements/3]).
-export([wait_until_agreed/2, wait_until_agreed/3]).
-export([hide/1, show/1]).

-type disagreements() :: [{Place :: pos_integer(), Only :: list(), Missing :: list()} | {pos_integer(), binary()}].
-type rows() :: #{Domain :: binary() => {HostType :: binary(), enabled | disabled | deleting}}.

%% @doc Every row.
-spec all(md_client:t()) -> rows().
all(Client) ->
    Rows = md_client:query(Client, "SELECT domain, host_type, status FROM domain_settings"),
    maps:from_list([{Domain, {HostType, status(Status)}} || [Domain, HostType, Status] <- Rows]).

status(<<"0">>) -> disabled;
status(<<"1">>) -> enabled;
status(<<"2">>) -> deleting.

%% @doc The domains of these rows that are to be served, and their host types.
-spec enabled(rows()) -> #{binary() => binary()}.
enabled(Rows) ->
    maps:from_list([{Domain, HostType} || {Domain, {HostType, enabled}} <- maps:to_list(Rows)]).

%% @doc Where the tables of nodes differ from the database, once they have looked at it: the place of each such
%% node, what only its table has, and what only the database has. While nobody writes, please.
-spec disagreements([md_node:t()], md_client:t()) -> disagreements().
disagreements(Nodes, Client) ->
    disagreements(Nodes, Client, #{}).

%% @doc The same for nodes that are to have these routes besides, which the database lost. One that can't look at
%% the database says why.
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

%% @doc Returns when the tables say what the database says.
-spec wait_until_agreed([md_node:t()], md_client:t()) -> ok.
wait_until_agreed(Nodes, Client) ->
    wait_until_agreed(Nodes, Client, #{}).

%% @doc The same for nodes that are to have these routes besides.
-spec wait_until_agreed([md_node:t()], md_client:t(), #{binary() => binary()}) -> ok.
wait_until_agreed(Nodes, Client, Kept) ->
    md_wait:until(fun() -> disagreements(Nodes, Client, Kept) end, []).

%% @doc Until show/1, every statement about rows fails: a column has another name. Had the table another one, whoever
%% connects would make it anew, and a node connects when it likes.
-spec hide(md_client:t()) -> ok.
hide(Client) ->
    [] = md_client:query(Client, "ALTER TABLE domain_settings RENAME COLUMN status TO elsewhere"),
    ok.

%% @doc The end of that.
-spec show(md_client:t()) -> ok.
show(Client) ->
    [] = md_client:query(Client, "ALTER TABLE domain_settings RENAME COLUMN elsewhere TO status"),
    ok.
