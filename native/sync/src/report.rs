//! What a follower reports to its owner. How a report looks in the log is in `fields`.

use std::time::Duration;

use domain_core::EventId;
use domain_store::{InvalidRowReason, LogBounds};

use crate::comparison::Reason;
use crate::gate::Evidence;
use crate::repairs::Repairs;

/// Something that belongs into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The database does not answer. Reported once, when that begins.
    Away {
        /// What went wrong.
        error: String,
    },
    /// The database answers again. Reported once, when that begins.
    Back,
    /// A pooler is between this node and the database's server, so statements are not prepared. Reported once.
    Pooled,
    /// The routes were loaded.
    Loaded {
        /// How many domains the load brought.
        count: u64,
        /// How long it took.
        took: Duration,
    },
    /// Events were followed.
    Updated {
        /// Domains that were added or got another host type.
        inserts: u64,
        /// Domains that were removed.
        deletes: u64,
        /// Events that changed nothing.
        skips: u64,
    },
    /// The event log is not the one that was followed.
    OutOfSync {
        /// The last event that was followed.
        cursor: EventId,
        /// The ends of the log now.
        bounds: LogBounds,
    },
    /// The database is not the one that the routes are from.
    OtherDatabase {
        /// What it was called.
        before: String,
        /// What it is called now.
        now: String,
    },
    /// A restart of the service loaded everything, and removed the routes that the database does not have.
    OutdatedRemoved {
        /// How many.
        count: u64,
    },
    /// The table was compared with the database.
    Converged {
        /// Why.
        reason: Reason,
        /// What it repaired.
        repairs: Repairs,
        /// Some of the domains that were repaired.
        examples: Vec<String>,
        /// How long it took.
        took: Duration,
    },
    /// Routes are kept although the database does not have them.
    Kept {
        /// How many.
        count: u64,
        /// The evidence that the database lost data.
        evidence: Option<Evidence>,
        /// The host types that are not fresh.
        host_types: Vec<String>,
    },
    /// Routes are served from a file until the database answers.
    SnapshotLoaded {
        /// How many.
        count: u64,
        /// How old they are.
        age: Duration,
    },
    /// The snapshot file is not used.
    SnapshotRefused {
        /// The file.
        file: String,
        /// Why.
        error: String,
    },
    /// The snapshot file could not be written. Reported once, until it works again.
    SnapshotFailed {
        /// The file.
        file: String,
        /// Why.
        error: String,
    },
    /// The snapshot file could be written again.
    SnapshotWritten {
        /// The file.
        file: String,
    },
    /// Old events could not be deleted. Reported once, until it works again.
    PruneFailed {
        /// Why.
        error: String,
    },
    /// A row cannot be served on this node.
    RowWarning(RowWarning),
    /// More rows cannot be served than are reported one by one.
    MoreRowWarnings {
        /// How many more.
        count: u64,
    },
}

/// A row that cannot be served on this node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowWarning {
    /// An enabled row has the name of a static domain.
    StaticButInDb {
        /// The domain.
        domain: String,
    },
    /// A row that is no longer enabled has the name of a static domain.
    StaticButWasInDb {
        /// The domain.
        domain: String,
    },
    /// Dynamic domains may not have this host type on this node.
    UnknownHostType {
        /// The domain.
        domain: String,
        /// The host type.
        host_type: String,
    },
    /// The domain is not a valid name.
    InvalidDomain {
        /// The domain.
        domain: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The status has no meaning.
    UnknownStatus {
        /// The domain.
        domain: String,
        /// The status.
        status: i64,
    },
}

impl RowWarning {
    pub(crate) fn invalid_row(domain: String, reason: InvalidRowReason) -> RowWarning {
        match reason {
            InvalidRowReason::InvalidDomain(invalid) => {
                RowWarning::InvalidDomain { domain, reason: invalid.to_string() }
            }
            InvalidRowReason::UnknownHostType(host_type) => RowWarning::UnknownHostType { domain, host_type },
            InvalidRowReason::UnknownStatus(status) => RowWarning::UnknownStatus { domain, status },
        }
    }

    /// The domain that it is about.
    pub fn domain(&self) -> &str {
        match self {
            RowWarning::StaticButInDb { domain }
            | RowWarning::StaticButWasInDb { domain }
            | RowWarning::UnknownHostType { domain, .. }
            | RowWarning::InvalidDomain { domain, .. }
            | RowWarning::UnknownStatus { domain, .. } => domain,
        }
    }
}
