//! Columns of an answer. The session's answers are UTF-8, except where a column holds bytes of no character set.

use mysql_async::{Row, Value};

/// A text as bytes; empty if the column is NULL or no text.
pub(super) fn bytes(row: &Row, column: usize) -> &[u8] {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

/// A text, with replacement characters where it is not UTF-8.
pub(super) fn text(row: &Row, column: usize) -> String {
    String::from_utf8_lossy(bytes(row, column)).into_owned()
}

/// A whole number; none if the column is NULL or out of range. Numbers are texts in answers to unprepared statements.
pub(super) fn number(row: &Row, column: usize) -> Option<i64> {
    match row.as_ref(column)? {
        Value::Int(number) => Some(*number),
        Value::UInt(number) => i64::try_from(*number).ok(),
        Value::Bytes(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// The host type and the status of a row, as [`crate::Row::read`] takes them. A NULL becomes a host type or a status that
/// does not exist.
pub(super) fn row_settings(row: &Row, host_type: usize, status: usize) -> (&[u8], i64) {
    (bytes(row, host_type), number(row, status).unwrap_or(i64::MIN))
}

pub(super) fn is_null(row: &Row, column: usize) -> bool {
    matches!(row.as_ref(column), None | Some(Value::NULL))
}
