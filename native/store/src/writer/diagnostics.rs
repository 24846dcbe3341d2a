//! Problems of a database, for the administrator.

use std::time::Instant;

use crate::{StoreError, UnreadableRows};

/// Examines a database.
pub trait Diagnostics {
    /// The problems of the tables and of this user's rights, the most severe first. Reads no row.
    fn findings(&mut self, until: Instant) -> Result<Vec<Finding>, StoreError>;

    /// The sequences of the tables' ids. None where the database never uses an id twice.
    fn sequences(&mut self, until: Instant) -> Result<Vec<Sequence>, StoreError>;

    /// The database's clock and numbers of rows. Reads every row.
    fn survey(&mut self, until: Instant) -> Result<Survey, StoreError>;
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// How severe a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The follower cannot read the table.
    Failed,
    /// It may be intended.
    Warning,
}

/// A survey of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The database's clock, in milliseconds since 1970.
    pub time: i64,
    /// The host types of the rows, in the order of their bytes, with the number of rows of each. One that is no text is
    /// escaped.
    pub host_types: Vec<(String, i64)>,
    /// The rows of `domain_settings` that listings leave out. At most ten thousand rows are examined.
    pub left_out: UnreadableRows,
}

/// The sequence of a table's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The table.
    pub table: String,
    /// The sequence's name in SQL.
    pub name: String,
    /// The next id; unknown if this user may not read the sequence.
    pub next: Option<i64>,
    /// The largest id in the table.
    pub newest: Option<i64>,
}

impl Sequence {
    /// Whether the next id is not larger than one that exists.
    pub fn is_behind(&self) -> bool {
        matches!((self.next, self.newest), (Some(next), Some(newest)) if next <= newest)
    }

    /// The statement that sets the sequence to the newest id.
    pub fn remedy(&self) -> String {
        let Sequence { table, name, .. } = self;
        format!("SELECT setval('{}', (SELECT max(id) FROM {table}))", name.replace('\'', "''"))
    }
}
