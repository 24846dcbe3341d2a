//! The table: static rules, dynamic routes, and how current they are.
//!
//! Two roads lead in. [`Table::insert`] and [`Table::delete`] change one domain and refuse to let a
//! route point elsewhere, as MongooseIM's domain core does. [`Table::apply`] is the follower's: it
//! takes what the database says now, and a host type that changed is exchanged in place, so the domain
//! is never unknown in between.
//!
//! The static rules: what [`Table::open`] was given stays as it is and wins over any row of the same
//! name; a dynamic route may only use a host type of the list that `open` was given.
//!
//! [`Progress`] (which load the routes are from) lives in here, because it is a property of these
//! routes: emptying the table forgets both at once. The [`Epoch`] tells a load that began before the
//! table was emptied that its batches are not wanted, and whoever remembers more about these routes,
//! such as the event up to which they are current, whether it is still about them.

use std::num::NonZeroU32;
use std::sync::Arc;

use thiserror::Error;

use crate::entries::Place;
use crate::entry::{Head, Origin, Source};
use crate::host_types::{HostTypeId, HostTypes};
use crate::lookups::{Counter, Lookups, Seen};
use crate::name::DomainName;
use crate::page::{PLACES, Page, Position, Select};
use crate::routes::{Books, Found, Keyed, Open, Routes};
use crate::sync::Mutex;

/// How many changes are made between two moments at which others than lookups get in.
const SECTION: usize = 64;

/// An id of `domain_events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub i64);

/// Counts how often the table was opened, closed or had its progress reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// How current the dynamic routes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The table is closed: there is nothing to be current with.
    Closed,
    /// They were never loaded.
    Unloaded,
    /// They are to be loaded again, and what that load does not bring is to go.
    Reset,
    /// They are from a load and follow the log of events.
    Following {
        /// The load that they are from.
        source: Source,
    },
}

/// A domain from configuration and the host type that serves it.
pub type StaticPair = (DomainName, HostTypeId);

/// What the database says about a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is enabled, with this host type.
    Put(DomainName, HostTypeId),
    /// It is gone, disabled or in removal.
    Remove(DomainName),
}

impl Change {
    /// The domain that it is about.
    pub fn domain(&self) -> &DomainName {
        let (Change::Put(domain, _) | Change::Remove(domain)) = self;
        domain
    }
}

/// What became of a [`Change`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The domain is new.
    Added,
    /// It was there with the same host type.
    Kept,
    /// It was there with another host type: this one.
    Moved(HostTypeId),
    /// It was there and is gone.
    Removed(HostTypeId),
    /// It was not there.
    Absent,
    /// A static rule stands against it, and nothing was changed.
    Refused(Refusal),
}

/// Which static rule stands against a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The domain is static.
    Static,
    /// The host type is not one that dynamic domains may use.
    UnknownHostType,
}

/// What [`Table::insert`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The domain was not there before.
    Added,
    /// It was there with the same host type; its source is the new one.
    Kept,
}

/// Why [`Table::insert`] changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InsertError {
    /// The host type is not one that dynamic domains may use.
    #[error("the host type is not one that dynamic domains may use")]
    UnknownHostType,
    /// The domain is static.
    #[error("the domain is static")]
    Static,
    /// The domain is there with another host type: this one.
    #[error("the domain is there with another host type")]
    OtherHostType(HostTypeId),
}

/// Why [`Table::host_type`] found no host type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Miss {
    /// The table is open, and the domain is not in it.
    #[error("no such domain")]
    NotFound,
    /// The table is closed.
    #[error("the table is closed")]
    Closed,
}

/// A static domain cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the domain is static")]
pub struct IsStatic;

/// The table was opened, closed or reset since the caller took its [`Epoch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the table was opened, closed or reset in between")]
pub struct Stale;

/// How many domains there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// From configuration.
    pub r#static: usize,
    /// Inserted.
    pub dynamic: usize,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), |sum, more| Counts {
            r#static: sum.r#static + more.r#static,
            dynamic: sum.dynamic + more.dynamic,
        })
    }
}

/// Which host type serves which domain.
///
/// Lookups take no lock. All others take the ledger's, one at a time and for a short while each.
pub struct Table {
    host_types: Arc<HostTypes>,
    routes: Routes,
    ledger: Mutex<Ledger>,
    lookups: Counter,
}

/// What is known about the routes, but for themselves.
struct Ledger {
    epoch: Epoch,
    books: Books,
    /// The host types that dynamic routes may use: a handful.
    allowed: Vec<HostTypeId>,
    /// By host type, at the index of its id; those that never had a domain may be missing at the end.
    counts: Vec<Counts>,
    progress: Progress,
    last_source: u32,
}

impl Table {
    /// A closed table, for about `threads` threads that look up.
    pub fn new(threads: usize) -> Table {
        let ledger = Ledger {
            epoch: Epoch(0),
            books: Books::new(),
            allowed: Vec::new(),
            counts: Vec::new(),
            progress: Progress::Closed,
            last_source: 0,
        };
        Table {
            host_types: Arc::default(),
            routes: Routes::new(),
            ledger: Mutex::new(ledger),
            lookups: Counter::new(threads),
        }
    }

    /// The host types that ids in this table stand for.
    pub fn host_types(&self) -> &Arc<HostTypes> {
        &self.host_types
    }

    /// Empties the table and begins anew with these static pairs (the first of a name wins) and
    /// these host types for dynamic domains. Every progress is forgotten.
    pub fn open(&self, pairs: &[StaticPair], allowed: impl IntoIterator<Item = HostTypeId>) {
        self.begin(Open::Yes, pairs, allowed.into_iter().collect());
    }

    /// Empties the table: no domain, no host type, no progress.
    pub fn close(&self) {
        self.begin(Open::No, &[], Vec::new());
    }

    fn begin(&self, open: Open, pairs: &[StaticPair], allowed: Vec<HostTypeId>) {
        let mut ledger = self.ledger.lock();
        ledger.epoch.0 += 1;
        ledger.allowed = allowed;
        ledger.progress = match open {
            Open::Yes => Progress::Unloaded,
            Open::No => Progress::Closed,
        };
        let routes = pairs.iter().map(|(domain, host_type)| (domain.as_bytes(), *host_type));
        ledger.counts.clear();
        for host_type in self.routes.exchange(&mut ledger.books, open, routes) {
            ledger.count(host_type).r#static += 1;
        }
    }

    /// The host type that serves `domain`.
    #[inline]
    pub fn host_type(&self, domain: &[u8]) -> Result<HostTypeId, Miss> {
        match self.look(domain) {
            Found::Route(head) => {
                self.lookups.count(Seen::Hit);
                Ok(head.host_type())
            }
            Found::Nothing => {
                self.lookups.count(Seen::Miss);
                Err(Miss::NotFound)
            }
            Found::Closed => Err(Miss::Closed),
        }
    }

    #[inline]
    fn look(&self, domain: &[u8]) -> Found {
        self.routes.get(domain).unwrap_or_else(|| self.wait_and_look(domain))
    }

    /// The writer was in the way for longer than a change takes: it does not run just now. Waiting for the
    /// ledger lets it.
    #[cold]
    fn wait_and_look(&self, domain: &[u8]) -> Found {
        self.routes.get_alone(&self.ledger.lock().books, domain)
    }

    /// How often [`Table::host_type`] answered since the table was made; what a closed table did not
    /// answer is not counted.
    pub fn lookups(&self) -> Lookups {
        self.lookups.sum()
    }

    /// Whether `domain` is from configuration.
    pub fn is_static(&self, domain: &[u8]) -> bool {
        matches!(self.look(domain), Found::Route(head) if head.origin() == Origin::Static)
    }

    /// Whether dynamic domains may use this host type.
    pub fn is_allowed(&self, host_type: HostTypeId) -> bool {
        self.ledger.lock().allowed.contains(&host_type)
    }

    /// The host types that dynamic domains may use.
    pub fn allowed(&self) -> Vec<HostTypeId> {
        self.ledger.lock().allowed.clone()
    }

    /// Adds one dynamic domain, or confirms it. Errors in the order of [`InsertError`]'s variants.
    pub fn insert(&self, domain: &DomainName, host_type: HostTypeId, source: Source) -> Result<Inserted, InsertError> {
        let (ledger, domain) = (&mut *self.ledger.lock(), self.routes.keyed(domain.as_bytes()));
        match ledger.slot(&self.routes, domain, host_type) {
            Err(Refusal::UnknownHostType) => Err(InsertError::UnknownHostType),
            Err(Refusal::Static) => Err(InsertError::Static),
            Ok(Some((_, head))) if head.host_type() != host_type => Err(InsertError::OtherHostType(head.host_type())),
            Ok(Some(found)) => {
                self.routes.set(&mut ledger.books, found, host_type, Origin::Dynamic(source));
                Ok(Inserted::Kept)
            }
            Ok(None) => {
                ledger.add(&self.routes, domain, host_type, source);
                Ok(Inserted::Added)
            }
        }
    }

    /// Removes one dynamic domain: its host type, or nothing when it was not there.
    pub fn delete(&self, domain: &DomainName) -> Result<Option<HostTypeId>, IsStatic> {
        self.ledger.lock().take(&self.routes, self.routes.keyed(domain.as_bytes()))
    }

    /// The present epoch, for [`Table::apply`] and [`Table::advance`].
    pub fn epoch(&self) -> Epoch {
        self.ledger.lock().epoch
    }

    /// A source that no route is from yet.
    pub fn new_source(&self) -> Source {
        let mut ledger = self.ledger.lock();
        ledger.last_source = ledger.last_source.checked_add(1).unwrap_or(1);
        Source(NonZeroU32::new(ledger.last_source).unwrap_or(NonZeroU32::MIN))
    }

    /// Makes the table say what the database says: one outcome per change, in order. Lookups see each change
    /// whole.
    pub fn apply(&self, epoch: Epoch, source: Source, changes: &[Change]) -> Result<Vec<Outcome>, Stale> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut names = Vec::with_capacity(SECTION);
        for section in changes.chunks(SECTION) {
            names.clear();
            names.extend(section.iter().map(|change| self.routes.keyed(change.domain().as_bytes())));
            // Before others have to wait for this section.
            self.routes.touch(&names);
            let mut ledger = self.ledger.lock();
            ledger.check(epoch)?;
            let named = section.iter().zip(&names);
            outcomes.extend(named.map(|(change, name)| ledger.apply(&self.routes, change, *name, source)));
        }
        Ok(outcomes)
    }

    /// Says how current the routes are now.
    pub fn advance(&self, epoch: Epoch, progress: Progress) -> Result<(), Stale> {
        let mut ledger = self.ledger.lock();
        ledger.check(epoch)?;
        ledger.progress = progress;
        Ok(())
    }

    /// How current the routes are, and the epoch that this is said in.
    pub fn progress(&self) -> (Epoch, Progress) {
        let ledger = self.ledger.lock();
        (ledger.epoch, ledger.progress)
    }

    /// Keeps the routes and asks for a new load that brings all that are to stay. A load or a
    /// catching up that is under way is not wanted any more: a new epoch begins.
    pub fn reset_progress(&self) {
        let mut ledger = self.ledger.lock();
        ledger.epoch.0 += 1;
        ledger.progress = Progress::Reset;
    }

    /// Up to `limit` of the selected domains, from a position on.
    pub fn page(&self, select: Select, from: Position, limit: usize) -> Page {
        let ledger = self.ledger.lock();
        let mut page = Page::default();
        let to = from.0.saturating_add(PLACES);
        let mut next = to;
        for (place, entry) in self.routes.range(&ledger.books, from.0, to) {
            if !select.takes(entry.head) {
                continue;
            }
            if page.len() == limit {
                next = place;
                break;
            }
            page.push(&entry);
        }
        page.next = (next < self.routes.end(&ledger.books)).then_some(Position(next));
        page
    }

    /// All pages of up to `limit` of the selected domains, one at a time.
    pub fn pages(&self, select: Select, limit: usize) -> impl Iterator<Item = Page> {
        let mut next = Some(Position::START);
        std::iter::from_fn(move || {
            let page = self.page(select, next?, limit);
            next = page.next;
            Some(page)
        })
    }

    /// How many domains there are.
    pub fn counts(&self) -> Counts {
        self.ledger.lock().counts.iter().copied().sum()
    }

    /// How many domains each host type has: those that have any, and those that dynamic domains may use.
    /// The table counts as it changes, so this costs the number of host types, however many domains there are.
    pub fn counts_by_host_type(&self) -> Vec<(HostTypeId, Counts)> {
        let ledger = self.ledger.lock();
        let listed = |(id, counts): &(HostTypeId, Counts)| *counts != Counts::default() || ledger.allowed.contains(id);
        let counts = ledger.counts.iter().copied().chain(std::iter::repeat(Counts::default()));
        self.host_types.ids().zip(counts).filter(listed).collect()
    }
}

impl Ledger {
    fn check(&self, epoch: Epoch) -> Result<(), Stale> {
        if self.epoch == epoch { Ok(()) } else { Err(Stale) }
    }

    /// The count of this host type.
    fn count(&mut self, host_type: HostTypeId) -> &mut Counts {
        let index = host_type.index();
        if index >= self.counts.len() {
            self.counts.resize(index + 1, Counts::default());
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

    /// The change's domain is `domain`.
    fn apply(&mut self, routes: &Routes, change: &Change, domain: Keyed, source: Source) -> Outcome {
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
                routes.set(&mut self.books, (place, head), host_type, Origin::Dynamic(source));
                let before = head.host_type();
                if before == host_type {
                    return Outcome::Kept;
                }
                self.count(before).dynamic -= 1;
                self.count(host_type).dynamic += 1;
                Outcome::Moved(before)
            }
            Ok(None) => {
                self.add(routes, domain, host_type, source);
                Outcome::Added
            }
        }
    }

    fn add(&mut self, routes: &Routes, domain: Keyed, host_type: HostTypeId, source: Source) {
        routes.insert(&mut self.books, domain, host_type, Origin::Dynamic(source));
        self.count(host_type).dynamic += 1;
    }

    /// Takes out a dynamic route: its host type, or nothing when it was not there.
    fn take(&mut self, routes: &Routes, domain: Keyed) -> Result<Option<HostTypeId>, IsStatic> {
        match routes.find(&self.books, domain) {
            Some((_, head)) if head.origin() == Origin::Static => Err(IsStatic),
            Some((place, head)) => {
                routes.remove(&mut self.books, domain, place);
                self.count(head.host_type()).dynamic -= 1;
                Ok(Some(head.host_type()))
            }
            None => Ok(None),
        }
    }
}
