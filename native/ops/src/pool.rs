//! Connections for the workers, made when they are needed and kept for a while.
//!
//! A connection that broke while nobody used it is noticed without asking the server, so a request
//! costs no round trip but its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_store::{Database, Signal, StoreError, Writer};
use parking_lot::Mutex;
use r2d2::{HandleError, ManageConnection, PooledConnection};
use scheduled_thread_pool::{OnPoolDropBehavior, ScheduledThreadPool};

use crate::Failure;

/// Those that nobody needed for so long are closed.
const IDLE: Duration = Duration::from_secs(600);

/// The longest rest between two attempts to connect.
const REST: Duration = Duration::from_millis(500);
/// Threads that connect, and close idle connections.
const THREADS: usize = 3;
/// How often a wait for a connection looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Pool {
    connections: r2d2::Pool<Manager>,
    signal: Arc<Signal>,
    complaint: Complaint,
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
        let complaint = Complaint::default();
        // r2d2's own threads would end only after the next look for idle connections, half a minute later.
        let threads = ScheduledThreadPool::builder()
            .num_threads(THREADS)
            .on_drop_behavior(OnPoolDropBehavior::DiscardPendingScheduled)
            .thread_name_pattern("domain_pool")
            .build();
        let connections = r2d2::Pool::builder()
            .thread_pool(Arc::new(threads))
            .max_size(size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE))
            // It rests for up to half of this between two attempts.
            .connection_timeout(2 * REST)
            .test_on_check_out(true)
            .error_handler(Box::new(complaint.clone()))
            .build_unchecked(Manager { database, signal: signal.clone(), complaint: complaint.clone() });
        Pool { connections, signal, complaint }
    }

    pub(crate) fn get(&self, until: Instant) -> Result<PooledConnection<Manager>, Failure> {
        loop {
            if self.signal.is_stopped() {
                return Err(Failure::Unavailable("told to stop".to_owned()));
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.connections.get_timeout(left.min(LOOK)) {
                Ok(connection) => return Ok(connection),
                // Without a complaint, all connections were busy.
                Err(_) if left <= LOOK => {
                    return Err(self.complaint.0.lock().clone().map_or(Failure::TooLate, Failure::Unavailable));
                }
                Err(_) => (),
            }
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection, StoreError> {
        let writer = self.database.connect_writer(self.signal.clone())?;
        *self.complaint.0.lock() = None;
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
