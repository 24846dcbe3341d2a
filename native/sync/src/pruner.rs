//! Deleting old events.
//!
//! Events have no time. So each node notes from time to time how far the log reaches, with the time of the *database's*
//! clock. Once that clock says that such a position is old enough, the events up to it are deleted, except the newest of
//! them. A node whose own clock is wrong deletes nothing too early, since its clock only says when to look. All nodes
//! do this, and do not disturb each other.

use std::time::{Duration, Instant};

use domain_core::EventId;
use domain_store::{Pruned, Store, StoreError};

use crate::context::Context;
use crate::halt::Halt;
use crate::options::PruneOptions;
use crate::report::Report;
use crate::state::PruneProgress;
use crate::timer::Timer;

/// The most events that one statement deletes: few enough to take no time.
const LIMIT: u32 = 10_000;

/// The most positions that are remembered, about.
const POSITIONS: u32 = 1_000;

pub(crate) struct Pruner {
    timer: Timer,
    rights: Rights,
}

/// Whether the database lets this node delete events. A user with read access alone can follow all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Assumed,
    Denied,
}

impl Pruner {
    pub(crate) fn new(options: PruneOptions, now: Instant) -> Pruner {
        Pruner { timer: Timer::due_now(options.interval, now), rights: Rights::Assumed }
    }

    /// How long until the next look.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.timer.left(now)
    }

    /// Deletes old events, if it is time for it.
    pub(crate) fn run(&mut self, context: &mut Context<'_>, store: &mut dyn Store, now: Instant) -> Result<(), Halt> {
        if !self.timer.take_due(now) {
            return Ok(());
        }
        if context.state.pruning.is_none() {
            note_position(context, store)?;
        }
        self.prune(context, store, now)
    }

    /// Deletes the next part. If there are more, the next pass deletes them.
    fn prune(&mut self, context: &mut Context<'_>, store: &mut dyn Store, now: Instant) -> Result<(), Halt> {
        let Some(PruneProgress { position, from }) = context.state.pruning.take() else { return Ok(()) };
        match store.prune(&position, from, LIMIT) {
            Ok(Pruned { count, last }) => {
                self.rights = Rights::Assumed;
                if let Some(last) = last.filter(|_| count == u64::from(LIMIT)) {
                    context.state.pruning = Some(PruneProgress { position, from: last });
                    self.timer = Timer::due_now(context.options.pruning.interval, now);
                }
                Ok(())
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::Conflict { .. })) => {
                if std::mem::replace(&mut self.rights, Rights::Denied) == Rights::Assumed {
                    context.outbox.report(Report::PruneFailed { error: error.to_string() });
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Notes how far the log reaches, and which of the positions noted before is old now.
fn note_position(context: &mut Context<'_>, store: &mut dyn Store) -> Result<(), Halt> {
    let PruneOptions { max_age, .. } = context.options.pruning;
    let mut present = store.position()?;
    // Only events that were read: no follower would notice that the log lost one that was not, and gave its id to
    // another.
    let Some(cursor) = &context.state.cursor else { return Ok(()) };
    present.newest = present.newest.min(Some(cursor.at));
    let positions = &mut context.state.positions;
    if positions.back().is_some_and(|last| present.time < last.time || present.newest < last.newest) {
        // The clock was set back, or the log is another one.
        positions.clear();
    }
    let is_old = |time: i64| u128::from(present.time.abs_diff(time)) >= max_age.as_millis();
    let old = positions.partition_point(|position| is_old(position.time));
    let old = positions.drain(..old).next_back();
    let apart = max_age / POSITIONS;
    if positions.back().is_none_or(|last| u128::from(present.time.abs_diff(last.time)) >= apart.as_millis()) {
        positions.push_back(present);
    }
    if let Some(position) = old {
        context.state.pruning = Some(PruneProgress { position, from: EventId(i64::MIN) });
    }
    Ok(())
}
