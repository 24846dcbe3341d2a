//! The settings of a session, and what the server says about itself.
//!
//! The settings are made once, when the connection is, so that no statement depends on how the server is configured.
//! Texts are UTF-8 in both directions and compared by their code points. A value that does not fit is an error, in every
//! storage engine. The clock is UTC. The server itself ends a statement, a wait for a lock or an idle transaction that takes
//! too long, even after this node is gone.
//!
//! On Galera, `wsrep_sync_wait` makes a statement that reads wait for what was committed before on any node.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::error::if_supported;
use crate::Timeouts;

/// What a session needs to know about its server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// As in `10.11.19-MariaDB`.
    pub(super) version: String,
    /// Whether the server takes no changes.
    pub(super) read_only: bool,
    /// After this time without a statement the server closes the connection.
    pub(super) wait_timeout: Duration,
    /// The id of the Galera cluster, if the server is a node of one.
    pub(super) cluster: Option<String>,
}

impl Server {
    /// Whether this is MariaDB 10.6 or newer.
    pub(super) fn is_supported(&self) -> bool {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        self.version.contains("MariaDB") && version >= (10, 6)
    }
}

/// Reads what the server says about itself.
pub(super) async fn server(conn: &mut Conn) -> Result<Server, Error> {
    let asked: Option<(String, bool, u64)> =
        conn.query_first("SELECT @@version, @@global.read_only, @@wait_timeout").await?;
    let (version, read_only, wait_timeout) = asked.unwrap_or_default();
    // The variable is not known to a server that was built without Galera.
    let wsrep: Option<Option<bool>> = if_supported(conn.query_first("SELECT @@global.wsrep_on").await)?;
    let cluster = if wsrep.flatten() == Some(true) { Some(cluster(conn).await?) } else { None };
    Ok(Server { version, read_only, wait_timeout: Duration::from_secs(wait_timeout), cluster })
}

async fn cluster(conn: &mut Conn) -> Result<String, Error> {
    // A node outside of the primary component, or one that is not up to date, answers questions about itself, and refuses
    // every statement that may touch a table.
    conn.query_drop("DO 1").await?;
    let status: Option<(String, String)> =
        conn.query_first("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'").await?;
    Ok(status.map(|(_, id)| id).unwrap_or_default())
}

/// Makes the settings.
pub(super) async fn apply(conn: &mut Conn, server: &Server, timeouts: &Timeouts) -> Result<(), Error> {
    conn.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_bin").await?;
    let mut settings = vec![
        "sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
            .to_owned(),
        "time_zone = '+00:00'".to_owned(),
        "autocommit = 1".to_owned(),
        // A snapshot that lasts as long as its transaction exists only at this level.
        "tx_isolation = 'REPEATABLE-READ'".to_owned(),
        "sql_select_limit = 18446744073709551615".to_owned(),
    ];
    // Zero leaves the server's own limit.
    if !timeouts.lock.is_zero() {
        let limit = whole_seconds(timeouts.lock);
        settings.push(format!("innodb_lock_wait_timeout = {limit}, lock_wait_timeout = {limit}"));
    }
    if !timeouts.statement.is_zero() {
        let limit = whole_seconds(timeouts.statement);
        settings.push(format!("idle_transaction_timeout = {limit}"));
        settings.push(statement_time(timeouts.statement));
    }
    if server.cluster.is_some() {
        settings.push("wsrep_sync_wait = 1".to_owned());
    }
    conn.query_drop(format!("SET SESSION {}", settings.join(", SESSION "))).await
}

/// Returns when a node of a Galera cluster has applied what was committed before on any node. The first read would wait for
/// that, too; but then it would be too late to take another server.
pub(super) async fn catch_up(conn: &mut Conn, server: &Server) -> Result<(), Error> {
    if server.cluster.is_some() { conn.query_drop("SELECT 1").await } else { Ok(()) }
}

/// The setting that limits a statement to this time; zero means that there is no limit.
pub(super) fn statement_time(limit: Duration) -> String {
    // More than a year is refused.
    format!("max_statement_time = {:.6}", limit.as_secs_f64().min(31_536_000.0))
}

/// Rounded up, since zero means no limit or no waiting; at most a year, which every such setting accepts.
fn whole_seconds(limit: Duration) -> u64 {
    limit.as_nanos().div_ceil(1_000_000_000).min(31_536_000) as u64
}
