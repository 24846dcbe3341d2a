//! `GET /api/domains`: the rows of the database, page by page.
//!
//! A page is what comes behind a domain in the order of names, so a reader who goes on from the last one sees
//! every domain that is there throughout, once, whatever is added and removed meanwhile. Static domains are
//! from configuration and not among them: `type=static` asks for those, in the same pages.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain_core::DomainName;
use serde::{Deserialize, Serialize};

use super::refused::Refused;
use crate::ask::typed;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::reply::{Failure, json};
use crate::request::{Details, LeftOut, Listed, Listing, Request, Status};

/// The most that a page holds.
const MOST: u16 = 1_000;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// The domain that the page comes behind; the `next` of the page before.
    #[param(max_length = 250)]
    after: Option<String>,
    /// How many domains it holds, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    /// Only those of this host type.
    #[param(max_length = 250)]
    host_type: Option<String>,
    /// Only those with this status.
    status: Option<Listable>,
    /// Only those whose names begin so.
    #[param(max_length = 250)]
    prefix: Option<String>,
    /// Those of the database, or those from the configuration of this node.
    #[param(inline)]
    #[serde(rename = "type")]
    origin: Option<Origin>,
}

/// Where domains are from.
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
    /// It is not.
    Disabled,
    /// It is being removed.
    Deleting,
}

/// A page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page {
    /// The domains, in the database's order of their names.
    domains: Vec<Row>,
    /// What the next page comes behind; null when there is none.
    next: Option<String>,
    /// Rows that cannot be read, and are therefore not among the domains; absent when there are none.
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
#[utoipa::path(get, path = "/api/domains", tag = "domains", params(Wanted), responses(
    (status = 200, description = "A page of the rows of the database", body = Page),
    Refused,
))]
pub async fn list(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Failure> {
    caller.enter(&doors).await?;
    let origin = wanted.as_ref().ok().and_then(|Query(wanted)| wanted.origin).unwrap_or_default();
    if origin == Origin::Dynamic {
        doors.node.service().await?;
    }
    let Query(wanted) = wanted.map_err(|error| Failure::BadRequest(error.body_text()))?;
    let listing = listing(wanted)?;
    let Listed { domains: found, left_out } = match origin {
        Origin::Dynamic => doors.node.list(&listing).await?,
        Origin::Static => fixed(typed(doors.node.ask(Request::Statics).await?)?, &listing),
    };
    let full = found.len() == usize::from(listing.limit);
    let next = found.last().filter(|_| full).map(|last| last.domain.clone());
    let row = |Details { domain, host_type, status }| Row { domain, host_type, status };
    Ok(json(StatusCode::OK, &Page { domains: found.into_iter().map(row).collect(), next, left_out }))
}

/// Every other method.
pub async fn other() -> Failure {
    Failure::MethodNotAllowed("GET, POST")
}

/// A page of the static domains, all of which are served.
fn fixed(mut all: Vec<(String, String)>, listing: &Listing) -> Listed {
    all.retain(|(domain, host_type)| {
        listing.after.as_ref().is_none_or(|after| domain > after)
            && listing.host_type.as_ref().is_none_or(|wanted| host_type == wanted)
            && listing.prefix.as_ref().is_none_or(|prefix| domain.starts_with(prefix.as_str()))
            && listing.status.is_none_or(|status| status == Status::Enabled)
    });
    all.sort();
    let shown = |(domain, host_type)| Details { domain, host_type: Some(host_type), status: Some(Status::Enabled) };
    let domains = all.into_iter().take(listing.limit.into()).map(shown).collect();
    Listed { domains, left_out: LeftOut::default() }
}

fn listing(Wanted { after, limit, host_type, status, prefix, .. }: Wanted) -> Result<Listing, Failure> {
    let limit = limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::BadRequest("'limit' is not a number from 1 to 1000".to_owned()));
    }
    // Not more than that: a row that another program wrote may have a name that is none, and the page behind it
    // can be asked for, too.
    for text in [&after, &host_type, &prefix].into_iter().flatten() {
        if text.contains('\0') || text.len() > DomainName::MAX_BYTES {
            return Err(Failure::BadRequest("A parameter is longer than 250 bytes, or has a NUL character".to_owned()));
        }
    }
    let status = status.map(|status| match status {
        Listable::Enabled => Status::Enabled,
        Listable::Disabled => Status::Disabled,
        Listable::Deleting => Status::Deleting,
    });
    Ok(Listing { after, limit, host_type, status, prefix })
}
