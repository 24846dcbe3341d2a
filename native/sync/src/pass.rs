//! One look at the database: what was never loaded is loaded, what is new is followed.
//!
//! A pass ends when it has seen the end of the log. When the table is emptied in the middle of it,
//! what it still had to write is refused by the table, and it begins again with a load.

use std::ops::ControlFlow;
use std::time::{Instant, SystemTime};

use domain_core::{
    Change, DomainName, Epoch, EventId, HostTypeId, Outcome, Position, Progress, Refusal, Select, Source, Stale,
};
use domain_store::{Bounds, Events, Row, Store};

use crate::follower::{Halt, Work};
use crate::{Complaint, Report, State};

/// Rows that are read before leave is asked for and they are applied: few enough to hold in memory
/// twice, enough to make the asking cheap.
const BATCH: usize = 8_192;

/// Events a statement.
const EVENTS: u32 = 1_000;

/// What becomes of routes that a load did not bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outdated {
    Keep,
    Remove,
}

/// Why a step of a pass broke off.
enum Break {
    Halt(Halt),
    /// The table was emptied: begin again.
    Stale,
}

impl From<Stale> for Break {
    fn from(Stale: Stale) -> Self {
        Break::Stale
    }
}

impl<E: Into<Halt>> From<E> for Break {
    fn from(error: E) -> Self {
        Break::Halt(error.into())
    }
}

/// How events went.
#[derive(Default)]
struct Tally {
    inserts: u64,
    deletes: u64,
    skips: u64,
}

impl Tally {
    fn count(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome {
                Outcome::Added | Outcome::Moved(_) => self.inserts += 1,
                Outcome::Removed(_) => self.deletes += 1,
                Outcome::Kept | Outcome::Absent | Outcome::Refused(_) => self.skips += 1,
            }
        }
    }
}

impl Work {
    /// Makes the table current.
    pub(crate) fn pass(&mut self, store: &mut dyn Store) -> Result<(), Halt> {
        loop {
            let (epoch, progress) = self.table.progress();
            if self.epoch.replace(epoch) != Some(epoch) {
                // Other rules may hold now.
                self.complaints.forget();
            }
            let done = match progress {
                Progress::Closed => return Ok(()),
                Progress::Unloaded => self.load(store, epoch, Outdated::Keep),
                Progress::Reset => self.load(store, epoch, Outdated::Remove),
                Progress::Following { source, cursor } => Ok((source, cursor)),
            };
            match done.and_then(|(source, cursor)| self.catch_up(store, epoch, source, cursor)) {
                Ok(()) => return Ok(()),
                Err(Break::Halt(halt)) => return Err(halt),
                Err(Break::Stale) => (),
            }
        }
    }

    /// Reads every enabled row. Answers what the routes are from and how current they are.
    fn load(&mut self, store: &mut dyn Store, epoch: Epoch, outdated: Outdated) -> Result<(Source, EventId), Break> {
        let begin = Instant::now();
        self.status(|status| status.enter(State::Loading));
        let source = self.table.new_source();
        let mut count = 0;
        let mut broken = None;
        let newest = store.load(BATCH, &mut |rows| match self.apply(epoch, source, rows) {
            Ok(outcomes) => {
                count += outcomes.iter().filter(|outcome| is_route(**outcome)).count() as u64;
                ControlFlow::Continue(())
            }
            Err(error) => {
                broken = Some(error);
                ControlFlow::Break(())
            }
        })?;
        let Some(cursor) = newest else {
            return Err(broken.unwrap_or(Break::Stale));
        };
        self.settle_outdated(epoch, source, outdated)?;
        self.advance(epoch, source, cursor)?;
        self.status(|status| status.loads += 1);
        self.report(Report::Loaded { count, took: begin.elapsed() });
        Ok((source, cursor))
    }

    /// Follows the log to its end.
    fn catch_up(&mut self, store: &mut dyn Store, epoch: Epoch, source: Source, cursor: EventId) -> Result<(), Break> {
        self.status(|status| status.enter(State::Following));
        let (mut source, mut cursor) = (source, cursor);
        let mut tally = Tally::default();
        loop {
            let Events { bounds, rows, count, last } = store.events(cursor, EVENTS)?;
            if is_out_of_sync(cursor, bounds) {
                // A log that was empty may begin with any id: nothing is wrong with it, and a load
                // makes sure of what may have been pruned from it since.
                if cursor > EventId(0) {
                    self.report(Report::OutOfSync { cursor, bounds });
                }
                (source, cursor) = self.load(store, epoch, Outdated::Keep)?;
                self.status(|status| status.enter(State::Following));
                continue;
            }
            if let Some(last) = last {
                tally.skips += (count - rows.len()) as u64;
                tally.count(&self.apply(epoch, source, rows)?);
                self.advance(epoch, source, last)?;
                cursor = last;
            }
            self.status(|status| {
                status.events += count as u64;
                status.newest = match bounds {
                    Bounds::Empty => None,
                    Bounds::From { newest, .. } => Some(newest.max(cursor)),
                };
            });
            if count < EVENTS as usize {
                break;
            }
        }
        self.status(|status| status.current_at = Some(SystemTime::now()));
        let Tally { inserts, deletes, skips } = tally;
        if inserts + deletes + skips > 0 {
            self.report(Report::Updated { inserts, deletes, skips });
        }
        Ok(())
    }

    /// Makes the table say what these rows say, once the owner lets us.
    fn apply(&mut self, epoch: Epoch, source: Source, rows: Vec<Row>) -> Result<Vec<Outcome>, Break> {
        let changes: Vec<Change> = rows.into_iter().filter_map(|row| self.change(row)).collect();
        self.leave()?;
        let outcomes = self.table.apply(epoch, source, &changes)?;
        for (change, outcome) in changes.iter().zip(&outcomes) {
            self.complain_of_refusal(change, *outcome);
        }
        Ok(outcomes)
    }

    /// The change that a row asks for.
    fn change(&mut self, row: Row) -> Option<Change> {
        match row {
            Row::Enabled(domain, host_type) if !self.table.is_allowed(host_type) => {
                self.complain_of_host_type(domain.as_str(), host_type);
                self.disown(domain)
            }
            Row::Enabled(domain, host_type) => Some(Change::Put(domain, host_type)),
            Row::NotEnabled(domain) => Some(Change::Remove(domain)),
            Row::Misfit(misfit) => {
                self.complaints.make(Complaint::misfit(misfit.domain, misfit.why));
                misfit.name.and_then(|domain| self.disown(domain))
            }
        }
    }

    /// A row that makes no sense must not leave behind the route that it meant before. A static
    /// domain stays, and one complaint about its row is enough.
    fn disown(&self, domain: DomainName) -> Option<Change> {
        (!self.table.is_static(domain.as_bytes())).then_some(Change::Remove(domain))
    }

    fn complain_of_host_type(&mut self, domain: &str, host_type: HostTypeId) {
        let host_type = self.table.host_types().name(host_type).to_string();
        self.complaints.make(Complaint::UnknownHostType { domain: domain.to_owned(), host_type });
    }

    fn complain_of_refusal(&mut self, change: &Change, outcome: Outcome) {
        let domain = change.domain().as_str();
        match (change, outcome) {
            (Change::Put(..), Outcome::Refused(Refusal::Static)) => {
                self.complaints.make(Complaint::StaticButInDb { domain: domain.to_owned() });
            }
            (Change::Remove(_), Outcome::Refused(_)) => {
                self.complaints.make(Complaint::StaticButWasInDb { domain: domain.to_owned() });
            }
            (Change::Put(_, host_type), Outcome::Refused(Refusal::UnknownHostType)) => {
                self.complain_of_host_type(domain, *host_type);
            }
            (Change::Put(..), _) => self.complaints.withdraw(domain),
            (Change::Remove(_), _) => (),
        }
    }

    fn advance(&mut self, epoch: Epoch, source: Source, cursor: EventId) -> Result<(), Break> {
        self.table.advance(epoch, Progress::Following { source, cursor })?;
        self.status(|status| status.cursor = Some(cursor));
        Ok(())
    }

    /// Removes the routes that the load from `source` did not bring, or says how many there are.
    fn settle_outdated(&mut self, epoch: Epoch, source: Source, outdated: Outdated) -> Result<(), Break> {
        let mut count = 0;
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let page = self.table.page(Select::Outdated(source), from, BATCH);
            position = page.next;
            count += page.len() as u64;
            if outdated == Outdated::Remove && !page.is_empty() {
                // What is in the table has a valid name.
                let domains = page.iter().filter_map(|(name, _)| DomainName::from_bytes(name).ok());
                let changes: Vec<_> = domains.map(Change::Remove).collect();
                self.leave()?;
                self.table.apply(epoch, source, &changes)?;
            }
        }
        match outdated {
            _ if count == 0 => (),
            Outdated::Remove => self.report(Report::OutdatedRemoved { count }),
            Outdated::Keep => self.report(Report::OutdatedKept { count }),
        }
        Ok(())
    }
}

fn is_route(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Added | Outcome::Kept | Outcome::Moved(_))
}

/// Whether the log cannot be the one that was followed up to `cursor`: it lost events that were
/// not seen yet, or its ids ran backwards.
fn is_out_of_sync(cursor: EventId, bounds: Bounds) -> bool {
    match bounds {
        Bounds::Empty => cursor > EventId(0),
        Bounds::From { oldest, newest } => newest < cursor || oldest.0 > cursor.0.saturating_add(1),
    }
}
