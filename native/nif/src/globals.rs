//! What exists once in the VM: the table, and what the follower and the workers share.

use std::sync::{Arc, OnceLock};

use domain_core::Table;
use domain_store::{FollowedDatabase, FollowerPriority};

static TABLE: OnceLock<Arc<Table>> = OnceLock::new();

/// Creates the table if it does not exist.
pub(crate) fn create_table(schedulers: usize) {
    // One thread more: the follower's.
    TABLE.get_or_init(|| Arc::new(Table::new(schedulers + 1)));
}

#[inline]
pub(crate) fn table() -> &'static Arc<Table> {
    // The VM calls no function of this library before `load` has returned `true`.
    TABLE.get().expect("`load` has created the table")
}

/// The database that the follower follows, which it sets and the workers read.
pub(crate) fn followed() -> Arc<FollowedDatabase> {
    static FOLLOWED: OnceLock<Arc<FollowedDatabase>> = OnceLock::new();
    FOLLOWED.get_or_init(Arc::default).clone()
}

/// Gives the follower's connection priority over those of the workers.
pub(crate) fn follower_priority() -> Arc<FollowerPriority> {
    static FOLLOWER_PRIORITY: OnceLock<Arc<FollowerPriority>> = OnceLock::new();
    FOLLOWER_PRIORITY.get_or_init(Arc::default).clone()
}
