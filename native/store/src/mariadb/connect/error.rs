//! Why there is no connection to the database.
//!
//! The text names every attempt, since with several hosts the last failure is rarely the one that matters. It never
//! shows the password.

use std::io;
use std::time::Duration;

use mysql_async::Error;

use crate::mariadb::error::{TOO_MANY_CONNECTIONS, reason, server_error};

/// The failures at each address, in the order of the attempts.
#[derive(Debug, thiserror::Error)]
#[error("{}", .failures.iter().map(|(endpoint, reason)| format!("{endpoint}: {reason}"))
    .collect::<Vec<_>>().join("; "))]
pub(in crate::mariadb) struct ConnectError {
    /// Each endpoint that was tried, as `host:port (address)`, and its failure.
    pub(in crate::mariadb) failures: Vec<(String, Failure)>,
}

impl ConnectError {
    /// Whether a limit on connections is reached: of a server or the user.
    pub(in crate::mariadb) fn is_too_many_connections(&self) -> bool {
        let full = |failure: &Failure| match failure {
            Failure::Refused(error) => {
                server_error(error).is_some_and(|error| TOO_MANY_CONNECTIONS.contains(&error.code))
            }
            Failure::Lookup(_) | Failure::Unusable(_) | Failure::TimedOut(_) => false,
        };
        self.failures.iter().any(|(_, failure)| full(failure))
    }
}

/// Why one attempt to connect failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::mariadb) enum Failure {
    /// The host's name could not be looked up.
    #[error("{0}")]
    Lookup(io::Error),
    /// The server cannot be reached, is not trusted, or refuses the log-in.
    #[error("{}", reason(.0))]
    Refused(Error),
    /// The server is not one that can be used.
    #[error("{0}")]
    Unusable(String),
    /// There was no answer within `connect_timeout`.
    #[error("no answer within {0:?} (connect_timeout)")]
    TimedOut(Duration),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Refused(error)
    }
}
