//! Errors of commands, and their exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | refused or failed; of `doctor`: something is wrong; of `apply` and `diff`: all that is 2 elsewhere, too |
//! | 2 | the command line, the environment or the configuration file is invalid; of `apply` and `diff`: changes were made, or are due |
//! | 3 | no connection to the server |
//!
//! MongooseIM's commands have codes of their own ([`mongooseimctl`](crate::mongooseimctl)), which agree with these.

use std::io;
use std::path::{Path, PathBuf};

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the environment or the configuration file is invalid.
    #[error("{0}")]
    Usage(String),
    /// The server refused the request.
    #[error("{text}")]
    Refused {
        /// The status.
        status: u16,
        /// Its message, for people.
        text: String,
    },
    /// The server cannot be reached, or the connection broke.
    #[error("no connection to {url}: {reason}")]
    Unreachable {
        /// The server's URL.
        url: String,
        /// The reason.
        reason: String,
        /// Whether the server may have got the request.
        reached: Reached,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
    /// Standard output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Whether a request that was not answered may have reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It did not reach it.
    No,
    /// It may have reached it.
    Perhaps,
}

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused or failed.
    Failed,
    /// Invalid usage.
    Usage,
    /// What there is differed from a declaration.
    Changed,
    /// No connection.
    Unreachable,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage | Exit::Changed => 2,
            Exit::Unreachable => 3,
        }
    }
}

impl Error {
    /// Makes an error of a file from one of the system.
    pub fn of_file(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::File { path: path.to_owned(), source }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            Error::Unreachable { .. } => Exit::Unreachable,
            Error::Refused { .. } | Error::File { .. } | Error::Failed(_) | Error::Output(_) => Exit::Failed,
        }
    }

    /// The same error of a command to which the exit code of a usage error means something else.
    pub fn without_usage(self) -> Error {
        match self {
            Error::Usage(text) => Error::Failed(text),
            other => other,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether the reader of the output has closed it, as `head` does: then the command is done.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
