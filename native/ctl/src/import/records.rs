//! Reads the records of an imported file, one domain each.
//!
//! The format shows at the beginning of the file: JSON begins with a bracket or a brace, and everything else is CSV. An
//! invalid record does not affect others; it is reported with the number of its line and can be written out unchanged.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

use super::csv::{self, Cells, First, Layout, RecordEnd};
use super::json;
use super::lines::{Lines, MAX_BYTES, without_break};
use super::record::{AS_IS, Content, Pair, Record, Status};
use crate::cli::FileFormat;
use crate::name::{self, NameCheck};

/// Reads records.
pub struct Records {
    lines: Lines,
    check: NameCheck,
    format: Format,
    index: u64,
}

/// The format of the file.
enum Format {
    /// Not known yet; with the format that the user named.
    Unknown(FileFormat),
    /// CSV whose layout is not known yet; with the declared delimiter.
    Csv(Option<u8>),
    /// CSV with this layout.
    Table(Layout),
    /// An object on each line.
    Ndjson,
    /// An array: the remaining elements, each with the number of its line.
    Array(VecDeque<(u64, String)>),
}

impl Records {
    /// Reads a file from its beginning. A file that the user calls NDJSON is never read as CSV.
    pub fn new(input: impl Read + 'static, format: FileFormat, check: NameCheck) -> io::Result<Records> {
        Ok(Records { lines: Lines::new(input)?, check, format: Format::Unknown(format), index: 0 })
    }

    /// The next record; `None` at the end. After an error the rest cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Record>> {
        let record = match &mut self.format {
            Format::Array(elements) => elements.pop_front().map(|(number, text)| self.element(number, text)),
            _ => self.line()?,
        };
        self.index += u64::from(record.is_some());
        Ok(record.map(|record| Record { index: self.index, ..record }))
    }

    fn line(&mut self) -> io::Result<Option<Record>> {
        let Some(line) = self.lines.next()? else { return Ok(None) };
        let number = self.lines.number();
        let record = |raw: &[u8], last, content| Some(Record { number, last, index: 0, raw: raw.to_vec(), content });
        let raw = without_break(&line);
        let Ok(text) = str::from_utf8(raw) else {
            return Ok(record(raw, number, Content::Bad("the line is not UTF-8".to_owned())));
        };
        if text.trim_end() == AS_IS && !matches!(self.format, Format::Ndjson) {
            return self.marked(line);
        }
        if text.trim().is_empty() || text.starts_with('#') {
            return Ok(record(raw, number, Content::Nothing));
        }
        match self.format {
            Format::Unknown(format) => {
                let first = text.trim_start().chars().next();
                self.lines.put_back(vec![line]);
                self.format = match (format, first) {
                    (_, Some('[')) => self.array()?,
                    (FileFormat::Ndjson, _) | (FileFormat::Csv, Some('{')) => Format::Ndjson,
                    (FileFormat::Csv, _) => Format::Csv(None),
                };
                match &mut self.format {
                    Format::Array(elements) => {
                        let first = elements.pop_front();
                        Ok(first.map(|(number, text)| self.element(number, text)))
                    }
                    _ => self.line(),
                }
            }
            Format::Ndjson => Ok(record(raw, number, self.object(text))),
            Format::Csv(None) if let Some(delimiter) = csv::declared_delimiter(text) => {
                self.format = Format::Csv(Some(delimiter));
                Ok(record(raw, number, Content::Header))
            }
            Format::Csv(delimiter) => {
                let could_be = |name: &str| name::read(name, NameCheck::Strict).is_ok();
                let (layout, header) = match Layout::of(text, delimiter, could_be).map_err(io::Error::other)? {
                    First::Header(layout) => (layout, true),
                    First::Record(layout) => (layout, false),
                };
                self.format = Format::Table(layout);
                match header {
                    true => Ok(record(raw, number, Content::Header)),
                    false => self.record(line, layout, self.check).map(Some),
                }
            }
            Format::Table(layout) => self.record(line, layout, self.check).map(Some),
            Format::Array(_) => Ok(None),
        }
    }

    /// The record after a mark.
    fn marked(&mut self, mark: Vec<u8>) -> io::Result<Option<Record>> {
        let number = self.lines.number();
        let nothing = |mark: &[u8]| {
            Some(Record {
                number,
                last: number,
                index: 0,
                raw: without_break(mark).to_vec(),
                content: Content::Nothing,
            })
        };
        let Format::Table(layout) = self.format else { return Ok(nothing(&mark)) };
        let Some(line) = self.lines.next()? else { return Ok(nothing(&mark)) };
        let record = self.record(line, layout, NameCheck::Verbatim)?;
        let raw = [without_break(&mark), b"\n", &record.raw].concat();
        Ok(Some(Record { number, raw, ..record }))
    }

    /// A record of CSV, which may continue in the next lines.
    fn record(&mut self, first: Vec<u8>, layout: Layout, check: NameCheck) -> io::Result<Record> {
        let number = self.lines.number();
        let mut quotes = layout.quotes();
        let mut more: Vec<Vec<u8>> = Vec::new();
        let mut bytes = first.len();
        let mut end = quotes.read(&first);
        while let Ok(RecordEnd::Open) = end {
            end = match self.lines.next()? {
                Some(line) if bytes + line.len() <= MAX_BYTES => {
                    bytes += line.len();
                    let end = quotes.read(&line);
                    more.push(line);
                    end
                }
                line => {
                    more.extend(line);
                    Err("a quotation mark is not closed".to_owned())
                }
            };
        }
        let record = match end {
            Ok(_) => [first, more.concat()].concat(),
            Err(_) => {
                self.lines.put_back(more);
                first
            }
        };
        let raw = without_break(&record);
        let content = match (end, str::from_utf8(raw)) {
            (Err(why), _) => Content::Bad(format!("malformed CSV: {why}")),
            (Ok(_), Err(_)) => Content::Bad("the line is not UTF-8".to_owned()),
            (Ok(_), Ok(text)) => match layout.read(text) {
                Ok(None) => Content::Nothing,
                Ok(Some(Cells { domain, host_type, status })) => pair(&domain, host_type, status, check),
                Err(why) => Content::Bad(why),
            },
        };
        Ok(Record { number, last: self.lines.number(), index: 0, raw: raw.to_vec(), content })
    }

    fn array(&mut self) -> io::Result<Format> {
        let before = self.lines.number();
        let bytes = self.lines.rest()?;
        let text = str::from_utf8(&bytes).map_err(io::Error::other)?;
        let elements = json::elements(text).map_err(io::Error::other)?;
        Ok(Format::Array(elements.into_iter().map(|it| (before + it.lines + 1, it.text)).collect()))
    }

    fn element(&self, number: u64, text: String) -> Record {
        let content = self.object(&text);
        Record { number, last: number, index: 0, raw: text.into_bytes(), content }
    }

    fn object(&self, text: &str) -> Content {
        match json::object(text) {
            Err(why) => Content::Bad(why),
            Ok(json::Members { domain, host_type, status, as_is }) => {
                pair(&domain, host_type, status, if as_is { NameCheck::Verbatim } else { self.check })
            }
        }
    }
}

/// The format, for people.
impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            Format::Unknown(_) | Format::Csv(_) => f.write_str("an empty file")?,
            Format::Table(layout) => write!(f, "CSV, {layout}")?,
            Format::Ndjson => f.write_str("NDJSON")?,
            Format::Array(_) => f.write_str("a JSON array")?,
        }
        match self.lines.encoding() {
            Some(encoding) => write!(f, ", in {encoding}"),
            None => Ok(()),
        }
    }
}

fn pair(domain: &str, host_type: String, status: Option<String>, check: NameCheck) -> Content {
    let status = match status.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => None,
        Some("enabled") => Some(Status::Enabled),
        Some("disabled") => Some(Status::Disabled),
        Some("deleting") => {
            return Content::Bad("the domain was in removal: one that is not served is disabled".to_owned());
        }
        Some(other) => return Content::Bad(format!("the status is {other}, and not enabled or disabled")),
    };
    match name::read(domain, check) {
        Err(why) => Content::Bad(why),
        Ok(_) if host_type.is_empty() => Content::Bad("the host type is empty".to_owned()),
        Ok(domain) => Content::Pair(Pair { domain: domain.to_string(), host_type, status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(format: FileFormat, text: &[u8]) -> Vec<Record> {
        let mut records = Records::new(io::Cursor::new(text.to_vec()), format, NameCheck::Strict).unwrap();
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
        let mut records = Records::new(io::Cursor::new(text.to_vec()), FileFormat::Csv, NameCheck::Strict).unwrap();
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
    fn the_format_shows_at_the_beginning() {
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
        assert!(Records::new(&b"[{}"[..], FileFormat::Csv, NameCheck::Strict).unwrap().next().is_err());
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
    fn an_invalid_record_has_a_reason_and_affects_no_other() {
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
    fn a_mark_accepts_the_next_name_unchanged_and_no_other() {
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
    fn an_invalid_name_is_refused_before_it_is_sent() {
        for name in ["a\u{202e}b", "a\u{0}b", "https://a.example/", "a.example.", &"a".repeat(251)] {
            assert!(matches!(read(FileFormat::Csv, format!("{name},t").as_bytes())[..], [Content::Bad(_)]), "{name:?}");
        }
    }
}
