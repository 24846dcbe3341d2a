//! The tables: MongooseIM's, column for column.
//!
//! A table that is absent is created; one that is there is used as it is, whatever else it has,
//! once every column that is read or written here has the type that it needs.

use thiserror::Error;

use crate::StoreError;

/// The script that creates what is absent in PostgreSQL.
pub(crate) const POSTGRES: &str = include_str!("../../../priv/sql/postgres.sql");
/// The same for SQLite.
pub(crate) const SQLITE: &str = include_str!("../../../priv/sql/sqlite.sql");

/// The script that creates the table of removals, which only operations need, in either.
pub(crate) const REMOVALS: &str = include_str!("../../../priv/sql/removals.sql");

/// The script that creates the table of freshness, which the first declaration needs, in either.
pub(crate) const FRESHNESS: &str = include_str!("../../../priv/sql/freshness.sql");

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64-bit integers.
    BigInt,
    /// 16-bit integers.
    SmallInt,
    /// Texts.
    Text,
}

/// A table and the columns that are needed of it.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// All tables.
const TABLES: [Table; 3] = [
    Table {
        name: "domain_settings",
        columns: &[("id", Kind::BigInt), ("domain", Kind::Text), ("host_type", Kind::Text), ("status", Kind::SmallInt)],
    },
    Table { name: "domain_events", columns: &[("id", Kind::BigInt), ("domain", Kind::Text)] },
    Table { name: "domain_admins", columns: &[("domain", Kind::Text), ("pass_details", Kind::Text)] },
];

/// Something else stands where a table of ours should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// A column is missing.
    #[error("table {table} has no column {column} ({wanted}): {}", missing(.found))]
    Missing {
        /// The table.
        table: &'static str,
        /// The column that is not there.
        column: &'static str,
        /// The type that it should have.
        wanted: &'static str,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A column has another type.
    #[error(
        "column {table}.{column} has type {found}, but {wanted} is needed: this is another table of the same name; \
         name another database or schema in the URL"
    )]
    Type {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The type that it should have.
        wanted: &'static str,
        /// The type that it has.
        found: String,
    },
}

/// A column as a database describes it.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_name: String,
}

/// Makes sure that every table is there and right. Nothing is created beside a table that is wrong.
///
/// `columns` describes the table of a name, which has none when it is absent; `create` creates what
/// is absent; `is` knows the database's names of types.
pub(crate) fn prepare(
    columns: impl Fn(&str) -> Result<Vec<Column>, StoreError>,
    create: impl FnOnce() -> Result<(), StoreError>,
    is: fn(&str, Kind) -> bool,
) -> Result<(), StoreError> {
    let mut absent = Vec::new();
    for table in &TABLES {
        match columns(table.name)? {
            found if found.is_empty() => absent.push(table),
            found => table.check(&found, is)?,
        }
    }
    if !absent.is_empty() {
        create()?;
    }
    absent.into_iter().try_for_each(|table| Ok(table.check(&columns(table.name)?, is)?))
}

impl Table {
    /// Checks the columns that were found under this table's name.
    fn check(&self, found: &[Column], is: fn(&str, Kind) -> bool) -> Result<(), SchemaError> {
        for &(column, kind) in self.columns {
            let Some(there) = found.iter().find(|there| there.name == column) else {
                let found = found.iter().map(|there| there.name.clone()).collect();
                return Err(SchemaError::Missing { table: self.name, column, wanted: kind.name(), found });
            };
            if !is(&there.type_name, kind) {
                let found = there.type_name.clone();
                return Err(SchemaError::Type { table: self.name, column, wanted: kind.name(), found });
            }
        }
        Ok(())
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::BigInt => "bigint",
            Kind::SmallInt => "smallint",
            Kind::Text => "varchar",
        }
    }
}

fn missing(found: &[String]) -> String {
    if found.iter().any(|column| column == "enabled") {
        return "it has the layout of MongooseIM 5; run MongooseIM's migration from 5.1 to 6.0 first".to_owned();
    }
    format!(
        "it has {}; this is another table of the same name, so name another database or schema in the URL",
        found.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<Column> {
        let column = |&(name, type_name): &(&str, &str)| Column { name: name.into(), type_name: type_name.into() };
        columns.iter().map(column).collect()
    }

    fn same(type_name: &str, kind: Kind) -> bool {
        type_name == kind.name()
    }

    #[test]
    fn more_columns_than_needed_are_fine() {
        let found = columns(&[("id", "bigint"), ("domain", "varchar"), ("note", "json")]);
        assert_eq!(TABLES[1].check(&found, same), Ok(()));
    }

    #[test]
    fn an_error_names_table_and_column() {
        let found = columns(&[("id", "bigint"), ("domain", "json")]);
        let error = TABLES[1].check(&found, same).unwrap_err().to_string();
        assert!(error.contains("domain_events.domain has type json, but varchar is needed"), "{error}");

        let found = columns(&[("id", "bigint")]);
        let error = TABLES[1].check(&found, same).unwrap_err().to_string();
        assert!(error.contains("table domain_events has no column domain (varchar): it has id;"), "{error}");
    }

    #[test]
    fn the_layout_of_mongooseim_5_is_recognised() {
        let found =
            columns(&[("id", "bigint"), ("domain", "varchar"), ("host_type", "varchar"), ("enabled", "boolean")]);
        let error = TABLES[0].check(&found, same).unwrap_err().to_string();
        assert!(error.contains("migration from 5.1 to 6.0"), "{error}");
    }
}
