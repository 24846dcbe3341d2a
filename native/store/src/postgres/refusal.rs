//! What PostgreSQL means when it refuses a change: the row, the statement, or another transaction that came first.
//!
//! | what it is | which codes | what is done |
//! |---|---|---|
//! | a lost race | serialization failures, deadlocks, a second row of the same domain | the change is run again |
//! | the row is refused | constraints, triggers, types, policies for rows; codes that a trigger made up | told to who asked |
//! | the statement is refused | rights, locks, time-outs, resources, the schema, a sequence that is behind | logged |
//!
//! The last is what a code means when it is in one of the classes below, whichever row is at hand. A unique violation is
//! looked at more closely by [`change`](super::change), since the constraint decides what it means.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::StoreError;
use crate::error::chain;

/// Codes by which the database says that another transaction came first.
const LOST_RACE: [SqlState; 2] = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];

/// Codes by which the server says that it ends the connection. A transaction may have been committed before.
const ENDS: [SqlState; 3] = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];

/// Classes of codes that speak of the statement, the session or the server.
const NOT_OF_ROWS: [&str; 20] = [
    "03", "08", "0A", "0B", "24", "25", "26", "28", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58",
    "XX",
];

/// The tables whose unique violations are this project's own.
const TABLES: [&str; 5] = ["domain_settings", "domain_events", "domain_admins", "domain_removals", "domain_freshness"];

/// What it means for a statement that changes no rows of people.
pub(super) fn of_statement(doing: &'static str, error: &Error) -> StoreError {
    match judge(doing, error) {
        StoreError::RowRefused { .. } => StoreError::Refused { doing, reason: chain(error) },
        other => other,
    }
}

/// What an error means that no look at the database explains.
pub(super) fn judge(doing: &'static str, error: &Error) -> StoreError {
    match error.as_db_error() {
        None => StoreError::failed(doing, error),
        Some(db) if LOST_RACE.contains(db.code()) || is_own_duplicate(db) => {
            StoreError::Conflict { doing, reason: chain(error) }
        }
        Some(db) if *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION => {
            StoreError::StaleConnection { doing, reason: chain(error) }
        }
        Some(db) if ENDS.contains(db.code()) => StoreError::failed(doing, error),
        Some(db) if is_of_row(db) => StoreError::row_refused(doing, words(db)),
        Some(db) if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
            StoreError::Refused { doing, reason: format!("{} ({})", chain(error), missing_right(db)) }
        }
        Some(_) => StoreError::Refused { doing, reason: chain(error) },
    }
}

/// What to do where rows may not be seen.
pub(super) const SEE_ALL: &str = "what may not be seen is not taken for what is not there: ALTER ROLE … BYPASSRLS; or, where the \
                                  user owns the table, ALTER TABLE … NO FORCE ROW LEVEL SECURITY";

/// What to do where a right is missing. The server's routine tells a policy from other rights in every language.
fn missing_right(db: &DbError) -> &'static str {
    match db.routine() {
        Some("check_enable_rls") => SEE_ALL,
        _ => {
            "the database's user needs SELECT on all tables to follow, and INSERT, UPDATE and DELETE to change domains; \
             CREATE on the schema where a table is not there yet"
        }
    }
}

/// Whether there is a second row of something in a table of this project's, or in the catalogue, where two create the
/// same table.
pub(super) fn is_own_duplicate(db: &DbError) -> bool {
    *db.code() == SqlState::UNIQUE_VIOLATION
        && (db.schema() == Some("pg_catalog") || db.table().is_some_and(|table| TABLES.contains(&table)))
}

fn is_of_row(db: &DbError) -> bool {
    let code = db.code().code();
    match code {
        // A policy for rows has the code of a missing right, and a sequence that has ended the class of a wrong value.
        "42501" => db.routine() == Some("ExecWithCheckOptions"),
        "2200H" => false,
        _ => !NOT_OF_ROWS.iter().any(|class| code.starts_with(class)),
    }
}

/// What the database says of a row. Its details are left out where they may repeat the row, in which a password may lie.
pub(super) fn words(db: &DbError) -> String {
    let mut words = db.message().to_owned();
    let of_keys = [SqlState::UNIQUE_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION, SqlState::EXCLUSION_VIOLATION];
    let detail = db.detail().filter(|_| of_keys.contains(db.code()) && db.table() != Some("domain_admins"));
    for more in [detail, db.hint()].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more);
    }
    words
}
