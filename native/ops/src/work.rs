//! A request becomes calls of a writer.
//!
//! Domains are added together. Where the database refuses a row, it refuses the whole statement; so the rows are tried in
//! halves, until each row that it refuses is alone: the others are made, and that one has its own reason.
//!
//! A change that lost a race against another transaction is run again, a bounded number of times and
//! within the caller's time: whoever wins, one of them does.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{ClaimKind, DomainName, HostTypeId, HostTypes, Table};
use domain_store::{Activation, Basis, Found, InsertOutcome, Lease, NewDomain, Rules, StoreError, Which, Writer};

use crate::password::{self, PasswordError, Verdict};
use crate::pool::{self, Condition, Pool};
use crate::request::Secret;
use crate::{OperationError, Options, PasswordCheck, Request, Response};

/// How often a change is tried.
const TRIES: u32 = 10;
/// How often a connection to a database that takes no changes is made anew. The URL may name more than one server,
/// in random order.
const SEARCHES: u32 = 2;
/// The rest after a lost race, times the number of races and a random part.
const REST: Duration = Duration::from_millis(5);

/// What all workers share.
pub(crate) struct Work {
    pub(crate) pool: Pool,
    pub(crate) table: Arc<Table>,
    pub(crate) options: Options,
}

impl Work {
    /// Does what is asked.
    pub(crate) fn run(&self, request: &Request, until: Instant) -> Result<Response, OperationError> {
        if Instant::now() >= until {
            return Err(OperationError::Expired);
        }
        match request {
            Request::Insert(pairs) => self.insert(pairs, until),
            Request::SetStatus(domain, wanted) => {
                let allowed = self.allowed();
                let rules = Rules { allowed: &allowed };
                self.write(until, |writer| writer.set_status(domain, *wanted, rules, until).map(Response::StatusSet))
            }
            Request::Details(domain) => {
                self.write(until, |writer| writer.settings(domain, until).map(Response::Details))
            }
            Request::List(filter, limit) => {
                self.write(until, |writer| writer.list(filter, *limit, until).map(Response::Listed))
            }
            Request::PutPassword(domain, secret) => self.put_password(domain, secret, until),
            Request::CheckPassword(domain, secret) => self.check_password(domain, secret, until),
            Request::DeletePassword(domain) => {
                self.write(until, |writer| writer.delete_password(domain, until).map(Response::Deleted))
            }
            Request::BeginRemoval(domain, id, handlers) => {
                let host_type = self.name(*id);
                let (lease, subdomains) = (self.lease(), self.subdomains(domain, &[*id]));
                self.write(until, |writer| {
                    let begun = writer.begin_removal(domain, &host_type, *handlers, lease, &subdomains, until);
                    begun.map(Response::Begun)
                })
            }
            Request::RenewRemovals => {
                self.write(until, |writer| writer.renew_removals(self.lease(), until).map(Response::Renewed))
            }
            Request::NoteRemoval(domain, handlers) => {
                let lease = self.lease();
                self.write(until, |writer| writer.note_removal(domain, *handlers, lease, until).map(Response::Noted))
            }
            Request::FailRemoval(domain, failure) => {
                let owner = &self.options.owner;
                self.write(until, |writer| writer.fail_removal(domain, owner, failure, until).map(Response::Noted))
            }
            Request::FinishRemoval(domain) => {
                let owner = &self.options.owner;
                let subdomains = self.subdomains(domain, &self.table.allowed_host_types());
                self.write(until, |writer| {
                    writer.finish_removal(domain, owner, &subdomains, until).map(Response::Noted)
                })
            }
            Request::TakeOverRemovals(limit) => {
                let allowed = self.allowed();
                let (lease, rules) = (self.lease(), Rules { allowed: &allowed });
                self.write(until, |writer| {
                    writer.take_over_removals(lease, rules, *limit, until).map(Response::TakenOver)
                })
            }
            Request::Removals(domain) => {
                let which = domain.as_ref().map_or(Which::All, Which::One);
                self.write(until, |writer| writer.removals(which, until).map(Response::Removals))
            }
            Request::UpsertFreshness(domain, ttl) => {
                self.write(until, |writer| writer.upsert_freshness(domain, *ttl, until).map(|()| Response::Declared))
            }
            Request::Freshness => self.write(until, |writer| writer.freshness(until).map(Response::Freshness)),
            Request::Changes(after, limit) => {
                self.write(until, |writer| writer.changes(*after, *limit, until).map(Response::Changes))
            }
            Request::Findings => self.write(until, |writer| writer.findings(until).map(Response::Findings)),
            Request::Sequences => self.write(until, |writer| writer.sequences(until).map(Response::Sequences)),
            Request::Survey => self.write(until, |writer| writer.survey(until).map(Response::Survey)),
        }
    }

    fn insert(
        &self,
        pairs: &[(DomainName, HostTypeId, Activation)],
        until: Instant,
    ) -> Result<Response, OperationError> {
        let named =
            pairs.iter().map(|(domain, id, status)| (domain, self.name(*id), *status, self.subdomains(domain, &[*id])));
        let named: Vec<_> = named.collect();
        let pairs: Vec<_> = named
            .iter()
            .map(|(domain, host_type, status, subdomains)| NewDomain { domain, host_type, status: *status, subdomains })
            .collect();
        let mut outcomes = vec![None; pairs.len()];
        let whole = 0..pairs.len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let middle = part.start + part.len() / 2;
            match self.write(until, |writer| writer.insert(&pairs[part.clone()], until)) {
                Ok(inserted) => part.zip(inserted).for_each(|(index, inserted)| outcomes[index] = Some(made(inserted))),
                // One row may be why, and the database takes the others.
                Err(refused) if refused.refusal().is_some() && part.len() > 1 => {
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(failure) if failure.refusal().is_none() && part.len() == pairs.len() => return Err(failure),
                Err(failure) => part.for_each(|index| outcomes[index] = Some(Err(failure.clone()))),
            }
        }
        Ok(Response::Inserted(outcomes.into_iter().flatten().collect()))
    }

    fn put_password(
        &self,
        domain: &DomainName,
        Secret(secret): &Secret,
        until: Instant,
    ) -> Result<Response, OperationError> {
        let stored = match password::hash(secret, self.options.iterations) {
            Ok(stored) => stored,
            Err(PasswordError::Refused) => return Ok(Response::Refused),
            Err(PasswordError::NoRandom(error)) => return Err(OperationError::NoRandom(error.to_string())),
        };
        let basis = self.basis(domain);
        self.write(until, |writer| {
            Ok(match writer.put_password(domain, basis, &stored, until)? {
                Found::Yes => Response::Stored,
                Found::No => Response::NotServed,
            })
        })
    }

    fn check_password(
        &self,
        domain: &DomainName,
        Secret(secret): &Secret,
        until: Instant,
    ) -> Result<Response, OperationError> {
        let basis = self.basis(domain);
        let mut stored = None;
        self.write(until, |writer| {
            stored = writer.password(domain, basis, until)?;
            Ok(Response::Stored)
        })?;
        let Some(stored) = stored else {
            password::verify_nothing(secret, self.options.iterations);
            return Ok(Response::Checked(PasswordCheck::NotFound));
        };
        Ok(Response::Checked(match password::verify(secret, &stored) {
            Verdict::Right => PasswordCheck::Right,
            Verdict::Wrong => PasswordCheck::Wrong,
            Verdict::Corrupt(_) => PasswordCheck::Corrupt,
        }))
    }

    /// Uses a connection, again after each lost race, and with another connection when this one is of no use.
    fn write<T>(
        &self,
        until: Instant,
        mut call: impl FnMut(&mut dyn Writer) -> Result<T, StoreError>,
    ) -> Result<T, OperationError> {
        let (mut searches, mut tries) = (0, 0);
        let mut lost = None;
        loop {
            // What ends the tries does not hide why there was more than one.
            let crowded = |failure| lost.clone().map_or(failure, |last| OperationError::Contended { tries, last });
            if tries == TRIES || Instant::now() >= until {
                return Err(crowded(OperationError::Expired));
            }
            let (mut connection, identity) = self.pool.get(until).map_err(crowded)?;
            match call(&mut *connection.writer) {
                // The follower may have gone elsewhere since.
                Ok(answer) if self.pool.is_followed(identity.as_ref()) => return Ok(answer),
                Ok(_) => {
                    self.pool.expire();
                    return Err(OperationError::FollowerMoved { database: pool::name(identity.as_ref()) });
                }
                // Another server of the URL may take changes by now, or another file has the name.
                Err(StoreError::StaleConnection { .. }) if searches < SEARCHES => {
                    searches += 1;
                    connection.condition = Condition::Broken;
                    self.pool.expire();
                }
                Err(race @ StoreError::Conflict { .. }) => {
                    drop(connection);
                    tries += 1;
                    lost = Some(race);
                    thread::sleep(REST.mul_f64(f64::from(tries) * fastrand::f64()));
                }
                Err(error @ (StoreError::Refused { .. } | StoreError::RowRefused { .. })) => return Err(error.into()),
                Err(error) => {
                    connection.condition = Condition::Broken;
                    return Err(error.into());
                }
            }
        }
    }

    /// The names that this node gives the subdomains of a domain.
    fn subdomains(&self, domain: &DomainName, host_types: &[HostTypeId]) -> Vec<String> {
        let names = self.table.subdomain_names(domain, host_types);
        names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
    }

    /// What an admin's password of this name rests on, as this node's table has it.
    fn basis<'a>(&self, name: &'a DomainName) -> Basis<'a> {
        if self.table.is_static(name.as_bytes()) {
            return Basis::Static;
        }
        let claim = self.table.subdomain(name.as_bytes()).filter(|_| !self.table.has_domain(name.as_bytes()));
        match claim.map(|claim| claim.kind) {
            None => Basis::Row,
            Some(ClaimKind::Fqdn) => Basis::Subdomain,
            Some(ClaimKind::Prefix(bytes)) => {
                let parent = &name.as_str()[bytes..];
                if self.table.is_static(parent.as_bytes()) { Basis::Subdomain } else { Basis::Parent(parent) }
            }
        }
    }

    fn lease(&self) -> Lease<'_> {
        let milliseconds = i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX);
        Lease { owner: &self.options.owner, milliseconds }
    }

    fn host_types(&self) -> &HostTypes {
        self.table.host_types()
    }

    fn name(&self, id: HostTypeId) -> String {
        self.host_types().name(id).to_string()
    }

    fn allowed(&self) -> Vec<String> {
        self.table.allowed_host_types().into_iter().map(|id| self.name(id)).collect()
    }
}

/// A row that the database skips without a word is refused all the same.
fn made(inserted: InsertOutcome) -> Result<InsertOutcome, OperationError> {
    match inserted {
        InsertOutcome::Skipped => {
            let (doing, reason) = ("adding domains", StoreError::SKIPPED.to_owned());
            Err(StoreError::RowRefused { doing, reason }.into())
        }
        made => Ok(made),
    }
}
