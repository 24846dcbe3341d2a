//! A comparison of the whole table with the database: why it is made, and what it finds of the event log.

use crate::cursor::LogFault;
use crate::gate::Evidence;

/// Why the whole table is compared with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was loaded yet.
    Cold,
    /// The service was restarted for it.
    Reset,
    /// The routes are from a snapshot file.
    WarmStart,
    /// Events that were not read yet may be gone.
    LogTruncated,
    /// The log had been empty, and begins with a large id.
    LogBegun,
    /// The log's ids ran backwards, or the last event that was followed is not there.
    LogBackwards,
    /// The connection leads to another database, or another timeline, than before.
    OtherDatabase,
    /// The log has more gaps than are remembered.
    ManyGaps,
    /// A caller requested it.
    Requested,
    /// A host type of which routes are kept is fresh now.
    Fresh,
    /// The interval has passed.
    Periodic,
}

impl From<LogFault> for Reason {
    fn from(fault: LogFault) -> Self {
        match fault {
            LogFault::Truncated => Reason::LogTruncated,
            LogFault::Begun => Reason::LogBegun,
            LogFault::Backwards => Reason::LogBackwards,
        }
    }
}

impl Reason {
    /// What a comparison for this reason finds of the log.
    fn log(self) -> LogState {
        match self {
            Reason::Reset
            | Reason::WarmStart
            | Reason::ManyGaps
            | Reason::Requested
            | Reason::Fresh
            | Reason::Periodic => LogState::Continues,
            Reason::OtherDatabase => LogState::ContinuesElsewhere,
            Reason::LogTruncated | Reason::LogBegun => LogState::Truncated,
            Reason::Cold | Reason::LogBackwards => LogState::Replaced,
        }
    }

    /// Whether something is wrong with the log or the database.
    pub(crate) fn is_grave(self) -> bool {
        self.log() != LogState::Continues
    }

    /// The evidence that this reason is for a database that lost data.
    pub(crate) fn evidence(self) -> Option<Evidence> {
        match self {
            Reason::LogBackwards => Some(Evidence::IdsBackwards),
            Reason::OtherDatabase => Some(Evidence::OtherDatabase),
            _ => None,
        }
    }
}

/// What a comparison finds of the log that was followed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogState {
    /// All of it.
    Continues,
    /// All of it, in another database. Its gaps are not those that are remembered.
    ContinuesElsewhere,
    /// Its beginning is gone, with events that were not read yet.
    Truncated,
    /// Another log, which can be followed from now on only.
    Replaced,
}

/// A comparison that is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) reason: Reason,
    pub(crate) log: LogState,
}

impl Comparison {
    /// A comparison that finds of the log what its reason says.
    pub(crate) fn new(reason: Reason) -> Comparison {
        Comparison { reason, log: reason.log() }
    }

    /// Whether it passes over events that were not read. It comes before all else then, since there is no log to
    /// follow without it.
    pub(crate) fn skips_events(self) -> bool {
        matches!(self.log, LogState::Truncated | LogState::Replaced)
    }
}
