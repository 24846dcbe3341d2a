//! Tables of this project that MongooseIM does not create.

use std::time::Instant;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::mariadb::session::Session;
use crate::{StoreError, schema};

/// A table that the first operation that needs it creates.
pub(super) struct OwnTable {
    name: &'static str,
    script: &'static str,
    /// Whether the table was found or created, so that it is not looked up again.
    exists: bool,
}

impl OwnTable {
    pub(super) const REMOVALS: OwnTable =
        OwnTable { name: "domain_removals", script: schema::MARIADB_REMOVALS, exists: false };
    pub(super) const FRESHNESS: OwnTable =
        OwnTable { name: "domain_freshness", script: schema::MARIADB_FRESHNESS, exists: false };

    /// Whether the table exists.
    pub(super) fn exists(
        &mut self,
        session: &mut Session,
        doing: &'static str,
        until: Instant,
    ) -> Result<bool, StoreError> {
        if !self.exists {
            let sql = format!(
                "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{}'",
                self.name
            );
            let left = session.time_left(until);
            let found = session.call(doing, left, async |conn: &mut Conn| conn.query_first::<i64, _>(sql).await)?;
            self.exists = found.is_some();
        }
        Ok(self.exists)
    }

    /// Creates the table if it does not exist. A statement that creates a table ends a transaction, so this comes before.
    pub(super) fn create(
        &mut self,
        session: &mut Session,
        doing: &'static str,
        until: Instant,
    ) -> Result<(), StoreError> {
        if !self.exists(session, doing, until)? {
            let (left, script) = (session.time_left(until), self.script);
            session.call(doing, left, async |conn: &mut Conn| conn.query_drop(script).await)?;
            self.exists = true;
        }
        Ok(())
    }
}
