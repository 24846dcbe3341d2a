//! Everything that can be wrong with a database URL and with the files that it names.
//!
//! A message says what happened, to which parameter or file, and what to do. It shows names of
//! parameters and of files, never what else the URL says: any of that may be a mistyped password.

use std::io;
use std::path::PathBuf;

use super::parameters;

/// What is wrong with a database URL, or with a file that it names. Never shows the password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("the database URL must begin with postgres:// or postgresql://")]
    Scheme,
    /// A reserved character where it could be a piece of the password.
    #[error(
        "the database URL has a bare reserved character: in the user's name and the password write \
         %40 for @, %2F for / and %3F for ?; everywhere else write %40 for @"
    )]
    Reserved,
    /// `name` without `=value`.
    #[error(
        "a parameter of the database URL has no value: write name=value, and %26 for an & inside \
         of a value"
    )]
    NoValue,
    /// A parameter that is not known, by its name.
    #[error("the database URL has an unknown parameter {0}; known are {known}", known = parameters::names())]
    Unknown(String),
    /// A parameter that is not known, and whose name could be a piece of the password.
    #[error(
        "the database URL has an unknown parameter, not shown since it could be a piece of the \
         password: write %26 for an & inside of a value; known are {known}",
        known = parameters::names()
    )]
    UnknownHidden,
    /// A parameter said more than once, or a host both before the `?` and after.
    #[error("the database URL says {0} more than once: keep one")]
    Twice(&'static str),
    /// A value that the parameter can't have.
    #[error("the database URL's {parameter} must be {expected}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// What it can be.
        expected: &'static str,
    },
    /// The part before the `?` can't be read.
    #[error(
        "the database URL can't be read before its parameters ({0}): it must look like \
         postgres://user:password@host:port/database, with an IPv6 address in [brackets]"
    )]
    Malformed(String),
    /// No host, or an empty one in the list.
    #[error(
        "the database URL leaves a host empty: write postgres://user@HOST/database; the folder of a \
         Unix socket is a host too, with %2F for /"
    )]
    NoHost,
    /// Lists that don't fit each other.
    #[error(
        "the database URL has {hosts} host(s), {hostaddrs} hostaddr(s) and {ports} port(s): give \
         each host one of each, or one port for all"
    )]
    Counts {
        /// How many hosts.
        hosts: usize,
        /// How many numeric addresses.
        hostaddrs: usize,
        /// How many ports.
        ports: usize,
    },
    /// An `sslmode` too weak for what another parameter asks for.
    #[error("the database URL's {parameter} is only allowed with sslmode {modes}")]
    WeakSslMode {
        /// The parameter, with its value.
        parameter: &'static str,
        /// The modes that it goes with.
        modes: &'static str,
    },
    /// A client certificate without its key, or the other way round.
    #[error("the database URL's sslcert and sslkey belong together: add {0}")]
    HalfClientCertificate(&'static str),
    /// A file that can't be read.
    #[error(
        "can't read {path}, which the database URL names as {parameter}: {error}",
        path = .path.display()
    )]
    File {
        /// The parameter that names the file.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that does not hold what it should.
    #[error(
        "{path}, which the database URL names as {parameter}, {problem}",
        path = .path.display()
    )]
    Contents {
        /// The parameter that names the file.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong, and what it should be.
        problem: String,
    },
    /// No root certificates where the system keeps them.
    #[error(
        "the system has no root certificates to verify the database by{0}: install them (package \
         ca-certificates), or name a PEM file in the database URL's sslrootcert"
    )]
    NoSystemRoots(String),
}
