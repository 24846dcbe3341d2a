//! Who may own an id of an event that does not show yet.
//!
//! InnoDB hands out an id when the row is inserted, and the event shows at the commit. `INNODB_TRX` lists the open
//! transactions to users with the privilege PROCESS. A transaction that has changed or locked nothing, and whose present
//! statement neither does, owns no id. So a report that reads for hours keeps no gap open.
//!
//! The list is unknown where it would not be complete:
//!
//! * On Galera, and on a replica: the transactions of other servers are not in it.
//! * Where it is an old one. The server makes a new list only if nobody has read it for a tenth of a second, and otherwise
//!   returns the last one. A list of the present has this session's own statement in it, with a number that no
//!   earlier statement had. So many nodes that read it at once keep each other from a new list.
//!
//! There is one moment for which this does not hold: a transaction whose first statement inserts an event is listed a few
//! instructions after the id was handed out. A follower that lists the transactions in this moment resolves the gap too
//! early, and finds the event at the next poll.

use std::collections::HashSet;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::error::if_supported;
use super::value::{number, text};
use crate::{OpenTransactions, TransactionId};

/// For so long nobody may have read the list when the server makes a new one.
const LIST_AGE: Duration = Duration::from_millis(100);

/// Which call of a session this is.
#[derive(Debug, Default)]
pub(super) struct Calls(u64);

/// The transactions that may own ids, as of now.
pub(super) async fn open(conn: &mut Conn, calls: &mut Calls) -> Result<OpenTransactions, Error> {
    let mut listed = if_supported(list(conn, calls).await)?;
    if matches!(listed, Some(Listed::Old)) {
        // Another one has read it just now.
        tokio::time::sleep(LIST_AGE + LIST_AGE / 10).await;
        listed = if_supported(list(conn, calls).await)?;
    }
    Ok(match listed {
        Some(Listed::Present(writers)) => OpenTransactions::Known(writers),
        Some(Listed::Old | Listed::Elsewhere) | None => OpenTransactions::Unknown,
    })
}

enum Listed {
    Present(HashSet<TransactionId>),
    Old,
    /// This server has a primary, where changes are made.
    Elsewhere,
}

async fn list(conn: &mut Conn, calls: &mut Calls) -> Result<Listed, Error> {
    let replicates = "SELECT COUNT(*) FROM information_schema.PROCESSLIST
                       WHERE USER = 'system user' AND COMMAND LIKE 'Slave%'";
    if conn.query_first(replicates).await? != Some(0) {
        return Ok(Listed::Elsewhere);
    }
    calls.0 += 1;
    // Only a session with a transaction is in the list.
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
    let listed = in_transaction(conn, calls.0).await;
    conn.query_drop("COMMIT").await?;
    listed
}

async fn in_transaction(conn: &mut Conn, call: u64) -> Result<Listed, Error> {
    let own = u64::from(conn.id());
    let mark = format!("/* {own}-{call} */");
    let rows: Vec<Row> = conn
        .query(format!(
            "SELECT {mark} trx_mysql_thread_id, trx_started, trx_mysql_thread_id = {own}, LEFT(trx_query, 60)
               FROM information_schema.INNODB_TRX
              WHERE trx_mysql_thread_id = {own}
                 OR trx_rows_modified > 0 OR trx_lock_structs > 0 OR trx_tables_locked > 0"
        ))
        .await?;
    let (own, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| number(row, 2) == Some(1));
    if !own.iter().any(|row| text(row, 3).contains(&mark)) {
        return Ok(Listed::Old);
    }
    // A transaction gets its own id late, but has its thread and its start from the beginning. A prepared one has no thread
    // once its session has ended.
    let transaction = |row: &Row| match number(row, 0) {
        Some(0) | None => TransactionId::Prepared,
        Some(thread) => TransactionId::Open(format!("{thread} {}", text(row, 1))),
    };
    Ok(Listed::Present(others.into_iter().map(transaction).collect()))
}
