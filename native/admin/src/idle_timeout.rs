//! A connection that closes when its client sends nothing for too long.
//!
//! The head of the first request must arrive within [`HEAD_TIMEOUT`], and so must that of each later one, counted from
//! its first byte. Between two requests a connection may be idle for as long as the configuration says, which is
//! longer: a load balancer keeps connections in a pool and counts one that the server has just closed as a failure.
//! While a request is being handled, nothing is expected from its client.
//!
//! hyper's `header_read_timeout` counts the idle time before a head, too, so it cannot be used here.

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

/// How long the head of a request may take.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It reads a head, until this deadline.
    Head(Instant),
    /// A request is being handled.
    Handling,
    /// It is idle, until this deadline.
    Idle(Instant),
}

/// The phase of a connection, shared by its reader and its request handler.
#[derive(Clone)]
pub struct Exchange {
    state: Arc<Mutex<State>>,
    idle_timeout: Duration,
}

struct State {
    phase: Phase,
    /// The task that reads while a request is being handled: its deadline changes when that is over.
    reader: Option<Waker>,
}

impl Exchange {
    /// The phase of a new connection.
    pub fn new(idle_timeout: Duration) -> Exchange {
        let state = State { phase: Phase::Head(Instant::now() + HEAD_TIMEOUT), reader: None };
        Exchange { state: Arc::new(Mutex::new(state)), idle_timeout }
    }

    /// Begins to handle a request, whose head has arrived.
    pub fn begin(&self) -> Handling {
        self.state.lock().phase = Phase::Handling;
        Handling(self.clone())
    }

    /// Bytes have arrived: an idle connection now reads a head.
    fn bytes_arrived(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Idle(_)) {
            state.phase = Phase::Head(Instant::now() + HEAD_TIMEOUT);
        }
    }

    /// The deadline for reading. Where there is none, the task is woken when there is one again.
    fn deadline(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Head(until) | Phase::Idle(until) => Some(until),
            Phase::Handling => {
                state.reader = Some(cx.waker().clone());
                None
            }
        }
    }
}

/// A request that is being handled, until this is dropped.
pub struct Handling(Exchange);

impl Handling {
    /// Extends the handling to the end of the response's body.
    pub fn until_the_end_of(self, response: Response) -> Response {
        let kept = move |error| {
            let _handling = &self;
            error
        };
        response.map(|body| Body::new(body.map_err(kept)))
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.phase = Phase::Idle(Instant::now() + self.0.idle_timeout);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// A stream whose reads fail after the deadline.
pub struct IdleTimeout<S> {
    stream: S,
    exchange: Exchange,
    deadline: Pin<Box<Sleep>>,
}

impl<S> IdleTimeout<S> {
    /// Wraps a stream.
    pub fn new(stream: S, exchange: Exchange) -> IdleTimeout<S> {
        IdleTimeout { stream, exchange, deadline: Box::pin(tokio::time::sleep(HEAD_TIMEOUT)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.exchange.bytes_arrived();
            }
            return Poll::Ready(read);
        }
        while let Some(deadline) = this.exchange.deadline(cx) {
            if this.deadline.deadline() == deadline {
                ready!(this.deadline.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            this.deadline.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<S> {
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
