//! The queue and its threads.
//!
//! The queue is bounded: if it is full, a request is refused at once. A worker that panics returns an error for the request
//! and takes the next one. [`Workers::stop`] aborts what the workers do, and every queued request fails.

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

use crate::executor::Executor;
use crate::pool::Pool;
use crate::{OperationError, Options, Request, Response};

/// Called once with the result, by a worker.
pub type Reply = Box<dyn FnOnce(Result<Response, OperationError>) + Send>;

/// Whether the caller still waits for the result.
pub type IsAwaited = Box<dyn Fn() -> bool + Send>;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the queue of operations is full")]
pub struct Overloaded;

/// A handle to the workers. After it is dropped, they end when the queue is empty.
pub struct Workers {
    queue: SyncSender<Task>,
    signal: Arc<Signal>,
    executor: Arc<Executor>,
}

struct Task {
    request: Request,
    until: Instant,
    is_awaited: IsAwaited,
    reply: Reply,
}

impl Workers {
    /// Starts the threads. Does not connect yet.
    ///
    /// They make changes only in the database that the follower is connected to, which `followed` tells.
    pub fn start(
        table: Arc<Table>,
        database: Database,
        followed: Arc<FollowedDatabase>,
        options: Options,
    ) -> std::io::Result<Workers> {
        let signal = Arc::new(Signal::default());
        let (queue, tasks) = sync_channel(options.queue);
        let tasks = Arc::new(Mutex::new(tasks));
        let workers = options.workers;
        let pool = Pool::new(database, signal.clone(), followed, workers);
        let executor = Arc::new(Executor::new(pool, table, options));
        for _ in 0..workers {
            let (executor, tasks, signal) = (executor.clone(), tasks.clone(), signal.clone());
            thread::Builder::new().name("domain_worker".to_owned()).spawn(move || run(&executor, &tasks, &signal))?;
        }
        Ok(Workers { queue, signal, executor })
    }

    /// Queues a request, whose result is due within `limit`. A worker does nothing if the caller no longer waits, since
    /// that may have sent the same request again, or to another node.
    pub fn submit(
        &self,
        request: Request,
        limit: Duration,
        is_awaited: IsAwaited,
        reply: Reply,
    ) -> Result<(), Overloaded> {
        let task = Task { request, until: Instant::now() + limit, is_awaited, reply };
        self.queue.try_send(task).map_err(|refused| match refused {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Overloaded,
        })
    }

    /// Has the workers and the follower reconnect. Returns at once.
    pub fn reconnect(&self) {
        self.executor.reconnect();
    }

    /// Aborts what the workers do, and fails queued requests. The workers end when the handle is dropped.
    pub fn stop(&self) {
        self.signal.stop();
    }
}

fn run(executor: &Executor, tasks: &Mutex<Receiver<Task>>, signal: &Signal) {
    loop {
        // Held while waiting for a task: the other workers wait for the lock.
        let task = tasks.lock().recv();
        let Ok(Task { request, until, is_awaited, reply }) = task else { return };
        let result = if signal.is_stopped() {
            Err(OperationError::Unavailable("stopped".to_owned()))
        } else if !is_awaited() {
            Err(OperationError::Abandoned)
        } else {
            catch_unwind(AssertUnwindSafe(|| executor.run(&request, until)))
                .unwrap_or_else(|panic| Err(OperationError::Panicked(message(&*panic))))
        };
        reply(result);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
