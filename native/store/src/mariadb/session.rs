//! A connection to MariaDB for one thread, on which every call has a deadline.
//!
//! The driver is mysql_async. Its runtime runs on the calling thread, and only during a call. Every statement races against
//! its deadline and the stop signal. After either the connection is of no use any more: the server may still answer the
//! statement that was given up.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::{Conn, Error};
use tokio::time::timeout;

use super::connect::{ConnectError, Target};
use super::error::statement_error;
use super::settings;
use crate::local_runtime::LocalRuntime;
use crate::{Signal, StoreError, Timeouts};

/// The limit on telling the server that a connection ends. A server that is not told logs that it was aborted.
const QUIT_LIMIT: Duration = Duration::from_millis(100);

pub(super) struct Session {
    pub(super) conn: Connection,
    pub(super) server: settings::Server,
    pub(super) timeouts: Timeouts,
    pub(super) signal: Arc<Signal>,
    pub(super) runtime: LocalRuntime,
    /// Whether a statement was given up.
    given_up: bool,
    /// The end of the last statement.
    last_used: Instant,
}

/// The driver's connection.
pub(super) struct Connection(Option<Conn>);

impl Session {
    pub(super) fn connect(target: &Target, timeouts: Timeouts, signal: Arc<Signal>) -> Result<Session, StoreError> {
        let runtime = LocalRuntime::new().map_err(|error| StoreError::failed("starting a runtime", &error))?;
        let (conn, server) = runtime.block_on(async {
            tokio::select! {
                () = signal.stopped() => Err(StoreError::Stopped),
                connected = target.connect(&timeouts) => connected.map_err(|error| connect_error(target, &error)),
            }
        })?;
        let conn = Connection(Some(conn));
        Ok(Session { conn, server, timeouts, signal, runtime, given_up: false, last_used: Instant::now() })
    }

    /// Runs statements against a deadline and the stop signal.
    pub(super) fn call<T>(
        &mut self,
        doing: &'static str,
        limit: Duration,
        statement: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.attempt(doing, limit, statement)?.map_err(|error| statement_error(doing, &error))
    }

    /// The same, with the driver's error as it is.
    pub(super) fn attempt<T>(
        &mut self,
        doing: &'static str,
        limit: Duration,
        statement: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, StoreError> {
        let Session { conn, signal, runtime, .. } = self;
        let result = runtime.block_on(async {
            tokio::select! {
                () = signal.stopped() => Err(StoreError::Stopped),
                result = timeout(limit, statement(conn)) => result.map_err(|_| StoreError::Timeout { doing, limit }),
            }
        });
        self.given_up |= result.is_err();
        self.last_used = Instant::now();
        result
    }

    /// How long a statement may take that has to end by this time.
    pub(super) fn time_left(&self, until: Instant) -> Duration {
        until.saturating_duration_since(Instant::now()).min(self.timeouts.statement)
    }

    /// Whether the connection is not known to be broken. Sends nothing. The driver does not look at an idle socket, so the
    /// end of a connection shows at the next statement, except that the server ends it after a time without any.
    pub(super) fn is_alive(&mut self) -> bool {
        !self.given_up && !self.conn.is_disconnected() && self.last_used.elapsed() < self.server.wait_timeout
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(conn) = self.conn.0.take() else { return };
        // Outside of a runtime, dropping the driver's connection only closes its socket.
        let in_runtime = tokio::runtime::Handle::try_current().is_ok();
        if !self.given_up && !conn.is_disconnected() && !in_runtime && !std::thread::panicking() {
            let _ = self.runtime.block_on(async { timeout(QUIT_LIMIT, conn.disconnect()).await });
        }
    }
}

impl Deref for Connection {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.0.as_ref().expect("only the session's `drop` takes the connection")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Conn {
        self.0.as_mut().expect("only the session's `drop` takes the connection")
    }
}

/// Why there is no connection to this target.
fn connect_error(target: &Target, error: &ConnectError) -> StoreError {
    let (database, reason) = (target.description().to_owned(), error.to_string());
    if error.is_too_many_connections() {
        StoreError::TooManyConnections { database, reason }
    } else {
        StoreError::Connect { database, reason }
    }
}
