//! How the fields of the category `domain` are answered: each asks the node at once, and keeps nothing.
//!
//! None of them works where there are no dynamic domains, not even those that would need no database.

use std::collections::BTreeMap;

use async_graphql::Context;
use domain_core::DomainName;
use serde::de::DeserializeOwned;

use super::fault::{Code, Fault};
use super::scalars::StoredName;
use super::schema::{Domain, DomainWithType};
use crate::ask::typed;
use crate::node::Node;
use crate::request::{Details, Listed, Listing, NewDomain, Refusal, Request, Status, Tag};

/// Rows that one request to the node lists.
const PAGE: u16 = 1_000;

/// Domains that a page has unless told.
const FEW: i32 = 100;

/// The names that this node serves with a host type.
pub async fn of_host_type(ctx: &Context<'_>, host_type: &str) -> Result<Vec<StoredName>, Fault> {
    let names: Vec<String> = ask(ctx, Request::DomainsByHostType(host_type)).await?;
    Ok(names.into_iter().map(StoredName).collect())
}

/// The static domains and all rows; where both have a name, the static one counts.
pub async fn all(ctx: &Context<'_>) -> Result<Vec<DomainWithType>, Fault> {
    let mut all = BTreeMap::new();
    let mut listing = Listing { limit: PAGE, ..Listing::default() };
    loop {
        let Listed { domains: rows, .. } = ask(ctx, Request::List(&listing)).await?;
        let is_last = rows.len() < PAGE.into();
        listing.after = rows.last().map(|row| row.domain.clone());
        all.extend(rows.into_iter().map(|row| (row.domain.clone(), DomainWithType::dynamic(row))));
        if is_last {
            break;
        }
    }
    let fixed: Vec<(String, String)> = ask(ctx, Request::Statics).await?;
    all.extend(fixed.into_iter().map(|(name, host_type)| (name.clone(), DomainWithType::fixed(name, host_type))));
    Ok(all.into_values().collect())
}

/// The rows that are chosen, up to so many.
pub async fn page(ctx: &Context<'_>, chosen: Listing, limit: Option<i32>) -> Result<Vec<DomainWithType>, Fault> {
    let limit = u16::try_from(limit.unwrap_or(FEW)).ok().filter(|limit| (1..=PAGE).contains(limit));
    let limit = limit.ok_or_else(|| Fault::new(Code::InvalidLimit, "The limit must be from 1 to 1000"))?;
    let listing = Listing { limit, ..chosen };
    // No row has these, and no database takes a text with a NUL.
    let is_in_no_row = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains('\0'));
    if listing.status == Some(Status::Deleted) || is_in_no_row(&listing.host_type) || is_in_no_row(&listing.prefix) {
        return node(ctx, &Request::List(&listing)).await.map(|_| Vec::new());
    }
    let Listed { domains: rows, .. } = ask(ctx, Request::List(&listing)).await?;
    Ok(rows.into_iter().map(DomainWithType::dynamic).collect())
}

/// What the database says of a domain, or the configuration.
pub async fn details(ctx: &Context<'_>, domain: &DomainName) -> Result<DomainWithType, Fault> {
    let request = Request::Details(domain);
    match node(ctx, &request).await?.details(domain).await {
        Ok(row) => Ok(DomainWithType::dynamic(row)),
        Err(Refusal { tag: Tag::Static, .. }) => {
            let host_type = ask(ctx, Request::HostType(domain)).await?;
            Ok(DomainWithType::fixed(domain.as_str().to_owned(), host_type))
        }
        Err(refusal) => Err(Fault::refused(refusal, &request)),
    }
}

/// Adds a domain.
pub async fn add(ctx: &Context<'_>, domain: DomainName, host_type: String) -> Result<Domain, Fault> {
    let new = [NewDomain { name: domain, host_type, status: None }];
    let request = Request::Insert(&new);
    let results = node(ctx, &request).await?.insert(&new).await;
    let added = results.and_then(|results| results.into_iter().next().unwrap_or_else(|| Err(Refusal::gone())));
    added.map(Domain::from).map_err(|refusal| Fault::refused(refusal, &request))
}

/// Changes a domain as the request says.
pub async fn change(ctx: &Context<'_>, request: Request<'_>) -> Result<Domain, Fault> {
    ask::<Details>(ctx, request).await.map(Domain::from)
}

/// What the node answers.
pub async fn ask<T: DeserializeOwned>(ctx: &Context<'_>, request: Request<'_>) -> Result<T, Fault> {
    let answer = node(ctx, &request).await?.ask(request).await;
    answer.and_then(typed).map_err(|refusal| Fault::refused(refusal, &request))
}

/// The node, if it has dynamic domains; asked for the sake of this request.
async fn node<'a>(ctx: &Context<'a>, request: &Request<'_>) -> Result<&'a Node, Fault> {
    let node = ctx.data::<Node>().map_err(|_| Fault::internal())?;
    node.service().await.map_err(|refusal| Fault::refused(refusal, request))?;
    Ok(node)
}
