//! How far the event log was followed, and whether it is still the log that was followed.
//!
//! The newest event is never pruned. So the event at the cursor is still there, and about the same domain, unless all
//! events up to it were pruned. That event is the *anchor*. Where the log has another event in its place, or none,
//! it is another log, whatever its ids are.

use std::time::Instant;

use domain_core::EventId;
use domain_store::{Events, IdRange, LoadSummary, LogBounds};

use crate::gaps::{Dropped, Gaps};

/// Why the log cannot be followed from the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFault {
    /// Events that were not read yet may be gone.
    Truncated,
    /// It is not the log that was followed: its ids ran backwards, or the anchor is gone.
    Backwards,
    /// It was empty, and begins with an id before which there may have been others.
    Begun,
}

/// A position in the log. Without an anchor it is right before the log's first event, or [`Cursor::EMPTY`] where the
/// log had none.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// The last event that was followed.
    pub(crate) at: EventId,
    /// The domain of that event.
    pub(crate) anchor: Option<String>,
    pub(crate) gaps: Gaps,
}

impl Cursor {
    /// The position in an empty log, whose first id is 1 or larger.
    pub(crate) const EMPTY: EventId = EventId(0);

    /// The end of a log whose rows were loaded.
    pub(crate) fn at_end(summary: &LoadSummary, now: Instant) -> Cursor {
        let (at, oldest) = match summary.bounds {
            LogBounds::Empty => (Cursor::EMPTY, EventId(1)),
            LogBounds::From { oldest, newest } => (newest, oldest),
        };
        let gaps = Gaps::of_loaded(oldest, &summary.gaps, now);
        Cursor { at, anchor: summary.newest_domain.clone(), gaps }
    }

    /// Goes on where the log begins now, if events after the cursor are gone or none was followed yet. The events that
    /// are left are new ones.
    pub(crate) fn skip_to_oldest(&mut self, summary: &LoadSummary, now: Instant) {
        match summary.bounds {
            LogBounds::Empty => *self = Cursor::at_end(summary, now),
            LogBounds::From { oldest, .. } if self.anchor.is_none() || oldest.0 > self.at.0.saturating_add(1) => {
                let at = EventId(oldest.0 - 1);
                *self = Cursor { at, anchor: None, gaps: Gaps::of_log(oldest, now) };
            }
            LogBounds::From { .. } => (),
        }
    }

    /// Stays where it is in the log of another database, which continues the one before. Its gaps are its own.
    pub(crate) fn move_to(&mut self, summary: &LoadSummary, now: Instant) {
        let Cursor { mut gaps, .. } = Cursor::at_end(summary, now);
        gaps.truncate(self.at);
        self.gaps = gaps;
    }

    /// Whether these events continue the log that was followed.
    pub(crate) fn check(&self, events: &Events) -> Result<(), LogFault> {
        match (events.bounds, &self.anchor) {
            (LogBounds::Empty, None) if self.at == Cursor::EMPTY => Ok(()),
            (LogBounds::Empty, _) => Err(LogFault::Truncated),
            (LogBounds::From { newest, .. }, None) if newest <= self.at && self.at != Cursor::EMPTY => {
                Err(LogFault::Backwards)
            }
            (LogBounds::From { oldest, .. }, None) => {
                if oldest.0 <= self.at.0.saturating_add(1) {
                    Ok(())
                } else {
                    Err(LogFault::Begun)
                }
            }
            (LogBounds::From { newest, .. }, Some(_)) if newest < self.at => Err(LogFault::Backwards),
            (LogBounds::From { oldest, .. }, Some(_)) if oldest.0 > self.at.0.saturating_add(1) => {
                Err(LogFault::Truncated)
            }
            (LogBounds::From { oldest, .. }, Some(anchor)) if oldest <= self.at => {
                if events.anchor.as_ref() == Some(anchor) { Ok(()) } else { Err(LogFault::Backwards) }
            }
            (LogBounds::From { .. }, Some(_)) => Ok(()),
        }
    }

    /// Records where the log begins now. What is gone there was pruned.
    pub(crate) fn note_oldest(&mut self, bounds: LogBounds, now: Instant) -> Result<(), LogFault> {
        match bounds {
            LogBounds::From { oldest, .. } if oldest > self.gaps.oldest() => {
                match self.gaps.raise_oldest(oldest, now) {
                    Dropped::Nothing => Ok(()),
                    Dropped::Open => Err(LogFault::Truncated),
                }
            }
            LogBounds::From { .. } | LogBounds::Empty => Ok(()),
        }
    }

    /// Advances past these events, which are in the order of their ids, and records the gaps between them.
    pub(crate) fn advance(&mut self, events: &Events, now: Instant) {
        if self.anchor.is_some() && events.anchor.is_none() {
            // All events up to here were pruned, or another log begins right here, whose transactions may still
            // write below.
            self.gaps.reopen_below(now);
        }
        for event in &events.events {
            let passed = IdRange::new(EventId(self.at.0 + 1), EventId(event.id.0 - 1));
            passed.into_iter().for_each(|gap| self.gaps.add(gap, now));
            self.at = event.id;
        }
        if let Some(last) = events.events.last() {
            self.anchor = Some(last.domain().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use domain_store::{Event, TableContents};

    use super::*;
    use crate::gaps::Scope;

    fn log(oldest: i64, newest: i64, anchor: Option<&str>) -> Events {
        let bounds = LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) };
        Events { bounds, anchor: anchor.map(str::to_owned), events: vec![] }
    }

    fn cursor(oldest: i64, newest: i64) -> Cursor {
        let bounds = LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) };
        let newest_domain = Some("a.example".to_owned());
        let loaded = LoadSummary { bounds, newest_domain, gaps: vec![], rows: TableContents::NotEmpty, fresh: vec![] };
        Cursor::at_end(&loaded, Instant::now())
    }

    /// An event after the anchor.
    fn dummy(id: i64) -> Events {
        Events { events: vec![Event { id: EventId(id), row: None }], ..log(1, id, Some("a.example")) }
    }

    const EMPTY: Events = Events { bounds: LogBounds::Empty, anchor: None, events: vec![] };

    #[test]
    fn a_log_that_goes_on_is_the_same() {
        let cursor = cursor(1, 10);
        assert_eq!(cursor.check(&log(1, 10, Some("a.example"))), Ok(()));
        assert_eq!(cursor.check(&log(7, 1_000_000, Some("a.example"))), Ok(()));
        assert_eq!(cursor.check(&log(11, 12, None)), Ok(()), "all that was pruned was seen");
    }

    #[test]
    fn a_log_that_lost_unread_events_is_truncated() {
        assert_eq!(cursor(1, 10).check(&EMPTY), Err(LogFault::Truncated));
        assert_eq!(cursor(1, 10).check(&log(12, 12, None)), Err(LogFault::Truncated));
    }

    #[test]
    fn a_log_without_the_anchor_is_another_one() {
        assert_eq!(cursor(1, 10).check(&log(1, 9, None)), Err(LogFault::Backwards));
        assert_eq!(cursor(1, 10).check(&log(1, 20, None)), Err(LogFault::Backwards));
        assert_eq!(cursor(1, 10).check(&log(1, 10, Some("b.example"))), Err(LogFault::Backwards));
    }

    #[test]
    fn an_empty_log_may_begin_with_the_first_id_only() {
        let loaded = LoadSummary {
            bounds: LogBounds::Empty,
            newest_domain: None,
            gaps: vec![],
            rows: TableContents::Empty,
            fresh: vec![],
        };
        let cursor = Cursor::at_end(&loaded, Instant::now());
        assert_eq!(cursor.check(&EMPTY), Ok(()));
        assert_eq!(cursor.check(&log(1, 7, None)), Ok(()));
        assert_eq!(cursor.check(&log(2, 7, None)), Err(LogFault::Begun));
    }

    #[test]
    fn what_is_left_of_a_truncated_log_is_new() {
        let loaded = |oldest, newest| LoadSummary {
            bounds: LogBounds::From { oldest: EventId(oldest), newest: EventId(newest) },
            newest_domain: Some("b.example".to_owned()),
            gaps: vec![],
            rows: TableContents::NotEmpty,
            fresh: vec![],
        };
        let now = Instant::now();
        let mut cursor = cursor(1, 10);
        cursor.skip_to_oldest(&loaded(5, 20), now);
        assert_eq!(cursor.at, EventId(10), "nothing is missing");
        cursor.skip_to_oldest(&loaded(15, 20), now);
        assert_eq!(cursor.at, EventId(14));
        assert_eq!(cursor.check(&log(15, 20, None)), Ok(()));
    }

    #[test]
    fn before_the_first_event_a_late_one_below_is_in_a_gap() {
        let loaded = LoadSummary {
            bounds: LogBounds::From { oldest: EventId(15), newest: EventId(20) },
            newest_domain: Some("b.example".to_owned()),
            gaps: vec![],
            rows: TableContents::NotEmpty,
            fresh: vec![],
        };
        let now = Instant::now();
        let mut cursor = cursor(1, 10);
        cursor.skip_to_oldest(&loaded, now);
        let below = |last| vec![IdRange { first: EventId(i64::MIN), last: EventId(last) }];
        assert_eq!(cursor.gaps.to_read(Scope::Open), below(14));
        cursor.gaps.fill(EventId(13), now);
        assert_eq!(cursor.check(&log(13, 20, None)), Ok(()));
    }

    #[test]
    fn a_gap_before_the_first_event_is_remembered() {
        // The first event came between the reading of the others and that of the log's ends.
        let loaded = LoadSummary {
            bounds: LogBounds::Empty,
            newest_domain: None,
            gaps: vec![],
            rows: TableContents::Empty,
            fresh: vec![],
        };
        let now = Instant::now();
        let mut cursor = Cursor::at_end(&loaded, now);
        cursor.advance(&dummy(2), now);
        assert!(cursor.gaps.to_read(Scope::Open).contains(&IdRange { first: EventId(1), last: EventId(1) }));
    }

    #[test]
    fn an_open_gap_that_was_pruned_may_have_hidden_an_event() {
        let (mut cursor, now) = (cursor(5, 10), Instant::now());
        let from = |oldest| LogBounds::From { oldest: EventId(oldest), newest: EventId(20) };
        cursor.advance(&dummy(20), now);
        assert_eq!(cursor.note_oldest(from(8), now), Ok(()));
        assert_eq!(cursor.note_oldest(from(15), now), Err(LogFault::Truncated));
        assert_eq!(cursor.gaps.oldest(), EventId(15));
    }
}
