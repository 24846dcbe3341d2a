//! A node: a table, and a follower without its thread.
//!
//! The simulation does what [`Follower`](crate::Follower) does around a pass: it connects, makes the pass, and waits. It
//! can end the thread (the state stays), the node (the table and the state are gone) and the connection, at any answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{DomainName, Epoch, EventId, HostTypeId, Progress, Table};
use parking_lot::Mutex;

use super::connection::{Breaks, Connection, Observed};
use super::database::Database;
use super::faults::{ALLOWED, Conditions, STATIC, STATIC_DOMAINS};
use super::oracle::{Oracle, is_comparison};
use super::own_changes::Workers;
use super::pass_record::{Ending, PassRecord};
use super::routes::{Routes, routes, wanted};
use crate::comparison::Comparison;
use crate::context::Context;
use crate::gate::{Force, Gate, GateMode};
use crate::halt::Halt;
use crate::inbox::{Inbox, Request, Ticket};
use crate::options::{Options, PruneOptions};
use crate::outbox::{Outbox, Shared};
use crate::owner::{Ended, Owner, Permit, Response};
use crate::pass::Pass;
use crate::report::Report;
use crate::state::FollowerState;
use crate::status::Status;
use crate::synchronizer::Synchronizer;

/// The options of nodes, but for the gate's mode.
pub(super) const OPTIONS: Options = Options {
    poll_interval: Duration::from_secs(30),
    converge_interval: Duration::from_secs(3_600),
    gate: Gate { mode: GateMode::OnLoss, max_removal_share: 0.5 },
    pruning: PruneOptions { interval: Duration::from_secs(600), max_age: Duration::from_secs(4 * 3_600) },
    warm_start: None,
};

/// What all nodes share.
#[derive(Clone)]
pub(super) struct World {
    pub(super) database: Arc<Mutex<Database>>,
    pub(super) conditions: Conditions,
    pub(super) now: Instant,
}

type Reports = Arc<Mutex<Vec<Report>>>;

/// An owner that grants every permit and keeps the reports.
struct TestOwner(Reports);

impl Owner for TestOwner {
    fn request_permit(&mut self) -> Permit {
        Permit::Granted
    }

    fn report(&mut self, reports: Vec<Report>) {
        self.0.lock().extend(reports);
    }

    fn respond(&mut self, _: Ticket, _: Result<Response, String>) {}

    fn ended(&mut self, _: Ended) {}
}

fn new_outbox(reports: &Reports) -> Outbox {
    let status = Mutex::new(Status::new("simulated"));
    let shared = Arc::new(Shared { signal: Arc::default(), inbox: Inbox::default(), followed: Arc::default(), status });
    Outbox::new(shared, Box::new(TestOwner(reports.clone())))
}

/// What a node is made of, and what outlives its thread.
pub(super) struct Machine {
    table: Arc<Table>,
    state: FollowerState,
    outbox: Outbox,
    reports: Reports,
}

impl Machine {
    pub(super) fn new() -> Machine {
        let reports = Reports::default();
        let table = Arc::new(Table::new(1));
        open(&table);
        Machine { table, state: FollowerState::default(), outbox: new_outbox(&reports), reports }
    }
}

fn open(table: &Table) {
    let id = |name: &str| table.host_types().intern(name.as_bytes()).unwrap();
    let pairs = STATIC_DOMAINS.map(|name| (DomainName::new(name).unwrap(), id(STATIC)));
    table.open(&pairs, ALLOWED.map(id));
}

pub(super) struct Node<'a> {
    pub(super) table: &'a Arc<Table>,
    /// `None` only while one thread replaces another.
    parts: Option<Synchronizer<'a>>,
    reports: Reports,
    connection: Option<Connection<'a>>,
    /// What changes domains on this node.
    pub(super) workers: Arc<Mutex<Workers<'a>>>,
    options: &'a Options,
    pub(super) oracle: Oracle,
    force: Option<Force>,
    /// The requested events that the last pass found.
    pub(super) found: HashSet<EventId>,
    /// The routes after the last pass, and how many own changes the table shows. Only passes and own changes change an open
    /// table.
    routes: Option<(Epoch, u64, Routes)>,
    /// The loads and comparisons that the last pass reported, for the trace.
    pub(super) reported: String,
}

impl<'a> Node<'a> {
    pub(super) fn new(machine: &'a mut Machine, options: &'a Options, now: Instant) -> Node<'a> {
        let Machine { table, state, outbox, reports } = machine;
        let table: &'a Arc<Table> = table;
        let workers = Arc::new(Mutex::new(Workers::new(table, outbox.shared.followed.clone())));
        let parts = Some(Synchronizer::new(outbox, state, table, options, now));
        let oracle = Oracle::new(options.gate);
        Node {
            table,
            parts,
            reports: reports.clone(),
            connection: None,
            workers,
            options,
            oracle,
            force: None,
            found: HashSet::new(),
            routes: None,
            reported: String::new(),
        }
    }

    pub(super) fn parts(&self) -> &Synchronizer<'a> {
        self.parts.as_ref().expect("the node has a thread")
    }

    fn parts_mut(&mut self) -> &mut Synchronizer<'a> {
        self.parts.as_mut().expect("the node has a thread")
    }

    pub(super) fn kept(&self) -> u64 {
        self.parts().context.state.kept_count()
    }

    /// Another thread replaces the present one.
    pub(super) fn thread_dies(&mut self, now: Instant) {
        let Some(Synchronizer { context, .. }) = self.parts.take() else { return };
        let Context { outbox, state, table, options, .. } = context;
        *outbox = new_outbox(&self.reports);
        self.workers.lock().followed = outbox.shared.followed.clone();
        self.connection = None;
        self.force = None;
        self.parts = Some(Synchronizer::new(outbox, state, table, options, now));
    }

    pub(super) fn crashes(&mut self, now: Instant) {
        self.thread_dies(now);
        *self.parts_mut().context.state = FollowerState::default();
        self.reopens();
    }

    pub(super) fn reopens(&mut self) {
        open(self.table);
        self.oracle.forget();
    }

    pub(super) fn request_comparison(&mut self, force: Force) {
        self.parts().context.outbox.shared.inbox.add(Ticket(0), Request::Converge(force));
        self.force = Some(match self.force {
            Some(Force::Yes) => Force::Yes,
            _ => force,
        });
    }

    /// How long the thread would wait.
    pub(super) fn idle_time(&self, now: Instant) -> Duration {
        if self.connection.is_none() { Duration::from_secs(5) } else { self.parts().idle_time(now) }
    }

    /// Lets its connection break then.
    pub(super) fn set_breaks(&mut self, breaks: Breaks) {
        self.connection.iter_mut().for_each(|connection| connection.breaks = breaks);
    }

    /// Connects if necessary, makes a pass, and checks the result.
    pub(super) fn pass(&mut self, world: &World, breaks: Breaks) -> Ending {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let max_age = self.options.pruning.max_age;
                let host_types = self.table.host_types();
                let workers = self.workers.clone();
                let mut connection =
                    Connection::open(&world.database, host_types, world.conditions, max_age, breaks, workers);
                if self.parts_mut().connected(&mut connection).is_err() {
                    return Ending::Away;
                }
                connection
            }
        };
        let table = self.table;
        let parts = self.parts.as_mut().expect("the node has a thread");
        // The callers of changes that were not put into the table wait for their events.
        for event in std::mem::take(&mut self.workers.lock().pending) {
            parts.context.outbox.shared.inbox.add(Ticket(0), Request::Find(event));
        }
        parts.context.outbox.take_requests();
        let reads_all_gaps = parts.schedule.is_poll_due(world.now) || parts.context.outbox.has_requests();
        let epoch = table.epoch();
        let shown = self.workers.lock().shown;
        let before = match self.routes.take() {
            Some((of, at, routes)) if (of, at) == (epoch, shown) => routes,
            _ => routes(table),
        };
        // A restart of the service keeps the cursor.
        let stays = parts.context.state.epoch == Some(epoch) || table.progress().1 == Progress::Reset;
        let cursor = parts.context.state.cursor.clone().filter(|_| stays);
        let stable = self.oracle.begin(&world.database, &connection, cursor.as_ref(), &before, table.host_types());
        let anchor = cursor.as_ref().and_then(|cursor| self.oracle.anchor(cursor));
        connection.observed = Observed { anchor, masked_before: self.oracle.masked(), ..Observed::default() };
        self.workers.lock().clear();
        connection.watch(Box::new(move |database, workers| {
            statics_answer(table);
            for (domain, host_type) in &stable {
                let same = database.touched.contains(domain)
                    || workers.touched.contains(domain)
                    || table.host_type(domain.as_bytes()) == Ok(*host_type);
                assert!(same, "{domain} is routed throughout, and not found");
            }
        }));
        let result = Pass::new(parts, &mut connection, world.now).run();
        statics_answer(table);
        parts.context.outbox.flush();
        let ending = if result.is_ok() { Ending::Succeeded } else { Ending::Away };
        let reports = std::mem::take(&mut *self.reports.lock());
        let (own_changes, own_removals) = {
            let workers = self.workers.lock();
            (workers.touched.clone(), workers.removed.clone())
        };
        let record = PassRecord {
            observed: &connection.observed,
            identity: connection.identity.clone(),
            before,
            cursor,
            reads_all_gaps,
            is_forced: self.force == Some(Force::Yes),
            skips_events: parts.context.state.due.is_some_and(Comparison::skips_events),
            own_changes,
            own_removals,
            ending,
            reports: &reports,
            conditions: world.conditions,
        };
        self.reported =
            reports.iter().filter(|report| is_comparison(report)).map(|report| format!("\n    {report:?}")).collect();
        let after = routes(table);
        self.oracle.end(&world.database, table.host_types(), &record, &after, parts.context.state.cursor.as_ref());
        self.routes = Some((table.epoch(), self.workers.lock().shown, after));
        self.force = None;
        match result {
            Ok(repairs) => {
                let known = world.database.lock().visible.len();
                match parts.find_requested(&mut connection) {
                    Ok(found) => {
                        parts.context.outbox.respond(&found, repairs.as_ref());
                        self.routes = self.routes.take().filter(|_| found.is_empty());
                        check_found(table, &world.database.lock(), known, &found);
                        self.found = found;
                        self.connection = Some(connection);
                    }
                    Err(_) => {
                        parts.context.outbox.respond_error("the connection broke");
                        self.routes = None;
                    }
                }
            }
            Err(Halt::Away(error)) => parts.context.outbox.respond_error(&error.to_string()),
            Err(Halt::Stop | Halt::Reconnect) => panic!("it was not stopped"),
        }
        ending
    }
}

/// The table shows the rows of the events that were found, except those that have changed since, when so many events were
/// visible.
fn check_found(table: &Table, database: &Database, known: usize, found: &HashSet<EventId>) {
    let events = found.iter().filter_map(|id| database.content.events.get(&id.0));
    for domain in events.map(|event| &event.domain).filter(|domain| !STATIC_DOMAINS.contains(&domain.as_str())) {
        let is_new = database.visible[known..].iter().any(|event| event.domain == *domain)
            || database.silent.get(domain).is_some_and(|&at| at >= known as u64);
        let present = table.route(domain.as_bytes()).map(|(host_type, _)| host_type);
        let wanted = wanted(database, domain, table.host_types());
        assert!(is_new || present == wanted, "{domain} is {present:?}, not {wanted:?}, where a caller waited for it");
    }
}

fn statics_answer(table: &Table) {
    let id: Option<HostTypeId> = table.host_types().id(STATIC);
    for domain in STATIC_DOMAINS {
        assert_eq!(table.host_type(domain.as_bytes()).ok(), id, "{domain} is static");
    }
}
