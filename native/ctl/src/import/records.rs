//! The records of a file that is imported, one domain each.
//!
//! What a file is shows at its beginning: JSON begins with a bracket, and everything else is CSV. A record that makes no
//! sense spoils no other, can be told by the number of its line, and can be handed back as it was.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

use super::csv::{self, Cells, First, Layout, Reached};
use super::json;
use super::text::{LONGEST, Text, without_end};
use crate::cli::FileFormat;
use crate::name::{self, Taken};

/// A line of CSV that says of the next record that its name is taken as it is: an export writes it before a name that no
/// request can carry.
pub const AS_IS: &str = "# as-is";

/// A record, as it was, without the end of its last line.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Its first line; the first of all is 1.
    pub number: u64,
    /// Its last line.
    pub last: u64,
    /// Its place among all records; the first is 1.
    pub place: u64,
    /// Its bytes, in UTF-8 if they make sense.
    pub raw: Vec<u8>,
    /// What they mean.
    pub content: Content,
}

/// What a record means.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// It says how the others are to be read.
    Header,
    /// A domain to add.
    Pair(Pair),
    /// It makes no sense: why.
    Bad(String),
}

/// A domain to add.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair {
    /// Its name, as it will be stored.
    pub domain: String,
    /// Its host type.
    pub host_type: String,
    /// Its status, where one is told.
    pub status: Option<Status>,
}

/// A status that a domain can be added with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is served.
    Enabled,
    /// It is not.
    Disabled,
}

/// Reads records.
pub struct Records {
    text: Text,
    taken: Taken,
    kind: Kind,
    place: u64,
}

/// What is read.
enum Kind {
    /// Nobody knows yet; but it may be said to be JSON.
    Unknown(FileFormat),
    /// CSV of which no record was read yet; what separates cells may be declared.
    Csv(Option<u8>),
    /// CSV.
    Table(Layout),
    /// An object a line.
    Lines,
    /// An array: its elements that are left, each with the number of its line.
    Array(VecDeque<(u64, String)>),
}

impl Records {
    /// From the beginning of a file. One that is to be NDJSON is not taken for CSV.
    pub fn new(input: impl Read + 'static, format: FileFormat, taken: Taken) -> io::Result<Records> {
        Ok(Records { text: Text::new(input)?, taken, kind: Kind::Unknown(format), place: 0 })
    }

    /// The next one; `None` at the end. An error spoils all that is left.
    pub fn next(&mut self) -> io::Result<Option<Record>> {
        let record = match &mut self.kind {
            Kind::Array(elements) => elements.pop_front().map(|(number, text)| self.element(number, text)),
            _ => self.line()?,
        };
        self.place += u64::from(record.is_some());
        Ok(record.map(|record| Record { place: self.place, ..record }))
    }

    fn line(&mut self) -> io::Result<Option<Record>> {
        let Some(line) = self.text.next()? else { return Ok(None) };
        let number = self.text.number();
        let record = |raw: &[u8], last, content| Some(Record { number, last, place: 0, raw: raw.to_vec(), content });
        let raw = without_end(&line);
        let Ok(text) = str::from_utf8(raw) else {
            return Ok(record(raw, number, Content::Bad("the line is not UTF-8".to_owned())));
        };
        if text.trim_end() == AS_IS && !matches!(self.kind, Kind::Lines) {
            return self.as_is(line);
        }
        if text.trim().is_empty() || text.starts_with('#') {
            return Ok(record(raw, number, Content::Nothing));
        }
        match self.kind {
            Kind::Unknown(format) => {
                let first = text.trim_start().chars().next();
                self.text.put_back(vec![line]);
                self.kind = match (format, first) {
                    (_, Some('[')) => self.array()?,
                    (FileFormat::Ndjson, _) | (FileFormat::Csv, Some('{')) => Kind::Lines,
                    (FileFormat::Csv, _) => Kind::Csv(None),
                };
                match &mut self.kind {
                    Kind::Array(elements) => {
                        let first = elements.pop_front();
                        Ok(first.map(|(number, text)| self.element(number, text)))
                    }
                    _ => self.line(),
                }
            }
            Kind::Lines => Ok(record(raw, number, self.object(text))),
            Kind::Csv(None) if let Some(delimiter) = csv::declared(text) => {
                self.kind = Kind::Csv(Some(delimiter));
                Ok(record(raw, number, Content::Header))
            }
            Kind::Csv(delimiter) => {
                let could_be = |name: &str| name::read(name, Taken::Checked).is_ok();
                let (layout, header) = match Layout::of(text, delimiter, could_be).map_err(io::Error::other)? {
                    First::Header(layout) => (layout, true),
                    First::Record(layout) => (layout, false),
                };
                self.kind = Kind::Table(layout);
                match header {
                    true => Ok(record(raw, number, Content::Header)),
                    false => self.record(line, layout, self.taken).map(Some),
                }
            }
            Kind::Table(layout) => self.record(line, layout, self.taken).map(Some),
            Kind::Array(_) => Ok(None),
        }
    }

    /// The record that the line before it says to take as it is.
    fn as_is(&mut self, mark: Vec<u8>) -> io::Result<Option<Record>> {
        let number = self.text.number();
        let nothing = |mark: &[u8]| {
            Some(Record { number, last: number, place: 0, raw: without_end(mark).to_vec(), content: Content::Nothing })
        };
        let Kind::Table(layout) = self.kind else { return Ok(nothing(&mark)) };
        let Some(line) = self.text.next()? else { return Ok(nothing(&mark)) };
        let record = self.record(line, layout, Taken::Exactly)?;
        let raw = [without_end(&mark), b"\n", &record.raw].concat();
        Ok(Some(Record { number, raw, ..record }))
    }

    /// A record of CSV, which may go on in the next lines.
    fn record(&mut self, first: Vec<u8>, layout: Layout, taken: Taken) -> io::Result<Record> {
        let number = self.text.number();
        let mut quotes = layout.quotes();
        let mut more: Vec<Vec<u8>> = Vec::new();
        let mut bytes = first.len();
        let mut reached = quotes.read(&first);
        while let Ok(Reached::Inside) = reached {
            reached = match self.text.next()? {
                Some(line) if bytes + line.len() <= LONGEST => {
                    bytes += line.len();
                    let reached = quotes.read(&line);
                    more.push(line);
                    reached
                }
                line => {
                    more.extend(line);
                    Err("a quotation mark is not closed".to_owned())
                }
            };
        }
        let whole = match reached {
            Ok(_) => [first, more.concat()].concat(),
            Err(_) => {
                self.text.put_back(more);
                first
            }
        };
        let raw = without_end(&whole);
        let content = match (reached, str::from_utf8(raw)) {
            (Err(why), _) => Content::Bad(format!("malformed CSV: {why}")),
            (Ok(_), Err(_)) => Content::Bad("the line is not UTF-8".to_owned()),
            (Ok(_), Ok(text)) => match layout.read(text) {
                Ok(None) => Content::Nothing,
                Ok(Some(Cells { domain, host_type, status })) => pair(&domain, host_type, status, taken),
                Err(why) => Content::Bad(why),
            },
        };
        Ok(Record { number, last: self.text.number(), place: 0, raw: raw.to_vec(), content })
    }

    fn array(&mut self) -> io::Result<Kind> {
        let before = self.text.number();
        let bytes = self.text.rest()?;
        let text = str::from_utf8(&bytes).map_err(io::Error::other)?;
        let elements = json::elements(text).map_err(io::Error::other)?;
        Ok(Kind::Array(elements.into_iter().map(|it| (before + it.lines + 1, it.text)).collect()))
    }

    fn element(&self, number: u64, text: String) -> Record {
        let content = self.object(&text);
        Record { number, last: number, place: 0, raw: text.into_bytes(), content }
    }

    fn object(&self, text: &str) -> Content {
        match json::object(text) {
            Err(why) => Content::Bad(why),
            Ok(json::Members { domain, host_type, status, as_is }) => {
                pair(&domain, host_type, status, if as_is { Taken::Exactly } else { self.taken })
            }
        }
    }
}

/// What was recognised.
impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unknown(_) | Kind::Csv(_) => f.write_str("an empty file")?,
            Kind::Table(layout) => write!(f, "CSV, {layout}")?,
            Kind::Lines => f.write_str("NDJSON")?,
            Kind::Array(_) => f.write_str("a JSON array")?,
        }
        match self.text.encoding() {
            Some(encoding) => write!(f, ", in {encoding}"),
            None => Ok(()),
        }
    }
}

fn pair(domain: &str, host_type: String, status: Option<String>, taken: Taken) -> Content {
    let status = match status.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => None,
        Some("enabled") => Some(Status::Enabled),
        Some("disabled") => Some(Status::Disabled),
        Some("deleting") => {
            return Content::Bad("the domain was in removal: one that is not served is disabled".to_owned());
        }
        Some(other) => return Content::Bad(format!("the status is {other}, and not enabled or disabled")),
    };
    match name::read(domain, taken) {
        Err(why) => Content::Bad(why),
        Ok(_) if host_type.is_empty() => Content::Bad("the host type is empty".to_owned()),
        Ok(domain) => Content::Pair(Pair { domain: domain.to_string(), host_type, status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(format: FileFormat, text: &[u8]) -> Vec<Record> {
        let mut records = Records::new(io::Cursor::new(text.to_vec()), format, Taken::Checked).unwrap();
        std::iter::from_fn(|| records.next().unwrap()).collect()
    }

    fn read(format: FileFormat, text: &[u8]) -> Vec<Content> {
        records(format, text).into_iter().map(|it| it.content).collect()
    }

    fn good(domain: &str, host_type: &str) -> Content {
        Content::Pair(Pair { domain: domain.into(), host_type: host_type.into(), status: None })
    }

    fn reason(format: FileFormat, text: &[u8]) -> String {
        match read(format, text).pop() {
            Some(Content::Bad(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn recognised(text: &[u8]) -> String {
        let mut records = Records::new(io::Cursor::new(text.to_vec()), FileFormat::Csv, Taken::Checked).unwrap();
        while records.next().unwrap().is_some() {}
        records.to_string()
    }

    #[test]
    fn csv_needs_no_header() {
        let text = b"a.example,type1\r\n\n  \n# why\nb.example ,\"type, 2\"\nc.example,t,";
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
        let text = "\u{feff}Status,Host_Type,x,Domain\n,t,?,a.example\n,t,?,ü.example\n".as_bytes();
        assert_eq!(read(FileFormat::Csv, text), [Content::Header, good("a.example", "t"), good("ü.example", "t")]);
        assert_eq!(
            read(FileFormat::Csv, b"sep=|\nDomain|Host Type\na.example|t\n|\n")[2..],
            [good("a.example", "t"), Content::Nothing]
        );
    }

    #[test]
    fn only_the_first_line_can_be_a_header() {
        assert_eq!(
            read(FileFormat::Csv, b"a.example,t\ndomain,host_type\n"),
            [good("a.example", "t"), good("domain", "host_type")]
        );
    }

    #[test]
    fn what_a_file_is_shows_at_its_beginning() {
        let array = b"# comment\n[\n {\"domain\":\"a.example\",\"host_type\":\"t\"},\n {\"domain\":1}]";
        let read = records(FileFormat::Csv, array);
        assert_eq!(read[1].content, good("a.example", "t"));
        assert_eq!((read[2].number, read[2].raw.as_slice()), (4, &b"{\"domain\":1}"[..]));
        assert_eq!(recognised(array), "a JSON array");
        assert_eq!(recognised(b"{\"domain\":\"a.example\",\"host_type\":\"t\"}"), "NDJSON");
        assert_eq!(
            recognised(b"a.example;t\n"),
            "CSV, cells separated by a semicolon, columns domain, host_type, status"
        );
        assert_eq!(recognised(b""), "an empty file");
        assert!(reason(FileFormat::Ndjson, b"a.example,t").contains("JSON"));
        assert!(Records::new(&b"[{}"[..], FileFormat::Csv, Taken::Checked).unwrap().next().is_err());
    }

    #[test]
    fn ndjson_has_an_object_on_each_line() {
        let text =
            b"{\"host_type\":\"t\",\"domain\":\"a.example\",\"status\":\"disabled\",\"x\":[]}\n\n{\"domain\":1}\n";
        let read = read(FileFormat::Ndjson, text);
        let Content::Pair(pair) = &read[0] else { panic!() };
        assert_eq!((pair.domain.as_str(), pair.status), ("a.example", Some(Status::Disabled)));
        assert!(matches!(&read[2], Content::Bad(_)));
    }

    #[test]
    fn a_record_that_makes_no_sense_says_why_and_spoils_no_other() {
        let text =
            b"a.example\nb.example,\n\xf3,t\na.example,t,deleting\n,t\nline\nbreak\",t\n\"c.example,t\nz.example,t\n";
        let read = read(FileFormat::Csv, text);
        assert_eq!(read.iter().filter(|content| matches!(content, Content::Bad(_))).count(), 8);
        assert_eq!(read.last(), Some(&good("z.example", "t")));
        assert!(reason(FileFormat::Csv, b"a.example,t,deleting").contains("removal"));
        assert!(reason(FileFormat::Csv, b"a.example").contains("comma"));
    }

    #[test]
    fn a_cell_with_a_line_break_is_one_cell() {
        let read = records(FileFormat::Csv, b"domain,host_type\n\"x\nline.example\",t\nb.example,t\n");
        let Content::Bad(why) = &read[1].content else { panic!("{:?}", read[1]) };
        assert!(why.contains("\\u{a}"), "{why}");
        assert_eq!((read[1].number, read[1].last, read[1].raw.as_slice()), (2, 3, &b"\"x\nline.example\",t"[..]));
        assert_eq!((read[2].number, &read[2].content), (4, &good("b.example", "t")));
    }

    #[test]
    fn a_mark_takes_the_next_name_as_it_is_and_no_other() {
        let text = b"domain,host_type,status\n# as-is\n\"x\ny.example\",t,disabled\n\"x\nz.example\",t,\n# as-is\nA.example,t,\n";
        let read = records(FileFormat::Csv, text);
        let Content::Pair(pair) = &read[1].content else { panic!("{:?}", read[1]) };
        assert_eq!((pair.domain.as_str(), pair.status), ("x\ny.example", Some(Status::Disabled)));
        assert_eq!(read[1].raw, b"# as-is\n\"x\ny.example\",t,disabled");
        assert!(matches!(read[2].content, Content::Bad(_)) && matches!(read[3].content, Content::Bad(_)));
        let json = br#"{"domain":"a..b","host_type":"t","as_is":true}"#;
        assert_eq!(self::read(FileFormat::Ndjson, json), [good("a..b", "t")]);
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused_here_already() {
        for name in ["a\u{202e}b", "a\u{0}b", "https://a.example/", "a.example.", &"a".repeat(251)] {
            assert!(matches!(read(FileFormat::Csv, format!("{name},t").as_bytes())[..], [Content::Bad(_)]), "{name:?}");
        }
    }
}
