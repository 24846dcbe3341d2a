//! Reconciling: the whole table is compared with one snapshot of the database, and repaired. The API calls it
//! `converge`.
//!
//! Meanwhile no change that this node makes itself is put into the table at its commit: the log brings it.
//!
//! 1. The loader puts every enabled row into the table. That adds the routes that were missing and moves those that had
//!    another host type, in brief write sections.
//! 2. The log is followed to its end, so that changes since the snapshot, and those that the table had not seen yet, do
//!    not count as faults.
//! 3. Routes that neither has confirmed are not in the database. They are removed, unless the gate keeps them: see
//!    [`crate::gate`].
//!
//! A first load is the same, with an empty table.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use domain_core::{Change, DomainName, Epoch, HostTypeId, Select, Source, Table};
use domain_store::{LoadSummary, Store, TableContents};

use crate::comparison::{Comparison, Reason};
use crate::context::{BATCH, Context};
use crate::gaps::Scope;
use crate::gate::{Evidence, Force, Verdict};
use crate::halt::StepError;
use crate::load_stats::{LoadStats, Standing};
use crate::loader::Loader;
use crate::log_follower::{Reading, catch_up};
use crate::repairs::Repairs;
use crate::report::Report;
use crate::status::State;

/// The most domains that a report names.
const EXAMPLES: usize = 10;

/// One comparison of the table with the database.
pub(crate) struct Reconciler {
    epoch: Epoch,
    source: Source,
    comparison: Comparison,
    stats: LoadStats,
}

impl Reconciler {
    pub(crate) fn new(table: &Table, epoch: Epoch, comparison: Comparison) -> Reconciler {
        Reconciler { epoch, source: table.new_source(), comparison, stats: LoadStats::default() }
    }

    pub(crate) fn run(
        mut self,
        context: &mut Context<'_>,
        store: &mut dyn Store,
        now: Instant,
    ) -> Result<Repairs, StepError> {
        let begin = Instant::now();
        // A route that shows a change since the snapshot must neither count as a fault nor be outdated.
        let _pause = context.table.pause_own_changes();
        context.enter(if self.comparison.reason == Reason::Cold { State::Loading } else { State::Converging });
        let added_before = context.state.added.clone();
        let loader = Loader::new(self.epoch, self.source, self.comparison);
        let summary = loader.load(context, store, &mut self.stats, now)?;
        self.follow_log(context, store, now)?;
        let removed = self.remove_outdated(context, &summary, &added_before)?;
        context.state.due = None;
        context.state.added.clear();
        context.publish_kept();
        context.outbox.status(|status| status.loads += 1);
        self.report(context, &removed, begin.elapsed());
        Ok(self.stats.repairs)
    }

    fn follow_log(&mut self, context: &mut Context<'_>, store: &mut dyn Store, now: Instant) -> Result<(), StepError> {
        let (table, source, stats) = (context.table, self.source, &mut self.stats);
        let route = |domain: &str| {
            let (host_type, of) = table.route(domain.as_bytes())?;
            Some((if of == source { Standing::Confirmed } else { Standing::Outdated }, host_type))
        };
        let mut on_row = |domain: &str| stats.note_event(domain, route(domain));
        catch_up(context, store, Reading::new(self.epoch, source, Scope::All, now, &mut on_row))?;
        stats.finish(|domain| matches!(route(domain), Some((Standing::Confirmed, _))));
        Ok(())
    }

    /// Removes the routes that the database does not have, as far as the gate permits it. Returns some of their names.
    fn remove_outdated(
        &mut self,
        context: &mut Context<'_>,
        summary: &LoadSummary,
        added_before: &HashMap<HostTypeId, u64>,
    ) -> Result<Vec<String>, StepError> {
        let (table, reason) = (context.table, self.comparison.reason);
        let mut missing = HashMap::new();
        for page in table.pages(Select::Outdated(self.source), BATCH) {
            page.iter().for_each(|(_, host_type)| *missing.entry(host_type).or_default() += 1);
        }
        let evidence = self.evidence(context, summary, &missing, added_before);
        let verdict = match (reason, evidence) {
            // All routes are from first loads that broke off, and the events since then were passed over.
            (Reason::Cold, None) => Verdict::All,
            _ => {
                let force = context.outbox.requested_comparison().unwrap_or(Force::No);
                context.options.gate.judge(evidence, force)
            }
        };
        let fresh: HashSet<HostTypeId> = summary.fresh.iter().copied().collect();
        let mut examples = Vec::new();
        for page in table.pages(Select::Outdated(self.source), BATCH) {
            let unwanted = page.iter().filter(|(_, host_type)| verdict.removes(*host_type, &fresh));
            // The names in the table are valid.
            let domains = unwanted.filter_map(|(name, _)| DomainName::from_bytes(name).ok());
            let changes: Vec<_> = domains.map(Change::Remove).collect();
            if !changes.is_empty() {
                context.outbox.await_permit()?;
                table.apply(self.epoch, self.source, &changes)?;
                let names = changes.iter().map(|change| change.domain().as_str().to_owned());
                examples.extend(names.take(EXAMPLES - examples.len()));
            }
            self.stats.repairs.removed += changes.len() as u64;
        }
        missing.retain(|host_type, _| !verdict.removes(*host_type, &fresh));
        self.keep(context, missing, evidence);
        Ok(examples)
    }

    /// The evidence that the database lost data.
    fn evidence(
        &self,
        context: &Context<'_>,
        summary: &LoadSummary,
        missing: &HashMap<HostTypeId, u64>,
        added_before: &HashMap<HostTypeId, u64>,
    ) -> Option<Evidence> {
        let no_rows = (summary.rows == TableContents::Empty && !missing.is_empty()).then_some(Evidence::NoRows);
        // A loss counts beside what the table has now, and beside what it had before loads that broke off.
        let gate = &context.options.gate;
        let is_loss = gate.is_loss(missing, &self.stats.confirmed_without(added_before))
            || gate.is_loss(missing, self.stats.confirmed());
        let many_routes = is_loss.then_some(Evidence::ManyRoutes);
        // Earlier evidence holds until nothing is kept any more, through any number of comparisons.
        self.comparison.reason.evidence().or(no_rows).or(many_routes).or(context.state.evidence)
    }

    /// Records the routes that stay although the database does not have them.
    fn keep(&mut self, context: &mut Context<'_>, kept: HashMap<HostTypeId, u64>, evidence: Option<Evidence>) {
        context.state.kept = kept;
        let count = context.state.kept_count();
        context.state.evidence = evidence.filter(|_| count > 0);
        self.stats.repairs.kept = count;
        if count > 0 {
            let names = context.table.host_types();
            let mut host_types: Vec<_> = context.state.kept.keys().map(|id| names.name(*id).to_string()).collect();
            host_types.sort();
            context.outbox.report(Report::Kept { count, evidence, host_types });
        }
    }

    fn report(&self, context: &mut Context<'_>, removed: &[String], took: Duration) {
        let (reason, repairs) = (self.comparison.reason, self.stats.repairs.clone());
        if reason == Reason::Reset && repairs.removed > 0 {
            context.outbox.report(Report::OutdatedRemoved { count: repairs.removed });
        }
        if reason != Reason::Cold {
            context.add_to_totals(|totals| totals.add(&repairs));
        }
        context.outbox.report(match reason {
            Reason::Cold | Reason::Reset => Report::Loaded { count: self.stats.routes, took },
            _ => {
                let domains = self.stats.repaired_domains().chain(removed.iter().map(String::as_str));
                let examples = domains.take(EXAMPLES).map(str::to_owned).collect();
                Report::Converged { reason, repairs, examples, took }
            }
        });
    }
}
