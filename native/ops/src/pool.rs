//! The workers' connections, which are made when they are needed and kept for a while.
//!
//! A connection that broke while it was idle is detected without sending anything, so a request costs no more round trips
//! than its own.
//!
//! A connection is used only if it is connected to the database that the follower reads ([`FollowedDatabase`]). If it is
//! not, all connections are replaced. If the new ones lead to another database, too, the follower reconnects. If that
//! does not help, the request fails and nothing is changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain_store::{Database, DatabaseIdentity, FollowedDatabase, IdentityMatch, Signal, StoreError, Writer};
use parking_lot::Mutex;
use r2d2::{HandleError, ManageConnection, PooledConnection};
use scheduled_thread_pool::{OnPoolDropBehavior, ScheduledThreadPool};

use crate::OperationError;

/// After this time, an idle connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Threads that connect, and close idle connections.
const THREADS: usize = 3;
/// How long a request waits for the follower to reconnect.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The interval at which a wait for a connection checks the stop signal.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Pool {
    connections: Arc<r2d2::Pool<Manager>>,
    signal: Arc<Signal>,
    last_error: LastError,
    /// Connections of earlier generations are not used: see [`Pool::expire`].
    generation: Arc<AtomicU64>,
    followed: Arc<FollowedDatabase>,
}

/// The error of the last attempt to connect, if it failed. r2d2 reports it once, to the first of several waiting threads.
#[derive(Debug, Clone, Default)]
struct LastError(Arc<Mutex<Option<String>>>);

impl HandleError<StoreError> for LastError {
    fn handle_error(&self, error: StoreError) {
        *self.0.lock() = Some(error.to_string());
    }
}

pub(crate) struct Manager {
    database: Database,
    signal: Arc<Signal>,
    last_error: LastError,
    generation: Arc<AtomicU64>,
}

/// A connection, and whether it may be used again.
pub(crate) struct Connection {
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) condition: Condition,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Good,
    Broken,
}

impl Pool {
    pub(crate) fn new(database: Database, signal: Arc<Signal>, followed: Arc<FollowedDatabase>, size: u32) -> Pool {
        let last_error = LastError::default();
        // r2d2's own threads would end only after their next check for idle connections, half a minute later.
        let threads = ScheduledThreadPool::builder()
            .num_threads(THREADS)
            .on_drop_behavior(OnPoolDropBehavior::DiscardPendingScheduled)
            .thread_name_pattern("domain_pool")
            .build();
        let priority = database.priority().clone();
        let generation = Arc::<AtomicU64>::default();
        let manager = Manager {
            database,
            signal: signal.clone(),
            last_error: last_error.clone(),
            generation: generation.clone(),
        };
        let connections = r2d2::Pool::builder()
            .thread_pool(Arc::new(threads))
            .max_size(size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE_TIMEOUT))
            // r2d2 pauses for up to half of this time between two attempts.
            .connection_timeout(2 * MAX_PAUSE)
            .test_on_check_out(true)
            .error_handler(Box::new(last_error.clone()))
            .build_unchecked(manager);
        let connections = Arc::new(connections);
        let idle = Arc::downgrade(&connections);
        priority.on_follower_waiting(move || {
            if let Some(connections) = idle.upgrade() {
                close_idle(&connections);
            }
        });
        Pool { connections, signal, last_error, generation, followed }
    }

    /// A connection to the followed database, and that database.
    pub(crate) fn get(
        &self,
        until: Instant,
    ) -> Result<(PooledConnection<Manager>, Option<DatabaseIdentity>), OperationError> {
        let (connection, identity) = self.identified(until)?;
        if self.compare(identity.as_ref()) != IdentityMatch::Different {
            return Ok((connection, identity));
        }
        // Either this connection or the follower's is stale. Replacing this one costs less.
        drop(connection);
        self.expire();
        let (connection, identity) = self.identified(until)?;
        match self.followed.ensure_followed(identity.as_ref(), until.min(Instant::now() + RECONNECT_TIMEOUT)) {
            Ok(()) => Ok((connection, identity)),
            Err(followed) => Err(OperationError::NotFollowed { found: name(identity.as_ref()), followed }),
        }
    }

    /// Whether the follower reads this database.
    pub(crate) fn compare(&self, identity: Option<&DatabaseIdentity>) -> IdentityMatch {
        self.followed.compare(identity)
    }

    /// No present connection is used again.
    pub(crate) fn expire(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Replaces all connections, and has the follower reconnect.
    pub(crate) fn reconnect(&self) {
        self.expire();
        self.followed.request_reconnect();
    }

    fn identified(
        &self,
        until: Instant,
    ) -> Result<(PooledConnection<Manager>, Option<DatabaseIdentity>), OperationError> {
        let mut connection = self.any(until)?;
        let identity = connection.writer.identity(until).inspect_err(|_| connection.condition = Condition::Broken)?;
        Ok((connection, identity))
    }

    fn any(&self, until: Instant) -> Result<PooledConnection<Manager>, OperationError> {
        loop {
            if self.signal.is_stopped() {
                return Err(OperationError::Unavailable("stopped".to_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(STOP_CHECK_INTERVAL)) {
                Ok(connection) => return Ok(connection),
                // If the last attempt did not fail, all connections were in use.
                Err(_) if left <= STOP_CHECK_INTERVAL => {
                    return Err(self
                        .last_error
                        .0
                        .lock()
                        .clone()
                        .map_or(OperationError::Expired, OperationError::Unavailable));
                }
                Err(_) => (),
            }
        }
    }
}

/// Closes idle connections, because the follower needs one. Connections in use are closed when they are returned.
fn close_idle(connections: &r2d2::Pool<Manager>) {
    for _ in 0..connections.state().idle_connections {
        if let Some(mut connection) = connections.try_get() {
            connection.condition = Condition::Broken;
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        // Read first: a connection that is made while others expire may lead to the same database as those.
        let generation = self.generation.load(Ordering::Relaxed);
        let writer = self.database.connect_writer(self.signal.clone())?;
        *self.last_error.0.lock() = None;
        Ok(Connection { writer, condition: Condition::Good, generation })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if connection.generation == self.generation.load(Ordering::Relaxed) && connection.writer.is_alive() {
            return Ok(());
        }
        Err(StoreError::Failed { doing: "using a connection", reason: "it was closed in the meantime".to_owned() })
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.condition == Condition::Broken || self.database.priority().is_follower_waiting()
    }
}

/// A database, for error messages.
pub(crate) fn name(identity: Option<&DatabaseIdentity>) -> String {
    identity.map_or_else(|| "an unknown one".to_owned(), DatabaseIdentity::to_string)
}
