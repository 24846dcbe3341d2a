//! Who was first: the order of the claims on a name that more than one pattern makes a subdomain.
//!
//! The claim that was first keeps the name. A claim comes into being with its pattern or with its domain, whichever is
//! later. So for domains that are older than both patterns, the older pattern is first, and nothing need be written
//! down when a pattern is registered, however many domains there are. Only a domain that is added while its
//! subdomain's name is claimed already is noted here: it is last.
//!
//! Patterns that can make the same name are rare, so there is nothing here, as a rule.

use hashbrown::HashMap;

use crate::host_types::HostTypeId;
use crate::patterns::{Claim, ClaimKind, Pattern};

/// The contested names whose claims are not in the order of their patterns' ages.
#[derive(Default)]
pub(crate) struct Contests(HashMap<Box<[u8]>, Vec<(HostTypeId, ClaimKind)>>);

impl Contests {
    /// Puts claims on this name in order, the first one first.
    pub(crate) fn sort(&self, name: &[u8], claims: &mut [Claim]) {
        let noted = self.0.get(name).map_or(&[][..], |noted| noted);
        claims.sort_by_key(|claim| {
            let noted = noted.iter().position(|&one| one == (claim.host_type, claim.kind));
            // Who is not noted came later than those who are.
            (noted.unwrap_or(usize::MAX), claim.age)
        });
    }

    /// Notes these claims, which are in order.
    pub(crate) fn note(&mut self, name: Box<[u8]>, claims: &[Claim]) {
        self.0.insert(name, claims.iter().map(|claim| (claim.host_type, claim.kind)).collect());
    }

    /// The domain behind this claim is gone.
    pub(crate) fn withdraw(&mut self, name: &[u8], host_type: HostTypeId, kind: ClaimKind) {
        if let Some(noted) = self.0.get_mut(name) {
            noted.retain(|&one| one != (host_type, kind));
            if noted.len() < 2 {
                self.0.remove(name);
            }
        }
    }

    /// The pattern behind all these claims is gone.
    pub(crate) fn withdraw_all(&mut self, host_type: HostTypeId, pattern: &Pattern) {
        self.0.retain(|name, noted| {
            let kind = match pattern {
                Pattern::Prefix(prefix) => name.starts_with(prefix).then_some(ClaimKind::Prefix(prefix.len())),
                Pattern::Fqdn(fqdn) => (*name == *fqdn).then_some(ClaimKind::Fqdn),
            };
            noted.retain(|&one| Some(one.1) != kind || one.0 != host_type);
            noted.len() > 1
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
