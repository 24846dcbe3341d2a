//! A connection to PostgreSQL, used by one thread, whose every call has a deadline.
//!
//! The driver is tokio-postgres, the one inside the `postgres` crate, on a runtime that lives on
//! the calling thread and runs only while that thread is in a call. The synchronous wrapper cannot
//! give up a statement, so a server that is stopped rather than gone would hold the thread for
//! ever; here every statement races against its deadline and the stop signal, and the wait for a
//! notification against a wake-up from another thread.
//!
//! Statements go out unnamed and unprepared (`query_typed`), which costs one round trip and leaves
//! nothing behind in the session. The one exception is COPY, once per load.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client};

use super::connect::Target;
use super::{refusal, rights, settings};
use crate::error::chain;
use crate::schema::{self, Column, Kind};
use crate::{Signal, StoreError, Timeouts};

pub(super) struct Session {
    pub(super) client: Client,
    /// Ends when the connection does, with the reason.
    pub(super) driver: tokio::task::JoinHandle<String>,
    pub(super) notified: Arc<Notify>,
    pub(super) timeouts: Timeouts,
    pub(super) signal: Arc<Signal>,
    pub(super) runtime: LocalRuntime,
}

/// A runtime whose end waits for nobody: a name that takes minutes to look up is looked up on a
/// thread of its own, and must not hold up a thread that was told to stop.
pub(super) struct LocalRuntime(Option<Runtime>);

impl LocalRuntime {
    fn new() -> std::io::Result<LocalRuntime> {
        Ok(LocalRuntime(Some(tokio::runtime::Builder::new_current_thread().enable_all().build()?)))
    }

    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        // Taken out by `drop` only.
        self.0.as_ref().expect("the runtime lives as long as its owner").block_on(future)
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Session {
    pub(super) fn connect(target: &Target, timeouts: Timeouts, signal: Arc<Signal>) -> Result<Session, StoreError> {
        let runtime = LocalRuntime::new().map_err(|error| StoreError::failed("starting a runtime", &error))?;
        let notified = Arc::new(Notify::new());
        let (client, driver) = runtime.block_on(async {
            let (client, mut connection) = tokio::select! {
                () = signal.stopped() => return Err(StoreError::Stopped),
                connected = target.connect() => {
                    connected.map_err(|error| StoreError::connect(target.description(), &error))?
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
        let session = Session { client, driver, notified, timeouts, signal, runtime };
        session.call("making the session's settings", timeouts.statement, settings::settle(&session.client))?;
        Ok(session)
    }

    pub(super) fn prepare_schema(&self) -> Result<(), StoreError> {
        const DOING: &str = "reading or creating the tables";
        let limit = self.timeouts.statement;
        schema::prepare(|table| self.call(DOING, limit, columns(&self.client, table)), || self.create(DOING), is)
    }

    /// Creates the tables, unless they are only out of sight.
    fn create(&self, doing: &'static str) -> Result<(), StoreError> {
        let limit = self.timeouts.statement;
        if let Some(table) = self.call(doing, limit, rights::unseen(&self.client))? {
            let reason = format!(
                "{table} is there, and this user may not use its schema: GRANT USAGE ON SCHEMA, or name another schema \
                 by options=-csearch_path=SCHEMA in the URL"
            );
            return Err(StoreError::Refused { doing, reason });
        }
        self.call(doing, limit, run_script(&self.client, schema::POSTGRES))
    }

    /// Runs a statement against its deadline and the stop signal.
    pub(super) fn call<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(guarded(&self.signal, doing, limit, statement))
    }

    /// The same, with the driver's error as it is.
    pub(super) fn attempt<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, tokio_postgres::Error>, StoreError> {
        self.runtime.block_on(attempted(&self.signal, doing, limit, statement))
    }

    /// Whether the connection is not known to be broken. Asks the socket, not the server.
    pub(super) fn is_alive(&self) -> bool {
        // The first time the runtime looks at the socket, the second time the driver runs.
        self.runtime.block_on(async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        !self.driver.is_finished()
    }
}

pub(super) async fn guarded<T>(
    signal: &Signal,
    doing: &'static str,
    limit: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    attempted(signal, doing, limit, statement).await?.map_err(|error| refusal::of_statement(doing, &error))
}

/// The same, with the driver's error as it is.
async fn attempted<T>(
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

/// Creates tables. Nodes that start together on an empty database do this one after the other: two of
/// them inside CREATE TABLE IF NOT EXISTS can collide in the catalogue.
///
/// Statements that are sent together without BEGIN are one transaction, which ends with them: a script
/// that is refused, to a user who may only read, leaves the session good for the next call.
pub(super) async fn run_script(client: &Client, script: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("SELECT pg_advisory_xact_lock(5222, 5269); {script}")).await
}

fn is(type_name: &str, kind: Kind) -> bool {
    match kind {
        Kind::BigInt => type_name == "bigint",
        Kind::SmallInt => type_name == "smallint",
        Kind::Text => ["character varying", "text"].contains(&type_name),
    }
}
