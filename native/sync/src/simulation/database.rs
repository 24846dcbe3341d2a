//! A database in state: rows, the log of events, and transactions that are open.
//!
//! Rows have no versions: a transaction keeps its changes until it commits, and a snapshot is a copy. Ids of events and
//! numbers of transactions are handed out at once, as by PostgreSQL, and a rollback returns none. Some faults replace the
//! content as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use domain_store::{DatabaseIdentity, OpenTransactions, PersistentId, ServerRole, TransactionId};

/// What a row says: the host type, and the status as a number.
pub(super) type Settings = (&'static str, i64);

/// What kind of database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It knows which transactions write, as PostgreSQL.
    KnowsWriters,
    /// It does not, as CockroachDB.
    HidesWriters,
    /// It is a cluster of several servers, of which each hands ids out in strides and none knows the writers of the others, as
    /// Galera. Its transactions have no numbers.
    Cluster,
    /// It runs one transaction at a time and does not number them, as SQLite.
    Serial,
}

impl Kind {
    pub(super) fn hides_writers(self) -> bool {
        matches!(self, Kind::HidesWriters | Kind::Cluster)
    }

    pub(super) fn numbers_transactions(self) -> bool {
        matches!(self, Kind::KnowsWriters | Kind::HidesWriters)
    }
}

/// The servers of a cluster.
const SERVERS: i64 = 3;

/// How an event was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Insertion {
    /// By a transaction that took the next id.
    ByProgram,
    /// By a person who chose the id.
    ByHand,
}

#[derive(Debug, Clone)]
pub(super) struct LoggedEvent {
    pub(super) domain: String,
    /// Distinguishes the event from one with the same id in another log.
    pub(super) mark: u64,
    pub(super) transaction: u64,
    /// When it became visible, by the database's clock.
    since: i64,
}

/// An event that became visible.
#[derive(Debug, Clone)]
pub(super) struct Visible {
    pub(super) id: i64,
    pub(super) mark: u64,
    pub(super) domain: String,
    pub(super) by: Insertion,
    /// How long it was written before, in milliseconds.
    pub(super) late: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) settings: BTreeMap<String, Settings>,
    pub(super) events: BTreeMap<i64, LoggedEvent>,
    /// In a cluster, what follows the ids that were visible; else what follows those that were handed out.
    pub(super) next_id: i64,
    /// The largest ids that the servers of a cluster have handed out.
    handed_out: [i64; SERVERS as usize],
    pub(super) next_transaction: u64,
    /// When the content of a host type ceases to be fresh.
    pub(super) fresh: BTreeMap<&'static str, i64>,
}

impl Content {
    /// The clock was set back to this time: nothing is from the future.
    fn set_back(&mut self, clock: i64) {
        self.events.values_mut().for_each(|event| event.since = event.since.min(clock));
    }
}

#[derive(Debug, Default)]
pub(super) struct Open {
    number: u64,
    pub(super) name: Option<TransactionId>,
    pub(super) rows: BTreeMap<String, Option<Settings>>,
    events: Vec<Announced>,
}

#[derive(Debug)]
struct Announced {
    id: i64,
    domain: String,
    /// By the database's clock.
    at: i64,
    /// By a clock that is never set.
    uptime: i64,
}

pub(super) struct Database {
    pub(super) kind: Kind,
    pub(super) content: Content,
    pub(super) open: BTreeMap<u64, Open>,
    /// Milliseconds.
    pub(super) clock: i64,
    /// Milliseconds, by a clock that is never set.
    uptime: i64,
    pub(super) identity: Option<PersistentId>,
    pub(super) copies: Vec<Content>,
    /// How often all connections were broken.
    pub(super) restarts: u64,
    /// All events that ever became visible, in that order.
    pub(super) visible: Vec<Visible>,
    /// Domains whose rows have changed since this was cleared.
    pub(super) touched: HashSet<String>,
    /// Events that followers have pruned since this was cleared.
    pub(super) pruned: HashSet<u64>,
    /// How many events had become visible when a row was last changed without one.
    pub(super) silent: HashMap<String, u64>,
    /// How many events had become visible when the content was last replaced.
    pub(super) replaced: u64,
    /// How many events had become visible when another program last pruned while transactions were open.
    pub(super) pruned_early: u64,
    /// How often the content was replaced.
    pub(super) replacements: u64,
    /// More gaps were made than a follower remembers.
    pub(super) crowded: bool,
    /// No transaction writes any more.
    pub(super) quiet: bool,
    names: u64,
}

impl Database {
    pub(super) fn new(kind: Kind, identity: Option<PersistentId>) -> Database {
        let content = Content { next_id: 1, next_transaction: 1_000, ..Content::default() };
        Database {
            kind,
            content,
            open: BTreeMap::new(),
            clock: 1_000_000_000,
            uptime: 0,
            identity,
            copies: Vec::new(),
            restarts: 0,
            visible: Vec::new(),
            touched: HashSet::new(),
            pruned: HashSet::new(),
            silent: HashMap::new(),
            replaced: 0,
            pruned_early: 0,
            replacements: 0,
            crowded: false,
            quiet: false,
            names: 0,
        }
    }

    /// Whether an open transaction has changed this row, so that others wait for it.
    pub(super) fn is_locked(&self, domain: &str) -> bool {
        self.open.values().any(|open| open.rows.contains_key(domain))
    }

    pub(super) fn begin(&mut self) -> u64 {
        self.names += 1;
        let number = self.content.next_transaction;
        self.content.next_transaction += 1;
        let name = Some(TransactionId::Open(format!("{}/{}", self.names % 7, self.names)));
        self.open.insert(self.names, Open { number, name, ..Open::default() });
        self.names
    }

    pub(super) fn change(&mut self, transaction: u64, domain: &str, row: Option<Settings>) {
        if let Some(open) = self.open.get_mut(&transaction) {
            open.rows.insert(domain.to_owned(), row);
        }
    }

    /// Returns the event's id, if the transaction is open.
    pub(super) fn announce(&mut self, transaction: u64, domain: &str) -> Option<i64> {
        let open = self.open.get_mut(&transaction)?;
        let content = &mut self.content;
        let id = match self.kind {
            Kind::Cluster => {
                let server = transaction as i64 % SERVERS;
                let last = &mut content.handed_out[server as usize];
                let from = content.next_id.max(*last + 1);
                *last = from + (server - from).rem_euclid(SERVERS);
                *last
            }
            Kind::KnowsWriters | Kind::HidesWriters | Kind::Serial => {
                content.next_id += 1;
                content.next_id - 1
            }
        };
        open.events.push(Announced { id, domain: domain.to_owned(), at: self.clock, uptime: self.uptime });
        Some(id)
    }

    pub(super) fn commit(&mut self, transaction: u64) {
        let Some(open) = self.open.remove(&transaction) else { return };
        for (domain, row) in open.rows {
            self.put(&domain, row);
        }
        for event in open.events {
            self.show(event, open.number, Insertion::ByProgram);
        }
    }

    pub(super) fn roll_back(&mut self, transaction: u64) {
        self.open.remove(&transaction);
    }

    /// Changes a row without an event.
    pub(super) fn put_silently(&mut self, domain: &str, row: Option<Settings>) {
        self.silent.insert(domain.to_owned(), self.visible.len() as u64);
        self.put(domain, row);
    }

    pub(super) fn put(&mut self, domain: &str, row: Option<Settings>) {
        self.touched.insert(domain.to_owned());
        match row {
            Some(row) => self.content.settings.insert(domain.to_owned(), row),
            None => self.content.settings.remove(domain),
        };
    }

    /// Inserts an event with this id, whatever the next one is.
    pub(super) fn insert_by_hand(&mut self, id: i64, domain: &str) {
        let number = self.content.next_transaction;
        self.content.next_transaction += 1;
        let event = Announced { id, domain: domain.to_owned(), at: self.clock, uptime: self.uptime };
        self.show(event, number, Insertion::ByHand);
    }

    fn show(&mut self, event: Announced, transaction: u64, by: Insertion) {
        let Announced { id, domain, at, uptime } = event;
        let mark = self.visible.len() as u64;
        self.visible.push(Visible { id, mark, domain: domain.clone(), by, late: self.uptime - uptime });
        // Where transactions have no numbers, a late event looks like an old one.
        let since = match (self.kind.numbers_transactions(), by) {
            (true, _) => self.clock,
            (false, Insertion::ByProgram) => at,
            (false, Insertion::ByHand) => 0,
        };
        if self.kind == Kind::Cluster {
            self.content.next_id = self.content.next_id.max(id + 1);
        }
        self.content.events.insert(id, LoggedEvent { domain, mark, transaction, since });
    }

    pub(super) fn pass_time(&mut self, milliseconds: i64) {
        self.clock += milliseconds;
        self.uptime += milliseconds;
    }

    pub(super) fn open_transactions(&self) -> OpenTransactions {
        match self.kind {
            Kind::HidesWriters | Kind::Cluster => OpenTransactions::Unknown,
            Kind::KnowsWriters | Kind::Serial => {
                let writing = self.open.values().filter(|open| !open.events.is_empty());
                OpenTransactions::Known(writing.filter_map(|open| open.name.clone()).collect())
            }
        }
    }

    /// The oldest transaction that has not ended.
    pub(super) fn horizon(&self) -> Option<String> {
        let oldest = self.open.values().map(|open| open.number).min().unwrap_or(self.content.next_transaction);
        self.kind.numbers_transactions().then(|| oldest.to_string())
    }

    /// Deletes events of these ids, except the newest, that were written before the horizon. Returns their ids, and the ids
    /// of those among them that were too young.
    pub(super) fn prune(
        &mut self,
        ids: Range<i64>,
        horizon: Option<&str>,
        limit: u32,
        max_age: i64,
    ) -> (Vec<i64>, Vec<i64>) {
        let horizon = horizon.map_or(u64::MAX, |horizon| horizon.parse().expect("a number of a transaction"));
        let last = self.content.events.keys().next_back().copied();
        let all = self.content.events.range(ids).filter(|(id, _)| Some(**id) != last);
        let old: Vec<i64> =
            all.filter(|(_, event)| event.transaction < horizon).map(|(&id, _)| id).take(limit as usize).collect();
        let mut young = Vec::new();
        for id in &old {
            if let Some(event) = self.content.events.remove(id) {
                self.pruned.insert(event.mark);
                if event.since + max_age > self.clock {
                    young.push(*id);
                }
            }
        }
        (old, young)
    }

    /// TRUNCATE, which hands the ids out anew.
    pub(super) fn restart_ids(&mut self) {
        self.content.next_id = 1;
        self.content.handed_out = [0; SERVERS as usize];
    }

    pub(super) fn set_back(&mut self, by: i64) {
        self.clock -= by;
        self.content.set_back(self.clock);
        let open = self.open.values_mut().flat_map(|open| &mut open.events);
        open.for_each(|event| event.at = event.at.min(self.clock));
    }

    /// The server ends with all its transactions, and has another content when it is back.
    pub(super) fn replace(&mut self, content: Content) {
        let before = content.settings.keys().chain(self.content.settings.keys()).cloned();
        self.touched.extend(before);
        self.open.clear();
        self.content = content;
        self.content.set_back(self.clock);
        self.replaced = self.visible.len() as u64;
        self.replacements += 1;
    }

    pub(super) fn is_logged(&self, event: &Visible) -> bool {
        self.content.events.get(&event.id).is_some_and(|logged| logged.mark == event.mark)
    }

    pub(super) fn is_fresh(&self, host_type: &str) -> bool {
        self.content.fresh.get(host_type).is_some_and(|&end| self.clock < end)
    }
}

/// The identity of the database of this name.
pub(super) fn server(database: String) -> DatabaseIdentity {
    DatabaseIdentity::Server { database, timeline: "1".to_owned(), role: ServerRole::Standby }
}
