//! The file from which a node serves its routes while the database is away at start.
//!
//! It says what the table said when it was written: each dynamic route, whether the last load had
//! confirmed it, and a *state*, by which the follower goes on from there. It is of one database and
//! one moment, and is refused for any other database and after a time that the reader sets.
//!
//! A snapshot replaces its forerunner as a whole or not at all: it grows beside it, in `FILE.new`,
//! and takes its name when it is on the disk. So a full disk or a crash costs the new one alone.
//! Nothing that a file says is believed before all of it was read and its checksum found right, and
//! no length in it before it is known to be one that this format has; a damaged file is refused, not
//! repaired.
//!
//! What this does not promise: that two may write one file at once; that nobody forged it (the
//! checksum finds accidents; the file is its owner's alone); that a name is valid, only that it has
//! a name's length. Borders are checked by [`DomainName`](domain_core::DomainName), here as elsewhere.
//!
//! ```text
//! magic     8 bytes      which kind of file this is
//! version   u32          how the rest is to be read
//! header    u32, bytes   their length, then database, time, host types and state, by postcard
//! block*    u32, bytes   their length, at most BLOCK, then whole routes:
//!                        length of the name u8, host type u16, origin u8, name
//! end       u32 = 0, u64 how many routes there are
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

/// Counts up whenever a byte gets another meaning, and so whenever the state's type changes:
/// postcard writes values without their names and types.
const VERSION: u32 = 1;

/// Bytes of a header: every host type that can be named is half of it.
const HEADER: usize = 32 << 20;

/// Bytes of a block.
const BLOCK: usize = 64 << 10;

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The domain's name, of 1 to [`DomainName::MAX_BYTES`](domain_core::DomainName::MAX_BYTES) bytes.
    pub name: &'a [u8],
    /// A place in the snapshot's list of host types.
    pub host_type: u16,
    /// Whether the last load knew it.
    pub origin: Origin,
}

/// What the last load had to say about a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It, or an event since, brought or confirmed the route.
    Current,
    /// It did not bring the route, and nobody asked to remove it.
    Kept,
}

/// What a file says.
#[derive(Debug)]
pub(crate) struct Snapshot<S> {
    /// What the follower wanted to remember.
    pub state: S,
    /// When writing it began.
    pub written: SystemTime,
    /// The host types that routes point to.
    pub host_types: Vec<String>,
    /// The routes.
    pub routes: Routes,
}

/// Why a file is not used.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    /// The system does not let it be read.
    #[error("it cannot be read: {0}; see to it that this node's user may read it and that its disk is well")]
    NotReadable(#[from] io::Error),
    /// It is something else.
    #[error("it is no snapshot of domains; name another file, or remove this one if nobody needs it")]
    NotASnapshot,
    /// Another release wrote it.
    #[error("it has format {found}, this release reads {VERSION}; nothing has to be done, the next one replaces it")]
    OtherVersion {
        /// The format that it has.
        found: u32,
    },
    /// It says what another database said.
    #[error("it is of another database, {found}; nothing has to be done if that is no longer this node's")]
    OtherDatabase {
        /// The description of that database.
        found: String,
    },
    /// What it says may have changed too much since.
    #[error("it is {}s old, the limit is {}s; nothing has to be done, the next one replaces it", age.as_secs(), limit.as_secs())]
    TooOld {
        /// Its age.
        age: Duration,
        /// The age up to which it would have been used.
        limit: Duration,
    },
    /// Its age is not known: a clock was wrong then, or is now.
    #[error("it was written {}s from now by this node's clock; set the clock if it is wrong", ahead.as_secs())]
    FromTheFuture {
        /// How far its time is ahead.
        ahead: Duration,
    },
    /// It is not what was written.
    #[error("it is damaged: {what}; nothing has to be done unless it happens again, the next one replaces it")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// What a snapshot says besides routes; `T` is a text.
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
