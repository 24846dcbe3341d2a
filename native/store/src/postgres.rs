//! PostgreSQL, followed by one connection that also listens for changes.

mod connect;
mod load;
mod session;
#[cfg(test)]
mod test_server;
mod tls;
mod url;
mod writer;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::{EventId, HostTypes};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};

pub(crate) use connect::{ConnectError, Target};
use load::{Load, LoadError, Road};
use session::Session;
pub use url::UrlError;
pub(crate) use writer::PostgresWriter;

use crate::{Bounds, Events, Row, Signal, Store, StoreError, Timeouts};

/// The channel that writers notify. A notification carries nothing: it is a hint to look.
const CHANNEL: &str = "mongoose_domain_events";

/// Codes by which a database says that it does not offer a statement: PostgreSQL in recovery does
/// not LISTEN, CockroachDB does not COPY from a query.
const NOT_OFFERED: [SqlState; 3] =
    [SqlState::FEATURE_NOT_SUPPORTED, SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::SYNTAX_ERROR];

pub(crate) struct PostgresStore {
    session: Session,
    host_types: Arc<HostTypes>,
}

impl PostgresStore {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        host_types: Arc<HostTypes>,
        signal: Arc<Signal>,
    ) -> Result<PostgresStore, StoreError> {
        let session = Session::connect(target, timeouts, signal)?;
        session.prepare_schema()?;
        let store = PostgresStore { session, host_types };
        store.listen()?;
        Ok(store)
    }

    fn listen(&self) -> Result<(), StoreError> {
        let client = &self.session.client;
        let listen = async {
            match client.batch_execute(&format!("LISTEN {CHANNEL}")).await {
                Err(error) if error.code().is_some_and(|code| NOT_OFFERED.contains(code)) => Ok(()),
                result => result,
            }
        };
        self.session.call("listening for changes", self.session.timeouts.statement, listen)
    }
}

impl Store for PostgresStore {
    fn load(
        &mut self,
        batch: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<EventId>, StoreError> {
        let Self { session: Session { client, runtime, timeouts, signal, .. }, host_types } = self;
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
        let (client, limit) = (&self.session.client, i64::from(limit));
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&cursor.0, Type::INT8), (&limit, Type::INT8)];
        let (rows, bounds) = self.session.call("reading domain_events", self.session.timeouts.statement, async {
            tokio::try_join!(
                client.query_typed(
                    // What a planner knows of a log is often old or nothing. An upper bound makes it expect few
                    // events, and LATERAL with LIMIT leaves it one way to the rows: by the index, one by one.
                    "SELECT e.id, e.domain, s.host_type, s.status
                       FROM (SELECT id, domain FROM domain_events
                              WHERE id > $1 AND id <= 9223372036854775807 ORDER BY id LIMIT $2) e
                       LEFT JOIN LATERAL (SELECT host_type, status FROM domain_settings
                                           WHERE domain = e.domain LIMIT 1) s ON true
                      ORDER BY e.id",
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
        let Session { signal, notified, driver, runtime, .. } = &mut self.session;
        runtime.block_on(async {
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
