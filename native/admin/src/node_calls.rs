//! Requests to the node whose answers have a type.

use domain_core::DomainName;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{Change, Details, Freshness, Listed, Listing, NewDomain, Removal, Served, Switch};
use crate::node::{Node, result_of};
use crate::refusal::Refusal;
use crate::request::Request;

impl Node {
    /// Whether the node has dynamic domains at all: refuses with `service_disabled`.
    pub async fn service(&self) -> Result<(), Refusal> {
        self.ask(Request::Service).await.map(drop)
    }

    /// Adds domains; answers for each, in order.
    pub async fn insert(&self, domains: &[NewDomain]) -> Result<Vec<Result<Details, Refusal>>, Refusal> {
        let results: Vec<Value> = typed(self.ask(Request::Insert(domains)).await?)?;
        Ok(results.iter().map(|result| typed(result_of(result).unwrap_or(Err(Refusal::gone()))?)).collect())
    }

    /// The row of a domain.
    pub async fn details(&self, domain: &DomainName) -> Result<Details, Refusal> {
        typed(self.ask(Request::Details(domain)).await?)
    }

    /// A page of rows.
    pub async fn list(&self, listing: &Listing) -> Result<Listed, Refusal> {
        typed(self.ask(Request::List(listing)).await?)
    }

    /// The progress of a removal.
    pub async fn removal(&self, domain: &DomainName) -> Result<Removal, Refusal> {
        typed(self.ask(Request::Removal(domain)).await?)
    }

    /// All removals that run, were abandoned, or failed.
    pub async fn removals(&self) -> Result<Vec<Removal>, Refusal> {
        typed(self.ask(Request::Removals).await?)
    }

    /// The host type of each name, in order, from the node's table.
    pub async fn serving(&self, names: &[DomainName]) -> Result<Vec<Served>, Refusal> {
        typed(self.ask(Request::Serving(names)).await?)
    }

    /// The subdomains of a domain.
    pub async fn subdomains(&self, domain: &DomainName) -> Result<Vec<DomainName>, Refusal> {
        let names: Vec<String> = typed(self.ask(Request::Subdomains(domain)).await?)?;
        // A name that nameprep forbids occurs in no request, so leaving it out changes nothing.
        Ok(names.iter().filter_map(|name| DomainName::new(name).ok()).collect())
    }

    /// All declarations of freshness.
    pub async fn freshness(&self) -> Result<Vec<Freshness>, Refusal> {
        typed(self.ask(Request::Freshness).await?)
    }

    /// The changes after an event.
    pub async fn changes(&self, after: Option<i64>, limit: u16) -> Result<Vec<Change>, Refusal> {
        typed(self.ask(Request::Changes(after, limit)).await?)
    }

    /// Enables or disables a domain.
    pub async fn switch(&self, domain: &DomainName, to: Switch) -> Result<Details, Refusal> {
        let request = match to {
            Switch::Enabled => Request::Enable(domain),
            Switch::Disabled => Request::Disable(domain),
        };
        typed(self.ask(request).await?)
    }
}

/// Reads an answer. One of another shape is a defect of this project, and is logged as such.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(what = "domain_admin_answer_not_understood", %error);
        Refusal::gone()
    })
}
