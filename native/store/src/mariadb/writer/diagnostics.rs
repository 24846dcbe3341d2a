//! Diagnostics on MariaDB.

use std::time::Instant;

use mysql_async::Conn;

use super::cell::cell;
use super::sql::{NOW_MS, bounded, bytes};
use super::{MariadbWriter, findings};
use crate::readable::Cell;
use crate::writer::{Diagnostics, Finding, Sequence, Survey, rows};
use crate::{Readable, StoreError};

impl Diagnostics for MariadbWriter {
    fn findings(&mut self, until: Instant) -> Result<Vec<Finding>, StoreError> {
        let left = self.session.time_left(until);
        self.session.call("looking at the tables", left, async |conn: &mut Conn| findings::all(conn).await)
    }

    /// AUTO_INCREMENT never returns an id that exists, also where rows were written with their ids.
    fn sequences(&mut self, _until: Instant) -> Result<Vec<Sequence>, StoreError> {
        Ok(Vec::new())
    }

    fn survey(&mut self, until: Instant) -> Result<Survey, StoreError> {
        const DOING: &str = "counting rows";
        let mut answers = self.read(DOING, until, |_, batch| {
            batch.add(format!("SELECT {NOW_MS}"));
            batch.add(format!(
                "SELECT h.host_type, COUNT(*) FROM (SELECT {} AS host_type FROM domain_settings s) h
                  GROUP BY h.host_type ORDER BY h.host_type",
                bounded("s.host_type")
            ));
            // The server checks that a text is one of its character set, and converts it to UTF-8.
            batch.add(format!(
                "SELECT {}, {}, s.status FROM domain_settings s
                  WHERE s.domain IS NULL OR s.host_type IS NULL OR s.status IS NULL
                     OR OCTET_LENGTH({}) > 1000 OR OCTET_LENGTH({}) > 1000 LIMIT 10000",
                bounded("s.domain"),
                bounded("s.host_type"),
                bytes("s.domain"),
                bytes("s.host_type")
            ));
        })?;
        let [time, counted, suspects] = [0, 1, 2].map(|place| answers.take(place));
        let number = |row, column| match cell(row, column) {
            Cell::Number(number) => Ok(number),
            _ => Err(StoreError::Refused { doing: DOING, reason: "the server returned no number".to_owned() }),
        };
        let host_types = counted.iter().map(|row| Ok((cell(row, 0).shown(), number(row, 1)?)));
        let host_types = host_types.collect::<Result<_, StoreError>>()?;
        let time = time.first().map_or(Ok(0), |row| number(row, 0))?;
        let read = suspects.iter().map(|row| rows::listed(cell(row, 0), cell(row, 1), cell(row, 2)));
        Ok(Survey { time, host_types, left_out: Readable::collect(read).left_out })
    }
}
