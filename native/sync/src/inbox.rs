//! What others ask of the thread, wherever it is just then.

use domain_core::EventId;
use domain_store::Signal;
use parking_lot::{Condvar, Mutex};

use crate::Force;

/// Stands for one caller who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The table shows what was committed before.
    Sync,
    /// The same, and whether this event is in the log that is followed.
    Find(EventId),
    /// The table was compared with the database.
    Converge(Force),
}

#[derive(Default)]
pub(crate) struct Inbox {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    leave: bool,
    tickets: Vec<(Ticket, Ask)>,
}

impl Inbox {
    /// Grants the leave that the thread asked for.
    pub(crate) fn grant(&self) {
        self.asked.lock().leave = true;
        self.changed.notify_all();
    }

    /// Lets the thread look whether it was stopped.
    pub(crate) fn nudge(&self) {
        // Under the lock, so that a thread between its look and its sleep is not missed.
        let _asked = self.asked.lock();
        self.changed.notify_all();
    }

    pub(crate) fn add_ticket(&self, ticket: Ticket, ask: Ask) {
        self.asked.lock().tickets.push((ticket, ask));
    }

    /// The tickets that came since the last call.
    pub(crate) fn take_tickets(&self) -> Vec<(Ticket, Ask)> {
        std::mem::take(&mut self.asked.lock().tickets)
    }

    /// Sleeps until leave is granted: true, or the signal says stop: false.
    pub(crate) fn await_grant(&self, signal: &Signal) -> bool {
        let mut asked = self.asked.lock();
        while !asked.leave && !signal.is_stopped() {
            self.changed.wait(&mut asked);
        }
        std::mem::take(&mut asked.leave)
    }
}
