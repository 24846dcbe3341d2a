//! Creates the tables of a file, or checks them.

use rusqlite::Connection;

use crate::StoreError;
use crate::schema::{self, Column, Kind};

pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::failed("reading or creating the tables", &error);
    schema::prepare(
        |table| columns(connection, table).map_err(failed),
        || connection.execute_batch(schema::SQLITE).map_err(failed),
        has_type,
    )
}

/// The columns of a table; none if it does not exist.
pub(super) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut select = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let columns = select.query_map([table], |row| Ok(Column { name: row.get(0)?, type_name: row.get(1)? }))?;
    columns.collect()
}

/// SQLite's rule for the affinity of a declared type.
fn has_type(declared: &str, kind: Kind) -> bool {
    let declared = declared.to_ascii_uppercase();
    match kind {
        Kind::BigInt | Kind::SmallInt => declared.contains("INT"),
        Kind::Text => ["CHAR", "CLOB", "TEXT"].iter().any(|text| declared.contains(text)),
    }
}
