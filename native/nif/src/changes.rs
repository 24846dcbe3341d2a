//! The change feed: one process is sent `domain_changes` when domains have changed, and then takes the changes.
//!
//! A domain changes on a scheduler or on the follower's thread, and the VM's rules for sending messages from these
//! differ. So neither sends the message. A thread of its own does, which sleeps until the table wakes it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

use domain_core::{ChangeKind, Changes, DomainChange};
use rustler::{Atom, Encoder, Env, Error, LocalPid, NifResult, OwnedEnv, Term};

use crate::globals::table;
use crate::lookup::result_number;
use crate::terms::{atoms, binary};

/// The watching process.
fn watcher() -> MutexGuard<'static, Option<LocalPid>> {
    static WATCHER: Mutex<Option<LocalPid>> = Mutex::new(None);
    // Nothing that is done under the mutex can panic.
    WATCHER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the calling process the only watcher.
#[rustler::nif]
fn watch(env: Env) -> NifResult<Atom> {
    static NOTIFIER: OnceLock<Thread> = OnceLock::new();
    // The lock makes sure that only one thread is started.
    let mut watcher = watcher();
    *watcher = Some(env.pid());
    if NOTIFIER.get().is_none() {
        let thread = thread::Builder::new().name("domain_notifier".into()).spawn(notify_watcher);
        let thread = thread.map_err(|error| Error::RaiseTerm(Box::new(format!("cannot start a thread: {error}"))))?;
        let _ = NOTIFIER.set(thread.thread().clone());
    }
    drop(watcher);
    table().watch(|| NOTIFIER.get().into_iter().for_each(Thread::unpark));
    Ok(atoms::ok())
}

fn notify_watcher() {
    loop {
        // If the table has called `unpark` before this, `park` returns at once.
        thread::park();
        let watcher = *watcher();
        if let Some(watcher) = watcher {
            // It does not matter if the watcher has exited: when its successor calls `watch`, the table wakes this
            // thread.
            let _ = OwnedEnv::new().send_and_clear(&watcher, |_| atoms::domain_changes());
        }
    }
}

/// Takes up to `limit` changes: `everything`, or `[{added | removed, ResultNumber, Domain}]`.
#[rustler::nif]
fn take_changes(env: Env, limit: usize) -> Term {
    match table().take_changes(limit) {
        Changes::Everything => atoms::everything().encode(env),
        Changes::Listed(changes) => {
            changes.iter().map(|change| change_term(env, change)).collect::<Vec<_>>().encode(env)
        }
    }
}

fn change_term<'a>(env: Env<'a>, DomainChange { domain, host_type, kind }: &DomainChange) -> Term<'a> {
    let kind = match kind {
        ChangeKind::Added => atoms::added(),
        ChangeKind::Removed => atoms::removed(),
    };
    (kind, result_number(*host_type), binary(env, domain)).encode(env)
}
