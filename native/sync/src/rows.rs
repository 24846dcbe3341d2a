//! From rows of the database to routes in the table.

use domain_core::{Change, DomainName, Epoch, EventId, HostTypeId, Outcome, Refusal, Source};
use domain_store::Row;

use crate::context::Context;
use crate::halt::StepError;
use crate::report::RowWarning;

/// Makes the table say what these rows of a load say, once the owner permits it. Returns the changes and their outcomes.
pub(crate) fn apply_rows(
    context: &mut Context<'_>,
    epoch: Epoch,
    source: Source,
    rows: Vec<Row>,
) -> Result<(Vec<Change>, Vec<Outcome>), StepError> {
    let allowed = context.table.allowed_host_types();
    let changes: Vec<Change> = rows.into_iter().filter_map(|row| change(context, row, &allowed)).collect();
    context.outbox.await_permit()?;
    let outcomes = context.table.apply(epoch, source, &changes)?;
    warn_of_refusals(context, changes.iter().zip(&outcomes));
    Ok((changes, outcomes))
}

/// The same for rows that were read with their events. Returns the outcomes.
pub(crate) fn apply_events(
    context: &mut Context<'_>,
    epoch: Epoch,
    source: Source,
    rows: Vec<(EventId, Row)>,
) -> Result<Vec<Outcome>, StepError> {
    let allowed = context.table.allowed_host_types();
    let changes: Vec<(EventId, Change)> =
        rows.into_iter().filter_map(|(id, row)| Some((id, change(context, row, &allowed)?))).collect();
    context.outbox.await_permit()?;
    let outcomes = context.table.apply_events(epoch, source, &changes)?;
    warn_of_refusals(context, changes.iter().map(|(_, change)| change).zip(&outcomes));
    Ok(outcomes)
}

/// The change that a row calls for.
fn change(context: &mut Context<'_>, row: Row, allowed: &[HostTypeId]) -> Option<Change> {
    match row {
        Row::Enabled(domain, host_type) if !allowed.contains(&host_type) => {
            warn_of_host_type(context, domain.as_str(), host_type);
            drop_route(context, domain)
        }
        Row::Enabled(domain, host_type) => Some(Change::Put(domain, host_type)),
        Row::NotEnabled(domain) => Some(Change::Remove(domain)),
        Row::Invalid(invalid) => {
            context.outbox.warnings.add(RowWarning::invalid_row(invalid.domain, invalid.reason));
            invalid.name.and_then(|domain| drop_route(context, domain))
        }
    }
}

/// Removes the route that an invalid row had while it was valid. A static domain has no such route: to remove it would
/// only lead to a second warning.
fn drop_route(context: &Context<'_>, domain: DomainName) -> Option<Change> {
    (!context.table.is_static(domain.as_bytes())).then_some(Change::Remove(domain))
}

fn warn_of_host_type(context: &mut Context<'_>, domain: &str, host_type: HostTypeId) {
    let host_type = context.table.host_types().name(host_type).to_string();
    context.outbox.warnings.add(RowWarning::UnknownHostType { domain: domain.to_owned(), host_type });
}

fn warn_of_refusals<'c>(context: &mut Context<'_>, outcomes: impl Iterator<Item = (&'c Change, &'c Outcome)>) {
    outcomes.for_each(|(change, outcome)| warn_of_refusal(context, change, *outcome));
}

fn warn_of_refusal(context: &mut Context<'_>, change: &Change, outcome: Outcome) {
    let domain = change.domain().as_str();
    let warnings = &mut context.outbox.warnings;
    match (change, outcome) {
        (Change::Put(..), Outcome::Refused(Refusal::Static)) => {
            warnings.add(RowWarning::StaticButInDb { domain: domain.to_owned() });
        }
        (Change::Remove(_), Outcome::Refused(_)) => {
            warnings.add(RowWarning::StaticButWasInDb { domain: domain.to_owned() });
        }
        (Change::Put(_, host_type), Outcome::Refused(Refusal::UnknownHostType)) => {
            warn_of_host_type(context, domain, *host_type);
        }
        (Change::Put(..), Outcome::Overtaken(_)) | (Change::Remove(_), _) => (),
        (Change::Put(..), _) => warnings.withdraw(domain),
    }
}
