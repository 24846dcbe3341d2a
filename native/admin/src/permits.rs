//! How many requests of each class the node handles at the same time.
//!
//! Each class has its own permits, so that no class waits for another one. Without that, a health check would wait
//! behind changes that wait for a database that hangs, and an orchestrator would kill a healthy node.
//!
//! | class | requests | permits |
//! |---|---|---:|
//! | `Node` | need nothing but the node | 64 |
//! | `Edge` | look many names up in the node's table | 1 |
//! | `Metrics` | `/metrics`, which waits briefly for the database | 4 |
//! | `Database` | wait for the database, within `operation_timeout` | 128 |
//! | `Removals` | wait until a domain is removed, which may take an hour | as many as connections |
//! | `Passwords` | hash a password, which uses a processor by design | 2 |
//!
//! A request that gets no permit within [`ACQUIRE_TIMEOUT`] is refused; the client may try again.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::peer::CONNECTIONS;

/// How long a request waits for a permit.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestClass {
    /// Nothing but the node.
    Node,
    /// The node's table, for many names at once.
    Edge,
    /// The database, but only briefly.
    Metrics,
    /// The database.
    Database,
    /// The end of a removal.
    Removals,
    /// The hashing of a password.
    Passwords,
}

/// The permits of each class.
pub struct Permits {
    node: Semaphore,
    edge: Semaphore,
    metrics: Semaphore,
    database: Semaphore,
    removals: Semaphore,
    passwords: Semaphore,
}

impl Default for Permits {
    fn default() -> Permits {
        let [node, edge, metrics, database, removals, passwords] = [64, 1, 4, 128, CONNECTIONS, 2].map(Semaphore::new);
        Permits { node, edge, metrics, database, removals, passwords }
    }
}

impl Permits {
    /// A permit, which is returned when it is dropped; `None` where none becomes free in time.
    pub async fn acquire(&self, class: RequestClass) -> Option<SemaphorePermit<'_>> {
        let permits = match class {
            RequestClass::Node => &self.node,
            RequestClass::Edge => &self.edge,
            RequestClass::Metrics => &self.metrics,
            RequestClass::Database => &self.database,
            RequestClass::Removals => &self.removals,
            RequestClass::Passwords => &self.passwords,
        };
        // The semaphores are never closed, so the inner result is never an error.
        tokio::time::timeout(ACQUIRE_TIMEOUT, permits.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_class_without_free_permits_delays_no_other_class() {
        let permits = Permits::default();
        let mut taken = Vec::new();
        for _ in 0..128 {
            taken.push(permits.acquire(RequestClass::Database).await);
        }
        assert!(taken.iter().all(Option::is_some));
        let begin = Instant::now();
        assert!(permits.acquire(RequestClass::Database).await.is_none());
        assert!(begin.elapsed() >= ACQUIRE_TIMEOUT);
        let begin = Instant::now();
        for class in [
            RequestClass::Node,
            RequestClass::Edge,
            RequestClass::Metrics,
            RequestClass::Removals,
            RequestClass::Passwords,
        ] {
            assert!(permits.acquire(class).await.is_some(), "{class:?}");
        }
        assert!(begin.elapsed().is_zero());
        taken.pop();
        assert!(permits.acquire(RequestClass::Database).await.is_some());
    }
}
