//! Which database: read from a URL once, connected to as often as needed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain_core::HostTypes;
use thiserror::Error;

use crate::postgres::{PostgresStore, PostgresWriter, Target, UrlError};
use crate::sqlite::{SqliteStore, SqliteWriter};
use crate::{Signal, Store, StoreError, Writer};

/// How long a database may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit on one attempt to connect to one address, unless the URL sets `connect_timeout`.
    pub connect: Duration,
    /// The limit on a statement; while rows stream in, on the next of them. It is the server's
    /// `statement_timeout`, too, and its `idle_in_transaction_session_timeout`; zero leaves both as
    /// the server has them.
    pub statement: Duration,
    /// The limit on the wait for a lock: the server's `lock_timeout` (zero leaves it as the server
    /// has it), SQLite's busy time-out.
    pub lock: Duration,
}

/// A database that can be connected to. It knows the secret in its URL and does not tell it.
pub struct Database {
    place: Place,
    timeouts: Timeouts,
    description: String,
}

enum Place {
    Postgres(Box<Target>),
    Sqlite(PathBuf),
}

/// Why a text is not a database.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// Its scheme is not one of those offered.
    #[error("a database is postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE; this is neither")]
    Scheme,
    /// There is no file name behind `sqlite:`.
    #[error("sqlite: needs the name of a file behind the colon")]
    NoFile,
    /// The PostgreSQL URL cannot be used as it is.
    #[error(transparent)]
    Postgres(#[from] UrlError),
}

impl Database {
    /// Reads `postgres://…`, `postgresql://…` or `sqlite:FILE`. Connects to nothing yet.
    pub fn parse(url: &str, timeouts: Timeouts) -> Result<Database, DatabaseError> {
        let place = match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Place::Postgres(Box::new(Target::new(url, &timeouts)?)),
            Some(("sqlite", "")) => return Err(DatabaseError::NoFile),
            Some(("sqlite", file)) => Place::Sqlite(file.into()),
            _ => return Err(DatabaseError::Scheme),
        };
        let description = match &place {
            Place::Postgres(target) => target.description().to_owned(),
            Place::Sqlite(file) => format!("sqlite:{}", file.display()),
        };
        Ok(Database { place, timeouts, description })
    }

    /// The database without its secrets, for logs and people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Connects, makes sure that the tables are there and right, and begins to listen for changes.
    pub fn connect(&self, host_types: Arc<HostTypes>, signal: Arc<Signal>) -> Result<Box<dyn Store>, StoreError> {
        Ok(match &self.place {
            Place::Postgres(target) => Box::new(PostgresStore::connect(target, self.timeouts, host_types, signal)?),
            Place::Sqlite(file) => Box::new(SqliteStore::open(file, self.timeouts, host_types, signal)?),
        })
    }

    /// Connects for changes, and makes sure that the tables are there and right.
    pub fn connect_writer(&self, signal: Arc<Signal>) -> Result<Box<dyn Writer>, StoreError> {
        Ok(match &self.place {
            Place::Postgres(target) => Box::new(PostgresWriter::connect(target, self.timeouts, signal)?),
            Place::Sqlite(file) => Box::new(SqliteWriter::open(file, self.timeouts)?),
        })
    }
}
