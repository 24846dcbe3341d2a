//! The options of the workers.

use std::time::Duration;

use crate::Iterations;

/// The options of the workers.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of workers. Each uses one connection while it works.
    pub workers: u32,
    /// The length of the queue.
    pub queue: usize,
    /// The cost of a stored password.
    pub iterations: Iterations,
    /// The name under which this node owns jobs of removal. Unique to a node and to each of its starts.
    pub owner: String,
    /// The lease of a job.
    pub lease: Duration,
}
