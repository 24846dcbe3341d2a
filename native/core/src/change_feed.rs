//! The changes of domains, in order, for one watcher.
//!
//! While a watcher is registered, the feed records each domain that is added, removed or moved to another host type, in
//! the order in which lookups see it, until the watcher takes the changes. The feed is bounded: too many changes, or a
//! load of the whole table, are replaced by one entry that says that *everything* may have changed, and then the
//! watcher reads the table itself. So no change is lost silently.
//!
//! The table calls the watcher's *waker* when the feed becomes non-empty.

use crate::host_types::HostTypeId;

/// The number of recorded changes from which on they become [`Changes::Everything`].
pub const MAX_CHANGES: usize = 16_384;

/// One domain that was added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainChange {
    /// The domain's name.
    pub domain: Box<[u8]>,
    /// The host type that serves the domain, or that served it.
    pub host_type: HostTypeId,
    /// What happened to the domain.
    pub kind: ChangeKind,
}

/// What happened to a domain. A change of its host type is a removal and an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was added.
    Added,
    /// It was removed.
    Removed,
}

/// What a watcher takes from the feed.
#[derive(Debug, PartialEq, Eq)]
pub enum Changes {
    /// These changes, in order. Empty if there are no more.
    Listed(Vec<DomainChange>),
    /// Anything may have changed: the watcher has to read the table.
    Everything,
}

pub(crate) struct ChangeFeed {
    pending: Pending,
    waker: WakerState,
}

enum Pending {
    /// There is no watcher.
    Off,
    Listed(Vec<DomainChange>),
    Everything,
}

/// Whether the waker was called since the watcher found the feed empty.
#[derive(PartialEq, Eq)]
enum WakerState {
    NotCalled,
    Called,
}

impl ChangeFeed {
    /// A feed without a watcher.
    pub(crate) fn new() -> ChangeFeed {
        ChangeFeed { pending: Pending::Off, waker: WakerState::NotCalled }
    }

    /// Starts to record, for a watcher that has not read the table yet.
    pub(crate) fn start(&mut self) {
        *self = ChangeFeed { pending: Pending::Everything, waker: WakerState::NotCalled };
    }

    #[inline]
    pub(crate) fn record(&mut self, domain: &[u8], host_type: HostTypeId, kind: ChangeKind) {
        match &mut self.pending {
            Pending::Listed(changes) if changes.len() < MAX_CHANGES => {
                changes.push(DomainChange { domain: domain.into(), host_type, kind });
            }
            Pending::Listed(_) => self.pending = Pending::Everything,
            Pending::Off | Pending::Everything => {}
        }
    }

    /// Records that anything may have changed.
    pub(crate) fn record_everything(&mut self) {
        if !matches!(self.pending, Pending::Off) {
            self.pending = Pending::Everything;
        }
    }

    /// Takes up to `limit` changes. The watcher calls this until it returns none.
    pub(crate) fn take(&mut self, limit: usize) -> Changes {
        match &mut self.pending {
            Pending::Everything => {
                self.pending = Pending::Listed(Vec::new());
                Changes::Everything
            }
            Pending::Listed(changes) => {
                let changes: Vec<_> = changes.drain(..limit.min(changes.len())).collect();
                if changes.is_empty() {
                    self.waker = WakerState::NotCalled;
                }
                Changes::Listed(changes)
            }
            Pending::Off => Changes::Listed(Vec::new()),
        }
    }

    /// The bytes that the recorded changes take.
    pub(crate) fn bytes(&self) -> usize {
        match &self.pending {
            Pending::Listed(changes) => {
                let names: usize = changes.iter().map(|change| change.domain.len()).sum();
                changes.capacity() * size_of::<DomainChange>() + names
            }
            Pending::Off | Pending::Everything => 0,
        }
    }

    /// Whether the caller has to call the waker now. Returns `true` once, until the watcher has found the feed empty.
    pub(crate) fn take_wakeup(&mut self) -> bool {
        let is_empty = match &self.pending {
            Pending::Off => true,
            Pending::Listed(changes) => changes.is_empty(),
            Pending::Everything => false,
        };
        let wakeup = !is_empty && self.waker == WakerState::NotCalled;
        if wakeup {
            self.waker = WakerState::Called;
        }
        wakeup
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn record(feed: &mut ChangeFeed, number: usize) {
        feed.record(number.to_string().as_bytes(), HostTypeId::from_number(1), ChangeKind::Added);
    }

    fn take(feed: &mut ChangeFeed, limit: usize) -> Vec<String> {
        match feed.take(limit) {
            Changes::Listed(changes) => {
                changes.iter().map(|change| String::from_utf8(change.domain.to_vec()).unwrap()).collect()
            }
            Changes::Everything => vec!["everything".into()],
        }
    }

    #[test]
    fn nothing_is_recorded_without_a_watcher() {
        let mut feed = ChangeFeed::new();
        record(&mut feed, 1);
        feed.record_everything();
        assert!(!feed.take_wakeup());
        assert_eq!(take(&mut feed, 10), [""; 0]);
    }

    #[test]
    fn a_new_watcher_gets_everything_and_then_each_change_in_order() {
        let mut feed = ChangeFeed::new();
        feed.start();
        assert!(feed.take_wakeup() && !feed.take_wakeup());
        assert_eq!(take(&mut feed, 10), ["everything"]);
        (1..=5).for_each(|number| record(&mut feed, number));
        assert_eq!(take(&mut feed, 3), ["1", "2", "3"]);
        assert_eq!(take(&mut feed, 3), ["4", "5"]);
        assert!(!feed.take_wakeup(), "a watcher that took changes calls again");
        record(&mut feed, 6);
        assert_eq!(take(&mut feed, 3), ["6"]);
        assert_eq!(take(&mut feed, 3), [""; 0]);
        assert!(!feed.take_wakeup());
        record(&mut feed, 7);
        assert!(feed.take_wakeup());
    }

    #[test]
    fn too_many_changes_become_everything() {
        let mut feed = ChangeFeed::new();
        feed.start();
        feed.take(1);
        (0..=MAX_CHANGES).for_each(|number| record(&mut feed, number));
        assert_eq!(take(&mut feed, 3), ["everything"]);
        record(&mut feed, 1);
        feed.record_everything();
        record(&mut feed, 2);
        assert_eq!(take(&mut feed, 3), ["everything"]);
        record(&mut feed, 3);
        assert_eq!(take(&mut feed, 3), ["3"]);
    }
}
