//! What the oracle is given of a pass.

use std::collections::HashSet;

use domain_store::PersistentId;

use super::connection::Observed;
use super::faults::Conditions;
use super::routes::Routes;
use crate::cursor::Cursor;
use crate::report::Report;

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    /// The database failed.
    Away,
}

/// A pass that was made.
pub(super) struct PassRecord<'a> {
    pub(super) observed: &'a Observed,
    pub(super) identity: Option<PersistentId>,
    /// The routes before it.
    pub(super) before: Routes,
    /// The cursor before it.
    pub(super) cursor: Option<Cursor>,
    /// It was to read resolved gaps, too.
    pub(super) reads_all_gaps: bool,
    pub(super) is_forced: bool,
    /// It ended with a log that cannot be followed further, so the next load passes over the events before it. (A pass
    /// may find that more than once, before its loads and after them.)
    pub(super) skips_events: bool,
    /// Domains of which changes by this node itself were put into the table meanwhile.
    pub(super) own_changes: HashSet<String>,
    /// Those of them whose route such a change removed.
    pub(super) own_removals: HashSet<String>,
    pub(super) ending: Ending,
    pub(super) reports: &'a [Report],
    pub(super) conditions: Conditions,
}
