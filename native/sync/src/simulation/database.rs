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
    /// It runs one transaction at a time and does not number them, as SQLite.
    Serial,
}

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
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) settings: BTreeMap<String, Settings>,
    pub(super) events: BTreeMap<i64, LoggedEvent>,
    pub(super) next_id: i64,
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
    events: Vec<(i64, String)>,
}

pub(super) struct Database {
    pub(super) kind: Kind,
    pub(super) content: Content,
    pub(super) open: BTreeMap<u64, Open>,
    /// Milliseconds.
    pub(super) clock: i64,
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

    pub(super) fn announce(&mut self, transaction: u64, domain: &str) {
        let id = self.content.next_id;
        if let Some(open) = self.open.get_mut(&transaction) {
            self.content.next_id += 1;
            open.events.push((id, domain.to_owned()));
        }
    }

    pub(super) fn commit(&mut self, transaction: u64) {
        let Some(open) = self.open.remove(&transaction) else { return };
        for (domain, row) in open.rows {
            self.put(&domain, row);
        }
        for (id, domain) in open.events {
            self.show(id, domain, open.number, Insertion::ByProgram);
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
        self.show(id, domain.to_owned(), number, Insertion::ByHand);
    }

    fn show(&mut self, id: i64, domain: String, transaction: u64, by: Insertion) {
        let mark = self.visible.len() as u64;
        self.visible.push(Visible { id, mark, domain: domain.clone(), by });
        // Where transactions have no numbers, a late event looks like an old one.
        let since = if self.kind == Kind::Serial && by == Insertion::ByHand { 0 } else { self.clock };
        self.content.events.insert(id, LoggedEvent { domain, mark, transaction, since });
    }

    pub(super) fn open_transactions(&self) -> OpenTransactions {
        match self.kind {
            Kind::HidesWriters => OpenTransactions::Unknown,
            Kind::KnowsWriters | Kind::Serial => {
                let writing = self.open.values().filter(|open| !open.events.is_empty());
                OpenTransactions::Known(writing.filter_map(|open| open.name.clone()).collect())
            }
        }
    }

    /// The oldest transaction that has not ended.
    pub(super) fn horizon(&self) -> Option<String> {
        let oldest = self.open.values().map(|open| open.number).min().unwrap_or(self.content.next_transaction);
        (self.kind != Kind::Serial).then(|| oldest.to_string())
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

    pub(super) fn set_back(&mut self, by: i64) {
        self.clock -= by;
        self.content.set_back(self.clock);
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
