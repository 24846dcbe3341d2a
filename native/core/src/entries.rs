//! All entries, found by place.
//!
//! An entry lies at a *place* and never moves, so a place is good for as long as its entry lives: a listing
//! can be read in parts, and whoever was there throughout is listed once.
//!
//! Places are numbers of units of 16 bytes. Entries take as many units as their names need, and lie in slabs
//! of 4 KiB that hold entries of one size only, from begin to end for as long as the table is not emptied.
//! Places of removed entries are used again by entries of the same size; memory is not given back before the
//! table is emptied.
//!
//! Units where no entry is are zero, so that a listing passes them by.

use crate::arena::Arena;
use crate::entry::{Entry, Head, LONGEST, wipe, words_for};
use crate::sync::AtomicU64;

/// Where an entry lies, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u32);

/// Words a unit.
const UNIT: usize = 2;

/// Units a slab.
#[cfg(not(loom))]
const SLAB: u32 = 256;
#[cfg(loom)]
const SLAB: u32 = 4;

/// Units of the arena's first page: a page holds whole slabs.
const FIRST: usize = if cfg!(loom) { SLAB as usize } else { 16 * SLAB as usize };

/// Sizes of entries, in units, from 0 on: the longest name has 250 bytes.
const SIZES: usize = units_for(250) + 1;

const fn units_for(length: usize) -> usize {
    words_for(length).div_ceil(UNIT)
}

/// The entries, as lookups read them.
pub(crate) struct Entries(Arena<UNIT, FIRST>);

/// Which places are taken: what only writers need to know.
pub(crate) struct Room {
    /// The size of the entries in each slab.
    sizes: Vec<u8>,
    /// Free places, by size.
    vacant: [Vec<Place>; SIZES],
}

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries(Arena::new())
    }

    /// The words from a place on: of the entry there, and those after it. A lookup that is late may ask for what
    /// never was.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> Option<&[AtomicU64; LONGEST]> {
        self.0.get(place.0)
    }

    /// The words of an entry of this size. They are there from now on.
    fn words(&self, place: Place, size: usize) -> &[AtomicU64] {
        self.0.reserve(place.0, size)
    }

    /// Makes sure that there is a place for a name of this length: asks the system for memory if need be.
    pub(crate) fn make_ready(&self, room: &mut Room, length: usize) {
        let size = units_for(length);
        if room.vacant[size].is_empty() {
            self.add_slab(room, size);
        }
    }

    /// A place for a name of this length, after [`Entries::make_ready`], and its words, which are zero.
    pub(crate) fn take(&self, room: &mut Room, length: usize) -> (Place, &[AtomicU64]) {
        let size = units_for(length);
        let place = room.vacant[size].pop().expect("a place was made ready");
        (place, self.words(place, size))
    }

    /// Wipes the entry at this place, whose name had this length, out. Its place is free.
    pub(crate) fn free(&self, room: &mut Room, place: Place, length: usize) {
        let size = units_for(length);
        wipe(self.words(place, size));
        room.vacant[size].push(place);
    }

    fn add_slab(&self, room: &mut Room, size: usize) {
        let begin = u32::try_from(room.sizes.len()).ok().and_then(|slab| slab.checked_mul(SLAB));
        let begin = Place(begin.expect("no room for more domains: their names fill 64 GiB"));
        // An earlier content of the table may have left something here.
        wipe(self.words(begin, SLAB as usize));
        room.sizes.push(size as u8);
        room.vacant[size].extend(places(begin, size as u8).rev());
    }

    /// The entries that lie from one place to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        room: &'a Room,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = (Place, Entry<'a>)> {
        let slabs = (from.0 / SLAB) as usize..(to.0.div_ceil(SLAB) as usize).min(room.sizes.len());
        let places = slabs.flat_map(|slab| room.places(slab).zip(std::iter::repeat(room.sizes[slab])));
        places.filter(move |(place, _)| (from..to).contains(place)).filter_map(|(place, size)| {
            let words = self.words(place, usize::from(size));
            let head = Head::load(words);
            head.length().map(|_| (place, Entry { head, words }))
        })
    }

    /// Finds out anew which places are free: those where no entry is. Wherever a change was broken off, this is right
    /// afterwards.
    pub(crate) fn recount(&self, room: &mut Room) {
        room.vacant.iter_mut().for_each(Vec::clear);
        for slab in (0..room.sizes.len()).rev() {
            let size = room.sizes[slab];
            for place in room.places(slab).rev() {
                if Head::load(self.words(place, usize::from(size))).length().is_none() {
                    room.vacant[usize::from(size)].push(place);
                }
            }
        }
    }

    /// How many bytes the slabs take, with what is known of them.
    pub(crate) fn bytes(&self, room: &Room) -> usize {
        let vacant: usize = room.vacant.iter().map(Vec::capacity).sum();
        room.end().0 as usize * UNIT * size_of::<AtomicU64>() + room.sizes.capacity() + vacant * size_of::<Place>()
    }

    /// Nobody reads them any more but those who are late: gives their memory back.
    pub(crate) fn give_back(&self) {
        self.0.give_back();
    }
}

/// The places of a slab that begins here and holds entries of this size.
fn places(begin: Place, size: u8) -> impl DoubleEndedIterator<Item = Place> {
    let count = SLAB.checked_div(u32::from(size)).unwrap_or(0);
    (0..count).map(move |number| Place(begin.0 + number * u32::from(size)))
}

impl Room {
    pub(crate) fn new() -> Room {
        Room { sizes: Vec::new(), vacant: [const { Vec::new() }; SIZES] }
    }

    fn places(&self, slab: usize) -> impl DoubleEndedIterator<Item = Place> + use<> {
        // Slabs are counted when they are added.
        places(Place(slab as u32 * SLAB), self.sizes[slab])
    }

    /// Where the slabs end.
    pub(crate) fn end(&self) -> Place {
        Place(self.sizes.len() as u32 * SLAB)
    }
}
