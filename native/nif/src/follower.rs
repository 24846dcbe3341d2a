//! The follower's thread, seen from the process that owns it.
//!
//! The thread's messages are `{domain_follower, Message}`: `ask` (answered by
//! `follower_proceed/1`), `{reports, [{Level, Report}]}`, `{synced, Ticket, ok | {error, Text}}` and,
//! the last one, `{ended, stopped | {panicked, Text}}`.

use std::time::Duration;

use domain_store::{Database, Timeouts};
use domain_sync::{Ended, Follower, Leave, Owner, Report, Seat, Ticket};
use rustler::{Atom, Binary, Encoder, Env, LocalPid, Monitor, NifResult, OwnedEnv, Resource, ResourceArc, Term};

use crate::table;
use crate::terms::{atoms, binary, report_term, status_term};

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
            let reports: Vec<_> = reports.iter().map(|report| report_term(env, report)).collect();
            (atoms::reports(), reports).encode(env)
        });
    }

    fn answer(&mut self, Ticket(ticket): Ticket, result: Result<(), String>) {
        self.send(|env| match &result {
            Ok(()) => (atoms::synced(), ticket, atoms::ok()).encode(env),
            Err(error) => (atoms::synced(), ticket, (atoms::error(), binary(env, error.as_bytes()))).encode(env),
        });
    }

    fn ended(&mut self, how: Ended) {
        self.send(|env| match &how {
            Ended::Stopped => (atoms::ended(), atoms::stopped()).encode(env),
            Ended::Panicked(panic) => (atoms::ended(), (atoms::panicked(), binary(env, panic.as_bytes()))).encode(env),
        });
    }
}

/// Starts a thread for the calling process. Times are in milliseconds. Reads the files that the URL
/// names, hence the dirty scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn follower_start<'a>(
    env: Env<'a>,
    url: Binary,
    poll_interval: u64,
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
) -> Term<'a> {
    let timeouts = Timeouts {
        connect: Duration::from_millis(connect_timeout),
        statement: Duration::from_millis(statement_timeout),
        lock: Duration::from_millis(lock_timeout),
    };
    match start(env, &url, timeouts, Duration::from_millis(poll_interval)) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => (atoms::error(), binary(env, error.as_bytes())).encode(env),
    }
}

fn start(env: Env, url: &[u8], timeouts: Timeouts, poll: Duration) -> Result<ResourceArc<Handle>, String> {
    static SEAT: std::sync::OnceLock<Seat> = std::sync::OnceLock::new();
    let url = std::str::from_utf8(url).map_err(|_| "the database URL is not UTF-8")?;
    let database = Database::parse(url, timeouts).map_err(|error| error.to_string())?;
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

#[rustler::nif]
fn follower_check(handle: ResourceArc<Handle>) -> Atom {
    handle.0.check();
    atoms::ok()
}

#[rustler::nif]
fn follower_sync(handle: ResourceArc<Handle>, ticket: u64) -> Atom {
    handle.0.sync(Ticket(ticket));
    atoms::ok()
}

#[rustler::nif]
fn follower_proceed(handle: ResourceArc<Handle>) -> Atom {
    handle.0.proceed();
    atoms::ok()
}

#[rustler::nif]
fn follower_stop(handle: ResourceArc<Handle>) -> Atom {
    handle.0.stop();
    atoms::ok()
}

#[rustler::nif]
fn follower_status<'a>(env: Env<'a>, handle: ResourceArc<Handle>) -> NifResult<Term<'a>> {
    status_term(env, &handle.0.status())
}

/// The next pass loads everything again and removes what that does not bring.
#[rustler::nif]
fn reset_progress() -> Atom {
    table().reset_progress();
    atoms::ok()
}
