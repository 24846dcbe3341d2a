//! What a load counts, to know what it repaired and whether the database lost data.
//!
//! After the load the log is followed to its end. So a row that the load repaired and an event names is no repair: to
//! follow the log would have done the same. And a route that was confirmed by the load may be removed by an event, or
//! the other way round, before routes that were not confirmed are counted as missing.

use std::collections::HashMap;

use domain_core::{Change, HostTypeId, Outcome};

use crate::repairs::Repairs;

/// The most domains that are remembered by name.
const MAX_NAMES: usize = 100_000;

#[derive(Default)]
pub(crate) struct LoadStats {
    /// The routes that the load brought or confirmed.
    pub(crate) routes: u64,
    pub(crate) repairs: Repairs,
    /// The repaired domains.
    repaired: HashMap<Box<str>, Repair>,
    /// Confirmed routes, by the host type that they had before.
    confirmed: HashMap<HostTypeId, u64>,
    /// The routes of domains that events named, as they were before the first of these events.
    named: HashMap<Box<str>, (Standing, HostTypeId)>,
}

/// Whether the load confirmed a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Confirmed,
    Outdated,
}

#[derive(Clone, Copy)]
enum Repair {
    Added,
    Changed,
}

impl LoadStats {
    /// Counts what a row of the load did.
    pub(crate) fn count(&mut self, change: &Change, outcome: Outcome) {
        let Change::Put(domain, host_type) = change else { return };
        let repair = match outcome {
            Outcome::Added => Some(Repair::Added),
            Outcome::Moved(before) => {
                *self.confirmed.entry(before).or_default() += 1;
                Some(Repair::Changed)
            }
            Outcome::Kept => {
                *self.confirmed.entry(*host_type).or_default() += 1;
                None
            }
            Outcome::Removed(_) | Outcome::Absent | Outcome::Refused(_) | Outcome::Overtaken(_) => return,
        };
        self.routes += 1;
        if let Some(repair) = repair {
            *self.counter(repair) += 1;
            if self.repaired.len() < MAX_NAMES {
                self.repaired.insert(domain.as_str().into(), repair);
            }
        }
    }

    /// Takes an event into account that names this domain, which has this route. What the event leads to is known only
    /// when it is applied: see [`LoadStats::finish`].
    pub(crate) fn note_event(&mut self, domain: &str, route: Option<(Standing, HostTypeId)>) {
        let repair = self.repaired.remove(domain);
        if let Some(repair) = repair {
            *self.counter(repair) -= 1;
        }
        if let Some(route) = route.filter(|_| repair.is_none() && self.named.len() < MAX_NAMES) {
            self.named.entry(domain.into()).or_insert(route);
        }
    }

    /// All events are applied: counts as confirmed what they confirmed, and no longer what they removed.
    pub(crate) fn finish(&mut self, is_confirmed: impl Fn(&str) -> bool) {
        for (domain, (standing, host_type)) in self.named.drain() {
            let confirmed = self.confirmed.entry(host_type).or_default();
            match (standing, is_confirmed(&domain)) {
                (Standing::Outdated, true) => *confirmed += 1,
                (Standing::Confirmed, false) => *confirmed = confirmed.saturating_sub(1),
                (Standing::Outdated, false) | (Standing::Confirmed, true) => (),
            }
        }
    }

    pub(crate) fn confirmed(&self) -> &HashMap<HostTypeId, u64> {
        &self.confirmed
    }

    /// The confirmed routes without those that loads added which broke off: these say nothing of what the table had
    /// before.
    pub(crate) fn confirmed_without(&self, added: &HashMap<HostTypeId, u64>) -> HashMap<HostTypeId, u64> {
        let less = |host_type| added.get(host_type).copied().unwrap_or(0);
        self.confirmed.iter().map(|(host_type, count)| (*host_type, count.saturating_sub(less(host_type)))).collect()
    }

    /// The names of domains that the load repaired.
    pub(crate) fn repaired_domains(&self) -> impl Iterator<Item = &str> {
        self.repaired.keys().map(|domain| &**domain)
    }

    fn counter(&mut self, repair: Repair) -> &mut u64 {
        match repair {
            Repair::Added => &mut self.repairs.added,
            Repair::Changed => &mut self.repairs.changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain_core::{DomainName, HostTypes};

    use super::*;

    /// The simulation's seeds 11118 and 94321.
    #[test]
    fn routes_that_events_confirm_count_as_confirmed_and_those_that_they_remove_do_not() {
        let host_types = HostTypes::default();
        let one = host_types.intern(b"one").unwrap();
        let name = |n: u32| format!("d{n}.example");
        let mut stats = LoadStats::default();
        for n in 0..3 {
            stats.count(&Change::Put(DomainName::new(&name(n)).unwrap(), one), Outcome::Kept);
        }
        stats.count(&Change::Put(DomainName::new(&name(3)).unwrap(), one), Outcome::Added);
        for (n, standing) in [(2, Standing::Confirmed), (3, Standing::Confirmed), (4, Standing::Outdated)] {
            stats.note_event(&name(n), Some((standing, one)));
            // A second event finds what the first one did.
            stats.note_event(&name(n), Some((Standing::Confirmed, one)));
        }
        stats.note_event(&name(5), Some((Standing::Outdated, one)));
        stats.note_event(&name(6), None);
        stats.finish(|domain| [name(3), name(4), name(6)].iter().any(|present| present == domain));
        assert_eq!(stats.confirmed[&one], 3, "0 and 1, which the load confirmed, and 4");
    }
}
