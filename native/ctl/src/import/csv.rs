//! CSV: where a record ends, and what its cells contain.
//!
//! A quoted cell may contain line breaks, so a record may have several lines. The crate `csv` accepts malformed input;
//! so quotes are checked here first: a quote inside an unquoted cell, text after a closing quote, and a quote that is
//! never closed are errors. The line is refused, and the next one is read as if the refused one were not there.
//!
//! Spreadsheets separate cells by a character that their country does not use in numbers. A first line `sep=;` declares
//! it; otherwise it is guessed from the first line.

use std::fmt;

/// The separators that are guessed.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    delimiter: u8,
    columns: Columns,
    source: ColumnSource,
}

/// The positions of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    domain: usize,
    host_type: usize,
    status: Option<usize>,
    /// The number of columns.
    count: usize,
}

/// Where the positions of the columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnSource {
    /// The header line.
    Header,
    /// The default order.
    Default,
}

/// The cells of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Cells {
    /// The domain.
    pub domain: String,
    /// The host type.
    pub host_type: String,
    /// The status, if there is one.
    pub status: Option<String>,
}

/// What the first line is.
#[derive(Debug, PartialEq, Eq)]
pub enum First {
    /// A header.
    Header(Layout),
    /// A record.
    Record(Layout),
}

impl Layout {
    /// Guesses the layout from the first line, without its line break; `delimiter` is the declared one.
    pub fn of(line: &str, delimiter: Option<u8>, could_be_a_name: impl Fn(&str) -> bool) -> Result<First, String> {
        let possible = delimiter.as_ref().map_or(&DELIMITERS[..], std::slice::from_ref);
        let split: Vec<(u8, Vec<String>)> =
            possible.iter().filter_map(|it| Some((*it, cells(line, *it).ok()?))).collect();
        for (delimiter, names) in &split {
            if let Some(columns) = Columns::from_header(names)? {
                return Ok(First::Header(Layout { delimiter: *delimiter, columns, source: ColumnSource::Header }));
            }
        }
        let several = || split.iter().filter(|(_, cells)| cells.len() > 1);
        let found = several().find(|(_, cells)| could_be_a_name(&cells[0])).or_else(|| several().next());
        let delimiter = found.map_or(possible[0], |(delimiter, _)| *delimiter);
        Ok(First::Record(Layout { delimiter, columns: Columns::DEFAULT, source: ColumnSource::Default }))
    }

    /// A checker for the quotes of a record.
    pub fn quotes(&self) -> QuoteChecker {
        QuoteChecker { delimiter: self.delimiter, state: State::Begin, quoted: vec![Quoted::No] }
    }

    /// The cells of a record; `None` where all are empty.
    pub fn read(&self, record: &str) -> Result<Option<Cells>, String> {
        let cells = cells(record, self.delimiter)?;
        let Columns { domain, host_type, status, count } = self.columns;
        if cells.iter().all(String::is_empty) {
            return Ok(None);
        }
        if cells.iter().skip(count).any(|cell| !cell.is_empty()) {
            return Err(format!("the line has {} cells and not {count}", cells.len()));
        }
        let (Some(domain), Some(host_type)) = (cells.get(domain), cells.get(host_type)) else {
            return Err(format!(
                "the line has no domain and host type, separated by {}",
                separator_name(self.delimiter)
            ));
        };
        let status = status.and_then(|position| cells.get(position)).filter(|it| !it.is_empty());
        Ok(Some(Cells { domain: domain.clone(), host_type: host_type.clone(), status: status.cloned() }))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = match self.source {
            ColumnSource::Header => "columns as the first line names them",
            ColumnSource::Default => "columns domain, host_type, status",
        };
        write!(f, "cells separated by {}, {columns}", separator_name(self.delimiter))
    }
}

fn separator_name(delimiter: u8) -> String {
    match delimiter {
        b',' => "a comma".to_owned(),
        b';' => "a semicolon".to_owned(),
        b'\t' => "a tab".to_owned(),
        other => char::from(other).escape_default().to_string(),
    }
}

/// The delimiter that a line `sep=;` declares.
pub fn declared_delimiter(line: &str) -> Option<u8> {
    let (name, delimiter) = line.trim_matches('"').split_at_checked(4)?;
    let [delimiter] = delimiter.as_bytes() else { return None };
    (name.eq_ignore_ascii_case("sep=") && delimiter.is_ascii() && *delimiter != b'"').then_some(*delimiter)
}

/// The name of a column or a member in its normal form: `Host Type`, `host_type` and `hostType` are the same.
pub fn normalized(name: &str) -> String {
    name.chars().filter(|it| !it.is_whitespace() && !matches!(it, '_' | '-')).flat_map(char::to_lowercase).collect()
}

impl Columns {
    const DEFAULT: Columns = Columns { domain: 0, host_type: 1, status: Some(2), count: 3 };

    /// The columns of a header; `None` if the line is no header. A header with only some of the columns is an error:
    /// every other line would be read wrongly.
    fn from_header(names: &[String]) -> Result<Option<Columns>, String> {
        let positions = |wanted: &str| {
            let matching = names.iter().enumerate().filter(|(_, name)| normalized(name) == wanted);
            let mut positions = matching.map(|(position, _)| position);
            (positions.next(), positions.next())
        };
        match (positions("domain"), positions("hosttype"), positions("status")) {
            ((Some(domain), None), (Some(host_type), None), (status, None)) => {
                Ok(Some(Columns { domain, host_type, status, count: names.len() }))
            }
            ((None, None), (None, None), _) => Ok(None),
            _ => {
                Err("the first line names columns, and has to name domain and host_type once each, status at most once"
                    .to_owned())
            }
        }
    }
}

/// Checks the quotes of a record, line by line.
#[derive(Debug)]
pub struct QuoteChecker {
    delimiter: u8,
    state: State,
    /// Whether each cell is quoted.
    quoted: Vec<Quoted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    Begin,
    /// In an unquoted cell.
    Plain,
    /// Between quotes.
    Inside,
    /// After a quote that closes the cell or is the first of two.
    AfterQuote,
}

/// Whether a record is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordEnd {
    /// It is.
    Reached,
    /// It continues in the next line.
    Open,
}

impl QuoteChecker {
    /// Checks a line, with its line break.
    pub fn read(&mut self, line: &[u8]) -> Result<RecordEnd, String> {
        for byte in line {
            self.state = match (self.state, *byte) {
                (State::Inside, b'"') => State::AfterQuote,
                (State::Inside, _) | (State::AfterQuote, b'"') => State::Inside,
                (_, byte) if byte == self.delimiter => {
                    self.quoted.push(Quoted::No);
                    State::Begin
                }
                (_, b'\n' | b'\r') => return Ok(RecordEnd::Reached),
                (State::Begin, b'"') => {
                    if let Some(last) = self.quoted.last_mut() {
                        *last = Quoted::Yes;
                    }
                    State::Inside
                }
                (State::Plain, b'"') => return Err("a quotation mark inside a cell".to_owned()),
                (State::Begin | State::Plain, _) => State::Plain,
                (State::AfterQuote, _) => return Err("something behind a closing quotation mark".to_owned()),
            };
        }
        Ok(if self.state == State::Inside { RecordEnd::Open } else { RecordEnd::Reached })
    }
}

/// The cells of a complete record, without its line break. Space around an unquoted cell is removed.
fn cells(record: &str, delimiter: u8) -> Result<Vec<String>, String> {
    // Most lines have no quotes, and creating a reader takes longer than splitting them.
    if !record.contains('"') {
        return Ok(record.split(char::from(delimiter)).map(|cell| cell.trim().to_owned()).collect());
    }
    let mut quotes = QuoteChecker { delimiter, state: State::Begin, quoted: vec![Quoted::No] };
    if quotes.read(record.as_bytes())? == RecordEnd::Open {
        return Err("a quotation mark is not closed".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(record.len())
        .from_reader(record.as_bytes());
    let mut read = csv::StringRecord::new();
    reader.read_record(&mut read).map_err(|error| error.to_string())?;
    let cells = read.iter().zip(&quotes.quoted).map(|(cell, quoted)| match quoted {
        Quoted::Yes => cell.to_owned(),
        Quoted::No => cell.trim().to_owned(),
    });
    Ok(cells.collect())
}

/// A cell for writing: quoted, unless all its characters are harmless.
pub fn cell(text: &str) -> String {
    let is_harmless = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_' | '/' | '@' | ' ');
    match text.chars().all(is_harmless) && text.trim() == text && !text.is_empty() {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(line: &str) -> Result<First, String> {
        Layout::of(line, None, |name| name.contains('.') && !name.contains([',', ';', '\t']))
    }

    fn read(header: &str, record: &str) -> (String, String, Option<String>) {
        let Ok(First::Header(layout)) = first(header) else { panic!("{header}") };
        let Cells { domain, host_type, status } = layout.read(record).unwrap().unwrap();
        (domain, host_type, status)
    }

    #[test]
    fn a_header_is_recognised_in_any_case_and_spacing() {
        for header in [
            "domain,host_type",
            "Domain, Host Type ",
            " DOMAIN ,\" host_type \"",
            "domain,HostType",
            "domain,host-type",
        ] {
            assert_eq!(read(header, "a.example,t"), ("a.example".into(), "t".into(), None), "{header}");
        }
        let (semicolons, tabs) = ("x;Status;Host Type;Domain", "x\tStatus\tHost Type\tDomain");
        let wanted = ("a.example".to_owned(), "t,1".to_owned(), Some("enabled".to_owned()));
        assert_eq!(read(semicolons, "?;enabled;t,1;a.example"), wanted);
        assert_eq!(read(tabs, "?\tenabled\tt,1\ta.example"), wanted);
    }

    #[test]
    fn a_header_that_lacks_a_column_or_has_it_twice_is_no_header_and_no_record() {
        for header in ["domain,type", "name,host type", "domain,domain,host_type"] {
            assert!(first(header).unwrap_err().contains("once"), "{header}");
        }
    }

    #[test]
    fn the_separator_is_guessed_from_the_first_record() {
        for (line, separator) in [
            ("a.example,t", "a comma"),
            ("a.example;t", "a semicolon"),
            ("a.example\tt", "a tab"),
            ("a.example,t;1", "a comma"),
            ("a.example;t,1", "a semicolon"),
            ("a.example", "a comma"),
        ] {
            let Ok(First::Record(layout)) = first(line) else { panic!("{line}") };
            assert_eq!(
                layout.to_string(),
                format!("cells separated by {separator}, columns domain, host_type, status")
            );
        }
        assert_eq!(
            [
                declared_delimiter("sep=;"),
                declared_delimiter("SEP=|"),
                declared_delimiter("sep="),
                declared_delimiter("a.example")
            ],
            [Some(b';'), Some(b'|'), None, None]
        );
    }

    #[test]
    fn a_record_with_empty_cells_only_is_ignored() {
        let Ok(First::Record(layout)) = first("a.example,t") else { panic!() };
        for record in [",", ",,", " , ", "\"\",\"\""] {
            assert_eq!(layout.read(record), Ok(None), "{record}");
        }
        assert!(layout.read("a.example,t,enabled,x").is_err());
        assert!(layout.read("a.example,t,enabled,").is_ok());
        assert!(layout.read("a.example").unwrap_err().contains("comma"));
    }

    #[test]
    fn quotation_marks_out_of_place_are_found() {
        let Ok(First::Record(layout)) = first("a.example,t") else { panic!() };
        for (lines, wanted) in [
            (&["a,t\n"][..], Ok(RecordEnd::Reached)),
            (&["\"a\",\"t\"\r\n"], Ok(RecordEnd::Reached)),
            (&["\"a\n", "b\",t\n"], Ok(RecordEnd::Reached)),
            (&["\"a\"\"b\",t"], Ok(RecordEnd::Reached)),
            (&["\"a,t\n"], Ok(RecordEnd::Open)),
            (&["\"a,t\"\"\n"], Ok(RecordEnd::Open)),
            (&["a\",t\n"], Err(())),
            (&["\"a\"b,t\n"], Err(())),
            (&["\"a\" ,t\n"], Err(())),
            (&[" \"a\",t\n"], Err(())),
            (&["\"a\n", "b\"c,t\n"], Err(())),
        ] {
            let mut quotes = layout.quotes();
            let read = lines.iter().map(|line| quotes.read(line.as_bytes())).last().unwrap();
            assert_eq!(read.map_err(drop), wanted, "{lines:?}");
        }
    }

    #[test]
    fn every_cell_is_read_as_it_was_written() {
        let Ok(First::Record(layout)) = first("a.example,t") else { panic!() };
        for text in [
            "a.example",
            "a,b",
            "a\"b",
            " a ",
            "x\nvictim.example,type2",
            "\r",
            "#a",
            "=1+1",
            "'",
            "ü b",
            "\t",
            "sep=;",
        ] {
            let line = format!("{},{},enabled", cell(text), cell(text));
            let read = layout.read(&line).unwrap().unwrap();
            assert_eq!((read.domain.as_str(), read.host_type.as_str()), (text, text));
        }
        assert_eq!([cell("a.example"), cell("type 1"), cell("")], ["a.example", "type 1", "\"\""]);
    }
}
