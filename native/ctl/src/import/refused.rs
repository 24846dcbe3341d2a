//! Where refused lines go: each as it was, below a comment that says why. So the file can be corrected and imported.
//!
//! Beside the imported file an import without refused lines leaves no such file; one that an earlier import left is
//! removed then, as it is when the first line is refused. A file that somebody named for them stays and is emptied; a device or
//! a pipe is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::records::Record;
use crate::error::{Error, Result};
use crate::output::printable;
use crate::place::{self, Place};

/// Where they go.
#[derive(Debug)]
pub enum Refused {
    /// To a file.
    File {
        /// Which.
        path: PathBuf,
        /// It, once it is there.
        file: Option<File>,
        /// Its length.
        bytes: u64,
    },
    /// To something that is no file, which somebody named.
    Stream {
        /// Its name.
        path: PathBuf,
        /// It.
        stream: File,
    },
    /// To standard error.
    Shown,
}

impl Refused {
    /// A file beside the imported one, of which an interrupted import has written so much; what it wrote behind is
    /// written again.
    pub fn beside(path: PathBuf, bytes: u64) -> Result<Refused> {
        let file = match bytes {
            0 => place::remove_own(&path).map(|()| None),
            bytes => place::open_own(&path, OpenOptions::new().write(true))
                .and_then(|file| file.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .and_then(|file| cut(file, bytes).map(Some)),
        };
        let file = file.map_err(Error::of_file(&path))?;
        Ok(Refused::File { path, file, bytes })
    }

    /// The same where somebody named it.
    pub fn named(path: PathBuf, bytes: u64) -> Result<Refused> {
        let opened = match Place::of(&path) {
            Ok(Place::Stream(stream)) => return Ok(Refused::Stream { path, stream }),
            Ok(Place::Free(free)) if bytes == 0 => return Ok(Refused::File { path: free, file: None, bytes }),
            Ok(Place::Free(_)) => Err(io::ErrorKind::NotFound.into()),
            Ok(Place::File(place)) => OpenOptions::new().write(true).open(place).and_then(|file| cut(file, bytes)),
            Err(error) => Err(error),
        };
        let file = Some(opened.map_err(Error::of_file(&path))?);
        Ok(Refused::File { path, file, bytes })
    }

    /// Writes records with their reasons; before the first one, the lines that say how to read them.
    pub fn write(&mut self, head: &[u8], records: &[(&Record, &str)]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        if let Refused::File { bytes: 0, .. } = self {
            text.extend_from_slice(head);
        }
        for (record, reason) in records {
            text.extend_from_slice(format!("# line {}: {}\n", record.number, printable(reason)).as_bytes());
            text.extend_from_slice(&record.raw);
            text.push(b'\n');
        }
        match self {
            Refused::Shown => {
                // Where nobody sees it, the count is left.
                let _ = io::stderr().write_all(&for_whoever_reads(text));
                Ok(())
            }
            Refused::Stream { path, stream } => stream.write_all(&text).map_err(Error::of_file(path)),
            Refused::File { path, file, bytes } => {
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

    /// How much was written.
    pub fn bytes(&self) -> u64 {
        match self {
            Refused::File { bytes, .. } => *bytes,
            Refused::Stream { .. } | Refused::Shown => 0,
        }
    }
}

/// Cuts a file to the length that was counted. One that is shorter is another one.
fn cut(mut file: File, bytes: u64) -> io::Result<File> {
    if file.metadata()?.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

/// A terminal would obey control characters; a file is to hold what was refused.
fn for_whoever_reads(text: Vec<u8>) -> Vec<u8> {
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

    use super::super::records::Content;
    use super::*;

    fn record(number: u64, raw: &str) -> Record {
        Record { number, last: number, place: number, raw: raw.into(), content: Content::Nothing }
    }

    #[test]
    fn a_refused_line_stands_below_its_reason_and_what_was_not_counted_is_written_again() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("domains.csv.refused");
        fs::write(&path, "an older one").unwrap();
        let mut refused = Refused::beside(path.clone(), 0).unwrap();
        assert!(!path.exists());
        refused.write(b"domain,host_type\n", &[]).unwrap();
        assert!(!path.exists());
        refused.write(b"domain,host_type\n", &[(&record(2, "a"), "no\ncomma")]).unwrap();
        let counted = refused.bytes();
        refused.write(b"domain,host_type\n", &[(&record(3, "b"), "x")]).unwrap();
        let begun = "domain,host_type\n# line 2: no\\ncomma\na\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 3: x\nb\n"));
        let mut resumed = Refused::beside(path.clone(), counted).unwrap();
        resumed.write(b"domain,host_type\n", &[(&record(4, "c"), "y")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 4: y\nc\n"));
        fs::write(&path, "short").unwrap();
        assert!(Refused::beside(path, counted).is_err());
    }

    #[test]
    fn a_named_file_is_emptied_where_it_is_and_a_device_is_written_to() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "an older one").unwrap();
        symlink("file", at("link")).unwrap();
        Refused::named(at("link"), 0).unwrap().write(b"", &[(&record(2, "a"), "x")]).unwrap();
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "# line 2: x\na\n");
        symlink("/dev/null", at("null")).unwrap();
        Refused::named(at("null"), 0).unwrap().write(b"", &[(&record(2, "a"), "x")]).unwrap();
        assert!(fs::symlink_metadata(at("null")).unwrap().is_symlink());
        assert!(Refused::beside(at("null"), 0).is_err());
    }
}
