//! MariaDB, alone or as a Galera cluster.
//!
//! The files in layers: each one uses only those above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `error` | what MariaDB's error codes mean |
//! | `url` | what a `mysql://` URL says |
//! | `tls` | what its `ssl*` parameters mean |
//! | `settings` | the settings of a session |
//! | `connect` | connects to the first suitable server of a URL |
//! | `session` | a connection on which every call has a deadline |
//! | `schema` | creates the tables, or checks them |
//! | `value` | columns of an answer |
//! | `names` | names compare as bytes |
//! | `identity` | which database a session is connected to |
//! | `transactions` | who may own an id of an event that does not show yet |
//! | `log`, `freshness`, `load` | the follower's statements |
//! | `store` | [`MariadbStore`]: the follower's connection |
//! | `writer` | [`MariadbWriter`]: a connection for changes |

mod connect;
mod error;
mod freshness;
mod identity;
mod load;
mod log;
mod names;
mod schema;
mod session;
mod settings;
mod store;
mod tls;
mod transactions;
mod url;
mod value;
mod writer;

pub(crate) use connect::Target;
pub(crate) use store::MariadbStore;
pub(crate) use writer::MariadbWriter;
