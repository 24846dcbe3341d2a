//! Who asks, as far as GraphQL tells them apart: on one endpoint, the global admin and the admins of domains.
//!
//! The global admin is looked for first. A name of the form `admin@DOMAIN` that is not the global admin's is the
//! admin of that domain, whose password the node compares with the stored one, each time: a password that was
//! changed or deleted admits nobody from then on. This is the only place that asks who somebody is.

use axum::http::HeaderMap;
use domain_core::DomainName;

use super::fault::{Code, Fault};
use super::permissions::Role;
use crate::auth::Claim;
use crate::request::{Request, Tag};
use crate::router::Doors;

/// Who these headers are from.
pub async fn of(doors: &Doors, headers: &HeaderMap) -> Result<Role, Fault> {
    let admitted = doors.guard.admit(headers).is_ok();
    match Claim::of(headers) {
        Claim::Malformed => Err(Fault::new(
            Code::RequestError,
            "Malformed authorization header. Please consult the relevant specification",
        )),
        _ if admitted => Ok(Role::Admin),
        Claim::None => Ok(Role::Nobody),
        Claim::Basic { username, password } => domain_admin(doors, &username, &password).await,
    }
}

async fn domain_admin(doors: &Doors, username: &str, password: &str) -> Result<Role, Fault> {
    let domain = username.strip_prefix("admin@").and_then(|domain| DomainName::prepare(domain).ok());
    let domain = domain.ok_or_else(Fault::wrong_credentials)?;
    match doors.node.ask(Request::CheckPassword(&domain, password)).await {
        Ok(_) => Ok(Role::DomainAdmin(domain)),
        Err(refusal) => match refusal.tag {
            Tag::WrongPassword | Tag::NotFound | Tag::InvalidDomain | Tag::InvalidPassword | Tag::ServiceDisabled => {
                Err(Fault::wrong_credentials())
            }
            reason => {
                tracing::error!(what = "graphql_login_not_checked", ?reason);
                Err(Fault::internal())
            }
        },
    }
}
