//! What other threads request of the follower's thread.

use domain_core::EventId;
use domain_store::Signal;
use parking_lot::{Condvar, Mutex};

use crate::gate::Force;

/// Identifies a caller that waits for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// That the table shows what was committed before.
    Sync,
    /// The same, and whether the log that is followed has this event.
    Find(EventId),
    /// That the table was compared with the database.
    Converge(Force),
}

/// Requests and permits that the thread has not taken yet.
#[derive(Default)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    is_granted: bool,
    requests: Vec<(Ticket, Request)>,
}

impl Inbox {
    /// Grants the permit that the thread has requested.
    pub(crate) fn grant(&self) {
        self.content.lock().is_granted = true;
        self.changed.notify_all();
    }

    /// Ends a wait for a permit if the thread was stopped.
    pub(crate) fn wake(&self) {
        // The lock is held so that a thread between its check of the signal and its sleep is woken, too.
        let _content = self.content.lock();
        self.changed.notify_all();
    }

    pub(crate) fn add(&self, ticket: Ticket, request: Request) {
        self.content.lock().requests.push((ticket, request));
    }

    /// Takes the requests that came since the last call.
    pub(crate) fn take(&self) -> Vec<(Ticket, Request)> {
        std::mem::take(&mut self.content.lock().requests)
    }

    /// Sleeps until the permit is granted, then returns true; or until the signal says stop, then false.
    pub(crate) fn await_grant(&self, signal: &Signal) -> bool {
        let mut content = self.content.lock();
        while !content.is_granted && !signal.is_stopped() {
            self.changed.wait(&mut content);
        }
        std::mem::take(&mut content.is_granted)
    }
}
