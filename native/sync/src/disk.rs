//! Work on a disk, which may hang: it is done on threads of its own.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// The longest time that a follower waits for the disk.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Does the work on a thread of its own, and calls `done` when the result can be received.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    done: impl FnOnce() + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new().name("domain_snapshot".to_owned()).spawn(move || {
        // It fails only if the receiver has given up.
        let _ = sender.send(work());
        done();
    })?;
    Ok(receiver)
}

/// Does the work on a thread of its own, and waits for it as long as [`PATIENCE`].
pub(crate) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    await_result(&spawn(work, || ())?)
}

pub(crate) fn await_result<T>(receiver: &Receiver<T>) -> io::Result<T> {
    receiver.recv_timeout(PATIENCE).map_err(|reason| match reason {
        RecvTimeoutError::Timeout => {
            io::Error::new(ErrorKind::TimedOut, format!("the disk did not answer in {PATIENCE:?}"))
        }
        RecvTimeoutError::Disconnected => panicked(),
    })
}

/// The error when the thread ended without a result.
pub(crate) fn panicked() -> io::Error {
    io::Error::other("writing it panicked")
}
