%% What the rows of a database say of domains, read by a client, and whether nodes say the same.
-module(md_rows).

-export([all/1, enabled/1, disagreements/2]).

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
-spec disagreements([md_node:t()], md_client:t()) -> [{pos_integer(), Only :: list(), Missing :: list()}].
disagreements(Nodes, Client) ->
    Wanted = lists:sort(maps:to_list(enabled(all(Client)))),
    Tables = [begin ok = md_node:sync(Node), lists:sort(maps:to_list(md_node:routes(Node))) end || Node <- Nodes],
    Numbered = lists:zip(lists:seq(1, length(Nodes)), Tables),
    [{Place, Table -- Wanted, Wanted -- Table} || {Place, Table} <- Numbered, Table =/= Wanted].
