//! The process for which a follower works.
//!
//! The thread requests a permit before each change to the table, and waits for it. So an owner that is
//! suspended or busy holds the table still, and the end of its owner ends the thread.

use crate::inbox::Ticket;
use crate::repairs::Repairs;
use crate::report::Report;

/// What a follower's thread needs of the process that started it. In the Erlang VM that is
/// `service_domain_db`.
pub trait Owner: Send {
    /// Requests a permit to change the table.
    fn request_permit(&mut self) -> Permit;

    /// Hands over reports for the log.
    fn report(&mut self, reports: Vec<Report>);

    /// Responds to [`Follower::sync`](crate::Follower::sync), [`Follower::find`](crate::Follower::find) and
    /// [`Follower::converge`](crate::Follower::converge). An error says why nothing came of the request.
    fn respond(&mut self, ticket: Ticket, result: Result<Response, String>);

    /// The thread has ended and holds nothing any more. This is the last call.
    fn ended(&mut self, how: Ended);
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The table shows what was committed before the request.
    Synced,
    /// The table is current, but the log that is followed does not have the event of the request.
    Missing,
    /// The table was compared with the database; these are the repairs.
    Converged(Repairs),
}

/// The result of a request for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// The thread may change the table.
    Granted,
    /// [`Follower::grant`](crate::Follower::grant) will grant it.
    Requested,
    /// There is no owner any more.
    Gone,
}

/// How a follower's thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped, or its owner was gone.
    Stopped,
    /// It panicked, with this message.
    Panicked(String),
}
