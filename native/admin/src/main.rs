//! The door to people: a program that the node starts as a port, and that speaks HTTP for it.
//!
//! It is a process of its own, so that no HTTP, TLS or GraphQL code runs inside the VM: should it crash, the
//! node sees a port exit and starts it again. It knows nothing of domains but what a name is; for everything
//! else it asks the node, which handles each request by `mongoose_domain_api`, so that every door obeys the
//! same rules.
//!
//! ```text
//! server ── connections, TLS, limits
//!   ├─ router ── rest, graphql, freshness, metrics: what is asked becomes a request of the node
//!   └─ edge ── /ask, at a listener of its own: looks at the node's table, many in one request
//!        └─ node ── frames of terms on standard input and output
//! ```
//!
//! It keeps nothing: whatever it is asked is asked of the node at once, so its end loses no more than the
//! answers that were on their way.

mod ask;
mod auth;
mod body;
mod browsers;
mod caller;
mod config;
mod doors;
mod edge;
mod exposition;
mod feed;
mod freshness;
mod front;
mod graphql;
mod latency;
mod log;
mod looks;
mod metrics;
mod node;
mod peer;
mod reply;
mod request;
mod rest;
mod resting;
mod router;
mod server;
mod stall;
mod term;
mod throttle;
mod tls;
mod turns;

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

/// How long the node may take to read the last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let (frames, to_write) = node::frames();
    tracing_subscriber::registry().with(log::ToNode::new(frames.clone())).init();
    panic::set_hook(Box::new(log::panicked));
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
        // Whoever reads what this program writes is gone.
        _ = &mut writing => process::exit(0),
    };
    if let Err(error) = &served {
        tracing::error!(what = "domain_admin_gives_up", %error);
    }
    drop(end);
    let _ = tokio::time::timeout(LAST_WORDS, writing).await;
    process::exit(if served.is_ok() { 0 } else { 1 });
}

/// From the node and to it. Tokio's own standard input and output each have a thread that waits for them, and so would
/// every frame.
fn pipes() -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((pipe::Receiver::from_owned_fd(input)?, pipe::Sender::from_owned_fd(output)?))
}

async fn run(input: pipe::Receiver, node: Node) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let Some(first) = node::read_frame(&mut input).await? else { return Ok(()) };
    let config = Config::from_term(&first).ok_or_else(node::no_sense)?;
    // As many connections as this user may have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let admin = CurrentCredentials::new(&config);
    let serve = serve(config, admin.clone(), node.clone());
    tokio::select! {
        ended = node.listen(input, &admin) => ended,
        served = serve => served,
    }
}

/// Opens all doors, says where, and serves for ever.
async fn serve(config: Config, admin: Arc<CurrentCredentials>, node: Node) -> io::Result<()> {
    let tls = config.tls.as_ref().map(Terminator::open).transpose().map_err(io::Error::other)?;
    let listener = server::listen(config.address()).await?;
    node.listening(listener.local_addr()?).await;
    if let Some(tls) = &tls {
        tokio::spawn(tls.clone().follow_files());
    }
    let rest = config.keep_alive();
    let latency = Arc::new(Latency::default());
    if let Some(place) = config.ask {
        edge::start(place, node.clone(), latency.clone(), rest)?;
    }
    server::accept(listener, tls, router(config, admin, node, latency), rest).await;
    Ok(())
}
