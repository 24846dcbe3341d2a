//! Comparing the whole table with one snapshot of the database, and repairing it.
//!
//! A load and a comparison are one thing. Every enabled row is put into the table under a new *source*;
//! what was missing is added, what pointed elsewhere is moved, in brief write sections. Then the log is
//! followed from where it was, so that changes since the snapshot, and those that the table had not
//! heard of yet, are not taken for faults. What still has another source is not in the database: it
//! goes, unless the gate keeps it (see [`crate::gate`]).
//!
//! When the log is not the one that was followed, the cursor begins anew at the snapshot; when only its
//! beginning is gone, at what is left of it, since explicit events are obeyed whatever the gate keeps.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Instant;

use domain_core::{Change, DomainName, Epoch, HostTypeId, Outcome, Progress, Select, Source};
use domain_store::{LoadSummary, Row, Store, TableContents};

use crate::gaps::{self, Scope};
use crate::gate::Verdict;
use crate::pass::{BATCH, Break, Look};
use crate::work::{Reason, Wanted, Work};
use crate::{Evidence, Force, Report, State};

/// Repaired domains that are known by name, so that an event can show that it was none of our faults.
const NAMED: usize = 100_000;

/// Names in a report.
const EXAMPLES: usize = 10;

/// What a comparison did to the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Domains that were missing.
    pub added: u64,
    /// Domains that had another host type.
    pub changed: u64,
    /// Domains that the database does not have.
    pub removed: u64,
    /// Domains that the database does not have and that stayed.
    pub kept: u64,
}

impl Repairs {
    /// Whether there was nothing to repair.
    pub fn is_none(&self) -> bool {
        self.added + self.changed + self.removed == 0
    }
}

/// What is counted while rows are put into the table.
#[derive(Default)]
struct Census {
    routes: u64,
    repairs: Repairs,
    named: HashMap<Box<str>, Repair>,
    /// Routes that were there before, by the host type that they had.
    confirmed: HashMap<HostTypeId, u64>,
    /// What routes were before an event told of their domains.
    heard: HashMap<Box<str>, (Standing, HostTypeId)>,
}

/// Whether a route is in the snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Confirmed,
    Outdated,
}

#[derive(Clone, Copy)]
enum Repair {
    Added,
    Changed,
}

impl Census {
    fn count(&mut self, change: &Change, outcome: Outcome) {
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
            Outcome::Removed(_) | Outcome::Absent | Outcome::Refused(_) => return,
        };
        self.routes += 1;
        if let Some(repair) = repair {
            *self.of(repair) += 1;
            if self.named.len() < NAMED {
                self.named.insert(domain.as_str().into(), repair);
            }
        }
    }

    /// An event tells of this domain: following would have seen it, too.
    fn strike(&mut self, domain: &str) {
        if let Some(repair) = self.named.remove(domain) {
            *self.of(repair) -= 1;
        }
    }

    /// An event tells of this domain, whose route is this one: what it leads to is known later.
    fn hear(&mut self, domain: &str, route: Option<(Standing, HostTypeId)>) {
        let repaired = self.named.contains_key(domain);
        self.strike(domain);
        if let Some(route) = route.filter(|_| !repaired && self.heard.len() < NAMED) {
            self.heard.entry(domain.into()).or_insert(route);
        }
    }

    /// Counts as confirmed what events confirmed, and no more what they removed.
    fn reckon(&mut self, is_confirmed: impl Fn(&str) -> bool) {
        for (domain, (standing, host_type)) in self.heard.drain() {
            let confirmed = self.confirmed.entry(host_type).or_default();
            match (standing, is_confirmed(&domain)) {
                (Standing::Outdated, true) => *confirmed += 1,
                (Standing::Confirmed, false) => *confirmed = confirmed.saturating_sub(1),
                (Standing::Outdated, false) | (Standing::Confirmed, true) => (),
            }
        }
    }

    /// The same without what attempts that broke off have added: that says nothing of what the table had before them.
    fn confirmed_of_old(&self, added: &HashMap<HostTypeId, u64>) -> HashMap<HostTypeId, u64> {
        let less = |host_type| added.get(host_type).copied().unwrap_or(0);
        self.confirmed.iter().map(|(host_type, count)| (*host_type, count.saturating_sub(less(host_type)))).collect()
    }

    fn of(&mut self, repair: Repair) -> &mut u64 {
        match repair {
            Repair::Added => &mut self.repairs.added,
            Repair::Changed => &mut self.repairs.changed,
        }
    }
}

impl Work<'_> {
    pub(crate) fn converge(
        &mut self,
        store: &mut dyn Store,
        epoch: Epoch,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Repairs, Break> {
        let reason = wanted.reason;
        let begin = Instant::now();
        self.enter(if reason == Reason::Cold { State::Loading } else { State::Converging });
        let source = self.table.new_source();
        let mut census = Census::default();
        let added = self.memory.added.clone();
        let loaded = self.load(store, epoch, source, wanted, &mut census)?;
        self.take_over(&loaded, wanted, now);
        self.table.set_progress(epoch, Progress::Following { source })?;
        let table = self.table;
        let route = |domain: &str| {
            let (host_type, of) = table.route(domain.as_bytes())?;
            Some((if of == source { Standing::Confirmed } else { Standing::Outdated }, host_type))
        };
        let mut hear = |domain: &str| census.hear(domain, route(domain));
        self.catch_up(store, Look::new(epoch, source, Scope::All, now, &mut hear))?;
        census.reckon(|domain| matches!(route(domain), Some((Standing::Confirmed, _))));
        let confirmed = [census.confirmed_of_old(&added), std::mem::take(&mut census.confirmed)];
        let gone = self.remove_outdated(epoch, source, reason, &loaded, &confirmed, &mut census)?;
        self.converged(now + begin.elapsed());
        self.outbox.status(|status| status.loads += 1);
        let Census { routes, repairs, named, .. } = census;
        let took = begin.elapsed();
        let examples: Vec<_> = named.into_keys().map(String::from).chain(gone).take(EXAMPLES).collect();
        if reason != Reason::Cold {
            self.total(|totals| totals.repaired(&repairs));
        }
        match reason {
            Reason::Cold | Reason::Reset => self.outbox.report(Report::Loaded { count: routes, took }),
            _ => {
                let repairs = repairs.clone();
                self.outbox.report(Report::Converged { reason, repairs, examples, took });
            }
        }
        Ok(repairs)
    }

    fn load(
        &mut self,
        store: &mut dyn Store,
        epoch: Epoch,
        source: Source,
        wanted: Wanted,
        census: &mut Census,
    ) -> Result<LoadSummary, Break> {
        // One more than are remembered, so that too many are noticed; none where the log is followed on.
        let gaps = if self.stays_in_the_log(wanted) { 0 } else { gaps::MOST + 1 };
        let mut broken = None;
        let mut take = |rows: Vec<Row>| match self.apply(epoch, source, rows) {
            Ok((changes, outcomes)) => {
                for (change, outcome) in changes.iter().zip(outcomes) {
                    census.count(change, outcome);
                    if let (Change::Put(_, host_type), Outcome::Added) = (change, outcome) {
                        *self.memory.added.entry(*host_type).or_default() += 1;
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                broken = Some(error);
                ControlFlow::Break(())
            }
        };
        let loaded = store.load(BATCH, gaps, &mut take)?;
        loaded.ok_or_else(|| broken.unwrap_or(Break::Stale))
    }

    /// Removes the routes that the database does not have, as far as the gate lets it; some of their names.
    fn remove_outdated(
        &mut self,
        epoch: Epoch,
        source: Source,
        reason: Reason,
        loaded: &LoadSummary,
        confirmed: &[HashMap<HostTypeId, u64>],
        census: &mut Census,
    ) -> Result<Vec<String>, Break> {
        let table = self.table;
        let mut missing = HashMap::new();
        for page in table.pages(Select::Outdated(source), BATCH) {
            page.iter().for_each(|(_, host_type)| *missing.entry(host_type).or_default() += 1);
        }
        let evidence = self.evidence(reason, loaded, &missing, confirmed);
        let verdict = match (reason, evidence) {
            // What is there is from a load that broke off, and the events since then were passed over.
            (Reason::Cold, None) => Verdict::All,
            _ => self.options.gate.judge(evidence, self.outbox.asked_to_converge().unwrap_or(Force::No)),
        };
        let fresh: HashSet<HostTypeId> = loaded.fresh.iter().copied().collect();
        let mut examples = Vec::new();
        for page in table.pages(Select::Outdated(source), BATCH) {
            let unwanted = page.iter().filter(|(_, host_type)| verdict.removes(*host_type, &fresh));
            // What is in the table has a valid name.
            let domains = unwanted.filter_map(|(name, _)| DomainName::from_bytes(name).ok());
            let changes: Vec<_> = domains.map(Change::Remove).collect();
            if !changes.is_empty() {
                self.outbox.await_permit()?;
                table.apply(epoch, source, &changes)?;
                let names = changes.iter().map(|change| change.domain().as_str().to_owned());
                examples.extend(names.take(EXAMPLES - examples.len()));
            }
            census.repairs.removed += changes.len() as u64;
        }
        self.keep(missing, verdict, &fresh, evidence);
        census.repairs.kept = self.memory.kept();
        if reason == Reason::Reset && census.repairs.removed > 0 {
            self.outbox.report(Report::OutdatedRemoved { count: census.repairs.removed });
        }
        Ok(examples)
    }

    fn evidence(
        &self,
        reason: Reason,
        loaded: &LoadSummary,
        missing: &HashMap<HostTypeId, u64>,
        confirmed: &[HashMap<HostTypeId, u64>],
    ) -> Option<Evidence> {
        let no_rows = (loaded.rows == TableContents::Empty && !missing.is_empty()).then_some(Evidence::NoRows);
        // Beside what is there now, and beside what was there before attempts that broke off.
        let many = confirmed.iter().any(|confirmed| self.options.gate.is_loss(missing, confirmed));
        let many = many.then_some(Evidence::ManyRoutes);
        // What was lost is lost until its owner says that the content is complete, however many passes later.
        reason.evidence().or(no_rows).or(many).or(self.memory.loss)
    }

    /// Remembers what stays although the database does not have it.
    fn keep(
        &mut self,
        missing: HashMap<HostTypeId, u64>,
        verdict: Verdict,
        fresh: &HashSet<HostTypeId>,
        evidence: Option<Evidence>,
    ) {
        self.memory.kept = missing;
        self.memory.kept.retain(|host_type, _| !verdict.removes(*host_type, fresh));
        let count = self.memory.kept();
        self.memory.loss = evidence.filter(|_| count > 0);
        if count > 0 {
            let names = self.table.host_types();
            let mut host_types: Vec<_> = self.memory.kept.keys().map(|id| names.name(*id).to_string()).collect();
            host_types.sort();
            self.outbox.report(Report::Kept { count, evidence, host_types });
        }
    }
}

#[cfg(test)]
mod tests {
    use domain_core::HostTypes;

    use super::*;

    /// 11118, 94321.
    #[test]
    fn of_a_share_count_the_routes_that_events_confirm_and_not_those_that_they_remove() {
        let host_types = HostTypes::default();
        let one = host_types.intern(b"one").unwrap();
        let name = |n: u32| format!("d{n}.example");
        let mut census = Census::default();
        for n in 0..3 {
            census.count(&Change::Put(DomainName::new(&name(n)).unwrap(), one), Outcome::Kept);
        }
        census.count(&Change::Put(DomainName::new(&name(3)).unwrap(), one), Outcome::Added);
        for (n, standing) in [(2, Standing::Confirmed), (3, Standing::Confirmed), (4, Standing::Outdated)] {
            census.hear(&name(n), Some((standing, one)));
            // What a second event says is the outcome of the first one.
            census.hear(&name(n), Some((Standing::Confirmed, one)));
        }
        census.hear(&name(5), Some((Standing::Outdated, one)));
        census.hear(&name(6), None);
        census.reckon(|domain| [name(3), name(4), name(6)].iter().any(|present| present == domain));
        assert_eq!(census.confirmed[&one], 3, "0 and 1, which the load confirmed, and 4");
    }
}
