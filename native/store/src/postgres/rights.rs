//! What the database's user may see and do, according to the catalogue. No row is read.
//!
//! A row that cannot be seen must not be taken for one that is not there. PostgreSQL refuses a statement on a table
//! without the SELECT right and, with `row_security=off`, one whose rows a policy would filter. It does not report the
//! rest, which is looked up here: a policy behind a pool that dropped the session's settings
//! ([`table_with_hidden_rows`]) and, for people ([`findings`]), missing rights, another table of the same name, a view,
//! a standby.

use tokio_postgres::{Client, Error};

use super::sqlstate::if_supported;
use crate::writer::{Finding, Severity};

/// Whether row-level security filters the rows of a table for this user, by the table's row of `pg_class`.
macro_rules! has_filtered_rows {
    ($table:literal) => {
        concat!(
            "(",
            $table,
            ".relrowsecurity
              AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
              AND (",
            $table,
            ".relforcerowsecurity OR NOT pg_has_role(",
            $table,
            ".relowner, 'USAGE')))"
        )
    };
}

pub(super) use has_filtered_rows;

/// Selects tables by name, as `t`, and the relations that the search path finds for them, as `c`. `hidden`: row-level
/// security filters rows for this user.
macro_rules! tables {
    ($names:literal) => {
        concat!(
            "SELECT t.name, n.nspname::text AS schema, c.relkind::text AS kind,
                    coalesce(",
            has_filtered_rows!("c"),
            ", false) AS hidden, c.oid
               FROM unnest(ARRAY[",
            $names,
            "]) AS t (name)
               LEFT JOIN pg_class c ON c.oid = to_regclass(t.name)
               LEFT JOIN pg_namespace n ON n.oid = c.relnamespace"
        )
    };
}

/// A table that the follower reads and of which a policy hides rows without an error.
pub(super) async fn table_with_hidden_rows(client: &Client) -> Result<Option<String>, Error> {
    let sql = concat!(
        "SELECT name FROM (",
        tables!("'domain_settings', 'domain_events'"),
        ") AS found WHERE hidden AND current_setting('row_security', true) <> 'off' LIMIT 1"
    );
    let Some(rows) = if_supported(client.query_typed(sql, &[]).await)? else { return Ok(None) };
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// A table that exists in a schema of the search path which this user may not use, so that it looks absent.
pub(super) async fn inaccessible_table(client: &Client) -> Result<Option<String>, Error> {
    let sql = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relname IN ('domain_settings', 'domain_events') AND NOT has_schema_privilege(n.oid, 'USAGE')
                  AND n.nspname IN (SELECT replace(btrim(name, ' \"'), '$user', current_user)
                                      FROM unnest(string_to_array(current_setting('search_path'), ',')) AS name)
                LIMIT 1";
    let Some(rows) = if_supported(client.query_typed(sql, &[]).await)? else { return Ok(None) };
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// Problems of the tables and of this user's rights, the most severe first.
pub(super) async fn findings(client: &Client) -> Result<Vec<Finding>, Error> {
    let sql = concat!(
        "SELECT name, schema, kind, hidden, current_user::text,
                coalesce(has_table_privilege(oid, 'SELECT'), true),
                coalesce(has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE')
                         AND has_table_privilege(oid, 'DELETE'), true),
                (SELECT string_agg(n.nspname::text, ', ') FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
                  WHERE o.relname = found.name AND o.oid <> found.oid AND o.relkind IN ('r', 'p', 'v', 'm', 'f')
                    AND (n.nspname = ANY (current_schemas(true)) OR NOT has_schema_privilege(n.oid, 'USAGE'))),
                coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), pg_is_in_recovery()
           FROM (",
        tables!("'domain_settings', 'domain_events', 'domain_admins', 'domain_removals', 'domain_freshness'"),
        ") AS found"
    );
    let Some(rows) = if_supported(client.query_typed(sql, &[]).await)? else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    for row in &rows {
        let table: String = row.try_get(0)?;
        let schema: Option<String> = row.try_get(1)?;
        let kind: Option<String> = row.try_get(2)?;
        let user: String = row.try_get(4)?;
        let (hidden, may_read, may_write): (bool, bool, bool) = (row.try_get(3)?, row.try_get(5)?, row.try_get(6)?);
        let others: Option<String> = row.try_get(7)?;
        let grave =
            if ["domain_settings", "domain_events"].contains(&&*table) { Severity::Failed } else { Severity::Warning };
        let mut find = |severity, found: String, advice: String| findings.push(Finding { severity, found, advice });
        if hidden {
            find(
                grave,
                format!("row-level security hides rows of {table} from {user}"),
                format!(
                    "ALTER ROLE {user} BYPASSRLS; or, where it owns the table, ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY."
                ),
            );
        }
        if !may_read {
            find(grave, format!("{user} may not read {table}"), format!("GRANT SELECT ON {table} TO {user}."));
        } else if !may_write && table != "domain_freshness" {
            find(
                Severity::Warning,
                format!("{user} may not change {table}"),
                format!("If this node is to change domains: GRANT INSERT, UPDATE, DELETE ON {table} TO {user}."),
            );
        }
        if kind.as_deref().is_some_and(|kind| !["r", "p"].contains(&kind)) {
            find(
                Severity::Warning,
                format!("{table} is a view or a foreign table"),
                "A row that it does not show is taken for one that is not there.".to_owned(),
            );
        }
        if let Some(others) = others {
            let used = schema.map_or("none".to_owned(), |schema| format!("that of schema {schema}"));
            find(
                Severity::Warning,
                format!("there are several tables {table}: {used} is used, not that of {others}"),
                format!(
                    "Name the schema that is meant, options=-csearch_path=SCHEMA in the URL, and GRANT USAGE on it to {user}."
                ),
            );
        }
        if table == "domain_removals" && kind.is_none() && !row.try_get::<_, bool>(8)? && !row.try_get::<_, bool>(9)? {
            find(
                Severity::Warning,
                format!("domain_removals is not there, and {user} may not create it: removals are refused"),
                format!(
                    "Have priv/sql/removals.sql run by who may, and GRANT SELECT, INSERT, UPDATE, DELETE ON domain_removals TO {user}."
                ),
            );
        }
        if table == "domain_settings" && row.try_get::<_, bool>(9)? {
            find(
                Severity::Warning,
                "the server is a standby: it shows changes late, and takes none".to_owned(),
                "Name the primary in the URL, with target_session_attrs=read-write.".to_owned(),
            );
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    Ok(findings)
}
