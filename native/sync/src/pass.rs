//! One look at the database: what is new is followed, and everything is compared when that is due.
//!
//! A pass ends when it has seen the end of the log and looked into the gaps that are open. When the
//! table is emptied in the middle of it, what it still had to write is refused by the table, and it
//! begins again with a load.

use std::time::Instant;

use domain_core::{Change, DomainName, Epoch, EventId, HostTypeId, Outcome, Progress, Refusal, Select, Source, Stale};
use domain_store::{Event, LogBounds, Row, Store};

use crate::cursor::{Cursor, LogFault};
use crate::gaps::Scope;
use crate::outbox::Halt;
use crate::state::Age;
use crate::work::Work;
use crate::{Repairs, Report, RowWarning, State};

/// Rows or routes that are applied, or looked at, in one go: few enough to hold in memory twice, enough
/// to make asking for leave cheap.
pub(crate) const BATCH: usize = 8_192;

/// Events a statement.
const EVENTS: u32 = 1_000;

/// Why a step of a pass broke off.
pub(crate) enum Break {
    Halt(Halt),
    /// The table was emptied: begin again.
    Stale,
    /// The log cannot be followed.
    Log(LogFault),
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

/// A look at the log: for which routes, how closely, and how it went.
pub(crate) struct Look<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) source: Source,
    pub(crate) scope: Scope,
    pub(crate) now: Instant,
    /// Told of every row that an event led to.
    heard: &'a mut dyn FnMut(&str),
    tally: Tally,
}

impl<'a> Look<'a> {
    pub(crate) fn new(
        epoch: Epoch,
        source: Source,
        scope: Scope,
        now: Instant,
        heard: &'a mut dyn FnMut(&str),
    ) -> Look<'a> {
        Look { epoch, source, scope, now, heard, tally: Tally::default() }
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

impl Work<'_> {
    /// Makes the table current. What was repaired, if everything was compared.
    pub(crate) fn pass(&mut self, store: &mut dyn Store, now: Instant) -> Result<Option<Repairs>, Halt> {
        let scope = if self.poll.take_due(now) || self.outbox.is_awaited() { Scope::All } else { Scope::Open };
        let repairs = loop {
            match self.step(store, scope, now) {
                Ok(repairs) => break repairs,
                Err(Break::Halt(halt)) => return Err(halt),
                Err(Break::Stale) => (),
                Err(Break::Log(fault)) => self.want_for(fault),
            }
        };
        self.clean(store, now)?;
        Ok(repairs)
    }

    fn step(&mut self, store: &mut dyn Store, scope: Scope, now: Instant) -> Result<Option<Repairs>, Break> {
        let (epoch, progress) = self.table.progress();
        if progress == Progress::Closed {
            self.converge.start(now);
            return Ok(None);
        }
        let wanted = match (self.due_first(epoch, progress), progress) {
            (None, Progress::Following { source }) => {
                let heard = self.catch_up(store, Look::new(epoch, source, scope, now, &mut |_| ()))?;
                if heard > 0 && self.memory.kept() > 0 {
                    self.count_kept(source);
                }
                self.due_then(store, now)?
            }
            (wanted, _) => wanted,
        };
        let repairs = wanted.map(|wanted| self.converge(store, epoch, wanted, now)).transpose()?;
        self.enter(State::Following);
        Ok(repairs)
    }

    /// Follows the log to its end, and looks into its gaps. How many events there were.
    pub(crate) fn catch_up(&mut self, store: &mut dyn Store, mut look: Look<'_>) -> Result<u64, Break> {
        let mut found = 0;
        loop {
            let cursor = self.cursor()?;
            let mut events = store.events(cursor.at, cursor.gaps.oldest(), EVENTS)?;
            let mut check = cursor.check(&events);
            // Evidence of a loss stands, whatever becomes of the connection or of the log a moment later.
            if let Err(LogFault::Truncated | LogFault::Begun) = check {
                // Where another log begins, the known beginning says nothing of.
                events = store.events(cursor.at, EventId(i64::MIN), EVENTS)?;
                check = cursor.check(&events);
            }
            let bounds = events.bounds;
            if let Err(fault) = check {
                return Err(self.out_of_sync(fault, bounds));
            }
            self.hear(&mut look, &events.events)?;
            let cursor = self.cursor()?;
            cursor.pass(&events, look.now);
            if let Err(fault) = cursor.note_oldest(bounds, look.now) {
                return Err(self.out_of_sync(fault, bounds));
            }
            self.tell_progress(bounds, events.events.len());
            found += events.events.len();
            if events.events.len() < EVENTS as usize {
                break;
            }
        }
        if found == 0 {
            // Somebody wanted us to look: it may be at an id that was given up.
            look.scope = Scope::All;
        }
        self.settle(store, &mut look)?;
        self.memory.age = Age::Seen;
        self.outbox.status(|status| status.is_current());
        let Tally { inserts, deletes, skips } = look.tally;
        if inserts + deletes + skips > 0 {
            self.outbox.report(Report::Updated { inserts, deletes, skips });
        }
        Ok(inserts + deletes + skips)
    }

    /// Looks into the gaps: see [`crate::gaps`].
    fn settle(&mut self, store: &mut dyn Store, look: &mut Look<'_>) -> Result<(), Break> {
        if self.cursor()?.gaps.open() > 0 {
            let writers = store.open_transactions()?;
            self.cursor()?.gaps.look(&writers, look.now);
        }
        loop {
            let ranges = self.cursor()?.gaps.to_read(look.scope);
            if ranges.is_empty() {
                break;
            }
            let events = store.events_in(&ranges, EVENTS)?;
            self.hear(look, &events)?;
            self.outbox.status(|status| status.events += events.len() as u64);
            let gaps = &mut self.cursor()?.gaps;
            events.iter().for_each(|event| gaps.fill(event.id, look.now));
            if events.len() < EVENTS as usize {
                break;
            }
        }
        let gaps = &mut self.cursor()?.gaps;
        gaps.bury();
        let open = gaps.open();
        self.outbox.status(|status| status.open_gaps = open as u64);
        Ok(())
    }

    /// Counts the routes that were kept when this source was loaded, and are there still.
    pub(crate) fn count_kept(&mut self, source: Source) {
        self.memory.kept.clear();
        for page in self.table.pages(Select::Older(source), BATCH) {
            page.iter().for_each(|(_, host_type)| *self.memory.kept.entry(host_type).or_default() += 1);
        }
        self.tell_kept();
    }

    /// The place in the log. Without one there is a load to do first.
    fn cursor(&mut self) -> Result<&mut Cursor, Break> {
        self.memory.cursor.as_mut().ok_or(Break::Stale)
    }

    fn out_of_sync(&mut self, fault: LogFault, bounds: LogBounds) -> Break {
        if let (Some(cursor), LogFault::Truncated | LogFault::Backwards) = (&self.memory.cursor, fault) {
            let cursor = cursor.at;
            self.outbox.report(Report::OutOfSync { cursor, bounds });
        }
        Break::Log(fault)
    }

    fn tell_progress(&self, bounds: LogBounds, count: usize) {
        let cursor = self.memory.cursor.as_ref().map(|cursor| cursor.at);
        self.outbox.status(|status| {
            status.cursor = cursor;
            status.events += count as u64;
            status.newest = match bounds {
                LogBounds::Empty => None,
                LogBounds::From { newest, .. } => cursor.max(Some(newest)),
            };
        });
    }

    /// Does what events lead to.
    fn hear(&mut self, look: &mut Look<'_>, events: &[Event]) -> Result<(), Break> {
        self.heard.note(events);
        let rows: Vec<Row> = events.iter().filter_map(|event| event.row.clone()).collect();
        rows.iter().for_each(|row| (look.heard)(row.domain()));
        look.tally.skips += (events.len() - rows.len()) as u64;
        if !rows.is_empty() {
            look.tally.count(&self.apply(look.epoch, look.source, rows)?.1);
        }
        Ok(())
    }

    /// Makes the table say what these rows say, once the owner lets us.
    pub(crate) fn apply(
        &mut self,
        epoch: Epoch,
        source: Source,
        rows: Vec<Row>,
    ) -> Result<(Vec<Change>, Vec<Outcome>), Break> {
        let allowed = self.table.allowed_host_types();
        let changes: Vec<Change> = rows.into_iter().filter_map(|row| self.change(row, &allowed)).collect();
        self.outbox.await_permit()?;
        let outcomes = self.table.apply(epoch, source, &changes)?;
        for (change, outcome) in changes.iter().zip(&outcomes) {
            self.warn_of_refusal(change, *outcome);
        }
        Ok((changes, outcomes))
    }

    /// The change that a row asks for.
    fn change(&mut self, row: Row, allowed: &[HostTypeId]) -> Option<Change> {
        match row {
            Row::Enabled(domain, host_type) if !allowed.contains(&host_type) => {
                self.warn_of_host_type(domain.as_str(), host_type);
                self.disown(domain)
            }
            Row::Enabled(domain, host_type) => Some(Change::Put(domain, host_type)),
            Row::NotEnabled(domain) => Some(Change::Remove(domain)),
            Row::Invalid(invalid) => {
                self.outbox.warnings.add(RowWarning::invalid_row(invalid.domain, invalid.reason));
                invalid.name.and_then(|domain| self.disown(domain))
            }
        }
    }

    /// A row that makes no sense must not leave behind the route that it meant before. A static
    /// domain stays, and one warning about its row is enough.
    fn disown(&self, domain: DomainName) -> Option<Change> {
        (!self.table.is_static(domain.as_bytes())).then_some(Change::Remove(domain))
    }

    fn warn_of_host_type(&mut self, domain: &str, host_type: HostTypeId) {
        let host_type = self.table.host_types().name(host_type).to_string();
        self.outbox.warnings.add(RowWarning::UnknownHostType { domain: domain.to_owned(), host_type });
    }

    fn warn_of_refusal(&mut self, change: &Change, outcome: Outcome) {
        let domain = change.domain().as_str();
        match (change, outcome) {
            (Change::Put(..), Outcome::Refused(Refusal::Static)) => {
                self.outbox.warnings.add(RowWarning::StaticButInDb { domain: domain.to_owned() });
            }
            (Change::Remove(_), Outcome::Refused(_)) => {
                self.outbox.warnings.add(RowWarning::StaticButWasInDb { domain: domain.to_owned() });
            }
            (Change::Put(_, host_type), Outcome::Refused(Refusal::UnknownHostType)) => {
                self.warn_of_host_type(domain, *host_type);
            }
            (Change::Put(..), _) => self.outbox.warnings.withdraw(domain),
            (Change::Remove(_), _) => (),
        }
    }
}
