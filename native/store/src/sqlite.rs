//! SQLite: the embedded database of a node without a server.
//!
//! The file is in WAL mode, so a long load and a writer do not block each other. SQLite does not notify other processes of
//! a change: what they write is seen at the next poll, or when [`Signal::wake`](crate::Signal::wake) is called.
//!
//! The files in layers: each one uses only those above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `value` | columns of any type; the database's clock |
//! | `tables` | creates or checks the tables |
//! | `file` | [`DatabaseFile`](file::DatabaseFile): opens the file, and detects that it was replaced |
//! | `freshness`, `log` | the follower's statements |
//! | `store` | [`SqliteStore`]: the follower's connection |
//! | `writer` | [`SqliteWriter`]: a connection for changes |

mod file;
mod freshness;
mod log;
mod store;
mod tables;
mod value;
mod writer;

pub(crate) use store::SqliteStore;
pub(crate) use writer::SqliteWriter;
