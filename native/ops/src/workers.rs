//! The queue and the threads behind it.
//!
//! The queue is bounded: one more request is refused at once and costs nobody anything. A worker that
//! panics answers for the request and takes the next one. When the handle is stopped, what a worker
//! does is broken off, and every request that still waits is answered.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use domain_core::Table;
use domain_store::{Database, FollowedDatabase, Signal};
use parking_lot::Mutex;
use thiserror::Error;

use crate::password::Iterations;
use crate::pool::Pool;
use crate::work::Work;
use crate::{OperationError, Request, Response};

/// How the workers work.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many there are, each with a connection of its own while it works.
    pub workers: u32,
    /// How many requests may wait.
    pub queue: usize,
    /// How costly a stored password is.
    pub iterations: Iterations,
    /// Who this node is to others who remove domains: no two nodes have the same, nor two lives of one.
    pub owner: String,
    /// How long a job of removal is this node's without a sign of life.
    pub lease: Duration,
}

/// Who gets the answer; called once, by a worker.
pub type Reply = Box<dyn FnOnce(Result<Response, OperationError>) + Send>;

/// Whether somebody still waits for the answer.
pub type Awaited = Box<dyn Fn() -> bool + Send>;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the queue of operations is full")]
pub struct Overloaded;

/// A handle to the workers. Dropping it lets them end when the queue is empty.
pub struct Workers {
    queue: SyncSender<Task>,
    signal: Arc<Signal>,
    work: Arc<Work>,
}

struct Task {
    request: Request,
    until: Instant,
    awaited: Awaited,
    reply: Reply,
}

impl Workers {
    /// Starts the threads. Connects to nothing yet.
    ///
    /// They change nothing but in the database that is followed according to `followed`.
    pub fn start(
        table: Arc<Table>,
        database: Database,
        followed: Arc<FollowedDatabase>,
        options: Options,
    ) -> std::io::Result<Workers> {
        let signal = Arc::new(Signal::default());
        let (queue, tasks) = sync_channel(options.queue);
        let tasks = Arc::new(Mutex::new(tasks));
        let pool = Pool::new(database, signal.clone(), followed, options.workers);
        let work = Arc::new(Work { pool, table, options });
        for _ in 0..work.options.workers {
            let (work, tasks, signal) = (work.clone(), tasks.clone(), signal.clone());
            thread::Builder::new().name("domain_worker".to_owned()).spawn(move || run(&work, &tasks, &signal))?;
        }
        Ok(Workers { queue, signal, work })
    }

    /// Asks for something that is to be answered in `limit`. It is not done where nobody waits for the answer any more
    /// when a worker takes it up: who gave up may have asked again, or elsewhere.
    pub fn submit(&self, request: Request, limit: Duration, awaited: Awaited, reply: Reply) -> Result<(), Overloaded> {
        let task = Task { request, until: Instant::now() + limit, awaited, reply };
        self.queue.try_send(task).map_err(|refused| match refused {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
        })
    }

    /// Has the workers and the follower connect anew. Returns at once.
    pub fn reconnect(&self) {
        self.work.pool.reconnect();
    }

    /// Breaks off what the workers do; they answer what is left and end when the handle is gone.
    pub fn stop(&self) {
        self.signal.stop();
    }
}

fn run(work: &Work, tasks: &Mutex<Receiver<Task>>, signal: &Signal) {
    loop {
        // The lock is held while waiting: the others wait for it instead.
        let task = tasks.lock().recv();
        let Ok(Task { request, until, awaited, reply }) = task else { return };
        let result = if signal.is_stopped() {
            Err(OperationError::Unavailable("told to stop".to_owned()))
        } else if !awaited() {
            Err(OperationError::Abandoned)
        } else {
            catch_unwind(AssertUnwindSafe(|| work.run(&request, until)))
                .unwrap_or_else(|panic| Err(OperationError::Panicked(message(&*panic))))
        };
        reply(result);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
