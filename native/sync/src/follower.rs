//! The thread that follows the database, and the handle by which others reach it.
//!
//! It connects, makes a pass, waits, and makes the next one; after a failure it rests a little
//! longer each time, says once that the database is away and once that it is back, and leaves the
//! table as it is meanwhile. It ends when it is told to or when its owner is gone, wherever it is:
//! no statement and no wait holds it. What it knows of its progress is kept at its [`FollowerLock`], so the
//! next thread goes on where this one was.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use domain_core::{EventId, Table};
use domain_store::{Database, FollowedDatabase, Store};
use parking_lot::Mutex;

use crate::backoff::Backoff;
use crate::inbox::{Ask, Inbox};
use crate::outbox::{Halt, Outbox, Shared};
use crate::state::FollowerLock;
use crate::work::Work;
use crate::{Ended, Force, Options, Owner, Report, State, Status, Ticket};

/// A handle to a follower's thread. Dropping it lets the thread run on; [`Follower::stop`] ends it.
#[derive(Clone)]
pub struct Follower(Arc<Shared>);

impl Follower {
    /// Starts a thread that keeps `table` equal to `database`, and says in `followed` where that is.
    pub fn start(
        table: Arc<Table>,
        lock: FollowerLock,
        database: Database,
        followed: Arc<FollowedDatabase>,
        options: Options,
        owner: Box<dyn Owner>,
    ) -> std::io::Result<Follower> {
        let status = Mutex::new(Status::new(&database.description()));
        let follower = Follower(Arc::new(Shared { signal: Arc::default(), inbox: Inbox::default(), followed, status }));
        let mut outbox = Outbox::new(follower.0.clone(), owner);
        thread::Builder::new().name("domain_follower".to_owned()).spawn(move || {
            let signal = outbox.shared.signal.clone();
            let how = catch_unwind(AssertUnwindSafe(|| {
                if let Some(mut memory) = lock.take(&signal) {
                    outbox.shared.followed.follower_started(signal.clone());
                    let mut work = Work::new(&mut outbox, &mut memory, &table, &options, Instant::now());
                    work.warm_start(&database.description());
                    run(&mut work, &database);
                    work.save_at_end(&database.description());
                }
            }));
            outbox.shared.followed.follower_stopped(&outbox.shared.signal);
            outbox.flush();
            outbox.status(|status| status.enter(State::Ended));
            outbox.take_tickets();
            outbox.refuse("the follower has ended");
            outbox.owner.ended(how.map_or_else(|panic| Ended::Panicked(message(&*panic)), |()| Ended::Stopped));
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
        self.0.inbox.add_ticket(ticket, Ask::Sync);
        self.0.signal.wake();
    }

    /// The same, and answers whether this event is in the log that is followed.
    pub fn find(&self, ticket: Ticket, event: EventId) {
        self.0.inbox.add_ticket(ticket, Ask::Find(event));
        self.0.signal.wake();
    }

    /// Lets the thread compare the whole table with the database now, repair it, and answer what it
    /// did.
    pub fn converge(&self, ticket: Ticket, force: Force) {
        self.0.inbox.add_ticket(ticket, Ask::Converge(force));
        self.0.signal.wake();
    }

    /// Grants the leave that the thread asked its owner for.
    pub fn grant(&self) {
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

fn run(work: &mut Work<'_>, database: &Database) {
    let mut backoff = Backoff::new();
    let mut away = false;
    loop {
        let error = match follow(work, database, &mut backoff, &mut away) {
            Halt::Stop => return,
            Halt::Reconnect => continue,
            Halt::Away(error) => error.to_string(),
        };
        work.total(|totals| totals.failures += 1);
        work.outbox.status(|status| {
            status.enter(State::Away);
            status.last_error = Some((error.clone(), SystemTime::now()));
        });
        if !std::mem::replace(&mut away, true) {
            work.outbox.report(Report::Away { error: error.clone() });
        }
        work.outbox.flush();
        rest(work.outbox, backoff.rest(), &error);
        if work.outbox.is_stopped() {
            return;
        }
    }
}

/// Connects and keeps the table current; returns only to say why it cannot.
fn follow(work: &mut Work<'_>, database: &Database, backoff: &mut Backoff, away: &mut bool) -> Halt {
    match try_to_follow(work, database, backoff, away) {
        Err(halt) => halt,
        Ok(never) => match never {},
    }
}

fn try_to_follow(
    work: &mut Work<'_>,
    database: &Database,
    backoff: &mut Backoff,
    away: &mut bool,
) -> Result<Infallible, Halt> {
    let host_types = work.table.host_types().clone();
    let mut store: Box<dyn Store> = database.connect(host_types, work.outbox.shared.signal.clone())?;
    work.outbox.status(|status| status.database = database.description());
    work.meet(&mut *store)?;
    loop {
        work.outbox.take_tickets();
        let repairs = work.pass(&mut *store, Instant::now())?;
        work.save(&database.description(), Instant::now());
        backoff.reset();
        if std::mem::take(away) {
            work.outbox.report(Report::Back);
        }
        work.outbox.flush();
        let found = work.find_awaited(&mut *store)?;
        work.outbox.answer(&found, repairs.as_ref());
        store.wait(work.idle_time(Instant::now()))?;
        if work.outbox.is_stopped() {
            return Err(Halt::Stop);
        }
        if work.outbox.shared.followed.take_reconnect_request() {
            return Err(Halt::Reconnect);
        }
    }
}

/// Rests after a failure. Who wants to know whether the table is current hears of it at once, and who has just
/// connected to the database ends the rest.
fn rest(outbox: &mut Outbox, time: Duration, error: &str) {
    let end = Instant::now() + time;
    loop {
        outbox.take_tickets();
        outbox.refuse(error);
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero()
            || outbox.is_stopped()
            || outbox.shared.followed.take_reconnect_request()
            || outbox.shared.signal.wait(left).is_err()
        {
            return;
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
