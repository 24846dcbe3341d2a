//! Which comparison is due, and when the follower looks at the database without being woken.

use std::time::{Duration, Instant};

use domain_core::{Epoch, Progress};
use domain_store::{PersistentId, Store};

use crate::comparison::{Comparison, LogState, Reason};
use crate::context::Context;
use crate::cursor::LogFault;
use crate::gaps::Scope;
use crate::gate::Evidence;
use crate::halt::Halt;
use crate::options::Options;
use crate::report::Report;
use crate::timer::Timer;

pub(crate) struct Schedule {
    poll: Timer,
    comparison: Timer,
}

impl Schedule {
    pub(crate) fn new(options: &Options, now: Instant) -> Schedule {
        Schedule {
            poll: Timer::new(options.poll_interval, now),
            comparison: Timer::new(options.converge_interval, now),
        }
    }

    /// How long until the next poll or comparison.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.poll.left(now).min(self.comparison.left(now))
    }

    /// Whether the next pass is a poll.
    #[cfg(test)]
    pub(crate) fn is_poll_due(&self, now: Instant) -> bool {
        self.poll.left(now).is_zero()
    }

    /// Which gaps a pass reads: all of them at each poll, and when a caller waits for the result.
    pub(crate) fn scope(&mut self, context: &Context<'_>, now: Instant) -> Scope {
        if self.poll.take_due(now) || context.outbox.has_requests() { Scope::All } else { Scope::Open }
    }

    /// A comparison was made, or there is nothing to compare: the interval begins anew.
    pub(crate) fn compared(&mut self, now: Instant) {
        self.comparison.start(now);
    }

    /// The comparison that has to come before the log is followed, if any.
    pub(crate) fn due_first(&self, context: &mut Context<'_>, epoch: Epoch, progress: Progress) -> Option<Comparison> {
        if context.state.epoch.replace(epoch) != Some(epoch) {
            context.outbox.warnings.reset();
            if progress != Progress::Reset {
                context.state.forget_routes();
            }
        }
        match (progress, &context.state.cursor) {
            (Progress::Unloaded, _) | (_, None) => {
                context.state.compare(Reason::Cold);
                return context.state.due;
            }
            // A comparison for a grave reason does the same.
            (Progress::Reset, _) if !context.state.due_reason().is_some_and(Reason::is_grave) => {
                context.state.compare(Reason::Reset);
            }
            _ => (),
        }
        if context.state.due_reason() != Some(Reason::OtherDatabase)
            && let Some((PersistentId(before), PersistentId(now))) = context.moved()
        {
            let report = Report::OtherDatabase { before: before.clone(), now: now.clone() };
            context.outbox.report(report);
            context.state.evidence = Some(Evidence::OtherDatabase);
            context.state.forget_positions();
            context.state.compare(Reason::OtherDatabase);
        }
        let is_reset = progress == Progress::Reset;
        let comes_first = |due: &Comparison| is_reset || due.reason == Reason::Reset || due.skips_events();
        context.state.due.filter(comes_first)
    }

    /// The comparison that is due after the log was followed to its end, if any.
    pub(crate) fn due_after(
        &mut self,
        context: &mut Context<'_>,
        store: &mut dyn Store,
        now: Instant,
    ) -> Result<Option<Comparison>, Halt> {
        let is_time = self.comparison.take_due(now);
        let has_overflow = context.state.cursor.as_mut().is_some_and(|cursor| cursor.gaps.take_overflow());
        if has_overflow && context.state.due.is_none() {
            context.state.compare(Reason::ManyGaps);
        }
        if context.state.due.is_some() {
            return Ok(context.state.due);
        }
        let kept = &context.state.kept;
        if context.outbox.requested_comparison().is_some() {
            context.state.compare(Reason::Requested);
        } else if is_time {
            context.state.compare(Reason::Periodic);
        } else if !kept.is_empty() && store.fresh()?.iter().any(|host_type| kept.contains_key(host_type)) {
            context.state.compare(Reason::Fresh);
        }
        Ok(context.state.due)
    }

    /// Makes the comparison due that a fault of the log calls for.
    pub(crate) fn log_failed(&self, context: &mut Context<'_>, fault: LogFault) {
        let found = match context.moved() {
            // What another database has left of the log are not the events that were missed.
            Some(_) => Comparison { reason: Reason::OtherDatabase, log: LogState::Replaced },
            None => Comparison::new(Reason::from(fault)),
        };
        context.state.evidence = found.reason.evidence().or(context.state.evidence);
        // A first load that broke off stays the first one, whatever became of the log meanwhile.
        let reason = context.state.due_reason().filter(|due| *due == Reason::Cold).unwrap_or(found.reason);
        context.state.due = Some(Comparison { reason, ..found });
    }
}
