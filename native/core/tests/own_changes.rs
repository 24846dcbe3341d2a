//! Changes that this node makes itself, others' changes and the follower's readings, in every order.
//!
//! Four actors take steps. A depth-first search runs every interleaving of their steps on a table and a database of one row:
//!
//! | actor | steps |
//! |---|---|
//! | a worker | announces a change, commits it, puts it into the table |
//! | a second worker | the same |
//! | another node | commits a change |
//! | the follower | reads, applies; reads, applies; … until it has passed all events |
//!
//! After each step the table shows a row that the database has or had, and never an older one than it showed before. A
//! worker that finds its change visible finds it, or a later one, in the table. At the end the table is the database.

#![cfg(not(loom))]

use domain_core::{
    Change, DomainName, Epoch, EventId, HostTypeId, Outcome, OwnChanges, Progress, Source, Table, Visibility,
};

/// The row of the domain after each commit: `None` where it is not enabled. The first one is the row at the beginning.
type History = Vec<Option<HostTypeId>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Worker(usize),
    OtherNode,
    Follower,
}

struct Run<'t> {
    table: &'t Table,
    epoch: Epoch,
    source: Source,
    domain: DomainName,
    history: History,
    workers: [Worker<'t>; 2],
    other_node: Option<Option<HostTypeId>>,
    /// The number of events that the follower has passed.
    passed: usize,
    read: Option<Read<'t>>,
    /// The index of the newest row that the table has shown.
    shown: usize,
}

struct Worker<'t> {
    row: Option<HostTypeId>,
    announced: Option<OwnChanges<'t>>,
    committed: Option<usize>,
    is_done: bool,
}

struct Read<'t> {
    guard: domain_core::DatabaseRead<'t>,
    /// How many events there were.
    to: usize,
    row: Option<HostTypeId>,
}

/// An event's id is the index of its row.
fn event(index: usize) -> EventId {
    EventId(index as i64)
}

impl<'t> Run<'t> {
    fn change(&self, row: Option<HostTypeId>) -> Change {
        match row {
            Some(host_type) => Change::Put(self.domain.clone(), host_type),
            None => Change::Remove(self.domain.clone()),
        }
    }

    fn row(&self) -> Option<HostTypeId> {
        *self.history.last().unwrap()
    }

    fn commit(&mut self, row: Option<HostTypeId>) -> usize {
        self.history.push(row);
        self.history.len() - 1
    }

    fn is_possible(&self, step: Step) -> bool {
        match step {
            Step::Worker(n) => !self.workers[n].is_done,
            Step::OtherNode => self.other_node.is_some(),
            Step::Follower => self.read.is_some() || self.passed < self.history.len() - 1,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Worker(n) => self.worker(n),
            Step::OtherNode => {
                let row = self.other_node.take().unwrap();
                self.commit(row);
            }
            Step::Follower => self.follow(),
        }
        self.check();
    }

    fn worker(&mut self, n: usize) {
        let row = self.workers[n].row;
        match (self.workers[n].announced.take(), self.workers[n].committed) {
            (None, _) => self.workers[n].announced = Some(self.table.begin_own_changes(vec![self.domain.clone()])),
            (Some(announced), None) => {
                let index = self.commit(row);
                (self.workers[n].announced, self.workers[n].committed) = (Some(announced), Some(index));
            }
            (Some(announced), Some(index)) => {
                let visible = announced.apply(&[(0, event(index), self.change(row))]);
                self.workers[n].is_done = true;
                if visible == [Visibility::Visible] {
                    self.check();
                    assert!(self.shown >= index, "the caller does not see its change");
                }
            }
        }
    }

    fn follow(&mut self) {
        match self.read.take() {
            None => {
                let guard = self.table.begin_database_read();
                self.read = Some(Read { guard, to: self.history.len() - 1, row: self.row() });
            }
            Some(Read { guard, to, row }) => {
                let events: Vec<_> = (self.passed + 1..=to).map(|index| (event(index), self.change(row))).collect();
                let outcomes = self.table.apply_events(self.epoch, self.source, &events).unwrap();
                drop(guard);
                // Overtaken rows are read again before their events are passed.
                if !outcomes.iter().any(|outcome| matches!(outcome, Outcome::Overtaken(_))) {
                    self.passed = to;
                }
            }
        }
    }

    /// The table shows a row of the history that is not older than the one that it showed before. All rows differ.
    fn check(&mut self) {
        let shown = self.table.domain_host_type(self.domain.as_bytes()).ok();
        let index = self.history.iter().position(|row| *row == shown).expect("a row that was in the database");
        assert!(index >= self.shown, "an older row shows again: {index} after {}", self.shown);
        self.shown = index;
    }
}

/// Runs these steps, and then, one after the other, all that are possible next. Returns how many runs there were.
fn search(table: &Table, host_types: &[HostTypeId; 4], steps: &mut Vec<Step>) -> u32 {
    let mut possible = Vec::new();
    {
        table.open(&[], host_types.iter().copied());
        let (epoch, source) = (table.epoch(), table.new_source());
        let domain = DomainName::new("own.example").unwrap();
        let [at_first, others @ ..] = *host_types;
        table.apply(epoch, source, &[Change::Put(domain.clone(), at_first)]).unwrap();
        table.set_progress(epoch, Progress::Following { source }).unwrap();
        // One of the changes removes the row.
        let rows = [Some(others[0]), None, Some(others[1])];
        let worker = |row| Worker { row, announced: None, committed: None, is_done: false };
        let mut run = Run {
            table,
            epoch,
            source,
            domain,
            history: vec![Some(at_first)],
            workers: [worker(rows[0]), worker(rows[1])],
            other_node: Some(rows[2]),
            passed: 0,
            read: None,
            shown: 0,
        };
        steps.iter().for_each(|step| run.step(*step));
        for step in [Step::Worker(0), Step::Worker(1), Step::OtherNode, Step::Follower] {
            if run.is_possible(step) {
                possible.push(step);
            }
        }
        if possible.is_empty() {
            assert_eq!(run.shown, run.history.len() - 1, "{steps:?} ends with another row than the database's");
        }
    }
    if possible.is_empty() {
        return 1;
    }
    let mut runs = 0;
    for step in possible {
        steps.push(step);
        runs += search(table, host_types, steps);
        steps.pop();
    }
    runs
}

#[test]
fn in_every_order_the_newest_row_shows_and_no_older_one_again() {
    let table = Table::new(1);
    let host_types =
        ["at first", "one", "other", "two"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    let runs = search(&table, &host_types, &mut Vec::new());
    assert!(runs > 10_000, "{runs} runs are not all");
}

#[test]
fn nothing_is_put_into_the_table_while_it_is_compared_or_not_loaded() {
    let table = Table::new(1);
    let host_type = table.host_types().intern(b"type").unwrap();
    let domain = DomainName::new("own.example").unwrap();
    let make = || {
        let own = table.begin_own_changes(vec![domain.clone()]);
        own.apply(&[(0, EventId(1), Change::Put(domain.clone(), host_type))])
    };
    table.open(&[], [host_type]);
    assert_eq!(make(), [Visibility::Pending], "nothing was loaded");
    let source = table.new_source();
    table.set_progress(table.epoch(), Progress::Following { source }).unwrap();
    let pause = table.pause_own_changes();
    assert_eq!(make(), [Visibility::Pending], "the table is being compared");
    let put = [(0, EventId(1), Change::Put(domain.clone(), host_type))];
    let own = table.begin_own_changes(vec![domain.clone()]);
    drop(pause);
    assert_eq!(own.apply(&put), [Visibility::Pending], "the comparison may have passed over a later deletion");
    drop(own);
    let own = table.begin_own_changes(vec![domain.clone()]);
    table.reset_progress();
    table.set_progress(table.epoch(), Progress::Following { source }).unwrap();
    assert_eq!(own.apply(&put), [Visibility::Pending], "the routes are from another load");
    assert_eq!(table.domain_host_type(domain.as_bytes()).ok(), None);
    drop(own);
    assert_eq!(make(), [Visibility::Visible]);
    assert_eq!(table.domain_host_type(domain.as_bytes()), Ok(host_type));
}

#[test]
fn a_static_domain_stays_as_it_is() {
    let table = Table::new(1);
    let host_types = ["static", "dynamic"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    let domain = DomainName::new("own.example").unwrap();
    table.open(&[(domain.clone(), host_types[0])], [host_types[1]]);
    let source = table.new_source();
    table.set_progress(table.epoch(), Progress::Following { source }).unwrap();
    let own = table.begin_own_changes(vec![domain.clone()]);
    let visibility = own.apply(&[(0, EventId(1), Change::Put(domain.clone(), host_types[1]))]);
    assert_eq!(visibility, [Visibility::Pending]);
    assert_eq!(table.domain_host_type(domain.as_bytes()), Ok(host_types[0]));
}

#[test]
fn an_event_with_the_id_of_a_change_and_another_row_is_not_the_event_of_that_change() {
    let table = Table::new(1);
    let [one, two] = ["one", "two"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    let domain = DomainName::new("own.example").unwrap();
    table.open(&[], [one, two]);
    let (epoch, source) = (table.epoch(), table.new_source());
    table.set_progress(epoch, Progress::Following { source }).unwrap();
    // The log was replaced while the change waited in the database, so its id came again.
    for row in [Change::Put(domain.clone(), two), Change::Remove(domain.clone())] {
        let own = table.begin_own_changes(vec![domain.clone()]);
        table.apply_events(epoch, source, &[(EventId(7), Change::Put(domain.clone(), one))]).unwrap();
        assert_eq!(own.apply(&[(0, EventId(7), row)]), [Visibility::Pending]);
        assert_eq!(own.apply(&[(0, EventId(7), Change::Put(domain.clone(), one))]), [Visibility::Visible]);
        assert_eq!(table.domain_host_type(domain.as_bytes()), Ok(one));
    }
}
