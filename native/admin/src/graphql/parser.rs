//! Parses documents so that no document can end the program or delay other clients.
//!
//! The library's parser recurses for each bracket, and a program whose stack overflows is ended. Only the parser itself
//! can tell which characters are brackets: any other reading of strings and comments would be a second grammar with
//! differences to exploit. So all opening brackets of a text are counted, wherever they stand, and the parser runs on a
//! thread whose stack has room for that many calls. It has a thread of its own because a long document takes seconds.
//! [`Document`] bounds the result.
//!
//! Clients without credentials share nothing with the others: they have a thread, a queue and a limit of length of
//! their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use super::document::{Document, too_complex};
use super::error::{Code, GraphqlError};
use super::permissions::Role;

/// The most opening brackets in a text, including those in strings and comments.
const MAX_BRACKETS: usize = 4_096;

/// The stack of a thread that parses: 32 KiB for each bracket, which the tests show to be enough. The system provides
/// memory for it when it is used.
const STACK: usize = MAX_BRACKETS * 32 * 1024;

/// The most documents that wait for a thread.
const MAX_WAITING: usize = 64;

/// Whether the client of a document is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It has no credentials.
    Anonymous,
    /// It has credentials, or none are configured.
    Known,
}

impl Trust {
    /// The trust of a role.
    pub fn of(role: &Role) -> Trust {
        match role {
            Role::Anonymous => Trust::Anonymous,
            Role::Admin | Role::DomainAdmin(_) => Trust::Known,
        }
    }

    /// The longest document, in bytes. The queries by which editors read the schema have two thousand.
    fn max_length(self) -> usize {
        match self {
            Trust::Anonymous => 8 * 1024,
            Trust::Known => 256 * 1024,
        }
    }

    fn queue(self) -> &'static Queue {
        static ANONYMOUS: LazyLock<Queue> = LazyLock::new(|| Queue::new("graphql anonymous"));
        static KNOWN: LazyLock<Queue> = LazyLock::new(|| Queue::new("graphql parser"));
        match self {
            Trust::Anonymous => &ANONYMOUS,
            Trust::Known => &KNOWN,
        }
    }
}

/// Parses a text.
pub async fn parse(trust: Trust, text: &str, operation_name: Option<String>) -> Result<Document, GraphqlError> {
    let too_long = text.len() > trust.max_length();
    if too_long || text.bytes().filter(|byte| b"([{".contains(byte)).count() > MAX_BRACKETS {
        return Err(too_complex());
    }
    let (sender, result) = oneshot::channel();
    trust.queue().push(Job { text: text.to_owned(), operation_name, result: sender })?;
    result.await.unwrap_or_else(|_| Err(GraphqlError::internal()))
}

struct Job {
    text: String,
    operation_name: Option<String>,
    result: oneshot::Sender<Result<Document, GraphqlError>>,
}

struct Queue(SyncSender<Job>);

impl Queue {
    /// Starts a thread that lives as long as the program.
    fn new(name: &str) -> Queue {
        let (sender, jobs) = sync_channel::<Job>(MAX_WAITING);
        let work = move || {
            for job in jobs {
                // Skip a document whose client has disconnected.
                if !job.result.is_closed() {
                    let parsed = catch_unwind(AssertUnwindSafe(|| Document::parse(&job.text, job.operation_name)));
                    // After a panic the sender is dropped, so the request fails.
                    if let Ok(parsed) = parsed {
                        _ = job.result.send(parsed);
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

    fn push(&self, job: Job) -> Result<(), GraphqlError> {
        self.0.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => GraphqlError::new(Code::Busy, "Too many documents wait to be parsed: try again"),
            TrySendError::Disconnected(_) => GraphqlError::internal(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(trust: Trust, text: &str) -> Option<Code> {
        parse(trust, text, None).await.err().map(|error| error.code())
    }

    /// Brackets of each kind, as deep as is allowed: the parser's stack must have room for them.
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
                for depth in [100, 2_000, MAX_BRACKETS - 3] {
                    for text in [
                        format!("{begin}{}1{})}}", open.repeat(depth), close.repeat(depth)),
                        format!("{begin}{}", open.repeat(depth)),
                    ] {
                        // It is refused for its depth, its syntax, or because the operation is missing.
                        assert!(refused(Trust::Known, &text).await.is_some(), "{begin}{open}");
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn more_brackets_than_the_stack_holds_are_not_parsed() {
        for open in ["[", "{a", "(", "\"[", "# ("] {
            let text = format!("{{a(b: {}", open.repeat(MAX_BRACKETS));
            assert_eq!(refused(Trust::Known, &text).await, Some(Code::QueryTooComplex));
        }
    }

    #[tokio::test]
    async fn the_limit_without_credentials_is_lower() {
        let text = format!("{{{}}}", "a ".repeat(5_000));
        assert_eq!(refused(Trust::Known, &text).await, None);
        assert_eq!(refused(Trust::Anonymous, &text).await, Some(Code::QueryTooComplex));
        assert_eq!(refused(Trust::Known, &"a ".repeat(200_000)).await, Some(Code::QueryTooComplex));
    }
}
