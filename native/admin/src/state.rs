//! What all request handlers share.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::change_poller::ChangePoller;
use crate::latency::Latency;
use crate::node::Node;

/// What all request handlers share.
pub struct AppState {
    /// Answers requests.
    pub node: Node,
    /// Checks credentials.
    pub authenticator: Authenticator,
    /// How long requests took.
    pub latency: Arc<Latency>,
    /// Reads changes for all clients that watch.
    pub changes: ChangePoller,
}
