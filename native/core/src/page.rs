//! One bounded part of a listing.
//!
//! A listing of a million domains is never one value, and is never made under one lock: it is read page by page. A page
//! covers at most [`PAGE_UNITS`] units of entries, whatever it selects, so it may be empty without being the last one.
//! A domain that is in the table from the first page to the last is listed exactly once; one that is added or removed
//! meanwhile may be listed or not.

use crate::entry::{Entry, Header, Origin, Source};
use crate::host_types::HostTypeId;

/// The number of units that one page covers: half a megabyte of memory, some ten thousand entries.
pub const PAGE_UNITS: u32 = 32_768;

/// The domains that a listing contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// All domains.
    All,
    /// Domains from the configuration.
    Static,
    /// Domains that were inserted at run time.
    Dynamic,
    /// Static and dynamic domains of one host type.
    HostType(HostTypeId),
    /// Dynamic domains whose source is not this one.
    Outdated(Source),
    /// Dynamic domains whose source is older than this one. A later load that failed may have confirmed some of the
    /// others.
    Older(Source),
    /// Dynamic domains whose source is this one or a newer one.
    Since(Source),
}

impl Select {
    pub(crate) fn matches(self, header: Header) -> bool {
        match (self, header.origin()) {
            (Select::All, _) | (Select::Static, Origin::Static) | (Select::Dynamic, Origin::Dynamic(_)) => true,
            (Select::HostType(wanted), _) => header.host_type() == wanted,
            (Select::Outdated(current), Origin::Dynamic(source)) => source != current,
            (Select::Older(current), Origin::Dynamic(source)) => source < current,
            (Select::Since(current), Origin::Dynamic(source)) => source >= current,
            _ => false,
        }
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub(crate) u32);

impl Position {
    /// The beginning of the first page.
    pub const START: Position = Position(0);

    /// The position as a number, for [`Position::from_number`].
    pub fn to_number(self) -> u32 {
        self.0
    }

    /// The position of a number. Any number is a position, at worst one after the end.
    pub fn from_number(number: u32) -> Position {
        Position(number)
    }
}

/// Some domains, and the position of the next page.
#[derive(Debug, Default)]
pub struct Page {
    /// All names without separators: one allocation while the writers wait, not a thousand.
    names: Vec<u8>,
    lengths: Vec<(u8, HostTypeId)>,
    /// Where the next page begins, or `None` after the last one.
    pub next: Option<Position>,
}

impl Page {
    pub(crate) fn push(&mut self, entry: &Entry) {
        // A name that is in the table has at most 250 bytes.
        self.lengths.push((entry.push_name(&mut self.names) as u8, entry.header.host_type()));
    }

    /// The number of domains on this page.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether this page has no domains. Later pages may have some.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The name and the host type of each domain.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], HostTypeId)> {
        let mut rest = &self.names[..];
        self.lengths.iter().map(move |&(length, host_type)| {
            let (name, remaining) = rest.split_at(usize::from(length));
            rest = remaining;
            (name, host_type)
        })
    }
}
