//! Subdomains: names that are not stored, but computed from a domain and a pattern of its host type.
//!
//! A *prefix* such as `muc.` gives each domain of a host type a subdomain: `muc.example.com` is one while `example.com`
//! has that host type. An *FQDN* is one name for the whole host type. So a million domains with five patterns are a
//! million entries and five patterns, and the registration of a pattern takes as long with a million domains as with
//! ten.
//!
//! What makes a name a subdomain is a [`Claim`]: a registered FQDN that equals the name, or a registered prefix that
//! the name begins with if the rest is a domain of the prefix's host type. A name may have several claims;
//! [`claim_order`](crate::claim_order) says which one is the earliest.
//!
//! Lookups read patterns through [`PublishedPatterns`], without a lock, and only for a name that is no domain. They
//! take the writers' mutex only to find the earliest of several claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;

use crate::host_types::HostTypeId;

/// A rule for the names of a host type's subdomains.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// The start of a subdomain's name, up to and including the dot before the domain's name.
    Prefix(Box<[u8]>),
    /// The whole name of one subdomain.
    Fqdn(Box<[u8]>),
}

/// The kind of pattern that makes a name a subdomain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// A prefix with this number of bytes. The rest of the name is the parent domain.
    Prefix(usize),
    /// The whole name.
    Fqdn,
}

/// Numbers registrations: that of an older one is smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistrationId(u64);

/// What makes a name a subdomain of a host type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The host type that serves the subdomain if no claim is earlier.
    pub host_type: HostTypeId,
    /// The kind of pattern.
    pub kind: ClaimKind,
    pub(crate) registration: RegistrationId,
}

type Registrations = HashMap<Box<[u8]>, Vec<(HostTypeId, RegistrationId)>>;

/// All registered patterns at one moment.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    prefixes: Registrations,
    fqdns: Registrations,
    newest: RegistrationId,
    /// The length of the longest prefix in bytes.
    longest_prefix: usize,
    /// The length of the longest FQDN in bytes.
    longest_fqdn: usize,
    /// Whether two of the patterns can make the same name, for any domains.
    overlap: bool,
}

impl Patterns {
    pub(crate) fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.fqdns.is_empty()
    }

    /// Whether two of the patterns can make the same name, so that an added domain may make one that is already
    /// claimed.
    pub(crate) fn overlap(&self) -> bool {
        self.overlap
    }

    /// The claims on `name`, in no order; `parent` returns the host type of a domain.
    pub(crate) fn claims<'a>(
        &'a self,
        name: &'a [u8],
        parent: impl Fn(&[u8]) -> Option<HostTypeId> + 'a,
    ) -> impl Iterator<Item = Claim> + 'a {
        // The time does not depend on the length of a name that is too long.
        let fqdns = Some(name).filter(|name| name.len() <= self.longest_fqdn);
        let fqdns = fqdns.and_then(|name| self.fqdns.get(name)).into_iter().flatten();
        let fqdns = fqdns.map(|&(host_type, registration)| Claim { host_type, kind: ClaimKind::Fqdn, registration });
        let start = &name[..name.len().min(self.longest_prefix)];
        let dots = start.iter().enumerate().filter(|&(_, &byte)| byte == b'.');
        let prefixes = dots.filter_map(move |(dot, _)| {
            let (prefix, rest) = name.split_at(dot + 1);
            let registered = self.prefixes.get(prefix)?;
            let host_type = parent(rest)?;
            let &(_, registration) = registered.iter().find(|&&(one, _)| one == host_type)?;
            Some(Claim { host_type, kind: ClaimKind::Prefix(prefix.len()), registration })
        });
        fqdns.chain(prefixes)
    }

    /// The prefixes of this host type.
    pub(crate) fn prefixes_of(&self, host_type: HostTypeId) -> impl Iterator<Item = &[u8]> {
        let has =
            move |registered: &[(HostTypeId, RegistrationId)]| registered.iter().any(|&(one, _)| one == host_type);
        self.prefixes.iter().filter(move |(_, registered)| has(registered)).map(|(prefix, _)| &**prefix)
    }

    /// Whether this name is a registered FQDN.
    pub(crate) fn has_fqdn(&self, name: &[u8]) -> bool {
        self.fqdns.contains_key(name)
    }

    /// These patterns and one more. A registered pattern keeps its registration.
    pub(crate) fn with(&self, host_type: HostTypeId, pattern: &Pattern) -> Patterns {
        let mut patterns = self.clone();
        patterns.newest = RegistrationId(self.newest.0 + 1);
        let registration = patterns.newest;
        let (registered, text) = patterns.registered(pattern);
        let registered = registered.entry(text.into()).or_default();
        if !registered.iter().any(|&(one, _)| one == host_type) {
            registered.push((host_type, registration));
        }
        patterns.with_limits()
    }

    /// These patterns without this one.
    pub(crate) fn without(&self, host_type: HostTypeId, pattern: &Pattern) -> Patterns {
        let mut patterns = self.clone();
        let (registered, text) = patterns.registered(pattern);
        if let Some(host_types) = registered.get_mut(text) {
            host_types.retain(|&(one, _)| one != host_type);
            if host_types.is_empty() {
                registered.remove(text);
            }
        }
        patterns.with_limits()
    }

    fn registered<'p>(&mut self, pattern: &'p Pattern) -> (&mut Registrations, &'p [u8]) {
        match pattern {
            Pattern::Prefix(text) => (&mut self.prefixes, text),
            Pattern::Fqdn(text) => (&mut self.fqdns, text),
        }
    }

    /// Computes what depends on all patterns.
    fn with_limits(mut self) -> Patterns {
        let has_prefix =
            |name: &[u8]| self.prefixes.keys().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
        self.overlap = self.prefixes.keys().chain(self.fqdns.keys()).any(|text| has_prefix(text));
        self.longest_prefix = self.prefixes.keys().map(|prefix| prefix.len()).max().unwrap_or(0);
        self.longest_fqdn = self.fqdns.keys().map(|name| name.len()).max().unwrap_or(0);
        self
    }
}

/// The patterns, as lookups read them.
#[derive(Default)]
pub(crate) struct PublishedPatterns {
    is_any: AtomicBool,
    patterns: ArcSwap<Patterns>,
}

impl PublishedPatterns {
    /// Whether there are patterns at all. If not, a lookup that finds no domain is done.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    pub(crate) fn load(&self) -> Guard<Arc<Patterns>> {
        self.patterns.load()
    }

    /// Whether `patterns` are still the current ones. If so, they were all the time: while they exist, no others can
    /// have their address.
    pub(crate) fn is_current(&self, patterns: &Arc<Patterns>) -> bool {
        Arc::ptr_eq(&self.patterns.load(), patterns)
    }

    pub(crate) fn publish(&self, patterns: Arc<Patterns>) {
        self.is_any.store(!patterns.is_empty(), Ordering::Relaxed);
        self.patterns.store(patterns);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn host_type(number: u16) -> HostTypeId {
        HostTypeId::from_number(number)
    }

    fn prefix(text: &str) -> Pattern {
        Pattern::Prefix(text.as_bytes().into())
    }

    fn fqdn(text: &str) -> Pattern {
        Pattern::Fqdn(text.as_bytes().into())
    }

    /// `example` has host type 1, `b.example` host type 2.
    fn parent(name: &[u8]) -> Option<HostTypeId> {
        match name {
            b"example" => Some(host_type(1)),
            b"b.example" => Some(host_type(2)),
            _ => None,
        }
    }

    fn claimed(patterns: &Patterns, name: &str) -> Vec<(u16, ClaimKind)> {
        let claims = patterns.claims(name.as_bytes(), parent);
        claims.map(|claim| (claim.host_type.to_number(), claim.kind)).collect()
    }

    #[test]
    fn a_prefix_makes_a_subdomain_of_each_domain_of_its_host_type() {
        let patterns = Patterns::default().with(host_type(1), &prefix("muc."));
        assert_eq!(claimed(&patterns, "muc.example"), [(1, ClaimKind::Prefix(4))]);
        for name in ["example", "muc.b.example", "muc.", "muc.muc.example", "xmuc.example", "muc.examples", "", "."] {
            assert_eq!(claimed(&patterns, name), [], "{name}");
        }
        assert_eq!(claimed(&patterns.without(host_type(2), &prefix("muc.")), "muc.example").len(), 1);
        assert!(patterns.without(host_type(1), &prefix("muc.")).is_empty());
    }

    #[test]
    fn an_fqdn_is_one_subdomain_whatever_the_domains_are() {
        let patterns = Patterns::default().with(host_type(7), &fqdn("muc.example"));
        assert_eq!(claimed(&patterns, "muc.example"), [(7, ClaimKind::Fqdn)]);
        assert_eq!(claimed(&patterns, "example"), []);
    }

    #[test]
    fn all_claims_of_a_name_are_found() {
        let patterns = Patterns::default()
            .with(host_type(1), &prefix("a.b."))
            .with(host_type(2), &prefix("a."))
            .with(host_type(7), &fqdn("a.b.example"));
        let claims = claimed(&patterns, "a.b.example");
        assert_eq!(claims, [(7, ClaimKind::Fqdn), (2, ClaimKind::Prefix(2)), (1, ClaimKind::Prefix(4))]);
    }

    #[test]
    fn overlap_says_whether_two_patterns_can_make_the_same_name() {
        let some = Patterns::default().with(host_type(1), &prefix("a.")).with(host_type(1), &prefix("ab."));
        assert!(!some.overlap());
        assert!(some.with(host_type(2), &prefix("a.b.")).overlap());
        assert!(some.with(host_type(2), &fqdn("ab.example")).overlap());
        assert!(!some.with(host_type(2), &fqdn("abc.example")).overlap());
        assert!(!some.with(host_type(2), &prefix("a.b.")).without(host_type(1), &prefix("a.")).overlap());
    }

    #[test]
    fn a_pattern_that_is_registered_again_stays_older() {
        let patterns = Patterns::default().with(host_type(1), &fqdn("a")).with(host_type(2), &fqdn("a"));
        let again = patterns.with(host_type(1), &fqdn("a"));
        let ids: Vec<RegistrationId> = again.claims(b"a", parent).map(|claim| claim.registration).collect();
        assert!(ids.is_sorted() && ids.len() == 2, "{ids:?}");
    }
}
