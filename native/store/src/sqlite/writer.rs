//! SQLite's connection for changes. Each change is one transaction, which takes the file's write lock when it begins.
//!
//! There is one write lock, so what a transaction reads does not change before it writes. Waiting for the lock is limited
//! by the busy time-out and by the caller's time.
//!
//! A file can be replaced while it is open. The old one still takes changes, which no other connection sees. So each
//! transaction checks after its beginning and after its end whether the file still has its name.
//!
//! | file | what it holds |
//! |---|---|
//! | `statements` | statements that several changes have in common |
//! | `domains`, `passwords`, `removals`, `declarations`, `diagnostics` | the parts of [`Writer`] |

mod declarations;
mod diagnostics;
mod domains;
mod passwords;
mod removals;
mod statements;

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, Row, Rows, Transaction, TransactionBehavior};

use super::file::{DatabaseFile, has_moved};
use crate::writer::Writer;
use crate::{DatabaseIdentity, Readable, StoreError, Timeouts, UnreadableRow, schema};

pub(crate) struct SqliteWriter {
    connection: Connection,
    file: DatabaseFile,
    timeouts: Timeouts,
}

/// Why a transaction failed.
enum TransactionError {
    Sqlite(rusqlite::Error),
    /// The file was replaced. Nothing was changed.
    Moved,
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> TransactionError {
        TransactionError::Sqlite(error)
    }
}

impl SqliteWriter {
    pub(crate) fn open(path: &Path, timeouts: Timeouts) -> Result<SqliteWriter, StoreError> {
        let (connection, file) = DatabaseFile::open(path, timeouts)?;
        connection
            .execute_batch(schema::REMOVALS)
            .map_err(|error| StoreError::failed("creating the table of removals", &error))?;
        Ok(SqliteWriter { connection, file, timeouts })
    }

    /// Runs `change` in a transaction. After an error nothing was changed.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        until: Instant,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let left = until.saturating_duration_since(Instant::now()).min(self.timeouts.lock);
        let connection = &mut self.connection;
        let transact = || {
            connection.busy_timeout(left)?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if has_moved(&transaction)? {
                return Err(TransactionError::Moved);
            }
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let value = transact().map_err(|error| match error {
            TransactionError::Sqlite(error) => refused(doing, &error),
            TransactionError::Moved => StoreError::StaleConnection { doing, reason: self.file.replaced() },
        })?;
        // The change may be in the new file or not, depending on when that was copied.
        self.file.check(doing)?;
        Ok(value)
    }

    /// Runs `read` without a transaction.
    fn read<T>(
        &mut self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&self.connection).map_err(|error| StoreError::Refused { doing, reason: error.to_string() })
    }
}

impl Writer for SqliteWriter {
    fn is_alive(&mut self) -> bool {
        // If the check fails, so does the next transaction.
        !has_moved(&self.connection).unwrap_or(false)
    }

    fn identity(&mut self, _until: Instant) -> Result<Option<DatabaseIdentity>, StoreError> {
        Ok(Some(self.file.identity.clone()))
    }
}

/// Separates readable from unreadable rows.
fn readable<T>(
    mut rows: Rows<'_>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, UnreadableRow>>,
) -> rusqlite::Result<Readable<T>> {
    let mut readable = Readable::default();
    while let Some(row) = rows.next()? {
        readable.push(read(row)?);
    }
    Ok(readable)
}

/// The error of a change: a constraint, a trigger or a type refuses the row, or the statement failed.
fn refused(doing: &'static str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            StoreError::row_refused(doing, error.to_string())
        }
        _ => StoreError::Refused { doing, reason: error.to_string() },
    }
}
