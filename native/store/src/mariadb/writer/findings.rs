//! What may be wrong with the tables and with this user's rights. No row is read.
//!
//! The rights come from several places, among them roles, so each one is tried: a statement with a condition that no row
//! meets changes nothing, and is refused where the right is missing.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::columns::IndexedColumn;
use crate::writer::{Finding, Severity};

/// The tables, with the columns that an insertion needs.
const TABLES: [&str; 5] = ["domain_settings", "domain_events", "domain_admins", "domain_removals", "domain_freshness"];

/// A missing right on a table or on a column.
const MISSING_RIGHT: [u16; 2] = [1142, 1143];

/// The collation of the tables of this project.
const BINARY: &str = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";

/// All findings, the most severe first.
pub(super) async fn all(conn: &mut Conn) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let asked: Option<(String, bool, bool, String)> = conn
        .query_first("SELECT CURRENT_USER(), @@global.read_only, @@global.log_bin, @@session.binlog_format")
        .await?;
    let (user, is_read_only, has_log, log_format) = asked.unwrap_or_default();
    let mut is_missing = Vec::new();
    for table in TABLES {
        let kind = format!(
            "SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES
              WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'"
        );
        match conn.query_first::<(String, Option<String>), _>(kind).await? {
            None => is_missing.push(table),
            Some((kind, engine)) => {
                findings.extend(kind_finding(table, &kind, engine.as_deref()));
                findings.extend(rights(conn, table, &user, is_read_only).await?);
            }
        }
    }
    for table in ["domain_settings", "domain_admins"].into_iter().filter(|table| !is_missing.contains(table)) {
        findings.extend(name_findings(table, &IndexedColumn::read(conn, table).await?));
    }
    if is_missing.contains(&"domain_removals") && !may_create(conn).await? {
        findings.push(warning(
            format!("domain_removals is not there, and {user} may not create it: removals are refused"),
            "Have priv/sql/mysql_removals.sql run by who may, and GRANT SELECT, INSERT, UPDATE, DELETE on it."
                .to_owned(),
        ));
    }
    if is_read_only {
        findings.push(warning(
            "the server is read-only: it takes no changes".to_owned(),
            "Name the server that takes changes in the URL.".to_owned(),
        ));
    }
    if has_log && log_format == "STATEMENT" {
        findings.push(warning(
            "binlog_format is STATEMENT: the server refuses the changes of this node, which read what is committed"
                .to_owned(),
            "Set binlog_format to MIXED or ROW.".to_owned(),
        ));
    }
    findings.sort_by_key(|finding| finding.severity);
    Ok(findings)
}

fn warning(found: String, advice: String) -> Finding {
    Finding { severity: Severity::Warning, found, advice }
}

fn kind_finding(table: &str, kind: &str, engine: Option<&str>) -> Option<Finding> {
    match engine {
        _ if kind != "BASE TABLE" => Some(warning(
            format!("{table} is a view"),
            "A row that it does not show is taken for one that is not there.".to_owned(),
        )),
        Some("InnoDB") | None => None,
        Some(engine) => Some(warning(
            format!("{table} has the engine {engine}, which has no transactions: half of a change may stay"),
            format!("ALTER TABLE {table} ENGINE=InnoDB."),
        )),
    }
}

/// How names are kept in a table.
fn name_findings(table: &str, column: &IndexedColumn) -> Vec<Finding> {
    let (mut findings, collation) = (Vec::new(), &column.column.collation);
    let index = "CREATE UNIQUE INDEX i_domain_settings_domain ON domain_settings (domain).";
    if !collation.starts_with("utf8mb4") || !collation.ends_with("_bin") {
        let consequence = match (table, column.is_unique) {
            ("domain_settings", false) => "each page of a listing reads the whole table",
            _ => "names that differ in case, in accents or in spaces at the end exclude each other",
        };
        findings.push(warning(
            format!("{table}.domain has the collation {collation}: {consequence}"),
            format!("ALTER TABLE {table} MODIFY domain VARCHAR(250) {BINARY} NOT NULL."),
        ));
    }
    match column.index {
        None => findings.push(warning(
            format!("{table}.domain has no index: each change reads the whole table"),
            if table == "domain_settings" {
                index.to_owned()
            } else {
                format!("ALTER TABLE {table} ADD PRIMARY KEY (domain).")
            },
        )),
        Some(_) if !column.is_unique && table == "domain_settings" => findings.push(warning(
            "domain_settings.domain has no unique index: only nodes of this project keep two rows of one name out"
                .to_owned(),
            index.to_owned(),
        )),
        Some(_) => (),
    }
    findings
}

/// The rights that this user lacks.
async fn rights(conn: &mut Conn, table: &str, user: &str, is_read_only: bool) -> Result<Option<Finding>, Error> {
    if lacks_right(conn, &format!("SELECT 1 FROM {table} LIMIT 0")).await? {
        let severity = match table {
            "domain_settings" | "domain_events" => Severity::Failed,
            _ => Severity::Warning,
        };
        let (found, advice) = (format!("{user} may not read {table}"), format!("GRANT SELECT ON {table} TO {user}."));
        return Ok(Some(Finding { severity, found, advice }));
    }
    if is_read_only || table == "domain_freshness" {
        return Ok(None);
    }
    for change in [
        format!("INSERT INTO {table} (domain) SELECT domain FROM {table} WHERE FALSE"),
        format!("UPDATE {table} SET domain = domain WHERE FALSE"),
        format!("DELETE FROM {table} WHERE FALSE"),
    ] {
        if lacks_right(conn, &change).await? {
            return Ok(Some(warning(
                format!("{user} may not change {table}"),
                format!("If this node is to change domains: GRANT INSERT, UPDATE, DELETE ON {table} TO {user}."),
            )));
        }
    }
    Ok(None)
}

async fn lacks_right(conn: &mut Conn, sql: &str) -> Result<bool, Error> {
    match conn.query_drop(sql).await {
        Err(Error::Server(error)) => Ok(MISSING_RIGHT.contains(&error.code)),
        result => result.map(|()| false),
    }
}

/// Whether any grant of this user may include the right to create a table here.
async fn may_create(conn: &mut Conn) -> Result<bool, Error> {
    let grants: Vec<String> = conn.query("SHOW GRANTS").await?;
    let rights = |grant: &String| grant.split(" ON ").next().unwrap_or_default().to_owned();
    let creates = |right: &str| ["CREATE", "GRANT CREATE", "GRANT ALL PRIVILEGES"].contains(&right.trim());
    // The rights of a role are listed where it is enabled.
    Ok(grants.iter().any(|grant| rights(grant).split(',').any(creates)))
}
