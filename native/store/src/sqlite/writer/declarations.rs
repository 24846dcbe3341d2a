//! Declarations of freshness on SQLite.

use std::time::Instant;

use rusqlite::OptionalExtension;

use super::{SqliteWriter, readable};
use crate::freshness::NEVER;
use crate::sqlite::value::{NOW_NS, cell};
use crate::writer::{FreshnessOperations, rows};
use crate::{FreshnessDeclaration, Readable, StoreError, Ttl, schema};

impl FreshnessOperations for SqliteWriter {
    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError> {
        self.transact("declaring freshness", until, |transaction| {
            transaction.execute_batch(schema::FRESHNESS)?;
            let sql = format!(
                "INSERT INTO domain_freshness (domain, expire_time) VALUES (?1, coalesce({NOW_NS} + ?2, ?3))
                 ON CONFLICT (domain) DO UPDATE SET expire_time = excluded.expire_time"
            );
            transaction.execute(&sql, (domain, ttl.nanoseconds(), NEVER)).map(|_| ())
        })
    }

    fn freshness(&mut self, _until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError> {
        self.read("reading freshness", |connection| {
            let exists = "SELECT 1 FROM sqlite_master WHERE name = 'domain_freshness'";
            if connection.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
                return Ok(Readable::default());
            }
            let sql = format!("SELECT domain, expire_time, {NOW_NS} FROM domain_freshness ORDER BY domain");
            let mut select = connection.prepare(&sql)?;
            readable(select.query([])?, |row| Ok(rows::freshness(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?)))
        })
    }
}
