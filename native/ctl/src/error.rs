//! Why a command did not do what it was told, and the exit code that says so.
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | refused or failed; of `doctor`: something is wrong |
//! | 2 | the command line, the environment or the configuration file makes no sense |
//! | 3 | no connection to the server |
//!
//! MongooseIM's grammar has codes of its own (`grammar`), which agree with these.

use std::io;
use std::path::{Path, PathBuf};

/// What a command ends with.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the environment or the configuration file makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The server answered, and not with what was wanted.
    #[error("{text}")]
    Refused {
        /// HTTP's code.
        status: u16,
        /// Its words, for people.
        text: String,
    },
    /// There is no connection, or there is none any more.
    #[error("no connection to {url}: {reason}")]
    Unreachable {
        /// The server's URL.
        url: String,
        /// What went wrong.
        reason: String,
        /// Whether the server may have done what it was asked.
        reached: Reached,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else went wrong, which has been said already or is said here.
    #[error("{0}")]
    Failed(String),
    /// What was to be shown cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Whether a request that was not answered may have reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It did not.
    No,
    /// Nobody knows.
    Perhaps,
}

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It is done.
    Done = 0,
    /// It was refused or failed.
    Failed = 1,
    /// What it was told makes no sense.
    Usage = 2,
    /// There is no connection.
    Unreachable = 3,
}

impl Error {
    /// For the errors of one file.
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

    /// Whether the same request may be answered differently in a while.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Refused { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// Whether nobody reads the output any more, as where it is piped into `head`: then all is done.
    pub fn nobody_reads(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
