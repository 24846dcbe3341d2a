//! What only writers use, and how a change works: one writer at a time, under the table's mutex.
//!
//! The static rules are enforced here. A change updates everything that depends on it: the routes, the counts, the
//! order of claims on subdomains, and the change feed.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::change::{
    Change, DomainCounts, Epoch, EventId, InsertError, Inserted, IsStatic, Outcome, Progress, Refusal, Stale,
};
use crate::change_feed::{ChangeFeed, ChangeKind};
use crate::claim_order::ClaimOrder;
use crate::entries::EntryIndex;
use crate::entry::{Header, Origin, Source};
use crate::fault::fault_point;
use crate::hashed_name::HashedName;
use crate::host_types::HostTypeId;
use crate::named_sources::NamedSources;
use crate::own_changes::OwnChanges;
use crate::patterns::{Claim, ClaimKind, Patterns};
use crate::route_writer::RouteWriter;
use crate::routes::{BuiltRoutes, Openness, Routes};

/// What the table's mutex protects.
pub(crate) struct WriterState {
    pub(crate) epoch: Epoch,
    pub(crate) route_writer: RouteWriter,
    /// The host types that dynamic domains may use: a handful.
    pub(crate) allowed: Vec<HostTypeId>,
    /// By [`HostTypeId::index`]. Those at the end that never had a domain may be missing.
    pub(crate) counts: Vec<DomainCounts>,
    pub(crate) progress: Progress,
    last_source: u32,
    pub(crate) named_sources: NamedSources,
    /// The patterns that lookups read, too.
    pub(crate) patterns: Arc<Patterns>,
    pub(crate) claim_order: ClaimOrder,
    pub(crate) change_feed: ChangeFeed,
    pub(crate) own_changes: OwnChanges,
}

impl WriterState {
    /// The state of a closed table.
    pub(crate) fn new() -> WriterState {
        WriterState {
            epoch: Epoch(0),
            route_writer: RouteWriter::new(),
            allowed: Vec::new(),
            counts: Vec::new(),
            progress: Progress::Closed,
            last_source: 0,
            named_sources: NamedSources::default(),
            patterns: Arc::default(),
            claim_order: ClaimOrder::default(),
            change_feed: ChangeFeed::new(),
            own_changes: OwnChanges::default(),
        }
    }

    /// Replaces all routes by those that were built, and resets the progress.
    pub(crate) fn replace_routes(
        &mut self,
        routes: &Routes,
        openness: Openness,
        built: BuiltRoutes,
        allowed: Vec<HostTypeId>,
    ) {
        self.epoch.0 += 1;
        self.allowed = allowed;
        self.progress = match openness {
            Openness::Open => Progress::Unloaded,
            Openness::Closed => Progress::Closed,
        };
        self.counts.clear();
        for host_type in routes.swap(&mut self.route_writer, built, openness) {
            self.counts_mut(host_type).r#static += 1;
        }
        self.claim_order.clear();
        self.named_sources.clear();
        self.change_feed.record_everything();
    }

    /// Repairs the state after an interrupted change. The recorded order of claims is lost: the older pattern wins.
    pub(crate) fn repair(&mut self, routes: &Routes) {
        self.counts.clear();
        for header in routes.write(&mut self.route_writer).rebuild() {
            let counts = self.counts_mut(header.host_type());
            match header.origin() {
                Origin::Static => counts.r#static += 1,
                Origin::Dynamic(_) => counts.dynamic += 1,
            }
        }
        self.claim_order.clear();
        self.change_feed.record_everything();
        self.epoch.0 += 1;
        if matches!(self.progress, Progress::Following { .. }) {
            self.progress = Progress::Reset;
        }
    }

    /// Sets how current the routes are. A first load records no single changes, so its end records that everything has
    /// changed.
    pub(crate) fn set_progress(&mut self, progress: Progress) {
        if self.progress == Progress::Unloaded {
            self.change_feed.record_everything();
        }
        self.progress = progress;
    }

    pub(crate) fn check_epoch(&self, epoch: Epoch) -> Result<(), Stale> {
        if self.epoch == epoch { Ok(()) } else { Err(Stale) }
    }

    /// A source that no route has yet.
    pub(crate) fn new_source(&mut self) -> Source {
        self.last_source = self.last_source.checked_add(1).unwrap_or(1);
        Source(NonZeroU32::new(self.last_source).unwrap_or(NonZeroU32::MIN))
    }

    /// The source of this name, which is a new one if the name is new.
    pub(crate) fn named_source(&mut self, name: &[u8]) -> Source {
        let mut named_sources = std::mem::take(&mut self.named_sources);
        let source = named_sources.get_or_insert_with(name, || self.new_source());
        self.named_sources = named_sources;
        source
    }

    fn counts_mut(&mut self, host_type: HostTypeId) -> &mut DomainCounts {
        let index = host_type.index();
        if index >= self.counts.len() {
            self.counts.resize(index + 1, DomainCounts::default());
        }
        &mut self.counts[index]
    }

    /// The dynamic route of this domain, or `None` if it has none, unless a static rule forbids that it gets this host
    /// type. The host type is checked before the domain, as in MongooseIM.
    fn find_dynamic(
        &self,
        routes: &Routes,
        domain: HashedName,
        host_type: HostTypeId,
    ) -> Result<Option<(EntryIndex, Header)>, Refusal> {
        if !self.allowed.contains(&host_type) {
            return Err(Refusal::UnknownHostType);
        }
        match routes.find(&self.route_writer, domain) {
            Some((_, header)) if header.origin() == Origin::Static => Err(Refusal::Static),
            found => Ok(found),
        }
    }

    /// Adds a dynamic domain, or confirms it.
    pub(crate) fn insert(
        &mut self,
        routes: &Routes,
        domain: HashedName,
        host_type: HostTypeId,
        source: Source,
    ) -> Result<Inserted, InsertError> {
        match self.find_dynamic(routes, domain, host_type) {
            Err(Refusal::UnknownHostType) => Err(InsertError::UnknownHostType),
            Err(Refusal::Static) => Err(InsertError::Static),
            Ok(Some((_, header))) if header.host_type() != host_type => {
                Err(InsertError::OtherHostType(header.host_type()))
            }
            Ok(Some(found)) => {
                routes.write(&mut self.route_writer).set(found, host_type, Origin::Dynamic(source));
                Ok(Inserted::Kept)
            }
            Ok(None) => {
                self.add(routes, domain, host_type, source);
                self.record_added(routes, domain, host_type);
                Ok(Inserted::Added)
            }
        }
    }

    /// Applies what the follower has read about a domain, unless this node has changed the domain since.
    pub(crate) fn apply_row(
        &mut self,
        routes: &Routes,
        event: Option<EventId>,
        change: &Change,
        domain: HashedName,
        source: Source,
    ) -> Outcome {
        if let Some(overtaker) = self.own_changes.overtaker(domain.name) {
            return Outcome::Overtaken(overtaker);
        }
        self.own_changes.touch(domain.name, event);
        self.apply(routes, change, domain, source)
    }

    /// Applies a change, whose domain is `domain`.
    pub(crate) fn apply(&mut self, routes: &Routes, change: &Change, domain: HashedName, source: Source) -> Outcome {
        match change {
            Change::Put(_, host_type) => self.put(routes, domain, *host_type, source),
            Change::Remove(_) => match self.remove(routes, domain) {
                Ok(removed) => removed.map_or(Outcome::Absent, Outcome::Removed),
                Err(IsStatic) => Outcome::Refused(Refusal::Static),
            },
        }
    }

    /// Whether lookups of `domain` show what this change made of it.
    pub(crate) fn shows(&self, routes: &Routes, change: &Change, domain: HashedName) -> bool {
        let found = routes.find(&self.route_writer, domain).map(|(_, header)| header);
        match change {
            Change::Put(_, host_type) => {
                found.is_some_and(|header| header.origin() != Origin::Static && header.host_type() == *host_type)
            }
            Change::Remove(_) => found.is_none(),
        }
    }

    fn put(&mut self, routes: &Routes, domain: HashedName, host_type: HostTypeId, source: Source) -> Outcome {
        match self.find_dynamic(routes, domain, host_type) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(Some((entry, header))) => {
                routes.write(&mut self.route_writer).set((entry, header), host_type, Origin::Dynamic(source));
                let before = header.host_type();
                if before == host_type {
                    return Outcome::Kept;
                }
                fault_point();
                self.counts_mut(before).dynamic -= 1;
                fault_point();
                self.counts_mut(host_type).dynamic += 1;
                self.record_removed(domain, before);
                self.record_added(routes, domain, host_type);
                Outcome::Moved(before)
            }
            Ok(None) => {
                self.add(routes, domain, host_type, source);
                // `set_progress` records the changes of a first load as a whole.
                if self.progress != Progress::Unloaded {
                    self.record_added(routes, domain, host_type);
                }
                Outcome::Added
            }
        }
    }

    fn add(&mut self, routes: &Routes, domain: HashedName, host_type: HostTypeId, source: Source) {
        routes.write(&mut self.route_writer).insert(domain, host_type, Origin::Dynamic(source));
        fault_point();
        self.counts_mut(host_type).dynamic += 1;
    }

    /// Removes a dynamic domain. Returns its host type, or `None` if it does not exist.
    pub(crate) fn remove(&mut self, routes: &Routes, domain: HashedName) -> Result<Option<HostTypeId>, IsStatic> {
        match routes.find(&self.route_writer, domain) {
            Some((_, header)) if header.origin() == Origin::Static => Err(IsStatic),
            Some((entry, header)) => {
                routes.write(&mut self.route_writer).remove(domain, entry);
                fault_point();
                self.counts_mut(header.host_type()).dynamic -= 1;
                self.record_removed(domain, header.host_type());
                Ok(Some(header.host_type()))
            }
            None => Ok(None),
        }
    }

    /// All claims on this name, the earliest one first.
    pub(crate) fn claims(&self, routes: &Routes, name: &[u8]) -> Vec<Claim> {
        let parent = |parent: &[u8]| routes.lookup_locked(&self.route_writer, parent).host_type();
        let mut claims: Vec<Claim> = self.patterns.claims(name, parent).collect();
        self.claim_order.sort(name, &mut claims);
        claims
    }

    /// Records that this domain has this host type now.
    fn record_added(&mut self, routes: &Routes, domain: HashedName, host_type: HostTypeId) {
        self.change_feed.record(domain.name, host_type, ChangeKind::Added);
        if !self.patterns.overlap() {
            return;
        }
        let patterns = self.patterns.clone();
        for prefix in patterns.prefixes_of(host_type) {
            let name = [prefix, domain.name].concat();
            let mut claims = self.claims(routes, &name);
            if claims.len() > 1 {
                // The claim of this domain is the latest.
                claims.sort_by_key(|claim| claim.kind == ClaimKind::Prefix(prefix.len()));
                self.claim_order.record(name.into(), &claims);
            }
        }
    }

    /// Records that this domain no longer has this host type.
    fn record_removed(&mut self, domain: HashedName, host_type: HostTypeId) {
        self.change_feed.record(domain.name, host_type, ChangeKind::Removed);
        if self.claim_order.is_empty() {
            return;
        }
        for prefix in self.patterns.prefixes_of(host_type) {
            let name = [prefix, domain.name].concat();
            self.claim_order.remove(&name, host_type, ClaimKind::Prefix(prefix.len()));
        }
    }
}
