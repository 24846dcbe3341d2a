//! Looks at the node's table for who is in a hurry: which host type serves a name?
//!
//! Names that are asked about while the node answers are asked about together, in the next frame: one frame at a time is
//! under way, however many ask. So a flood of such questions makes the frames longer and not more, takes no turn of those
//! that wait for a database, and waits for none of these. So many may wait, and no more.

use std::time::Duration;

use domain_core::DomainName;
use tokio::sync::{mpsc, oneshot};

use crate::node::Node;
use crate::request::Served;

/// Names in a frame, at most: the node looks at them in some hundred microseconds.
const TOGETHER: usize = 256;

/// Names that wait to be asked about.
const WAITING: usize = 4_096;

/// How long the node may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks about names.
pub struct Looks(mpsc::Sender<Look>);

/// A name, and who waits for the answer.
struct Look {
    name: DomainName,
    tell: oneshot::Sender<Served>,
}

impl Looks {
    /// Those that this node answers.
    pub fn new(node: Node) -> Looks {
        let (ask, asked) = mpsc::channel(WAITING);
        tokio::spawn(ask_together(node, asked));
        Looks(ask)
    }

    /// Who serves the name; nothing where too many ask, or where the node does not answer in time.
    pub async fn look(&self, name: DomainName) -> Option<Served> {
        let (tell, told) = oneshot::channel();
        self.0.try_send(Look { name, tell }).ok()?;
        tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
    }
}

async fn ask_together(node: Node, mut asked: mpsc::Receiver<Look>) {
    let mut looks = Vec::with_capacity(TOGETHER);
    while asked.recv_many(&mut looks, TOGETHER).await > 0 {
        let waited_for = looks.drain(..).filter(|look| !look.tell.is_closed());
        let (names, tells): (Vec<_>, Vec<_>) = waited_for.map(|Look { name, tell }| (name, tell)).unzip();
        // Who is told nothing has no answer: why is in the log.
        for (tell, served) in tells.into_iter().zip(node.serving(&names).await.unwrap_or_default()) {
            // Who asked may have gone this moment.
            let _ = tell.send(served);
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

    /// What the node is asked next; what it is to forget is passed over.
    async fn asked(frames: &mut Receiver<Term>) -> (u64, Value) {
        loop {
            let frame = frames.recv().await.as_ref().and_then(to_value).expect("a frame of data");
            if frame[0] == "ask" {
                return (frame[1].as_u64().expect("an id"), frame[2].clone());
            }
        }
    }

    /// Answers that each name is served by a host type of its own, until nobody asks any more: how many names were in
    /// each frame.
    async fn answer_all(node: &Node, frames: &mut Receiver<Term>) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Ok((id, request)) = tokio::time::timeout(PATIENCE / 2, asked(frames)).await {
            let names = request[1].as_array().expect("names");
            let served = names.iter().map(|name| json!({ "host_type": name }));
            node.answered(id, Ok(served.collect()));
            lengths.push(names.len());
        }
        lengths
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_meanwhile_ask_together_and_each_gets_the_own_answer() {
        let (frames, mut written) = node::frames();
        let node = Node::new(frames);
        let looks = Looks::new(node.clone());
        let all = join_all((0..1_000).map(|number| looks.look(name(number))));
        let (answers, lengths) = join(all, answer_all(&node, &mut written)).await;
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer, Some(Served::HostType(format!("{number}.example"))));
        }
        assert!(lengths.len() <= 5, "{lengths:?}");
        assert!(lengths.iter().all(|&length| length <= TOGETHER), "{lengths:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_takes_no_turn_of_others_and_waits_for_none() {
        let (frames, mut written) = node::frames();
        let node = Node::new(frames);
        let looks = Looks::new(node.clone());
        // More than may be asked at the same time, and no answer.
        let others = join_all((0..200).map(|_| node.ask(Request::Statics)));
        let hanging = async {
            let mut statics = 0;
            while let Ok((_, request)) = tokio::time::timeout(PATIENCE / 4, asked(&mut written)).await {
                assert_eq!(request, "statics");
                statics += 1;
            }
            let (answers, lengths) =
                join(join_all((0..500).map(|number| looks.look(name(number)))), answer_all(&node, &mut written)).await;
            assert!(answers.iter().all(Option::is_some) && lengths.len() <= 3, "{lengths:?}");
            statics
        };
        let statics = tokio::select! {
            _ = others => panic!("nobody answered them"),
            statics = hanging => statics,
        };
        // And those that were given up left their turns.
        assert!(statics < 200, "{statics}");
        let flood = join_all((0..500).map(|number| looks.look(name(number))));
        let other = async {
            assert_eq!(asked(&mut written).await.1[0], "serving");
            join(node.ask(Request::Statics), async {
                let (id, request) = asked(&mut written).await;
                assert_eq!(request, "statics", "the flood has one frame under way");
                node.answered(id, Ok(Value::Null));
            })
            .await
            .0
        };
        let (flooded, other) = join(flood, other).await;
        assert_eq!(other, Ok(Value::Null));
        assert!(flooded.iter().all(Option::is_none), "nobody answered them");
    }

    #[tokio::test(start_paused = true)]
    async fn one_more_than_may_wait_is_refused_at_once() {
        let (frames, _written) = node::frames();
        let looks = &Looks::new(Node::new(frames));
        let begin = tokio::time::Instant::now();
        let many = (0..WAITING + 2 * TOGETHER).map(|number| async move {
            let answer = looks.look(name(number % 100)).await;
            (answer, begin.elapsed())
        });
        let answers = join_all(many).await;
        assert!(answers.iter().all(|(answer, _)| answer.is_none()));
        assert!(answers.iter().any(|(_, took)| took.is_zero()), "some are refused");
        assert!(answers.iter().all(|(_, took)| *took <= PATIENCE + Duration::from_millis(10)), "the others in time");
    }
}
