//! Tables of this project that MongooseIM does not create.

use std::time::Instant;

use tokio_postgres::types::{ToSql, Type};

use super::change::change;
use crate::StoreError;
use crate::postgres::session::{Session, run_script};
use crate::schema;

/// A table that the first operation that needs it creates.
pub(super) struct OwnTable {
    name: &'static str,
    script: &'static str,
    /// Whether the table was found or created, so that it is not looked up again.
    exists: bool,
}

impl OwnTable {
    pub(super) const REMOVALS: OwnTable = OwnTable { name: "domain_removals", script: schema::REMOVALS, exists: false };
    pub(super) const FRESHNESS: OwnTable =
        OwnTable { name: "domain_freshness", script: schema::FRESHNESS, exists: false };

    /// Whether the table exists.
    pub(super) fn exists(
        &mut self,
        session: &Session,
        doing: &'static str,
        until: Instant,
    ) -> Result<bool, StoreError> {
        if !self.exists {
            let sql = "SELECT WHERE to_regclass($1) IS NOT NULL";
            let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&self.name, Type::TEXT)];
            let found = change(session, doing, until, session.client.query_typed(sql, &parameters))?;
            self.exists = !found.is_empty();
        }
        Ok(self.exists)
    }

    /// Creates the table if it does not exist.
    pub(super) fn create(&mut self, session: &Session, doing: &'static str, until: Instant) -> Result<(), StoreError> {
        if !self.exists(session, doing, until)? {
            let left = until.saturating_duration_since(Instant::now());
            session.call(doing, left, run_script(&session.client, self.script))?;
            self.exists = true;
        }
        Ok(())
    }
}
