//! Why there is no connection to the database.
//!
//! The text names every attempt, since with several hosts the last failure is rarely the one that matters. It never
//! shows the password.

use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::chain;

/// The failures at each address, in the order of the attempts.
#[derive(Debug, thiserror::Error)]
#[error("{}", .failures.iter().map(|(endpoint, reason)| format!("{endpoint}: {reason}"))
    .collect::<Vec<_>>().join("; "))]
pub struct ConnectError {
    /// Each endpoint that was tried, as `host:port (address)`, and its failure.
    pub failures: Vec<(String, Failure)>,
}

impl ConnectError {
    /// Whether a limit on connections is reached: of a server, the database or the role.
    pub(crate) fn is_too_many_connections(&self) -> bool {
        let full = |failure: &Failure| match failure {
            Failure::Refused(error) => error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS),
            Failure::Lookup(_) | Failure::Unreachable(_) | Failure::TimedOut(_) => false,
        };
        self.failures.iter().any(|(_, failure)| full(failure))
    }
}

/// Why one attempt to connect failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The host's name could not be looked up.
    #[error("{0}")]
    Lookup(io::Error),
    /// The server's Unix socket cannot be reached, or the server is not what `target_session_attrs` requires.
    #[error("{0}")]
    Unreachable(io::Error),
    /// The server cannot be reached, is not trusted, refuses the log-in, or is not what `target_session_attrs`
    /// requires.
    #[error("{}", chain(.0))]
    Refused(tokio_postgres::Error),
    /// There was no answer within `connect_timeout`.
    #[error("no answer within {0:?} (connect_timeout)")]
    TimedOut(Duration),
}
