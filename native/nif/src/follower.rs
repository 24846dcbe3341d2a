//! The follower's thread, seen from the process that owns it.
//!
//! The thread's messages are `{domain_follower, Message}`: `ask` (the answer is to tell it
//! `proceed`), `{reports, [{Level, Report}]}`, `{synced, Ticket, ok | {error, Text}}` and, the last
//! one, `{ended, stopped | {panicked, Text}}`.

use std::sync::OnceLock;
use std::time::Duration;

use domain_store::{Database, Timeouts};
use domain_sync::{Ended, Follower, Leave, Owner, Report, Seat, Ticket};
use rustler::{
    Atom, Binary, Encoder, Env, LocalPid, Monitor, NifMap, NifResult, NifTaggedEnum, OwnedEnv, Resource, ResourceArc,
    Term,
};

use crate::table;
use crate::terms::{atoms, binary, error_term, fields_term, report_term};

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
    fn ask(&mut self) -> Leave {
        if self.send(|env| atoms::ask().encode(env)) { Leave::Asked } else { Leave::Gone }
    }

    fn tell(&mut self, reports: Vec<Report>) {
        self.send(|env| {
            // All names are Latin-1, so none fails to become an atom.
            let reports: Vec<_> = reports.iter().filter_map(|report| report_term(env, report).ok()).collect();
            (atoms::reports(), reports).encode(env)
        });
    }

    fn answer(&mut self, Ticket(ticket): Ticket, result: Result<(), String>) {
        self.send(|env| {
            let result = result.map_or_else(|error| error_term(env, error), |()| atoms::ok().encode(env));
            (atoms::synced(), ticket, result).encode(env)
        });
    }

    fn ended(&mut self, how: Ended) {
        self.send(|env| match how {
            Ended::Stopped => (atoms::ended(), atoms::stopped()).encode(env),
            Ended::Panicked(panic) => (atoms::ended(), (atoms::panicked(), binary(env, panic.as_bytes()))).encode(env),
        });
    }
}

/// Milliseconds.
#[derive(NifMap)]
struct Times {
    poll_interval: u64,
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
}

/// Starts a thread for the calling process. Reads the files that the URL names, hence the dirty
/// scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn follower_start<'a>(env: Env<'a>, url: Binary, times: Times) -> Term<'a> {
    match start(env, &url, times) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => error_term(env, error),
    }
}

fn start(env: Env, url: &[u8], times: Times) -> Result<ResourceArc<Handle>, String> {
    static SEAT: OnceLock<Seat> = OnceLock::new();
    let [poll, connect, statement, lock] =
        [times.poll_interval, times.connect_timeout, times.statement_timeout, times.lock_timeout]
            .map(Duration::from_millis);
    let url = std::str::from_utf8(url).map_err(|_| "the database URL is not UTF-8")?;
    let database = Database::parse(url, Timeouts { connect, statement, lock }).map_err(|error| error.to_string())?;
    let owner = env.pid();
    let seat = SEAT.get_or_init(Seat::default).clone();
    let follower = Follower::start(table().clone(), seat, database, poll, Box::new(Process(owner)))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let handle = ResourceArc::new(Handle(follower));
    if handle.monitor(Some(env), &owner).is_none() {
        handle.0.stop();
    }
    Ok(handle)
}

#[derive(NifTaggedEnum)]
enum Order {
    Check,
    Proceed,
    Stop,
    Sync(u64),
}

#[rustler::nif]
fn follower_tell(handle: ResourceArc<Handle>, order: Order) -> Atom {
    match order {
        Order::Check => handle.0.check(),
        Order::Proceed => handle.0.proceed(),
        Order::Stop => handle.0.stop(),
        Order::Sync(ticket) => handle.0.sync(Ticket(ticket)),
    }
    atoms::ok()
}

#[rustler::nif]
fn follower_status<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> NifResult<Term<'a>> {
    fields_term(env, handle.0.status().to_fields())
}

/// The next pass loads everything again and removes what that does not bring.
#[rustler::nif]
fn reset_progress() -> Atom {
    table().reset_progress();
    atoms::ok()
}
