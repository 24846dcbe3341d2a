//! Connections for the workers, made when they are needed and kept for a while.
//!
//! A connection that broke while nobody used it is noticed without asking the server, so a request
//! costs no round trip but its own.
//!
//! A connection is handed out only when a change by it is made in the database that the follower looks at
//! ([`FollowedDatabase`]). Where that is not so, all connections are made anew; if the new ones lead elsewhere, too, the
//! follower connects anew; and if it is somewhere else even then, the request fails and nothing is changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain_store::{Database, DatabaseIdentity, FollowedDatabase, Signal, StoreError, Writer};
use parking_lot::Mutex;
use r2d2::{HandleError, ManageConnection, PooledConnection};
use scheduled_thread_pool::{OnPoolDropBehavior, ScheduledThreadPool};

use crate::OperationError;

/// Those that nobody needed for so long are closed.
const IDLE: Duration = Duration::from_secs(600);

/// The longest rest between two attempts to connect.
const REST: Duration = Duration::from_millis(500);
/// Threads that connect, and close idle connections.
const THREADS: usize = 3;
/// How long a request waits for a follower that is elsewhere to connect anew.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a wait for a connection looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Pool {
    connections: Arc<r2d2::Pool<Manager>>,
    signal: Arc<Signal>,
    complaint: Complaint,
    /// Which connections may be used: those that were made since [`Pool::expire`].
    generation: Arc<AtomicU64>,
    followed: Arc<FollowedDatabase>,
}

/// Why the last attempt to connect failed, if it did. r2d2 tells it once, to the first who waits.
#[derive(Debug, Clone, Default)]
struct Complaint(Arc<Mutex<Option<String>>>);

impl HandleError<StoreError> for Complaint {
    fn handle_error(&self, error: StoreError) {
        *self.0.lock() = Some(error.to_string());
    }
}

pub(crate) struct Manager {
    database: Database,
    signal: Arc<Signal>,
    complaint: Complaint,
    generation: Arc<AtomicU64>,
}

/// A connection, and whether the next one may use it.
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
        let complaint = Complaint::default();
        // r2d2's own threads would end only after the next look for idle connections, half a minute later.
        let threads = ScheduledThreadPool::builder()
            .num_threads(THREADS)
            .on_drop_behavior(OnPoolDropBehavior::DiscardPendingScheduled)
            .thread_name_pattern("domain_pool")
            .build();
        let priority = database.priority().clone();
        let generation = Arc::<AtomicU64>::default();
        let manager =
            Manager { database, signal: signal.clone(), complaint: complaint.clone(), generation: generation.clone() };
        let connections = r2d2::Pool::builder()
            .thread_pool(Arc::new(threads))
            .max_size(size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE))
            // It rests for up to half of this between two attempts.
            .connection_timeout(2 * REST)
            .test_on_check_out(true)
            .error_handler(Box::new(complaint.clone()))
            .build_unchecked(manager);
        let connections = Arc::new(connections);
        let idle = Arc::downgrade(&connections);
        priority.on_follower_waiting(move || {
            if let Some(connections) = idle.upgrade() {
                close_idle(&connections);
            }
        });
        Pool { connections, signal, complaint, generation, followed }
    }

    /// A connection that leads to the database that is followed, and where that is.
    pub(crate) fn get(
        &self,
        until: Instant,
    ) -> Result<(PooledConnection<Manager>, Option<DatabaseIdentity>), OperationError> {
        let (connection, identity) = self.located(until)?;
        if self.is_followed(identity.as_ref()) {
            return Ok((connection, identity));
        }
        // One of the two is out of date. It costs less to find out whether it is this one.
        drop(connection);
        self.expire();
        let (connection, identity) = self.located(until)?;
        match self.followed.ensure_followed(identity.as_ref(), until.min(Instant::now() + PATIENCE)) {
            Ok(()) => Ok((connection, identity)),
            Err(followed) => Err(OperationError::NotFollowed { found: name(identity.as_ref()), followed }),
        }
    }

    /// Whether the follower looks at this identity.
    pub(crate) fn is_followed(&self, identity: Option<&DatabaseIdentity>) -> bool {
        self.followed.is_followed(identity)
    }

    /// No connection that is there now is used again.
    pub(crate) fn expire(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// All connections, the follower's too, are made anew.
    pub(crate) fn reconnect(&self) {
        self.expire();
        self.followed.request_reconnect();
    }

    fn located(&self, until: Instant) -> Result<(PooledConnection<Manager>, Option<DatabaseIdentity>), OperationError> {
        let mut connection = self.any(until)?;
        let identity = connection.writer.identity(until).inspect_err(|_| connection.condition = Condition::Broken)?;
        Ok((connection, identity))
    }

    fn any(&self, until: Instant) -> Result<PooledConnection<Manager>, OperationError> {
        loop {
            if self.signal.is_stopped() {
                return Err(OperationError::Unavailable("told to stop".to_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(LOOK)) {
                Ok(connection) => return Ok(connection),
                // Without a complaint, all connections were busy.
                Err(_) if left <= LOOK => {
                    return Err(self
                        .complaint
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

/// Closes those that nobody uses: the follower needs one. What is used now is closed when it comes back.
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
        // First: what is made while others expire may lead where they did.
        let generation = self.generation.load(Ordering::Relaxed);
        let writer = self.database.connect_writer(self.signal.clone())?;
        *self.complaint.0.lock() = None;
        Ok(Connection { writer, condition: Condition::Good, generation })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if connection.generation == self.generation.load(Ordering::Relaxed) && connection.writer.is_alive() {
            return Ok(());
        }
        Err(StoreError::Failed { doing: "using a connection", reason: "it was closed meanwhile".to_owned() })
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.condition == Condition::Broken || self.database.priority().is_follower_waiting()
    }
}

/// A identity in words, for errors.
pub(crate) fn name(identity: Option<&DatabaseIdentity>) -> String {
    identity.map_or_else(|| "an unknown one".to_owned(), DatabaseIdentity::to_string)
}
