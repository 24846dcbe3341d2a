//! Who watches the domains: one process, which is sent `domain_changes` when there is news after there was none.
//!
//! A change may be made on a scheduler or on the follower's thread, under which the VM takes messages in different ways.
//! So neither sends: a thread of its own does, which sleeps until the table rings.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

use domain_core::{ChangeKind, Changes, DomainChange};
use rustler::{Atom, Encoder, Env, Error, LocalPid, NifResult, OwnedEnv, Term};

use crate::lookup::answer;
use crate::table;
use crate::terms::{atoms, binary};

/// The process that watches.
fn watcher() -> MutexGuard<'static, Option<LocalPid>> {
    static WATCHER: Mutex<Option<LocalPid>> = Mutex::new(None);
    // Nothing that can panic is done under it.
    WATCHER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the calling process watches, and nobody else.
#[rustler::nif]
fn watch(env: Env) -> NifResult<Atom> {
    static HERALD: OnceLock<Thread> = OnceLock::new();
    let mut watcher = watcher(); // so that no two threads are started
    *watcher = Some(env.pid());
    if HERALD.get().is_none() {
        let thread = thread::Builder::new().name("domain_herald".into()).spawn(tell_for_ever);
        let thread = thread.map_err(|error| Error::RaiseTerm(Box::new(format!("cannot start a thread: {error}"))))?;
        let _ = HERALD.set(thread.thread().clone());
    }
    drop(watcher);
    table().watch(|| HERALD.get().into_iter().for_each(Thread::unpark));
    Ok(atoms::ok())
}

fn tell_for_ever() {
    loop {
        // A ring before this is not lost: it lets the thread through at once.
        thread::park();
        let watcher = *watcher();
        if let Some(watcher) = watcher {
            // One that is gone needs no message; its successor is rung for.
            let _ = OwnedEnv::new().send_and_clear(&watcher, |_| atoms::domain_changes());
        }
    }
}

/// `everything`, or up to `limit` of `{added | removed, Answer, Domain}`.
#[rustler::nif]
fn news(env: Env, limit: usize) -> Term {
    match table().take_changes(limit) {
        Changes::Everything => atoms::everything().encode(env),
        Changes::Listed(changes) => {
            changes.iter().map(|notice| change_term(env, notice)).collect::<Vec<_>>().encode(env)
        }
    }
}

fn change_term<'a>(env: Env<'a>, DomainChange { domain, host_type, kind }: &DomainChange) -> Term<'a> {
    let kind = match kind {
        ChangeKind::Added => atoms::added(),
        ChangeKind::Removed => atoms::removed(),
    };
    (kind, answer(*host_type), binary(env, domain)).encode(env)
}
