//! PostgreSQL, by one connection that also listens for changes.
//!
//! The driver is tokio-postgres, the one inside the `postgres` crate, on a runtime that lives on
//! the calling thread and runs only while that thread is in a call. The synchronous wrapper cannot
//! give up a statement, so a server that is stopped rather than gone would hold the thread for
//! ever; here every statement races against its deadline and the stop signal, and the wait for a
//! notification against a wake-up from another thread.
//!
//! Statements go out unnamed and unprepared (`query_typed`), which costs one round trip and leaves
//! nothing behind in the session. The one exception is COPY, once per load.

mod connect;
mod load;
#[cfg(test)]
mod test_server;
mod tls;
mod url;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::{EventId, HostTypes};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client};

pub(crate) use connect::{ConnectError, Target};
use load::{Load, LoadError, Road};
pub use url::UrlError;

use crate::error::chain;
use crate::schema::{self, Column, Kind};
use crate::{Bounds, Events, Row, Signal, Store, StoreError, Timeouts};

/// The channel that writers notify. A notification carries nothing: it is a hint to look.
const CHANNEL: &str = "mongoose_domain_events";

/// Codes by which a database says that it does not offer a statement: PostgreSQL in recovery does
/// not LISTEN, CockroachDB does not COPY from a query.
const NOT_OFFERED: [SqlState; 3] =
    [SqlState::FEATURE_NOT_SUPPORTED, SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::SYNTAX_ERROR];

pub(crate) struct PostgresStore {
    client: Client,
    /// Ends when the connection does, with the reason.
    driver: tokio::task::JoinHandle<String>,
    notified: Arc<Notify>,
    timeouts: Timeouts,
    host_types: Arc<HostTypes>,
    signal: Arc<Signal>,
    runtime: LocalRuntime,
}

/// A runtime whose end waits for nobody: a name that takes minutes to look up is looked up on a
/// thread of its own, and must not hold up a thread that was told to stop.
struct LocalRuntime(Option<Runtime>);

impl LocalRuntime {
    fn new() -> std::io::Result<LocalRuntime> {
        Ok(LocalRuntime(Some(tokio::runtime::Builder::new_current_thread().enable_all().build()?)))
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
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

impl PostgresStore {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        host_types: Arc<HostTypes>,
        signal: Arc<Signal>,
    ) -> Result<PostgresStore, StoreError> {
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
        let mut store = PostgresStore { client, driver, notified, timeouts, host_types, signal, runtime };
        store.prepare_schema()?;
        store.listen()?;
        Ok(store)
    }

    fn prepare_schema(&mut self) -> Result<(), StoreError> {
        const DOING: &str = "reading or creating the tables";
        let limit = self.timeouts.statement;
        schema::prepare(
            |table| self.call(DOING, limit, columns(&self.client, table)),
            || self.call(DOING, limit, create_tables(&self.client)),
            is,
        )
    }

    fn listen(&mut self) -> Result<(), StoreError> {
        let listen = async {
            match self.client.batch_execute(&format!("LISTEN {CHANNEL}")).await {
                Err(error) if error.code().is_some_and(|code| NOT_OFFERED.contains(code)) => Ok(()),
                result => result,
            }
        };
        self.call("listening for changes", self.timeouts.statement, listen)
    }

    /// Runs a statement against its deadline and the stop signal.
    fn call<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(guarded(&self.signal, doing, limit, statement))
    }
}

impl Store for PostgresStore {
    fn load(
        &mut self,
        batch: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<EventId>, StoreError> {
        let Self { client, runtime, timeouts, host_types, signal, .. } = self;
        let mut load = Load { host_types, signal, limit: timeouts.statement, batch, take, rows: Vec::new() };
        match runtime.block_on(load.run(client, Road::Copy)) {
            Err(LoadError::NotOffered) => runtime.block_on(load.run(client, Road::Pages)),
            result => result,
        }
        .map_err(LoadError::into)
    }

    fn events(&mut self, cursor: EventId, limit: u32) -> Result<Events, StoreError> {
        // Both go out at once and are answered in this order, each as of its own moment. Were the
        // bounds the older ones, events that are pruned in between would go unmissed.
        let (client, limit) = (&self.client, i64::from(limit));
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&cursor.0, Type::INT8), (&limit, Type::INT8)];
        let (rows, bounds) = self.call("reading domain_events", self.timeouts.statement, async {
            tokio::try_join!(
                client.query_typed(
                    "SELECT e.id, e.domain, s.host_type, s.status
                       FROM domain_events e LEFT JOIN domain_settings s ON s.domain = e.domain
                      WHERE e.id > $1 ORDER BY e.id LIMIT $2",
                    &parameters,
                ),
                client.query_typed_one("SELECT min(id), max(id) FROM domain_events", &[]),
            )
        })?;
        let unreadable = |error: tokio_postgres::Error| StoreError::failed("reading domain_events", &error);
        let mut events =
            Events { bounds: read_bounds(&bounds).map_err(unreadable)?, rows: vec![], count: 0, last: None };
        for row in &rows {
            events.count += 1;
            events.last = Some(EventId(row.try_get(0).map_err(unreadable)?));
            let domain: Bytes<'_> = row.try_get(1).map_err(unreadable)?;
            if domain.0.is_empty() {
                continue;
            }
            let host_type: Option<Bytes<'_>> = row.try_get(2).map_err(unreadable)?;
            let status: Option<i16> = row.try_get(3).map_err(unreadable)?;
            let settings = host_type.zip(status).map(|(host_type, status)| (host_type.0, i64::from(status)));
            events.rows.push(Row::read(&self.host_types, domain.0, settings));
        }
        Ok(events)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        let (signal, notified, driver) = (&self.signal, &self.notified, &mut self.driver);
        self.runtime.block_on(async {
            tokio::select! {
                reason = driver => Err(StoreError::Failed {
                    doing: "waiting for changes",
                    reason: reason.unwrap_or_else(|panic| panic.to_string()),
                }),
                () = notified.notified() => Ok(()),
                () = signal.woken(limit) => Ok(()),
            }
        })
    }
}

async fn guarded<T>(
    signal: &Signal,
    doing: &'static str,
    limit: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    tokio::select! {
        () = signal.stopped() => Err(StoreError::Stopped),
        result = tokio::time::timeout(limit, statement) => match result {
            Ok(result) => result.map_err(|error| StoreError::failed(doing, &error)),
            Err(_) => Err(StoreError::Deadline { doing, limit }),
        },
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

/// Nodes that start together on an empty database do this one after the other: two of them inside
/// CREATE TABLE IF NOT EXISTS can collide in the catalogue.
async fn create_tables(client: &Client) -> Result<(), tokio_postgres::Error> {
    let script = schema::POSTGRES;
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock(5222, 5269); {script} COMMIT")).await
}

fn is(type_name: &str, kind: Kind) -> bool {
    match kind {
        Kind::BigInt => type_name == "bigint",
        Kind::SmallInt => type_name == "smallint",
        Kind::Text => ["character varying", "text"].contains(&type_name),
    }
}

fn read_bounds(row: &tokio_postgres::Row) -> Result<Bounds, tokio_postgres::Error> {
    let ends: (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match ends {
        (Some(oldest), Some(newest)) => Bounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => Bounds::Empty,
    })
}

/// A text as bytes: a database may hold texts in no encoding at all.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Bytes(raw))
    }

    fn accepts(type_: &Type) -> bool {
        [Type::VARCHAR, Type::TEXT].contains(type_)
    }
}
