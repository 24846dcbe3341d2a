//! How far an import is: a small file beside the one that is imported.
//!
//! It names what it belongs to: the file's size and time, the server, the format. If any of that is another now, the
//! import begins anew, which costs time and does no harm, since adding what is there succeeds. It is written beside
//! its place and renamed, after the server has answered for the lines it counts: who dies in between sends a part
//! again, and forgets none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::cli::FileFormat;

/// What a progress belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belonging {
    size: u64,
    modified_ns: u64,
    server: String,
    format: FileFormat,
    refused: PathBuf,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines that are done with.
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
    pub fn of(file: &Path, server: String, format: FileFormat, refused: &Path) -> io::Result<Progress> {
        let metadata = fs::metadata(file)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        let refused = refused.to_owned();
        let belonging = Belonging { size: metadata.len(), modified_ns, server, format, refused };
        Ok(Progress { path: beside(file, ".progress"), belonging })
    }

    /// How far an earlier import of the same came; nothing, where there was none or it was another.
    pub fn load(&self) -> Counts {
        let content: Option<Content> = fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        content.filter(|it| it.belonging == self.belonging).map(|it| it.counts).unwrap_or_default()
    }

    /// Notes how far it is.
    pub fn store(&self, counts: Counts) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let content = Content { belonging: self.belonging.clone(), counts };
        fs::write(&new, serde_json::to_vec(&content)?)?;
        fs::rename(&new, &self.path)
    }

    /// All is done.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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
    use tempfile::TempDir;

    use super::*;

    const COUNTS: Counts = Counts { lines: 7, accepted: 5, refused: 2, refused_bytes: 80 };

    fn progress(file: &Path, server: &str) -> Progress {
        Progress::of(file, server.to_owned(), FileFormat::Csv, &beside(file, ".refused")).unwrap()
    }

    #[test]
    fn an_import_of_the_same_file_to_the_same_server_goes_on() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        assert_eq!(progress(&file, "s").load(), Counts::default());
        progress(&file, "s").store(COUNTS).unwrap();
        assert_eq!(progress(&file, "s").load(), COUNTS);
        progress(&file, "s").remove().unwrap();
        assert_eq!(progress(&file, "s").load(), Counts::default());
        progress(&file, "s").remove().unwrap();
    }

    #[test]
    fn another_file_another_server_and_a_damaged_progress_begin_anew() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("domains.csv");
        fs::write(&file, "a,t\n").unwrap();
        progress(&file, "s").store(COUNTS).unwrap();
        assert_eq!(progress(&file, "other").load(), Counts::default());
        fs::write(&file, "a,t\nb,t\n").unwrap();
        assert_eq!(progress(&file, "s").load(), Counts::default());
        progress(&file, "s").store(COUNTS).unwrap();
        fs::write(beside(&file, ".progress"), "{").unwrap();
        assert_eq!(progress(&file, "s").load(), Counts::default());
    }
}
