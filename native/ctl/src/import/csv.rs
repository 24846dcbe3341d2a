//! CSV: where a record ends, and what is in its cells.
//!
//! A cell in quotation marks may have line breaks, so a record may have several lines. The reader of the crate `csv` reads
//! whatever there is and makes the best of it; so what is malformed is found here before: a quotation mark inside a cell that
//! has none around it, something behind the closing one, or one that is closed nowhere. Such a line is refused, and the next
//! one is read as if it had not been there.
//!
//! Spreadsheets separate cells by what is not in the numbers of their country. `sep=;` in the first line says which
//! character that is; otherwise the first line is looked at.

use std::fmt;

/// What separates cells.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    delimiter: u8,
    columns: Columns,
    named: Named,
}

/// Where a record has what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    domain: usize,
    host_type: usize,
    status: Option<usize>,
    /// How many there are.
    all: usize,
}

/// Who says where the columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The first line.
    Header,
    /// Nobody: they are in the order of this program.
    Nobody,
}

/// What is in a record.
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
    /// It names the columns.
    Header(Layout),
    /// It is a record.
    Record(Layout),
}

impl Layout {
    /// What the first line, without its end, says of the others; `delimiter` is known where a line before it said so.
    pub fn of(line: &str, delimiter: Option<u8>, could_be_a_name: impl Fn(&str) -> bool) -> Result<First, String> {
        let possible = delimiter.as_ref().map_or(&DELIMITERS[..], std::slice::from_ref);
        let split: Vec<(u8, Vec<String>)> =
            possible.iter().filter_map(|it| Some((*it, cells(line, *it).ok()?))).collect();
        for (delimiter, names) in &split {
            if let Some(columns) = Columns::named(names)? {
                return Ok(First::Header(Layout { delimiter: *delimiter, columns, named: Named::Header }));
            }
        }
        let several = || split.iter().filter(|(_, cells)| cells.len() > 1);
        let found = several().find(|(_, cells)| could_be_a_name(&cells[0])).or_else(|| several().next());
        let delimiter = found.map_or(possible[0], |(delimiter, _)| *delimiter);
        Ok(First::Record(Layout { delimiter, columns: Columns::USUAL, named: Named::Nobody }))
    }

    /// A record's quotation marks, before its first line.
    pub fn quotes(&self) -> Quotes {
        Quotes { delimiter: self.delimiter, state: State::Begin, quoted: vec![Quoted::No] }
    }

    /// What is in a record; nothing, where all its cells are empty.
    pub fn read(&self, record: &str) -> Result<Option<Cells>, String> {
        let cells = cells(record, self.delimiter)?;
        let Columns { domain, host_type, status, all } = self.columns;
        if cells.iter().all(String::is_empty) {
            return Ok(None);
        }
        if cells.iter().skip(all).any(|cell| !cell.is_empty()) {
            return Err(format!("the line has {} cells and not {all}", cells.len()));
        }
        let (Some(domain), Some(host_type)) = (cells.get(domain), cells.get(host_type)) else {
            return Err(format!("the line has no domain and host type, separated by {}", separator(self.delimiter)));
        };
        let status = status.and_then(|place| cells.get(place)).filter(|it| !it.is_empty());
        Ok(Some(Cells { domain: domain.clone(), host_type: host_type.clone(), status: status.cloned() }))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = match self.named {
            Named::Header => "columns as the first line names them",
            Named::Nobody => "columns domain, host_type, status",
        };
        write!(f, "cells separated by {}, {columns}", separator(self.delimiter))
    }
}

fn separator(delimiter: u8) -> String {
    match delimiter {
        b',' => "a comma".to_owned(),
        b';' => "a semicolon".to_owned(),
        b'\t' => "a tab".to_owned(),
        other => char::from(other).escape_default().to_string(),
    }
}

/// What a line `sep=;` says.
pub fn declared(line: &str) -> Option<u8> {
    let (name, delimiter) = line.trim_matches('"').split_at_checked(4)?;
    let [delimiter] = delimiter.as_bytes() else { return None };
    (name.eq_ignore_ascii_case("sep=") && delimiter.is_ascii() && *delimiter != b'"').then_some(*delimiter)
}

/// The name of a column or of a member, however it is written: `Host Type`, `host_type` and `hostType` are one.
pub fn plain(name: &str) -> String {
    name.chars().filter(|it| !it.is_whitespace() && !matches!(it, '_' | '-')).flat_map(char::to_lowercase).collect()
}

impl Columns {
    const USUAL: Columns = Columns { domain: 0, host_type: 1, status: Some(2), all: 3 };

    /// What a line says that names columns; nothing, if it names none. Naming some of them only, it would have every
    /// other line read wrongly.
    fn named(names: &[String]) -> Result<Option<Columns>, String> {
        let place = |wanted: &str| {
            let mut places = names.iter().enumerate().filter(|(_, name)| plain(name) == wanted).map(|(place, _)| place);
            (places.next(), places.next())
        };
        match (place("domain"), place("hosttype"), place("status")) {
            ((Some(domain), None), (Some(host_type), None), (status, None)) => {
                Ok(Some(Columns { domain, host_type, status, all: names.len() }))
            }
            ((None, None), (None, None), _) => Ok(None),
            _ => {
                Err("the first line names columns, and has to name domain and host_type once each, status at most once"
                    .to_owned())
            }
        }
    }
}

/// Reads the quotation marks of a record, line by line.
#[derive(Debug)]
pub struct Quotes {
    delimiter: u8,
    state: State,
    /// Of each cell.
    quoted: Vec<Quoted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoted {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a cell.
    Begin,
    /// In a cell without quotation marks.
    Plain,
    /// Between them.
    Inside,
    /// Behind one that closes, or is the first of two.
    Behind,
}

/// Whether a record is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It is.
    End,
    /// It goes on in the next line.
    Inside,
}

impl Quotes {
    /// Reads a line with its end.
    pub fn read(&mut self, line: &[u8]) -> Result<Reached, String> {
        for byte in line {
            self.state = match (self.state, *byte) {
                (State::Inside, b'"') => State::Behind,
                (State::Inside, _) | (State::Behind, b'"') => State::Inside,
                (_, byte) if byte == self.delimiter => {
                    self.quoted.push(Quoted::No);
                    State::Begin
                }
                (_, b'\n' | b'\r') => return Ok(Reached::End),
                (State::Begin, b'"') => {
                    if let Some(last) = self.quoted.last_mut() {
                        *last = Quoted::Yes;
                    }
                    State::Inside
                }
                (State::Plain, b'"') => return Err("a quotation mark inside a cell".to_owned()),
                (State::Begin | State::Plain, _) => State::Plain,
                (State::Behind, _) => return Err("something behind a closing quotation mark".to_owned()),
            };
        }
        Ok(if self.state == State::Inside { Reached::Inside } else { Reached::End })
    }
}

/// The cells of a whole record without its end. Space around a cell is no part of it, unless it is quoted.
fn cells(record: &str, delimiter: u8) -> Result<Vec<String>, String> {
    // A reader of CSV is a machine that takes longer to build than most lines take to read.
    if !record.contains('"') {
        return Ok(record.split(char::from(delimiter)).map(|cell| cell.trim().to_owned()).collect());
    }
    let mut quotes = Quotes { delimiter, state: State::Begin, quoted: vec![Quoted::No] };
    if quotes.read(record.as_bytes())? == Reached::Inside {
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
    let whole = read.iter().zip(&quotes.quoted).map(|(cell, quoted)| match quoted {
        Quoted::Yes => cell.to_owned(),
        Quoted::No => cell.trim().to_owned(),
    });
    Ok(whole.collect())
}

/// A cell as it is written: in quotation marks, unless nothing in it could be taken for anything else.
pub fn cell(text: &str) -> String {
    let is_plain = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_' | '/' | '@' | ' ');
    match text.chars().all(is_plain) && text.trim() == text && !text.is_empty() {
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
    fn a_header_is_known_in_any_case_and_spacing() {
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
    fn what_separates_cells_is_seen_in_the_first_record() {
        for (line, words) in [
            ("a.example,t", "a comma"),
            ("a.example;t", "a semicolon"),
            ("a.example\tt", "a tab"),
            ("a.example,t;1", "a comma"),
            ("a.example;t,1", "a semicolon"),
            ("a.example", "a comma"),
        ] {
            let Ok(First::Record(layout)) = first(line) else { panic!("{line}") };
            assert_eq!(layout.to_string(), format!("cells separated by {words}, columns domain, host_type, status"));
        }
        assert_eq!(
            [declared("sep=;"), declared("SEP=|"), declared("sep="), declared("a.example")],
            [Some(b';'), Some(b'|'), None, None]
        );
    }

    #[test]
    fn a_record_with_empty_cells_only_says_nothing() {
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
            (&["a,t\n"][..], Ok(Reached::End)),
            (&["\"a\",\"t\"\r\n"], Ok(Reached::End)),
            (&["\"a\n", "b\",t\n"], Ok(Reached::End)),
            (&["\"a\"\"b\",t"], Ok(Reached::End)),
            (&["\"a,t\n"], Ok(Reached::Inside)),
            (&["\"a,t\"\"\n"], Ok(Reached::Inside)),
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
