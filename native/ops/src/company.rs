//! Requests that travel together: one change of all their domains, and the part of the result that each caller gets. The
//! queue puts only requests of one kind together.

use std::collections::HashSet;
use std::iter;

use domain_core::{DomainName, EventId, HostTypeId};
use domain_store::{Activation, DeleteOutcome, InsertOutcome, SetStatusOutcome};

use crate::changes::status_set;
use crate::{Completed, OperationError, Request, Response};

/// The result of a request.
pub(crate) type Outcome = Result<Completed, OperationError>;

/// Requests that are carried out together.
pub(crate) enum Company {
    /// A request alone.
    One(Request),
    /// Additions, each with the number of its domains.
    Additions(Vec<(DomainName, HostTypeId, Activation)>, Vec<usize>),
    /// Domains to enable or to disable, one of each request.
    Statuses(Vec<(DomainName, Activation)>),
    /// Domains to delete, one of each request.
    Deletions(Vec<(DomainName, HostTypeId)>),
}

impl Company {
    /// Joins requests, all of the first one's kind. Nothing if there are none.
    pub(crate) fn join(mut requests: Vec<Request>) -> Option<Company> {
        Some(match requests.first()? {
            Request::Insert(_) if requests.len() > 1 => {
                let domains = |request| match request {
                    Request::Insert(domains) => Some(domains),
                    _ => None,
                };
                let parts: Vec<_> = requests.into_iter().filter_map(domains).collect();
                let counts = parts.iter().map(Vec::len).collect();
                Company::Additions(parts.into_iter().flatten().collect(), counts)
            }
            Request::SetStatus(..) if requests.len() > 1 => {
                let change = |request| match request {
                    Request::SetStatus(domain, wanted) => Some((domain, wanted)),
                    _ => None,
                };
                Company::Statuses(requests.into_iter().filter_map(change).collect())
            }
            Request::Delete(..) if requests.len() > 1 => {
                let deletion = |request| match request {
                    Request::Delete(domain, host_type) => Some((domain, host_type)),
                    _ => None,
                };
                Company::Deletions(requests.into_iter().filter_map(deletion).collect())
            }
            _ => Company::One(requests.swap_remove(0)),
        })
    }

    /// The requests, in order.
    pub(crate) fn part(self) -> Vec<Request> {
        match self {
            Company::One(request) => vec![request],
            Company::Additions(domains, counts) => parts(domains, &counts).into_iter().map(Request::Insert).collect(),
            Company::Statuses(changes) => {
                changes.into_iter().map(|(domain, wanted)| Request::SetStatus(domain, wanted)).collect()
            }
            Company::Deletions(domains) => {
                domains.into_iter().map(|(domain, host_type)| Request::Delete(domain, host_type)).collect()
            }
        }
    }
}

/// The result of each addition, in order.
pub(crate) fn of_additions(outcome: Outcome, counts: &[usize]) -> Vec<Outcome> {
    match outcome {
        Ok(Completed { response: Response::Inserted(outcomes), visible }) => {
            parts(outcomes, counts).into_iter().map(|outcomes| own(outcomes, &visible)).collect()
        }
        other => vec![other; counts.len()],
    }
}

/// The result of each change of a status, in order.
pub(crate) fn of_statuses(outcomes: Vec<SetStatusOutcome>, visible: &HashSet<EventId>) -> Vec<Outcome> {
    let event = |outcome: &SetStatusOutcome| match outcome {
        SetStatusOutcome::Changed(event, _) => Some(*event),
        _ => None,
    };
    of_one_each(outcomes, visible, event, status_set)
}

/// The result of each deletion, in order.
pub(crate) fn of_deletions(outcomes: Vec<DeleteOutcome>, visible: &HashSet<EventId>) -> Vec<Outcome> {
    let event = |outcome: &DeleteOutcome| match outcome {
        DeleteOutcome::Deleted(event) => Some(*event),
        _ => None,
    };
    of_one_each(outcomes, visible, event, |outcome| Ok(Response::Deleted(outcome)))
}

/// The results of requests about one domain each.
fn of_one_each<T>(
    outcomes: Vec<T>,
    visible: &HashSet<EventId>,
    event: impl Fn(&T) -> Option<EventId>,
    response: impl Fn(T) -> Result<Response, OperationError>,
) -> Vec<Outcome> {
    let own = |outcome| {
        let visible = event(&outcome).filter(|event| visible.contains(event)).into_iter().collect();
        Ok(Completed { response: response(outcome)?, visible })
    };
    outcomes.into_iter().map(own).collect()
}

/// A caller's part. A failure that is about no row fails the request, as it does without company.
fn own(outcomes: Vec<Result<InsertOutcome, OperationError>>, visible: &HashSet<EventId>) -> Outcome {
    let failed =
        |outcome: &Result<_, OperationError>| outcome.as_ref().is_err_and(|failure| failure.refusal().is_none());
    match &outcomes[..] {
        [Err(failure), ..] if outcomes.iter().all(failed) => Err(failure.clone()),
        _ => {
            let events = outcomes.iter().filter_map(|outcome| match outcome {
                Ok(InsertOutcome::Added(event)) => visible.get(event).copied(),
                _ => None,
            });
            Ok(Completed { visible: events.collect(), response: Response::Inserted(outcomes) })
        }
    }
}

/// Parts of these lengths.
fn parts<T>(all: Vec<T>, counts: &[usize]) -> Vec<Vec<T>> {
    let mut all = all.into_iter();
    counts.iter().map(|&count| all.by_ref().take(count).collect()).collect()
}

/// The same failure for each of several callers.
pub(crate) fn of_all(failure: &OperationError, callers: usize) -> Vec<Outcome> {
    iter::repeat_n(Err(failure.clone()), callers).collect()
}
