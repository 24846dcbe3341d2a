//! Diagnostics on PostgreSQL.

use std::time::Instant;

use super::{PostgresWriter, get, no_row, sequences};
use crate::postgres::rights;
use crate::postgres::sql::{bounded_name, now_ms};
use crate::postgres::value::cell;
use crate::writer::{Diagnostics, Finding, Sequence, Survey, rows};
use crate::{Readable, StoreError};

impl Diagnostics for PostgresWriter {
    fn findings(&mut self, until: Instant) -> Result<Vec<Finding>, StoreError> {
        let left = self.session.time_left(until);
        self.session.call("looking at the rights", left, rights::findings(&self.session.client))
    }

    fn sequences(&mut self, until: Instant) -> Result<Vec<Sequence>, StoreError> {
        sequences::all(&self.session, until)
    }

    fn survey(&mut self, until: Instant) -> Result<Survey, StoreError> {
        const DOING: &str = "counting rows";
        let time = self.query(DOING, concat!("SELECT ", now_ms!()), &[], until)?;
        let time = time.first().map_or(Err(no_row(DOING)), |row| get(row, 0, DOING))?;
        let sql = concat!(
            "SELECT ",
            bounded_name!("host_type"),
            r#", count(*) FROM domain_settings GROUP BY host_type ORDER BY domain_settings.host_type COLLATE "C""#
        );
        let rows = self.query(DOING, sql, &[], until)?;
        let counted = rows.iter().map(|row| Ok((cell(row, 0).shown(), get(row, 1, DOING)?)));
        let host_types = counted.collect::<Result<_, StoreError>>()?;
        // Only in SQL_ASCII may a text be unreadable, if it is not printable ASCII.
        let suspects = concat!(
            "SELECT ",
            bounded_name!("domain"),
            ", ",
            bounded_name!("host_type"),
            ", status FROM domain_settings
              WHERE domain IS NULL OR host_type IS NULL OR status IS NULL
                 OR octet_length(domain) > 1000 OR octet_length(host_type) > 1000
                 OR getdatabaseencoding() = 'SQL_ASCII'
                    AND (domain !~ '^[ -~]*$' OR host_type !~ '^[ -~]*$')
              LIMIT 10000"
        );
        let rows = self.query(DOING, suspects, &[], until)?;
        let read = rows.iter().map(|row| rows::listed(cell(row, 0), cell(row, 1), cell(row, 2)));
        Ok(Survey { time, host_types, left_out: Readable::collect(read).left_out })
    }
}
