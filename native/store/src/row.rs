//! What a row says: the border where texts from the database become names.

use domain_core::{DomainName, HostTypeId, HostTypes, InvalidDomain};

/// What `domain_settings` says about one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// It is enabled and served by this host type.
    Enabled(DomainName, HostTypeId),
    /// It is disabled, in removal, or has no row.
    NotEnabled(DomainName),
    /// It makes no sense here.
    Invalid(InvalidRow),
}

/// A row that cannot become a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow {
    /// The domain as it stands in the row, with a replacement character for what is not UTF-8.
    pub domain: String,
    /// The domain, if it is a valid name.
    pub name: Option<DomainName>,
    /// What is wrong.
    pub reason: InvalidRowReason,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRowReason {
    /// Its domain is no valid name.
    InvalidDomain(InvalidDomain),
    /// Its host type was never named on this node.
    UnknownHostType(String),
    /// Its status is none of 0 (disabled), 1 (enabled) and 2 (deleting).
    UnknownStatus(i64),
}

impl Row {
    /// The domain as it stands in the row, with a replacement character for what is not UTF-8.
    pub fn domain(&self) -> &str {
        match self {
            Row::Enabled(domain, _) | Row::NotEnabled(domain) => domain.as_str(),
            Row::Invalid(invalid) => &invalid.domain,
        }
    }

    /// Reads a row. A domain without a row has no `settings`.
    pub(crate) fn read(host_types: &HostTypes, domain: &[u8], settings: Option<(&[u8], i64)>) -> Row {
        let name = match DomainName::from_bytes(domain) {
            Ok(name) => name,
            Err(invalid) => return Row::invalid(domain, None, InvalidRowReason::InvalidDomain(invalid)),
        };
        match settings {
            None | Some((_, 0 | 2)) => Row::NotEnabled(name),
            Some((host_type, 1)) => match host_types.id(host_type) {
                Some(id) => Row::Enabled(name, id),
                None => Row::invalid(domain, Some(name), InvalidRowReason::UnknownHostType(shown(host_type))),
            },
            Some((_, status)) => Row::invalid(domain, Some(name), InvalidRowReason::UnknownStatus(status)),
        }
    }

    fn invalid(domain: &[u8], name: Option<DomainName>, reason: InvalidRowReason) -> Row {
        Row::Invalid(InvalidRow { domain: shown(domain), name, reason })
    }
}

/// What is kept of a text that may be as long as any: as much as a name has, and what shows that there was more.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 1000;
    let more = if text.len() > MOST { "…" } else { "" };
    String::from_utf8_lossy(&text[..text.len().min(MOST)]).into_owned() + more
}
