//! The workers that change domains, seen from the process that owns them.
//!
//! The owner gets one message per request: `{domain_operation, Ticket, {ok, Response}}` or
//! `{domain_operation, Ticket, {failed, FailureKind, Text}}`, where the text is for the log alone, or
//! `{domain_operation, Ticket, {refused, Reason}}`, where the reason is for whoever asked.

use std::num::NonZeroU32;
use std::time::Duration;

use domain_core::{DomainName, EventId, HostTypeId, HostTypes};
use domain_ops::{
    FailureKind, Iterations, OperationError, Options, PasswordCheck, Request as Order, Response, Secret, Workers,
};
use domain_store::{
    Activation, BeginRemovalOutcome, ChangedDomain, Database, DomainSettings, Expiry, Filter, Finding, Found,
    FreshnessDeclaration, HandlerProgress, InsertOutcome, JobOutcome, LeaseState, ListedDomain, Readable, RemovalJob,
    RemovalJobs, RemovalStatus, Sequence, SetStatusOutcome, Severity, Status, StoreError, Survey, Timeouts, Ttl,
    UnreadableRows, VoidJob,
};
use rustler::{
    Atom, Binary, Encoder, Env, Error, LocalPid, Monitor, NifMap, NifResult, NifTaggedEnum, NifUnitEnum, OwnedEnv,
    Resource, ResourceArc, Term,
};

use crate::domains::host_type_of;
use crate::source::Source;
use crate::terms::{Maybe, atoms, binary, error_term};
use crate::{followed, follower_priority, table};

/// Ends the workers when the process that started them dies.
struct Handle(Workers);

#[rustler::resource_impl]
impl Resource for Handle {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// Times in milliseconds.
#[derive(NifMap)]
struct Settled<'a> {
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
    pool_size: u32,
    queue_limit: usize,
    password_iterations: u32,
    removal_lease: u64,
    owner: Binary<'a>,
}

/// Starts workers for the calling process. Reads the URL and the files that it names, hence the dirty
/// scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn operations_start<'a>(env: Env<'a>, source: Source, options: Settled) -> Term<'a> {
    match start(env, &source, &options) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => error_term(env, error),
    }
}

fn start(env: Env, source: &Source, settled: &Settled) -> Result<ResourceArc<Handle>, String> {
    let timeouts = Timeouts {
        connect: Duration::from_millis(settled.connect_timeout),
        statement: Duration::from_millis(settled.statement_timeout),
        lock: Duration::from_millis(settled.lock_timeout),
    };
    let database =
        Database::new(source.of()?, timeouts).map_err(|error| error.to_string())?.with_priority(follower_priority());
    let options = Options {
        workers: settled.pool_size,
        queue: settled.queue_limit,
        iterations: Iterations::new(settled.password_iterations).ok_or("password_iterations is at most 10000000")?,
        owner: text(&settled.owner).ok_or("the owner's name is not UTF-8")?.to_owned(),
        lease: Duration::from_millis(settled.removal_lease),
    };
    let workers = Workers::start(table().clone(), database, followed(), options)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let handle = ResourceArc::new(Handle(workers));
    if handle.monitor(Some(env), &env.pid()).is_none() {
        handle.0.stop();
    }
    Ok(handle)
}

#[derive(Clone, Copy, NifUnitEnum)]
enum Wanted {
    Enabled,
    Disabled,
}

impl From<Wanted> for Activation {
    fn from(wanted: Wanted) -> Activation {
        match wanted {
            Wanted::Enabled => Activation::Enabled,
            Wanted::Disabled => Activation::Disabled,
        }
    }
}

#[derive(NifMap)]
#[rustler(decode)]
struct Choice<'a> {
    after: Maybe<Binary<'a>>,
    host_type: Maybe<Binary<'a>>,
    status: Maybe<i16>,
    prefix: Maybe<Binary<'a>>,
}

#[derive(NifTaggedEnum)]
#[rustler(decode)]
enum Request<'a> {
    Insert(Vec<(Binary<'a>, Binary<'a>, Wanted)>),
    SetStatus(Binary<'a>, Wanted),
    Details(Binary<'a>),
    List(Choice<'a>, u32),
    PutPassword(Binary<'a>, Binary<'a>),
    CheckPassword(Binary<'a>, Binary<'a>),
    DeletePassword(Binary<'a>),
    BeginRemoval(Binary<'a>, Binary<'a>, u32),
    RenewRemovals,
    NoteRemoval(Binary<'a>, u32, u32),
    FailRemoval(Binary<'a>, Binary<'a>),
    FinishRemoval(Binary<'a>),
    TakeOverRemovals(u32),
    Removals,
    Removal(Binary<'a>),
    UpsertFreshness(Binary<'a>, u32),
    Freshness,
    Changes(Maybe<i64>, u32),
    Findings,
    Survey,
    Sequences,
}

/// The answer comes to the calling process, within `limit` milliseconds. Where `asker` is dead by the time that a worker
/// has time for the request, it is not done.
#[rustler::nif]
fn operation(
    env: Env,
    handle: ResourceArc<Handle>,
    ticket: u64,
    limit: u64,
    asker: LocalPid,
    request: Request,
) -> NifResult<Atom> {
    let owner = env.pid();
    let awaited = move || OwnedEnv::new().run(|env| asker.is_alive(env));
    let reply = move |result: Result<Response, OperationError>| {
        // An owner that is gone needs no answer.
        let _ = OwnedEnv::new()
            .send_and_clear(&owner, |env| (atoms::domain_operation(), ticket, result_term(env, result)).encode(env));
    };
    let limit = Duration::from_millis(limit);
    Ok(match handle.0.submit(order(request)?, limit, Box::new(awaited), Box::new(reply)) {
        Ok(()) => atoms::ok(),
        Err(_full) => atoms::overloaded(),
    })
}

#[rustler::nif]
fn operations_stop(handle: ResourceArc<Handle>) -> Atom {
    handle.0.stop();
    atoms::ok()
}

/// The workers' connections, and the follower's, are made anew.
#[rustler::nif]
fn operations_reconnect(handle: ResourceArc<Handle>) -> Atom {
    handle.0.reconnect();
    atoms::ok()
}

fn order(request: Request) -> NifResult<Order> {
    Ok(match request {
        Request::Insert(pairs) => {
            let pair = |(domain, name, wanted): &(Binary, Binary, Wanted)| {
                Ok((proven(domain)?, host_type(name)?, Activation::from(*wanted)))
            };
            Order::Insert(pairs.iter().map(pair).collect::<NifResult<_>>()?)
        }
        Request::SetStatus(domain, wanted) => Order::SetStatus(proven(&domain)?, wanted.into()),
        Request::Details(domain) => Order::Details(proven(&domain)?),
        Request::List(choice, limit) => {
            let owned = |Maybe(text): Maybe<Binary>| text.map(|text| string(&text)).transpose();
            let (after, host_type) = (owned(choice.after)?, owned(choice.host_type)?);
            Order::List(Filter { after, host_type, status: choice.status.0, prefix: owned(choice.prefix)? }, limit)
        }
        Request::PutPassword(domain, password) => Order::PutPassword(proven(&domain)?, Secret(string(&password)?)),
        Request::CheckPassword(domain, password) => Order::CheckPassword(proven(&domain)?, Secret(string(&password)?)),
        Request::DeletePassword(domain) => Order::DeletePassword(proven(&domain)?),
        Request::BeginRemoval(domain, name, of) => Order::BeginRemoval(proven(&domain)?, host_type(&name)?, of),
        Request::RenewRemovals => Order::RenewRemovals,
        Request::NoteRemoval(domain, done, of) => Order::NoteRemoval(proven(&domain)?, HandlerProgress { done, of }),
        Request::FailRemoval(domain, failure) => Order::FailRemoval(proven(&domain)?, string(&failure)?),
        Request::FinishRemoval(domain) => Order::FinishRemoval(proven(&domain)?),
        Request::TakeOverRemovals(limit) => Order::TakeOverRemovals(limit),
        Request::Removals => Order::Removals(None),
        Request::Removal(domain) => Order::Removals(Some(proven(&domain)?)),
        Request::UpsertFreshness(domain, seconds) => {
            let domain = HostTypes::check(&domain).map_err(|_| Error::BadArg)?;
            Order::UpsertFreshness(domain.to_owned(), NonZeroU32::new(seconds).map_or(Ttl::Forever, Ttl::Seconds))
        }
        Request::Freshness => Order::Freshness,
        Request::Changes(after, limit) => Order::Changes(after.0.map(EventId), limit),
        Request::Findings => Order::Findings,
        Request::Survey => Order::Survey,
        Request::Sequences => Order::Sequences,
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn string(bytes: &[u8]) -> NifResult<String> {
    text(bytes).map(str::to_owned).ok_or(Error::BadArg)
}

fn proven(domain: &[u8]) -> NifResult<DomainName> {
    DomainName::from_bytes(domain).map_err(|_| Error::BadArg)
}

fn host_type(name: &[u8]) -> NifResult<HostTypeId> {
    host_type_of(name).ok_or(Error::BadArg)
}

fn result_term<'a>(env: Env<'a>, result: Result<Response, OperationError>) -> Term<'a> {
    match result {
        Ok(answer) => (atoms::ok(), answer_term(env, &answer)).encode(env),
        Err(failure) => failure_term(env, &failure),
    }
}

/// `{refused, Reason}` where the database refuses the row, or `{failed, FailureKind, Text}`.
fn failure_term<'a>(env: Env<'a>, failure: &OperationError) -> Term<'a> {
    if let Some(reason) = failure.refusal() {
        return (atoms::refused(), binary(env, reason.as_bytes())).encode(env);
    }
    let kind = match failure.kind() {
        FailureKind::NotMade => atoms::none(),
        FailureKind::Unknown => atoms::broken(),
        FailureKind::Timeout => atoms::timeout(),
        FailureKind::Expired => atoms::too_late(),
        FailureKind::Abandoned => atoms::forgotten(),
    };
    (atoms::failed(), kind, binary(env, failure.to_string().as_bytes())).encode(env)
}

fn answer_term<'a>(env: Env<'a>, answer: &Response) -> Term<'a> {
    let word = |atom: Atom| atom.encode(env);
    match answer {
        Response::Inserted(outcomes) => outcomes
            .iter()
            .map(|outcome| match outcome {
                Ok(InsertOutcome::Added(EventId(event))) => (atoms::added(), *event).encode(env),
                Ok(InsertOutcome::Exists(settings)) => settings_term(env, settings),
                Ok(InsertOutcome::Skipped) => {
                    (atoms::refused(), binary(env, StoreError::SKIPPED.as_bytes())).encode(env)
                }
                Err(failure) => failure_term(env, failure),
            })
            .collect::<Vec<_>>()
            .encode(env),
        Response::StatusSet(SetStatusOutcome::Changed(EventId(event))) => (atoms::changed(), *event).encode(env),
        Response::StatusSet(SetStatusOutcome::Unchanged) => word(atoms::kept()),
        Response::StatusSet(SetStatusOutcome::NotFound)
        | Response::Begun(BeginRemovalOutcome::NotFound)
        | Response::Checked(PasswordCheck::NotFound)
        | Response::Deleted(Found::No)
        | Response::NotServed => word(atoms::not_found()),
        Response::StatusSet(SetStatusOutcome::UnknownHostType) => word(atoms::unknown_host_type()),
        Response::StatusSet(SetStatusOutcome::Deleting) => word(atoms::deleted()),
        Response::Details(row) => row_term(env, row.as_ref()),
        Response::Listed(rows) => readable_term(env, rows, listed_term),
        Response::Stored | Response::Deleted(Found::Yes) | Response::Declared => word(atoms::ok()),
        Response::Refused => word(atoms::invalid_password()),
        Response::Checked(PasswordCheck::Right) => word(atoms::right()),
        Response::Checked(PasswordCheck::Wrong) => word(atoms::wrong()),
        Response::Checked(PasswordCheck::Corrupt) => word(atoms::corrupt()),
        Response::Begun(BeginRemovalOutcome::Claimed(EventId(event))) => (atoms::claimed(), *event).encode(env),
        Response::Begun(BeginRemovalOutcome::OwnedElsewhere(EventId(event))) => {
            (atoms::elsewhere(), *event).encode(env)
        }
        Response::Begun(BeginRemovalOutcome::WrongHostType) => word(atoms::wrong_host_type()),
        Response::Renewed(jobs) | Response::TakenOver(jobs) => {
            (atoms::readable(), jobs_term(env, jobs), left_out_term(env, &jobs.left_out)).encode(env)
        }
        Response::Noted(JobOutcome::Updated) => word(atoms::held()),
        Response::Noted(JobOutcome::NotOwned) => word(atoms::lost()),
        Response::Noted(JobOutcome::Void(row)) => (atoms::ended(), row_term(env, row.as_ref())).encode(env),
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
            (*time, counted.collect::<Vec<Term>>(), left_out_term(env, left_out)).encode(env)
        }
    }
}

/// `{readable, Rows, {Count, Examples}}`: the rows that could be read, how many could not, and the first of those.
fn readable_term<'a, T>(env: Env<'a>, readable: &Readable<T>, term: fn(Env<'a>, &T) -> Term<'a>) -> Term<'a> {
    let rows: Vec<Term> = readable.rows.iter().map(|row| term(env, row)).collect();
    (atoms::readable(), rows, left_out_term(env, &readable.left_out)).encode(env)
}

fn left_out_term<'a>(env: Env<'a>, UnreadableRows { count, examples }: &UnreadableRows) -> Term<'a> {
    let examples = examples.iter().map(|spoilt| binary(env, spoilt.to_string().as_bytes()));
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

/// `{Domain, HostType, HandlerProgress}`.
fn job_term<'a>(env: Env<'a>, RemovalJob { domain, host_type, handlers }: &RemovalJob) -> Term<'a> {
    (binary(env, domain.as_bytes()), binary(env, host_type.as_bytes()), *handlers).encode(env)
}

/// `{RemovalJobs, [{VoidJob, Row}]}`.
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
