//! What MariaDB's error codes mean for a statement.
//!
//! | meaning | codes | what follows |
//! |---|---|---|
//! | not supported | see [`if_supported`] | the caller does without the statement |
//! | conflict | deadlocks, also those that Galera reports at the commit, and duplicates | the change is run again |
//! | the server takes no changes | read-only servers, nodes outside of Galera's primary component | another server is tried |
//! | the row is refused | constraints, values that do not fit, triggers that signal | the caller of the change gets the reason |
//! | the connection ends | shutdowns, `KILL` | the change may have been made or not |
//! | the statement is refused | everything else: rights, locks, time-outs, the schema | the reason is logged |
//!
//! The message of a duplicate names a key and no table. So [`change_error`] takes every duplicate for one of a domain; a
//! writer that knows better says so itself.

use mysql_async::{Error, IoError, ServerError};

use crate::StoreError;
use crate::error::chain;

/// The server has as many connections as it may, or the user has.
pub(super) const TOO_MANY_CONNECTIONS: [u16; 3] = [1040, 1203, 1226];

/// A node outside of Galera's primary component refuses statements.
pub(super) const NOT_PRIMARY: u16 = 1047;

/// A row with this key is there already.
pub(super) const DUPLICATE: u16 = 1062;

/// The table has no such column.
pub(super) const NO_SUCH_COLUMN: u16 = 1054;

/// No such variable, no right, no such table in the catalogue, no such table.
const UNSUPPORTED: [u16; 7] = [1193, 1044, 1109, 1142, 1143, 1146, 1227];

/// A deadlock, or a change that another node of Galera forestalled.
pub(super) const DEADLOCK: u16 = 1213;

/// A row was changed since it was read, a deadlock, a duplicate.
const CONFLICT: [u16; 3] = [1020, DUPLICATE, DEADLOCK];

/// `read_only`, a read-only transaction or engine, and nodes outside of the primary component.
const STALE: [u16; 4] = [NOT_PRIMARY, 1290, 1792, 1836];

/// A shutdown, `KILL`, and connections that the server gives up.
const CONNECTION_ENDS: [u16; 9] = [1053, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1927];

/// NULL, foreign keys, values that do not fit or are cut, signals of triggers, CHECK.
const ROW: [u16; 14] = [1048, 1216, 1217, 1264, 1265, 1292, 1364, 1366, 1406, 1451, 1452, 1644, 3819, 4025];

/// Missing rights.
const PRIVILEGE: [u16; 4] = [1044, 1142, 1143, 1227];

/// The server's error, if it is one.
pub(super) fn server_error(error: &Error) -> Option<&ServerError> {
    match error {
        Error::Server(error) => Some(error),
        _ => None,
    }
}

/// The result of a statement, or nothing where the server does not know something or does not tell this user.
pub(super) fn if_supported<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(Error::Server(error)) if UNSUPPORTED.contains(&error.code) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error of a statement that changes no row for a caller.
pub(super) fn statement_error(doing: &'static str, error: &Error) -> StoreError {
    match change_error(doing, error) {
        StoreError::RowRefused { .. } => StoreError::Refused { doing, reason: reason(error) },
        other => other,
    }
}

/// The error of a change, as far as the code alone tells.
pub(super) fn change_error(doing: &'static str, error: &Error) -> StoreError {
    let reason = reason(error);
    let Some(server) = server_error(error) else { return StoreError::Failed { doing, reason } };
    match server.code {
        code if CONFLICT.contains(&code) => StoreError::Conflict { doing, reason },
        code if STALE.contains(&code) => StoreError::StaleConnection { doing, reason },
        code if CONNECTION_ENDS.contains(&code) => StoreError::Failed { doing, reason },
        code if ROW.contains(&code) || is_signal(server) => StoreError::row_refused(doing, server.message.clone()),
        code if PRIVILEGE.contains(&code) => {
            let advice = "the database's user needs SELECT on all tables to follow, and INSERT, UPDATE and DELETE to \
                          change domains; CREATE and INDEX on the database where a table is not there yet";
            StoreError::Refused { doing, reason: format!("{reason} ({advice})") }
        }
        _ => StoreError::Refused { doing, reason },
    }
}

/// The server's message with its code, or the driver's error with its causes.
pub(super) fn reason(error: &Error) -> String {
    match error {
        // Limited, because a server may send a text of any length.
        Error::Server(error) => chain(&Message(format!("{} (error {})", error.message, error.code))),
        // The driver's own texts around these say nothing more.
        Error::Io(IoError::Io(error)) => chain(error),
        Error::Io(error) => chain(error),
        Error::Driver(error) => chain(error),
        error => chain(error),
    }
}

/// Whether a trigger made up the code: SQLSTATE 45000 is meant for that.
fn is_signal(error: &ServerError) -> bool {
    error.state.starts_with("45")
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Message(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, state: &str) -> Error {
        Error::Server(ServerError { code, message: "it says so".to_owned(), state: state.to_owned() })
    }

    #[test]
    fn each_code_has_its_meaning() {
        let change = |code| change_error("adding", &server(code, "HY000"));
        for code in [1213, 1062, 1020] {
            assert!(matches!(change(code), StoreError::Conflict { .. }), "{code}");
        }
        for code in [1290, 1047, 1792] {
            assert!(matches!(change(code), StoreError::StaleConnection { .. }), "{code}");
        }
        for code in [1406, 1366, 1264, 1048, 1644, 4025, 1452] {
            assert_eq!(change(code), StoreError::RowRefused { doing: "adding", reason: "it says so".to_owned() });
        }
        // A lock that is held too long, a statement that takes too long, a missing right, a wrong statement.
        for code in [1205, 1969, 1142, 1064] {
            assert!(matches!(change(code), StoreError::Refused { .. }), "{code}");
        }
        for code in [1053, 1927] {
            assert!(matches!(change(code), StoreError::Failed { .. }), "{code}");
        }
        assert!(matches!(change_error("adding", &server(9000, "45000")), StoreError::RowRefused { .. }));
    }

    #[test]
    fn a_statement_that_changes_no_row_refuses_none() {
        let error = statement_error("reading", &server(1366, "22007"));
        assert_eq!(error, StoreError::Refused { doing: "reading", reason: "it says so (error 1366)".to_owned() });
    }
}
