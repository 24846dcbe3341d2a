//! A test interrupts each change at each of its fault points in turn: afterwards it is made as a whole or not at all.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use super::*;
use crate::fault;

/// Enough for buckets to overflow, and for the index to grow.
const DOMAINS: usize = 6_000;

fn name(number: usize) -> DomainName {
    DomainName::new(&format!("{number}.{}example", "sub.".repeat(number % 3))).unwrap()
}

struct Interrupted {
    table: Table,
    host_types: [HostTypeId; 2],
    /// What the table should hold.
    model: BTreeMap<usize, HostTypeId>,
}

impl Interrupted {
    /// Makes a change, interrupted after 0, 1, 2… fault points until it is not interrupted.
    fn change(&mut self, number: usize, host_type: Option<usize>) {
        let wanted = host_type.map(|host_type| self.host_types[host_type]);
        let change = wanted.map_or(Change::Remove(name(number)), |wanted| Change::Put(name(number), wanted));
        for points in 0.. {
            let (epoch, progress) = self.table.progress();
            let source = self.table.new_source();
            fault::panic_after(points);
            let made =
                catch_unwind(AssertUnwindSafe(|| self.table.apply(epoch, source, std::slice::from_ref(&change))));
            let interrupted = fault::cancel();
            assert_eq!(made.is_err(), interrupted);
            let before = self.model.get(&number).copied();
            let found = self.table.host_type(name(number).as_bytes()).ok();
            assert!(found == wanted || interrupted && found == before, "{number}: {found:?}");
            if interrupted {
                assert_ne!(self.table.epoch(), epoch, "a load that is under way is stale");
                assert!(matches!(progress, Progress::Following { .. }));
                assert_eq!(self.table.progress().1, Progress::Reset);
                self.table.set_progress(self.table.epoch(), Progress::Following { source }).unwrap();
            }
            match found {
                Some(found) => _ = self.model.insert(number, found),
                None => _ = self.model.remove(&number),
            }
            if interrupted {
                self.compare();
            } else {
                break;
            }
        }
    }

    fn compare(&self) {
        for number in (0..DOMAINS).step_by(97) {
            let found = self.table.host_type(name(number).as_bytes()).ok();
            assert_eq!(found, self.model.get(&number).copied(), "{number}");
        }
        assert_eq!(self.table.counts().dynamic, self.model.len());
        for (host_type, counts) in self.table.counts_by_host_type() {
            assert_eq!(counts.dynamic, self.model.values().filter(|one| **one == host_type).count());
        }
    }

    /// Compares the whole table: each domain is listed once.
    fn compare_all(&self) {
        self.compare();
        let pages = self.table.pages(Select::All, 1_000);
        let mut listed: Vec<_> = pages
            .flat_map(|page| page.iter().map(|(name, host_type)| (name.to_vec(), host_type)).collect::<Vec<_>>())
            .collect();
        let model = self.model.iter().map(|(&number, &host_type)| (name(number).as_bytes().to_vec(), host_type));
        let mut model: Vec<_> = model.collect();
        listed.sort();
        model.sort();
        assert_eq!(listed, model);
    }
}

#[test]
fn a_change_that_is_interrupted_anywhere_is_made_or_not() {
    let table = Table::new(1);
    let host_types = ["type1", "type2"].map(|name| table.host_types().intern(name.as_bytes()).unwrap());
    table.open(&[], host_types);
    table.watch(|| ());
    table.set_progress(table.epoch(), Progress::Following { source: table.new_source() }).unwrap();
    let mut interrupted = Interrupted { table, host_types, model: BTreeMap::new() };
    for number in 0..DOMAINS {
        // All changes to some of them; for the others an addition, of which one in nine makes the index grow.
        if number % 150 < 3 {
            interrupted.change(number, Some(0));
            interrupted.change(number, Some(1));
            interrupted.change(number, None);
            interrupted.change(number, Some(1));
        } else {
            let added = interrupted.table.insert(&name(number), host_types[0], Source(std::num::NonZeroU32::MIN));
            assert_eq!(added, Ok(Inserted::Added));
            interrupted.model.insert(number, host_types[0]);
        }
    }
    interrupted.compare_all();
    let changes = interrupted.table.take_changes(1);
    assert_eq!(changes, Changes::Everything, "the watcher has to read the table");
}
