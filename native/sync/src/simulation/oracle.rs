//! What must be true of a node, judged by what the database did and what the node observed.
//!
//! **The gate.** A route that a pass removed needs one of these reasons:
//!
//! - an event about its domain, which the log showed and the follower had not followed before;
//! - a deletion by the node itself, which is put into the table meanwhile, perhaps long after its event was followed;
//! - a row that exists and is invalid on this node;
//! - a gate that is off, or a comparison that was forced;
//! - a host type that was fresh when the pass began;
//! - in the mode *on loss*, and where no load was complete before: no evidence of a loss. Evidence is that the connection
//!   leads to a database with another identity than that of the last complete load; that the first answer about the log
//!   contradicted the anchor; that the snapshot had no row; that too large a share of ten or more routes of one host type
//!   was removed. The first two count from the pass in which they show until a comparison keeps no route, through any
//!   number of failures and threads.
//!
//! **Following.** After a pass that succeeded, each event that was visible before it began was followed: its domain is
//! routed as its row says. An event that others deleted before it was followed leads to a comparison, which adds and
//! moves routes; what it would have removed is up to the gate.
//!
//! No follower can notice some faults, so they are excused: a log that was replaced by one whose event at the cursor is
//! about the same domain, which hides the events up to there and those of the former log (see [`super::hidden`]); one that
//! begins right behind the cursor, which hides the latter; events that came to a log that was empty when it was followed
//! last, or below the oldest event, and are gone; an event that a person inserted with an id in none of the remembered
//! gaps. Where the database hides its writers, an event that shows later than the age of a gap permits is found at the
//! poll interval, and never if it is deleted before.

use std::collections::{HashMap, HashSet};

use domain_core::{HostTypeId, HostTypes};
use domain_store::PersistentId;
use parking_lot::Mutex;

use super::connection::{Anchor, Connection, Masked};
use super::database::{Database, Insertion, LoggedEvent, Visible};
use super::faults::{self, ALLOWED, Conditions, STATIC_DOMAINS};
use super::hidden::{Hidden, reaches};
use super::pass_record::{Ending, PassRecord};
use super::routes::{Routes, wanted};
use crate::comparison::Reason;
use crate::cursor::Cursor;
use crate::gaps::{MAX_AGE, Scope};
use crate::gate::{Gate, GateMode};
use crate::report::Report;

/// Whether there was evidence that the database lost data, and no comparison since that kept no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    None,
    Suspected,
}

pub(super) struct Oracle {
    gate: Gate,
    /// How many of the visible events are taken into account.
    known: usize,
    /// Events that no pass that succeeded could follow.
    unread: Vec<Visible>,
    /// Those of them that the next pass must follow.
    expected: Vec<Visible>,
    /// The id and the mark of the event at the cursor.
    anchor: Option<(i64, u64)>,
    hidden: Option<Hidden>,
    loaded_from: Option<PersistentId>,
    loss: Loss,
    fresh: HashSet<HostTypeId>,
    /// How often the content was replaced.
    replacements: u64,
    /// The connection leads to another database than the last load did.
    is_other: bool,
    /// The log was found to be another one, and no load was complete since.
    is_out_of_sync: bool,
    /// An event was so late that its gap was forgotten.
    forgot: bool,
}

impl Oracle {
    pub(super) fn new(gate: Gate) -> Oracle {
        Oracle {
            gate,
            known: 0,
            unread: Vec::new(),
            expected: Vec::new(),
            anchor: None,
            hidden: None,
            loaded_from: None,
            loss: Loss::None,
            fresh: HashSet::new(),
            replacements: 0,
            is_other: false,
            is_out_of_sync: false,
            forgot: false,
        }
    }

    /// The table was emptied: nothing before counts.
    pub(super) fn forget(&mut self) {
        (self.anchor, self.hidden, self.loaded_from, self.loss) = (None, None, None, Loss::None);
    }

    /// Takes into account what there is to follow. Returns the routes that are right as the pass begins.
    pub(super) fn begin(
        &mut self,
        database: &Mutex<Database>,
        connection: &Connection<'_>,
        cursor: Option<&Cursor>,
        routes: &Routes,
        host_types: &HostTypes,
    ) -> Routes {
        let mut database = database.lock();
        database.touched.clear();
        database.pruned.clear();
        let new = &database.visible[self.known..];
        self.known = database.visible.len();
        let new = || new.iter().filter(|event| !event.domain.is_empty());
        self.unread.extend(new().cloned());
        let reachable = |event: &&Visible| {
            event.by == Insertion::ByProgram || cursor.is_none_or(|cursor| reaches(cursor, Scope::All, event.id))
        };
        self.expected.extend(new().filter(reachable).cloned());
        if let Some(cursor) = cursor
            && std::mem::replace(&mut self.replacements, database.replacements) != database.replacements
        {
            // An event that was followed in another log, and is in this one too, has to be followed again.
            let again = database.content.events.iter().filter(|(id, _)| reaches(cursor, Scope::All, **id));
            let event = |(&id, event): (&i64, &LoggedEvent)| {
                // Perhaps in a resolved gap, as an event that was inserted by hand.
                Visible { id, mark: event.mark, domain: event.domain.clone(), by: Insertion::ByHand, late: 0 }
            };
            self.unread.extend(again.map(event));
        }
        // The rows of some may have changed without an event after they were followed.
        let changed = |domain: &str| database.silent.get(domain).copied().unwrap_or(0).max(database.replaced);
        self.expected.retain(|event| changed(&event.domain) <= event.mark);
        if cursor.is_some_and(is_empty) {
            self.expected.retain(|event| database.is_logged(event));
        }
        // Programs that prune while a smaller id is still to come hide that they did.
        self.expected.retain(|event| event.mark >= database.pruned_early || database.is_logged(event));
        self.excuse(&database);
        // Where writers are unknown, gaps are resolved by age, and of those that were joined the oldest are forgotten. Too many
        // gaps hide events until a comparison.
        if let Some(cursor) = cursor
            && database.kind.hides_writers()
        {
            let before = self.expected.len();
            self.expected.retain(|event| !is_forgotten(&database, event, cursor));
            self.forgot |= self.expected.len() < before;
        }
        let is_other = |before: &PersistentId| connection.identity.as_ref().is_some_and(|now| now != before);
        self.is_other = self.loaded_from.as_ref().is_some_and(is_other);
        if !routes.is_empty() && self.is_other {
            self.loss = Loss::Suspected;
        }
        let fresh = ALLOWED.into_iter().filter(|host_type| database.is_fresh(host_type));
        self.fresh = fresh.filter_map(|host_type| host_types.id(host_type)).collect();
        let is_right =
            |(domain, host_type): &(&String, &HostTypeId)| wanted(&database, domain, host_types) == Some(**host_type);
        routes.iter().filter(is_right).map(|(domain, host_type)| (domain.clone(), *host_type)).collect()
    }

    /// Excuses what a log hides that cannot be distinguished from the one before.
    fn excuse(&mut self, database: &Database) {
        if let Some(hidden) = &self.hidden {
            self.expected.retain(|event| !hidden.hides(database, event));
            self.expected
                .iter_mut()
                .filter(|event| hidden.delays(event))
                .for_each(|event| event.by = Insertion::ByHand);
        }
    }

    /// The event at the cursor, as far as the oracle knows it.
    pub(super) fn anchor(&self, cursor: &Cursor) -> Option<Anchor> {
        let at = cursor.at.0;
        let mark = self.anchor.filter(|(known, _)| *known == at).map(|(_, mark)| mark);
        Some(Anchor { at, domain: cursor.anchor.clone()?, mark })
    }

    /// Why the log cannot be distinguished from one that is gone.
    pub(super) fn masked(&self) -> Option<Masked> {
        self.hidden.as_ref().map(|hidden| hidden.masked)
    }

    pub(super) fn end(
        &mut self,
        database: &Mutex<Database>,
        host_types: &HostTypes,
        pass: &PassRecord<'_>,
        after: &Routes,
        cursor: Option<&Cursor>,
    ) {
        let database = database.lock();
        if pass.observed.loaded && pass.identity.is_some() {
            self.loaded_from = pass.identity.clone();
        }
        if pass.observed.backwards && !pass.before.is_empty() {
            self.loss = Loss::Suspected;
        }
        // A follower that knows that the log is another one is not excused.
        let is_known = self.is_other || self.is_out_of_sync;
        if let (Some(masked), Some(cursor), false) = (pass.observed.masked, &pass.cursor, is_known) {
            self.hidden = Some(Hidden { masked, cursor: cursor.clone(), known: database.visible.len() as u64 });
            self.excuse(&database);
        }
        // Events that became visible meanwhile may have been followed, but need not.
        self.unread.extend_from_slice(&database.visible[self.known..]);
        self.check_gate(&database, host_types, pass, after);
        self.unread.truncate(self.unread.len() - (database.visible.len() - self.known));
        if pass.ending == Ending::Succeeded {
            self.check_following(&database, host_types, pass, after, cursor);
            if pass.reads_all_gaps {
                // Of too many gaps some are forgotten. When the log begins behind them, they are read again.
                let is_missed =
                    |event: &Visible| pass.cursor.as_ref().is_some_and(|cursor| is_forgotten(&database, event, cursor));
                self.unread.retain(is_missed);
            } else {
                self.unread.retain(|event| !faults::is_found_at_once(database.kind, event.by));
            }
        }
        // Also where the pass failed after that.
        if pass.reports.iter().any(is_comparison) && !pass.reports.iter().any(keeps_routes) {
            self.loss = Loss::None;
        }
        let lost = self.loses_the_log(pass);
        self.is_out_of_sync = lost && pass.ending == Ending::Away && pass.skips_events;
        if pass.observed.loaded && lost {
            self.hidden = None;
            // Events from before the snapshot were passed over, for good if the pass broke off.
            self.unread.extend_from_slice(&database.visible[self.known..]);
            self.known = database.visible.len();
            self.expected.clear();
        }
        let is_new =
            |event: &Visible| pass.cursor.as_ref().is_some_and(|cursor| is_forgotten(&database, event, cursor));
        self.forgot |= database.visible[self.known..].iter().any(is_new);
        if pass.conditions == Conditions::Orderly && !self.forgot {
            check_orderly(pass);
        }
        let at = |cursor: &Cursor| cursor.at;
        if pass.ending == Ending::Away && cursor.map(at) == pass.cursor.as_ref().map(at) {
            // The follower read nothing new of the log: the anchor is the one before.
            return;
        }
        self.anchor = cursor.and_then(|cursor| {
            let event = database.content.events.get(&cursor.at.0)?;
            (Some(&event.domain) == cursor.anchor.as_ref()).then_some((cursor.at.0, event.mark))
        });
    }

    fn check_gate(&self, database: &Database, host_types: &HostTypes, pass: &PassRecord<'_>, after: &Routes) {
        if self.gate.mode == GateMode::Off || pass.is_forced {
            return;
        }
        let mut unexplained: HashMap<HostTypeId, Vec<&str>> = HashMap::new();
        for (domain, host_type) in pass.before.iter().filter(|(domain, _)| !after.contains_key(*domain)) {
            let is_followed = |event: &Visible| {
                event.domain == *domain && (database.is_logged(event) || database.pruned.contains(&event.mark))
            };
            let is_invalid = database.content.settings.get(domain).is_some_and(|(_, status)| ![0, 2].contains(status))
                && wanted(database, domain, host_types).is_none();
            let explained = is_invalid
                || pass.own_removals.contains(domain)
                || database.touched.contains(domain)
                || self.fresh.contains(host_type)
                || self.unread.iter().any(is_followed);
            if !explained {
                unexplained.entry(*host_type).or_default().push(domain);
            }
        }
        if unexplained.is_empty() {
            return;
        }
        let cold = pass.reports.iter().any(|report| matches!(report, Report::Loaded { .. }));
        let open = cold || self.gate.mode == GateMode::OnLoss;
        let free = open && self.loss == Loss::None && !pass.observed.no_rows;
        assert!(
            free,
            "routes passed the gate ({:?}, {:?}): {unexplained:?}, {:?}",
            self.gate.mode, self.loss, pass.reports
        );
        for (host_type, gone) in unexplained {
            let stay = |counts: &dyn Fn(&str, HostTypeId) -> bool| {
                let of_it = pass.before.iter().filter(|(_, of)| **of == host_type);
                of_it.filter(|(domain, _)| after.get(*domain).is_some_and(|now| counts(domain, *now))).count() as f64
            };
            // A route may have moved before the comparison, and not count, or by it; or it may have gone and come again.
            let is_same = |domain: &str, now| {
                now == host_type && !database.touched.contains(domain) && !pass.own_changes.contains(domain)
            };
            let gone = gone.len() as f64;
            let (least, most) = (gone + stay(&is_same), gone + stay(&|_, _| true));
            let few = least < 10.0 || gone <= self.gate.max_removal_share * most;
            assert!(few, "{gone} of {least} to {most} went at once");
        }
    }

    /// Whether events were passed over, since the log is another one than before.
    fn loses_the_log(&self, pass: &PassRecord<'_>) -> bool {
        let is_pending = self.is_out_of_sync && (pass.observed.loaded || pass.ending == Ending::Away);
        is_pending || self.is_other || pass.cursor.is_none() || pass.reports.iter().any(is_out_of_sync)
    }

    fn check_following(
        &mut self,
        database: &Database,
        host_types: &HostTypes,
        pass: &PassRecord<'_>,
        after: &Routes,
        cursor: Option<&Cursor>,
    ) {
        let lost = self.loses_the_log(pass);
        let waits = cursor.is_some_and(|cursor| cursor.gaps.has_overflow());
        let anchored = !pass.cursor.as_ref().is_some_and(is_empty);
        for event in std::mem::take(&mut self.expected) {
            if waits {
                self.expected.push(event);
                continue;
            }
            if !lost && !pass.reads_all_gaps && !faults::is_found_at_once(database.kind, event.by) {
                self.expected.push(event);
                continue;
            }
            if STATIC_DOMAINS.contains(&event.domain.as_str()) {
                continue;
            }
            if database.touched.contains(&event.domain) {
                continue;
            }
            let logged = database.is_logged(&event) || database.pruned.contains(&event.mark);
            let present = after.get(&event.domain).copied();
            let right = match wanted(database, &event.domain, host_types) {
                Some(host_type) => {
                    let below = |cursor: &Cursor| event.id < cursor.gaps.oldest().0;
                    let missed = anchored && !pass.cursor.as_ref().is_some_and(below);
                    let compared = event.by == Insertion::ByProgram && !database.kind.hides_writers() && missed;
                    present == Some(host_type) || !(logged || compared)
                }
                // A comparison finds what more gaps hid than are remembered.
                None => present.is_none() || !logged || lost || database.crowded,
            };
            if !right {
                let closes = self.hidden.as_ref().is_some_and(|hidden| hidden.closes(&event));
                assert!(
                    closes && event.by == Insertion::ByProgram,
                    "{event:?} ({logged}) was not followed: {present:?}, not {:?}",
                    wanted(database, &event.domain, host_types)
                );
                self.expected.push(Visible { by: Insertion::ByHand, ..event });
            }
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.loss == Loss::Suspected
    }
}

/// Whether a load or a comparison came to its end.
pub(super) fn is_comparison(report: &Report) -> bool {
    matches!(report, Report::Loaded { .. } | Report::Converged { .. })
}

fn keeps_routes(report: &Report) -> bool {
    matches!(report, Report::Kept { .. })
}

fn is_out_of_sync(report: &Report) -> bool {
    matches!(report, Report::OutOfSync { .. })
}

/// Whether a follower with this cursor has forgotten the event's gap, as it may.
fn is_forgotten(database: &Database, event: &Visible, cursor: &Cursor) -> bool {
    let is_very_late = database.kind.hides_writers() && event.late >= MAX_AGE.as_millis() as i64;
    (database.crowded || is_very_late) && !reaches(cursor, Scope::All, event.id)
}

/// Whether there was no event in the log up to here.
fn is_empty(cursor: &Cursor) -> bool {
    cursor.anchor.is_none() && cursor.at == Cursor::EMPTY
}

/// Where each change has its event, no comparison repairs anything. (An old gap that an unrelated transaction keeps open
/// may be pruned: that calls for a comparison, which finds nothing.)
fn check_orderly(pass: &PassRecord<'_>) {
    for report in pass.reports {
        if let Report::Converged { reason, repairs, .. } = report {
            let ordinary = [Reason::Periodic, Reason::Reset, Reason::Requested, Reason::LogTruncated].contains(reason);
            assert!(ordinary && repairs.is_none() && repairs.kept == 0, "nothing called for {report:?}");
        }
    }
}
