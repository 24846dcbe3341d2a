//! The connection to the node: frames of Erlang terms on standard input and output.
//!
//! A frame is four bytes of length and a term, in both directions (Erlang's `{packet, 4}`). The node sends the
//! configuration once and answers requests; this program sends requests, the addresses of its listeners, and log
//! events:
//!
//! ```text
//! node    -> program   {configure, Map}   {answer, Id, {ok, Value} | {refused, Tag, Text}}   ping
//!                      {credentials, Map}
//! program -> node      {ask, Id, Request}   {forget, Id}   pong   {listening, Ip, Port}   {log, Level, What, Fields}
//!                      {ask_listening, Ip, Port}
//! ```
//!
//! `credentials` are those of the configuration, which the node reads again every few seconds. `forget` cancels a
//! request whose client has disconnected: the node skips what it has not sent to the database yet.
//!
//! The end of standard input ends the program. The number of requests under way is bounded
//! ([`permits`](crate::permits)), so that a flood of requests waits here and not in the node.

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
use crate::permits::Permits;
use crate::refusal::{NodeResult, Refusal, Tag};
use crate::request::Request;
use crate::term::{self, atom, binary, integer, tuple};

/// Frames that wait to be written.
const FRAMES: usize = 1_024;

/// Sends requests to the node.
#[derive(Clone)]
pub struct Node {
    frames: mpsc::Sender<Term>,
    pending: Arc<Mutex<HashMap<u64, oneshot::Sender<NodeResult>>>>,
    next: Arc<AtomicU64>,
    permits: Arc<Permits>,
}

/// A request that is not answered yet. Dropping it, as when the client disconnects, cancels the request.
struct PendingRequest<'a> {
    node: &'a Node,
    id: u64,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if self.node.pending.lock().remove(&self.id).is_some() {
            // Cancelling is an optimisation: where the queue of frames is full, the node handles the request.
            let _ = self.node.frames.try_send(tuple([atom("forget"), integer(self.id)]));
        }
    }
}

impl Node {
    /// A node to which frames go by this channel.
    pub fn new(frames: mpsc::Sender<Term>) -> Node {
        Node { frames, pending: Arc::default(), next: Arc::default(), permits: Arc::default() }
    }

    /// Sends a request and waits for the answer, without a timeout: the node has deadlines of its own. Refuses with
    /// [`overloaded`](Tag::Overloaded) where no permit becomes free in time.
    pub async fn ask(&self, request: Request<'_>) -> NodeResult {
        let _permit = self.permits.acquire(request.class()).await.ok_or_else(Refusal::overloaded)?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.pending.lock().insert(id, sender);
        let _pending = PendingRequest { node: self, id };
        let frame = tuple([atom("ask"), integer(id), request.to_term()]);
        self.frames.send(frame).await.map_err(|_| Refusal::gone())?;
        answer.await.map_err(|_| Refusal::gone())?
    }

    /// Reports the address of the main listener.
    pub async fn report_listening(&self, address: SocketAddr) {
        self.report_address("listening", address).await;
    }

    /// Reports the address of the listener for `/ask`.
    pub async fn report_ask_listening(&self, address: SocketAddr) {
        self.report_address("ask_listening", address).await;
    }

    async fn report_address(&self, event: &str, address: SocketAddr) {
        let port = integer(address.port().into());
        let frame = tuple([atom(event), binary(address.ip().to_string()), port]);
        // It fails where the node has closed the pipe: then this program ends.
        let _ = self.frames.send(frame).await;
    }

    /// Delivers an answer to the request that waits for it.
    pub(crate) fn deliver(&self, id: u64, answer: NodeResult) {
        if let Some(sender) = self.pending.lock().remove(&id) {
            // It fails where the request is being cancelled.
            let _ = sender.send(answer);
        }
    }

    /// Reads the node's frames until standard input ends.
    pub async fn read_frames(&self, mut input: impl AsyncRead + Unpin, admin: &CurrentCredentials) -> io::Result<()> {
        while let Some(term) = read_frame(&mut input).await? {
            let value = term::to_value(&term);
            if value.as_ref().and_then(Value::as_str) == Some("ping") {
                // It fails where the node has closed the pipe: then nothing waits for the pong.
                let _ = self.frames.send(atom("pong")).await;
                continue;
            }
            match value.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
                Some([Value::String(answer), id, result]) if answer == "answer" => {
                    let id = id.as_u64().ok_or_else(malformed_frame)?;
                    self.deliver(id, result_of(result).ok_or_else(malformed_frame)?);
                }
                Some(frame) => admin.renew(Config::credentials(frame).ok_or_else(malformed_frame)?),
                None => return Err(malformed_frame()),
            }
        }
        Ok(())
    }
}

/// Reads `{ok, Value}` or `{refused, Tag, Text}`.
pub(crate) fn result_of(result: &Value) -> Option<NodeResult> {
    match result.as_array()?.as_slice() {
        [Value::String(ok), value] if ok == "ok" => Some(Ok(value.clone())),
        [Value::String(refused), tag, Value::String(text)] if refused == "refused" => {
            Some(Err(Refusal { tag: serde_json::from_value(tag.clone()).unwrap_or(Tag::Crashed), text: text.clone() }))
        }
        _ => None,
    }
}

/// The error for a frame that the node's own module does not send.
pub fn malformed_frame() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the node sent a malformed frame")
}

/// The next frame; `None` at the end of the input.
pub async fn read_frame(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Term>> {
    let length = match input.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).await?;
    Term::decode(Cursor::new(bytes)).map(Some).map_err(|_| malformed_frame())
}

/// Writes frames until all senders are dropped, or until `end` resolves: then it writes those that are queued and
/// returns.
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
