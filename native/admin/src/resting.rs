//! A connection whose other end must say what it wants.
//!
//! A client that says nothing, or a byte a second, would hold a connection for ever. So the first request's head must
//! come in time; so must each later one's, from its first byte on; and between two requests a connection may rest for as
//! long as the configuration says, since who pools connections (a load balancer) takes one that was closed this moment for
//! a failure. While a request is being answered its client need say nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a client may take for a request's head.
pub const HEAD: Duration = Duration::from_secs(20);

/// Where an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is to be complete by then.
    Head(Instant),
    /// A request is being answered.
    Answering,
    /// All that was asked is answered; the connection may rest until then.
    Resting(Instant),
}

/// Knows where an exchange is.
#[derive(Clone)]
pub struct Exchange {
    state: Arc<Mutex<State>>,
    rest: Duration,
}

struct State {
    phase: Phase,
    /// Who reads while a request is being answered, and has to know when that is over.
    reader: Option<Waker>,
}

impl Exchange {
    /// One whose connection may rest for so long.
    pub fn new(rest: Duration) -> Exchange {
        let state = State { phase: Phase::Head(Instant::now() + HEAD), reader: None };
        Exchange { state: Arc::new(Mutex::new(state)), rest }
    }

    /// A request's head is there.
    pub fn begin(&self) -> Answering {
        self.state.lock().phase = Phase::Answering;
        Answering(self.clone())
    }

    fn read(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Resting(_)) {
            state.phase = Phase::Head(Instant::now() + HEAD);
        }
    }

    /// By when the client has to say something. Where there is no such time yet, who asks is woken when there is.
    fn deadline(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Head(until) | Phase::Resting(until) => Some(until),
            Phase::Answering => {
                state.reader = Some(cx.waker().clone());
                None
            }
        }
    }
}

/// A request that is being answered, for as long as this lives.
pub struct Answering(Exchange);

impl Answering {
    /// The response, to the end of whose body the answering goes on.
    pub fn until_the_end_of(self, response: Response) -> Response {
        let kept = move |error| {
            let _answering = &self;
            error
        };
        response.map(|body| Body::new(body.map_err(kept)))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.phase = Phase::Resting(Instant::now() + self.0.rest);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// The connection.
pub struct Resting<S> {
    stream: S,
    exchange: Exchange,
    patience: Pin<Box<Sleep>>,
}

impl<S> Resting<S> {
    /// One over this stream.
    pub fn new(stream: S, exchange: Exchange) -> Resting<S> {
        Resting { stream, exchange, patience: Box::pin(tokio::time::sleep(HEAD)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Resting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.exchange.read();
            }
            return Poll::Ready(read);
        }
        while let Some(deadline) = this.exchange.deadline(cx) {
            if this.patience.deadline() == deadline {
                ready!(this.patience.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            this.patience.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Resting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
