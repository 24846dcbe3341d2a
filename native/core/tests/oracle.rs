//! The table against an oracle: thousands of random sequences of operations, each done to the table
//! and to a plain `BTreeMap` that follows the static rules in the most obvious way.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use domain_core::{
    Change, Counts, DomainName, HostTypeId, InsertError, Inserted, IsStatic, Outcome, Position, Refusal, Select,
    Source, Table,
};
use proptest::prelude::*;

/// Few names, so that operations meet; one of them too long to lie inline.
const NAMES: usize = 24;
/// Static domains are the first ones; their host type is the last one, which is not allowed.
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

#[derive(Clone, Copy, PartialEq, Debug)]
enum From {
    Configuration,
    Load(u32),
}

/// What the table should hold.
#[derive(Default)]
struct Model(BTreeMap<usize, (usize, From)>);

impl Model {
    fn reopened() -> Model {
        Model((0..STATIC).map(|n| (n, (HOST_TYPES - 1, From::Configuration))).collect())
    }

    fn is_static(&self, n: usize) -> bool {
        matches!(self.0.get(&n), Some((_, From::Configuration)))
    }

    fn refusal(&self, n: usize, host_type: usize) -> Option<Refusal> {
        if host_type >= ALLOWED {
            Some(Refusal::UnknownHostType)
        } else if self.is_static(n) {
            Some(Refusal::Static)
        } else {
            None
        }
    }
}

struct Pair {
    table: Table,
    ids: Vec<HostTypeId>,
    model: Model,
}

impl Pair {
    fn new() -> Pair {
        let table = Table::new(2);
        let ids = (0..HOST_TYPES).map(|n| table.host_types().intern(format!("type{n}").as_bytes()).unwrap()).collect();
        let mut pair = Pair { table, ids, model: Model::default() };
        pair.reopen();
        pair
    }

    fn reopen(&mut self) {
        let pairs: Vec<_> = (0..STATIC).map(|n| (name(n), self.ids[HOST_TYPES - 1])).collect();
        self.table.open(&pairs, self.ids[..ALLOWED].iter().copied());
        self.model = Model::reopened();
    }

    fn perform(&mut self, operation: Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Insert(n, h, s) => {
                let expected = match (self.model.refusal(n, h), self.model.0.get(&n)) {
                    (Some(Refusal::UnknownHostType), _) => Err(InsertError::UnknownHostType),
                    (Some(Refusal::Static), _) => Err(InsertError::Static),
                    (None, Some(&(other, _))) if other != h => Err(InsertError::OtherHostType(self.ids[other])),
                    (None, Some(_)) => Ok(Inserted::Kept),
                    (None, None) => Ok(Inserted::Added),
                };
                prop_assert_eq!(self.table.insert(&name(n), self.ids[h], source(s)), expected);
                if expected.is_ok() {
                    self.model.0.insert(n, (h, From::Load(s)));
                }
            }
            Operation::Delete(n) => {
                let expected = if self.model.is_static(n) {
                    Err(IsStatic)
                } else {
                    Ok(self.model.0.remove(&n).map(|(h, _)| self.ids[h]))
                };
                prop_assert_eq!(self.table.delete(&name(n)), expected);
            }
            Operation::Apply(s, wanted) => {
                let changes: Vec<_> = wanted
                    .iter()
                    .map(|&(n, h)| h.map_or(Change::Remove(name(n)), |h| Change::Put(name(n), self.ids[h])))
                    .collect();
                let expected: Vec<_> = wanted.iter().map(|&(n, h)| self.expect(n, h, s)).collect();
                prop_assert_eq!(self.table.apply(self.table.epoch(), source(s), &changes).unwrap(), expected);
            }
            Operation::Reopen => self.reopen(),
            Operation::Page(limit) => self.compare_listings(limit)?,
        }
        Ok(())
    }

    fn expect(&mut self, n: usize, host_type: Option<usize>, s: u32) -> Outcome {
        match host_type {
            None if self.model.is_static(n) => Outcome::Refused(Refusal::Static),
            None => self.model.0.remove(&n).map_or(Outcome::Absent, |(h, _)| Outcome::Removed(self.ids[h])),
            Some(h) => match self.model.refusal(n, h) {
                Some(refusal) => Outcome::Refused(refusal),
                None => match self.model.0.insert(n, (h, From::Load(s))) {
                    None => Outcome::Added,
                    Some((before, _)) if before == h => Outcome::Kept,
                    Some((before, _)) => Outcome::Moved(self.ids[before]),
                },
            },
        }
    }

    fn compare_lookups(&self) -> Result<(), TestCaseError> {
        for n in 0..NAMES {
            let expected = self.model.0.get(&n).map(|&(h, _)| self.ids[h]);
            prop_assert_eq!(self.table.host_type(name(n).as_bytes()).ok(), expected);
            prop_assert_eq!(self.table.is_static(name(n).as_bytes()), self.model.is_static(n));
        }
        let r#static = self.model.0.values().filter(|(_, from)| *from == From::Configuration).count();
        prop_assert_eq!(self.table.counts(), Counts { r#static, dynamic: self.model.0.len() - r#static });
        self.compare_counts()
    }

    fn compare_counts(&self) -> Result<(), TestCaseError> {
        let count = |h: usize, is_counted: fn(From) -> bool| {
            self.model.0.values().filter(|(other, from)| *other == h && is_counted(*from)).count()
        };
        let expected: Vec<_> = (0..HOST_TYPES)
            .map(|h| Counts {
                r#static: count(h, |from| from == From::Configuration),
                dynamic: count(h, |from| from != From::Configuration),
            })
            .enumerate()
            .filter(|(h, counts)| *h < ALLOWED || *counts != Counts::default())
            .map(|(h, counts)| (self.ids[h], counts))
            .collect();
        prop_assert_eq!(self.table.counts_by_host_type(), expected);
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
            let mut expected: Vec<_> = self
                .model
                .0
                .iter()
                .filter(|(_, (h, from))| match select {
                    Select::All => true,
                    Select::Static => *from == From::Configuration,
                    Select::Dynamic => *from != From::Configuration,
                    Select::Outdated(present) => matches!(from, From::Load(s) if source(*s) != present),
                    Select::Older(present) => matches!(from, From::Load(s) if source(*s) < present),
                    Select::Since(present) => matches!(from, From::Load(s) if source(*s) >= present),
                    Select::HostType(id) => id == self.ids[*h],
                })
                .map(|(&n, &(h, _))| (name(n).as_bytes().to_vec(), self.ids[h]))
                .collect();
            let mut listed = Vec::new();
            let mut position = Some(Position::START);
            while let Some(from) = position {
                let page = self.table.page(select, from, limit);
                prop_assert!(page.len() <= limit);
                listed.extend(page.iter().map(|(name, host_type)| (name.to_vec(), host_type)));
                position = page.next;
            }
            expected.sort();
            listed.sort();
            prop_assert_eq!(listed, expected);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_the_oracle(operations in prop::collection::vec(operation(), 1..60)) {
        let mut pair = Pair::new();
        for operation in operations {
            pair.perform(operation)?;
            pair.compare_lookups()?;
        }
        pair.compare_listings(3)?;
    }
}
