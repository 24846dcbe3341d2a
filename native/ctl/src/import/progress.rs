//! The progress of an import: a small file beside the imported one.
//!
//! It contains what it belongs to: the file's size and time, the server, the format. If any of these differs, the
//! import starts again, which takes time and does no harm, because adding an existing domain succeeds. The file is
//! written to a temporary one and renamed, after the server has answered for the lines that it counts: an interruption
//! in between repeats a batch and loses none.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::cli::{FileFormat, ImportArgs};
use crate::sidecar;

/// What a progress belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportKey {
    size: u64,
    modified_ns: u64,
    server: String,
    format: FileFormat,
    as_is: bool,
    refused: PathBuf,
}

/// The progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The records that are done.
    pub records: u64,
    /// The lines of these records.
    pub lines: u64,
    /// The domains that the server has accepted.
    pub accepted: u64,
    /// The domains that it has refused, and invalid lines.
    pub refused: u64,
    /// The length of the file of refused lines.
    pub refused_bytes: u64,
}

/// The file of a progress.
#[derive(Debug)]
pub struct Progress {
    path: PathBuf,
    key: ImportKey,
}

#[derive(Serialize, Deserialize)]
struct Content {
    key: ImportKey,
    counts: Counts,
}

impl Progress {
    /// The progress of this import; writes nothing yet.
    pub fn of(
        file: &Path,
        metadata: &Metadata,
        server: String,
        args: &ImportArgs,
        format: FileFormat,
        refused: &Path,
    ) -> Progress {
        let modified = metadata.modified().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        let (size, as_is, refused) = (metadata.len(), args.as_is, refused.to_owned());
        let key = ImportKey { size, modified_ns, server, format, as_is, refused };
        Progress { path: beside(file, ".progress"), key }
    }

    /// The progress of an earlier run of the same import; zero if there is none.
    pub fn load(&self) -> io::Result<Counts> {
        let mut bytes = Vec::new();
        if let Some(mut file) = sidecar::open(&self.path, OpenOptions::new().read(true))? {
            file.read_to_end(&mut bytes)?;
        }
        let content: Option<Content> = serde_json::from_slice(&bytes).ok();
        Ok(content.filter(|it| it.key == self.key).map(|it| it.counts).unwrap_or_default())
    }

    /// Stores the progress.
    pub fn store(&self, counts: Counts) -> io::Result<()> {
        let content = Content { key: self.key.clone(), counts };
        sidecar::replace(&self.path, &serde_json::to_vec(&content)?)
    }

    /// Removes the file.
    pub fn remove(&self) -> io::Result<()> {
        sidecar::remove(&self.path)
    }
}

/// The path with an ending appended.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use tempfile::TempDir;

    use super::*;
    use crate::cli::{Command, CommandLine};

    const COUNTS: Counts = Counts { records: 7, lines: 8, accepted: 5, refused: 2, refused_bytes: 80 };

    fn progress(file: &Path, server: &str, flags: &[&str]) -> Progress {
        let line = CommandLine::parse_from(["domainctl", "import", "x"].iter().chain(flags));
        let Some(Command::Import(args)) = line.command else { panic!() };
        let refused = beside(file, ".refused");
        Progress::of(file, &fs::metadata(file).unwrap(), server.to_owned(), &args, FileFormat::Csv, &refused)
    }

    fn load(file: &Path, server: &str, flags: &[&str]) -> Counts {
        progress(file, server, flags).load().unwrap()
    }

    #[test]
    fn an_import_of_the_same_file_to_the_same_server_continues() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        assert_eq!(load(&file, "s", &[]), Counts::default());
        progress(&file, "s", &[]).store(COUNTS).unwrap();
        assert_eq!(load(&file, "s", &[]), COUNTS);
        progress(&file, "s", &[]).remove().unwrap();
        assert_eq!(load(&file, "s", &[]), Counts::default());
        progress(&file, "s", &[]).remove().unwrap();
    }

    #[test]
    fn another_file_another_server_and_a_damaged_progress_start_again() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        progress(&file, "s", &[]).store(COUNTS).unwrap();
        assert_eq!(load(&file, "other", &[]), Counts::default());
        assert_eq!(load(&file, "s", &["--as-is"]), Counts::default());
        fs::write(&file, "a,t\nb,t\n").unwrap();
        assert_eq!(load(&file, "s", &[]), Counts::default());
        progress(&file, "s", &[]).store(COUNTS).unwrap();
        fs::write(beside(&file, ".progress"), "{").unwrap();
        assert_eq!(load(&file, "s", &[]), Counts::default());
    }

    #[test]
    fn a_file_of_another_user_is_ignored() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        progress(&file, "s", &[]).store(COUNTS).unwrap();
        // Only root can change the owner of a file.
        let given = std::os::unix::fs::chown(beside(&file, ".progress"), Some(12345), None);
        assert_eq!(load(&file, "s", &[]), if given.is_ok() { Counts::default() } else { COUNTS });
    }
}
