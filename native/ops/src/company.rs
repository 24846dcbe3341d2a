//! Requests that travel together: one request of all of them, and the part of the result that each caller gets.

use domain_store::InsertOutcome;

use crate::{OperationError, Request, Response};

/// The result of a request.
pub(crate) type Outcome = Result<Response, OperationError>;

/// The number of domains of each request.
pub(crate) fn counts(requests: &[Request]) -> Vec<usize> {
    requests.iter().map(|request| request.domains().count()).collect()
}

/// One request of several. A single one stays as it is.
pub(crate) fn join(requests: Vec<Request>) -> Option<Request> {
    requests.into_iter().reduce(|all, one| match (all, one) {
        (Request::Insert(mut all), Request::Insert(one)) => {
            all.extend(one);
            Request::Insert(all)
        }
        (first, _) => first,
    })
}

/// The requests that were joined.
pub(crate) fn part(all: Request, counts: &[usize]) -> Vec<Request> {
    match all {
        Request::Insert(domains) => {
            let mut domains = domains.into_iter();
            counts.iter().map(|&count| Request::Insert(domains.by_ref().take(count).collect())).collect()
        }
        other => vec![other],
    }
}

/// The result of each request, in order.
pub(crate) fn split(outcome: Outcome, counts: &[usize]) -> Vec<Outcome> {
    match outcome {
        Ok(Response::Inserted(outcomes)) if counts.len() > 1 => {
            let mut outcomes = outcomes.into_iter();
            counts.iter().map(|&count| own(outcomes.by_ref().take(count).collect())).collect()
        }
        other => vec![other; counts.len()],
    }
}

/// A caller's part. A failure that is about no row fails the request, as it does without company.
fn own(outcomes: Vec<Result<InsertOutcome, OperationError>>) -> Outcome {
    let failed =
        |outcome: &Result<_, OperationError>| outcome.as_ref().is_err_and(|failure| failure.refusal().is_none());
    match &outcomes[..] {
        [Err(failure), ..] if outcomes.iter().all(failed) => Err(failure.clone()),
        _ => Ok(Response::Inserted(outcomes)),
    }
}
