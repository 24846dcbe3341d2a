//! Loading: one snapshot of the database is put into the table.
//!
//! All rows of a load get one new *source*. So the routes that the load brought or confirmed can be distinguished from those that
//! the database does not have. After that the log is followed from the cursor, which the loader sets: events that were
//! committed since the snapshot are followed as any others.

use std::ops::ControlFlow;
use std::time::Instant;

use domain_core::{Change, Epoch, Outcome, Progress, Source};
use domain_store::{LoadSummary, Row, Store};

use crate::comparison::{Comparison, LogState};
use crate::context::{BATCH, Context};
use crate::cursor::Cursor;
use crate::gaps::MAX_LOADED;
use crate::halt::StepError;
use crate::load_stats::LoadStats;
use crate::rows::apply_rows;

pub(crate) struct Loader {
    epoch: Epoch,
    source: Source,
    comparison: Comparison,
}

impl Loader {
    pub(crate) fn new(epoch: Epoch, source: Source, comparison: Comparison) -> Loader {
        Loader { epoch, source, comparison }
    }

    /// Puts all rows into the table and sets the cursor. From here on the routes are those of this database, and its log
    /// is the one to follow.
    pub(crate) fn load(
        &self,
        context: &mut Context<'_>,
        store: &mut dyn Store,
        stats: &mut LoadStats,
        now: Instant,
    ) -> Result<LoadSummary, StepError> {
        let summary = self.put_rows(context, store, stats)?;
        self.set_cursor(context, &summary, now);
        context.table.set_progress(self.epoch, Progress::Following { source: self.source })?;
        Ok(summary)
    }

    fn put_rows(
        &self,
        context: &mut Context<'_>,
        store: &mut dyn Store,
        stats: &mut LoadStats,
    ) -> Result<LoadSummary, StepError> {
        // One gap more than are remembered, so that the overflow is noticed.
        let gaps = if self.keeps_cursor(context) { 0 } else { MAX_LOADED + 1 };
        let mut failure = None;
        let mut take = |rows: Vec<Row>| match apply_rows(context, self.epoch, self.source, rows) {
            Ok((changes, outcomes)) => {
                for (change, outcome) in changes.iter().zip(outcomes) {
                    stats.count(change, outcome);
                    if let (Change::Put(_, host_type), Outcome::Added) = (change, outcome) {
                        *context.state.added.entry(*host_type).or_default() += 1;
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        };
        let summary = store.load(BATCH, gaps, &mut take)?;
        summary.ok_or_else(|| failure.unwrap_or(StepError::Emptied))
    }

    /// Whether the log is followed on from the cursor.
    fn keeps_cursor(&self, context: &Context<'_>) -> bool {
        self.comparison.log == LogState::Continues && context.state.cursor.is_some()
    }

    fn set_cursor(&self, context: &mut Context<'_>, summary: &LoadSummary, now: Instant) {
        let Comparison { reason, log } = self.comparison;
        let state = &mut *context.state;
        // If the comparison breaks off later, the next one does not pass over the events since this load.
        state.due = Some(Comparison { reason, log: LogState::Continues });
        match (log, &mut state.cursor) {
            (LogState::Continues, Some(_)) => (),
            (LogState::ContinuesElsewhere, Some(cursor)) => cursor.move_to(summary, now),
            (LogState::Truncated, Some(cursor)) => cursor.skip_to_oldest(summary, now),
            (LogState::Replaced, _) | (_, None) => state.cursor = Some(Cursor::at_end(summary, now)),
        }
        if log != LogState::Continues {
            state.forget_positions();
        }
        // Save the evidence now: a successor cannot find it again.
        state.evidence = reason.evidence().or(state.evidence);
        state.identity = context.connected_to.clone();
    }
}
