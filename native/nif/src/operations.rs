//! The workers that change domains, seen from the process that owns them.
//!
//! The owner gets one message per request: `{domain_operation, Ticket, {ok, Answer}}` or
//! `{domain_operation, Ticket, {failed, Doubt, Text}}`, where the text is for the log alone, or
//! `{domain_operation, Ticket, {refused, Reason}}`, where the reason is for whoever asked.

use std::num::NonZeroU32;
use std::time::Duration;

use domain_core::{DomainName, EventId, HostTypeId, HostTypes};
use domain_ops::{Answer, Doubt, Failure, Iterations, Options, PasswordCheck, Request as Order, Secret, Workers};
use domain_store::{
    Changed, Database, Expiry, Filter, Finding, Found, Freshness, Handlers, Held, Inserted, Job, Jobs, LeaseState,
    LeftOut, Listed, Readable, Removal, RemovalBegun, Sequence, Settings, Severity, Status, StoreError, Survey, Switch,
    Switched, Timeouts, Ttl, Void,
};
use rustler::{
    Atom, Binary, Encoder, Env, Error, LocalPid, Monitor, NifMap, NifResult, NifTaggedEnum, NifUnitEnum, OwnedEnv,
    Resource, ResourceArc, Term,
};

use crate::domains::host_type_of;
use crate::source::Source;
use crate::terms::{Maybe, atoms, binary, error_term};
use crate::{followed, precedence, table};

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
    let database = Database::new(source.of()?, timeouts).map_err(|error| error.to_string())?.under(precedence());
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

impl From<Wanted> for Switch {
    fn from(wanted: Wanted) -> Switch {
        match wanted {
            Wanted::Enabled => Switch::Enabled,
            Wanted::Disabled => Switch::Disabled,
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
    let reply = move |result: Result<Answer, Failure>| {
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
                Ok((proven(domain)?, host_type(name)?, Switch::from(*wanted)))
            };
            Order::Insert(pairs.iter().map(pair).collect::<NifResult<_>>()?)
        }
        Request::SetStatus(domain, wanted) => Order::Switch(proven(&domain)?, wanted.into()),
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
        Request::NoteRemoval(domain, done, of) => Order::NoteRemoval(proven(&domain)?, Handlers { done, of }),
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

fn result_term<'a>(env: Env<'a>, result: Result<Answer, Failure>) -> Term<'a> {
    match result {
        Ok(answer) => (atoms::ok(), answer_term(env, &answer)).encode(env),
        Err(failure) => failure_term(env, &failure),
    }
}

/// `{refused, Reason}` where the database refuses the row, or `{failed, Doubt, Text}`.
fn failure_term<'a>(env: Env<'a>, failure: &Failure) -> Term<'a> {
    if let Some(reason) = failure.refusal() {
        return (atoms::refused(), binary(env, reason.as_bytes())).encode(env);
    }
    let doubt = match failure.doubt() {
        Doubt::None => atoms::none(),
        Doubt::Broken => atoms::broken(),
        Doubt::Timeout => atoms::timeout(),
        Doubt::TooLate => atoms::too_late(),
        Doubt::Forgotten => atoms::forgotten(),
    };
    (atoms::failed(), doubt, binary(env, failure.to_string().as_bytes())).encode(env)
}

fn answer_term<'a>(env: Env<'a>, answer: &Answer) -> Term<'a> {
    let word = |atom: Atom| atom.encode(env);
    match answer {
        Answer::Inserted(outcomes) => outcomes
            .iter()
            .map(|outcome| match outcome {
                Ok(Inserted::Added(EventId(event))) => (atoms::added(), *event).encode(env),
                Ok(Inserted::Exists(settings)) => settings_term(env, settings),
                Ok(Inserted::Skipped) => (atoms::refused(), binary(env, StoreError::SKIPPED.as_bytes())).encode(env),
                Err(failure) => failure_term(env, failure),
            })
            .collect::<Vec<_>>()
            .encode(env),
        Answer::Switched(Switched::Changed(EventId(event))) => (atoms::changed(), *event).encode(env),
        Answer::Switched(Switched::Already) => word(atoms::kept()),
        Answer::Switched(Switched::NotFound)
        | Answer::Begun(RemovalBegun::NotFound)
        | Answer::Checked(PasswordCheck::NotFound)
        | Answer::Deleted(Found::No)
        | Answer::NotServed => word(atoms::not_found()),
        Answer::Switched(Switched::UnknownHostType) => word(atoms::unknown_host_type()),
        Answer::Switched(Switched::Deleting) => word(atoms::deleted()),
        Answer::Details(row) => row_term(env, row.as_ref()),
        Answer::Listed(rows) => readable_term(env, rows, listed_term),
        Answer::Stored | Answer::Deleted(Found::Yes) | Answer::Declared => word(atoms::ok()),
        Answer::Refused => word(atoms::invalid_password()),
        Answer::Checked(PasswordCheck::Right) => word(atoms::right()),
        Answer::Checked(PasswordCheck::Wrong) => word(atoms::wrong()),
        Answer::Checked(PasswordCheck::Corrupt) => word(atoms::corrupt()),
        Answer::Begun(RemovalBegun::Claimed(EventId(event))) => (atoms::claimed(), *event).encode(env),
        Answer::Begun(RemovalBegun::Elsewhere(EventId(event))) => (atoms::elsewhere(), *event).encode(env),
        Answer::Begun(RemovalBegun::WrongHostType) => word(atoms::wrong_host_type()),
        Answer::Renewed(jobs) | Answer::TakenOver(jobs) => {
            (atoms::readable(), jobs_term(env, jobs), left_out_term(env, &jobs.left_out)).encode(env)
        }
        Answer::Noted(Held::Yes) => word(atoms::held()),
        Answer::Noted(Held::No) => word(atoms::lost()),
        Answer::Noted(Held::Ended(row)) => (atoms::ended(), row_term(env, row.as_ref())).encode(env),
        Answer::Removals(removals) => readable_term(env, removals, removal_term),
        Answer::Freshness(declared) => readable_term(env, declared, freshness_term),
        Answer::Changes(changes) => readable_term(env, changes, changed_term),
        Answer::Findings(findings) => {
            findings.iter().map(|finding| finding_term(env, finding)).collect::<Vec<_>>().encode(env)
        }
        Answer::Sequences(sequences) => {
            sequences.iter().map(|sequence| sequence_term(env, sequence)).collect::<Vec<_>>().encode(env)
        }
        Answer::Survey(Survey { time, host_types, left_out }) => {
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

fn left_out_term<'a>(env: Env<'a>, LeftOut { count, examples }: &LeftOut) -> Term<'a> {
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

/// `{Domain, HostType, Handlers}`.
fn job_term<'a>(env: Env<'a>, Job { domain, host_type, handlers }: &Job) -> Term<'a> {
    (binary(env, domain.as_bytes()), binary(env, host_type.as_bytes()), *handlers).encode(env)
}

/// `{Jobs, [{VoidJob, Row}]}`.
fn jobs_term<'a>(env: Env<'a>, Jobs { held, void, .. }: &Jobs) -> Term<'a> {
    let held = held.iter().map(|job| job_term(env, job));
    let void = void.iter().map(|Void { job, row }| (job_term(env, job), row_term(env, row.as_ref())));
    (held.collect::<Vec<_>>(), void.collect::<Vec<_>>()).encode(env)
}

/// `{HostType, Status} | not_found`.
fn row_term<'a>(env: Env<'a>, row: Option<&Settings>) -> Term<'a> {
    row.map_or_else(|| atoms::not_found().encode(env), |settings| settings_term(env, settings))
}

/// `{HostType, Status}`.
fn settings_term<'a>(env: Env<'a>, settings: &Settings) -> Term<'a> {
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
fn listed_term<'a>(env: Env<'a>, Listed { domain, settings }: &Listed) -> Term<'a> {
    let host_type = binary(env, settings.host_type.as_bytes());
    (binary(env, domain.as_bytes()), host_type, status_term(env, settings.status)).encode(env)
}

/// `{Id, Domain, {HostType, Status} | undefined}`.
fn changed_term<'a>(env: Env<'a>, Changed { id, domain, settings }: &Changed) -> Term<'a> {
    let settings = match settings {
        Some(settings) => settings_term(env, settings),
        None => atoms::undefined().encode(env),
    };
    (id.0, binary(env, domain.as_bytes()), settings).encode(env)
}

/// `{Domain, HostType, running | orphaned | {failed, Text}, Owner | undefined, Done, Of}`.
fn removal_term<'a>(env: Env<'a>, removal: &Removal) -> Term<'a> {
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
fn freshness_term<'a>(env: Env<'a>, Freshness { domain, expire_time, expiry }: &Freshness) -> Term<'a> {
    let expiry = match expiry {
        Expiry::Never => atoms::infinity().encode(env),
        Expiry::In(seconds) => (atoms::r#in(), *seconds).encode(env),
        Expiry::Past => atoms::past().encode(env),
    };
    (binary(env, domain.as_bytes()), *expire_time, expiry).encode(env)
}
