//! Connections: who may have one, and for how long.
//!
//! A client that says nothing, or a byte a second, holds a connection and a little memory, for a while; it
//! holds no thread and nothing of the node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::config::Config;
use crate::node::Node;
use crate::router::router;

/// How long a client may take for a request's head; also, how long a connection may rest between two requests.
const HEAD: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;

/// Connections at the same time; one more waits to be accepted.
const CONNECTIONS: usize = 4_096;

/// The rest after an `accept` that failed, for lack of file descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
}

/// Listens, says where, and serves for ever.
pub async fn serve(config: Config, node: Node) -> io::Result<()> {
    let listener = TcpListener::bind(config.address()).await?;
    node.listening(listener.local_addr()?).await;
    let router = router(config, node);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection = connection(stream, Peer { address }, router.clone());
                tokio::spawn(async move {
                    // Why a client went is its own affair.
                    let _ = connection.await;
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

async fn connection(stream: TcpStream, peer: Peer, router: Router) -> Result<(), hyper::Error> {
    let answer = move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await
}
