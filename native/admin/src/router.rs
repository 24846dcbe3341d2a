//! Which path leads to which door.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use crate::auth::{CurrentCredentials, Guard};
use crate::browsers::{self, Origins};
use crate::config::Config;
use crate::doors::Doors;
use crate::feed::Feed;
use crate::freshness;
use crate::front;
use crate::graphql;
use crate::latency::{self, Latency};
use crate::metrics;
use crate::node::Node;
use crate::rest;

/// All doors.
pub fn router(config: Config, admin: Arc<CurrentCredentials>, node: Node, latency: Arc<Latency>) -> Router {
    let guard = Guard::new(&config, admin);
    let doors = Arc::new(Doors { node, guard, latency: latency.clone(), feed: Feed::default() });
    Router::new()
        .route("/", get(front::front))
        .merge(rest::routes())
        .route("/api/graphql", any(graphql::endpoint))
        .route("/v1/ping", any(freshness::ping))
        .route("/v1/domains/upsert", any(freshness::upsert))
        .route("/v1/domains/list", any(freshness::list))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .layer(from_fn_with_state(Origins::new(&config), browsers::mind))
        .layer(from_fn_with_state(latency, latency::measure))
        .with_state(doors)
}
