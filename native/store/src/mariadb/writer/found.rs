//! The rows that a name has in `domain_settings`.
//!
//! MongooseIM's table may have several rows of one name, made by hand or by two nodes at once. The first
//! one that is not disabled counts, by their ids, as for the follower, and a change changes all of them.

use std::collections::HashMap;

use mysql_async::Row;

use super::cell::cell;
use super::columns::IndexedColumn;
use super::sql::bounded;
use crate::readable::Cell;
use crate::writer::{DomainSettings, Status, rows};

/// Rows by their names.
#[derive(Debug, Default)]
pub(super) struct FoundRows(HashMap<Vec<u8>, Vec<FoundRow>>);

#[derive(Debug)]
pub(super) struct FoundRow {
    pub(super) id: u64,
    pub(super) settings: DomainSettings,
}

/// Selects the rows of these names, for [`FoundRows::read`].
pub(super) fn select<'a>(column: &IndexedColumn, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    format!(
        "SELECT s.domain, {}, s.status, s.id FROM {} WHERE {} ORDER BY s.status = 0, s.id",
        bounded("s.host_type"),
        column.indexed("s"),
        column.is_any("s", names)
    )
}

/// The same, and locks them in the order of the index.
pub(super) fn select_and_lock<'a>(column: &IndexedColumn, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    format!("{} FOR UPDATE", select(column, names))
}

impl FoundRows {
    pub(super) fn read(found: &[Row]) -> FoundRows {
        let mut by_name = HashMap::<_, Vec<_>>::new();
        for row in found {
            if let (Cell::Text(name), Cell::Number(id)) = (cell(row, 0), cell(row, 3)) {
                let settings = rows::settings_lossy(cell(row, 1), cell(row, 2));
                by_name.entry(name.to_vec()).or_default().push(FoundRow { id: id.unsigned_abs(), settings });
            }
        }
        FoundRows(by_name)
    }

    /// The row of a name that counts.
    pub(super) fn settings(&self, name: &str) -> Option<&DomainSettings> {
        self.all(name).first().map(|row| &row.settings)
    }

    /// All rows of a name, the one that counts first.
    pub(super) fn all(&self, name: &str) -> &[FoundRow] {
        self.0.get(name.as_bytes()).map_or(&[], Vec::as_slice)
    }

    /// Whether any row of a name is in removal.
    pub(super) fn are_in_removal(&self, name: &str) -> bool {
        self.all(name).iter().any(|row| row.settings.status == Status::Deleting)
    }

    /// The ids of all rows of a name.
    pub(super) fn ids(&self, name: &str) -> impl Iterator<Item = u64> {
        self.all(name).iter().map(|row| row.id)
    }
}
