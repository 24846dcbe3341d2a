//! SQLite: the embedded database of a node that has no server.
//!
//! The file is in WAL mode, so a long load and a writer do not wait for each other. SQLite has no
//! way to tell another process of a change: what others write shows at the poll interval, or when
//! somebody wakes the follower.

mod writer;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{EventId, HostTypes};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Transaction};

pub(crate) use writer::SqliteWriter;

use crate::schema::{self, Column, Kind};
use crate::{Bounds, Events, Row, Signal, Store, StoreError, Timeouts};

pub(crate) struct SqliteStore {
    connection: Connection,
    host_types: Arc<HostTypes>,
    signal: Arc<Signal>,
}

impl SqliteStore {
    pub(crate) fn open(
        file: &Path,
        timeouts: Timeouts,
        host_types: Arc<HostTypes>,
        signal: Arc<Signal>,
    ) -> Result<SqliteStore, StoreError> {
        Ok(SqliteStore { connection: open(file, timeouts)?, host_types, signal })
    }
}

impl Store for SqliteStore {
    fn load(
        &mut self,
        batch: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<EventId>, StoreError> {
        const DOING: &str = "loading domain_settings";
        let host_types = &self.host_types;
        let mut load = || -> rusqlite::Result<Option<EventId>> {
            let snapshot = self.connection.transaction()?;
            let newest = match bounds(&snapshot)? {
                Bounds::Empty => EventId(0),
                Bounds::From { newest, .. } => newest,
            };
            let mut select =
                snapshot.prepare("SELECT domain, host_type, status FROM domain_settings WHERE status NOT IN (0, 2)")?;
            let mut found = select.query([])?;
            let mut rows = Vec::with_capacity(batch);
            while let Some(row) = found.next()? {
                let settings = Some((bytes(row.get_ref(1)?), status(row.get_ref(2)?)));
                rows.push(Row::read(host_types, bytes(row.get_ref(0)?), settings));
                if rows.len() == batch && take(std::mem::replace(&mut rows, Vec::with_capacity(batch))).is_break() {
                    return Ok(None);
                }
            }
            Ok(if !rows.is_empty() && take(rows).is_break() { None } else { Some(newest) })
        };
        load().map_err(|error| StoreError::failed(DOING, &error))
    }

    fn events(&mut self, cursor: EventId, limit: u32) -> Result<Events, StoreError> {
        const DOING: &str = "reading domain_events";
        let host_types = &self.host_types;
        let mut read = || -> rusqlite::Result<Events> {
            let snapshot = self.connection.transaction()?;
            let mut events = Events { bounds: bounds(&snapshot)?, rows: Vec::new(), count: 0, last: None };
            let mut select = snapshot.prepare_cached(
                "SELECT e.id, e.domain, s.host_type, s.status
                   FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
                  WHERE e.id > ?1 ORDER BY e.id LIMIT ?2",
            )?;
            let mut found = select.query((cursor.0, limit))?;
            while let Some(row) = found.next()? {
                events.count += 1;
                events.last = Some(EventId(row.get(0)?));
                let domain = bytes(row.get_ref(1)?);
                if domain.is_empty() {
                    continue;
                }
                let settings = match row.get_ref(2)? {
                    ValueRef::Null => None,
                    host_type => Some((bytes(host_type), status(row.get_ref(3)?))),
                };
                events.rows.push(Row::read(host_types, domain, settings));
            }
            Ok(events)
        };
        read().map_err(|error| StoreError::failed(DOING, &error))
    }

    fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        self.signal.wait(limit).map_err(|error| StoreError::failed("waiting", &error))
    }
}

/// Opens the file and makes sure that its tables are right.
fn open(file: &Path, timeouts: Timeouts) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(timeouts.lock)?;
        use_wal(&connection, Instant::now() + timeouts.lock)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| StoreError::Connect {
        database: format!("sqlite:{}", file.display()),
        reason: format!("{error} (is its directory there, and may this user write to it?)"),
    })?;
    prepare_schema(&connection)?;
    Ok(connection)
}

/// The change to WAL needs the file for itself, and SQLite does not wait for that: while others open the
/// same new file, it fails at once.
fn use_wal(connection: &Connection, until: Instant) -> rusqlite::Result<()> {
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(fastrand::u64(1..10)));
            }
            result => return result,
        }
    }
}

fn prepare_schema(connection: &Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::failed("reading or creating the tables", &error);
    schema::prepare(
        |table| columns(connection, table).map_err(failed),
        || connection.execute_batch(schema::SQLITE).map_err(failed),
        is,
    )
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut select = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let columns = select.query_map([table], |row| Ok(Column { name: row.get(0)?, type_name: row.get(1)? }))?;
    columns.collect()
}

/// SQLite's own rule for what a declared type means.
fn is(declared: &str, kind: Kind) -> bool {
    let declared = declared.to_ascii_uppercase();
    match kind {
        Kind::BigInt | Kind::SmallInt => declared.contains("INT"),
        Kind::Text => ["CHAR", "CLOB", "TEXT"].iter().any(|text| declared.contains(text)),
    }
}

fn bounds(snapshot: &Transaction<'_>) -> rusqlite::Result<Bounds> {
    // Two statements, since SQLite finds a single minimum or maximum in the index, but not both at once.
    let end = |sql| snapshot.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    Ok(match (end("SELECT min(id) FROM domain_events")?, end("SELECT max(id) FROM domain_events")?) {
        (Some(oldest), Some(newest)) => Bounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => Bounds::Empty,
    })
}

/// SQLite lets any column hold anything; what is no text is no name either.
fn bytes(value: ValueRef<'_>) -> &[u8] {
    value.as_bytes().unwrap_or_default()
}

fn status(value: ValueRef<'_>) -> i64 {
    value.as_i64().unwrap_or(i64::MIN)
}
