//! The workers that change the database, as their owner, an Erlang process, uses them.
//!
//! The owner gets one message for each request: `{domain_operation, Ticket, Result}`. The result is `{ok, Response}`,
//! or `{refused, Reason}` with a reason for the caller, or `{failed, FailureKind, Text}` with a text for the log alone.

mod request;
mod response;

use std::time::Duration;

use domain_ops::{Completed, Iterations, OperationError, Options, Workers};
use domain_store::{Database, Timeouts};
use rustler::{
    Atom, Binary, Encoder, Env, LocalPid, Monitor, NifMap, NifResult, OwnedEnv, Resource, ResourceArc, Term,
};

use self::request::RequestTerm;
use self::response::result_term;
use crate::globals::{followed, follower_priority, table};
use crate::terms::{atoms, error_term};
use crate::url_source::UrlSourceTerm;

/// Workers that stop when their owner exits.
struct WorkersHandle(Workers);

#[rustler::resource_impl]
impl Resource for WorkersHandle {
    const IMPLEMENTS_DOWN: bool = true;

    fn down<'a>(&'a self, _env: Env<'a>, _owner: LocalPid, _monitor: Monitor) {
        self.0.stop();
    }
}

/// Times are in milliseconds.
#[derive(NifMap)]
struct WorkersOptionsTerm<'a> {
    connect_timeout: u64,
    statement_timeout: u64,
    lock_timeout: u64,
    pool_size: u32,
    queue_limit: usize,
    password_iterations: u32,
    removal_lease: u64,
    owner: Binary<'a>,
}

/// Starts workers, whose owner is the calling process. Reads the URL and the files that the URL names, hence the dirty
/// scheduler.
#[rustler::nif(schedule = "DirtyIo")]
fn operations_start<'a>(env: Env<'a>, source: UrlSourceTerm, options: WorkersOptionsTerm) -> Term<'a> {
    match start(env, &source, &options) {
        Ok(handle) => (atoms::ok(), handle).encode(env),
        Err(error) => error_term(env, error),
    }
}

fn start(env: Env, source: &UrlSourceTerm, options: &WorkersOptionsTerm) -> Result<ResourceArc<WorkersHandle>, String> {
    let timeouts = Timeouts {
        connect: Duration::from_millis(options.connect_timeout),
        statement: Duration::from_millis(options.statement_timeout),
        lock: Duration::from_millis(options.lock_timeout),
    };
    let database = Database::new(source.to_source()?, timeouts)
        .map_err(|error| error.to_string())?
        .with_priority(follower_priority());
    let options = Options {
        workers: options.pool_size,
        queue: options.queue_limit,
        iterations: Iterations::new(options.password_iterations).ok_or("password_iterations is at most 10000000")?,
        owner: str::from_utf8(&options.owner).map_err(|_| "the owner's name is not UTF-8")?.to_owned(),
        lease: Duration::from_millis(options.removal_lease),
    };
    let workers = Workers::start(table().clone(), database, followed(), options)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    let handle = ResourceArc::new(WorkersHandle(workers));
    if handle.monitor(Some(env), &env.pid()).is_none() {
        handle.0.stop();
    }
    Ok(handle)
}

/// Submits a request. The result is sent to the calling process, within `limit` milliseconds. If `requester` has exited
/// when a worker takes the request up, nothing is done.
#[rustler::nif]
fn operation(
    env: Env,
    handle: ResourceArc<WorkersHandle>,
    ticket: u64,
    limit: u64,
    requester: LocalPid,
    request: RequestTerm,
) -> NifResult<Atom> {
    let owner = env.pid();
    let is_awaited = move || OwnedEnv::new().run(|env| requester.is_alive(env));
    let respond = move |result: Result<Completed, OperationError>| {
        // It does not matter if the owner has exited.
        let _ = OwnedEnv::new()
            .send_and_clear(&owner, |env| (atoms::domain_operation(), ticket, result_term(env, &result)).encode(env));
    };
    let limit = Duration::from_millis(limit);
    Ok(match handle.0.submit(request.to_request()?, limit, Box::new(is_awaited), Box::new(respond)) {
        Ok(()) => atoms::ok(),
        Err(_full) => atoms::overloaded(),
    })
}

#[rustler::nif]
fn operations_stop(handle: ResourceArc<WorkersHandle>) -> Atom {
    handle.0.stop();
    atoms::ok()
}

/// Makes the workers and the follower connect again.
#[rustler::nif]
fn operations_reconnect(handle: ResourceArc<WorkersHandle>) -> Atom {
    handle.0.reconnect();
    atoms::ok()
}
