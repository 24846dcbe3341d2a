//! The lines of a file that is imported, one domain each.
//!
//! A line is a record, also in CSV: no domain and no host type has a line's end in it. So a line that makes no sense
//! spoils no other, can be told by its number, and can be handed back as it was.

use std::io::{self, BufRead, Read};

use domain_core::DomainName;
use serde::Deserialize;

use crate::cli::FileFormat;

/// Bytes of the longest line that is looked at.
const LONGEST: u64 = 64 * 1024;

/// A line, as it was, without its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The first is 1.
    pub number: u64,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// What they mean.
    pub content: Content,
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// It names the columns.
    Header,
    /// A domain to add.
    Pair(Pair),
    /// It makes no sense: why.
    Bad(String),
}

/// A domain to add.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
}

/// Reads lines.
pub struct Lines<R> {
    input: R,
    format: FileFormat,
    columns: Option<Columns>,
    number: u64,
    bytes: u64,
}

/// Where a CSV file has what.
#[derive(Debug, Clone, Copy)]
struct Columns {
    domain: usize,
    host_type: usize,
    status: Option<usize>,
}

/// A line of NDJSON; what else is in it means nothing here.
#[derive(Deserialize)]
struct Object {
    domain: String,
    host_type: String,
    status: Option<String>,
}

impl<R: BufRead> Lines<R> {
    /// From the beginning of a file.
    pub fn new(input: R, format: FileFormat) -> Lines<R> {
        Lines { input, format, columns: None, number: 0, bytes: 0 }
    }

    /// How much was read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next one; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let mut raw = Vec::new();
        let read = self.input.by_ref().take(LONGEST).read_until(b'\n', &mut raw)? as u64;
        self.bytes += read;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read == LONGEST && !raw.ends_with(b"\n") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("line {} is too long", self.number)));
        }
        for end in [b'\n', b'\r'] {
            raw.pop_if(|byte| *byte == end);
        }
        let content = self.content(&raw);
        Ok(Some(Line { number: self.number, raw, content }))
    }

    fn content(&mut self, raw: &[u8]) -> Content {
        let Ok(text) = str::from_utf8(raw) else { return Content::Bad("the line is not UTF-8".to_owned()) };
        // Some programs mark a file as UTF-8 at its beginning.
        let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if text.trim().is_empty() || text.starts_with('#') {
            return Content::Nothing;
        }
        let read = match self.format {
            FileFormat::Ndjson => object(text),
            FileFormat::Csv => match self.columns {
                Some(columns) => record(text, columns),
                None => {
                    let named = columns_of(text);
                    let columns = named.unwrap_or(Columns { domain: 0, host_type: 1, status: Some(2) });
                    self.columns = Some(columns);
                    if named.is_some() {
                        return Content::Header;
                    }
                    record(text, columns)
                }
            },
        };
        read.map_or_else(Content::Bad, Content::Pair)
    }
}

fn object(text: &str) -> Result<Pair, String> {
    let object: Object = serde_json::from_str(text).map_err(|error| {
        format!(
            "no JSON object with a domain and a host_type: {}",
            error.to_string().replace(" at line 1 column", " at column")
        )
    })?;
    pair(&object.domain, &object.host_type, object.status.as_deref())
}

/// The fields of a record. A reader of CSV is a machine that takes longer to build than most lines take to read.
fn fields(text: &str) -> Option<csv::StringRecord> {
    if !text.contains('"') {
        return Some(text.split(',').map(str::trim).collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .buffer_capacity(text.len())
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).ok().filter(|read| *read).map(|_| record)
}

fn columns_of(text: &str) -> Option<Columns> {
    let record = fields(text)?;
    let place = |name: &str| record.iter().position(|field| field.eq_ignore_ascii_case(name));
    Some(Columns { domain: place("domain")?, host_type: place("host_type")?, status: place("status") })
}

fn record(text: &str, columns: Columns) -> Result<Pair, String> {
    let record = fields(text).ok_or("the line is no CSV")?;
    let (Some(domain), Some(host_type)) = (record.get(columns.domain), record.get(columns.host_type)) else {
        return Err("the line has no domain and host type, separated by a comma".to_owned());
    };
    pair(domain, host_type, columns.status.and_then(|place| record.get(place)))
}

/// An import adds domains, and those are served: what was not is no matter of an import.
fn pair(domain: &str, host_type: &str, status: Option<&str>) -> Result<Pair, String> {
    match status {
        None | Some("" | "enabled") => {}
        Some(other) => return Err(format!("the status is {other}, and only enabled domains are imported")),
    }
    DomainName::prepare(domain).map_err(|error| error.to_string())?;
    match host_type {
        "" => Err("the host type is empty".to_owned()),
        _ => Ok(Pair { domain: domain.to_owned(), host_type: host_type.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: FileFormat, text: &[u8]) -> Vec<Content> {
        let mut lines = Lines::new(text, format);
        let mut read = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            read.push(line.content);
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        read
    }

    fn good(domain: &str, host_type: &str) -> Content {
        Content::Pair(Pair { domain: domain.into(), host_type: host_type.into() })
    }

    fn reason(format: FileFormat, text: &[u8]) -> String {
        match read(format, text).pop() {
            Some(Content::Bad(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn csv_needs_no_header() {
        let text = b"a.example,type1\r\n\n  \n# why\nb.example ,\"type, 2\"\nc.example,t,enabled";
        let nothing = || Content::Nothing;
        let wanted = [
            good("a.example", "type1"),
            nothing(),
            nothing(),
            nothing(),
            good("b.example", "type, 2"),
            good("c.example", "t"),
        ];
        assert_eq!(read(FileFormat::Csv, text), wanted);
    }

    #[test]
    fn a_header_says_where_the_columns_are() {
        let text = "\u{feff}Status,Host_Type,x,Domain\nenabled,t,?,a.example\n,t,?,ü.example\n".as_bytes();
        assert_eq!(read(FileFormat::Csv, text), [Content::Header, good("a.example", "t"), good("ü.example", "t")]);
    }

    #[test]
    fn only_the_first_line_can_be_a_header() {
        assert_eq!(
            read(FileFormat::Csv, b"a.example,t\ndomain,host_type\n"),
            [good("a.example", "t"), good("domain", "host_type")]
        );
    }

    #[test]
    fn ndjson_has_an_object_on_each_line() {
        let text =
            b"{\"host_type\":\"t\",\"domain\":\"a.example\",\"status\":\"enabled\",\"x\":[]}\n\n{\"domain\":1}\n";
        let read = read(FileFormat::Ndjson, text);
        assert_eq!(read[..2], [good("a.example", "t"), Content::Nothing]);
        assert!(matches!(&read[2], Content::Bad(_)));
    }

    #[test]
    fn a_line_that_makes_no_sense_says_why_and_spoils_no_other() {
        let text = b"a.example\n\"a.example,t\nb.example,\n\xf3,t\na.example,t,disabled\n,t\nz.example,t\n";
        let read = read(FileFormat::Csv, text);
        assert_eq!(read.iter().filter(|content| matches!(content, Content::Bad(_))).count(), 6);
        assert_eq!(read.last(), Some(&good("z.example", "t")));
        assert!(reason(FileFormat::Csv, b"a.example,t,disabled").contains("disabled"));
        assert!(reason(FileFormat::Csv, b"a.example").contains("comma"));
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused_here_already() {
        for name in ["a\u{202e}b", "a\u{0}b", &"a".repeat(251)] {
            assert!(matches!(read(FileFormat::Csv, format!("{name},t").as_bytes())[..], [Content::Bad(_)]), "{name:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_no_line() {
        let text = vec![b'a'; 70_000];
        assert!(Lines::new(&text[..], FileFormat::Csv).next().is_err());
    }
}
