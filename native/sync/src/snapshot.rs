//! The file from which a node serves its routes while the database is away at start.
//!
//! It says what the table said when it was written: each dynamic route, whether the last load had
//! confirmed it, and a *mark*, by which the follower goes on from there. It is of one database and
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
//! a name's length. Borders are checked by [`DomainName`], here as elsewhere.
//!
//! ```text
//! magic     8 bytes      which kind of file this is
//! version   u32          how the rest is to be read
//! header    u32, bytes   their length, then database, time, host types and mark, by postcard
//! block*    u32, bytes   their length, at most BLOCK, then whole routes:
//!                        length of the name u8, host type u16, origin u8, name
//! end       u32 = 0, u64 how many routes there are
//! checksum  u32          CRC-32 of all before it
//! ```
//!
//! Numbers are little-endian.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use domain_core::DomainName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(test)]
mod tests;

const MAGIC: [u8; 8] = *b"\x89DOMAINS";

/// Counts up whenever a byte gets another meaning, and so whenever the mark's type changes:
/// postcard writes values without their names and types.
const VERSION: u32 = 1;

/// Bytes of a header: every host type that can be named is half of it.
const HEADER: usize = 32 << 20;

/// Bytes of a block.
const BLOCK: usize = 64 << 10;

/// How far a clock may have been ahead when it dated a snapshot.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The domain's name, of 1 to [`DomainName::MAX_BYTES`] bytes.
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
pub(crate) struct Snapshot<M> {
    /// What the follower wanted to remember.
    pub mark: M,
    /// When writing it began.
    pub written: SystemTime,
    /// The host types that routes point to.
    pub host_types: Vec<String>,
    /// The routes.
    pub routes: Routes,
}

/// Routes as they lie in the file, every one of them checked.
#[derive(Debug)]
pub(crate) struct Routes {
    blocks: Vec<Box<[u8]>>,
    count: u64,
}

/// What became of a snapshot that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many routes it holds.
    pub routes: u64,
    /// How many bytes.
    pub bytes: u64,
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

fn damaged(what: &'static str) -> Refused {
    Refused::Damaged { what }
}

/// What a snapshot says besides routes; `T` is a text.
#[derive(Serialize, Deserialize)]
struct Header<T, M> {
    database: T,
    /// Milliseconds since 1970.
    written: u64,
    host_types: Vec<T>,
    mark: M,
}

/// A snapshot that is being written. Dropped before [`Writer::finish`], it never was.
pub(crate) struct Writer {
    out: BufWriter<File>,
    fresh: Fresh,
    file: PathBuf,
    checksum: Hasher,
    host_types: usize,
    block: Vec<u8>,
    written: Written,
}

impl Writer {
    /// Begins a snapshot that is to become `file`. The mark must be one that was taken before the
    /// first route is read: what changes while routes are written is then followed again.
    pub fn create<M: Serialize>(
        file: &Path,
        database: &str,
        mark: &M,
        host_types: &[impl AsRef<str>],
    ) -> io::Result<Writer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let names = host_types.iter().map(AsRef::as_ref).collect();
        let header = Header { database, written: now.as_millis() as u64, host_types: names, mark };
        let header = postcard::to_stdvec(&header).map_err(|error| unfit(&error.to_string()))?;
        if header.len() > HEADER {
            return Err(unfit("the header of a snapshot would be too long"));
        }
        let (fresh, out) = Fresh::create(file)?;
        let mut writer = Writer {
            out: BufWriter::new(out),
            fresh,
            file: file.to_owned(),
            checksum: Hasher::new(),
            host_types: host_types.len(),
            block: Vec::with_capacity(BLOCK),
            written: Written { routes: 0, bytes: 0 },
        };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        writer.put_part(&header)?;
        Ok(writer)
    }

    /// Adds a route.
    pub fn push(&mut self, route: Route<'_>) -> io::Result<()> {
        let Route { name, host_type, origin } = route;
        if !(1..=DomainName::MAX_BYTES).contains(&name.len()) {
            return Err(unfit("a route without a name, or with one that is too long"));
        }
        if usize::from(host_type) >= self.host_types {
            return Err(unfit("a route to a host type that the snapshot does not list"));
        }
        if self.block.len() + 4 + name.len() > BLOCK {
            self.end_block()?;
        }
        let [low, high] = host_type.to_le_bytes();
        // A name of at most 250 bytes, as was just made sure.
        self.block.extend_from_slice(&[name.len() as u8, low, high, origin.to_byte()]);
        self.block.extend_from_slice(name);
        self.written.routes += 1;
        Ok(())
    }

    /// Lets the snapshot take the place of the last one. When that fails the last one is still
    /// there; only if the directory could not be flushed at the very end it is not known which of
    /// the two, both whole, a power failure would leave.
    pub fn finish(mut self) -> io::Result<Written> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.put(&0_u32.to_le_bytes())?;
        self.put(&self.written.routes.to_le_bytes())?;
        let checksum = self.checksum.clone().finalize();
        self.put(&checksum.to_le_bytes())?;
        self.out.flush()?;
        let out = self.out.get_ref();
        // Whoever went on after a failure has lost bytes.
        if out.metadata()?.len() != self.written.bytes {
            return Err(io::Error::other("not all of the snapshot was written"));
        }
        out.sync_all()?;
        self.fresh.rename(&self.file)?;
        File::open(directory(&self.file))?.sync_all()?;
        Ok(self.written)
    }

    fn end_block(&mut self) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let result = self.put_part(&block);
        block.clear();
        self.block = block;
        result
    }

    fn put_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Neither a header nor a block is near 4 GiB.
        self.put(&(bytes.len() as u32).to_le_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.written.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn unfit(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `FILE.new`, which is gone when this is: under another name, or for good.
struct Fresh(Option<PathBuf>);

impl Fresh {
    /// What a crash left there is removed, not overwritten: it may belong to another user, or be a
    /// link to somewhere else.
    fn create(file: &Path) -> io::Result<(Fresh, File)> {
        let path = file.with_added_extension("new");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let out = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Fresh(Some(path)), out))
    }

    fn rename(&mut self, file: &Path) -> io::Result<()> {
        if let Some(path) = &self.0 {
            fs::rename(path, file)?;
            self.0 = None;
        }
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // If not even that works, the next snapshot tries again.
            let _ = fs::remove_file(path);
        }
    }
}

/// Reads the snapshot in `file`; nothing, when there is no file. It must be of `database` and, by
/// the clock that says `now`, not older than `max_age`.
pub(crate) fn read<M: DeserializeOwned>(
    file: &Path,
    database: &str,
    max_age: Duration,
    now: SystemTime,
) -> Result<Option<Snapshot<M>>, Refused> {
    // Looked at before it is opened: opening a pipe would wait for whoever writes to it.
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.is_file() => return Err(Refused::NotASnapshot),
        Ok(_) => (),
    }
    parse(BufReader::new(File::open(file)?), database, max_age, now).map(Some)
}

fn parse<M: DeserializeOwned>(
    input: impl Read,
    database: &str,
    max_age: Duration,
    now: SystemTime,
) -> Result<Snapshot<M>, Refused> {
    let Frame { header, blocks, count } = Frame::read(input)?;
    let header: Header<String, M> = match postcard::take_from_bytes(&header) {
        Ok((header, [])) => header,
        _ => return Err(damaged("its header makes no sense")),
    };
    let routes = Routes::check(blocks, count, header.host_types.len())?;
    if header.database != database {
        return Err(Refused::OtherDatabase { found: header.database });
    }
    let written = UNIX_EPOCH.checked_add(Duration::from_millis(header.written));
    let written = written.ok_or(damaged("its time makes no sense"))?;
    match now.duration_since(written) {
        Ok(age) if age > max_age => return Err(Refused::TooOld { age, limit: max_age }),
        Err(error) if error.duration() > AHEAD => return Err(Refused::FromTheFuture { ahead: error.duration() }),
        _ => (),
    }
    Ok(Snapshot { mark: header.mark, written, host_types: header.host_types, routes })
}

/// The parts of a whole file, of which only this is known: they are as they were written.
struct Frame {
    header: Box<[u8]>,
    blocks: Vec<Box<[u8]>>,
    count: u64,
}

impl Frame {
    fn read(input: impl Read) -> Result<Frame, Refused> {
        let mut input = Input { input, checksum: Hasher::new() };
        input.magic()?;
        let found = u32::from_le_bytes(input.array()?);
        if found != VERSION {
            return Err(Refused::OtherVersion { found });
        }
        let header = input.part(HEADER)?;
        let mut blocks = Vec::new();
        loop {
            let block = input.part(BLOCK)?;
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

/// What is read, and the checksum of it.
struct Input<R> {
    input: R,
    checksum: Hasher,
}

impl<R: Read> Input<R> {
    /// An empty file is what a crash may leave of ours, a short text is somebody else's.
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

    /// Bytes behind their length, which is at most `limit`.
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
    /// That the checksum is right says that the writer meant these bytes, not that it was sane.
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
                return Err(damaged("a route makes no sense"));
            }
        }
        if found != count {
            return Err(damaged("it has not as many routes as it says"));
        }
        Ok(Routes { blocks, count })
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Each of them, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = Route<'_>> {
        self.blocks.iter().flat_map(|block| Walk(block))
    }
}

/// The routes of a block, up to its end or to the first that makes no sense.
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
