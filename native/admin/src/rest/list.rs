//! `GET /api/domains`: the rows of the database, page by page.
//!
//! A page contains the names after a given one, in order. So a client that continues after the last name of each page
//! sees every domain that exists throughout, once, whatever is added and removed meanwhile. Static domains come from
//! the configuration and are listed with `type=static`, in the same pages.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain_core::DomainName;
use serde::{Deserialize, Serialize};

use super::error_responses::ErrorResponses;
use crate::caller::Caller;
use crate::model::{Details, LeftOut, Listed, Listing, Status};
use crate::node_calls::typed;
use crate::request::Request;
use crate::response::{ErrorResponse, json};
use crate::state::AppState;

/// The largest page.
const MAX_LIMIT: u16 = 1_000;

/// The query of a request: which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The domain after which the page begins; the `next` of the page before.
    #[param(max_length = 250)]
    after: Option<String>,
    /// The size of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    /// Only domains of this host type.
    #[param(max_length = 250)]
    host_type: Option<String>,
    /// Only domains with this status.
    status: Option<Listable>,
    /// Only domains with this prefix.
    #[param(max_length = 250)]
    prefix: Option<String>,
    /// Domains of the database, or of this node's configuration.
    #[param(inline)]
    #[serde(rename = "type")]
    origin: Option<Origin>,
}

/// Where domains come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The database.
    #[default]
    Dynamic,
    /// The configuration.
    Static,
}

/// A status that a row can have.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Listable {
    /// It is served.
    Enabled,
    /// It is not served.
    Disabled,
    /// It is being removed.
    Deleting,
}

/// A page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page {
    /// The domains, in the database's order of their names.
    domains: Vec<Row>,
    /// The `after` of the next page; null when there is none.
    next: Option<String>,
    /// Invalid rows, which are not among the domains; absent when there are none.
    #[serde(skip_serializing_if = "LeftOut::is_none")]
    #[schema(required = false)]
    left_out: LeftOut,
}

/// A domain of a page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ListedDomain)]
pub struct Row {
    /// Its name.
    domain: String,
    /// Its host type.
    host_type: Option<String>,
    /// Its status.
    status: Option<Status>,
}

/// A page of domains.
#[utoipa::path(get, path = "/api/domains", tag = "domains", params(PageQuery), responses(
    (status = 200, description = "A page of the rows of the database", body = Page),
    ErrorResponses,
))]
pub async fn list(
    State(state): State<Arc<AppState>>,
    caller: Caller,
    wanted: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ErrorResponse> {
    caller.authenticate_json(&state).await?;
    let origin = wanted.as_ref().ok().and_then(|Query(wanted)| wanted.origin).unwrap_or_default();
    if origin == Origin::Dynamic {
        state.node.service().await?;
    }
    let Query(wanted) = wanted.map_err(|error| ErrorResponse::BadRequest(error.body_text()))?;
    let listing = listing(wanted)?;
    let Listed { domains: found, left_out } = match origin {
        Origin::Dynamic => state.node.list(&listing).await?,
        Origin::Static => static_page(typed(state.node.ask(Request::Statics).await?)?, &listing),
    };
    let full = found.len() == usize::from(listing.limit);
    let next = found.last().filter(|_| full).map(|last| last.domain.clone());
    let row = |Details { domain, host_type, status }| Row { domain, host_type, status };
    Ok(json(StatusCode::OK, &Page { domains: found.into_iter().map(row).collect(), next, left_out }))
}

/// Handles every other method.
pub async fn method_not_allowed() -> ErrorResponse {
    ErrorResponse::MethodNotAllowed("GET, POST")
}

/// A page of the static domains, which are always enabled.
fn static_page(mut all: Vec<(String, String)>, listing: &Listing) -> Listed {
    all.retain(|(domain, host_type)| {
        listing.after.as_ref().is_none_or(|after| domain > after)
            && listing.host_type.as_ref().is_none_or(|wanted| host_type == wanted)
            && listing.prefix.as_ref().is_none_or(|prefix| domain.starts_with(prefix.as_str()))
            && listing.status.is_none_or(|status| status == Status::Enabled)
    });
    all.sort();
    let details = |(domain, host_type)| Details { domain, host_type: Some(host_type), status: Some(Status::Enabled) };
    let domains = all.into_iter().take(listing.limit.into()).map(details).collect();
    Listed { domains, left_out: LeftOut::default() }
}

fn listing(PageQuery { after, limit, host_type, status, prefix, .. }: PageQuery) -> Result<Listing, ErrorResponse> {
    let limit = limit.unwrap_or(100);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ErrorResponse::BadRequest("'limit' is not a number from 1 to 1000".to_owned()));
    }
    // No stricter check: another program may have written a name that is not valid, and the page after it must be
    // reachable.
    for text in [&after, &host_type, &prefix].into_iter().flatten() {
        if text.contains('\0') || text.len() > DomainName::MAX_BYTES {
            return Err(ErrorResponse::BadRequest(
                "A parameter is longer than 250 bytes, or has a NUL character".to_owned(),
            ));
        }
    }
    let status = status.map(|status| match status {
        Listable::Enabled => Status::Enabled,
        Listable::Disabled => Status::Disabled,
        Listable::Deleting => Status::Deleting,
    });
    Ok(Listing { after, limit, host_type, status, prefix })
}
