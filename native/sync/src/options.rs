//! What a follower is configured with.

use std::path::PathBuf;
use std::time::Duration;

use crate::gate::Gate;

/// The configuration of a follower.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest time between two looks at the database.
    pub poll_interval: Duration,
    /// The longest time between two comparisons of the whole table.
    pub converge_interval: Duration,
    /// What a comparison may remove.
    pub gate: Gate,
    /// When old events are deleted.
    pub pruning: PruneOptions,
    /// The file to serve from while the database is away at start.
    pub warm_start: Option<WarmStart>,
}

/// When events are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// The time between two looks for old events.
    pub interval: Duration,
    /// The age from which an event is old.
    pub max_age: Duration,
}

/// The file to serve from while the database is away at start.
#[derive(Debug, Clone)]
pub struct WarmStart {
    /// The file. Its directory must exist.
    pub file: PathBuf,
    /// The time between two writes of the file.
    pub interval: Duration,
    /// The age up to which the file is used.
    pub max_age: Duration,
}
