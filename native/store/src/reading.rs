//! Rows that may be unreadable: one of them is left out, counted and named, and fails nothing else.
//!
//! A database may hold what its schema does not promise. In PostgreSQL's SQL_ASCII a text is any bytes; a table that
//! somebody else made may allow NULL; a column of SQLite holds whatever was put there. A statement that answers many
//! rows therefore reads each of them by itself: a value is a [`Cell`], and becomes a text or a number, or the row
//! becomes a [`UnreadableRow`] one. [`Readable`] keeps the good rows beside what is known of the others.
//!
//! How large a value may be is decided here, too, in one place for both databases.

use std::fmt;

use domain_core::EventId;
use thiserror::Error;

use crate::FreshnessDeclaration;
use crate::writer::{
    ChangedDomain, DomainSettings, HandlerProgress, LeaseState, ListedDomain, RemovalJob, RemovalStatus, Status,
};

/// Rows left out that are named in an answer.
const NAMED: usize = 10;

/// Bytes that a name, or another text of a column, may have: 250 characters.
const LONGEST: usize = 1000;

/// Bytes of a name that are shown.
const SHOWN: usize = 250;

/// The rows that could be read, and what is known of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable<T> {
    /// In the order of the statement.
    pub rows: Vec<T>,
    /// Those that are not among them.
    pub left_out: UnreadableRows,
}

/// Rows that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadableRows {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<UnreadableRow>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{table} \"{key}\": {column} {fault}")]
pub struct UnreadableRow {
    /// Its table.
    pub table: &'static str,
    /// What tells it from others, escaped: see [`escaped`].
    pub key: String,
    /// The column that is at fault.
    pub column: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is none.
    #[error("is NULL")]
    Null,
    /// It is a text that is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is no text.
    #[error("is no text")]
    NoText,
    /// It is a text of more bytes than any name has.
    #[error("is longer than 1000 bytes")]
    TooLong,
    /// It is no number, or one that is out of range.
    #[error("is no number in range")]
    NoNumber,
}

/// A value as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    /// A text in whatever encoding.
    Text(&'a [u8]),
    Number(i64),
    /// Neither.
    Other,
}

/// A column that is at fault; with a row's key it becomes a [`UnreadableRow`] row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadColumn(&'static str, Fault);

impl<T> Readable<T> {
    /// What these rows came to.
    pub(crate) fn collect(rows: impl IntoIterator<Item = Result<T, UnreadableRow>>) -> Readable<T> {
        let mut readable = Readable::default();
        rows.into_iter().for_each(|row| readable.push(row));
        readable
    }

    pub(crate) fn push(&mut self, row: Result<T, UnreadableRow>) {
        match row {
            Ok(row) => self.rows.push(row),
            Err(spoilt) => self.left_out.push(spoilt),
        }
    }
}

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Readable { rows: Vec::new(), left_out: UnreadableRows::default() }
    }
}

impl UnreadableRows {
    pub(crate) fn push(&mut self, spoilt: UnreadableRow) {
        self.count += 1;
        if self.examples.len() < NAMED {
            self.examples.push(spoilt);
        }
    }
}

impl<'a> Cell<'a> {
    /// The text of a column that has to have one.
    pub(crate) fn text(self, column: &'static str) -> Result<&'a str, BadColumn> {
        let fault = match self {
            Cell::Text(bytes) if bytes.len() > LONGEST => Fault::TooLong,
            Cell::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => return Ok(text),
                Err(_) => Fault::NotUtf8,
            },
            Cell::Null => Fault::Null,
            Cell::Number(_) | Cell::Other => Fault::NoText,
        };
        Err(BadColumn(column, fault))
    }

    /// The text for people of a column that may be NULL: its beginning, where it is long.
    pub(crate) fn optional_text(self, column: &'static str) -> Result<Option<&'a str>, BadColumn> {
        match self {
            Cell::Null => Ok(None),
            Cell::Text(bytes) => {
                let (text, rest) = (&bytes[..bytes.len().min(LONGEST)], bytes.len() > LONGEST);
                match std::str::from_utf8(text) {
                    Ok(text) => Ok(Some(text)),
                    // A character that the cut divides.
                    Err(error) if rest && error.error_len().is_none() => {
                        Ok(std::str::from_utf8(&text[..error.valid_up_to()]).ok())
                    }
                    Err(_) => Err(BadColumn(column, Fault::NotUtf8)),
                }
            }
            Cell::Number(_) | Cell::Other => Err(BadColumn(column, Fault::NoText)),
        }
    }

    /// The number of a column that has to have one.
    pub(crate) fn number(self, column: &'static str) -> Result<i64, BadColumn> {
        match self {
            Cell::Number(number) => Ok(number),
            Cell::Null => Err(BadColumn(column, Fault::Null)),
            Cell::Text(_) | Cell::Other => Err(BadColumn(column, Fault::NoNumber)),
        }
    }

    /// The same, from 0 to 4294967295.
    pub(crate) fn count(self, column: &'static str) -> Result<u32, BadColumn> {
        u32::try_from(self.number(column)?).map_err(|_| BadColumn(column, Fault::NoNumber))
    }

    /// Whatever it is, as a text for people.
    pub(crate) fn shown(self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Text(bytes) => escaped(bytes),
            Cell::Number(number) => number.to_string(),
            Cell::Other => "(no text)".to_owned(),
        }
    }
}

impl BadColumn {
    /// The row of which this is a column.
    pub(crate) fn of(self, table: &'static str, key: Cell<'_>) -> UnreadableRow {
        UnreadableRow { table, key: key.shown(), column: self.0, fault: self.1 }
    }
}

/// A row of a listing.
pub(crate) fn listed(domain: Cell<'_>, host_type: Cell<'_>, status: Cell<'_>) -> Result<ListedDomain, UnreadableRow> {
    let read = || {
        let name = domain.text("domain")?.to_owned();
        Ok(ListedDomain { domain: name, settings: settings(host_type, status)? })
    };
    read().map_err(|bad: BadColumn| bad.of("domain_settings", domain))
}

/// An event, and what the row of its domain says where there is one.
pub(crate) fn changed(
    id: EventId,
    domain: Cell<'_>,
    row: Option<(Cell<'_>, Cell<'_>)>,
) -> Result<ChangedDomain, UnreadableRow> {
    let name = domain.text("domain").map_err(|bad| bad.of("domain_events", domain))?.to_owned();
    let settings = row.map(|(host_type, status)| settings(host_type, status)).transpose();
    Ok(ChangedDomain { id, domain: name, settings: settings.map_err(|bad| bad.of("domain_settings", domain))? })
}

/// A job: domain, host type, handlers.
pub(crate) fn job(domain: Cell<'_>, host_type: Cell<'_>, handlers: Cell<'_>) -> Result<RemovalJob, UnreadableRow> {
    let read = || {
        Ok(RemovalJob {
            domain: domain.text("domain")?.to_owned(),
            host_type: host_type.text("host_type")?.to_owned(),
            handlers: handlers.count("handlers")?,
        })
    };
    read().map_err(|bad: BadColumn| bad.of("domain_removals", domain))
}

/// A removal: domain, host type, owner, whether the lease has ended (0 or 1), handlers done, handlers, failure.
pub(crate) fn removal(cells: [Cell<'_>; 7]) -> Result<RemovalStatus, UnreadableRow> {
    let [domain, host_type, owner, ended, done, of, failure] = cells;
    let read = || {
        Ok(RemovalStatus {
            domain: domain.text("domain")?.to_owned(),
            host_type: host_type.text("host_type")?.to_owned(),
            owner: owner.optional_text("owner")?.map(str::to_owned),
            lease: if ended.number("lease_until")? == 0 { LeaseState::Running } else { LeaseState::Ended },
            handlers: HandlerProgress { done: done.count("handlers_done")?, of: of.count("handlers")? },
            failure: failure.optional_text("failure")?.map(str::to_owned),
        })
    };
    read().map_err(|bad: BadColumn| bad.of("domain_removals", domain))
}

/// A declaration, as of `now`.
pub(crate) fn freshness(
    domain: Cell<'_>,
    expire_time: Cell<'_>,
    now: Cell<'_>,
) -> Result<FreshnessDeclaration, UnreadableRow> {
    let read = || {
        let (name, expire_time) = (domain.text("domain")?.to_owned(), expire_time.number("expire_time")?);
        Ok(FreshnessDeclaration::judge(name, expire_time, now.number("now")?))
    };
    read().map_err(|bad: BadColumn| bad.of("domain_freshness", domain))
}

fn settings(host_type: Cell<'_>, status: Cell<'_>) -> Result<DomainSettings, BadColumn> {
    Ok(DomainSettings {
        host_type: host_type.text("host_type")?.to_owned(),
        status: Status::new(status.number("status")?),
    })
}

/// The same for the row of one domain, which is named already: a host type that is no text is escaped, and a status that
/// is no number is unknown.
pub(crate) fn settings_of_one(host_type: Cell<'_>, status: Cell<'_>) -> DomainSettings {
    settings(host_type, status).unwrap_or_else(|_| DomainSettings {
        host_type: host_type.text("host_type").map_or_else(|_| host_type.shown(), str::to_owned),
        status: Status::new(status.number("status").unwrap_or(i64::MIN)),
    })
}

/// A text of which every byte can be told: what is not UTF-8, and what no screen shows, as `\xff`; a backslash as
/// `\\`. The end of a long one is cut off.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(SHOWN)].utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str(r"\\"),
                '"' => text.push_str("\\\""),
                shown if !shown.is_control() => text.push(shown),
                control => control.to_string().bytes().for_each(|byte| push_byte(&mut text, byte)),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_byte(&mut text, *byte));
    }
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text
}

fn push_byte(text: &mut String, byte: u8) {
    // Writing to a String does not fail.
    let _ = fmt::Write::write_fmt(text, format_args!(r"\x{byte:02x}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_escaped_text_can_be_told() {
        assert_eq!(escaped(b"b\xffd.example"), r"b\xffd.example");
        assert_eq!(escaped("é\\\"\n".as_bytes()), r#"é\\\"\x0a"#);
        assert_eq!(escaped(&[b'a'; 300]).chars().count(), SHOWN + 1);
        // A character that the cut divides.
        assert!(escaped("é".repeat(200).as_bytes()).ends_with('…'));
    }

    #[test]
    fn rows_that_cannot_be_read_are_counted_and_the_first_are_named() {
        let row = |n: u64| if n.is_multiple_of(2) { Ok(n) } else { Err(bad()) };
        let readable = Readable::collect((0..100).map(row));
        assert_eq!((readable.rows.len(), readable.left_out.count, readable.left_out.examples.len()), (50, 50, NAMED));
        assert_eq!(bad().to_string(), r#"domain_settings "a\xff": host_type is NULL"#);
    }

    fn bad() -> UnreadableRow {
        Cell::Null.text("host_type").unwrap_err().of("domain_settings", Cell::Text(b"a\xff"))
    }

    #[test]
    fn a_value_is_what_its_column_needs_or_a_fault() {
        assert_eq!(Cell::Text(b"a").text("c"), Ok("a"));
        assert_eq!(Cell::Text(b"\xff").text("c"), Err(BadColumn("c", Fault::NotUtf8)));
        assert_eq!(Cell::Other.text("c"), Err(BadColumn("c", Fault::NoText)));
        assert_eq!(Cell::Text(&[b'a'; 1001]).text("c"), Err(BadColumn("c", Fault::TooLong)));
        assert_eq!(Cell::Text(&[b'a'; 1001]).optional_text("c").unwrap().unwrap().len(), 1000);
        // A character that the cut divides.
        assert_eq!(
            Cell::Text(format!("a{}", "é".repeat(600)).as_bytes()).optional_text("c").unwrap().unwrap().len(),
            999
        );
        assert_eq!(Cell::Null.optional_text("c"), Ok(None));
        assert_eq!(Cell::Number(-1).count("c"), Err(BadColumn("c", Fault::NoNumber)));
        assert_eq!(Cell::Text(b"1").number("c"), Err(BadColumn("c", Fault::NoNumber)));
    }
}
