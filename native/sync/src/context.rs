//! What every part of a follower works with: the table, the state, the outbox and the options.

use std::sync::Arc;

use domain_core::{Select, Source, Table};
use domain_store::PersistentId;

use crate::options::Options;
use crate::outbox::Outbox;
use crate::state::FollowerState;
use crate::status::{State, Totals};

/// The most rows or routes that are handled at once: few enough to be in memory twice, enough to make the permit for
/// each batch cheap.
pub(crate) const BATCH: usize = 8_192;

pub(crate) struct Context<'a> {
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) state: &'a mut FollowerState,
    pub(crate) table: &'a Arc<Table>,
    pub(crate) options: &'a Options,
    /// The database that the thread is connected to, where that is known.
    pub(crate) connected_to: Option<PersistentId>,
}

impl Context<'_> {
    /// The database that the routes are from and the one that the thread is connected to, if they differ.
    pub(crate) fn moved(&self) -> Option<(&PersistentId, &PersistentId)> {
        self.state.identity.as_ref().zip(self.connected_to.as_ref()).filter(|(before, now)| before != now)
    }

    pub(crate) fn enter(&self, state: State) {
        self.outbox.status(|status| status.enter(state));
    }

    /// Adds to the totals, which outlive the thread.
    pub(crate) fn add_to_totals(&mut self, add: impl FnOnce(&mut Totals)) {
        add(&mut self.state.totals);
        let totals = self.state.totals;
        self.outbox.status(|status| status.totals = totals);
    }

    /// Counts the routes that were kept when this source was loaded, and are still there.
    pub(crate) fn count_kept(&mut self, source: Source) {
        self.state.kept.clear();
        for page in self.table.pages(Select::Older(source), BATCH) {
            page.iter().for_each(|(_, host_type)| *self.state.kept.entry(host_type).or_default() += 1);
        }
        self.publish_kept();
    }

    /// Shows in the status how many routes are kept.
    pub(crate) fn publish_kept(&self) {
        let (kept, names) = (self.state.kept_count(), self.table.host_types());
        let by_host_type = self.state.kept.iter().map(|(host_type, count)| (names.name(*host_type), *count)).collect();
        self.outbox.status(|status| (status.kept, status.kept_by_host_type) = (kept, by_host_type));
    }
}
