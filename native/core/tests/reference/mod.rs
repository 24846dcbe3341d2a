//! The table in its most obvious form: a hash map behind a lock, and the static rules.
//!
//! Random histories (`tests/oracle.rs`) must have the same effects here and in the table. `benches/maps` compares the
//! speed of the table with that of the same map.

use domain_core::{
    Change, DomainCounts, DomainName, HostTypeId, InsertError, Inserted, IsStatic, Outcome, Refusal, Select, Source,
    StaticRoute,
};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::RwLock;

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Static,
    Dynamic(Source),
}

type Routes = HashMap<Box<[u8]>, (HostTypeId, Origin), RandomState>;

#[derive(Default)]
pub struct Reference {
    routes: RwLock<Routes>,
    allowed: RwLock<Vec<HostTypeId>>,
}

impl Reference {
    pub fn open(&self, pairs: &[StaticRoute], allowed: &[HostTypeId]) {
        let mut routes = self.routes.write();
        routes.clear();
        for (domain, host_type) in pairs {
            routes.entry(domain.as_bytes().into()).or_insert((*host_type, Origin::Static));
        }
        *self.allowed.write() = allowed.to_vec();
    }

    pub fn host_type(&self, name: &[u8]) -> Option<HostTypeId> {
        self.routes.read().get(name).map(|(host_type, _)| *host_type)
    }

    pub fn is_static(&self, name: &[u8]) -> bool {
        matches!(self.routes.read().get(name), Some((_, Origin::Static)))
    }

    fn refusal(&self, name: &[u8], host_type: HostTypeId) -> Option<Refusal> {
        if !self.allowed.read().contains(&host_type) {
            Some(Refusal::UnknownHostType)
        } else if self.is_static(name) {
            Some(Refusal::Static)
        } else {
            None
        }
    }

    pub fn insert(&self, domain: &DomainName, host_type: HostTypeId, source: Source) -> Result<Inserted, InsertError> {
        let name = domain.as_bytes();
        let inserted = match (self.refusal(name, host_type), self.host_type(name)) {
            (Some(Refusal::UnknownHostType), _) => Err(InsertError::UnknownHostType),
            (Some(Refusal::Static), _) => Err(InsertError::Static),
            (None, Some(other)) if other != host_type => Err(InsertError::OtherHostType(other)),
            (None, Some(_)) => Ok(Inserted::Kept),
            (None, None) => Ok(Inserted::Added),
        };
        if inserted.is_ok() {
            self.routes.write().insert(name.into(), (host_type, Origin::Dynamic(source)));
        }
        inserted
    }

    pub fn delete(&self, domain: &DomainName) -> Result<Option<HostTypeId>, IsStatic> {
        if self.is_static(domain.as_bytes()) {
            return Err(IsStatic);
        }
        Ok(self.routes.write().remove(domain.as_bytes()).map(|(host_type, _)| host_type))
    }

    pub fn apply(&self, source: Source, change: &Change) -> Outcome {
        match change {
            Change::Remove(domain) => match self.delete(domain) {
                Ok(removed) => removed.map_or(Outcome::Absent, Outcome::Removed),
                Err(IsStatic) => Outcome::Refused(Refusal::Static),
            },
            Change::Put(domain, host_type) => match self.refusal(domain.as_bytes(), *host_type) {
                Some(refusal) => Outcome::Refused(refusal),
                None => {
                    let route = (*host_type, Origin::Dynamic(source));
                    match self.routes.write().insert(domain.as_bytes().into(), route) {
                        None => Outcome::Added,
                        Some((before, _)) if before == *host_type => Outcome::Kept,
                        Some((before, _)) => Outcome::Moved(before),
                    }
                }
            },
        }
    }

    /// The selected domains and their host types, sorted.
    pub fn list(&self, select: Select) -> Vec<(Vec<u8>, HostTypeId)> {
        let matches = |host_type: HostTypeId, origin: Origin| match (select, origin) {
            (Select::All, _) | (Select::Static, Origin::Static) | (Select::Dynamic, Origin::Dynamic(_)) => true,
            (Select::HostType(wanted), _) => host_type == wanted,
            (Select::Outdated(present), Origin::Dynamic(source)) => source != present,
            (Select::Older(present), Origin::Dynamic(source)) => source < present,
            (Select::Since(present), Origin::Dynamic(source)) => source >= present,
            _ => false,
        };
        let routes = self.routes.read();
        let selected = routes.iter().filter(|&(_, &(host_type, origin))| matches(host_type, origin));
        let mut listed: Vec<_> = selected.map(|(name, &(host_type, _))| (name.to_vec(), host_type)).collect();
        listed.sort();
        listed
    }

    /// The numbers of domains of one host type, or of all.
    pub fn counts(&self, wanted: Option<HostTypeId>) -> DomainCounts {
        let mut counts = DomainCounts::default();
        for (host_type, origin) in self.routes.read().values() {
            if wanted.is_none_or(|wanted| wanted == *host_type) {
                match origin {
                    Origin::Static => counts.r#static += 1,
                    Origin::Dynamic(_) => counts.dynamic += 1,
                }
            }
        }
        counts
    }
}
