//! The bounded queue, from which a worker takes one request, or several that travel together.
//!
//! Adding a thousand domains in one statement takes hardly longer than adding one. So a worker that takes an addition takes
//! along other additions that wait at that moment ([`Task::joins`]). It waits for none: a caller alone is never delayed.
//! Everything else keeps its order, and nothing overtakes an earlier request about the same domain.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use domain_core::DomainName;
use parking_lot::{Condvar, Mutex};
use thiserror::Error;

use crate::{Completed, OperationError, Request};

/// Called once with the result, by a worker.
pub type Reply = Box<dyn FnOnce(Result<Completed, OperationError>) + Send>;

/// Whether the caller still waits for the result.
pub type IsAwaited = Box<dyn Fn() -> bool + Send>;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the queue of operations is full")]
pub struct Overloaded;

/// The most domains that travel together, as many as a batch of the API has.
const MAX_TOGETHER: usize = 1000;

/// A request that waits, and its caller.
pub(crate) struct Task {
    pub(crate) request: Request,
    pub(crate) until: Instant,
    pub(crate) is_awaited: IsAwaited,
    pub(crate) reply: Reply,
}

/// The tasks that wait.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    end: End,
}

/// Whether more tasks may come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Closed,
}

impl Queue {
    /// A queue for this number of tasks.
    pub(crate) fn new(limit: usize) -> Queue {
        Queue { waiting: Mutex::default(), arrived: Condvar::new(), limit }
    }

    /// Adds a task, unless the queue is full.
    pub(crate) fn push(&self, task: Task) -> Result<(), Overloaded> {
        let mut waiting = self.waiting.lock();
        if waiting.tasks.len() >= self.limit {
            return Err(Overloaded);
        }
        waiting.tasks.push_back(task);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// No more tasks come. Those that wait are taken all the same.
    pub(crate) fn close(&self) {
        self.waiting.lock().end = End::Closed;
        self.arrived.notify_all();
    }

    /// Waits for a task, and takes it with those that travel along, in the order of their arrival. Nothing once the queue is
    /// closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Task>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(first) = waiting.tasks.pop_front() {
                return Some(with_companions(first, &mut waiting.tasks));
            }
            if waiting.end == End::Closed {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
    }
}

/// Takes the tasks that travel along with the first one.
fn with_companions(first: Task, tasks: &mut VecDeque<Task>) -> Vec<Task> {
    if !first.request.travels_in_company() || tasks.is_empty() {
        return vec![first];
    }
    let now = Instant::now();
    // The domains of the tasks that are taken, and of those that are left, which later ones must not overtake.
    let mut named: HashSet<DomainName> = first.request.domains().cloned().collect();
    let mut room = MAX_TOGETHER.saturating_sub(named.len());
    let (mut taken, mut left) = (vec![first], VecDeque::with_capacity(tasks.len()));
    for task in tasks.drain(..) {
        let count = task.request.domains().count();
        let is_free = task.request.domains().all(|domain| !named.contains(domain));
        named.extend(task.request.domains().cloned());
        if is_free && count <= room && task.joins(&taken[0], now) {
            room -= count;
            taken.push(task);
        } else {
            left.push_back(task);
        }
    }
    *tasks = left;
    taken
}

impl Task {
    /// Whether this task may travel with an earlier one and end by that one's time, which must be neither later nor much
    /// earlier than its own: more than half of the time that it has left.
    fn joins(&self, first: &Task, now: Instant) -> bool {
        let (own, firsts) = (self.until.saturating_duration_since(now), first.until.saturating_duration_since(now));
        self.request.travels_with(&first.request) && firsts <= own && own <= firsts * 2
    }
}
