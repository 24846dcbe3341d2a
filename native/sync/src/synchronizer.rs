//! A follower without its thread and its connection: the parts that a pass calls, over what they share.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{EventId, Table};
use domain_store::{DatabaseIdentity, Route, Store};

use crate::context::Context;
use crate::gaps::MIN_PAUSE;
use crate::halt::Halt;
use crate::log_follower;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::pruner::Pruner;
use crate::report::Report;
use crate::saver::Saver;
use crate::schedule::Schedule;
use crate::state::{Age, FollowerState};
use crate::warm_start::serve_from_file;

pub(crate) struct Synchronizer<'a> {
    pub(crate) context: Context<'a>,
    pub(crate) schedule: Schedule,
    pub(crate) pruner: Pruner,
    saver: Saver,
    /// Where the earlier connections led: by way of a pooler, if one of them did.
    route: Route,
}

impl<'a> Synchronizer<'a> {
    pub(crate) fn new(
        outbox: &'a mut Outbox,
        state: &'a mut FollowerState,
        table: &'a Arc<Table>,
        options: &'a Options,
        now: Instant,
    ) -> Synchronizer<'a> {
        let (stale, totals) = (state.age == Age::Stale, state.totals);
        outbox.status(|status| (status.stale, status.totals) = (stale, totals));
        let context = Context { outbox, state, table, options, connected_to: None };
        context.publish_kept();
        Synchronizer {
            context,
            schedule: Schedule::new(options, now),
            pruner: Pruner::new(options.pruning, now),
            saver: Saver::new(options.warm_start.as_ref(), now),
            route: Route::Direct,
        }
    }

    /// Serves from the snapshot file until the database answers.
    pub(crate) fn warm_start(&mut self, database: &str) {
        let kind = serve_from_file(&mut self.context, database);
        self.saver.found(kind);
    }

    /// Learns which database a new connection leads to.
    pub(crate) fn connected(&mut self, store: &mut dyn Store) -> Result<(), Halt> {
        let identity = store.identity()?;
        self.context.connected_to = identity.as_ref().map(DatabaseIdentity::persistent_id);
        self.context.outbox.shared.followed.follower_connected(identity);
        if let Some(cursor) = &mut self.context.state.cursor {
            // It may be another server, with other transactions.
            cursor.gaps.forget_writers();
        }
        if (store.route(), self.route) == (Route::Pooled, Route::Direct) {
            self.route = Route::Pooled;
            self.context.outbox.report(Report::Pooled);
        }
        Ok(())
    }

    /// How long there is nothing to do, unless the follower is woken.
    pub(crate) fn idle_time(&self, now: Instant) -> Duration {
        let idle = self.schedule.left(now).min(self.pruner.left(now));
        // A gap stays due while the table is closed.
        let gaps = self.context.state.cursor.as_ref().and_then(|cursor| cursor.gaps.pause(now));
        let idle = gaps.map_or(idle, |pause| idle.min(pause.max(MIN_PAUSE)));
        self.saver.timer().map_or(idle, |timer| idle.min(timer.left(now)))
    }

    /// Those of the events that callers wait for which the table shows.
    pub(crate) fn find_requested(&mut self, store: &mut dyn Store) -> Result<HashSet<EventId>, Halt> {
        log_follower::find_requested(&mut self.context, store)
    }

    /// Writes the snapshot file if it is time.
    pub(crate) fn save(&mut self, database: &str, now: Instant) {
        self.saver.run(&mut self.context, database, now);
    }

    /// Writes the snapshot file at an orderly stop.
    pub(crate) fn save_at_stop(&mut self, database: &str) {
        self.saver.run_at_stop(&mut self.context, database);
    }
}
