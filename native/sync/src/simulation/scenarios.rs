//! Single faults that the simulation has found, each by itself, with a connection that breaks at any answer. Some name the
//! seeds that showed them first. The follower asks other questions by now, so these seeds lead to other days.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain_store::PersistentId;
use parking_lot::Mutex;

use super::connection::Breaks;
use super::database::{Database, Kind};
use super::faults::{self, ALLOWED, Conditions, Incident};
use super::node::{Machine, Node, OPTIONS, World};
use super::pass_record::Ending;
use crate::gate::{Force, Gate, GateMode};
use crate::options::Options;

const DOMAINS: [&str; 3] = ["a.example", "b.example", "c.example"];

/// More answers than any pass here needs.
const ANSWERS: u32 = 16;

fn write(world: &World, domain: &str, row: Option<(&'static str, i64)>) {
    let mut database = world.database.lock();
    let transaction = database.begin();
    database.change(transaction, domain, row);
    database.announce(transaction, domain);
    database.commit(transaction);
}

/// A database with three domains, of which an old copy has one, and a node that follows it: once for each answer at which
/// the connection can break.
fn each(kind: Kind, mode: GateMode, test: impl Fn(&mut Node<'_>, &mut World, Breaks)) {
    for answers in 0..ANSWERS {
        let mut database = Database::new(kind, Some(PersistentId("first".to_owned())));
        database.quiet = true;
        let now = Instant::now();
        let mut world = World { database: Arc::new(Mutex::new(database)), conditions: Conditions::Faulty, now };
        let options = Options { gate: Gate { mode, ..OPTIONS.gate }, ..OPTIONS };
        let mut machine = Machine::new();
        let mut node = Node::new(&mut machine, &options, now);
        for domain in DOMAINS {
            write(&world, domain, Some(("one", 1)));
            faults::apply(&mut world.database.lock(), Incident::Copy);
        }
        world.database.lock().copies.truncate(1);
        assert_eq!(node.pass(&world, Breaks::Never), Ending::Succeeded);
        test(&mut node, &mut world, Breaks::After(answers));
    }
}

/// An open transaction that holds this id.
fn begin(world: &World, id: i64, domain: &str, row: Option<(&'static str, i64)>) -> u64 {
    let mut database = world.database.lock();
    database.content.next_id = id;
    let transaction = database.begin();
    database.change(transaction, domain, row);
    database.announce(transaction, domain);
    transaction
}

fn commit(world: &World, transaction: u64) {
    world.database.lock().commit(transaction);
}

fn host_type<'a>(node: &Node<'a>, domain: &str) -> Option<&'a str> {
    let id = node.table.host_type(domain.as_bytes()).ok()?;
    ALLOWED.into_iter().find(|name| node.table.host_types().id(name) == Some(id))
}

fn is_routed(node: &Node<'_>, domain: &str) -> bool {
    node.table.host_type(domain.as_bytes()).is_ok()
}

#[test]
fn evidence_of_a_loss_is_known_to_the_next_thread_wherever_the_last_one_died() {
    each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
        faults::apply(&mut world.database.lock(), Incident::RestoreInPlace);
        node.set_breaks(breaks);
        node.pass(world, breaks);
        node.thread_dies(world.now);
        node.request_comparison(Force::No);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        assert!(DOMAINS.iter().all(|domain| is_routed(node, domain)), "{breaks:?}");
    });
}

#[test]
fn an_event_after_the_snapshot_of_a_comparison_that_broke_off_is_applied() {
    each(Kind::KnowsWriters, GateMode::Always, |node, world, breaks| {
        faults::apply(&mut world.database.lock(), Incident::RestoreInPlace);
        node.set_breaks(breaks);
        let before = node.parts().context.state.cursor.as_ref().map(|cursor| cursor.at);
        let ending = node.pass(world, breaks);
        let taken_over = node.parts().context.state.cursor.as_ref().map(|cursor| cursor.at) != before;
        write(world, "b.example", None);
        node.set_breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        assert!(!is_routed(node, "b.example") || !taken_over, "{breaks:?} {ending:?}");
    });
}

#[test]
fn a_deletion_by_the_node_itself_is_applied_though_a_comparison_kept_the_route_after_its_event() {
    // Seed 5062. The worker is late, or the follower gets its event when the caller asks for it.
    let (late, requested) = (Cell::new(0), Cell::new(0));
    each(Kind::KnowsWriters, GateMode::Always, |node, world, breaks| {
        faults::apply(&mut world.database.lock(), Incident::RestoreInPlace);
        {
            let mut database = world.database.lock();
            database.quiet = false;
            node.workers.lock().announce("b.example", None, &database);
            node.workers.lock().go_on(0, &mut database);
            faults::end(&mut database);
            database.quiet = true;
        }
        node.set_breaks(breaks);
        node.pass(world, breaks);
        node.set_breaks(Breaks::Never);
        while !node.workers.lock().are_idle() {
            node.pass(world, Breaks::Never);
        }
        let (shown, pending) = {
            let workers = node.workers.lock();
            (workers.shown == 1, workers.pending.first().copied())
        };
        if let Some(event) = pending {
            node.pass(world, Breaks::Never);
            assert!(node.found.contains(&event), "{breaks:?}");
            assert_eq!(node.kept(), 1, "{breaks:?}");
        }
        let is_done = shown || pending.is_some();
        assert!(!is_done || !is_routed(node, "b.example"), "{breaks:?}");
        late.update(|count| count + u32::from(shown));
        requested.update(|count| count + u32::from(pending.is_some()));
    });
    // Each pass of the worker is a matter of chance, as in all of the simulation.
    assert!(late.get() + requested.get() > 0);
}

/// 14836, 18943, 28179, 34784, 39220, 49070, 49779, 60960, 68789, 75450.
#[test]
fn an_event_of_the_log_before_with_the_id_of_an_own_change_is_not_the_own_one() {
    for row in [None, Some(("three", 1))] {
        each(Kind::KnowsWriters, GateMode::Always, |node, world, breaks| {
            {
                let mut database = world.database.lock();
                database.copies.clear();
                faults::apply(&mut database, Incident::Copy);
                node.workers.lock().announce("b.example", row, &database);
            }
            write(world, "b.example", Some(("two", 1)));
            assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
            {
                let mut database = world.database.lock();
                faults::apply(&mut database, Incident::RestoreInPlace);
                database.quiet = false;
                let mut workers = node.workers.lock();
                workers.go_on(0, &mut database);
                workers.go_on(0, &mut database);
                database.quiet = true;
                assert_eq!((workers.shown, workers.pending.len()), (0, 1));
            }
            node.set_breaks(breaks);
            if node.pass(world, breaks) == Ending::Succeeded && !node.found.is_empty() {
                assert_eq!(host_type(node, "b.example"), row.map(|(host_type, _)| host_type), "{breaks:?}");
            }
        });
    }
}

#[test]
fn what_a_load_that_broke_off_brought_and_the_next_one_does_not_goes() {
    each(Kind::KnowsWriters, GateMode::Always, |node, world, breaks| {
        node.crashes(world.now);
        node.pass(world, breaks);
        write(world, "a.example", None);
        node.set_breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        assert!(!is_routed(node, "a.example"), "{breaks:?}");
        assert_eq!(node.kept(), 0);
    });
}

#[test]
fn events_of_a_log_that_began_anew_are_young() {
    // Here transactions have no numbers that show that they are younger.
    each(Kind::Serial, GateMode::OnLoss, |node, world, _| {
        let later = |world: &mut World| {
            let time = Duration::from_secs(600);
            world.now += time;
            world.database.lock().clock += time.as_millis() as i64;
        };
        (0..12).for_each(|_| later(world));
        faults::apply(&mut world.database.lock(), Incident::TruncateAndRestart);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        for domain in DOMAINS.iter().chain(&DOMAINS) {
            write(world, domain, Some(("two", 1)));
        }
        for _ in 0..18 {
            later(world);
            assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
            assert_eq!(world.database.lock().content.events.len(), 6);
        }
    });
}

/// 8766, 14887, 30692, 76123, 79842, 84730; and those in which the next answer agreed by chance: 12745, 34505, 39764, 51443,
/// 51373, 120837, 122492, 96492, 117168, 120441.
#[test]
fn an_answer_that_is_evidence_of_a_loss_counts_though_the_next_one_is_lost_and_the_log_is_emptied() {
    each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
        faults::apply(&mut world.database.lock(), Incident::RestoreInPlace);
        node.set_breaks(breaks);
        node.pass(world, breaks);
        faults::apply(&mut world.database.lock(), Incident::Truncate);
        node.set_breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        // A follower that saw nothing of the restored log cannot know.
        let saw = breaks != Breaks::After(0);
        assert!(!saw || DOMAINS.iter().all(|domain| is_routed(node, domain)), "{breaks:?}");
    });
}

/// 6170, 9399, 57121.
#[test]
fn a_late_event_in_another_database_is_found_though_its_log_seems_to_continue() {
    each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
        {
            let mut database = world.database.lock();
            let copy = database.copies[0].clone();
            database.replace(copy);
            database.restarts += 1;
            database.identity = Some(PersistentId("second".to_owned()));
        }
        let late = begin(world, 2, "b.example", Some(("two", 1)));
        // The event at the cursor is about the same domain, by chance.
        write(world, "c.example", Some(("one", 1)));
        assert_eq!(node.pass(world, Breaks::Never), Ending::Away);
        node.pass(world, breaks);
        node.set_breaks(Breaks::Never);
        while node.pass(world, Breaks::Never) == Ending::Away {}
        assert_eq!(host_type(node, "b.example"), Some("one"), "{breaks:?}");
        commit(world, late);
        write(world, "a.example", Some(("three", 1)));
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        assert_eq!(host_type(node, "b.example"), Some("two"), "{breaks:?}");
    });
}

/// Whether the follower looks between two incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Never,
    AtTheEmptyLog,
}

/// 39693, 50308, 79651, 82544, 89115, 118677, 122888.
#[test]
fn a_log_of_which_only_the_beginning_was_found_is_another_one_when_that_is_gone() {
    for look in [Look::Never, Look::AtTheEmptyLog] {
        each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
            faults::apply(&mut world.database.lock(), Incident::Truncate);
            commit(world, begin(world, 15, "c.example", Some(("two", 1))));
            node.set_breaks(breaks);
            node.pass(world, breaks);
            node.set_breaks(Breaks::Never);
            faults::apply(&mut world.database.lock(), Incident::TruncateAndRestart);
            if look == Look::AtTheEmptyLog {
                assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
            }
            let late = begin(world, 1, "b.example", Some(("two", 1)));
            commit(world, begin(world, 15, "a.example", Some(("three", 1))));
            assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
            commit(world, late);
            write(world, "c.example", Some(("three", 1)));
            assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
            assert_eq!(host_type(node, "b.example"), Some("two"), "{breaks:?}");
        });
    }
}

/// 41585, 58990, 117551.
#[test]
fn a_late_event_in_a_log_that_begins_right_behind_the_cursor_is_found() {
    each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
        faults::apply(&mut world.database.lock(), Incident::TruncateAndRestart);
        let late = begin(world, 2, "b.example", Some(("two", 1)));
        commit(world, begin(world, 4, "a.example", Some(("two", 1))));
        node.set_breaks(breaks);
        node.pass(world, breaks);
        node.set_breaks(Breaks::Never);
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        commit(world, late);
        write(world, "c.example", Some(("two", 1)));
        assert_eq!(node.pass(world, Breaks::Never), Ending::Succeeded);
        assert_eq!(host_type(node, "b.example"), Some("two"), "{breaks:?}");
    });
}

/// 12199, 29547, 70737, 113982.
#[test]
fn a_first_load_that_broke_off_stays_the_first_one_whatever_the_log_calls_for() {
    for meanwhile in [Incident::Truncate, Incident::ManyGaps] {
        each(Kind::KnowsWriters, GateMode::Always, |node, world, breaks| {
            node.crashes(world.now);
            node.pass(world, breaks);
            // After a load that was complete, the gate decides.
            let ended = is_routed(node, "a.example") && node.parts().context.state.due.is_none();
            {
                let mut database = world.database.lock();
                database.put_silently("a.example", None);
                faults::apply(&mut database, meanwhile);
            }
            node.set_breaks(Breaks::Never);
            while node.pass(world, Breaks::Never) == Ending::Away {}
            assert_eq!(is_routed(node, "a.example"), ended, "{meanwhile:?} {breaks:?}");
        });
    }
}

/// 9253.
#[test]
fn of_a_share_count_the_routes_that_a_first_load_brought_before_it_broke_off() {
    each(Kind::KnowsWriters, GateMode::OnLoss, |node, world, breaks| {
        let domains: Vec<String> = (0..10).map(|n| format!("d{n}.example")).collect();
        domains.iter().for_each(|domain| write(world, domain, Some(("two", 1))));
        node.crashes(world.now);
        node.pass(world, breaks);
        let all = domains.iter().all(|domain| is_routed(node, domain));
        domains[1..].iter().for_each(|domain| world.database.lock().put_silently(domain, None));
        node.set_breaks(Breaks::Never);
        node.request_comparison(Force::No);
        while node.pass(world, Breaks::Never) == Ending::Away {}
        assert!(!all || domains.iter().all(|domain| is_routed(node, domain)), "{breaks:?}");
    });
}
