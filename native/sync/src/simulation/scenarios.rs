//! Single faults that the simulation came upon, each by itself: at whichever answer the connection
//! breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::OPTIONS;
use super::connection::Breaks;
use super::database::{Database, Kind};
use super::node::{Machine, Node, Went, World};
use super::weather::{self, Climate};
use crate::{ConvergenceGate, Force, Gate, Options};

const DOMAINS: [&str; 3] = ["a.example", "b.example", "c.example"];

/// More answers than any pass here takes.
const ANSWERS: u32 = 16;

fn write(world: &World, domain: &str, row: Option<(&'static str, i64)>) {
    let mut database = world.database.lock();
    let transaction = database.begin();
    database.change(transaction, domain, row);
    database.announce(transaction, domain);
    database.commit(transaction);
}

/// A database with three domains, of which an old copy has but one, and a node that follows it.
fn each(kind: Kind, mode: ConvergenceGate, test: impl Fn(&mut Node<'_>, &mut World, Breaks)) {
    for answers in 0..ANSWERS {
        let mut database = Database::new(kind, None);
        database.quiet = true;
        let now = Instant::now();
        let mut world = World { database: Arc::new(Mutex::new(database)), climate: Climate::Stormy, now };
        let options = Options { gate: Gate { mode, ..OPTIONS.gate }, ..OPTIONS };
        let mut machine = Machine::new();
        let mut node = Node::new(&mut machine, &options, now);
        for domain in DOMAINS {
            write(&world, domain, Some(("one", 1)));
            weather::happen(&mut world.database.lock(), weather::Event::Copy);
        }
        world.database.lock().copies.truncate(1);
        assert_eq!(node.pass(&world, Breaks::Never), Went::Well);
        test(&mut node, &mut world, Breaks::After(answers));
    }
}

fn is_routed(node: &Node<'_>, domain: &str) -> bool {
    node.table.host_type(domain.as_bytes()).is_ok()
}

#[test]
fn what_speaks_for_a_loss_is_known_to_the_next_thread_wherever_the_last_one_died() {
    each(Kind::Telling, ConvergenceGate::OnLoss, |node, world, breaks| {
        weather::happen(&mut world.database.lock(), weather::Event::RestoreInPlace);
        node.breaks(breaks);
        node.pass(world, breaks);
        node.thread_dies(world.now);
        node.ask(Force::No);
        assert_eq!(node.pass(world, Breaks::Never), Went::Well);
        assert!(DOMAINS.iter().all(|domain| is_routed(node, domain)), "{breaks:?}");
    });
}

#[test]
fn an_event_after_the_snapshot_of_a_comparison_that_broke_off_is_obeyed() {
    each(Kind::Telling, ConvergenceGate::Always, |node, world, breaks| {
        weather::happen(&mut world.database.lock(), weather::Event::RestoreInPlace);
        node.breaks(breaks);
        let before = node.work().memory.cursor.as_ref().map(|cursor| cursor.at);
        let went = node.pass(world, breaks);
        let taken_over = node.work().memory.cursor.as_ref().map(|cursor| cursor.at) != before;
        write(world, "b.example", None);
        node.breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Went::Well);
        assert!(!is_routed(node, "b.example") || !taken_over, "{breaks:?} {went:?}");
    });
}

#[test]
fn what_a_load_that_broke_off_brought_and_the_next_one_does_not_goes() {
    each(Kind::Telling, ConvergenceGate::Always, |node, world, breaks| {
        node.crashes(world.now);
        node.pass(world, breaks);
        write(world, "a.example", None);
        node.breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Went::Well);
        assert!(!is_routed(node, "a.example"), "{breaks:?}");
        assert_eq!(node.kept(), 0);
    });
}

#[test]
fn events_of_a_log_that_began_anew_are_young() {
    // Here no number of a transaction tells that they are younger.
    each(Kind::Serial, ConvergenceGate::OnLoss, |node, world, _| {
        let later = |world: &mut World| {
            let time = Duration::from_secs(600);
            world.now += time;
            world.database.lock().clock += time.as_millis() as i64;
        };
        (0..12).for_each(|_| later(world));
        weather::happen(&mut world.database.lock(), weather::Event::TruncateAndRestart);
        assert_eq!(node.pass(world, Breaks::Never), Went::Well);
        for domain in DOMAINS.iter().chain(&DOMAINS) {
            write(world, domain, Some(("two", 1)));
        }
        for _ in 0..18 {
            later(world);
            assert_eq!(node.pass(world, Breaks::Never), Went::Well);
            assert_eq!(world.database.lock().content.events.len(), 6);
        }
    });
}
