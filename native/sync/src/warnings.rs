//! Rows that make no sense, each said once.
//!
//! A bad row stays bad for months and shows up at every load and every event of its domain. It is
//! reported when it is first seen, and again only after the row was good, or bad in another way, in
//! between. A node that lacks a host type may meet a million such rows: the first [`NAMED`] of a
//! pass are named one by one, the others are counted, and no more than [`REMEMBERED`] are remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::{Report, RowWarning};

/// Warnings a pass that are named one by one: no more than the node's logger takes at a time.
const NAMED: usize = 100;

/// Warnings that are remembered, to be said once.
const REMEMBERED: usize = 100_000;

#[derive(Default)]
pub(crate) struct Warnings {
    /// By domain, a hash of what was last said about it.
    said: HashMap<Box<str>, u64>,
    hashing: RandomState,
    named: Vec<RowWarning>,
    more: u64,
}

impl Warnings {
    /// Makes a warning, unless it was made before.
    pub(crate) fn add(&mut self, warning: RowWarning) {
        let hash = self.hashing.hash_one(&warning);
        if self.said.get(warning.domain()) == Some(&hash) {
            return;
        }
        let remembered = self.said.len() < REMEMBERED || self.said.contains_key(warning.domain());
        if remembered {
            self.said.insert(warning.domain().into(), hash);
        }
        // What is not remembered would be said again and again.
        if remembered && self.named.len() < NAMED {
            self.named.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// There is nothing to complain of about this domain now.
    pub(crate) fn withdraw(&mut self, domain: &str) {
        if !self.said.is_empty() {
            self.said.remove(domain);
        }
    }

    /// Forgets what was said: the rules are other ones now.
    pub(crate) fn forget(&mut self) {
        *self = Warnings::default();
    }

    /// The warnings since the last call.
    pub(crate) fn take(&mut self) -> Vec<Report> {
        let more = std::mem::take(&mut self.more);
        let named = std::mem::take(&mut self.named).into_iter().map(Report::RowWarning);
        named.chain((more > 0).then_some(Report::MoreRowWarnings { count: more })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(domain: &str, host_type: &str) -> RowWarning {
        RowWarning::UnknownHostType { domain: domain.into(), host_type: host_type.into() }
    }

    #[test]
    fn a_complaint_is_made_once_until_it_is_another_one_or_was_withdrawn() {
        let mut warnings = Warnings::default();
        warnings.add(unknown("a", "one"));
        warnings.add(unknown("a", "one"));
        assert_eq!(warnings.take(), vec![Report::RowWarning(unknown("a", "one"))]);
        warnings.add(unknown("a", "one"));
        assert_eq!(warnings.take(), vec![]);
        warnings.add(unknown("a", "two"));
        assert_eq!(warnings.take().len(), 1);
        warnings.withdraw("a");
        warnings.add(unknown("a", "two"));
        assert_eq!(warnings.take().len(), 1);
    }

    #[test]
    fn a_flood_is_counted() {
        let mut warnings = Warnings::default();
        for n in 0..REMEMBERED + 10 {
            warnings.add(unknown(&n.to_string(), "one"));
        }
        let reports = warnings.take();
        assert_eq!(reports.len(), NAMED + 1);
        assert_eq!(reports.last(), Some(&Report::MoreRowWarnings { count: (REMEMBERED + 10 - NAMED) as u64 }));
        assert!(warnings.said.len() <= REMEMBERED);
    }
}
