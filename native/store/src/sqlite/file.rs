//! Opens a database file, and detects that it was replaced.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, DEFAULT_NAME, ErrorCode, FileControl};

use super::tables;
use crate::{DatabaseIdentity, StoreError, Timeouts};

/// The file that a connection has opened. Another file may have its name by now.
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) identity: DatabaseIdentity,
}

impl DatabaseFile {
    /// Opens a file, and creates or checks its tables.
    pub(super) fn open(path: &Path, timeouts: Timeouts) -> Result<(Connection, DatabaseFile), StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            create_private(path);
            let connection = Connection::open(path)?;
            connection.busy_timeout(timeouts.lock)?;
            use_wal(&connection, Instant::now() + timeouts.lock)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| StoreError::Connect {
            database: format!("sqlite:{}", path.display()),
            reason: format!("{error} (is its directory there, and may this user write to it?)"),
        })?;
        let file = DatabaseFile { path: path.to_owned(), identity: identity_of(path)? };
        tables::prepare(&connection)?;
        // SQLite does not tell the inode of its file. If the file was replaced since it was opened, the identity is that of
        // the new one.
        let moved =
            has_moved(&connection).map_err(|error| StoreError::failed("looking at the database file", &error))?;
        if moved {
            return Err(StoreError::Failed {
                doing: "opening the database file",
                reason: format!("{} was replaced meanwhile", path.display()),
            });
        }
        Ok((connection, file))
    }

    /// Fails if another file has the name now, or none: other connections would not see a change of this file.
    pub(super) fn check(&self, doing: &'static str) -> Result<(), StoreError> {
        if identity_of(&self.path)? == self.identity {
            return Ok(());
        }
        Err(StoreError::Failed { doing, reason: self.replaced() })
    }

    /// The reason where the file was replaced.
    pub(super) fn replaced(&self) -> String {
        format!("another file is called {} now", self.path.display())
    }
}

/// Whether the file that a connection has opened no longer has its name.
pub(super) fn has_moved(connection: &Connection) -> rusqlite::Result<bool> {
    let mut moved = 0;
    connection.file_control(DEFAULT_NAME, FileControl::HasMoved(&mut moved))?;
    Ok(moved != 0)
}

/// The identity of the file that has this name now.
fn identity_of(path: &Path) -> Result<DatabaseIdentity, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::failed("looking at the database file", &error))?;
    Ok(DatabaseIdentity::File { device: metadata.dev(), inode: metadata.ino() })
}

/// Creates the file with access for this user alone, because it holds passwords. SQLite creates its WAL with the same
/// permissions.
fn create_private(path: &Path) {
    // Names that SQLite takes for a URI, or for no file.
    if path.as_os_str().is_empty() || path == ":memory:" || path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
        return;
    }
    // The file exists already, or SQLite reports the error.
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

/// Changes the file to WAL mode, which needs exclusive access. SQLite does not wait for that, but fails at once while
/// others open the same new file.
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
