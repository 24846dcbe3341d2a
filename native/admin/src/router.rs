//! Which path leads to which door.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;

use crate::auth::Guard;
use crate::browsers::{self, Origins};
use crate::config::Config;
use crate::freshness;
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
    let guard = Guard::new(&config);
    Router::new()
        .merge(rest::routes())
        .route("/v1/domains/upsert", any(freshness::upsert))
        .route("/v1/domains/list", any(freshness::list))
        .layer(from_fn_with_state(Origins::new(&config), browsers::mind))
        .with_state(Arc::new(Doors { node, guard }))
}
