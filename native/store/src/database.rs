//! Which database a URL means. The URL and the files that it names are read again for each connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain_core::HostTypes;
use parking_lot::Mutex;
use thiserror::Error;

use crate::mariadb::{self, MariadbStore, MariadbWriter};
use crate::postgres::{PostgresStore, PostgresWriter, Target};
use crate::sqlite::{SqliteStore, SqliteWriter};
use crate::url::UrlError;
use crate::{FollowerPriority, Signal, Store, StoreError, UrlSource, UrlSourceError, Writer};

/// Time-outs of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit on one attempt to connect to one address, unless the URL sets `connect_timeout`.
    pub connect: Duration,
    /// The limit on a statement; during a load, on the next row or page. Also the server's own limits on a statement and on an
    /// idle transaction, which zero leaves unchanged.
    pub statement: Duration,
    /// The limit on waiting for a lock: the server's, which zero leaves unchanged and MariaDB rounds up to seconds, or SQLite's
    /// busy time-out.
    pub lock: Duration,
}

/// How often a follower asks a database without notifications for the newest event, unless the configuration says so.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// A database to connect to. Never shows the secret in its URL.
pub struct Database {
    source: UrlSource,
    timeouts: Timeouts,
    look_interval: Duration,
    description: Mutex<String>,
    priority: Arc<FollowerPriority>,
}

/// What a URL means.
enum Destination {
    Postgres(Box<Target>),
    Mariadb(Box<mariadb::Target>),
    Sqlite(PathBuf),
}

/// Why a text is not the URL of a database.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// Its scheme is unknown.
    #[error(
        "a database is postgres://USER:PASSWORD@HOST:PORT/NAME, mysql://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE; \
         this is none of them"
    )]
    Scheme,
    /// The text after `sqlite:` is not the name of a file.
    #[error(
        "{0}: a file of SQLite is sqlite:x.db, in the directory where the node was started, or sqlite:/abs/x.db, which may be \
         written sqlite:///abs/x.db; there are no parameters, and no database in memory"
    )]
    File(String),
    /// The URL could not be read.
    #[error(transparent)]
    Unreadable(#[from] UrlSourceError),
    /// The URL of a server is invalid.
    #[error(transparent)]
    Server(#[from] UrlError),
}

impl Database {
    /// The database whose URL is kept here. Reads the URL and the files that it names, to report mistakes. Does not
    /// connect.
    pub fn new(source: UrlSource, timeouts: Timeouts) -> Result<Database, DatabaseError> {
        let description = Destination::read(&source, timeouts)?.description();
        let (description, priority) = (Mutex::new(description), Arc::default());
        Ok(Database { source, timeouts, look_interval: LOOK_INTERVAL, description, priority })
    }

    /// The same database. A follower of a database without notifications asks it that often for the newest event.
    pub fn with_look_interval(self, look_interval: Duration) -> Database {
        Database { look_interval, ..self }
    }

    /// The same database. The follower and the writers have to share the priority.
    pub fn with_priority(self, priority: Arc<FollowerPriority>) -> Database {
        Database { priority, ..self }
    }

    /// What the follower and the writers share.
    pub fn priority(&self) -> &Arc<FollowerPriority> {
        &self.priority
    }

    /// The same for a text: `postgres://…`, `postgresql://…`, `mysql://…`, `mariadb://…` or `sqlite:FILE`.
    pub fn parse(url: &str, timeouts: Timeouts) -> Result<Database, DatabaseError> {
        Database::new(UrlSource::Url(url.to_owned()), timeouts)
    }

    /// The database without its secrets, as of the last connection.
    pub fn description(&self) -> String {
        self.description.lock().clone()
    }

    /// Connects a follower: creates or checks the tables, and listens for changes.
    pub fn connect(&self, host_types: Arc<HostTypes>, signal: Arc<Signal>) -> Result<Box<dyn Store>, StoreError> {
        let store: Result<Box<dyn Store>, StoreError> = match self.destination()? {
            Destination::Postgres(target) => PostgresStore::connect(&target, self.timeouts, host_types, signal)
                .map(|store| Box::new(store) as Box<dyn Store>),
            Destination::Mariadb(target) => {
                MariadbStore::connect(&target, self.timeouts, self.look_interval, host_types, signal)
                    .map(|store| Box::new(store) as Box<dyn Store>)
            }
            Destination::Sqlite(file) => SqliteStore::open(&file, self.timeouts, host_types, signal)
                .map(|store| Box::new(store) as Box<dyn Store>),
        };
        match &store {
            Err(StoreError::TooManyConnections { .. }) => self.priority.follower_waits(),
            _ => self.priority.follower_served(),
        }
        store
    }

    /// Connects a writer: creates or checks the tables.
    pub fn connect_writer(&self, signal: Arc<Signal>) -> Result<Box<dyn Writer>, StoreError> {
        if self.priority.is_follower_waiting() {
            return Err(StoreError::FollowerFirst { database: self.description() });
        }
        Ok(match self.destination()? {
            Destination::Postgres(target) => Box::new(PostgresWriter::connect(&target, self.timeouts, signal)?),
            Destination::Mariadb(target) => Box::new(MariadbWriter::connect(&target, self.timeouts, signal)?),
            Destination::Sqlite(file) => Box::new(SqliteWriter::open(&file, self.timeouts)?),
        })
    }

    /// What the URL means now. If a file is incomplete because it is being replaced, this attempt fails, and the next one
    /// reads it again.
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
            Some(("mysql" | "mariadb", _)) => {
                Ok(Destination::Mariadb(Box::new(mariadb::Target::new(&url, &timeouts)?)))
            }
            Some(("sqlite", file)) => Ok(Destination::Sqlite(file_of(&url, file)?)),
            _ => Err(DatabaseError::Scheme),
        }
    }

    fn description(&self) -> String {
        match self {
            Destination::Postgres(target) => target.description().to_owned(),
            Destination::Mariadb(target) => target.description().to_owned(),
            Destination::Sqlite(file) => format!("sqlite:{}", file.display()),
        }
    }
}

/// The file that `sqlite:` and the rest of a URL mean. SQLite accepts nearly any text as a file name. A host, parameters or
/// a special name are refused, since each would silently become part of the file's name.
fn file_of(url: &str, rest: &str) -> Result<PathBuf, DatabaseError> {
    let file = match rest.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        Some(_host) => return Err(DatabaseError::File(url.to_owned())),
        None => rest,
    };
    let is_special = file.is_empty() || file.starts_with("file:") || file.starts_with(':') || file.contains(['?', '#']);
    if is_special || file.ends_with('/') { Err(DatabaseError::File(url.to_owned())) } else { Ok(file.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<String, DatabaseError> {
        let limit = Duration::from_secs(1);
        let database = Database::parse(url, Timeouts { connect: limit, statement: limit, lock: limit })?;
        Ok(database.description())
    }

    #[test]
    fn a_url_of_sqlite_means_the_file_that_people_mean_or_nothing() {
        for (url, file) in
            [("x.db", "x.db"), ("/abs/x.db", "/abs/x.db"), ("///abs/x.db", "/abs/x.db"), ("../x", "../x")]
        {
            assert_eq!(parse(&format!("sqlite:{url}")).unwrap(), format!("sqlite:{file}"));
        }
        for url in
            ["//x.db", "//localhost/abs/x.db", "", "//", "///", "/abs/", "x.db?mode=ro", "file:x.db", ":memory:", "a#b"]
        {
            let error = parse(&format!("sqlite:{url}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("sqlite:{url}: ")) && error.contains("sqlite:/abs/x.db"), "{error}");
        }
    }
}
