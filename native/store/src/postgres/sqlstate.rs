//! What PostgreSQL's error codes (SQLSTATE) mean for a statement.
//!
//! | meaning | codes | what follows |
//! |---|---|---|
//! | not supported | see [`if_supported`] | the caller does without the statement |
//! | conflict | serialization failures, deadlocks, a duplicate of a domain | the change is run again |
//! | the row is refused | constraints, triggers, types, policies for rows; codes that a trigger made up | the caller of the change gets the reason |
//! | the statement is refused | rights, locks, time-outs, resources, the schema, a sequence that is behind | the reason is logged |
//!
//! A code whose class is one of [`STATEMENT_CLASSES`] refuses the statement, whichever row it concerns. What a unique
//! violation means depends on the constraint, which [`change`](super::writer) looks up.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::StoreError;
use crate::error::chain;

/// Codes of a database that does not support a statement: PostgreSQL in recovery does not LISTEN, CockroachDB does not
/// COPY from a query and lacks some functions, and some databases deny them to ordinary users.
const UNSUPPORTED: [SqlState; 7] = [
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::SYNTAX_ERROR,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_COLUMN,
    SqlState::INSUFFICIENT_PRIVILEGE,
];

/// Codes of a transaction that another transaction forestalled.
const CONFLICT: [SqlState; 2] = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];

/// Codes with which the server closes the connection. The transaction may have been committed before.
const SHUTDOWN: [SqlState; 3] = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];

/// Classes of codes that concern the statement, the session or the server, and not a row.
const STATEMENT_CLASSES: [&str; 20] = [
    "03", "08", "0A", "0B", "24", "25", "26", "28", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58",
    "XX",
];

/// The tables that this project creates.
const TABLES: [&str; 5] = ["domain_settings", "domain_events", "domain_admins", "domain_removals", "domain_freshness"];

/// What to do where row-level security hides rows.
pub(super) const ROW_SECURITY_ADVICE: &str = "a row that cannot be seen must not be taken for one that is not there: ALTER ROLE … BYPASSRLS; or, where the user \
     owns the table, ALTER TABLE … NO FORCE ROW LEVEL SECURITY";

/// The result of a statement, or nothing where the database does not support it.
pub(super) fn if_supported<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) if error.code().is_some_and(|code| UNSUPPORTED.contains(code)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error of a statement that changes no row for a caller.
pub(super) fn statement_error(doing: &'static str, error: &Error) -> StoreError {
    match change_error(doing, error) {
        StoreError::RowRefused { .. } => StoreError::Refused { doing, reason: chain(error) },
        other => other,
    }
}

/// The error of a change, as far as the code alone tells.
pub(super) fn change_error(doing: &'static str, error: &Error) -> StoreError {
    match error.as_db_error() {
        None => StoreError::failed(doing, error),
        Some(db) if CONFLICT.contains(db.code()) || is_own_duplicate(db) => {
            StoreError::Conflict { doing, reason: chain(error) }
        }
        Some(db) if *db.code() == SqlState::READ_ONLY_SQL_TRANSACTION => {
            StoreError::StaleConnection { doing, reason: chain(error) }
        }
        Some(db) if SHUTDOWN.contains(db.code()) => StoreError::failed(doing, error),
        Some(db) if refuses_row(db) => StoreError::row_refused(doing, row_message(db)),
        Some(db) if *db.code() == SqlState::INSUFFICIENT_PRIVILEGE => {
            StoreError::Refused { doing, reason: format!("{} ({})", chain(error), privilege_advice(db)) }
        }
        Some(_) => StoreError::Refused { doing, reason: chain(error) },
    }
}

/// What to do where a right is missing. The name of the server's routine tells a policy from other rights; the message
/// depends on the server's language.
fn privilege_advice(db: &DbError) -> &'static str {
    match db.routine() {
        Some("check_enable_rls") => ROW_SECURITY_ADVICE,
        _ => {
            "the database's user needs SELECT on all tables to follow, and INSERT, UPDATE and DELETE to change domains; \
             CREATE on the schema where a table is not there yet"
        }
    }
}

/// Whether this is a unique violation in one of this project's tables, or in the catalogue, where two sessions create the
/// same table.
pub(super) fn is_own_duplicate(db: &DbError) -> bool {
    *db.code() == SqlState::UNIQUE_VIOLATION
        && (db.schema() == Some("pg_catalog") || db.table().is_some_and(|table| TABLES.contains(&table)))
}

fn refuses_row(db: &DbError) -> bool {
    let code = db.code().code();
    match code {
        // A policy for rows has the code of a missing right, and an exhausted sequence the class of an invalid value.
        "42501" => db.routine() == Some("ExecWithCheckOptions"),
        "2200H" => false,
        _ => !STATEMENT_CLASSES.iter().any(|class| code.starts_with(class)),
    }
}

/// The server's message about a row. Details are left out where they may repeat the row, which may hold a password.
pub(super) fn row_message(db: &DbError) -> String {
    let mut message = db.message().to_owned();
    let of_keys = [SqlState::UNIQUE_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION, SqlState::EXCLUSION_VIOLATION];
    let detail = db.detail().filter(|_| of_keys.contains(db.code()) && db.table() != Some("domain_admins"));
    for more in [detail, db.hint()].into_iter().flatten() {
        message.push_str("; ");
        message.push_str(more);
    }
    message
}
