//! A change on PostgreSQL: a statement whose refusal is looked at until it is known what it means.
//!
//! [`refusal`](super::refusal) knows that from the error alone but for one case. A second row may be a lost race (the
//! same domain, added elsewhere), a row that a user's own constraint is against, or a sequence that hands out ids which
//! are there: the constraint's columns, and the sequence, tell.

use std::time::Instant;

use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::refusal::{is_own_duplicate, judge, words};
use super::sequences;
use super::session::Session;
use crate::StoreError;
use crate::error::chain;

/// Runs a change against its deadline and the stop signal.
pub(super) fn change<T>(
    session: &Session,
    doing: &'static str,
    until: Instant,
    statement: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    let limit = until.saturating_duration_since(Instant::now()).min(session.timeouts.statement);
    session.attempt(doing, limit, statement)?.map_err(|error| examine(session, doing, &error, until))
}

/// What a refusal means, with a look at which constraint a second row would break.
fn examine(session: &Session, doing: &'static str, error: &Error, until: Instant) -> StoreError {
    let own = error.as_db_error().filter(|db| is_own_duplicate(db));
    let Some((table, constraint)) = own.and_then(|db| Some((db.table()?, db.constraint()?))) else {
        return judge(doing, error);
    };
    // Where these cannot be read, it is run again, and the reason is kept.
    match columns(session, table, constraint, until) {
        Ok(columns) if columns.iter().any(|column| column == "domain") => judge(doing, error),
        Ok(columns) if columns == ["id"] => match sequences::blocked(session, table, until) {
            Ok(Some(sequence)) => StoreError::Refused {
                doing,
                reason: format!(
                    "the sequence {} hands out ids that {table} has already (it is at {}, the newest id is {}): run {}; {}",
                    sequence.name,
                    sequence.next.unwrap_or_default(),
                    sequence.newest.unwrap_or_default(),
                    sequence.remedy(),
                    chain(error)
                ),
            },
            Ok(None) | Err(_) => judge(doing, error),
        },
        Ok(columns) if !columns.is_empty() => {
            StoreError::row_refused(doing, error.as_db_error().map_or_else(|| chain(error), words))
        }
        Ok(_) | Err(_) => judge(doing, error),
    }
}

/// The columns of a unique index.
fn columns(session: &Session, table: &str, index: &str, until: Instant) -> Result<Vec<String>, StoreError> {
    const DOING: &str = "looking at a constraint";
    let sql = "SELECT a.attname::text FROM pg_index i
                 JOIN pg_class c ON c.oid = i.indexrelid
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                WHERE i.indrelid = to_regclass($1) AND c.relname = $2";
    let left = until.saturating_duration_since(Instant::now()).min(session.timeouts.statement);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&table, Type::TEXT), (&index, Type::TEXT)];
    let rows = session.call(DOING, left, session.client.query_typed(sql, &parameters))?;
    rows.iter().map(|row| row.try_get(0).map_err(|error| StoreError::failed(DOING, &error))).collect()
}
