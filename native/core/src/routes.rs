//! The routes: which domain leads to which host type, for many who look and one who writes.
//!
//! Looking ([`Routes::get`]) takes no lock and writes nothing: two cache misses at most, the line of the index
//! and the entry's, under a version that tells whether a writer was there meanwhile. Everything else needs the
//! [`Books`], of which there is one for each `Routes`: who has them is the only writer.

use std::hash::{BuildHasher, Hasher};

#[cfg(loom)]
use foldhash::fast::FixedState as Hashing; // a model does the same every time
#[cfg(not(loom))]
use foldhash::fast::RandomState as Hashing;

use crate::entries::{Entries, Place, Room};
use crate::entry::{self, Entry, Head, Origin};
use crate::host_types::HostTypeId;
use crate::index::{Index, Shelf};
use crate::line::Key;
use crate::sync::{AtomicBool, Ordering};
use crate::versions::Versions;

/// A name and its key.
#[derive(Clone, Copy)]
pub(crate) struct Keyed<'a> {
    name: &'a [u8],
    key: Key,
}

impl<'a> Keyed<'a> {
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
    versions: Versions,
    index: Index,
    entries: Entries,
    open: AtomicBool,
    /// Seeded at random: the names come from tenants, who must not choose the collisions.
    hashing: Hashing,
}

/// What only the writer knows of them.
pub(crate) struct Books {
    room: Room,
    shelf: Shelf,
}

impl Books {
    pub(crate) fn new() -> Books {
        Books { room: Room::new(), shelf: Shelf::new() }
    }
}

impl Routes {
    /// Closed, and empty.
    pub(crate) fn new() -> Routes {
        let (versions, index, entries) = (Versions::default(), Index::new(), Entries::new());
        Routes { versions, index, entries, open: AtomicBool::new(false), hashing: Hashing::default() }
    }

    /// What there is about this name; nothing when writers were in the way for too long.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<Found> {
        let name = self.keyed(name);
        self.versions.read(name.key.stripe(), || self.look(name))
    }

    /// As [`Routes::get`], while nobody writes.
    pub(crate) fn get_alone(&self, _books: &Books, name: &[u8]) -> Found {
        self.look(self.keyed(name))
    }

    #[inline]
    fn look(&self, name: Keyed) -> Found {
        match self.entry(name) {
            Some((_, head)) => Found::Route(head),
            None if self.is_open() => Found::Nothing,
            None => Found::Closed,
        }
    }

    /// Whether lookups find anything but that the table is closed.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    #[inline]
    fn entry(&self, Keyed { name, key }: Keyed) -> Option<(Place, Head)> {
        self.index.find(key, |place| Some((place, entry::read(self.entries.at(place)?, name)?)))
    }

    #[inline]
    pub(crate) fn keyed<'a>(&self, name: &'a [u8]) -> Keyed<'a> {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(name);
        Keyed { name, key: Key(hasher.finish() as u32) }
    }

    /// Reads what a change of each of these names will read first: so the processor waits for all at once.
    pub(crate) fn touch(&self, names: &[Keyed]) {
        std::hint::black_box(names.iter().fold(0, |sum, name| sum ^ self.index.touch(name.key)));
    }

    /// The place and the head of this name's entry.
    pub(crate) fn find(&self, _books: &Books, name: Keyed) -> Option<(Place, Head)> {
        self.entry(name)
    }

    /// Adds a route of a name that has none (the caller looked).
    pub(crate) fn insert(&self, books: &mut Books, Keyed { name, key }: Keyed, host_type: HostTypeId, origin: Origin) {
        let (place, words) = self.entries.take(&mut books.room, name.len());
        // Nobody finds it before the index tells where it is.
        entry::write(words, name, Head::new(name, host_type, origin));
        self.index.insert(&mut books.shelf, &self.versions, key, place);
    }

    /// Lets the route at this place, which has this head, lead elsewhere or be confirmed.
    pub(crate) fn set(&self, _books: &mut Books, (place, head): (Place, Head), host_type: HostTypeId, origin: Origin) {
        if let Some(words) = self.entries.at(place) {
            head.with(host_type, origin).store(words);
        }
    }

    /// Takes the route at this place out, which has this name.
    pub(crate) fn remove(&self, books: &mut Books, Keyed { name, key }: Keyed, place: Place) {
        self.index.remove(&mut books.shelf, &self.versions, key, place);
        // Who found it before that and reads it now finds that the version is another one.
        self.entries.free(&mut books.room, place, name.len());
    }

    /// Removes all routes and puts static ones in their place, of which the first of a name wins. Lookups find what
    /// was before or what is then, and nothing in between. Answers the host type of each route that there is.
    pub(crate) fn exchange<'a>(
        &self,
        books: &mut Books,
        open: Open,
        routes: impl Iterator<Item = (&'a [u8], HostTypeId)>,
    ) -> Vec<HostTypeId> {
        let host_types = self.versions.write_all(|| {
            *books = Books::new();
            self.index.clear();
            self.open.store(open == Open::Yes, Ordering::Relaxed);
            let mut insert = |(name, host_type)| {
                let name = self.keyed(name);
                let new = self.find(books, name).is_none();
                new.then(|| self.insert(books, name, host_type, Origin::Static)).map(|()| host_type)
            };
            routes.filter_map(&mut insert).collect()
        });
        self.index.give_back(&books.shelf);
        self.entries.give_back(&books.room);
        host_types
    }

    /// The entries that lie from one place to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        books: &'a Books,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = (Place, Entry<'a>)> {
        self.entries.range(&books.room, from, to)
    }

    /// How many bytes the entries take, and the index.
    pub(crate) fn bytes(&self, books: &Books) -> (usize, usize) {
        (self.entries.bytes(&books.room), self.index.bytes(&books.shelf))
    }

    /// Where the places end.
    pub(crate) fn end(&self, books: &Books) -> Place {
        books.room.end()
    }
}

/// Whether lookups find anything but that the table is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Yes,
    No,
}
