//! What random operations do not reach: large tables, listings during changes, epochs.
#![cfg(not(loom))]

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain_core::{
    Change, Closed, DomainCounts, DomainName, LookupCounts, LookupError, Position, Progress, Select, Source, Stale,
    Table,
};

fn name(number: usize) -> DomainName {
    DomainName::new(&format!("tenant-{number}.example.com")).unwrap()
}

fn domain(name: &str) -> DomainName {
    DomainName::new(name).unwrap()
}

fn source(number: u32) -> Source {
    Source(NonZeroU32::new(number).unwrap())
}

fn open() -> (Table, domain_core::HostTypeId) {
    let table = Table::new(4);
    let host_type = table.host_types().intern(b"type1").unwrap();
    table.open(&[], [host_type]);
    (table, host_type)
}

fn list(table: &Table, select: Select) -> Vec<Vec<u8>> {
    let mut listed = Vec::new();
    let mut position = Some(Position::START);
    while let Some(from) = position {
        let page = table.page(select, from, 1000);
        listed.extend(page.iter().map(|(name, _)| name.to_vec()));
        position = page.next;
    }
    listed
}

fn unique_number(name: &[u8]) -> usize {
    let name = std::str::from_utf8(name).unwrap();
    name.strip_prefix("tenant-").and_then(|rest| rest.split_once('.')).unwrap().0.parse().unwrap()
}

#[test]
fn two_hundred_thousand_domains_are_found_and_listed_once_each() {
    let (table, host_type) = open();
    let changes: Vec<_> = (0..200_000).map(|n| Change::Put(name(n), host_type)).collect();
    table.apply(table.epoch(), table.new_source(), &changes).unwrap();
    assert!((0..200_000).all(|n| table.host_type(name(n).as_bytes()) == Ok(host_type)));
    assert_eq!(table.host_type(name(200_000).as_bytes()), Err(LookupError::NotFound));
    let listed = list(&table, Select::All);
    assert_eq!(listed.len(), 200_000);
    assert_eq!(listed.into_iter().collect::<HashSet<_>>().len(), 200_000);
}

#[test]
fn a_domain_that_stays_is_listed_once_while_others_are_added_and_removed() {
    let (table, host_type) = open();
    let source = table.new_source();
    let stay: Vec<_> = (0..20_000).map(|n| Change::Put(name(n), host_type)).collect();
    table.apply(table.epoch(), source, &stay).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (20_000..30_000).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                table.insert(&name(n), host_type, source).unwrap();
                let another = if n % 2 == 0 { n } else { n - 1 };
                table.delete(&name(another)).unwrap();
            }
        });
        for _ in 0..20 {
            let listed = list(&table, Select::All);
            let unique: HashSet<_> = listed.iter().map(Vec::as_slice).collect();
            assert!((0..20_000).all(|n| unique.contains(name(n).as_bytes())));
            let stayed = |name: &&Vec<u8>| unique_number(name) < 20_000;
            assert_eq!(listed.iter().filter(stayed).count(), 20_000);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_domain_whose_host_type_changes_is_always_found() {
    let table = Table::new(2);
    let one = table.host_types().intern(b"type1").unwrap();
    let two = table.host_types().intern(b"type2").unwrap();
    table.open(&[], [one, two]);
    let source = table.new_source();
    table.insert(&name(1), one, source).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(table.host_type(name(1).as_bytes()).is_ok());
            }
        });
        for round in 0..10_000 {
            let host_type = if round % 2 == 0 { two } else { one };
            table.apply(table.epoch(), source, &[Change::Put(name(1), host_type)]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Names of many lengths, and many of each: so entries are used again for other names.
fn sized(number: usize) -> DomainName {
    DomainName::new(&format!("{number:06}.{}example.com", "sub.".repeat(number % 13))).unwrap()
}

/// The writer adds and removes 4,000 domains, and empties the table now and then. Each domain has the same host type
/// each time that it is added, and some are static: so each result can be checked.
#[test]
fn a_lookup_beside_a_writer_never_finds_another_domains_route() {
    const DOMAINS: usize = 4_000;
    const STATIC: usize = 10;
    let table = Table::new(4);
    let host_types = ["type1", "type2", "type3"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    let names: Vec<DomainName> = (0..DOMAINS).map(sized).collect();
    let pairs: Vec<_> = (0..STATIC).map(|number| (names[number].clone(), host_types[number % 3])).collect();
    table.open(&pairs, host_types);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (table, names, done) = (&table, &names, &done);
            scope.spawn(move || {
                for number in (0..).map(|turn: usize| turn.wrapping_mul(2_654_435_761 + reader) % DOMAINS) {
                    match table.host_type(names[number].as_bytes()) {
                        Ok(found) => assert_eq!(found, host_types[number % 3], "{} has another's", names[number]),
                        Err(miss) => {
                            assert!(miss == LookupError::NotFound && number >= STATIC, "{}: {miss}", names[number])
                        }
                    }
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let mut random = 1u32;
        for round in 0..40 {
            let source = table.new_source();
            for _ in 0..10_000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = STATIC + (random >> 8) as usize % (DOMAINS - STATIC);
                if random >> 31 == 0 {
                    table.insert(&names[number], host_types[number % 3], source).unwrap();
                } else {
                    table.delete(&names[number]).unwrap();
                }
            }
            if round % 8 == 7 {
                table.open(&pairs, host_types);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Buckets are split and overflow while domains are looked up that must be found.
#[test]
fn growth_hides_no_domain() {
    let (table, host_type) = open();
    let source = table.new_source();
    let stay: Vec<DomainName> = (0..1_000).map(name).collect();
    let changes: Vec<Change> = stay.iter().map(|name| Change::Put(name.clone(), host_type)).collect();
    table.apply(table.epoch(), source, &changes).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    stay.iter().for_each(|name| assert_eq!(table.host_type(name.as_bytes()), Ok(host_type), "{name}"));
                }
            });
        }
        let more: Vec<Change> = (1_000..150_000).map(|n| Change::Put(name(n), host_type)).collect();
        table.apply(table.epoch(), source, &more).unwrap();
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(table.counts().dynamic, 150_000);
}

/// Lookups and changes continue while many static domains are built, until the maps are swapped.
#[test]
fn opening_delays_neither_lookups_nor_changes() {
    let (table, host_type) = open();
    let pairs: Vec<_> = (0..100_000).map(|number| (name(number), host_type)).collect();
    let (opening, done, during) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let before = opening.load(Ordering::Acquire);
                let changed = table.insert(&domain("dynamic"), host_type, source(1)).is_ok();
                assert!(changed || table.is_open());
                assert_eq!(table.host_type(b"none"), Err(LookupError::NotFound));
                if before && opening.load(Ordering::Acquire) {
                    during.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // If they waited, only one of them would happen during each opening.
        while during.load(Ordering::Relaxed) < 1_000 {
            opening.store(true, Ordering::Release);
            table.open(&pairs, [host_type]);
            opening.store(false, Ordering::Release);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(table.counts().r#static, 100_000);
}

#[test]
fn emptying_the_table_resets_the_progress_and_makes_older_loads_stale() {
    let (table, host_type) = open();
    let (source, epoch) = (table.new_source(), table.epoch());
    let progress = Progress::Following { source };
    table.set_progress(epoch, progress).unwrap();
    assert_eq!(table.progress(), (epoch, progress));

    table.open(&[], [host_type]);
    assert_eq!(table.progress().1, Progress::Unloaded);
    assert_eq!(table.apply(epoch, source, &[Change::Put(name(1), host_type)]), Err(Stale));
    assert_eq!(table.set_progress(epoch, progress), Err(Stale));
    assert_eq!(table.counts().dynamic, 0);
    assert_ne!(table.new_source(), source, "a source is not used twice");
}

#[test]
fn the_first_of_two_static_pairs_wins() {
    let table = Table::new(1);
    let one = table.host_types().intern(b"type1").unwrap();
    let two = table.host_types().intern(b"type2").unwrap();
    table.open(&[(name(1), one), (name(1), two)], []);
    assert_eq!(table.host_type(name(1).as_bytes()), Ok(one));
    assert_eq!(table.counts().r#static, 1);
}

#[test]
fn a_closed_table_has_no_domains() {
    let (table, host_type) = open();
    table.insert(&name(1), host_type, table.new_source()).unwrap();
    table.close();
    assert_eq!(table.host_type(name(1).as_bytes()), Err(LookupError::Closed));
    assert!(!table.is_host_type_allowed(host_type));
    assert_eq!(table.progress().1, Progress::Closed);
}

#[test]
fn a_result_is_never_about_a_closed_table() {
    let table = Table::new(4);
    let host_type = table.host_types().intern(b"type1").unwrap();
    assert_eq!((table.is_open(), table.while_open(|| ())), (false, Err(Closed)));
    table.open(&[], [host_type]);
    assert_eq!((table.is_open(), table.while_open(|| table.is_host_type_allowed(host_type))), (true, Ok(true)));
    // First closed meanwhile; then closed and opened again, so that the query is made again.
    assert_eq!(table.while_open(|| table.close()), Err(Closed));
    table.open(&[], [host_type]);
    let mut queries = 0;
    let allowed = table.while_open(|| {
        queries += 1;
        if queries == 1 {
            table.close();
        }
        let allowed = table.is_host_type_allowed(host_type);
        if queries == 1 {
            table.open(&[], [host_type]);
        }
        allowed
    });
    assert_eq!((allowed, queries), (Ok(true), 2));
}

#[test]
fn a_named_source_is_neither_a_load_nor_another_name() {
    let (table, host_type) = open();
    let load = table.new_source();
    table.apply(table.epoch(), load, &[Change::Put(name(0), host_type)]).unwrap();
    table.insert_from(&name(1), host_type, b"one").unwrap();
    table.insert_from(&name(2), host_type, b"two").unwrap();
    table.insert_from(&name(3), host_type, b"one").unwrap();
    let outdated = |source| list(&table, Select::Outdated(source)).len();
    let (one, two) = (table.source(b"one").unwrap(), table.source(b"two").unwrap());
    assert_eq!((outdated(one), outdated(two), outdated(load)), (2, 3, 3));
    assert_eq!(table.source(b"three"), None);
    table.open(&[], [host_type]);
    assert_eq!(table.source(b"one"), None);
}

#[test]
fn memory_is_what_the_domains_take_and_is_released() {
    let (table, host_type) = open();
    let empty = table.memory();
    let changes: Vec<_> = (0..100_000).map(|n| Change::Put(name(n), host_type)).collect();
    table.apply(table.epoch(), table.new_source(), &changes).unwrap();
    let full = table.memory();
    // 32 bytes for a name of 26, and a bucket of 64 for four and a half of them.
    assert!((3_200_000..4_800_000).contains(&full.entries), "{full:?}");
    assert!((1_300_000..2_600_000).contains(&full.index), "{full:?}");
    assert_eq!(full.change_feed, 0);
    table.watch(|| ());
    table.take_changes(1);
    table.delete(&name(1)).unwrap();
    assert!(table.memory().change_feed > name(1).as_bytes().len());
    table.close();
    assert!(table.memory().entries < full.entries / 10 && table.memory().index <= empty.index + 1024, "{empty:?}");
}

#[test]
fn a_reset_keeps_the_routes_and_makes_loads_stale() {
    let (table, host_type) = open();
    let (source, epoch) = (table.new_source(), table.epoch());
    table.apply(epoch, source, &[Change::Put(name(1), host_type)]).unwrap();
    table.reset_progress();
    assert_eq!(table.progress().1, Progress::Reset);
    assert_eq!(table.set_progress(epoch, Progress::Following { source }), Err(Stale));
    assert_eq!(table.host_type(name(1).as_bytes()), Ok(host_type));
}

#[test]
fn each_lookup_of_each_thread_is_counted_by_its_result() {
    let (table, host_type) = open();
    table.insert(&name(1), host_type, table.new_source()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                for n in 0..30 {
                    assert_eq!(table.host_type(name(1 + n % 3).as_bytes()).is_ok(), n % 3 == 0);
                }
            });
        }
    });
    assert_eq!(table.lookup_counts(), LookupCounts { hits: 1_000, misses: 2_000 });
    table.close();
    assert_eq!(table.host_type(name(1).as_bytes()), Err(LookupError::Closed));
    assert_eq!(
        table.lookup_counts(),
        LookupCounts { hits: 1_000, misses: 2_000 },
        "lookups in a closed table are not counted"
    );
}

#[test]
fn an_allowed_host_type_without_domains_is_listed() {
    let table = Table::new(1);
    let [one, two, unused] =
        ["type1", "type2", "type3"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    table.open(&[(name(1), two)], [one]);
    let (none, fixed) = (DomainCounts::default(), DomainCounts { r#static: 1, dynamic: 0 });
    assert_eq!(table.counts_by_host_type(), [(one, none), (two, fixed)]);
    table.open(&[], [unused]);
    assert_eq!(table.counts_by_host_type(), [(unused, none)]);
}
