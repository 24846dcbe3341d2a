//! Lookups in the node's table, many in one request.
//!
//! While the node answers a request, further names wait; they go together into the next request. One request is under
//! way at a time. So a flood of lookups makes requests longer and not more, uses no permit of requests that need the
//! database, and waits for none of those. The queue is bounded.

use std::time::Duration;

use domain_core::DomainName;
use tokio::sync::{mpsc, oneshot};

use crate::model::Served;
use crate::node::Node;

/// The most names in a request: the node looks them up in some hundred microseconds.
const BATCH: usize = 256;

/// The most names that wait.
const MAX_WAITING: usize = 4_096;

/// How long a lookup may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Looks names up in batches.
pub struct LookupBatcher(mpsc::Sender<Lookup>);

/// A name, and where its answer goes.
struct Lookup {
    name: DomainName,
    answer: oneshot::Sender<Served>,
}

impl LookupBatcher {
    /// A batcher for this node.
    pub fn new(node: Node) -> LookupBatcher {
        let (sender, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(ask_in_batches(node, waiting));
        LookupBatcher(sender)
    }

    /// The host type of a name; `None` where the queue is full, or where the node does not answer in time.
    pub async fn lookup(&self, name: DomainName) -> Option<Served> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Lookup { name, answer }).ok()?;
        tokio::time::timeout(TIMEOUT, answered).await.ok()?.ok()
    }
}

async fn ask_in_batches(node: Node, mut waiting: mpsc::Receiver<Lookup>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let wanted = batch.drain(..).filter(|lookup| !lookup.answer.is_closed());
        let (names, answers): (Vec<_>, Vec<_>) = wanted.map(|Lookup { name, answer }| (name, answer)).unzip();
        // If the node refuses, the answers are dropped, and each lookup returns `None`.
        for (answer, served) in answers.into_iter().zip(node.serving(&names).await.unwrap_or_default()) {
            // It fails where the lookup has just timed out.
            let _ = answer.send(served);
        }
    }
}

#[cfg(test)]
mod tests {
    use eetf::Term;
    use futures_util::future::{join, join_all};
    use serde_json::{Value, json};
    use tokio::sync::mpsc::Receiver;

    use super::*;
    use crate::node;
    use crate::request::Request;
    use crate::term::to_value;

    fn name(number: usize) -> DomainName {
        DomainName::new(&format!("{number}.example")).expect("the name is valid")
    }

    /// The next request; cancellations are skipped.
    async fn next_request(frames: &mut Receiver<Term>) -> (u64, Value) {
        loop {
            let frame = frames.recv().await.as_ref().and_then(to_value).expect("a frame of data");
            if frame[0] == "ask" {
                return (frame[1].as_u64().expect("an id"), frame[2].clone());
            }
        }
    }

    /// Answers with a host type of its own for each name, until no request comes any more; returns the number of names
    /// in each request.
    async fn answer_all(node: &Node, frames: &mut Receiver<Term>) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Ok((id, request)) = tokio::time::timeout(TIMEOUT / 2, next_request(frames)).await {
            let names = request[1].as_array().expect("names");
            let served = names.iter().map(|name| json!({ "host_type": name }));
            node.deliver(id, Ok(served.collect()));
            lengths.push(names.len());
        }
        lengths
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_that_wait_go_together_and_each_gets_its_own_answer() {
        let (frames, mut written) = node::frames();
        let node = Node::new(frames);
        let lookups = LookupBatcher::new(node.clone());
        let all = join_all((0..1_000).map(|number| lookups.lookup(name(number))));
        let (answers, lengths) = join(all, answer_all(&node, &mut written)).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer, Some(Served::HostType(format!("{number}.example"))));
        }
        assert!(lengths.len() <= 5, "{lengths:?}");
        assert!(lengths.iter().all(|&length| length <= BATCH), "{lengths:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_uses_no_permits_of_other_requests_and_waits_for_none() {
        let (frames, mut written) = node::frames();
        let node = Node::new(frames);
        let lookups = LookupBatcher::new(node.clone());
        // More than there are permits, and no answer.
        let others = join_all((0..200).map(|_| node.ask(Request::Statics)));
        let hanging = async {
            let mut statics = 0;
            while let Ok((_, request)) = tokio::time::timeout(TIMEOUT / 4, next_request(&mut written)).await {
                assert_eq!(request, "statics");
                statics += 1;
            }
            let (answers, lengths) =
                join(join_all((0..500).map(|number| lookups.lookup(name(number)))), answer_all(&node, &mut written))
                    .await;
            assert!(answers.iter().all(Option::is_some) && lengths.len() <= 3, "{lengths:?}");
            statics
        };
        let statics = tokio::select! {
            _ = others => panic!("they are not answered"),
            statics = hanging => statics,
        };
        // And those that timed out returned their permits.
        assert!(statics < 200, "{statics}");
        let flood = join_all((0..500).map(|number| lookups.lookup(name(number))));
        let other = async {
            assert_eq!(next_request(&mut written).await.1[0], "serving");
            join(node.ask(Request::Statics), async {
                let (id, request) = next_request(&mut written).await;
                assert_eq!(request, "statics", "the flood has one request under way");
                node.deliver(id, Ok(Value::Null));
            })
            .await
            .0
        };
        let (flooded, other) = join(flood, other).await;
        assert_eq!(other, Ok(Value::Null));
        assert!(flooded.iter().all(Option::is_none), "they are not answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_is_refused_at_once_when_the_queue_is_full() {
        let (frames, _written) = node::frames();
        let lookups = &LookupBatcher::new(Node::new(frames));
        let begin = tokio::time::Instant::now();
        let many = (0..MAX_WAITING + 2 * BATCH).map(|number| async move {
            let answer = lookups.lookup(name(number % 100)).await;
            (answer, begin.elapsed())
        });
        let answers = join_all(many).await;
        assert!(answers.iter().all(|(answer, _)| answer.is_none()));
        assert!(answers.iter().any(|(_, took)| took.is_zero()), "some are refused");
        assert!(answers.iter().all(|(_, took)| *took <= TIMEOUT + Duration::from_millis(10)), "the others in time");
    }
}
