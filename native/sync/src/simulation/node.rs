//! A node: a table, and a follower without its thread.
//!
//! The simulation does what [`Follower`](crate::Follower) does around a pass: it connects, gives the
//! follower a pass, and lets it rest. It can end the thread (the state stays), the node (the table
//! and the state are gone) and the connection, at any answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_core::{DomainName, Epoch, HostTypeId, Progress, Table};
use parking_lot::Mutex;

use super::connection::{Breaks, Connection, Told};
use super::database::Database;
use super::faults::{ALLOWED, Climate, STATIC, STATIC_DOMAINS};
use super::oracle::{self, Oracle, Routes, routes};
use crate::comparison::Comparison;
use crate::context::Context;
use crate::gate::Force;
use crate::halt::Halt;
use crate::inbox::{Inbox, Request, Ticket};
use crate::options::Options;
use crate::outbox::{Outbox, Shared};
use crate::owner::{Ended, Owner, Permit, Response};
use crate::pass::Pass;
use crate::report::Report;
use crate::state::FollowerState;
use crate::status::Status;
use crate::synchronizer::Synchronizer;

/// What all nodes share.
#[derive(Clone)]
pub(super) struct World {
    pub(super) database: Arc<Mutex<Database>>,
    pub(super) climate: Climate,
    pub(super) now: Instant,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    Well,
    Away,
}

type Reports = Arc<Mutex<Vec<Report>>>;

/// An owner that lets the follower do what it wants, and keeps what it says.
struct Patron(Reports);

impl Owner for Patron {
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
    Outbox::new(shared, Box::new(Patron(reports.clone())))
}

/// What outlives a thread, and what a node is made of.
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
    /// Always there, but for the moment in which one thread follows on another.
    work: Option<Synchronizer<'a>>,
    reports: Reports,
    connection: Option<Connection<'a>>,
    options: &'a Options,
    pub(super) oracle: Oracle,
    force: Option<Force>,
    /// What the last pass left, if the table was not opened anew since: it changes in passes alone.
    routes: Option<(Epoch, Routes)>,
    /// What the last pass reported, for the diary.
    pub(super) said: String,
}

impl<'a> Node<'a> {
    pub(super) fn new(machine: &'a mut Machine, options: &'a Options, now: Instant) -> Node<'a> {
        let Machine { table, state, outbox, reports } = machine;
        let table: &'a Arc<Table> = table;
        let work = Some(Synchronizer::new(outbox, state, table, options, now));
        let oracle = Oracle::new(options.gate);
        Node {
            table,
            work,
            reports: reports.clone(),
            connection: None,
            options,
            oracle,
            force: None,
            routes: None,
            said: String::new(),
        }
    }

    pub(super) fn work(&self) -> &Synchronizer<'a> {
        self.work.as_ref().expect("there is one")
    }

    fn work_mut(&mut self) -> &mut Synchronizer<'a> {
        self.work.as_mut().expect("there is one")
    }

    pub(super) fn kept(&self) -> u64 {
        self.work().context.state.kept_count()
    }

    /// The thread dies, and another one acquires its lock.
    pub(super) fn thread_dies(&mut self, now: Instant) {
        let Some(Synchronizer { context, .. }) = self.work.take() else { return };
        let Context { outbox, state, table, options, .. } = context;
        *outbox = new_outbox(&self.reports);
        self.connection = None;
        self.force = None;
        self.work = Some(Synchronizer::new(outbox, state, table, options, now));
    }

    pub(super) fn crashes(&mut self, now: Instant) {
        self.thread_dies(now);
        *self.work_mut().context.state = FollowerState::default();
        self.reopens();
    }

    pub(super) fn reopens(&mut self) {
        open(self.table);
        self.oracle.forget();
    }

    pub(super) fn ask(&mut self, force: Force) {
        self.work().context.outbox.shared.inbox.add(Ticket(0), Request::Converge(force));
        self.force = Some(match self.force {
            Some(Force::Yes) => Force::Yes,
            _ => force,
        });
    }

    /// How long it would rest.
    pub(super) fn idle_time(&self, now: Instant) -> Duration {
        if self.connection.is_none() { Duration::from_secs(5) } else { self.work().idle_time(now) }
    }

    /// From now on its connection breaks so.
    pub(super) fn breaks(&mut self, breaks: Breaks) {
        self.connection.iter_mut().for_each(|connection| connection.breaks = breaks);
    }

    /// Connects if need be, makes a pass, and checks what came of it.
    pub(super) fn pass(&mut self, world: &World, breaks: Breaks) -> Went {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let max_age = self.options.pruning.max_age;
                let host_types = self.table.host_types();
                let mut connection = Connection::open(&world.database, host_types, world.climate, max_age, breaks);
                if self.work_mut().connected(&mut connection).is_err() {
                    return Went::Away;
                }
                connection
            }
        };
        let table = self.table;
        let work = self.work.as_mut().expect("there is one");
        work.context.outbox.take_requests();
        let everywhere = work.schedule.is_poll_due(world.now) || work.context.outbox.has_requests();
        let epoch = table.epoch();
        let before = match self.routes.take() {
            Some((of, routes)) if of == epoch => routes,
            _ => routes(table),
        };
        // A restart of the service keeps its place in the log.
        let stays = work.context.state.epoch == Some(epoch) || table.progress().1 == Progress::Reset;
        let cursor = work.context.state.cursor.clone().filter(|_| stays);
        let stable = self.oracle.begin(&world.database, &connection, cursor.as_ref(), &before, table.host_types());
        let anchor = cursor.as_ref().and_then(|cursor| self.oracle.anchor(cursor));
        connection.told = Told { anchor, masked_before: self.oracle.masked(), ..Told::default() };
        connection.watch(Box::new(move |database| {
            statics_answer(table);
            for (domain, host_type) in &stable {
                let same = database.touched.contains(domain) || table.host_type(domain.as_bytes()) == Ok(*host_type);
                assert!(same, "{domain} is routed throughout, and not to be found");
            }
        }));
        let result = Pass::new(work, &mut connection, world.now).run();
        statics_answer(table);
        work.context.outbox.flush();
        let went = if result.is_ok() { Went::Well } else { Went::Away };
        let reports = std::mem::take(&mut *self.reports.lock());
        let pass = oracle::Pass {
            told: &connection.told,
            identity: connection.identity.clone(),
            before,
            everywhere,
            wants_to_skip: work.context.state.due.is_some_and(Comparison::skips_events),
            forced: self.force == Some(Force::Yes),
            repairs: result.as_ref().ok().cloned().flatten(),
            went,
            reports: &reports,
            climate: world.climate,
            cursor,
        };
        let worth = |report: &&Report| matches!(report, Report::Loaded { .. } | Report::Converged { .. });
        self.said = reports.iter().filter(worth).map(|report| format!("\n    {report:?}")).collect();
        let after = routes(table);
        self.oracle.end(&world.database, table.host_types(), &pass, &after, work.context.state.cursor.as_ref());
        self.routes = Some((table.epoch(), after));
        self.force = None;
        match result {
            Ok(repairs) => {
                work.context.outbox.respond(&HashSet::new(), repairs.as_ref());
                self.connection = Some(connection);
            }
            Err(Halt::Away(error)) => work.context.outbox.respond_error(&error.to_string()),
            Err(Halt::Stop | Halt::Reconnect) => panic!("nobody told it to"),
        }
        went
    }
}

fn statics_answer(table: &Table) {
    let id: Option<HostTypeId> = table.host_types().id(STATIC);
    for domain in STATIC_DOMAINS {
        assert_eq!(table.host_type(domain.as_bytes()).ok(), id, "{domain} is static");
    }
}
