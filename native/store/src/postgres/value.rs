//! Columns of an answer as bytes: where a database's encoding is SQL_ASCII, a text may be any bytes.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::readable::Cell;

/// A text in an unknown encoding.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawText<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for RawText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(RawText(raw))
    }

    fn accepts(type_: &Type) -> bool {
        [Type::VARCHAR, Type::TEXT].contains(type_)
    }
}

impl ToSql for RawText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(type_: &Type) -> bool {
        [Type::VARCHAR, Type::TEXT].contains(type_)
    }

    to_sql_checked!();
}

/// The host type and the status of a row, as [`crate::Row::read`] takes them. A NULL becomes a host type or a status
/// that does not exist.
pub(super) fn row_settings<'a>(host_type: Option<RawText<'a>>, status: Option<i16>) -> (&'a [u8], i64) {
    (host_type.unwrap_or_default().0, status.map_or(i64::MIN, i64::from))
}

/// A column of an answer, whatever its type is.
pub(super) fn cell(row: &Row, column: usize) -> Cell<'_> {
    let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Number);
    let value = match *row.columns()[column].type_() {
        Type::INT2 => row.try_get::<_, Option<i16>>(column).map(|found| number(found.map(i64::from))),
        Type::INT4 => row.try_get::<_, Option<i32>>(column).map(|found| number(found.map(i64::from))),
        Type::INT8 => row.try_get::<_, Option<i64>>(column).map(number),
        Type::VARCHAR | Type::TEXT => {
            let text = row.try_get::<_, Option<RawText<'_>>>(column);
            text.map(|found| found.map_or(Cell::Null, |RawText(bytes)| Cell::Text(bytes)))
        }
        _ => return Cell::Other,
    };
    value.unwrap_or(Cell::Other)
}
