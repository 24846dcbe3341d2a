//! Where a file is put: only a regular file is replaced, and that at once.
//!
//! | there is | what is done |
//! |---|---|
//! | nothing | a new file is there when it is whole |
//! | a regular file | the same, in its place, with its owner and its mode |
//! | a link | what it leads to is treated so, and the link stays |
//! | a device, a pipe, an open file below `/proc` | it is written to, and stays what it is |
//!
//! That is for files that somebody named. Names that this program makes itself (`FILE.refused`, `FILE.progress`) are
//! guessed by others: there no link is followed, and what is no regular file is left alone.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

/// Links that lead to links.
const LINKS: usize = 40;

/// What is where a file is to be written.
#[derive(Debug)]
pub enum Place {
    /// Nothing; this is the name, links followed.
    Free(PathBuf),
    /// A regular file; this is its name, links followed.
    File(PathBuf),
    /// What is written to and never replaced, opened to be written to.
    Stream(File),
}

/// A file that is written.
#[derive(Debug)]
pub enum Draft {
    /// It is put in its place when it is finished.
    Beside {
        /// The new file.
        new: NamedTempFile,
        /// Its place.
        place: PathBuf,
        /// What is there.
        found: Found,
    },
    /// It is in its place.
    Stream(File),
}

/// What a new file finds in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// An older file.
    File,
}

impl Place {
    /// What is there.
    pub fn of(path: &Path) -> io::Result<Place> {
        // The system follows the links first: it may forbid that, as in a directory where everybody writes.
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() => match behind_links(path)? {
                Some(place) => Ok(Place::File(place)),
                None => stream(path),
            },
            Ok(_) => stream(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                behind_links(path)?.map(Place::Free).ok_or_else(|| ErrorKind::NotFound.into())
            }
            Err(error) => Err(error),
        }
    }
}

fn stream(path: &Path) -> io::Result<Place> {
    // An open file has been written to by others, who go on behind what is there.
    OpenOptions::new().append(true).open(path).map(Place::Stream)
}

/// Where the links lead; `None` where one is an open file of a process (`/dev/stdout`), which is no name of a file.
fn behind_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(link) = fs::read_link(&path) else { return Ok(Some(path)) };
        let directory = fs::canonicalize(directory_of(&path))?;
        if directory.starts_with("/proc") {
            return Ok(None);
        }
        path = directory.join(link);
    }
    Err(io::Error::other("links lead to links, and to no end"))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Draft {
    /// Begins to write a file that somebody named.
    pub fn begin(path: &Path) -> io::Result<Draft> {
        match Place::of(path)? {
            Place::Stream(file) => Ok(Draft::Stream(file)),
            // As everybody makes files: for all whom the umask does not exclude.
            Place::Free(place) => Draft::beside(place, 0o666, Found::Nothing),
            Place::File(place) => {
                // Who may not write a file may not replace it either.
                let old = OpenOptions::new().write(true).open(&place)?.metadata()?;
                let draft = Draft::beside(place, 0o600, Found::File)?;
                if let Draft::Beside { new, .. } = &draft {
                    like(new.as_file(), &old)?;
                }
                Ok(draft)
            }
        }
    }

    fn beside(place: PathBuf, mode: u32, found: Found) -> io::Result<Draft> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".domainctl-").permissions(Permissions::from_mode(mode));
        let new = builder.tempfile_in(directory_of(&place))?;
        Ok(Draft::Beside { new, place, found })
    }

    /// Puts the file in its place; without this, nothing has changed there.
    pub fn finish(self) -> io::Result<()> {
        let Draft::Beside { new, place, found } = self else { return Ok(()) };
        new.as_file().sync_all()?;
        match found {
            Found::File => new.persist(place),
            Found::Nothing => new.persist_noclobber(place),
        }
        .map(drop)
        .map_err(|error| error.error)
    }
}

/// Gives a new file the owner, the group and the mode of an old one.
fn like(new: &File, old: &Metadata) -> io::Result<()> {
    let now = new.metadata()?;
    if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
        let lost = |error| io::Error::other(format!("its owner and group cannot be kept: {error}"));
        fchown(new, Some(old.uid()), Some(old.gid())).map_err(lost)?;
    }
    new.set_permissions(old.permissions())
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Draft::Beside { new, .. } => new.write(bytes),
            Draft::Stream(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Draft::Beside { new, .. } => new.flush(),
            Draft::Stream(file) => file.flush(),
        }
    }
}

/// Opens a file of a name that this program made; `None` where there is none, or one that somebody else wrote: what it
/// says is not believed.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match options.custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) if file.metadata()?.is_file() => {
            let is_ours = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
            Ok(is_ours.then_some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if own(path)? != Own::Strange => Err(error),
        Ok(_) | Err(_) => Err(strange()),
    }
}

/// Puts a file in the place of a name that this program made.
pub fn replace_own(path: &Path, content: &[u8]) -> io::Result<()> {
    if own(path)? == Own::Strange {
        return Err(strange());
    }
    let mut new = tempfile::Builder::new().prefix(".domainctl-").tempfile_in(directory_of(path))?;
    new.write_all(content)?;
    new.persist(path).map(drop).map_err(|error| error.error)
}

/// Removes a file of a name that this program made, if there is one.
pub fn remove_own(path: &Path) -> io::Result<()> {
    match own(path)? {
        Own::Nothing => Ok(()),
        Own::File => fs::remove_file(path),
        Own::Strange => Err(strange()),
    }
}

/// What has a name that this program made.
#[derive(PartialEq, Eq)]
enum Own {
    Nothing,
    File,
    Strange,
}

fn own(path: &Path) -> io::Result<Own> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(Own::File),
        Ok(_) => Ok(Own::Strange),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Own::Nothing),
        Err(error) => Err(error),
    }
}

fn strange() -> io::Error {
    io::Error::other("what is there is no regular file, so it is left alone: look who put it there, and remove it")
}

/// Whether these are the same file.
pub fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino()) && !one.file_type().is_char_device()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn write(path: &Path, text: &str) -> io::Result<()> {
        let mut draft = Draft::begin(path)?;
        draft.write_all(text.as_bytes())?;
        draft.finish()
    }

    #[test]
    fn a_file_that_is_not_finished_changes_nothing() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, "old").unwrap();
        Draft::begin(&path).unwrap().write_all(b"new").unwrap();
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

    #[test]
    fn under_a_name_of_our_own_no_link_is_followed_and_nothing_strange_removed() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("victim"), "old").unwrap();
        symlink("victim", at("link")).unwrap();
        assert!(open_own(&at("link"), OpenOptions::new().write(true)).is_err());
        assert!(replace_own(&at("link"), b"new").is_err());
        assert!(remove_own(&at("link")).is_err());
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "old");
        assert!(open_own(&at("none"), OpenOptions::new().read(true)).unwrap().is_none());
        replace_own(&at("none"), b"new").unwrap();
        assert!(open_own(&at("none"), OpenOptions::new().read(true)).unwrap().is_some());
        remove_own(&at("none")).unwrap();
        remove_own(&at("none")).unwrap();
    }
}
