//! Determines the role of a client: the global admin, the admin of a domain, or none.
//!
//! The global admin is checked first. Any other user name of the form `admin@DOMAIN` is the admin of that domain, whose
//! password the node compares each time, so a changed or deleted password is effective at once.

use axum::http::HeaderMap;
use domain_core::DomainName;

use super::error::{Code, GraphqlError};
use super::permissions::{OwnDomain, Role};
use crate::auth::{AuthError, Authorization};
use crate::peer::Peer;
use crate::refusal::Tag;
use crate::request::Request;
use crate::state::AppState;

/// The role that the headers prove.
pub async fn of(state: &AppState, peer: &Peer, headers: &HeaderMap) -> Result<Role, GraphqlError> {
    match Authorization::of(headers) {
        Authorization::Malformed => Err(GraphqlError::new(
            Code::RequestError,
            "Malformed authorization header. Please consult the relevant specification",
        )),
        Authorization::None if state.authenticator.is_open() => Ok(Role::Admin),
        Authorization::None => Ok(Role::Anonymous),
        Authorization::Basic { username, password } => {
            let check = async {
                match state.authenticator.is_admin(&username, &password) {
                    true => Ok(Some(Role::Admin)),
                    false => domain_admin(state, &username, &password).await,
                }
            };
            state.authenticator.throttled(peer, &username, check).await
        }
    }
}

impl From<AuthError> for GraphqlError {
    fn from(denied: AuthError) -> GraphqlError {
        match denied {
            AuthError::Unauthorized => GraphqlError::wrong_credentials(),
            AuthError::TooMany => GraphqlError::new(Code::TooManyAttempts, "Too many failed logins"),
        }
    }
}

async fn domain_admin(state: &AppState, username: &str, password: &str) -> Result<Option<Role>, GraphqlError> {
    let domain = username.strip_prefix("admin@").and_then(|domain| DomainName::prepare(domain).ok());
    let Some(domain) = domain else { return Ok(None) };
    let checked = async {
        state.node.ask(Request::CheckPassword(&domain, password)).await?;
        state.node.subdomains(&domain).await
    };
    match checked.await {
        Ok(subdomains) => Ok(Some(Role::DomainAdmin(OwnDomain { domain, subdomains }))),
        Err(refusal) => match refusal.tag {
            Tag::WrongPassword | Tag::NotFound | Tag::InvalidDomain | Tag::InvalidPassword | Tag::ServiceDisabled => {
                Ok(None)
            }
            Tag::Overloaded => Err(GraphqlError::new(Code::Busy, "Too many passwords wait to be compared")),
            reason => {
                tracing::error!(what = "graphql_login_not_checked", ?reason);
                Err(GraphqlError::internal())
            }
        },
    }
}
