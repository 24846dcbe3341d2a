//! One round of the follower, after which the table is current.
//!
//! A pass follows the log to its end and reads the gaps. When a comparison is due it reconciles the table with the
//! database, before or after that. At the end it deletes old events. When the table is emptied meanwhile, the table
//! refuses what the pass still has to write, and the pass begins again, with a load.

use std::time::Instant;

use domain_core::Progress;
use domain_store::Store;

use crate::gaps::Scope;
use crate::halt::{Halt, StepError};
use crate::log_follower::{Reading, catch_up};
use crate::reconciler::Reconciler;
use crate::repairs::Repairs;
use crate::status::State;
use crate::synchronizer::Synchronizer;

pub(crate) struct Pass<'p, 'a> {
    parts: &'p mut Synchronizer<'a>,
    store: &'p mut dyn Store,
    now: Instant,
}

impl<'p, 'a> Pass<'p, 'a> {
    pub(crate) fn new(parts: &'p mut Synchronizer<'a>, store: &'p mut dyn Store, now: Instant) -> Pass<'p, 'a> {
        Pass { parts, store, now }
    }

    /// Makes the table current. Returns what was repaired, if the whole table was compared.
    pub(crate) fn run(mut self) -> Result<Option<Repairs>, Halt> {
        let scope = self.parts.schedule.scope(&self.parts.context, self.now);
        let repairs = loop {
            match self.synchronize(scope) {
                Ok(repairs) => break repairs,
                Err(StepError::Halt(halt)) => return Err(halt),
                Err(StepError::Emptied) => (),
                Err(StepError::Log(fault)) => self.parts.schedule.log_failed(&mut self.parts.context, fault),
            }
        };
        self.parts.pruner.run(&mut self.parts.context, self.store, self.now)?;
        Ok(repairs)
    }

    fn synchronize(&mut self, scope: Scope) -> Result<Option<Repairs>, StepError> {
        let Synchronizer { context, schedule, .. } = &mut *self.parts;
        let (epoch, progress) = context.table.progress();
        if progress == Progress::Closed {
            schedule.compared(self.now);
            return Ok(None);
        }
        let due = match (schedule.due_first(context, epoch, progress), progress) {
            (None, Progress::Following { source }) => {
                let mut ignore = |_: &str| ();
                let reading = Reading::new(epoch, source, scope, self.now, &mut ignore);
                let events = catch_up(context, self.store, reading)?;
                if events > 0 && context.state.kept_count() > 0 {
                    context.count_kept(source);
                }
                schedule.due_after(context, self.store, self.now)?
            }
            (due, _) => due,
        };
        let mut repairs = None;
        if let Some(comparison) = due {
            let begin = Instant::now();
            let reconciler = Reconciler::new(context.table, epoch, comparison);
            repairs = Some(reconciler.run(context, self.store, self.now)?);
            schedule.compared(self.now + begin.elapsed());
        }
        context.enter(State::Following);
        Ok(repairs)
    }
}
