//! What became of the domains, for those who are to be told.
//!
//! While somebody watches, each domain that comes, goes or changes its host type is noted, in the order in which lookups
//! see it, until the watcher takes the notes. They are bounded: too many that nobody took, or a load of the whole table,
//! become one note that says *everything* may be different, and the watcher has to look at the table itself. So nothing
//! is ever left out in silence.
//!
//! The watcher is called by a *bell* when there is something after there was nothing.

use crate::host_types::HostTypeId;

/// How many changes are noted before they become [`Changes::Everything`].
pub const LIMIT: usize = 16_384;

/// One domain that is there now, or no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainChange {
    /// Which one.
    pub domain: Box<[u8]>,
    /// Which host type serves it, or did.
    pub host_type: HostTypeId,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a domain. One whose host type changes is gone, then comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came.
    Added,
    /// It is gone.
    Removed,
}

/// What a watcher is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    /// These changes, in order; none when there is nothing new.
    Listed(Vec<DomainChange>),
    /// So much may have changed that the table has to be looked at.
    Everything,
}

/// The notes.
pub(crate) struct ChangeFeed {
    notes: Notes,
    bell: Bell,
}

enum Notes {
    /// Nobody watches.
    Off,
    Changes(Vec<DomainChange>),
    Everything,
}

/// Whether the watcher was called since it found nothing new.
#[derive(PartialEq, Eq)]
enum Bell {
    Silent,
    Rung,
}

impl ChangeFeed {
    pub(crate) fn new() -> ChangeFeed {
        ChangeFeed { notes: Notes::Off, bell: Bell::Silent }
    }

    /// Somebody begins to watch, who knows nothing yet.
    pub(crate) fn begin(&mut self) {
        *self = ChangeFeed { notes: Notes::Everything, bell: Bell::Silent };
    }

    #[inline]
    pub(crate) fn note(&mut self, domain: &[u8], host_type: HostTypeId, kind: ChangeKind) {
        match &mut self.notes {
            Notes::Changes(changes) if changes.len() < LIMIT => {
                changes.push(DomainChange { domain: domain.into(), host_type, kind });
            }
            Notes::Changes(_) => self.notes = Notes::Everything,
            Notes::Off | Notes::Everything => {}
        }
    }

    /// All that was noted, and more, may have changed.
    pub(crate) fn note_everything(&mut self) {
        if !matches!(self.notes, Notes::Off) {
            self.notes = Notes::Everything;
        }
    }

    /// Takes up to `limit` of the notes. Who takes them has to come again until there are none.
    pub(crate) fn take(&mut self, limit: usize) -> Changes {
        match &mut self.notes {
            Notes::Everything => {
                self.notes = Notes::Changes(Vec::new());
                Changes::Everything
            }
            Notes::Changes(changes) => {
                let changes: Vec<_> = changes.drain(..limit.min(changes.len())).collect();
                if changes.is_empty() {
                    self.bell = Bell::Silent;
                }
                Changes::Listed(changes)
            }
            Notes::Off => Changes::Listed(Vec::new()),
        }
    }

    /// How many bytes the notes take.
    pub(crate) fn bytes(&self) -> usize {
        match &self.notes {
            Notes::Changes(changes) => {
                let names: usize = changes.iter().map(|notice| notice.domain.len()).sum();
                changes.capacity() * size_of::<DomainChange>() + names
            }
            Notes::Off | Notes::Everything => 0,
        }
    }

    /// Whether the watcher is to be called now, and will be.
    pub(crate) fn rings(&mut self) -> bool {
        let news = match &self.notes {
            Notes::Off => false,
            Notes::Changes(changes) => !changes.is_empty(),
            Notes::Everything => true,
        };
        let rings = news && self.bell == Bell::Silent;
        if rings {
            self.bell = Bell::Rung;
        }
        rings
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn note(change_feed: &mut ChangeFeed, number: usize) {
        change_feed.note(number.to_string().as_bytes(), HostTypeId::from_number(1), ChangeKind::Added);
    }

    fn taken(change_feed: &mut ChangeFeed, limit: usize) -> Vec<String> {
        match change_feed.take(limit) {
            Changes::Listed(changes) => {
                changes.iter().map(|notice| String::from_utf8(notice.domain.to_vec()).unwrap()).collect()
            }
            Changes::Everything => vec!["everything".into()],
        }
    }

    #[test]
    fn nothing_is_noted_while_nobody_watches() {
        let mut change_feed = ChangeFeed::new();
        note(&mut change_feed, 1);
        change_feed.note_everything();
        assert!(!change_feed.rings());
        assert_eq!(taken(&mut change_feed, 10), [""; 0]);
    }

    #[test]
    fn who_begins_to_watch_is_told_everything_and_then_each_change_in_order() {
        let mut change_feed = ChangeFeed::new();
        change_feed.begin();
        assert!(change_feed.rings() && !change_feed.rings());
        assert_eq!(taken(&mut change_feed, 10), ["everything"]);
        (1..=5).for_each(|number| note(&mut change_feed, number));
        assert_eq!(taken(&mut change_feed, 3), ["1", "2", "3"]);
        assert_eq!(taken(&mut change_feed, 3), ["4", "5"]);
        assert!(!change_feed.rings(), "who took something comes again");
        note(&mut change_feed, 6);
        assert_eq!(taken(&mut change_feed, 3), ["6"]);
        assert_eq!(taken(&mut change_feed, 3), [""; 0]);
        assert!(!change_feed.rings());
        note(&mut change_feed, 7);
        assert!(change_feed.rings());
    }

    #[test]
    fn too_many_changes_become_everything_and_are_not_left_out() {
        let mut change_feed = ChangeFeed::new();
        change_feed.begin();
        change_feed.take(1);
        (0..=LIMIT).for_each(|number| note(&mut change_feed, number));
        assert_eq!(taken(&mut change_feed, 3), ["everything"]);
        note(&mut change_feed, 1);
        change_feed.note_everything();
        note(&mut change_feed, 2);
        assert_eq!(taken(&mut change_feed, 3), ["everything"]);
        note(&mut change_feed, 3);
        assert_eq!(taken(&mut change_feed, 3), ["3"]);
    }
}
