//! The routes of a table, and those that the rows of the simulated database call for.

use std::collections::BTreeMap;

use domain_core::{HostTypeId, HostTypes, Select, Table};

use super::database::Database;
use super::faults::{ALLOWED, STATIC_DOMAINS};

pub(super) type Routes = BTreeMap<String, HostTypeId>;

/// All dynamic routes.
pub(super) fn routes(table: &Table) -> Routes {
    let mut routes = Routes::new();
    for page in table.pages(Select::Dynamic, 1_000) {
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("it is valid");
        routes.extend(page.iter().map(|(name, host_type)| (text(name), host_type)));
    }
    routes
}

/// The host type that a domain's row calls for.
pub(super) fn wanted(database: &Database, domain: &str, host_types: &HostTypes) -> Option<HostTypeId> {
    let &(host_type, status) = database.content.settings.get(domain)?;
    (status == 1 && ALLOWED.contains(&host_type)).then(|| host_types.id(host_type)).flatten()
}

/// All routes that the rows call for.
pub(super) fn all_wanted(database: &Database, host_types: &HostTypes) -> Routes {
    let domains = database.content.settings.keys().filter(|domain| !STATIC_DOMAINS.contains(&domain.as_str()));
    domains.filter_map(|domain| Some((domain.clone(), wanted(database, domain, host_types)?))).collect()
}
