//! Where the thread deals with others: its owner, those who wait for an answer, those who ask how it is.

use std::collections::HashSet;
use std::sync::Arc;

use domain_core::EventId;
use domain_store::{FollowedDatabase, Signal, StoreError};
use parking_lot::Mutex;

use crate::inbox::{Ask, Inbox};
use crate::warnings::Warnings;
use crate::{Force, Owner, Permit, Repairs, Report, Response, Status, Ticket};

/// What the thread and the holders of its handle share.
pub(crate) struct Shared {
    pub(crate) signal: Arc<Signal>,
    pub(crate) inbox: Inbox,
    /// Where those who change the database learn which one is followed.
    pub(crate) followed: Arc<FollowedDatabase>,
    pub(crate) status: Mutex<Status>,
}

pub(crate) struct Outbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: Box<dyn Owner>,
    pub(crate) warnings: Warnings,
    reports: Vec<Report>,
    tickets: Vec<(Ticket, Ask)>,
}

/// Why the thread cannot go on as it was.
pub(crate) enum Halt {
    /// It was told to stop, or its owner is gone.
    Stop,
    /// The database failed.
    Away(StoreError),
    /// Who changes the database found it elsewhere: a new connection is needed.
    Reconnect,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped => Halt::Stop,
            error => Halt::Away(error),
        }
    }
}

impl Outbox {
    pub(crate) fn new(shared: Arc<Shared>, owner: Box<dyn Owner>) -> Outbox {
        Outbox { shared, owner, warnings: Warnings::default(), reports: Vec::new(), tickets: Vec::new() }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.signal.is_stopped()
    }

    /// Asks the owner for leave to change the table, and waits for it.
    pub(crate) fn await_permit(&mut self) -> Result<(), Halt> {
        match self.owner.request_permit() {
            Permit::Granted => Ok(()),
            Permit::Requested if self.shared.inbox.await_grant(&self.shared.signal) => Ok(()),
            Permit::Requested | Permit::Gone => Err(Halt::Stop),
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Tells the owner what there is to say, in one go.
    pub(crate) fn flush(&mut self) {
        let mut reports = std::mem::take(&mut self.reports);
        reports.extend(self.warnings.take());
        if !reports.is_empty() {
            self.owner.report(reports);
        }
    }

    /// Takes on what was asked since the last call.
    pub(crate) fn take_tickets(&mut self) {
        self.tickets.extend(self.shared.inbox.take_tickets());
    }

    /// Whether somebody waits who wants to see all that was committed.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Whether somebody waits for a comparison, and of which kind.
    pub(crate) fn asked_to_converge(&self) -> Option<Force> {
        let asked = self.tickets.iter().filter_map(|(_, ask)| match ask {
            Ask::Sync | Ask::Find(_) => None,
            Ask::Converge(force) => Some(*force),
        });
        asked.reduce(|one, other| if one == Force::Yes { one } else { other })
    }

    /// The events that callers wait for.
    pub(crate) fn awaited_events(&self) -> Vec<EventId> {
        let event = |(_, ask): &(Ticket, Ask)| match ask {
            Ask::Find(event) => Some(*event),
            Ask::Sync | Ask::Converge(_) => None,
        };
        self.tickets.iter().filter_map(event).collect()
    }

    /// Answers all who wait: this pass ended well, found these of their events, and perhaps was a comparison.
    pub(crate) fn answer(&mut self, found: &HashSet<EventId>, repairs: Option<&Repairs>) {
        for (ticket, ask) in std::mem::take(&mut self.tickets) {
            let answer = match (ask, repairs) {
                (Ask::Sync, _) => Ok(Response::Synced),
                (Ask::Find(event), _) if found.contains(&event) => Ok(Response::Synced),
                (Ask::Find(_), _) => Ok(Response::Missing),
                (Ask::Converge(_), Some(repairs)) => Ok(Response::Converged(repairs.clone())),
                (Ask::Converge(_), None) => Err("the table is closed".to_owned()),
            };
            self.owner.respond(ticket, answer);
        }
    }

    /// Answers all who wait: nothing came of it.
    pub(crate) fn refuse(&mut self, error: &str) {
        for (ticket, _) in std::mem::take(&mut self.tickets) {
            self.owner.respond(ticket, Err(error.to_owned()));
        }
    }

    pub(crate) fn status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.shared.status.lock());
    }
}
