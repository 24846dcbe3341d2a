//! The HTTP server of a node: a port program that the node starts and stops.
//!
//! It is a separate process, so that no HTTP, TLS or GraphQL code runs inside the VM: if it crashes, the node sees its
//! port close and starts it again. It stores nothing. It checks that a name is a domain name; every other question it
//! sends to the node. There, changes and listings of domains become calls of `mongoose_domain_api`, so all interfaces
//! obey the same rules.
//!
//! The files, in layers from top to bottom; imports run downwards only:
//!
//! | layer | files |
//! |---|---|
//! | start | `main`, `router` |
//! | interfaces ("doors") | `index_page`, `rest`, `graphql`, `freshness`, `metrics`, `health`; `edge`, with its own listener |
//! | what they share | `state`, `caller`, `origin`, `response`, `body`, `latency`, `change_poller`, `lookup_batcher` |
//! | the node | `node_calls`, `node`, `request`, `refusal`, `model`, `permits`, `term` |
//! | authentication | `auth`, `throttle` |
//! | connections | `server`, `idle_timeout`, `peer`, `tls` |
//! | base | `config`, `log` |
//!
//! A `PUT /api/domains/my.example` passes these files in this order:
//!
//! 1. `server`: accepts the connection, does the TLS handshake (`tls`), reads the head within a time limit
//!    (`idle_timeout`).
//! 2. `latency`: starts the clock.
//! 3. `origin`: refuses a foreign host name or a page of another origin.
//! 4. `router` and `rest`: find the handler.
//! 5. `rest/domain`: checks method, credentials (`caller`, `auth`, `throttle`), headers and name, and reads the `body`.
//! 6. `node_calls`: makes a `request` and sends it by `node`, which waits for a permit (`permits`), writes a frame
//!    (`term`) and waits for the node's answer.
//! 7. `rest/domain`: turns the answer into a response; a refusal becomes an error by `response`.
//! 8. `latency` and `server`: record the time, write the response.

mod auth;
mod body;
mod caller;
mod change_poller;
mod config;
mod edge;
mod freshness;
mod graphql;
mod health;
mod idle_timeout;
mod index_page;
mod latency;
mod log;
mod lookup_batcher;
mod metrics;
mod model;
mod node;
mod node_calls;
mod origin;
mod peer;
mod permits;
mod refusal;
mod request;
mod response;
mod rest;
mod router;
mod server;
mod state;
mod term;
mod throttle;
mod tls;

use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::auth::CurrentCredentials;
use crate::config::Config;
use crate::latency::Latency;
use crate::node::Node;
use crate::router::router;
use crate::tls::Terminator;

/// How long the node may take to read the last frames before this program exits.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let (frames, to_write) = node::frames();
    tracing_subscriber::registry().with(log::NodeLog::new(frames.clone())).init();
    panic::set_hook(Box::new(log::log_panic));
    let (end, ended) = oneshot::channel();
    let (input, output) = match pipes() {
        Ok(pipes) => pipes,
        Err(error) => {
            eprintln!(
                "domain_admin: standard input or output is {error}: a node of mongoose_domain starts this program"
            );
            process::exit(2);
        }
    };
    let mut writing = tokio::spawn(node::write_frames(output, to_write, ended));
    let served = tokio::select! {
        served = run(input, Node::new(frames)) => served,
        // The node has closed the pipe.
        _ = &mut writing => process::exit(0),
    };
    if let Err(error) = &served {
        tracing::error!(what = "domain_admin_gives_up", %error);
    }
    drop(end);
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, writing).await;
    process::exit(if served.is_ok() { 0 } else { 1 });
}

/// Standard input and output as pipes. Tokio's own types for them would use a thread each, which every frame would
/// pass.
fn pipes() -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((pipe::Receiver::from_owned_fd(input)?, pipe::Sender::from_owned_fd(output)?))
}

/// Reads the configuration, then serves until the node closes standard input.
async fn run(input: pipe::Receiver, node: Node) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let Some(first) = node::read_frame(&mut input).await? else { return Ok(()) };
    let config = Config::from_term(&first).ok_or_else(node::malformed_frame)?;
    // As many connections as this user may have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let admin = CurrentCredentials::new(&config);
    let serve = serve(config, admin.clone(), node.clone());
    tokio::select! {
        ended = node.read_frames(input, &admin) => ended,
        served = serve => served,
    }
}

/// Opens the listeners, reports their addresses to the node, and serves forever.
async fn serve(config: Config, admin: Arc<CurrentCredentials>, node: Node) -> io::Result<()> {
    let tls = config.tls.as_ref().map(Terminator::open).transpose().map_err(io::Error::other)?;
    let listener = server::listen(config.address()).await?;
    node.report_listening(listener.local_addr()?).await;
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().follow_files());
    }
    let idle_timeout = config.keep_alive();
    let latency = Arc::new(Latency::default());
    if let Some(endpoint) = config.ask {
        edge::start(endpoint, node.clone(), latency.clone(), idle_timeout)?;
    }
    server::accept(listener, tls, router(config, admin, node, latency), idle_timeout).await;
    Ok(())
}
