//! One domain in one cache line.
//!
//! At a million domains a lookup is cache misses, not instructions, so an entry is exactly one line
//! and holds its name inline. A name longer than [`INLINE`] bytes (few are) lives in a box of its
//! own, at the price of one more miss.

use crate::host_types::HostTypeId;
use crate::table::Source;

/// The longest name that an entry holds inline, in bytes.
pub(crate) const INLINE: usize = 54;

/// Where a route came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Configuration: it never changes.
    Static,
    /// The source that brought it, or that confirmed it last.
    Dynamic(Source),
}

/// A domain, its host type and where it came from.
#[repr(align(64))]
pub(crate) struct Entry {
    name: Name,
    origin: Origin,
    host_type: HostTypeId,
}

const _: () = assert!(size_of::<Option<Entry>>() == 64, "an entry, or a free place, is one cache line");

enum Name {
    Inline { length: u8, bytes: [u8; INLINE] },
    Boxed(Box<[u8]>),
}

impl Entry {
    pub(crate) fn new(name: &[u8], host_type: HostTypeId, origin: Origin) -> Entry {
        let name = if name.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..name.len()].copy_from_slice(name);
            Name::Inline { length: name.len() as u8, bytes }
        } else {
            Name::Boxed(name.into())
        };
        Entry { name, origin, host_type }
    }

    #[inline]
    pub(crate) fn name(&self) -> &[u8] {
        match &self.name {
            Name::Inline { length, bytes } => &bytes[..usize::from(*length)],
            Name::Boxed(bytes) => bytes,
        }
    }

    #[inline]
    pub(crate) fn host_type(&self) -> HostTypeId {
        self.host_type
    }

    #[inline]
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Lets a dynamic route point elsewhere, or be confirmed.
    pub(crate) fn set(&mut self, host_type: HostTypeId, source: Source) {
        self.host_type = host_type;
        self.origin = Origin::Dynamic(source);
    }
}
