//! Subdomains, compared with a model that stores each claim in the order in which they are made; and beside writers.
#![cfg(not(loom))]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use domain_core::{Change, Claim, ClaimKind, DomainName, HostTypeId, LookupError, Pattern, Source, Table};
use proptest::prelude::*;

const HOST_TYPES: usize = 3;
/// Names and prefixes that make each other's names.
const DOMAINS: [&str; 5] = ["x", "b.x", "a.x", "c.b.x", "a.b.x"];
const PREFIXES: [&str; 4] = ["a.", "b.", "a.b.", "c.b."];
const FQDNS: [&str; 3] = ["a.b.x", "b.x", "d.x"];

#[derive(Debug, Clone)]
enum Operation {
    /// Adds the domain with this host type, moves it to that host type, or removes it.
    Change(usize, Option<usize>),
    Register(usize, usize),
    Unregister(usize, usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let patterns = 0..PREFIXES.len() + FQDNS.len();
    prop_oneof![
        5 => (0..DOMAINS.len(), prop::option::weighted(0.7, 0..HOST_TYPES)).prop_map(|(d, h)| Operation::Change(d, h)),
        3 => (0..HOST_TYPES, patterns.clone()).prop_map(|(h, p)| Operation::Register(h, p)),
        1 => (0..HOST_TYPES, patterns).prop_map(|(h, p)| Operation::Unregister(h, p)),
    ]
}

fn pattern(number: usize) -> Pattern {
    match number.checked_sub(PREFIXES.len()) {
        None => Pattern::Prefix(PREFIXES[number].as_bytes().into()),
        Some(number) => Pattern::Fqdn(FQDNS[number].as_bytes().into()),
    }
}

fn domain(name: &str) -> DomainName {
    DomainName::new(name).unwrap()
}

/// One claim in the model.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    name: String,
    host_type: usize,
    pattern: usize,
    parent: Option<usize>,
}

#[derive(Default)]
struct Model {
    domains: BTreeMap<usize, usize>,
    patterns: Vec<(usize, usize)>,
    /// In the order in which they were made.
    items: Vec<Item>,
}

impl Model {
    fn prefixed(&self, host_type: usize, pattern: usize, parent: usize) -> Item {
        Item { name: format!("{}{}", PREFIXES[pattern], DOMAINS[parent]), host_type, pattern, parent: Some(parent) }
    }

    fn change(&mut self, domain: usize, to: Option<usize>) {
        if self.domains.get(&domain).copied() == to {
            return;
        }
        self.items.retain(|item| item.parent != Some(domain));
        self.domains.remove(&domain);
        if let Some(host_type) = to {
            self.domains.insert(domain, host_type);
            let of_type = |&&(one, pattern): &&(usize, usize)| one == host_type && pattern < PREFIXES.len();
            let prefixes: Vec<usize> = self.patterns.iter().filter(of_type).map(|&(_, pattern)| pattern).collect();
            let new = prefixes.into_iter().map(|pattern| self.prefixed(host_type, pattern, domain));
            let new: Vec<Item> = new.collect();
            self.items.extend(new);
        }
    }

    fn register(&mut self, host_type: usize, pattern: usize) {
        if self.patterns.contains(&(host_type, pattern)) {
            return;
        }
        self.patterns.push((host_type, pattern));
        let new: Vec<Item> = match pattern.checked_sub(PREFIXES.len()) {
            Some(fqdn) => vec![Item { name: FQDNS[fqdn].into(), host_type, pattern, parent: None }],
            None => {
                let parents = self.domains.iter().filter(|&(_, &one)| one == host_type);
                parents.map(|(&parent, _)| self.prefixed(host_type, pattern, parent)).collect()
            }
        };
        self.items.extend(new);
    }

    fn unregister(&mut self, host_type: usize, pattern: usize) {
        self.patterns.retain(|&one| one != (host_type, pattern));
        self.items.retain(|item| (item.host_type, item.pattern) != (host_type, pattern));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_earliest_claim_on_a_name_keeps_it(operations in prop::collection::vec(operation(), 1..60)) {
        let table = Table::new(1);
        let ids: Vec<HostTypeId> =
            (0..HOST_TYPES).map(|n| table.host_types().intern(format!("type{n}").as_bytes()).unwrap()).collect();
        table.open(&[], ids.clone());
        // The claims of a first load are not ordered, so it ends here.
        table.set_progress(table.epoch(), domain_core::Progress::Following { source: table.new_source() }).unwrap();
        let source = table.new_source();
        let mut model = Model::default();
        let names: Vec<String> = PREFIXES.iter().flat_map(|prefix| DOMAINS.map(|name| format!("{prefix}{name}")))
            .chain(FQDNS.map(String::from)).chain(DOMAINS.map(String::from)).collect();
        for operation in operations {
            match operation {
                Operation::Change(number, to) => {
                    let name = domain(DOMAINS[number]);
                    let change = to.map_or(Change::Remove(name.clone()), |to| Change::Put(name.clone(), ids[to]));
                    table.apply(table.epoch(), source, &[change]).unwrap();
                    model.change(number, to);
                }
                Operation::Register(host_type, number) => {
                    table.register_pattern(ids[host_type], &pattern(number));
                    model.register(host_type, number);
                }
                Operation::Unregister(host_type, number) => {
                    table.unregister_pattern(ids[host_type], &pattern(number));
                    model.unregister(host_type, number);
                }
            }
            for name in &names {
                let items: Vec<&Item> = model.items.iter().filter(|item| item.name == *name).collect();
                let expected: Vec<(HostTypeId, ClaimKind)> = items.iter().map(|item| {
                    let kind = item.parent.map_or(ClaimKind::Fqdn, |_| ClaimKind::Prefix(PREFIXES[item.pattern].len()));
                    (ids[item.host_type], kind)
                }).collect();
                let seen = |claim: Claim| (claim.host_type, claim.kind);
                let claims: Vec<_> = table.claims(name.as_bytes()).into_iter().map(seen).collect();
                prop_assert_eq!(&claims, &expected, "{}", name);
                prop_assert_eq!(table.count_claims(name.as_bytes()), expected.len());
                prop_assert_eq!(table.subdomain(name.as_bytes()).map(seen), expected.first().copied());
                let at = DOMAINS.iter().position(|domain| domain == name);
                let own = at.and_then(|at| model.domains.get(&at)).map(|&host_type| ids[host_type]);
                prop_assert_eq!(table.domain_host_type(name.as_bytes()).ok(), own);
                let served = own.or(expected.first().map(|&(host_type, _)| host_type));
                prop_assert_eq!(table.host_type(name.as_bytes()), served.ok_or(LookupError::NotFound));
            }
        }
    }
}

fn open() -> (Table, HostTypeId, Source) {
    let table = Table::new(4);
    let host_type = table.host_types().intern(b"type1").unwrap();
    table.open(&[], [host_type]);
    let source = table.new_source();
    (table, host_type, source)
}

#[test]
fn a_closed_table_has_no_subdomains_and_one_that_is_opened_again_has_those_of_its_domains() {
    let (table, host_type, source) = open();
    let muc = Pattern::Prefix((*b"muc.").into());
    table.register_pattern(host_type, &muc);
    table.register_pattern(host_type, &Pattern::Fqdn((*b"one.example").into()));
    table.insert(&domain("example"), host_type, source).unwrap();
    assert_eq!(table.host_type(b"muc.example"), Ok(host_type));
    table.close();
    assert_eq!(table.host_type(b"muc.example"), Err(LookupError::Closed));
    assert_eq!((table.subdomain(b"muc.example"), table.subdomain(b"one.example")), (None, None));
    table.open(&[(domain("static.example"), host_type)], []);
    assert_eq!(table.host_type(b"muc.example"), Err(LookupError::NotFound));
    assert_eq!(table.host_type(b"muc.static.example"), Ok(host_type));
    table.unregister_all_patterns();
    assert_eq!(table.host_type(b"muc.static.example"), Err(LookupError::NotFound));
}

#[test]
fn a_lookup_of_a_subdomain_is_counted_once() {
    let (table, host_type, source) = open();
    table.register_pattern(host_type, &Pattern::Prefix((*b"muc.").into()));
    table.insert(&domain("example"), host_type, source).unwrap();
    let names = ["example", "muc.example", "muc.missing", "missing"];
    let answers = names.map(|name| table.host_type(name.as_bytes()).is_ok());
    assert_eq!(answers, [true, true, false, false]);
    let lookups = table.lookup_counts();
    assert_eq!((lookups.hits, lookups.misses), (2, 2));
}

#[test]
fn subdomains_that_stay_are_found_while_others_and_their_patterns_change() {
    let (table, host_type, source) = open();
    let other = table.host_types().intern(b"type2").unwrap();
    table.open(&[(domain("stays.example"), host_type)], [host_type, other]);
    table.register_pattern(host_type, &Pattern::Prefix((*b"muc.").into()));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(table.host_type(b"muc.stays.example"), Ok(host_type));
                    assert_eq!(table.host_type(b"muc.never.example"), Err(LookupError::NotFound));
                    // Its earliest claim is the prefix, whose parent stays. An FQDN of the same name is registered and
                    // unregistered.
                    let first = table.subdomain(b"muc.stays.example").unwrap();
                    assert_eq!((first.host_type, first.kind), (host_type, ClaimKind::Prefix(4)));
                    if let Ok(found) = table.host_type(b"muc.moves.example") {
                        assert_eq!(found, host_type, "type2 has no such prefix");
                    }
                }
            });
        }
        let moves = domain("moves.example");
        let fqdn = Pattern::Fqdn((*b"muc.stays.example").into());
        for round in 0..20_000 {
            let to = if round % 2 == 0 { host_type } else { other };
            table.apply(table.epoch(), source, &[Change::Put(moves.clone(), to)]).unwrap();
            table.register_pattern(other, &Pattern::Prefix((*b"pubsub.").into()));
            table.register_pattern(other, &fqdn);
            table.apply(table.epoch(), source, &[Change::Remove(moves.clone())]).unwrap();
            table.unregister_pattern(other, &fqdn);
        }
        done.store(true, Ordering::Relaxed);
    });
}
