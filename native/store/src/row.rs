//! A row of `domain_settings` as the follower reads it. Names from the database are checked here, and nowhere else.

use domain_core::{DomainName, HostTypeId, HostTypes, InvalidDomain};

/// A domain's row, or that it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// The domain is enabled, with this host type.
    Enabled(DomainName, HostTypeId),
    /// The domain is disabled, in removal, or has no row.
    NotEnabled(DomainName),
    /// The row cannot become a route.
    Invalid(InvalidRow),
}

/// A row that cannot become a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow {
    /// The domain in the row, with replacement characters where it is not UTF-8.
    pub domain: String,
    /// The domain, if its name is valid.
    pub name: Option<DomainName>,
    /// Why it cannot.
    pub reason: InvalidRowReason,
}

/// Why a row cannot become a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRowReason {
    /// The domain's name is invalid.
    InvalidDomain(InvalidDomain),
    /// The host type is not configured on this node.
    UnknownHostType(String),
    /// The status is neither 0 (disabled) nor 1 (enabled) nor 2 (deleting).
    UnknownStatus(i64),
}

impl Row {
    /// The domain in the row, with replacement characters where it is not UTF-8.
    pub fn domain(&self) -> &str {
        match self {
            Row::Enabled(domain, _) | Row::NotEnabled(domain) => domain.as_str(),
            Row::Invalid(row) => &row.domain,
        }
    }

    /// Checks a row. `settings` is its host type and status, or nothing for a domain without a row.
    pub(crate) fn read(host_types: &HostTypes, domain: &[u8], settings: Option<(&[u8], i64)>) -> Row {
        let name = match DomainName::from_bytes(domain) {
            Ok(name) => name,
            Err(error) => return Row::invalid(domain, None, InvalidRowReason::InvalidDomain(error)),
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

/// The first 1000 bytes of a text, which may be of any length.
fn shown(text: &[u8]) -> String {
    const MAX_BYTES: usize = 1000;
    let more = if text.len() > MAX_BYTES { "…" } else { "" };
    String::from_utf8_lossy(&text[..text.len().min(MAX_BYTES)]).into_owned() + more
}
