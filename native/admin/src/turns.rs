//! Whose turn it is to ask the node: so many questions of a kind at a time, so that no kind waits for another one.
//!
//! Whether the node lives, and what it is doing, it says without its database; were such a question to wait behind
//! changes that wait for a database that hangs, a healthy node would be killed. So each kind has a *room* with turns of
//! its own:
//!
//! | room | questions | turns |
//! |---|---|---:|
//! | `Node` | what the node knows by itself | 64 |
//! | `Edge` | what the edge asks, many names at a time | 1 |
//! | `Measures` | `/metrics`, which waits for the database for a moment | 4 |
//! | `Database` | everything that waits for the database, within `operation_timeout` | 128 |
//! | `Removals` | who waits until all of a domain is gone, which may take an hour | as many as connections |
//! | `Passwords` | what costs a processor's time by design: hashing | 2 |
//!
//! Who gets no turn within some seconds is refused, and may ask again.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::peer::CONNECTIONS;

/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A kind of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Needs nothing but the node.
    Node,
    /// Looks at the table for many at once.
    Edge,
    /// Waits for the database, but never for long.
    Measures,
    /// Waits for the database.
    Database,
    /// Waits for the end of a removal.
    Removals,
    /// Hashes a password.
    Passwords,
}

/// The turns of each room.
pub struct Turns {
    node: Semaphore,
    edge: Semaphore,
    measures: Semaphore,
    database: Semaphore,
    removals: Semaphore,
    passwords: Semaphore,
}

impl Default for Turns {
    fn default() -> Turns {
        let [node, edge, measures, database, removals, passwords] = [64, 1, 4, 128, CONNECTIONS, 2].map(Semaphore::new);
        Turns { node, edge, measures, database, removals, passwords }
    }
}

impl Turns {
    /// A turn in this room, which ends when it is dropped; nothing where none comes in time.
    pub async fn take(&self, room: Room) -> Option<SemaphorePermit<'_>> {
        let turns = match room {
            Room::Node => &self.node,
            Room::Edge => &self.edge,
            Room::Measures => &self.measures,
            Room::Database => &self.database,
            Room::Removals => &self.removals,
            Room::Passwords => &self.passwords,
        };
        // They are never closed.
        tokio::time::timeout(PATIENCE, turns.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_room_that_is_full_is_in_nobodys_way_but_its_own() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..128 {
            taken.push(turns.take(Room::Database).await);
        }
        assert!(taken.iter().all(Option::is_some));
        let begin = Instant::now();
        assert!(turns.take(Room::Database).await.is_none());
        assert!(begin.elapsed() >= PATIENCE);
        let begin = Instant::now();
        for room in [Room::Node, Room::Edge, Room::Measures, Room::Removals, Room::Passwords] {
            assert!(turns.take(room).await.is_some(), "{room:?}");
        }
        assert!(begin.elapsed().is_zero());
        taken.pop();
        assert!(turns.take(Room::Database).await.is_some());
    }
}
