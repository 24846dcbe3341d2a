//! Which path leads to which interface.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get};

use crate::auth::{Authenticator, CurrentCredentials};
use crate::change_poller::ChangePoller;
use crate::config::Config;
use crate::freshness;
use crate::graphql;
use crate::health;
use crate::index_page;
use crate::latency::{self, Latency};
use crate::metrics;
use crate::node::Node;
use crate::origin::{self, OriginPolicy};
use crate::rest;
use crate::state::AppState;

/// All paths but `/ask`, which [`edge`](crate::edge) serves.
pub fn router(config: Config, admin: Arc<CurrentCredentials>, node: Node, latency: Arc<Latency>) -> Router {
    let authenticator = Authenticator::new(&config, admin);
    let changes = ChangePoller::default();
    let state = Arc::new(AppState { node, authenticator, latency: latency.clone(), changes });
    Router::new()
        .route("/", get(index_page::index_page))
        .merge(rest::routes())
        .route("/api/graphql", any(graphql::endpoint))
        .route("/v1/ping", any(freshness::ping))
        .route("/v1/domains/upsert", any(freshness::upsert))
        .route("/v1/domains/list", any(freshness::list))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .layer(from_fn_with_state(OriginPolicy::new(&config), origin::check_origin))
        .layer(from_fn_with_state(latency, latency::measure))
        .with_state(state)
}
