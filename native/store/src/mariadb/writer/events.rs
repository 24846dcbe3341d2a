//! Inserts the events of a change, and reads their ids.
//!
//! The server returns the id of each row with its domain. The ids of one statement need not follow each other: Galera's
//! nodes take every third one, and other sessions take ids in between.

use std::collections::HashMap;

use domain_core::EventId;
use mysql_async::prelude::Queryable;
use mysql_async::{Error, Row};

use super::batch::{Access, Batch, COMMIT};
use super::cell::cell;
use super::sql::literal;
use crate::readable::Cell;

/// The events of a change, by their domains.
#[derive(Default)]
pub(super) struct NewEvents(HashMap<Vec<u8>, EventId>);

/// Runs the last statements of a transaction, inserts an event for each of the changed domains, and commits. Without changed
/// domains the transaction is rolled back.
pub(super) async fn finish(access: &mut Access<'_>, mut batch: Batch, changed: &[&str]) -> Result<NewEvents, Error> {
    if changed.is_empty() {
        access.conn.query_drop("ROLLBACK").await?;
        return Ok(NewEvents::default());
    }
    let rows: Vec<_> = changed.iter().map(|domain| format!("({})", literal(domain))).collect();
    let events =
        batch.add(format!("INSERT INTO domain_events (domain) VALUES {} RETURNING domain, id", rows.join(", ")));
    batch.add(COMMIT);
    Ok(NewEvents::read(&batch.run(access).await?.take(events)))
}

impl NewEvents {
    fn read(returned: &[Row]) -> NewEvents {
        let event = |row| match (cell(row, 0), cell(row, 1)) {
            (Cell::Text(domain), Cell::Number(id)) => Some((domain.to_vec(), EventId(id))),
            _ => None,
        };
        NewEvents(returned.iter().filter_map(event).collect())
    }

    /// The event of a domain.
    pub(super) fn of(&self, domain: &str) -> Option<EventId> {
        self.0.get(domain.as_bytes()).copied()
    }
}
