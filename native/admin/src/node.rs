//! The node that this program is the door to: frames of terms on standard input and output.
//!
//! A frame is four bytes of length and a term, in both directions (Erlang's `{packet, 4}`). The node says how
//! the door is to be made, once, and answers what it is asked; this program asks, says where it listens, and
//! hands over what is to be logged:
//!
//! ```text
//! node    -> program   {configure, Map}   {answer, Id, {ok, Value} | {refused, Tag, Text}}   ping
//!                      {credentials, Map}
//! program -> node      {ask, Id, Request}   {forget, Id}   pong   {listening, Ip, Port}   {log, Level, What, Fields}
//!                      {ask_listening, Ip, Port}
//! ```
//!
//! Credentials are those of the configuration as the node has read it again. What is to be forgotten is a request whose
//! client has gone: what of it was not sent to the database yet is not done.
//!
//! Standard input that ends is the order to end. What is asked at once is bounded, so that a flood of requests
//! waits here and not in the node: see [`turns`](crate::turns).

use std::collections::HashMap;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eetf::Term;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::auth::CurrentCredentials;
use crate::config::Config;
use crate::request::{Answer, Refusal, Request, Tag};
use crate::term::{self, atom, binary, integer, tuple};
use crate::turns::Turns;

/// Frames that wait to be written.
const FRAMES: usize = 1_024;

/// Asks the node.
#[derive(Clone)]
pub struct Node {
    frames: mpsc::Sender<Term>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    next: Arc<AtomicU64>,
    turns: Arc<Turns>,
}

/// Somebody who waits for an answer. Where he goes before it comes, a client that hung up, the node is told to forget
/// what was asked.
struct Waits<'a> {
    node: &'a Node,
    id: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.node.waiting.lock().remove(&self.id).is_some() {
            // Where so many frames wait that there is no room, the node does what it was asked.
            let _ = self.node.frames.try_send(tuple([atom("forget"), integer(self.id)]));
        }
    }
}

impl Node {
    /// A node that reads and writes these frames.
    pub fn new(frames: mpsc::Sender<Term>) -> Node {
        Node { frames, waiting: Arc::default(), next: Arc::default(), turns: Arc::default() }
    }

    /// Asks and waits for the answer, however long the node takes: it has deadlines of its own. Refuses with
    /// [`overloaded`](crate::request::Tag::Overloaded) where no turn comes in time.
    pub async fn ask(&self, request: Request<'_>) -> Answer {
        let _turn = self.turns.take(request.room()).await.ok_or_else(Refusal::overloaded)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.waiting.lock().insert(id, tell);
        let _waits = Waits { node: self, id };
        let frame = tuple([atom("ask"), integer(id), request.to_term()]);
        self.frames.send(frame).await.map_err(|_| Refusal::gone())?;
        told.await.map_err(|_| Refusal::gone())?
    }

    /// Tells where the door is.
    pub async fn listening(&self, address: SocketAddr) {
        self.tell_place("listening", address).await;
    }

    /// Tells where the listener for the edge is.
    pub async fn ask_listening(&self, address: SocketAddr) {
        self.tell_place("ask_listening", address).await;
    }

    async fn tell_place(&self, what: &str, address: SocketAddr) {
        let port = integer(address.port().into());
        let frame = tuple([atom(what), binary(address.ip().to_string()), port]);
        // A node that is gone needs no word; the end of standard input ends this program.
        let _ = self.frames.send(frame).await;
    }

    /// Hands over an answer.
    pub(crate) fn answered(&self, id: u64, answer: Answer) {
        if let Some(tell) = self.waiting.lock().remove(&id) {
            // Who asked may have gone this moment.
            let _ = tell.send(answer);
        }
    }

    /// Reads what the node says, until it says no more.
    pub async fn listen(&self, mut input: impl AsyncRead + Unpin, admin: &CurrentCredentials) -> io::Result<()> {
        while let Some(term) = read_frame(&mut input).await? {
            let value = term::to_value(&term);
            if value.as_ref().and_then(Value::as_str) == Some("ping") {
                // A node that is gone needs no sign of life.
                let _ = self.frames.send(atom("pong")).await;
                continue;
            }
            match value.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
                Some([Value::String(answer), id, result]) if answer == "answer" => {
                    let id = id.as_u64().ok_or_else(no_sense)?;
                    self.answered(id, result_of(result).ok_or_else(no_sense)?);
                }
                Some(frame) => admin.renew(Config::credentials(frame).ok_or_else(no_sense)?),
                None => return Err(no_sense()),
            }
        }
        Ok(())
    }
}

pub(crate) fn result_of(result: &Value) -> Option<Answer> {
    match result.as_array()?.as_slice() {
        [Value::String(ok), value] if ok == "ok" => Some(Ok(value.clone())),
        [Value::String(refused), tag, Value::String(text)] if refused == "refused" => {
            Some(Err(Refusal { tag: serde_json::from_value(tag.clone()).unwrap_or(Tag::Crashed), text: text.clone() }))
        }
        _ => None,
    }
}

/// A frame that cannot be from the node's own module.
pub fn no_sense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the node sent a frame that makes no sense")
}

/// The next frame; none when the input ends.
pub async fn read_frame(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Term>> {
    let length = match input.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).await?;
    Term::decode(Cursor::new(bytes)).map(Some).map_err(|_| no_sense())
}

/// Writes frames until nobody has any more, or until it is told to end: then, those that were sent before.
pub async fn write_frames(
    mut output: impl AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Term>,
    mut end: oneshot::Receiver<()>,
) -> io::Result<()> {
    loop {
        let frame = tokio::select! {
            biased;
            _ = &mut end, if !end.is_terminated() => {
                frames.close();
                continue;
            }
            frame = frames.recv() => frame,
        };
        let Some(frame) = frame else { return Ok(()) };
        let mut bytes = vec![0; 4];
        frame.encode(&mut bytes).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        output.write_all(&bytes).await?;
        output.flush().await?;
    }
}

/// A channel for frames to be written.
pub fn frames() -> (mpsc::Sender<Term>, mpsc::Receiver<Term>) {
    mpsc::channel(FRAMES)
}
