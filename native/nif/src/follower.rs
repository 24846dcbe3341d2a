//! The follower's thread, seen from the process that owns it.
//!
//! The thread's messages are `{domain_follower, Message}`: `request_permit` (the answer is to tell it
//! `grant`), `{reports, [{Level, Report}]}`, `{answer, Ticket, ok | missing | {ok, Repairs} | {error, Text}}`
//! and, the last one, `{ended, stopped | {panicked, Text}}`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use domain_core::EventId;
use domain_store::{Database, Timeouts};
use domain_sync::{
    Ended, Follower, FollowerLock, Force, Gate, GateMode, Options, Owner, Permit, PruneOptions, Report, Response,
    Ticket, WarmStart,
};
use rustler::{
    Atom, Binary, Encoder, Env, LocalPid, Monitor, NifMap, NifResult, NifTaggedEnum, NifUnitEnum, OwnedEnv, Resource,
    ResourceArc, Term,
};

use crate::source::Source;
use crate::terms::{Maybe, atoms, binary, error_term, fields_term, report_term};
use crate::{followed, follower_priority, table};

/// Ends the thread when the process that started it dies.
struct Handle(Follower);

#[rustler::resource_impl]
impl Resource for Handle {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

struct Process(LocalPid);

impl Process {
    /// Whether the process was still there.
    fn send(&self, message: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) -> bool {
        OwnedEnv::new().send_and_clear(&self.0, |env| (atoms::domain_follower(), message(env))).is_ok()
    }
}

impl Owner for Process {
    fn request_permit(&mut self) -> Permit {
        if self.send(|env| atoms::request_permit().encode(env)) { Permit::Requested } else { Permit::Gone }
    }

    fn report(&mut self, reports: Vec<Report>) {
        self.send(|env| {
            // All names are Latin-1, so none fails to become an atom.
            let reports: Vec<_> = reports.iter().filter_map(|report| report_term(env, report).ok()).collect();
            (atoms::reports(), reports).encode(env)
        });
    }

    fn respond(&mut self, Ticket(ticket): Ticket, result: Result<Response, String>) {
        self.send(|env| {
            let result = match result {
                Ok(Response::Synced) => atoms::ok().encode(env),
                Ok(Response::Missing) => atoms::missing().encode(env),
                // All names are Latin-1, so none fails to become an atom.
                Ok(Response::Converged(repairs)) => {
                    (atoms::ok(), fields_term(env, repairs.to_fields()).ok()).encode(env)
                }
                Err(error) => error_term(env, error),
            };
            (atoms::answer(), ticket, result).encode(env)
        });
    }

    fn ended(&mut self, how: Ended) {
        self.send(|env| match how {
            Ended::Stopped => (atoms::ended(), atoms::stopped()).encode(env),
            Ended::Panicked(panic) => (atoms::ended(), (atoms::panicked(), binary(env, panic.as_bytes()))).encode(env),
        });
    }
}

/// Times in milliseconds, but for those that MongooseIM gives in seconds.
#[derive(NifMap)]
#[rustler(decode)]
struct Settled<'a> {
    poll_interval: u64,
    converge_interval: u64,
    convergence_gate: Mode,
    max_removal_share: f64,
    event_cleaning_interval: u64,
    event_max_age: u64,
    /// The file to serve from while the database is away at start.
    snapshot_file: Maybe<Binary<'a>>,
    snapshot_interval: u64,
    snapshot_max_age: u64,
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
}

#[derive(NifUnitEnum, Clone, Copy)]
enum Mode {
    Off,
    OnLoss,
    Always,
}

impl Settled<'_> {
    fn options(&self) -> Options {
        let mode = match self.convergence_gate {
            Mode::Off => GateMode::Off,
            Mode::OnLoss => GateMode::OnLoss,
            Mode::Always => GateMode::Always,
        };
        let warm_start = self.snapshot_file.0.as_ref().map(|file| WarmStart {
            // A file's name is bytes.
            file: OsStr::from_bytes(file).into(),
            interval: Duration::from_millis(self.snapshot_interval),
            max_age: Duration::from_secs(self.snapshot_max_age),
        });
        Options {
            poll_interval: Duration::from_millis(self.poll_interval),
            converge_interval: Duration::from_millis(self.converge_interval),
            gate: Gate { mode, max_removal_share: self.max_removal_share },
            pruning: PruneOptions {
                interval: Duration::from_secs(self.event_cleaning_interval),
                max_age: Duration::from_secs(self.event_max_age),
            },
            warm_start,
        }
    }

    fn timeouts(&self) -> Timeouts {
        let [connect, statement, lock] =
            [self.connect_timeout, self.statement_timeout, self.lock_timeout].map(Duration::from_millis);
        Timeouts { connect, statement, lock }
    }
}

/// Starts a thread for the calling process. Reads the URL and the files that it names, hence the dirty
/// scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn follower_start<'a>(env: Env<'a>, source: Source, settled: Settled) -> Term<'a> {
    match start(env, &source, &settled) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => error_term(env, error),
    }
}

fn start(env: Env, source: &Source, settled: &Settled) -> Result<ResourceArc<Handle>, String> {
    static LOCK: OnceLock<FollowerLock> = OnceLock::new();
    let database = Database::new(source.of()?, settled.timeouts())
        .map_err(|error| error.to_string())?
        .with_priority(follower_priority());
    let owner = env.pid();
    let lock = LOCK.get_or_init(FollowerLock::default).clone();
    let process = Box::new(Process(owner));
    let follower = Follower::start(table().clone(), lock, database, followed(), settled.options(), process)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    *newest() = Some(follower.clone());
    let handle = ResourceArc::new(Handle(follower));
    if handle.monitor(Some(env), &owner).is_none() {
        handle.0.stop();
    }
    Ok(handle)
}

#[derive(NifTaggedEnum)]
enum Order {
    Check,
    Grant,
    Stop,
    Sync(u64),
    Find(u64, i64),
    Converge(u64, How),
}

#[derive(NifUnitEnum)]
enum How {
    Gated,
    Force,
}

#[rustler::nif]
fn follower_tell(handle: ResourceArc<Handle>, order: Order) -> Atom {
    match order {
        Order::Check => handle.0.check(),
        Order::Grant => handle.0.grant(),
        Order::Stop => handle.0.stop(),
        Order::Sync(ticket) => handle.0.sync(Ticket(ticket)),
        Order::Find(ticket, event) => handle.0.find(Ticket(ticket), EventId(event)),
        Order::Converge(ticket, How::Gated) => handle.0.converge(Ticket(ticket), Force::No),
        Order::Converge(ticket, How::Force) => handle.0.converge(Ticket(ticket), Force::Yes),
    }
    atoms::ok()
}

#[rustler::nif]
fn follower_status<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> NifResult<Term<'a>> {
    fields_term(env, handle.0.status().to_fields())
}

/// What the thread that was started last is doing, or has done: nobody needs to be asked for its handle.
#[rustler::nif]
fn newest_follower_status(env: Env) -> NifResult<Term> {
    let newest = newest().clone();
    newest.map_or(Ok(atoms::undefined().encode(env)), |follower| fields_term(env, follower.status().to_fields()))
}

/// The follower that was started last.
fn newest() -> MutexGuard<'static, Option<Follower>> {
    static NEWEST: Mutex<Option<Follower>> = Mutex::new(None);
    // Nothing that can panic is done under it.
    NEWEST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next pass loads everything again and removes what that does not bring.
#[rustler::nif]
fn reset_progress() -> Atom {
    table().reset_progress();
    atoms::ok()
}
