//! The tables: MongooseIM's, column for column.
//!
//! An absent table is created. An existing one is used as it is, if every column that is read or written here has the
//! right type. It may have other columns.

use thiserror::Error;

/// The script that creates absent tables in PostgreSQL.
pub(crate) const POSTGRES: &str = include_str!("../../../priv/sql/postgres.sql");
/// The same for MariaDB.
pub(crate) const MARIADB: &str = include_str!("../../../priv/sql/mysql.sql");
/// The same for SQLite.
pub(crate) const SQLITE: &str = include_str!("../../../priv/sql/sqlite.sql");

/// The script that creates the table of removals, which only operations need, in PostgreSQL and SQLite.
pub(crate) const REMOVALS: &str = include_str!("../../../priv/sql/removals.sql");
/// The same for MariaDB.
pub(crate) const MARIADB_REMOVALS: &str = include_str!("../../../priv/sql/mysql_removals.sql");

/// The script that creates the table of freshness, which the first declaration needs, in PostgreSQL and SQLite.
pub(crate) const FRESHNESS: &str = include_str!("../../../priv/sql/freshness.sql");
/// The same for MariaDB.
pub(crate) const MARIADB_FRESHNESS: &str = include_str!("../../../priv/sql/mysql_freshness.sql");

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64-bit integers.
    BigInt,
    /// 16-bit integers.
    SmallInt,
    /// Texts.
    Text,
}

/// A table and its required columns.
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

/// A table of another layout has the name of a required one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// A column is missing.
    #[error("table {table} has no column {column} ({wanted}): {}", missing(.found))]
    Missing {
        /// The table.
        table: &'static str,
        /// The missing column.
        column: &'static str,
        /// The required type.
        wanted: &'static str,
        /// The columns of the table.
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
        /// The required type.
        wanted: &'static str,
        /// The type of the column.
        found: String,
    },
}

/// A column as a database describes it.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_name: String,
}

/// Creates absent tables and checks the others. Creates nothing if one of the others is wrong.
///
/// `columns` returns the columns of a table, none if it is absent. `create` creates absent tables. `has_type` compares
/// the database's name of a type.
pub(crate) fn prepare<E: From<SchemaError>>(
    columns: impl Fn(&str) -> Result<Vec<Column>, E>,
    create: impl FnOnce() -> Result<(), E>,
    has_type: fn(&str, Kind) -> bool,
) -> Result<(), E> {
    let mut absent = Vec::new();
    for table in &TABLES {
        match columns(table.name)? {
            found if found.is_empty() => absent.push(table),
            found => table.check(&found, has_type)?,
        }
    }
    if !absent.is_empty() {
        create()?;
    }
    absent.into_iter().try_for_each(|table| Ok(table.check(&columns(table.name)?, has_type)?))
}

impl Table {
    /// Checks the columns of the table with this name.
    fn check(&self, found: &[Column], has_type: fn(&str, Kind) -> bool) -> Result<(), SchemaError> {
        for &(column, kind) in self.columns {
            let Some(there) = found.iter().find(|there| there.name == column) else {
                let found = found.iter().map(|there| there.name.clone()).collect();
                return Err(SchemaError::Missing { table: self.name, column, wanted: kind.name(), found });
            };
            if !has_type(&there.type_name, kind) {
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
