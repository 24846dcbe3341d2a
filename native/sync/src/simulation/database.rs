//! A database in state: rows, the log of events, and transactions that are open.
//!
//! There are no versions of rows: what a transaction did is one with it until it commits, and a
//! snapshot is a copy. Ids of events and numbers of transactions are handed out when they are asked
//! for, as PostgreSQL does, and a rollback gives none back. Faults replace the content as a whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use domain_store::{OpenTransactions, PersistentId, TransactionId};

/// What a row says: the host type, and the status as a number.
pub(super) type Settings = (&'static str, i64);

/// What kind of database this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It knows who writes.
    Telling,
    /// It does not.
    Silent,
    /// It writes one transaction at a time, and knows no numbers of transactions.
    Serial,
}

/// How the log came by an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// By a transaction that took the next id.
    Program,
    /// By a person who chose the id.
    Hand,
}

#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) domain: String,
    /// Tells it from another event that has the same id in another log.
    pub(super) mark: u64,
    pub(super) transaction: u64,
    /// When it began to show, by the database's clock.
    shown: i64,
}

/// An event that began to show.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) id: i64,
    pub(super) mark: u64,
    pub(super) domain: String,
    pub(super) by: By,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) settings: BTreeMap<String, Settings>,
    pub(super) events: BTreeMap<i64, Logged>,
    pub(super) next_id: i64,
    pub(super) next_transaction: u64,
    /// When the content of a host type ceases to be fresh.
    pub(super) fresh: BTreeMap<&'static str, i64>,
}

impl Content {
    /// This is what the clock says now: nothing is from the future.
    fn set_back(&mut self, clock: i64) {
        self.events.values_mut().for_each(|event| event.shown = event.shown.min(clock));
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
    /// All events that ever began to show, in that order.
    pub(super) shown: Vec<Shown>,
    /// Domains whose rows were changed since somebody cleared this.
    pub(super) touched: HashSet<String>,
    /// Events that followers pruned since somebody cleared this.
    pub(super) pruned: HashSet<u64>,
    /// How many events had shown when a row was last changed without one.
    pub(super) silent: HashMap<String, u64>,
    /// How many events had shown when the content was last exchanged.
    pub(super) replaced: u64,
    /// How many events had shown when others last pruned while transactions were open.
    pub(super) pruned_early: u64,
    /// How often the content was exchanged.
    pub(super) replacements: u64,
    /// More gaps were made than are remembered.
    pub(super) crowded: bool,
    /// Nobody writes any more.
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
            shown: Vec::new(),
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

    /// Whether an open transaction changed this row, so that others must wait for it.
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
            self.show(id, domain, open.number, By::Program);
        }
    }

    pub(super) fn roll_back(&mut self, transaction: u64) {
        self.open.remove(&transaction);
    }

    /// A row is changed, and no event tells of it.
    pub(super) fn put_silently(&mut self, domain: &str, row: Option<Settings>) {
        self.silent.insert(domain.to_owned(), self.shown.len() as u64);
        self.put(domain, row);
    }

    pub(super) fn put(&mut self, domain: &str, row: Option<Settings>) {
        self.touched.insert(domain.to_owned());
        match row {
            Some(row) => self.content.settings.insert(domain.to_owned(), row),
            None => self.content.settings.remove(domain),
        };
    }

    /// An event shows, whatever the next id is.
    pub(super) fn insert_by_hand(&mut self, id: i64, domain: &str) {
        let number = self.content.next_transaction;
        self.content.next_transaction += 1;
        self.show(id, domain.to_owned(), number, By::Hand);
    }

    fn show(&mut self, id: i64, domain: String, transaction: u64, by: By) {
        let mark = self.shown.len() as u64;
        self.shown.push(Shown { id, mark, domain: domain.clone(), by });
        // Where transactions have no numbers, a late event cannot be told from an old one.
        let shown = if self.kind == Kind::Serial && by == By::Hand { 0 } else { self.clock };
        self.content.events.insert(id, Logged { domain, mark, transaction, shown });
    }

    pub(super) fn open_transactions(&self) -> OpenTransactions {
        match self.kind {
            Kind::Silent => OpenTransactions::Unknown,
            Kind::Telling | Kind::Serial => {
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

    /// Deletes events of these ids, but the newest, that were written before the horizon: which, and those
    /// of them that were too young to go.
    pub(super) fn prune(
        &mut self,
        ids: Range<i64>,
        horizon: Option<&str>,
        limit: u32,
        max_age: i64,
    ) -> (Vec<i64>, Vec<i64>) {
        let horizon = horizon.map_or(u64::MAX, |horizon| horizon.parse().expect("it is a number of ours"));
        let last = self.content.events.keys().next_back().copied();
        let all = self.content.events.range(ids).filter(|(id, _)| Some(**id) != last);
        let old: Vec<i64> =
            all.filter(|(_, event)| event.transaction < horizon).map(|(&id, _)| id).take(limit as usize).collect();
        let mut wrong = Vec::new();
        for id in &old {
            if let Some(event) = self.content.events.remove(id) {
                self.pruned.insert(event.mark);
                if event.shown + max_age > self.clock {
                    wrong.push(*id);
                }
            }
        }
        (old, wrong)
    }

    pub(super) fn set_back(&mut self, by: i64) {
        self.clock -= by;
        self.content.set_back(self.clock);
    }

    /// The server ends with all its transactions, and another content is there when it comes back.
    pub(super) fn replace(&mut self, content: Content) {
        let before = content.settings.keys().chain(self.content.settings.keys()).cloned();
        self.touched.extend(before);
        self.open.clear();
        self.content = content;
        self.content.set_back(self.clock);
        self.replaced = self.shown.len() as u64;
        self.replacements += 1;
    }

    pub(super) fn is_logged(&self, shown: &Shown) -> bool {
        self.content.events.get(&shown.id).is_some_and(|event| event.mark == shown.mark)
    }

    pub(super) fn is_fresh(&self, host_type: &str) -> bool {
        self.content.fresh.get(host_type).is_some_and(|&end| self.clock < end)
    }
}
