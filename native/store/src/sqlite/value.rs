//! Columns of an answer: in SQLite, every column may hold values of any type.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::readable::Cell;

/// The database's clock, in milliseconds since 1970.
pub(super) const NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
/// The same in nanoseconds, with a precision of milliseconds.
pub(super) const NOW_NS: &str = "(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000000)";

/// A name as bytes. A value of another type becomes the empty name, which is invalid: a blob equals no text in SQL.
pub(super) fn name_bytes(value: ValueRef<'_>) -> &[u8] {
    if let ValueRef::Text(text) = value { text } else { &[] }
}

/// A status. A value of another type becomes a number that is no status.
pub(super) fn status_number(value: ValueRef<'_>) -> i64 {
    value.as_i64().unwrap_or(i64::MIN)
}

/// A column of an answer, whatever its type is.
pub(super) fn cell<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cell<'a>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Text(text) => Cell::Text(text),
        ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Other,
    })
}
