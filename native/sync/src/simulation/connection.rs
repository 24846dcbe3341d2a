//! A connection to the simulated database. It breaks where the simulation chooses.
//!
//! Between any two statements, between the two halves of one that is not a snapshot, and between the batches of a load,
//! transactions of other programs begin and commit.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use domain_core::{DomainName, EventId, HostTypeId, HostTypes};
use domain_store::{
    DatabaseIdentity, Event, Events, IdRange, InvalidRow, InvalidRowReason, LoadSummary, LogBounds, LogPosition,
    OpenTransactions, PersistentId, Pruned, Row, Store, StoreError, TableContents,
};
use parking_lot::Mutex;

use super::database::{Content, Database, Kind, server};
use super::faults::{self, Conditions};
use super::own_changes::Workers;

/// The most calls of a pass, whatever happens. More mean that the pass does not end.
const MAX_CALLS: u32 = 120;

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaks {
    Never,
    /// After so many answers; a batch of a load is one.
    After(u32),
}

/// What a follower asked of the connection in a pass, and what it could see.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) calls: u32,
    pub(super) loads: u32,
    pub(super) read: u64,
    /// The event at the cursor when this pass began.
    pub(super) anchor: Option<Anchor>,
    /// The log is another one that cannot be distinguished from the one before.
    pub(super) masked: Option<Masked>,
    /// The same, in earlier passes.
    pub(super) masked_before: Option<Masked>,
    /// The answer showed that the log is another one.
    pub(super) backwards: bool,
    /// There was an answer about the log.
    pub(super) judged: bool,
    /// The last snapshot had no row.
    pub(super) no_rows: bool,
    /// A load was read to its end.
    pub(super) loaded: bool,
}

/// The event at a cursor.
#[derive(Debug, Clone)]
pub(super) struct Anchor {
    pub(super) at: i64,
    pub(super) domain: String,
    /// Distinguishes it from one with the same id in another log, if the oracle knows that.
    pub(super) mark: Option<u64>,
}

/// Why another log cannot be distinguished from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Masked {
    /// The event at the cursor is about the same domain.
    SameDomain,
    /// The log begins right behind the cursor, with this event.
    BeginsBehind(u64),
}

type Watch<'a> = Box<dyn Fn(&Database, &Workers<'a>) + Send + 'a>;

pub(super) struct Connection<'a> {
    database: Arc<Mutex<Database>>,
    host_types: Arc<HostTypes>,
    conditions: Conditions,
    max_age: i64,
    restarts: u64,
    pub(super) identity: Option<PersistentId>,
    pub(super) breaks: Breaks,
    pub(super) observed: Observed,
    /// The node's own changes.
    workers: Arc<Mutex<Workers<'a>>>,
    /// Called whenever other programs may have done something.
    watch: Watch<'a>,
}

impl<'a> Connection<'a> {
    pub(super) fn open(
        database: &Arc<Mutex<Database>>,
        host_types: &Arc<HostTypes>,
        conditions: Conditions,
        max_age: Duration,
        breaks: Breaks,
        workers: Arc<Mutex<Workers<'a>>>,
    ) -> Connection<'a> {
        let (restarts, identity) = {
            let database = database.lock();
            (database.restarts, database.identity.clone())
        };
        Connection {
            database: database.clone(),
            host_types: host_types.clone(),
            conditions,
            max_age: max_age.as_millis() as i64,
            restarts,
            identity,
            breaks,
            observed: Observed::default(),
            workers,
            watch: Box::new(|_, _| ()),
        }
    }

    /// From now on, calls this whenever other programs may have done something.
    pub(super) fn watch(&mut self, watch: Watch<'a>) {
        self.watch = watch;
    }

    /// Other programs go on; then the connection answers, or breaks.
    fn call(&mut self, doing: &'static str) -> Result<(), StoreError> {
        self.observed.calls += 1;
        assert!(self.observed.calls < MAX_CALLS, "a pass does not end: {:?}", self.observed);
        self.meanwhile();
        self.answer(doing)
    }

    fn answer(&mut self, doing: &'static str) -> Result<(), StoreError> {
        if self.restarts != self.database.lock().restarts {
            return Err(StoreError::Failed { doing, reason: "the server went away".to_owned() });
        }
        match &mut self.breaks {
            Breaks::After(0) if fastrand::bool() => Err(StoreError::Timeout { doing, limit: Duration::from_secs(5) }),
            Breaks::After(0) => Err(StoreError::Failed { doing, reason: "broken".to_owned() }),
            Breaks::After(left) => {
                *left -= 1;
                Ok(())
            }
            Breaks::Never => Ok(()),
        }
    }

    fn meanwhile(&self) {
        let mut database = self.database.lock();
        faults::meanwhile(&mut database, self.conditions);
        let mut workers = self.workers.lock();
        workers.step(&mut database);
        (self.watch)(&database, &workers);
    }

    /// The answer was read, and is not applied yet.
    fn workers_go_on(&self) {
        for _ in 0..2 {
            self.workers.lock().step(&mut self.database.lock());
        }
    }

    fn row(&self, content: &Content, domain: &str) -> Row {
        let name = DomainName::new(domain).expect("the simulation's names are valid");
        match content.settings.get(domain) {
            None | Some((_, 0 | 2)) => Row::NotEnabled(name),
            Some(&(host_type, 1)) => match self.host_types.id(host_type) {
                Some(id) => Row::Enabled(name, id),
                None => invalid(name, InvalidRowReason::UnknownHostType(host_type.to_owned())),
            },
            Some(&(_, status)) => invalid(name, InvalidRowReason::UnknownStatus(status)),
        }
    }

    fn event(&self, content: &Content, id: i64) -> Event {
        let domain = &content.events[&id].domain;
        Event { id: EventId(id), row: (!domain.is_empty()).then(|| self.row(content, domain)) }
    }

    fn fresh_ids(&self, database: &Database) -> Vec<HostTypeId> {
        let fresh = database.content.fresh.keys().filter(|host_type| database.is_fresh(host_type));
        fresh.filter_map(|host_type| self.host_types.id(host_type)).collect()
    }

    /// Records what an answer shows of the log to a follower that knows the anchor.
    fn judge(&mut self, cursor: EventId, events: &Events) {
        let Some(anchor) = self.observed.anchor.as_ref().filter(|anchor| anchor.at == cursor.0) else { return };
        let mark = |id: i64| self.database.lock().content.events.get(&id).map(|event| event.mark);
        let is_another = || anchor.mark.is_some_and(|known| mark(anchor.at) != Some(known));
        let masked = match (&events.anchor, events.bounds) {
            (Some(domain), _) if *domain == anchor.domain && is_another() => Some(Masked::SameDomain),
            (None, LogBounds::From { oldest, .. }) if oldest.0 == anchor.at + 1 => {
                mark(oldest.0).map(Masked::BeginsBehind)
            }
            _ => None,
        };
        if !std::mem::replace(&mut self.observed.judged, true) && !self.observed.loaded {
            self.observed.backwards = match events.bounds {
                LogBounds::Empty => false,
                LogBounds::From { newest, .. } if newest.0 < anchor.at => true,
                LogBounds::From { oldest, .. } => {
                    oldest.0 <= anchor.at && events.anchor.as_ref() != Some(&anchor.domain)
                }
            };
        }
        if !self.observed.backwards {
            self.observed.masked = self.observed.masked.or(masked);
        }
    }
}

fn invalid(name: DomainName, reason: InvalidRowReason) -> Row {
    Row::Invalid(InvalidRow { domain: name.as_str().to_owned(), name: Some(name), reason })
}

/// The log's ends. The oldest event is looked for from this id on.
fn bounds(content: &Content, from: EventId) -> LogBounds {
    let (mut known, ids) = (content.events.range(from.0..), content.events.keys());
    match (known.next().map(|(id, _)| id).or(ids.clone().next()), ids.clone().next_back()) {
        (Some(&oldest), Some(&newest)) => LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
        _ => LogBounds::Empty,
    }
}

fn gaps(content: &Content, most: usize) -> Vec<IdRange> {
    let ids = content.events.keys().zip(content.events.keys().skip(1)).rev();
    let apart = ids.filter(|&(one, next)| one + 1 < *next);
    apart.map(|(one, next)| IdRange { first: EventId(one + 1), last: EventId(next - 1) }).take(most).collect()
}

impl Store for Connection<'_> {
    fn identity(&mut self) -> Result<Option<DatabaseIdentity>, StoreError> {
        self.call("place")?;
        Ok(self.identity.clone().map(|PersistentId(name)| server(name)))
    }

    fn load(
        &mut self,
        batch: usize,
        most: usize,
        take: &mut dyn FnMut(Vec<Row>) -> ControlFlow<()>,
    ) -> Result<Option<LoadSummary>, StoreError> {
        const DOING: &str = "load";
        self.call(DOING)?;
        self.observed.loads += 1;
        let (loaded, rows) = {
            let database = self.database.lock();
            let content = &database.content;
            let loaded = LoadSummary {
                bounds: bounds(content, EventId(i64::MIN)),
                newest_domain: content.events.values().next_back().map(|event| event.domain.clone()),
                gaps: gaps(content, most),
                rows: if content.settings.is_empty() { TableContents::Empty } else { TableContents::NotEmpty },
                fresh: self.fresh_ids(&database),
            };
            let enabled = content.settings.iter().filter(|(_, (_, status))| ![0, 2].contains(status));
            let rows: Vec<Row> = enabled.map(|(domain, _)| self.row(content, domain)).collect();
            (loaded, rows)
        };
        for rows in rows.chunks(batch.min(fastrand::usize(1..=20))) {
            self.meanwhile();
            self.answer(DOING)?;
            if take(rows.to_vec()).is_break() {
                return Ok(None);
            }
        }
        self.meanwhile();
        self.answer(DOING)?;
        self.observed.loaded = true;
        self.observed.no_rows = loaded.rows == TableContents::Empty;
        Ok(Some(loaded))
    }

    fn events(&mut self, cursor: EventId, oldest: EventId, limit: u32) -> Result<Events, StoreError> {
        self.call("events")?;
        let mut events = {
            let database = self.database.lock();
            let content = &database.content;
            let after = content.events.range(cursor.0.saturating_add(1)..).take(limit as usize);
            Events {
                bounds: LogBounds::Empty,
                anchor: content.events.get(&cursor.0).map(|event| event.domain.clone()),
                events: after.map(|(&id, _)| self.event(content, id)).collect(),
            }
        };
        // The log's ends are read a position later, unless a transaction has a snapshot.
        if self.database.lock().kind != Kind::Serial {
            self.meanwhile();
        }
        events.bounds = bounds(&self.database.lock().content, oldest);
        self.observed.read += events.events.len() as u64;
        self.judge(cursor, &events);
        self.workers_go_on();
        Ok(events)
    }

    fn events_in(&mut self, ranges: &[IdRange], limit: u32) -> Result<Vec<Event>, StoreError> {
        self.call("events_in")?;
        let database = self.database.lock();
        let content = &database.content;
        let found = ranges.iter().flat_map(|range| content.events.range(range.first.0..=range.last.0));
        let events: Vec<Event> = found.take(limit as usize).map(|(&id, _)| self.event(content, id)).collect();
        drop(database);
        self.observed.read += events.len() as u64;
        self.workers_go_on();
        Ok(events)
    }

    fn ids_in(&mut self, ranges: &[IdRange]) -> Result<Vec<EventId>, StoreError> {
        self.call("ids_in")?;
        let database = self.database.lock();
        let ids = ranges.iter().flat_map(|range| database.content.events.range(range.first.0..=range.last.0));
        Ok(ids.map(|(&id, _)| EventId(id)).collect())
    }

    fn open_transactions(&mut self) -> Result<OpenTransactions, StoreError> {
        self.call("writers")?;
        Ok(self.database.lock().open_transactions())
    }

    fn fresh(&mut self) -> Result<Vec<HostTypeId>, StoreError> {
        self.call("fresh")?;
        Ok(self.fresh_ids(&self.database.lock()))
    }

    fn position(&mut self) -> Result<LogPosition, StoreError> {
        self.call("position")?;
        let database = self.database.lock();
        let newest = database.content.events.keys().next_back().map(|&id| EventId(id));
        Ok(LogPosition { newest, time: database.clock, horizon: database.horizon() })
    }

    fn prune(&mut self, position: &LogPosition, from: EventId, limit: u32) -> Result<Pruned, StoreError> {
        self.call("prune")?;
        let mut database = self.database.lock();
        assert_eq!(position.horizon.is_some(), database.kind.numbers_transactions());
        let Some(newest) = position.newest else { return Ok(Pruned { count: 0, last: None }) };
        let ids = from.0..newest.0.max(from.0);
        let (old, young) = database.prune(ids, position.horizon.as_deref(), limit, self.max_age);
        // Positions of a log say nothing of one that replaced it unnoticed.
        let is_masked = self.observed.masked_before.or(self.observed.masked).is_some();
        assert!(
            young.is_empty() || is_masked,
            "events that were young, or the newest, were pruned: {young:?} by {position:?}"
        );
        Ok(Pruned { count: old.len() as u64, last: old.last().map(|id| EventId(*id)) })
    }

    fn wait(&mut self, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }
}
