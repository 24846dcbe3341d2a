//! The snapshot file, from which a node serves its routes while the database is away at start.
//!
//! The file has each dynamic route as the table had it, whether the last load had confirmed the route, and the state
//! from which the follower goes on. It is of one database and one moment. A reader refuses it for another database, and
//! when it is too old.
//!
//! A snapshot replaces its predecessor as a whole or not at all: it is written beside it, to `FILE.new`, and renamed when
//! it is on the disk. A full disk or a crash costs only the new one. The reader uses nothing of a file before it has read
//! all of it and verified the checksum, and no length before it is known to be within the format's limits. A damaged file
//! is refused, not repaired.
//!
//! What the format does not ensure: that only one process writes the file; that the file is not forged (the checksum
//! detects accidents, and only the file's owner has access to it); that a name is valid (the reader checks its length, and
//! [`DomainName`](domain_core::DomainName) the rest).
//!
//! ```text
//! magic     8 bytes      the kind of the file
//! version   u32          the format of the rest
//! header    u32, bytes   their length, then database, time, host types and state, by postcard
//! block*    u32, bytes   their length, at most MAX_BLOCK, then whole routes:
//!                        length of the name u8, host type u16, origin u8, name
//! end       u32 = 0, u64 the number of routes
//! checksum  u32          CRC-32 of all before it
//! ```
//!
//! Numbers are little-endian.

use std::io;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::{Routes, read};
pub(crate) use writer::Writer;

const MAGIC: [u8; 8] = *b"\x89DOMAINS";

/// Counts up when a byte gets another meaning, and so when the type of the state changes: postcard writes values without
/// their names and types.
pub(crate) const VERSION: u32 = 1;

/// The most bytes of a header. The names of as many host types as there can be take half of it.
const MAX_HEADER: usize = 32 << 20;

/// The most bytes of a block.
const MAX_BLOCK: usize = 64 << 10;

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The domain's name, of 1 to [`DomainName::MAX_BYTES`](domain_core::DomainName::MAX_BYTES) bytes.
    pub name: &'a [u8],
    /// An index into the snapshot's list of host types.
    pub host_type: u16,
    /// Whether the last load confirmed it.
    pub origin: Origin,
}

/// Whether the last load confirmed a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The load, or an event since, brought or confirmed the route.
    Current,
    /// The load did not bring the route, and the gate kept it.
    Kept,
}

/// The content of a file.
#[derive(Debug)]
pub(crate) struct Snapshot<S> {
    /// The state of the follower.
    pub state: S,
    /// When writing it began.
    pub written: SystemTime,
    /// The host types of the routes.
    pub host_types: Vec<String>,
    /// The routes.
    pub routes: Routes,
}

/// Why a file is not used.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    /// The system cannot read it.
    #[error("it cannot be read: {0}; see to it that this node's user may read it and that its disk is well")]
    NotReadable(#[from] io::Error),
    /// It is not a snapshot.
    #[error("it is not a snapshot of domains; configure another file, or remove this one if it is not needed")]
    NotASnapshot,
    /// It has the format of another release.
    #[error("it has format {found}, this release reads {VERSION}; nothing has to be done, the next one replaces it")]
    OtherVersion {
        /// The format that it has.
        found: u32,
    },
    /// It has the routes of another database.
    #[error("it is of another database, {found}; nothing has to be done if that is no longer this node's")]
    OtherDatabase {
        /// The description of that database.
        found: String,
    },
    /// It is too old.
    #[error("it is {}s old, the limit is {}s; nothing has to be done, the next one replaces it", age.as_secs(), limit.as_secs())]
    TooOld {
        /// Its age.
        age: Duration,
        /// The age up to which it is used.
        limit: Duration,
    },
    /// Its age is not known, since a clock was wrong then, or is now.
    #[error("it was written {}s from now by this node's clock; set the clock if it is wrong", ahead.as_secs())]
    FromTheFuture {
        /// How far its time is ahead.
        ahead: Duration,
    },
    /// It is not as it was written.
    #[error("it is damaged: {what}; nothing has to be done unless it happens again, the next one replaces it")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// All of a snapshot but the routes. `T` is a text.
#[derive(Serialize, Deserialize)]
struct Header<T, S> {
    database: T,
    /// Milliseconds since 1970.
    written: u64,
    host_types: Vec<T>,
    state: S,
}

impl Origin {
    fn to_byte(self) -> u8 {
        match self {
            Origin::Current => 0,
            Origin::Kept => 1,
        }
    }

    fn from_byte(byte: u8) -> Option<Origin> {
        match byte {
            0 => Some(Origin::Current),
            1 => Some(Origin::Kept),
            _ => None,
        }
    }
}
