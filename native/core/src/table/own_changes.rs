//! Changes that this node makes in the database itself: they are put into the table at the commit.

use super::{CHANGES_PER_TURN, Table};
use crate::change::{Change, Epoch, EventId, Outcome, Progress, Stale};
use crate::name::DomainName;
use crate::own_changes::Check;

/// Changes that are about to be made in the database: see [`Table::begin_own_changes`]. They end when this is dropped.
#[must_use]
pub struct OwnChanges<'a> {
    table: &'a Table,
    epoch: Epoch,
    domains: Vec<DomainName>,
    versions: Vec<u64>,
}

/// Whether lookups show an own change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// They show it, or what the database had later.
    Visible,
    /// They show it when the follower has read its event.
    Pending,
}

/// A reading of the database by the follower: see [`Table::begin_database_read`].
#[must_use]
pub struct DatabaseRead<'a>(&'a Table);

/// A time in which no own change is applied: see [`Table::pause_own_changes`].
#[must_use]
pub struct OwnChangesPause<'a>(&'a Table);

impl Table {
    /// Announces changes of these domains, before they are sent to the database.
    pub fn begin_own_changes(&self, domains: Vec<DomainName>) -> OwnChanges<'_> {
        let mut state = self.state.lock();
        let versions = domains.iter().map(|domain| state.own_changes.begin(domain.as_bytes())).collect();
        let epoch = state.epoch;
        drop(state);
        OwnChanges { table: self, epoch, domains, versions }
    }

    /// Announces a reading, before it is sent to the database. What was read is to be applied before this is dropped. There
    /// is one follower, and it reads one thing after the other.
    pub fn begin_database_read(&self) -> DatabaseRead<'_> {
        self.state.lock().own_changes.begin_read();
        DatabaseRead(self)
    }

    /// Has no own change applied while the whole table is compared with the database, and afterwards none that was
    /// announced before the comparison ended.
    pub fn pause_own_changes(&self) -> OwnChangesPause<'_> {
        self.state.lock().own_changes.pause();
        OwnChangesPause(self)
    }

    /// Applies rows that the follower has read with their events. Returns their outcomes, in order. Lookups see each
    /// change as a whole.
    pub fn apply_events(
        &self,
        epoch: Epoch,
        source: crate::Source,
        changes: &[(EventId, Change)],
    ) -> Result<Vec<Outcome>, Stale> {
        self.apply_rows(epoch, source, changes, |(event, change)| (Some(*event), change))
    }
}

impl OwnChanges<'_> {
    /// Applies those of the changes that were committed, with their events. Each is named by the index of its domain.
    /// Returns for each whether it is visible.
    pub fn apply(&self, committed: &[(usize, EventId, Change)]) -> Vec<Visibility> {
        let table = self.table;
        let mut visibilities = Vec::with_capacity(committed.len());
        for turn in committed.chunks(CHANGES_PER_TURN) {
            table.change(|state| {
                if state.epoch != self.epoch {
                    // The table was emptied, perhaps after the follower has applied these events.
                    visibilities.extend(turn.iter().map(|_| Visibility::Pending));
                    return;
                }
                let source = match state.progress {
                    Progress::Following { source } => Some(source),
                    _ => None,
                };
                for (index, event, change) in turn {
                    let domain = self.domains[*index].as_bytes();
                    let name = table.routes.hash(domain);
                    visibilities.push(match (source, state.own_changes.check(domain, self.versions[*index], *event)) {
                        (_, Check::Followed) if state.shows(&table.routes, change, name) => Visibility::Visible,
                        (Some(source), Check::Apply) => {
                            state.own_changes.applied(domain, *event);
                            match state.apply(&table.routes, change, name, source) {
                                // The follower reports why a row is not served.
                                Outcome::Refused(_) => Visibility::Pending,
                                _ => Visibility::Visible,
                            }
                        }
                        (None, Check::Apply) | (_, Check::Followed | Check::Refuse) => Visibility::Pending,
                    });
                }
            });
        }
        visibilities
    }
}

impl Drop for OwnChanges<'_> {
    fn drop(&mut self) {
        let mut state = self.table.state.lock();
        self.domains.iter().for_each(|domain| state.own_changes.end(domain.as_bytes()));
    }
}

impl Drop for DatabaseRead<'_> {
    fn drop(&mut self) {
        self.0.state.lock().own_changes.end_read();
    }
}

impl Drop for OwnChangesPause<'_> {
    fn drop(&mut self) {
        self.0.state.lock().own_changes.resume();
    }
}
