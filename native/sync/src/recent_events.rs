//! The ids of the last events that were read.
//!
//! A caller that changed a domain waits for its event: that the table is current says nothing of a change that was made
//! in another database. Most of these events were read a moment before, so their ids are remembered.

use std::collections::{HashSet, VecDeque};

use domain_core::EventId;
use domain_store::Event;

/// The most ids that are remembered.
const CAPACITY: usize = 4_096;

#[derive(Default)]
pub(crate) struct RecentEvents {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl RecentEvents {
    pub(crate) fn add(&mut self, events: &[Event]) {
        for event in &events[events.len().saturating_sub(CAPACITY)..] {
            if self.ids.insert(event.id) {
                self.order.push_back(event.id);
            }
        }
        while self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    pub(crate) fn clear(&mut self) {
        *self = RecentEvents::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut recent = RecentEvents::default();
        let event = |id| Event { id: EventId(id), row: None };
        recent.add(&(1..=10_000).map(event).collect::<Vec<_>>());
        recent.add(&[event(10_000), event(10_001)]);
        assert_eq!((recent.ids.len(), recent.order.len()), (CAPACITY, CAPACITY));
        assert!(recent.contains(EventId(10_001)) && !recent.contains(EventId(1)));
    }
}
