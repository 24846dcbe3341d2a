//! Writing: a new file beside the old one, which takes its name when it is on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use domain_core::DomainName;
use serde::Serialize;

use super::{BLOCK, HEADER, Header, MAGIC, Route, VERSION};

/// What became of a snapshot that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many routes it holds.
    pub routes: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A snapshot that is being written. Dropped before [`Writer::finish`], it never was.
pub(crate) struct Writer {
    pub(super) out: BufWriter<File>,
    fresh: Fresh,
    file: PathBuf,
    checksum: Hasher,
    host_types: usize,
    block: Vec<u8>,
    written: Written,
}

impl Writer {
    /// Begins a snapshot that is to become `file`. The state must be one that was taken before the
    /// first route is read: what changes while routes are written is then followed again.
    pub fn create<S: Serialize>(
        file: &Path,
        database: &str,
        state: &S,
        host_types: &[impl AsRef<str>],
    ) -> io::Result<Writer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let names = host_types.iter().map(AsRef::as_ref).collect();
        let header = Header { database, written: now.as_millis() as u64, host_types: names, state };
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

    pub(super) fn end_block(&mut self) -> io::Result<()> {
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
