//! Who asks, as far as GraphQL tells them apart: on one endpoint, the global admin and the admins of domains.
//!
//! The global admin is looked for first. A name of the form `admin@DOMAIN` that is not the global admin's is the
//! admin of that domain, whose password the node compares with the stored one, each time: a password that was
//! changed or deleted admits nobody from then on. This is the only place that asks who somebody is.

use axum::http::HeaderMap;
use domain_core::DomainName;

use super::fault::{Code, Fault};
use super::permissions::{Own, Role};
use crate::auth::{Claim, Denied};
use crate::doors::Doors;
use crate::peer::Peer;
use crate::request::{Request, Tag};

/// Who these headers are from, and who this peer has not failed to be too often.
pub async fn of(doors: &Doors, peer: &Peer, headers: &HeaderMap) -> Result<Role, Fault> {
    match Claim::of(headers) {
        Claim::Malformed => Err(Fault::new(
            Code::RequestError,
            "Malformed authorization header. Please consult the relevant specification",
        )),
        Claim::None if doors.guard.is_open() => Ok(Role::Admin),
        Claim::None => Ok(Role::Nobody),
        Claim::Basic { username, password } => {
            let check = async {
                match doors.guard.is_admin(&username, &password) {
                    true => Ok(Some(Role::Admin)),
                    false => domain_admin(doors, &username, &password).await,
                }
            };
            doors.guard.attempt(peer, &username, check).await
        }
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Fault {
        match denied {
            Denied::Unauthorized => Fault::wrong_credentials(),
            Denied::TooMany => Fault::new(Code::TooManyAttempts, "Too many failed logins"),
        }
    }
}

async fn domain_admin(doors: &Doors, username: &str, password: &str) -> Result<Option<Role>, Fault> {
    let domain = username.strip_prefix("admin@").and_then(|domain| DomainName::prepare(domain).ok());
    let Some(domain) = domain else { return Ok(None) };
    let checked = async {
        doors.node.ask(Request::CheckPassword(&domain, password)).await?;
        doors.node.subdomains(&domain).await
    };
    match checked.await {
        Ok(subdomains) => Ok(Some(Role::DomainAdmin(Own { domain, subdomains }))),
        Err(refusal) => match refusal.tag {
            Tag::WrongPassword | Tag::NotFound | Tag::InvalidDomain | Tag::InvalidPassword | Tag::ServiceDisabled => {
                Ok(None)
            }
            Tag::Overloaded => Err(Fault::new(Code::Busy, "Too many passwords wait to be compared")),
            reason => {
                tracing::error!(what = "graphql_login_not_checked", ?reason);
                Err(Fault::internal())
            }
        },
    }
}
