//! Connections: who may have one, and for how long.
//!
//! A client that says nothing, or a byte a second, or that reads nothing, holds a connection and a little
//! memory, for a while; it holds no thread and nothing of the node. There are so many connections and no more.

use std::io;
use std::net::SocketAddr;
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
use tower::ServiceExt;

use crate::peer::{CONNECTIONS, Peer};
use crate::resting::{Exchange, Resting};
use crate::stall::Stalling;
use crate::tls::Terminator;

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;

/// The rest after an `accept` that failed, for lack of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

/// How long, and for how many bytes, a client is listened to that was answered while it was still sending.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 16 * 1024 * 1024);

/// The error says where.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Serves whoever connects, for ever. A connection may rest for so long between two requests.
pub async fn accept(listener: TcpListener, tls: Option<Arc<Terminator>>, router: Router, rest: Duration) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection = connection(stream, address, tls.clone(), router.clone(), rest);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(what = "domain_admin_accept_failed", %error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Terminator>>,
    router: Router,
    rest: Duration,
) {
    // An answer goes out in one piece: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let stream = Stalling::new(stream);
    let Some(tls) = tls else { return exchange(stream, Peer { address, certificate: None }, router, rest).await };
    match tls.accept(stream).await {
        Ok((stream, certificate)) => exchange(stream, Peer { address, certificate }, router, rest).await,
        Err(error) => {
            tracing::debug!(what = "domain_admin_handshake_failed", address = %address.ip(), %error);
        }
    }
}

/// Requests and their answers, until one of both sides has enough.
async fn exchange<S>(stream: S, peer: Peer, router: Router, rest: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = Exchange::new(rest);
    let stream = Resting::new(stream, exchange.clone());
    let answer = move |request: hyper::Request<Incoming>| {
        let answering = exchange.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let response = router.clone().oneshot(request);
        async move { response.await.map(|response| answering.until_the_end_of(response)) }
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .without_shutdown();
    // Why a client went is its own affair.
    if let Ok(parts) = connection.await {
        let _ = tokio::time::timeout(LINGER.0, linger(parts.io.into_inner())).await;
    }
}

/// A connection that is closed with bytes unread is reset, and the client may never see its answer.
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
    use crate::resting::HEAD;

    /// How long a connection may rest here.
    const REST: Duration = Duration::from_secs(75);

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
        (client, exchange(Stalling::new(server), peer, router, REST))
    }

    async fn said(client: &mut DuplexStream, bytes: &str) {
        client.write_all(bytes.as_bytes()).await.expect("the server reads");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_given_up() {
        let (_client, served) = connected(1_024);
        let begin = Instant::now();
        served.await;
        assert_eq!(begin.elapsed().as_secs(), HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_of_a_byte_a_second_is_given_up() {
        let (mut client, served) = connected(1_024);
        let begin = Instant::now();
        let dripping = async {
            loop {
                if client.write_all(b"G").await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::join!(served, dripping);
        assert!(begin.elapsed() <= HEAD + Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_after_a_request_is_closed_when_the_configuration_says() {
        let (mut client, served) = connected(1_000_000);
        said(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let begin = Instant::now();
        served.await;
        assert_eq!(begin.elapsed().as_secs(), REST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_has_no_more_time_than_the_first_and_a_rest_begins_anew_after_each_request() {
        let (mut client, served) = connected(1_000_000);
        let begin = Instant::now();
        let talking = async {
            for _ in 0..3 {
                said(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
                tokio::time::sleep(REST - Duration::from_secs(1)).await;
            }
            said(&mut client, "GET / HT").await;
            Instant::now()
        };
        let ended = async {
            served.await;
            Instant::now()
        };
        let (begun, ended) = tokio::join!(talking, ended);
        assert!(begin.elapsed() > 2 * REST, "{:?}", begin.elapsed());
        assert_eq!((ended - begun).as_secs(), HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_a_byte_a_second_is_given_up_and_the_client_hears_it() {
        let (mut client, served) = connected(1_000_000);
        said(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await;
        let begin = Instant::now();
        let talking = async {
            for _ in 0..100 {
                let _ = client.write_all(b"x").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let mut heard = String::new();
            let _ = client.read_to_string(&mut heard).await;
            heard
        };
        let served = async {
            served.await;
            begin.elapsed()
        };
        let (served, heard) = tokio::join!(served, talking);
        assert!(served <= Duration::from_secs(33), "{served:?}");
        assert!(heard.ends_with("TooSlow"), "{heard}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (mut client, served) = connected(1_024);
        said(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let begin = Instant::now();
        served.await;
        assert!(begin.elapsed() <= crate::stall::STALL + LINGER.0, "{:?}", begin.elapsed());
    }
}
