//! The workers' responses, as terms.

use domain_core::EventId;
use domain_ops::{Completed, FailureKind, OperationError, PasswordCheck, Response};
use domain_store::{
    BeginRemovalOutcome, ChangedDomain, DeleteOutcome, DomainSettings, Expiry, Finding, Found, FreshnessDeclaration,
    InsertOutcome, JobOutcome, LeaseState, ListedDomain, Readable, RemovalJob, RemovalJobs, RemovalStatus, Sequence,
    SetStatusOutcome, Severity, Status, StoreError, Survey, UnreadableRows, VoidJob,
};
use rustler::{Atom, Encoder, Env, Term};

use crate::terms::{atoms, binary};

/// `{ok, Response}`, or what [`error_term`] returns.
pub(super) fn result_term<'a>(env: Env<'a>, result: &Result<Completed, OperationError>) -> Term<'a> {
    match result {
        Ok(completed) => (atoms::ok(), response_term(env, completed)).encode(env),
        Err(error) => error_term(env, error),
    }
}

/// `{refused, Reason}` if the database refuses the row, or else `{failed, FailureKind, Text}`.
fn error_term<'a>(env: Env<'a>, error: &OperationError) -> Term<'a> {
    if let Some(reason) = error.refusal() {
        return (atoms::refused(), binary(env, reason.as_bytes())).encode(env);
    }
    let kind = match error.kind() {
        FailureKind::NotMade => atoms::none(),
        FailureKind::Unknown => atoms::unknown(),
        FailureKind::Timeout => atoms::timeout(),
        FailureKind::Expired => atoms::expired(),
        FailureKind::Abandoned => atoms::abandoned(),
    };
    (atoms::failed(), kind, binary(env, error.to_string().as_bytes())).encode(env)
}

fn response_term<'a>(env: Env<'a>, Completed { response, visible }: &Completed) -> Term<'a> {
    let word = |atom: Atom| atom.encode(env);
    // The id of the event, for which a caller waits, or `visible`.
    let event = |id: &EventId| if visible.contains(id) { word(atoms::visible()) } else { id.0.encode(env) };
    match response {
        Response::Inserted(outcomes) => outcomes
            .iter()
            .map(|outcome| match outcome {
                Ok(InsertOutcome::Added(id)) => (atoms::added(), event(id)).encode(env),
                Ok(InsertOutcome::Exists(settings)) => settings_term(env, settings),
                Ok(InsertOutcome::Skipped) => {
                    (atoms::refused(), binary(env, StoreError::SKIPPED.as_bytes())).encode(env)
                }
                Err(error) => error_term(env, error),
            })
            .collect::<Vec<_>>()
            .encode(env),
        Response::StatusSet(SetStatusOutcome::Changed(id, _)) => (atoms::changed(), event(id)).encode(env),
        Response::StatusSet(SetStatusOutcome::Unchanged) => word(atoms::kept()),
        Response::StatusSet(SetStatusOutcome::NotFound)
        | Response::Deleted(DeleteOutcome::NotFound)
        | Response::RemovalBegun(BeginRemovalOutcome::NotFound)
        | Response::PasswordChecked(PasswordCheck::NotFound)
        | Response::PasswordDeleted(Found::No)
        | Response::NotServed => word(atoms::not_found()),
        Response::StatusSet(SetStatusOutcome::UnknownHostType) => word(atoms::unknown_host_type()),
        Response::StatusSet(SetStatusOutcome::Deleting) => word(atoms::deleted()),
        Response::StatusSet(SetStatusOutcome::Skipped) => {
            (atoms::refused(), binary(env, StoreError::SKIPPED.as_bytes())).encode(env)
        }
        Response::Deleted(DeleteOutcome::Deleted(id)) => (atoms::removed(), event(id)).encode(env),
        Response::Deleted(DeleteOutcome::Kept) => word(atoms::kept()),
        Response::Details(row) => row_term(env, row.as_ref()),
        Response::Listed(rows) => readable_term(env, rows, listed_term),
        Response::PasswordStored | Response::PasswordDeleted(Found::Yes) | Response::FreshnessDeclared => {
            word(atoms::ok())
        }
        Response::PasswordRefused => word(atoms::invalid_password()),
        Response::PasswordChecked(PasswordCheck::Right) => word(atoms::right()),
        Response::PasswordChecked(PasswordCheck::Wrong) => word(atoms::wrong()),
        Response::PasswordChecked(PasswordCheck::Corrupt) => word(atoms::corrupt()),
        Response::RemovalBegun(BeginRemovalOutcome::Claimed(id)) => (atoms::claimed(), event(id)).encode(env),
        Response::RemovalBegun(BeginRemovalOutcome::OwnedElsewhere(id)) => (atoms::elsewhere(), event(id)).encode(env),
        Response::Deleted(DeleteOutcome::WrongHostType)
        | Response::RemovalBegun(BeginRemovalOutcome::WrongHostType) => word(atoms::wrong_host_type()),
        Response::RemovalsRenewed(jobs) | Response::RemovalsTakenOver(jobs) => {
            (atoms::readable(), jobs_term(env, jobs), unreadable_term(env, &jobs.left_out)).encode(env)
        }
        Response::RemovalUpdated(JobOutcome::Updated) => word(atoms::held()),
        Response::RemovalUpdated(JobOutcome::NotOwned) => word(atoms::lost()),
        Response::RemovalUpdated(JobOutcome::Void(row)) => (atoms::ended(), row_term(env, row.as_ref())).encode(env),
        Response::Removals(removals) => readable_term(env, removals, removal_term),
        Response::Freshness(declared) => readable_term(env, declared, freshness_term),
        Response::Changes(changes) => readable_term(env, changes, changed_term),
        Response::Findings(findings) => {
            findings.iter().map(|finding| finding_term(env, finding)).collect::<Vec<_>>().encode(env)
        }
        Response::Sequences(sequences) => {
            sequences.iter().map(|sequence| sequence_term(env, sequence)).collect::<Vec<_>>().encode(env)
        }
        Response::Survey(Survey { time, host_types, left_out }) => {
            let counted = host_types.iter().map(|(name, count)| (binary(env, name.as_bytes()), *count).encode(env));
            (*time, counted.collect::<Vec<Term>>(), unreadable_term(env, left_out)).encode(env)
        }
    }
}

/// `{readable, Rows, {Count, Examples}}`: the rows that can be read, the number of those that cannot, and the first of
/// these.
fn readable_term<'a, T>(env: Env<'a>, readable: &Readable<T>, term: fn(Env<'a>, &T) -> Term<'a>) -> Term<'a> {
    let rows: Vec<Term> = readable.rows.iter().map(|row| term(env, row)).collect();
    (atoms::readable(), rows, unreadable_term(env, &readable.left_out)).encode(env)
}

fn unreadable_term<'a>(env: Env<'a>, UnreadableRows { count, examples }: &UnreadableRows) -> Term<'a> {
    let examples = examples.iter().map(|row| binary(env, row.to_string().as_bytes()));
    (*count, examples.collect::<Vec<Term>>()).encode(env)
}

/// `{failed | warning, Found, Advice}`.
fn finding_term<'a>(env: Env<'a>, Finding { severity, found, advice }: &Finding) -> Term<'a> {
    let severity = match severity {
        Severity::Failed => atoms::failed(),
        Severity::Warning => atoms::warning(),
    };
    (severity, binary(env, found.as_bytes()), binary(env, advice.as_bytes())).encode(env)
}

/// `{Sequence, in_order | {behind, Next, Newest, Remedy}}`.
fn sequence_term<'a>(env: Env<'a>, sequence: &Sequence) -> Term<'a> {
    let state = match (sequence.next, sequence.newest) {
        (Some(next), Some(newest)) if sequence.is_behind() => {
            (atoms::behind(), next, newest, binary(env, sequence.remedy().as_bytes())).encode(env)
        }
        _ => atoms::in_order().encode(env),
    };
    (binary(env, sequence.name.as_bytes()), state).encode(env)
}

/// `{Domain, HostType, Handlers}`.
fn job_term<'a>(env: Env<'a>, RemovalJob { domain, host_type, handlers }: &RemovalJob) -> Term<'a> {
    (binary(env, domain.as_bytes()), binary(env, host_type.as_bytes()), *handlers).encode(env)
}

/// `{Jobs, [{VoidJob, Row}]}`.
fn jobs_term<'a>(env: Env<'a>, RemovalJobs { held, void, .. }: &RemovalJobs) -> Term<'a> {
    let held = held.iter().map(|job| job_term(env, job));
    let void = void.iter().map(|VoidJob { job, row }| (job_term(env, job), row_term(env, row.as_ref())));
    (held.collect::<Vec<_>>(), void.collect::<Vec<_>>()).encode(env)
}

/// `{HostType, Status} | not_found`.
fn row_term<'a>(env: Env<'a>, row: Option<&DomainSettings>) -> Term<'a> {
    row.map_or_else(|| atoms::not_found().encode(env), |settings| settings_term(env, settings))
}

/// `{HostType, Status}`.
fn settings_term<'a>(env: Env<'a>, settings: &DomainSettings) -> Term<'a> {
    (binary(env, settings.host_type.as_bytes()), status_term(env, settings.status)).encode(env)
}

fn status_term(env: Env, status: Status) -> Term {
    match status {
        Status::Disabled => atoms::disabled().encode(env),
        Status::Enabled => atoms::enabled().encode(env),
        Status::Deleting => atoms::deleting().encode(env),
        Status::Unknown(number) => (atoms::unknown(), number).encode(env),
    }
}

/// `{Domain, HostType, Status}`.
fn listed_term<'a>(env: Env<'a>, ListedDomain { domain, settings }: &ListedDomain) -> Term<'a> {
    let host_type = binary(env, settings.host_type.as_bytes());
    (binary(env, domain.as_bytes()), host_type, status_term(env, settings.status)).encode(env)
}

/// `{Id, Domain, {HostType, Status} | undefined}`.
fn changed_term<'a>(env: Env<'a>, ChangedDomain { id, domain, settings }: &ChangedDomain) -> Term<'a> {
    let settings = match settings {
        Some(settings) => settings_term(env, settings),
        None => atoms::undefined().encode(env),
    };
    (id.0, binary(env, domain.as_bytes()), settings).encode(env)
}

/// `{Domain, HostType, running | orphaned | {failed, Text}, Owner | undefined, Done, Of}`.
fn removal_term<'a>(env: Env<'a>, removal: &RemovalStatus) -> Term<'a> {
    let optional = |text: &Option<String>| match text {
        Some(text) => binary(env, text.as_bytes()),
        None => atoms::undefined().encode(env),
    };
    let state = match (&removal.owner, removal.lease) {
        (None, _) => (atoms::failed(), optional(&removal.failure)).encode(env),
        (Some(_), LeaseState::Running) => atoms::running().encode(env),
        (Some(_), LeaseState::Ended) => atoms::orphaned().encode(env),
    };
    let (domain, host_type) = (binary(env, removal.domain.as_bytes()), binary(env, removal.host_type.as_bytes()));
    (domain, host_type, state, optional(&removal.owner), removal.handlers.done, removal.handlers.of).encode(env)
}

/// `{Domain, ExpireTime, infinity | {in, Seconds} | past}`.
fn freshness_term<'a>(
    env: Env<'a>,
    FreshnessDeclaration { domain, expire_time, expiry }: &FreshnessDeclaration,
) -> Term<'a> {
    let expiry = match expiry {
        Expiry::Never => atoms::infinity().encode(env),
        Expiry::In(seconds) => (atoms::r#in(), *seconds).encode(env),
        Expiry::Past => atoms::past().encode(env),
    };
    (binary(env, domain.as_bytes()), *expire_time, expiry).encode(env)
}
