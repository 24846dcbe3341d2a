//! The door to people: a program that the node starts as a port, and that speaks HTTP for it.
//!
//! It is a process of its own, so that no HTTP, TLS or GraphQL code runs inside the VM: should it crash, the
//! node sees a port exit and starts it again. It knows nothing of domains but what a name is; for everything
//! else it asks the node, which handles each request by `mongoose_domain_api`, so that every door obeys the
//! same rules.
//!
//! ```text
//! server ── connections, TLS, limits
//!   └─ router ── rest, graphql, freshness, metrics: what is asked becomes a request of the node
//!        └─ node ── frames of terms on standard input and output
//! ```
//!
//! It keeps nothing: whatever it is asked is asked of the node at once, so its end loses no more than the
//! answers that were on their way.

#![allow(dead_code, reason = "while the doors are being built")]

mod auth;
mod body;
mod config;
mod graphql;
mod log;
mod node;
mod reply;
mod request;
mod rest;
mod router;
mod server;
mod term;

use std::io;
use std::process::ExitCode;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use crate::node::Node;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the node's: its console, or wherever that was sent.
            eprintln!("domain_admin: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> io::Result<()> {
    let (frames, to_write) = node::frames();
    tracing_subscriber::registry().with(log::ToNode::new(frames.clone())).init();
    let writing = tokio::spawn(node::write_frames(tokio::io::stdout(), to_write));
    let mut input = tokio::io::stdin();
    let Some(first) = node::read_frame(&mut input).await? else { return Ok(()) };
    let config = Config::from_term(&first).ok_or_else(node::no_sense)?;
    // As many connections as this user may have.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let node = Node::new(frames);
    let serve = server::serve(config, node.clone());
    tokio::select! {
        ended = node.listen(input) => ended,
        served = serve => served,
        // Whoever reads what this program writes is gone.
        written = writing => written?,
    }
}
