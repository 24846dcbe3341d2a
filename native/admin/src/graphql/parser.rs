//! Parsing documents where no document can end the program or hold up others.
//!
//! The GraphQL library's parser calls itself for each bracket, and a program whose stack overflows is ended. What a bracket
//! is, only the parser itself can tell: any other reading of strings and comments would be one more grammar, which an attacker
//! looks for the differences of. So all opening brackets of a text are counted, wherever they are, and the parser has a
//! stack that holds as many calls: on a thread of its own, since it takes some seconds for a megabyte. What was
//! parsed is looked at afterwards, by [`Document`].
//!
//! Who has not said who he is shares nothing with who has: a thread, a queue, and how long a document may be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::document::{Document, too_complex};
use super::fault::{Code, Fault};
use super::permissions::Role;

/// Opening brackets of a text, those in strings and comments included.
const BRACKETS: usize = 4_096;

/// Stack of a thread that parses: 32 KiB for each bracket, which the tests show to be enough for as many brackets as there
/// may be. The system provides memory for it when it is used.
const STACK: usize = BRACKETS * 32 * 1024;

/// Documents that wait for a thread.
const WAITING: usize = 64;

/// Who a document is from, as far as parsing it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody who said nothing of himself.
    Stranger,
    /// Somebody whose password was right, or anybody where the door asks for none.
    Known,
}

impl Asker {
    /// Who has this role.
    pub fn of(role: &Role) -> Asker {
        match role {
            Role::Nobody => Asker::Stranger,
            Role::Admin | Role::DomainAdmin(_) => Asker::Known,
        }
    }

    /// How long a document may be, in bytes. What editors ask to know the schema has two thousand.
    fn length(self) -> usize {
        match self {
            Asker::Stranger => 8 * 1024,
            Asker::Known => 256 * 1024,
        }
    }

    fn queue(self) -> &'static Queue {
        static STRANGERS: LazyLock<Queue> = LazyLock::new(|| Queue::new("graphql strangers"));
        static KNOWN: LazyLock<Queue> = LazyLock::new(|| Queue::new("graphql parser"));
        match self {
            Asker::Stranger => &STRANGERS,
            Asker::Known => &KNOWN,
        }
    }
}

/// Parses a text; `asked` is the operation's name in the request.
pub async fn parse(asker: Asker, text: &str, asked: Option<String>) -> Result<Document, Fault> {
    let too_long = text.len() > asker.length();
    if too_long || text.bytes().filter(|byte| b"([{".contains(byte)).count() > BRACKETS {
        return Err(too_complex());
    }
    let (sender, answer) = oneshot::channel();
    asker.queue().put(Job { text: text.to_owned(), asked, answer: sender })?;
    answer.await.unwrap_or_else(|_| Err(Fault::internal()))
}

struct Job {
    text: String,
    asked: Option<String>,
    answer: oneshot::Sender<Result<Document, Fault>>,
}

struct Queue(SyncSender<Job>);

impl Queue {
    /// With a thread that lives as long as the program.
    fn new(name: &str) -> Queue {
        let (sender, jobs) = sync_channel::<Job>(WAITING);
        let work = move || {
            for job in jobs {
                // For whom nobody waits any more, nothing is done.
                if !job.answer.is_closed() {
                    let parsed = catch_unwind(AssertUnwindSafe(|| Document::parse(&job.text, job.asked)));
                    // Where it panicked, the answer is dropped, which tells who waits for it.
                    if let Ok(parsed) = parsed {
                        _ = job.answer.send(parsed);
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
        if let Err(error) = thread {
            tracing::error!(what = "graphql_parser_not_started", reason = %error);
        }
        Queue(sender)
    }

    fn put(&self, job: Job) -> Result<(), Fault> {
        self.0.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Fault::new(Code::Busy, "Too many documents wait to be parsed: try again"),
            TrySendError::Disconnected(_) => Fault::internal(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(asker: Asker, text: &str) -> Option<Code> {
        parse(asker, text, None).await.err().map(|fault| fault.code())
    }

    /// Brackets of each kind, as deep as a text may have them: the parser's stack has to hold them.
    #[tokio::test]
    async fn a_document_of_any_depth_is_answered() {
        let begins = [
            "{a(b: ",
            "{a @b(c: ",
            "query($v: ",
            "query($v: Int = ",
            "{",
            "{a(b: \"\"\"\\\"\"\"\" \"\"\", c: ",
            "{a(b: \"\\\\\", c: ",
            "{a # \"\n(b: ",
            "{a(b: \"\"\"\\\"\"\"\"\"\"\"\"\", c: ",
            "",
            "{a(b: \"\"\"",
        ];
        for begin in begins {
            for (open, close) in [("[", "]"), ("{c: ", "}"), ("a{", "}"), ("...{", "}"), ("(", ")"), ("{", "}")] {
                for depth in [100, 2_000, BRACKETS - 3] {
                    for text in [
                        format!("{begin}{}1{})}}", open.repeat(depth), close.repeat(depth)),
                        format!("{begin}{}", open.repeat(depth)),
                    ] {
                        // A document that is refused for its depth, its syntax, or an operation that it has not.
                        assert!(refused(Asker::Known, &text).await.is_some(), "{begin}{open}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn more_brackets_than_the_stack_holds_are_not_parsed() {
        for open in ["[", "{a", "(", "\"[", "# ("] {
            let text = format!("{{a(b: {}", open.repeat(BRACKETS));
            assert_eq!(refused(Asker::Known, &text).await, Some(Code::QueryTooComplex));
        }
    }

    #[tokio::test]
    async fn a_stranger_may_ask_for_less() {
        let text = format!("{{{}}}", "a ".repeat(5_000));
        assert_eq!(refused(Asker::Known, &text).await, None);
        assert_eq!(refused(Asker::Stranger, &text).await, Some(Code::QueryTooComplex));
        assert_eq!(refused(Asker::Known, &"a ".repeat(200_000)).await, Some(Code::QueryTooComplex));
    }
}
