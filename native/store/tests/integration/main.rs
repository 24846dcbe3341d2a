//! Both databases, tested with the same functions where they guarantee the same.
//!
//! PostgreSQL's side needs a server: `MONGOOSE_DOMAIN_TEST_PG` is the URL of one where databases may be created, as
//! `make test` provides.
//!
//! | file | what it tests |
//! |---|---|
//! | `conformance` | what every store guarantees |
//! | `log` | the statements about the log |
//! | `unreadable` | rows that cannot be read |
//! | `writer` | what every writer guarantees |
//! | `postgres_only`, `sqlite_only` | what only one of the databases does |

#[macro_use]
mod support;

mod conformance;
mod log;
mod postgres_only;
mod sqlite_only;
mod unreadable;
mod writer;
