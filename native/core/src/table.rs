//! The table: which host type serves which domain.
//!
//! There are two ways to change it. [`Table::insert`] and [`Table::delete`] change one domain and never its host type,
//! as MongooseIM's domain core does. [`Table::apply`] is for the follower: it applies what the database says now, and
//! replaces a host type in place, so that lookups find the domain at any moment.
//!
//! The static rules: the domains that [`Table::open`] gets do not change and win over rows with the same name; a
//! dynamic domain may only have a host type from the list that `open` gets.
//!
//! [`Progress`], which says which load added the routes, is part of the table, so that emptying the table resets both
//! at once. By the [`Epoch`] a load notices that the table was emptied since it began, and its changes are refused. Code
//! that stores more about these routes, such as the event up to which they are current, notices it in the same way.

pub(crate) mod own_changes;
mod subdomains;
#[cfg(all(test, not(loom)))]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use crate::change::{
    Change, Closed, DomainCounts, Epoch, EventId, InsertError, Inserted, IsStatic, LookupError, MemoryUsage, Outcome,
    Progress, Stale, StaticRoute,
};
use crate::change_feed::Changes;
use crate::entries::EntryIndex;
use crate::entry::{Origin, Source};
use crate::host_types::{HostTypeId, HostTypes};
use crate::lookup_counts::{LookupCounter, LookupCounts, LookupResult};
use crate::name::DomainName;
use crate::page::{PAGE_UNITS, Page, Position, Select};
use crate::patterns::PublishedPatterns;
use crate::routes::{Lookup, Openness, Routes, Standby};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::writer_state::WriterState;

/// The number of changes after which a batch releases the mutex.
const CHANGES_PER_TURN: usize = 64;

/// Which host type serves which domain.
///
/// Lookups take no lock, except in two cases: the lookup's stripe is being written at each attempt, or a subdomain's
/// name has several claims. These and all other functions take the writers' mutex, for a short time each.
pub struct Table {
    host_types: Arc<HostTypes>,
    routes: Routes,
    patterns: PublishedPatterns,
    state: Mutex<WriterState>,
    /// Is locked before `state`.
    standby: Mutex<Standby>,
    lookups: LookupCounter,
    /// Odd while the table is open, and different each time that it is opened or closed. Its loads and stores are
    /// relaxed: what depends on it takes the mutex under which it changes, or reads under a version that changes with
    /// it.
    generation: AtomicU64,
    /// Called when the change feed becomes non-empty.
    waker: OnceLock<Waker>,
}

type Waker = Box<dyn Fn() + Send + Sync>;

impl Table {
    /// A closed table, for about `threads` threads that look up.
    pub fn new(threads: usize) -> Table {
        Table {
            host_types: Arc::default(),
            routes: Routes::new(),
            patterns: PublishedPatterns::default(),
            state: Mutex::new(WriterState::new()),
            standby: Mutex::new(Standby::new()),
            lookups: LookupCounter::new(threads),
            generation: AtomicU64::new(0),
            waker: OnceLock::new(),
        }
    }

    /// The host types that the ids in this table belong to.
    pub fn host_types(&self) -> &Arc<HostTypes> {
        &self.host_types
    }

    /// Empties the table and opens it with these static domains, of which the first one of a name wins, and these host
    /// types for dynamic domains. Resets the progress.
    pub fn open(&self, domains: &[StaticRoute], allowed: impl IntoIterator<Item = HostTypeId>) {
        self.replace_routes(Openness::Open, domains, allowed.into_iter().collect());
    }

    /// Empties the table and closes it.
    pub fn close(&self) {
        self.replace_routes(Openness::Closed, &[], Vec::new());
    }

    fn replace_routes(&self, openness: Openness, domains: &[StaticRoute], allowed: Vec<HostTypeId>) {
        let standby = &mut *self.standby.lock();
        // This may take long, but neither lookups nor changes wait for it.
        let domains = domains.iter().map(|(domain, host_type)| (domain.as_bytes(), *host_type));
        let built = self.routes.build(standby, domains);
        self.change(|state| {
            let generation = self.generation.load(Ordering::Relaxed);
            if openness == Openness::Closed {
                self.generation.store((generation + 2) & !1, Ordering::Relaxed);
            }
            state.replace_routes(&self.routes, openness, built, allowed);
            if openness == Openness::Open {
                self.generation.store((generation + 2) | 1, Ordering::Relaxed);
            }
        });
        self.routes.release_standby(standby);
    }

    /// Whether the table is open.
    pub fn is_open(&self) -> bool {
        !self.generation.load(Ordering::Relaxed).is_multiple_of(2)
    }

    /// Returns what `query` returns while the table is open. Calls `query` again if the table was closed or opened
    /// meanwhile, so the result is never about a closed table.
    pub fn while_open<R>(&self, mut query: impl FnMut() -> R) -> Result<R, Closed> {
        loop {
            let generation = self.generation.load(Ordering::Relaxed);
            if generation.is_multiple_of(2) {
                return Err(Closed);
            }
            let result = query();
            if self.generation.load(Ordering::Relaxed) == generation {
                return Ok(result);
            }
        }
    }

    /// Changes the state under the mutex, and calls the waker if the change feed became non-empty.
    ///
    /// If `change` panics, the state is repaired before the panic continues: the change is then made or not, and the
    /// domains have to be loaded again.
    fn change<R>(&self, change: impl FnOnce(&mut WriterState) -> R) -> R {
        let mut state = self.state.lock();
        let result = catch_unwind(AssertUnwindSafe(|| change(&mut state)));
        if result.is_err() {
            state.repair(&self.routes);
        }
        let wakeup = state.change_feed.take_wakeup();
        drop(state);
        if wakeup && let Some(waker) = self.waker.get() {
            waker();
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The host type that serves `name`, which is a domain or else a subdomain.
    #[inline]
    pub fn host_type(&self, name: &[u8]) -> Result<HostTypeId, LookupError> {
        match self.lookup(name) {
            Lookup::NotFound if self.patterns.is_any() => self.subdomain_host_type(name),
            lookup => self.count(lookup),
        }
    }

    /// The host type that serves this domain. A subdomain is not found.
    #[inline]
    pub fn domain_host_type(&self, domain: &[u8]) -> Result<HostTypeId, LookupError> {
        self.count(self.lookup(domain))
    }

    /// Counts a lookup and returns its result.
    #[inline]
    fn count(&self, lookup: Lookup) -> Result<HostTypeId, LookupError> {
        match lookup {
            Lookup::Found(header) => {
                self.lookups.record(LookupResult::Hit);
                Ok(header.host_type())
            }
            Lookup::NotFound => {
                self.lookups.record(LookupResult::Miss);
                Err(LookupError::NotFound)
            }
            Lookup::Closed => Err(LookupError::Closed),
        }
    }

    #[inline]
    fn lookup(&self, name: &[u8]) -> Lookup {
        self.routes.lookup(name).unwrap_or_else(|| self.lookup_locked(name))
    }

    /// A writer interfered for longer than a change takes, so the system has preempted it. Waiting for the mutex lets
    /// it run, and no writer holds the mutex for longer than a few changes take.
    #[cold]
    fn lookup_locked(&self, name: &[u8]) -> Lookup {
        self.routes.lookup_locked(&self.state.lock().route_writer, name)
    }

    /// The numbers of lookups by [`Table::host_type`] and [`Table::domain_host_type`] since the table was created.
    /// Lookups in a closed table are not counted.
    pub fn lookup_counts(&self) -> LookupCounts {
        self.lookups.sum()
    }

    /// Whether `domain` is a static domain. Not counted as a lookup.
    pub fn is_static(&self, domain: &[u8]) -> bool {
        matches!(self.lookup(domain), Lookup::Found(header) if header.origin() == Origin::Static)
    }

    /// The host type and the source of a dynamic domain. Not counted as a lookup.
    pub fn route(&self, domain: &[u8]) -> Option<(HostTypeId, Source)> {
        let Lookup::Found(header) = self.lookup(domain) else { return None };
        match header.origin() {
            Origin::Dynamic(source) => Some((header.host_type(), source)),
            Origin::Static => None,
        }
    }

    /// Whether there is a domain of this name. Not counted as a lookup.
    pub fn has_domain(&self, name: &[u8]) -> bool {
        matches!(self.lookup(name), Lookup::Found(_))
    }

    /// Whether dynamic domains may have this host type.
    pub fn is_host_type_allowed(&self, host_type: HostTypeId) -> bool {
        self.state.lock().allowed.contains(&host_type)
    }

    /// The host types that dynamic domains may have.
    pub fn allowed_host_types(&self) -> Vec<HostTypeId> {
        self.state.lock().allowed.clone()
    }

    /// Adds a dynamic domain, or confirms it. The errors are checked in the order of [`InsertError`]'s variants.
    pub fn insert(&self, domain: &DomainName, host_type: HostTypeId, source: Source) -> Result<Inserted, InsertError> {
        self.change(|state| state.insert(&self.routes, self.routes.hash(domain.as_bytes()), host_type, source))
    }

    /// Like [`Table::insert`], with the source of this name. Two names never share a source as long as at most a
    /// thousand names are in use.
    pub fn insert_from(
        &self,
        domain: &DomainName,
        host_type: HostTypeId,
        source_name: &[u8],
    ) -> Result<Inserted, InsertError> {
        self.change(|state| {
            let source = state.named_source(source_name);
            state.insert(&self.routes, self.routes.hash(domain.as_bytes()), host_type, source)
        })
    }

    /// Removes a dynamic domain. Returns its host type, or `None` if it does not exist.
    pub fn delete(&self, domain: &DomainName) -> Result<Option<HostTypeId>, IsStatic> {
        self.change(|state| state.remove(&self.routes, self.routes.hash(domain.as_bytes())))
    }

    /// The current epoch, for [`Table::apply`] and [`Table::set_progress`].
    pub fn epoch(&self) -> Epoch {
        self.state.lock().epoch
    }

    /// A source that no route has yet.
    pub fn new_source(&self) -> Source {
        self.state.lock().new_source()
    }

    /// The source of this name, if [`Table::insert_from`] used it since the table was opened.
    pub fn source(&self, name: &[u8]) -> Option<Source> {
        self.state.lock().named_sources.get(name)
    }

    /// Applies changes that the database has. Returns their outcomes, in order. Lookups see each change as a whole.
    pub fn apply(&self, epoch: Epoch, source: Source, changes: &[Change]) -> Result<Vec<Outcome>, Stale> {
        self.apply_rows(epoch, source, changes, |change| (None, change))
    }

    fn apply_rows<T>(
        &self,
        epoch: Epoch,
        source: Source,
        rows: &[T],
        row: impl Fn(&T) -> (Option<EventId>, &Change),
    ) -> Result<Vec<Outcome>, Stale> {
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut names = Vec::with_capacity(CHANGES_PER_TURN);
        for turn in rows.chunks(CHANGES_PER_TURN) {
            names.clear();
            names.extend(turn.iter().map(|one| self.routes.hash(row(one).1.domain().as_bytes())));
            // Outside of the mutex, where nothing waits for it.
            self.routes.prefetch(&names);
            self.change(|state| {
                state.check_epoch(epoch)?;
                for (one, name) in turn.iter().zip(&names) {
                    let (event, change) = row(one);
                    outcomes.push(state.apply_row(&self.routes, event, change, *name, source));
                }
                Ok(())
            })?;
        }
        Ok(outcomes)
    }

    /// Sets how current the routes are.
    pub fn set_progress(&self, epoch: Epoch, progress: Progress) -> Result<(), Stale> {
        self.change(|state| {
            state.check_epoch(epoch)?;
            state.set_progress(progress);
            Ok(())
        })
    }

    /// How current the routes are, in the current epoch.
    pub fn progress(&self) -> (Epoch, Progress) {
        let state = self.state.lock();
        (state.epoch, state.progress)
    }

    /// Requests a new load, which removes the routes that it does not confirm; until then the routes stay. Begins a new
    /// epoch, so that a load that is under way ends.
    pub fn reset_progress(&self) {
        let mut state = self.state.lock();
        state.epoch.0 += 1;
        state.progress = Progress::Reset;
    }

    /// Up to `limit` of the selected domains, from a position on.
    pub fn page(&self, select: Select, from: Position, limit: usize) -> Page {
        let state = self.state.lock();
        let mut page = Page::default();
        let (from, to) = (EntryIndex(from.0), EntryIndex(from.0.saturating_add(PAGE_UNITS)));
        let mut next = to;
        for (index, entry) in self.routes.range(&state.route_writer, from, to) {
            if !select.matches(entry.header) {
                continue;
            }
            if page.len() == limit {
                next = index;
                break;
            }
            page.push(&entry);
        }
        page.next = (next < state.route_writer.end()).then_some(Position(next.0));
        page
    }

    /// All pages of up to `limit` of the selected domains, each read when it is needed.
    pub fn pages(&self, select: Select, limit: usize) -> impl Iterator<Item = Page> {
        let mut next = Some(Position::START);
        std::iter::from_fn(move || {
            let page = self.page(select, next?, limit);
            next = page.next;
            Some(page)
        })
    }

    /// The number of all domains.
    pub fn counts(&self) -> DomainCounts {
        self.state.lock().counts.iter().copied().sum()
    }

    /// The numbers of domains of each host type that has domains or that dynamic domains may have. The table counts as
    /// it changes, so the time does not depend on the number of domains.
    pub fn counts_by_host_type(&self) -> Vec<(HostTypeId, DomainCounts)> {
        let state = self.state.lock();
        let is_listed = |(id, counts): &(HostTypeId, DomainCounts)| {
            *counts != DomainCounts::default() || state.allowed.contains(id)
        };
        let counts = state.counts.iter().copied().chain(std::iter::repeat(DomainCounts::default()));
        self.host_types.ids().zip(counts).filter(is_listed).collect()
    }

    /// The memory of the table.
    pub fn memory(&self) -> MemoryUsage {
        let state = self.state.lock();
        let (entries, index) = self.routes.bytes(&state.route_writer);
        MemoryUsage { entries, index, change_feed: state.change_feed.bytes() }
    }

    /// Records changes of domains from now on, and calls `waker` when there are some after there were none. A waker
    /// that was set before stays.
    pub fn watch(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.waker.get_or_init(|| Box::new(waker));
        self.change(|state| state.change_feed.start());
    }

    /// Takes up to `limit` changes that lookups already see. The watcher calls this after each wakeup until there are
    /// none.
    pub fn take_changes(&self, limit: usize) -> Changes {
        self.state.lock().change_feed.take(limit)
    }

    /// The stripe of this name, for models.
    #[cfg(loom)]
    pub fn stripe(&self, name: &[u8]) -> usize {
        self.routes.hash(name).hash.stripe() % crate::seqlock::STRIPES
    }
}
