//! Connections for the workers, made when they are needed and kept for a while.
//!
//! A connection that broke while nobody used it is noticed without asking the server, so a request
//! costs no round trip but its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_store::{Database, Signal, StoreError, Writer};
use r2d2::{ManageConnection, NopErrorHandler, PooledConnection};

use crate::Failure;

/// Those that nobody needed for so long are closed.
const IDLE: Duration = Duration::from_secs(600);

pub(crate) struct Pool(r2d2::Pool<Manager>);

pub(crate) struct Manager {
    database: Database,
    signal: Arc<Signal>,
}

/// A connection, and whether the next one may use it.
pub(crate) struct Connection {
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Good,
    Broken,
}

impl Pool {
    pub(crate) fn new(database: Database, signal: Arc<Signal>, size: u32) -> Pool {
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE))
            .test_on_check_out(true)
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(Manager { database, signal });
        Pool(pool)
    }

    pub(crate) fn get(&self, until: Instant) -> Result<PooledConnection<Manager>, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::TooLate);
        }
        self.0.get_timeout(left).map_err(|error| Failure::Unavailable(error.to_string()))
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        let writer = self.database.connect_writer(self.signal.clone())?;
        Ok(Connection { writer, condition: Condition::Good })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if connection.writer.is_alive() {
            return Ok(());
        }
        Err(StoreError::Failed { doing: "using a connection", reason: "it was closed meanwhile".to_owned() })
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.condition == Condition::Broken
    }
}
