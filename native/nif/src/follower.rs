//! The thread that follows the database, as its owner, an Erlang process, uses it.
//!
//! The thread sends the owner messages `{domain_follower, Message}`:
//!
//! - `request_permit`: it waits until the owner sends `grant`
//! - `{reports, [{Level, Report}]}`: for the log
//! - `{answer, Ticket, ok | missing | {ok, Repairs} | {error, Text}}`: the response to a command
//! - `{ended, stopped | {panicked, Text}}`: the last message

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

use crate::globals::{followed, follower_priority, table};
use crate::terms::{OrUndefined, atoms, binary, error_term, fields_term, report_term};
use crate::url_source::UrlSourceTerm;

/// A follower that stops when its owner exits.
struct FollowerHandle(Follower);

#[rustler::resource_impl]
impl Resource for FollowerHandle {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

struct OwnerProcess(LocalPid);

impl OwnerProcess {
    /// Returns `false` if the process has exited.
    fn send(&self, message: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) -> bool {
        OwnedEnv::new().send_and_clear(&self.0, |env| (atoms::domain_follower(), message(env))).is_ok()
    }
}

impl Owner for OwnerProcess {
    fn request_permit(&mut self) -> Permit {
        if self.send(|env| atoms::request_permit().encode(env)) { Permit::Requested } else { Permit::Gone }
    }

    fn report(&mut self, reports: Vec<Report>) {
        self.send(|env| {
            // This cannot fail: all names are Latin-1, so each one is a valid atom.
            let reports: Vec<_> = reports.iter().filter_map(|report| report_term(env, report).ok()).collect();
            (atoms::reports(), reports).encode(env)
        });
    }

    fn respond(&mut self, Ticket(ticket): Ticket, result: Result<Response, String>) {
        self.send(|env| {
            let result = match result {
                Ok(Response::Synced) => atoms::ok().encode(env),
                Ok(Response::Missing) => atoms::missing().encode(env),
                // This cannot fail: all names are Latin-1, so each one is a valid atom.
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

/// Times are in milliseconds, except those that MongooseIM has in seconds: `event_*` and `snapshot_max_age`.
#[derive(NifMap)]
#[rustler(decode)]
struct FollowerOptionsTerm<'a> {
    poll_interval: u64,
    look_interval: u64,
    converge_interval: u64,
    convergence_gate: GateModeTerm,
    max_removal_share: f64,
    event_cleaning_interval: u64,
    event_max_age: u64,
    /// The file for a warm start.
    snapshot_file: OrUndefined<Binary<'a>>,
    snapshot_interval: u64,
    snapshot_max_age: u64,
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
}

#[derive(NifUnitEnum, Clone, Copy)]
enum GateModeTerm {
    Off,
    OnLoss,
    Always,
}

impl FollowerOptionsTerm<'_> {
    fn to_options(&self) -> Options {
        let mode = match self.convergence_gate {
            GateModeTerm::Off => GateMode::Off,
            GateModeTerm::OnLoss => GateMode::OnLoss,
            GateModeTerm::Always => GateMode::Always,
        };
        let warm_start = self.snapshot_file.0.as_ref().map(|file| WarmStart {
            // A file name need not be UTF-8.
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

    fn to_timeouts(&self) -> Timeouts {
        let [connect, statement, lock] =
            [self.connect_timeout, self.statement_timeout, self.lock_timeout].map(Duration::from_millis);
        Timeouts { connect, statement, lock }
    }
}

/// Starts a follower, whose owner is the calling process. Reads the URL and the files that the URL names, hence the
/// dirty scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn follower_start<'a>(env: Env<'a>, source: UrlSourceTerm, options: FollowerOptionsTerm) -> Term<'a> {
    match start(env, &source, &options) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => error_term(env, error),
    }
}

fn start(
    env: Env,
    source: &UrlSourceTerm,
    options: &FollowerOptionsTerm,
) -> Result<ResourceArc<FollowerHandle>, String> {
    static LOCK: OnceLock<FollowerLock> = OnceLock::new();
    let database = Database::new(source.to_source()?, options.to_timeouts())
        .map_err(|error| error.to_string())?
        .with_look_interval(Duration::from_millis(options.look_interval))
        .with_priority(follower_priority());
    let owner = env.pid();
    let lock = LOCK.get_or_init(FollowerLock::default).clone();
    let process = Box::new(OwnerProcess(owner));
    let follower = Follower::start(table().clone(), lock, database, followed(), options.to_options(), process)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    *latest() = Some(follower.clone());
    let handle = ResourceArc::new(FollowerHandle(follower));
    if handle.monitor(Some(env), &owner).is_none() {
        handle.0.stop();
    }
    Ok(handle)
}

#[derive(NifTaggedEnum)]
enum Command {
    Check,
    Grant,
    Stop,
    Sync(u64),
    Find(u64, i64),
    Converge(u64, ConvergeMode),
}

#[derive(NifUnitEnum)]
enum ConvergeMode {
    Gated,
    Force,
}

#[rustler::nif]
fn follower_command(handle: ResourceArc<FollowerHandle>, command: Command) -> Atom {
    match command {
        Command::Check => handle.0.check(),
        Command::Grant => handle.0.grant(),
        Command::Stop => handle.0.stop(),
        Command::Sync(ticket) => handle.0.sync(Ticket(ticket)),
        Command::Find(ticket, event) => handle.0.find(Ticket(ticket), EventId(event)),
        Command::Converge(ticket, ConvergeMode::Gated) => handle.0.converge(Ticket(ticket), Force::No),
        Command::Converge(ticket, ConvergeMode::Force) => handle.0.converge(Ticket(ticket), Force::Yes),
    }
    atoms::ok()
}

#[rustler::nif]
fn follower_status<'a>(env: Env<'a>, handle: ResourceArc<FollowerHandle>) -> NifResult<Term<'a>> {
    fields_term(env, handle.0.status().to_fields())
}

/// The status of the latest follower, even if its owner does not respond.
#[rustler::nif]
fn latest_follower_status(env: Env) -> NifResult<Term> {
    let latest = latest().clone();
    latest.map_or(Ok(atoms::undefined().encode(env)), |follower| fields_term(env, follower.status().to_fields()))
}

/// The follower that was started last.
fn latest() -> MutexGuard<'static, Option<Follower>> {
    static LATEST: Mutex<Option<Follower>> = Mutex::new(None);
    // Nothing that is done under the mutex can panic.
    LATEST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the next pass load everything again and remove the routes that it does not confirm.
#[rustler::nif]
fn reset_progress() -> Atom {
    table().reset_progress();
    atoms::ok()
}
