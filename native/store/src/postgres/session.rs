//! A connection to PostgreSQL for one thread, on which every call has a deadline.
//!
//! The driver is tokio-postgres, on which the `postgres` crate is built. Its runtime runs on the calling thread, and only
//! during a call. The synchronous `postgres` crate cannot give up a statement: a server that is stopped, but still
//! connected, would block the thread for ever. Here every statement races against its deadline and the stop signal, and
//! a wait for a notification against a wake-up from another thread.
//!
//! Statements that run often are prepared ([`Session::query`]). The others are sent unnamed and unprepared (`query_typed`),
//! which takes one round trip and leaves nothing behind in the session. The exception is COPY, once per load.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Row};

use super::connect::{ConnectError, Target};
use super::prepared::{Parameters, PreparedStatements};
use super::sqlstate::statement_error;
use super::{rights, settings};
use crate::error::chain;
use crate::local_runtime::LocalRuntime;
use crate::schema::{self, Column, Kind};
use crate::{Route, Signal, StoreError, Timeouts};

pub(super) struct Session {
    pub(super) client: Client,
    pub(super) route: Route,
    pub(super) prepared: PreparedStatements,
    /// Ends with the connection; its result is the reason.
    pub(super) driver: tokio::task::JoinHandle<String>,
    pub(super) notified: Arc<Notify>,
    pub(super) timeouts: Timeouts,
    pub(super) signal: Arc<Signal>,
    pub(super) runtime: LocalRuntime,
}

impl Session {
    pub(super) fn connect(target: &Target, timeouts: Timeouts, signal: Arc<Signal>) -> Result<Session, StoreError> {
        let runtime = LocalRuntime::new().map_err(|error| StoreError::failed("starting a runtime", &error))?;
        let notified = Arc::new(Notify::new());
        let (client, driver) = runtime.block_on(async {
            let (client, mut connection) = tokio::select! {
                () = signal.stopped() => return Err(StoreError::Stopped),
                connected = target.connect() => {
                    connected.map_err(|error| connect_error(target, &error))?
                }
            };
            let notified = notified.clone();
            let driver = tokio::spawn(async move {
                loop {
                    match poll_fn(|cx| connection.poll_message(cx)).await {
                        Some(Ok(AsyncMessage::Notification(_))) => notified.notify_one(),
                        Some(Ok(_)) => (),
                        Some(Err(error)) => return chain(&error),
                        None => return "the connection was closed".to_owned(),
                    }
                }
            });
            Ok((client, driver))
        })?;
        let prepared = PreparedStatements::new(Route::Pooled);
        let session = Session { client, route: Route::Pooled, prepared, driver, notified, timeouts, signal, runtime };
        let settings = settings::apply(&session.client);
        let route = session.call("making the session's settings", timeouts.statement, settings)?;
        Ok(Session { route, prepared: PreparedStatements::new(route), ..session })
    }

    pub(super) fn prepare_schema(&self) -> Result<(), StoreError> {
        const DOING: &str = "reading or creating the tables";
        let limit = self.timeouts.statement;
        schema::prepare(
            |table| self.call(DOING, limit, columns(&self.client, table)),
            || self.create_tables(DOING),
            has_type,
        )
    }

    /// Creates the tables, unless they exist in a schema that this user may not use.
    fn create_tables(&self, doing: &'static str) -> Result<(), StoreError> {
        let limit = self.timeouts.statement;
        if let Some(table) = self.call(doing, limit, rights::inaccessible_table(&self.client))? {
            let reason = format!(
                "{table} is there, and this user may not use its schema: GRANT USAGE ON SCHEMA, or name another schema \
                 by options=-csearch_path=SCHEMA in the URL"
            );
            return Err(StoreError::Refused { doing, reason });
        }
        self.call(doing, limit, run_script(&self.client, schema::POSTGRES))
    }

    /// Runs a statement that runs often, see [`super::prepared`]. It is a transaction of its own.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.prepared.query(&self.client, sql, parameters).await
    }

    /// Runs a statement against its deadline and the stop signal.
    pub(super) fn call<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(with_deadline(&self.signal, doing, limit, statement))
    }

    /// The same, with the driver's error as it is.
    pub(super) fn attempt<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, tokio_postgres::Error>, StoreError> {
        self.runtime.block_on(race(&self.signal, doing, limit, statement))
    }

    /// How long a statement may take that has to end by this time.
    pub(super) fn time_left(&self, until: Instant) -> Duration {
        until.saturating_duration_since(Instant::now()).min(self.timeouts.statement)
    }

    /// Whether the connection is not known to be broken. Polls the socket, and sends nothing.
    pub(super) fn is_alive(&self) -> bool {
        // The runtime polls the socket in the first turn, and the driver in the second.
        self.runtime.block_on(async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        !self.driver.is_finished()
    }
}

/// Why there is no connection to this target.
fn connect_error(target: &Target, error: &ConnectError) -> StoreError {
    let (database, reason) = (target.description().to_owned(), chain(error));
    if error.is_too_many_connections() {
        StoreError::TooManyConnections { database, reason }
    } else {
        StoreError::Connect { database, reason }
    }
}

/// Runs a statement against its deadline and the stop signal.
pub(super) async fn with_deadline<T>(
    signal: &Signal,
    doing: &'static str,
    limit: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    race(signal, doing, limit, statement).await?.map_err(|error| statement_error(doing, &error))
}

/// The same, with the driver's error as it is.
async fn race<T>(
    signal: &Signal,
    doing: &'static str,
    limit: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<Result<T, tokio_postgres::Error>, StoreError> {
    tokio::select! {
        () = signal.stopped() => Err(StoreError::Stopped),
        result = tokio::time::timeout(limit, statement) => result.map_err(|_| StoreError::Timeout { doing, limit }),
    }
}

async fn columns(client: &Client, table: &str) -> Result<Vec<Column>, tokio_postgres::Error> {
    let rows = client
        .query_typed(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
              WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            &[(&table, Type::TEXT)],
        )
        .await?;
    rows.iter().map(|row| Ok(Column { name: row.try_get(0)?, type_name: row.try_get(1)? })).collect()
}

/// Creates tables. The lock serialises nodes that start together on an empty database, since two concurrent
/// CREATE TABLE IF NOT EXISTS can collide in the catalogue.
///
/// Statements that are sent in one message without BEGIN are one transaction, which ends with them. So a script that
/// fails, for a user who may only read, leaves the session usable.
pub(super) async fn run_script(client: &Client, script: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("SELECT pg_advisory_xact_lock(5222, 5269); {script}")).await
}

fn has_type(type_name: &str, kind: Kind) -> bool {
    match kind {
        Kind::BigInt => type_name == "bigint",
        Kind::SmallInt => type_name == "smallint",
        Kind::Text => ["character varying", "text"].contains(&type_name),
    }
}
