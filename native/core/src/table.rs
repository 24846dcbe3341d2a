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

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use crate::change::{
    Change, Closed, DomainCounts, Epoch, InsertError, Inserted, IsStatic, LookupError, MemoryUsage, Outcome, Progress,
    Stale, StaticRoute,
};
use crate::change_feed::Changes;
use crate::entries::Place;
use crate::entry::{Origin, Source};
use crate::host_types::{HostTypeId, HostTypes};
use crate::ledger::Ledger;
use crate::lookups::{Counter, LookupCounts, Seen};
use crate::name::DomainName;
use crate::page::{PLACES, Page, Position, Select};
use crate::patterns::{Claim, Pattern, Published};
use crate::routes::{Found, Open, Routes, Spare};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// How many changes are made between two moments at which others than lookups get in.
const SECTION: usize = 64;

/// Which host type serves which domain.
///
/// Lookups take no lock, but for two cases: a stripe that is being written each time that they read it, and a
/// subdomain's name that has several claims. These, and all others, take the ledger's, one at a time and for a short
/// while each.
pub struct Table {
    host_types: Arc<HostTypes>,
    routes: Routes,
    patterns: Published,
    ledger: Mutex<Ledger>,
    /// Is taken before the ledger.
    spare: Mutex<Spare>,
    lookups: Counter,
    /// Odd while the table is open; another number each time that it is opened or closed. It needs no order of memory of
    /// its own: who asks takes the mutex that it is changed under, or reads under a version that changes beside it.
    life: AtomicU64,
    /// Calls who watches the domains.
    bell: OnceLock<Bell>,
}

type Bell = Box<dyn Fn() + Send + Sync>;

impl Table {
    /// A closed table, for about `threads` threads that look up.
    pub fn new(threads: usize) -> Table {
        Table {
            host_types: Arc::default(),
            routes: Routes::new(),
            patterns: Published::default(),
            ledger: Mutex::new(Ledger::new()),
            spare: Mutex::new(Spare::new()),
            lookups: Counter::new(threads),
            life: AtomicU64::new(0),
            bell: OnceLock::new(),
        }
    }

    /// The host types that ids in this table stand for.
    pub fn host_types(&self) -> &Arc<HostTypes> {
        &self.host_types
    }

    /// Empties the table and begins anew with these static pairs (the first of a name wins) and
    /// these host types for dynamic domains. Every progress is forgotten.
    pub fn open(&self, pairs: &[StaticRoute], allowed: impl IntoIterator<Item = HostTypeId>) {
        self.begin(Open::Yes, pairs, allowed.into_iter().collect());
    }

    /// Empties the table: no domain, no host type, no progress.
    pub fn close(&self) {
        self.begin(Open::No, &[], Vec::new());
    }

    fn begin(&self, open: Open, pairs: &[StaticRoute], allowed: Vec<HostTypeId>) {
        let spare = &mut *self.spare.lock();
        // However long this takes, nobody waits for it who looks up or changes something.
        let built = self.routes.build(spare, pairs.iter().map(|(domain, host_type)| (domain.as_bytes(), *host_type)));
        self.change(|ledger| {
            let life = self.life.load(Ordering::Relaxed);
            if open == Open::No {
                self.life.store((life + 2) & !1, Ordering::Relaxed);
            }
            ledger.begin(&self.routes, open, built, allowed);
            if open == Open::Yes {
                self.life.store((life + 2) | 1, Ordering::Relaxed);
            }
        });
        self.routes.give_back(spare);
    }

    /// Whether the table is open.
    pub fn is_open(&self) -> bool {
        !self.life.load(Ordering::Relaxed).is_multiple_of(2)
    }

    /// What `ask`, which asks this table something, answers while the table is open. It is asked again where the table
    /// was closed or opened meanwhile, so an answer is never about a closed table.
    pub fn while_open<R>(&self, mut ask: impl FnMut() -> R) -> Result<R, Closed> {
        loop {
            let life = self.life.load(Ordering::Relaxed);
            if life.is_multiple_of(2) {
                return Err(Closed);
            }
            let answer = ask();
            if self.life.load(Ordering::Relaxed) == life {
                return Ok(answer);
            }
        }
    }

    /// Changes what is guarded, and calls who watches if there is something for him. Where the change panics, the table
    /// is put right before the panic goes on: a change that was broken off is made or is not, and the domains are to be
    /// loaded anew.
    fn change<R>(&self, change: impl FnOnce(&mut Ledger) -> R) -> R {
        let mut ledger = self.ledger.lock();
        let result = catch_unwind(AssertUnwindSafe(|| change(&mut ledger)));
        if result.is_err() {
            ledger.restore(&self.routes);
        }
        let rings = ledger.change_feed.rings();
        drop(ledger);
        if rings && let Some(bell) = self.bell.get() {
            bell();
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The host type that serves `name`: a domain, or else a subdomain.
    #[inline]
    pub fn host_type(&self, name: &[u8]) -> Result<HostTypeId, LookupError> {
        match self.look(name) {
            Found::Nothing if self.patterns.any() => self.subdomain_host_type(name),
            found => self.answer(found),
        }
    }

    /// The host type that serves this domain; a subdomain is none.
    #[inline]
    pub fn domain_host_type(&self, domain: &[u8]) -> Result<HostTypeId, LookupError> {
        self.answer(self.look(domain))
    }

    #[inline]
    fn answer(&self, found: Found) -> Result<HostTypeId, LookupError> {
        match found {
            Found::Route(head) => {
                self.lookups.count(Seen::Hit);
                Ok(head.host_type())
            }
            Found::Nothing => {
                self.lookups.count(Seen::Miss);
                Err(LookupError::NotFound)
            }
            Found::Closed => Err(LookupError::Closed),
        }
    }

    #[cold]
    #[inline(never)]
    fn subdomain_host_type(&self, name: &[u8]) -> Result<HostTypeId, LookupError> {
        let claim = self.subdomain(name);
        self.lookups.count(if claim.is_some() { Seen::Hit } else { Seen::Miss });
        claim.map(|claim| claim.host_type).ok_or(LookupError::NotFound)
    }

    /// What makes this name a subdomain: of several claims, the first one. Whether there is a domain of the name, too,
    /// is not looked at.
    ///
    /// Each domain that this asks for is looked up at a moment of its own, under patterns that were the same from the
    /// first to the last.
    pub fn subdomain(&self, name: &[u8]) -> Option<Claim> {
        if !self.routes.is_open() {
            return None;
        }
        loop {
            let patterns = self.patterns.load();
            let mut claims = patterns.claims(name, |parent| self.look(parent).host_type());
            let claim = match (claims.next(), claims.next()) {
                (Some(_), Some(_)) => return self.claims(name).first().copied(),
                (claim, _) => claim,
            };
            if self.patterns.are(&patterns) {
                return claim;
            }
        }
    }

    /// All that makes this name a subdomain, the claim that was first at first.
    pub fn claims(&self, name: &[u8]) -> Vec<Claim> {
        self.ledger.lock().claims(&self.routes, name)
    }

    /// How many claims there are on this name. Takes no lock: who observes asks this of each domain that comes.
    pub fn count_claims(&self, name: &[u8]) -> usize {
        self.patterns.load().claims(name, |parent| self.look(parent).host_type()).count()
    }

    /// The names that the prefixes of these host types make of a domain, whether it is there or not. A name that is a
    /// static domain, or that was registered as a whole, is left out: it is not the domain's.
    pub fn subdomain_names(&self, domain: &DomainName, host_types: &[HostTypeId]) -> Vec<Vec<u8>> {
        if !self.patterns.any() {
            return Vec::new();
        }
        let patterns = self.patterns.load();
        let prefixes: BTreeSet<&[u8]> = host_types.iter().flat_map(|one| patterns.prefixes_of(*one)).collect();
        let names = prefixes.into_iter().map(|prefix| [prefix, domain.as_bytes()].concat());
        names.filter(|name| !self.is_static(name) && !patterns.has_fqdn(name)).collect()
    }

    /// Gives each domain of the host type, now and later, a subdomain, or the host type one of its own. Where a name was
    /// claimed already, the new claim is behind those. A pattern that is registered stays as it is.
    pub fn register_pattern(&self, host_type: HostTypeId, pattern: &Pattern) {
        let ledger = &mut *self.ledger.lock();
        ledger.patterns = Arc::new(ledger.patterns.with(host_type, pattern));
        self.patterns.publish(ledger.patterns.clone());
    }

    /// Takes them away again.
    pub fn unregister_pattern(&self, host_type: HostTypeId, pattern: &Pattern) {
        let ledger = &mut *self.ledger.lock();
        ledger.patterns = Arc::new(ledger.patterns.without(host_type, pattern));
        ledger.contests.withdraw_all(host_type, pattern);
        self.patterns.publish(ledger.patterns.clone());
    }

    /// Takes all patterns away.
    pub fn unregister_all_patterns(&self) {
        let ledger = &mut *self.ledger.lock();
        ledger.patterns = Arc::default();
        ledger.contests.clear();
        self.patterns.publish(ledger.patterns.clone());
    }

    /// Has changes of domains noted from now on, and `bell` called when there are some after there were none. A bell that
    /// was given before stays.
    pub fn watch(&self, bell: impl Fn() + Send + Sync + 'static) {
        self.bell.get_or_init(|| Box::new(bell));
        self.change(|ledger| ledger.change_feed.begin());
    }

    /// Up to `limit` changes that lookups show already and nobody was told of. Who is called by the bell asks until
    /// there are none.
    pub fn take_changes(&self, limit: usize) -> Changes {
        self.ledger.lock().change_feed.take(limit)
    }

    /// Which version stands for this name, for models.
    #[cfg(loom)]
    pub fn stripe(&self, name: &[u8]) -> usize {
        self.routes.keyed(name).stripe()
    }

    #[inline]
    fn look(&self, name: &[u8]) -> Found {
        self.routes.get(name).unwrap_or_else(|| self.wait_and_look(name))
    }

    /// The writer was in the way for longer than a change takes: it does not run just now. Waiting for the
    /// ledger lets it. Nobody who has the ledger takes longer than a few changes do.
    #[cold]
    fn wait_and_look(&self, name: &[u8]) -> Found {
        self.routes.get_alone(&self.ledger.lock().books, name)
    }

    /// How often [`Table::host_type`] answered since the table was made; what a closed table did not
    /// answer is not counted.
    pub fn lookup_counts(&self) -> LookupCounts {
        self.lookups.sum()
    }

    /// Whether `domain` is from configuration.
    pub fn is_static(&self, domain: &[u8]) -> bool {
        matches!(self.look(domain), Found::Route(head) if head.origin() == Origin::Static)
    }

    /// The host type and the source of a domain that was inserted. Not counted as a lookup.
    pub fn route(&self, domain: &[u8]) -> Option<(HostTypeId, Source)> {
        let Found::Route(head) = self.look(domain) else { return None };
        match head.origin() {
            Origin::Dynamic(source) => Some((head.host_type(), source)),
            Origin::Static => None,
        }
    }

    /// Whether there is a domain of this name. Not counted as a lookup.
    pub fn has_domain(&self, name: &[u8]) -> bool {
        matches!(self.look(name), Found::Route(_))
    }

    /// Whether dynamic domains may use this host type.
    pub fn is_host_type_allowed(&self, host_type: HostTypeId) -> bool {
        self.ledger.lock().allowed.contains(&host_type)
    }

    /// The host types that dynamic domains may use.
    pub fn allowed_host_types(&self) -> Vec<HostTypeId> {
        self.ledger.lock().allowed.clone()
    }

    /// Adds one dynamic domain, or confirms it. Errors in the order of [`InsertError`]'s variants.
    pub fn insert(&self, domain: &DomainName, host_type: HostTypeId, source: Source) -> Result<Inserted, InsertError> {
        self.change(|ledger| ledger.insert(&self.routes, self.routes.keyed(domain.as_bytes()), host_type, source))
    }

    /// As [`Table::insert`]; the source is the one of this name. Names are told apart exactly, as long as no more than a
    /// thousand of them are in use.
    pub fn insert_from(
        &self,
        domain: &DomainName,
        host_type: HostTypeId,
        name: &[u8],
    ) -> Result<Inserted, InsertError> {
        self.change(|ledger| {
            let source = ledger.named_source(name);
            ledger.insert(&self.routes, self.routes.keyed(domain.as_bytes()), host_type, source)
        })
    }

    /// Removes one dynamic domain: its host type, or nothing when it was not there.
    pub fn delete(&self, domain: &DomainName) -> Result<Option<HostTypeId>, IsStatic> {
        self.change(|ledger| ledger.take(&self.routes, self.routes.keyed(domain.as_bytes())))
    }

    /// The present epoch, for [`Table::apply`] and [`Table::set_progress`].
    pub fn epoch(&self) -> Epoch {
        self.ledger.lock().epoch
    }

    /// A source that no route is from yet.
    pub fn new_source(&self) -> Source {
        self.ledger.lock().new_source()
    }

    /// The source of this name, if a route was inserted with it since the table was opened: see
    /// [`Table::insert_from`].
    pub fn source(&self, name: &[u8]) -> Option<Source> {
        self.ledger.lock().sources.get(name)
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
            self.change(|ledger| {
                ledger.check(epoch)?;
                let named = section.iter().zip(&names);
                outcomes.extend(named.map(|(change, name)| ledger.apply(&self.routes, change, *name, source)));
                Ok(())
            })?;
        }
        Ok(outcomes)
    }

    /// Says how current the routes are now.
    pub fn set_progress(&self, epoch: Epoch, progress: Progress) -> Result<(), Stale> {
        self.change(|ledger| {
            ledger.check(epoch)?;
            ledger.advance(progress);
            Ok(())
        })
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
        let (from, to) = (Place(from.0), Place(from.0.saturating_add(PLACES)));
        let mut next = to;
        for (place, entry) in self.routes.range(&ledger.books, from, to) {
            if !select.takes(entry.head) {
                continue;
            }
            if page.len() == limit {
                next = place;
                break;
            }
            page.push(&entry);
        }
        page.next = (next < self.routes.end(&ledger.books)).then_some(Position(next.0));
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
    pub fn counts(&self) -> DomainCounts {
        self.ledger.lock().counts.iter().copied().sum()
    }

    /// How many bytes the table uses.
    pub fn memory(&self) -> MemoryUsage {
        let ledger = self.ledger.lock();
        let (entries, index) = self.routes.bytes(&ledger.books);
        MemoryUsage { entries, index, change_feed: ledger.change_feed.bytes() }
    }

    /// How many domains each host type has: those that have any, and those that dynamic domains may use.
    /// The table counts as it changes, so this costs the number of host types, however many domains there are.
    pub fn counts_by_host_type(&self) -> Vec<(HostTypeId, DomainCounts)> {
        let ledger = self.ledger.lock();
        let listed = |(id, counts): &(HostTypeId, DomainCounts)| {
            *counts != DomainCounts::default() || ledger.allowed.contains(id)
        };
        let counts = ledger.counts.iter().copied().chain(std::iter::repeat(DomainCounts::default()));
        self.host_types.ids().zip(counts).filter(listed).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;
    use std::panic::catch_unwind;

    use super::*;
    use crate::fault;

    /// So many of one bucket that it goes on, and enough for the index to grow.
    const DOMAINS: usize = 6_000;

    fn name(number: usize) -> DomainName {
        DomainName::new(&format!("{number}.{}example", "sub.".repeat(number % 3))).unwrap()
    }

    struct Broken {
        table: Table,
        host_types: [HostTypeId; 2],
        /// What the table should hold.
        model: BTreeMap<usize, HostTypeId>,
    }

    impl Broken {
        /// Does a change, broken off at each of its points in turn until it is made.
        fn change(&mut self, number: usize, host_type: Option<usize>) {
            let wanted = host_type.map(|host_type| self.host_types[host_type]);
            let change = wanted.map_or(Change::Remove(name(number)), |wanted| Change::Put(name(number), wanted));
            for points in 0.. {
                let (epoch, progress) = self.table.progress();
                let source = self.table.new_source();
                fault::after(points);
                let made =
                    catch_unwind(AssertUnwindSafe(|| self.table.apply(epoch, source, std::slice::from_ref(&change))));
                let broken = fault::never();
                assert_eq!(made.is_err(), broken);
                let before = self.model.get(&number).copied();
                let found = self.table.host_type(name(number).as_bytes()).ok();
                assert!(found == wanted || broken && found == before, "{number}: {found:?}");
                if broken {
                    assert_ne!(self.table.epoch(), epoch, "what is under way is not about this table any more");
                    assert!(matches!(progress, Progress::Following { .. }));
                    assert_eq!(self.table.progress().1, Progress::Reset);
                    self.table.set_progress(self.table.epoch(), Progress::Following { source }).unwrap();
                }
                match found {
                    Some(found) => _ = self.model.insert(number, found),
                    None => _ = self.model.remove(&number),
                }
                if broken {
                    self.compare();
                } else {
                    break;
                }
            }
        }

        fn compare(&self) {
            for number in (0..DOMAINS).step_by(97) {
                let found = self.table.host_type(name(number).as_bytes()).ok();
                assert_eq!(found, self.model.get(&number).copied(), "{number}");
            }
            assert_eq!(self.table.counts().dynamic, self.model.len());
            for (host_type, counts) in self.table.counts_by_host_type() {
                assert_eq!(counts.dynamic, self.model.values().filter(|one| **one == host_type).count());
            }
        }

        /// All of it, and each of them once.
        fn compare_all(&self) {
            self.compare();
            let pages = self.table.pages(Select::All, 1_000);
            let mut listed: Vec<_> = pages
                .flat_map(|page| page.iter().map(|(name, host_type)| (name.to_vec(), host_type)).collect::<Vec<_>>())
                .collect();
            let model = self.model.iter().map(|(&number, &host_type)| (name(number).as_bytes().to_vec(), host_type));
            let mut model: Vec<_> = model.collect();
            listed.sort();
            model.sort();
            assert_eq!(listed, model);
        }
    }

    #[test]
    fn a_change_that_is_broken_off_anywhere_is_made_or_is_not() {
        let table = Table::new(1);
        let host_types = ["type1", "type2"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
        table.open(&[], host_types);
        table.watch(|| ());
        table.set_progress(table.epoch(), Progress::Following { source: table.new_source() }).unwrap();
        let mut broken = Broken { table, host_types, model: BTreeMap::new() };
        for number in 0..DOMAINS {
            // All changes to some, and one addition in which the index grows in nine.
            if number % 150 < 3 {
                broken.change(number, Some(0));
                broken.change(number, Some(1));
                broken.change(number, None);
                broken.change(number, Some(1));
            } else {
                let added = broken.table.insert(&name(number), host_types[0], Source(std::num::NonZeroU32::MIN));
                assert_eq!(added, Ok(Inserted::Added));
                broken.model.insert(number, host_types[0]);
            }
        }
        broken.compare_all();
        let told = broken.table.take_changes(1);
        assert_eq!(told, Changes::Everything, "who watches is told to look at the table");
    }
}
