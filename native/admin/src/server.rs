//! Accepts connections and serves HTTP/1.1 on them, within limits.
//!
//! A client that sends nothing, sends a byte a second, or reads nothing uses a connection and a little memory for a
//! limited time; it uses no thread and nothing of the node:
//!
//! | limit | where |
//! |---|---|
//! | connections | [`CONNECTIONS`] |
//! | a TLS handshake | [`tls`](crate::tls) |
//! | the head of a request; the time between two requests | [`idle_timeout`](crate::idle_timeout) |
//! | a body | [`body`](crate::body) |
//! | a write without progress | [`WRITE_TIMEOUT`] |

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tower::ServiceExt;

use crate::idle_timeout::{Exchange, IdleTimeout};
use crate::peer::{CONNECTIONS, Peer};
use crate::tls::Terminator;

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long a client may read nothing while a response waits for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after an `accept` that failed, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For how long, and for how many bytes, the rest of a request is read after a response was sent early.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 16 * 1024 * 1024);

/// Listens on an address; the error names it.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Serves all connections, forever.
pub async fn accept(listener: TcpListener, tls: Option<Arc<Terminator>>, router: Router, idle_timeout: Duration) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection = connection(stream, address, tls.clone(), router.clone(), idle_timeout);
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(what = "domain_admin_accept_failed", %error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Terminator>>,
    router: Router,
    idle_timeout: Duration,
) {
    // Disable Nagle's algorithm: a response is written in one piece.
    let _ = stream.set_nodelay(true);
    let stream = with_write_timeout(stream);
    let Some(tls) = tls else {
        return serve_http(stream, Peer { address, certificate: None }, router, idle_timeout).await;
    };
    match tls.accept(stream).await {
        Ok((stream, certificate)) => serve_http(stream, Peer { address, certificate }, router, idle_timeout).await,
        Err(error) => {
            tracing::debug!(what = "domain_admin_handshake_failed", address = %address.ip(), %error);
        }
    }
}

/// A stream whose writes fail when they make no progress for [`WRITE_TIMEOUT`].
fn with_write_timeout<S: AsyncRead + AsyncWrite>(stream: S) -> Pin<Box<TimeoutWriter<S>>> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}

/// Serves requests until one side closes the connection.
async fn serve_http<S>(stream: S, peer: Peer, router: Router, idle_timeout: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = Exchange::new(idle_timeout);
    let stream = IdleTimeout::new(stream, exchange.clone());
    let handle = move |request: hyper::Request<Incoming>| {
        let handling = exchange.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let response = router.clone().oneshot(request);
        async move { response.await.map(|response| handling.until_the_end_of(response)) }
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(handle))
        .without_shutdown();
    // An error means that the client has gone or sent no HTTP: there is nothing to do.
    if let Ok(parts) = connection.await {
        let _ = tokio::time::timeout(LINGER.0, linger(parts.io.into_inner())).await;
    }
}

/// Reads what the client still sends. Closing a connection with unread bytes resets it, and the client may lose the
/// response.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER.1), &mut tokio::io::sink()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::any;
    use tokio::io::DuplexStream;
    use tokio::time::Instant;

    use super::*;
    use crate::idle_timeout::HEAD_TIMEOUT;

    const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// The client's end of a connection, and the server's, which is run to its end.
    fn connected(buffer: usize) -> (DuplexStream, impl Future<Output = ()>) {
        let (client, server) = tokio::io::duplex(buffer);
        let answer = |body: Body| async move {
            match crate::body::read(body).await {
                Ok(_) => "x".repeat(100_000),
                Err(unread) => format!("{unread:?}"),
            }
        };
        let router = Router::new().route("/", any(answer));
        let peer = Peer { address: (Ipv4Addr::LOCALHOST, 1).into(), certificate: None };
        (client, serve_http(with_write_timeout(server), peer, router, IDLE_TIMEOUT))
    }

    async fn send(client: &mut DuplexStream, bytes: &str) {
        client.write_all(bytes.as_bytes()).await.expect("the server reads");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_disconnected() {
        let (_client, served) = connected(1_024);
        let begin = Instant::now();
        served.await;
        assert_eq!(begin.elapsed().as_secs(), HEAD_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_of_a_byte_a_second_times_out() {
        let (mut client, served) = connected(1_024);
        let begin = Instant::now();
        let sending = async {
            loop {
                if client.write_all(b"G").await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::join!(served, sending);
        assert!(begin.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_after_the_configured_time() {
        let (mut client, served) = connected(1_000_000);
        send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let begin = Instant::now();
        served.await;
        assert_eq!(begin.elapsed().as_secs(), IDLE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_has_no_more_time_than_the_first_and_a_rest_begins_anew_after_each_request() {
        let (mut client, served) = connected(1_000_000);
        let begin = Instant::now();
        let sending = async {
            for _ in 0..3 {
                send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
                tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
            }
            send(&mut client, "GET / HT").await;
            Instant::now()
        };
        let ended = async {
            served.await;
            Instant::now()
        };
        let (begun, ended) = tokio::join!(sending, ended);
        assert!(begin.elapsed() > 2 * IDLE_TIMEOUT, "{:?}", begin.elapsed());
        assert_eq!((ended - begun).as_secs(), HEAD_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_a_byte_a_second_times_out_with_a_response() {
        let (mut client, served) = connected(1_000_000);
        send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await;
        let begin = Instant::now();
        let sending = async {
            for _ in 0..100 {
                let _ = client.write_all(b"x").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let mut response = String::new();
            let _ = client.read_to_string(&mut response).await;
            response
        };
        let served = async {
            served.await;
            begin.elapsed()
        };
        let (served, response) = tokio::join!(served, sending);
        assert!(served <= Duration::from_secs(33), "{served:?}");
        assert!(response.ends_with("TooSlow"), "{response}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (mut client, served) = connected(1_024);
        send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let begin = Instant::now();
        served.await;
        assert!(begin.elapsed() <= WRITE_TIMEOUT + LINGER.0, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_progress_times_out() {
        let (near, _far) = tokio::io::duplex(16);
        let begin = Instant::now();
        let written = with_write_timeout(near).write_all(&[0; 1_000]).await;
        assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert_eq!(begin.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_write_with_progress_does_not_time_out() {
        let (near, mut far) = tokio::io::duplex(16);
        let reading = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(WRITE_TIMEOUT / 2).await;
                far.read_exact(&mut [0; 16]).await?;
            }
            io::Result::Ok(())
        });
        assert!(with_write_timeout(near).write_all(&[0; 160]).await.is_ok());
        assert!(reading.await.is_ok_and(|read| read.is_ok()));
    }
}
