//! The order of the claims on a name that more than one pattern makes a subdomain.
//!
//! The earliest claim keeps the name. A claim begins with the registration of its pattern or with its domain, whichever
//! is later. So between claims whose domains are older than both patterns the older pattern wins, and the registration
//! of a pattern need not record anything, however many domains there are. Only a domain that is added while the name of
//! its subdomain is already claimed is recorded here: its claim is the latest.
//!
//! Patterns that can make the same name are rare, so usually nothing is recorded.

use hashbrown::HashMap;

use crate::host_types::HostTypeId;
use crate::patterns::{Claim, ClaimKind, Pattern};

/// The claimed names whose claims are not in the order in which their patterns were registered.
#[derive(Default)]
pub(crate) struct ClaimOrder(HashMap<Box<[u8]>, Vec<(HostTypeId, ClaimKind)>>);

impl ClaimOrder {
    /// Sorts claims on this name, the earliest one first.
    pub(crate) fn sort(&self, name: &[u8], claims: &mut [Claim]) {
        let recorded = self.0.get(name).map_or(&[][..], |recorded| recorded);
        claims.sort_by_key(|claim| {
            let position = recorded.iter().position(|&one| one == (claim.host_type, claim.kind));
            // A claim that is not recorded is later than those that are.
            (position.unwrap_or(usize::MAX), claim.registration)
        });
    }

    /// Records that the claims on this name are in this order.
    pub(crate) fn record(&mut self, name: Box<[u8]>, claims: &[Claim]) {
        self.0.insert(name, claims.iter().map(|claim| (claim.host_type, claim.kind)).collect());
    }

    /// Removes a claim whose domain was removed.
    pub(crate) fn remove(&mut self, name: &[u8], host_type: HostTypeId, kind: ClaimKind) {
        if let Some(recorded) = self.0.get_mut(name) {
            recorded.retain(|&one| one != (host_type, kind));
            if recorded.len() < 2 {
                self.0.remove(name);
            }
        }
    }

    /// Removes all claims of a pattern that was unregistered.
    pub(crate) fn remove_pattern(&mut self, host_type: HostTypeId, pattern: &Pattern) {
        self.0.retain(|name, recorded| {
            let kind = match pattern {
                Pattern::Prefix(prefix) => name.starts_with(prefix).then_some(ClaimKind::Prefix(prefix.len())),
                Pattern::Fqdn(fqdn) => (*name == *fqdn).then_some(ClaimKind::Fqdn),
            };
            recorded.retain(|&one| Some(one.1) != kind || one.0 != host_type);
            recorded.len() > 1
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
