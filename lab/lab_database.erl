%% The database of the laboratory: the tables of the product, and a journal that says what truly was committed, in which order.
%%
%% A trigger writes each change of a row of `domain_settings' to the journal, in the same transaction. So the journal of the last primary
%% has exactly the changes that the database has, and a change that is not there was not made, or the database lost it. Each line has the
%% timeline on which it was written: another one begins where a standby became the primary.
-module(lab_database).

-export([create/0, journal/0, routes/0, at_work/0, connections/0]).

-define(JOURNAL,
    "CREATE TABLE lab_journal (seq BIGSERIAL PRIMARY KEY, at BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
    "timeline INT NOT NULL DEFAULT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int, "
    "domain TEXT NOT NULL, host_type TEXT, status SMALLINT); "
    "CREATE FUNCTION lab_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
    "IF TG_OP = 'DELETE' THEN INSERT INTO lab_journal (domain) VALUES (OLD.domain); "
    "ELSE INSERT INTO lab_journal (domain, host_type, status) VALUES (NEW.domain, NEW.host_type, NEW.status); END IF; RETURN NULL; END $$; "
    "CREATE TRIGGER lab_note AFTER INSERT OR UPDATE OR DELETE ON domain_settings FOR EACH ROW EXECUTE FUNCTION lab_note()").

-spec create() -> ok.
create() ->
    [] = lab_cluster:query("CREATE USER domains"),
    [] = lab_cluster:query("CREATE DATABASE domains OWNER domains"),
    persistent_term:put({lab_cluster, database}, "domains"),
    [] = lab_cluster:query(["SET ROLE domains; ", md_database:statements("postgres.sql")]),
    [] = lab_cluster:query("ALTER ROLE domains SET default_transaction_isolation = 'read committed'; ALTER ROLE domains SET row_security = off"),
    [] = lab_cluster:query(?JOURNAL),
    ok.

%% @doc Writes the journal into the history. Without a primary there is none, and no check is possible.
-spec journal() -> ok.
journal() ->
    Rows = until_answered("SELECT seq, at, timeline, domain, coalesce(host_type, ''), coalesce(status, -1) FROM lab_journal ORDER BY seq", 120),
    lists:foreach(fun([Seq, At, Timeline, Domain, HostType, Status]) ->
        ok = lab_history:note(journal, #{at => binary_to_integer(At), seq => binary_to_integer(Seq), timeline => binary_to_integer(Timeline), domain => Domain,
                                         host_type => HostType, status => binary_to_integer(Status)})
    end, Rows).

until_answered(Sql, Left) ->
    case lab_cluster:query(Sql) of
        none when Left > 0 -> timer:sleep(1000), until_answered(Sql, Left - 1);
        Rows when is_list(Rows) -> Rows
    end.

%% @doc The routes that the rows say; `none' without a primary.
-spec routes() -> #{binary() => binary()} | none.
routes() ->
    case lab_cluster:query("SELECT domain, host_type FROM domain_settings WHERE status = 1") of
        none -> none;
        Rows -> maps:from_list([{Domain, HostType} || [Domain, HostType] <- Rows])
    end.

%% @doc Whether a removal is at work.
-spec at_work() -> boolean().
at_work() ->
    lab_cluster:query("SELECT 1 FROM domain_removals WHERE owner IS NOT NULL LIMIT 1") =:= [[<<"1">>]].

%% @doc How many connections there are of the nodes, and of clients who use SQL.
-spec connections() -> non_neg_integer() | none.
connections() ->
    case lab_cluster:query("SELECT count(*) FROM pg_stat_activity WHERE usename = 'domains'") of
        [[Count]] -> binary_to_integer(Count);
        none -> none
    end.
