//! Questions to the node whose answers have a type.

use domain_core::DomainName;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::{Node, result_of};
use crate::request::{
    Change, Details, Freshness, Listed, Listing, NewDomain, Refusal, Removal, Request, Served, Status,
};

impl Node {
    /// Whether there are dynamic domains at all: refuses with `service_disabled`.
    pub async fn service(&self) -> Result<(), Refusal> {
        self.ask(Request::Service).await.map(drop)
    }

    /// Adds domains: for each, in order, what became of it.
    pub async fn insert(&self, domains: &[NewDomain]) -> Result<Vec<Result<Details, Refusal>>, Refusal> {
        let results: Vec<Value> = typed(self.ask(Request::Insert(domains)).await?)?;
        Ok(results.iter().map(|result| typed(result_of(result).unwrap_or(Err(Refusal::gone()))?)).collect())
    }

    /// What the database says of a domain.
    pub async fn details(&self, domain: &DomainName) -> Result<Details, Refusal> {
        typed(self.ask(Request::Details(domain)).await?)
    }

    /// A part of what the database says of all.
    pub async fn list(&self, listing: &Listing) -> Result<Listed, Refusal> {
        typed(self.ask(Request::List(listing)).await?)
    }

    /// How far a removal is.
    pub async fn removal(&self, domain: &DomainName) -> Result<Removal, Refusal> {
        typed(self.ask(Request::Removal(domain)).await?)
    }

    /// All removals that run, were left, or failed.
    pub async fn removals(&self) -> Result<Vec<Removal>, Refusal> {
        typed(self.ask(Request::Removals).await?)
    }

    /// Who serves each of these names, in order: the node looks at its table.
    pub async fn serving(&self, names: &[DomainName]) -> Result<Vec<Served>, Refusal> {
        typed(self.ask(Request::Serving(names)).await?)
    }

    /// The subdomains that a domain has.
    pub async fn subdomains(&self, domain: &DomainName) -> Result<Vec<DomainName>, Refusal> {
        let names: Vec<String> = typed(self.ask(Request::Subdomains(domain)).await?)?;
        // One that nameprep forbids nobody can ask for.
        Ok(names.iter().filter_map(|name| DomainName::new(name).ok()).collect())
    }

    /// What was ever declared complete.
    pub async fn freshness(&self) -> Result<Vec<Freshness>, Refusal> {
        typed(self.ask(Request::Freshness).await?)
    }

    /// What changed behind an event.
    pub async fn changes(&self, after: Option<i64>, limit: u16) -> Result<Vec<Change>, Refusal> {
        typed(self.ask(Request::Changes(after, limit)).await?)
    }

    /// Has a domain served, or not.
    pub async fn set_enabled(&self, domain: &DomainName, status: Status) -> Result<Details, Refusal> {
        let request = if status == Status::Enabled { Request::Enable(domain) } else { Request::Disable(domain) };
        typed(self.ask(request).await?)
    }
}

/// An answer of another shape than agreed is a fault of this project.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(what = "domain_admin_answer_not_understood", %error);
        Refusal::gone()
    })
}
