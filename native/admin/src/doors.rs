//! What every door has at hand.

use std::sync::Arc;

use crate::auth::Guard;
use crate::feed::Feed;
use crate::latency::Latency;
use crate::node::Node;

/// What every door has at hand.
pub struct Doors {
    /// Who answers.
    pub node: Node,
    /// Who may come in.
    pub guard: Guard,
    /// How long requests took.
    pub latency: Arc<Latency>,
    /// What changes.
    pub feed: Feed,
}
