//! Which path leads to which door.

use std::sync::Arc;

use axum::Router;
use axum::routing::any;

use crate::auth::Guard;
use crate::config::Config;
use crate::graphql;
use crate::node::Node;
use crate::rest;

/// What every door has at hand.
pub struct Doors {
    /// Who answers.
    pub node: Node,
    /// Who may come in.
    pub guard: Guard,
}

/// All doors.
pub fn router(config: Config, node: Node) -> Router {
    let guard = Guard::new(config.credentials);
    Router::new()
        .route("/api/domains/{domain}", any(rest::domain))
        .route("/api/graphql", any(graphql::endpoint))
        .with_state(Arc::new(Doors { node, guard }))
}
