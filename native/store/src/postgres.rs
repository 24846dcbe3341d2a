//! PostgreSQL.
//!
//! The files in layers: each one uses only those above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `sql` | parts that several statements have in common |
//! | `value` | columns of an answer as bytes |
//! | `message_limits` | limits on what a server may send |
//! | `sqlstate` | what PostgreSQL's error codes mean |
//! | `url` | what a `postgres://` URL says |
//! | `tls` | what its `ssl*` parameters mean |
//! | `prepared` | statements that the server parses once for a connection |
//! | `settings` | the settings of a session |
//! | `connect` | connects to the first suitable server of a URL |
//! | `rights` | what the database's user may see and do |
//! | `session` | a connection on which every call has a deadline |
//! | `identity` | which database a session is connected to |
//! | `freshness`, `log`, `load` | the follower's statements |
//! | `store` | [`PostgresStore`]: the follower's connection |
//! | `writer` | [`PostgresWriter`]: a connection for changes |

mod connect;
mod freshness;
mod identity;
mod load;
mod log;
mod message_limits;
mod prepared;
mod rights;
mod session;
mod settings;
mod sql;
mod sqlstate;
mod store;
#[cfg(test)]
mod test_server;
mod tls;
mod url;
mod value;
mod writer;

pub(crate) use connect::Target;
pub(crate) use store::PostgresStore;
pub(crate) use writer::PostgresWriter;
