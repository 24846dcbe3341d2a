//! Reading a snapshot: first the frame, to its end and its checksum, then its content.
//!
//! Routes stay in the blocks of the file, so that a million of them are not a million allocations.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use domain_core::DomainName;
use serde::de::DeserializeOwned;

use super::{Header, MAGIC, MAX_BLOCK, MAX_HEADER, Origin, Refused, Route, Snapshot, VERSION};

/// How far the time of a snapshot may be ahead of the clock.
pub(super) const MAX_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// The blocks of a file, in which every route was checked.
#[derive(Debug)]
pub(crate) struct Routes {
    blocks: Vec<Box<[u8]>>,
}

/// Reads the snapshot in `file`, or returns `None` if there is no file. It must be of `database` and, at the time `now`, not
/// older than `max_age`.
pub(crate) fn read<S: DeserializeOwned>(
    file: &Path,
    database: &str,
    max_age: Duration,
    now: SystemTime,
) -> Result<Option<Snapshot<S>>, Refused> {
    // Checked before it is opened, because opening a pipe waits for a writer.
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.is_file() => return Err(Refused::NotASnapshot),
        Ok(_) => (),
    }
    parse(BufReader::new(File::open(file)?), database, max_age, now).map(Some)
}

pub(super) fn parse<S: DeserializeOwned>(
    input: impl Read,
    database: &str,
    max_age: Duration,
    now: SystemTime,
) -> Result<Snapshot<S>, Refused> {
    let Frame { header, blocks, count } = Frame::read(input)?;
    let header: Header<String, S> = match postcard::take_from_bytes(&header) {
        Ok((header, [])) => header,
        _ => return Err(damaged("its header is invalid")),
    };
    let routes = Routes::check(blocks, count, header.host_types.len())?;
    if header.database != database {
        return Err(Refused::OtherDatabase { found: header.database });
    }
    let written = UNIX_EPOCH.checked_add(Duration::from_millis(header.written));
    let written = written.ok_or(damaged("its time is invalid"))?;
    match now.duration_since(written) {
        Ok(age) if age > max_age => return Err(Refused::TooOld { age, limit: max_age }),
        Err(error) if error.duration() > MAX_AHEAD => return Err(Refused::FromTheFuture { ahead: error.duration() }),
        _ => (),
    }
    Ok(Snapshot { state: header.state, written, host_types: header.host_types, routes })
}

/// The parts of a file. The checksum has shown that they are as they were written, and no more.
pub(super) struct Frame {
    header: Box<[u8]>,
    pub(super) blocks: Vec<Box<[u8]>>,
    count: u64,
}

impl Frame {
    pub(super) fn read(input: impl Read) -> Result<Frame, Refused> {
        let mut input = Input { input, checksum: Hasher::new() };
        input.magic()?;
        let found = u32::from_le_bytes(input.array()?);
        if found != VERSION {
            return Err(Refused::OtherVersion { found });
        }
        let header = input.part(MAX_HEADER)?;
        let mut blocks = Vec::new();
        loop {
            let block = input.part(MAX_BLOCK)?;
            if block.is_empty() {
                break;
            }
            blocks.push(block);
        }
        let count = u64::from_le_bytes(input.array()?);
        let checksum = input.checksum.clone().finalize();
        if u32::from_le_bytes(input.array()?) != checksum {
            return Err(damaged("its checksum is another one"));
        }
        if input.input.read(&mut [0])? > 0 {
            return Err(damaged("something follows its end"));
        }
        Ok(Frame { header, blocks, count })
    }
}

/// A file, and the checksum of what was read of it.
struct Input<R> {
    input: R,
    checksum: Hasher,
}

impl<R: Read> Input<R> {
    /// A prefix of the magic is a snapshot that a crash cut short. Anything else is another kind of file.
    fn magic(&mut self) -> Result<(), Refused> {
        let mut found = Vec::new();
        self.input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut found)?;
        self.checksum.update(&found);
        match &found[..] {
            found if found == MAGIC => Ok(()),
            found if MAGIC.starts_with(found) => Err(damaged("it ends too early")),
            _ => Err(Refused::NotASnapshot),
        }
    }

    /// A length of at most `limit`, and as many bytes.
    fn part(&mut self, limit: usize) -> Result<Box<[u8]>, Refused> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length > limit {
            return Err(damaged("a part of it is longer than the format allows"));
        }
        let mut bytes = vec![0; length].into_boxed_slice();
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Refused> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged("it ends too early"),
            _ => Refused::NotReadable(error),
        })?;
        self.checksum.update(bytes);
        Ok(())
    }
}

impl Routes {
    /// Checks every route. The checksum has not shown that the writer was right.
    fn check(blocks: Vec<Box<[u8]>>, count: u64, host_types: usize) -> Result<Routes, Refused> {
        let mut found = 0;
        for block in &blocks {
            let mut walk = Walk(block);
            for route in &mut walk {
                if usize::from(route.host_type) >= host_types {
                    return Err(damaged("a route points to a host type that it does not list"));
                }
                found += 1;
            }
            if !walk.0.is_empty() {
                return Err(damaged("a route is invalid"));
            }
        }
        if found != count {
            return Err(damaged("it has not as many routes as it says"));
        }
        Ok(Routes { blocks })
    }

    /// The routes in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = Route<'_>> {
        self.blocks.iter().flat_map(|block| Walk(block))
    }
}

/// The routes of a block, up to its end or to the first that is invalid.
struct Walk<'a>(&'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = Route<'a>;

    fn next(&mut self) -> Option<Route<'a>> {
        let (&[length, low, high, origin], rest) = self.0.split_first_chunk()?;
        let length = usize::from(length);
        let origin = Origin::from_byte(origin)?;
        if !(1..=DomainName::MAX_BYTES).contains(&length) {
            return None;
        }
        let (name, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Route { name, host_type: u16::from_le_bytes([low, high]), origin })
    }
}

fn damaged(what: &'static str) -> Refused {
    Refused::Damaged { what }
}
