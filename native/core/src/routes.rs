//! The routes: which domain leads to which host type, for many concurrent lookups and one writer.
//!
//! A lookup ([`Routes::lookup`]) takes no lock and writes nothing. It reads the bucket and the entry, two or three
//! cache lines, under a seqlock that detects a concurrent change, and gives up if changes interfere for too long.
//! Everything else needs the [`RouteWriter`], of which there is one for each map.
//!
//! There are two route maps. The *active* one is what lookups read. The *standby* one is where new routes are built
//! that replace all others at once, so that no lookup waits for that, however many routes there are.

use crate::entries::EntryIndex;
use crate::entry::{Entry, Header, Origin};
use crate::hashed_name::{HashedName, NameHasher};
use crate::host_types::HostTypeId;
use crate::index::Search;
use crate::name::DomainName;
use crate::route_map::RouteMap;
use crate::route_writer::{RouteWriter, WriteSession};
use crate::seqlock::StripedSeqLock;
use crate::sync::{AtomicU64, Ordering};

/// The result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found(Header),
    NotFound,
    /// The table is closed.
    Closed,
}

impl Lookup {
    /// The host type that serves the domain, if there is one.
    pub(crate) fn host_type(self) -> Option<HostTypeId> {
        match self {
            Lookup::Found(header) => Some(header.host_type()),
            Lookup::NotFound | Lookup::Closed => None,
        }
    }
}

/// The routes, as lookups read them.
pub(crate) struct Routes {
    seqlock: StripedSeqLock,
    maps: [RouteMap; 2],
    /// A [`State`].
    state: AtomicU64,
    hasher: NameHasher,
}

/// The right to build routes in the standby map. There is one for each [`Routes`].
///
/// It has a seqlock of its own, which no lookup reads: only the writer of the active map may write to the other one.
pub(crate) struct Standby(StripedSeqLock);

impl Standby {
    /// The caller makes sure that there is only one for each [`Routes`].
    pub(crate) fn new() -> Standby {
        Standby(StripedSeqLock::default())
    }
}

/// Complete routes in the standby map.
pub(crate) struct BuiltRoutes {
    writer: RouteWriter,
    /// The host type of each route.
    pub(crate) host_types: Vec<HostTypeId>,
}

/// Whether the table is open. To a lookup, a closed table answers [`Lookup::Closed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Openness {
    Open,
    Closed,
}

/// Which map is the active one, and whether the table is open.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    const ACTIVE_MAP: u64 = 1;
    const OPEN: u64 = 2;

    #[inline]
    fn active(self) -> usize {
        (self.0 & State::ACTIVE_MAP) as usize
    }

    #[inline]
    fn standby(self) -> usize {
        1 - self.active()
    }

    #[inline]
    fn is_open(self) -> bool {
        self.0 & State::OPEN != 0
    }

    /// The state in which the other map is active.
    fn swapped(self, openness: Openness) -> State {
        State(self.standby() as u64 | if openness == Openness::Open { State::OPEN } else { 0 })
    }
}

impl Routes {
    /// No routes, in a closed table.
    pub(crate) fn new() -> Routes {
        Routes {
            seqlock: StripedSeqLock::default(),
            maps: [RouteMap::new(), RouteMap::new()],
            state: AtomicU64::new(0),
            hasher: NameHasher::default(),
        }
    }

    #[inline]
    fn state(&self) -> State {
        State(self.state.load(Ordering::Relaxed))
    }

    /// The map that lookups read.
    fn active(&self) -> &RouteMap {
        &self.maps[self.state().active()]
    }

    /// The map that lookups do not read.
    fn standby(&self) -> &RouteMap {
        &self.maps[self.state().standby()]
    }

    #[inline]
    pub(crate) fn hash<'a>(&self, name: &'a [u8]) -> HashedName<'a> {
        self.hasher.hash(name)
    }

    /// Looks up a name. `None` if changes interfered for too long.
    #[inline]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<Lookup> {
        if name.len() > DomainName::MAX_BYTES {
            return Some(self.too_long());
        }
        let name = self.hash(name);
        self.seqlock.read(name.hash.stripe(), || {
            let state = self.state();
            match self.maps[state.active()].find(name) {
                Search::Found(header) => Some(Lookup::Found(header)),
                Search::NotFound => Some(not_found(state)),
                Search::GaveUp => None,
            }
        })
    }

    /// Looks up a name that is too long for a domain. The time does not depend on its length.
    #[cold]
    #[inline(never)]
    fn too_long(&self) -> Lookup {
        not_found(self.state())
    }

    /// Like [`Routes::lookup`], while no writer is at work: the caller holds the writer.
    pub(crate) fn lookup_locked(&self, writer: &RouteWriter, name: &[u8]) -> Lookup {
        match self.find(writer, self.hash(name)) {
            Some((_, header)) => Lookup::Found(header),
            None => not_found(self.state()),
        }
    }

    /// Whether the table is open.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_open()
    }

    /// Reads what changes of these names read first, so that the processor waits for all of that memory at once.
    pub(crate) fn prefetch(&self, names: &[HashedName]) {
        let map = self.active();
        std::hint::black_box(names.iter().fold(0, |sum, name| sum ^ map.index.prefetch(name.hash)));
    }

    /// The entry of this name and its header.
    pub(crate) fn find(&self, _writer: &RouteWriter, name: HashedName) -> Option<(EntryIndex, Header)> {
        self.active().find_locked(name)
    }

    /// Begins a writer's turn in the active map.
    pub(crate) fn write<'a>(&'a self, writer: &'a mut RouteWriter) -> WriteSession<'a> {
        WriteSession::begin(self.active(), &self.seqlock, &self.hasher, writer)
    }

    /// Builds static routes in the standby map. The first route of a name wins.
    pub(crate) fn build<'a>(
        &self,
        standby: &mut Standby,
        routes: impl Iterator<Item = (&'a [u8], HostTypeId)>,
    ) -> BuiltRoutes {
        let map = self.standby();
        let mut writer = RouteWriter::new();
        let mut session = WriteSession::begin(map, &standby.0, &self.hasher, &mut writer);
        session.clear();
        let host_types = routes.filter_map(|(name, host_type)| {
            let name = self.hash(name);
            let is_new = map.find_locked(name).is_none();
            is_new.then(|| session.insert(name, host_type, Origin::Static)).map(|()| host_type)
        });
        let host_types = host_types.collect();
        BuiltRoutes { writer, host_types }
    }

    /// Makes the standby map, in which these routes were built, the active one. A lookup finds the old routes or the
    /// new ones. Returns the host type of each new route.
    pub(crate) fn swap(&self, writer: &mut RouteWriter, built: BuiltRoutes, openness: Openness) -> Vec<HostTypeId> {
        self.seqlock.write_all(|| self.state.store(self.state().swapped(openness).0, Ordering::Relaxed));
        *writer = built.writer;
        built.host_types
    }

    /// Returns the memory of the standby map to the system.
    pub(crate) fn release_standby(&self, _standby: &mut Standby) {
        self.standby().release_memory();
    }

    /// The entries from one index to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        writer: &'a RouteWriter,
        from: EntryIndex,
        to: EntryIndex,
    ) -> impl Iterator<Item = (EntryIndex, Entry<'a>)> {
        writer.range(self.active(), from, to)
    }

    /// The bytes that the entries take, and those that the index takes.
    pub(crate) fn bytes(&self, writer: &RouteWriter) -> (usize, usize) {
        writer.bytes(self.active())
    }
}

#[inline]
fn not_found(state: State) -> Lookup {
    if state.is_open() { Lookup::NotFound } else { Lookup::Closed }
}
