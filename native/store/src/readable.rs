//! Rows that may be unreadable: such a row is left out of a result, counted and named, and the others are returned.
//!
//! A database may hold values that its schema should not allow. In PostgreSQL's SQL_ASCII a text may be any bytes; a table
//! with another schema may allow NULL; a column of SQLite holds values of any type. So each column of each row is read as
//! a [`Cell`], which is then converted to a text or a number. If that fails, the row becomes an [`UnreadableRow`].
//!
//! The limit on the length of a value is the same for all databases and is defined here.

use std::fmt;

use thiserror::Error;

/// The number of unreadable rows that are kept as examples.
const MAX_EXAMPLES: usize = 10;

/// The longest text of a column, in bytes: 250 characters.
const MAX_BYTES: usize = 1000;

/// The longest part of a text that [`escaped`] shows, in bytes.
const SHOWN_BYTES: usize = 250;

/// The readable rows of a result, and a summary of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable<T> {
    /// The readable rows, in the order of the result.
    pub rows: Vec<T>,
    /// The unreadable rows.
    pub left_out: UnreadableRows,
}

/// A summary of unreadable rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadableRows {
    /// Their number.
    pub count: u64,
    /// The first ten of them.
    pub examples: Vec<UnreadableRow>,
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{table} \"{key}\": {column} {fault}")]
pub struct UnreadableRow {
    /// The table.
    pub table: &'static str,
    /// The row's key, escaped.
    pub key: String,
    /// The unreadable column.
    pub column: &'static str,
    /// What is wrong with its value.
    pub fault: ValueFault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueFault {
    /// It is NULL.
    #[error("is NULL")]
    Null,
    /// It is a text that is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is no text.
    #[error("is no text")]
    NoText,
    /// It is a text of more than 1000 bytes.
    #[error("is longer than 1000 bytes")]
    TooLong,
    /// It is no number, or one that is out of range.
    #[error("is no number in range")]
    NoNumber,
}

/// A value of any type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    /// A text in any encoding.
    Text(&'a [u8]),
    Number(i64),
    /// A value of another type.
    Other,
}

/// An unreadable column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidColumn(&'static str, ValueFault);

impl<T> Readable<T> {
    /// Separates readable from unreadable rows.
    pub(crate) fn collect(rows: impl IntoIterator<Item = Result<T, UnreadableRow>>) -> Readable<T> {
        let mut readable = Readable::default();
        rows.into_iter().for_each(|row| readable.push(row));
        readable
    }

    pub(crate) fn push(&mut self, row: Result<T, UnreadableRow>) {
        match row {
            Ok(row) => self.rows.push(row),
            Err(row) => self.left_out.push(row),
        }
    }
}

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Readable { rows: Vec::new(), left_out: UnreadableRows::default() }
    }
}

impl UnreadableRows {
    pub(crate) fn push(&mut self, row: UnreadableRow) {
        self.count += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(row);
        }
    }
}

impl<'a> Cell<'a> {
    /// The text of a column that may not be NULL.
    pub(crate) fn text(self, column: &'static str) -> Result<&'a str, InvalidColumn> {
        let fault = match self {
            Cell::Text(bytes) if bytes.len() > MAX_BYTES => ValueFault::TooLong,
            Cell::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => return Ok(text),
                Err(_) => ValueFault::NotUtf8,
            },
            Cell::Null => ValueFault::Null,
            Cell::Number(_) | Cell::Other => ValueFault::NoText,
        };
        Err(InvalidColumn(column, fault))
    }

    /// The text of a column that may be NULL, cut after 1000 bytes.
    pub(crate) fn optional_text(self, column: &'static str) -> Result<Option<&'a str>, InvalidColumn> {
        match self {
            Cell::Null => Ok(None),
            Cell::Text(bytes) => {
                let (text, rest) = (&bytes[..bytes.len().min(MAX_BYTES)], bytes.len() > MAX_BYTES);
                match std::str::from_utf8(text) {
                    Ok(text) => Ok(Some(text)),
                    // The cut is within a character.
                    Err(error) if rest && error.error_len().is_none() => {
                        Ok(std::str::from_utf8(&text[..error.valid_up_to()]).ok())
                    }
                    Err(_) => Err(InvalidColumn(column, ValueFault::NotUtf8)),
                }
            }
            Cell::Number(_) | Cell::Other => Err(InvalidColumn(column, ValueFault::NoText)),
        }
    }

    /// The number of a column that may not be NULL.
    pub(crate) fn number(self, column: &'static str) -> Result<i64, InvalidColumn> {
        match self {
            Cell::Number(number) => Ok(number),
            Cell::Null => Err(InvalidColumn(column, ValueFault::Null)),
            Cell::Text(_) | Cell::Other => Err(InvalidColumn(column, ValueFault::NoNumber)),
        }
    }

    /// The same, from 0 to 4294967295.
    pub(crate) fn count(self, column: &'static str) -> Result<u32, InvalidColumn> {
        u32::try_from(self.number(column)?).map_err(|_| InvalidColumn(column, ValueFault::NoNumber))
    }

    /// The value as a text that can be displayed.
    pub(crate) fn shown(self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Text(bytes) => escaped(bytes),
            Cell::Number(number) => number.to_string(),
            Cell::Other => "(no text)".to_owned(),
        }
    }
}

impl InvalidColumn {
    /// The row with this key, which is unreadable because of this column.
    pub(crate) fn in_row(self, table: &'static str, key: Cell<'_>) -> UnreadableRow {
        UnreadableRow { table, key: key.shown(), column: self.0, fault: self.1 }
    }
}

/// A text with every invalid or invisible byte written as `\xff`, and a backslash as `\\`. A long text is cut.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(SHOWN_BYTES)].utf8_chunks() {
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
    if bytes.len() > SHOWN_BYTES {
        text.push('…');
    }
    text
}

fn push_byte(text: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = fmt::Write::write_fmt(text, format_args!(r"\x{byte:02x}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_escaped_text_can_be_distinguished() {
        assert_eq!(escaped(b"b\xffd.example"), r"b\xffd.example");
        assert_eq!(escaped("é\\\"\n".as_bytes()), r#"é\\\"\x0a"#);
        assert_eq!(escaped(&[b'a'; 300]).chars().count(), SHOWN_BYTES + 1);
        // The cut is within a character.
        assert!(escaped("é".repeat(200).as_bytes()).ends_with('…'));
    }

    #[test]
    fn rows_that_cannot_be_read_are_counted_and_the_first_are_named() {
        let row = |n: u64| if n.is_multiple_of(2) { Ok(n) } else { Err(bad()) };
        let readable = Readable::collect((0..100).map(row));
        assert_eq!(
            (readable.rows.len(), readable.left_out.count, readable.left_out.examples.len()),
            (50, 50, MAX_EXAMPLES)
        );
        assert_eq!(bad().to_string(), r#"domain_settings "a\xff": host_type is NULL"#);
    }

    fn bad() -> UnreadableRow {
        Cell::Null.text("host_type").unwrap_err().in_row("domain_settings", Cell::Text(b"a\xff"))
    }

    #[test]
    fn a_value_is_what_its_column_needs_or_a_fault() {
        assert_eq!(Cell::Text(b"a").text("c"), Ok("a"));
        assert_eq!(Cell::Text(b"\xff").text("c"), Err(InvalidColumn("c", ValueFault::NotUtf8)));
        assert_eq!(Cell::Other.text("c"), Err(InvalidColumn("c", ValueFault::NoText)));
        assert_eq!(Cell::Text(&[b'a'; 1001]).text("c"), Err(InvalidColumn("c", ValueFault::TooLong)));
        assert_eq!(Cell::Text(&[b'a'; 1001]).optional_text("c").unwrap().unwrap().len(), 1000);
        // The cut is within a character.
        assert_eq!(
            Cell::Text(format!("a{}", "é".repeat(600)).as_bytes()).optional_text("c").unwrap().unwrap().len(),
            999
        );
        assert_eq!(Cell::Null.optional_text("c"), Ok(None));
        assert_eq!(Cell::Number(-1).count("c"), Err(InvalidColumn("c", ValueFault::NoNumber)));
        assert_eq!(Cell::Text(b"1").number("c"), Err(InvalidColumn("c", ValueFault::NoNumber)));
    }
}
