//! Columns of an answer to a statement that was sent as a text: each value is a text there, and the column's type tells
//! what it means.

use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use crate::readable::Cell;

/// A column of an answer, whatever its type is.
pub(super) fn cell(row: &Row, column: usize) -> Cell<'_> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).map(Cell::Number);
    match row.as_ref(column) {
        None | Some(Value::NULL) => Cell::Null,
        Some(Value::Int(number)) => Cell::Number(*number),
        Some(Value::UInt(number)) => i64::try_from(*number).map_or(Cell::Other, Cell::Number),
        Some(Value::Bytes(bytes)) => match row.columns_ref()[column].column_type() {
            ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_LONGLONG => number(bytes).unwrap_or(Cell::Other),
            ColumnType::MYSQL_TYPE_VARCHAR
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_BLOB => Cell::Text(bytes),
            _ => Cell::Other,
        },
        Some(_) => Cell::Other,
    }
}
