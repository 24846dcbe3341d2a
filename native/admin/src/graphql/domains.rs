//! Resolves the fields of the category `domain`: each sends its request to the node and keeps nothing.
//!
//! Without dynamic domains every field fails, even those that would need no database, as in MongooseIM.

use std::collections::BTreeMap;

use async_graphql::Context;
use domain_core::DomainName;
use serde::de::DeserializeOwned;

use super::error::{Code, GraphqlError};
use super::scalars::StoredName;
use super::types::{Domain, DomainWithType};
use crate::model::{Details, Listed, Listing, NewDomain, Status};
use crate::node::Node;
use crate::node_calls::typed;
use crate::refusal::{Refusal, Tag};
use crate::request::Request;

/// The largest page.
const MAX_LIMIT: u16 = 1_000;

/// The default size of a page.
const DEFAULT_LIMIT: i32 = 100;

/// The names of a host type in this node's table.
pub async fn of_host_type(ctx: &Context<'_>, host_type: &str) -> Result<Vec<StoredName>, GraphqlError> {
    let names: Vec<String> = ask(ctx, Request::DomainsByHostType(host_type)).await?;
    Ok(names.into_iter().map(StoredName).collect())
}

/// The static domains and all rows; of two with the same name, the static one counts.
pub async fn all(ctx: &Context<'_>) -> Result<Vec<DomainWithType>, GraphqlError> {
    let mut all = BTreeMap::new();
    let mut listing = Listing { limit: MAX_LIMIT, ..Listing::default() };
    loop {
        let Listed { domains: rows, .. } = ask(ctx, Request::List(&listing)).await?;
        let is_last = rows.len() < MAX_LIMIT.into();
        listing.after = rows.last().map(|row| row.domain.clone());
        all.extend(rows.into_iter().map(|row| (row.domain.clone(), DomainWithType::new_dynamic(row))));
        if is_last {
            break;
        }
    }
    let statics: Vec<(String, String)> = ask(ctx, Request::Statics).await?;
    all.extend(
        statics.into_iter().map(|(name, host_type)| (name.clone(), DomainWithType::new_static(name, host_type))),
    );
    Ok(all.into_values().collect())
}

/// A page of rows.
pub async fn page(ctx: &Context<'_>, query: Listing, limit: Option<i32>) -> Result<Vec<DomainWithType>, GraphqlError> {
    let limit = u16::try_from(limit.unwrap_or(DEFAULT_LIMIT)).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    let limit = limit.ok_or_else(|| GraphqlError::new(Code::InvalidLimit, "The limit must be from 1 to 1000"))?;
    let listing = Listing { limit, ..query };
    // No row has such a value, and databases refuse a string with a NUL.
    let is_in_no_row = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
    if listing.status == Some(Status::Deleted) || is_in_no_row(&listing.host_type) || is_in_no_row(&listing.prefix) {
        return node(ctx, &Request::List(&listing)).await.map(|_| Vec::new());
    }
    let Listed { domains: rows, .. } = ask(ctx, Request::List(&listing)).await?;
    Ok(rows.into_iter().map(DomainWithType::new_dynamic).collect())
}

/// The row of a domain, or the static domain.
pub async fn details(ctx: &Context<'_>, domain: &DomainName) -> Result<DomainWithType, GraphqlError> {
    let request = Request::Details(domain);
    match node(ctx, &request).await?.details(domain).await {
        Ok(row) => Ok(DomainWithType::new_dynamic(row)),
        Err(Refusal { tag: Tag::Static, .. }) => {
            let host_type = ask(ctx, Request::HostType(domain)).await?;
            Ok(DomainWithType::new_static(domain.as_str().to_owned(), host_type))
        }
        Err(refusal) => Err(GraphqlError::refused(refusal, &request)),
    }
}

/// Adds a domain.
pub async fn add(ctx: &Context<'_>, domain: DomainName, host_type: String) -> Result<Domain, GraphqlError> {
    let new = [NewDomain { name: domain, host_type, status: None }];
    let request = Request::Insert(&new);
    let results = node(ctx, &request).await?.insert(&new).await;
    let added = results.and_then(|results| results.into_iter().next().unwrap_or_else(|| Err(Refusal::gone())));
    added.map(Domain::from).map_err(|refusal| GraphqlError::refused(refusal, &request))
}

/// Sends a change of a domain to the node.
pub async fn change(ctx: &Context<'_>, request: Request<'_>) -> Result<Domain, GraphqlError> {
    ask::<Details>(ctx, request).await.map(Domain::from)
}

/// Sends a request to the node and reads its answer.
pub async fn ask<T: DeserializeOwned>(ctx: &Context<'_>, request: Request<'_>) -> Result<T, GraphqlError> {
    let answer = node(ctx, &request).await?.ask(request).await;
    answer.and_then(typed).map_err(|refusal| GraphqlError::refused(refusal, &request))
}

/// The node, if it has dynamic domains; the request is for the error.
async fn node<'a>(ctx: &Context<'a>, request: &Request<'_>) -> Result<&'a Node, GraphqlError> {
    let node = ctx.data::<Node>().map_err(|_| GraphqlError::internal())?;
    node.service().await.map_err(|refusal| GraphqlError::refused(refusal, request))?;
    Ok(node)
}
