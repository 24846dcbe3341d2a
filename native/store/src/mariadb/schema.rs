//! Creates the tables, or checks those that are there.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::session::Session;
use crate::StoreError;
use crate::schema::{self, Column, Kind};

const DOING: &str = "reading or creating the tables";

/// The columns of a table, none if it is absent; and its engine, if it is no view.
struct Found {
    columns: Vec<Column>,
    engine: Option<String>,
}

/// Creates absent tables, and checks the others.
pub(super) fn prepare(session: &mut Session) -> Result<(), StoreError> {
    let limit = session.timeouts.statement;
    // Both closures use the session, and never at once.
    let session = std::cell::RefCell::new(session);
    schema::prepare(
        |table| {
            let found = session.borrow_mut().call(DOING, limit, async |conn| read(conn, table).await)?;
            match found.engine {
                Some(engine) if engine != "InnoDB" => Err(without_transactions(table, &engine)),
                _ => Ok(found.columns),
            }
        },
        || session.borrow_mut().call(DOING, limit, async |conn| conn.query_drop(schema::MARIADB).await),
        has_type,
    )
}

async fn read(conn: &mut Conn, table: &str) -> Result<Found, Error> {
    // Not prepared: a prepared statement about the catalogue keeps what it found first.
    let columns: Vec<(String, String)> = conn
        .query(format!(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
              WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
        ))
        .await?;
    let engine: Option<Option<String>> = conn
        .query_first(format!(
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'"
        ))
        .await?;
    let column = |(name, type_name): (String, String)| Column { name: name.to_lowercase(), type_name };
    Ok(Found { columns: columns.into_iter().map(column).collect(), engine: engine.flatten() })
}

fn without_transactions(table: &str, engine: &str) -> StoreError {
    let reason = format!(
        "table {table} has the engine {engine}, which has no transactions: a row and its event could not be written \
         together (ALTER TABLE {table} ENGINE=InnoDB)"
    );
    StoreError::Refused { doing: DOING, reason }
}

/// MongooseIM's tables have `BIGINT UNSIGNED`, `TINYINT`, `VARCHAR` and `TEXT`.
fn has_type(type_name: &str, kind: Kind) -> bool {
    match kind {
        Kind::BigInt => type_name == "bigint",
        Kind::SmallInt => ["tinyint", "smallint"].contains(&type_name),
        Kind::Text => ["varchar", "tinytext", "text", "mediumtext", "longtext"].contains(&type_name),
    }
}
