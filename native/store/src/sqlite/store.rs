//! The follower's connection to SQLite.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain_core::{EventId, HostTypeId, HostTypes};
use rusqlite::{Connection, ErrorCode};

use super::file::DatabaseFile;
use super::value::{name_bytes, status_number};
use super::{freshness, log};
use crate::{
    DatabaseIdentity, Event, Events, IdRange, LoadSummary, LogPosition, OpenTransactions, Pruned, Row, Signal, Store,
    StoreError, TableContents, Timeouts,
};

pub(crate) struct SqliteStore {
    connection: Connection,
    file: DatabaseFile,
    host_types: Arc<HostTypes>,
    signal: Arc<Signal>,
}

impl SqliteStore {
    pub(crate) fn open(
        path: &Path,
        timeouts: Timeouts,
        host_types: Arc<HostTypes>,
        signal: Arc<Signal>,
    ) -> Result<SqliteStore, StoreError> {
        let (connection, file) = DatabaseFile::open(path, timeouts)?;
        Ok(SqliteStore { connection, file, host_types, signal })
    }
}

impl Store for SqliteStore {
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError> {
        Ok(Some(self.file.identity.clone()))
    }

    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError> {
        const DOING: &str = "loading domain_settings";
        let host_types = &self.host_types;
        let mut load = || -> rusqlite::Result<Option<LoadSummary>> {
            let snapshot = self.connection.transaction()?;
            let some: bool =
                snapshot.query_row("SELECT EXISTS (SELECT 1 FROM domain_settings)", [], |row| row.get(0))?;
            let loaded = LoadSummary {
                bounds: log::bounds(&snapshot, EventId(i64::MIN))?,
                newest_domain: log::newest_domain(&snapshot)?,
                gaps: log::gaps(&snapshot, gaps)?,
                rows: if some { TableContents::NotEmpty } else { TableContents::Empty },
                fresh: freshness::fresh(&snapshot, host_types)?,
            };
            let mut select = snapshot.prepare(
                "SELECT domain, host_type, status FROM domain_settings
                           WHERE status NOT IN (0, 2) OR status IS NULL",
            )?;
            let mut found = select.query([])?;
            let mut rows = Vec::with_capacity(batch);
            while let Some(row) = found.next()? {
                let settings = Some((name_bytes(row.get_ref(1)?), status_number(row.get_ref(2)?)));
                rows.push(Row::read(host_types, name_bytes(row.get_ref(0)?), settings));
                if rows.len() == batch && take(std::mem::replace(&mut rows, Vec::with_capacity(batch))).is_break() {
                    return Ok(None);
                }
            }
            Ok(if !rows.is_empty() && take(rows).is_break() { None } else { Some(loaded) })
        };
        load().map_err(|error| StoreError::failed(DOING, &error))
    }

    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError> {
        self.file.check(log::DOING)?;
        log::events(&mut self.connection, &self.host_types, cursor, oldest, limit)
            .map_err(|error| StoreError::failed(log::DOING, &error))
    }

    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError> {
        log::events_in(&mut self.connection, &self.host_types, ranges, limit)
            .map_err(|error| StoreError::failed(log::DOING, &error))
    }

    fn ids_in(&mut self, ranges: &[IdRange]) -> Result<Vec<EventId>, StoreError> {
        log::ids_in(&self.connection, ranges).map_err(|error| StoreError::failed(log::DOING, &error))
    }

    /// None: an id is assigned under the write lock, which is held until the commit is visible. So no event becomes visible
    /// after one with a larger id.
    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        Ok(OpenTransactions::Known(HashSet::new()))
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        freshness::fresh(&self.connection, &self.host_types)
            .map_err(|error| StoreError::failed("reading domain_freshness", &error))
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        log::position(&self.connection).map_err(|error| StoreError::failed(log::DOING, &error))
    }

    fn prune(&mut self, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        log::prune(&self.connection, position, from, limit).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => StoreError::Refused { doing: log::PRUNING, reason: error.to_string() },
            _ => StoreError::failed(log::PRUNING, &error),
        })
    }

    fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        self.signal.wait(limit).map_err(|error| StoreError::failed("waiting", &error))
    }
}
