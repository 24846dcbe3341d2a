//! What the table knows besides the routes, and how they change: by one writer at a time, under the table's mutex.
//!
//! The static rules are kept here. A change that is made is made everywhere: in the routes, the counts, the order of
//! claims on subdomains, and the notes for those who watch.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::change::{Change, DomainCounts, Epoch, InsertError, Inserted, IsStatic, Outcome, Progress, Refusal, Stale};
use crate::change_feed::{ChangeFeed, ChangeKind};
use crate::contests::Contests;
use crate::entries::Place;
use crate::entry::{Head, Origin, Source};
use crate::fault;
use crate::host_types::HostTypeId;
use crate::patterns::{Claim, ClaimKind, Patterns};
use crate::routes::{Books, Built, Keyed, Open, Routes};
use crate::sources::Sources;

/// What is guarded by the table's mutex.
pub(crate) struct Ledger {
    pub(crate) epoch: Epoch,
    pub(crate) books: Books,
    /// The host types that dynamic routes may use: a handful.
    pub(crate) allowed: Vec<HostTypeId>,
    /// By host type, at the index of its id; those that never had a domain may be missing at the end.
    pub(crate) counts: Vec<DomainCounts>,
    pub(crate) progress: Progress,
    pub(crate) last_source: u32,
    /// Those that callers named.
    pub(crate) sources: Sources,
    /// As lookups read them.
    pub(crate) patterns: Arc<Patterns>,
    pub(crate) contests: Contests,
    pub(crate) change_feed: ChangeFeed,
}

impl Ledger {
    /// Of a closed table.
    pub(crate) fn new() -> Ledger {
        Ledger {
            epoch: Epoch(0),
            books: Books::new(),
            allowed: Vec::new(),
            counts: Vec::new(),
            progress: Progress::Closed,
            last_source: 0,
            sources: Sources::default(),
            patterns: Arc::default(),
            contests: Contests::default(),
            change_feed: ChangeFeed::new(),
        }
    }

    /// Puts the routes that were built in the place of all others. Every progress is forgotten.
    pub(crate) fn begin(&mut self, routes: &Routes, open: Open, built: Built, allowed: Vec<HostTypeId>) {
        self.epoch.0 += 1;
        self.allowed = allowed;
        self.progress = match open {
            Open::Yes => Progress::Unloaded,
            Open::No => Progress::Closed,
        };
        self.counts.clear();
        for host_type in routes.turn(&mut self.books, built, open) {
            self.count(host_type).r#static += 1;
        }
        self.contests.clear();
        self.sources.clear();
        self.change_feed.note_everything();
    }

    /// Puts right what a change left that was broken off in its middle. What is known of the order of claims on a
    /// subdomain is forgotten: the older pattern wins.
    pub(crate) fn restore(&mut self, routes: &Routes) {
        self.counts.clear();
        for head in routes.writer(&mut self.books).restore() {
            let counts = self.count(head.host_type());
            match head.origin() {
                Origin::Static => counts.r#static += 1,
                Origin::Dynamic(_) => counts.dynamic += 1,
            }
        }
        self.contests.clear();
        self.change_feed.note_everything();
        self.epoch.0 += 1;
        if matches!(self.progress, Progress::Following { .. }) {
            self.progress = Progress::Reset;
        }
    }

    /// Says how current the routes are now. What a first load brought was not noted: it is noted as a whole.
    pub(crate) fn advance(&mut self, progress: Progress) {
        if self.progress == Progress::Unloaded {
            self.change_feed.note_everything();
        }
        self.progress = progress;
    }

    pub(crate) fn check(&self, epoch: Epoch) -> Result<(), Stale> {
        if self.epoch == epoch { Ok(()) } else { Err(Stale) }
    }

    /// A source that no route is from yet.
    pub(crate) fn new_source(&mut self) -> Source {
        self.last_source = self.last_source.checked_add(1).unwrap_or(1);
        Source(NonZeroU32::new(self.last_source).unwrap_or(NonZeroU32::MIN))
    }

    /// The source of this name, which is a new one where the name is new.
    pub(crate) fn named_source(&mut self, name: &[u8]) -> Source {
        let mut sources = std::mem::take(&mut self.sources);
        let source = sources.number(name, || self.new_source());
        self.sources = sources;
        source
    }

    /// The count of this host type.
    fn count(&mut self, host_type: HostTypeId) -> &mut DomainCounts {
        let index = host_type.index();
        if index >= self.counts.len() {
            self.counts.resize(index + 1, DomainCounts::default());
        }
        &mut self.counts[index]
    }

    /// The route of this domain that a dynamic one is to change, or nothing when it needs a new one. The host
    /// type is checked before the domain, as the peer does.
    fn slot(&self, routes: &Routes, domain: Keyed, host_type: HostTypeId) -> Result<Option<(Place, Head)>, Refusal> {
        if !self.allowed.contains(&host_type) {
            return Err(Refusal::UnknownHostType);
        }
        match routes.find(&self.books, domain) {
            Some((_, head)) if head.origin() == Origin::Static => Err(Refusal::Static),
            found => Ok(found),
        }
    }

    /// Adds one dynamic domain, or confirms it.
    pub(crate) fn insert(
        &mut self,
        routes: &Routes,
        domain: Keyed,
        host_type: HostTypeId,
        source: Source,
    ) -> Result<Inserted, InsertError> {
        match self.slot(routes, domain, host_type) {
            Err(Refusal::UnknownHostType) => Err(InsertError::UnknownHostType),
            Err(Refusal::Static) => Err(InsertError::Static),
            Ok(Some((_, head))) if head.host_type() != host_type => Err(InsertError::OtherHostType(head.host_type())),
            Ok(Some(found)) => {
                routes.writer(&mut self.books).set(found, host_type, Origin::Dynamic(source));
                Ok(Inserted::Kept)
            }
            Ok(None) => {
                self.add(routes, domain, host_type, source);
                self.came(routes, domain, host_type);
                Ok(Inserted::Added)
            }
        }
    }

    /// The change's domain is `domain`.
    pub(crate) fn apply(&mut self, routes: &Routes, change: &Change, domain: Keyed, source: Source) -> Outcome {
        match change {
            Change::Put(_, host_type) => self.put(routes, domain, *host_type, source),
            Change::Remove(_) => match self.take(routes, domain) {
                Ok(taken) => taken.map_or(Outcome::Absent, Outcome::Removed),
                Err(IsStatic) => Outcome::Refused(Refusal::Static),
            },
        }
    }

    fn put(&mut self, routes: &Routes, domain: Keyed, host_type: HostTypeId, source: Source) -> Outcome {
        match self.slot(routes, domain, host_type) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(Some((place, head))) => {
                routes.writer(&mut self.books).set((place, head), host_type, Origin::Dynamic(source));
                let before = head.host_type();
                if before == host_type {
                    return Outcome::Kept;
                }
                fault::point();
                self.count(before).dynamic -= 1;
                fault::point();
                self.count(host_type).dynamic += 1;
                self.went(domain, before);
                self.came(routes, domain, host_type);
                Outcome::Moved(before)
            }
            Ok(None) => {
                self.add(routes, domain, host_type, source);
                // A first load is told as a whole.
                if self.progress != Progress::Unloaded {
                    self.came(routes, domain, host_type);
                }
                Outcome::Added
            }
        }
    }

    fn add(&mut self, routes: &Routes, domain: Keyed, host_type: HostTypeId, source: Source) {
        routes.writer(&mut self.books).insert(domain, host_type, Origin::Dynamic(source));
        fault::point();
        self.count(host_type).dynamic += 1;
    }

    /// Takes out a dynamic route: its host type, or nothing when it was not there.
    pub(crate) fn take(&mut self, routes: &Routes, domain: Keyed) -> Result<Option<HostTypeId>, IsStatic> {
        match routes.find(&self.books, domain) {
            Some((_, head)) if head.origin() == Origin::Static => Err(IsStatic),
            Some((place, head)) => {
                routes.writer(&mut self.books).remove(domain, place);
                fault::point();
                self.count(head.host_type()).dynamic -= 1;
                self.went(domain, head.host_type());
                Ok(Some(head.host_type()))
            }
            None => Ok(None),
        }
    }

    /// All that makes this name a subdomain, the claim that was first at first.
    pub(crate) fn claims(&self, routes: &Routes, name: &[u8]) -> Vec<Claim> {
        let parent = |parent: &[u8]| routes.get_alone(&self.books, parent).host_type();
        let mut claims: Vec<Claim> = self.patterns.claims(name, parent).collect();
        self.contests.sort(name, &mut claims);
        claims
    }

    /// The domain has this host type now.
    fn came(&mut self, routes: &Routes, domain: Keyed, host_type: HostTypeId) {
        self.change_feed.note(domain.name(), host_type, ChangeKind::Added);
        if !self.patterns.overlap() {
            return;
        }
        let patterns = self.patterns.clone();
        for prefix in patterns.prefixes_of(host_type) {
            let name = [prefix, domain.name()].concat();
            let mut claims = self.claims(routes, &name);
            if claims.len() > 1 {
                claims.sort_by_key(|claim| claim.kind == ClaimKind::Prefix(prefix.len())); // last
                self.contests.note(name.into(), &claims);
            }
        }
    }

    /// The domain does not have this host type any more.
    fn went(&mut self, domain: Keyed, host_type: HostTypeId) {
        self.change_feed.note(domain.name(), host_type, ChangeKind::Removed);
        if self.contests.is_empty() {
            return;
        }
        for prefix in self.patterns.prefixes_of(host_type) {
            let name = [prefix, domain.name()].concat();
            self.contests.withdraw(&name, host_type, ClaimKind::Prefix(prefix.len()));
        }
    }
}
