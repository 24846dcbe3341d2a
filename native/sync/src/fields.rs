//! Reports and the status as the Erlang side sees them: a name, and fields with texts and numbers.
//!
//! The names of log events are MongooseIM's where it has one for the same thing. docs/events.md lists them all.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use domain_store::LogBounds;

use crate::comparison::Reason;
use crate::gaps::Writers;
use crate::gate::Evidence;
use crate::repairs::Repairs;
use crate::report::{Report, RowWarning};
use crate::status::{State, Status};

/// The level of a report, by the names of RFC 5424. By default the node's logger prints [`Level::Notice`] and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Normal and frequent.
    Info,
    /// Normal and rare.
    Notice,
    /// Should be looked at.
    Warning,
    /// One domain, or the database, has a fault.
    Error,
    /// Routes may be wrong.
    Critical,
}

impl Level {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// One of a fixed set of words.
    Word(&'static str),
    /// A count for each name.
    Counts(Vec<(Arc<str>, u64)>),
    /// Not known.
    Unknown,
}

/// Fields and their names.
pub type Fields = Vec<(&'static str, Value)>;

impl Report {
    /// Its level, the name of the log event, and its fields.
    pub fn to_log(&self) -> (Level, &'static str, Fields) {
        match self {
            Report::Away { error } => (Level::Error, "domain_database_away", vec![("reason", text(error))]),
            Report::Back => (Level::Notice, "domain_database_back", vec![]),
            Report::Pooled => (Level::Notice, "domain_database_pooled", vec![("advice", text(POOLER_ADVICE))]),
            Report::Loaded { count, took } => {
                let milliseconds = took.as_millis() as u64;
                (
                    Level::Notice,
                    "load_data_from_base",
                    vec![("count", count_of(*count)), ("duration", count_of(milliseconds))],
                )
            }
            Report::Updated { inserts, deletes, skips } => {
                let counts = [("inserts", inserts), ("deletes", deletes), ("skips", skips)];
                (Level::Info, "load_updated_domains", counts.map(|(name, count)| (name, count_of(*count))).to_vec())
            }
            Report::OutOfSync { cursor, bounds } => {
                let mut fields = vec![("cursor", Value::Number(cursor.0))];
                if let LogBounds::From { oldest, newest } = bounds {
                    fields.extend([("oldest", Value::Number(oldest.0)), ("newest", Value::Number(newest.0))]);
                }
                (Level::Critical, "events_log_out_of_sync", fields)
            }
            Report::OutdatedRemoved { count } => {
                (Level::Warning, "remove_outdated_domains_from_core", vec![("count", count_of(*count))])
            }
            Report::OtherDatabase { before, now } => {
                (Level::Warning, "domain_database_changed", vec![("before", text(before)), ("now", text(now))])
            }
            Report::Converged { reason, repairs, examples, took } => {
                let (level, event) = match (reason, repairs.is_none()) {
                    // Following the log should have shown it.
                    (Reason::Periodic, false) => (Level::Warning, "domain_convergence_repaired"),
                    (_, false) => (Level::Notice, "domains_converged"),
                    (_, true) => (Level::Info, "domains_converged"),
                };
                let mut fields = vec![("reason", Value::Word(reason.name()))];
                fields.extend(repairs.to_fields());
                fields.push(("domains", text(&examples.join(", "))));
                fields.push(("duration", count_of(took.as_millis() as u64)));
                (level, event, fields)
            }
            Report::Kept { count, evidence, host_types } => {
                let fields = vec![
                    ("count", count_of(*count)),
                    ("reason", evidence.map_or(Value::Word("not_fresh"), |evidence| Value::Word(evidence.name()))),
                    ("host_types", text(&host_types.join(", "))),
                    ("advice", text(ADVICE)),
                ];
                (Level::Warning, "outdated_domains_kept", fields)
            }
            Report::SnapshotLoaded { count, age } => (
                Level::Notice,
                "domain_snapshot_loaded",
                vec![("count", count_of(*count)), ("age", count_of(age.as_secs()))],
            ),
            Report::SnapshotRefused { file, error } => {
                (Level::Warning, "domain_snapshot_refused", vec![("file", text(file)), ("reason", text(error))])
            }
            Report::SnapshotFailed { file, error } => {
                (Level::Warning, "domain_snapshot_failed", vec![("file", text(file)), ("reason", text(error))])
            }
            Report::SnapshotWritten { file } => (Level::Notice, "domain_snapshot_written", vec![("file", text(file))]),
            Report::PruneFailed { error } => (Level::Warning, "domain_cleaning_failed", vec![("reason", text(error))]),
            Report::RowWarning(warning) => {
                let (name, field) = warning.to_log();
                let fields = [Some(("domain", text(warning.domain()))), field];
                (Level::Error, name, fields.into_iter().flatten().collect())
            }
            Report::MoreRowWarnings { count } => {
                (Level::Error, "ignore_more_domains_from_db", vec![("count", count_of(*count))])
            }
        }
    }
}

/// What to do about a pooler.
const POOLER_ADVICE: &str = "behind a pooler no statement is prepared, and changes take longer; a URL that leads to the \
    server itself avoids that";
/// What to do about kept routes.
const ADVICE: &str = "the database lacks domains that this node serves; when its content is complete again, say so by \
                      mongoose_domain_freshness:upsert/2 for these host types, or remove the rest here by \
                      service_domain_db:converge(force); service_domain_db:kept/0 lists them";

impl Repairs {
    /// Its fields.
    pub fn to_fields(&self) -> Fields {
        let Repairs { added, changed, removed, kept } = self;
        let counts = [("added", added), ("changed", changed), ("removed", removed), ("kept", kept)];
        counts.map(|(name, count)| (name, count_of(*count))).to_vec()
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Reason::Cold => "cold",
            Reason::Reset => "restart",
            Reason::WarmStart => "warm_start",
            Reason::LogTruncated => "log_truncated",
            Reason::LogBegun => "log_begun",
            Reason::LogBackwards => "log_backwards",
            Reason::OtherDatabase => "other_database",
            Reason::ManyGaps => "many_gaps",
            Reason::Requested => "asked",
            Reason::Fresh => "fresh",
            Reason::Periodic => "periodic",
        }
    }
}

impl Evidence {
    fn name(self) -> &'static str {
        match self {
            Evidence::IdsBackwards => "ids_backwards",
            Evidence::OtherDatabase => "other_database",
            Evidence::NoRows => "no_rows",
            Evidence::ManyRoutes => "many_routes",
        }
    }
}

impl RowWarning {
    fn to_log(&self) -> (&'static str, Option<(&'static str, Value)>) {
        match self {
            RowWarning::StaticButInDb { .. } => ("domain_static_but_in_db", None),
            RowWarning::StaticButWasInDb { .. } => ("domain_static_but_was_in_db", None),
            RowWarning::UnknownHostType { host_type, .. } => {
                ("ignore_domain_from_db_with_unknown_host_type", Some(("host_type", text(host_type))))
            }
            RowWarning::InvalidDomain { reason, .. } => {
                ("ignore_domain_from_db_with_invalid_name", Some(("reason", text(reason))))
            }
            RowWarning::UnknownStatus { status, .. } => {
                ("ignore_domain_from_db_with_unknown_status", Some(("status", Value::Number(*status))))
            }
        }
    }
}

impl Status {
    /// Its fields. Times are milliseconds since 1970.
    pub fn to_fields(&self) -> Fields {
        let error = self.last_error.as_ref();
        vec![
            ("state", Value::Word(self.state.name())),
            ("since", time(self.since)),
            ("database", text(&self.database)),
            ("cursor", known(self.cursor.map(|cursor| Value::Number(cursor.0)))),
            ("lag", known(self.lag().map(Value::Number))),
            ("lag_seconds", known(self.lag_time().map(|lag| count_of(lag.as_secs())))),
            ("open_gaps", count_of(self.open_gaps)),
            ("writers", Value::Word(if self.writers == Writers::Known { "known" } else { "unknown" })),
            ("oldest_gap_seconds", count_of(self.gap_time().as_secs())),
            ("kept", count_of(self.kept)),
            ("kept_by_host_type", Value::Counts(self.kept_by_host_type.clone())),
            ("stale", Value::Word(if self.stale { "true" } else { "false" })),
            ("current_at", known(self.current_at.map(time))),
            ("last_error", known(error.map(|(reason, _)| text(reason)))),
            ("last_error_at", known(error.map(|(_, at)| time(*at)))),
            ("loads", count_of(self.loads)),
            ("events", count_of(self.events)),
            ("repairs_added", count_of(self.totals.added)),
            ("repairs_changed", count_of(self.totals.changed)),
            ("repairs_removed", count_of(self.totals.removed)),
            ("failures", count_of(self.totals.failures)),
        ]
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Loading => "loading",
            State::Converging => "converging",
            State::Following => "following",
            State::Away => "away",
            State::Ended => "ended",
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn count_of(count: u64) -> Value {
    Value::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

fn time(time: SystemTime) -> Value {
    count_of(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}

fn known(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use domain_core::EventId;

    use super::*;

    /// The row of docs/events.md for an event: its levels and its fields, each field with whether every report has it.
    fn row(event: &str) -> (String, Vec<(String, bool)>) {
        let row = include_str!("../../../docs/events.md").lines().find(|line| {
            let names = line.strip_prefix("| ").and_then(|line| line.split('|').next()).unwrap_or_default();
            names.split('`').any(|name| name == event)
        });
        let row = row.unwrap_or_else(|| panic!("event {event} is not in docs/events.md: add a line"));
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        if let Some(other) = cells[3].strip_prefix("as ") {
            return (cells[2].to_owned(), self::row(other.trim_matches('`')).1);
        }
        let fields = cells[3].split('`').collect::<Vec<_>>();
        let named = fields.windows(2).skip(1).step_by(2).map(|pair| (pair[0].to_owned(), !pair[1].starts_with('*')));
        (cells[2].to_owned(), named.collect())
    }

    /// One report of each kind, two of a kind that has two forms. A new kind does not compile before it is here.
    fn each() -> Vec<Report> {
        let (error, file, domain) = ("error".to_owned(), "file".to_owned(), "domain".to_owned());
        let repairs = Repairs { added: 1, changed: 2, removed: 3, kept: 4 };
        let converged = |reason, repairs| Report::Converged { reason, repairs, examples: vec![], took: Duration::ZERO };
        let warning = |warning| {
            match &warning {
                RowWarning::StaticButInDb { .. }
                | RowWarning::StaticButWasInDb { .. }
                | RowWarning::UnknownHostType { .. }
                | RowWarning::InvalidDomain { .. }
                | RowWarning::UnknownStatus { .. } => (),
            }
            Report::RowWarning(warning)
        };
        let all = vec![
            Report::Away { error: error.clone() },
            Report::Back,
            Report::Pooled,
            Report::Loaded { count: 1, took: Duration::ZERO },
            Report::Updated { inserts: 1, deletes: 2, skips: 3 },
            Report::OutOfSync { cursor: EventId(1), bounds: LogBounds::Empty },
            Report::OutOfSync {
                cursor: EventId(1),
                bounds: LogBounds::From { oldest: EventId(2), newest: EventId(3) },
            },
            Report::OutdatedRemoved { count: 1 },
            Report::OtherDatabase { before: "one".into(), now: "other".into() },
            converged(Reason::Requested, repairs.clone()),
            converged(Reason::Requested, Repairs::default()),
            converged(Reason::Periodic, repairs),
            Report::Kept { count: 1, evidence: None, host_types: vec![] },
            Report::SnapshotLoaded { count: 1, age: Duration::ZERO },
            Report::SnapshotRefused { file: file.clone(), error: error.clone() },
            Report::SnapshotFailed { file: file.clone(), error: error.clone() },
            Report::SnapshotWritten { file },
            Report::PruneFailed { error: error.clone() },
            warning(RowWarning::StaticButInDb { domain: domain.clone() }),
            warning(RowWarning::StaticButWasInDb { domain: domain.clone() }),
            warning(RowWarning::UnknownHostType { domain: domain.clone(), host_type: "type".into() }),
            warning(RowWarning::InvalidDomain { domain: domain.clone(), reason: error }),
            warning(RowWarning::UnknownStatus { domain, status: 7 }),
            Report::MoreRowWarnings { count: 1 },
        ];
        for report in &all {
            match report {
                Report::Away { .. }
                | Report::Back
                | Report::Pooled
                | Report::Loaded { .. }
                | Report::Updated { .. }
                | Report::OutOfSync { .. }
                | Report::OtherDatabase { .. }
                | Report::OutdatedRemoved { .. }
                | Report::Converged { .. }
                | Report::Kept { .. }
                | Report::SnapshotLoaded { .. }
                | Report::SnapshotRefused { .. }
                | Report::SnapshotFailed { .. }
                | Report::SnapshotWritten { .. }
                | Report::PruneFailed { .. }
                | Report::RowWarning(_)
                | Report::MoreRowWarnings { .. } => (),
            }
        }
        all
    }

    #[test]
    fn each_report_has_the_level_and_the_fields_that_docs_events_lists() {
        for report in each() {
            let (level, event, fields) = report.to_log();
            let (levels, listed) = row(event);
            assert!(levels.contains(level.name()), "{event} has the level {}; docs/events.md: {levels}", level.name());
            let fields: BTreeSet<_> = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
            let all: BTreeSet<_> = listed.iter().map(|(name, _)| name.clone()).collect();
            let always: BTreeSet<_> = listed.into_iter().filter(|(_, always)| *always).map(|(name, _)| name).collect();
            assert!(fields.is_subset(&all), "{event} has the fields {fields:?}; docs/events.md: {all:?}");
            assert!(always.is_subset(&fields), "{event} has the fields {fields:?}; docs/events.md: {always:?}");
        }
    }
}
