//! Limits on what a server may send.
//!
//! Each message begins with its length, and the driver buffers a message until it is complete. [`LimitedStream`] reads the
//! lengths before the driver does, and closes the connection when a message is over its limit, so that the driver
//! never buffers it:
//!
//! | what | limit |
//! |---|---|
//! | a message before the log-in is complete; all of them together | 64 KiB; 1 MiB |
//! | a message after the log-in | 1 MiB |
//! | the rows of one result, except those of COPY, which are processed one by one | 64 MiB |
//! | announcements of settings during a connection | 1 MiB |
//!
//! No row of this project's tables is near its limit. Only a server other than PostgreSQL, or tables with other contents,
//! exceed one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The kind and the length of a message, before its contents.
const HEADER: usize = 5;

/// Reads the stream of messages and checks their lengths.
#[derive(Default)]
struct MessageLimits {
    header: [u8; HEADER],
    /// Bytes of the header that were read.
    header_read: usize,
    /// Bytes of the message that are outstanding.
    rest: u64,
    phase: Phase,
    /// Bytes of messages during the log-in; afterwards, of rows of the present result.
    sum: u64,
    /// Bytes of announcements of settings.
    settings: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Phase {
    #[default]
    LogIn,
    LoggedIn,
}

impl MessageLimits {
    /// Checks the next bytes of the stream.
    fn check(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let now = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= now as u64;
                bytes = &bytes[now..];
                continue;
            }
            let now = bytes.len().min(HEADER - self.header_read);
            self.header[self.header_read..][..now].copy_from_slice(&bytes[..now]);
            self.header_read += now;
            bytes = &bytes[now..];
            if self.header_read == HEADER {
                self.header_read = 0;
                self.begin_message()?;
            }
        }
        Ok(())
    }

    /// Checks the message whose header was read.
    fn begin_message(&mut self) -> io::Result<()> {
        let [kind, length @ ..] = self.header;
        // A valid length includes its own four bytes.
        let length = u64::from(u32::from_be_bytes(length));
        self.rest = length.saturating_sub(4);
        let limit = if self.phase == Phase::LogIn { 64 * KIB } else { MIB };
        if length > limit {
            return Err(exceeded(&format!("a message of {length} bytes"), limit));
        }
        match (&self.phase, kind) {
            (Phase::LogIn, _) => {
                self.sum += length;
                if self.sum > MIB {
                    return Err(exceeded("its messages before the log-in was done", MIB));
                }
            }
            (Phase::LoggedIn, b'D') => {
                self.sum += length;
                if self.sum > 64 * MIB {
                    return Err(exceeded("the rows of an answer", 64 * MIB));
                }
            }
            (Phase::LoggedIn, b'S') => {
                self.settings += length;
                if self.settings > MIB {
                    return Err(exceeded("its announcements of settings", MIB));
                }
            }
            _ => (),
        }
        // ReadyForQuery.
        if kind == b'Z' {
            self.phase = Phase::LoggedIn;
            self.sum = 0;
        }
        Ok(())
    }
}

fn exceeded(what: &str, limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "the server sent too much: {what}; the limit is {limit} bytes. Make sure that the URL leads to \
             PostgreSQL, and that the tables of domains hold nothing else"
        ),
    )
}

/// A stream that fails when the server exceeds a limit.
pub(super) struct LimitedStream<S> {
    inner: S,
    limits: MessageLimits,
}

impl<S> LimitedStream<S> {
    pub(super) fn new(inner: S) -> LimitedStream<S> {
        LimitedStream { inner, limits: MessageLimits::default() }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(self.limits.check(&buffer.filled()[before..])),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, contents: usize) -> Vec<u8> {
        let length = u32::try_from(contents + 4).unwrap().to_be_bytes();
        [vec![kind], length.to_vec(), vec![0; contents]].concat()
    }

    fn logged_in() -> MessageLimits {
        let mut limits = MessageLimits::default();
        limits.check(&[message(b'R', 4), message(b'Z', 1)].concat()).unwrap();
        limits
    }

    #[test]
    fn a_message_is_judged_by_what_it_announces_in_pieces_or_not() {
        let mut announced = message(b'E', 0);
        announced[1..].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        assert!(MessageLimits::default().check(&announced).is_err());
        let mut limits = MessageLimits::default();
        for byte in &announced[..4] {
            limits.check(std::slice::from_ref(byte)).unwrap();
        }
        assert!(limits.check(&announced[4..]).is_err());
    }

    #[test]
    fn more_is_taken_after_the_log_in() {
        let large = message(b'D', 100_000);
        assert!(MessageLimits::default().check(&large).is_err());
        logged_in().check(&large).unwrap();
        assert!(logged_in().check(&message(b'd', 2_000_000)).is_err());
    }

    #[test]
    fn all_before_the_log_in_and_all_rows_of_an_answer_are_bounded_together() {
        let mut limits = MessageLimits::default();
        let notice = message(b'N', 60_000);
        assert_eq!((0..100).find(|_| limits.check(&notice).is_err()), Some(17));
        let mut limits = logged_in();
        let row = message(b'D', 1_000_000);
        for _ in 0..3 {
            (0..60).for_each(|_| limits.check(&row).unwrap());
            limits.check(&message(b'Z', 1)).unwrap();
        }
        assert_eq!((0..100).find(|_| limits.check(&row).is_err()), Some(67));
        // COPY has no limit.
        let mut limits = logged_in();
        (0..200).for_each(|_| limits.check(&message(b'd', 1_000_000)).unwrap());
        assert!((0..100_000).any(|_| limits.check(&message(b'S', 100)).is_err()));
    }
}
