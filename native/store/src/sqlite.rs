//! SQLite: the embedded database of a node that has no server.
//!
//! The file is in WAL mode, so a long load and a writer do not wait for each other. SQLite has no
//! way to tell another process of a change: what others write shows at the poll interval, or when
//! somebody wakes the follower.

mod log;
mod writer;

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{EventId, HostTypeId, HostTypes};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode, FileControl};

pub(crate) use writer::SqliteWriter;

use crate::schema::{self, Column, Kind};
use crate::{
    DatabaseIdentity, Event, Events, Expiry, IdRange, LoadSummary, LogPosition, OpenTransactions, Pruned, Row, Signal,
    Store, StoreError, TableContents, Timeouts,
};

/// The present time in milliseconds since 1970.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
/// The same in nanoseconds, as exactly as SQLite knows it.
const NOW_NS: &str = "(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000000)";

pub(crate) struct SqliteStore {
    connection: Connection,
    file: Opened,
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
        let (connection, file) = open(file, timeouts)?;
        Ok(SqliteStore { connection, file, host_types, signal })
    }
}

/// The file that a connection has open, whatever has its name now.
struct Opened {
    path: PathBuf,
    identity: DatabaseIdentity,
}

impl Opened {
    /// Which file has this name.
    fn at(path: &Path) -> Result<DatabaseIdentity, StoreError> {
        let metadata =
            fs::metadata(path).map_err(|error| StoreError::failed("looking at the database file", &error))?;
        Ok(DatabaseIdentity::File { device: metadata.dev(), inode: metadata.ino() })
    }

    /// An error when another file has the name, or none: who opens that now sees nothing of this one.
    fn check(&self, doing: &'static str) -> Result<(), StoreError> {
        if Opened::at(&self.path)? == self.identity {
            return Ok(());
        }
        Err(StoreError::Failed { doing, reason: format!("another file is called {} now", self.path.display()) })
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
                fresh: fresh(&snapshot, host_types)?,
            };
            let mut select = snapshot.prepare(
                "SELECT domain, host_type, status FROM domain_settings
                           WHERE status NOT IN (0, 2) OR status IS NULL",
            )?;
            let mut found = select.query([])?;
            let mut rows = Vec::with_capacity(batch);
            while let Some(row) = found.next()? {
                let settings = Some((bytes(row.get_ref(1)?), status(row.get_ref(2)?)));
                rows.push(Row::read(host_types, bytes(row.get_ref(0)?), settings));
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

    /// Ids are handed out under the write lock, which is held until the transaction's end has become
    /// visible: no event shows after one with a larger id.
    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        Ok(OpenTransactions::Known(HashSet::new()))
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        fresh(&self.connection, &self.host_types)
            .map_err(|error| StoreError::failed("reading domain_freshness", &error))
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        log::position(&self.connection).map_err(|error| StoreError::failed(log::DOING, &error))
    }

    fn prune(&mut self, moment: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        log::prune(&self.connection, moment, from, limit).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => StoreError::Refused { doing: log::PRUNING, reason: error.to_string() },
            _ => StoreError::failed(log::PRUNING, &error),
        })
    }

    fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        self.signal.wait(limit).map_err(|error| StoreError::failed("waiting", &error))
    }
}

/// Opens the file and makes sure that its tables are right.
fn open(file: &Path, timeouts: Timeouts) -> Result<(Connection, Opened), StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        make_private(file);
        let connection = Connection::open(file)?;
        connection.busy_timeout(timeouts.lock)?;
        use_wal(&connection, Instant::now() + timeouts.lock)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| StoreError::Connect {
        database: format!("sqlite:{}", file.display()),
        reason: format!("{error} (is its directory there, and may this user write to it?)"),
    })?;
    let opened = Opened { path: file.to_owned(), identity: Opened::at(file)? };
    prepare_schema(&connection)?;
    // SQLite does not tell which file it has opened. One that was replaced in between would be taken for the other.
    let moved = has_moved(&connection).map_err(|error| StoreError::failed("looking at the database file", &error))?;
    if moved {
        return Err(StoreError::Failed {
            doing: "opening the database file",
            reason: format!("{} was replaced meanwhile", file.display()),
        });
    }
    Ok((connection, opened))
}

/// Whether the file that a connection has open has no longer the name by which it was opened.
fn has_moved(connection: &Connection) -> rusqlite::Result<bool> {
    let mut moved = 0;
    connection.file_control(DEFAULT_NAME, FileControl::HasMoved(&mut moved))?;
    Ok(moved != 0)
}

/// Makes the file for this user alone, when it is not there: passwords lie in it. SQLite gives its WAL the same rights.
fn make_private(file: &Path) {
    // The names that mean no file, or a URI, to SQLite.
    if file.as_os_str().is_empty() || file == ":memory:" || file.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        return;
    }
    // It is there already, or SQLite tells why it cannot be made.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
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

/// The host types that are fresh: see the same function for PostgreSQL.
fn fresh(connection: &Connection, host_types: &HostTypes) -> rusqlite::Result<Vec<HostTypeId>> {
    if columns(connection, "domain_freshness")?.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare(&format!("SELECT domain, expire_time, {NOW_NS} FROM domain_freshness"))?;
    let mut found = select.query([])?;
    let mut fresh = Vec::new();
    while let Some(row) = found.next()? {
        // Any column may hold anything; what is no time is past.
        let expire_time = row.get_ref(1)?.as_i64().unwrap_or(i64::MIN);
        if Expiry::judge(expire_time, row.get(2)?) != Expiry::Past {
            fresh.extend(host_types.id(bytes(row.get_ref(0)?)));
        }
    }
    Ok(fresh)
}

/// SQLite lets any column hold anything; what is no text is no name either. A blob equals no text.
fn bytes(value: ValueRef<'_>) -> &[u8] {
    if let ValueRef::Text(text) = value { text } else { &[] }
}

fn status(value: ValueRef<'_>) -> i64 {
    value.as_i64().unwrap_or(i64::MIN)
}
