//! What must be true of a node, judged from what the database did and what the node was told.
//!
//! **The gate.** A route that is gone after a pass was let go by one of these:
//!
//! - an event about its domain, which the log showed and the follower had not followed before;
//! - a row that is there and makes no sense on this node;
//! - a gate that is off, or a comparison that was forced;
//! - its host type was fresh when the pass began;
//! - in the mode *on loss*, and when no load was complete before, that nothing spoke for a loss. What speaks for one: the database that the
//!   connection leads to is called otherwise than the one of the last complete load; the first answer
//!   about the log contradicted the anchor; the snapshot had no row; too large a share of ten or more
//!   routes of one host type went. The first two count from the pass in which they show until a
//!   comparison ends with nothing kept, through any number of failures and threads.
//!
//! **Following.** After a pass that went well, each event that showed before it began was followed: its
//! domain is routed as its row says. An event that others deleted before it was followed leads to a
//! comparison, which adds and moves; what it would have removed is up to the gate.
//!
//! Nobody can notice, and so nobody is blamed for: a log that was replaced by one whose event at the
//! cursor is about the same domain, which hides the events up to there and those of the former log (see
//! `Hidden`); one that begins right behind the cursor, which hides the latter; events that came to a log that was
//! empty when it was followed last, or below the oldest event, and are gone; an event by hand at an id that is
//! none of the gaps that are remembered. Where nobody can tell who writes, an event that shows later than age
//! allows is found at the poll interval, and not at all if it is deleted before.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain_core::{EventId, HostTypeId, HostTypes, Select, Table};
use domain_store::PersistentId;
use parking_lot::Mutex;

use super::connection::{Anchor, Connection, Masked, Told};
use super::database::{By, Database, Kind, Logged, Shown};
use super::faults::{self, ALLOWED, Climate, STATIC_DOMAINS};
use super::node::Went;
use crate::cursor::Cursor;
use crate::gaps::Scope;
use crate::{Gate, GateMode, Reason, Repairs, Report};

pub(super) type Routes = BTreeMap<String, HostTypeId>;

/// Whether something spoke for a database that lost data, and all was not well since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    None,
    Suspected,
}

/// A pass that was made.
pub(super) struct Pass<'a> {
    pub(super) told: &'a Told,
    pub(super) identity: Option<PersistentId>,
    pub(super) before: Routes,
    /// It was to look into dead gaps, too.
    pub(super) everywhere: bool,
    pub(super) forced: bool,
    /// It ended with a log that cannot be followed further: the next load passes over what shows before it. (A
    /// pass may find that more than once, before its loads and after them.)
    pub(super) wants_to_skip: bool,
    pub(super) repairs: Option<Repairs>,
    pub(super) went: Went,
    pub(super) reports: &'a [Report],
    pub(super) climate: Climate,
    /// As the pass began.
    pub(super) cursor: Option<Cursor>,
}

/// What another log hid when it took the place of the one that was followed, and nobody could tell.
struct Hidden {
    masked: Masked,
    /// Where the follower was.
    cursor: Cursor,
    /// How many events had shown.
    known: u64,
}

impl Hidden {
    /// It may be in a dead gap, like those by hand.
    fn delays(&self, shown: &Shown) -> bool {
        self.masked == Masked::SameDomain && !reaches(&self.cursor, Scope::Open, shown.id)
    }

    /// Its gap may have been open, and died with those who wrote in the log that is gone.
    fn closes(&self, shown: &Shown) -> bool {
        self.masked == Masked::SameDomain && shown.id <= self.cursor.at.0
    }

    fn hides(&self, database: &Database, shown: &Shown) -> bool {
        let is_gone = |before: u64| shown.mark < before && !database.is_logged(shown);
        match self.masked {
            // What has the id of an event that was followed in the other log; and what was deleted with that.
            Masked::SameDomain => is_gone(self.known) || !reaches(&self.cursor, Scope::All, shown.id),
            Masked::BeginsBehind(first) => is_gone(first),
        }
    }
}

pub(super) struct Oracle {
    gate: Gate,
    /// How many events that showed are known here.
    known: usize,
    /// Events that no pass that went well had the chance to follow.
    news: Vec<Shown>,
    /// Those of them that must be followed.
    owed: Vec<Shown>,
    /// The mark of the event at the cursor.
    anchor: Option<(i64, u64)>,
    hidden: Option<Hidden>,
    loaded_from: Option<PersistentId>,
    loss: Loss,
    fresh: HashSet<HostTypeId>,
    /// As the database's.
    replacements: u64,
    /// The connection leads to another database than that of the last load.
    is_other: bool,
    /// The log was found to be another one, and no load that passed over it was complete since.
    is_out_of_sync: bool,
}

/// All dynamic routes.
pub(super) fn routes(table: &Table) -> Routes {
    let mut routes = Routes::new();
    for page in table.pages(Select::Dynamic, 1_000) {
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("it is valid");
        routes.extend(page.iter().map(|(name, host_type)| (text(name), host_type)));
    }
    routes
}

/// Where a domain's row wants it to be routed.
fn wanted(database: &Database, domain: &str, host_types: &HostTypes) -> Option<HostTypeId> {
    let &(host_type, status) = database.content.settings.get(domain)?;
    (status == 1 && ALLOWED.contains(&host_type)).then(|| host_types.id(host_type)).flatten()
}

/// All routes that the rows want.
pub(super) fn all_wanted(database: &Database, host_types: &HostTypes) -> Routes {
    let domains = database.content.settings.keys().filter(|domain| !STATIC_DOMAINS.contains(&domain.as_str()));
    domains.filter_map(|domain| Some((domain.clone(), wanted(database, domain, host_types)?))).collect()
}

impl Oracle {
    pub(super) fn new(gate: Gate) -> Oracle {
        Oracle {
            gate,
            known: 0,
            news: Vec::new(),
            owed: Vec::new(),
            anchor: None,
            hidden: None,
            loaded_from: None,
            loss: Loss::None,
            fresh: HashSet::new(),
            replacements: 0,
            is_other: false,
            is_out_of_sync: false,
        }
    }

    /// The table was emptied: nothing is known of what went before.
    pub(super) fn forget(&mut self) {
        (self.anchor, self.hidden, self.loaded_from, self.loss) = (None, None, None, Loss::None);
    }

    /// Learns what there is to follow. Answers the routes that are right as the pass begins.
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
        let new = &database.shown[self.known..];
        self.known = database.shown.len();
        let new = || new.iter().filter(|shown| !shown.domain.is_empty());
        self.news.extend(new().cloned());
        let reachable = |shown: &&Shown| {
            shown.by == By::Program || cursor.is_none_or(|cursor| reaches(cursor, Scope::All, shown.id))
        };
        self.owed.extend(new().filter(reachable).cloned());
        if let Some(cursor) = cursor
            && std::mem::replace(&mut self.replacements, database.replacements) != database.replacements
        {
            // What was followed in another log, and comes again in this one, is an order like any other.
            let again = database.content.events.iter().filter(|(id, _)| reaches(cursor, Scope::All, **id));
            let shown = |(&id, event): (&i64, &Logged)| {
                // Perhaps in a dead gap, like those by hand.
                Shown { id, mark: event.mark, domain: event.domain.clone(), by: By::Hand }
            };
            self.news.extend(again.map(shown));
        }
        // Some of them may have been followed before their rows were changed without an event.
        let changed = |domain: &str| database.silent.get(domain).copied().unwrap_or(0).max(database.replaced);
        self.owed.retain(|shown| changed(&shown.domain) <= shown.mark);
        if cursor.is_some_and(is_empty) {
            self.owed.retain(|shown| database.is_logged(shown));
        }
        // Others who prune while a smaller id is still to come hide that they did.
        self.owed.retain(|shown| shown.mark >= database.pruned_early || database.is_logged(shown));
        self.excuse(&database);
        // Too many gaps hide events until it is known who wrote them.
        if let Some(cursor) = cursor
            && database.crowded
            && database.kind == Kind::Silent
        {
            self.owed.retain(|shown| reaches(cursor, Scope::All, shown.id));
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

    /// Nobody is blamed for what a log that cannot be told from the one before hides.
    fn excuse(&mut self, database: &Database) {
        if let Some(hidden) = &self.hidden {
            self.owed.retain(|shown| !hidden.hides(database, shown));
            self.owed.iter_mut().filter(|shown| hidden.delays(shown)).for_each(|shown| shown.by = By::Hand);
        }
    }

    /// The event at the cursor, as far as it is known.
    pub(super) fn anchor(&self, cursor: &Cursor) -> Option<Anchor> {
        let at = cursor.at.0;
        let mark = self.anchor.filter(|(known, _)| *known == at).map(|(_, mark)| mark);
        Some(Anchor { at, domain: cursor.anchor.clone()?, mark })
    }

    /// Why the log is taken for another one that is gone.
    pub(super) fn masked(&self) -> Option<Masked> {
        self.hidden.as_ref().map(|hidden| hidden.masked)
    }

    pub(super) fn end(
        &mut self,
        database: &Mutex<Database>,
        host_types: &HostTypes,
        pass: &Pass<'_>,
        after: &Routes,
        cursor: Option<&Cursor>,
    ) {
        let database = database.lock();
        if pass.told.loaded && pass.identity.is_some() {
            self.loaded_from = pass.identity.clone();
        }
        if pass.told.backwards && !pass.before.is_empty() {
            self.loss = Loss::Suspected;
        }
        // Who knows already that it is another one has to look.
        let is_known = self.is_other || self.is_out_of_sync;
        if let (Some(masked), Some(cursor), false) = (pass.told.masked, &pass.cursor, is_known) {
            self.hidden = Some(Hidden { masked, cursor: cursor.clone(), known: database.shown.len() as u64 });
            self.excuse(&database);
        }
        // What showed meanwhile may have been followed, and need not.
        self.news.extend_from_slice(&database.shown[self.known..]);
        self.check_gate(&database, host_types, pass, after);
        self.news.truncate(self.news.len() - (database.shown.len() - self.known));
        if pass.went == Went::Well {
            self.check_following(&database, host_types, pass, after, cursor);
            if pass.everywhere {
                self.news.clear();
            } else {
                self.news.retain(|shown| !faults::is_found_at_once(database.kind, shown.by));
            }
            if pass.repairs.as_ref().is_some_and(|repairs| repairs.kept == 0) {
                self.loss = Loss::None;
            }
        }
        let lost = self.loses_the_log(pass);
        self.is_out_of_sync = lost && pass.went == Went::Away && pass.wants_to_skip;
        if pass.told.loaded && lost {
            self.hidden = None;
            // What showed before the snapshot was passed over; if the pass broke off, that was it.
            self.news.extend_from_slice(&database.shown[self.known..]);
            self.known = database.shown.len();
            self.owed.clear();
        }
        if pass.climate == Climate::Calm {
            check_calm(pass);
        }
        let at = |cursor: &Cursor| cursor.at;
        if pass.went == Went::Away && cursor.map(at) == pass.cursor.as_ref().map(at) {
            // It saw nothing of the log, or no more than before: the anchor is that of the last look.
            return;
        }
        self.anchor = cursor.and_then(|cursor| {
            let event = database.content.events.get(&cursor.at.0)?;
            (Some(&event.domain) == cursor.anchor.as_ref()).then_some((cursor.at.0, event.mark))
        });
    }

    fn check_gate(&self, database: &Database, host_types: &HostTypes, pass: &Pass<'_>, after: &Routes) {
        if self.gate.mode == GateMode::Off || pass.forced {
            return;
        }
        let mut unexplained: HashMap<HostTypeId, Vec<&str>> = HashMap::new();
        for (domain, host_type) in pass.before.iter().filter(|(domain, _)| !after.contains_key(*domain)) {
            let told = |shown: &Shown| {
                shown.domain == *domain && (database.is_logged(shown) || database.pruned.contains(&shown.mark))
            };
            let senseless = database.content.settings.get(domain).is_some_and(|(_, status)| ![0, 2].contains(status))
                && wanted(database, domain, host_types).is_none();
            let explained = senseless
                || database.touched.contains(domain)
                || self.fresh.contains(host_type)
                || self.news.iter().any(told);
            if !explained {
                unexplained.entry(*host_type).or_default().push(domain);
            }
        }
        if unexplained.is_empty() {
            return;
        }
        let cold = pass.reports.iter().any(|report| matches!(report, Report::Loaded { .. }));
        let open = cold || self.gate.mode == GateMode::OnLoss;
        let free = open && self.loss == Loss::None && !pass.told.no_rows;
        assert!(
            free,
            "the gate was passed ({:?}, {:?}): {unexplained:?}, {:?}",
            self.gate.mode, self.loss, pass.reports
        );
        for (host_type, gone) in unexplained {
            let stay = |counts: &dyn Fn(HostTypeId) -> bool| {
                let of_it = pass.before.iter().filter(|(_, of)| **of == host_type);
                of_it.filter(|(domain, _)| after.get(*domain).is_some_and(|now| counts(*now))).count() as f64
            };
            let gone = gone.len() as f64;
            // A route that moved may have done so before the comparison, and not count, or by it.
            let (least, most) = (gone + stay(&|now| now == host_type), gone + stay(&|_| true));
            let few = least < 10.0 || gone <= self.gate.max_removal_share * most;
            assert!(few, "{gone} of {least} to {most} went at once");
        }
    }

    /// Whether events were passed over, since the log is another one than before.
    fn loses_the_log(&self, pass: &Pass<'_>) -> bool {
        let is_pending = self.is_out_of_sync && (pass.told.loaded || pass.went == Went::Away);
        is_pending || self.is_other || pass.cursor.is_none() || pass.reports.iter().any(is_out_of_sync)
    }

    fn check_following(
        &mut self,
        database: &Database,
        host_types: &HostTypes,
        pass: &Pass<'_>,
        after: &Routes,
        cursor: Option<&Cursor>,
    ) {
        let lost = self.loses_the_log(pass);
        let waits = database.crowded && cursor.is_some_and(|cursor| cursor.gaps.open_count() > 0);
        let anchored = !pass.cursor.as_ref().is_some_and(is_empty);
        for shown in std::mem::take(&mut self.owed) {
            if waits {
                self.owed.push(shown);
                continue;
            }
            if !lost && !pass.everywhere && !faults::is_found_at_once(database.kind, shown.by) {
                self.owed.push(shown);
                continue;
            }
            if STATIC_DOMAINS.contains(&shown.domain.as_str()) {
                continue;
            }
            if database.touched.contains(&shown.domain) {
                continue;
            }
            let logged = database.is_logged(&shown) || database.pruned.contains(&shown.mark);
            let present = after.get(&shown.domain).copied();
            let right = match wanted(database, &shown.domain, host_types) {
                Some(host_type) => {
                    let below = |cursor: &Cursor| shown.id < cursor.gaps.oldest().0;
                    let missed = anchored && !pass.cursor.as_ref().is_some_and(below);
                    let compared = shown.by == By::Program && database.kind != Kind::Silent && missed;
                    present == Some(host_type) || !(logged || compared)
                }
                // What more gaps than are remembered hid is found by a comparison.
                None => present.is_none() || !logged || lost || database.crowded,
            };
            if !right {
                let closes = self.hidden.as_ref().is_some_and(|hidden| hidden.closes(&shown));
                assert!(
                    closes && shown.by == By::Program,
                    "{shown:?} ({logged}) was not followed: {present:?}, not {:?}",
                    wanted(database, &shown.domain, host_types)
                );
                self.owed.push(Shown { by: By::Hand, ..shown });
            }
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.loss == Loss::Suspected
    }
}

fn is_out_of_sync(report: &Report) -> bool {
    matches!(report, Report::OutOfSync { .. })
}

/// Whether there was no event in the log up to here.
fn is_empty(cursor: &Cursor) -> bool {
    cursor.anchor.is_none() && cursor.at == Cursor::EMPTY
}

/// Whether following looks at this id, or did.
fn reaches(cursor: &Cursor, scope: Scope, id: i64) -> bool {
    id > cursor.at.0 || cursor.gaps.has(scope, EventId(id))
}

/// Where all changes are announced, following finds them all. (An old gap that an unrelated transaction
/// keeps open may be pruned away: that calls for a comparison, which finds nothing.)
fn check_calm(pass: &Pass<'_>) {
    for report in pass.reports {
        if let Report::Converged { reason, repairs, .. } = report {
            let ordinary = [Reason::Periodic, Reason::Reset, Reason::Asked, Reason::LogTruncated].contains(reason);
            assert!(ordinary && repairs.is_none() && repairs.kept == 0, "nothing called for {report:?}");
        }
    }
}
