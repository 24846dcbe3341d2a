//! Warnings about rows that cannot be served, each given once.
//!
//! A bad row stays bad for months, and every load and every event of its domain shows it. It is reported when it is
//! first seen, and again only after it was good, or bad for another reason, in between. A node that lacks a host type
//! may find a million such rows. So the first [`MAX_REPORTED`] of a pass are reported one by one and the others
//! counted, and at most [`MAX_REMEMBERED`] are remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::report::{Report, RowWarning};

/// The most warnings of a pass that are reported one by one. The node's logger takes as many at a time.
const MAX_REPORTED: usize = 100;

/// The most warnings that are remembered.
const MAX_REMEMBERED: usize = 100_000;

#[derive(Default)]
pub(crate) struct Warnings {
    /// The hash of the last warning about each domain.
    given: HashMap<Box<str>, u64>,
    hashing: RandomState,
    reported: Vec<RowWarning>,
    unreported: u64,
}

impl Warnings {
    /// Adds a warning, unless it was given before.
    pub(crate) fn add(&mut self, warning: RowWarning) {
        let hash = self.hashing.hash_one(&warning);
        if self.given.get(warning.domain()) == Some(&hash) {
            return;
        }
        let remembered = self.given.len() < MAX_REMEMBERED || self.given.contains_key(warning.domain());
        if remembered {
            self.given.insert(warning.domain().into(), hash);
        }
        // A warning that is not remembered would be reported by each pass.
        if remembered && self.reported.len() < MAX_REPORTED {
            self.reported.push(warning);
        } else {
            self.unreported += 1;
        }
    }

    /// The row of this domain is good now.
    pub(crate) fn withdraw(&mut self, domain: &str) {
        if !self.given.is_empty() {
            self.given.remove(domain);
        }
    }

    /// The table was opened with other rules, by which all rows are judged anew.
    pub(crate) fn reset(&mut self) {
        *self = Warnings::default();
    }

    /// Takes the warnings since the last call.
    pub(crate) fn take(&mut self) -> Vec<Report> {
        let unreported = std::mem::take(&mut self.unreported);
        let reported = std::mem::take(&mut self.reported).into_iter().map(Report::RowWarning);
        reported.chain((unreported > 0).then_some(Report::MoreRowWarnings { count: unreported })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(domain: &str, host_type: &str) -> RowWarning {
        RowWarning::UnknownHostType { domain: domain.into(), host_type: host_type.into() }
    }

    #[test]
    fn a_warning_is_given_once_until_it_is_another_one_or_was_withdrawn() {
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
        for n in 0..MAX_REMEMBERED + 10 {
            warnings.add(unknown(&n.to_string(), "one"));
        }
        let reports = warnings.take();
        assert_eq!(reports.len(), MAX_REPORTED + 1);
        assert_eq!(
            reports.last(),
            Some(&Report::MoreRowWarnings { count: (MAX_REMEMBERED + 10 - MAX_REPORTED) as u64 })
        );
        assert!(warnings.given.len() <= MAX_REMEMBERED);
    }
}
