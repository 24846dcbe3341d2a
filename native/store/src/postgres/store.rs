//! The follower's connection to PostgreSQL, which also listens for changes.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::{EventId, HostTypeId, HostTypes};
use tokio_postgres::config::TargetSessionAttrs;

use super::connect::Target;
use super::load::{self, LoadRequest};
use super::session::Session;
use super::sqlstate::{ROW_SECURITY_ADVICE, if_supported};
use super::{freshness, identity, log, rights};
use crate::{
    DatabaseIdentity, Event, Events, IdRange, LoadSummary, LogPosition, OpenTransactions, Pruned, Route, Row, Signal,
    Store, StoreError, Timeouts,
};

/// The channel on which writers notify. A notification has no payload: it only says that there may be new events.
const CHANNEL: &str = "mongoose_domain_events";

pub(crate) struct PostgresStore {
    session: Session,
    /// The requirement of `target_session_attrs`, which the server may cease to meet during the connection.
    attrs: TargetSessionAttrs,
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
        let store = PostgresStore { session, attrs: target.attrs(), host_types };
        // A URL that enables row security accepts the policy's rows as all rows.
        if !target.has_row_security() {
            store.refuse_hidden_rows()?;
        }
        store.listen()?;
        Ok(store)
    }

    /// Runs a statement against the deadline for statements.
    fn call<T>(
        &self,
        doing: &'static str,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        self.session.call(doing, self.session.timeouts.statement, statement)
    }

    /// Fails where a policy hides rows. The server does the same because of the session's settings, unless a pool has
    /// dropped those.
    fn refuse_hidden_rows(&self) -> Result<(), StoreError> {
        const DOING: &str = "looking whether all rows may be seen";
        match self.call(DOING, rights::table_with_hidden_rows(&self.session.client))? {
            None => Ok(()),
            Some(table) => {
                let reason = format!("row-level security hides rows of {table} from this user ({ROW_SECURITY_ADVICE})");
                Err(StoreError::Refused { doing: DOING, reason })
            }
        }
    }

    fn listen(&self) -> Result<(), StoreError> {
        let client = &self.session.client;
        self.call("listening for changes", async {
            if_supported(client.batch_execute(&format!("LISTEN {CHANNEL}")).await).map(|_| ())
        })
    }

    /// The error where the server no longer meets `target_session_attrs`. Another server of the URL may.
    fn unsuitable(&self, doing: &'static str) -> StoreError {
        let (now, wanted) = match self.attrs {
            TargetSessionAttrs::ReadWrite => ("takes no changes any more", "read-write"),
            _ => ("takes changes now", "read-only"),
        };
        StoreError::Failed { doing, reason: format!("the server {now}, and target_session_attrs={wanted}") }
    }
}

impl Store for PostgresStore {
    fn route(&self) -> Route {
        self.session.route
    }

    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError> {
        self.call(identity::DOING, identity::read(&self.session.client))
    }

    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError> {
        load::load(&mut self.session, LoadRequest { host_types: &self.host_types, batch, gaps, take })
    }

    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError> {
        let Session { client, .. } = &self.session;
        let events = log::events(&self.session, &self.host_types, cursor, oldest, limit);
        let writable_wanted = match self.attrs {
            TargetSessionAttrs::ReadWrite => true,
            TargetSessionAttrs::ReadOnly => false,
            _ => return self.call(log::DOING, events),
        };
        // Pipelined, so the check costs no round trip.
        let (writable, events) =
            self.call(log::DOING, async { tokio::try_join!(identity::is_writable(client), events) })?;
        if writable == writable_wanted { Ok(events) } else { Err(self.unsuitable(log::DOING)) }
    }

    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError> {
        self.call(log::DOING, log::events_in(&self.session, &self.host_types, ranges, limit))
    }

    fn ids_in(&mut self, ranges: &[IdRange]) -> Result<Vec<EventId>, StoreError> {
        self.call(log::DOING, log::ids_in(&self.session, ranges))
    }

    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        self.call("asking who writes events", log::open_transactions(&self.session))
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        self.call(freshness::DOING, freshness::fresh(&self.session.client, &self.host_types))
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        self.call(log::DOING, log::position(&self.session.client))
    }

    fn prune(&mut self, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        const DOING: &str = "deleting old events";
        match self.call(DOING, log::prune(&self.session.client, position, from, limit)) {
            Err(StoreError::StaleConnection { .. }) if self.attrs == TargetSessionAttrs::ReadWrite => {
                Err(self.unsuitable(DOING))
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
                _ = signal.woken(limit) => Ok(()),
            }
        })
    }
}
