//! Batches on their way to the server, two at a time: the server adds one while the other is sent or its answers are read.
//!
//! Their verdicts are taken in the order of the file. A name that occurs in two batches belongs to the first one, so the
//! second one is sent when the first has its verdicts.

use std::collections::{HashSet, VecDeque};
use std::thread::{Scope, ScopedJoinHandle};

use super::record::{Content, Pair, Record};
use super::sender::{Sender, Verdict};
use crate::error::{Error, Result};

/// The most batches without verdicts.
const MAX_UNDER_WAY: usize = 2;

/// Sends batches, each from a thread of its own.
pub struct Pipeline<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    sender: &'env Sender,
    under_way: VecDeque<UnderWay<'scope>>,
}

/// A batch, and the verdicts on the domains in it, in order.
pub struct Answered {
    /// The records, of which some may have no domain.
    pub batch: Vec<Record>,
    /// A verdict for each domain.
    pub verdicts: Vec<Verdict>,
}

struct UnderWay<'scope> {
    names: HashSet<String>,
    thread: ScopedJoinHandle<'scope, Result<Answered>>,
}

impl<'scope, 'env> Pipeline<'scope, 'env> {
    /// An empty pipeline, whose threads end with the scope.
    pub fn new(scope: &'scope Scope<'scope, 'env>, sender: &'env Sender) -> Pipeline<'scope, 'env> {
        Pipeline { scope, sender, under_way: VecDeque::new() }
    }

    /// Whether this batch may be sent now. Otherwise the first one has to be finished before.
    pub fn takes(&self, batch: &[Record]) -> bool {
        let is_free = |pair: &Pair| self.under_way.iter().all(|earlier| !earlier.names.contains(&pair.domain));
        self.under_way.len() < MAX_UNDER_WAY && pairs(batch).all(is_free)
    }

    /// Sends a batch.
    pub fn send(&mut self, batch: Vec<Record>) {
        let names = pairs(&batch).map(|pair| pair.domain.clone()).collect();
        let sender = self.sender;
        let thread = self.scope.spawn(move || {
            let verdicts = sender.send(&pairs(&batch).collect::<Vec<_>>())?;
            Ok(Answered { batch, verdicts })
        });
        self.under_way.push_back(UnderWay { names, thread });
    }

    /// Waits for the verdicts on the first batch. Nothing if no batch is under way.
    pub fn finish_first(&mut self) -> Option<Result<Answered>> {
        let UnderWay { thread, .. } = self.under_way.pop_front()?;
        Some(thread.join().unwrap_or_else(|_| Err(Error::Failed("a batch could not be sent".to_owned()))))
    }
}

/// The domains of these records.
fn pairs(batch: &[Record]) -> impl Iterator<Item = &Pair> {
    batch.iter().filter_map(|record| match &record.content {
        Content::Pair(pair) => Some(pair),
        _ => None,
    })
}
