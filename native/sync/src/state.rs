//! What must be known of a table's routes to follow the database further.
//!
//! It outlives the thread: the next one goes on from here. It is about the routes of one epoch of the
//! table; whoever finds another epoch forgets it all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain_core::{Epoch, HostTypeId};
use domain_store::{LogPosition, PersistentId, Signal};
use parking_lot::{Mutex, MutexGuard};

use crate::cursor::Cursor;
use crate::gate::Evidence;
use crate::pruner::Pruning;
use crate::status::Totals;
use crate::work::Wanted;

/// A place beside the table for one follower at a time, with what it has to remember: the next one
/// sits down when the last one has gone, and finds its memory.
#[derive(Clone, Default)]
pub struct FollowerLock(Arc<Mutex<FollowerState>>);

/// How often one who waits for the seat looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(20);

impl FollowerLock {
    /// Sits down when the last one has gone; never, when told to stop before.
    pub(crate) fn take(&self, signal: &Signal) -> Option<MutexGuard<'_, FollowerState>> {
        while !signal.is_stopped() {
            let seated = self.0.try_lock_for(LOOK);
            if seated.is_some() {
                return seated;
            }
        }
        None
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FollowerState {
    /// The epoch of the table whose routes this is about.
    pub(crate) epoch: Option<Epoch>,
    /// Up to where they were followed; nothing before the first load.
    pub(crate) cursor: Option<Cursor>,
    /// The database that they are from, where it tells.
    pub(crate) identity: Option<PersistentId>,
    /// The comparison that is to be made; it stays until it was.
    pub(crate) wanted: Option<Wanted>,
    /// Why the database is believed to have lost data, until nothing is kept any more.
    pub(crate) loss: Option<Evidence>,
    /// How many routes comparisons that broke off have added since the last one that did not, by host type.
    pub(crate) added: HashMap<HostTypeId, u64>,
    /// How many routes are kept that the database does not have, by host type.
    pub(crate) kept: HashMap<HostTypeId, u64>,
    /// Whether the routes were ever seen to be current.
    pub(crate) age: Age,
    /// The log at earlier moments, the oldest first, for pruning.
    pub(crate) moments: VecDeque<LogPosition>,
    /// What is being pruned.
    pub(crate) pruning: Option<Pruning>,
    /// What was done since the first follower; nothing makes this forget.
    pub(crate) totals: Totals,
}

impl FollowerState {
    /// The log is another one: what it was like says nothing of what is old in it.
    pub(crate) fn forget_moments(&mut self) {
        self.moments.clear();
        self.pruning = None;
    }

    pub(crate) fn kept(&self) -> u64 {
        self.kept.values().sum()
    }
}

/// Whether routes may be as old as the file that they were read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Age {
    /// They were current once since this node was started.
    #[default]
    Seen,
    /// They are from a file, and the database did not answer yet.
    Stale,
}
