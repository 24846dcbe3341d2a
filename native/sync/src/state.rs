//! What must be known of a table's routes to go on following the database.
//!
//! The state outlives the thread: its successor goes on from there. It is about the routes of one epoch of the
//! table, and void in any other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain_core::{Epoch, EventId, HostTypeId};
use domain_store::{LogPosition, PersistentId, Signal};
use parking_lot::{Mutex, MutexGuard};

use crate::comparison::{Comparison, Reason};
use crate::cursor::Cursor;
use crate::gate::Evidence;
use crate::status::Totals;

/// Lets one thread at a time follow the database, and hands the state from each to the next.
#[derive(Clone, Default)]
pub struct FollowerLock(Arc<Mutex<FollowerState>>);

/// How often a thread that waits for the lock checks whether it was stopped.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(20);

impl FollowerLock {
    /// Acquires the lock after the predecessor has exited. `None` when the signal says stop before that.
    pub(crate) fn acquire(&self, signal: &Signal) -> Option<MutexGuard<'_, FollowerState>> {
        while !signal.is_stopped() {
            let state = self.0.try_lock_for(STOP_CHECK_INTERVAL);
            if state.is_some() {
                return state;
            }
        }
        None
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FollowerState {
    /// The epoch of the table whose routes this is about.
    pub(crate) epoch: Option<Epoch>,
    /// How far the log was followed. `None` before the first load.
    pub(crate) cursor: Option<Cursor>,
    /// The database that the routes are from, where that is known.
    pub(crate) identity: Option<PersistentId>,
    /// The comparison that is due. It stays until it is made.
    pub(crate) due: Option<Comparison>,
    /// The evidence that the database lost data. It stays until no route is kept any more.
    pub(crate) evidence: Option<Evidence>,
    /// The routes that comparisons have added that broke off since the last complete one, by host type.
    pub(crate) added: HashMap<HostTypeId, u64>,
    /// The routes that are kept although the database does not have them, by host type.
    pub(crate) kept: HashMap<HostTypeId, u64>,
    pub(crate) age: Age,
    /// The log at earlier positions, the oldest first: by these the pruner knows which events are old.
    pub(crate) positions: VecDeque<LogPosition>,
    /// The old events that are being deleted.
    pub(crate) pruning: Option<PruneProgress>,
    /// What all followers did since the first one. Nothing resets it.
    pub(crate) totals: Totals,
}

/// Whether routes may be as old as the file that they were read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Age {
    /// They have been current since this node was started.
    #[default]
    Current,
    /// They are from a file, and the database has not answered yet.
    Stale,
}

/// Old events that are being deleted, a part in each pass.
#[derive(Debug, Clone)]
pub(crate) struct PruneProgress {
    /// The events up to this position are old.
    pub(crate) position: LogPosition,
    /// The smallest id that was not examined yet.
    pub(crate) from: EventId,
}

impl FollowerState {
    pub(crate) fn due_reason(&self) -> Option<Reason> {
        self.due.map(|comparison| comparison.reason)
    }

    /// Makes a comparison due.
    pub(crate) fn compare(&mut self, reason: Reason) {
        self.due = Some(Comparison::new(reason));
    }

    /// The table was emptied: nothing is known of its routes any more.
    pub(crate) fn forget_routes(&mut self) {
        self.cursor = None;
        self.due = None;
        self.evidence = None;
        self.kept.clear();
        self.identity = None;
    }

    /// The log is another one, of which the remembered positions say nothing.
    pub(crate) fn forget_positions(&mut self) {
        self.positions.clear();
        self.pruning = None;
    }

    pub(crate) fn kept_count(&self) -> u64 {
        self.kept.values().sum()
    }
}
