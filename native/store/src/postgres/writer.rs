//! PostgreSQL's connection for changes. Each change is one statement: one transaction and one round trip.
//!
//! A statement without BEGIN is a transaction of its own. Its WITH parts write the row and the event, and notify
//! listeners. The other parts see the row that a part has written only by RETURNING. They read the earlier row from the
//! statement's snapshot, or with FOR UPDATE, which sees the newest version.
//!
//! | file | what it holds |
//! |---|---|
//! | `change` | runs a statement, and finds out what a refusal means |
//! | `sequences` | the sequences of the ids, which a refusal may depend on |
//! | `parts` | WITH parts that several changes have in common |
//! | `own_table` | tables that are created by the first operation that needs them |
//! | `domains`, `passwords`, `removals`, `declarations`, `diagnostics` | the parts of [`Writer`] |

mod change;
mod declarations;
mod diagnostics;
mod domains;
mod own_table;
mod parts;
mod passwords;
mod removals;
mod sequences;

use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

use self::change::change;
use self::own_table::OwnTable;
use super::connect::Target;
use super::identity;
use super::prepared::Parameters;
use super::session::Session;
use super::value::cell;
use crate::readable::Cell;
use crate::writer::{DomainSettings, Writer, rows};
use crate::{DatabaseIdentity, ServerRole, Signal, StoreError, Timeouts};

pub(crate) struct PostgresWriter {
    session: Session,
    identity: Option<DatabaseIdentity>,
    removals: OwnTable,
    freshness: OwnTable,
}

impl PostgresWriter {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        signal: Arc<Signal>,
    ) -> Result<PostgresWriter, StoreError> {
        let session = Session::connect(target, timeouts, signal)?;
        session.prepare_schema()?;
        let identity = session.call(identity::DOING, timeouts.statement, identity::read(&session.client))?;
        Ok(PostgresWriter { session, identity, removals: OwnTable::REMOVALS, freshness: OwnTable::FRESHNESS })
    }

    /// Runs a statement that is planned for its parameters.
    fn query(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: &Parameters<'_>,
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        change(&self.session, doing, until, self.session.client.query_typed(sql, parameters))
    }

    /// Runs a statement that runs often and has one plan, see [`super::prepared`].
    fn query_prepared(
        &self,
        doing: &'static str,
        sql: &'static str,
        parameters: &Parameters<'_>,
        until: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        change(&self.session, doing, until, self.session.query(sql, parameters))
    }
}

impl Writer for PostgresWriter {
    fn is_alive(&mut self) -> bool {
        self.session.is_alive()
    }

    fn identity(&mut self, until: Instant) -> Result<Option<DatabaseIdentity>, StoreError> {
        // Only a standby may change its timeline during a connection.
        if let Some(DatabaseIdentity::Server { role: ServerRole::Standby, .. }) = &self.identity {
            let left = self.session.time_left(until);
            self.identity = self.session.call(identity::DOING, left, identity::read(&self.session.client))?;
        }
        Ok(self.identity.clone())
    }
}

fn get<T: FromSqlOwned>(row: &Row, column: usize, doing: &'static str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::failed(doing, &error))
}

/// The host type and the status of a domain's row, from two columns. Both are NULL where there is no row.
fn settings(row: &Row, column: usize) -> Option<DomainSettings> {
    match (cell(row, column), cell(row, column + 1)) {
        (Cell::Null, Cell::Null) => None,
        (host_type, status) => Some(rows::settings_lossy(host_type, status)),
    }
}

/// The error of a statement that returned no row although it has to.
fn no_row(doing: &'static str) -> StoreError {
    StoreError::Refused { doing, reason: "a row is not what it should be".to_owned() }
}
