//! Polls the node for changes, once for all clients that watch.
//!
//! While a client watches, one task asks the node twice a second; each client takes from its last answer the changes
//! that it has not sent yet. Event ids are assigned before transactions commit, so a change can appear with an id below
//! the highest one seen. The task therefore reads the newest thousand ids again each time, and a subscription skips
//! those that it has sent. A subscription that is further behind than that asks the node itself until it has caught up.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::model::Change;
use crate::node::Node;
use crate::refusal::Refusal;

/// How often the node is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Changes in an answer, and ids that are read again.
const WINDOW: u16 = 1_000;

/// The changes after an event: all of them, or the first [`WINDOW`].
#[derive(Debug, PartialEq, Eq)]
struct Recent {
    after: i64,
    changes: Vec<Change>,
}

/// `None` before the first answer. A refusal ends the polling.
type Polled = Option<Result<Arc<Recent>, Refusal>>;

/// The polling task, while a client watches.
#[derive(Default)]
pub struct ChangePoller(Mutex<Weak<PollingTask>>);

struct PollingTask {
    polled: watch::Receiver<Polled>,
    task: AbortHandle,
}

impl Drop for PollingTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ChangePoller {
    /// The task that runs, or else a new one.
    fn task(&self, node: &Node) -> Arc<PollingTask> {
        let mut current = self.0.lock();
        // The channel of a task that was refused is closed.
        if let Some(task) = current.upgrade().filter(|task| task.polled.has_changed().is_ok()) {
            return task;
        }
        let (publish, polled) = watch::channel(None);
        let handle = tokio::spawn(poll(node.clone(), publish)).abort_handle();
        let task = Arc::new(PollingTask { polled, task: handle });
        *current = Arc::downgrade(&task);
        task
    }
}

async fn poll(node: Node, publish: watch::Sender<Polled>) {
    if let Err(refusal) = poll_until_refused(&node, &publish).await {
        publish.send_replace(Some(Err(refusal)));
    }
}

async fn poll_until_refused(node: &Node, publish: &watch::Sender<Polled>) -> Result<(), Refusal> {
    let mut after = node.changes(None, 1).await?.last().map_or(0, |newest| newest.id);
    loop {
        let changes = node.changes(Some(after), WINDOW).await?;
        let next = next_start(after, &changes);
        let recent = Recent { after, changes };
        publish.send_if_modified(|published| {
            let is_new = !matches!(published, Some(Ok(before)) if **before == recent);
            if is_new {
                *published = Some(Ok(Arc::new(recent)));
            }
            is_new
        });
        match next {
            Some(next) => after = next,
            None => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// Where the next window starts, if this one is full: at its middle. A late id is unlikely in the older half; the newer
/// half is read again.
fn next_start(after: i64, changes: &[Change]) -> Option<i64> {
    (changes.len() == usize::from(WINDOW)).then(|| changes.get(changes.len() / 2).map_or(after, |middle| middle.id))
}

/// The changes for one client.
pub struct Subscription {
    node: Node,
    /// Keeps the task running.
    _task: Arc<PollingTask>,
    polled: watch::Receiver<Polled>,
    /// All changes up to this event are done with.
    after: i64,
    /// The ids after it that were sent.
    sent: BTreeSet<i64>,
}

impl Subscription {
    /// Starts after this event; without one, with the next change.
    pub async fn begin(poller: &ChangePoller, node: &Node, after: Option<i64>) -> Result<Subscription, Refusal> {
        let task = poller.task(node);
        let polled = task.polled.clone();
        let mut subscription =
            Subscription { node: node.clone(), _task: task, polled, after: 0, sent: BTreeSet::new() };
        let recent = subscription.recent().await?;
        subscription.after = after.unwrap_or_else(|| recent.changes.last().map_or(recent.after, |newest| newest.id));
        subscription.polled.mark_changed();
        Ok(subscription)
    }

    /// The changes that were not sent yet, as soon as there are some.
    pub async fn changes(&mut self) -> Result<Vec<Change>, Refusal> {
        loop {
            self.polled.changed().await.map_err(|_| Refusal::gone())?;
            let changes = self.unsent().await?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    /// The last answer that the task got.
    async fn recent(&mut self) -> Result<Arc<Recent>, Refusal> {
        let polled = self.polled.wait_for(Option::is_some).await.map_err(|_| Refusal::gone())?;
        polled.clone().unwrap_or_else(|| Err(Refusal::gone()))
    }

    async fn unsent(&mut self) -> Result<Vec<Change>, Refusal> {
        let recent = self.recent().await?;
        let newest = self.sent.last().copied().unwrap_or(self.after);
        if recent.after <= newest {
            let after = self.after;
            let new = recent.changes.iter().filter(|change| change.id > after && self.sent.insert(change.id));
            let new = new.cloned().collect();
            self.advance(recent.after);
            return Ok(new);
        }
        // There are changes between the last one that was sent and the task's window.
        let mut changes = self.node.changes(Some(self.after), WINDOW).await?;
        let next = next_start(self.after, &changes).unwrap_or(recent.after);
        changes.retain(|change| self.sent.insert(change.id));
        self.advance(next);
        // Look again: there may be more, here or in the window.
        self.polled.mark_changed();
        Ok(changes)
    }

    /// Forgets what lies at or before this event.
    fn advance(&mut self, event: i64) {
        if event > self.after {
            self.after = event;
            self.sent = self.sent.split_off(&(event + 1));
        }
    }
}
