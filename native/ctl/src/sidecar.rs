//! Files that the program itself names: `FILE.refused` and `FILE.progress`.
//!
//! Other users can guess such a name and put something there first. So no symbolic link is followed, what is no regular
//! file is left alone, and the contents of another user's file are ignored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::destination::directory_of;

/// Opens a file; `None` where there is none, or one of another user.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match options.custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) if file.metadata()?.is_file() => {
            let is_ours = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
            Ok(is_ours.then_some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if kind_of(path)? != Kind::NotRegular => Err(error),
        Ok(_) | Err(_) => Err(not_regular()),
    }
}

/// Replaces a file.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if kind_of(path)? == Kind::NotRegular {
        return Err(not_regular());
    }
    let mut new = tempfile::Builder::new().prefix(".domainctl-").tempfile_in(directory_of(path))?;
    new.write_all(content)?;
    new.persist(path).map(drop).map_err(|error| error.error)
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> io::Result<()> {
    match kind_of(path)? {
        Kind::Nothing => Ok(()),
        Kind::File => fs::remove_file(path),
        Kind::NotRegular => Err(not_regular()),
    }
}

/// What there is at a path.
#[derive(PartialEq, Eq)]
enum Kind {
    Nothing,
    File,
    NotRegular,
}

fn kind_of(path: &Path) -> io::Result<Kind> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(Kind::File),
        Ok(_) => Ok(Kind::NotRegular),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kind::Nothing),
        Err(error) => Err(error),
    }
}

fn not_regular() -> io::Error {
    io::Error::other("this is no regular file, so it is left alone: check where it comes from, and remove it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn no_link_is_followed_and_only_a_regular_file_is_removed() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("victim"), "old").unwrap();
        symlink("victim", at("link")).unwrap();
        assert!(open(&at("link"), OpenOptions::new().write(true)).is_err());
        assert!(replace(&at("link"), b"new").is_err());
        assert!(remove(&at("link")).is_err());
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "old");
        assert!(open(&at("none"), OpenOptions::new().read(true)).unwrap().is_none());
        replace(&at("none"), b"new").unwrap();
        assert!(open(&at("none"), OpenOptions::new().read(true)).unwrap().is_some());
        remove(&at("none")).unwrap();
        remove(&at("none")).unwrap();
    }
}
