//! Diagnostics on SQLite.

use std::time::Instant;

use rusqlite::Row;

use super::{SqliteWriter, readable};
use crate::StoreError;
use crate::sqlite::value::{NOW_MS, cell};
use crate::writer::{Diagnostics, Finding, Sequence, Survey, rows};

impl Diagnostics for SqliteWriter {
    /// A user who may open the file may read all of it.
    fn findings(&mut self, _until: Instant) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }

    /// AUTOINCREMENT never returns an id that exists.
    fn sequences(&mut self, _until: Instant) -> Result<Vec<Sequence>, StoreError> {
        Ok(Vec::new())
    }

    fn survey(&mut self, _until: Instant) -> Result<Survey, StoreError> {
        self.read("counting rows", |connection| {
            let time = connection.query_row(&format!("SELECT {NOW_MS}"), [], |row| row.get(0))?;
            let sql = "SELECT host_type, count(*) FROM domain_settings GROUP BY host_type ORDER BY host_type";
            let mut select = connection.prepare(sql)?;
            let counted = select.query_map([], |row| Ok((cell(row, 0)?.shown(), row.get(1)?)))?;
            let host_types = counted.collect::<Result<_, _>>()?;
            // SQLite does not check that a text is UTF-8.
            let mut all = connection.prepare(
                "SELECT domain, host_type, status FROM domain_settings
                  WHERE typeof(domain) <> 'text' OR typeof(host_type) <> 'text' OR typeof(status) <> 'integer'
                     OR domain GLOB '*[^ -~]*' OR host_type GLOB '*[^ -~]*'
                     OR octet_length(domain) > 1000 OR octet_length(host_type) > 1000
                  LIMIT 10000",
            )?;
            let read = |row: &Row<'_>| Ok(rows::listed(cell(row, 0)?, cell(row, 1)?, cell(row, 2)?));
            Ok(Survey { time, host_types, left_out: readable(all.query([])?, read)?.left_out })
        })
    }
}
