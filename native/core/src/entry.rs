//! One domain as words of memory.
//!
//! ```text
//! word 0   bits 0 to 7   the name's length in bytes, 0 where there is no entry
//!               8 to 23  the host type
//!              24 to 55  the source that brought or confirmed the route, 0 for configuration
//!              56 to 63  the name's first byte
//! word 1…  eight more bytes of the name each; the last one has the last eight bytes, whether or not some of
//!          them are in the word before, or all bytes of a name that is shorter
//! ```
//!
//! So a route is changed by writing one word, a name of up to 41 bytes with all that belongs to it takes 48
//! bytes, and names are compared eight bytes at a time.

use std::num::NonZeroU32;

use crate::host_types::HostTypeId;
use crate::sync::{AtomicU64, Ordering};

/// What brought a dynamic route: each load of the database is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub NonZeroU32);

/// Where a route came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Configuration: it never changes.
    Static,
    /// The source that brought it, or that confirmed it last.
    Dynamic(Source),
}

/// The first word of an entry: where a domain's route leads, where it is from, and how its name begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head(u64);

const HOST_TYPE: u32 = 8;
const SOURCE: u32 = 24;
const FIRST: u32 = 56;

/// The bits that say something of the name.
const HAS_NAME: u64 = 0xff | 0xff << FIRST;

impl Head {
    /// Of a name, which has 1 to 250 bytes.
    pub(crate) fn new(name: &[u8], host_type: HostTypeId, origin: Origin) -> Head {
        Head(name.len() as u64 | u64::from(name[0]) << FIRST).with(host_type, origin)
    }

    /// The same name with another route.
    pub(crate) fn with(self, host_type: HostTypeId, origin: Origin) -> Head {
        let source = match origin {
            Origin::Static => 0,
            Origin::Dynamic(Source(number)) => number.get(),
        };
        let name = self.0 & HAS_NAME;
        Head(name | u64::from(host_type.to_number()) << HOST_TYPE | u64::from(source) << SOURCE)
    }

    #[inline]
    pub(crate) fn host_type(self) -> HostTypeId {
        HostTypeId::from_number((self.0 >> HOST_TYPE) as u16)
    }

    pub(crate) fn origin(self) -> Origin {
        NonZeroU32::new((self.0 >> SOURCE) as u32).map_or(Origin::Static, |number| Origin::Dynamic(Source(number)))
    }

    /// The name's length; nothing where there is no entry.
    pub(crate) fn length(self) -> Option<usize> {
        Some((self.0 & 0xff) as usize).filter(|&length| length > 0)
    }

    #[inline]
    fn begins(self, name: &[u8]) -> bool {
        let Some(&first) = name.first() else { return false };
        self.0 & HAS_NAME == name.len() as u64 | u64::from(first) << FIRST
    }

    pub(crate) fn load(words: &[AtomicU64]) -> Head {
        Head(words[0].load(Ordering::Relaxed))
    }

    /// Writes where the route leads: one word, so that whoever reads sees the old route or the new one.
    pub(crate) fn store(self, words: &[AtomicU64]) {
        words[0].store(self.0, Ordering::Relaxed);
    }
}

/// How many words a name of this length takes with all that belongs to it.
#[inline]
pub(crate) const fn words_for(length: usize) -> usize {
    1 + (length + 6) / 8
}

/// Words of the longest entry that a head can speak of. In a model names are short.
pub(crate) const LONGEST: usize = if cfg!(loom) { 4 } else { words_for(u8::MAX as usize) };

/// Writes an entry.
pub(crate) fn write(words: &[AtomicU64], name: &[u8], head: Head) {
    head.store(words);
    if let Some((last, words)) = words[1..words_for(name.len())].split_last() {
        for (word, eight) in words.iter().zip(name[1..].as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*eight), Ordering::Relaxed);
        }
        last.store(end(name), Ordering::Relaxed);
    }
}

/// What the last word has of a name.
#[inline]
fn end(name: &[u8]) -> u64 {
    match name.last_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => short(name),
    }
}

/// A name of fewer than eight bytes.
#[cold]
fn short(name: &[u8]) -> u64 {
    name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Wipes an entry out.
pub(crate) fn wipe(words: &[AtomicU64]) {
    words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
}

/// The head of the entry that begins in these words if it is this name's.
#[inline]
pub(crate) fn read(words: &[AtomicU64; LONGEST], name: &[u8]) -> Option<Head> {
    let head = Head::load(words);
    if !head.begins(name) {
        return None;
    }
    let (eights, rest) = name[1..].as_chunks::<8>();
    let is = |word: &AtomicU64, bytes: u64| word.load(Ordering::Relaxed) == bytes;
    let begin = words[1..].iter().zip(eights).all(|(word, eight)| is(word, u64::from_le_bytes(*eight)));
    let is_name = begin && (rest.is_empty() || is(words.get(1 + eights.len())?, end(name)));
    is_name.then_some(head)
}

/// An entry as a listing sees it.
pub(crate) struct Entry<'a> {
    pub(crate) head: Head,
    /// At least as many as its name takes.
    pub(crate) words: &'a [AtomicU64],
}

impl Entry<'_> {
    /// Appends the name, and answers its length.
    pub(crate) fn name(&self, names: &mut Vec<u8>) -> usize {
        let length = self.head.length().unwrap_or(0);
        let begin = names.len();
        names.resize(begin + length.max(8), 0);
        let name = &mut names[begin..];
        name[0] = (self.head.0 >> FIRST) as u8;
        if let Some((last, words)) = self.words[1..words_for(length)].split_last() {
            for (word, eight) in words.iter().zip(name[1..].as_chunks_mut::<8>().0) {
                *eight = word.load(Ordering::Relaxed).to_le_bytes();
            }
            name[length.saturating_sub(8)..][..8].copy_from_slice(&last.load(Ordering::Relaxed).to_le_bytes());
        }
        names.truncate(begin + length);
        length
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn source(number: u32) -> Origin {
        Origin::Dynamic(Source(NonZeroU32::new(number).unwrap()))
    }

    #[test]
    fn a_name_of_any_length_is_told_from_every_other_of_its_length() {
        for length in 1..=250 {
            let name: Vec<u8> = (1..=length as u8).collect();
            let words: [AtomicU64; LONGEST] = std::array::from_fn(|_| AtomicU64::new(0));
            let head = Head::new(&name, HostTypeId::from_number(u16::MAX), source(u32::MAX));
            write(&words, &name, head);
            assert_eq!(read(&words, &name), Some(head));
            for other in 0..length {
                let mut different = name.clone();
                different[other] ^= 0x80;
                assert_eq!(read(&words, &different), None, "byte {other} of {length}");
            }
            let mut listed = Vec::new();
            assert_eq!(Entry { head, words: &words }.name(&mut listed), length);
            assert_eq!(listed, name);
        }
    }

    #[test]
    fn a_route_changes_and_the_name_stays() {
        let head = Head::new(b"example", HostTypeId::from_number(3), Origin::Static);
        assert_eq!((head.host_type().index(), head.origin(), head.length()), (3, Origin::Static, Some(7)));
        let moved = head.with(HostTypeId::from_number(65_535), source(7));
        assert_eq!((moved.host_type().index(), moved.origin(), moved.length()), (65_535, source(7), Some(7)));
        assert_eq!(moved.with(HostTypeId::from_number(3), Origin::Static), head);
    }

    #[test]
    fn forty_eight_bytes_hold_a_name_of_forty_one() {
        assert_eq!((words_for(1), words_for(41), words_for(42), words_for(250)), (1, 6, 7, 33));
    }
}
