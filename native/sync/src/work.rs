//! What a pass works with, and the rules by which it knows what to do next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{Epoch, Progress, Table};
use domain_store::{DatabaseIdentity, LoadSummary, PersistentId, Store};

use crate::cursor::{Cursor, LogFault};
use crate::gate::Gate;
use crate::outbox::{Halt, Outbox};
use crate::pruner::{MayClean, PruneOptions};
use crate::recent_events::RecentEvents;
use crate::state::{Age, FollowerState};
use crate::timer::Timer;
use crate::warm_start::{Saving, WarmStart};
use crate::{Evidence, Report, State, Totals};

/// How a follower goes about its work.
#[derive(Debug, Clone)]
pub struct Options {
    /// It looks at the database at least so often.
    pub poll_interval: Duration,
    /// It compares everything at least so often.
    pub converge_interval: Duration,
    /// What a comparison may remove.
    pub gate: Gate,
    /// When events are old.
    pub pruning: PruneOptions,
    /// The file to serve from while the database is away at start.
    pub warm_start: Option<WarmStart>,
}

/// Why the whole table is compared with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was loaded yet.
    Cold,
    /// The service was restarted to that end.
    Reset,
    /// The routes are from a file.
    WarmStart,
    /// Events that were not seen yet may be gone.
    LogTruncated,
    /// The log had been empty, and begins with a large id.
    LogBegun,
    /// The log's ids ran backwards, or the last event that was followed is not there.
    LogBackwards,
    /// It is another database, or another timeline, than before.
    OtherDatabase,
    /// More ids were missing from the log than are remembered.
    ManyGaps,
    /// Somebody asked for it.
    Asked,
    /// A host type of which routes were kept is fresh now.
    Fresh,
    /// It was time.
    Periodic,
}

impl From<LogFault> for Reason {
    fn from(fault: LogFault) -> Self {
        match fault {
            LogFault::Truncated => Reason::LogTruncated,
            LogFault::Begun => Reason::LogBegun,
            LogFault::Backwards => Reason::LogBackwards,
        }
    }
}

impl Reason {
    /// What becomes of the cursor.
    pub(crate) fn log(self) -> LogState {
        match self {
            Reason::Reset | Reason::WarmStart | Reason::ManyGaps | Reason::Asked | Reason::Fresh | Reason::Periodic => {
                LogState::Followed
            }
            Reason::OtherDatabase => LogState::Elsewhere,
            Reason::LogTruncated | Reason::LogBegun => LogState::Shortened,
            Reason::Cold | Reason::LogBackwards => LogState::Lost,
        }
    }

    /// Whether something is wrong with the log or the database.
    fn is_grave(self) -> bool {
        self.log() != LogState::Followed
    }

    /// What it says about a database that lost data.
    pub(crate) fn evidence(self) -> Option<Evidence> {
        match self {
            Reason::LogBackwards => Some(Evidence::IdsBackwards),
            Reason::OtherDatabase => Some(Evidence::OtherDatabase),
            _ => None,
        }
    }
}

/// A comparison that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) reason: Reason,
    /// What it will find of the log.
    pub(crate) log: LogState,
}

impl Wanted {
    /// Whether it passes over events that were not followed: without it there is no log to follow.
    pub(crate) fn skips(self) -> bool {
        matches!(self.log, LogState::Shortened | LogState::Lost)
    }
}

/// What a comparison finds of the log that was followed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// All of it.
    Followed,
    /// All of it, in another database: it goes on there, and which ids are still to show is another question.
    Elsewhere,
    /// Its beginning is gone, and what was not seen with it.
    Shortened,
    /// Another one: only what comes from now on can be followed.
    Lost,
}

/// A follower at work: everything but the thread and the connection.
pub(crate) struct Work<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) memory: &'a mut FollowerState,
    pub(crate) table: &'a Arc<Table>,
    pub(crate) options: &'a Options,
    /// What the database is called that this thread is connected to.
    identity: Option<PersistentId>,
    /// The last events that were read on this connection.
    pub(crate) heard: RecentEvents,
    pub(crate) poll: Timer,
    pub(crate) converge: Timer,
    pub(crate) clean: Timer,
    pub(crate) may_clean: MayClean,
    pub(crate) saving: Saving,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        outbox: &'a mut Outbox,
        memory: &'a mut FollowerState,
        table: &'a Arc<Table>,
        options: &'a Options,
        now: Instant,
    ) -> Work<'a> {
        let (stale, totals) = (memory.age == Age::Stale, memory.totals);
        outbox.status(|status| (status.stale, status.totals) = (stale, totals));
        let work = Work {
            outbox,
            memory,
            table,
            options,
            identity: None,
            heard: RecentEvents::default(),
            poll: Timer::new(options.poll_interval, now),
            converge: Timer::new(options.converge_interval, now),
            clean: Timer::due_now(options.pruning.interval, now),
            may_clean: MayClean::default(),
            saving: Saving::new(options.warm_start.as_ref(), now),
        };
        work.tell_kept();
        work
    }

    /// Learns which database a new connection leads to.
    pub(crate) fn meet(&mut self, store: &mut dyn Store) -> Result<(), Halt> {
        let place = store.identity()?;
        self.identity = place.as_ref().map(DatabaseIdentity::persistent_id);
        self.heard.clear();
        self.outbox.shared.followed.follower_connected(place);
        if let Some(cursor) = &mut self.memory.cursor {
            cursor.gaps.look_anew();
        }
        Ok(())
    }

    /// How long there is nothing to do, if nobody says otherwise.
    pub(crate) fn idle_time(&self, now: Instant) -> Duration {
        let timers = [&self.poll, &self.converge, &self.clean].into_iter().chain(self.saving.timer());
        timers.map(|timer| timer.left(now)).min().unwrap_or_default()
    }

    pub(crate) fn wanted(&self) -> Option<Reason> {
        self.memory.wanted.map(|wanted| wanted.reason)
    }

    pub(crate) fn want(&mut self, reason: Reason) {
        self.memory.wanted = Some(Wanted { reason, log: reason.log() });
    }

    /// The log cannot be followed. What another database has left of it is no news.
    pub(crate) fn want_for(&mut self, fault: LogFault) {
        let (found, log) = match Reason::from(fault) {
            _ if self.elsewhere().is_some() => (Reason::OtherDatabase, LogState::Lost),
            found => (found, found.log()),
        };
        self.memory.loss = found.evidence().or(self.memory.loss);
        // A first load that has not ended stays the first one, whatever became of the log meanwhile.
        let reason = self.wanted().filter(|wanted| *wanted == Reason::Cold).unwrap_or(found);
        self.memory.wanted = Some(Wanted { reason, log });
    }

    /// The database that the routes are from and the present one, if they are not the same.
    fn elsewhere(&self) -> Option<(&PersistentId, &PersistentId)> {
        self.memory.identity.as_ref().zip(self.identity.as_ref()).filter(|(before, now)| before != now)
    }

    /// The comparison that has to come before anything else, if any: without it there is no log to follow.
    pub(crate) fn due_first(&mut self, epoch: Epoch, progress: Progress) -> Option<Wanted> {
        if self.memory.epoch.replace(epoch) != Some(epoch) {
            // Other rules may hold now.
            self.outbox.warnings.forget();
            if progress != Progress::Reset {
                // These were about routes that are gone.
                self.memory.cursor = None;
                self.memory.wanted = None;
                self.memory.loss = None;
                self.memory.kept.clear();
                self.memory.identity = None;
            }
        }
        match (progress, &self.memory.cursor) {
            (Progress::Unloaded, _) | (_, None) => {
                self.want(Reason::Cold);
                return self.memory.wanted;
            }
            // What is wanted for a graver reason does the same.
            (Progress::Reset, _) if !self.wanted().is_some_and(Reason::is_grave) => self.want(Reason::Reset),
            _ => (),
        }
        if self.wanted() != Some(Reason::OtherDatabase)
            && let Some((PersistentId(before), PersistentId(now))) = self.elsewhere()
        {
            let report = Report::OtherDatabase { before: before.clone(), now: now.clone() };
            self.outbox.report(report);
            self.memory.loss = Some(Evidence::OtherDatabase);
            self.memory.forget_moments();
            self.want(Reason::OtherDatabase);
        }
        let reset = progress == Progress::Reset;
        let first = |wanted: &Wanted| reset || wanted.reason == Reason::Reset || wanted.skips();
        self.memory.wanted.filter(first)
    }

    /// The comparison that is due once the log was followed to its end.
    pub(crate) fn due_then(&mut self, store: &mut dyn Store, now: Instant) -> Result<Option<Wanted>, Halt> {
        let is_time = self.converge.take_due(now);
        let overflow = self.memory.cursor.as_mut().is_some_and(|cursor| cursor.gaps.take_overflow());
        if overflow && self.memory.wanted.is_none() {
            self.want(Reason::ManyGaps);
        }
        if self.memory.wanted.is_some() {
            return Ok(self.memory.wanted);
        }
        let kept = &self.memory.kept;
        if self.outbox.asked_to_converge().is_some() {
            self.want(Reason::Asked);
        } else if is_time {
            self.want(Reason::Periodic);
        } else if !kept.is_empty() && store.fresh()?.iter().any(|host_type| kept.contains_key(host_type)) {
            self.want(Reason::Fresh);
        }
        Ok(self.memory.wanted)
    }

    /// Whether a comparison goes on from the cursor, and needs no other one.
    pub(crate) fn stays_in_the_log(&self, wanted: Wanted) -> bool {
        wanted.log == LogState::Followed && self.memory.cursor.is_some()
    }

    /// The routes are those of the database that this thread is connected to, and its log is the one to
    /// follow: if the comparison breaks off from here on, the next one does not pass over what came since.
    pub(crate) fn take_over(&mut self, loaded: &LoadSummary, Wanted { reason, log }: Wanted, now: Instant) {
        self.memory.wanted = Some(Wanted { reason, log: LogState::Followed });
        match (log, &mut self.memory.cursor) {
            (LogState::Followed, Some(_)) => (),
            (LogState::Elsewhere, Some(cursor)) => cursor.stay(loaded, now),
            (LogState::Shortened, Some(cursor)) => cursor.skip_to(loaded, now),
            (LogState::Lost, _) | (_, None) => self.memory.cursor = Some(Cursor::at_end(loaded, now)),
        }
        if log != LogState::Followed {
            self.memory.forget_moments();
        }
        // Who takes over from here sees no trace of what was found.
        self.memory.loss = reason.evidence().or(self.memory.loss);
        self.memory.identity = self.identity.clone();
    }

    /// The comparison that was wanted is made.
    pub(crate) fn converged(&mut self, now: Instant) {
        self.memory.wanted = None;
        self.memory.added.clear();
        self.converge.start(now);
        self.tell_kept();
    }

    pub(crate) fn tell_kept(&self) {
        let (kept, names) = (self.memory.kept(), self.table.host_types());
        let by_host_type = self.memory.kept.iter().map(|(host_type, count)| (names.name(*host_type), *count)).collect();
        self.outbox.status(|status| (status.kept, status.kept_by_host_type) = (kept, by_host_type));
    }

    /// Counts something that no later thread forgets.
    pub(crate) fn total(&mut self, count: impl FnOnce(&mut Totals)) {
        count(&mut self.memory.totals);
        let totals = self.memory.totals;
        self.outbox.status(|status| status.totals = totals);
    }

    pub(crate) fn enter(&self, state: State) {
        self.outbox.status(|status| status.enter(state));
    }
}
