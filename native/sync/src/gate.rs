//! The gate: which routes a comparison may remove.
//!
//! A database that was emptied, restored from an old copy, or failed over to a standby that lacks the last hour must
//! not take routes with it. So the gate requires *freshness*, by the rule of Diego, the scheduler of Cloud Foundry:
//! the program that fills the database declares for a host type that its rows are complete, until some time. While
//! the declaration holds, a route that the database lacks is unwanted.
//!
//! Only removals by a comparison pass the gate. Additions do not, and an event in the log is always obeyed.

use std::collections::{HashMap, HashSet};

use domain_core::HostTypeId;
use serde::{Deserialize, Serialize};

/// When a comparison needs freshness to remove a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateMode {
    /// Never. The table loses what the database lacks, as in MongooseIM.
    Off,
    /// When there is evidence that the database lost data.
    OnLoss,
    /// Always.
    Always,
}

/// The gate, and which loss is suspicious.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// When a comparison needs freshness.
    pub mode: GateMode,
    /// The share of a host type's dynamic routes, from 0 to 1, above which their absence is evidence.
    pub max_removal_share: f64,
}

/// The fewest routes of a host type of which a share is evidence.
const MIN_ROUTES: u64 = 10;

/// Evidence that the database lost data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// The ids of events ran backwards, or the last event that was followed is not there.
    IdsBackwards,
    /// The connection leads to another database, or another timeline, than before.
    OtherDatabase,
    /// The database has no row at all.
    NoRows,
    /// A comparison would remove too many routes of one host type at once.
    ManyRoutes,
}

/// Whether a comparison passes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// The gate decides.
    No,
    /// The caller knows that the database is right, so all that it lacks is removed.
    Yes,
}

/// What a comparison removes of the routes that the database lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of them.
    All,
    /// Those of host types that are fresh.
    OnlyFresh,
}

impl Gate {
    pub(crate) fn judge(&self, evidence: Option<Evidence>, force: Force) -> Verdict {
        match (force, self.mode, evidence) {
            (Force::Yes, ..) | (_, GateMode::Off, _) | (_, GateMode::OnLoss, None) => Verdict::All,
            (_, GateMode::OnLoss, Some(_)) | (_, GateMode::Always, _) => Verdict::OnlyFresh,
        }
    }

    /// Whether it is evidence that so many routes are missing, beside so many that were confirmed; both by host type.
    pub(crate) fn is_loss(&self, missing: &HashMap<HostTypeId, u64>, confirmed: &HashMap<HostTypeId, u64>) -> bool {
        missing.iter().any(|(host_type, &missing)| {
            let all = missing + confirmed.get(host_type).copied().unwrap_or(0);
            all >= MIN_ROUTES && missing as f64 > self.max_removal_share * all as f64
        })
    }
}

impl Verdict {
    pub(crate) fn removes(self, host_type: HostTypeId, fresh: &HashSet<HostTypeId>) -> bool {
        self == Verdict::All || fresh.contains(&host_type)
    }
}

#[cfg(test)]
mod tests {
    use domain_core::HostTypes;

    use super::*;

    #[test]
    fn without_force_the_mode_and_the_evidence_decide() {
        let gate = |mode| Gate { mode, max_removal_share: 0.5 };
        let lost = Some(Evidence::NoRows);
        assert_eq!(gate(GateMode::Off).judge(lost, Force::No), Verdict::All);
        assert_eq!(gate(GateMode::OnLoss).judge(None, Force::No), Verdict::All);
        assert_eq!(gate(GateMode::OnLoss).judge(lost, Force::No), Verdict::OnlyFresh);
        assert_eq!(gate(GateMode::Always).judge(None, Force::No), Verdict::OnlyFresh);
        assert_eq!(gate(GateMode::Always).judge(lost, Force::Yes), Verdict::All);
    }

    #[test]
    fn a_share_counts_from_ten_routes_of_one_host_type_up() {
        let gate = Gate { mode: GateMode::OnLoss, max_removal_share: 0.5 };
        let host_types = HostTypes::default();
        let (one, two) = (host_types.intern(b"one").unwrap(), host_types.intern(b"two").unwrap());
        let is_loss = |missing: &[_], confirmed: &[_]| {
            gate.is_loss(&missing.iter().copied().collect(), &confirmed.iter().copied().collect())
        };
        assert!(!is_loss(&[(one, 9)], &[]));
        assert!(!is_loss(&[(one, 5)], &[(one, 5)]));
        assert!(is_loss(&[(one, 6)], &[(one, 4)]));
        assert!(is_loss(&[(one, 10)], &[(two, 1000)]));
        assert!(!is_loss(&[], &[(two, 1000)]));
    }
}
