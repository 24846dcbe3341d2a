//! What changed of late, asked of the node once for all who watch.
//!
//! A reader asks while anybody watches, every half second, and each who watches takes from its last answer what he was
//! not told yet. Ids are handed out before transactions commit, so a change can come with an id below the last one: the
//! newest thousand ids are therefore looked at again each time, and those that were told are left out. Who is further
//! behind than that asks for himself until he is not.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::node::Node;
use crate::request::{Change, Refusal};

/// How often it is looked for changes.
const LOOK: Duration = Duration::from_millis(500);

/// Changes a look, and ids that are looked at again.
const MANY: u16 = 1_000;

/// All there is behind an event, if it is not too much, or the beginning of it.
#[derive(Debug, PartialEq, Eq)]
struct Recent {
    behind: i64,
    changes: Vec<Change>,
}

/// Nothing before the first look; a refusal ends it.
type Looked = Option<Result<Arc<Recent>, Refusal>>;

/// The reader, while anybody watches.
#[derive(Default)]
pub struct Feed(Mutex<Weak<Reader>>);

struct Reader {
    looked: watch::Receiver<Looked>,
    task: AbortHandle,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// The reader that there is, or else a new one.
    fn reader(&self, node: &Node) -> Arc<Reader> {
        let mut current = self.0.lock();
        // One whose look was refused has ended.
        if let Some(reader) = current.upgrade().filter(|reader| reader.looked.has_changed().is_ok()) {
            return reader;
        }
        let (tell, looked) = watch::channel(None);
        let task = tokio::spawn(read(node.clone(), tell)).abort_handle();
        let reader = Arc::new(Reader { looked, task });
        *current = Arc::downgrade(&reader);
        reader
    }
}

async fn read(node: Node, tell: watch::Sender<Looked>) {
    if let Err(refusal) = read_on(&node, &tell).await {
        tell.send_replace(Some(Err(refusal)));
    }
}

async fn read_on(node: &Node, tell: &watch::Sender<Looked>) -> Result<(), Refusal> {
    let mut behind = node.changes(None, 1).await?.last().map_or(0, |newest| newest.id);
    loop {
        let changes = node.changes(Some(behind), MANY).await?;
        let next = next(behind, &changes);
        let recent = Recent { behind, changes };
        tell.send_if_modified(|told| {
            let new = !matches!(told, Some(Ok(before)) if **before == recent);
            if new {
                *told = Some(Ok(Arc::new(recent)));
            }
            new
        });
        match next {
            Some(next) => behind = next,
            None => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Behind which event to look next, where a look was full: the half that is older will hardly see a late one; the other
/// half stays to be looked at again.
fn next(behind: i64, changes: &[Change]) -> Option<i64> {
    (changes.len() == usize::from(MANY)).then(|| changes.get(changes.len() / 2).map_or(behind, |middle| middle.id))
}

/// Somebody who watches.
pub struct Watch {
    node: Node,
    /// Reads for as long as somebody has it.
    _reader: Arc<Reader>,
    looked: watch::Receiver<Looked>,
    /// The event behind which to look.
    behind: i64,
    /// Those behind it that were told.
    told: BTreeSet<i64>,
}

impl Watch {
    /// From what comes behind this event on, or from what comes next.
    pub async fn begin(feed: &Feed, node: &Node, after: Option<i64>) -> Result<Watch, Refusal> {
        let reader = feed.reader(node);
        let looked = reader.looked.clone();
        let mut watch = Watch { node: node.clone(), _reader: reader, looked, behind: 0, told: BTreeSet::new() };
        let recent = watch.recent().await?;
        watch.behind = after.unwrap_or_else(|| recent.changes.last().map_or(recent.behind, |newest| newest.id));
        watch.looked.mark_changed();
        Ok(watch)
    }

    /// What was not told yet, as soon as there is some.
    pub async fn changes(&mut self) -> Result<Vec<Change>, Refusal> {
        loop {
            self.looked.changed().await.map_err(|_| Refusal::gone())?;
            let changes = self.untold().await?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    /// The last answer of the reader.
    async fn recent(&mut self) -> Result<Arc<Recent>, Refusal> {
        let looked = self.looked.wait_for(Option::is_some).await.map_err(|_| Refusal::gone())?;
        looked.clone().unwrap_or_else(|| Err(Refusal::gone()))
    }

    async fn untold(&mut self) -> Result<Vec<Change>, Refusal> {
        let recent = self.recent().await?;
        let newest = self.told.last().copied().unwrap_or(self.behind);
        if recent.behind <= newest {
            let behind = self.behind;
            let new = recent.changes.iter().filter(|change| change.id > behind && self.told.insert(change.id));
            let new = new.cloned().collect();
            self.pass(recent.behind);
            return Ok(new);
        }
        // There is something between what he was told and what the reader looks at.
        let mut changes = self.node.changes(Some(self.behind), MANY).await?;
        let next = next(self.behind, &changes).unwrap_or(recent.behind);
        changes.retain(|change| self.told.insert(change.id));
        self.pass(next);
        // There may be more, or it may be with the reader.
        self.looked.mark_changed();
        Ok(changes)
    }

    /// Looks no more at what lies before this event.
    fn pass(&mut self, event: i64) {
        if event > self.behind {
            self.behind = event;
            self.told = self.told.split_off(&(event + 1));
        }
    }
}
