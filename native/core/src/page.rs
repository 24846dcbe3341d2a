//! A bounded part of a listing.
//!
//! A listing of a million domains is never one value and never one lock: it is read page by page.
//! A page looks at no more than [`PLACES`] places, whatever it selects, so it may be empty and still not be
//! the last one. Whoever is in the table from the first page to the last is listed exactly once;
//! who comes or goes meanwhile may be listed or not.

use crate::entry::{Entry, Head, Origin, Source};
use crate::host_types::HostTypeId;

/// How many places one page looks at: half a megabyte of memory, some ten thousand entries.
pub const PLACES: u32 = 32_768;

/// Which domains a listing is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// Those from configuration.
    Static,
    /// Those that were inserted.
    Dynamic,
    /// Those of one host type, static and dynamic.
    HostType(HostTypeId),
    /// Dynamic ones that another source than this one brought.
    Outdated(Source),
    /// Dynamic ones that a source before this one brought: a later load that broke off may have
    /// confirmed some of the others.
    Older(Source),
    /// Dynamic ones that this source or one after it brought.
    Since(Source),
}

impl Select {
    pub(crate) fn takes(self, head: Head) -> bool {
        match (self, head.origin()) {
            (Select::All, _) | (Select::Static, Origin::Static) | (Select::Dynamic, Origin::Dynamic(_)) => true,
            (Select::HostType(wanted), _) => head.host_type() == wanted,
            (Select::Outdated(current), Origin::Dynamic(source)) => source != current,
            (Select::Older(current), Origin::Dynamic(source)) => source < current,
            (Select::Since(current), Origin::Dynamic(source)) => source >= current,
            _ => false,
        }
    }
}

/// Where the next page begins. Starts at [`Position::START`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub(crate) u32);

impl Position {
    /// The beginning of every listing.
    pub const START: Position = Position(0);

    /// As a number, to give to a caller who brings it back.
    pub fn to_number(self) -> u32 {
        self.0
    }

    /// From a number; any number is a position, at worst one past the end.
    pub fn from_number(number: u32) -> Position {
        Position(number)
    }
}

/// Some domains, and where to go on.
#[derive(Debug, Default)]
pub struct Page {
    /// The names, one behind the other: one allocation while writers wait, not a thousand.
    names: Vec<u8>,
    lengths: Vec<(u8, HostTypeId)>,
    /// Where the next page begins; nothing after the last one.
    pub next: Option<Position>,
}

impl Page {
    pub(crate) fn push(&mut self, entry: &Entry) {
        // A name that is in the table has at most 250 bytes.
        self.lengths.push((entry.name(&mut self.names) as u8, entry.head.host_type()));
    }

    /// How many domains this page lists.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether it lists none. The next one may still list some.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The domains' names, each with its host type.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], HostTypeId)> {
        let mut rest = &self.names[..];
        self.lengths.iter().map(move |&(length, host_type)| {
            let (name, after) = rest.split_at(usize::from(length));
            rest = after;
            (name, host_type)
        })
    }
}
