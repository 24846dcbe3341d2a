//! How far an import is: a small file beside the one that is imported.
//!
//! It names what it belongs to: the file's size and time, the server, the format. If any of that is another now, the
//! import begins anew, which costs time and does no harm, since adding what is there succeeds. It is written beside
//! its place and renamed, after the server has answered for the lines it counts: who dies in between sends a part
//! again, and forgets none.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::cli::{FileFormat, Import};
use crate::place;

/// What a progress belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belonging {
    size: u64,
    modified_ns: u64,
    server: String,
    format: FileFormat,
    as_is: bool,
    refused: PathBuf,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records that are done with.
    pub records: u64,
    /// Their lines.
    pub lines: u64,
    /// Domains that the server has now.
    pub accepted: u64,
    /// Domains that it does not want, and lines that make no sense.
    pub refused: u64,
    /// How long the file of refused lines is.
    pub refused_bytes: u64,
}

/// The small file.
#[derive(Debug)]
pub struct Progress {
    path: PathBuf,
    belonging: Belonging,
}

#[derive(Serialize, Deserialize)]
struct Content {
    belonging: Belonging,
    counts: Counts,
}

impl Progress {
    /// For this file; nothing is written yet.
    pub fn of(
        file: &Path,
        metadata: &Metadata,
        server: String,
        import: &Import,
        format: FileFormat,
        refused: &Path,
    ) -> Progress {
        let modified = metadata.modified().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        let (size, as_is, refused) = (metadata.len(), import.as_is, refused.to_owned());
        let belonging = Belonging { size, modified_ns, server, format, as_is, refused };
        Progress { path: beside(file, ".progress"), belonging }
    }

    /// How far an earlier import of the same came; nothing, where there was none or it was another.
    pub fn load(&self) -> io::Result<Counts> {
        let mut bytes = Vec::new();
        if let Some(mut file) = place::open_own(&self.path, OpenOptions::new().read(true))? {
            file.read_to_end(&mut bytes)?;
        }
        let content: Option<Content> = serde_json::from_slice(&bytes).ok();
        Ok(content.filter(|it| it.belonging == self.belonging).map(|it| it.counts).unwrap_or_default())
    }

    /// Notes how far it is.
    pub fn store(&self, counts: Counts) -> io::Result<()> {
        let content = Content { belonging: self.belonging.clone(), counts };
        place::replace_own(&self.path, &serde_json::to_vec(&content)?)
    }

    /// All is done.
    pub fn remove(&self) -> io::Result<()> {
        place::remove_own(&self.path)
    }
}

/// The path with this at its end.
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
    use crate::cli::{Line, Verb};

    const COUNTS: Counts = Counts { records: 7, lines: 8, accepted: 5, refused: 2, refused_bytes: 80 };

    fn progress(file: &Path, server: &str, flags: &[&str]) -> Progress {
        let line = Line::parse_from(["domainctl", "import", "x"].iter().chain(flags));
        let Some(Verb::Import(import)) = line.verb else { panic!() };
        let refused = beside(file, ".refused");
        Progress::of(file, &fs::metadata(file).unwrap(), server.to_owned(), &import, FileFormat::Csv, &refused)
    }

    fn load(file: &Path, server: &str, flags: &[&str]) -> Counts {
        progress(file, server, flags).load().unwrap()
    }

    #[test]
    fn an_import_of_the_same_file_to_the_same_server_goes_on() {
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
    fn another_file_another_server_and_a_damaged_progress_begin_anew() {
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
    fn what_somebody_else_wrote_is_not_believed() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        progress(&file, "s", &[]).store(COUNTS).unwrap();
        // Only root gives a file away.
        let given = std::os::unix::fs::chown(beside(&file, ".progress"), Some(12345), None);
        assert_eq!(load(&file, "s", &[]), if given.is_ok() { Counts::default() } else { COUNTS });
    }
}
