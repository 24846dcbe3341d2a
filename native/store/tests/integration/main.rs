//! All databases, tested with the same functions where they guarantee the same.
//!
//! PostgreSQL and MariaDB need a server each: `MONGOOSE_DOMAIN_TEST_PG` and `MONGOOSE_DOMAIN_TEST_MARIADB` are the URLs of
//! servers where databases may be created, as `make test` provides.
//!
//! | file | what it tests |
//! |---|---|
//! | `conformance` | what every store guarantees |
//! | `log` | the statements about the log |
//! | `unreadable` | rows that cannot be read |
//! | `writer` | what every writer guarantees |
//! | `postgres_only`, `mariadb_only`, `sqlite_only` | what only one of the databases does |

#[macro_use]
mod support;

mod conformance;
mod log;
mod mariadb_only;
mod postgres_only;
mod sqlite_only;
mod unreadable;
mod writer;
