//! What each request does.

use std::collections::HashSet;
use std::time::Instant;

use domain_core::{Change, ClaimKind, DomainName, EventId};
use domain_store::{BeginRemovalOutcome, DeleteOutcome, Found, NameOrigin, SetStatusOutcome};

use crate::changes::{show, status_set};
use crate::executor::Executor;
use crate::password::{self, PasswordError, Verdict};
use crate::request::Secret;
use crate::{Completed, OperationError, PasswordCheck, Request, Response};

impl Executor {
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
                    show(&own, compared, [Some((*event, Change::Remove(domain.clone())))], visible);
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
}
