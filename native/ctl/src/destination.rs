//! Where an output file goes: only a regular file is replaced, and that atomically.
//!
//! | the path is | what happens |
//! |---|---|
//! | free | a new file appears when it is complete |
//! | a regular file | the same, in its place, with its owner and its mode |
//! | a symbolic link | its target is treated so, and the link stays |
//! | a device, a pipe, an open file below `/proc` | it is written to, and stays what it is |
//!
//! These rules are for files that a person named. For files that the program itself names there are stricter ones:
//! [`sidecar`](crate::sidecar).

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The longest chain of symbolic links.
const MAX_LINKS: usize = 40;

/// What there is at the path of an output file.
#[derive(Debug)]
pub enum Destination {
    /// Nothing; with the path after links are followed.
    Free(PathBuf),
    /// A regular file; with the path after links are followed.
    File(PathBuf),
    /// Something that is written to and never replaced, opened for that.
    Stream(File),
}

/// An output file that is being written.
#[derive(Debug)]
pub enum OutputFile {
    /// A temporary file, which replaces the destination when it is complete.
    Temporary {
        /// The temporary file.
        new: NamedTempFile,
        /// The destination.
        path: PathBuf,
        /// What the destination is.
        existing: Existing,
    },
    /// A device or a pipe.
    Stream(File),
}

/// What a new file replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Nothing,
    /// An older file.
    File,
}

impl Destination {
    /// What there is at this path.
    pub fn of(path: &Path) -> io::Result<Destination> {
        // Let the system follow links first: it may forbid that, as in a directory that everybody can write to.
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() => match follow_links(path)? {
                Some(path) => Ok(Destination::File(path)),
                None => stream(path),
            },
            Ok(_) => stream(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                follow_links(path)?.map(Destination::Free).ok_or_else(|| ErrorKind::NotFound.into())
            }
            Err(error) => Err(error),
        }
    }
}

fn stream(path: &Path) -> io::Result<Destination> {
    // Other processes may write to an open file, too: append, and overwrite nothing.
    OpenOptions::new().append(true).open(path).map(Destination::Stream)
}

/// The target of symbolic links; `None` where one is an open file of a process (`/dev/stdout`), which has no path.
fn follow_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(link) = fs::read_link(&path) else { return Ok(Some(path)) };
        let directory = fs::canonicalize(directory_of(&path))?;
        if directory.starts_with("/proc") {
            return Ok(None);
        }
        path = directory.join(link);
    }
    Err(io::Error::other("links lead to links, and to no end"))
}

/// The directory of a file.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl OutputFile {
    /// Begins to write a file that a person named.
    pub fn begin(path: &Path) -> io::Result<OutputFile> {
        match Destination::of(path)? {
            Destination::Stream(file) => Ok(OutputFile::Stream(file)),
            // The default mode of new files, which the umask reduces.
            Destination::Free(path) => OutputFile::temporary(path, 0o666, Existing::Nothing),
            Destination::File(path) => {
                // A user that may not write the file must not replace it either.
                let old = OpenOptions::new().write(true).open(&path)?.metadata()?;
                let output = OutputFile::temporary(path, 0o600, Existing::File)?;
                if let OutputFile::Temporary { new, .. } = &output {
                    copy_owner_and_mode(new.as_file(), &old)?;
                }
                Ok(output)
            }
        }
    }

    fn temporary(path: PathBuf, mode: u32, existing: Existing) -> io::Result<OutputFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".domainctl-").permissions(Permissions::from_mode(mode));
        let new = builder.tempfile_in(directory_of(&path))?;
        Ok(OutputFile::Temporary { new, path, existing })
    }

    /// Replaces the destination. Without this call, nothing changes there.
    pub fn finish(self) -> io::Result<()> {
        let OutputFile::Temporary { new, path, existing } = self else { return Ok(()) };
        new.as_file().sync_all()?;
        match existing {
            Existing::File => new.persist(path),
            Existing::Nothing => new.persist_noclobber(path),
        }
        .map(drop)
        .map_err(|error| error.error)
    }
}

/// Gives a new file the owner, the group and the mode of an old one.
fn copy_owner_and_mode(new: &File, old: &Metadata) -> io::Result<()> {
    let now = new.metadata()?;
    if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
        let lost = |error| io::Error::other(format!("its owner and group cannot be kept: {error}"));
        fchown(new, Some(old.uid()), Some(old.gid())).map_err(lost)?;
    }
    new.set_permissions(old.permissions())
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            OutputFile::Temporary { new, .. } => new.write(bytes),
            OutputFile::Stream(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            OutputFile::Temporary { new, .. } => new.flush(),
            OutputFile::Stream(file) => file.flush(),
        }
    }
}

/// Whether these are the same file.
pub fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino()) && !one.file_type().is_char_device()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let mut output = OutputFile::begin(path)?;
        output.write_all(text.as_bytes())?;
        output.finish()
    }

    #[test]
    fn an_unfinished_file_changes_nothing() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, "old").unwrap();
        OutputFile::begin(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_links_target_is_replaced_and_not_the_link() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("target"), "old").unwrap();
        fs::set_permissions(at("target"), Permissions::from_mode(0o640)).unwrap();
        symlink("target", at("link")).unwrap();
        symlink("link", at("chain")).unwrap();
        write(&at("chain"), "new").unwrap();
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "new");
        assert_eq!(fs::metadata(at("target")).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        symlink("nothing", at("dangling")).unwrap();
        write(&at("dangling"), "new").unwrap();
        assert_eq!(fs::read_to_string(at("nothing")).unwrap(), "new");
        symlink("loop", at("loop")).unwrap();
        assert!(write(&at("loop"), "new").is_err());
    }

    #[test]
    fn a_device_and_a_directory_stay_what_they_are() {
        let directory = TempDir::new().unwrap();
        let link = directory.path().join("null");
        symlink("/dev/null", &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::metadata(&link).unwrap().file_type().is_char_device());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(write(directory.path(), "new").is_err());
    }
}
