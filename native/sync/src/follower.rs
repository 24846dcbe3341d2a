//! The thread that follows the database, and the handle by which other threads reach it.
//!
//! The thread connects, makes a pass, waits, and makes the next one. After a failure it waits before it connects again,
//! longer each time. It reports once that the database is away and once that it is back, and leaves the table as it is
//! meanwhile. No statement and no wait delays its end. Its state outlives it in the [`FollowerLock`], so that a successor
//! goes on from there.

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
use crate::gate::Force;
use crate::halt::Halt;
use crate::inbox::{Inbox, Request, Ticket};
use crate::options::Options;
use crate::outbox::{Outbox, Shared};
use crate::owner::{Ended, Owner};
use crate::pass::Pass;
use crate::report::Report;
use crate::state::FollowerLock;
use crate::status::{State, Status};
use crate::synchronizer::Synchronizer;

/// A handle to a follower's thread. The thread runs until [`Follower::stop`]; to drop the handle does not end it.
#[derive(Clone)]
pub struct Follower(Arc<Shared>);

impl Follower {
    /// Starts a thread that keeps `table` equal to `database`, and publishes in `followed` where that is.
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
                if let Some(mut state) = lock.acquire(&signal) {
                    outbox.shared.followed.follower_started(signal.clone());
                    let parts = Synchronizer::new(&mut outbox, &mut state, &table, &options, Instant::now());
                    Thread { parts, database: &database, backoff: Backoff::new(), is_away: false }.run();
                }
            }));
            outbox.shared.followed.follower_stopped(&outbox.shared.signal);
            outbox.flush();
            outbox.status(|status| status.enter(State::Ended));
            outbox.take_requests();
            outbox.respond_error("the follower has ended");
            outbox.owner.ended(how.map_or_else(|panic| Ended::Panicked(message(&*panic)), |()| Ended::Stopped));
        })?;
        Ok(follower)
    }

    /// Makes the thread look at the database now. Several calls before it does are one.
    pub fn check(&self) {
        self.0.signal.wake();
    }

    /// Makes the thread look at the database now. It responds when the table shows all that was committed before this
    /// call, or when that has failed.
    pub fn sync(&self, ticket: Ticket) {
        self.request(ticket, Request::Sync);
    }

    /// The same. The response says whether the log that is followed has this event.
    pub fn find(&self, ticket: Ticket, event: EventId) {
        self.request(ticket, Request::Find(event));
    }

    /// Makes the thread compare the whole table with the database now, and repair it. It responds with the repairs.
    pub fn converge(&self, ticket: Ticket, force: Force) {
        self.request(ticket, Request::Converge(force));
    }

    fn request(&self, ticket: Ticket, request: Request) {
        self.0.inbox.add(ticket, request);
        self.0.signal.wake();
    }

    /// Grants the permit that the thread has requested of its owner.
    pub fn grant(&self) {
        self.0.inbox.grant();
    }

    /// Ends the thread soon. Its owner is informed when it has ended.
    pub fn stop(&self) {
        self.0.signal.stop();
        self.0.inbox.wake();
    }

    /// What the thread is doing.
    pub fn status(&self) -> Status {
        self.0.status.lock().clone()
    }
}

/// The follower's thread.
struct Thread<'a> {
    parts: Synchronizer<'a>,
    database: &'a Database,
    backoff: Backoff,
    is_away: bool,
}

impl Thread<'_> {
    /// Follows the database until the thread is stopped.
    fn run(mut self) {
        let database = self.database.description();
        self.parts.warm_start(&database);
        loop {
            match self.follow() {
                Halt::Stop => break,
                Halt::Reconnect => continue,
                Halt::Away(error) => self.went_away(&error.to_string()),
            }
            if self.outbox().is_stopped() {
                break;
            }
        }
        self.parts.save_at_stop(&database);
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.parts.context.outbox
    }

    /// Connects and keeps the table current. Returns only to say why it does not any more.
    fn follow(&mut self) -> Halt {
        match self.try_to_follow() {
            Err(halt) => halt,
            Ok(never) => match never {},
        }
    }

    fn try_to_follow(&mut self) -> Result<Infallible, Halt> {
        let host_types = self.parts.context.table.host_types().clone();
        let signal = self.outbox().shared.signal.clone();
        let mut store: Box<dyn Store> = self.database.connect(host_types, signal)?;
        let database = self.database.description();
        self.outbox().status(|status| status.database.clone_from(&database));
        self.parts.connected(&mut *store)?;
        loop {
            self.outbox().take_requests();
            let repairs = Pass::new(&mut self.parts, &mut *store, Instant::now()).run()?;
            self.parts.save(&database, Instant::now());
            self.backoff.reset();
            if std::mem::take(&mut self.is_away) {
                self.outbox().report(Report::Back);
            }
            self.outbox().flush();
            let found = self.parts.find_requested(&mut *store)?;
            self.outbox().respond(&found, repairs.as_ref());
            store.wait(self.parts.idle_time(Instant::now()))?;
            if self.outbox().is_stopped() {
                return Err(Halt::Stop);
            }
            if self.outbox().shared.followed.take_reconnect_request() {
                return Err(Halt::Reconnect);
            }
        }
    }

    /// The database has failed: reports it, and waits before the next attempt.
    fn went_away(&mut self, error: &str) {
        self.parts.context.add_to_totals(|totals| totals.failures += 1);
        self.outbox().status(|status| {
            status.enter(State::Away);
            status.last_error = Some((error.to_owned(), SystemTime::now()));
        });
        if !std::mem::replace(&mut self.is_away, true) {
            self.outbox().report(Report::Away { error: error.to_owned() });
        }
        self.outbox().flush();
        let pause = self.backoff.next_pause();
        self.pause(pause, error);
    }

    /// Waits, and responds to requests with the error. A writer that has just connected to the database ends the wait.
    fn pause(&mut self, time: Duration, error: &str) {
        let end = Instant::now() + time;
        let outbox = self.outbox();
        loop {
            outbox.take_requests();
            outbox.respond_error(error);
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
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
