//! What the follower's thread sends: reports and responses to its owner, and its status to all that look.

use std::collections::HashSet;
use std::sync::Arc;

use domain_core::EventId;
use domain_store::{FollowedDatabase, Signal};
use parking_lot::Mutex;

use crate::gate::Force;
use crate::halt::Halt;
use crate::inbox::{Inbox, Request, Ticket};
use crate::owner::{Owner, Permit, Response};
use crate::repairs::Repairs;
use crate::report::Report;
use crate::status::Status;
use crate::warnings::Warnings;

/// What the thread shares with the holders of its handle.
pub(crate) struct Shared {
    pub(crate) signal: Arc<Signal>,
    pub(crate) inbox: Inbox,
    /// Publishes to the writers which database is followed.
    pub(crate) followed: Arc<FollowedDatabase>,
    pub(crate) status: Mutex<Status>,
}

pub(crate) struct Outbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: Box<dyn Owner>,
    pub(crate) warnings: Warnings,
    reports: Vec<Report>,
    /// The requests to which there was no response yet.
    requests: Vec<(Ticket, Request)>,
}

impl Outbox {
    pub(crate) fn new(shared: Arc<Shared>, owner: Box<dyn Owner>) -> Outbox {
        Outbox { shared, owner, warnings: Warnings::default(), reports: Vec::new(), requests: Vec::new() }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.signal.is_stopped()
    }

    pub(crate) fn status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.shared.status.lock());
    }

    /// Requests a permit to change the table, and waits for it.
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

    /// Sends all reports and warnings to the owner, as one message.
    pub(crate) fn flush(&mut self) {
        let mut reports = std::mem::take(&mut self.reports);
        reports.extend(self.warnings.take());
        if !reports.is_empty() {
            self.owner.report(reports);
        }
    }

    /// Takes on the requests that came since the last call.
    pub(crate) fn take_requests(&mut self) {
        self.requests.extend(self.shared.inbox.take());
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether a comparison was requested, and whether one of the requests forces it.
    pub(crate) fn requested_comparison(&self) -> Option<Force> {
        let forces = self.requests.iter().filter_map(|(_, request)| match request {
            Request::Sync | Request::Find(_) => None,
            Request::Converge(force) => Some(*force),
        });
        forces.reduce(|one, other| if one == Force::Yes { one } else { other })
    }

    /// The events that callers wait for.
    pub(crate) fn requested_events(&self) -> Vec<EventId> {
        let event = |(_, request): &(Ticket, Request)| match request {
            Request::Find(event) => Some(*event),
            Request::Sync | Request::Converge(_) => None,
        };
        self.requests.iter().filter_map(event).collect()
    }

    /// Responds to all requests after a pass that succeeded: it found these events, and made these repairs if it was a
    /// comparison.
    pub(crate) fn respond(&mut self, found: &HashSet<EventId>, repairs: Option<&Repairs>) {
        for (ticket, request) in std::mem::take(&mut self.requests) {
            let response = match (request, repairs) {
                (Request::Sync, _) => Ok(Response::Synced),
                (Request::Find(event), _) if found.contains(&event) => Ok(Response::Synced),
                (Request::Find(_), _) => Ok(Response::Missing),
                (Request::Converge(_), Some(repairs)) => Ok(Response::Converged(repairs.clone())),
                (Request::Converge(_), None) => Err("the table is closed".to_owned()),
            };
            self.owner.respond(ticket, response);
        }
    }

    /// Responds to all requests with an error.
    pub(crate) fn respond_error(&mut self, error: &str) {
        for (ticket, _) in std::mem::take(&mut self.requests) {
            self.owner.respond(ticket, Err(error.to_owned()));
        }
    }
}
