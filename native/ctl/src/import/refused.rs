//! Where refused lines go: each as it was, below a comment that says why. So the file can be corrected and imported.
//!
//! An import without refused lines leaves no such file; one that an earlier import left is removed then, as it is
//! when the first line is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use super::lines::Line;
use crate::error::{Error, Result};
use crate::output::printable;

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
    /// To standard error.
    Shown,
}

impl Refused {
    /// A file that an interrupted import has written so much of; what it wrote behind is written again.
    pub fn to_file(path: PathBuf, bytes: u64) -> Result<Refused> {
        let prepared = match bytes {
            0 => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(None),
            },
            bytes => OpenOptions::new().write(true).open(&path).and_then(|file| {
                file.set_len(bytes)?;
                io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
                Ok(Some(file))
            }),
        };
        let file = prepared.map_err(Error::of_file(&path))?;
        Ok(Refused::File { path, file, bytes })
    }

    /// Writes lines with their reasons; before the first one, the line that names the columns.
    pub fn write(&mut self, header: Option<&[u8]>, lines: &[(&Line, &str)]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        if let (Refused::File { bytes: 0, .. }, Some(header)) = (&*self, header) {
            text.extend_from_slice(header);
            text.push(b'\n');
        }
        for (line, reason) in lines {
            text.extend_from_slice(format!("# line {}: {}\n", line.number, printable(reason)).as_bytes());
            text.extend_from_slice(&line.raw);
            text.push(b'\n');
        }
        match self {
            // Where nobody sees it, the count is left.
            Refused::Shown => {
                let _ = io::stderr().write_all(&text);
                Ok(())
            }
            Refused::File { path, file, bytes } => {
                let written = match file {
                    Some(file) => file.write_all(&text),
                    None => File::create(&*path).and_then(|new| file.insert(new).write_all(&text)),
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
            Refused::Shown => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::lines::Content;
    use super::*;

    fn line(number: u64, raw: &str) -> Line {
        Line { number, raw: raw.into(), content: Content::Nothing }
    }

    #[test]
    fn a_refused_line_stands_below_its_reason_and_what_was_not_counted_is_written_again() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("domains.csv.refused");
        fs::write(&path, "an older one").unwrap();
        let mut refused = Refused::to_file(path.clone(), 0).unwrap();
        assert!(!path.exists());
        refused.write(Some(b"domain,host_type"), &[]).unwrap();
        assert!(!path.exists());
        refused.write(Some(b"domain,host_type"), &[(&line(2, "a"), "no\ncomma")]).unwrap();
        let counted = refused.bytes();
        refused.write(Some(b"domain,host_type"), &[(&line(3, "b"), "x")]).unwrap();
        let begun = "domain,host_type\n# line 2: no\u{fffd}comma\na\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 3: x\nb\n"));
        let mut resumed = Refused::to_file(path.clone(), counted).unwrap();
        resumed.write(Some(b"domain,host_type"), &[(&line(4, "c"), "y")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{begun}# line 4: y\nc\n"));
    }
}
