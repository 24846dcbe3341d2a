//! The record of one domain, as words of memory.
//!
//! ```text
//! word 0   bits 0 to 7   the name's length in bytes, 0 if there is no entry
//!               8 to 23  the host type
//!              24 to 55  the source that added or last confirmed the route, 0 for configuration
//!              56 to 63  the name's first byte
//! word 1…  the next bytes of the name, eight in each word. The last word holds the name's last eight bytes, even if
//!          some of them are in the word before, or all bytes of a name that has fewer than eight
//! ```
//!
//! So a route is changed by one store, an entry with a name of up to 41 bytes takes 48 bytes, and names are compared
//! eight bytes at a time.

use std::num::NonZeroU32;

use crate::host_types::HostTypeId;
use crate::sync::{AtomicU64, Ordering};

/// What added a dynamic route. Each load of the database is a source of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub NonZeroU32);

/// Where a route comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The configuration. Such a route does not change while the table is open.
    Static,
    /// The source that added the route or confirmed it last.
    Dynamic(Source),
}

/// The first word of an entry: the route, its origin, and the length and the first byte of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(u64);

const HOST_TYPE_SHIFT: u32 = 8;
const SOURCE_SHIFT: u32 = 24;
const FIRST_BYTE_SHIFT: u32 = 56;

/// The bits that depend on the name alone.
const NAME_BITS: u64 = 0xff | 0xff << FIRST_BYTE_SHIFT;

impl Header {
    /// The header for a name of 1 to 250 bytes.
    pub(crate) fn new(name: &[u8], host_type: HostTypeId, origin: Origin) -> Header {
        Header(name_bits(name.len(), name[0])).with_route(host_type, origin)
    }

    /// The header for the same name with another route.
    pub(crate) fn with_route(self, host_type: HostTypeId, origin: Origin) -> Header {
        let source = match origin {
            Origin::Static => 0,
            Origin::Dynamic(Source(number)) => number.get(),
        };
        let name = self.0 & NAME_BITS;
        Header(name | u64::from(host_type.to_number()) << HOST_TYPE_SHIFT | u64::from(source) << SOURCE_SHIFT)
    }

    #[inline]
    pub(crate) fn host_type(self) -> HostTypeId {
        HostTypeId::from_number((self.0 >> HOST_TYPE_SHIFT) as u16)
    }

    pub(crate) fn origin(self) -> Origin {
        NonZeroU32::new((self.0 >> SOURCE_SHIFT) as u32)
            .map_or(Origin::Static, |number| Origin::Dynamic(Source(number)))
    }

    /// The name's length, or `None` if there is no entry.
    pub(crate) fn length(self) -> Option<usize> {
        Some((self.0 & 0xff) as usize).filter(|&length| length > 0)
    }

    /// Whether the name has this length and first byte.
    #[inline]
    fn matches_start_of(self, name: &[u8]) -> bool {
        let Some(&first) = name.first() else { return false };
        self.0 & NAME_BITS == name_bits(name.len(), first)
    }

    pub(crate) fn load(words: &[AtomicU64]) -> Header {
        Header(words[0].load(Ordering::Relaxed))
    }

    /// Stores the route: one word, so a lookup reads the old route or the new one.
    pub(crate) fn store(self, words: &[AtomicU64]) {
        words[0].store(self.0, Ordering::Relaxed);
    }
}

#[inline]
fn name_bits(length: usize, first: u8) -> u64 {
    length as u64 | u64::from(first) << FIRST_BYTE_SHIFT
}

/// The number of words of an entry whose name has this length.
#[inline]
pub(crate) const fn words_for(length: usize) -> usize {
    1 + (length + 6) / 8
}

/// The number of words of the longest entry that a header can describe. In a model names are short.
pub(crate) const MAX_WORDS: usize = if cfg!(loom) { 4 } else { words_for(u8::MAX as usize) };

/// Writes an entry.
pub(crate) fn write(words: &[AtomicU64], name: &[u8], header: Header) {
    header.store(words);
    if let Some((last, words)) = words[1..words_for(name.len())].split_last() {
        for (word, eight) in words.iter().zip(name[1..].as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*eight), Ordering::Relaxed);
        }
        last.store(last_word(name), Ordering::Relaxed);
    }
}

/// The content of an entry's last word.
#[inline]
fn last_word(name: &[u8]) -> u64 {
    match name.last_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => last_word_of_short(name),
    }
}

/// The content of the last word for a name of fewer than eight bytes.
#[cold]
fn last_word_of_short(name: &[u8]) -> u64 {
    name.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Removes an entry.
pub(crate) fn clear(words: &[AtomicU64]) {
    words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
}

/// The header of the entry in these words if that entry has this name.
#[inline]
pub(crate) fn header_of(name: &[u8], words: &[AtomicU64; MAX_WORDS]) -> Option<Header> {
    let header = Header::load(words);
    if !header.matches_start_of(name) {
        return None;
    }
    let (eights, rest) = name[1..].as_chunks::<8>();
    let equals = |word: &AtomicU64, bytes: u64| word.load(Ordering::Relaxed) == bytes;
    let start = words[1..].iter().zip(eights).all(|(word, eight)| equals(word, u64::from_le_bytes(*eight)));
    let matches = start && (rest.is_empty() || equals(words.get(1 + eights.len())?, last_word(name)));
    matches.then_some(header)
}

/// An entry as a listing reads it.
pub(crate) struct Entry<'a> {
    pub(crate) header: Header,
    /// The entry's words, and perhaps some more.
    pub(crate) words: &'a [AtomicU64],
}

impl Entry<'_> {
    /// Appends the name to `names` and returns its length.
    pub(crate) fn push_name(&self, names: &mut Vec<u8>) -> usize {
        let length = self.header.length().unwrap_or(0);
        let begin = names.len();
        names.resize(begin + length.max(8), 0);
        let name = &mut names[begin..];
        name[0] = (self.header.0 >> FIRST_BYTE_SHIFT) as u8;
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
    fn a_name_of_any_length_is_distinguished_from_every_other_of_its_length() {
        for length in 1..=250 {
            let name: Vec<u8> = (1..=length as u8).collect();
            let words: [AtomicU64; MAX_WORDS] = std::array::from_fn(|_| AtomicU64::new(0));
            let header = Header::new(&name, HostTypeId::from_number(u16::MAX), source(u32::MAX));
            write(&words, &name, header);
            assert_eq!(header_of(&name, &words), Some(header));
            for other in 0..length {
                let mut different = name.clone();
                different[other] ^= 0x80;
                assert_eq!(header_of(&different, &words), None, "byte {other} of {length}");
            }
            let mut listed = Vec::new();
            assert_eq!(Entry { header, words: &words }.push_name(&mut listed), length);
            assert_eq!(listed, name);
        }
    }

    #[test]
    fn a_route_changes_and_the_name_stays() {
        let header = Header::new(b"example", HostTypeId::from_number(3), Origin::Static);
        assert_eq!((header.host_type().index(), header.origin(), header.length()), (3, Origin::Static, Some(7)));
        let moved = header.with_route(HostTypeId::from_number(65_535), source(7));
        assert_eq!((moved.host_type().index(), moved.origin(), moved.length()), (65_535, source(7), Some(7)));
        assert_eq!(moved.with_route(HostTypeId::from_number(3), Origin::Static), header);
    }

    #[test]
    fn forty_eight_bytes_hold_a_name_of_forty_one() {
        assert_eq!((words_for(1), words_for(41), words_for(42), words_for(250)), (1, 6, 7, 33));
    }
}
