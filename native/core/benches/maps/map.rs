//! The maps that the benchmarks compare: the table, and other concurrent maps with the same names and values.

use std::num::NonZeroU32;

use domain_core::{Change, DomainName, HostTypeId, Source, Table};
use foldhash::fast::RandomState;
use parking_lot::RwLock;

use crate::names::name;

type Name = Box<[u8]>;

/// A map from names to host types, for several threads.
pub trait Map: Send + Sync {
    /// An empty map.
    fn new() -> Self;

    /// Reads the host type of a domain. Returns whether the domain exists.
    fn has(&self, name: &[u8]) -> bool;

    /// Adds a domain, or changes its host type.
    fn put(&self, name: &[u8], host_type: u16);

    /// Removes a domain.
    fn remove(&self, name: &[u8]);
}

/// A map with `size` names.
pub fn filled<M: Map>(size: usize) -> M {
    let map = M::new();
    (0..size).for_each(|number| map.put(name(number).as_bytes(), 0));
    assert!(map.has(name(size - 1).as_bytes()) && !map.has(name(size).as_bytes()));
    map
}

/// The table.
pub struct DomainTable {
    table: Table,
    host_types: [HostTypeId; 2],
}

impl Map for DomainTable {
    fn new() -> DomainTable {
        let table = Table::new(2);
        let host_types = ["type1", "type2"].map(|name| table.host_types().intern(name.as_bytes()).expect("a name"));
        table.open(&[], host_types);
        DomainTable { table, host_types }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.table.host_type(name).is_ok()
    }

    fn put(&self, name: &[u8], host_type: u16) {
        let name = DomainName::from_bytes(name).expect("a name");
        let change = Change::Put(name, self.host_types[usize::from(host_type) % 2]);
        self.table.apply(self.table.epoch(), Source(NonZeroU32::MIN), &[change]).expect("nobody opens it meanwhile");
    }

    fn remove(&self, name: &[u8]) {
        self.table.delete(&DomainName::from_bytes(name).expect("a name")).expect("none is static");
    }
}

/// `hashbrown`'s map behind a lock.
pub struct Locked(RwLock<hashbrown::HashMap<Name, u16, RandomState>>);

impl Map for Locked {
    fn new() -> Locked {
        Locked(RwLock::default())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.read().get(name).copied().is_some()
    }

    fn put(&self, name: &[u8], host_type: u16) {
        self.0.write().insert(name.into(), host_type);
    }

    fn remove(&self, name: &[u8]) {
        self.0.write().remove(name);
    }
}

/// `dashmap`: several such maps, each for a part of the names.
pub struct Dashmap(dashmap::DashMap<Name, u16, RandomState>);

impl Map for Dashmap {
    fn new() -> Dashmap {
        Dashmap(dashmap::DashMap::default())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.get(name).map(|host_type| *host_type).is_some()
    }

    fn put(&self, name: &[u8], host_type: u16) {
        self.0.insert(name.into(), host_type);
    }

    fn remove(&self, name: &[u8]) {
        self.0.remove(name);
    }
}

/// `papaya`: readers take no lock.
pub struct Papaya(papaya::HashMap<Name, u16, RandomState>);

impl Map for Papaya {
    fn new() -> Papaya {
        Papaya(papaya::HashMap::default())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.pin().get(name).copied().is_some()
    }

    fn put(&self, name: &[u8], host_type: u16) {
        self.0.pin().insert(name.into(), host_type);
    }

    fn remove(&self, name: &[u8]) {
        self.0.pin().remove(name);
    }
}

/// `scc`: each bucket has a lock.
pub struct Scc(scc::HashMap<Name, u16, RandomState>);

impl Map for Scc {
    fn new() -> Scc {
        Scc(scc::HashMap::default())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.read_sync(name, |_, host_type| *host_type).is_some()
    }

    fn put(&self, name: &[u8], host_type: u16) {
        self.0.upsert_sync(name.into(), host_type);
    }

    fn remove(&self, name: &[u8]) {
        self.0.remove_sync(name);
    }
}
