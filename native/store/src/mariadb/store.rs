//! The follower's connection to MariaDB, which has no notifications: a wait asks for the newest event now and then.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{EventId, HostTypeId, HostTypes};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::connect::Target;
use super::load::{self, LoadRequest};
use super::names::NameColumn;
use super::session::Session;
use super::{freshness, identity, log, schema, transactions};
use crate::{
    DatabaseIdentity, Event, Events, IdRange, LoadSummary, LogBounds, LogPosition, OpenTransactions, Pruned, Row,
    Signal, Store, StoreError, Timeouts,
};

const WAITING: &str = "waiting for changes";

/// The most ranges of ids that a wait looks at. They are in its statement.
const WATCHED: usize = 64;

pub(crate) struct MariadbStore {
    session: Session,
    /// The column `domain` of `domain_settings`.
    names: NameColumn,
    host_types: Arc<HostTypes>,
    /// Whether the server has to take changes.
    writable: bool,
    /// How often a wait asks for the newest event.
    look_interval: Duration,
    /// The newest event that the follower has, as far as the last read of the log or load tells. The log's end may have been
    /// another one already when that read ended.
    seen: Option<EventId>,
    /// Ids below it whose events may still come, up to [`WATCHED`] ranges.
    late: Vec<IdRange>,
    listings: transactions::Calls,
}

impl MariadbStore {
    pub(crate) fn connect(
        target: &Target,
        timeouts: Timeouts,
        look_interval: Duration,
        host_types: Arc<HostTypes>,
        signal: Arc<Signal>,
    ) -> Result<MariadbStore, StoreError> {
        let mut session = Session::connect(target, timeouts, signal)?;
        schema::prepare(&mut session)?;
        let names = session.call("reading how names compare", timeouts.statement, async |conn| {
            NameColumn::of_domains(conn, "domain_settings").await
        })?;
        let writable = target.is_writable();
        Ok(MariadbStore {
            session,
            names,
            host_types,
            writable,
            look_interval,
            seen: None,
            late: Vec::new(),
            listings: Default::default(),
        })
    }

    /// Runs a statement against the deadline for statements.
    fn call<T>(
        &mut self,
        doing: &'static str,
        statement: impl AsyncFnOnce(&mut Conn) -> Result<T, mysql_async::Error>,
    ) -> Result<T, StoreError> {
        self.session.call(doing, self.session.timeouts.statement, statement)
    }

    /// Fails where the server no longer meets `target_session_attrs`. Another server of the URL may.
    fn check_writable(&mut self) -> Result<(), StoreError> {
        if !self.writable {
            return Ok(());
        }
        let read_only = self.call(log::DOING, async |conn| conn.query_first("SELECT @@global.read_only").await)?;
        if read_only == Some(false) { Ok(()) } else { Err(unsuitable(log::DOING)) }
    }

    /// Whether there is an event that was not read.
    fn is_behind(&mut self) -> Result<bool, StoreError> {
        // Other nodes' commits show here when they are applied here. A read that waits for them costs the whole cluster.
        let prefix = if self.session.server.cluster.is_some() { "SET STATEMENT wsrep_sync_wait = 0 FOR " } else { "" };
        let late = std::mem::take(&mut self.late);
        let looked = self.call(WAITING, async |conn| log::look(conn, prefix, &late).await);
        self.late = late;
        let (newest, has_late) = looked?;
        Ok(newest != self.seen || has_late)
    }
}

fn unsuitable(doing: &'static str) -> StoreError {
    let reason = "the server takes no changes any more, and target_session_attrs=read-write".to_owned();
    StoreError::Failed { doing, reason }
}

impl Store for MariadbStore {
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError> {
        let server = self.session.server.clone();
        self.call(identity::DOING, async |conn| identity::read(conn, &server).await)
    }

    fn load(
        &mut self,
        batch: usize,
        gaps: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError> {
        let request = LoadRequest { host_types: &self.host_types, batch, gaps, take };
        let loaded = load::load(&mut self.session, request)?;
        if let Some(summary) = &loaded {
            self.late.clear();
            self.seen = match summary.bounds {
                LogBounds::Empty => None,
                LogBounds::From { newest, .. } => Some(newest),
            };
        }
        Ok(loaded)
    }

    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError> {
        self.check_writable()?;
        let (host_types, names) = (self.host_types.clone(), self.names.clone());
        let events =
            self.call(log::DOING, async |conn| log::events(conn, &host_types, &names, cursor, oldest, limit).await)?;
        self.late.clear();
        let at_cursor = events.anchor.as_ref().map(|_| cursor);
        self.seen = events.events.last().map(|event| event.id).or(at_cursor);
        Ok(events)
    }

    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError> {
        let (host_types, names) = (self.host_types.clone(), self.names.clone());
        self.call(log::DOING, async |conn| log::events_in(conn, &host_types, &names, ranges, limit).await)
    }

    fn ids_in(&mut self, ranges: &[IdRange]) -> Result<Vec<EventId>, StoreError> {
        self.call(log::DOING, async |conn| log::ids_in(conn, ranges).await)
    }

    fn watch(&mut self, late: &[IdRange]) {
        // The last ones are those with the largest ids, which come next.
        self.late = late[late.len().saturating_sub(WATCHED)..].to_vec();
    }

    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        if self.session.server.cluster.is_some() {
            return Ok(OpenTransactions::Unknown);
        }
        let MariadbStore { session, listings, .. } = self;
        let limit = session.timeouts.statement;
        session.call("asking who writes events", limit, async |conn| transactions::open(conn, listings).await)
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        let host_types = self.host_types.clone();
        self.call(freshness::DOING, async |conn| freshness::fresh(conn, &host_types).await)
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        self.call(log::DOING, log::position)
    }

    fn prune(&mut self, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        const DOING: &str = "deleting old events";
        match self.call(DOING, async |conn| log::prune(conn, position, from, limit).await) {
            Err(StoreError::StaleConnection { .. }) if self.writable => Err(unsuitable(DOING)),
            // Another node has deleted them: on Galera that shows at the commit.
            Err(StoreError::Conflict { .. }) => Ok(Pruned { count: 0, last: None }),
            result => result,
        }
    }

    fn wait(&mut self, limit: Duration) -> Result<(), StoreError> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let Session { signal, runtime, .. } = &self.session;
            let woken = runtime.block_on(signal.woken(left.min(self.look_interval)));
            if woken || left <= self.look_interval {
                return Ok(());
            }
            match self.is_behind() {
                Ok(false) => (),
                // The follower asks for the reason.
                Ok(true) | Err(StoreError::Stopped) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
