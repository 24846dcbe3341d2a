//! Reads all rows in one snapshot.
//!
//! One read-only transaction reads the log's bounds and gaps, then the rows in pages ordered by id, which the primary key
//! serves. These rows include every change whose event is in the snapshot. A change whose event has a larger id may be
//! missing, and so may one whose transaction was open: the id of its event is in a gap.
//!
//! A page is in memory at a time, with a hash of each name where the table may have a name twice. Nothing is left to read when the caller stops the load, or takes long for a page. The
//! size of a load is not known, so there is no deadline for all of it: each statement has one.

use std::ops::ControlFlow;

use domain_core::HostTypes;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row as SqlRow};

use super::names::{NameColumn, SeenNames, bounded_name};
use super::session::Session;
use super::value::{bytes, row_settings, text};
use super::{freshness, log};
use crate::{LoadSummary, Row, StoreError, TableContents};

const DOING: &str = "loading domain_settings";

/// The most rows of a page.
const PAGE_ROWS: usize = 10_000;

/// What a load is for: see [`crate::Store::load`].
pub(super) struct LoadRequest<'a> {
    pub(super) host_types: &'a HostTypes,
    pub(super) batch: usize,
    pub(super) gaps: usize,
    pub(super) take: &'a mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
}

/// Returns nothing when `take` stopped the load.
pub(super) fn load(session: &mut Session, request: LoadRequest<'_>) -> Result<Option<LoadSummary>, StoreError> {
    let LoadRequest { host_types, batch, gaps, take } = request;
    let limit = session.timeouts.statement;
    let start = async |conn: &mut Conn| {
        // The snapshot holds no locks, and so the caller may take long for a page.
        conn.query_drop("SET SESSION idle_transaction_timeout = 0").await?;
        conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        summary(conn, host_types, gaps).await
    };
    let loaded = session.call(DOING, limit, start)?;
    let is_unique = session.call(DOING, limit, NameColumn::is_unique)?;
    let mut seen = (!is_unique).then(SeenNames::new);
    let size = batch.clamp(1, PAGE_ROWS);
    let mut after = None;
    loop {
        let page: Vec<SqlRow> = session.call(DOING, limit, async |conn| conn.query(page(&after, size)).await)?;
        let is_last = page.len() < size;
        after = page.last().map(|row| text(row, 0));
        let counts = |row: &&SqlRow| seen.as_mut().is_none_or(|seen| seen.is_first(bytes(row, 1)));
        let read = |row| Row::read(host_types, bytes(row, 1), Some(row_settings(row, 2, 3)));
        let rows: Vec<Row> = page.iter().filter(counts).map(read).collect();
        let taken = if rows.is_empty() { ControlFlow::Continue(()) } else { take(rows) };
        if is_last || taken.is_break() {
            session.call(DOING, limit, async |conn| conn.query_drop("COMMIT").await)?;
            return Ok(taken.is_continue().then_some(loaded));
        }
    }
}

/// Reads everything but the rows.
async fn summary(conn: &mut Conn, host_types: &HostTypes, gaps: usize) -> Result<LoadSummary, Error> {
    let bounds = log::bounds(conn).await?;
    let newest_domain = log::newest_domain(conn).await?;
    let gaps = log::gaps(conn, gaps).await?;
    let has_rows: Option<bool> = conn.query_first("SELECT EXISTS (SELECT 1 FROM domain_settings)").await?;
    let rows = if has_rows == Some(true) { TableContents::NotEmpty } else { TableContents::Empty };
    let fresh = freshness::fresh(conn, host_types).await?;
    Ok(LoadSummary { bounds, newest_domain, gaps, rows, fresh })
}

/// The statement for the rows after an id. Ids are only passed on, as they were sent.
fn page(after: &Option<String>, size: usize) -> String {
    let (domain, host_type) = (bounded_name!("domain"), bounded_name!("host_type"));
    let after = after.as_ref().map(|id| format!("id > {id} AND ")).unwrap_or_default();
    format!(
        "SELECT id, {domain}, {host_type}, status FROM domain_settings
          WHERE {after}(status NOT IN (0, 2) OR status IS NULL) ORDER BY id LIMIT {size}"
    )
}
