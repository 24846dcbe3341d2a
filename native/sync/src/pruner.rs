//! Pruning old events.
//!
//! Events have no time, so a node notes what the log was like at moments of the *database's* clock, and
//! once that clock says that such a moment is old enough, deletes what was there then, but for the
//! newest event of that moment. A node whose own clock is wrong prunes nothing too early: its clock
//! says only when to look. Every node prunes; they do not get into each other's way.

use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{LogPosition, Pruned, Store, StoreError};

use crate::Report;
use crate::outbox::Halt;
use crate::timer::Timer;
use crate::work::Work;

/// When events are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// How often to look.
    pub interval: Duration,
    /// An event that was there so long ago is old.
    pub max_age: Duration,
}

/// Whether the database lets this node delete events: a user who may only read follows all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum MayClean {
    #[default]
    Unknown,
    No,
}

/// Events a statement: few enough to be deleted in no time.
const EVENTS: u32 = 10_000;

/// Events that are being deleted, a part in each pass.
#[derive(Debug, Clone)]
pub(crate) struct Pruning {
    moment: LogPosition,
    from: EventId,
}

/// Moments that are remembered, about.
const MOMENTS: u32 = 1_000;

impl Work<'_> {
    /// Prunes, if it is time.
    pub(crate) fn clean(&mut self, store: &mut dyn Store, now: Instant) -> Result<(), Halt> {
        if !self.clean.take_due(now) {
            return Ok(());
        }
        if self.memory.pruning.is_none() {
            self.look_at_the_log(store)?;
        }
        self.prune(store, now)
    }

    /// Notes what the log is like, and what of it is old.
    fn look_at_the_log(&mut self, store: &mut dyn Store) -> Result<(), Halt> {
        let PruneOptions { max_age, .. } = self.options.pruning;
        let mut present = store.position()?;
        // Of events that were not read yet nobody would notice that the log lost them, and gave their ids
        // to others.
        let Some(cursor) = &self.memory.cursor else { return Ok(()) };
        present.newest = present.newest.min(Some(cursor.at));
        let moments = &mut self.memory.moments;
        if moments.back().is_some_and(|last| present.time < last.time || present.newest < last.newest) {
            // The clock is another one, or the log is.
            moments.clear();
        }
        let is_old = |time: i64| u128::from(present.time.abs_diff(time)) >= max_age.as_millis();
        let old = moments.partition_point(|moment| is_old(moment.time));
        let old = moments.drain(..old).next_back();
        let apart = max_age / MOMENTS;
        if moments.back().is_none_or(|last| u128::from(present.time.abs_diff(last.time)) >= apart.as_millis()) {
            moments.push_back(present);
        }
        if let Some(moment) = old {
            self.memory.pruning = Some(Pruning { moment, from: EventId(i64::MIN) });
        }
        Ok(())
    }

    /// Deletes the next part, and lets the next pass follow soon if there are more.
    fn prune(&mut self, store: &mut dyn Store, now: Instant) -> Result<(), Halt> {
        let Some(Pruning { moment, from }) = self.memory.pruning.take() else { return Ok(()) };
        match store.prune(&moment, from, EVENTS) {
            Ok(Pruned { count, last }) => {
                self.may_clean = MayClean::Unknown;
                if let Some(last) = last.filter(|_| count == u64::from(EVENTS)) {
                    self.memory.pruning = Some(Pruning { moment, from: last });
                    self.clean = Timer::due_now(self.options.pruning.interval, now);
                }
                Ok(())
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::Conflict { .. })) => {
                if std::mem::replace(&mut self.may_clean, MayClean::No) == MayClean::Unknown {
                    self.outbox.report(Report::PruneFailed { error: error.to_string() });
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
