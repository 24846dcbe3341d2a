//! Subdomains: names that are not stored, but computed from a domain and a pattern of its host type.
//!
//! A *prefix* such as `muc.` gives every domain of a host type a subdomain: `muc.example.com` is one while
//! `example.com` has that host type. An *FQDN* is one name for the whole host type. So a million domains with five
//! patterns are a million entries and five patterns, and to register a pattern takes as long with a million domains
//! as with ten.
//!
//! What makes a name a subdomain is a [`Claim`]: a registered FQDN of this name, or a registered prefix that the name
//! begins with, whose rest is a domain of the pattern's host type. A name may have several; `contests` tells which of
//! them came first.
//!
//! Lookups read patterns through [`Published`], without a lock, and only where there is no domain of the name. Only to
//! tell which of several claims came first they take the writers' mutex.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;

use crate::host_types::HostTypeId;

/// What a host type's subdomains are named after.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// The begin of a subdomain's name, up to and including the dot before the domain's name.
    Prefix(Box<[u8]>),
    /// The whole name of the only one.
    Fqdn(Box<[u8]>),
}

/// Where a subdomain's name is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// A prefix of so many bytes; what follows is the parent domain.
    Prefix(usize),
    /// The name itself was registered.
    Fqdn,
}

/// Counts registrations: a smaller one is older.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age(u64);

/// What makes a name a subdomain of a host type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The host type that serves the subdomain if no claim is before this one.
    pub host_type: HostTypeId,
    /// Where the name is from.
    pub kind: ClaimKind,
    pub(crate) age: Age,
}

type Registered = HashMap<Box<[u8]>, Vec<(HostTypeId, Age)>>;

/// All registered patterns, as of one moment.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    prefixes: Registered,
    fqdns: Registered,
    newest: Age,
    /// Bytes of the longest prefix.
    longest: usize,
    /// Bytes of the longest FQDN.
    longest_fqdn: usize,
    /// Whether two patterns that are there can make the same name, whatever the domains are.
    overlap: bool,
}

impl Patterns {
    pub(crate) fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.fqdns.is_empty()
    }

    /// Whether a domain that is added may make a name that is a subdomain already.
    pub(crate) fn overlap(&self) -> bool {
        self.overlap
    }

    /// What makes `name` a subdomain, in no order; `parent` tells the host type of a domain.
    pub(crate) fn claims<'a>(
        &'a self,
        name: &'a [u8],
        parent: impl Fn(&[u8]) -> Option<HostTypeId> + 'a,
    ) -> impl Iterator<Item = Claim> + 'a {
        // A name that is longer than any is not looked at, however long it is.
        let fqdns = Some(name).filter(|name| name.len() <= self.longest_fqdn);
        let fqdns = fqdns.and_then(|name| self.fqdns.get(name)).into_iter().flatten();
        let fqdns = fqdns.map(|&(host_type, age)| Claim { host_type, kind: ClaimKind::Fqdn, age });
        let begin = &name[..name.len().min(self.longest)];
        let dots = begin.iter().enumerate().filter(|&(_, &byte)| byte == b'.');
        let prefixes = dots.filter_map(move |(dot, _)| {
            let (prefix, rest) = name.split_at(dot + 1);
            let registered = self.prefixes.get(prefix)?;
            let host_type = parent(rest)?;
            let &(_, age) = registered.iter().find(|&&(one, _)| one == host_type)?;
            Some(Claim { host_type, kind: ClaimKind::Prefix(prefix.len()), age })
        });
        fqdns.chain(prefixes)
    }

    /// The prefixes of this host type.
    pub(crate) fn prefixes_of(&self, host_type: HostTypeId) -> impl Iterator<Item = &[u8]> {
        let has = move |registered: &[(HostTypeId, Age)]| registered.iter().any(|&(one, _)| one == host_type);
        self.prefixes.iter().filter(move |(_, registered)| has(registered)).map(|(prefix, _)| &**prefix)
    }

    /// Whether this name was registered as a whole.
    pub(crate) fn has_fqdn(&self, name: &[u8]) -> bool {
        self.fqdns.contains_key(name)
    }

    /// The same with one more pattern; one that is registered keeps its age.
    pub(crate) fn with(&self, host_type: HostTypeId, pattern: &Pattern) -> Patterns {
        let mut patterns = self.clone();
        patterns.newest = Age(self.newest.0 + 1);
        let age = patterns.newest;
        let (registered, text) = patterns.registered(pattern);
        let registered = registered.entry(text.into()).or_default();
        if !registered.iter().any(|&(one, _)| one == host_type) {
            registered.push((host_type, age));
        }
        patterns.measured()
    }

    /// The same without this one.
    pub(crate) fn without(&self, host_type: HostTypeId, pattern: &Pattern) -> Patterns {
        let mut patterns = self.clone();
        let (registered, text) = patterns.registered(pattern);
        if let Some(host_types) = registered.get_mut(text) {
            host_types.retain(|&(one, _)| one != host_type);
            if host_types.is_empty() {
                registered.remove(text);
            }
        }
        patterns.measured()
    }

    fn registered<'p>(&mut self, pattern: &'p Pattern) -> (&mut Registered, &'p [u8]) {
        match pattern {
            Pattern::Prefix(text) => (&mut self.prefixes, text),
            Pattern::Fqdn(text) => (&mut self.fqdns, text),
        }
    }

    fn measured(mut self) -> Patterns {
        let begins =
            |name: &[u8]| self.prefixes.keys().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
        self.overlap = self.prefixes.keys().chain(self.fqdns.keys()).any(|text| begins(text));
        self.longest = self.prefixes.keys().map(|prefix| prefix.len()).max().unwrap_or(0);
        self.longest_fqdn = self.fqdns.keys().map(|name| name.len()).max().unwrap_or(0);
        self
    }
}

/// The patterns, as lookups read them.
#[derive(Default)]
pub(crate) struct Published {
    any: AtomicBool,
    patterns: ArcSwap<Patterns>,
}

impl Published {
    /// Whether there are patterns at all: most who find no domain need ask no further.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn load(&self) -> Guard<Arc<Patterns>> {
        self.patterns.load()
    }

    /// Whether these are still the ones. They were all the time, then: while `patterns` lives, no others can lie
    /// where they lie.
    pub(crate) fn are(&self, patterns: &Arc<Patterns>) -> bool {
        Arc::ptr_eq(&self.patterns.load(), patterns)
    }

    pub(crate) fn publish(&self, patterns: Arc<Patterns>) {
        self.any.store(!patterns.is_empty(), Ordering::Relaxed);
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
    fn it_is_known_which_patterns_can_make_the_same_name() {
        let some = Patterns::default().with(host_type(1), &prefix("a.")).with(host_type(1), &prefix("ab."));
        assert!(!some.overlap());
        assert!(some.with(host_type(2), &prefix("a.b.")).overlap());
        assert!(some.with(host_type(2), &fqdn("ab.example")).overlap());
        assert!(!some.with(host_type(2), &fqdn("abc.example")).overlap());
        assert!(!some.with(host_type(2), &prefix("a.b.")).without(host_type(1), &prefix("a.")).overlap());
    }

    #[test]
    fn an_older_pattern_stays_older() {
        let patterns = Patterns::default().with(host_type(1), &fqdn("a")).with(host_type(2), &fqdn("a"));
        let again = patterns.with(host_type(1), &fqdn("a"));
        let ages: Vec<Age> = again.claims(b"a", parent).map(|claim| claim.age).collect();
        assert!(ages.is_sorted() && ages.len() == 2, "{ages:?}");
    }
}
