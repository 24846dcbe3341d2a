//! The columns that names are searched in: their character sets, and their indexes.
//!
//! A condition on a name has two parts, see [`names`](crate::mariadb::names): one that the index serves, and one that
//! decides. The index is named in the statement, so that rows are locked in its order, and no others are.
//!
//! Where the table is altered during a connection, a condition may be an error. Then the columns are read again, and the
//! operation is repeated like one that lost a race.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::sql::{bytes, is_any, literal};
use crate::mariadb::names::NameColumn;

/// Mixed collations (two, three and more operands, and one that does not belong to the character set), and an index that
/// is not there.
const ALTERED: [u16; 5] = [1176, 1253, 1267, 1270, 1271];

/// The collation that compares and sorts by bytes.
const BINARY: &str = "utf8mb4_nopad_bin";

/// The columns that names are searched in.
#[derive(Debug, Clone)]
pub(super) struct NameColumns {
    /// `domain_settings.domain`.
    pub(super) settings: IndexedColumn,
    /// `domain_admins.domain`.
    pub(super) admins: IndexedColumn,
}

/// The column `domain` of a table.
#[derive(Debug, Clone)]
pub(super) struct IndexedColumn {
    table: &'static str,
    pub(super) column: NameColumn,
    max_chars: u64,
    /// An index that begins with the column.
    pub(super) index: Option<String>,
    /// Whether that index keeps two rows of one name out.
    pub(super) is_unique: bool,
}

impl NameColumns {
    /// Reads the columns.
    pub(super) async fn read(conn: &mut Conn) -> Result<NameColumns, Error> {
        Ok(NameColumns {
            settings: IndexedColumn::read(conn, "domain_settings").await?,
            admins: IndexedColumn::read(conn, "domain_admins").await?,
        })
    }

    /// Whether an error says that a table was altered.
    pub(super) fn are_outdated(error: &Error) -> bool {
        matches!(error, Error::Server(error) if ALTERED.contains(&error.code))
    }
}

impl IndexedColumn {
    pub(super) async fn read(conn: &mut Conn, table: &'static str) -> Result<IndexedColumn, Error> {
        let sql = format!(
            "SELECT c.CHARACTER_MAXIMUM_LENGTH, i.name, i.is_unique
               FROM information_schema.COLUMNS c LEFT JOIN (
                 SELECT INDEX_NAME AS name, NON_UNIQUE = 0 AND COUNT(*) = 1 AND MAX(SUB_PART) IS NULL AS is_unique
                   FROM information_schema.STATISTICS
                  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}'
                  GROUP BY INDEX_NAME, NON_UNIQUE
                 HAVING MAX(SEQ_IN_INDEX = 1 AND COLUMN_NAME = 'domain' AND INDEX_TYPE = 'BTREE') = 1
                  ORDER BY is_unique DESC, INDEX_NAME LIMIT 1) i ON TRUE
              WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = '{table}' AND c.COLUMN_NAME = 'domain'"
        );
        let column = NameColumn::of_domains(conn, table).await?;
        let found: Option<(Option<u64>, Option<String>, Option<bool>)> = conn.query_first(sql).await?;
        let (max_chars, index, is_unique) = found.unwrap_or_default();
        Ok(IndexedColumn {
            table,
            column,
            max_chars: max_chars.unwrap_or(0),
            index,
            is_unique: is_unique.unwrap_or(false),
        })
    }

    /// The table as a statement names it, with its alias, read by the index.
    pub(super) fn indexed(&self, alias: &str) -> String {
        let IndexedColumn { table, index, .. } = self;
        match index {
            Some(index) => format!("{table} {alias} FORCE INDEX (`{}`)", index.replace('`', "``")),
            None => format!("{table} {alias}"),
        }
    }

    /// Whether the column `domain` of the table with this alias is one of these names.
    pub(super) fn is_any<'a>(&self, alias: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
        let column = format!("{alias}.domain");
        let mut texts: Vec<_> = names.clone().into_iter().map(literal).collect();
        match texts.first_mut() {
            None => "FALSE".to_owned(),
            Some(first) if self.column.collation == BINARY => {
                // One operand decides on the collation of all, also if that of the column has changed.
                first.push_str(" COLLATE ");
                first.push_str(BINARY);
                format!("{column} IN ({})", texts.join(", "))
            }
            Some(_) => {
                let by_bytes = is_any(&bytes(&column), names);
                let by_index = texts.iter().map(|name| self.column.converted(name)).collect::<Vec<_>>().join(", ");
                if self.index.is_some() { format!("{column} IN ({by_index}) AND {by_bytes}") } else { by_bytes }
            }
        }
    }

    /// Whether the column, and so its index, sorts names by the bytes of UTF-8, and no name has two rows. `utf8mb4_bin` ignores
    /// spaces at the end, and a unique index keeps two such names out.
    pub(super) fn sorts_by_bytes(&self) -> bool {
        self.is_unique && [BINARY, "utf8mb4_bin"].contains(&self.column.collation.as_str())
    }

    /// Those of these names that the column can hold.
    pub(super) async fn held<'a>(&self, conn: &mut Conn, names: Vec<&'a str>) -> Result<Vec<&'a str>, Error> {
        let mut held = Vec::with_capacity(names.len());
        for name in names {
            if name.chars().count() as u64 > self.max_chars {
                continue;
            }
            let is_held = match self.can_hold(name) {
                Some(known) => known,
                // Only the server knows its other character sets.
                None => {
                    let there = bytes(&format!("CONVERT({} USING {})", literal(name), self.column.charset));
                    let same: Option<i64> = conn.query_first(format!("SELECT {there} = {}", literal(name))).await?;
                    same == Some(1)
                }
            };
            if is_held {
                held.push(name);
            }
        }
        Ok(held)
    }

    /// Whether the column's character set has all characters of a name; unknown where that depends on the set.
    fn can_hold(&self, name: &str) -> Option<bool> {
        match self.column.charset.as_str() {
            _ if name.is_ascii() => Some(true),
            "utf8mb4" | "utf16" | "utf16le" | "utf32" => Some(true),
            "utf8" | "utf8mb3" | "ucs2" => Some(name.chars().all(|character| character <= '\u{ffff}')),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(charset: &str, index: Option<&str>) -> IndexedColumn {
        IndexedColumn {
            table: "domain_settings",
            column: NameColumn { charset: charset.to_owned(), collation: format!("{charset}_bin") },
            max_chars: 250,
            index: index.map(str::to_owned),
            is_unique: false,
        }
    }

    #[test]
    fn a_condition_uses_the_index_and_lets_bytes_decide() {
        let indexed = column("latin1", Some("i"));
        assert_eq!(indexed.indexed("s"), "domain_settings s FORCE INDEX (`i`)");
        assert_eq!(
            indexed.is_any("s", ["a"]),
            "s.domain IN (CONVERT(_utf8mb4'a' USING latin1) COLLATE latin1_bin) \
             AND CONVERT(s.domain USING utf8mb4) COLLATE utf8mb4_nopad_bin IN (_utf8mb4'a')"
        );
        assert_eq!(indexed.is_any("s", []), "FALSE");
        let mut binary = column("utf8mb4", Some("i"));
        binary.column.collation = BINARY.to_owned();
        assert_eq!(binary.is_any("s", ["a", "b"]), "s.domain IN (_utf8mb4'a' COLLATE utf8mb4_nopad_bin, _utf8mb4'b')");
        assert_eq!(column("latin1", None).indexed("s"), "domain_settings s");
    }

    #[test]
    fn only_the_server_knows_what_most_character_sets_hold() {
        for (charset, name, held) in [
            ("latin1", "strasse", Some(true)),
            ("latin1", "straße", None),
            ("utf8mb3", "straße", Some(true)),
            ("utf8mb3", "😀", Some(false)),
            ("utf8mb4", "😀", Some(true)),
        ] {
            assert_eq!(column(charset, None).can_hold(name), held, "{charset} {name}");
        }
    }
}
