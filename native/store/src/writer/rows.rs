//! Reads rows of several columns into the types of the operations. An unreadable column makes its row unreadable.

use domain_core::EventId;

use super::domains::{ChangedDomain, DomainSettings, ListedDomain, Status};
use super::removals::{HandlerProgress, LeaseState, RemovalJob, RemovalStatus};
use crate::FreshnessDeclaration;
use crate::readable::{Cell, InvalidColumn, UnreadableRow};

/// A row of a listing.
pub(crate) fn listed(domain: Cell<'_>, host_type: Cell<'_>, status: Cell<'_>) -> Result<ListedDomain, UnreadableRow> {
    let read = || {
        let name = domain.text("domain")?.to_owned();
        Ok(ListedDomain { domain: name, settings: settings(host_type, status)? })
    };
    read().map_err(|column: InvalidColumn| column.in_row("domain_settings", domain))
}

/// An event, with the host type and the status of its domain's row if there is one.
pub(crate) fn changed(
    id: EventId,
    domain: Cell<'_>,
    row: Option<(Cell<'_>, Cell<'_>)>,
) -> Result<ChangedDomain, UnreadableRow> {
    let name = domain.text("domain").map_err(|column| column.in_row("domain_events", domain))?.to_owned();
    let settings = row.map(|(host_type, status)| settings(host_type, status)).transpose();
    Ok(ChangedDomain {
        id,
        domain: name,
        settings: settings.map_err(|column| column.in_row("domain_settings", domain))?,
    })
}

/// A job.
pub(crate) fn job(domain: Cell<'_>, host_type: Cell<'_>, handlers: Cell<'_>) -> Result<RemovalJob, UnreadableRow> {
    let read = || {
        Ok(RemovalJob {
            domain: domain.text("domain")?.to_owned(),
            host_type: host_type.text("host_type")?.to_owned(),
            handlers: handlers.count("handlers")?,
        })
    };
    read().map_err(|column: InvalidColumn| column.in_row("domain_removals", domain))
}

/// A job's state: domain, host type, owner, whether the lease has ended (0 or 1), handlers done, handlers, failure.
pub(crate) fn removal(cells: [Cell<'_>; 7]) -> Result<RemovalStatus, UnreadableRow> {
    let [domain, host_type, owner, ended, done, of, failure] = cells;
    let read = || {
        Ok(RemovalStatus {
            domain: domain.text("domain")?.to_owned(),
            host_type: host_type.text("host_type")?.to_owned(),
            owner: owner.optional_text("owner")?.map(str::to_owned),
            lease: if ended.number("lease_until")? == 0 { LeaseState::Running } else { LeaseState::Ended },
            handlers: HandlerProgress { done: done.count("handlers_done")?, of: of.count("handlers")? },
            failure: failure.optional_text("failure")?.map(str::to_owned),
        })
    };
    read().map_err(|column: InvalidColumn| column.in_row("domain_removals", domain))
}

/// A declaration, with its expiry at the time `now`.
pub(crate) fn freshness(
    domain: Cell<'_>,
    expire_time: Cell<'_>,
    now: Cell<'_>,
) -> Result<FreshnessDeclaration, UnreadableRow> {
    let read = || {
        let (name, expire_time) = (domain.text("domain")?.to_owned(), expire_time.number("expire_time")?);
        Ok(FreshnessDeclaration::at(name, expire_time, now.number("now")?))
    };
    read().map_err(|column: InvalidColumn| column.in_row("domain_freshness", domain))
}

fn settings(host_type: Cell<'_>, status: Cell<'_>) -> Result<DomainSettings, InvalidColumn> {
    Ok(DomainSettings {
        host_type: host_type.text("host_type")?.to_owned(),
        status: Status::new(status.number("status")?),
    })
}

/// The same for the row of one domain, which is returned even if it is unreadable: a host type that is no text is escaped,
/// and a status that is no number becomes [`Status::Unknown`].
pub(crate) fn settings_lossy(host_type: Cell<'_>, status: Cell<'_>) -> DomainSettings {
    settings(host_type, status).unwrap_or_else(|_| DomainSettings {
        host_type: host_type.text("host_type").map_or_else(|_| host_type.shown(), str::to_owned),
        status: Status::new(status.number("status").unwrap_or(i64::MIN)),
    })
}
