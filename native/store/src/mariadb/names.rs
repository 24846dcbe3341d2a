//! Names compare as bytes, whatever the collation of a column is.
//!
//! MongooseIM's tables on a server with the default settings compare names as Swedish dictionaries do: `STRASSE.example` is
//! `strasse.example` there. Another collation may take `straße.example` for the same, too. So every comparison here is
//! made twice: by the column's own rules, which its index serves, and by the bytes. Equal bytes are equal by any
//! rules, so the first comparison loses no name; the second one separates those that only the first one takes for
//! equal.
//!
//! Nothing but a unique index prevents two rows with the same bytes, and MongooseIM's table has none. Of several such rows
//! the first one that is not disabled counts, by their ids, in a load and in a read of events.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

/// The character set and the collation of a column of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameColumn {
    pub(super) charset: String,
    pub(super) collation: String,
}

/// Selects a name, cut where it is too long to be valid: a table with another schema may hold names of 100 MB.
macro_rules! bounded_name {
    ($column:literal) => {
        concat!("IF(LENGTH(", $column, ") > 1000, LEFT(", $column, ", 1001), ", $column, ")")
    };
}

pub(super) use bounded_name;

impl NameColumn {
    /// The column `domain` of a table that exists.
    pub(super) async fn of_domains(conn: &mut Conn, table: &'static str) -> Result<NameColumn, Error> {
        // Not prepared: a prepared statement about the catalogue keeps what it found first.
        let found: Option<(Option<String>, Option<String>)> = conn
            .query_first(format!(
                "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS
                  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = 'domain'"
            ))
            .await?;
        let (charset, collation) = found.unwrap_or_default();
        let plain = |name: Option<String>, default: &str| {
            let is_name = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            name.filter(is_name).unwrap_or_else(|| default.to_owned())
        };
        Ok(NameColumn { charset: plain(charset, "utf8mb4"), collation: plain(collation, "utf8mb4_bin") })
    }

    /// Whether an index forbids two rows of `domain_settings` with the same name.
    pub(super) async fn is_unique(conn: &mut Conn) -> Result<bool, Error> {
        let indexes: Option<u64> = conn
            .query_first(
                "SELECT COUNT(*)
                   FROM (SELECT INDEX_NAME FROM information_schema.STATISTICS
                          WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'domain_settings' AND NON_UNIQUE = 0
                          GROUP BY INDEX_NAME
                         HAVING COUNT(*) = 1 AND MAX(COLUMN_NAME) = 'domain' AND MAX(SUB_PART) IS NULL) of_names",
            )
            .await?;
        Ok(indexes.is_some_and(|indexes| indexes > 0))
    }

    /// The condition that this column, as `column`, has the name that the SQL expression `name` yields.
    pub(super) fn equals(&self, column: &str, name: &str) -> String {
        format!(
            "{column} = {} AND CONVERT({column} USING utf8mb4) COLLATE utf8mb4_nopad_bin = CONVERT({name} USING utf8mb4)",
            self.converted(name)
        )
    }

    /// A name in the character set and the collation of this column. A character that the set lacks becomes a question
    /// mark.
    pub(super) fn converted(&self, name: &str) -> String {
        format!("CONVERT({name} USING {}) COLLATE {}", self.charset, self.collation)
    }
}

/// The names of a load so far, where the table may have one twice. Each takes 16 bytes, of whatever length it is.
pub(super) struct SeenNames {
    hashes: HashSet<u128>,
    keys: [RandomState; 2],
}

impl SeenNames {
    pub(super) fn new() -> SeenNames {
        SeenNames { hashes: HashSet::new(), keys: [RandomState::new(), RandomState::new()] }
    }

    /// Whether this is the first one with these bytes.
    pub(super) fn is_first(&mut self, name: &[u8]) -> bool {
        // Two names with the same hash of 128 bits, under keys that nobody knows, will not occur.
        let [high, low] = self.keys.each_ref().map(|keys| u128::from(keys.hash_one(name)));
        self.hashes.insert(high << 64 | low)
    }
}
