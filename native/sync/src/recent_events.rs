//! Whether an event is in the log that is followed.
//!
//! Who changed a domain asks for its event: a table that is current says nothing of a change that was made in
//! another database. Most events that are asked for were read a moment before, so the last ones are
//! remembered; the log is asked for the others.

use std::collections::{HashSet, VecDeque};

use domain_core::EventId;
use domain_store::{Event, IdRange, Store};

use crate::outbox::Halt;
use crate::work::Work;

/// Events that are remembered.
const MOST: usize = 4_096;

/// The last events that were read.
#[derive(Default)]
pub(crate) struct RecentEvents {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl RecentEvents {
    pub(crate) fn note(&mut self, events: &[Event]) {
        for event in &events[events.len().saturating_sub(MOST)..] {
            if self.ids.insert(event.id) {
                self.order.push_back(event.id);
            }
        }
        while self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    /// The log is another one.
    pub(crate) fn clear(&mut self) {
        *self = RecentEvents::default();
    }
}

impl Work<'_> {
    /// Those of the events that callers wait for which are in the log, and which the table shows.
    pub(crate) fn find_awaited(&mut self, store: &mut dyn Store) -> Result<HashSet<EventId>, Halt> {
        let awaited = self.outbox.awaited_events();
        let (found, unknown): (Vec<_>, Vec<_>) = awaited.into_iter().partition(|id| self.heard.ids.contains(id));
        let mut found: HashSet<_> = found.into_iter().collect();
        if !unknown.is_empty() {
            let ranges: Vec<_> = unknown.iter().map(|&id| IdRange { first: id, last: id }).collect();
            let limit = u32::try_from(ranges.len()).unwrap_or(u32::MAX);
            let events = store.events_in(&ranges, limit)?;
            // What shows since the log was followed is for the next pass.
            let followed = self.memory.cursor.as_ref().map(|cursor| cursor.at);
            found.extend(events.into_iter().map(|event| event.id).filter(|id| Some(*id) <= followed));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut heard = RecentEvents::default();
        let event = |id| Event { id: EventId(id), row: None };
        heard.note(&(1..=10_000).map(event).collect::<Vec<_>>());
        heard.note(&[event(10_000), event(10_001)]);
        assert_eq!((heard.ids.len(), heard.order.len()), (MOST, MOST));
        assert!(heard.ids.contains(&EventId(10_001)) && !heard.ids.contains(&EventId(1)));
    }
}
