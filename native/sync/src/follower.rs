//! The thread that follows the database, and the handle by which others reach it.
//!
//! It connects, makes a pass, waits, and makes the next one; after a failure it rests a little
//! longer each time, says once that the database is away and once that it is back, and leaves the
//! table as it is meanwhile. It ends when it is told to or when its owner is gone, wherever it is:
//! no statement and no wait holds it. What it knows of its progress is the table's, so the next
//! thread goes on where this one was.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use domain_core::{Epoch, Table};
use domain_store::{Database, Signal, Store, StoreError};
use parking_lot::{Mutex, MutexGuard};

use crate::backoff::Backoff;
use crate::complaints::Complaints;
use crate::inbox::Inbox;
use crate::{Ended, Leave, Owner, Report, State, Status, Ticket};

/// A place beside the table for one follower at a time: the next one sits down when the last one
/// has gone.
#[derive(Clone, Default)]
pub struct Seat(Arc<Mutex<()>>);

/// How often one who waits for the seat looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(20);

impl Seat {
    /// Sits down when the last one has gone; never, when told to stop before.
    fn take(&self, signal: &Signal) -> Option<MutexGuard<'_, ()>> {
        while !signal.is_stopped() {
            let seated = self.0.try_lock_for(LOOK);
            if seated.is_some() {
                return seated;
            }
        }
        None
    }
}

/// A handle to a follower's thread. Dropping it lets the thread run on; [`Follower::stop`] ends it.
#[derive(Clone)]
pub struct Follower(Arc<Shared>);

struct Shared {
    signal: Arc<Signal>,
    inbox: Inbox,
    status: Mutex<Status>,
}

impl Follower {
    /// Starts a thread that keeps `table` equal to `database`, looking at least every
    /// `poll_interval`.
    pub fn start(
        table: Arc<Table>,
        seat: Seat,
        database: Database,
        poll_interval: Duration,
        owner: Box<dyn Owner>,
    ) -> std::io::Result<Follower> {
        let status = Mutex::new(Status::new(database.description()));
        let follower = Follower(Arc::new(Shared { signal: Arc::default(), inbox: Inbox::default(), status }));
        let mut work = Work {
            shared: follower.0.clone(),
            table,
            database,
            poll_interval,
            owner,
            epoch: None,
            complaints: Complaints::default(),
            reports: Vec::new(),
            tickets: Vec::new(),
        };
        thread::Builder::new().name("domain_follower".to_owned()).spawn(move || {
            let how = catch_unwind(AssertUnwindSafe(|| {
                if let Some(_seated) = seat.take(&work.shared.signal) {
                    work.run();
                }
            }));
            work.shared.status.lock().enter(State::Ended);
            work.answer(Err("the follower has ended".to_owned()));
            work.owner.ended(how.map_or_else(|panic| Ended::Panicked(message(&*panic)), |()| Ended::Stopped));
        })?;
        Ok(follower)
    }

    /// Lets the thread look at the database now. Several calls before it does count as one.
    pub fn check(&self) {
        self.0.signal.wake();
    }

    /// Lets the thread look at the database now and answer when the table shows all that was
    /// committed before this call, or when that failed.
    pub fn sync(&self, ticket: Ticket) {
        self.0.inbox.add_ticket(ticket);
        self.0.signal.wake();
    }

    /// Grants the leave that the thread asked its owner for.
    pub fn proceed(&self) {
        self.0.inbox.grant();
    }

    /// Ends the thread soon; its owner hears of it.
    pub fn stop(&self) {
        self.0.signal.stop();
        self.0.inbox.nudge();
    }

    /// What the thread is doing.
    pub fn status(&self) -> Status {
        self.0.status.lock().clone()
    }
}

/// What the thread works with.
pub(crate) struct Work {
    shared: Arc<Shared>,
    pub(crate) table: Arc<Table>,
    database: Database,
    poll_interval: Duration,
    owner: Box<dyn Owner>,
    /// The table's when it was last looked at.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) complaints: Complaints,
    reports: Vec<Report>,
    tickets: Vec<Ticket>,
}

/// Why the thread cannot go on as it was.
pub(crate) enum Halt {
    /// It was told to stop, or its owner is gone.
    Stop,
    /// The database failed.
    Away(StoreError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped => Halt::Stop,
            error => Halt::Away(error),
        }
    }
}

impl Work {
    fn run(&mut self) {
        let mut backoff = Backoff::new();
        let mut away = false;
        while let Err(Halt::Away(error)) = self.follow(&mut backoff, &mut away) {
            let error = error.to_string();
            self.status(|status| {
                status.enter(State::Away);
                status.last_error = Some((error.clone(), SystemTime::now()));
            });
            if !std::mem::replace(&mut away, true) {
                self.report(Report::Away { error: error.clone() });
            }
            self.flush();
            self.rest(backoff.rest(), &error);
            if self.shared.signal.is_stopped() {
                return;
            }
        }
    }

    /// Connects and keeps the table current; returns only to say why it cannot.
    fn follow(&mut self, backoff: &mut Backoff, away: &mut bool) -> Result<(), Halt> {
        let mut store = self.connect()?;
        loop {
            self.tickets.extend(self.shared.inbox.take_tickets());
            self.pass(&mut *store)?;
            backoff.reset();
            if std::mem::take(away) {
                self.report(Report::Back);
            }
            self.flush();
            self.answer(Ok(()));
            // Up to a fifth earlier, so that nodes that started together spread out.
            store.wait(self.poll_interval.mul_f64(0.8 + fastrand::f64() / 5.0))?;
            if self.shared.signal.is_stopped() {
                return Err(Halt::Stop);
            }
        }
    }

    fn connect(&mut self) -> Result<Box<dyn Store>, Halt> {
        Ok(self.database.connect(self.table.host_types().clone(), self.shared.signal.clone())?)
    }

    /// Rests after a failure. Who wants to know whether the table is current hears of it at once.
    fn rest(&mut self, time: Duration, error: &str) {
        let end = Instant::now() + time;
        loop {
            self.tickets.extend(self.shared.inbox.take_tickets());
            self.answer(Err(error.to_owned()));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.signal.is_stopped() || self.shared.signal.wait(left).is_err() {
                return;
            }
        }
    }

    /// Asks the owner for leave to change the table, and waits for it.
    pub(crate) fn leave(&mut self) -> Result<(), Halt> {
        match self.owner.ask() {
            Leave::Granted => Ok(()),
            Leave::Asked if self.shared.inbox.await_leave(&self.shared.signal) => Ok(()),
            Leave::Asked | Leave::Gone => Err(Halt::Stop),
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// Tells the owner what there is to say, in one go.
    fn flush(&mut self) {
        let mut reports = std::mem::take(&mut self.reports);
        reports.extend(self.complaints.take());
        if !reports.is_empty() {
            self.owner.tell(reports);
        }
    }

    fn answer(&mut self, result: Result<(), String>) {
        for ticket in std::mem::take(&mut self.tickets) {
            self.owner.answer(ticket, result.clone());
        }
    }

    pub(crate) fn status(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.shared.status.lock());
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
