//! The bounds of what a server may send.
//!
//! A server announces each message with its length, and the driver keeps what comes until the message is whole. So the
//! lengths are read on their way to the driver, and one over its bound ends the connection before the message is kept:
//!
//! | what | bound |
//! |---|---|
//! | a message before the log-in is done, and all of them together | 64 KiB, 1 MiB |
//! | a message after it | 1 MiB |
//! | the rows of one answer (but those of COPY, which are taken as they come) | 64 MiB |
//! | announcements of settings in a connection's life | 1 MiB |
//!
//! No row of ours is near its bound: only a server that is no PostgreSQL, or one with tables that nobody expects, meets
//! these.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The kind and the length of a message, before its contents.
const HEADER: usize = 5;

/// What has come so far.
#[derive(Default)]
pub(super) struct Bounds {
    header: [u8; HEADER],
    /// How much of the header is there.
    known: usize,
    /// How much of the message is still to come.
    rest: u64,
    phase: Phase,
    /// In this phase or, of rows, in this answer.
    sum: u64,
    settings: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Phase {
    #[default]
    LogIn,
    LoggedIn,
}

impl Bounds {
    /// Looks at what came next.
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let now = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= now as u64;
                bytes = &bytes[now..];
                continue;
            }
            let now = bytes.len().min(HEADER - self.known);
            self.header[self.known..][..now].copy_from_slice(&bytes[..now]);
            self.known += now;
            bytes = &bytes[now..];
            if self.known == HEADER {
                self.known = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// Judges the message whose header is there.
    fn begin(&mut self) -> io::Result<()> {
        let [kind, length @ ..] = self.header;
        // It counts itself, and is no message if it does not.
        let length = u64::from(u32::from_be_bytes(length));
        self.rest = length.saturating_sub(4);
        let most = if self.phase == Phase::LogIn { 64 * KIB } else { MIB };
        if length > most {
            return Err(over(&format!("a message of {length} bytes"), most));
        }
        match (&self.phase, kind) {
            (Phase::LogIn, _) => {
                self.sum += length;
                if self.sum > MIB {
                    return Err(over("its messages before the log-in was done", MIB));
                }
            }
            (Phase::LoggedIn, b'D') => {
                self.sum += length;
                if self.sum > 64 * MIB {
                    return Err(over("the rows of an answer", 64 * MIB));
                }
            }
            (Phase::LoggedIn, b'S') => {
                self.settings += length;
                if self.settings > MIB {
                    return Err(over("its announcements of settings", MIB));
                }
            }
            _ => (),
        }
        // It is ready for the next statement.
        if kind == b'Z' {
            self.phase = Phase::LoggedIn;
            self.sum = 0;
        }
        Ok(())
    }
}

fn over(what: &str, most: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "the server sent more than is taken: {what}, where {most} bytes are the most. Make sure that the URL leads to \
             PostgreSQL, and that the tables of domains hold nothing else"
        ),
    )
}

/// A connection that ends when a bound is passed.
pub(super) struct Guarded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S) -> Guarded<S> {
        Guarded { inner, bounds: Bounds::default() }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(self.bounds.pass(&buffer.filled()[before..])),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
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

    fn logged_in() -> Bounds {
        let mut bounds = Bounds::default();
        bounds.pass(&[message(b'R', 4), message(b'Z', 1)].concat()).unwrap();
        bounds
    }

    #[test]
    fn a_message_is_judged_by_what_it_announces_in_pieces_or_not() {
        let mut announced = message(b'E', 0);
        announced[1..].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        assert!(Bounds::default().pass(&announced).is_err());
        let mut bounds = Bounds::default();
        for byte in &announced[..4] {
            bounds.pass(std::slice::from_ref(byte)).unwrap();
        }
        assert!(bounds.pass(&announced[4..]).is_err());
    }

    #[test]
    fn more_is_taken_after_the_log_in() {
        let large = message(b'D', 100_000);
        assert!(Bounds::default().pass(&large).is_err());
        logged_in().pass(&large).unwrap();
        assert!(logged_in().pass(&message(b'd', 2_000_000)).is_err());
    }

    #[test]
    fn all_before_the_log_in_and_all_rows_of_an_answer_are_bounded_together() {
        let mut bounds = Bounds::default();
        let notice = message(b'N', 60_000);
        assert_eq!((0..100).find(|_| bounds.pass(&notice).is_err()), Some(17));
        let mut bounds = logged_in();
        let row = message(b'D', 1_000_000);
        for _ in 0..3 {
            (0..60).for_each(|_| bounds.pass(&row).unwrap());
            bounds.pass(&message(b'Z', 1)).unwrap();
        }
        assert_eq!((0..100).find(|_| bounds.pass(&row).is_err()), Some(67));
        // COPY is taken as it comes.
        let mut bounds = logged_in();
        (0..200).for_each(|_| bounds.pass(&message(b'd', 1_000_000)).unwrap());
        assert!((0..100_000).any(|_| bounds.pass(&message(b'S', 100)).is_err()));
    }
}
