//! Runs a change, and finds out what a refusal means.
//!
//! [`sqlstate`](crate::postgres::sqlstate) tells it from the error alone, except for a unique violation. That is a conflict
//! (another session has added the domain), the violation of a constraint that the administrator has added, or the result
//! of a sequence that returns existing ids. The columns of the constraint, and the sequence, tell which.

use std::time::Instant;

use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::sequences;
use crate::StoreError;
use crate::error::chain;
use crate::postgres::session::Session;
use crate::postgres::sqlstate::{change_error, is_own_duplicate, row_message};

/// Runs a change against its deadline and the stop signal.
pub(super) fn change<T>(
    session: &Session,
    doing: &'static str,
    until: Instant,
    statement: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    session.attempt(doing, session.time_left(until), statement)?.map_err(|error| explain(session, doing, &error, until))
}

/// What an error means. Looks up the constraint of a unique violation.
fn explain(session: &Session, doing: &'static str, error: &Error, until: Instant) -> StoreError {
    let own = error.as_db_error().filter(|db| is_own_duplicate(db));
    let Some((table, constraint)) = own.and_then(|db| Some((db.table()?, db.constraint()?))) else {
        return change_error(doing, error);
    };
    // If the lookup fails, the violation is taken for a conflict.
    match columns(session, table, constraint, until) {
        Ok(columns) if columns.iter().any(|column| column == "domain") => change_error(doing, error),
        Ok(columns) if columns == ["id"] => match sequences::blocked(session, table, until) {
            Ok(Some(sequence)) => StoreError::Refused {
                doing,
                reason: format!(
                    "the sequence {} returns ids that {table} already has (it is at {}, the newest id is {}): run {}; {}",
                    sequence.name,
                    sequence.next.unwrap_or_default(),
                    sequence.newest.unwrap_or_default(),
                    sequence.remedy(),
                    chain(error)
                ),
            },
            Ok(None) | Err(_) => change_error(doing, error),
        },
        Ok(columns) if !columns.is_empty() => {
            StoreError::row_refused(doing, error.as_db_error().map_or_else(|| chain(error), row_message))
        }
        Ok(_) | Err(_) => change_error(doing, error),
    }
}

/// The columns of a unique index.
fn columns(session: &Session, table: &str, index: &str, until: Instant) -> Result<Vec<String>, StoreError> {
    const DOING: &str = "looking at a constraint";
    let sql = "SELECT a.attname::text FROM pg_index i
                 JOIN pg_class c ON c.oid = i.indexrelid
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = to_regclass($1) AND c.relname = $2";
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&table, Type::TEXT), (&index, Type::TEXT)];
    let rows = session.call(DOING, session.time_left(until), session.client.query_typed(sql, &parameters))?;
    rows.iter().map(|row| row.try_get(0).map_err(|error| StoreError::failed(DOING, &error))).collect()
}
