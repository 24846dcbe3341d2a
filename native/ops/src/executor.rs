//! Carries out requests: calls a writer of the pool.
//!
//! Domains are added by one statement, which the database refuses as a whole if it refuses one row. Then each half of the
//! rows is tried, and so on, until a refused row is alone: the other rows are added, and this one has its reason.
//!
//! A change is announced to the table before it is sent, and put into the table when it is committed, unless the follower
//! has read something about the domain meanwhile: see [`Table::begin_own_changes`].
//!
//! A change that conflicts with another transaction is run again, a limited number of times and within the caller's
//! time.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::{Change, ClaimKind, DomainName, EventId, HostTypeId, HostTypes, OwnChanges, Table, Visibility};
use domain_store::{
    Activation, BeginRemovalOutcome, DeleteOutcome, Found, IdentityMatch, InsertOutcome, Lease, NameOrigin, NewDomain,
    OldDomain, SetStatusOutcome, StoreError, Writer,
};

use crate::password::{self, PasswordError, Verdict};
use crate::pool::{self, Condition, Pool};
use crate::request::Secret;
use crate::{Completed, OperationError, Options, PasswordCheck, Request, Response};

/// The number of attempts of a change.
const MAX_ATTEMPTS: u32 = 10;
/// How often a stale connection is replaced. The URL may name several servers in random order.
const MAX_RECONNECTS: u32 = 2;
/// The pause after a conflict, which is multiplied by the number of conflicts and a random factor.
const PAUSE: Duration = Duration::from_millis(5);

/// Shared by all workers.
pub(crate) struct Executor {
    pool: Pool,
    table: Arc<Table>,
    options: Options,
}

impl Executor {
    pub(crate) fn new(pool: Pool, table: Arc<Table>, options: Options) -> Executor {
        Executor { pool, table, options }
    }

    /// Has the workers and the follower reconnect.
    pub(crate) fn reconnect(&self) {
        self.pool.reconnect();
    }

    /// Carries out a request.
    pub(crate) fn run(&self, request: &Request, until: Instant) -> Result<Completed, OperationError> {
        let mut visible = HashSet::new();
        let response = self.respond(request, until, &mut visible)?;
        Ok(Completed { response, visible })
    }

    fn respond(
        &self,
        request: &Request,
        until: Instant,
        visible: &mut HashSet<EventId>,
    ) -> Result<Response, OperationError> {
        if Instant::now() >= until {
            return Err(OperationError::Expired);
        }
        match request {
            Request::Insert(pairs) => self.insert(pairs, until, visible),
            Request::SetStatus(domain, wanted) => {
                let changes = [(domain.clone(), *wanted)];
                let outcomes = self.set_statuses(&changes, until, visible)?;
                status_set(outcomes.into_iter().next().unwrap_or(SetStatusOutcome::Skipped))
            }
            Request::Delete(domain, host_type) => {
                let outcomes = self.delete(&[(domain.clone(), *host_type)], until, visible)?;
                Ok(Response::Deleted(outcomes.into_iter().next().unwrap_or(DeleteOutcome::Kept)))
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
                self.write(until, |writer| writer.delete_password(domain, until).map(Response::PasswordDeleted))
            }
            Request::BeginRemoval(domain, id, handlers) => {
                let host_type = self.name(*id);
                let (lease, subdomains) = (self.lease(), self.subdomains(domain, &[*id]));
                let own = self.table.begin_own_changes(vec![domain.clone()]);
                let (outcome, compared) = self.write_compared(until, |writer| {
                    writer.begin_removal(domain, &host_type, *handlers, lease, &subdomains, until)
                })?;
                if let BeginRemovalOutcome::Claimed(event) | BeginRemovalOutcome::OwnedElsewhere(event) = &outcome {
                    show(&own, compared, &[(0, *event, Change::Remove(domain.clone()))], visible);
                }
                Ok(Response::RemovalBegun(outcome))
            }
            Request::RenewRemovals => {
                self.write(until, |writer| writer.renew_removals(self.lease(), until).map(Response::RemovalsRenewed))
            }
            Request::NoteRemoval(domain, handlers) => {
                let lease = self.lease();
                self.write(until, |writer| {
                    writer.note_removal(domain, *handlers, lease, until).map(Response::RemovalUpdated)
                })
            }
            Request::FailRemoval(domain, failure) => {
                let owner = &self.options.owner;
                self.write(until, |writer| {
                    writer.fail_removal(domain, owner, failure, until).map(Response::RemovalUpdated)
                })
            }
            Request::FinishRemoval(domain) => {
                let owner = &self.options.owner;
                let subdomains = self.subdomains(domain, &self.table.allowed_host_types());
                self.write(until, |writer| {
                    writer.finish_removal(domain, owner, &subdomains, until).map(Response::RemovalUpdated)
                })
            }
            Request::TakeOverRemovals(limit) => {
                let allowed = self.allowed();
                let lease = self.lease();
                self.write(until, |writer| {
                    writer.take_over_removals(lease, &allowed, *limit, until).map(Response::RemovalsTakenOver)
                })
            }
            Request::Removals(domain) => {
                self.write(until, |writer| writer.removals(domain.as_ref(), until).map(Response::Removals))
            }
            Request::UpsertFreshness(domain, ttl) => self.write(until, |writer| {
                writer.upsert_freshness(domain, *ttl, until).map(|()| Response::FreshnessDeclared)
            }),
            Request::Freshness => self.write(until, |writer| writer.freshness(until).map(Response::Freshness)),
            Request::Changes(after, limit) => {
                self.write(until, |writer| writer.changes(*after, *limit, until).map(Response::Changes))
            }
            Request::Findings => self.write(until, |writer| writer.findings(until).map(Response::Findings)),
            Request::Sequences => self.write(until, |writer| writer.sequences(until).map(Response::Sequences)),
            Request::Survey => self.write(until, |writer| writer.survey(until).map(Response::Survey)),
        }
    }

    /// Enables or disables domains: an outcome for each, in order. No domain may occur twice.
    pub(crate) fn set_statuses(
        &self,
        changes: &[(DomainName, Activation)],
        until: Instant,
        visible: &mut HashSet<EventId>,
    ) -> Result<Vec<SetStatusOutcome>, OperationError> {
        let allowed = self.allowed();
        let own = self.table.begin_own_changes(changes.iter().map(|(domain, _)| domain.clone()).collect());
        let wanted: Vec<_> = changes.iter().map(|(domain, wanted)| (domain, *wanted)).collect();
        let (outcomes, compared) =
            self.write_compared(until, |writer| writer.set_statuses(&wanted, &allowed, until))?;
        let committed: Vec<_> = outcomes
            .iter()
            .zip(changes)
            .enumerate()
            .filter_map(|(index, (outcome, (domain, activation)))| {
                let SetStatusOutcome::Changed(event, host_type) = outcome else { return None };
                let change = match activation {
                    Activation::Enabled => Change::Put(domain.clone(), self.host_types().id(host_type.as_bytes())?),
                    Activation::Disabled => Change::Remove(domain.clone()),
                };
                Some((index, *event, change))
            })
            .collect();
        show(&own, compared, &committed, visible);
        Ok(outcomes)
    }

    /// Deletes domains at once: an outcome for each, in order. No domain may occur twice.
    pub(crate) fn delete(
        &self,
        domains: &[(DomainName, HostTypeId)],
        until: Instant,
        visible: &mut HashSet<EventId>,
    ) -> Result<Vec<DeleteOutcome>, OperationError> {
        let own = self.table.begin_own_changes(domains.iter().map(|(domain, _)| domain.clone()).collect());
        let named = domains.iter().map(|(domain, id)| (domain, self.name(*id), self.subdomains(domain, &[*id])));
        let named: Vec<_> = named.collect();
        let old: Vec<_> =
            named.iter().map(|(domain, host_type, subdomains)| OldDomain { domain, host_type, subdomains }).collect();
        let (outcomes, compared) = self.write_compared(until, |writer| writer.delete(&old, until))?;
        let committed: Vec<_> = outcomes
            .iter()
            .zip(domains)
            .enumerate()
            .filter_map(|(index, (outcome, (domain, _)))| {
                let DeleteOutcome::Deleted(event) = outcome else { return None };
                Some((index, *event, Change::Remove(domain.clone())))
            })
            .collect();
        show(&own, compared, &committed, visible);
        Ok(outcomes)
    }

    pub(crate) fn insert(
        &self,
        pairs: &[(DomainName, HostTypeId, Activation)],
        until: Instant,
        visible: &mut HashSet<EventId>,
    ) -> Result<Response, OperationError> {
        let own = self.table.begin_own_changes(pairs.iter().map(|(domain, _, _)| domain.clone()).collect());
        let named =
            pairs.iter().map(|(domain, id, status)| (domain, self.name(*id), *status, self.subdomains(domain, &[*id])));
        let named: Vec<_> = named.collect();
        let new: Vec<_> = named
            .iter()
            .map(|(domain, host_type, status, subdomains)| NewDomain { domain, host_type, status: *status, subdomains })
            .collect();
        let mut outcomes = vec![None; new.len()];
        let mut compared = IdentityMatch::Same;
        let whole = 0..new.len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let middle = part.start + part.len() / 2;
            match self.write_compared(until, |writer| writer.insert(&new[part.clone()], until)) {
                Ok((inserted, now)) => {
                    compared = if now == IdentityMatch::Same { compared } else { now };
                    part.zip(inserted).for_each(|(index, inserted)| outcomes[index] = Some(check_skipped(inserted)))
                }
                // The database may refuse only one of these rows.
                Err(refused) if refused.refusal().is_some() && part.len() > 1 => {
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(failure) if failure.refusal().is_none() && part.len() == new.len() => return Err(failure),
                Err(failure) => part.for_each(|index| outcomes[index] = Some(Err(failure.clone()))),
            }
        }
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        let committed: Vec<_> = outcomes
            .iter()
            .zip(pairs)
            .enumerate()
            .filter_map(|(index, (outcome, (domain, host_type, activation)))| {
                let Ok(InsertOutcome::Added(event)) = outcome else { return None };
                let change = match activation {
                    Activation::Enabled => Change::Put(domain.clone(), *host_type),
                    Activation::Disabled => Change::Remove(domain.clone()),
                };
                Some((index, *event, change))
            })
            .collect();
        show(&own, compared, &committed, visible);
        Ok(Response::Inserted(outcomes))
    }

    fn put_password(
        &self,
        domain: &DomainName,
        Secret(secret): &Secret,
        until: Instant,
    ) -> Result<Response, OperationError> {
        let stored = match password::hash(secret, self.options.iterations) {
            Ok(stored) => stored,
            Err(PasswordError::Refused) => return Ok(Response::PasswordRefused),
            Err(PasswordError::NoRandom(error)) => return Err(OperationError::NoRandom(error.to_string())),
        };
        let origin = self.origin(domain);
        self.write(until, |writer| {
            Ok(match writer.put_password(domain, origin, &stored, until)? {
                Found::Yes => Response::PasswordStored,
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
        let origin = self.origin(domain);
        let mut stored = None;
        self.write(until, |writer| {
            stored = writer.password(domain, origin, until)?;
            Ok(Response::PasswordStored)
        })?;
        let Some(stored) = stored else {
            password::verify_nothing(secret, self.options.iterations);
            return Ok(Response::PasswordChecked(PasswordCheck::NotFound));
        };
        Ok(Response::PasswordChecked(match password::verify(secret, &stored) {
            Verdict::Right => PasswordCheck::Right,
            Verdict::Wrong => PasswordCheck::Wrong,
            Verdict::Corrupt(_) => PasswordCheck::Corrupt,
        }))
    }

    /// Calls a writer that is connected to the followed database. Calls it again after a conflict, and another one if it is
    /// stale.
    fn write<T>(
        &self,
        until: Instant,
        call: impl FnMut(&mut dyn Writer) -> Result<T, StoreError>,
    ) -> Result<T, OperationError> {
        self.write_compared(until, call).map(|(answer, _)| answer)
    }

    /// The same. Tells whether the follower is known to be connected to the database of the change.
    fn write_compared<T>(
        &self,
        until: Instant,
        mut call: impl FnMut(&mut dyn Writer) -> Result<T, StoreError>,
    ) -> Result<(T, IdentityMatch), OperationError> {
        let (mut reconnects, mut attempts) = (0, 0);
        let mut last_conflict = None;
        loop {
            // A later failure does not hide the conflict that caused the repetition.
            let contended = |failure| {
                last_conflict.clone().map_or(failure, |last| OperationError::Contended { tries: attempts, last })
            };
            if attempts == MAX_ATTEMPTS || Instant::now() >= until {
                return Err(contended(OperationError::Expired));
            }
            let (mut connection, identity) = self.pool.get(until).map_err(contended)?;
            match call(&mut *connection.writer) {
                // The follower may have connected to another database since.
                Ok(answer) => match self.pool.compare(identity.as_ref()) {
                    IdentityMatch::Different => {
                        self.pool.expire();
                        return Err(OperationError::FollowerMoved { database: pool::name(identity.as_ref()) });
                    }
                    compared => return Ok((answer, compared)),
                },
                // Another server of the URL may take changes, or another file has the name.
                Err(StoreError::StaleConnection { .. }) if reconnects < MAX_RECONNECTS => {
                    reconnects += 1;
                    connection.condition = Condition::Broken;
                    self.pool.expire();
                }
                Err(conflict @ StoreError::Conflict { .. }) => {
                    drop(connection);
                    attempts += 1;
                    last_conflict = Some(conflict);
                    thread::sleep(PAUSE.mul_f64(f64::from(attempts) * fastrand::f64()));
                }
                Err(error @ (StoreError::Refused { .. } | StoreError::RowRefused { .. })) => return Err(error.into()),
                Err(error) => {
                    connection.condition = Condition::Broken;
                    return Err(error.into());
                }
            }
        }
    }

    /// The names of a domain's subdomains on this node.
    fn subdomains(&self, domain: &DomainName, host_types: &[HostTypeId]) -> Vec<String> {
        let names = self.table.subdomain_names(domain, host_types);
        names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
    }

    /// Where a name comes from, according to this node's table.
    fn origin<'a>(&self, name: &'a DomainName) -> NameOrigin<'a> {
        if self.table.is_static(name.as_bytes()) {
            return NameOrigin::StaticDomain;
        }
        let claim = self.table.subdomain(name.as_bytes()).filter(|_| !self.table.has_domain(name.as_bytes()));
        match claim.map(|claim| claim.kind) {
            None => NameOrigin::Row,
            Some(ClaimKind::Fqdn) => NameOrigin::ConfiguredSubdomain,
            Some(ClaimKind::Prefix(bytes)) => {
                let parent = &name.as_str()[bytes..];
                if self.table.is_static(parent.as_bytes()) {
                    NameOrigin::ConfiguredSubdomain
                } else {
                    NameOrigin::SubdomainOf(parent)
                }
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

/// Puts changes that were committed into the table, and adds the events of those that are visible. A change in a database
/// that may be another one than the follower's has to be found by the follower.
fn show(
    own: &OwnChanges<'_>,
    compared: IdentityMatch,
    committed: &[(usize, EventId, Change)],
    visible: &mut HashSet<EventId>,
) {
    if compared == IdentityMatch::Same {
        let visibilities = committed.iter().zip(own.apply(committed));
        visible.extend(visibilities.filter(|(_, is)| *is == Visibility::Visible).map(|((_, event, _), _)| *event));
    }
}

/// The response to a change of a status. A row that the database skips without a reason counts as refused.
pub(crate) fn status_set(outcome: SetStatusOutcome) -> Result<Response, OperationError> {
    match outcome {
        SetStatusOutcome::Skipped => Err(StoreError::row_skipped("changing a domain's status").into()),
        outcome => Ok(Response::StatusSet(outcome)),
    }
}

/// A row that the database skips without a reason counts as refused.
fn check_skipped(inserted: InsertOutcome) -> Result<InsertOutcome, OperationError> {
    match inserted {
        InsertOutcome::Skipped => {
            let (doing, reason) = ("adding domains", StoreError::SKIPPED.to_owned());
            Err(StoreError::RowRefused { doing, reason }.into())
        }
        outcome => Ok(outcome),
    }
}
