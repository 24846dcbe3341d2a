//! Where refused lines go: each unchanged, below a comment with the reason, so the file can be corrected and imported.
//!
//! A file beside the imported one exists only if a line was refused; one of an earlier import is removed first. A file
//! that the user named stays and is emptied; a device or a pipe is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::record::Record;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::output::printable;
use crate::sidecar;

/// Where refused lines go.
#[derive(Debug)]
pub enum RefusedLines {
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// The file, once it exists.
        file: Option<File>,
        /// Its length.
        bytes: u64,
    },
    /// A device or a pipe that the user named.
    Stream {
        /// Its path.
        path: PathBuf,
        /// The open device or pipe.
        stream: File,
    },
    /// Standard error.
    StandardError,
}

impl RefusedLines {
    /// A file beside the imported one. An interrupted import has counted so many bytes; the rest is written again.
    pub fn beside(path: PathBuf, bytes: u64) -> Result<RefusedLines> {
        let file = match bytes {
            0 => sidecar::remove(&path).map(|()| None),
            bytes => sidecar::open(&path, OpenOptions::new().write(true))
                .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .and_then(|file| truncate(file, bytes).map(Some)),
        };
        let file = file.map_err(Error::of_file(&path))?;
        Ok(RefusedLines::File { path, file, bytes })
    }

    /// A file that the user named.
    pub fn named(path: PathBuf, bytes: u64) -> Result<RefusedLines> {
        let opened = match Destination::of(&path) {
            Ok(Destination::Stream(stream)) => return Ok(RefusedLines::Stream { path, stream }),
            Ok(Destination::Free(free)) if bytes == 0 => {
                return Ok(RefusedLines::File { path: free, file: None, bytes });
            }
            Ok(Destination::Free(_)) => Err(io::ErrorKind::NotFound.into()),
            Ok(Destination::File(path)) => {
                OpenOptions::new().write(true).open(path).and_then(|file| truncate(file, bytes))
            }
            Err(error) => Err(error),
        };
        let file = Some(opened.map_err(Error::of_file(&path))?);
        Ok(RefusedLines::File { path, file, bytes })
    }

    /// Writes records with their reasons, and the header lines before the first one.
    pub fn write(&mut self, head: &[u8], records: &[(&Record, &str)]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        if let RefusedLines::File { bytes: 0, .. } = self {
            text.extend_from_slice(head);
        }
        for (record, reason) in records {
            text.extend_from_slice(format!("# line {}: {}\n", record.number, printable(reason)).as_bytes());
            text.extend_from_slice(&record.raw);
            text.push(b'\n');
        }
        match self {
            RefusedLines::StandardError => {
                // It fails where standard error is closed: then the final count is all that is left.
                let _ = io::stderr().write_all(&escaped_for_terminal(text));
                Ok(())
            }
            RefusedLines::Stream { path, stream } => stream.write_all(&text).map_err(Error::of_file(path)),
            RefusedLines::File { path, file, bytes } => {
                let written = match file {
                    Some(file) => file.write_all(&text),
                    None => OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .open(&*path)
                        .and_then(|new| file.insert(new).write_all(&text)),
                };
                *bytes += text.len() as u64;
                written.map_err(Error::of_file(path))
            }
        }
    }

    /// The bytes that were written.
    pub fn bytes(&self) -> u64 {
        match self {
            RefusedLines::File { bytes, .. } => *bytes,
            RefusedLines::Stream { .. } | RefusedLines::StandardError => 0,
        }
    }
}

/// Truncates a file to the length that was counted. A shorter file is a different one.
fn truncate(mut file: File, bytes: u64) -> io::Result<File> {
    if file.metadata()?.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// Escapes control characters if standard error is a terminal; a file gets the lines unchanged.
fn escaped_for_terminal(text: Vec<u8>) -> Vec<u8> {
    if !io::stderr().is_terminal() {
        return text;
    }
    let lines = String::from_utf8_lossy(&text).lines().map(|line| printable(line) + "\n").collect::<String>();
    lines.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::super::record::Content;
    use super::*;

    fn record(number: u64, raw: &str) -> Record {
        Record { number, last: number, index: number, raw: raw.into(), content: Content::Nothing }
    }

    #[test]
    fn a_refused_line_is_below_its_reason_and_uncounted_bytes_are_written_again() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("domains.csv.refused");
        fs::write(&path, "an older one").unwrap();
        let mut refused = RefusedLines::beside(path.clone(), 0).unwrap();
        assert!(!path.exists());
        refused.write(b"domain,host_type\n", &[]).unwrap();
        assert!(!path.exists());
        refused.write(b"domain,host_type\n", &[(&record(2, "a"), "no\ncomma")]).unwrap();
        let counted = refused.bytes();
        refused.write(b"domain,host_type\n", &[(&record(3, "b"), "x")]).unwrap();
        let begun = "domain,host_type\n# line 2: no\\ncomma\na\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 3: x\nb\n"));
        let mut resumed = RefusedLines::beside(path.clone(), counted).unwrap();
        resumed.write(b"domain,host_type\n", &[(&record(4, "c"), "y")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 4: y\nc\n"));
        fs::write(&path, "short").unwrap();
        assert!(RefusedLines::beside(path, counted).is_err());
    }

    #[test]
    fn a_named_file_is_emptied_where_it_is_and_a_device_is_written_to() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "an older one").unwrap();
        symlink("file", at("link")).unwrap();
        RefusedLines::named(at("link"), 0).unwrap().write(b"", &[(&record(2, "a"), "x")]).unwrap();
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "# line 2: x\na\n");
        symlink("/dev/null", at("null")).unwrap();
        RefusedLines::named(at("null"), 0).unwrap().write(b"", &[(&record(2, "a"), "x")]).unwrap();
        assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
        assert!(RefusedLines::beside(at("null"), 0).is_err());
    }
}
