//! Changes of domains: additions, changes of statuses, deletions.
//!
//! Domains are added by one statement, which the database refuses as a whole if it refuses one row. Then each half of the
//! rows is tried, and so on, until a refused row is alone: the other rows are added, and this one has its reason.
//!
//! A change is announced to the table before it is sent, and put into the table when it is committed, unless the follower
//! has read something about the domain meanwhile: see [`Table::begin_own_changes`].

use std::collections::HashSet;
use std::time::Instant;

#[cfg(doc)]
use domain_core::Table;
use domain_core::{Change, DomainName, EventId, HostTypeId, OwnChanges, Visibility};
use domain_store::{
    Activation, DeleteOutcome, IdentityMatch, InsertOutcome, NewDomain, OldDomain, SetStatusOutcome, StoreError,
};

use crate::executor::Executor;
use crate::{OperationError, Response};

impl Executor {
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
        let committed = outcomes.iter().zip(changes).map(|(outcome, (domain, activation))| {
            let SetStatusOutcome::Changed(event, host_type) = outcome else { return None };
            let change = match activation {
                Activation::Enabled => Change::Put(domain.clone(), self.host_types().id(host_type.as_bytes())?),
                Activation::Disabled => Change::Remove(domain.clone()),
            };
            Some((*event, change))
        });
        show(&own, compared, committed, visible);
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
        let committed = outcomes.iter().zip(domains).map(|(outcome, (domain, _))| {
            let DeleteOutcome::Deleted(event) = outcome else { return None };
            Some((*event, Change::Remove(domain.clone())))
        });
        show(&own, compared, committed, visible);
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
        let committed = outcomes.iter().zip(pairs).map(|(outcome, (domain, host_type, activation))| {
            let Ok(InsertOutcome::Added(event)) = outcome else { return None };
            let change = match activation {
                Activation::Enabled => Change::Put(domain.clone(), *host_type),
                Activation::Disabled => Change::Remove(domain.clone()),
            };
            Some((*event, change))
        });
        show(&own, compared, committed, visible);
        Ok(Response::Inserted(outcomes))
    }
}

/// Puts the changes that were committed into the table, of all that were announced, in order, and adds the events of those
/// that are visible. A change in a database that may be another one than the follower's has to be found by the follower.
pub(crate) fn show(
    own: &OwnChanges<'_>,
    compared: IdentityMatch,
    committed: impl IntoIterator<Item = Option<(EventId, Change)>>,
    visible: &mut HashSet<EventId>,
) {
    if compared == IdentityMatch::Same {
        let numbered = committed.into_iter().enumerate();
        let committed: Vec<_> =
            numbered.filter_map(|(index, one)| one.map(|(event, change)| (index, event, change))).collect();
        let visibilities = committed.iter().zip(own.apply(&committed));
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
        InsertOutcome::Skipped => Err(StoreError::row_skipped("adding domains").into()),
        outcome => Ok(outcome),
    }
}
