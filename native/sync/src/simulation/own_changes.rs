//! Changes that a node makes itself: announced to the table, made in the database, and put into the table, each step at
//! another moment.
//!
//! The steps happen whenever other programs may do something, so also between an answer of the database and the pass that
//! applies it. A worker gives up when the database is replaced between the commit and the table: that takes a worker less time
//! than a database.

use std::collections::HashSet;
use std::sync::Arc;

use domain_core::{Change, DomainName, EventId, OwnChanges, Table, Visibility};
use domain_store::{FollowedDatabase, IdentityMatch, PersistentId};

use super::database::{Database, Kind, Settings, server};
use super::faults::{ALLOWED, any_dynamic_domain, any_of};
use super::routes::wanted;

/// The most changes of a node that are under way at the same time.
const WORKERS: usize = 3;

pub(super) struct Workers<'a> {
    table: &'a Table,
    /// As the follower's present thread publishes it.
    pub(super) followed: Arc<FollowedDatabase>,
    under_way: Vec<Work<'a>>,
    /// How many changes were put into the table.
    pub(super) shown: u64,
    /// Their domains, since this was cleared. Where another node has changed a domain again since, the table shows both rows,
    /// one after the other.
    pub(super) touched: HashSet<String>,
    /// Those of them whose route such a change removed.
    pub(super) removed: HashSet<String>,
    /// The events of changes that were not put into the table, whose callers wait for the follower.
    pub(super) pending: Vec<EventId>,
}

struct Work<'a> {
    domain: String,
    row: Option<Settings>,
    own: OwnChanges<'a>,
    /// The next id when it was announced. If ids begin anew meanwhile, the worker gives up, too.
    next_id: i64,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Announced,
    /// The transaction may be open, and has this id for its event.
    Sent {
        transaction: u64,
        id: i64,
        replacements: u64,
        restarts: u64,
    },
}

impl<'a> Workers<'a> {
    pub(super) fn new(table: &'a Table, followed: Arc<FollowedDatabase>) -> Workers<'a> {
        Workers {
            table,
            followed,
            under_way: Vec::new(),
            shown: 0,
            touched: HashSet::new(),
            removed: HashSet::new(),
            pending: Vec::new(),
        }
    }

    pub(super) fn are_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Forgets which domains were changed.
    pub(super) fn clear(&mut self) {
        self.touched.clear();
        self.removed.clear();
    }

    /// Perhaps one worker takes one step.
    pub(super) fn step(&mut self, database: &mut Database) {
        match fastrand::usize(0..4) {
            0 if self.under_way.len() < WORKERS && !database.quiet => {
                // The interface refuses to change a static domain.
                let domain = any_dynamic_domain();
                let row = if fastrand::u32(0..3) == 0 { None } else { Some((any_of(&ALLOWED), 1)) };
                self.announce(&domain, row, database);
            }
            1 | 2 if !self.under_way.is_empty() => self.go_on(fastrand::usize(0..self.under_way.len()), database),
            _ => (),
        }
    }

    /// A worker begins to change a domain.
    pub(super) fn announce(&mut self, domain: &str, row: Option<Settings>, database: &Database) {
        let name = DomainName::new(domain).expect("the simulation's names are valid");
        let (own, next_id) = (self.table.begin_own_changes(vec![name]), database.content.next_id);
        self.under_way.push(Work { domain: domain.to_owned(), row, own, next_id, step: Step::Announced });
    }

    /// One of those that are under way takes its next step.
    pub(super) fn go_on(&mut self, index: usize, database: &mut Database) {
        let mut work = self.under_way.swap_remove(index);
        match work.step {
            // It waits.
            Step::Announced if database.quiet => self.under_way.push(work),
            Step::Announced => {
                if database.is_locked(&work.domain) || database.content.next_id < work.next_id {
                    return;
                }
                let (replacements, restarts) = (database.replacements, database.restarts);
                let transaction = database.begin();
                database.change(transaction, &work.domain, work.row);
                let id = database.announce(transaction, &work.domain).expect("the transaction is open");
                if database.kind == Kind::Serial || fastrand::bool() {
                    database.commit(transaction);
                }
                work.step = Step::Sent { transaction, id, replacements, restarts };
                self.under_way.push(work);
            }
            Step::Sent { transaction, id, replacements, restarts } => {
                if (replacements, restarts) != (database.replacements, database.restarts) {
                    return;
                }
                database.commit(transaction);
                self.show(&work, id, database);
            }
        }
    }

    /// Nothing is put into the table if the transaction was rolled back, or its event is gone.
    fn show(&mut self, Work { domain, row, own, .. }: &Work<'_>, id: i64, database: &Database) {
        let identity = database.identity.clone().map(|PersistentId(name)| server(name));
        let is_logged = database.content.events.get(&id).is_some_and(|event| event.domain == *domain);
        if !is_logged || self.followed.compare(identity.as_ref()) != IdentityMatch::Same {
            return;
        }
        let name = DomainName::new(domain).expect("the simulation's names are valid");
        let change = match row {
            Some((host_type, _)) => {
                Change::Put(name, self.table.host_types().id(host_type).expect("the table allows it"))
            }
            None => Change::Remove(name),
        };
        if own.apply(&[(0, EventId(id), change)]) != [Visibility::Visible] {
            self.pending.push(EventId(id));
            return;
        }
        self.shown += 1;
        self.touched.insert(domain.clone());
        if row.is_none() {
            self.removed.insert(domain.clone());
        }
        let newest = database.visible.iter().rev().find(|event| event.domain == *domain);
        let is_newest = newest.is_some_and(|event| event.id == id);
        if is_newest && database.content.settings.get(domain) == row.as_ref() {
            let present = self.table.route(domain.as_bytes()).map(|(host_type, _)| host_type);
            assert_eq!(
                present,
                wanted(database, domain, self.table.host_types()),
                "a caller does not see its own change"
            );
        }
    }
}
