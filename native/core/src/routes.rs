//! The routes: which domain leads to which host type, for many who look and one who writes.
//!
//! Looking ([`Routes::get`]) takes no lock and writes nothing: it reads the line of the bucket and the entry, two or
//! three cache lines, under a version that tells whether a writer was there meanwhile, and gives up where writers are in
//! the way for too long. Everything else needs the [`Books`], of which there is one for each [`Side`]: who has them is
//! the only writer, and writes by a [`Writer`].
//!
//! There are two sides, and lookups read one of them. The other one is where routes are built that are to take the
//! place of all others: so a lookup never waits for that, however many they are.

use std::hash::{BuildHasher, Hasher};

#[cfg(loom)]
use foldhash::fast::FixedState as Hashing; // a model does the same every time
#[cfg(not(loom))]
use foldhash::fast::RandomState as Hashing;

use crate::entries::{Entries, Place, Room};
use crate::entry::{self, Entry, Head, Origin};
use crate::fault;
use crate::host_types::HostTypeId;
use crate::index::{Index, Searched, Shelf};
use crate::line::Key;
use crate::name::DomainName;
use crate::seqlock::StripedSeqLock;
use crate::sync::{AtomicU64, Ordering};

/// A name and its key.
#[derive(Clone, Copy)]
pub(crate) struct Keyed<'a> {
    name: &'a [u8],
    key: Key,
}

impl<'a> Keyed<'a> {
    #[cfg(loom)]
    pub(crate) fn stripe(self) -> usize {
        self.key.stripe() % crate::seqlock::STRIPES
    }

    pub(crate) fn name(self) -> &'a [u8] {
        self.name
    }
}

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Route(Head),
    Nothing,
    /// The table is closed.
    Closed,
}

impl Found {
    /// The host type that serves the domain, if there is one.
    pub(crate) fn host_type(self) -> Option<HostTypeId> {
        match self {
            Found::Route(head) => Some(head.host_type()),
            Found::Nothing | Found::Closed => None,
        }
    }
}

/// The routes, as lookups read them.
pub(crate) struct Routes {
    versions: StripedSeqLock,
    sides: [Side; 2],
    /// A [`State`].
    state: AtomicU64,
    /// Seeded at random: the names come from tenants, who must not choose the collisions.
    hashing: Hashing,
}

/// An index, and the entries that it leads to.
struct Side {
    index: Index,
    entries: Entries,
}

/// What only the writer of a side knows of it.
pub(crate) struct Books {
    room: Room,
    shelf: Shelf,
}

impl Books {
    pub(crate) fn new() -> Books {
        Books { room: Room::new(), shelf: Shelf::new() }
    }
}

/// The right to build on the side that lookups do not read. There is one for each [`Routes`].
///
/// It has versions that no lookup reads: those that lookups do read change by one writer at a time, who has the other
/// side's books.
pub(crate) struct Spare(StripedSeqLock);

impl Spare {
    /// The caller sees to it that there is no other one.
    pub(crate) fn new() -> Spare {
        Spare(StripedSeqLock::default())
    }
}

/// Routes that are complete, on the side that lookups do not read.
pub(crate) struct Built {
    books: Books,
    /// Of each route.
    pub(crate) host_types: Vec<HostTypeId>,
}

/// Whether lookups find anything but that the table is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    No,
}

/// Which side lookups read, and whether the table is open.
#[derive(Clone, Copy)]
struct State(u64);

impl State {
    const SIDE: u64 = 1;
    const OPEN: u64 = 2;

    #[inline]
    fn side(self) -> usize {
        (self.0 & State::SIDE) as usize
    }

    #[inline]
    fn is_open(self) -> bool {
        self.0 & State::OPEN != 0
    }

    /// The other side, and this.
    fn turned(self, open: Open) -> State {
        State(self.0 & State::SIDE ^ State::SIDE | if open == Open::Yes { State::OPEN } else { 0 })
    }
}

impl Side {
    fn new() -> Side {
        Side { index: Index::new(), entries: Entries::new() }
    }

    #[inline]
    fn find(&self, Keyed { name, key }: Keyed) -> Searched<Head> {
        self.index.find(key, |place| entry::read(self.entries.at(place)?, name))
    }

    fn find_alone(&self, books: &Books, Keyed { name, key }: Keyed) -> Option<(Place, Head)> {
        self.index.find_alone(&books.shelf, key, |place| Some((place, entry::read(self.entries.at(place)?, name)?)))
    }
}

impl Routes {
    /// Closed, and empty.
    pub(crate) fn new() -> Routes {
        Routes {
            versions: StripedSeqLock::default(),
            sides: [Side::new(), Side::new()],
            state: AtomicU64::new(0),
            hashing: Hashing::default(),
        }
    }

    #[inline]
    fn state(&self) -> State {
        State(self.state.load(Ordering::Relaxed))
    }

    /// What there is about this name; nothing when writers were in the way for too long.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<Found> {
        if name.len() > DomainName::MAX_BYTES {
            return Some(self.longer_than_any());
        }
        let name = self.keyed(name);
        self.versions.read(name.key.stripe(), || {
            let state = self.state();
            match self.sides[state.side()].find(name) {
                Searched::Found(head) => Some(Found::Route(head)),
                Searched::Nothing => Some(self.without(state)),
                Searched::Lost => None,
            }
        })
    }

    /// As [`Routes::get`], while nobody writes.
    pub(crate) fn get_alone(&self, books: &Books, name: &[u8]) -> Found {
        match self.find(books, self.keyed(name)) {
            Some((_, head)) => Found::Route(head),
            None => self.without(self.state()),
        }
    }

    /// What there is about a name that is too long for a domain, however long it is.
    #[cold]
    #[inline(never)]
    fn longer_than_any(&self) -> Found {
        self.without(self.state())
    }

    #[inline]
    fn without(&self, state: State) -> Found {
        if state.is_open() { Found::Nothing } else { Found::Closed }
    }

    /// Whether lookups find anything but that the table is closed.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_open()
    }

    #[inline]
    pub(crate) fn keyed<'a>(&self, name: &'a [u8]) -> Keyed<'a> {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(name);
        Keyed { name, key: Key(hasher.finish() as u32) }
    }

    /// The side that lookups read.
    fn side(&self) -> &Side {
        &self.sides[self.state().side()]
    }

    /// Reads what a change of each of these names will read first: so the processor waits for all at once.
    pub(crate) fn touch(&self, names: &[Keyed]) {
        let side = self.side();
        std::hint::black_box(names.iter().fold(0, |sum, name| sum ^ side.index.touch(name.key)));
    }

    /// The place and the head of this name's entry.
    pub(crate) fn find(&self, books: &Books, name: Keyed) -> Option<(Place, Head)> {
        self.side().find_alone(books, name)
    }

    /// Writes to what lookups read.
    pub(crate) fn writer<'a>(&'a self, books: &'a mut Books) -> Writer<'a> {
        Writer::new(self, &self.versions, self.side(), books)
    }

    /// Builds static routes, of which the first of a name wins, where lookups do not read them yet.
    pub(crate) fn build<'a>(&self, spare: &mut Spare, routes: impl Iterator<Item = (&'a [u8], HostTypeId)>) -> Built {
        let side = &self.sides[self.state().turned(Open::No).side()];
        let mut books = Books::new();
        let mut writer = Writer::new(self, &spare.0, side, &mut books);
        writer.side.index.clear();
        let host_types = routes.filter_map(|(name, host_type)| {
            let name = self.keyed(name);
            let new = side.find_alone(writer.books, name).is_none();
            new.then(|| writer.insert(name, host_type, Origin::Static)).map(|()| host_type)
        });
        let host_types = host_types.collect();
        Built { books, host_types }
    }

    /// Puts what was built in the place of all routes. Lookups find what was before or what is then, and nothing in
    /// between.
    pub(crate) fn turn(&self, books: &mut Books, built: Built, open: Open) -> Vec<HostTypeId> {
        self.versions.write_all(|| self.state.store(self.state().turned(open).0, Ordering::Relaxed));
        *books = built.books;
        built.host_types
    }

    /// Gives the memory of the side that lookups do not read back.
    pub(crate) fn give_back(&self, _spare: &mut Spare) {
        let side = &self.sides[self.state().turned(Open::No).side()];
        side.index.give_back();
        side.entries.give_back();
    }

    /// The entries that lie from one place to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        books: &'a Books,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = (Place, Entry<'a>)> {
        self.side().entries.range(&books.room, from, to)
    }

    /// How many bytes the entries take, and the index.
    pub(crate) fn bytes(&self, books: &Books) -> (usize, usize) {
        let side = self.side();
        (side.entries.bytes(&books.room), side.index.bytes(&books.shelf))
    }

    /// Where the places end.
    pub(crate) fn end(&self, books: &Books) -> Place {
        books.room.end()
    }
}

/// Changes one side, by who has its books.
pub(crate) struct Writer<'a> {
    routes: &'a Routes,
    versions: &'a StripedSeqLock,
    side: &'a Side,
    books: &'a mut Books,
}

impl<'a> Writer<'a> {
    fn new(routes: &'a Routes, versions: &'a StripedSeqLock, side: &'a Side, books: &'a mut Books) -> Writer<'a> {
        versions.follow();
        Writer { routes, versions, side, books }
    }

    /// Adds a route of a name that has none (the caller looked).
    pub(crate) fn insert(&mut self, Keyed { name, key }: Keyed, host_type: HostTypeId, origin: Origin) {
        let Side { index, entries } = self.side;
        entries.make_ready(&mut self.books.room, name.len());
        fault::point();
        index.make_ready(&mut self.books.shelf);
        let (place, words) = entries.take(&mut self.books.room, name.len());
        fault::point();
        // Nobody finds it before the index tells where it is.
        entry::write(words, name, Head::new(name, host_type, origin));
        fault::point();
        index.insert(&mut self.books.shelf, self.versions, key, place);
    }

    /// Lets the route at this place, which has this head, lead elsewhere or be confirmed.
    pub(crate) fn set(&mut self, (place, head): (Place, Head), host_type: HostTypeId, origin: Origin) {
        if let Some(words) = self.side.entries.at(place) {
            head.with(host_type, origin).store(words);
        }
    }

    /// Takes the route at this place out, which has this name.
    pub(crate) fn remove(&mut self, Keyed { name, key }: Keyed, place: Place) {
        let Side { index, entries } = self.side;
        index.remove(&mut self.books.shelf, self.versions, key, place);
        // Who found it before that and reads it now finds that the version is another one.
        entries.free(&mut self.books.room, place, name.len());
    }

    /// Makes the index anew from the entries, after a change that was broken off: each route that is there is found,
    /// and all else is forgotten. No lookup ends meanwhile. Answers the head of each route.
    pub(crate) fn restore(&mut self) -> Vec<Head> {
        let Side { index, entries } = self.side;
        self.versions.write_all(|| {
            self.books.shelf = Shelf::new();
            index.clear();
            entries.recount(&mut self.books.room);
            let mut name = Vec::new();
            let all = entries.range(&self.books.room, Place(0), self.books.room.end());
            let heads = all.map(|(place, entry)| {
                name.clear();
                entry.name(&mut name);
                index.make_ready(&mut self.books.shelf);
                index.insert(&mut self.books.shelf, self.versions, self.routes.keyed(&name).key, place);
                entry.head
            });
            heads.collect()
        })
    }
}
