//! Watching: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts and stops nodes.
//!
//! Everything is asked of the node at the moment of the scrape (`mongoose_domain_metrics`), but for how long
//! requests took, which this program counts. Families that the database alone could tell have no samples while
//! it does not answer, and `mongoose_domain_database_up` is 0 then.
//!
//! `/metrics` wants the admin's credentials, since the names of host types are nobody's business; the other two
//! are for programs that have none, and tell a word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::ask::typed;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::exposition::{self, Exposition, Kind, Number};
use crate::latency::Latency;
use crate::reply::Failure;
use crate::request::{Answer, Finite, Request, Tag};

/// How long the node may take: it gives the database less.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the node measures.
#[derive(Debug, Deserialize)]
struct Measured {
    enabled: bool,
    ready: bool,
    domains: Vec<Domains>,
    /// By part.
    table_bytes: BTreeMap<String, u64>,
    lookups: Lookups,
    follower: Option<Follower>,
    failed_operations: u64,
    database: Option<Database>,
}

/// The domains of a host type.
#[derive(Debug, Deserialize)]
struct Domains {
    host_type: String,
    r#static: u64,
    dynamic: u64,
}

#[derive(Debug, Deserialize)]
struct Lookups {
    hits: u64,
    misses: u64,
}

/// Before the first one was started, there is nothing but its state.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Follower {
    state: String,
    lag: Option<i64>,
    lag_seconds: Option<u64>,
    open_gaps: u64,
    kept_by_host_type: BTreeMap<String, u64>,
    stale: bool,
    loads: u64,
    events: u64,
    repairs_added: u64,
    repairs_changed: u64,
    repairs_removed: u64,
    failures: u64,
}

/// What only the database knows.
#[derive(Debug, Deserialize)]
struct Database {
    freshness: Vec<Freshness>,
    removals: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Freshness {
    host_type: String,
    seconds_left: Finite,
}

impl From<Finite> for Number {
    fn from(number: Finite) -> Number {
        number.finite().map_or(Number::Real(f64::INFINITY), Number::from)
    }
}

/// The states of a follower that runs or has run, and the one before there was any.
const STATES: [&str; 7] = ["not_running", "connecting", "loading", "converging", "following", "away", "ended"];

/// Everything, for Prometheus.
pub async fn metrics(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response, Failure> {
    caller.admit(&doors).await?;
    let answer = ask(&doors, Request::Metrics).await.ok_or(Failure::Overloaded)?;
    let measured = typed(answer?)?;
    Ok(([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text(&measured, &doors.latency)).into_response())
}

/// Whether the node answers.
pub async fn healthz(State(doors): State<Arc<Doors>>) -> Response {
    match ask(&doors, Request::Readiness).await {
        // One that has too much to do does.
        Some(Ok(_)) => told(StatusCode::OK, "ok"),
        Some(Err(refusal)) if refusal.tag == Tag::Overloaded => told(StatusCode::OK, "ok"),
        Some(Err(_)) | None => told(StatusCode::SERVICE_UNAVAILABLE, "the node does not answer"),
    }
}

/// Whether the node serves its dynamic domains; what its service is doing, where it does not.
pub async fn readyz(State(doors): State<Arc<Doors>>) -> Response {
    match readiness(&doors).await {
        Some(Readiness::Ready) => told(StatusCode::OK, "ready"),
        Some(Readiness::Not(state)) => told(StatusCode::SERVICE_UNAVAILABLE, &state),
        None => told(StatusCode::SERVICE_UNAVAILABLE, "the node does not answer"),
    }
}

/// Whether the node serves its dynamic domains.
#[derive(Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not: what its service is doing.
    Not(String),
}

/// What the node says of that; nothing where it does not answer in time.
pub async fn readiness(doors: &Doors) -> Option<Readiness> {
    match ask(doors, Request::Readiness).await {
        Some(Ok(Value::String(ready))) if ready == "ready" => Some(Readiness::Ready),
        Some(Ok(Value::String(state))) => Some(Readiness::Not(state)),
        Some(_) | None => None,
    }
}

/// What the node answers in time.
async fn ask(doors: &Doors, request: Request<'_>) -> Option<Answer> {
    tokio::time::timeout(PATIENCE, doors.node.ask(request)).await.ok()
}

fn told(status: StatusCode, word: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{word}\n")).into_response()
}

fn text(measured: &Measured, latency: &Latency) -> String {
    let mut out = Exposition::default();
    table(&mut out, measured);
    follower(&mut out, measured);
    database(&mut out, measured);
    let mut requests =
        out.family("request_duration_seconds", Kind::Histogram, "How long requests took, by door and class of code.");
    for times in latency.times() {
        let labels = [("door", times.door.name()), ("code", times.class)];
        requests.histogram(&labels, times.buckets, times.count, times.sum);
    }
    out.into_text()
}

fn table(out: &mut Exposition, measured: &Measured) {
    out.family("service_enabled", Kind::Gauge, "Whether the configuration names a database.")
        .sample(&[], measured.enabled);
    out.family("ready", Kind::Gauge, "Whether the dynamic domains are served, as /readyz says.")
        .sample(&[], measured.ready);
    let mut domains = out.family("domains", Kind::Gauge, "Domains in this node's table, by host type and source.");
    for Domains { host_type, r#static, dynamic } in &measured.domains {
        for (source, count) in [("static", *r#static), ("dynamic", *dynamic)] {
            domains.sample(&[("host_type", host_type), ("source", source)], count);
        }
    }
    let help = "Memory that this node's table uses beside the VM's own, by part.";
    let mut bytes = out.family("table_bytes", Kind::Gauge, help);
    for (part, count) in &measured.table_bytes {
        bytes.sample(&[("part", part)], *count);
    }
    out.family("lookups_total", Kind::Counter, "Lookups of domains, by what they found.")
        .sample(&[("result", "hit")], measured.lookups.hits)
        .sample(&[("result", "miss")], measured.lookups.misses);
}

fn follower(out: &mut Exposition, measured: &Measured) {
    let follower = measured.follower.as_ref();
    let number = |get: fn(&Follower) -> u64| follower.map(get).map(Number::from);
    let mut state = out.family("follower_state", Kind::Gauge, "1 for what the follower of the database is doing.");
    for name in follower.map(|_| STATES).into_iter().flatten() {
        state.sample(&[("state", name)], follower.is_some_and(|follower| follower.state == name));
    }
    let one = [
        (
            "follower_lag_events",
            Kind::Gauge,
            "How many ids of events the log was ahead of the table at the last look.",
            follower.and_then(|follower| follower.lag).map(Number::from),
        ),
        (
            "follower_lag_seconds",
            Kind::Gauge,
            "For how long the table may have been out of date.",
            follower.and_then(|follower| follower.lag_seconds).map(Number::from),
        ),
        (
            "follower_open_gaps",
            Kind::Gauge,
            "Ranges of ids that were passed by and may still hold events.",
            number(|follower| follower.open_gaps),
        ),
        (
            "follower_stale",
            Kind::Gauge,
            "Whether all routes are from a file, and the database did not answer yet.",
            follower.map(|follower| follower.stale.into()),
        ),
        (
            "follower_loads_total",
            Kind::Counter,
            "Loads and comparisons of everything since the follower was started.",
            number(|follower| follower.loads),
        ),
        (
            "follower_events_total",
            Kind::Counter,
            "Events that were followed since the follower was started.",
            number(|follower| follower.events),
        ),
    ];
    for (name, kind, help, number) in one {
        let mut family = out.family(name, kind, help);
        if let Some(number) = number {
            family.sample(&[], number);
        }
    }
    let mut kept = out.family("kept_routes", Kind::Gauge, "Routes that stay although the database does not have them.");
    if let Some(follower) = follower {
        let known = measured.domains.iter().map(|domains| (domains.host_type.as_str(), 0));
        let mut all: BTreeMap<&str, u64> = known.collect();
        all.extend(follower.kept_by_host_type.iter().map(|(host_type, count)| (host_type.as_str(), *count)));
        for (host_type, count) in all {
            kept.sample(&[("host_type", host_type)], count);
        }
    }
    let mut repairs =
        out.family("convergence_repairs_total", Kind::Counter, "Domains that comparisons with the database repaired.");
    if let Some(follower) = follower {
        repairs
            .sample(&[("repair", "added")], follower.repairs_added)
            .sample(&[("repair", "changed")], follower.repairs_changed)
            .sample(&[("repair", "removed")], follower.repairs_removed);
    }
}

fn database(out: &mut Exposition, measured: &Measured) {
    let mut up = out.family("database_up", Kind::Gauge, "Whether the database answered for this scrape.");
    if measured.enabled {
        up.sample(&[], measured.database.is_some());
    }
    let mut errors =
        out.family("database_errors_total", Kind::Counter, "How often the database failed, by who asked it.");
    if let Some(follower) = &measured.follower {
        errors
            .sample(&[("asked_by", "follower")], follower.failures)
            .sample(&[("asked_by", "operations")], measured.failed_operations);
    }
    let help = "Seconds until what was declared for a host type expires, 0 when it has, +Inf for never.";
    let mut freshness = out.family("freshness_expires_in_seconds", Kind::Gauge, help);
    for declared in measured.database.iter().flat_map(|database| &database.freshness) {
        freshness.sample(&[("host_type", &declared.host_type)], declared.seconds_left);
    }
    let mut removals = out.family("removals", Kind::Gauge, "Jobs of removal in the database, by state.");
    for (state, count) in measured.database.iter().flat_map(|database| &database.removals) {
        removals.sample(&[("state", state)], *count);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(measured: Value) -> Vec<String> {
        let measured = serde_json::from_value(measured).unwrap();
        text(&measured, &Latency::default()).lines().map(str::to_owned).collect()
    }

    fn measured() -> Value {
        json!({
            "enabled": true, "ready": true,
            "domains": [{"host_type": "type\"1\"", "static": 1, "dynamic": 2}],
            "table_bytes": {"entries": 11, "index": 12, "change_feed": 0},
            "lookups": {"hits": 3, "misses": 4},
            "follower": {
                "state": "following", "lag": null, "lag_seconds": 5, "open_gaps": 6, "kept": 9,
                "kept_by_host_type": {"type9": 9}, "stale": false, "repairs_changed": 7, "failures": 8
            },
            "failed_operations": 10,
            "database": {
                "freshness": [
                    {"host_type": "a", "seconds_left": 0},
                    {"host_type": "b", "seconds_left": "infinity"}
                ],
                "removals": {"running": 0, "orphaned": 1, "failed": 2}
            }
        })
    }

    #[test]
    fn what_the_node_measures_is_told() {
        let lines = lines(measured());
        for line in [
            r#"domains{host_type="type\"1\"",source="static"} 1"#,
            r#"domains{host_type="type\"1\"",source="dynamic"} 2"#,
            r#"table_bytes{part="entries"} 11"#,
            r#"lookups_total{result="miss"} 4"#,
            r#"follower_state{state="following"} 1"#,
            r#"follower_state{state="away"} 0"#,
            r#"follower_lag_seconds 5"#,
            r#"follower_open_gaps 6"#,
            r#"follower_stale 0"#,
            r#"kept_routes{host_type="type9"} 9"#,
            r#"kept_routes{host_type="type\"1\""} 0"#,
            r#"convergence_repairs_total{repair="changed"} 7"#,
            r#"database_errors_total{asked_by="follower"} 8"#,
            r#"database_errors_total{asked_by="operations"} 10"#,
            r#"database_up 1"#,
            r#"freshness_expires_in_seconds{host_type="a"} 0"#,
            r#"freshness_expires_in_seconds{host_type="b"} +Inf"#,
            r#"removals{state="failed"} 2"#,
        ] {
            assert!(lines.contains(&format!("mongoose_domain_{line}")), "{line} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("mongoose_domain_follower_lag_events")), "it is unknown");
    }

    #[test]
    fn without_an_answer_of_the_database_its_families_are_empty_and_it_is_down() {
        let mut measured = measured();
        measured["database"] = Value::Null;
        let lines = lines(measured);
        assert!(lines.contains(&"mongoose_domain_database_up 0".to_owned()));
        let of_the_database = ["mongoose_domain_removals", "mongoose_domain_freshness"];
        assert!(!lines.iter().any(|line| of_the_database.iter().any(|name| line.starts_with(name))));
        assert!(lines.iter().any(|line| line.starts_with("mongoose_domain_kept_routes{")));
    }

    #[test]
    fn without_a_service_there_is_no_follower_and_no_database() {
        let mut measured = measured();
        measured["enabled"] = false.into();
        measured["follower"] = Value::Null;
        measured["database"] = Value::Null;
        let samples: Vec<_> = lines(measured).into_iter().filter(|line| !line.starts_with('#')).collect();
        let of_a_service = ["follower", "kept", "convergence", "database", "freshness", "removals"];
        assert!(!samples.iter().any(|line| of_a_service.iter().any(|name| line.contains(name))), "{samples:?}");
        assert!(samples.contains(&"mongoose_domain_service_enabled 0".to_owned()));
    }
}
