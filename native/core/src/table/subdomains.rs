//! Subdomains in the table: the patterns, and the claims that they make.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Table;
use crate::change::LookupError;
use crate::host_types::HostTypeId;
use crate::lookup_counts::LookupResult;
use crate::name::DomainName;
use crate::patterns::{Claim, Pattern};

impl Table {
    /// Looks up a name that is no domain.
    #[cold]
    #[inline(never)]
    pub(super) fn subdomain_host_type(&self, name: &[u8]) -> Result<HostTypeId, LookupError> {
        let claim = self.subdomain(name);
        self.lookups.record(if claim.is_some() { LookupResult::Hit } else { LookupResult::Miss });
        claim.map(|claim| claim.host_type).ok_or(LookupError::NotFound)
    }

    /// The earliest claim on this name, whether or not there is also a domain of this name.
    ///
    /// The parent domains are looked up one after the other, under patterns that do not change meanwhile.
    pub fn subdomain(&self, name: &[u8]) -> Option<Claim> {
        if !self.routes.is_open() {
            return None;
        }
        loop {
            let patterns = self.patterns.load();
            let mut claims = patterns.claims(name, |parent| self.lookup(parent).host_type());
            let claim = match (claims.next(), claims.next()) {
                (Some(_), Some(_)) => return self.claims(name).first().copied(),
                (claim, _) => claim,
            };
            if self.patterns.is_current(&patterns) {
                return claim;
            }
        }
    }

    /// All claims on this name, the earliest one first.
    pub fn claims(&self, name: &[u8]) -> Vec<Claim> {
        self.state.lock().claims(&self.routes, name)
    }

    /// The number of claims on this name. Takes no lock: observers call this for each domain that is added.
    pub fn count_claims(&self, name: &[u8]) -> usize {
        self.patterns.load().claims(name, |parent| self.lookup(parent).host_type()).count()
    }

    /// The names that the prefixes of these host types make of a domain, whether or not the domain exists. Static
    /// domains and registered FQDNs are left out: they do not belong to the domain.
    pub fn subdomain_names(&self, domain: &DomainName, host_types: &[HostTypeId]) -> Vec<Vec<u8>> {
        if !self.patterns.is_any() {
            return Vec::new();
        }
        let patterns = self.patterns.load();
        let prefixes: BTreeSet<&[u8]> = host_types.iter().flat_map(|one| patterns.prefixes_of(*one)).collect();
        let names = prefixes.into_iter().map(|prefix| [prefix, domain.as_bytes()].concat());
        names.filter(|name| !self.is_static(name) && !patterns.has_fqdn(name)).collect()
    }

    /// Registers a pattern: gives each domain of the host type, now and later, a subdomain, or the host type one FQDN.
    /// On a name that is already claimed the new claim is the latest. A pattern that is already registered does not
    /// change.
    pub fn register_pattern(&self, host_type: HostTypeId, pattern: &Pattern) {
        let state = &mut *self.state.lock();
        state.patterns = Arc::new(state.patterns.with(host_type, pattern));
        self.patterns.publish(state.patterns.clone());
    }

    /// Unregisters a pattern.
    pub fn unregister_pattern(&self, host_type: HostTypeId, pattern: &Pattern) {
        let state = &mut *self.state.lock();
        state.patterns = Arc::new(state.patterns.without(host_type, pattern));
        state.claim_order.remove_pattern(host_type, pattern);
        self.patterns.publish(state.patterns.clone());
    }

    /// Unregisters all patterns.
    pub fn unregister_all_patterns(&self) {
        let state = &mut *self.state.lock();
        state.patterns = Arc::default();
        state.claim_order.clear();
        self.patterns.publish(state.patterns.clone());
    }
}
