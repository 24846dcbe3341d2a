//! The process for which a follower works.
//!
//! The thread asks before each change to the table and waits until it may: so an owner that is
//! suspended, or busy, holds the table still, and one that is gone ends the thread.

use crate::{Repairs, Report, Ticket};

/// Who a follower works for; the Erlang VM's side is a process, a test's whatever it likes.
pub trait Owner: Send {
    /// Asks for leave to change the table.
    fn ask(&mut self) -> Leave;

    /// Hands over what there is to say.
    fn tell(&mut self, reports: Vec<Report>);

    /// Answers [`Follower::sync`](crate::Follower::sync) and
    /// [`Follower::converge`](crate::Follower::converge); the text says why nothing came of it.
    fn answer(&mut self, ticket: Ticket, result: Result<Answer, String>);

    /// The thread's last words. It holds nothing any more.
    fn ended(&mut self, how: Ended);
}

/// What a caller waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was committed before the call is in the table.
    Synced,
    /// The table is current, but the event that was asked for is not in the log that is followed.
    Missing,
    /// The table was compared with the database, and this was done to it.
    Converged(Repairs),
}

/// How an owner takes the question for leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The thread may go on.
    Granted,
    /// The answer will come by [`Follower::proceed`](crate::Follower::proceed).
    Asked,
    /// There is no owner any more.
    Gone,
}

/// How a follower's thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to, or its owner was gone.
    Stopped,
    /// It panicked, with this message.
    Panicked(String),
}
