//! Which database: a URL, and the files that it names, which are read again for each connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain_core::HostTypes;
use parking_lot::Mutex;
use thiserror::Error;

use crate::postgres::{PostgresStore, PostgresWriter, Target, UrlError};
use crate::sqlite::{SqliteStore, SqliteWriter};
use crate::{Signal, Store, StoreError, Unreadable, UrlSource, Writer};

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
    source: UrlSource,
    timeouts: Timeouts,
    description: Mutex<String>,
}

/// What a URL leads to.
enum Destination {
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
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The PostgreSQL URL cannot be used as it is.
    #[error(transparent)]
    Postgres(#[from] UrlError),
}

impl Database {
    /// The database whose URL is kept here. Reads the URL and the files that it names once, to find mistakes;
    /// connects to nothing yet.
    pub fn new(source: UrlSource, timeouts: Timeouts) -> Result<Database, DatabaseError> {
        let description = Destination::read(&source, timeouts)?.description();
        Ok(Database { source, timeouts, description: Mutex::new(description) })
    }

    /// The same for a text: `postgres://…`, `postgresql://…` or `sqlite:FILE`.
    pub fn parse(url: &str, timeouts: Timeouts) -> Result<Database, DatabaseError> {
        Database::new(UrlSource::Url(url.to_owned()), timeouts)
    }

    /// The database without its secrets, for logs and people, as of the last connection.
    pub fn description(&self) -> String {
        self.description.lock().clone()
    }

    /// Connects, makes sure that the tables are there and right, and begins to listen for changes.
    pub fn connect(&self, host_types: Arc<HostTypes>, signal: Arc<Signal>) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self.destination()? {
            Destination::Postgres(target) => {
                Box::new(PostgresStore::connect(&target, self.timeouts, host_types, signal)?)
            }
            Destination::Sqlite(file) => Box::new(SqliteStore::open(&file, self.timeouts, host_types, signal)?),
        })
    }

    /// Connects for changes, and makes sure that the tables are there and right.
    pub fn connect_writer(&self, signal: Arc<Signal>) -> Result<Box<dyn Writer>, StoreError> {
        Ok(match self.destination()? {
            Destination::Postgres(target) => Box::new(PostgresWriter::connect(&target, self.timeouts, signal)?),
            Destination::Sqlite(file) => Box::new(SqliteWriter::open(&file, self.timeouts)?),
        })
    }

    /// What the URL says now. A secret that is being exchanged is a failure like any other: the next attempt reads
    /// it again.
    fn destination(&self) -> Result<Destination, StoreError> {
        let destination = Destination::read(&self.source, self.timeouts)
            .map_err(|error| StoreError::Connect { database: self.description(), reason: error.to_string() })?;
        *self.description.lock() = destination.description();
        Ok(destination)
    }
}

impl Destination {
    fn read(source: &UrlSource, timeouts: Timeouts) -> Result<Destination, DatabaseError> {
        let url = source.read()?;
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Ok(Destination::Postgres(Box::new(Target::new(&url, &timeouts)?))),
            Some(("sqlite", "")) => Err(DatabaseError::NoFile),
            Some(("sqlite", file)) => Ok(Destination::Sqlite(file.into())),
            _ => Err(DatabaseError::Scheme),
        }
    }

    fn description(&self) -> String {
        match self {
            Destination::Postgres(target) => target.description().to_owned(),
            Destination::Sqlite(file) => format!("sqlite:{}", file.display()),
        }
    }
}
