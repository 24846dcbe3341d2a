//! Writing a snapshot: a new file beside the old one, renamed when it is on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crc32fast::Hasher;
use domain_core::DomainName;
use serde::Serialize;

use super::{Header, MAGIC, MAX_BLOCK, MAX_HEADER, Route, VERSION};

/// The size of a snapshot that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many routes it has.
    pub routes: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A snapshot that is being written. If it is dropped before [`Writer::finish`], it leaves no file behind.
pub(crate) struct Writer {
    pub(super) out: BufWriter<File>,
    new_file: NewFile,
    file: PathBuf,
    checksum: Hasher,
    host_types: usize,
    block: Vec<u8>,
    written: Written,
}

impl Writer {
    /// Begins a snapshot that replaces `file`. The state must be taken before the first route is read, so that a follower
    /// which starts from it reads the events of all changes since.
    pub fn create<S: Serialize>(
        file: &Path,
        database: &str,
        state: &S,
        host_types: &[impl AsRef<str>],
    ) -> io::Result<Writer> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let names = host_types.iter().map(AsRef::as_ref).collect();
        let header = Header { database, written: now.as_millis() as u64, host_types: names, state };
        let header = postcard::to_stdvec(&header).map_err(|error| invalid_input(&error.to_string()))?;
        if header.len() > MAX_HEADER {
            return Err(invalid_input("the header of a snapshot would be too long"));
        }
        let (new_file, out) = NewFile::create(file)?;
        let mut writer = Writer {
            out: BufWriter::new(out),
            new_file,
            file: file.to_owned(),
            checksum: Hasher::new(),
            host_types: host_types.len(),
            block: Vec::with_capacity(MAX_BLOCK),
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
            return Err(invalid_input("a route without a name, or with one that is too long"));
        }
        if usize::from(host_type) >= self.host_types {
            return Err(invalid_input("a route to a host type that the snapshot does not list"));
        }
        if self.block.len() + 4 + name.len() > MAX_BLOCK {
            self.end_block()?;
        }
        let [low, high] = host_type.to_le_bytes();
        // The length is at most 250: see above.
        self.block.extend_from_slice(&[name.len() as u8, low, high, origin.to_byte()]);
        self.block.extend_from_slice(name);
        self.written.routes += 1;
        Ok(())
    }

    /// Replaces the last snapshot. If that fails, the last one is still there. Only if the flush of the directory at the
    /// end fails, a power failure may leave either of the two, both whole.
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
        // A caller that went on after a failure has lost bytes.
        if out.metadata()?.len() != self.written.bytes {
            return Err(io::Error::other("not all of the snapshot was written"));
        }
        out.sync_all()?;
        self.new_file.rename(&self.file)?;
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
        // Headers and blocks are far below 4 GiB.
        self.put(&(bytes.len() as u32).to_le_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.written.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

fn invalid_input(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `FILE.new`, which is deleted on drop, unless it was renamed.
struct NewFile(Option<PathBuf>);

impl NewFile {
    /// What a crash left there is deleted, not overwritten, because it may be another user's, or a link.
    fn create(file: &Path) -> io::Result<(NewFile, File)> {
        let path = file.with_added_extension("new");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let out = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((NewFile(Some(path)), out))
    }

    fn rename(&mut self, file: &Path) -> io::Result<()> {
        if let Some(path) = &self.0 {
            fs::rename(path, file)?;
            self.0 = None;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // If that fails, the next snapshot tries again.
            let _ = fs::remove_file(path);
        }
    }
}
