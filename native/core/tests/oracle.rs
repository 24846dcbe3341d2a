//! The table compared with a reference: thousands of random histories are applied to the table, and to a hash map
//! behind a lock that enforces the static rules in the most obvious way.
#![cfg(not(loom))]

use std::num::NonZeroU32;

use domain_core::{Change, DomainCounts, DomainName, HostTypeId, Position, Select, Source, Table};
use proptest::prelude::*;
use reference::Reference;

mod reference;

/// Few names, so that operations concern the same ones. Some are long.
const NAMES: usize = 24;
/// The first names are static domains. Their host type is the last one, which is not allowed for dynamic domains.
const STATIC: usize = 3;
const HOST_TYPES: usize = 4;
const ALLOWED: usize = 2;

#[derive(Debug, Clone)]
enum Operation {
    Insert(usize, usize, u32),
    Delete(usize),
    Apply(u32, Vec<(usize, Option<usize>)>),
    Reopen,
    Page(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let name = 0..NAMES;
    let change = (0..NAMES, prop::option::of(0..HOST_TYPES));
    prop_oneof![
        6 => (name.clone(), 0..HOST_TYPES, 1..4u32).prop_map(|(n, h, s)| Operation::Insert(n, h, s)),
        4 => name.prop_map(Operation::Delete),
        4 => (1..4u32, prop::collection::vec(change, 0..40)).prop_map(|(s, c)| Operation::Apply(s, c)),
        1 => Just(Operation::Reopen),
        2 => (1..10usize).prop_map(Operation::Page),
    ]
}

fn name(number: usize) -> DomainName {
    let length = if number % 5 == 4 { 200 } else { 1 + number };
    DomainName::new(&format!("{number}-{}", "x".repeat(length))).unwrap()
}

fn source(number: u32) -> Source {
    Source(NonZeroU32::new(number).unwrap())
}

struct Pair {
    table: Table,
    reference: Reference,
    ids: Vec<HostTypeId>,
}

impl Pair {
    fn new() -> Pair {
        let table = Table::new(2);
        let ids = (0..HOST_TYPES).map(|n| table.host_types().intern(format!("type{n}").as_bytes()).unwrap()).collect();
        let pair = Pair { table, reference: Reference::default(), ids };
        pair.reopen();
        pair
    }

    fn reopen(&self) {
        let pairs: Vec<_> = (0..STATIC).map(|n| (name(n), self.ids[HOST_TYPES - 1])).collect();
        self.table.open(&pairs, self.ids[..ALLOWED].iter().copied());
        self.reference.open(&pairs, &self.ids[..ALLOWED]);
    }

    fn perform(&self, operation: Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Insert(n, h, s) => {
                let (domain, host_type) = (name(n), self.ids[h]);
                let expected = self.reference.insert(&domain, host_type, source(s));
                prop_assert_eq!(self.table.insert(&domain, host_type, source(s)), expected);
            }
            Operation::Delete(n) => {
                prop_assert_eq!(self.table.delete(&name(n)), self.reference.delete(&name(n)));
            }
            Operation::Apply(s, wanted) => {
                let change = |&(n, h): &(usize, Option<usize>)| match h {
                    Some(h) => Change::Put(name(n), self.ids[h]),
                    None => Change::Remove(name(n)),
                };
                let changes: Vec<_> = wanted.iter().map(change).collect();
                let expected: Vec<_> = changes.iter().map(|change| self.reference.apply(source(s), change)).collect();
                prop_assert_eq!(self.table.apply(self.table.epoch(), source(s), &changes).unwrap(), expected);
            }
            Operation::Reopen => self.reopen(),
            Operation::Page(limit) => self.compare_listings(limit)?,
        }
        Ok(())
    }

    fn compare_lookups(&self) -> Result<(), TestCaseError> {
        for n in 0..NAMES {
            let name = name(n);
            prop_assert_eq!(self.table.host_type(name.as_bytes()).ok(), self.reference.host_type(name.as_bytes()));
            prop_assert_eq!(self.table.is_static(name.as_bytes()), self.reference.is_static(name.as_bytes()));
        }
        prop_assert_eq!(self.table.counts(), self.reference.counts(None));
        let counts = self.ids.iter().map(|&id| (id, self.reference.counts(Some(id))));
        let listed = counts.filter(|(id, counts)| id.index() < ALLOWED || *counts != DomainCounts::default());
        prop_assert_eq!(self.table.counts_by_host_type(), listed.collect::<Vec<_>>());
        Ok(())
    }

    fn compare_listings(&self, limit: usize) -> Result<(), TestCaseError> {
        let loads = [1, 2].map(source);
        let selections = [Select::All, Select::Static, Select::Dynamic]
            .into_iter()
            .chain(loads.map(Select::Outdated))
            .chain(loads.map(Select::Older))
            .chain(loads.map(Select::Since))
            .chain(self.ids.iter().copied().map(Select::HostType));
        for select in selections {
            let mut listed = Vec::new();
            let mut position = Some(Position::START);
            while let Some(from) = position {
                let page = self.table.page(select, from, limit);
                prop_assert!(page.len() <= limit);
                listed.extend(page.iter().map(|(name, host_type)| (name.to_vec(), host_type)));
                position = page.next;
            }
            listed.sort();
            prop_assert_eq!(listed, self.reference.list(select));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_its_reference(operations in prop::collection::vec(operation(), 1..60)) {
        let pair = Pair::new();
        for operation in operations {
            pair.perform(operation)?;
            pair.compare_lookups()?;
        }
        pair.compare_listings(3)?;
    }
}
