//! Declarations of freshness on PostgreSQL.

use std::time::Instant;

use tokio_postgres::types::Type;

use super::PostgresWriter;
use crate::freshness::NEVER;
use crate::postgres::sql::{bounded_name, now_ns};
use crate::postgres::value::cell;
use crate::writer::{FreshnessOperations, rows};
use crate::{FreshnessDeclaration, Readable, StoreError, Ttl};

impl FreshnessOperations for PostgresWriter {
    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError> {
        const DOING: &str = "declaring freshness";
        self.freshness.create(&self.session, DOING, until)?;
        self.query(
            DOING,
            concat!(
                "WITH declared AS (INSERT INTO domain_freshness (domain, expire_time) VALUES ($1, coalesce(",
                now_ns!(),
                " + $2, $3))
                   ON CONFLICT (domain) DO UPDATE SET expire_time = excluded.expire_time RETURNING 1)
                 SELECT pg_notify('mongoose_domain_events', '')::text FROM declared"
            ),
            &[(&domain, Type::VARCHAR), (&ttl.nanoseconds(), Type::INT8), (&NEVER, Type::INT8)],
            until,
        )
        .map(|_| ())
    }

    fn freshness(&mut self, until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError> {
        const DOING: &str = "reading freshness";
        if !self.freshness.exists(&self.session, DOING, until)? {
            return Ok(Readable::default());
        }
        let sql = concat!(
            "SELECT ",
            bounded_name!("domain"),
            ", expire_time, ",
            now_ns!(),
            r#" FROM domain_freshness ORDER BY domain_freshness.domain COLLATE "C""#
        );
        let rows = self.query(DOING, sql, &[], until)?;
        Ok(Readable::collect(rows.iter().map(|row| rows::freshness(cell(row, 0), cell(row, 1), cell(row, 2)))))
    }
}
