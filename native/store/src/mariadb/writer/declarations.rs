//! Declarations of freshness on MariaDB.

use std::time::Instant;

use mysql_async::prelude::Queryable;

use super::MariadbWriter;
use super::batch::Access;
use super::cell::cell;
use super::sql::{NOW_NS, bounded, bytes, literal};
use crate::freshness::NEVER;
use crate::writer::{FreshnessOperations, rows};
use crate::{FreshnessDeclaration, Readable, StoreError, Ttl};

impl FreshnessOperations for MariadbWriter {
    fn upsert_freshness(&mut self, domain: &str, ttl: Ttl, until: Instant) -> Result<(), StoreError> {
        const DOING: &str = "declaring freshness";
        self.freshness.create(&mut self.session, DOING, until)?;
        let expire_time = match ttl.nanoseconds() {
            Some(nanoseconds) => format!("{NOW_NS} + {nanoseconds}"),
            None => NEVER.to_string(),
        };
        let sql = format!(
            "INSERT INTO domain_freshness (domain, expire_time) VALUES ({}, {expire_time})
             ON DUPLICATE KEY UPDATE expire_time = VALUES(expire_time)",
            literal(domain)
        );
        self.change(DOING, until, async |access: &mut Access<'_>| access.conn.query_drop(sql).await)
    }

    fn freshness(&mut self, until: Instant) -> Result<Readable<FreshnessDeclaration>, StoreError> {
        const DOING: &str = "reading freshness";
        if !self.freshness.exists(&mut self.session, DOING, until)? {
            return Ok(Readable::default());
        }
        let mut answers = self.read(DOING, until, |_, batch| {
            batch.add(format!(
                "SELECT {}, f.expire_time, {NOW_NS} FROM domain_freshness f ORDER BY {}",
                bounded("f.domain"),
                bytes("f.domain")
            ));
        })?;
        let rows = answers.take(0);
        Ok(Readable::collect(rows.iter().map(|row| rows::freshness(cell(row, 0), cell(row, 1), cell(row, 2)))))
    }
}
