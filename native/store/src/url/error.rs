//! The errors of a database URL, and of the files that it names.
//!
//! A message says what happened, to which parameter or file, and what to do. It shows the names of parameters and files,
//! and no other part of the URL, because that may be a mistyped password.

use std::io;
use std::path::PathBuf;

use super::UrlKind;

/// An error of a database URL, or of a file that it names. Never shows the password.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or none.
    #[error("the database URL must begin with {schemes}", schemes = .0.schemes())]
    Scheme(UrlKind),
    /// A bare reserved character, which may be a part of the password.
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
    /// An unknown parameter.
    #[error("the database URL has an unknown parameter {0}; known are {known}", known = .1.parameter_names())]
    Unknown(String, UrlKind),
    /// An unknown parameter whose name may be a part of the password.
    #[error(
        "the database URL has an unknown parameter, not shown since it could be a piece of the \
         password: write %26 for an & inside of a value; known are {known}",
        known = .0.parameter_names()
    )]
    UnknownHidden(UrlKind),
    /// A parameter that occurs twice, or a host both before and after the `?`.
    #[error("the database URL says {0} more than once: keep one")]
    Twice(&'static str),
    /// An invalid value of a parameter.
    #[error("the database URL's {parameter} must be {expected}")]
    Value {
        /// The parameter.
        parameter: &'static str,
        /// The valid values.
        expected: &'static str,
    },
    /// The part before the `?` is invalid.
    #[error(
        "the database URL can't be read before its parameters ({0}): it must look like \
         {scheme}user:password@host:port/database, with an IPv6 address in [brackets]",
        scheme = .1.scheme()
    )]
    Malformed(String, UrlKind),
    /// No host, or an empty one in the list.
    #[error(
        "the database URL leaves a host empty: write {scheme}user@HOST/database; the {socket} a \
         Unix socket is a host too, with %2F for /",
        scheme = .0.scheme(),
        socket = .0.socket_is()
    )]
    NoHost(UrlKind),
    /// No database.
    #[error("the database URL names no database: write {scheme}user@host/DATABASE", scheme = .0.scheme())]
    NoDatabase(UrlKind),
    /// Lists of different lengths.
    #[error(
        "the database URL has {hosts} host(s), {hostaddrs} hostaddr(s) and {ports} port(s): give \
         each host one of each, or one port for all"
    )]
    Counts {
        /// The number of hosts.
        hosts: usize,
        /// The number of numeric addresses.
        hostaddrs: usize,
        /// The number of ports.
        ports: usize,
    },
    /// An `sslmode` that is too weak for another parameter.
    #[error("the database URL's {parameter} is only allowed with sslmode {modes}")]
    WeakSslMode {
        /// The parameter, with its value.
        parameter: &'static str,
        /// The modes that it requires.
        modes: &'static str,
    },
    /// A client certificate without its key, or a key without its certificate.
    #[error("the database URL's sslcert and sslkey belong together: add {0}")]
    HalfClientCertificate(&'static str),
    /// A file that cannot be read.
    #[error(
        "can't read {path}, which the database URL names as {parameter}: {error}",
        path = .path.display()
    )]
    File {
        /// The parameter that names the file.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// A file with the wrong contents.
    #[error(
        "{path}, which the database URL names as {parameter}, {problem}",
        path = .path.display()
    )]
    Contents {
        /// The parameter that names the file.
        parameter: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong, and what the file should contain.
        problem: String,
    },
    /// The system has no root certificates.
    #[error(
        "the system has no root certificates to verify the database by{0}: install them (package \
         ca-certificates), or name a PEM file in the database URL's sslrootcert"
    )]
    NoSystemRoots(String),
}
