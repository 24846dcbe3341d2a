//! Why there is no connection to the database.
//!
//! The text tells every attempt, since with several hosts the last failure is rarely the one that
//! matters. It never shows the password, which no server's answer repeats.

use std::io;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::chain;

/// Why there is no connection: what failed at each address, in the order of the attempts.
#[derive(Debug, thiserror::Error)]
#[error("{}", .failures.iter().map(|(endpoint, reason)| format!("{endpoint}: {reason}"))
    .collect::<Vec<_>>().join("; "))]
pub struct ConnectError {
    /// Each endpoint that was tried, as `host:port (address)`, and what happened there.
    pub failures: Vec<(String, Failure)>,
}

impl ConnectError {
    /// Whether a server has as many connections as it, the database or the role may have.
    pub(crate) fn is_for_lack_of_room(&self) -> bool {
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
    /// There is no way to the server's socket, or it is not what `target_session_attrs` asks for.
    #[error("{0}")]
    Unreachable(io::Error),
    /// The server can't be reached, is not trusted, will not have us, or is not what
    /// `target_session_attrs` asks for.
    #[error("{}", chain(.0))]
    Refused(tokio_postgres::Error),
    /// It took too long.
    #[error("no answer within {0:?} (connect_timeout)")]
    TimedOut(Duration),
}
