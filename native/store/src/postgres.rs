//! PostgreSQL, followed by one connection that also listens for changes.

mod admins;
mod bounded;
mod change;
mod clock;
mod connect;
mod freshness;
mod guard;
mod load;
mod log;
mod refusal;
mod rights;
mod sequences;
mod session;
mod settings;
#[cfg(test)]
mod test_server;
mod tls;
mod url;
mod writer;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use domain_core::{EventId, HostTypeId, HostTypes};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

pub(crate) use connect::{ConnectError, Target};
use load::{Load, LoadError, LoadMethod};
use session::Session;
pub use url::UrlError;
pub(crate) use writer::PostgresWriter;

use crate::reading::Cell;
use crate::{
    DatabaseIdentity, Event, Events, IdRange, LoadSummary, LogPosition, OpenTransactions, Pruned, Row, Signal, Store,
    StoreError, Timeouts,
};

/// The channel that writers notify. A notification carries nothing: it is a hint to look.
const CHANNEL: &str = "mongoose_domain_events";

const READING_IDENTITY: &str = "reading which database this is";

/// Codes by which a database says that it does not offer a statement: PostgreSQL in recovery does
/// not LISTEN, CockroachDB does not COPY from a query and lacks some functions, and some databases
/// keep them from ordinary users.
const NOT_OFFERED: [SqlState; 7] = [
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::SYNTAX_ERROR,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::INSUFFICIENT_PRIVILEGE,
];

/// What a statement answered, or nothing when the database does not offer it.
fn offered<T>(result: Result<T, tokio_postgres::Error>) -> Result<Option<T>, tokio_postgres::Error> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code().is_some_and(|code| NOT_OFFERED.contains(code)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) struct PostgresStore {
    session: Session,
    /// What `target_session_attrs` asks for, which may cease to be so while the connection lives.
    attrs: TargetSessionAttrs,
    host_types: Arc<HostTypes>,
    /// The URL has row security on.
    filtered_on_purpose: bool,
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
        let (attrs, filtered_on_purpose) = (target.attrs(), target.has_row_security());
        let store = PostgresStore { session, attrs, host_types, filtered_on_purpose };
        store.see_all()?;
        store.listen()?;
        Ok(store)
    }

    /// Runs a statement against the deadline for statements.
    fn ask<T>(
        &self,
        doing: &'static str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.session.call(doing, self.session.timeouts.statement, statement)
    }

    /// The server is no longer what the URL asks for. Another one of the URL may be.
    fn unsuited(&self, doing: &'static str) -> StoreError {
        let (now, wanted) = match self.attrs {
            TargetSessionAttrs::ReadWrite => ("takes no changes any more", "read-write"),
            _ => ("takes changes now", "read-only"),
        };
        StoreError::Failed { doing, reason: format!("the server {now}, and target_session_attrs={wanted}") }
    }

    /// Refuses to follow what a policy filters. The session's setting has the server refuse it, too, but a pool may have
    /// dropped that; a URL that switches row security on has taken the policy's answer for the whole.
    fn see_all(&self) -> Result<(), StoreError> {
        const DOING: &str = "looking whether all rows may be seen";
        if self.filtered_on_purpose {
            return Ok(());
        }
        match self.ask(DOING, rights::hidden(&self.session.client))? {
            None => Ok(()),
            Some(table) => {
                let reason = format!("row-level security hides rows of {table} from this user ({})", refusal::SEE_ALL);
                Err(StoreError::Refused { doing: DOING, reason })
            }
        }
    }

    fn listen(&self) -> Result<(), StoreError> {
        let client = &self.session.client;
        self.ask("listening for changes", async {
            offered(client.batch_execute(&format!("LISTEN {CHANNEL}")).await).map(|_| ())
        })
    }
}

impl Store for PostgresStore {
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError> {
        self.ask(READING_IDENTITY, log::identity(&self.session.client))
    }

    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError> {
        let Self { session: Session { client, runtime, timeouts, signal, .. }, host_types, .. } = self;
        let mut load = Load { host_types, signal, limit: timeouts.statement, batch, gaps, take, rows: Vec::new() };
        match runtime.block_on(load.run(client, LoadMethod::Copy)) {
            Err(LoadError::NotOffered) => runtime.block_on(load.run(client, LoadMethod::Pages)),
            result => result,
        }
        .map_err(LoadError::into)
    }

    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError> {
        let client = &self.session.client;
        let events = log::events(client, &self.host_types, cursor, oldest, limit);
        let wanted = match self.attrs {
            TargetSessionAttrs::ReadWrite => true,
            TargetSessionAttrs::ReadOnly => false,
            _ => return self.ask(log::DOING, events),
        };
        // They go out together, so this costs no round trip.
        let (takes_changes, events) =
            self.ask(log::DOING, async { tokio::try_join!(log::takes_changes(client), events) })?;
        if takes_changes == wanted { Ok(events) } else { Err(self.unsuited(log::DOING)) }
    }

    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError> {
        self.ask(log::DOING, log::events_in(&self.session.client, &self.host_types, ranges, limit))
    }

    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        self.ask("asking who writes events", log::open_transactions(&self.session.client))
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        self.ask(freshness::DOING, freshness::fresh(&self.session.client, &self.host_types))
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        self.ask(log::DOING, log::position(&self.session.client))
    }

    fn prune(&mut self, moment: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        const DOING: &str = "deleting old events";
        match self.ask(DOING, log::prune(&self.session.client, moment, from, limit)) {
            Err(StoreError::StaleConnection { .. }) if self.attrs == TargetSessionAttrs::ReadWrite => {
                Err(self.unsuited(DOING))
            }
            result => result,
        }
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

/// A text as bytes: a database may hold texts in no encoding at all.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Bytes(raw))
    }

    fn accepts(type_: &Type) -> bool {
        [Type::VARCHAR, Type::TEXT].contains(type_)
    }
}

impl<'a> Bytes<'a> {
    /// What [`Row::read`] takes for a row's settings; NULL is a host type and a status that nobody knows.
    fn settings(host_type: Option<Bytes<'a>>, status: Option<i16>) -> (&'a [u8], i64) {
        (host_type.unwrap_or_default().0, status.map_or(i64::MIN, i64::from))
    }
}

impl ToSql for Bytes<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(type_: &Type) -> bool {
        [Type::VARCHAR, Type::TEXT].contains(type_)
    }

    to_sql_checked!();
}

/// A column of an answer, whatever it holds.
fn cell(row: &tokio_postgres::Row, column: usize) -> Cell<'_> {
    let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Number);
    let value = match *row.columns()[column].type_() {
        Type::INT2 => row.try_get::<_, Option<i16>>(column).map(|found| number(found.map(i64::from))),
        Type::INT4 => row.try_get::<_, Option<i32>>(column).map(|found| number(found.map(i64::from))),
        Type::INT8 => row.try_get::<_, Option<i64>>(column).map(number),
        Type::VARCHAR | Type::TEXT => {
            let text = row.try_get::<_, Option<Bytes<'_>>>(column);
            text.map(|found| found.map_or(Cell::Null, |Bytes(bytes)| Cell::Text(bytes)))
        }
        _ => return Cell::Other,
    };
    value.unwrap_or(Cell::Other)
}
