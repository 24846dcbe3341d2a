//! All entries, found by place.
//!
//! An entry lies at a *place* and never moves, so a place is good for as long as its entry lives: a listing
//! can be read in parts, and whoever was there throughout is listed once.
//!
//! Places are numbers of units of 16 bytes. Entries take as many units as their names need, and lie in pages
//! of 4 KiB that hold entries of one size only, from begin to end for as long as the table is not emptied.
//! Places of removed entries are used again by entries of the same size; memory is not given back before the
//! table is emptied.
//!
//! Nobody's units are zero, so that a listing passes them by.

use crate::entry::{Entry, Head, LONGEST, wipe, words_for};
use crate::sync::AtomicU64;
use crate::words::Words;

/// Where an entry lies, in units. No entry lies at 0.
pub(crate) type Place = u32;

/// Words a unit.
const UNIT: usize = 2;

/// Units a page.
#[cfg(not(loom))]
pub(crate) const PAGE: u32 = 256;
#[cfg(loom)]
pub(crate) const PAGE: u32 = 4;

/// Addresses for so many words: 16 GiB, for some 300 million entries.
#[cfg(not(loom))]
const WORDS: usize = 1 << 31;
#[cfg(loom)]
const WORDS: usize = 8 * PAGE as usize * UNIT + LONGEST;

/// Sizes of entries, in units, from 0 on: the longest name has 250 bytes.
const SIZES: usize = units_for(250) + 1;

const fn units_for(length: usize) -> usize {
    words_for(length).div_ceil(UNIT)
}

/// The entries, as lookups read them.
pub(crate) struct Entries(Words);

/// Which places are taken: what only writers need to know.
pub(crate) struct Room {
    /// The size of the entries in each page. The first page is nobody's.
    sizes: Vec<u8>,
    /// Free places, by size.
    vacant: [Vec<Place>; SIZES],
}

impl Entries {
    pub(crate) fn new() -> Entries {
        Entries(Words::new(WORDS))
    }

    /// The words from a place on: of the entry there, and those after it. A lookup that is late may ask for what
    /// never was.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> Option<&[AtomicU64; LONGEST]> {
        self.0.get(place as usize * UNIT, LONGEST)?.first_chunk()
    }

    /// A place for a name of this length, and its words, which are zero.
    pub(crate) fn take(&self, room: &mut Room, length: usize) -> (Place, &[AtomicU64]) {
        let size = units_for(length);
        if room.vacant[size].is_empty() {
            self.add_page(room, size);
        }
        let place = room.vacant[size].pop().expect("a page has room for an entry of any size");
        (place, self.0.reserve(place as usize * UNIT, size * UNIT))
    }

    /// Wipes the entry at this place, whose name had this length, out. Its place is free.
    pub(crate) fn free(&self, room: &mut Room, place: Place, length: usize) {
        let size = units_for(length);
        wipe(self.0.reserve(place as usize * UNIT, size * UNIT));
        room.vacant[size].push(place);
    }

    fn add_page(&self, room: &mut Room, size: usize) {
        // The addresses end first.
        let page =
            u32::try_from(room.sizes.len()).ok().and_then(|page| page.checked_mul(PAGE)).expect("places are 32 bits");
        // Who reads the last entry is given more words than it has.
        let words = self.0.reserve(page as usize * UNIT, PAGE as usize * UNIT + LONGEST);
        // An earlier content of the table may have left something here.
        wipe(&words[..PAGE as usize * UNIT]);
        room.sizes.push(size as u8);
        room.vacant[size].extend(places(page, size as u8).rev());
    }

    /// The entries that lie from one place to before another one.
    pub(crate) fn range<'a>(
        &'a self,
        room: &'a Room,
        from: Place,
        to: Place,
    ) -> impl Iterator<Item = (Place, Entry<'a>)> {
        let pages = (from / PAGE) as usize..(to.div_ceil(PAGE) as usize).min(room.sizes.len());
        let places = pages
            .flat_map(|page| places(page as u32 * PAGE, room.sizes[page]).zip(std::iter::repeat(room.sizes[page])));
        places.filter(move |(place, _)| (from..to).contains(place)).filter_map(|(place, size)| {
            let words = self.0.get(place as usize * UNIT, usize::from(size) * UNIT)?;
            let head = Head::load(words);
            head.length().map(|_| (place, Entry { head, words }))
        })
    }

    /// How many bytes the pages take, with what is known of them.
    pub(crate) fn bytes(&self, room: &Room) -> usize {
        let vacant: usize = room.vacant.iter().map(Vec::capacity).sum();
        room.end() as usize * UNIT * size_of::<AtomicU64>() + room.sizes.capacity() + vacant * size_of::<Place>()
    }

    /// Nobody is in `room` any more: gives the memory of what is not used back.
    pub(crate) fn give_back(&self, room: &Room) {
        self.0.give_back(room.end() as usize * UNIT);
    }
}

/// The places of a page that begins here and holds entries of this size.
fn places(begin: Place, size: u8) -> impl DoubleEndedIterator<Item = Place> {
    let count = PAGE.checked_div(u32::from(size)).unwrap_or(0);
    (0..count).map(move |number| begin + number * u32::from(size))
}

impl Room {
    pub(crate) fn new() -> Room {
        Room { sizes: vec![0], vacant: [const { Vec::new() }; SIZES] }
    }

    /// Where the pages end.
    pub(crate) fn end(&self) -> Place {
        // Pages are counted when they are added.
        self.sizes.len() as u32 * PAGE
    }
}
