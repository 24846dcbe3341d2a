//! The threads, which take requests from the queue.
//!
//! The queue is bounded: if it is full, a request is refused at once. Additions that wait travel together, and so do
//! changes of statuses, and deletions: one statement, one transaction, one notification, and a result for each caller. A worker that
//! panics returns an error for the request and takes the next one. [`Workers::stop`] aborts what the workers do, and every
//! queued request fails.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use domain_core::Table;
use domain_store::{Database, FollowedDatabase, Signal};

use crate::company::{self, Company, Outcome};
use crate::executor::Executor;
use crate::pool::Pool;
use crate::queue::{IsAwaited, Overloaded, Queue, Reply, Task};
use crate::{Completed, OperationError, Options, Request};

/// A handle to the workers. After it is dropped, they end when the queue is empty.
pub struct Workers {
    queue: Arc<Queue>,
    signal: Arc<Signal>,
    executor: Arc<Executor>,
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
        let queue = Arc::new(Queue::new(options.queue));
        let workers = options.workers;
        let pool = Pool::new(database, signal.clone(), followed, workers);
        let executor = Arc::new(Executor::new(pool, table, options));
        // Dropping it ends the threads that were started, also if another one cannot be.
        let handle = Workers { queue, signal, executor };
        for _ in 0..workers {
            let Workers { queue, signal, executor } = &handle;
            let (queue, signal, executor) = (queue.clone(), signal.clone(), executor.clone());
            thread::Builder::new().name("domain_worker".to_owned()).spawn(move || run(&executor, &queue, &signal))?;
        }
        Ok(handle)
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
        self.queue.push(task)
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

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn run(executor: &Executor, queue: &Queue, signal: &Signal) {
    while let Some(tasks) = queue.take() {
        let (requests, due): (Vec<_>, Vec<_>) = tasks.into_iter().filter_map(|task| begin(task, signal)).unzip();
        let until = due.iter().map(|due| due.until).min();
        let (Some(company), Some(until)) = (Company::join(requests), until) else { continue };
        match together(executor, &company, until) {
            Together::Done(outcomes) => outcomes.into_iter().zip(due).for_each(|(outcome, due)| (due.reply)(outcome)),
            Together::Apart => {
                for (request, Due { until, reply }) in company.part().into_iter().zip(due) {
                    reply(guarded(|| executor.run(&request, until)));
                }
            }
        }
    }
}

/// What became of requests that travelled together.
enum Together {
    /// The result of each.
    Done(Vec<Outcome>),
    /// Nothing was changed, because of one of them. Each is to be tried alone.
    Apart,
}

fn together(executor: &Executor, company: &Company, until: Instant) -> Together {
    match company {
        Company::One(request) => Together::Done(vec![guarded(|| executor.run(request, until))]),
        Company::Additions(domains, counts) => {
            let mut visible = HashSet::new();
            match guarded(|| executor.insert(domains, until, &mut visible)) {
                // Of many rows, one that others write may be one too many.
                Err(OperationError::Contended { .. }) => Together::Apart,
                outcome => {
                    let outcome = outcome.map(|response| Completed { response, visible });
                    Together::Done(company::of_additions(outcome, counts))
                }
            }
        }
        Company::Statuses(changes) => {
            let mut visible = HashSet::new();
            let outcomes = guarded(|| executor.set_statuses(changes, until, &mut visible));
            of_one_each(outcomes.map(|outcomes| company::of_statuses(outcomes, &visible)), changes.len())
        }
        Company::Deletions(domains) => {
            let mut visible = HashSet::new();
            let outcomes = guarded(|| executor.delete(domains, until, &mut visible));
            of_one_each(outcomes.map(|outcomes| company::of_deletions(outcomes, &visible)), domains.len())
        }
    }
}

/// What became of requests about one domain each.
fn of_one_each(outcomes: Result<Vec<Outcome>, OperationError>, callers: usize) -> Together {
    match outcomes {
        Ok(outcomes) => Together::Done(outcomes),
        Err(OperationError::Contended { .. }) => Together::Apart,
        Err(refused) if refused.refusal().is_some() => Together::Apart,
        Err(failure) => Together::Done(company::of_all(&failure, callers)),
    }
}

/// When a result is due, and who gets it.
struct Due {
    until: Instant,
    reply: Reply,
}

/// Answers a task that is not to be carried out.
fn begin(Task { request, until, is_awaited, reply }: Task, signal: &Signal) -> Option<(Request, Due)> {
    let failure = if signal.is_stopped() {
        OperationError::Unavailable("stopped".to_owned())
    } else if !is_awaited() {
        OperationError::Abandoned
    } else if Instant::now() >= until {
        OperationError::Expired
    } else {
        return Some((request, Due { until, reply }));
    };
    reply(Err(failure));
    None
}

/// A panic becomes an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, OperationError>) -> Result<T, OperationError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(OperationError::Panicked(message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
