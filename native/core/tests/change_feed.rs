//! The feed of changes that observers read: order, wake-ups, and what becomes one change of everything.
#![cfg(not(loom))]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain_core::{Change, ChangeKind, Changes, DomainChange, DomainName, HostTypeId, Progress, Source, Table};

fn domain(name: &str) -> DomainName {
    DomainName::new(name).unwrap()
}

fn source(number: u32) -> Source {
    Source(NonZeroU32::new(number).unwrap())
}

fn open() -> (Table, HostTypeId) {
    let table = Table::new(4);
    let host_type = table.host_types().intern(b"type1").unwrap();
    table.open(&[], [host_type]);
    (table, host_type)
}

/// The changes that the watcher takes, as text.
fn taken(table: &Table) -> Vec<String> {
    match table.take_changes(1_000) {
        Changes::Everything => vec!["everything".into()],
        Changes::Listed(changes) => changes
            .iter()
            .map(|DomainChange { domain, host_type, kind }| {
                let (domain, host_type) = (String::from_utf8_lossy(domain), table.host_types().name(*host_type));
                let sign = if *kind == ChangeKind::Added { '+' } else { '-' };
                format!("{sign}{domain} {host_type}")
            })
            .collect(),
    }
}

#[test]
fn the_watcher_is_woken_and_takes_each_change_in_order() {
    let (table, one) = open();
    let two = table.host_types().intern(b"type2").unwrap();
    table.open(&[(domain("static"), one)], [one, two]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = calls.clone();
    table.watch(move || _ = counting.fetch_add(1, Ordering::Relaxed));
    assert_eq!((calls.load(Ordering::Relaxed), taken(&table), taken(&table)), (1, vec!["everything".into()], vec![]));

    table.insert(&domain("a"), one, source(1)).unwrap();
    table.insert(&domain("a"), one, source(2)).unwrap();
    table.set_progress(table.epoch(), Progress::Following { source: source(2) }).unwrap();
    assert_eq!((calls.load(Ordering::Relaxed), taken(&table), taken(&table)), (2, vec!["everything".into()], vec![]));

    let changes = [
        Change::Put(domain("a"), two),
        Change::Put(domain("b"), one),
        Change::Put(domain("static"), one),
        Change::Remove(domain("c")),
        Change::Remove(domain("b")),
    ];
    table.apply(table.epoch(), source(2), &changes).unwrap();
    table.delete(&domain("a")).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3, "called once until there are no more changes");
    assert_eq!(taken(&table), ["-a type1", "+a type2", "+b type1", "-b type1", "-a type2"]);
    assert_eq!(taken(&table), [""; 0]);
    table.close();
    assert_eq!((calls.load(Ordering::Relaxed), taken(&table)), (4, vec!["everything".into()]));
}

#[test]
fn a_first_load_is_one_change_of_everything() {
    let (table, one) = open();
    table.watch(|| ());
    taken(&table);
    let changes: Vec<_> = (0..10_000).map(|n| Change::Put(domain(&format!("tenant-{n}.example.com")), one)).collect();
    table.apply(table.epoch(), source(1), &changes).unwrap();
    assert_eq!(taken(&table), [""; 0]);
    table.set_progress(table.epoch(), Progress::Following { source: source(1) }).unwrap();
    assert_eq!(taken(&table), ["everything"]);
    table.apply(table.epoch(), source(1), &[Change::Put(domain("late"), one)]).unwrap();
    assert_eq!(taken(&table), ["+late type1"]);
}
